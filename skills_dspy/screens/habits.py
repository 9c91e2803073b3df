"""Habits of a set: what too many accepted rows of a task have in common, and the seeds do not."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from skills_dspy.base.config import HabitsConfig
from skills_dspy.similarity.habits import Habit, HabitKind, answer_habits, question_habits, subject_words
from skills_dspy.similarity.text import words
from skills_dspy.tasks.spec import TaskSpec

_SAID: dict[HabitKind, str] = {
    "opening": "begin with",
    "closing": "end with",
    "last paragraph": "begin their last paragraph with",
    "question opening": "begin with",
    "question closing": "end with",
    "subject": "have the word",
}


@dataclass(frozen=True, slots=True)
class Overuse:
    """A habit of a new text that `had` of the `rows` accepted ones have, too many for one more."""

    habit: Habit
    had: int
    rows: int

    @property
    def what(self) -> str:
        """The habit in words, of several texts."""
        return f'{_SAID[self.habit.kind]} "{self.habit.words}"'


def told(overused: Sequence[Overuse], texts: str) -> str:
    """Which habits, and how many of how many accepted rows have them; `texts` says whether questions or answers."""
    return ", ".join(f"{one.had} of {one.rows} accepted {texts} {one.what}" for one in overused)


def to_avoid(overused: Sequence[Overuse]) -> str:
    """What a writer is told of them.

    It has no numbers: the same habits make the same prompt, so that a reply to it is found whatever else was accepted.
    """
    *most, last = (one.what for one in overused)
    return f"Too many other answers {', '.join(most)}{' and ' if most else ''}{last}: this one does not."


class TaskHabits:
    """The habits of what a task has accepted so far, in the order of acceptance, beside those of its seeds."""

    def __init__(self, spec: TaskSpec, bounds: HabitsConfig) -> None:
        self._bounds = bounds
        self._rows = 0
        self._counts: Counter[Habit] = Counter()
        seeds = spec.seed_examples
        # A new answer may be prose where the seeds' are a line; what begins both alike is the skill's all the same.
        self._allowed = _shared([seed.answer for seed in seeds], partial(answer_habits, prose=False))
        self._allowed |= _shared([seed.question for seed in seeds], partial(question_habits, prose=False))
        # What the seeds' answers share is how this language and this skill speak; a single one may be about anything.
        self._allowed |= _shared([seed.answer for seed in seeds], subject_words)
        self._asked_for = f" {' '.join(words(spec.task_description))} "
        named = [text for seed in seeds for text in (seed.question, seed.context or "")]
        named += [spec.task_description, *(value for axis in spec.variety or () for value in (axis.name, *axis.values))]
        self._known = frozenset(word for text in named for word in words(text))

    def of_question(self, text: str) -> tuple[Overuse, ...]:
        """What is overused in a new question."""
        return self._overused([*question_habits(text), *sorted(subject_words(text), key=lambda habit: habit.words)])

    def of_answer(self, text: str) -> tuple[Overuse, ...]:
        """What is overused in a new answer."""
        return self._overused(answer_habits(text))

    def add(self, question: str, answer: str) -> None:
        """One more row is accepted."""
        if self._bounds.watched:
            self._rows += 1
            self._counts.update((*question_habits(question), *subject_words(question), *answer_habits(answer)))

    def _overused(self, habits: Iterable[Habit]) -> tuple[Overuse, ...]:
        if not self._bounds.watched:
            return ()
        return tuple(Overuse(one, self._counts[one], self._rows) for one in habits if self._too_many(one))

    def _too_many(self, habit: Habit) -> bool:
        subject = habit.kind == "subject"
        share, least = self._bounds.subject_share if subject else self._bounds.share, self._bounds.least + subject
        many = self._counts[habit] + 1
        if many < least or many <= share * (self._rows + 1) + 1e-9:
            return False
        named = habit.words in self._known if subject else f" {habit.words} " in self._asked_for
        return habit not in self._allowed and not named


def _shared(texts: Sequence[str], habits_of: Callable[[str], Iterable[Habit]]) -> frozenset[Habit]:
    """What two or more of the texts have; of a single text all, for nobody can tell what of it belongs to the skill."""
    different = dict.fromkeys(texts)
    counts = Counter(habit for text in different for habit in set(habits_of(text)))
    return frozenset(habit for habit, count in counts.items() if count >= min(2, len(different)))
