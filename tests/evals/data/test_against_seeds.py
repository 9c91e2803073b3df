"""Rows against the seeds: the nearest seed by cosine or ROUGE-L, how near it is, and whether one seed dominates."""

import math
from collections.abc import Sequence
from typing import Any

import pytest

from evals.data.against_seeds import Nearest, coverage_of, find_nearest, likeness_of
from evals.data.rows import Row
from evals.data.text import rouge_l
from evals.figures.tables import as_json
from skills_dspy.base.records import SeedExample
from tests.helpers.making import there
from tests.helpers.scored import a_material, a_seed, around

FOX, JAY = a_seed("What is a fox?", "A fox is an animal."), a_seed("How does a jay sing?", "Not at all well.")


def nearest_of(rows: list[Row], seeds: Sequence[SeedExample] = (FOX, JAY), **how: Any) -> Nearest:
    """The nearest seeds of these rows."""
    return there(find_nearest(a_material(rows, seeds, **how)))


def test_the_nearest_seed_is_the_one_with_the_largest_cosine() -> None:
    """Even if another one has more words in common; each measure is the largest over all seeds."""
    copy = nearest_of([Row(JAY.question, JAY.answer)])
    assert (copy.seeds, copy.by, copy.question_rouge, copy.answer_rouge) == ((1,), "cosine", (1.0,), (1.0,))
    rows = [Row("How does a fox sing?", "A fox.")]
    found = nearest_of(rows, vectors=around(0), seed_vectors=around(0, 1))
    assert (found.seeds, found.cosine) == ((0,), (1.0,))
    assert found.question_rouge[0] == pytest.approx(rouge_l(rows[0].question, JAY.question))
    assert found.answer_rouge[0] == pytest.approx(rouge_l("A fox.", FOX.answer))


def test_without_vectors_words_say_which_seed_is_nearest() -> None:
    """And that is said; the first of equally near ones."""
    found = nearest_of([Row("How does a jay fly?", "b"), Row("Nothing alike", "b")], embedder=None)
    assert (found.by, found.cosine, found.seeds) == ("ROUGE-L", None, (1, 0))
    assert found.question_rouge[1] == 0


def test_with_contexts_question_and_context_count_half_each() -> None:
    """The same question on another passage is only half a copy."""
    seeds = [a_seed("Who runs?", "The fox.", "The fox runs home."), a_seed("Who sings?", "Nobody.")]
    rows = [
        Row("Who runs?", "b", "The fox runs home."),
        Row("Who runs?", "b", "Ships sail east."),
        Row("Who runs?", "b"),
        Row("Who runs?", "b", "The fox runs away."),
    ]
    assert nearest_of(rows, seeds, embedder=None).question_rouge == (1.0, 0.5, 0.5, 0.5 + 0.75 / 2)


def test_without_seeds_or_rows_there_is_nothing_to_say() -> None:
    """None, not zero."""
    assert find_nearest(a_material([Row("a", "b")])) is None
    assert find_nearest(a_material([], [FOX])) is None


def test_novelty_is_the_mean_and_the_share_from_each_bound() -> None:
    """A bound that is reached counts."""
    found = likeness_of(Nearest((0.5, 0.7, 0.0, 1.0), (0.0, 0.0, 0.0, 0.4), (0.8, 0.9, 0.95, -0.2), (0, 0, 0, 0), "cosine"))
    assert as_json(found) == {
        "question_cosine": {"mean": 0.6125, "share_from": {"0.8": 0.75, "0.9": 0.5}},
        "question_rouge_l": {"mean": 0.55, "share_from": {"0.5": 0.75, "0.7": 0.5}},
        "answer_rouge_l": {"mean": 0.1, "share_from": {"0.5": 0.0, "0.7": 0.0}},
    }
    assert likeness_of(Nearest((0.5,), (0.5,), None, (0,), "ROUGE-L")).question_cosine is None


def test_coverage_counts_who_is_nearest_and_who_was_shown() -> None:
    """Seeds by their place; accepted rows that were shown are no seeds, and a seed shown twice in a prompt counts once."""
    rows = [Row(FOX.question, "b", shown=("seed:1", "abc", "seed:1")), Row(FOX.question, "b", shown=("seed:1", "seed:0"))]
    rows += [Row(JAY.question, "b", shown=())]
    material = a_material(rows, [FOX, JAY, a_seed("Never near?")])
    nearest = there(find_nearest(material))
    content = as_json(coverage_of(material, nearest))
    assert [(seed["nearest"], seed["shown"]) for seed in content["seeds"]] == [(2, 1), (1, 2), (0, 0)]
    assert content["seeds"][1] == {"seed": "seed:1", "question": JAY.question, "nearest": 1, "shown": 2}
    assert content["evenness"] == round((2 / 3 * math.log(1.5) + 1 / 3 * math.log(3)) / math.log(3), 4)


def test_who_was_shown_is_not_known_of_a_file() -> None:
    """It is not 0."""
    material = a_material([Row(FOX.question, "b")], [FOX])
    nearest = there(find_nearest(material))
    found = coverage_of(material, nearest)
    assert (found.shown_evenness, found.evenness) == (None, None)
    assert as_json(found.seeds) == [{"seed": "seed:0", "question": FOX.question, "nearest": 1, "shown": None}]
