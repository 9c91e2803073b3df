"""What a check measures: replies to real prompts, requests at once, and the speeds that follow from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skills_dspy.base.records import SoftRating
from skills_dspy.base.tokens import estimate_tokens
from skills_dspy.store.said import counted

GAIN = 1.3
"""Requests at once that bring fewer times the tokens of one alone than this bring nothing."""
SHORT = 16
"""Replies with fewer tokens than this say little of how fast a server writes."""
_WAITED = 1.5
"""A request has waited for others when its tokens took this many times as long as the fastest one's, or more."""
_EDGE = 0.2
"""This part of the time of writing is left out at both ends: our clock sees an answer a little later than it was written."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What one reply took, as the server says; None where it says nothing.

    Of a reply that it says nothing of, the tokens are an estimate and the seconds the clock's; `seconds` are all of it on our
    clock, waiting included.
    """

    prompt_tokens: int | None
    prompt_seconds: float | None
    output_tokens: int
    output_seconds: float
    load_seconds: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens a second, above 0, of one model that answers one request at a time; reading is None when it is unknown."""

    prompt: float | None
    output: float

    def seconds(self, prompt: float, output: float) -> float:
        """How long a call with so many tokens takes."""
        return output / self.output + (prompt / self.prompt if self.prompt else 0.0)


@dataclass(frozen=True, slots=True)
class Trial:
    """One real prompt, and what became of its reply.

    Attributes:
        prose: a free-text reply was wanted, not JSON.
        estimate: our estimate of the prompt's tokens.
        counts: of the last try.
        tries: 1, or 2 when the first reply could not be used; 0 where the server refused to give one.
        fault: what was wrong with the last reply; None when it was parsed.
        raw: the text of the last reply as it came.
        cut: whether that one was cut.
        thoughts: the tokens that it has beside the text.
        unanswered: the server could not answer the prompt, and answers others.
        lost: why it could not answer the prompt of an earlier draw; empty where that was not so.
        soft: what it rates to the rating's probabilities; None where none were asked for with it.
    """

    step: str
    model: str
    prose: bool
    estimate: int
    counts: Counts
    tries: int
    fault: str | None
    raw: str
    cut: bool = False
    thoughts: int = 0
    unanswered: bool = False
    lost: str = ""
    soft: Mapping[str, SoftRating] | None = None


@dataclass(frozen=True, slots=True)
class Together:
    """One request alone, `first`, against 1 or more at once, in output tokens a second on our clock.

    `mean_tokens` are those of one reply, `busy` is how many replies the server was writing at a time, on average, and `most` at
    most, see `most_at_once`.
    """

    requests: int
    first: Counts
    alone: float
    at_once: float
    mean_tokens: float
    busy: float
    most: int = 1

    @property
    def factor(self) -> float:
        """How many times as many tokens come when several are asked for at once."""
        return self.at_once / self.alone

    def slots(self, wanted: int) -> int:
        """How many requests a run should have in flight there, up to those `wanted`: as many as the server writes at once.

        One where several bring nothing, whether it works on them or not; all where none that was tried had to wait.
        """
        if self.factor < GAIN and self.mean_tokens >= SHORT:
            return 1
        return wanted if self.most == self.requests else min(wanted, self.most)


def most_at_once(counts: Sequence[Counts]) -> int:
    """How many replies to requests that were sent together were being written at the same time, 1 or more.

    Where the server does not say how long it wrote: how many took no longer for a token than the fastest, and so did not wait.
    """
    if all(c.output_seconds == c.seconds for c in counts):
        pace = min(c.seconds / c.output_tokens for c in counts)
        return sum(c.seconds / c.output_tokens <= _WAITED * pace for c in counts)
    spans = [(c.seconds - (1 - _EDGE) * c.output_seconds, c.seconds - _EDGE * c.output_seconds) for c in counts]
    return max(sum(begin <= at < end for begin, end in spans) for at, _ in spans)


def speed_of(reading: Sequence[Counts], writing: Sequence[Counts]) -> Speed:
    """The speed of one model, from replies to prompts that it had not read before, and from replies of any sort (1 or more)."""
    read = [(c.prompt_tokens, c.prompt_seconds) for c in reading if c.prompt_tokens and c.prompt_seconds]
    return Speed(
        prompt=sum(tokens for tokens, _ in read) / sum(seconds for _, seconds in read) if read else None,
        output=sum(c.output_tokens for c in writing) / sum(c.output_seconds for c in writing),
    )


def counted_share(trials: Sequence[Trial]) -> float:
    """Tokens that the server counts for each that we estimate; 1 where it does not count."""
    counted = [(trial.counts.prompt_tokens, trial.estimate) for trial in trials if trial.counts.prompt_tokens]
    return sum(tokens for tokens, _ in counted) / sum(guess for _, guess in counted) if counted else 1.0


def model_speeds(trials: Sequence[Trial], together: Together) -> dict[str, Speed]:
    """The speed of each model that was tried; the first trial is of the one that `together` is of."""
    speeds: dict[str, Speed] = {}
    for model in dict.fromkeys(trial.model for trial in trials):
        counts = [trial.counts for trial in trials if trial.model == model]
        # The server may remember a part of what was only timed, so that does not tell how fast it reads.
        speeds[model] = speed_of(counts, [*counts, together.first] if model == trials[0].model else counts)
    return speeds


def counts_of(body: Mapping[str, Any], seconds: float) -> Counts:
    """What a reply's body says of its cost; `seconds` is how long it took on our clock."""
    seconds = max(seconds, 1e-9)
    return Counts(
        prompt_tokens=counted(body, "prompt_eval_count") or None,
        prompt_seconds=counted(body, "prompt_eval_duration") / 1e9 or None,
        output_tokens=counted(body, "eval_count") or max(1, estimate_tokens(text_of(body))),
        output_seconds=counted(body, "eval_duration") / 1e9 or seconds,
        load_seconds=counted(body, "load_duration") / 1e9,
        seconds=seconds,
    )


def text_of(body: Mapping[str, Any]) -> str:
    """The reply's text; empty where there is none."""
    return str((body.get("message") or {}).get("content") or "")
