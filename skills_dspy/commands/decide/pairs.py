"""Second answers where the first fell short, and pairs of the two: which one a judge prefers.

Whoever was rejected by the pair judge or for its sample quality, and whoever was accepted with less than the best label, gets a
second answer: the same prompt with another sampling seed, rated on the scale on which the first fell short. That is two calls
for each second answer, of which not each makes a pair.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from skills_dspy.base.columns import whole
from skills_dspy.base.config import RunConfig
from skills_dspy.base.records import FARTHEST, AnswerPair, Neighbour, RatedAnswer
from skills_dspy.base.scales import PAIR, SAMPLE, Scale
from skills_dspy.model.ask import Answer, Failed
from skills_dspy.model.replies import Meter
from skills_dspy.pipeline.candidate import Candidate, Dropped, Passed
from skills_dspy.pipeline.flow import Flow
from skills_dspy.pipeline.funnel import latest
from skills_dspy.pipeline.rows import RowLog
from skills_dspy.similarity.length import PairLengths
from skills_dspy.similarity.text import words

_AHEAD = 512
"""How many second answers are on their way at a time, at most."""
_SECOND = 2
"""The third number of a second answer's place: an answer's first writing has none, its writing without a habit has 1."""

_STAGES: Mapping[str, tuple[Scale, Literal["pair_verdict", "sample_quality"]]] = {
    "judge_pair": (PAIR, "pair_verdict"),
    "sample_quality": (SAMPLE, "sample_quality"),
}


@dataclass(frozen=True, slots=True)
class Short:
    """A candidate whose answer fell short, at this stage; `urgency` orders them: rejected ones come first."""

    candidate: Candidate
    id: str
    stage: str
    urgency: int
    neighbour: Neighbour | None


@dataclass(slots=True)
class PairCounts:
    """What came of second answers.

    Attributes:
        wanted, short: pairs that were asked for, and candidates that a second answer could be asked for.
        asked, found: second answers that were asked for, and the pairs that they gave.
        lost: why the others gave none, with how many.
        lengths: of chosen and rejected answers.
    """

    wanted: int
    short: int
    asked: int = 0
    found: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    lengths: PairLengths = field(default_factory=PairLengths)

    def as_json(self) -> dict[str, Any]:
        """For run.json and `--json`."""
        counts = {name: getattr(self, name) for name in ("wanted", "short", "asked", "found")}
        return {**counts, "lost": dict(sorted(self.lost.items())), "lengths": self.lengths.as_json()}


@dataclass(frozen=True, slots=True)
class Pairing:
    """Second answers that are wanted: how many pairs, and where they go.

    `on_change` hears how many pairs there are, of how many second answers, and what was asked.
    """

    wanted: int
    log: RowLog
    on_change: Callable[[int, int, Meter], None]


def short_of(candidate: Candidate, name: str, outcome: Passed | Dropped, neighbour: Neighbour | None) -> Short | None:
    """A candidate that has settled, if its answer was judged and fell short: rejected, or accepted with a middling label."""
    if isinstance(outcome, Dropped):
        if outcome.stage not in _STAGES or outcome.reason not in ("judged bad", "filtered") or outcome.answer is None:
            return None
        return Short(replace(candidate, answer=outcome.answer), name, outcome.stage, 0, neighbour)
    labels = {"judge_pair": outcome.pair_verdict.rating, "sample_quality": outcome.tags.sample_quality}
    for urgency, (stage, label) in enumerate(labels.items(), start=1):
        if label != _STAGES[stage][0].labels[-1]:
            return Short(replace(candidate, answer=outcome.answer), name, stage, urgency, neighbour)
    return None


async def pair_up(shorts: Iterable[Short], pairing: Pairing, flow: Flow, config: RunConfig, meter: Meter) -> PairCounts:
    """Ask second answers until all pairs are found, or nobody is left; they are written in the order of the candidates.

    No more are on their way than pairs are missing: which are asked does not depend on timing, and none is asked for nothing.
    `meter` counts what the flow asks.
    """
    wanted = pairing.wanted
    order = sorted(shorts, key=lambda short: short.urgency)
    counts, found, open_ = PairCounts(wanted, len(order)), dict[int, AnswerPair](), dict[asyncio.Task[AnswerPair | str], int]()
    async with asyncio.TaskGroup() as group:
        while True:
            while counts.asked < len(order) and len(found) + len(open_) < wanted and len(open_) < _AHEAD:
                number = counts.asked
                open_[group.create_task(_second(order[number], number, flow, config))] = number
                counts.asked += 1
            if not open_:
                break
            done, _ = await asyncio.wait(open_, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                number = open_.pop(task)
                if isinstance(outcome := task.result(), str):
                    counts.lost[outcome] += 1
                else:
                    found[number] = outcome
            pairing.on_change(len(found), counts.asked, meter)
    counts.found = len(found)
    for _, pair in sorted(found.items()):
        counts.lengths.add(pair.chosen.answer, pair.rejected.answer)
        pairing.log.append(whole(pair.model_dump(mode="json")))
    return counts


async def _second(short: Short, number: int, flow: Flow, config: RunConfig) -> AnswerPair | str:
    """A second answer beside the first, or why they are no pair."""
    candidate, draw = short.candidate, short.candidate.draw
    place = (draw.number, candidate.index, _SECOND)
    scale, name = _STAGES[short.stage]
    try:
        written = await flow.ask("write_answer", draw, candidate.index, candidate, lambda: (number,), place)
        second = replace(candidate, answer=str(written.values["answer"]))
        if (dropped := flow.unfit(second)) is not None:
            return dropped.reason
        if words(second.answer or "") == words(candidate.answer or ""):
            return "the same answer"
        new = await flow.ask(short.stage, draw, candidate.index, second, lambda: (number,), place)
        # The run has asked for this one, so it is in the journal.
        old = await flow.ask(short.stage, draw, candidate.index, candidate, lambda: (number,))
    except Failed as failed:
        return failed.reason
    both = (
        _rated(scale, candidate, old, latest(candidate.calls).get("write_answer", ()), second=False),
        _rated(scale, second, new, written.digests, second=True),
    )
    rejected, chosen = sorted(both, key=lambda one: one.rating)
    soft = rejected.soft and chosen.soft
    margin = chosen.expected - rejected.expected if soft else chosen.rating - rejected.rating
    if chosen.rating == rejected.rating or margin <= 0:  # where soft ratings contradict the labels, neither is better
        return "rated alike"
    if chosen.rating not in (scale.passing(config) if scale.passing else scale.labels):
        return "neither passes"
    return AnswerPair(
        id=short.id,
        task_name=flow.task_name,
        instruction=candidate.question or "",
        context=candidate.context or "",
        scale=name,
        chosen=chosen,
        rejected=rejected,
        margin=round(margin, 6),
        neighbour=short.neighbour or FARTHEST,
    )


def _rated(scale: Scale, candidate: Candidate, answer: Answer, writing: tuple[str, ...], *, second: bool) -> RatedAnswer:
    label, soft = answer.values[scale.field], answer.soft.get(scale.field)
    return RatedAnswer(
        answer=candidate.answer or "",
        rating=label,
        expected=float(label) if soft is None else soft.expected,
        soft=soft is not None,
        second=second,
        calls=(*writing, *answer.digests),
    )
