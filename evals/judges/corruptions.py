"""Labelled cases from a task's own seeds: the seeds are the good ones, the bad ones are seeds made bad on purpose.

`CORRUPTIONS` names the ways. Each is a pure function of the seed, the other seeds of its task and a generator, and gives
nothing where its result would not be plainly bad in the words of those who rate it. So an error on such a case is the judge's.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from evals.judges.cases import SCALES, Case
from evals.judges.corrupt import pairs, questions
from skills_dspy.base.errors import SpecError
from skills_dspy.base.records import Kind, SeedExample
from skills_dspy.base.seeds import STANDARD, rng_of
from skills_dspy.similarity.text import squeezed
from skills_dspy.tasks.spec import TaskSpec

About = Literal["question", "pair"]
Corrupting = Callable[[SeedExample, Sequence[SeedExample], random.Random], SeedExample | None]
"""From a seed, all other seeds of its task and a generator: the corrupted seed, or None where it does not apply."""

FEWEST_OF_A_KIND = 2
"""So many seeds of a kind, with questions of their own, are needed: each case shows another one as an example."""


@dataclass(frozen=True, slots=True)
class Corruption:
    """One way to make a seed bad.

    Attributes:
        name: in words, for reports; unique among those about the same.
        about: whose raters have to see it: those of questions, or those of pairs.
        function: what it does; where it would return the seed itself or what another seed is, it returns None.
    """

    name: str
    about: About
    function: Corrupting


def _guarded(function: Corrupting, about: About) -> Corrupting:
    """The function, kept from returning an equal of the seed, or of another one as far as it is shown."""

    def shown(seed: SeedExample) -> tuple[str, ...]:
        whole = (seed.question, seed.context or "", *((seed.answer,) if about == "pair" else ()))
        return tuple(squeezed(part) for part in whole)

    def guarded(seed: SeedExample, others: Sequence[SeedExample], rng: random.Random) -> SeedExample | None:
        bad = function(seed, others, rng)
        return None if bad is None or bad == seed or any(shown(bad) == shown(one) for one in others) else bad

    return guarded


def _corruption(name: str, about: About, function: Corrupting) -> Corruption:
    return Corruption(name, about, _guarded(function, about))


CORRUPTIONS: tuple[Corruption, ...] = (
    _corruption("question made yes/no", "question", questions.made_yes_no),
    _corruption("asks for an action", "question", questions.asking_for_action),
    _corruption("asks for an image", "question", questions.asking_for_image),
    _corruption("question cut in half", "question", questions.question_cut),
    _corruption("context swapped", "question", questions.question_elsewhere),
    _corruption("answer of another seed", "pair", pairs.answer_of_another),
    _corruption("answer cut in half", "pair", pairs.answer_cut),
    _corruption("numbers changed", "pair", pairs.numbers_changed),
    _corruption("negated claim", "pair", pairs.claim_negated),
    _corruption("format ignored", "pair", pairs.format_ignored),
    _corruption("context swapped", "pair", pairs.pair_elsewhere),
    _corruption("copy of the context", "pair", pairs.context_copied),
)
"""All ways, those about questions first."""


def seed_cases(spec: TaskSpec, seed: int, most: int | None = None) -> tuple[Case, ...]:
    """Make the cases of a task's seeds: for each seed and each step that rates its kind, one good one and one for each
    corruption that applies.

    The same cases come of the same spec and seed; those of one seed example do not depend on `most`.

    Args:
        spec: the task.
        seed: of all choices.
        most: at most so many seed examples are used, chosen by chance; all where it is None.

    Returns:
        Cases in the order of the file. An id is step, task, the seed's number in the file from 1, and the corruption's name.
        The examples are up to eight other seeds of the kind that ask something else; of a pair that was given the answer or the
        context of another seed, that seed is not among them.

    Raises:
        SpecError: a kind has seeds, but too few: each needs another one of its kind, with another question, as an example.
    """
    _check_enough(spec)
    count = len(spec.seed_examples)
    used = rng_of("seed cases", seed, spec.task_name).sample(range(count), count)[:most]
    return tuple(case for place in sorted(used) for case in _cases_of(spec, place, seed))


def _check_enough(spec: TaskSpec) -> None:
    for kind in get_args(Kind):
        seeds = spec.seeds(kind)
        if not seeds or len({squeezed(one.question) for one in seeds}) >= FEWEST_OF_A_KIND:
            continue
        there = f"there is only 1 {kind} seed" if len(seeds) == 1 else f"all {len(seeds)} {kind} seeds ask the same question"
        said = f"{there}, and cases need at least {FEWEST_OF_A_KIND} with different questions; add one, or leave this task out"
        raise SpecError(said, spec.path, seeds[0].line)


def _cases_of(spec: TaskSpec, place: int, seed: int) -> Iterator[Case]:
    own = spec.seed_examples[place]
    others = tuple(one for at, one in enumerate(spec.seed_examples) if at != place)
    standard = [one for one in others if one.kind == own.kind and squeezed(one.question) != squeezed(own.question)]
    rng_of("examples", seed, spec.task_name, place).shuffle(standard)
    made = []
    for corruption in CORRUPTIONS:
        rng = rng_of("corruption", seed, spec.task_name, place, corruption.about, corruption.name)
        if (bad := corruption.function(own, others, rng)) is not None:
            made.append((corruption, bad))
    for step in (f"judge_question_{own.kind}", "tag_instruction_quality", f"judge_pair_{own.kind}", "tag_sample_quality"):
        yield _case(spec, place, step, own, standard, None)
        for corruption, bad in made:
            if corruption.about != SCALES[step].about:
                continue
            examples = standard if corruption.about == "question" else [one for one in standard if not _gave(one, bad, own)]
            if examples:
                yield _case(spec, place, step, bad, examples, corruption)


def _gave(example: SeedExample, bad: SeedExample, own: SeedExample) -> bool:
    """Whether the corrupted seed has its answer or its context from this example."""
    answer = bad.answer != own.answer and bad.answer == example.answer
    return answer or (bad.context != own.context and bad.context == example.context)


def _case(
    spec: TaskSpec, place: int, step: str, rated: SeedExample, examples: Sequence[SeedExample], corruption: Corruption | None
) -> Case:
    """The case of a seed at a place in the file, as it is or corrupted."""
    scale = SCALES[step]
    name = f"{step}/{spec.task_name}/seed-{place + 1}"
    return Case(
        id=name if corruption is None else f"{name}/{corruption.name}",
        step=step,
        task=spec.task_name,
        task_description=spec.task_description,
        examples=tuple(examples[:STANDARD]),
        context=rated.context,
        question=rated.question,
        answer=rated.answer if scale.about == "pair" else None,
        label=scale.labels[-1 if corruption is None else 0],
        good=corruption is None,
        reason="seed" if corruption is None else corruption.name,
        origin="seed" if corruption is None else "corruption",
        where=f"{spec.path}:{rated.line}",
    )
