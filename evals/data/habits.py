"""What rows have in common that a reader notices: openings, closings, layout, runs of words taken from seeds, length. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evals.data.material import Material
from evals.data.measures import median
from evals.data.rows import Row
from skills_dspy.base.config import NO_SCREENS
from skills_dspy.base.records import SeedExample
from skills_dspy.model.steps import Part
from skills_dspy.screens.copies import taken_over
from skills_dspy.screens.task_texts import PARTS, NewText, TaskTexts, part_of, task_texts_of
from skills_dspy.similarity.habits import Habit, HabitKind, Layout, answer_habits, layout_of, question_habits
from skills_dspy.similarity.ngrams import SHORTEST
from skills_dspy.similarity.pieces import Pieces
from skills_dspy.similarity.text import words
from skills_dspy.tasks.spec import TaskSpec

_Pair = Row | SeedExample
_KINDS: tuple[HabitKind, ...] = ("opening", "closing", "last paragraph", "question opening", "question closing")


@dataclass(frozen=True, slots=True)
class Common:
    """The most frequent words at one place: the shares of rows and of seeds that have them; None where no seeds are known."""

    words: str
    rows: float
    seeds: float | None


@dataclass(frozen=True, slots=True)
class Shares:
    """The shares of rows and of seeds; None where no seeds are known."""

    rows: float
    seeds: float | None


@dataclass(frozen=True, slots=True)
class SetHabits:
    """Habits of the rows of the sample beside those of the seeds.

    Attributes:
        common: what two or more rows have at the beginning or the end of their prose.
        layouts: of answers, the most frequent first.
        copied: question, answer, context to the share of rows, of those that have it, which hold SHORTEST words in a row of a
            seed's that no two seeds share and its own earlier parts do not hold; empty where no seeds are known.
        length: the median words of answers over that of the seeds'; None where it is not known.
    """

    common: Mapping[HabitKind, Common]
    layouts: Mapping[Layout, Shares]
    copied: Mapping[Part, float]
    length: float | None


def habits_of(material: Material) -> SetHabits | None:
    """The habits of a dataset; None where it has no rows."""
    rows, seeds = [material.dataset.rows[place] for place in material.places], material.dataset.seeds
    if not rows:
        return None
    layouts, of_seeds = (Counter(layout_of(pair.answer) for pair in some) for some in (rows, seeds))
    spec = TaskSpec.model_construct(seed_examples=tuple(seeds), task_description="")
    texts = task_texts_of(spec, NO_SCREENS.model_copy(update={"copied_words": SHORTEST}))
    lengths = [median([len(words(pair.answer)) for pair in some]) for some in (rows, seeds)]
    return SetHabits(
        common=_common(rows, seeds),
        layouts={name: Shares(n / len(rows), _share(of_seeds[name], seeds)) for name, n in layouts.most_common()},
        copied={part: share for part in PARTS if (share := _copied(rows, part, texts)) is not None} if seeds else {},
        length=None if not lengths[0] or not lengths[1] else lengths[0] / lengths[1],
    )


def _common(rows: Sequence[_Pair], seeds: Sequence[_Pair]) -> dict[HabitKind, Common]:
    counts, of_seeds = _counted(rows), _counted(seeds)
    found = {}
    for kind in _KINDS:
        own = Counter({habit: count for habit, count in counts.items() if habit.kind == kind})
        for habit, count in own.most_common(1):
            if count > 1:
                found[kind] = Common(habit.words, count / len(rows), _share(of_seeds[habit], seeds))
    return found


def _counted(pairs: Sequence[_Pair]) -> Counter[Habit]:
    return Counter(habit for pair in pairs for habit in (*answer_habits(pair.answer), *question_habits(pair.question)))


def _share(count: int, seeds: Sequence[_Pair]) -> float | None:
    return count / len(seeds) if seeds else None


def _copied(rows: Sequence[Row], part: Part, texts: TaskTexts) -> float | None:
    found = []
    for row in rows:
        if text := part_of(row, part):
            new = NewText(part, "freeform" if row.context is None else "grounded", row, {}, texts)
            found.append(taken_over(new, Pieces.of(text)) is not None)
    return sum(found) / len(found) if found else None
