"""What an optimization will do, worked out before anything is asked: units, examples, settings, and what they cost at most."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import dspy

from evals.judges.cases import Case
from evals.judges.descriptions import blanks, stand_ins
from evals.optimize.budget import Level, Optimizer, UnitCost, UnitSettings, cost_of, descending_settings, settings_for
from evals.optimize.examples import count_of, examples_of
from evals.optimize.splits import Splits, unseen
from evals.optimize.targets import Unit, units_of
from evals.session.session import window_for
from skills_dspy.base.config import RunConfig
from skills_dspy.base.errors import RequestError
from skills_dspy.base.records import Kind
from skills_dspy.base.tokens import estimate_tokens
from skills_dspy.commands.check.forecast import EXPLANATION
from skills_dspy.model.adapter import SkillsAdapter
from skills_dspy.model.compiled import CompiledProgram
from skills_dspy.model.program import SkillsProgram
from skills_dspy.model.server.names import same_model
from skills_dspy.model.steps import longest_reply, reply_limits
from skills_dspy.tasks.spec import TaskSpec

PROPOSAL_TOKENS = 4096
"""The most tokens of a proposed instruction."""


@dataclass(frozen=True, slots=True)
class OptimizeRequest:
    """What is to be optimized, and how.

    Attributes:
        target: a name in TARGETS.
        specs, cases: the tasks whose seeds are used, at least one, and labelled cases written by hand, of all steps.
        level: the budget; None where `most_calls` says it.
        most_calls: no more calls than this.
        seed: decides splits, sampling seeds and the optimizer's choices.
        holdout: a judge that only measures; None for none.
        floor, force: the least kappa of a judge that a writer is optimized against, and whether to go on below it.
        base: a program to begin with; None for the prompts as they stand in signatures/.
        derived: task to the description that was derived for it and stands in `specs`; empty before.
    """

    target: str
    optimizer: Optimizer
    specs: tuple[TaskSpec, ...]
    cases: tuple[Case, ...]
    level: Level | None
    most_calls: int | None
    seed: int
    holdout: str | None
    proposer: str
    floor: float
    force: bool
    base: CompiledProgram | None
    derived: Mapping[str, str] = field(default_factory=dict)

    def program(self) -> SkillsProgram:
        """Return a new program to begin with."""
        program = SkillsProgram(count_of(self.specs))
        if self.base is not None:
            self.base.apply(program)
        return program


@dataclass(frozen=True, slots=True)
class Planned:
    """A unit with its examples, its settings, the most calls, and an estimate of the tokens of all of them."""

    unit: Unit
    splits: Splits[dspy.Example]
    settings: UnitSettings
    cost: UnitCost
    prompt_tokens: int = 0
    output_tokens: int = 0

    @property
    def seen(self) -> set[str]:
        """Digests of the seeds and cases that the compiled unit has seen, those shown beside them included."""
        examples = (*self.splits.train, *self.splits.validation)
        return {digest for example in examples for digest in (*example.digests, *example.get("beside", ()))}


@dataclass(frozen=True, slots=True)
class Plan:
    """All that will be done.

    Attributes:
        units: in their order.
        judges: steps whose report card is made first, with the number of cases.
        num_ctx: the context window that all these prompts are given, in tokens.
        usual: model to the window that a run of these tasks asks it with, and with it these prompts, where it is larger.
        described: how many tasks get their description by a call of its own, before all else.
    """

    units: tuple[Planned, ...]
    judges: Mapping[str, int]
    num_ctx: int
    usual: Mapping[str, int]
    described: int = 0

    @property
    def calls(self) -> int:
        """The most calls in all."""
        return self.described + sum(planned.cost.calls for planned in self.units) + sum(self.judges.values())


def plan_of(request: OptimizeRequest, config: RunConfig, most_ctx: int, usual: Mapping[str, int]) -> Plan:
    """Return what an optimization will do, in windows of at most `most_ctx` tokens, before anything is asked.

    `usual` is model to the window of a run of these tasks.

    The units, splits and calls are the same before the descriptions that the tasks' files leave blank are there, and after.

    Raises:
        RequestError: unknown target, too few seeds or cases, too few calls, a held-out judge that can tell nothing.
        ContextTooLong: a prompt cannot fit.
    """
    kinds: set[Kind] = {seed.kind for spec in request.specs for seed in spec.seed_examples}
    units = units_of(request.target, kinds, config.tagging)
    _refuse_useless_holdout(request, units, config)
    described = len(blanks(request.specs)) + len(request.derived)
    request = replace(request, specs=stand_ins(request.specs))
    seen = earlier_seen(request.base)
    judges = {step: len(unseen(request.cases, step, seen)) for unit in units for step in unit.judges}
    if request.level is not None:
        chosen = _budgeted(request, config, units, [settings_for(unit, request.level) for unit in units])
    else:
        chosen = _affordable(request, config, units, described + sum(judges.values()))
    planned, num_ctx = _with_tokens(request, config, chosen, most_ctx)
    return Plan(planned, judges, num_ctx, usual, described)


def _affordable(request: OptimizeRequest, config: RunConfig, units: Sequence[Unit], before: int) -> list[Planned]:
    """The largest budget that takes no more calls than are allowed, with those before it; a smaller one never takes more."""
    most, shrinking = request.most_calls, [descending_settings(unit) for unit in units]
    assert most is not None

    @cache
    def at(step: int) -> list[Planned]:
        return _budgeted(request, config, units, [settings[min(step, len(settings) - 1)] for settings in shrinking])

    def needed(step: int) -> int:
        return before + sum(each.cost.calls for each in at(step))

    steps = range(max(map(len, shrinking)))
    step = 0 if needed(0) <= most else bisect_left(steps, True, lo=1, key=lambda step: needed(step) <= most)
    if step == len(steps):
        smallest = needed(steps[-1])
        raise RequestError(f"--max-calls {most} is too few: the smallest budget for this takes {smallest} calls")
    return at(step)


def _budgeted(
    request: OptimizeRequest, config: RunConfig, units: Sequence[Unit], settings: Sequence[UnitSettings]
) -> list[Planned]:
    """Each unit with its settings, its examples and its calls; the tokens are not counted yet."""
    count, planned = count_of(request.specs), []
    for unit, own in zip(units, settings, strict=True):
        splits = examples_of(unit, request.specs, request.cases, config, request.seed, own.sizes)
        _refuse_seen(unit, splits.test, request.base)
        sizes = len(splits.train), len(splits.validation), len(splits.test)
        cost = cost_of(unit, request.optimizer, own, sizes, count, request.holdout is not None)
        planned.append(Planned(unit, splits, own, cost))
    return planned


def _with_tokens(
    request: OptimizeRequest, config: RunConfig, chosen: Sequence[Planned], most_ctx: int
) -> tuple[tuple[Planned, ...], int]:
    """The units with the tokens that their calls take, and a window that holds all prompts."""
    program, limits = request.program(), limits_of(request.specs, config)
    room = longest_reply(limits, config)
    planned, least, need = [], 0, 0
    for each in chosen:
        longest = longest_prompt(each.unit, program, [example for part in each.splits for example in part], limits)
        # A demonstration is about as long as a prompt; who proposes instructions sees some of them at once.
        demos = 0 if request.optimizer == "gepa" else each.settings.demos
        shown, written = (
            (demos, 0) if request.optimizer == "bootstrap" else (max(demos, 4), PROPOSAL_TOKENS + config.generator.thoughts)
        )
        least, need = max(least, longest), max(need, longest * (1 + shown) + room + written)
        # A guess: an explanation for labels, half of the room for writers.
        output = EXPLANATION if each.unit.makes == "labels" else limits[each.unit.name] // 2
        planned.append(replace(each, prompt_tokens=longest * each.cost.calls, output_tokens=output * each.cost.calls))
    smallest = window_for(config, least, room, most_ctx)
    roomy = window_for(config, 0, min(need, most_ctx), most_ctx)
    return tuple(planned), max(smallest, roomy)


def earlier_seen(program: CompiledProgram | None) -> frozenset[str]:
    """Return the digests of the seeds and cases that a program was compiled with."""
    return frozenset() if program is None else frozenset(map(str, program.provenance.get("seen", ())))


def _refuse_useless_holdout(request: OptimizeRequest, units: Sequence[Unit], config: RunConfig) -> None:
    """Refuse a held-out judge that nothing would ask, or that is no other one."""
    if request.holdout is None:
        return
    if all(unit.makes == "labels" for unit in units):
        raise RequestError(
            f"{request.target} is measured on labelled cases, so there is nothing to do for --holdout-judge-model: leave it out"
        )
    own = {config.model_for("validator"), config.model_for("tagger")}
    if any(same_model(request.holdout, judge) for judge in own):
        raise RequestError(
            f"--holdout-judge-model {request.holdout} is a judge that is optimized against: name a model other than "
            f"{' and '.join(sorted(own))}"
        )


def _refuse_seen(unit: Unit, test: Sequence[dspy.Example], base: CompiledProgram | None) -> None:
    """Refuse to test on what the program to begin with was compiled with."""
    if base is not None and not earlier_seen(base).isdisjoint(digest for example in test for digest in example.digests):
        raise RequestError(
            f"{base.path} was compiled with seeds or cases that {unit.name} would be tested on: they stay apart with the seed "
            f"that it was compiled with (--seed {base.provenance.get('seed')}), or with other tasks"
        )


def limits_of(specs: Sequence[TaskSpec], config: RunConfig) -> dict[str, int]:
    """Return step to the most tokens of a first reply: the largest that any of the tasks allows."""
    every = [reply_limits(spec, config) for spec in specs]
    return {step: max(limits[step] for limits in every) for step in every[0]}


def longest_prompt(unit: Unit, program: SkillsProgram, examples: Sequence[dspy.Example], limits: Mapping[str, int]) -> int:
    """Return an upper estimate of a unit's prompts about these examples, demonstrations included, in tokens.

    What is written on the way may be as long as `limits`, step to tokens, says.
    """
    adapter, predictor = SkillsAdapter(), program.predictor(unit.name)
    demos = [dict(demo) for demo in predictor.demos]
    fixed = estimate_tokens("".join(m["content"] for m in adapter.format(predictor.signature, demos, {})))
    texts = (adapter.format(predictor.signature, [], dict(example.asked))[-1]["content"] for example in examples)
    written = sum(limits[step] for step in unit.steps[:-1])
    return fixed + max(map(estimate_tokens, texts)) + written
