"""The frozen records that flow through a run: seeds, verdicts, tags, accepted records, rejections."""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from signatures.labels import Category, Difficulty, PairRating, Quality, QuestionRating, Score
from skills_dspy.base.columns import from_columns

Kind = Literal["freeform", "grounded"]
"""Freeform: a question alone. Grounded: a question about a context."""

Reason = Literal[
    "unreadable",  # twice in a row the reply did not parse, lacked a field, had an invented label or was empty
    "too long",  # a question far longer than any seed's
    "truncated",  # cut at num_predict, and again with twice the room
    "server failed",  # the server could not answer its prompt, however often it was asked, while it answered others
    "duplicate",  # too near a seed or an earlier accepted pair
    "contaminated",  # it shares an n-gram with an evaluation question, or is too near one
    "residue",  # it holds what a machine leaves behind: think blocks, turn tokens, control characters
    "echo",  # it repeats its prompt: markup, instructions or the task description
    "copy",  # it takes over a long run of words from a seed or from what its prompt showed
    "length",  # it is many times as long as the seeds, or a small part
    "overused",  # it has what too many accepted rows have and the seeds do not
    "judged bad",  # a judge's rating does not pass
    "filtered",  # a tag is outside the filter
    "not asked",  # decided anew from a journal that lacks the next reply
]
"""Why a candidate was rejected."""

Failure = Literal["unreadable", "truncated", "server failed"]
"""Those of them that are no verdict: there is no reply that can be used."""


def is_failure(reason: Reason, raw: str | None) -> bool:
    """Whether there was no reply that can be used; of residue where a whole reply was refused for it, which `raw` keeps."""
    return reason in get_args(Failure) or (reason == "residue" and raw is not None)


class Frozen(BaseModel):
    """Base of all records: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Noted(BaseModel):
    """Base of what a file says that another version may have written: immutable, unknown keys are nobody's concern."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class SeedExample(Frozen):
    """One example of the skill that the user wrote; it starts in the 1-based `line` of the task file, for messages."""

    question: str
    answer: str
    context: str | None = None
    line: int = 0

    @property
    def kind(self) -> Kind:
        """Grounded when it has a context."""
        return "freeform" if self.context is None else "grounded"


def seed_texts(seeds: Iterable[SeedExample]) -> Iterator[str]:
    """All that seeds say."""
    return (text for seed in seeds for text in (seed.context, seed.question, seed.answer) if text is not None)


class SoftRating(Frozen):
    """How sure a model was of its label, after G-Eval (Liu et al. 2023, arXiv:2303.16634); see soft.py.

    Attributes:
        probabilities: label as text to its probability, 0 to 1, worst first; they add up to 1 but for rounding to 6 decimals.
        expected: the labels' values weighted with them: an integer's is itself, a word's its place on the scale, from 1.
        mass: how much of all probability was on labels that can be told apart, before they were made to add up to 1; above 0,
            up to 1.
    """

    probabilities: dict[str, Annotated[float, Field(ge=0, le=1)]]
    expected: float
    mass: float = Field(gt=0, le=1)


class QuestionVerdict(Frozen):
    """What the judge said of a question: 1 passes. `soft` is None when the server gave no probabilities."""

    explanation: str
    rating: QuestionRating
    soft: SoftRating | None = None


class PairVerdict(Frozen):
    """What the judge said of a question with its answer: 1 (worst) to 3 (best). `soft` as in a question's verdict."""

    explanation: str
    rating: PairRating
    soft: SoftRating | None = None


class Tags(Frozen):
    """The tags of an accepted pair, in the manner of Magpie, each with the tagger's explanation.

    Difficulty and category are asked of accepted pairs only; one that could not be had is None, and its explanation says why.
    `soft` has the probabilities of instruction_quality, sample_quality and difficulty, as far as the server gave them.
    """

    instruction_quality: Quality
    sample_quality: Score
    difficulty: Difficulty | None = None
    category: Category | None = None
    other_categories: tuple[Category, ...] = ()
    explanations: dict[str, str]
    soft: dict[str, SoftRating] = {}


class Neighbour(Frozen):
    """The nearest earlier text: `seed:K` (K-th seed, from 0) or the id of an accepted record.

    `distance` is the squared L2 distance of the unit embeddings, 0 (same) to 4 (opposite).
    """

    id: str
    distance: float


class HumanReview(Frozen):
    """That a person looked at an accepted row, and both texts of what was edited: as the model wrote it and as it is now."""

    verdict: Literal["accept", "edit"]
    question_before: str | None = None
    question_after: str | None = None
    answer_before: str | None = None
    answer_after: str | None = None


class Provenance(Frozen):
    """Where a candidate came from.

    Attributes:
        draw: the number of its draw, from 0.
        index: its place among the questions of that draw, from 0.
        shown: the examples in its draw's prompts, `seed:K` or record ids.
        fitting: the seeds that its answer was shown as models; none where it has no answer.
        rewritten: what too many accepted answers had, for which its answer was written again; None where it was not.
        models: role (generator, validator, tagger) to model name.
        prompts: step to the fingerprint of its prompt.
        calls: step to the digests of its requests in the journal, in the order asked.
        neighbour: the nearest earlier text; none when there was nothing to compare with.
        reviewed: only in exports, and only of rows that a person looked at.
    """

    draw: int
    index: int
    shown: tuple[str, ...]
    fitting: tuple[str, ...] = ()
    rewritten: str | None = Field(None, exclude_if=lambda why: why is None)
    models: dict[str, str]
    prompts: dict[str, str]
    calls: dict[str, tuple[str, ...]]
    neighbour: Neighbour | None = None
    reviewed: HumanReview | None = Field(default=None, exclude_if=lambda review: review is None)


class _Row(Frozen):
    """What has a line of its own in a file; `columns` has how it stands there."""

    @model_validator(mode="before")
    @classmethod
    def _from_file(cls, row: Any) -> Any:
        return from_columns(row) if isinstance(row, dict) else row


class Record(_Row):
    """One accepted pair: a row of data.jsonl."""

    id: str
    task_name: str
    task_description: str
    instruction: str
    response: str
    context: str | None
    tags: Tags
    question_verdict: QuestionVerdict
    pair_verdict: PairVerdict
    provenance: Provenance


class Rejection(_Row):
    """One rejected candidate: a row of rejected.jsonl.

    `detail` is one sentence: the judge's explanation, the tag, the neighbour, or what was unreadable; `raw_reply` is the one
    that decided, none for a duplicate.
    """

    id: str
    task_name: str
    stage: str
    reason: Reason
    detail: str
    instruction: str | None
    response: str | None
    context: str | None
    raw_reply: str | None
    provenance: Provenance


FARTHEST = Neighbour(id="", distance=4.0)
"""Stands for a neighbour where there is none."""


class RatedAnswer(Frozen):
    """One of two answers to a question, with what a judge or tagger gave it.

    `expected` is the soft rating's expected value where `soft`, else the rating. `calls` are the digests of the requests for
    the answer, then for the rating; `second` says whether it was asked for after the run.
    """

    answer: str
    rating: int
    expected: float
    soft: bool
    second: bool
    calls: tuple[str, ...]


class AnswerPair(Frozen):
    """Two answers to one question, of which one is preferred: a row of pairs.jsonl, where nothing is ever null.

    Attributes:
        id: of the candidate that the first of them was written for.
        context: empty where there is none.
        scale: what both were rated on.
        margin: how much better the chosen one is: of soft ratings where both have one, else of labels; above 0.
        neighbour: the candidate's nearest earlier text; FARTHEST where there was none.
    """

    id: str
    task_name: str
    instruction: str
    context: str
    scale: Literal["pair_verdict", "sample_quality"]
    chosen: RatedAnswer
    rejected: RatedAnswer
    margin: float = Field(gt=0)
    neighbour: Neighbour
