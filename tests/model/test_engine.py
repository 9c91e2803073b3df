"""The engine under dspy.LM: what goes over the wire, what comes back, and what is no usable reply."""

import asyncio
import json
import threading
from dataclasses import replace
from typing import Any

import dspy
import httpx
import pytest
from dspy import lm15
from dspy.utils.exceptions import AdapterParseError, LMError

from skills_dspy.base.errors import ContextTooLong, ModelMissing, SkillsError, Truncated, Unreadable
from skills_dspy.base.records import SoftRating
from skills_dspy.base.thinking import Think
from skills_dspy.model.engine import AsyncOllamaEngine, OllamaEngine, Window, make_lm, payload_of
from skills_dspy.model.hosts.call import CURRENT_CALL, Call
from skills_dspy.model.hosts.slots import Slots
from skills_dspy.model.replies import Meter, Replies
from skills_dspy.model.server.ollama import OllamaServer
from skills_dspy.store.journal import Journal
from skills_dspy.store.said import said_in
from tests.helpers.logprobs import spell
from tests.helpers.loops import on_a_loop
from tests.helpers.making import Teacher, a_config, a_program, idle, the_adapter

WINDOW = Window(num_ctx=4096, keep_alive="30m", soft=False)
SOFT = replace(WINDOW, soft=True)
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"rating": {"type": "integer", "enum": [0, 1]}}}
REQUEST = lm15.Request(
    "mistral-small3.2",
    messages=(
        lm15.Message(role="user", parts=(lm15.TextPart(text="Why?"),)),
        lm15.Message(role="assistant", parts=(lm15.TextPart(text="So."),)),
        lm15.Message(role="user", parts=(lm15.TextPart(text="How, ü?"),)),
    ),
    system="You judge.",
    config=lm15.Config(
        max_tokens=64,
        temperature=0.15,
        top_p=0.9,
        seed=7,
        response_format={"type": "json_schema", "name": "Reply", "schema": SCHEMA, "strict": True},
    ),
)


class Host:
    """A server that notes the bodies of requests and always answers the same."""

    def __init__(self, text: str | None = "Fine.", status: int = 200, **counts: Any) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.status = status
        self.reply = {"message": {"role": "assistant", "content": text}, "done": True, "done_reason": "stop", **counts}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer a chat."""
        self.bodies.append(json.loads(request.content))
        return httpx.Response(self.status, json=self.reply)

    def replies(self, journal: Journal, slots: Slots | None = None) -> Replies:
        """Replies from it."""
        server = OllamaServer("http://127.0.0.1:11434", a_config().server, transport=httpx.MockTransport(self))
        return Replies(journal, server, slots or Slots(1), Meter())


def complete(host: Host, journal: Journal, call: Call | None = None, window: Window = WINDOW) -> lm15.Response:
    """Let the engine complete the request, as a call that runs or as none."""
    engine = AsyncOllamaEngine(host.replies(journal), window)

    async def ask() -> lm15.Response:
        if call is not None:
            CURRENT_CALL.set(call)
        return await engine.complete(REQUEST)

    return asyncio.run(ask())


def a_call() -> Call:
    """A call of a judge."""
    return Call("judge_pair_freeform", lambda: (0,))


def test_the_wire_form_in_full(journal: Journal) -> None:
    """What the server gets, to the letter: its own options, the schema, the window, no streaming and no thinking."""
    host = Host()
    complete(host, journal)
    assert host.bodies == [
        {
            "model": "mistral-small3.2",
            "stream": False,
            "options": {"num_ctx": 4096, "temperature": 0.15, "num_predict": 64, "top_p": 0.9, "seed": 7},
            "format": SCHEMA,
            "keep_alive": "30m",
            "tools": [],
            "think": False,
            "messages": [
                {"role": "system", "content": "You judge."},
                {"role": "user", "content": "Why?"},
                {"role": "assistant", "content": "So."},
                {"role": "user", "content": "How, ü?"},
            ],
        }
    ]


def test_what_is_not_set_is_not_sent() -> None:
    """Zero is a setting; nothing is left to the model's own defaults but what was left out. Prose has no schema."""
    message = lm15.Message(role="user", parts=(lm15.TextPart(text="Why?"),))
    request = lm15.Request("m", messages=(message,), config=lm15.Config(temperature=0.0, seed=0))
    assert payload_of(request, WINDOW) == {
        "model": "m",
        "messages": [{"role": "user", "content": "Why?"}],
        "options": {"num_ctx": 4096, "temperature": 0.0, "seed": 0},
        "keep_alive": "30m",
        "think": False,
    }


@pytest.mark.parametrize(
    ("think", "sent"),
    [("off", {"think": False}), ("on", {"think": True}), ("low", {"think": "low"}), ("high", {"think": "high"}), ("unset", {})],
)
def test_what_is_sent_of_thinking(think: Think, sent: dict[str, Any]) -> None:
    """A switch, a level, or nothing at all; all else stays as it is."""
    usual = payload_of(REQUEST, WINDOW)
    assert payload_of(REQUEST, replace(WINDOW, think=think)) == {k: v for k, v in usual.items() if k != "think"} | sent


def thoughtful(text: str, thoughts: str = "Hm, a fox.", **more: Any) -> Host:
    """A server whose model thinks."""
    host = Host(text, **more)
    host.reply["message"] = {"role": "assistant", "content": text, "thinking": thoughts}
    return host


def test_thoughts_stand_in_the_journal_and_in_no_reply(journal: Journal) -> None:
    """Nor in the text that a rejection quotes, wherever the server puts them."""
    for host, window in (
        (thoughtful("Fine."), WINDOW),
        (Host("<think>Hm, a fox.</think>\nFine."), replace(WINDOW, think="on")),
    ):
        call = a_call()
        response = complete(host, journal, call, window)
        assert (response.message.text or "").strip() == call.raw.strip() == "Fine."
        kept = journal.full(call.digest)
        assert kept is not None
        assert said_in(kept.reply, kept.request).thoughts == "Hm, a fox."


@pytest.mark.parametrize(
    ("host", "kind", "words"),
    [
        (thoughtful(""), Unreadable, "all of the reply is thoughts, and there is no text"),
        (thoughtful("", done_reason="length", eval_count=64), Truncated, "cut after 64 tokens, all of them thoughts"),
        (thoughtful("It is rou", done_reason="length", eval_count=64), Truncated, "cut after 64 tokens$"),
        (thoughtful("Fox. " * 20, eval_count=44), Truncated, "more than 39 tokens beside its thoughts"),
    ],
    ids=["no text", "cut in thoughts", "cut in text", "text in the room of thoughts"],
)
def test_what_thoughts_break_is_said(journal: Journal, host: Host, kind: type[SkillsError], words: str) -> None:
    """Such a reply is no reply, for a reason of its own."""
    with pytest.raises(kind, match=words):
        complete(host, journal, replace(a_call(), room=39))


@pytest.mark.parametrize(
    "host",
    [
        Host("A short reply.", eval_count=740),
        thoughtful("A short reply about a fox.", thoughts="狐狸在哪里" * 50, eval_count=200),
    ],
    ids=["thoughts that the server hides", "thoughts in a script of many tokens"],
)
def test_a_whole_reply_pays_for_no_thought(journal: Journal, host: Host) -> None:
    """Servers count thoughts that they do not show, and a character of theirs may take more tokens than one of the text."""
    assert complete(host, journal, replace(a_call(), room=39)).message.text


def test_a_reply_as_dspy_wants_it(journal: Journal) -> None:
    """Text and token counts; the call keeps the text as it came and the key of the reply in the journal."""
    call = a_call()
    response = complete(Host(" Fine.\n", prompt_eval_count=20, eval_count=3), journal, call)
    assert response.message.text == " Fine.\n"
    assert (response.usage.input_tokens, response.usage.output_tokens) == (20, 3)
    assert response.model == "mistral-small3.2"
    assert call.raw == " Fine.\n"
    kept = journal.full(call.digest)
    assert kept is not None
    assert kept.step == "judge_pair_freeform"
    assert kept.request == payload_of(REQUEST, WINDOW)


@pytest.mark.parametrize("count", [-1, 5.5, "many", 10**25, [3], {"total": 3}])
def test_a_count_that_is_none(journal: Journal, count: Any) -> None:
    """The reply is as good as any other, now and when the journal is asked for it; the count is not known, or is near."""
    host = Host(" Fine.\n", prompt_eval_count=count, eval_count=count, total_duration=count, created_at=count)
    for response in (complete(host, journal), complete(host, journal)):
        assert response.message.text == " Fine.\n"
        assert (response.usage.input_tokens, response.usage.output_tokens) == ((5, 5) if count == 5.5 else (0, 0))
    assert len(host.bodies) == 1


def test_probabilities_are_asked_for_where_there_are_ratings() -> None:
    """Of a schema with a scale, when they are wanted; never of prose, lists, or categories, which have no order."""
    assert payload_of(REQUEST, SOFT) == {**payload_of(REQUEST, WINDOW), "logprobs": True, "top_logprobs": 20}
    for properties in ({"category": {"enum": ["math"]}}, {"questions": {"type": "array"}}, {"rating": {"type": "string"}}):
        form = {"type": "json_schema", "name": "Reply", "schema": {"properties": properties}}
        request = replace(REQUEST, config=replace(REQUEST.config, response_format=form))
        assert payload_of(request, SOFT) == payload_of(request, WINDOW)
    prose = replace(REQUEST, config=replace(REQUEST.config, response_format=None))
    assert payload_of(prose, SOFT) == payload_of(prose, WINDOW)


RATED = '{"explanation": "Fit.", "rating": 1}'


def test_a_rating_with_its_probabilities(journal: Journal) -> None:
    """They go over the wire, into the call, and what they are read from into the journal, from which they come back."""
    host = Host(RATED, logprobs=spell(RATED, {"rating": {0: 0.25, 1: 0.75}}))
    first, again = a_call(), a_call()
    complete(host, journal, first, SOFT)
    complete(host, journal, again, SOFT)
    (body,) = host.bodies
    assert (body["logprobs"], body["top_logprobs"]) == (True, 20)
    soft = SoftRating(probabilities={"0": 0.25, "1": 0.75}, expected=0.75, mass=1)
    assert first.soft == again.soft == {"rating": soft}
    kept = journal.get(first.digest)
    assert kept is not None
    assert "logprobs" not in kept
    assert set(kept["rating_logprobs"]) == {"rating"}


@on_a_loop
async def test_a_predictor_outside_of_a_run(journal: Journal) -> None:
    """It is asked like any other and waits in line like any other; the journal says that no step asked."""
    slots = Slots(1)
    engine = AsyncOllamaEngine(Host().replies(journal, slots), WINDOW)
    async with slots.take(lambda: (0,)):
        asking = asyncio.create_task(engine.complete(REQUEST))
        await idle()
        assert slots.waiting == 1
    await asking
    assert list(journal.usage()["by_step"]) == ["predict"]


def test_a_reply_that_was_cut_is_no_reply(journal: Journal) -> None:
    """Not its beginning either: the error has the text, and the call has the error."""
    call = a_call()
    with pytest.raises(Truncated, match="cut after 64 tokens") as caught:
        complete(Host("It is rou", done_reason="length", eval_count=64), journal, call)
    assert caught.value.raw == call.raw == "It is rou"
    assert call.error is caught.value


@pytest.mark.parametrize(
    ("host", "kind"),
    [(Host(done_reason="length"), Truncated), (Host(prompt_eval_count=5000), ContextTooLong), (Host(status=404), ModelMissing)],
    ids=["cut", "too long", "missing"],
)
@on_a_loop
async def test_our_errors_survive_dspy(journal: Journal, host: Host, kind: type[SkillsError]) -> None:
    """They come as they were raised; DSPy wraps them where a thread waits, and the call still has ours."""
    lm = make_lm("m", host.replies(journal), WINDOW, asyncio.get_running_loop())
    with pytest.raises(kind):
        await lm.acall("Why?")
    call = a_call()
    CURRENT_CALL.set(call)
    with pytest.raises(LMError):
        await asyncio.to_thread(lm, "How?")
    assert type(call.error) is kind
    assert sum(not body["messages"][-1]["content"].startswith("Say the number") for body in host.bodies) == 2


@pytest.mark.parametrize("step", ["judge_question_freeform", "write_answer_freeform"])
@pytest.mark.parametrize("options", [{}, {"seed": 3, "max_tokens": 32, "temperature": 1, "top_p": 0.5}], ids=["none", "all"])
def test_the_request_is_the_one_that_dspy_makes(step: str, options: dict[str, Any]) -> None:
    """Asked at once or by a thread that waits, with a schema or for prose: the same request, and so the same bytes."""
    text = {"judge_question_freeform": json.dumps({"explanation": "It asks.", "rating": 1}), "write_answer_freeform": "So."}
    teacher = Teacher(lambda _: text[step])
    predictor = a_program().predictor(step).deepcopy()
    inputs: dict[str, Any] = dict.fromkeys(predictor.signature.input_fields, "Fox & ü") | {"examples": []}
    predictor.demos = [dspy.Example(inputs | {"answer": "So.", "explanation": "", "rating": 0})]
    with dspy.context(adapter=the_adapter()):
        waiting = predictor(lm=teacher.lm(), config=dict(options), **inputs)
        at_once = asyncio.run(predictor.acall(lm=teacher.lm(), config=dict(options), **inputs))
    assert teacher.requests[0] == teacher.requests[1]
    assert len(teacher.requests[0].messages) == 3
    assert at_once.toDict() == waiting.toDict()


def test_an_option_that_no_request_has_is_refused() -> None:
    """It is not dropped in silence."""
    with pytest.raises(TypeError, match="warmth"):
        asyncio.run(Teacher(lambda _: "So.").lm().acall("Why?", warmth=1))


async def judged(host: Host, journal: Journal, options: dict[str, Any]) -> dspy.Prediction:
    """What a judge of questions says, by way of DSPy."""
    inputs = {"task_description": "Foxes.", "examples": [], "question": "Why?"}
    lm = make_lm("m", host.replies(journal), WINDOW, asyncio.get_running_loop())
    with dspy.context(adapter=the_adapter()):
        return await a_program().acall(step="judge_question_freeform", inputs=inputs, lm=lm, config=options)


def test_a_step_through_dspy(journal: Journal) -> None:
    """From inputs to values: the schema, the limits and the seed of the request are on the wire."""
    host = Host('{"explanation": "It asks why.", "rating": 1}')
    assert asyncio.run(judged(host, journal, {"seed": 3, "max_tokens": 32, "temperature": 0.5, "top_p": 0.5})).rating == 1
    (body,) = host.bodies
    assert body["options"] == {"num_ctx": 4096, "temperature": 0.5, "num_predict": 32, "top_p": 0.5, "seed": 3}
    assert body["format"] == the_adapter().plan(a_program().judge_question_freeform.signature).schema
    assert [message["role"] for message in body["messages"]] == ["system", "user"]


@pytest.mark.parametrize("text", ["", None])
def test_an_empty_reply_parses_to_nothing(journal: Journal, text: str | None) -> None:
    """A model may say nothing at all; that is a reply that cannot be read, not a crash."""
    with pytest.raises(AdapterParseError):
        asyncio.run(judged(Host(text), journal, {}))


@on_a_loop
async def test_threads_ask_on_the_loop(journal: Journal) -> None:
    """Journal, slots and connections belong to the loop's thread; a thread of DSPy's tools only waits there."""
    asked_in: list[str] = []

    class Noting(Host):
        """A server that notes which thread asks."""

        def __call__(self, request: httpx.Request) -> httpx.Response:
            """Note the thread, then answer."""
            asked_in.append(threading.current_thread().name)
            return super().__call__(request)

    loop = asyncio.get_running_loop()
    engine = OllamaEngine(AsyncOllamaEngine(Noting().replies(journal), WINDOW), loop)
    assert (await asyncio.to_thread(engine.complete, REQUEST)).message.text == "Fine."
    assert asked_in == [threading.main_thread().name]
