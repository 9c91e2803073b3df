"""How a simulated teacher behaves: its frozen configuration."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # it imports DSPy, which a teacher that plays chance does not need
    from evals.judges.cases import Case

CONTENT_FAULTS = (
    "truncated",  # half the text and done_reason "length"
    "unreadable",  # a text that is not what was asked for
    "bad-label",  # a label outside its enum; unreadable where nothing has labels
)
"""What can be wrong on purpose with the text of a reply in a valid envelope."""

FAULT_KINDS = (
    "429",
    "500",
    "503",
    "empty",  # status 200 with an empty body
    "broken",  # status 200 with JSON cut in the middle
    *CONTENT_FAULTS,
)
"""What can go wrong on purpose."""


@dataclass(frozen=True, slots=True)
class Improvable:
    """That replies get better with the prompt (see improvable.py).

    Attributes:
        cases: labelled cases, whose labels judges may find.
        gullible: judges whose model has no `strict` in its name are pleased by long answers.
    """

    cases: tuple["Case", ...] = ()
    gullible: bool = False


CUT = "…"
"""How a description ends that num_predict cuts off there."""


@dataclass(frozen=True, slots=True)
class TeacherConfig:
    """Everything that the answers, their timing and their faults depend on.

    Attributes:
        slots: how many requests are worked on at once (1 or more).
        latency: seconds of work for each request.
        latency_per_token: seconds more for each token of the reply.
        speed: tokens a second of a request that is alone, which all requests share and which grows with their number (see
            sharing.py); 0 where a reply takes the same time whatever the load.
        logprobs: where log-probabilities are asked for, those of so many tokens at least come with a reply; 0 for none.
        holds: how many models it has in memory at once; 0 for all.
        load_seconds: what loading one takes.
        models: the names that are pulled; a name without a tag means `:latest`.
        seed: of made replies and of the choice of faults.
        pass_rate: how likely a made rating, quality or score is one that passes, 0 to 1.
        duplicate_rate: how likely a made question is a copy of one among the prompt's examples, 0 to 1.
        faults: pairs of a kind from FAULT_KINDS and its rate; the rates add up to 1 at most.
        fail_first: the first so many chat requests get status 503.
        descriptions: a task's place to how it is described: one reply after the other to requests that differ, and the last
            for all others; one that ends in "…" is cut off there by num_predict. Other places are described by chance.
        improvable: how replies depend on the prompt; None for replies by chance.
    """

    slots: int = 4
    latency: float = 0.0
    latency_per_token: float = 0.0
    speed: float = 0.0
    logprobs: int = 0
    holds: int = 0
    load_seconds: float = 0.0
    models: tuple[str, ...] = ("mistral-small3.2:latest",)
    seed: int = 0
    pass_rate: float = 0.9
    duplicate_rate: float = 0.0
    faults: tuple[tuple[str, float], ...] = ()
    fail_first: int = 0
    descriptions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    improvable: Improvable | None = None
