"""The models in memory, as Ollama's scheduler keeps them: requests in the order in which they came, and one load at a time.

A request for a model that is not there waits until one that may be dropped answers nobody, drops it, and loads its own; the one
not used longest is dropped. Whatever comes meanwhile waits behind it, for a model that is there, too.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class ModelMemory:
    """Room for `holds` models at once, 1 or more, or for all with 0; `seconds` is what loading one takes.

    `loaded` has those that are there, the last used one last; `loads` counts how often one was loaded.
    """

    def __init__(self, holds: int, seconds: float) -> None:
        self.loaded: list[str] = []
        self.loads = 0
        self._holds, self._seconds = holds, seconds
        self._turn = asyncio.Lock()
        self._flying = Counter[str]()
        self._idle = asyncio.Event()

    @asynccontextmanager
    async def use(self, model: str) -> AsyncIterator[float]:
        """Keep a model in memory for one request; gives the seconds for which that request loaded it."""
        async with self._turn:
            took = 0.0 if model in self.loaded else await self._load(model)
            self.loaded.remove(model)
            self.loaded.append(model)
            self._flying[model] += 1
        try:
            yield took
        finally:
            self._flying[model] -= 1
            self._idle.set()

    async def _load(self, model: str) -> float:
        while self._holds and len(self.loaded) >= self._holds:
            await self._answers_nobody(self.loaded[0])
            del self.loaded[0]
        if self._seconds:
            await asyncio.sleep(self._seconds)
        self.loaded.append(model)
        self.loads += 1
        return self._seconds

    async def _answers_nobody(self, model: str) -> None:
        while self._flying[model]:
            self._idle.clear()
            await self._idle.wait()
