"""What a task's candidates are compared with: seeds and accepted pairs, and those that are still on their way."""

import asyncio
from collections.abc import Sequence

from skills_dspy.base.errors import Unanswered
from skills_dspy.base.records import Kind, Neighbour
from skills_dspy.model.embedding.embedder import VectorSource
from skills_dspy.pipeline.candidate import Candidate, Dropped
from skills_dspy.similarity.nearest import Index, Key, Vector, joined
from skills_dspy.similarity.sight import ComparedText


async def vectors_of(embedder: VectorSource, questions: Sequence[str], context: str | None) -> list[Vector | Unanswered]:
    """The vectors of questions, each joined to that of their context, or why a question has none."""
    if not questions:
        return []
    try:
        if context is None:
            return list(await embedder.embed(questions))
        first, *rest = await embedder.embed((context, *questions))
        return [joined(vector, first) for vector in rest]
    except Unanswered as error:
        if len(questions) == 1:
            return [error]
        return [vector for question in questions for vector in await vectors_of(embedder, (question,), context)]


class Novelty:
    """Finds what is too near to what stands before it: at a squared distance below `limit`, among its own kind of question."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._names: dict[Key, str] = {}
        self._fixed: dict[Kind, Index] = {"freeform": Index(), "grounded": Index()}
        self._moving: dict[Key, Candidate] = {}
        self._moving_index: dict[Kind, Index] = {"freeform": Index(), "grounded": Index()}

    def fix(self, key: Key, vector: Vector, name: str, kind: Kind, text: ComparedText | None) -> None:
        """A seed, or an accepted pair: it stays."""
        self._fixed[kind].add(key, vector, text)
        self._names[key] = name

    def begin(self, candidate: Candidate) -> None:
        """A candidate sets out."""
        assert candidate.vector is not None
        self._moving_index[candidate.draw.kind].add(candidate.key, candidate.vector, candidate.text)
        self._moving[candidate.key] = candidate

    def end(self, candidate: Candidate) -> None:
        """A candidate is decided."""
        if self._moving.pop(candidate.key, None) is not None:
            self._moving_index[candidate.draw.kind].remove(candidate.key)

    async def novel(self, candidate: Candidate) -> bool:
        """False if it is too near to a seed or an accepted pair; waits while a near one before it may be accepted."""
        assert candidate.vector is not None
        kind, limit = candidate.draw.kind, self._limit
        while True:
            if self._fixed[kind].within(candidate.vector, limit, candidate.key, candidate.text):
                return False
            near = self._moving_index[kind].within(candidate.vector, limit, candidate.key, candidate.text)
            rival = next((r for key, _ in near if (r := self._moving[key]).may_pass), None)
            if rival is None:
                return True
            # Not shielded by wait(): it leaves what it waits for alone when this candidate is cancelled.
            await asyncio.wait([rival.settled if rival.outcome.done() else rival.outcome])

    def repeats(self, neighbour: Neighbour | None) -> Dropped | None:
        """Why a candidate with this nearest neighbour is dropped, if that is too near."""
        if neighbour is None or neighbour.distance >= self._limit:
            return None
        return Dropped("dedup", "duplicate", f"squared distance {neighbour.distance:.4f} to {neighbour.id}")

    def neighbour(self, candidate: Candidate) -> Neighbour | None:
        """The nearest seed or accepted pair before it."""
        if candidate.vector is None:
            return None
        found = self._fixed[candidate.draw.kind].nearest(candidate.vector, candidate.key, candidate.text)
        return None if found is None else Neighbour(id=self._names[found[0]], distance=found[1])
