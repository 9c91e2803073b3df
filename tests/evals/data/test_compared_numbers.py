"""The numbers that two datasets are compared by: which there are, of what they are taken, and what they make of it."""

from collections.abc import Sequence
from typing import Any

import pytest

from evals.data.against_seeds import find_nearest
from evals.data.compared_numbers import Side, row_numbers, set_measures, share_numbers
from evals.data.material import sample_places
from evals.data.rows import Row
from evals.data.text import distinct_n
from skills_dspy.similarity.text import words
from tests.helpers.scored import a_line, a_material, a_run, a_seed, around, by_first_word, rows_of

ROWS = [Row("What is a jay?", "A bird of the wood."), Row("What is a pike in a pond?", "A fish."), Row("Who?", "I")]
SEEDS = [a_seed("What is a fox?"), a_seed("Who runs?")]


def a_side(rows: Sequence[Row] = ROWS, most: int = 100, **how: Any) -> Side:
    """One of two."""
    material = a_material(rows, **how)
    return Side(material, find_nearest(material), sample_places(len(material.places), most, 0))


def numbers_of(first: Side, second: Side) -> dict[str, tuple[float | None, float | None]]:
    """Every number over rows that either has, of both."""
    found = {}
    for name, items, statistic in row_numbers(first, second):
        one, other = (statistic(some) if (some := items(side)) else None for side in (first, second))
        if one is not None or other is not None:
            found[name] = (one, other)
    return found


# ---- shares ----------------------------------------------------------------------------------------------------------


def test_shares_of_candidates_are_those_of_the_stages_that_reject() -> None:
    """Of two runs; of a file nobody knows."""
    one = a_side(run=a_run(3, {("dedup", "duplicate"): 1}))
    other = a_side(run=a_run(3, {("judge_pair", "judged bad"): 3}))
    assert share_numbers(one, other) == [
        ("accepted, of all candidates", (3, 4), (3, 6)),
        ("went on at dedup", (3, 4), (6, 6)),
        ("went on at judge_pair", (3, 3), (3, 6)),
    ]
    assert share_numbers(one, a_side()) == []


def test_categories_are_compared_by_their_shares() -> None:
    """Those that either has, where both are tagged."""
    one, other = (
        a_side([Row("a", "b", ratings={"category": label}) for label in labels])
        for labels in (["math", "math", "planning"], ["math", "others"])
    )
    assert share_numbers(one, other) == [
        ("category planning", (1, 3), (0, 2)),
        ("category math", (2, 3), (1, 2)),
        ("category others", (0, 3), (1, 2)),
    ]
    assert share_numbers(one, a_side()) == []


# ---- over single rows ------------------------------------------------------------------------------------------------


def test_lengths_openings_and_languages_are_always_compared() -> None:
    """With nothing but rows."""
    rows = [Row("What is a jay?", "A bird."), Row("What is a jay doing?", "It sings to itself."), Row("What is it?", "I see.")]
    assert numbers_of(a_side(rows), a_side()) == {
        "words of a question, median": (4, 4),
        "words of an answer, median": (2, 2),
        "commonest opening of questions": (pytest.approx(2 / 3), pytest.approx(1 / 3)),
    }


def test_languages_are_those_that_either_speaks_mostly() -> None:
    """As shares of the texts whose language is told."""
    long = "some more words that can be told apart"
    one = a_side([Row(f"en {long}", f"fr {long}"), Row("en short", f"fr {long}")], classify=by_first_word)
    other = a_side([Row(f"fr {long}", f"en {long}"), Row(f"en {long}", f"en {long}")], classify=by_first_word)
    found = {name: values for name, values in numbers_of(one, other).items() if name.endswith("if told")}
    assert found == {
        "questions in French, if told": (0, 0.5),
        "answers in French, if told": (1, 0),
        "questions in English, if told": (1, 0.5),
        "answers in English, if told": (0, 1),
    }


def test_ratings_are_compared_by_their_means_and_soft_means() -> None:
    """Of rows of ours; the category has no mean."""
    rows = rows_of(a_line("What is a jay?"))
    found = numbers_of(a_side(rows), a_side(rows))
    assert found["pair verdict, mean"] == (3, 3)
    assert found["pair verdict, mean expected"] == (2.75, 2.75)
    assert found["difficulty, mean"] == (2, 2)
    assert "question verdict, mean expected" not in found
    assert not any("category" in name for name in found)


def test_likeness_to_seeds_is_compared_where_there_are_seeds() -> None:
    """Cosines only of one model, and the parts of the seeds only by one measure."""
    vectors = around(0, 0, 1)
    seeds = around(0, 1)
    one = a_side(seeds=SEEDS, vectors=vectors, seed_vectors=seeds)
    found = numbers_of(one, one)
    assert found["cosine to nearest seed, mean"] == (1, 1)
    assert found["rows with a cosine from 0.9"] == (1, 1)
    assert found["rows with a ROUGE-L from 0.7"] == (1 / 3, 1 / 3)
    assert found["evenness of the seeds' parts"][0] == pytest.approx(0.9183, abs=1e-4)
    other_model = numbers_of(one, a_side(seeds=SEEDS))
    assert not any("cosine" in name for name in other_model)
    assert "evenness of the seeds' parts" in other_model
    assert "evenness of the seeds' parts" not in numbers_of(one, a_side(seeds=SEEDS, embedder=None))
    assert not any("seed" in name for name in numbers_of(a_side(), a_side()))


def test_a_side_is_at_most_so_many_rows_of_its_sample() -> None:
    """The same ones each time, in their order, and every number is of them alone."""
    rows = [Row(" ".join(["word"] * (n + 1)), "b") for n in range(50)]
    side = a_side(rows, most=7, sample=20)
    assert len(side.places) == 7
    assert side.places == sorted(side.places)
    assert side.places == a_side(rows, most=7, sample=20).places
    assert set(side.places) <= set(side.material.places)
    (lengths,) = [items(side) for name, items, _ in row_numbers(side, side) if name == "words of a question, median"]
    assert lengths == [place + 1 for place in side.places]


# ---- of many rows together -------------------------------------------------------------------------------------------


def test_measures_of_many_rows_are_of_those_that_are_named() -> None:
    """By numbers that stand for places of the sample."""
    copy = Row("What is a rook?", "A bird that is found in the wood and the town.")
    other = Row("What is a crow?", "A bird that is found in the wood and the town!")
    side = a_side([*ROWS, copy, other, Row("b", "yes")], vectors=around(0, 1, 2, 3, 3, 4))
    measures = set_measures(side, [1, 3, 4, 5])
    assert measures["answers with a near-copy"]([0, 1, 2, 3]) == 1
    assert measures["answers with a near-copy"]([0, 1, 3]) == 0
    assert measures["answers with a near-copy"]([0, 3]) is None
    assert measures["mean distance to the nearest"]([0, 1, 2, 3]) == pytest.approx(1)
    assert measures["Vendi score of the questions"]([0, 1]) == pytest.approx(2)
    assert measures["Vendi score of the questions"]([1, 2]) == pytest.approx(1)
    assert measures["distinct-2 of the questions"]([1, 2]) == distinct_n([words(copy.question), words(other.question)], 2)
    assert measures["distinct-2 of the answers"]([3]) is None


def test_without_vectors_there_is_no_distance() -> None:
    """What words say is there."""
    assert list(set_measures(a_side(embedder=None), [0, 1, 2])) == [
        *(f"distinct-{n} of the {field}" for field in ("questions", "answers") for n in (1, 2, 3)),
        "answers with a near-copy",
    ]
