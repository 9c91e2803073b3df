"""What `eval judges` asks, what the journal has of it, what it cost, and what is reported: the card with its facts."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from evals.figures.tables import as_json
from evals.judges.ask import FUSED, UNFILTERED_TAGS, CaseCall, Judged, judge, judge_all, judging_limits
from evals.judges.card import ReportCard, report_card
from evals.judges.cases import SCALE_OF_STEP, Case, labelled_cases, refuse_unknown
from evals.judges.corruptions import seed_cases
from evals.judges.descriptions import blanks, cases_with_descriptions, derive_descriptions
from evals.judges.fused import StepTokens
from evals.session.session import Session
from skills_dspy.base.config import ROLES, RunConfig
from skills_dspy.base.errors import MissingReply, RequestError
from skills_dspy.model.compiled import CompiledProgram
from skills_dspy.model.context_window import window_words
from skills_dspy.model.engine import asker_for
from skills_dspy.model.hosts.slots import Slots
from skills_dspy.model.program import SkillsProgram, estimate_of, prompt_of
from skills_dspy.model.replies import Meter, Replies
from skills_dspy.model.steps import STEPS, longest_reply
from skills_dspy.tasks.spec import TaskSpec


class CaseNotices(Protocol):
    """Shows what goes on."""

    def say(self, line: str) -> None:
        """Show a line."""

    def counting(self, total: int) -> AbstractContextManager[Callable[[], None]]:
        """Count the answers to so many questions; gives what counts one more."""


@dataclass(frozen=True, slots=True)
class Examination:
    """What the judges are asked: about the cases, some of which were made from the tasks, each so many times.

    The program is None for the prompts of signatures/; `fused` compares the fused tagger with the separate ones.
    """

    config: RunConfig
    cases: tuple[Case, ...]
    specs: Sequence[TaskSpec]
    program: CompiledProgram | None
    samples: int
    fused: bool
    seed: int

    def asking(self) -> RunConfig:
        """The configuration to ask with: a model that is not asked follows one that is; the generator only describes tasks."""
        config = self.config
        roles = {STEPS[call.step].role for call in calls_for(self.cases, 1, fused=self.fused)}
        judge = config.model_for("validator" if "validator" in roles else "tagger")
        tagger = config.model_for("tagger" if "tagger" in roles else "validator")
        generator = {} if blanks(self.specs) else {"model": judge}
        return config.model_copy(
            update={
                "generator": config.generator.model_copy(update=generator),
                "validator": config.validator.model_copy(update={"model": judge}),
                "tagger": config.tagger.model_copy(update={"model": tagger}),
            }
        )


def choose_cases(
    paths: Sequence[Path],
    specs: Sequence[TaskSpec],
    judges: Sequence[str],
    seed: int,
    config: RunConfig,
    reviewed: Sequence[Case] = (),
) -> tuple[Case, ...]:
    """The labelled cases, see `labelled_cases`, and those made from seeds, of the judges that are named, or of all.

    Raises:
        RequestError: a judge is named that there is no case for.
    """
    refuse_unknown(judges)
    made = [case for spec in specs for case in seed_cases(spec, seed)]
    cases = tuple(case for case in (*labelled_cases(paths, config, reviewed), *made) if case.step in (judges or SCALE_OF_STEP))
    for name in judges:
        if all(case.step != name for case in cases):
            raise RequestError(f"there is no case for {name}; give some with --cases, or a task with fitting seeds")
    return cases


async def examine(
    session: Session, wanted: Examination, screen: CaseNotices, *, replayed: bool
) -> tuple[ReportCard, dict[str, Any]]:
    """Ask what the journal does not have; returns the report card, and all of the report as JSON."""
    program = SkillsProgram(1)
    if wanted.program is not None:
        wanted.program.apply(program)
    if blank := len(blanks(wanted.specs)):
        count = len(calls_for(wanted.cases, wanted.samples, fused=wanted.fused))
        screen.say(
            f"descriptions that the tasks' files leave blank: {blank} {'replies of the recording' if replayed else 'calls'}; "
            f"with the cases at most {blank + count}, less what the journal has."
        )
    derived = await derive_descriptions(session, wanted.specs, wanted.seed, screen.say)
    cases = cases_with_descriptions(wanted.cases, derived)
    calls = calls_for(cases, wanted.samples, fused=wanted.fused)
    num_ctx = session.window_for(*room_for(calls, program, session))
    known = await remembered(session, program, calls, wanted.seed)
    missing = [call for call, judged in zip(calls, known, strict=True) if judged is None]
    screen.say(_plan_line(len(cases), len(calls), len(missing), replayed=replayed))
    if missing and not replayed:
        screen.say(f"context window: {window_words(num_ctx, session.usual)}")
    asker = session.asker(program, judging_limits(session.config), wanted.seed, num_ctx)
    with screen.counting(len(missing)) as done:
        new = iter(await judge_all(asker, missing, done))
    judged = [(call, found if found is not None else next(new)) for call, found in zip(calls, known, strict=True)]
    own = [found for call, found in judged if call.step == call.case.step]
    fused = [found for call, found in judged if call.step != call.case.step]
    lost = [(call.step, found.explanation) for call, found in judged if found.failure == "server failed"]
    card = report_card(own, fused, wanted.config, costs([*(j for j in own if j.sample == 0), *fused], session.journal.get))
    facts = _facts(session, wanted, cases, derived)
    if lost:
        facts["lost"] = {"replies": len(lost), "of": len(calls), "first": dict(zip(("step", "why"), lost[0], strict=True))}
    return card, {**facts, **as_json(card)}


def calls_for(cases: Sequence[Case], samples: int, *, fused: bool) -> tuple[CaseCall, ...]:
    """Everything that is asked about labelled cases: each `samples` times at its own step.

    With `fused` the cases of tag_instruction_quality are put once to the fused tagger, too, and to the taggers of difficulty
    and category that it stands for.
    """
    own = [CaseCall(case, case.step, sample) for case in cases for sample in range(samples)]
    about = [case for case in cases if case.step == "tag_instruction_quality"] if fused else []
    return (*own, *(CaseCall(case, step) for step in (FUSED, *UNFILTERED_TAGS) for case in about))


def room_for(calls: Iterable[CaseCall], program: SkillsProgram, session: Session) -> tuple[int, int]:
    """An upper estimate of the longest prompt, and the most that a reply may take, in tokens."""
    limits, prompt, reply = judging_limits(session.config), 0, 0
    for step, case in {(call.step, call.case.id): call.case for call in calls}.items():
        prompt = max(prompt, estimate_of(prompt_of(program.predictor(step[0]), case.inputs())))
        reply = max(reply, longest_reply({step[0]: limits[step[0]]}, session.config))
    return prompt, reply


async def remembered(session: Session, program: SkillsProgram, calls: Sequence[CaseCall], seed: int) -> list[Judged | None]:
    """What the journal answers without a call, in the order of the calls; None for what has to be asked."""
    if not session.journal.usage()["calls"]:
        return [None] * len(calls)
    config = session.config
    replies = Replies(None, session.journal, Slots(1), Meter())
    names = {role: session.models[config.model_for(role)].name for role in ROLES}
    windows = dict.fromkeys(ROLES, session.most_ctx)  # no reply is told from another by its window
    asker = asker_for(program, config, names, windows, replies, judging_limits(config), seed, "evals")
    found: list[Judged | None] = []
    for call in calls:
        try:
            found.append(await judge(asker, call))
        except MissingReply:
            found.append(None)
    return found


def costs(judged: Iterable[Judged], reply: Callable[[str], Mapping[str, Any] | None]) -> dict[str, StepTokens]:
    """Step to what its calls have cost, each request counted once; `reply` gives the body of a digest's, as a journal does."""
    digests = defaultdict[str, dict[str, None]](dict)
    for said in judged:
        digests[said.step].update(dict.fromkeys(said.digests))
    found = {}
    for step, asked in digests.items():
        bodies = [reply(digest) or {} for digest in asked]
        prompt, output = (sum(int(body.get(key) or 0) for body in bodies) for key in ("prompt_eval_count", "eval_count"))
        found[step] = StepTokens(len(bodies), prompt, output)
    return found


def _plan_line(cases: int, wanted: int, missing: int, *, replayed: bool) -> str:
    begin = f"{cases} cases, {wanted} replies wanted"
    if not missing:
        return f"{begin}: the journal has them all."
    source = "the recording is asked for" if replayed else "calls are made for"
    return (
        f"{begin}: the journal has {wanted - missing}, {source} the other {missing}; a reply that cannot be used is asked for "
        "once more."
    )


def _facts(session: Session, wanted: Examination, cases: Sequence[Case], derived: dict[str, str]) -> dict[str, Any]:
    """What stands at the head of the report."""
    config, made = wanted.config, Counter(case.origin for case in cases)
    return {
        "answered_by": session.answered_by,
        "judge_model": config.model_for("validator"),
        "tagger_model": config.model_for("tagger"),
        **({"think": dict(config.thinking)} if config.thinking else {}),
        "program": None if wanted.program is None else str(wanted.program.path),
        "cases_by_hand": made["hand"],
        **({"cases_of_models": made["reply"]} if made["reply"] else {}),
        **({"cases_of_reviews": made["review"]} if made["review"] else {}),
        "cases_from_seeds": made["seed"] + made["corruption"],
        "tasks": [spec.task_name for spec in wanted.specs],
        **({"derived_descriptions": derived, "generator_model": config.model_for("generator")} if derived else {}),
        "samples": wanted.samples,
        "seed": wanted.seed,
    }


def head(content: dict[str, Any]) -> list[tuple[str, str]]:
    """The facts of a report for people."""
    tasks = f" of {', '.join(content['tasks'])}" if content["tasks"] else ""
    replies = f"{count} replies of models, " if (count := content.get("cases_of_models")) else ""
    replies += f"{count} from rows that a person looked at, " if (count := content.get("cases_of_reviews")) else ""
    told = {role: f" (think {how})" for role, how in content.get("think", {}).items()}
    judge, tagger = content["judge_model"] + told.get("validator", ""), content["tagger_model"] + told.get("tagger", "")
    facts = [
        ("Answered by", content["answered_by"]),
        ("Models", f"judge {judge}, tagger {tagger}"),
        ("Cases", f"{content['cases_by_hand']} written by hand, {replies}{content['cases_from_seeds']} made from seeds{tasks}"),
        ("Samples of each", str(content["samples"])),
    ]
    if lost := content.get("lost"):
        first = f"the first of {lost['first']['step']}: {lost['first']['why']}"
        facts.append(("Lost to the server", f"{lost['replies']} of {lost['of']} replies, {first}"))
    if derived := content.get("derived_descriptions"):
        facts.append(("Descriptions", f"derived by {content['generator_model']} for {', '.join(derived)}; see judges.json"))
    return [*facts, ("Compiled program", content["program"])] if content["program"] else facts
