"""The table of sets without a judge: numbers of `eval data`, mean cosine of two questions, reading grade."""

import numpy as np
import pytest

from evals.data.rows import Row
from evals.judges.sets import reading_grade, section_of
from tests.helpers.scored import a_material, a_seed

SEEDS = [a_seed("Why is a house cool?", "Because its walls are thick."), a_seed("Who lives in a barn?", "An owl lives there.")]


def test_the_reading_grade_is_that_of_the_method() -> None:
    """The example that goes with it: 119 words with 639 letters in 5 sentences are of grade 14.5."""
    words = ["letter"] * 44 + ["words"] * 75
    for place in (20, 40, 60, 80, 118):
        words[place] += "."
    assert sum(map(len, words)) == 639 + 5
    assert reading_grade(" ".join(words)) == pytest.approx(14.5, abs=0.1)
    assert reading_grade("1 + 1 = 2.") is None


def test_a_line_tells_of_a_set() -> None:
    """What two rows share that the seeds have less of, cosines, length; without vectors and shares there is none."""
    rows = [
        Row("How do owls sleep in the bright light of a summer day?", "Of course they sleep."),
        Row("How do owls sleep in a narrow nest with four young?", "Of course they do."),
    ]
    vectors = np.eye(3, dtype=np.float32)
    vectors[1, :2] = 0.6, 0.8
    (line,) = section_of([a_material(rows, SEEDS, vectors=vectors[:2], seed_vectors=vectors[[0, 2]])]).rows
    assert line[1:] == ("2", "0% and 0%", "100% “how do owls sleep”", "0.80", "0.60", "0.89", "-0.4")
    (bare,) = section_of([a_material([Row("1?", "2.")], embedder=None)]).rows
    assert bare[1:] == ("1", "– and –", "–", "–", "–", "–", "–")
