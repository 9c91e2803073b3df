"""The simulated teacher, as far as others rely on it: Ollama's wire form, its replies, scripts, faults and slots."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, get_args

import aiohttp
import httpx
import ollama
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from evals.teacher import wire
from evals.teacher.__main__ import main
from evals.teacher.config import FAULT_KINDS, TeacherConfig
from evals.teacher.filling import Taste, fill, tokens
from evals.teacher.playing import Player, ScriptError, content
from evals.teacher.prompts import STEPS, Prompt, read_prompt
from evals.teacher.replies import Faults, Reply, Teacher
from evals.teacher.script import Script, load_script
from evals.teacher.server import start
from evals.teacher.slots import QueueFull, Slots
from signatures.examples import Pair, Passage, Question
from signatures.labels import Quality
from skills_dspy.base.errors import ConfigError
from skills_dspy.model.adapter import SkillsAdapter
from skills_dspy.model.steps import STEPS as PROGRAM_STEPS

MODEL = "mistral-small3.2"
ROOT = Path(__file__).resolve().parents[3]
DEBATE = ROOT / "evals" / "teacher" / "scripts" / "debate.yaml"
local = pytest.mark.block_network(allowed_hosts=["127.0.0.1"])


QUESTIONS = {"properties": {"questions": {"type": "array", "items": {"type": "string"}, "minItems": 5, "maxItems": 5}}}
JUDGE = {"properties": {"explanation": {"type": "string"}, "rating": {"type": "integer", "enum": [0, 1]}}}
JUDGE_PAIR = {"properties": {"explanation": {"type": "string"}, "rating": {"type": "integer", "enum": [1, 2, 3]}}}
QUALITY = {"properties": {"explanation": {"type": "string"}, "quality": {"enum": list(get_args(Quality))}}}
PROSE = "Reply with the answer only, as plain text."


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
    return wire.parse(request, default_num_ctx=4096, most_num_ctx=131072)


def told(request: dict[str, Any], config: TeacherConfig | None = None, fault: str | None = None) -> Reply:
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


def test_num_predict_cuts_the_reply() -> None:
    """The text ends at num_predict tokens with done_reason length; a limit that is not reached changes nothing."""
    request = body(options={"num_predict": 7})
    reply = told(request)
    assert (reply.tokens, reply.done_reason) == (7, "length")
    assert len(reply.text) == 28
    assert told(body(options={"num_predict": 700})).done_reason == "stop"


# ---- the window ----------------------------------------------------------------------------------------------------------


def test_truncate_false_makes_an_overlong_prompt_an_error() -> None:
    """With truncate false a prompt over the window is refused with status 400, one within it is not."""
    with pytest.raises(wire.Refused, match="exceeds the context length") as refused:
        asked(body("x" * 400, truncate=False, options={"num_ctx": 50}))
    assert refused.value.status == 400
    assert asked(body("x" * 400, truncate=False)).prompt_tokens == 102


@pytest.mark.parametrize(
    "more",
    [{"options": 3}, {"options": {"num_ctx": "big"}}, {"format": 5}, {"messages": [1]}],
)
def test_malformed_requests_are_refused(more: dict[str, Any]) -> None:
    """What Ollama refuses with status 400 is refused."""
    with pytest.raises(wire.Refused) as refused:
        asked(body() | more)
    assert refused.value.status == 400


# ---- reading prompts -----------------------------------------------------------------------------------------------------

INPUTS: dict[str, Any] = {
    "task_description": "To test:\n<question>\nis a tag\n</question>",
    "count": 5,
    "context": "A text.\n\nIn two parts.",
    "question": "Which one?",
    "answer": "That one.",
    "path": "a/b",
    "example": Pair(context="C", question="Q0", answer="A"),
}
EXPECTED = {
    "judge_question": "judge_question",
    "judge_pair": "judge_pair",
    "tag_instruction_quality": "instruction_quality",
    "tag_fused": "tags",
    "tag_sample_quality": "sample_quality",
    "tag_difficulty": "difficulty",
    "tag_category": "category",
}


@pytest.mark.parametrize("name", list(PROGRAM_STEPS))
def test_every_prompt_of_the_program_is_understood(name: str) -> None:
    """For each step of the program the simulation finds the step, the task and the subject's own question and context."""
    signature = PROGRAM_STEPS[name].signature(5)
    adapter = SkillsAdapter()
    whole = [Pair(context="C1", question="Q1", answer="A1")]
    shown = {"write_context": [Passage(context="C1")], "write_description": whole}.get(
        name, [Question(context="C1", question="Q1")]
    )
    inputs = {key: (INPUTS | {"examples": shown})[key] for key in signature.input_fields}
    messages = adapter.format(signature, [], inputs)
    prompt = read_prompt(messages, adapter.plan(signature).schema)
    plain = name.removesuffix("_freeform").removesuffix("_grounded")
    assert prompt.step == EXPECTED.get(plain, plain)
    assert prompt.step in STEPS
    assert prompt.task_description == inputs.get("task_description", "")
    assert prompt.path == inputs.get("path")
    assert prompt.context == inputs.get("context")
    assert prompt.question == inputs.get("question")
    if name != "write_context":
        assert prompt.shown == (("Q1",) if "examples" in inputs else ("Q0",) if "example" in inputs else ())


# ---- scripts -------------------------------------------------------------------------------------------------------------

SCRIPT = """
task_description: a skill
written_by: hand
draws:
- failed_attempts: [{raw: "Sure!"}, {truncated: "{"}]
  questions:
  - question: Who?
    judge_question: {rating: 1, explanation: fine}
    instruction_quality: {explanation: clear., quality: good}
    answer: [{truncated: I am}, "I am me."]
    judge_pair: [{raw: "3!"}, {explanation: right, rating: 3}]
    difficulty: {explanation: simple., difficulty: easy}
    category: {explanation: facts., category: reasoning, other_categories: [math]}
- questions:
  - question: Who?
  - question: Why?
    judge_question: {explanation: vague, rating: 0}
    instruction_quality: {explanation: vague., quality: poor}
- context: |
    A text.
  questions:
  - question: Who?
    judge_question: {explanation: not in it, rating: 0}
- context: [{raw: ""}, Another text.]
  failed_attempts: [{raw: "no"}]
  questions: [{question: "Where?"}]
"""


@pytest.fixture
def player(tmp_path: Path) -> Player:
    """A player of SCRIPT."""
    return Player(script_of(tmp_path, SCRIPT))


def script_of(directory: Path, text: str) -> Script:
    """A script with this text, loaded."""
    path = directory / "script.yaml"
    path.write_text(text, "utf-8")
    return load_script(path)


def play(player: Player, step: str, number: int, text: str = "", **about: Any) -> tuple[str, str]:
    """What a player says to the request `number` of a step, and its done_reason."""
    schemas: dict[str, Any] = {"judge_question": JUDGE, "judge_pair": JUDGE_PAIR}
    reply = player.reply(Prompt(step, text, "a skill", **about), f"{step} {number} {text} {about}".encode())
    return content(reply, schemas.get(step))


def test_draws_are_served_in_order_of_arrival(player: Player) -> None:
    """New prompts take the next draw, the same request the same reply, and after the last draw there is an error."""
    assert play(player, "write_questions", 0, "p") == ("Sure!", "stop")
    assert play(player, "write_questions", 0, "p") == ("Sure!", "stop")
    assert json.loads(play(player, "write_questions", 1, "q")[0]) == {"questions": ["Who?", "Why?"]}
    assert play(player, "write_questions", 2, "p") == ("{", "length"), "the retry of the first, not the third draw"
    assert json.loads(play(player, "write_questions", 3, "p")[0]) == {"questions": ["Who?"]}
    with pytest.raises(ScriptError, match="no more draws"):
        play(player, "write_questions", 4, "p")
    assert play(player, "write_questions", 0, "p") == ("Sure!", "stop")


def test_a_retry_with_another_prompt_gets_what_is_left(player: Player) -> None:
    """When nothing new is left, a draw whose retry never came with the same prompt goes on."""
    assert play(player, "write_questions", 0, "p")[0] == "Sure!"
    assert "Why?" in play(player, "write_questions", 1, "q")[0]
    assert play(player, "write_questions", 2, "r") == ("{", "length")


def test_contexts_come_in_turn_and_name_their_draw(player: Player) -> None:
    """The k-th context is the k-th grounded draw's; the questions asked with it are that draw's."""
    assert play(player, "write_context", 0, "p") == ("A text.", "stop")
    assert play(player, "write_context", 1, "p") == ("", "stop")
    assert play(player, "write_context", 2, "p") == ("Another text.", "stop")
    assert play(player, "write_questions", 0, "x", context="Another text.")[0] == "no"
    assert json.loads(play(player, "write_questions", 1, "x", context="Another text.")[0]) == {"questions": ["Where?"]}
    assert json.loads(play(player, "write_questions", 2, "x", context="A text.")[0]) == {"questions": ["Who?"]}


def test_replies_follow_question_and_context(player: Player) -> None:
    """The same question has one reply without context and another with it; keys come in the schema's order."""
    plain = play(player, "judge_question", 0, question="Who?")[0]
    grounded = play(player, "judge_question", 0, question="Who?", context="A text.")[0]
    assert plain == '{"explanation": "fine", "rating": 1}'
    assert json.loads(grounded)["rating"] == 0


def test_lists_are_served_to_requests_that_differ(player: Player) -> None:
    """The first request gets the first reply, a differing one the next, later ones the last again."""
    assert play(player, "write_answer", 0, question="Who?") == ("I am", "length")
    assert play(player, "write_answer", 0, question="Who?") == ("I am", "length")
    assert play(player, "write_answer", 1, question="Who?") == ("I am me.", "stop")
    assert play(player, "write_answer", 2, question="Who?") == ("I am me.", "stop")
    assert play(player, "judge_pair", 0, question="Who?") == ("3!", "stop")
    assert json.loads(play(player, "judge_pair", 1, question="Who?")[0]) == {"explanation": "right", "rating": 3}


def test_fused_tags_are_put_together(player: Player) -> None:
    """One reply for all tags joins the separate ones; what a filtered question lacks gets a neutral label."""
    tags = json.loads(play(player, "tags", 0, question="Who?")[0])
    assert tags == {
        "explanation": "clear. simple. facts.",
        "quality": "good",
        "difficulty": "easy",
        "category": "reasoning",
        "other_categories": ["math"],
    }
    assert json.loads(play(player, "tags", 0, question="Why?")[0])["category"] == "others"


def test_a_missing_reply_is_named(player: Player) -> None:
    """What the script leaves out is an error that says which step and question."""
    with pytest.raises(ScriptError, match=r"judge_pair of 'Why\?'"):
        play(player, "judge_pair", 0, question="Why?")


def test_a_script_answers_its_own_task_only(tmp_path: Path) -> None:
    """Requests of another task are answered by chance."""
    config = TeacherConfig(scripts=(script_of(tmp_path, SCRIPT),))
    scripted = told(body(user_text("a skill", question="Who?"), JUDGE), config)
    made = told(body(user_text("another skill", question="Who?"), JUDGE), config)
    assert json.loads(scripted.text)["explanation"] == "fine"
    assert made == told(body(user_text("another skill", question="Who?"), JUDGE))


@pytest.mark.parametrize(
    ("change", "line", "words_in_message"),
    [
        (("rating: 1,", "rating: 7,"), 8, "judge_question"),
        (("quality: good", "quality: nice"), 9, "quality"),
        (("written_by: hand", "written_by: model"), 3, "written_by"),
        (("written_by: hand\n", ""), 2, "written_by: field required"),
        (("    answer:", "    anwser:"), 10, "anwser: extra inputs"),
        (("explanation: right", "explanation: [1]"), 11, "explanation"),
        (("draws:\n", "draws: [{}]\nmore:\n"), 4, "draws[0]: a draw needs questions"),
        (("draws:\n", "draws: [\n"), 5, "not yaml: expected"),
    ],
)
def test_wrong_scripts_are_refused(tmp_path: Path, change: tuple[str, str], line: int, words_in_message: str) -> None:
    """A mistake in a script is one sentence with file and line."""
    with pytest.raises(ConfigError) as error:
        script_of(tmp_path, SCRIPT.replace(*change))
    message = str(error.value)
    assert f"script.yaml:{line}: " in message
    assert words_in_message in message.lower()
    assert "\n" not in message


def test_an_unreadable_script_is_one_sentence(tmp_path: Path) -> None:
    """A script that is not there, empty or binary is named."""
    with pytest.raises(ConfigError, match=r"script\.yaml: the file is empty"):
        script_of(tmp_path, "")
    with pytest.raises(ConfigError, match=r"script\.yaml:1: holds the control character U\+0000"):
        script_of(tmp_path, "a: \0")
    with pytest.raises(ConfigError, match=r"gone\.yaml: the file does not exist"):
        load_script(tmp_path / "gone.yaml")


def test_shipped_scripts_load() -> None:
    """Every script in evals/teacher/scripts is valid and written by hand."""
    paths = sorted((ROOT / "evals" / "teacher" / "scripts").glob("*.yaml"))
    assert DEBATE in paths
    assert all(load_script(path).written_by == "hand" for path in paths)


# ---- faults --------------------------------------------------------------------------------------------------------------


def test_faults_are_reproducible_and_a_retry_may_succeed() -> None:
    """Two runs with one seed have the same faults at about the wanted rates; the same request fares differently later."""
    rates = (("500", 0.2), ("hang", 0.1))
    requests = [b"%d" % i for i in range(2000)]
    first, second = Faults(7, rates), Faults(7, rates)
    chosen = [first.choose(request) for request in requests]
    assert chosen == [second.choose(request) for request in requests]
    assert 320 < chosen.count("500") < 480
    assert 140 < chosen.count("hang") < 260
    again = [first.choose(request) for request in requests]
    assert 0.5 < sum(now is None for now, was in zip(again, chosen, strict=True) if was) / (2000 - chosen.count(None)) < 0.9
    assert [Faults(8, rates).choose(request) for request in requests] != chosen
    assert Faults(7, ()).choose(b"x") is None


def test_spoiled_replies_are_wrong_as_named() -> None:
    """Truncated is cut, unreadable is not what was asked for, bad-label is a label that does not exist."""
    whole = told(body(schema=JUDGE))
    cut = told(body(schema=JUDGE), fault="truncated")
    assert cut.done_reason == "length"
    assert whole.text.startswith(cut.text)
    assert 0 < len(cut.text) < len(whole.text)
    assert json.loads(told(body(schema=JUDGE), fault="bad-label").text)["rating"] == 2
    assert json.loads(told(body(schema=QUALITY), fault="bad-label").text)["quality"] not in get_args(Quality)
    assert told(body(), fault="unreadable").text == ""
    for seed in range(20):
        text = told(body(schema=JUDGE, seed=seed), fault="unreadable").text
        try:
            assert set(json.loads(text)) == {"reply"}
        except ValueError:
            assert text


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"slots": 0}, "slots is 0"),
        ({"latency": -1.0}, "latency is -1.0"),
        ({"pass_rate": 1.5}, "pass_rate is 1.5"),
        ({"faults": (("fire", 0.1),)}, "there is no fault 'fire'"),
        ({"faults": (("500", 2.0),)}, "between 0 and 1"),
        ({"faults": (("500", 0.6), ("503", 0.6))}, "more than 1"),
    ],
)
def test_impossible_configurations_are_refused(values: dict[str, Any], message: str) -> None:
    """A value outside its range is named."""
    with pytest.raises(ConfigError, match=message):
        replace(TeacherConfig(), **values)


# ---- slots and their accounting ------------------------------------------------------------------------------------------


def test_slots_are_given_in_order_and_the_queue_is_bounded() -> None:
    """Who waits longest is next; one too many is refused; who gives up waiting takes no slot."""

    async def scenario() -> None:
        now, order = [100.0], list[int]()
        slots = Slots(1, 3, lambda: now[0])

        async def one(number: int) -> None:
            await slots.acquire()
            order.append(number)

        await slots.acquire()
        tasks = [asyncio.create_task(one(number)) for number in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(QueueFull):
            await slots.acquire()
        tasks[0].cancel()
        await asyncio.sleep(0)
        slots.release()
        tasks[1].cancel()  # in the moment in which the slot is handed to it
        await asyncio.gather(*tasks, return_exceptions=True)
        assert order == [2]
        assert slots.busy == 1
        now[0] = 102.5
        slots.release()
        now[0] = 110.0
        assert (slots.busy, slots.most_busy, slots.busy_seconds()) == (0, 1, 2.5)

    asyncio.run(scenario())


# ---- over HTTP -----------------------------------------------------------------------------------------------------------


def serve(config: TeacherConfig, talk: Callable[[str], Awaitable[None]]) -> None:
    """Talk to a teacher that runs in this process."""

    async def scenario() -> None:
        runner, port = await start(config)
        try:
            await talk(f"http://127.0.0.1:{port}")
        finally:
            await runner.cleanup()

    asyncio.run(scenario())


async def stats_of(url: str) -> dict[str, Any]:
    """The server's counters."""
    async with httpx.AsyncClient() as client:
        report: dict[str, Any] = (await client.get(f"{url}/teacher/stats")).json()
        return report


async def until_in_flight(url: str, count: int) -> None:
    """Ask until the server works on so many requests."""
    for _ in range(1000):
        if (await stats_of(url))["in_flight"] == count:
            return
    pytest.fail(f"there never were {count} requests in flight")


MESSAGES = [{"role": "user", "content": "hello"}]


@local
def test_the_ollama_client_understands_it() -> None:
    """Models, version and chat come in Ollama's form."""

    async def talk(url: str) -> None:
        async with ollama.AsyncClient(url) as client:
            model = (await client.list()).models[0]
            assert (model.model, len(model.digest or "")) == (f"{MODEL}:latest", 64)
            shown = await client.show(MODEL)
            assert (shown.modelinfo or {})["llama.context_length"] == 131072
            assert "completion" in (shown.capabilities or [])
            whole = await client.chat(MODEL, MESSAGES)
            assert (whole.model, whole.done, whole.done_reason) == (MODEL, True, "stop")
            assert whole.eval_count == tokens(whole.message.content or "")
            assert whole.prompt_eval_count == 2
            assert (whole.total_duration or 0) > 0
        async with httpx.AsyncClient() as http:
            listed = await http.get(f"{url}/api/tags")
            assert "no language model" in listed.headers["server"]
            assert (await http.get(f"{url}/api/version")).json() == {"version": "0.0.0-simulated"}

    serve(TeacherConfig(), talk)


@local
def test_a_model_that_is_not_pulled_is_404_until_it_is() -> None:
    """The error has Ollama's words; pulling reports progress and helps."""

    async def talk(url: str) -> None:
        async with ollama.AsyncClient(url) as client:
            for ask in (client.chat("x", MESSAGES), client.show("x")):
                with pytest.raises(ollama.ResponseError) as error:
                    await ask
                assert (error.value.status_code, error.value.error) == (404, "model 'x' not found")
            progress = [step async for step in await client.pull("x", stream=True)]
            assert progress[-1].status == "success"
            assert any(step.completed == step.total for step in progress if step.total)
            assert (await client.chat("x:latest", MESSAGES)).done
        assert (await stats_of(url))["by_status"] == {"200": 2, "404": 2}

    serve(TeacherConfig(), talk)


@local
def test_a_client_that_leaves_frees_its_slot() -> None:
    """A hanging request holds the only slot until its client goes; then the next one is worked on."""

    async def talk(url: str) -> None:
        async with aiohttp.ClientSession() as session:
            hanging = asyncio.create_task(session.post(f"{url}/api/chat", json=body()))
            await until_in_flight(url, 1)
            hanging.cancel()
            await asyncio.gather(hanging, return_exceptions=True)
            await until_in_flight(url, 0)
        assert (await stats_of(url))["by_status"] == {"disconnected": 1}

    serve(TeacherConfig(slots=1, faults=(("hang", 1.0),)), talk)


@local
def test_slots_bound_what_is_worked_on_at_once() -> None:
    """Ten requests of 20 ms through two slots keep both busy for 0.1 s; an eleventh that may not wait gets 503."""

    async def talk(url: str) -> None:
        async with aiohttp.ClientSession() as session:

            async def ask(seed: int) -> int:
                async with session.post(f"{url}/api/chat", json=body(seed=seed)) as response:
                    return response.status

            statuses = await asyncio.gather(*(ask(seed) for seed in range(11)))
        report = await stats_of(url)
        assert sorted(statuses) == [200] * 10 + [503]
        assert 0.199 <= report["busy_seconds"] <= 2 * (time.time() - report["first_request_at"])
        assert (report["max_busy"], report["max_in_flight"], report["chat"]) == (2, 11, 11)

    serve(TeacherConfig(slots=2, max_queue=8, latency=0.02), talk)


async def _fault(url: str) -> str:
    """What a plain client meets: a status, or what is wrong with the body or the connection."""
    async with httpx.AsyncClient(timeout=0.2) as client:
        try:
            response = await client.post(f"{url}/api/chat", json=body(schema=JUDGE))
        except httpx.TimeoutException:
            return "hang"
        except httpx.TransportError:
            return "reset"
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
    """A client meets the fault that was ordered, and none when none was."""

    async def talk(url: str) -> None:
        assert await _fault(url) == kind

    serve(TeacherConfig(faults=((kind, 1.0),)), talk)


@local
def test_the_first_chats_fail_when_told_to() -> None:
    """With fail_first 2 two chats get 503 and the third succeeds."""

    async def talk(url: str) -> None:
        assert [await _fault(url) for _ in range(3)] == ["503", "503", "none"]

    serve(TeacherConfig(fail_first=2), talk)


@local
def test_a_script_without_the_reply_is_a_500() -> None:
    """The server says what its script lacks."""
    config = TeacherConfig(scripts=(load_script(DEBATE),))
    text = user_text(config.scripts[0].task_description, question="Never written?")

    async def talk(url: str) -> None:
        async with ollama.AsyncClient(url) as client:
            with pytest.raises(ollama.ResponseError, match="the script has no reply for judge_question") as error:
                await client.chat(MODEL, [{"role": "user", "content": text}], format=JUDGE)
            assert error.value.status_code == 500

    serve(config, talk)


# ---- the command ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    """The teacher as a process of its own."""
    command = [sys.executable, "-m", "evals.teacher", "--port", "0", "--script", str(DEBATE), "--model", "tiny:1b"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as started:
        yield started
        started.kill()


@local
def test_the_command_says_what_it_is_serves_and_ends_cleanly(process: subprocess.Popen[str]) -> None:
    """The first line says that no model runs, the second where it listens; SIGTERM ends it with exit code 0."""
    assert process.stdout is not None
    first, second = process.stdout.readline(), process.stdout.readline()
    assert "SIMULATED" in first
    assert "no language model" in first
    url = second.strip().removeprefix("listening on ")
    script = load_script(DEBATE)
    with ollama.Client(url) as client:
        prompt = user_text(script.task_description, count="5")
        reply = client.chat("tiny:1b", [{"role": "user", "content": prompt}], format=QUESTIONS)
    written = [question.question for question in script.draws[0].questions]
    assert json.loads(reply.message.content or "") == {"questions": written}
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=5) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fault", "fire=1"], "error: there is no fault 'fire'"),
        (["--slots", "0"], "error: slots is 0"),
        (["--script", "nowhere.yaml"], "error: nowhere.yaml: the file does not exist"),
    ],
)
def test_mistakes_on_the_command_line_are_one_sentence(arguments: list[str], message: str) -> None:
    """A wrong argument ends with exit code 2 and names itself."""
    result = CliRunner().invoke(main, ["--port", "0", *arguments])
    assert result.exit_code == 2
    assert message in result.output
