"""A stand-in for a cluster: workers on the event loop of the test, and all that goes between them is packed as Ray packs it."""

import asyncio
import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from skills_dspy.base.errors import SkillsError
from skills_dspy.commands.cluster.news import BatchEnd, News
from skills_dspy.commands.cluster.work import KeptEmbedder, WorkOrder, work
from skills_dspy.tasks.spec import TaskSpec


def packed(value: Any) -> Any:
    """The same, as it comes out elsewhere."""
    return pickle.loads(pickle.dumps(value))  # noqa: S301 - our own


def rows(folder: Path) -> dict[str, bytes]:
    """The rows of all tasks below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.jsonl"))}


class Machines:
    """Machines, named `node-0` and on.

    Attributes:
        count: how many there are.
        batches: what was begun: the machine and the names of the tasks.
        lost: errors that come in place of what batches give, by their number.
        broken: errors that end batches in the middle, by their number.
    """

    def __init__(self) -> None:
        self.count = 2
        self.batches: list[tuple[str, list[str]]] = []
        self.orders: list[WorkOrder] = []
        self.lost: dict[int, SkillsError] = {}
        self.broken: dict[int, SkillsError] = {}
        self.kept: dict[str, KeptEmbedder] = {}
        self.stopped = False
        self.on_news: Callable[[int, News], None] = lambda *_: None
        self._news: list[tuple[int, News]] = []
        self._running: dict[asyncio.Task[BatchEnd], int] = {}

    def machines(self) -> Mapping[str, str]:
        """All of them."""
        return {f"node-{number}": f"Node {number}" for number in range(self.count)}

    def begin(self, batch: int, machine: str, order: WorkOrder, specs: Sequence[TaskSpec]) -> None:
        """Begin a worker."""
        self.batches.append((machine, [spec.task_name for spec in specs]))
        self.orders.append(packed(order))
        self._running[asyncio.ensure_future(self._do(batch, machine, self.orders[-1], list(specs)))] = batch

    async def _do(self, batch: int, machine: str, order: WorkOrder, specs: list[TaskSpec]) -> BatchEnd:
        async def tell(news: News) -> bool:
            self._news.append((batch, packed(news)))
            self.on_news(batch, news)
            return self.stopped or (batch in self.broken and bool(news.tasks))

        if batch in self.lost:
            return BatchEnd(News(), packed(self.lost[batch]))
        kept = self.kept.setdefault(machine, KeptEmbedder())
        outcome: BatchEnd = packed(await work(order, packed(specs), f"the worker on {machine}", tell, kept))
        return BatchEnd(outcome.news, packed(self.broken[batch])) if batch in self.broken else outcome

    async def listen(self) -> tuple[Sequence[tuple[int, News]], Mapping[int, BatchEnd]]:
        """What there is."""
        await asyncio.sleep(0.001)
        news, self._news = self._news, []
        return news, {self._running.pop(task): task.result() for task in list(self._running) if task.done()}

    async def stop(self) -> None:
        """Workers hear of it when they tell something."""
        self.stopped = True
