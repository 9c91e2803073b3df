"""The measurements before a run, on a server that keeps virtual time."""

import asyncio
import itertools
import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import pytest
from huggingface_hub import constants

from evals.bench import virtual_time
from skills_dspy.base.config import RunConfig
from skills_dspy.base.errors import ContextTooLong, EmbedderMissing, Unanswered
from skills_dspy.base.records import SeedExample
from skills_dspy.commands.check.lines import trial_line
from skills_dspy.commands.check.measure import MOST_AT_ONCE, Preflight, find_weights
from skills_dspy.commands.check.speed import Together, Trial
from skills_dspy.commands.check.thinking import may_help
from skills_dspy.model.embedding.weights import MINILM
from skills_dspy.tasks.spec import TaskSpec
from tests.helpers.making import FREEFORM, GROUNDED, a_config, a_spec
from tests.helpers.timed_server import READING, WRITING, TimedServer, willing

T = TypeVar("T")

SEEDS = tuple(SeedExample(question=f"What is fox number {n}?", answer=f"Animal {n}.") for n in range(6))
WINDOWS: Mapping[Any, int] = {"generator": 4096, "validator": 4096, "tagger": 4096}


def flight(
    server: TimedServer,
    spec: TaskSpec | None = None,
    config: RunConfig | None = None,
    concurrency: int = 8,
    clock: Callable[[], float] | None = None,
) -> Preflight:
    """A preflight on the running loop's time, if nothing else is given."""
    clock = clock or asyncio.get_running_loop().time
    return Preflight(spec or a_spec(SEEDS), config or a_config(), server, WINDOWS, concurrency=concurrency, clock=clock)


def attempt(server: TimedServer, step: str, spec: TaskSpec | None = None) -> Trial:
    """One trial, on a clock that ticks once a second for who looks at it: DSPy's threads know no virtual time."""
    ticks = itertools.count()

    async def main() -> Trial:
        return await flight(server, spec, clock=lambda: float(next(ticks))).attempt(step)

    return asyncio.run(main())


def together(server: TimedServer, concurrency: int = 8) -> Together:
    """The requests at once."""

    async def main() -> Together:
        return await flight(server, concurrency=concurrency).together()

    return virtual_time.play(main())


def test_weights_that_only_the_hub_has_are_not_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check fetches nothing; where the hub may not be asked at all, they are missing. What is here is found, not loaded."""
    assert find_weights(MINILM) is not None
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    assert find_weights("nobody/no-such-model") is None
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(EmbedderMissing, match="HF_HUB_OFFLINE"):
        find_weights("nobody/no-such-model")


# ---- one reply of each sort --------------------------------------------------------------------------------------------


def test_a_structured_reply_is_asked_for_as_a_run_does() -> None:
    """The request has the run's schema, window, room and prompt; the reply's counts and times are kept."""
    server = TimedServer(timed=False)
    trial = attempt(server, "write_questions_freeform")
    (payload,) = server.payloads
    assert payload["format"]["properties"]["questions"]["maxItems"] == 5
    assert payload["options"]["num_ctx"] == 4096
    assert payload["options"]["num_predict"] == 592
    assert "What is fox number" in payload["messages"][-1]["content"]
    assert trial.fault is None
    assert (trial.prose, trial.tries, trial.model) == (False, 1, "mistral-small3.2")
    tokens = trial.counts.prompt_tokens
    assert tokens is not None
    assert 100 < tokens < trial.estimate < 3 * tokens
    assert trial.counts.output_tokens == 50
    assert trial.counts.load_seconds == 2.0
    assert trial.counts.prompt_seconds == pytest.approx(tokens / READING)
    assert trial.counts.output_seconds == pytest.approx(50 / WRITING)
    assert trial.counts.seconds == 1.0
    attempt(server, "judge_question_freeform")
    assert "logprobs" not in server.payloads[1]


def test_a_free_text_reply_is_asked_for_without_a_schema() -> None:
    """Prose is taken as it is."""
    server = TimedServer(timed=False)
    trial = attempt(server, "write_answer_freeform")
    assert "format" not in server.payloads[0]
    assert trial.prose
    assert trial.raw == "A whole sentence."
    assert trial.fault is None


def test_the_question_asked_is_none_that_the_prompt_shows() -> None:
    """Where there is a seed to spare, the answer to it does not stand in the prompt."""
    server = TimedServer(timed=False)
    attempt(server, "write_answer_freeform")
    shown, asked = server.payloads[0]["messages"][-1]["content"].split("</examples>")
    number = asked.split("fox number ")[1][0]
    assert f"fox number {number}" not in shown


def test_a_task_with_one_seed_can_be_tried() -> None:
    """Then its question stands for the new one."""
    assert attempt(TimedServer(timed=False), "write_answer_freeform", a_spec((FREEFORM,))).fault is None


def test_a_grounded_task_is_tried_with_a_context() -> None:
    """The first seed says of which kind the prompts are."""
    server, spec = TimedServer(timed=False), a_spec((GROUNDED, FREEFORM))

    async def steps() -> tuple[str, ...]:
        return flight(server, spec).steps

    assert virtual_time.play(steps()) == ("write_questions_grounded", "write_answer_grounded")
    assert attempt(server, "write_questions_grounded", spec).fault is None
    assert "The fox runs." in server.payloads[0]["messages"][-1]["content"]


def test_a_prompt_that_is_never_answered_is_one_of_several() -> None:
    """As a run goes on without it, the check tries others: it warns of one, and fails where three cannot be answered.

    What is only timed is timed with other prompts.
    """

    for never, said in ((1, "warn"), (2, "warn"), (3, "FAIL")):
        prompts: set[str] = set()

        def fails(payload: Mapping[str, Any], prompts: set[str] = prompts, never: int = never) -> str:
            prompts.add(str(payload["messages"]))
            if len(prompts) <= never:
                raise Unanswered("The server answered 500: EOF.", "")
            return willing(payload)

        trial = attempt(TimedServer(timed=False, reply=fails), "write_answer_freeform")
        line = trial_line(trial)
        assert line.state == said
        assert "The server answered 500: EOF" in line.text
        assert "the reply begins" not in line.text
        assert (trial.fault is None, trial.lost != "") == ((True, True) if said == "warn" else (False, True))
        assert not may_help(trial)
    prompts.clear()
    assert together(TimedServer(reply=fails), 4).requests == 4


def test_a_reply_that_does_not_parse_is_asked_for_twice_and_shown() -> None:
    """The trial says what is wrong and keeps the reply."""
    server = TimedServer(timed=False, reply=lambda _: "Here are your questions!")
    trial = attempt(server, "write_questions_freeform")
    assert (trial.tries, len(server.payloads)) == (2, 2)
    assert trial.fault is not None
    assert "JSON" in trial.fault
    assert trial.raw == "Here are your questions!"


def test_a_second_try_that_succeeds_is_counted() -> None:
    """The trial is good, and says that it took two."""
    texts = iter(["nonsense", json.dumps({"questions": list("abcde")})])
    trial = attempt(TimedServer(timed=False, reply=lambda _: next(texts)), "write_questions_freeform")
    assert (trial.tries, trial.fault) == (2, None)


def test_a_window_that_the_real_prompt_fills_is_an_error() -> None:
    """The server's count decides."""
    with pytest.raises(ContextTooLong, match="leaves no room"):
        attempt(TimedServer(timed=False, dense=20.0), "write_answer_freeform")


def test_every_model_is_tried_once() -> None:
    """A judge or tagger of its own gets its first step tried; one that is the generator's model gets none."""
    both = a_config({"validator": {"model": "strict"}, "tagger": {"model": "quick"}})
    fused = a_config({"tagger": {"model": "quick"}, "tagging": "fused"})

    async def steps(config: RunConfig) -> tuple[str, ...]:
        return flight(TimedServer(timed=False), config=config).steps

    writing = ("write_questions_freeform", "write_answer_freeform")
    assert virtual_time.play(steps(a_config())) == writing
    assert virtual_time.play(steps(both)) == (*writing, "judge_question_freeform", "tag_instruction_quality")
    assert virtual_time.play(steps(fused)) == (*writing, "tag_fused")


# ---- several at once ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slots", [1, 2, 4, 8])
def test_the_gain_is_the_number_of_slots(slots: int) -> None:
    """A server with one slot only queues; every more slot brings as much again."""
    found = together(TimedServer(slots=slots, tokens=500))
    assert found.requests == 8
    assert found.mean_tokens == 96
    assert found.factor == pytest.approx(slots, rel=0.02)
    assert found.busy <= slots


def test_requests_at_once_are_bounded_and_all_different() -> None:
    """At most 16 of at most 96 tokens, with prompts and seeds of their own, so that no cache answers for the server."""
    server = TimedServer(slots=64)
    assert together(server, 500).requests == MOST_AT_ONCE
    assert len(server.payloads) == MOST_AT_ONCE + 1
    assert {p["options"]["num_predict"] for p in server.payloads} == {96}
    assert {p["options"]["num_ctx"] for p in server.payloads} == {4096}
    assert len({p["options"]["seed"] for p in server.payloads}) == MOST_AT_ONCE + 1
    assert len({p["messages"][-1]["content"] for p in server.payloads}) > MOST_AT_ONCE // 2
