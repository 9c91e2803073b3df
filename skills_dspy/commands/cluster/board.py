"""Where workers of a cluster leave their news: an actor, which imports nothing of what they do."""


class Board:
    """Keeps news as packed bytes until the driver asks for them, and tells workers whether to end."""

    def __init__(self) -> None:
        self._news: list[tuple[int, bytes]] = []
        self._begun: set[int] = set()
        self._opened: set[int] = set()
        self._stopped = False

    def begin(self, batch: int) -> tuple[bool, bool]:
        """A worker begins a batch; whether one has begun it before, and so has died, and whether that had opened its tasks."""
        again = batch in self._begun
        self._begun.add(batch)
        return again, batch in self._opened

    def tell(self, batch: int, news: bytes, *, opened: bool) -> bool:
        """Keep some news, which may be the first of `opened` tasks; says whether the worker shall end now."""
        self._news.append((batch, news))
        if opened:
            self._opened.add(batch)
        return self._stopped

    def read(self) -> list[tuple[int, bytes]]:
        """What is new since the last time."""
        news, self._news = self._news, []
        return news

    def stop(self) -> None:
        """All workers shall end."""
        self._stopped = True
