"""How much room each reply gets, taken from the length of the seeds (layer 2)."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from skills_dspy.config import RunConfig
from skills_dspy.records import SeedExample
from skills_dspy.task_spec import TaskSpec
from skills_dspy.tokens import estimate_tokens

_ROOM = 3
"""A first reply may be three times as long as the longest seed of its kind; a truncated one gets twice that."""
_LEAST = 512
"""Room in tokens that every writer has: a skill whose seeds are one word long may still need a sentence."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """The longest question, answer and context among seeds, in estimated tokens."""

    question: int
    answer: int
    context: int


def longest(seeds: Iterable[SeedExample]) -> Lengths:
    """The longest parts of `seeds`; a part that no seed has is 0."""
    rows = list(seeds)

    def most(part: Callable[[SeedExample], str]) -> int:
        return max((estimate_tokens(part(seed)) for seed in rows), default=0)

    return Lengths(most(lambda s: s.question), most(lambda s: s.answer), most(lambda s: s.context or ""))


def reply_limits(spec: TaskSpec, config: RunConfig) -> dict[str, int]:
    """Step to num_predict of its first reply, in tokens.

    Writers get three times what the seeds show, at least 512, at most the generator's num_predict (which may be below
    512), but never less than twice the longest seed: a limit that would cut a good answer makes no dataset. Judges and
    taggers get their role's.
    """
    seeds = longest(spec.seed_examples)
    count = spec.num_questions_to_generate_per_prompt

    most = config.generator.num_predict

    def room(length: int) -> int:
        return max(min(_LEAST, most), min(_ROOM * length, max(most, 2 * length)))

    limits = {"write_context": room(seeds.context)}
    for kind in ("freeform", "grounded"):
        limits[f"write_questions_{kind}"] = room(count * (seeds.question + 8))
        limits[f"judge_question_{kind}"] = config.validator.num_predict
        limits[f"write_answer_{kind}"] = room(seeds.answer)
        limits[f"judge_pair_{kind}"] = config.validator.num_predict
    for tag in ("instruction_quality", "fused", "sample_quality", "difficulty", "category"):
        limits[f"tag_{tag}"] = config.tagger.num_predict
    return limits
