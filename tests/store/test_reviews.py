"""reviews.jsonl: what counts in the end, that nothing is lost by anybody, and what a broken file says."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from stat import S_ISREG

import pytest
from filelock import FileLock

from skills_dspy.base.errors import RunDirError, StorageError
from skills_dspy.store.reviews import Review, ReviewLog, read_reviews, review_place, standing, text_mark, verdict_on
from skills_dspy.store.run_dir import RunPaths
from skills_dspy.store.run_json import RunJson
from tests.helpers.exporting import a_record, a_run_json, write_run


def a_review(row_id: str = "a" * 16, verdict: str = "accept", **more: object) -> Review:
    """A choice."""
    return Review.model_validate({"id": row_id, "text": text_mark(a_record(row_id)), "verdict": verdict, **more})


def test_the_last_choice_of_a_row_counts() -> None:
    """And nothing after it was taken back, however much was said before."""
    said = [
        a_review(),
        a_review("b" * 16, "skip"),
        a_review(verdict="edit", instruction="Q?", response="A"),
        a_review("c" * 16),
    ]
    assert {name: review.verdict for name, review in standing(said).items()} == {
        "a" * 16: "edit",
        "b" * 16: "skip",
        "c" * 16: "accept",
    }
    assert set(standing([*said, a_review(verdict="undo")])) == {"b" * 16, "c" * 16}


def test_a_review_is_of_the_text_that_was_read() -> None:
    """One of another text with the same id decides nothing, and one that was skipped is not decided."""
    row = a_record("a" * 16)
    assert verdict_on(standing([a_review()]), row) == a_review()
    assert verdict_on(standing([a_review()]), row.model_copy(update={"response": "Another."})) is None
    assert verdict_on(standing([a_review(verdict="skip")]), row) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"verdict": "reject"},
        {"verdict": "reject", "about": "answer", "note": "  "},
        {"verdict": "reject", "about": "answer", "reason": "too vague"},
        {"verdict": "edit", "instruction": " "},
        {"verdict": "perhaps"},
    ],
)
def test_half_a_choice_is_none(wrong: dict[str, object]) -> None:
    """A rejection says what is wrong and why, an edit has a text."""
    with pytest.raises(ValueError, match="Review"):
        a_review(**wrong)  # type: ignore[arg-type] # this is what is tried


def test_what_is_added_is_on_the_disk_and_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is seen to the disk before it is said to be kept, and only grows."""
    synced: list[os.stat_result] = []
    real = os.fsync

    def noted(number: int) -> None:
        synced.append(os.fstat(number))
        real(number)

    monkeypatch.setattr(os, "fsync", noted)
    paths, log = RunPaths(tmp_path), ReviewLog(RunPaths(tmp_path))
    before = b""
    for number, verdict in enumerate(("accept", "undo", "skip")):
        assert log.add(a_review(verdict=verdict, note="ü\ud83e"), number) is None
        now = paths.reviews.read_bytes()
        assert now.startswith(before)
        assert [one.st_size for one in synced if S_ISREG(one.st_mode)][-1] == len(now)
        before = now
    # The folder, too, once its new name is in it.
    assert [one.st_ino == tmp_path.stat().st_ino for one in synced] == [False, True, False, False]
    assert [review.verdict for review in read_reviews(paths)] == ["accept", "undo", "skip"]
    assert read_reviews(RunPaths(tmp_path / "nowhere")) == ()


def test_two_windows_lose_nothing_of_one_another(tmp_path: Path) -> None:
    """Whoever knows less of a row than stands there is told what, and writes nothing; choices of other rows go together."""
    one, two = (ReviewLog(RunPaths(tmp_path)) for _ in range(2))
    assert one.add(a_review(), 0) is None
    said = two.add(a_review(verdict="reject", about="question", reason="unsafe"), 0)
    assert said == a_review()
    assert two.changes("a" * 16) == 1
    assert two.add(a_review(verdict="reject", about="question", reason="unsafe"), 1) is None
    assert [review.verdict for review in one.read()] == ["accept", "reject"]

    def many(window: int) -> None:
        log = ReviewLog(RunPaths(tmp_path / "many"))
        for number in range(10):
            assert log.add(a_review(f"{window}-{number}"), 0) is None

    (tmp_path / "many").mkdir()
    with ThreadPoolExecutor() as pool:
        list(pool.map(many, range(4)))
    assert len({review.id for review in read_reviews(RunPaths(tmp_path / "many"))}) == 40


def test_half_a_line_of_a_killed_process_is_no_choice(tmp_path: Path) -> None:
    """Nobody was told that it is kept; the next line takes its place. What a file of before held is forgotten with it."""
    paths, log = RunPaths(tmp_path), ReviewLog(RunPaths(tmp_path))
    log.add(a_review(), 0)
    with paths.reviews.open("ab") as file:
        file.write(b'{"id": "b')
    assert len(read_reviews(paths)) == 1
    assert log.add(a_review("c" * 16), 0) is None
    assert [review.id[0] for review in read_reviews(paths)] == ["a", "c"]
    paths.reviews.unlink()
    assert log.read() == ()
    assert log.add(a_review(), 0) is None


def test_a_full_disk_leaves_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the choice is not said to be kept."""
    paths, log = RunPaths(tmp_path), ReviewLog(RunPaths(tmp_path))
    log.add(a_review(), 0)
    before = paths.reviews.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match=r"cannot write .*reviews.jsonl: No space left on device"):
            log.add(a_review("b" * 16), 0)
    assert paths.reviews.read_bytes() == before


@pytest.mark.parametrize("line", ["[1]", "no", json.dumps({"id": "a", "text": "b", "verdict": "reject"})])
def test_a_broken_line_is_named(tmp_path: Path, line: str) -> None:
    """With its number."""
    paths = RunPaths(tmp_path)
    paths.reviews.write_text(a_review().model_dump_json() + f"\n{line}\n")
    with pytest.raises(RunDirError, match=r"reviews.jsonl:2: this is no review \("):
        read_reviews(paths)


def test_a_dataset_that_was_decided_anew_has_the_reviews_of_its_run(tmp_path: Path) -> None:
    """As long as that is there; else its own."""
    write_run(tmp_path / "runs")
    here = RunPaths(tmp_path / "runs" / "test" / "foxes-decided-12345678")
    for origin, wanted in (("../foxes", tmp_path / "runs" / "test" / "foxes"), ("../gone", here.folder)):
        run = RunJson.of({**a_run_json(), "decided": {"run": origin}})
        assert review_place(here, run).folder == wanted
    assert review_place(here, RunJson.of(a_run_json())) == here


def test_a_file_that_stays_locked_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while, and nothing is written."""
    monkeypatch.setattr("skills_dspy.store.reviews._PATIENCE", 0.0)
    paths = RunPaths(tmp_path)
    with FileLock(paths.reviews_lock), pytest.raises(RunDirError, match=r"another process keeps .*\.reviews\.lock locked"):
        ReviewLog(paths).add(a_review(), 0)
    assert not paths.reviews.exists()
