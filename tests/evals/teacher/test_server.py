"""The simulated teacher, as far as others rely on it: Ollama's wire form, its replies, faults and slots."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
from random import Random
from typing import Any, get_args

import aiohttp
import httpx
import ollama
import pytest
from aiohttp.test_utils import BaseTestServer, TestServer
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from evals.record.answering import CHECKOUT
from evals.teacher import wire
from evals.teacher.__main__ import main
from evals.teacher.config import FAULT_KINDS, TeacherConfig
from evals.teacher.filling import Taste, fill
from evals.teacher.prompts import read_prompt
from evals.teacher.replies import Teacher
from evals.teacher.server import make_app
from signatures.examples import Pair
from signatures.labels import Quality
from skills_dspy.model.adapter import SkillsAdapter
from skills_dspy.model.exhibits import shown_as
from skills_dspy.model.soft import ASKED, soft_of, trimmed
from skills_dspy.model.steps import STEPS as PROGRAM_STEPS

MODEL = "mistral-small3.2"
local = pytest.mark.block_network(allowed_hosts=["127.0.0.1"])


QUESTIONS = {"properties": {"questions": {"type": "array", "items": {"type": "string"}, "minItems": 5, "maxItems": 5}}}
JUDGE = {"properties": {"explanation": {"type": "string"}, "rating": {"type": "integer", "enum": [0, 1]}}}
JUDGE_PAIR = {"properties": {"explanation": {"type": "string"}, "rating": {"type": "integer", "enum": [1, 2, 3]}}}
QUALITY = {"properties": {"explanation": {"type": "string"}, "quality": {"enum": list(get_args(Quality))}}}


def user_text(description: str, ending: str = "Reply with one JSON object.", **fields: str) -> str:
    """A prompt as the program writes it."""
    named = {"task_description": description, **fields}
    return "\n\n".join([*(f"<{name}>\n{value}\n</{name}>" for name, value in named.items()), ending])


def body(text: str = "hello", schema: Any = None, seed: int = 0, **more: Any) -> dict[str, Any]:
    """A chat request."""
    messages = [{"role": "system", "content": "Be good."}, {"role": "user", "content": text}]
    return {"model": MODEL, "messages": messages, "stream": False, "format": schema, "options": {"seed": seed}} | more


def asked(request: dict[str, Any]) -> wire.ChatRequest:
    """The request as the server understands it."""
    return wire.parse(request)


def told(request: dict[str, Any], config: TeacherConfig | None = None, fault: str | None = None) -> wire.Reply:
    """The reply of a fresh teacher."""
    return Teacher(config or TeacherConfig()).reply(asked(request), fault)


# ---- made replies ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(PROGRAM_STEPS))
@given(st.integers())
def test_filled_schemas_validate(name: str, seed: int) -> None:
    """Whatever the seed, the program takes what is made for its schemas."""
    plan = SkillsAdapter().plan(PROGRAM_STEPS[name].signature(5))
    if plan.schema is not None:
        plan.read(json.dumps(fill(plan.schema, Random(seed), Taste())))


@pytest.mark.parametrize(
    ("schema", "name", "passing"),
    [
        (JUDGE, "rating", {1}),
        (JUDGE_PAIR, "rating", {2, 3}),
        (QUALITY, "quality", {"good", "excellent"}),
        ({"properties": {"score": {"enum": [1, 2, 3, 4, 5]}}}, "score", {4, 5}),
    ],
)
def test_pass_rate_decides_what_passes(schema: dict[str, Any], name: str, passing: set[Any]) -> None:
    """All ratings pass at rate 1, none at 0, and about nine of ten at 0.9."""
    rng = Random(0)

    def passed(rate: float) -> int:
        return sum(fill(schema, rng, Taste(pass_rate=rate))[name] in passing for _ in range(1000))

    assert passed(1) == 1000
    assert passed(0) == 0
    assert 860 < passed(0.9) < 940


def test_duplicates_are_copies_of_shown_questions() -> None:
    """At duplicate rate 1 every question is one of the examples', at 0 none is."""
    examples = "<example>\n<question>\nWho?\n</question>\n</example>\n<example>\n<question>\nWhy?\n</question>\n</example>"
    request = body(user_text("a skill", examples=examples), QUESTIONS)
    copies = json.loads(told(request, TeacherConfig(duplicate_rate=1)).text)["questions"]
    fresh = json.loads(told(request).text)["questions"]
    assert len(copies) == len(fresh) == 5
    assert set(copies) <= {"Who?", "Why?"}
    assert len(set(fresh)) == 5
    assert not set(fresh) & {"Who?", "Why?"}


def test_made_replies_depend_on_the_request_and_the_seed_only() -> None:
    """The same request gets the same text whatever its window, streaming and keep_alive; another seed another text."""
    base = told(body(schema=QUESTIONS))
    same = body(schema=QUESTIONS, keep_alive="30m", stream=True, logprobs=True, options={"seed": 0, "num_ctx": 9000})
    assert told(same) == base
    assert told(body(schema=QUESTIONS, seed=1)).text != base.text
    assert told(body(schema=QUESTIONS), TeacherConfig(seed=1)).text != base.text


# ---- reading prompts -----------------------------------------------------------------------------------------------------

INPUTS: dict[str, Any] = {
    "task_description": "To test:\n<question>\nis a tag\n</question>",
    "count": 5,
    "context": "A text.\n\nIn two parts.",
    "question": "Which one?",
    "answer": "That one.",
    "path": "a/b",
    "length": "1 to 3 words",
    "plan": ["subject: ponds"],
    "avoid": "Begin otherwise.",
}
EXPECTED = {
    "tag_instruction_quality": "instruction_quality",
    "tag_fused": "tags",
    "tag_sample_quality": "sample_quality",
    **dict.fromkeys(("plan_variety", "write_context", "judge_context", "tag_difficulty", "tag_category"), "other"),
}


@pytest.mark.parametrize("name", list(PROGRAM_STEPS))
def test_every_prompt_of_the_program_is_understood(name: str) -> None:
    """For each step of the program the simulation finds the step, and the subject's own question and context."""
    step, adapter = PROGRAM_STEPS[name], SkillsAdapter()
    signature = step.signature(5)
    whole = [Pair(context="C1", question="Q1", answer="A1")]
    shown = shown_as(step.shows, whole)
    inputs = {key: (INPUTS | {"examples": shown})[key] for key in signature.input_fields}
    messages = adapter.format(signature, [], inputs)
    prompt = read_prompt(messages, adapter.plan(signature).schema)
    plain = name.removesuffix("_freeform").removesuffix("_grounded")
    assert prompt.step == EXPECTED.get(plain, plain)
    assert prompt.path == inputs.get("path")
    assert prompt.context == inputs.get("context")
    assert prompt.question == inputs.get("question")
    if step.shows != "passages":
        assert prompt.shown == (("Q1",) if "examples" in inputs else ())


# ---- faults --------------------------------------------------------------------------------------------------------------


def test_faults_are_reproducible_and_a_retry_may_succeed() -> None:
    """Two runs with one seed have the same faults at about the wanted rates; the same request fares differently later."""
    requests = [asked(body(seed=seed)) for seed in range(1000)]

    def chosen(teacher: Teacher) -> list[str | None]:
        return [teacher.choose_fault(request) for request in requests]

    config = TeacherConfig(faults=(("500", 0.2), ("empty", 0.1)))
    teacher = Teacher(config)
    first = chosen(teacher)
    assert first == chosen(Teacher(config))
    assert 150 < first.count("500") < 250
    assert 60 < first.count("empty") < 140
    again = chosen(teacher)
    assert 0.5 < sum(now is None for now, was in zip(again, first, strict=True) if was) / (1000 - first.count(None)) < 0.9
    assert chosen(Teacher(TeacherConfig(seed=8, faults=config.faults))) != first


# ---- over HTTP -----------------------------------------------------------------------------------------------------------

MESSAGES = [{"role": "user", "content": "hello"}]


def serve(config: TeacherConfig) -> TestServer:
    """A teacher in this process."""
    return TestServer(make_app(config))


async def stats_of(server: BaseTestServer) -> dict[str, Any]:
    """The server's counters."""
    async with httpx.AsyncClient() as client:
        report: dict[str, Any] = (await client.get(str(server.make_url("/teacher/stats")))).json()
        return report


@local
def test_every_response_says_that_no_model_made_it() -> None:
    """Recordings take from there what answered."""

    async def talk() -> httpx.Response:
        async with serve(TeacherConfig()) as server, httpx.AsyncClient() as client:
            return await client.get(str(server.make_url("/api/version")))

    version = asyncio.run(talk())
    assert version.json() == {"version": "0.0.0-simulated"}
    assert "no language model" in version.headers["server"]


@local
def test_log_probabilities_come_where_they_are_asked_for_and_a_rating_is_read_from_them() -> None:
    """As many tokens as are set, or as the reply has, with 20 alternatives each at most; none for who does not ask."""

    async def talk() -> None:
        async with serve(TeacherConfig(logprobs=60)) as server, aiohttp.ClientSession() as session:

            async def ask(**more: Any) -> dict[str, Any]:
                async with session.post(server.make_url("/api/chat"), json=body(schema=JUDGE_PAIR, **more)) as response:
                    told: dict[str, Any] = await response.json()
                    return told

            request = body(schema=JUDGE_PAIR, **ASKED)
            told = await ask(**ASKED)
            assert (len(told["logprobs"]), {len(one["top_logprobs"]) for one in told["logprobs"]}) == (60, {20})
            said = json.loads(told["message"]["content"])["rating"]
            read = soft_of(trimmed(told, request), request)["rating"].probabilities
            assert max(read, key=read.__getitem__) == str(said)
            assert "logprobs" not in await ask()

    asyncio.run(talk())


@local
def test_a_model_that_is_not_pulled_is_404() -> None:
    """The error has Ollama's words."""

    async def talk() -> None:
        async with serve(TeacherConfig()) as server, ollama.AsyncClient(str(server.make_url("/"))) as client:
            for ask in (client.chat("x", MESSAGES), client.show("x")):
                with pytest.raises(ollama.ResponseError) as error:
                    await ask
                assert (error.value.status_code, error.value.error) == (404, "model 'x' not found")

    asyncio.run(talk())


@local
def test_slots_bound_what_is_worked_on_at_once_and_a_client_that_leaves_frees_its_own() -> None:
    """Ten requests of 50 ms through two slots keep both busy for 0.25 s; two of 3 s whose clients leave take no more."""

    async def talk() -> None:
        async with serve(TeacherConfig(slots=2, latency_per_token=0.05)) as server, aiohttp.ClientSession() as session:

            async def ask(num_predict: int) -> int:
                asked = body(options={"num_predict": num_predict})
                async with session.post(server.make_url("/api/chat"), json=asked) as response:
                    return response.status

            leaving = [asyncio.create_task(ask(60)) for _ in range(2)]
            while (await stats_of(server))["chat"] < 2:
                pass
            for task in leaving:
                task.cancel()
            assert await asyncio.gather(*(ask(1) for _ in range(10))) == [200] * 10
            report = await stats_of(server)
        assert 0.499 <= report["busy_seconds"] < 3
        assert report["busy_seconds"] <= 2 * (time.time() - report["first_request_at"])
        assert report["chat"] == 12

    asyncio.run(talk())


async def _fault(server: BaseTestServer) -> str:
    """What a plain client meets: a status, or what is wrong with the body."""
    async with httpx.AsyncClient() as client:
        response = await client.post(str(server.make_url("/api/chat")), json=body(schema=JUDGE))
    if response.status_code != 200:
        return str(response.status_code)
    try:
        reply = response.json()
    except ValueError:
        return "broken" if response.content else "empty"
    try:
        rating = json.loads(reply["message"]["content"])["rating"]
    except (ValueError, KeyError):
        return "truncated" if reply["done_reason"] == "length" else "unreadable"
    return "bad-label" if rating not in (0, 1) else "none"


@local
@pytest.mark.parametrize("kind", FAULT_KINDS)
def test_each_fault_looks_as_named_from_outside(kind: str) -> None:
    """A client meets the fault that was ordered; the first chats fail when told to, whatever was ordered."""

    async def talk() -> None:
        async with serve(TeacherConfig(faults=((kind, 1.0),), fail_first=1)) as server:
            assert [await _fault(server) for _ in range(2)] == ["503", kind]

    asyncio.run(talk())


@local
def test_the_command_says_what_it_is_serves_and_ends_cleanly() -> None:
    """The first line says that no model runs, the second where it listens; SIGTERM ends it with exit code 0."""
    options = ["--port", "0", "--model", "tiny:1b", "--holds", "1", "--load-seconds", "0.01"]
    command = [sys.executable, "-m", "evals.teacher", *options]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first, second = process.stdout.readline(), process.stdout.readline()
        assert "SIMULATED" in first
        assert "no language model" in first
        with ollama.Client(second.strip().removeprefix("listening on ")) as client:
            prompt = user_text("a skill", count="5")
            reply = client.chat("tiny:1b", [{"role": "user", "content": prompt}], format=QUESTIONS)
            assert [model.model for model in client.ps().models] == ["tiny:1b"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=5) == 0
    assert len(json.loads(reply.message.content or "")["questions"]) == 5
    assert reply.load_duration == 10_000_000


@local
def test_the_command_says_in_a_sentence_what_it_cannot_do() -> None:
    """A port in use and a fault without its rate are told without a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for words, told in (
            (("--port", port), f"port {port} on 127.0.0.1 cannot be used"),
            (("--fault", "500"), "KIND=RATE"),
        ):
            result = CliRunner().invoke(main, words)
            assert result.exit_code in (1, 2)
            assert told in result.output
            assert isinstance(result.exception, SystemExit)
