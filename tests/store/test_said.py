"""The two parts of a reply: its text, and the thoughts before it."""

from typing import Any

import pytest

from skills_dspy.store.said import Said, said_in

THINKS: dict[str, Any] = {"model": "m"}


def a_body(content: str | None, **more: Any) -> dict[str, Any]:
    """A reply with this content."""
    return {"message": {"role": "assistant", "content": content, **more}}


def test_thoughts_in_a_place_of_their_own() -> None:
    """They are told apart by the server, whatever the request said; a text that only speaks of thinking stays whole."""
    for request in (THINKS, {"think": False}, {"think": "low"}):
        assert said_in(a_body("So <think>.", thinking="\nHm. \n"), request) == Said("So <think>.", "Hm.")
        assert said_in(a_body("So.", thinking="<think>\nHm.</think>"), request) == Said("So.", "Hm.")
    assert said_in(a_body(None), THINKS) == Said("", "")


@pytest.mark.parametrize(
    "content",
    [
        "<think>\nHm.\n</think>So.",
        " <THINKING time=3>Hm.</Thinking>So.",
        "[THINK]Hm.[/THINK]So.",
        "◁think▷Hm.◁/think▷So.",
        "Hm.\n</think>\n\nSo.",
    ],
)
def test_thoughts_at_the_beginning_of_the_text(content: str) -> None:
    """As models without a template write them, or one whose template begins them in the prompt; none where it may not think."""
    assert said_in(a_body(content), THINKS)._replace(text="So.") == Said("So.", "Hm.")
    assert said_in(a_body(content), THINKS).text.strip() == "So."
    assert said_in(a_body(content), {"think": False}) == Said(content, "")


@pytest.mark.parametrize(
    "content",
    ["So <think>hm</think>.", "<think>a</think>So<think>b</think>.", "a</think>b</think>c", "So, end it with </think> here."],
)
def test_what_is_no_single_block_at_the_beginning_is_left_in_the_text(content: str) -> None:
    """Nothing is taken away by guessing."""
    assert said_in(a_body(content), THINKS) == Said(content, "")


def test_thoughts_without_an_end_are_all_that_there_is() -> None:
    """The text never began."""
    assert said_in(a_body("<think>Hm, and"), THINKS) == Said("", "Hm, and")
