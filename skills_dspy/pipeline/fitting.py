"""Which seeds fit a question best: those that are nearest to it, as dedup compares."""

from skills_dspy.base.records import Kind
from skills_dspy.model.exhibits import fitting
from skills_dspy.pipeline.draw import Example
from skills_dspy.similarity.nearest import Vector, squared_distance


class FittingSeeds:
    """The seeds of a task with their vectors; an answer and its judges are shown `most` of a kind at most."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._seeds: dict[Kind, list[tuple[Example, Vector]]] = {"freeform": [], "grounded": []}

    def add(self, seed: Example, vector: Vector) -> None:
        """One more seed, in the file's order."""
        self._seeds["freeform" if seed.context is None else "grounded"].append((seed, vector))

    def of(self, kind: Kind, vector: Vector, but: tuple[Example, ...] = ()) -> tuple[Example, ...]:
        """The seeds that fit best, `but` for some; none where there are no others."""
        seeds = self._seeds[kind]
        nearest = sorted((one for one in seeds if one[0] not in but), key=lambda one: squared_distance(one[1], vector))
        return fitting([seed for seed, _ in nearest], [seed for seed, _ in seeds], self._most)
