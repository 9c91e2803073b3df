"""Acceptance decided anew: a run's settled candidates go their way again, by other thresholds, from its journal.

Draws are not planned anew: which accepted pairs a prompt shows depends on the thresholds, and other prompts have no replies.
The candidates are those that the run settled, in the same order, with the same examples; so everything that was asked about
them is asked again in the same words, and the journal answers. What it cannot answer was never asked, because an earlier
threshold had stopped the candidate: it is left out with a reason of its own, or asked for now.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import dspy

from skills_dspy.base.config import ROLES, Role
from skills_dspy.base.errors import MissingReply, RunDirError, only_ours
from skills_dspy.base.records import Failure, Neighbour, Reason
from skills_dspy.commands.decide.decided import Prepared
from skills_dspy.commands.decide.old_rows import OldDraw, OldRow, text_digest
from skills_dspy.commands.decide.pairs import PairCounts, Pairing, Short, pair_up, short_of
from skills_dspy.model.adapter import SkillsAdapter
from skills_dspy.model.embedding.vectors import JournalVectors
from skills_dspy.model.engine import asker_for
from skills_dspy.model.hosts.lane import Host
from skills_dspy.model.hosts.slots import Slots
from skills_dspy.model.program import QUIET, SkillsProgram, instructions_of
from skills_dspy.model.replies import Meter, Replies
from skills_dspy.model.steps import STEPS, reply_limits, way
from skills_dspy.pipeline.candidate import Candidate, Dropped, Outcome, Passed
from skills_dspy.pipeline.draw import Draw
from skills_dspy.pipeline.flow import LATE_TAGS, Flow, Written
from skills_dspy.pipeline.funnel import FunnelDiff
from skills_dspy.pipeline.rows import RowLog, RunLedger
from skills_dspy.pipeline.settle import Settler
from skills_dspy.screens.decontamination import TaskScreen
from skills_dspy.screens.residue import residue_look
from skills_dspy.screens.screens import SCREENS
from skills_dspy.store.journal import Journal, JournalReader

_AHEAD = 16
"""How many draws are on their way at a time when the journal answers."""

_AHEAD_ASKING = 512
"""And when a server is asked for what is missing, which may be little: so many that its slots stay full."""

_UNLIMITED = 10**12

_ANEW: frozenset[Reason] = frozenset(
    (*get_args(Failure), "too long", "duplicate", "judged bad", "filtered", "not asked", "overused", *SCREENS)
)
"""Reasons that are found again from the journal, or not; a rejection for any other stays as it was written down."""


@dataclass(frozen=True, slots=True)
class Answering:
    """Who answers: the run's journal alone, or also a server for what the journal lacks, which is added to it.

    Attributes:
        concurrency: requests in flight, 1 or more.
        windows: each role's num_ctx in tokens; it decides no reply.
    """

    journal: Journal | JournalReader
    server: Host | None = None
    concurrency: int = 1
    windows: Mapping[Role, int] = field(default_factory=lambda: dict.fromkeys(ROLES, 0))

    def replies(self, meter: Meter) -> Replies:
        """The replies, counted."""
        memory = self.journal if isinstance(self.journal, Journal) else None
        return Replies(memory, self.server or self.journal, Slots(self.concurrency), meter)


@dataclass(frozen=True, slots=True)
class OldRun:
    """A run, what it settled from the first draw on, and what it takes to decide that anew."""

    prepared: Prepared
    draws: Sequence[OldDraw]
    program: SkillsProgram
    prompts: Mapping[str, Mapping[str, str]]
    screen: TaskScreen | None = None

    def at(self, place: tuple[int, int]) -> OldRow:
        """The candidate at a draw and an index."""
        return self.draws[place[0]].candidates[place[1]]


@dataclass(frozen=True, slots=True)
class DecideResult:
    """What came of it.

    Attributes:
        untagged: accepted pairs whose difficulty or category was never asked for.
        calls_left: the calls to the last step of all who were left out as not asked, and for tags that lack; fewer where one is
            rejected on its way, more where a reply is asked for twice or a candidate is decided otherwise because of it.
        live, lost: replies that a server gave now, and that it could not give though it answered others.
        paired: what came of second answers, where they were asked for.
        dataset: where the rows are; None in a dry run.
        set_aside: where an older dataset of that name is now, if there was one with other bytes.
    """

    prepared: Prepared
    diff: FunnelDiff
    untagged: int
    calls_left: int
    live: int
    lost: int
    dataset: Path | None = None
    set_aside: Path | None = None
    paired: PairCounts | None = None


OnChange = Callable[[int, FunnelDiff, Meter], None]
"""Hears after every candidate of how many there are, and how far it came."""


async def decide_again(
    again: OldRun,
    answering: Answering,
    vectors: JournalVectors,
    rows: tuple[RowLog, RowLog],
    on_change: OnChange,
    pairing: Pairing | None,
    *,
    fill: bool,
) -> DecideResult:
    """Decide every candidate of a run once more, in settled order, and then ask for the second answers that are wanted.

    A server is asked only for these unless it is to `fill` what the journal lacks. RunDirError where a row does not agree with
    the journal.
    """
    recorded, config, meter = again.prepared.recorded, again.prepared.config, Meter()
    spec, total = recorded.prompted, sum(len(draw.candidates) for draw in again.draws)
    models = {str(role): model.name for role, model in recorded.models.items()}
    ledger = _ComparingLedger(again, RunLedger(spec, recorded.seed, models, again.prompts, *rows), keeps=pairing is not None)
    own = answering if fill else Answering(answering.journal)
    window = _AHEAD if own.server is None else _AHEAD_ASKING
    draws = config.draws.model_copy(update={"window": window, "max_draws": len(again.draws), "max_stalled": _UNLIMITED})
    run = Settler(
        spec,
        config.model_copy(update={"draws": draws}),
        seed=recorded.seed,
        wanted=_UNLIMITED,
        flow=_flow(again, own, meter, _Past(again)),
        embedder=vectors,
        sight=vectors.sight,
        ledger=ledger,
        on_change=lambda: on_change(total, ledger.diff, meter),
        plan=lambda number: again.draws[number].draw,
    )
    paired = None
    try:
        with dspy.context(adapter=SkillsAdapter(), **QUIET):
            await run.run()
            if pairing is not None:
                paired = await pair_up(ledger.shorts, pairing, _flow(again, answering, meter), config, meter)
    except BaseExceptionGroup as group:
        error = only_ours(group)
        if error is None:
            raise
        raise error from group
    counts = (ledger.diff, ledger.untagged, ledger.calls_left, meter.live, meter.lost)
    return DecideResult(again.prepared, *counts, paired=paired)


def _flow(again: OldRun, answering: Answering, meter: Meter, past: "_Past | None" = None) -> Flow:
    """The steps of the run's candidates; what they ask is counted."""
    recorded, config = again.prepared.recorded, again.prepared.config
    spec, names = recorded.prompted, {role: model.name for role, model in recorded.models.items()}
    asking = (answering.windows, answering.replies(meter), reply_limits(spec, config), recorded.seed, spec.task_name)
    asker = asker_for(again.program, config, names, *asking, residue_look(config.screens, spec))
    return Flow(spec, config, asker, again.screen, past, instructions_of(again.program))


class _Past:
    """Reads back what a run wrote, and what became of it where nothing asks for that again."""

    def __init__(self, again: OldRun) -> None:
        self._again = again

    def written(self, draw: Draw) -> Written:
        """The draw's questions as they were written, or why there are none."""
        settled = self._again.draws[draw.number].candidates
        first = settled[0]
        if first.question is None:
            return Written(first.context, (), first.writing, first.dropped)
        return Written(first.context, tuple(candidate.question or "" for candidate in settled), first.writing)

    def known(self, candidate: Candidate) -> Outcome | None:
        """A rejection for a reason that no reply in the journal decides."""
        old = self._again.at(candidate.key)
        if old.dropped is None or old.dropped.reason in _ANEW or old.dropped.stage == "answer_habits":
            return None
        candidate.calls = dict(old.calls)
        return old.dropped

    def unanswered(self, candidate: Candidate, missing: MissingReply) -> Outcome:
        """A rejection as not asked, where a step lacks its reply."""
        if not missing.step:
            return missing
        detail = f"the reply to {missing.step} was never asked for, because the run's own thresholds did not need it"
        return Dropped(STEPS[missing.step].stage, "not asked", detail, candidate.answer)


class _ComparingLedger:
    """Writes down what is decided, and beside it what was decided before; it `keeps` those whose answers fell short."""

    def __init__(self, again: OldRun, ledger: RunLedger, *, keeps: bool) -> None:
        self.diff = FunnelDiff()
        self.untagged = self.calls_left = 0
        self.shorts: list[Short] = []
        self._keeps = keeps
        self._again = again
        self._ledger = ledger

    def name(self, candidate: Candidate) -> str:
        """The id of a candidate's row."""
        return self._ledger.name(candidate)

    def accept(self, candidate: Candidate, passed: Passed, neighbour: Neighbour | None) -> str:
        """Write an accepted pair; returns its id."""
        before = self._again.at(candidate.key)
        name = self._ledger.accept(candidate, passed, neighbour)
        same = before.dropped is None and candidate.rewritten == before.rewritten  # the same answer of two
        if name != before.id or (same and text_digest(passed.answer) != before.answer):
            raise RunDirError(
                f"{before.where}: this row's text is not what the journal says, so it was changed by hand or the journal is "
                "another run's; deciding anew would lose the change: restore the row, or change the new dataset's"
            )
        self.diff.add(name, before.fate, None)
        self._keep(candidate, name, passed, neighbour)
        never = [scale for scale in LATE_TAGS if getattr(passed.tags, scale.name) is None and scale.name not in candidate.calls]
        self.untagged += bool(never)
        self.calls_left += len(never)
        return name

    def reject(self, candidate: Candidate, dropped: Dropped, neighbour: Neighbour | None) -> None:
        """Write a rejection."""
        before = self._again.at(candidate.key)
        self._ledger.reject(candidate, dropped, neighbour)
        self.diff.add(before.id, before.fate, (dropped.stage, dropped.reason))
        self._keep(candidate, before.id, dropped, neighbour)
        if dropped.reason == "not asked":
            config = self._again.prepared.recorded.config
            stages = [step.stage for step in way(candidate.draw.kind, config.tagging)]
            # Questions that were never asked for need a run: which examples their prompt would show depends on the bounds.
            self.calls_left += 0 if candidate.question is None else len(stages) - stages.index(dropped.stage)

    def _keep(self, candidate: Candidate, name: str, outcome: Passed | Dropped, neighbour: Neighbour | None) -> None:
        if self._keeps and (short := short_of(candidate, name, outcome, neighbour)) is not None:
            self.shorts.append(short)
