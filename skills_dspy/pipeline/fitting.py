"""Which seeds fit a question best: those that are nearest to it, as dedup compares."""

from skills_dspy.base.records import Kind
from skills_dspy.model.exhibits import fitting
from skills_dspy.pipeline.draw import Example
from skills_dspy.similarity.nearest import Vector, distance_of
from skills_dspy.similarity.sight import ComparedText


class FittingSeeds:
    """The seeds of a task with their vectors; an answer and its judges are shown `most` of a kind at most."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._seeds: dict[Kind, list[tuple[Example, Vector, ComparedText | None]]] = {"freeform": [], "grounded": []}

    def add(self, seed: Example, vector: Vector, text: ComparedText | None) -> None:
        """One more seed, in the file's order."""
        self._seeds["freeform" if seed.context is None else "grounded"].append((seed, vector, text))

    def of(self, kind: Kind, vector: Vector, text: ComparedText | None, but: tuple[Example, ...] = ()) -> tuple[Example, ...]:
        """The seeds that fit a question of this vector and text best, `but` for some; none where there are no others."""
        seeds = self._seeds[kind]
        others = [one for one in seeds if one[0] not in but]
        nearest = sorted(others, key=lambda one: distance_of(one[1], one[2], vector, text))
        return fitting([seed for seed, *_ in nearest], [seed for seed, *_ in seeds], self._most)
