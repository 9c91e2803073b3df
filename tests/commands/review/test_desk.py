"""Rows for windows and choices for the disk: what is shown when, what is hidden, what is taken back, who was quicker."""

import json
from pathlib import Path
from typing import Any

import pytest

from skills_dspy.base.errors import RequestError
from skills_dspy.commands.review.desk import Conflict, ReviewDesk
from skills_dspy.commands.review.opening import open_review
from skills_dspy.store.reviews import read_reviews
from skills_dspy.store.run_dir import RunPaths
from tests.helpers.exporting import a_record, some_records, write_run

HOSTILE = "<img src=x onerror=alert(1)>\u202eevil\x1b[2J</script><b>"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run of four rows, one with a context."""
    return write_run(tmp_path, some_records(4))


def desk_of(folder: Path) -> ReviewDesk:
    """Opens it, as a new process does."""
    return open_review(folder, "newest", lambda: "2026-11-27T10:00:00+00:00").desk


def say(desk: ReviewDesk, shown: dict[str, Any], verdict: str, window: str = "w", **more: Any) -> dict[str, Any]:
    """A choice about what a window shows."""
    return desk.choose(window, {"id": shown["row"]["id"], "known": shown["row"]["known"], "verdict": verdict, **more})


def test_what_the_judges_said_is_hidden_until_one_chose(folder: Path) -> None:
    """Nothing of a row tells what became of it; after the choice all of it is told."""
    desk = desk_of(folder)
    shown = desk.next("w")
    told = json.dumps(shown)
    assert not [word for word in ("Right.", "Clear.", "accepted", "rating", "explanation", "last") if word in told]
    assert shown["row"]["description"] == "Knowing foxes."
    skipped = say(desk, shown, "skip")
    assert "last" not in skipped  # it comes again
    shown = skipped
    last = say(desk, shown, "accept")["last"]
    assert (last["id"], last["fate"]) == (shown["row"]["id"], "accepted it")
    assert [(one["judge"], one["label"], one["passed"]) for one in last["judges"]] == [
        ("judge_question", "1", True),
        ("instruction_quality", "good", True),
        ("judge_pair", "3", True),
        ("sample_quality", "5", True),
    ]


def test_a_choice_is_on_the_disk_before_the_next_row_shows(folder: Path) -> None:
    """And who stops goes on there, with what was skipped in the end."""
    desk = desk_of(folder)
    first = desk.next("w")
    second = say(desk, first, "skip")
    third = say(desk, second, "reject", about="answer", reason="wrong fact")
    assert [review.verdict for review in read_reviews(RunPaths(folder))] == ["skip", "reject"]
    assert third["progress"] == {"rows": 4, "done": 1, "skipped": 1, "reject": 1}
    again = desk_of(folder)
    seen = [again.next("v")]
    for _ in range(3):
        seen.append(say(again, seen[-1], "accept", "v"))
    assert [shown["row"] and shown["row"]["id"] for shown in seen] == [
        third["row"]["id"],
        seen[1]["row"]["id"],
        first["row"]["id"],
        None,
    ]
    assert seen[-1]["progress"] == {"rows": 4, "done": 4, "skipped": 0, "reject": 1, "accept": 3}
    assert again.counts() == {"reject": 1, "accept": 3}


def test_an_edit_keeps_both_texts(folder: Path) -> None:
    """As they were typed, but for the line breaks that browsers send."""
    desk = desk_of(folder)
    shown = desk.next("w")
    say(desk, shown, "edit", instruction="New?\r\nOr not?", response="Old.", note="no part of an edit")
    (review,) = read_reviews(RunPaths(folder))
    assert (review.instruction, review.response, review.note) == ("New?\nOr not?", "Old.", "")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"verdict": "reject"}, "a rejection says what is wrong, and why"),
        ({"verdict": "reject", "about": "answer", "reason": "bad"}, "'bad' is no reason against the answer"),
        ({"verdict": "edit", "instruction": "", "response": "A"}, "an edited row has a question"),
        ({"verdict": "edit", "instruction": "Q", "response": ""}, "an edited row has an answer where it had one"),
        ({"verdict": "edit"}, "an edited row has a question"),
        ({"verdict": "undo"}, "no choice that can be made here"),
        ({"verdict": "reject", "about": "answer", "note": 3}, "no choice that can be made here"),
        ({"verdict": "edit", "instruction": "Q" * 300_000, "response": "A"}, "no choice that can be made here"),
        ({"verdict": "nothing"}, "Input should be"),
        ({"id": "0" * 16}, "no such row"),
    ],
)
def test_half_a_choice_is_refused(folder: Path, said: dict[str, Any], why: str) -> None:
    """In a sentence; nothing is written."""
    desk = desk_of(folder)
    row = desk.next("w")["row"]
    with pytest.raises(RequestError, match=why):
        desk.choose("w", {"id": row["id"], "known": 0, **said})
    with pytest.raises(RequestError, match="nothing was changed"):
        desk.choose(
            "w",
            {
                "id": row["id"],
                "known": 0,
                "verdict": "edit",
                "instruction": row["raw"]["question"],
                "response": row["raw"]["answer"],
            },
        )
    assert not RunPaths(folder).reviews.exists()


def test_undo_goes_back_through_the_windows_own_choices_and_then_earlier_ones(folder: Path) -> None:
    """Each row shows again; the file only grows, and another window's choices stay."""
    before = desk_of(folder)
    old = before.next("w")
    say(before, old, "accept")
    desk = desk_of(folder)
    first = desk.next("w")
    other = desk.next("v")
    say(desk, first, "accept")
    say(desk, other, "accept", "v")
    assert desk.undo("w")["row"]["id"] == first["row"]["id"]
    assert desk.undo("w")["row"]["id"] == old["row"]["id"]
    with pytest.raises(RequestError, match="nothing to take back"):
        desk.undo("w")
    assert desk.undo("v")["row"]["id"] == other["row"]["id"]
    assert [review.verdict for review in read_reviews(RunPaths(folder))] == ["accept"] * 3 + ["undo"] * 3
    assert "last" not in desk.next("w")


def test_two_windows_show_two_rows(folder: Path) -> None:
    """Until only one is left, and then who is slower is told what the other chose, and may insist."""
    desk = desk_of(folder)
    one, two = desk.next("one"), desk.next("two")
    assert one["row"]["id"] != two["row"]["id"]
    assert desk.next("one")["row"]["id"] == one["row"]["id"]  # the page was loaded again
    one = say(desk, one, "accept", "one")
    one = say(desk, one, "accept", "one")
    one = say(desk, one, "accept", "one")
    assert one["row"]["id"] == two["row"]["id"]
    say(desk, one, "accept", "one")
    with pytest.raises(Conflict, match="another window accepted this row while it was open here") as slower:
        say(desk, two, "reject", "two", about="question", reason="unsafe")
    assert desk.counts() == {"accept": 4}
    two["row"]["known"] = slower.value.known
    say(desk, two, "reject", "two", about="question", reason="unsafe")
    assert desk.counts() == {"accept": 3, "reject": 1}


def test_who_was_slower_may_skip_and_changes_nothing(folder: Path) -> None:
    """As the sentence about it says: what the other window chose stands, and an undo does not reach it."""
    desk = desk_of(folder)
    mine = desk.next("one")
    say(desk, mine, "accept", "two")
    with pytest.raises(Conflict, match="or skip it") as slower:
        say(desk, mine, "reject", "one", about="question", reason="unsafe")
    mine["row"]["known"] = slower.value.known
    shown = say(desk, mine, "skip", "one")
    assert shown["row"]["id"] != mine["row"]["id"]
    assert shown["progress"] == {"rows": 4, "done": 1, "skipped": 0, "accept": 1}
    with pytest.raises(RequestError, match="nothing to take back"):
        desk.undo("one")
    assert [review.verdict for review in read_reviews(RunPaths(folder))] == ["accept"]


@pytest.mark.parametrize("from_before", [False, True])
def test_undo_leaves_what_another_window_said_since(folder: Path, from_before: bool) -> None:
    """It says so, and the next undo goes on with the choices before, those of earlier processes included."""
    first = say(desk_of(folder), desk_of(folder).next("w"), "accept")["last"]["id"]
    old = desk_of(folder)
    mine = old.next("one")
    say(old, mine, "accept", "one")
    desk = desk_of(folder) if from_before else old
    mine["row"]["known"] = 1
    say(desk_of(folder), mine, "reject", "two", about="question", reason="unsafe")
    with pytest.raises(RequestError, match="Not taken back: another window rejected that row since") as told:
        desk.undo("one")
    assert not isinstance(told.value, Conflict)  # it is not about the row that is open
    assert desk.counts() == {"accept": 1, "reject": 1}
    assert desk.undo("one")["row"]["id"] == first
    assert desk.counts() == {"reject": 1}


def test_what_somebody_else_took_back_is_passed_over(folder: Path) -> None:
    """Undo goes on with the choices from before, in one step."""
    first = say(desk_of(folder), desk_of(folder).next("w"), "accept")["last"]["id"]
    desk = desk_of(folder)
    say(desk, desk.next("w"), "accept")
    desk_of(folder).undo("v")
    assert desk.undo("w")["row"]["id"] == first


def test_two_processes_on_one_run_know_of_one_another(folder: Path) -> None:
    """What one has decided the other does not show."""
    one, two = desk_of(folder), desk_of(folder)
    ids = [say(one, one.next("w"), "accept")["last"]["id"], two.next("w")["row"]["id"]]
    assert len(set(ids)) == 2
    assert two.next("w")["progress"]["done"] == 1


def test_texts_are_shown_as_texts(tmp_path: Path) -> None:
    """What would act on a reader is an escape in what is shown; what is edited is the text itself."""
    folder = write_run(tmp_path, [a_record(question=HOSTILE, answer="A\nB")])
    row = desk_of(folder).next("w")["row"]
    assert row["shown"]["question"] == "<img src=x onerror=alert(1)>\\u202eevil\\x1b[2J</script><b>"
    assert row["raw"]["question"] == HOSTILE
    assert row["shown"]["answer"] == "A\nB"
