"""Which requests go wrong, and how: by chance, and yet the same in every run."""

from collections import OrderedDict
from random import Random

_REMEMBERED = 20_000
"""So many requests are known by how often they came, the oldest are forgotten first: memory stays flat."""


class Faults:
    """Chooses the fault of a request from the seed, the request, and how often this very request came.

    Args:
        seed: of the choice.
        rates: pairs of kind and rate, as in TeacherConfig.
    """

    def __init__(self, seed: int, rates: tuple[tuple[str, float], ...]) -> None:
        self._seed = seed
        self._rates = rates
        self._times: OrderedDict[bytes, int] = OrderedDict()

    def choose(self, digest: bytes) -> str | None:
        """The kind of fault, or None for a request that goes well."""
        if not self._rates:
            return None
        point = Random(b"%d fault %d " % (self._seed, self._count(digest)) + digest).random()
        for kind, rate in self._rates:
            point -= rate
            if point < 0:
                return kind
        return None

    def _count(self, digest: bytes) -> int:
        times = self._times.pop(digest, 0)
        self._times[digest] = times + 1
        if len(self._times) > _REMEMBERED:
            self._times.popitem(last=False)
        return times
