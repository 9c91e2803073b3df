"""One task of a run from its opening to its end, and whose fault it is when it fails: its own, or everybody's."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol

from skills_dspy.base.errors import RunDirError, SkillsError, StorageError
from skills_dspy.model.ask import WHOLE_DRAW, Asker
from skills_dspy.model.description import derive, described, undescribed
from skills_dspy.model.replies import Meter
from skills_dspy.pipeline.funnel import Funnel
from skills_dspy.pipeline.settle import Settler
from skills_dspy.run.manifest import usage
from skills_dspy.screens.benchmark import EvaluationSet
from skills_dspy.screens.contamination import TaskScreen, Teller, contaminated_seeds, seed_warnings
from skills_dspy.store.files import AppendLog
from skills_dspy.store.journal import Journal, Recording
from skills_dspy.store.run_dir import RunDir, RunPaths
from skills_dspy.store.run_json import read_run_json, write_run_json
from skills_dspy.tasks.spec import TaskSpec

_FIRST = (0, -1, WHOLE_DRAW)
"""The rank of a description: before the task's own draws, after whatever is farther on."""


class Progress(Protocol):
    """How far a task is."""

    @property
    def funnel(self) -> Funnel:
        """What became of its candidates."""

    @property
    def done(self) -> bool:
        """Whether all wanted pairs are accepted."""

    @property
    def stopped(self) -> str | None:
        """The limit that stopped it, in words."""

    @property
    def draws(self) -> tuple[int, int]:
        """How many draws have settled, and how many are open."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a task is that does not run: it was not begun, or has ended and keeps nothing else in memory."""

    funnel: Funnel = field(default_factory=Funnel)
    done: bool = False
    stopped: str | None = None
    draws: tuple[int, int] = (0, 0)

    @classmethod
    def of(cls, run: Progress) -> "Standing":
        """Where a run stands."""
        return cls(run.funnel, run.done, run.stopped, run.draws)


@dataclass(slots=True)
class RunningTask:
    """One task of a run, as a display may look at it at any moment.

    Attributes:
        status: `running`, `complete`, `stopped: why`, `failed: why`, `interrupted`.
        error: why it failed for itself while others went on.
        description: derived by the model, because the task's file leaves it blank; None until then, and where it does not.
        evaluation: what it is decontaminated against, if anything.
    """

    spec: TaskSpec
    paths: RunPaths
    wanted: int
    meter: Meter
    run: Progress
    answered_by: str
    usage: dict[str, Any] = field(default_factory=dict)
    status: str = "running"
    error: SkillsError | None = None
    description: str | None = None
    evaluation: EvaluationSet | None = None

    def fail(self, error: SkillsError) -> None:
        """It cannot go on."""
        self.error, self.status = error, f"failed: {error}"


class Leaf:
    """A task between opening and closing.

    Args:
        task: what is shown of it.
        directory, journal, logs: where it writes.
        manifest: the beginning of its run.json.
        asker: asks for its description.
        begin: makes the run of the task with its description.
        embedder: the embedding model's name.
        screen: the evaluation questions that its pairs may not be near to, if there are any.
    """

    def __init__(
        self,
        task: RunningTask,
        directory: RunDir,
        journal: Journal,
        logs: tuple[AppendLog, AppendLog],
        manifest: dict[str, Any],
        *,
        asker: Asker,
        begin: Callable[[TaskSpec], Settler],
        embedder: str,
        screen: TaskScreen | None = None,
    ) -> None:
        self.task = task
        self._directory = directory
        self._journal = journal
        self._logs = logs
        self._manifest = manifest
        self._asker: Asker | None = asker
        self._begin: Callable[[TaskSpec], Settler] | None = begin
        self._embedder = embedder
        self._screen = screen
        self._opened = ExitStack()
        self._ended = False

    def keep(self, opened: ExitStack) -> None:
        """What closes all that was opened for it."""
        self._opened = opened

    async def screen_seeds(self, weights: str | None, teller: Teller) -> None:
        """Note and say which of its seeds are contaminated themselves.

        Args:
            weights: of the vectors of the evaluation questions; None where none are compared.
            teller: is told.

        Raises:
            RunDirError: the vectors that are remembered here have other weights.
            SkillsError: a seed cannot be embedded.
        """
        assert self._screen is not None
        before = self._journal.meta().get("embedder_weights")
        if None not in (before, weights) and before != weights:
            raise RunDirError(
                f"{self.task.paths.folder} holds a run that was begun with other weights of the embedding model: "
                "use --restart, or another --output-dir"
            )
        found = await contaminated_seeds(self.task.spec, self._screen)
        told = [{"seed": f"seed:{number}", "detail": said} for number, said in found]
        self._manifest["decontamination"] = {**self._manifest["decontamination"], "contaminated_seeds": told}
        for line in seed_warnings(self.task.spec, found):
            teller.warn(line)

    def announce(self) -> None:
        """Write a run.json that says that it is running."""
        previous = read_run_json(self.task.paths)
        write_run_json(self.task.paths, {**self._manifest, "result": previous and previous.content.get("result")})

    async def run(self) -> None:
        """Until all wanted pairs are accepted, or a limit stops it.

        Raises:
            SkillsError, ExceptionGroup: see `only_ours`.
        """
        assert self._begin is not None
        spec = self.task.spec
        if undescribed(spec):
            spec = described(spec, await self._describe())
        run = self._begin(spec)
        self.task.run = run
        await run.run()

    async def _describe(self) -> str:
        """The description that the model gives the task; in the journal, and in run.json at once.

        Raises:
            NotDescribed: twice no usable reply.
        """
        assert self._asker is not None
        text = await derive(self._asker, self.task.spec, _FIRST, "run the command again with --restart")
        self.task.description = self._manifest["derived_description"] = text
        self.announce()
        return text

    def end(self, how: str, now: str) -> list[StorageError]:
        """Finish its rows if it has all of them, write its run.json and let go of everything; returns what went wrong.

        Args:
            how: its status, if it is neither complete nor stopped by a limit.
            now: the time.
        """
        if self._ended:
            return []
        self._ended = True
        task, failures = self.task, []
        task.status = _status(task.run, how)
        try:
            if task.status != how:  # complete or stopped by a limit, whatever became of the others
                for log in self._logs:
                    log.finish()
        except StorageError as error:
            task.status = "failed"
            failures.append(error)
        try:
            self._journal.close()  # it writes what waits: replies that came when the run was over are paid for, too
            with Recording.open(task.paths.journal) as journal:
                task.usage, weights = usage(journal), journal.meta().get("embedder_weights")
            result = {"draws": task.run.draws[0], "funnel": task.run.funnel.as_json(), "usage": task.usage}
            ended = {"ended": now, "status": task.status, "result": result}
            ended["embedder"] = {"name": self._embedder, "weights": weights}
            write_run_json(task.paths, {**self._manifest, **ended})
        except StorageError as error:
            failures.append(error)
        return failures

    def close(self) -> None:
        """Let go of files and of memory; a second call does nothing.

        Raises:
            StorageError: something cannot be closed as it should be.
        """
        self.task.run, self._asker, self._begin = Standing.of(self.task.run), None, None
        self._opened.close()


def _status(run: Progress, how: str) -> str:
    if run.done:
        return "complete"
    return how if run.stopped is None else f"stopped: {run.stopped}"
