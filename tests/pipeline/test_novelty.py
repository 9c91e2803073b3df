"""What is a duplicate, and which seeds fit, where the vectors of all texts are the same."""

import asyncio

import numpy as np

from skills_dspy.base.records import Neighbour
from skills_dspy.pipeline.candidate import Candidate
from skills_dspy.pipeline.draw import Draw, Example
from skills_dspy.pipeline.fitting import FittingSeeds
from skills_dspy.pipeline.novelty import Novelty
from skills_dspy.similarity.sight import compared_text

SAME = np.eye(4, dtype=np.float32)[0]
SEED, OTHER, COPY = "อธิบายตลาดน้ำให้เด็กฟัง", "อธิบายรถไฟให้เด็กฟัง", "อธิบายตลาดน้ำให้เด็กฟัง."


def test_texts_that_are_not_read_are_told_apart_in_dedup() -> None:
    """The other question is new, and its neighbour is not at 0; the copy with a full stop is a duplicate, on its way, too."""

    async def main() -> None:
        novelty, draw = Novelty(0.05), Draw(0, "freeform", (), (), ())
        novelty.fix((-1, 0), SAME, "seed:0", "freeform", compared_text("some", SEED))
        copy, other, again = (
            Candidate(draw, place, question, None, SAME, {}, text=compared_text("some", question))
            for place, question in enumerate((COPY, OTHER, OTHER + "."))
        )
        for candidate in (copy, other, again):
            novelty.begin(candidate)
        assert not await novelty.novel(copy)
        assert await novelty.novel(other)
        assert novelty.repeats(novelty.neighbour(copy)) is not None
        found = novelty.neighbour(other)
        assert found is not None
        assert found.distance > 0.2
        assert novelty.repeats(found) is None
        novelty.fix(other.key, SAME, "other", "freeform", other.text)
        assert novelty.neighbour(again) == Neighbour(id="other", distance=0.0)

    asyncio.run(main())


def test_the_seed_that_fits_an_unread_question_is_the_likest() -> None:
    """Not the first of the file."""
    seeds = FittingSeeds(1)
    for place, question in enumerate(("ทำไมจึงมีฤดูฝน", SEED)):
        seeds.add(Example(f"seed:{place}", question, "x", None), SAME, compared_text("some", question))
    assert [seed.id for seed in seeds.of("freeform", SAME, compared_text("some", OTHER))] == ["seed:1"]
