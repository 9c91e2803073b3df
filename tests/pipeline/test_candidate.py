"""A candidate on its way: what it shows of itself, and how it ends once."""

import asyncio
from collections.abc import Callable

import pytest

from skills_dspy.base.errors import MissingReply
from skills_dspy.base.records import PairVerdict, QuestionVerdict, Tags
from skills_dspy.pipeline.candidate import Candidate, Dropped, Outcome, Passed
from skills_dspy.pipeline.draw import Draw, Example

SEED = Example("seed:0", "Who runs?", "The fox.", "The fox runs.")
PASSED = Passed(
    "The fox.",
    QuestionVerdict(explanation="Fit.", rating=1),
    PairVerdict(explanation="Right.", rating=3),
    Tags(instruction_quality="good", sample_quality=4, difficulty="easy", category="math", explanations={}),
)
DROPPED = Dropped("judge_pair", "judged bad", "Wrong.")


def in_a_loop(scene: Callable[[Candidate], None]) -> None:
    """Run a scene with a candidate, which needs a loop."""

    async def run() -> None:
        scene(Candidate(Draw(3, "grounded", (SEED,), (), (SEED,)), 2, "Why?", "A text.", None, {}))

    asyncio.run(run())


def test_its_place_is_its_key() -> None:
    """Draw, then index."""
    in_a_loop(lambda candidate: _equal(candidate.key, (3, 2, 0)))


def _equal(found: object, wanted: object) -> None:
    assert found == wanted


@pytest.mark.parametrize(("outcome", "may"), [(PASSED, True), (DROPPED, False), (MissingReply("lost"), False)])
def test_who_may_still_be_accepted(outcome: Outcome, may: bool) -> None:
    """Everybody on the way, and whoever passed everything but settling."""

    def scene(candidate: Candidate) -> None:
        assert candidate.may_pass
        candidate.end(outcome)
        assert candidate.may_pass is may
        assert candidate.outcome.result() is outcome

    in_a_loop(scene)


def test_the_first_end_counts() -> None:
    """A candidate that is abandoned while it ends keeps the end it had."""

    def scene(candidate: Candidate) -> None:
        candidate.end(PASSED)
        candidate.end(DROPPED)
        candidate.abandon()
        assert candidate.outcome.result() is PASSED

    in_a_loop(scene)


def test_abandoned_on_its_way() -> None:
    """What it was asking for is cancelled, and nobody waits for it."""

    async def wait() -> None:
        await asyncio.Event().wait()

    async def scene() -> None:
        candidate = Candidate(Draw(0, "freeform", (SEED,), (), (SEED,)), 0, "Why?", None, None, {})
        candidate.driver = asyncio.create_task(wait())
        await asyncio.sleep(0)
        candidate.abandon()
        assert not candidate.may_pass
        assert candidate.outcome.result() == Dropped("dedup", "duplicate", "")
        with pytest.raises(asyncio.CancelledError):
            await candidate.driver
        assert not candidate.settled.done()

    asyncio.run(scene())
