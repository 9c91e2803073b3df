"""What a new text is screened against: the seeds of its task, what they have in common, and the words of the prompts."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TypeVar, get_args

from skills_dspy.base.config import ScreensConfig
from skills_dspy.base.records import Kind, SeedExample
from skills_dspy.model.exhibits import Exercise
from skills_dspy.model.steps import Part
from skills_dspy.similarity.pieces import Piece, Pieces
from skills_dspy.similarity.text import plain, squeezed
from skills_dspy.tasks.spec import TaskSpec

_Part = TypeVar("_Part", Piece, str)
PARTS: tuple[Part, ...] = get_args(Part)
"""In the order in which they are written: each may rest on those before it."""


@dataclass(frozen=True, slots=True)
class KnownText:
    """A text whose words may not be taken over, by the name that people know it by; its pieces to look them up."""

    name: str
    cut: Pieces
    pieces: frozenset[Piece]

    @classmethod
    def of(cls, name: str, text: str) -> "KnownText":
        """The text under its name."""
        cut = Pieces.of(text)
        return cls(name, cut, frozenset(cut.pieces))


@dataclass(frozen=True, slots=True)
class TaskTexts:
    """What the screens of one task compare with.

    Attributes:
        bounds: what they reject.
        texts: all that the seeds say.
        contexts: the contexts among them.
        seeds: part to this part of the seeds.
        common: part to the pieces that two or more seeds have: what they share belongs to the skill.
        known: the pieces of all seeds, whatever the part.
        description: the task's.
        prompts: the description and the instructions of the prompts.
        lengths: kind and part to the words of the seeds' shortest and longest; nothing where no seed has the part.
        requests: how many seeds have a context and a question of their own.
        repeated: whether a seed's answer is its question but for capitals and the last signs, as where these are restored.
        asked: the words that one seed's question alone has, in the order of `seeds`.
        asked_by_two: the words that the questions of two or more seeds have.
    """

    bounds: ScreensConfig
    texts: tuple[str, ...]
    contexts: tuple[str, ...]
    seeds: Mapping[Part, tuple[KnownText, ...]]
    common: Mapping[Part, frozenset[Piece]]
    known: frozenset[Piece]
    description: str
    prompts: tuple[KnownText, ...]
    lengths: Mapping[tuple[Kind, Part], tuple[float, float]]
    requests: int
    repeated: bool
    asked: tuple[frozenset[str], ...]
    asked_by_two: frozenset[str]


@dataclass(frozen=True, slots=True)
class NewText:
    """A text that a model wrote: one part of an exercise, which may still lack those that are written after it.

    `shown` has, by id, the same part of the accepted pairs that its prompt showed; `told` what it was to be like, each an axis
    with its value (`subject: ponds`).
    """

    part: Part
    kind: Kind
    exercise: Exercise
    shown: Mapping[str, str]
    task: TaskTexts
    told: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The text itself."""
        return part_of(self.exercise, self.part)

    @property
    def given(self) -> tuple[str, ...]:
        """The parts of its exercise that it was written for, which it may repeat."""
        earlier = PARTS[: PARTS.index(self.part)]
        return tuple(text for part in earlier if (text := part_of(self.exercise, part)))


def task_texts_of(spec: TaskSpec, bounds: ScreensConfig, instructions: Iterable[str] = ()) -> TaskTexts:
    """The texts of a task whose prompts have these instructions."""
    seeds = _each_once(spec)
    sources: dict[Part, tuple[KnownText, ...]] = {part: tuple(_sources(part, seeds)) for part in PARTS}
    # What answers share because they quote one and the same context is not what all answers of the skill have.
    quotes = _pieces(sources["context"])
    lengths: dict[tuple[Kind, Part], tuple[float, float]] = {}
    for kind in get_args(Kind):
        for part in PARTS:
            words = [Pieces.of(text).words for seed in spec.seeds(kind) if (text := part_of(seed, part))]
            if words:
                lengths[kind, part] = min(words), max(words)
    questions = [frozenset(source.cut.tokens) for source in sources["question"]]
    asked_by_two = _in_two(questions)
    return TaskTexts(
        bounds=bounds,
        texts=tuple(text for _, seed in seeds for part in PARTS if (text := part_of(seed, part))),
        contexts=tuple(dict.fromkeys(seed.context for _, seed in seeds if seed.context)),
        seeds=sources,
        common={
            part: _in_two(source.pieces for source in sources[part]) - (quotes if part == "answer" else frozenset())
            for part in PARTS
        },
        known=frozenset[Piece]().union(*map(_pieces, sources.values())),
        description=spec.task_description,
        prompts=(KnownText.of("the task description", spec.task_description), *_instructions(tuple(instructions))),
        lengths=lengths,
        requests=sum(seed.context is not None for _, seed in seeds),
        repeated=any(plain(seed.answer) == plain(seed.question) for _, seed in seeds),
        asked=tuple(words - asked_by_two for words in questions),
        asked_by_two=asked_by_two,
    )


def part_of(exercise: Exercise, part: Part) -> str:
    """A part of an exercise; nothing where it has none."""
    return {"context": exercise.context, "question": exercise.question, "answer": exercise.answer}[part] or ""


def _each_once(spec: TaskSpec) -> tuple[tuple[str, SeedExample], ...]:
    """The seeds by name, in the file's order; of those that are the same the first."""
    found: dict[tuple[str, ...], tuple[str, SeedExample]] = {}
    for number, seed in enumerate(spec.seed_examples):
        found.setdefault(tuple(squeezed(part_of(seed, part)) for part in PARTS), (f"seed:{number}", seed))
    return tuple(found.values())


def _sources(part: Part, seeds: Iterable[tuple[str, SeedExample]]) -> Iterable[KnownText]:
    """This part of the seeds in the file's order; a context that several have is one text."""
    texts = [(name, part_of(seed, part)) for name, seed in seeds]
    if part == "context":
        texts = [(name, text) for place, (name, text) in enumerate(texts) if text not in (t for _, t in texts[:place])]
    return (KnownText.of(f"the {part} of {name}", text) for name, text in texts if text)


def _pieces(sources: Iterable[KnownText]) -> frozenset[Piece]:
    return frozenset[Piece]().union(*(source.pieces for source in sources))


def _in_two(sources: Iterable[frozenset[_Part]]) -> frozenset[_Part]:
    counts = Counter(one for source in sources for one in source)
    return frozenset(one for one, count in counts.items() if count > 1)


@cache
def _instructions(texts: tuple[str, ...]) -> tuple[KnownText, ...]:
    """The same for all tasks of a run."""
    return tuple(KnownText.of("the instructions of a prompt", text) for text in texts)
