"""Asking judges about labelled cases: what is asked, what comes back, and what failures become."""

from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import Any

import pytest

from evals.judges.ask import FUSED, CaseCall, Judged, judge_all, judging_limits
from evals.judges.cases import Case
from evals.judges.fused import StepTokens
from evals.judges.report import calls_for, costs, remembered, room_for
from evals.session.session import Session, SessionRequest
from skills_dspy.base.errors import ServerError
from skills_dspy.base.scales import Label
from skills_dspy.base.tokens import estimate_tokens
from skills_dspy.model.room import RETRY
from tests.helpers.judges import CONFIG, PAIR, QUALITY, QUESTION, JudgeServer, a_case, lets_all_pass, within
from tests.helpers.making import a_config, a_program, there

SEED = 3


def asked(
    folder: Path, server: JudgeServer, asks: tuple[CaseCall, ...], config: Any = CONFIG, done: list[int] | None = None
) -> tuple[Judged, ...]:
    """What a session's judges say."""

    async def work(session: Session) -> tuple[Judged, ...]:
        asker = session.asker(a_program(), judging_limits(config), SEED, 8192)
        return await judge_all(asker, asks, lambda: done.append(1) if done is not None else None)

    return within(SessionRequest(folder, config), server, work)


def about(*cases: Case) -> tuple[CaseCall, ...]:
    """Each put to its own step."""
    return tuple(CaseCall(case, case.step) for case in cases)


# -- what is asked ------------------------------------------------------------------------------------------------------


def test_fused_tags_are_asked_for_once_beside_those_that_they_stand_for() -> None:
    """For cases of the instruction's quality, and no others."""
    asks = calls_for([a_case(QUALITY, "good"), a_case(PAIR, 3)], 3, fused=True)
    more = {ask.step: ask.sample for ask in asks if ask.step != ask.case.step}
    assert more == {FUSED: 0, "tag_difficulty": 0, "tag_category": 0}
    assert all(ask.step == ask.case.step for ask in calls_for([a_case(QUALITY, "good")], 3, fused=False))


# -- what comes back ----------------------------------------------------------------------------------------------------


def test_what_was_said_comes_in_the_order_asked(tmp_path: Path) -> None:
    """With label, explanation, all values and the requests, however long each took."""
    cases = [a_case(QUESTION, 1, n) for n in range(3)] + [a_case(PAIR, 3), a_case(QUALITY, "good")]
    done: list[int] = []
    judged = asked(tmp_path, JudgeServer(), calls_for(cases, 2, fused=True), done=done)
    assert [one.case for one in judged[:10]] == [case for case in cases for _ in range(2)]
    assert [one.sample for one in judged[:10]] == [0, 1] * 5
    assert [one.step for one in judged[10:]] == [FUSED, "tag_difficulty", "tag_category"]
    assert [one.label for one in judged] == [1] * 6 + [1] * 2 + ["good"] * 2 + ["good", "easy", "math"]
    assert judged[10].values["category"] == "math"
    assert [one.explanation for one in judged] == ["Fine."] * 11 + [""] * 2
    assert len({digest for one in judged for digest in one.digests}) == len(judged) == len(done)


def test_a_case_is_asked_the_same_way_whatever_stands_beside_it(tmp_path: Path) -> None:
    """So a journal serves a part of the cases as well, and other cases change no verdict."""
    alone, other = a_case(PAIR, 3, 1), a_case(PAIR, 1, 2)
    (first,) = asked(tmp_path / "a", JudgeServer(), about(alone))
    *_, second = asked(tmp_path / "b", JudgeServer(), about(other, alone))
    assert first.digests == second.digests


@pytest.mark.parametrize(
    ("server", "failure", "why"),
    [
        (JudgeServer(lambda *_: "no JSON"), "unreadable", "does not fit"),
        (JudgeServer(lambda *_: {"explanation": "Odd.", "rating": 7}), "unreadable", "does not fit"),  # not the nearest label
        (JudgeServer(cut=True), "truncated", "was cut after 20 tokens"),
    ],
)
def test_a_reply_that_is_of_no_use_twice_is_a_failure(server: JudgeServer, failure: str, why: str, tmp_path: Path) -> None:
    """No label, and what was wrong; both requests are known."""
    (said,) = asked(tmp_path, server, about(a_case(PAIR, 3)))
    assert (said.label, said.soft, said.failure, said.values) == (None, None, failure, {})
    assert len(said.digests) == 2
    assert why in said.explanation


def test_soft_ratings_are_there_where_the_server_gives_them(tmp_path: Path) -> None:
    """And where it does not, or is not asked, nothing pretends that it did."""
    shares: Mapping[str, Mapping[Label, float]] = {"rating": {1: 0.75, 0: 0.25}}
    (soft,) = asked(tmp_path / "a", JudgeServer(shares=shares), about(a_case(QUESTION, 1)))
    assert there(soft.soft).expected == pytest.approx(0.75, abs=1e-5)
    (hard,) = asked(tmp_path / "b", JudgeServer(), about(a_case(QUESTION, 1)))
    config = a_config({"soft_ratings": False})
    (unasked,) = asked(tmp_path / "c", JudgeServer(shares=shares), about(a_case(QUESTION, 1)), config)
    assert hard.soft is unasked.soft is None


def test_what_ends_the_evaluation_is_one_error(tmp_path: Path) -> None:
    """Not a group of them, although many ask at once."""

    async def fail(_: int) -> None:
        raise ServerError("it is gone")

    with pytest.raises(ServerError, match="it is gone"):
        asked(tmp_path, JudgeServer(before=fail), about(*(a_case(QUESTION, 1, n) for n in range(5))))


def test_a_mistake_of_ours_is_not_taken_for_an_error_of_the_user(tmp_path: Path) -> None:
    """It comes out as it is."""

    async def work(session: Session) -> None:
        asker = session.asker(a_program(), {}, SEED, 8192)  # no limits
        await judge_all(asker, about(a_case(QUESTION, 1)))

    with pytest.raises(ExceptionGroup):
        within(SessionRequest(tmp_path, CONFIG), JudgeServer(), work)


# -- what is known, and what it cost ------------------------------------------------------------------------------------


def test_what_the_journal_knows_is_found_without_a_call(tmp_path: Path) -> None:
    """Verdicts and failures alike; what is missing is told apart."""
    known = about(a_case(QUESTION, 1, 1), a_case(PAIR, 3, 2))

    def say(fields: tuple[str, ...], prompt: str) -> Any:
        return "no JSON" if "<answer>" in prompt else lets_all_pass(fields, prompt)

    before = asked(tmp_path, JudgeServer(say), known)
    assert [said.failure for said in before] == [None, "unreadable"]
    server = JudgeServer()

    def work(session: Session) -> Awaitable[list[Judged | None]]:
        return remembered(session, a_program(), [*known, *about(a_case(QUESTION, 0, 9))], SEED)

    assert within(SessionRequest(tmp_path, CONFIG), server, work) == [*before, None]
    assert server.asked == []


def test_costs_are_of_the_requests_of_each_step() -> None:
    """A request that two replies share is counted once; one whose reply is unknown has no tokens."""
    bodies: dict[str, dict[str, Any]] = {"a": {"prompt_eval_count": 10, "eval_count": 2}, "b": {"prompt_eval_count": 5}}
    judged = [
        Judged(a_case(PAIR, 3), step, 0, 3, None, "", None, digests=digests)
        for step, digests in ((PAIR, ("a", "b")), (PAIR, ("a",)), (FUSED, ("c",)))
    ]
    assert costs(judged, bodies.get) == {PAIR: StepTokens(2, 15, 2), FUSED: StepTokens(1, 0, 0)}
    assert costs(judged, bodies.get)[PAIR].tokens == 17


def test_the_room_holds_the_longest_prompt_and_a_second_try(tmp_path: Path) -> None:
    """By the estimate that errs to the high side."""
    config = a_config({"validator": {"num_predict": 300}, "tagger": {"num_predict": 100}})
    server = JudgeServer()
    asks = calls_for([a_case(QUESTION, 1), a_case(QUALITY, "good")], 1, fused=True)

    async def work(session: Session) -> tuple[int, int]:
        return room_for(asks, a_program(), session)

    prompt, reply = within(SessionRequest(tmp_path, config), server, work)
    assert reply == RETRY * 300
    asked(tmp_path, server, asks, config)
    assert prompt > max(map(estimate_tokens, server.prompts))
