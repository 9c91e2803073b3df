"""From a run's directory to a dataset beside it, decided anew: what is read, refused, asked for and written."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from skills_dspy.base.config import ROLES
from skills_dspy.base.errors import RunDirError
from skills_dspy.commands.decide.again import Answering, DecideResult, OldRun, OnChange, decide_again
from skills_dspy.commands.decide.decided import FILLED_BY, Prepared, decided_json, fillers
from skills_dspy.commands.decide.old_rows import read_old_rows, replanned
from skills_dspy.commands.decide.pairs import Pairing
from skills_dspy.commands.decide.thresholds import Bounds, decided_config, short_digest
from skills_dspy.model.context_window import choose_windows, needs
from skills_dspy.model.embedding.embedder import AsyncEmbedder, SentenceEmbedder
from skills_dspy.model.embedding.vectors import JournalVectors
from skills_dspy.model.hosts.hosts import introduced, slots_of
from skills_dspy.model.program import SkillsProgram
from skills_dspy.model.replies import Meter
from skills_dspy.model.server.names import other_weights
from skills_dspy.model.server.server import Server
from skills_dspy.pipeline.rows import RowLog
from skills_dspy.run.account import HOLD_OUT, prompt_fingerprints
from skills_dspy.run.past import CANNOT_REPLAY, DECIDED, PastRun, read_recorded, recorded_questions
from skills_dspy.screens.decontamination import KEPT_IN, Notices, Screen, TaskScreen
from skills_dspy.similarity.ngrams import TOKENS_VERSION
from skills_dspy.store.aside import link, place_beside, put_dataset, write_json
from skills_dspy.store.files import AppendLog, make_folder, storage_errors
from skills_dspy.store.journal import Journal, JournalReader
from skills_dspy.store.run_dir import RunPaths, find_runs, refuse_busy, taken
from skills_dspy.store.run_json import RUN_FORMAT, read_run_json

_INPUTS = frozenset(("task", "config", "seed", "models", "prompts", "decontamination", HOLD_OUT))
"""What a run can be begun with; whatever else decided about candidates would have to decide again."""

_OTHER_FORMAT = (
    f"this run was made by another version of skills_dspy (its format is {{}}, this one reads {RUN_FORMAT}); "
    "decide it with that version"
)


@dataclass(frozen=True, slots=True)
class DecideRequest:
    """What is asked for.

    Attributes:
        run: the directory of a run, or one that holds exactly one.
        config: a file with other thresholds; `bounds` go before it.
        out: where the dataset goes; None for `<run>-decided-<8 hex digits of the thresholds>` beside the run.
        note: what answers, in words, when it is not a language model.
        pairs: how many pairs of a first and a second answer are wanted; None for no second answers.
        fill: whether a server is also asked for the replies that other thresholds need.
    """

    run: Path
    config: Path | None = None
    bounds: Bounds = field(default_factory=Bounds)
    out: Path | None = None
    dry_run: bool = False
    concurrency: int = 8
    note: str | None = None
    pairs: int | None = None
    fill: bool = True


def prepare(request: DecideRequest) -> Prepared:
    """Read what a run was made with, and refuse what cannot be decided before anything is asked or written.

    Raises:
        RunDirError: there is no run that can be decided anew, or something else lies where the dataset would go.
        ConfigError: what is to change is no threshold, or none that can be.
    """
    paths = _the_run(request.run)
    noted = read_run_json(paths, CANNOT_REPLAY, _OTHER_FORMAT)
    if noted is None:
        raise RunDirError(f"{paths.folder}: this run has no run.json yet; wait until it has begun, or start it again")
    recorded = read_recorded(paths)
    inputs = noted.content["inputs"]
    unknown = sorted(set(inputs) - _INPUTS)
    if unknown:
        raise RunDirError(
            f"{paths.run_json}: the run was made with {', '.join(unknown)}, which decided what was accepted too and cannot be "
            "decided anew; make a new run with the other thresholds"
        )
    screened = (inputs.get("decontamination") or {}).get("normalisation", TOKENS_VERSION)
    if screened != TOKENS_VERSION:
        raise RunDirError(
            f"{paths.run_json}: the run was decontaminated by another version of skills_dspy, which took texts apart otherwise "
            f"(its normalisation is {screened!r}, this one's {TOKENS_VERSION}); decide it with that version"
        )
    config = decided_config(recorded.config, request.config, request.bounds)
    folder = paths.folder if paths.folder.name not in ("", "..") else paths.folder.resolve()
    target = request.out or folder.with_name(f"{folder.name}-decided-{short_digest(config, request.pairs)}")
    if not request.dry_run:
        _check_target(target)
    return Prepared(recorded, noted, config, target)


async def decide_run(
    request: DecideRequest,
    prepared: Prepared,
    server: Server | None,
    on_change: OnChange = lambda *_: None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    on_pair: Callable[[int, int, Meter], None] = lambda *_: None,
) -> DecideResult:
    """Decide a run anew and write the dataset; where that fails none is written, and what was answered is in the journal.

    The server is asked for what the journal lacks, and nothing before that, and closed in the end; None to leave out who needs
    it, and for no pairs.

    Raises:
        RunDirError: the run is in use, was made by another version, or its rows are broken.
    """
    recorded = prepared.recorded
    folder = recorded.paths.folder
    async with AsyncExitStack() as stack:
        if server is None:
            refuse_busy(recorded.paths)
        else:
            stack.push_async_callback(server.close)
            stack.enter_context(taken(folder.absolute().parent, folder.absolute().name))
        again = _again(prepared)
        paths = None
        if not request.dry_run:
            make_folder(prepared.target.parent)
            paths = RunPaths(stack.enter_context(place_beside(prepared.target, folder=True)))
        async with _answering(request, again, server) as answering:
            vectors = JournalVectors(answering.journal, prepared.embedder, recorded.paths)
            with _rows(paths, request.pairs is not None) as (rows, log):
                screened = replace(again, screen=await _screen(recorded, answering.journal, prepared.embedder))
                pairing = None if request.pairs is None else Pairing(request.pairs, log, on_pair)
                decided = await decide_again(screened, answering, vectors, rows, on_change, pairing, fill=request.fill)
        if paths is None:
            return decided
        with JournalReader.open(recorded.paths.journal) as closed:
            write_json(paths.run_json, decided_json(prepared, decided.diff, len(again.draws), closed, decided.paired))
        link(paths.journal, recorded.paths.journal)
        return replace(decided, dataset=prepared.target, set_aside=put_dataset(paths.folder, prepared.target, now()))


@contextmanager
def _rows(paths: RunPaths | None, paired: bool) -> Iterator[tuple[tuple[RowLog, RowLog], RowLog]]:
    """Where accepted and rejected rows, and pairs, go, finished if nothing fails; nowhere in a dry run."""
    if paths is None:
        yield (_Unwritten(), _Unwritten()), _Unwritten()
        return
    with ExitStack() as stack:
        files = (paths.data, paths.rejected, *([paths.pairs] if paired else []))
        data, rejected, *pairs = logs = [stack.enter_context(AppendLog.open(path)) for path in files]
        yield (data, rejected), pairs[0] if pairs else _Unwritten()
        for log in logs:
            log.finish()


class _Unwritten:
    """Rows that nobody keeps."""

    def append(self, row: Mapping[str, Any]) -> None:
        """Forget the row."""


class _LateServer:
    """A server that is met before its first reply: what the journal has needs none.

    It has to have the run's models, and is noted in the journal, unless it answered the run, or is noted.
    """

    def __init__(self, server: Server, journal: Journal, recorded: PastRun, own: Mapping[str, Any], note: str | None) -> None:
        self._server, self._journal, self._recorded, self._own, self._note = server, journal, recorded, own, note
        self._meeting, self._met = asyncio.Lock(), False

    async def chat(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """One reply's body; RunDirError where the models are others."""
        async with self._meeting:
            if not self._met:
                await self._meet()
                self._met = True
        return await self._server.chat(payload)

    async def _meet(self) -> None:
        named = await introduced(self._server)
        said = {**{name: value for name, value in named.items() if name not in ("host", "hosts")}, "note": self._note}
        await _refuse_other_models(self._recorded, self._server)
        noted = fillers(self._journal)
        if said not in [{name: self._own.get(name) for name in said}, *noted]:
            self._journal.set_meta(FILLED_BY, json.dumps([*noted, said]))


def _the_run(folder: Path) -> RunPaths:
    with storage_errors("read", folder):
        there = folder.is_dir()
    if not there:
        raise RunDirError(f"{folder}: there is no such directory; give the directory of a run, the one with its data.jsonl")
    runs = find_runs(folder)
    if not runs:
        raise RunDirError(f"{folder} holds no run; give the directory of a run, the one with its data.jsonl")
    if len(runs) > 1:
        raise RunDirError(f"{folder} holds {len(runs)} runs; give the directory of one, such as {runs[0].folder}")
    return runs[0]


async def _screen(recorded: PastRun, journal: Journal | JournalReader, embedder: str) -> TaskScreen | None:
    """The evaluation questions that the run was decontaminated against: other thresholds must let none of them in."""
    folder = recorded.paths.folder
    questions = recorded_questions(recorded.evaluation, str(folder), "put the file of then back, or make a new run")
    if questions is None:
        return None
    screen = Screen(questions, recorded.config.decontamination)
    model = AsyncEmbedder(SentenceEmbedder(embedder, "cpu"))
    await screen.ready(model, recorded.weights, [recorded.root / KEPT_IN], Notices())
    vectors = JournalVectors(journal, embedder, recorded.paths, model)
    return TaskScreen(screen, vectors, vectors.sight)


def _check_target(target: Path) -> None:
    """Refuse a target that holds something else than a dataset that was decided anew, which can be again."""
    with storage_errors("read", target):
        if not target.exists() or (target.is_dir() and not any(target.iterdir())):
            return
        noted = read_run_json(RunPaths(target)) if target.is_dir() else None
    if noted is None or DECIDED not in noted.content:
        raise RunDirError(f"{target} exists and holds something else; choose another --out")


def _again(prepared: Prepared) -> OldRun:
    recorded, noted = prepared.recorded, prepared.noted
    program = SkillsProgram(recorded.spec.num_questions_to_generate_per_prompt)
    if recorded.program is not None:
        recorded.program.apply(program)
    prompts = prompt_fingerprints(recorded.spec, recorded.config, program)
    then = {} if noted.inputs is None else noted.inputs.prompts
    differing = [
        f"{kind} {stage}"
        for kind, stages in prompts.items()
        for stage, now in stages.items()
        if (then.get(kind) or {}).get(stage) != now
    ]
    if differing:
        raise RunDirError(
            f"{recorded.paths.run_json}: the run was made by a version of skills_dspy with other prompts ({differing[0]}"
            f"{' and others' if differing[1:] else ''}), to which this version finds no replies; decide it with that version"
        )
    draws = read_old_rows(recorded.paths, recorded.spec)
    if not draws:
        raise RunDirError(
            f"{recorded.paths.folder}: this run has decided nothing yet; start it again, or, if it is a recording, replay it "
            "with `run --replay` and give the directory that this makes"
        )
    draws = replanned(draws, recorded.prompted, recorded.seed, recorded.config.draws.window)
    return OldRun(prepared, draws, program, prompts)


@asynccontextmanager
async def _answering(request: DecideRequest, again: OldRun, server: Server | None) -> AsyncIterator[Answering]:
    recorded, config = again.prepared.recorded, again.prepared.config
    if server is None:
        with JournalReader.open(recorded.paths.journal) as recording:
            yield Answering(recording)
        return
    known = again.prepared.noted.content
    # Those of the run, which the same models have answered; they decide no reply.
    windows = known.get("windows") or choose_windows([needs(recorded.spec, config, again.program)], config, {})
    JournalReader.open(recorded.paths.journal).close()  # there has to be one: opening it to write would begin another
    with Journal.open(recorded.paths.journal) as journal:
        source = _LateServer(server, journal, recorded, known["server"], request.note)
        yield Answering(journal, source, slots_of(server, request.concurrency).count, windows)


async def _refuse_other_models(recorded: PastRun, server: Server) -> None:
    """RunDirError where the server's models are not the run's: half a dataset judged by another model is none."""
    for role in ROLES:
        then = recorded.models[role]
        now = await server.model(then.name)
        if now.digest != then.digest:
            raise RunDirError(
                f"{recorded.paths.folder}: {other_weights(then.name, then.digest, now.digest)} at {server.host}, and its "
                "replies would not belong to this run: get the former back, or decide without --fill"
            )
