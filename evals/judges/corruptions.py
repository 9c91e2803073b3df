"""Labelled cases from a task's own seeds: the seeds are the good ones, the bad ones are seeds made bad on purpose.

`CORRUPTIONS` names the ways. Each gives nothing where its result would not be plainly bad in the words of those who rate it.
So an error on such a case is the judge's.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from evals.judges.cases import SCALE_OF_STEP, Case
from evals.judges.corrupt import pairs, questions
from evals.judges.corrupt.cutting import cut_answer, cut_question
from skills_dspy.base.errors import SpecError
from skills_dspy.base.records import Kind, SeedExample
from skills_dspy.base.seeds import STANDARD, rng_of
from skills_dspy.similarity.text import squeezed
from skills_dspy.tasks.spec import TaskSpec

FEWEST_OF_A_KIND = 2  # seeds, with questions of their own: each case shows another one as an example


@dataclass(frozen=True, slots=True)
class Corruption:
    """One way to make a seed bad.

    Attributes:
        name: in words, for reports; unique among those about the same.
        about: whose raters have to see it: those of questions, or those of pairs.
        field: of the seed, which is changed.
        change: from a seed, all other seeds of its task and a generator to the field's new text; None where it does not apply.
    """

    name: str
    about: Literal["question", "pair"]
    field: Literal["question", "context", "answer"]
    change: Callable[[SeedExample, Sequence[SeedExample], random.Random], str | None]

    def apply(self, seed: SeedExample, others: Sequence[SeedExample], rng: random.Random) -> SeedExample | None:
        """The corrupted seed; None also where it would be the seed itself, or equal another one as far as it is shown."""
        text = self.change(seed, others, rng)
        bad = None if text is None else seed.model_copy(update={self.field: text})
        return None if bad is None or bad == seed or any(self._shown(bad) == self._shown(one) for one in others) else bad

    def _shown(self, seed: SeedExample) -> tuple[str, ...]:
        parts = (seed.question, seed.context or "", seed.answer)
        return tuple(squeezed(part) for part in (parts if self.about == "pair" else parts[:2]))


CORRUPTIONS: tuple[Corruption, ...] = (
    Corruption("question made yes/no", "question", "question", questions.made_yes_no),
    Corruption("asks for an action", "question", "question", questions.asking_for_action),
    Corruption("asks for an image", "question", "question", questions.asking_for_image),
    Corruption("question cut in half", "question", "question", lambda seed, _, rng: cut_question(seed.question, rng)),
    Corruption("context swapped", "question", "context", questions.context_of_another),
    Corruption("answer of another seed", "pair", "answer", pairs.answer_of_another),
    Corruption("answer cut in half", "pair", "answer", lambda seed, _, rng: cut_answer(seed.answer, rng)),
    Corruption("numbers changed", "pair", "answer", lambda seed, _, rng: pairs.numbers_changed(seed, rng)),
    Corruption("negated claim", "pair", "answer", lambda seed, _, rng: pairs.claim_negated(seed, rng)),
    Corruption("format ignored", "pair", "answer", lambda seed, others, _: pairs.format_ignored(seed, others)),
    Corruption("context swapped", "pair", "context", pairs.context_of_another),
    Corruption("copy of the context", "pair", "answer", lambda seed, others, _: pairs.context_copied(seed, others)),
)
"""All ways, those about questions first."""


def seed_cases(spec: TaskSpec, seed: int) -> tuple[Case, ...]:
    """Make the cases of a task's seeds, in the order of the file; `seed` is that of all choices.

    For each seed and each step that rates its kind they are one good one and one for each corruption that applies. An id is
    step, task, the seed's number in the file from 1, and the corruption's name. The examples are up to eight other seeds of the
    kind that ask something else and gave neither answer nor context to the pair.

    Raises:
        SpecError: a kind has seeds, but too few: each needs another one of its kind, with another question, as an example.
    """
    for kind in get_args(Kind):
        seeds = spec.seeds(kind)
        if not seeds or len({squeezed(one.question) for one in seeds}) >= FEWEST_OF_A_KIND:
            continue
        there = f"there is only 1 {kind} seed" if len(seeds) == 1 else f"all {len(seeds)} {kind} seeds ask the same question"
        said = f"{there}, and cases need at least {FEWEST_OF_A_KIND} with different questions; add one, or leave this task out"
        raise SpecError(said, spec.path, seeds[0].line)
    return tuple(case for place in range(len(spec.seed_examples)) for case in _cases_of(spec, place, seed))


def _cases_of(spec: TaskSpec, place: int, seed: int) -> Iterator[Case]:
    own = spec.seed_examples[place]
    others = tuple(one for at, one in enumerate(spec.seed_examples) if at != place)
    standard = [one for one in others if one.kind == own.kind and squeezed(one.question) != squeezed(own.question)]
    rng_of("examples", seed, spec.task_name, place).shuffle(standard)
    made = []
    for corruption in CORRUPTIONS:
        rng = rng_of("corruption", seed, spec.task_name, place, corruption.about, corruption.name)
        if (bad := corruption.apply(own, others, rng)) is not None:
            made.append((corruption, bad))
    for step in (f"judge_question_{own.kind}", "tag_instruction_quality", f"judge_pair_{own.kind}", "tag_sample_quality"):
        yield _case(spec, place, step, own, standard, None)
        for corruption, bad in made:
            if corruption.about != SCALE_OF_STEP[step].about:
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
    scale, name = SCALE_OF_STEP[step], f"{step}/{spec.task_name}/seed-{place + 1}"
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
