"""Two datasets side by side: differences with intervals that hold what they should, and notes on what is left out."""

import json
import random
from collections.abc import Sequence

import numpy as np
import pytest

from evals.data.compare import FEWEST_FOR_INTERVAL, ComparedNumber, Comparison, compare
from evals.data.material import Material
from evals.data.rows import Row
from evals.figures.tables import as_json
from tests.evals.data.test_collapse import WORDS, varied
from tests.helpers.scored import a_material, a_run, around


def rated(count: int, share: float, seed: int) -> list[Row]:
    """Varied rows with a verdict of 3 for this share, else 2."""
    rng = random.Random(seed)
    return [
        Row(row.question, row.answer, ratings={"pair_verdict": 3 if rng.random() < share else 2}) for row in varied(count, seed)
    ]


Given = Material | Sequence[Row]


def compared(first: Given, second: Given, seed: int = 0, rounds: int = 100) -> dict[str, ComparedNumber]:
    """All numbers by name."""
    found = comparison(first, second, seed, rounds)
    return {number.name: number for number in found.numbers}


def comparison(first: Given, second: Given, seed: int = 0, rounds: int = 100) -> Comparison:
    """The comparison of two, in few rounds."""
    one, other = (side if isinstance(side, Material) else a_material(side) for side in (first, second))
    return compare(one, other, seed, rounds)


def test_a_dataset_does_not_differ_from_itself() -> None:
    """Every difference is 0, and every interval holds it."""
    rows = rated(60, 0.5, 1)
    found = compared(rows, rows)
    assert len(found) > 10
    for number in found.values():
        assert number.difference == 0
        assert number.interval is not None
        assert number.interval.low <= 0 <= number.interval.high
        assert not number.differs


def test_a_difference_is_found_and_has_its_sign() -> None:
    """Second minus first: better verdicts, longer answers, less varied words."""
    first = rated(100, 0.3, 1)
    rng = random.Random(5)
    second = [Row(row.question, " ".join(rng.choices(WORDS[:40], k=120)), ratings=row.ratings) for row in rated(100, 0.8, 2)]
    found = compared(first, second)
    for name, positive in (
        ("pair verdict, mean", True),
        ("words of an answer, median", True),
        ("distinct-1 of the answers", False),
    ):
        number = found[name]
        assert number.differs
        assert (number.difference > 0) == positive
        assert number.interval is not None
        assert number.interval.low < number.difference < number.interval.high
    assert not found["words of a question, median"].differs


def test_sets_drawn_alike_hardly_ever_differ() -> None:
    """Intervals over halves are as wide as what new samples give, or wider: of 25 pairs about one may leave out 0."""
    pairs = [compared(varied(30, 2 * n), varied(30, 2 * n + 1), rounds=80) for n in range(25)]
    for name in ("Vendi score of the questions", "mean distance to the nearest", "distinct-1 of the questions"):
        assert sum(pair[name].differs for pair in pairs) <= 4
        needed = 2 * 1.96 * float(np.std([pair[name].difference for pair in pairs]))
        intervals = [pair[name].interval for pair in pairs]
        widths = [interval.high - interval.low for interval in intervals if interval is not None]
        assert 0.7 * needed < float(np.mean(widths)) < 3 * needed


def test_shares_of_candidates_have_intervals() -> None:
    """Those of a binomial draw, which is what drawing candidates anew gives."""
    one, other = (a_material(varied(10), run=a_run(80, {("dedup", "duplicate"): count})) for count in (20, 80))
    number = compared(one, other, rounds=1000)["accepted, of all candidates"]
    assert (number.first, number.second, number.rows) == (0.8, 0.5, (100, 160))
    assert number.interval is not None
    assert number.interval.low == pytest.approx(-0.41, abs=0.03)
    assert number.interval.high == pytest.approx(-0.19, abs=0.03)


def test_few_rows_have_no_interval() -> None:
    """And it is said."""
    found = comparison(varied(FEWEST_FOR_INTERVAL - 1), varied(50))
    assert {number.interval for number in found.numbers} == {None}
    assert not any(number.differs for number in found.numbers)
    assert any(note.startswith("No interval is given for fewer than 10 rows") for note in found.notes)
    some = compared(varied(2 * FEWEST_FOR_INTERVAL - 1), varied(50))
    assert some["words of a question, median"].interval is not None
    assert some["distinct-1 of the questions"].interval is None


def test_what_depends_on_the_number_of_rows_is_of_equally_many() -> None:
    """So that a larger set does not look more varied for its size alone."""
    rows = varied(120, 3)
    found = compared(rows[:40], rows)
    for name in ("Vendi score of the questions", "distinct-2 of the answers", "mean distance to the nearest"):
        assert found[name].rows == (20, 20)
        assert not found[name].differs
    assert found["words of a question, median"].rows == (40, 120)


def test_vectors_of_different_models_are_not_compared() -> None:
    """Nor where one has none; it is said which and what to do."""
    rows = varied(30)
    given = a_material(rows, vectors=around(*range(30)))
    found = comparison(rows, given)
    names = [number.name for number in found.numbers]
    assert not any("distance" in name or "Vendi" in name for name in names)
    assert "distinct-1 of the questions" in names
    assert any("different models (hash none: SHA-256" in note and "given by hand" in note for note in found.notes)
    without = comparison(rows, a_material(rows, embedder=None))
    assert any("there are no vectors of both" in note for note in without.notes)


@pytest.mark.parametrize(("first", "second"), [(0, 0), (0, 30), (1, 1), (30, 1)])
def test_sets_of_hardly_any_rows_can_be_compared(first: int, second: int) -> None:
    """There is little to say then, and nothing breaks."""
    one, other = (a_material(varied(count), run=a_run(count)) for count in (first, second))
    found = comparison(one, other)
    json.dumps(as_json(found), allow_nan=False)
    assert bool(found.numbers) is (first > 0 and second > 0)
    assert all(number.interval is None for number in found.numbers)


def test_the_same_seed_gives_the_same_bytes() -> None:
    """And another one other samples, and so other intervals of the same means and medians."""
    first, second = rated(50, 0.4, 1), rated(50, 0.6, 2)
    one, again, other = (as_json(comparison(first, second, seed)) for seed in (0, 0, 1))
    assert one == again
    assert one != other
    assert [number["first"] for number in one["numbers"]][:3] == [number["first"] for number in other["numbers"]][:3]
    assert list(one["numbers"][0]) == ["name", "first", "second", "rows", "difference", "low", "high"]
