"""The page as a person meets it: in a browser, by its keys, in two windows; nothing of a text acts there."""

import os
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from skills_dspy.base.visible import visible
from skills_dspy.commands.review.desk import ReviewDesk
from skills_dspy.commands.review.opening import open_review
from skills_dspy.commands.review.server import opened
from skills_dspy.store.reviews import Review, read_reviews
from skills_dspy.store.run_dir import RunPaths
from tests.helpers.browsing import Tabs, browsing, need_browser
from tests.helpers.exporting import a_record, some_records, write_run

pytestmark = pytest.mark.block_network(allowed_hosts=["127.0.0.1"])

SOON = 5_000  # milliseconds
HOSTILE = (
    "<script>window.acted=1</script>",
    "<img src=http://evil.example/x onerror='window.acted=1'>",
    "</textarea></div><svg onload='window.acted=1'>",
    "<iframe srcdoc='<script>parent.acted=1</script>'></iframe>",
    "<style>*{display:none}</style><link rel=stylesheet href=http://evil.example/a.css>",
    "<meta http-equiv=refresh content='0;url=http://evil.example'><base href=http://evil.example/>",
    "\u202eevil\u2066 \x1b[2J & &lt;b&gt; ${window.acted=1}",
)


@pytest.fixture(scope="module")
def tabs() -> Iterator[Tabs]:
    """Headless Chromium."""
    need_browser()
    with browsing() as tabs:
        yield tabs


class Window:
    """A window on a run, with what it asked for and what it complained of."""

    def __init__(self, tabs: Tabs, address: str, number: int, **how: Any) -> None:
        self.address, self._tabs = address, tabs
        self.page, self.asked, self.said = tabs.opened(address, number, **how)
        self.page.wait_for_selector("#row:not([hidden])", timeout=SOON)

    def stop_clock(self) -> None:
        """Its time goes on only when it is told to."""
        self._tabs.stop_clock(self.page, 1000)

    def press(self, *keys: str, then: str) -> None:
        """Press keys one after the other, and wait until the line of counts ends with a text."""
        for key in keys:
            self.page.keyboard.press(key)
        self.page.locator("#counts", has_text=re.compile(f"{re.escape(then)}$")).wait_for(timeout=SOON)

    @property
    def question(self) -> str:
        """What it shows."""
        return self.page.locator("#question").text_content() or ""


@pytest.fixture
def windows(tabs: Tabs) -> Iterator[Callable[..., Any]]:
    """Opens so many windows on a run."""
    ends: list[Callable[[], object]] = []

    def open_windows(folder: Path, count: int = 1, **how: Any) -> list[Window]:
        made = opened(open_review(folder, "newest", lambda: "now").desk, 0)
        server = made.__enter__()
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        ends.extend([server.shutdown, thread.join, server.server_close])
        return [Window(tabs, server.door.address, number, **how) for number in range(count)]

    yield open_windows
    tabs.leave()
    for end in ends:
        end()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Choices and undos come no further than here while it is cleared, as on a slow disk."""
    gate = threading.Event()
    gate.set()

    def behind(act: Callable[..., Any]) -> Callable[..., Any]:
        def wait_and_act(*said: Any) -> Any:
            assert gate.wait(SOON / 1000)
            return act(*said)

        return wait_and_act

    for name in ("choose", "undo"):
        monkeypatch.setattr(ReviewDesk, name, behind(getattr(ReviewDesk, name)))
    return gate


def said_in(folder: Path) -> list[Review]:
    """What is on the disk."""
    return list(read_reviews(RunPaths(folder)))


def verdicts_in(folder: Path) -> list[str]:
    """What was chosen, in its order."""
    return [review.verdict for review in said_in(folder)]


def test_all_keys_do_what_they_say(windows: Callable[..., Any], tmp_path: Path) -> None:
    """Accept, reject by a key and in words, edit, skip, undo; what the judges said shows after the choice alone."""
    folder = write_run(tmp_path, some_records(5))
    (window,) = windows(folder, width=400, height=800, scheme="dark")
    page = window.page
    assert page.is_hidden("#last")
    window.press("a", then="1 of 5 looked at: 1 accepted")
    assert "judge_pair: 3 passed. Right." in page.inner_text("#last")
    window.press("r", *"aresu", "b", then="2 of 5 looked at: 1 accepted, 1 rejected")  # what means something else is no reason
    assert len({box["y"] for button in page.locator("#keys button").all() if (box := button.bounding_box())}) == 1
    window.press("r", "Escape", "r", "/", "a", "s", "Enter", then="3 of 5 looked at: 1 accepted, 2 rejected")
    page.keyboard.press("e")
    page.fill("#new-answer", "Edited\nby hand.")
    window.press("Control+Enter", then="4 of 5 looked at: 1 accepted, 2 rejected, 1 edited")
    window.press("s", then="1 skipped")
    window.press("u", then="4 of 5 looked at: 1 accepted, 2 rejected, 1 edited")
    assert page.is_hidden("#last")
    window.press("u", then="3 of 5 looked at: 1 accepted, 2 rejected")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert [(review.verdict, review.reason or review.note or review.response) for review in said_in(folder)] == [
        ("accept", None),
        ("reject", "wrong fact"),
        ("reject", "as"),
        ("edit", "Edited\nby hand."),
        ("skip", None),
        ("undo", None),
        ("undo", None),
    ]
    assert window.said == []
    assert {url.startswith(window.address) for url in window.asked} == {True}


def test_two_windows_lose_nothing_typed(windows: Callable[..., Any], tmp_path: Path) -> None:
    """Where both have the last row open, the slower is told, keeps its text and may save it once more."""
    folder = write_run(tmp_path, some_records(2))
    one, two = windows(folder, 2)
    assert one.question != two.question
    two.page.keyboard.press("e")
    two.page.fill("#new-answer", "Typed for long.")
    one.press("a", then="1 of 2 looked at: 1 accepted")
    assert one.question == two.question
    one.press("a", then="2 of 2 looked at: 2 accepted")
    two.page.keyboard.press("Control+Enter")
    two.page.locator("#said", has_text="another window accepted this row").wait_for(timeout=SOON)
    assert two.page.input_value("#new-answer") == "Typed for long."
    two.press("Control+Enter", then="2 of 2 looked at: 1 accepted, 1 edited")
    assert verdicts_in(folder) == ["accept", "accept", "edit"]
    assert two.page.is_visible("#end")


def test_undo_waits_for_what_is_on_its_way(windows: Callable[..., Any], tmp_path: Path, gate: threading.Event) -> None:
    """None is dropped; a second press of the same choice is none, also of a reason."""
    folder = write_run(tmp_path, some_records(4))
    (window,) = windows(folder)
    window.press("a", then="1 of 4 looked at: 1 accepted")
    gate.clear()
    for key in ("r", "b", "a", "s", "u", "u"):
        window.page.keyboard.press(key)
    gate.set()
    window.press(then="0 of 4 looked at")
    assert verdicts_in(folder) == ["accept", "reject", "undo", "undo"]


def test_nothing_is_sent_behind_what_was_not_saved(
    windows: Callable[..., Any], tmp_path: Path, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An undo meant for a choice that failed does not take back the one before."""
    folder = write_run(tmp_path, some_records(2))
    (window,) = windows(folder)
    window.stop_clock()
    window.press("a", then="1 of 2 looked at: 1 accepted")
    fsync = os.fsync

    def full_once(_: int) -> None:
        monkeypatch.setattr("os.fsync", fsync)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_once)
    gate.clear()
    for key in ("a", "u", "e"):
        window.page.keyboard.press(key)
    gate.set()
    window.page.locator("#said", has_text="No space left on device").wait_for(timeout=SOON)
    window.page.keyboard.type("as typed")
    assert "No space left on device" in window.page.inner_text("#said")
    window.page.clock.fast_forward(1000)
    window.press("u", then="0 of 2 looked at")
    assert verdicts_in(folder) == ["accept", "undo"]


def test_typed_words_are_no_choices(windows: Callable[..., Any], tmp_path: Path, gate: threading.Event) -> None:
    """Who types while a choice is being saved decides nothing about the row that comes, and is told; a pause ends that."""
    folder = write_run(tmp_path, some_records(7))
    (window,) = windows(folder)
    page = window.page
    window.stop_clock()
    for keys, counts in (
        ("a e", "1 of 7 looked at: 1 accepted"),
        ("u e", "0 of 7 looked at"),
        ("a r /", "1 of 7 looked at: 1 accepted"),
        ("r b /", "2 of 7 looked at: 1 accepted, 1 rejected"),
        ("r / b Enter", "3 of 7 looked at: 1 accepted, 2 rejected"),
        ("e b Control+Enter", "4 of 7 looked at: 1 accepted, 2 rejected, 1 edited"),
    ):
        gate.clear()
        for key in keys.split():
            page.keyboard.press(key)
        page.keyboard.type("It was ")
        gate.set()
        window.press(then=counts)
        for words in ("a sure fact", "as sure", "as air."):
            page.keyboard.type(words)
            page.clock.fast_forward(500)
        assert page.is_visible("#keys")
        assert "not taken" in page.inner_text("#said")
        page.clock.fast_forward(500)
    window.press("s", then=f"{counts}, 1 skipped")
    assert verdicts_in(folder) == ["accept", "undo", "accept", "reject", "reject", "edit", "skip"]
    assert page.is_hidden("#said")


def test_a_page_that_is_loaded_again_is_the_same_window(windows: Callable[..., Any], tmp_path: Path) -> None:
    """It shows the row that was open, and its last choice can be taken back."""
    folder = write_run(tmp_path, some_records(3))
    (window,) = windows(folder)
    window.press("a", then="1 of 3 looked at: 1 accepted")
    question = window.question
    window.page.reload()
    window.page.wait_for_selector("#row:not([hidden])", timeout=SOON)
    assert window.question == question
    window.press("u", then="0 of 3 looked at")


def test_no_text_acts_in_the_page(windows: Callable[..., Any], tmp_path: Path) -> None:
    """Nothing runs, loads or hides, whatever stands in question, answer, context, verdicts and reasons."""
    rows = [a_record(f"{n:016x}", f"{text} {n}", text, text if n % 2 else None) for n, text in enumerate(HOSTILE)]
    spoilt = [
        row.model_copy(update={"pair_verdict": row.pair_verdict.model_copy(update={"explanation": row.response})})
        for row in rows
    ]
    folder = write_run(tmp_path, spoilt)
    (window,) = windows(folder)
    page = window.page
    for number, row in enumerate(spoilt, start=1):
        assert window.question == visible(row.instruction)
        assert (
            page.locator("#row").evaluate("e => e.querySelectorAll('script, img, iframe, svg, a, style, link, meta').length")
            == 0
        )
        page.keyboard.press("e")
        assert page.input_value("#new-question") == row.instruction
        window.press("Escape", "a", then=f"{number} of {len(rows)} looked at: {number} accepted")
        assert visible(row.response) in page.inner_text("#judges")
    assert page.evaluate("window.acted") is None
    assert window.said == []
    assert {url.startswith(window.address) for url in window.asked} == {True}
