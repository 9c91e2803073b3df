"""How a simulated teacher behaves: its frozen configuration, checked when it is made."""

from dataclasses import dataclass

from evals.judges.cases import Case
from evals.teacher.script import Script
from skills_dspy.base.errors import ConfigError

FAULT_KINDS = (
    "reset",  # the TCP connection is aborted
    "hang",  # no answer until the client leaves
    "429",
    "500",
    "503",
    "empty",  # status 200 with an empty body
    "broken",  # status 200 with JSON cut in the middle
    "truncated",  # a valid envelope with half the text and done_reason "length"
    "unreadable",  # a valid envelope whose text is not what was asked for
    "bad-label",  # a label outside its enum; unreadable where nothing has labels
)
"""What can go wrong on purpose."""


@dataclass(frozen=True, slots=True)
class Improvable:
    """That replies get better with the prompt (see improvable.py).

    Attributes:
        cases: labelled cases, whose labels judges may find.
        gullible: judges whose model has no `strict` in its name are pleased by long answers.
    """

    cases: tuple[Case, ...] = ()
    gullible: bool = False


@dataclass(frozen=True, slots=True)
class TeacherConfig:
    """Everything that the answers, their timing and their faults depend on.

    Attributes:
        slots: how many requests are worked on at once (1 or more).
        max_queue: how many may wait; one more gets status 503.
        latency: seconds of work for each request.
        latency_per_token: seconds more for each token of the reply.
        models: the names that are pulled; a name without a tag means `:latest`.
        seed: of made replies and of the choice of faults.
        pass_rate: how likely a made rating, quality or score is one that passes, 0 to 1.
        duplicate_rate: how likely a made question is a copy of one among the prompt's examples, 0 to 1.
        answer_tokens: the length of made prose in estimated tokens (1 or more).
        faults: pairs of a kind from FAULT_KINDS and its rate; the rates add up to 1 at most.
        fail_first: the first so many chat requests get status 503.
        scripts: replies written by hand, at most one script for a task description.
        improvable: how replies that no script has depend on the prompt; None for replies by chance.
        context_length: the window that the model is said to have, in tokens.
        default_num_ctx: the window of a request that names none, in tokens.

    Raises:
        ConfigError: a value is outside its range.
    """

    slots: int = 4
    max_queue: int = 512
    latency: float = 0.0
    latency_per_token: float = 0.0
    models: tuple[str, ...] = ("mistral-small3.2:latest",)
    seed: int = 0
    pass_rate: float = 0.9
    duplicate_rate: float = 0.0
    answer_tokens: int = 60
    faults: tuple[tuple[str, float], ...] = ()
    fail_first: int = 0
    scripts: tuple[Script, ...] = ()
    improvable: Improvable | None = None
    context_length: int = 131072
    default_num_ctx: int = 4096

    def __post_init__(self) -> None:
        for name in ("slots", "answer_tokens", "context_length", "default_num_ctx"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}, but has to be 1 or more")
        for name in ("max_queue", "latency", "latency_per_token", "fail_first"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}, but has to be 0 or more")
        for name in ("pass_rate", "duplicate_rate"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is {getattr(self, name)}, but has to lie between 0 and 1")
        self._check_faults()
        self._check_scripts()

    def _check_faults(self) -> None:
        for kind, rate in self.faults:
            if kind not in FAULT_KINDS:
                raise ConfigError(f"there is no fault {kind!r}; the kinds are: {', '.join(FAULT_KINDS)}")
            if not 0 <= rate <= 1:
                raise ConfigError(f"the rate of fault {kind!r} is {rate}, but has to lie between 0 and 1")
        if sum(rate for _, rate in self.faults) > 1 + 1e-9:
            raise ConfigError("the rates of all faults add up to more than 1")

    def _check_scripts(self) -> None:
        described = [script.task_description for script in self.scripts]
        twice = next((text for text in described if described.count(text) > 1), None)
        if twice is not None:
            raise ConfigError(f"two scripts are for the same task: {twice!r}")


def parse_fault(text: str) -> tuple[str, float]:
    """A fault written as KIND=RATE.

    Raises:
        ConfigError: it is not written so. Kind and range are checked by TeacherConfig.
    """
    kind, equals, rate = text.partition("=")
    try:
        return kind.strip(), float(rate if equals else "")
    except ValueError:
        raise ConfigError(f"the fault {text!r} is not written as KIND=RATE, for instance 500=0.1") from None
