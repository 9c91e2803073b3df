"""Answers before and after, judged blind in both orders."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from evals.data.rows import Row
from evals.session.session import SessionRequest, open_session
from evals.student.judging import AnsweredTwice, Preference, judge_answers
from skills_dspy.base.config import load_config
from skills_dspy.cli.progress import Progress
from tests.helpers.judges import JudgeServer

PAIRS = [
    AnsweredTwice(Row(f"What is number {n}?", "A number.", "A text." if n else None), f"bad {n}", f"good {n}") for n in range(6)
]


def a_judge(choose: Callable[[str], str]) -> JudgeServer:
    """One that says what `choose` makes of a prompt."""
    return JudgeServer(lambda _, prompt: {"explanation": "Because.", "better": choose(prompt)})


def judged(folder: Path, judge: JudgeServer) -> Preference:
    """What it prefers."""

    async def ask() -> Preference:
        request = SessionRequest(folder / "judge", load_config(None, {"generator": "judge"}))
        async with open_session(request, lambda: judge) as session:
            return await judge_answers(session, "judge", PAIRS, 0, Progress(quiet=True))

    return asyncio.run(ask())


def the_good_one(prompt: str) -> str:
    """The answer that says that it is good."""
    return "first" if prompt.index("good") < prompt.index("bad") else "second"


def test_a_judge_that_sees_the_difference_is_heard(tmp_path: Path) -> None:
    """Each pair is asked about in both orders, the answers stand there without a word of where they are from, and once only."""
    judge = a_judge(the_good_one)
    found = judged(tmp_path, judge)
    assert (found.after, found.questions, found.turned, found.lost) == (1.0, 6, 0, 0)
    assert found.in_words.startswith("The answers after are better: judge prefers those after in 100 % (95 % 61 to 100) of 6")
    assert len(judge.prompts) == 12
    assert not any(word in prompt for prompt in judge.prompts for word in ("before", "after", "trained"))
    again = a_judge(the_good_one)
    assert judged(tmp_path, again) == found
    assert again.prompts == []


@pytest.mark.parametrize("count", [1, 2, 5])
def test_few_questions_show_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Also if all of them are won: that is what chance does more than once in twenty times."""
    monkeypatch.setattr("tests.evals.student.test_judging.PAIRS", PAIRS[:count])
    said = judged(tmp_path, a_judge(the_good_one)).in_words
    assert said.startswith("It cannot be shown that either are better: judge prefers those after in 100 % (95 % ")
    assert f"of {count} held-out questions, too few to show anything, for which 6 are needed; in 0 the order" in said


@pytest.mark.parametrize(
    ("says", "turned", "lost"), [("first", 6, 0), ("tie", 0, 0), ("neither", 0, 6)], ids=["the order", "ties", "unreadable"]
)
def test_a_judge_that_sees_none_prefers_none(tmp_path: Path, says: str, turned: int, lost: int) -> None:
    """Whoever takes the first one takes either half of the time; what is no verdict counts for nothing."""
    found = judged(tmp_path, a_judge(lambda _: says))
    assert (found.after, found.turned, found.lost) == (None if lost else 0.5, turned, lost)
    assert found.in_words.startswith("judge gave no verdict" if lost else "It cannot be shown that either are better")
