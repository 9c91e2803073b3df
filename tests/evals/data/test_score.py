"""The score of a dataset: every part of it, what is left out and said to be, and the same bytes each time."""

import json
from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.data.rows import Row
from evals.data.score import DatasetScore, score
from evals.figures.tables import as_json
from tests.helpers.making import there
from tests.helpers.scored import a_line, a_material, a_run, a_seed, by_first_word, rows_of

SEEDS = [a_seed("What is a fox?", "An animal of the wood."), a_seed("Who runs?", "The fox runs.")]
PARTS = [field.name.rstrip("_") for field in fields(DatasetScore)]


def ours(count: int) -> list[Row]:
    """Rows of a run."""
    return rows_of(*(a_line(f"What is fox {n}?", f"Fox number {n}.") for n in range(count)))


# ---- the parts -------------------------------------------------------------------------------------------------------


def test_a_run_has_all_parts() -> None:
    """Yield, ratings, diversity, novelty, coverage, lengths, languages."""
    found = score(a_material(ours(3), SEEDS, run=a_run(3, {("dedup", "duplicate"): 1})))
    assert (found.rows, found.sample, found.candidates, found.status) == (3, 3, 4, "complete")
    assert (found.yield_[0].stage, found.yield_[0].went_on) == ("dedup", 3)
    assert found.ratings["pair_verdict"].mean == 3
    assert found.novelty is not None
    assert [part.shown for part in there(found.coverage).seeds] == [3, 0]
    assert found.words["question"].median == 4
    assert "context" not in found.words
    assert found.notes == ()
    assert list(as_json(found)) == PARTS


def test_near_copies_and_repetitions_are_shares() -> None:
    """Of the answers that are long enough, and of all questions."""
    answer = "A bird that is found in the wood and the town."
    rows = [Row("What is a rook?", answer), Row("What is a rook!", answer[:-1]), Row("Who sings?", "The jay."), Row("?", "!")]
    found = score(a_material(rows))
    assert found.near_copies_of_answers == 1
    assert found.repeated_questions == pytest.approx(1 / 4)
    assert score(a_material([*rows, Row("!", "?"), Row("?", "!", "A text.")])).repeated_questions == pytest.approx(1 / 6)
    assert score(a_material(rows[2:])).near_copies_of_answers is None


def test_languages_are_counted_for_questions_and_answers() -> None:
    """The most frequent first."""
    rows = [Row(f"{language} and some more words that it can be told by", "Yes.") for language in ("fr", "en", "fr")]
    found = score(a_material(rows, classify=by_first_word))
    assert dict(found.languages["question"]) == {"fr": 2, "en": 1}
    assert dict(found.languages["answer"]) == {"too short to tell": 3}


# ---- what is left out ------------------------------------------------------------------------------------------------


def test_a_sample_is_said_to_be_one() -> None:
    """What is cheap is of all rows."""
    found = score(a_material(ours(30), SEEDS, run=a_run(30), sample=7))
    assert (found.rows, found.sample) == (30, 7)
    assert found.ratings["pair_verdict"].counts[3] == 30
    assert sum(part.nearest for part in there(found.coverage).seeds) == 7
    assert sum(found.languages["question"].values()) == 7
    assert found.notes == (
        "Diversity, novelty, nearest seeds and languages are measured on 7 of the 30 rows, drawn by the seed.",
    )


def test_without_vectors_words_have_to_do() -> None:
    """And it is said."""
    found = score(a_material(ours(3), SEEDS, run=a_run(3), embedder=None))
    assert (found.diversity.mean_nearest_distance, found.diversity.vendi, found.embedder) == (None, None, None)
    assert there(found.novelty).question_cosine is None
    assert there(found.coverage).nearest_by == "ROUGE-L"
    assert found.notes == (
        "Distances, the Vendi score and cosines are left out, and the nearest seed is the one by ROUGE-L: "
        "no vectors were wanted.",
    )


def test_a_run_without_rows_has_its_yield() -> None:
    """Which says what became of all."""
    found = score(a_material([], SEEDS, run=a_run(0, {("judge_question", "judged bad"): 9})))
    assert found.yield_[-1].went_on == 0
    assert (found.words, found.novelty, found.coverage, found.repeated_questions) == ({}, None, None, None)
    assert found.notes == ("There is no accepted row, so there is nothing else to score.",)
    json.dumps(as_json(found), allow_nan=False)


def test_a_yield_that_is_not_of_these_rows_is_said_to_be_older() -> None:
    """The run went on, or somebody took lines out."""
    (note,) = score(a_material(ours(3), SEEDS, run=a_run(2))).notes
    assert note == "The yield is older than the rows: run.json counts 2 accepted rows, and 3 are there now."


# ---- promises --------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.text(min_size=1), st.text(min_size=1), st.none() | st.text(min_size=1)), max_size=6))
@settings(max_examples=30, deadline=None)
def test_whatever_rows_hold_the_score_is_json_and_the_same_each_time(texts: list[tuple[str, str, str | None]]) -> None:
    """No text breaks it, and no number is none."""
    rows = [Row(f"q{question}", f"a{answer}", context and f"c{context}") for question, answer, context in texts]
    first, second = (json.dumps(as_json(score(a_material(rows, SEEDS))), allow_nan=False) for _ in range(2))
    assert first == second
    assert list(json.loads(first)) == PARTS


def test_the_same_words_are_no_repetition_where_signs_or_case_differ() -> None:
    """A full stop more is one."""
    asked = ("Convert 10 Mb to kB", "Convert 10 MB to kB", "Compute 5 + 3.", "Compute 5 - 3.", "Compute 5 - 3 .")
    assert score(a_material([Row(question, "x") for question in asked])).repeated_questions == pytest.approx(1 / 5)


def test_near_copies_are_found_in_scripts_without_spaces() -> None:
    """By characters, where a phrase is one word to readers of English; short answers may be alike."""
    answer = "กาแฟเริ่มจากเอธิโอเปีย แล้วแพร่ไปยังเยเมนและทั่วโลก"
    others = "สายน้ำไหลเย็น เห็นเงาจันทร์ลอยอยู่เหนือหลังคาบ้าน", "วางใกล้หน้าต่างและรดน้ำเมื่อดินแห้งทุกสองวัน"
    rows = [Row(f"{n}?", text) for n, text in enumerate((answer, answer.replace("ทั่วโลก", "ทั่วทั้งโลก"), *others, "ใช่", "ใช่"))]
    assert score(a_material(rows)).near_copies_of_answers == pytest.approx(1 / 2)
