"""What is worth asking for: the chances of candidates, when open draws are enough, and who goes first."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skills_dspy.base.errors import MissingReply
from skills_dspy.base.records import Reason
from skills_dspy.model.ask import WHOLE_DRAW
from skills_dspy.model.hosts.call import LATER
from skills_dspy.pipeline.candidate import Candidate, Dropped, Outcome
from skills_dspy.pipeline.draw import Draw
from skills_dspy.pipeline.funnel import STAGES, Funnel
from skills_dspy.pipeline.outlook import PRIOR, Outlook, chances_of
from tests.pipeline.test_funnel import ENDS, filled
from tests.pipeline.test_settle import PASSED

JUDGED_BAD = Dropped("judge_question", "judged bad", "")


LOOP = asyncio.new_event_loop()
"""Futures want one, though nobody waits for these."""
LOOP.close()


def draw_of(number: int, *states: str | Outcome) -> tuple[int, list[Candidate]]:
    """A draw's candidates, each at a stage or with its outcome."""
    candidates = []
    for index, state in enumerate(states):
        draw, outcome, settled = Draw(number, "freeform", (), (), ()), LOOP.create_future(), LOOP.create_future()
        candidates.append(one := Candidate(draw, index, "?", None, None, {}, outcome=outcome, settled=settled))
        if isinstance(state, str):
            one.stage = state
        else:
            one.end(state)
    return number, candidates


def chances(ends: Sequence[str | Outcome] = (), funnel: Funnel | None = None) -> dict[str, float]:
    """What is expected where these are still going."""
    return chances_of(funnel or Funnel(), draw_of(0, *ends)[1], 5)


def test_before_anything_is_known_the_prior_counts() -> None:
    """At the beginning it is the stated share; who is through with all checks is accepted."""
    assert chances()["judge_question"] == chances()["write_context"] == pytest.approx(PRIOR)
    assert chances()["judge_pair"] == pytest.approx(PRIOR**0.5)
    assert chances()["difficulty"] == 1.0


@given(ENDS)
def test_after_many_the_measured_share_counts(ends: list[tuple[str, str] | None]) -> None:
    """It lies between 0 and 1, is never smaller at a later stage, and comes near to the share of a long run."""
    had = chances(funnel=filled(ends * 400))  # type: ignore[arg-type]
    assert set(had) == set(STAGES)
    assert all(0 < chance <= 1 for chance in had.values())
    ordered = [had[stage] for stage in STAGES]
    assert ordered == sorted(ordered)
    if came := sum(end is None or end[0] not in STAGES[: STAGES.index("write_questions")] for end in ends):
        assert had["write_questions"] == pytest.approx(ends.count(None) / came, abs=0.03)


def test_those_who_are_still_going_count_for_what_they_are_through_with() -> None:
    """The rejected end first: three of six at the first judge, while three go on, is a half there and no sign elsewhere."""
    had = chances([JUDGED_BAD, "write_answer"] * 500)
    assert had["judge_question"] == pytest.approx(0.5 * had["instruction_quality"], abs=0.01)
    assert had["judge_pair"] == pytest.approx(PRIOR**0.5)


def test_a_draw_that_is_lost_before_its_questions_counts_for_all_of_them() -> None:
    """Of two draws one has five questions, and the other's context was of no use: half is to be expected, decided or not."""
    lost = Dropped("write_context", "unreadable", "")
    ended: list[tuple[str, Reason] | None] = [("write_context", "unreadable"), ("judge_pair", "judged bad"), *[None] * 4]
    for had in (chances([lost, *["difficulty"] * 5] * 100), chances(funnel=filled(ended * 100))):
        assert had["write_context"] == pytest.approx(had["write_questions"] / 2, abs=0.01)


@pytest.mark.parametrize(("missing", "draws", "little"), [(8, 1, True), (8, 2, False), (9, 2, True), (4, 1, False)])
def test_draws_are_enough_when_as_many_are_expected_as_are_missing(missing: int, draws: int, little: bool) -> None:
    """With the prior, two draws of five for eight pairs, and one for four."""
    assert Outlook(5).too_little(Funnel(), missing, [(number, None) for number in range(draws)]) is little


def test_earlier_draws_go_first_and_in_them_later_stages() -> None:
    """Whatever index they have; the writing of a draw goes before what follows it."""
    outlook = Outlook(5)
    places = [(2, WHOLE_DRAW, "write_context"), (1, 0, "judge_question"), (1, 4, "judge_pair"), (0, 3, "judge_question")]
    assert sorted(places, key=lambda place: outlook.rank(*place)) == [places[3], places[2], places[1], places[0]]


def test_who_comes_after_enough_others_waits() -> None:
    """Two are missing and two have passed: the third, and a later draw, need not be decided, unless one fails after all."""
    outlook = Outlook(3)
    _, candidates = draw = draw_of(4, PASSED, PASSED, "judge_question")
    assert not outlook.too_little(Funnel(), 2, [draw, (5, None)])
    assert outlook.rank(4, 2, "judge_question") == outlook.rank(5, WHOLE_DRAW) == LATER
    assert outlook.rank(4, 1, "judge_pair") != LATER
    candidates[1].outcome = draw_of(4, JUDGED_BAD)[1][0].outcome
    outlook.too_little(Funnel(), 2, [draw, (5, None)])
    assert LATER not in (outlook.rank(4, 2, "judge_question"), outlook.rank(5, WHOLE_DRAW))


def test_who_has_passed_may_still_be_too_much_like_others() -> None:
    """Where half of those were rejected when their turn came, two are not counted on as two."""
    outlook, draw = Outlook(3), draw_of(40, PASSED, PASSED, "judge_question")
    outlook.too_little(filled([("answer_habits", "overused"), None] * 50), 2, [draw])
    assert outlook.rank(40, 2, "judge_question") != LATER


def test_nobody_waits_while_much_is_missing_and_nobody_goes_on_behind_a_missing_reply() -> None:
    """A recording that lacks a reply ends the run there, as sure as an accepted pair ends one of one."""
    outlook = Outlook(1)
    assert outlook.too_little(Funnel(), 100, [(0, None)])
    assert outlook.rank(0, 7) != LATER
    lost = draw_of(0, MissingReply("not recorded"), "judge_question")
    assert not outlook.too_little(Funnel(), 1, [lost])
    assert outlook.rank(0, 1) == LATER


@given(st.lists(st.sampled_from([PASSED, JUDGED_BAD, *STAGES[2:]]), max_size=30), st.integers(1, 12))
def test_the_first_undecided_candidate_never_waits(states: list[str | Outcome], missing: int) -> None:
    """Whatever is expected of it and of the others: nothing can be decided before it."""
    outlook = Outlook(5)
    draws = [draw_of(number, *states[number * 5 : number * 5 + 5]) for number in range(6)]
    outlook.too_little(Funnel(), missing, draws)
    first = next((one for _, candidates in draws for one in candidates if not one.outcome.done()), None)
    before = (
        sum(one.may_pass for _, candidates in draws for one in candidates if one.outcome.done() and one.key < first.key)
        if first
        else 0
    )
    assert first is None or before >= missing or outlook.rank(first.draw.number, first.index, first.stage) != LATER
