"""What is worth asking for: how likely candidates are to be accepted, and how far they may still have to be decided.

It decides nothing but what is begun and when: what a run writes does not depend on it. On a server that shares its speed among
its requests, what is asked for nothing makes the rest slower.
"""

from collections.abc import Iterable, Sequence

from skills_dspy.base.errors import MissingReply
from skills_dspy.model.ask import WHOLE_DRAW
from skills_dspy.model.hosts.call import LATER, Rank
from skills_dspy.pipeline.candidate import Candidate, Dropped, Passed
from skills_dspy.pipeline.funnel import STAGES, Funnel

PRIOR = 0.8
"""The share of candidates that is expected to be accepted before anything is known of a task."""
_WEIGHT = 5
"""The prior counts for as much as so many candidates: a draw's."""
_CHECKS = ("judge_question", "instruction_quality", "judge_pair", "sample_quality")
"""The stages that the prior expects to reject, all the same share."""
_ROUNDING = 1e-6
_PLACE = {stage: place for place, stage in enumerate(STAGES)}


class Outlook:
    """One task's; a draw is expected to have `count` questions, 1 or more, until they are written."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._end: tuple[int, int] | None = None  # the first candidate that may not have to be decided

    def too_little(self, funnel: Funnel, missing: int, draws: Sequence[tuple[int, Sequence[Candidate] | None]]) -> bool:
        """Whether the open draws are expected to yield fewer accepted pairs than are `missing`; and see how far they do.

        The draws are in settled order, by number, None for one that is not written. Candidates that are expected to come after
        enough others wait: `rank` knows them from then on.
        """
        self._end = None
        if missing > len(draws) * self._count:
            return True
        going = [one for _, candidates in draws for one in candidates or () if not one.settled.done()]
        chances = chances_of(funnel, going, self._count)
        expected, enough = 0.0, missing - _ROUNDING
        for number, candidates in draws:
            here: Iterable[tuple[int, float]] = (
                ((index or WHOLE_DRAW, chances["write_context"]) for index in range(self._count))
                if candidates is None
                else ((one.index, _chance(one, chances)) for one in candidates if not one.settled.done())
            )
            for index, chance in here:
                if self._end is None and expected >= enough:
                    self._end = (number, index)
                expected += chance
        return expected < enough

    def rank(self, draw: int, index: int, stage: str = STAGES[0]) -> Rank:
        """A candidate's place in the queue: earlier draws first, in them later stages; LATER for what need not be decided."""
        if self._end is not None and (draw, index) >= self._end:
            return LATER
        return (0, draw, -_PLACE[stage], index)


def chances_of(funnel: Funnel, going: Iterable[Candidate], count: int) -> dict[str, float]:
    """Stage to the chance, 0 to 1, that a candidate which came as far will be accepted.

    It is what this stage and those after it let through, one by one, of all who are through with it, decided or still `going`.
    Of candidates as a whole the rejected would count too early: they end before those who pass. One that is lost before there
    are questions stands for a draw of `count`.
    """
    through, lost = [0] * (len(STAGES) + 1), [0] * len(STAGES)
    through[-1] = funnel.accepted
    for (stage, _), rejected in funnel.rejected.items():
        lost[_PLACE[stage]] += rejected
        through[_PLACE[stage]] += rejected
    for one in going:
        ended = one.outcome.result() if one.outcome.done() else None
        if isinstance(ended, Dropped):
            lost[_PLACE[ended.stage]] += 1
        place = _PLACE[ended.stage if isinstance(ended, Dropped) else one.stage]
        through[-1 if isinstance(ended, Passed) else place] += 1
    for place in range(_PLACE["write_questions"]):
        lost[place] *= count
    chances, chance, passed = {}, 1.0, through[-1]
    for stage in reversed(STAGES):
        place, expected = _PLACE[stage], PRIOR ** (1 / len(_CHECKS)) if stage in _CHECKS else 1.0
        chance *= (passed + _WEIGHT * expected) / (passed + lost[place] + _WEIGHT)
        chances[stage] = chance
        passed += through[place]
    return chances


def _chance(candidate: Candidate, chances: dict[str, float]) -> float:
    """That it will be accepted. A reply that a recording lacks ends the run, so nothing after it has to be decided."""
    if not candidate.outcome.done():
        return chances[candidate.stage]
    if candidate.may_pass:
        return chances["answer_habits"]
    return float(isinstance(candidate.outcome.result(), MissingReply))
