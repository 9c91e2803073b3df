"""Answers before and after, judged blind: which of two is better, asked in both orders, ties allowed."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

import dspy
from dspy.utils.exceptions import AdapterParseError

from evals.data.rows import Row
from evals.figures.statistics import Interval, halves_interval, sign_flip, spread_json
from evals.session.session import Session
from evals.student.outcome import FEW_SEEDS
from evals.student.trial import StepScreen
from skills_dspy.base.errors import ReplyError
from skills_dspy.base.tokens import estimate_tokens
from skills_dspy.model.ask import together

_ROOM = 300
"""Tokens of a reply."""
_CHANCE = 0.05

Choice = Literal["first", "second", "tie"]


class CompareAnswers(dspy.Signature):
    """Decide which of two answers to a question is the better one.

    The reference is a good answer by a person. What counts: is it right, does it do what is asked, is it as its reader needs
    it, in the manner of the reference. Length alone is no merit, nor is the order. Say tie only if you cannot prefer either."""

    question: str = dspy.InputField(desc="what is asked, with the text that it is asked about")
    reference: str = dspy.InputField(desc="a good answer")
    first: str = dspy.InputField(desc="one answer")
    second: str = dspy.InputField(desc="the other answer")
    explanation: str = dspy.OutputField(desc="in at most twenty words, what tells them apart")
    better: Choice = dspy.OutputField(desc="first, second or tie")


@dataclass(frozen=True, slots=True)
class AnsweredTwice:
    """A measured question with its answer before and after."""

    row: Row
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Preference:
    """What a judge prefers.

    Attributes:
        after: the share that the answers after won of the questions that were decided, in both orders; a tie is half of one.
            None where none was.
        interval: 95 % by the score interval, over questions; 0 to 1 where none was decided.
        p: how often the verdicts would be as far from a tie if chance decided each: 0 to 1, with five questions 0.06 or more.
        questions: how many were decided; `turned` of these for whichever stood first or second, `lost` had no readable reply.
    """

    judge: str
    answered_by: str
    after: float | None
    interval: Interval
    p: float
    questions: int
    turned: int
    lost: int

    @property
    def in_words(self) -> str:
        """One sentence."""
        if self.after is None:
            return f"{self.judge} gave no verdict that can be read on any of {self.lost} questions."
        which = None if self.p > _CHANCE else "after" if self.after > 0.5 else "before"
        said = "It cannot be shown that either are better" if which is None else f"The answers {which} are better"
        few = f", too few to show anything, for which {FEW_SEEDS} are needed" if self.questions < FEW_SEEDS else ""
        share = f"{100 * self.after:.0f} % (95 % {100 * self.interval.low:.0f} to {100 * self.interval.high:.0f})"
        return (
            f"{said}: {self.judge} prefers those after in {share} of {self.questions} held-out questions{few}; in "
            f"{self.turned} the order decided, {self.lost} had no readable reply."
        )

    def as_json(self) -> dict[str, Any]:
        """The same for a file."""
        return {
            "judge": self.judge,
            "answered_by": self.answered_by,
            "after": None if self.after is None else round(self.after, 4),
            **spread_json(None if self.after is None else self.interval),
            "p": round(self.p, 4),
            "questions": self.questions,
            "turned": self.turned,
            "lost": self.lost,
            "in_words": self.in_words,
        }


async def judge_answers(
    session: Session, judge: str, pairs: Sequence[AnsweredTwice], seed: int, screen: StepScreen
) -> Preference:
    """Ask a model that the session was opened with about all pairs, in both orders; replies stay in the session's journal."""
    asked = [_inputs(pair, turned=turned) for pair in pairs for turned in (False, True)]
    predictor = dspy.Predict(CompareAnswers)
    longest = max(_tokens(session, given) for given in asked)
    role = session.config.role("validator")
    room = _ROOM + role.thoughts
    lm = session.lm(judge, "validator", session.window_for(longest, room), temperature=0.0, max_tokens=room)
    with screen.counting(len(asked)) as done:

        async def ask(given: dict[str, str]) -> Choice | None:
            drawn = zlib.crc32(f"{seed} {given}".encode("utf-8", "backslashreplace")) & 0x7FFF_FFFF
            try:
                said = await predictor.acall(lm=lm, config={"seed": drawn}, **given)
            except (ReplyError, AdapterParseError):
                return None
            finally:
                done()
            choice: Choice = said.better
            return choice

        choices = await together([ask(given) for given in asked])
    return _preference(judge, session.answered_by, list(zip(choices[::2], choices[1::2], strict=True)), seed)


def _inputs(pair: AnsweredTwice, *, turned: bool) -> dict[str, str]:
    """What is shown; `turned` puts the answer after first."""
    first, second = (pair.after, pair.before) if turned else (pair.before, pair.after)
    question = pair.row.question if pair.row.context is None else f"{pair.row.context}\n\n{pair.row.question}"
    return {"question": question, "reference": pair.row.answer, "first": first or "(nothing)", "second": second or "(nothing)"}


def _tokens(session: Session, given: dict[str, str]) -> int:
    messages = session.adapter.format(CompareAnswers, [], given)
    return sum(estimate_tokens(message["content"]) for message in messages)


def _preference(judge: str, answered_by: str, choices: Sequence[tuple[Choice | None, Choice | None]], seed: int) -> Preference:
    """What verdicts on pairs come to, each in both orders: before first, then after first."""
    plain, turned = {"first": 0.0, "tie": 0.5, "second": 1.0}, {"first": 1.0, "tie": 0.5, "second": 0.0}
    both = [(plain[one], turned[other]) for one, other in choices if one is not None and other is not None]
    shares = [fmean(pair) for pair in both]
    return Preference(
        judge,
        answered_by,
        fmean(shares) if shares else None,
        halves_interval(sum(shares), len(shares)),
        sign_flip([share - 0.5 for share in shares], seed),
        len(shares),
        sum(abs(one - other) == 1 for one, other in both),
        len(choices) - len(both),
    )
