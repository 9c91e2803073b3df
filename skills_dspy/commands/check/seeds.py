"""The seeds of tasks, rated by the judges as new pairs are: a run repeats the faults of what it starts from."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import dspy

from skills_dspy.base.config import ROLES, Role, RunConfig
from skills_dspy.base.records import Kind, SeedExample
from skills_dspy.base.seeds import STANDARD
from skills_dspy.model.adapter import SkillsAdapter
from skills_dspy.model.ask import Judgement, judgement_of, together
from skills_dspy.model.description import derive, described, undescribed
from skills_dspy.model.engine import asker_for
from skills_dspy.model.exhibits import fitting_by_words
from skills_dspy.model.hosts.hosts import slots_of
from skills_dspy.model.hosts.lane import Host
from skills_dspy.model.program import QUIET, SkillsProgram
from skills_dspy.model.replies import Meter, Replies
from skills_dspy.model.steps import Step, inputs, reply_limits, way
from skills_dspy.screens.residue import residue_look
from skills_dspy.tasks.spec import TaskSpec


@dataclass(frozen=True, slots=True)
class SeedQuestion:
    """Something to ask a judge: what is to be rated, `about`, with other seeds as the examples.

    Attributes:
        places: the seeds, by their numbers in the file, that it is about: those which have these texts.
        examples: never the seed itself, but for one that is `alone`.
    """

    step: Step
    places: tuple[int, ...]
    about: SeedExample
    examples: tuple[SeedExample, ...]
    alone: bool


@dataclass(frozen=True, slots=True)
class RatedSeeds:
    """The seeds of a task with what the judges say of them."""

    spec: TaskSpec
    config: RunConfig
    said: tuple[tuple[SeedQuestion, Judgement], ...]

    def passes(self, place: int) -> bool | None:
        """Whether a seed passes all its judges; None where one gave no readable verdict and no other rejects it."""
        own = [self._lets_pass(question, verdict) for question, verdict in self.said if place in question.places]
        return False if False in own else None if None in own else True

    def count(self, passes: bool | None) -> int:
        """How many seeds pass (True), fail (False), or are unjudged (None)."""
        return [self.passes(place) for place in range(len(self.spec.seed_examples))].count(passes)

    def lines(self) -> Iterator[str]:
        """A line for each verdict that does not let a seed pass, with file and line, after one for what is worth less."""
        alone = [question for question, _ in self.said if question.alone]
        for place in dict.fromkeys(question.places[0] for question in alone):
            steps = ", ".join(question.step.name for question in alone if question.places[0] == place)
            why = "saw this itself as the example, for want of another: such a verdict is worth less"
            yield f"{self._where(place)}: {steps} {why}"
        for question, verdict in sorted(self.said, key=lambda one: one[0].places[0]):
            passes, step = self._lets_pass(question, verdict), question.step
            if passes:
                continue
            many = f" (the same in {len(question.places)} seeds)" if len(question.places) > 1 else ""
            said = f"{self._where(question.places[0])}: {step.name}{many}"
            why = " ".join(verdict.explanation.split())
            if passes is None:
                yield f"{said} is unjudged: {why}{'' if verdict.failure == 'server failed' else ', twice'}"
            else:
                yield f"{said} says {verdict.label} (passing: {', '.join(map(str, step.passing(self.config)))}): {why}"

    def as_json(self) -> dict[str, Any]:
        """All verdicts, seed by seed."""
        seeds = []
        for place, seed in enumerate(self.spec.seed_examples):
            own = [(question, verdict) for question, verdict in self.said if place in question.places]
            verdicts = [
                {"step": question.step.name, "label": verdict.label, "passes": self._lets_pass(question, verdict)}
                | {"explanation": verdict.explanation, "failure": verdict.failure, "alone": question.alone}
                for question, verdict in own
            ]
            seeds.append({"seed": f"seed:{place}", "line": seed.line, "passes": self.passes(place), "verdicts": verdicts})
        return {"task": self.spec.task_name, "file": str(self.spec.path), "seeds": seeds}

    def _lets_pass(self, question: SeedQuestion, verdict: Judgement) -> bool | None:
        return None if verdict.label is None else verdict.label in question.step.passing(self.config)

    def _where(self, place: int) -> str:
        return f"{self.spec.path}:{self.spec.seed_examples[place].line}"


def closing_line(rated: Iterable[RatedSeeds]) -> str:
    """How many of all seeds pass."""
    passed, failed, unjudged = (sum(task.count(kind) for task in rated) for kind in (True, False, None))
    return f"{passed} of {passed + failed + unjudged} seeds pass{f', {unjudged} unjudged' if unjudged else ''}"


def questions_about(spec: TaskSpec, config: RunConfig) -> Iterator[SeedQuestion]:
    """What the judges are asked about a task's seeds; what several seeds share, such as a context, once."""
    for kind in get_args(Kind):
        own = [(place, seed) for place, seed in enumerate(spec.seed_examples) if seed.kind == kind]
        for step in way(kind, config.tagging):
            if step.filter is None or (step.role != "validator" and "answer" not in step.about):
                continue
            same: dict[tuple[str | None, ...], list[int]] = {}
            for place, seed in own:
                same.setdefault(tuple(getattr(seed, part) for part in step.about), []).append(place)
            for places in same.values():
                about = spec.seed_examples[places[0]]
                others = [seed for place, seed in own if place not in places]
                yield SeedQuestion(step, tuple(places), about, _shown(step, others or [about], about, spec), not others)


def _shown(step: Step, others: Sequence[SeedExample], about: SeedExample, spec: TaskSpec) -> tuple[SeedExample, ...]:
    """The examples in its prompt, as many as a run shows."""
    most = spec.num_icl_examples_per_prompt
    if step.shows == "fitting":
        return fitting_by_words(others, about, most)
    return tuple(others[: STANDARD if step.shows == "standard" else most])


async def rate_seeds(
    specs: Sequence[TaskSpec], config: RunConfig, server: Host, windows: Mapping[Role, int], concurrency: int
) -> tuple[RatedSeeds, ...]:
    """Ask the judges about all seeds, with so many requests in flight; nothing is written to the disk.

    A blank description is derived first, as in a run. Raises what the server does, and NotDescribed.
    """
    slots, names = slots_of(server, concurrency), {role: config.model_for(role) for role in ROLES}

    async def rate(number: int, spec: TaskSpec) -> RatedSeeds:
        program = SkillsProgram(spec.num_questions_to_generate_per_prompt)
        replies, limits = Replies(None, server, slots, Meter()), reply_limits(spec, config)
        look = residue_look(config.screens, spec)
        asker = asker_for(program, config, names, windows, replies, limits, 0, spec.task_name, look)
        if undescribed(spec):
            spec = described(spec, await derive(asker, spec, (number,), "run the command again"))
        questions = tuple(questions_about(spec, config))

        async def ask(rank: int, question: SeedQuestion) -> Judgement:
            given = inputs(question.step, spec, question.examples, question.about)
            return await judgement_of(asker, question.step.name, given, (question.places[0], 0), lambda: (number, rank))

        said = await together([ask(rank, question) for rank, question in enumerate(questions)])
        return RatedSeeds(spec, config, tuple(zip(questions, said, strict=True)))

    with dspy.context(adapter=SkillsAdapter(), **QUIET):
        return tuple(await together([rate(number, spec) for number, spec in enumerate(specs)]))
