"""Collapse is named in words where it is there, and not where it is not or where the seeds are the same."""

import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.data.against_seeds import coverage_of, find_nearest
from evals.data.collapse import Collapse, find_collapse, near_copy_share
from evals.data.rows import Row
from evals.data.score import repeated_share
from skills_dspy.base.records import SeedExample
from tests.helpers.scored import a_material, a_run, a_seed, around, by_first_word

WORDS = [a + b + c for a in "bdfgklmnprst" for b in "aeiou" for c in ("n", "r", "lo", "mi", "st")]


def varied(count: int, seed: int = 0, *, start: str = "") -> list[Row]:
    """Rows of random words, with lengths that differ."""
    rng = random.Random(seed)
    return [
        Row(f"{start} {' '.join(rng.choices(WORDS, k=rng.randint(6, 20)))}".strip(), " ".join(rng.choices(WORDS, k=length)))
        for length in (rng.randint(10, 80) for _ in range(count))
    ]


def found_in(rows: Sequence[Row], seeds: Sequence[SeedExample] = (), **how: object) -> dict[str, Collapse]:
    """What has collapsed, by kind."""
    material = a_material(rows, seeds, **how)  # type: ignore[arg-type]
    nearest = find_nearest(material)
    coverage = None if nearest is None else coverage_of(material, nearest)
    findings = find_collapse(
        material, coverage, near_copy_share(material.answers), repeated_share(rows, material.questions) or 0.0
    )
    for finding in findings:
        passed = finding.value <= finding.limit if finding.kind == "falling diversity" else finding.value > finding.limit - 1e-9
        assert passed, finding
    return {finding.kind: finding for finding in findings}


# ---- where nothing has collapsed -------------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.integers(0, 260))
@settings(max_examples=settings().max_examples // 3, deadline=None)
def test_varied_rows_have_not_collapsed(seed: int, count: int) -> None:
    """Nothing is said of them, with seeds or without."""
    rows = varied(count, seed)
    seeds = [a_seed(row.question, row.answer) for row in varied(5, seed + 1)]
    assert found_in(rows) == {}
    assert found_in(rows, seeds) == {}


def test_of_few_rows_nothing_is_said() -> None:
    """Twenty are needed."""
    assert found_in([Row("What is a fox?", "It is an animal of the wood and it runs.")] * 19) == {}
    assert set(found_in([Row("What is a fox?", "It is an animal of the wood and it runs.")] * 20)) == {
        "opening of questions",
        "opening of answers",
        "near-copies",
        "repeated questions",
    }


# ---- openings --------------------------------------------------------------------------------------------------------


def test_residue_is_counted_however_few_the_rows_are() -> None:
    """The first is named, with what is wrong; what the seeds have belongs to the skill."""
    rows = [Row("Why?", "So."), Row("How?", "<think>Hm.</think>So."), Row("Who?", "So.", "A text.</s>")]
    found = found_in(rows)["residue"]
    said = "2 of 3 rows hold what a machine leaves behind; the first is row 2: its answer has a block of thinking: <think>"
    assert (found.sentence, round(found.value, 3)) == (said, 0.667)
    assert found_in(rows[:2], [a_seed("How?", "<think>Well.</think>Yes.")]) == {}


def test_the_sentence_of_the_issue() -> None:
    """62 of the last 100 accepted questions begin alike; how the first 50 began does not matter."""
    rows = [*varied(50), *varied(38, 1), *varied(62, 2, start="Write a debate between")]
    found = found_in(rows, run=a_run(150))
    assert list(found) == ["opening of questions"]
    assert found["opening of questions"].sentence == (
        "62% of the last 100 accepted questions start with the same four words (write a debate between)"
    )
    assert found["opening of questions"].as_json()["value"] == 0.62
    assert found_in([*varied(62, 2, start="Write a debate between"), *varied(100)]) == {}


@pytest.mark.parametrize(("share", "named"), [(39, False), (40, True)])
def test_an_opening_is_named_from_its_bound_on(share: int, named: bool) -> None:
    """And in a file nobody has accepted anything."""
    rows = [*varied(100 - share), *varied(share, 2, start="Write a debate between")]
    found = found_in(rows)
    assert bool(found) == named
    if named:
        assert found["opening of questions"].sentence.startswith("40% of the 100 questions start with")


def test_an_opening_of_the_seeds_is_what_was_asked_for() -> None:
    """It is named only where the rows have it much more often than the seeds."""
    rows = [*varied(40), *varied(60, 2, start="Write a debate between")]
    others = [a_seed(row.question, row.answer) for row in varied(5, 3)]
    own = [a_seed(row.question, row.answer) for row in varied(5, 4, start="Write a debate between")]
    assert "opening of questions" in found_in(rows, others)
    assert "opening of questions" in found_in(rows, [*others[:3], *own[:2]])
    assert "opening of questions" not in found_in(rows, [*others[:2], *own[:3]])


def test_openings_of_answers_count_too() -> None:
    """As an AI language model, ..."""
    rows = [Row(row.question, f"As an AI language model, {row.answer}") for row in varied(30)]
    assert found_in(rows)["opening of answers"].sentence == (
        "100% of the 30 answers start with the same four words (as an ai language)"
    )


# ---- copies ----------------------------------------------------------------------------------------------------------


def copied(rows: list[Row], count: int) -> list[Row]:
    """The first answers again, but for one word, with questions of their own."""
    others = varied(count, 77)
    return [*rows, *(Row(other.question, f"{row.answer} yes") for row, other in zip(rows, others, strict=False))]


def test_near_copies_of_answers_are_named() -> None:
    """An answer and its copy both have one."""
    found = found_in(copied(varied(80), 10))
    assert list(found) == ["near-copies"]
    assert found["near-copies"].sentence.startswith("22% of the answers are near-copies of another answer")
    assert found_in(copied(varied(100), 4)) == {}


def test_a_few_long_answers_among_labels_do_not_speak_for_all() -> None:
    """Two copies beside 98 labels are nothing; and of enough long ones it is said how many they are."""
    labels = [Row(row.question, "Yes, it is.") for row in varied(98)]
    longs = varied(30, 5)
    twice = [Row(row.question, longs[0].answer) for row in varied(2, 9)]
    assert "near-copies" not in found_in([*labels, *twice])
    assert "near-copies" not in found_in(labels)
    found = found_in([*labels, *longs, *(Row(row.question, longs[0].answer) for row in varied(9, 9))])
    assert found["near-copies"].sentence.startswith("26% of the 39 answers of 8 words or more are near-copies")


def test_a_skill_cast_in_one_mould_has_no_copies() -> None:
    """Where the seeds' own answers are alike, those of the rows may be."""
    mould = "The word that was asked for is to be found in line number {} of the text"
    seeds = [a_seed(row.question, mould.format(n)) for n, row in enumerate(varied(5, 5))]
    rows = [Row(row.question, mould.format(n + 50)) for n, row in enumerate(varied(60))]
    assert "near-copies" in found_in(rows)
    assert "near-copies" not in found_in(rows, seeds)


def test_repeated_questions_are_named() -> None:
    """Word for word, whatever the case and the signs; on another context they are no repetition."""
    rows = varied(95)
    again = [Row(f"{row.question.upper()}?!", other.answer) for row, other in zip(rows[:5], varied(5, 9), strict=True)]
    assert found_in([*rows, *again])["repeated questions"].sentence == (
        "5% of the questions repeat an earlier one word for word, about the same context if it has one"
    )
    grounded = [Row(row.question, row.answer, f"passage {n}") for n, row in enumerate([*rows, *again])]
    assert found_in(grounded) == {}


# ---- seeds -----------------------------------------------------------------------------------------------------------


def nearest_to(*seeds: int, count: int = 5) -> dict[str, Collapse]:
    """Rows near these seeds, of so many."""
    own = [a_seed(row.question, row.answer) for row in varied(count, 8)]
    vectors = around(*seeds, spread=0.05)
    return found_in(varied(len(seeds)), own, vectors=vectors, seed_vectors=around(*range(count)))


def test_a_seed_that_dominates_is_named() -> None:
    """With its number, its question and its share."""
    found = nearest_to(*[3] * 18, *[0, 1, 2, 4] * 3)
    assert list(found) == ["one seed"]
    assert found["one seed"].sentence.startswith("one seed dominates: 60% of the rows are nearest to seed:3 (")
    assert found["one seed"].sentence.endswith("), one of 5 seeds")


def test_seeds_with_even_parts_are_not_named() -> None:
    """Nor a seed with a bit more than the others, nor one of two."""
    assert nearest_to(*[0, 1, 2, 3, 4] * 6) == {}
    assert nearest_to(*[3] * 14, *[0, 1, 2, 4] * 4) == {}
    assert nearest_to(*[0] * 25, *[1] * 5, count=2) == {}
    assert nearest_to(*[0] * 19, *[1, 2] * 6, count=3) == {}  # 61 %, less than twice a third


# ---- along the run ---------------------------------------------------------------------------------------------------


def test_falling_diversity_is_named() -> None:
    """The last third lies much closer together than the first."""
    wide, narrow = around(*range(60), dimension=200), around(*[100] * 60, spread=0.03, dimension=200)
    middle = around(*range(60, 120), dimension=200)
    rows = varied(180)
    found = found_in(rows, vectors=around(*range(180), dimension=200))
    assert found == {}
    found = found_in(rows, vectors=np.vstack([wide, middle, narrow]))
    assert list(found) == ["falling diversity"]
    assert found["falling diversity"].sentence.startswith(
        "diversity falls: the mean distance to the nearest other question is 2.000 in the first third of the rows and 0."
    )
    assert found_in(rows, vectors=np.vstack([narrow, middle, wide])) == {}
    assert found_in(rows[:120], vectors=np.vstack([wide[:40], middle[:40], narrow[:40]])) == {}


def test_one_length_is_named() -> None:
    """Nearly all answers have it, and those of the seeds have not."""
    rng = random.Random(1)
    rows = [Row(row.question, " ".join(rng.choices(WORDS, k=100 + n % 5))) for n, row in enumerate(varied(50))]
    found = found_in(rows)
    assert list(found) == ["one length"]
    assert found["one length"].sentence == "100% of the answers have one length, within 5% of 102 words"
    assert found_in(rows, [a_seed(row.question, row.answer) for row in rows[:5]]) == {}
    assert found_in([Row(row.question, row.answer[:40].replace(" ", "")) for row in rows]) == {}


# ---- languages -------------------------------------------------------------------------------------------------------


def spoken(*languages: str) -> list[Row]:
    """Questions whose first word is their language, with enough letters to be told; answers in English."""
    return [
        Row(f"{language} {row.question} and so on and so on", f"en {row.answer} and so on")
        for language, row in zip(languages, varied(len(languages)), strict=True)
    ]


def seeds_in(*languages: str) -> list[SeedExample]:
    """Seeds likewise."""
    return [a_seed(row.question, row.answer) for row in spoken(*languages)]


def test_a_language_that_no_seed_has_is_named() -> None:
    """Of questions and answers each for itself."""
    rows = spoken(*["en"] * 60, *["fr"] * 20)
    found = found_in(rows, seeds_in("en", "en"), classify=by_first_word)
    assert list(found) == ["language of questions"]
    assert found["language of questions"].sentence == "25% of the questions are in a language that no seed has (French)"


@pytest.mark.parametrize(
    ("languages", "seeds"),
    [
        (["en"] * 60 + ["fr"] * 20, ["en", "fr"]),  # a seed has it
        (["en"] * 60 + ["fr"] * 20, ["en"]),  # of one seed the language is hardly known
        (["en"] * 70 + ["fr"] * 10, ["en", "en"]),  # wrong guesses
        (["fr", "en", "en"] * 60, ["en", "fr"]),  # as mixed at the end as it was
    ],
)
def test_what_seeds_explain_or_chance_is_not_named(languages: list[str], seeds: list[str]) -> None:
    """Wrong guesses and languages that were asked for."""
    assert found_in(spoken(*languages), seeds_in(*seeds), classify=by_first_word) == {}


def test_a_language_that_takes_over_is_named() -> None:
    """From the first third to the last, even one of the seeds."""
    rows = spoken(*["en", "fr"] * 60, *["fr"] * 60)
    found = found_in(rows, seeds_in("en", "fr"), classify=by_first_word)
    assert list(found) == ["rising language of questions"]
    assert found["rising language of questions"].sentence == (
        "one language takes over: 50% of the questions are French in the first third of the rows, 100% in the last"
    )
