"""What a task's candidates are compared with: seeds and accepted pairs, and those that are still on their way."""

import asyncio

from skills_dspy.base.records import Kind, Neighbour
from skills_dspy.pipeline.candidate import Candidate, Vector
from skills_dspy.similarity.nearest import Index, Key


class Novelty:
    """Finds what is too near to what stands before it; each kind of question is compared with its own.

    Args:
        limit: what counts as too near: a squared distance below this.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._names: dict[Key, str] = {}
        self._fixed: dict[Kind, Index] = {}
        self._moving: dict[Kind, dict[Key, Candidate]] = {"freeform": {}, "grounded": {}}
        self._moving_index: dict[Kind, Index] = {}

    def fix(self, key: Key, vector: Vector, name: str, kind: Kind) -> None:
        """A seed, or an accepted pair: it stays."""
        if kind not in self._fixed:
            self._fixed[kind] = Index()
        self._fixed[kind].add(key, vector)
        self._names[key] = name

    def begin(self, candidate: Candidate) -> None:
        """A candidate sets out."""
        assert candidate.vector is not None
        kind = candidate.draw.kind
        if kind not in self._moving_index:
            self._moving_index[kind] = Index()
        self._moving_index[kind].add(candidate.key, candidate.vector)
        self._moving[kind][candidate.key] = candidate

    def end(self, candidate: Candidate) -> None:
        """A candidate is decided."""
        kind = candidate.draw.kind
        if self._moving[kind].pop(candidate.key, None) is not None:
            self._moving_index[kind].remove(candidate.key)

    async def novel(self, candidate: Candidate) -> bool:
        """False if it is too near to a seed or an accepted pair; waits while a near one before it may be accepted."""
        assert candidate.vector is not None
        kind, limit = candidate.draw.kind, self._limit
        while True:
            if kind in self._fixed and self._fixed[kind].within(candidate.vector, limit, candidate.key):
                return False
            near = self._moving_index[kind].within(candidate.vector, limit, candidate.key)
            rival = next((r for key, _ in near if (r := self._moving[kind][key]).may_pass), None)
            if rival is None:
                return True
            # Not shielded by wait(): it leaves what it waits for alone when this candidate is cancelled.
            await asyncio.wait([rival.settled if rival.outcome.done() else rival.outcome])

    def too_near(self, neighbour: Neighbour | None) -> bool:
        """Whether a candidate with this nearest neighbour repeats it."""
        return neighbour is not None and neighbour.distance < self._limit

    def neighbour(self, candidate: Candidate) -> Neighbour | None:
        """The nearest seed or accepted pair before it."""
        if candidate.vector is None or candidate.draw.kind not in self._fixed:
            return None
        found = self._fixed[candidate.draw.kind].nearest(candidate.vector, candidate.key)
        return None if found is None else Neighbour(id=self._names[found[0]], distance=found[1])
