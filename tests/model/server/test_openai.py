"""Servers of OpenAI's API: what is sent, what comes back, how they differ, and their faults."""

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from evals.bench.hash_embedder import HashEmbedder
from evals.teacher.replies import Teacher
from evals.teacher.wire import chat_reply, from_openai, parse, to_openai
from skills_dspy.base.errors import ContextTooLong, MachineError, ModelMissing, ServerError
from skills_dspy.base.thinking import Think
from skills_dspy.model.embedding.embedder import AsyncEmbedder
from skills_dspy.model.server.dialect import Dialect, asked_of, without_bounds
from skills_dspy.model.server.openai import OpenAIServer
from skills_dspy.model.server.probe import Thinking
from skills_dspy.model.server.server import Fault, Model, Server
from skills_dspy.run.past import find_recorded
from skills_dspy.run.request import RunRequest
from skills_dspy.run.runner import Runner, Watcher
from skills_dspy.store.run_dir import RunPaths
from skills_dspy.store.run_json import read_run_json
from tests.helpers.fake_server import FakeServer
from tests.helpers.loops import on_a_loop
from tests.helpers.making import a_config
from tests.helpers.small_runs import SPEC, TEACHER

HOST = "http://127.0.0.1:8000/v1"
MODEL = a_config().generator.model
KEY = "sk-very-secret-1234"
SCHEMA = {"type": "object", "properties": {"questions": {"type": "array", "items": {"type": "string", "minLength": 1}}}}
PAYLOAD: dict[str, Any] = {
    "model": "m",
    "messages": [{"role": "user", "content": "hello"}],
    "options": {"num_ctx": 2048, "temperature": 0.7, "num_predict": 100, "seed": 7, "top_p": 0.9},
    "keep_alive": "30m",
    "think": False,
    "format": SCHEMA,
    "logprobs": True,
    "top_logprobs": 20,
}
TOLD = {"token": "{", "logprob": -0.1, "top_logprobs": [{"token": "{", "logprob": -0.1}]}
MODELS = {"data": [{"id": "m", "max_model_len": 4096}, {"id": "other"}]}

Refuses = Callable[[Mapping[str, Any]], httpx.Response | None]


def said(content: str | None, **more: Any) -> httpx.Response:
    """A reply with this text."""
    choice = {"finish_reason": "stop", "message": {"content": content, **more}, "logprobs": {"content": [TOLD]}}
    return httpx.Response(200, json={"choices": [choice], "usage": {"prompt_tokens": 33, "completion_tokens": 5}})


def refusal(status: int, words: str = "no", **headers: str) -> httpx.Response:
    """An error as vLLM says it."""
    return httpx.Response(status, json={"error": {"message": words}}, headers=headers)


class Wire:
    """A server that does as it is asked, but for what `refuses` answers itself."""

    def __init__(self, refuses: Refuses = lambda _: None, told: Mapping[str, Any] | None = None) -> None:
        self.refuses = refuses
        self.told = {"/v1/models": MODELS, **(told or {})}
        self.requests: list[httpx.Request] = []
        self.asked: list[dict[str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """The answer to one request."""
        self.requests.append(request)
        if request.method == "GET":
            found = self.told.get(request.url.path)
            if isinstance(found, httpx.Response):
                return found
            return httpx.Response(200, json=found) if found is not None else refusal(404, "File Not Found")
        self.asked.append(json.loads(request.content))
        answer = self.refuses(self.asked[-1])
        if answer is not None:
            return answer
        return said('{"words": ["kestrel"]}' if "response_format" in self.asked[-1] else "Hello.")


def a_server(wire: Callable[[httpx.Request], httpx.Response], host: str = HOST, **more: Any) -> OpenAIServer:
    """A server whose network is `wire`; its pauses take no time."""
    slept: list[float] = more.pop("slept", [])

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    config = a_config().server.model_copy(update={"patience": 100.0})
    time = lambda: sum(slept)  # noqa: E731
    return OpenAIServer(host, config, transport=httpx.MockTransport(wire), clock=time, sleep=sleep, **more)


def found(wire: Wire) -> Model:
    """What is found out about the model m."""
    return asyncio.run(a_server(wire).model("m"))


def without(*names: str) -> Refuses:
    """A server that takes no field of these names, as those do that are strict."""

    def refuses(asked: Mapping[str, Any]) -> httpx.Response | None:
        text = json.dumps(asked)
        unknown = next((name for name in names if f'"{name}"' in text), None)
        return None if unknown is None else refusal(422, f"{unknown}: Extra inputs are not permitted")

    return refuses


# ---- what is sent, and what comes back -------------------------------------------------------------------------------


def test_a_request_in_openais_form() -> None:
    """All that decides a reply is sent; the window and how long a model is kept are not."""
    wire = Wire()
    asyncio.run(a_server(wire, key=KEY).chat(PAYLOAD))
    schema = {"name": "reply", "schema": SCHEMA, "strict": True}
    assert wire.asked == [
        {
            "model": "m",
            "messages": PAYLOAD["messages"],
            "temperature": 0.7,
            "top_p": 0.9,
            "seed": 7,
            "max_tokens": 100,
            "chat_template_kwargs": {"enable_thinking": False, "thinking": False},
            "response_format": {"type": "json_schema", "json_schema": schema},
            "logprobs": True,
            "top_logprobs": 20,
        }
    ]
    assert str(wire.requests[0].url) == "http://127.0.0.1:8000/v1/chat/completions"
    assert wire.requests[0].headers["Authorization"] == f"Bearer {KEY}"


def test_a_reply_has_ollamas_shape() -> None:
    """Text, counts, why it ended, probabilities, and the seconds that llama.cpp tells."""
    choice = {
        "finish_reason": "length",
        "message": {"content": "He", "reasoning_content": "hm"},
        "logprobs": {"content": [TOLD]},
    }
    timings = {"prompt_ms": 2.5, "predicted_ms": 10}
    reply = {"choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 2}, "timings": timings, "model": "m"}
    body = asyncio.run(a_server(lambda _: httpx.Response(200, json=reply)).chat(PAYLOAD))
    assert [*body.pop("logprobs")] == [TOLD]
    assert body == {
        "model": "m",
        "message": {"role": "assistant", "content": "He", "thinking": "hm"},
        "done": True,
        "done_reason": "length",
        "prompt_eval_count": 3,
        "eval_count": 2,
        "prompt_eval_duration": 2_500_000,
        "eval_duration": 10_000_000,
    }


@pytest.mark.parametrize("odd", ["5", -1, 10.0**300, [1], {}])
def test_counts_and_times_that_are_none(odd: object) -> None:
    """The reply is as good without, wherever they stand."""
    timings, choices = {"prompt_ms": odd, "predicted_ms": odd}, [{"finish_reason": odd, "message": {"content": "He"}}]
    for told in ({"usage": odd, "timings": odd}, {"usage": {"prompt_tokens": odd}, "timings": timings, "model": odd}):
        wire = Wire(lambda _, told=told: httpx.Response(200, json={"choices": choices, **told}))  # type: ignore[misc]
        assert asyncio.run(a_server(wire).chat(PAYLOAD))["message"]["content"] == "He"
        assert len(wire.asked) == 1


@pytest.mark.parametrize("told", [None, [], {}, {"content": None}, {"content": 3}, {"tokens": ["a"]}])
def test_log_probabilities_that_are_none(told: object) -> None:
    """The reply is as good without, in whatever form there are none."""
    reply = {"choices": [{"message": {"content": "He"}, "logprobs": told}]}
    body = asyncio.run(a_server(lambda _: httpx.Response(200, json=reply)).chat(PAYLOAD))
    assert body["message"]["content"] == "He"
    assert "logprobs" not in body


def test_a_schema_without_its_bounds() -> None:
    """Only keywords go; a field that is called like one stays."""
    bounded = {"properties": {"pattern": {"type": "array", "maxItems": 3, "items": {"minLength": 1, "type": "string"}}}}
    assert without_bounds(bounded) == {"properties": {"pattern": {"type": "array", "items": {"type": "string"}}}}


@pytest.mark.parametrize(
    ("given", "asked", "shown"),
    [
        ("http://h:1", "http://h:1/v1/models", "http://h:1/v1"),
        ("http://h:1/v1/", "http://h:1/v1/models", "http://h:1/v1"),
        ("h:1", "http://h:1/v1/models", "http://h:1/v1"),
        ("https://u:pw@h/some/path", "https://h/some/path/models", "https://h/some/path"),
    ],
)
def test_an_address_with_or_without_its_end(given: str, asked: str, shown: str) -> None:
    """`/v1` is added where there is no path; a name and a password are for the server only."""
    wire = Wire(told={"/some/path/models": MODELS})
    server = a_server(wire, given)
    assert [model.name for model in asyncio.run(server.models())] == ["m", "other"]
    assert (str(wire.requests[0].url.copy_with(userinfo=b"")), server.host) == (asked, shown)


@pytest.mark.parametrize("given", ["http://h/v1?key=secret", "http://", "http://[::1"])
def test_what_is_no_address(given: str) -> None:
    """A question in it is refused, because that is where some put their key."""
    with pytest.raises(ServerError, match="is no address of a server; write it like http") as caught:
        a_server(Wire(), given)
    assert "secret" not in str(caught.value)


# ---- what a server tells of itself -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("owner", "told", "version"),
    [
        ("vllm", {"/version": {"version": "0.11.0"}}, "vLLM 0.11.0"),
        ("llamacpp", {"/props": {"build_info": "b6789-abc"}}, "llama.cpp b6789-abc"),
        ("sglang", {}, "SGLang"),
        ("sglang", {"/server_info": {"version": "0.5.23"}}, "SGLang 0.5.23"),
        ("sglang", {"/get_server_info": {"version": "0.4.1"}}, "SGLang 0.4.1"),
        ("library", {"/api/version": {"version": "0.32"}}, "Ollama 0.32"),
        ("somebody", {}, ""),
    ],
)
def test_a_server_says_what_it_is(owner: str, told: dict[str, Any], version: str) -> None:
    """By the owner that it gives its models, and where such a server tells its version."""
    wire = Wire(told={"/v1/models": {"data": [{"id": "m", "owned_by": owner}]}, **told})
    assert asyncio.run(a_server(wire).version()) == version


@pytest.mark.parametrize(
    ("card", "told", "window"),
    [
        ({"max_model_len": 4096}, {}, 4096),
        ({"meta": {"n_ctx_train": 8192}}, {}, 8192),
        ({"owned_by": "llamacpp", "meta": {"n_ctx_train": 8}}, {"/props": {"default_generation_settings": {"n_ctx": 2}}}, 2),
        ({"owned_by": "llamacpp", "meta": {"n_ctx": 8}}, {"/props": {"default_generation_settings": {"n_ctx": "many"}}}, 8),
        ({"owned_by": "llamacpp", "meta": {"n_ctx": 8}}, {"/props": {"default_generation_settings": ["n_ctx"]}}, 8),
        ({"aliases": 3, "max_model_len": 5}, {}, 5),
        ({}, {}, None),
    ],
)
def test_the_window_as_far_as_it_is_told(card: dict[str, Any], told: dict[str, Any], window: int | None) -> None:
    """llama.cpp tells that of a slot beside the list; who says nothing has none."""
    assert found(Wire(told={"/v1/models": {"data": [{"id": "m", **card}]}, **told})).context_length == window


def test_a_missing_model_is_answered_with_those_that_are_there() -> None:
    """The sentence names them, and has no command of another server."""
    with pytest.raises(
        ModelMissing, match=r"'x' is not on the server at .*; it has m, other: give one that it has with --model"
    ):
        asyncio.run(a_server(Wire()).model("x"))


def test_a_served_path_is_guessed_from_its_end_and_found_whatever_its_case() -> None:
    """vLLM and llama.cpp list a model by its path where it has no other name; requests call it as it is listed."""
    wire = Wire(told={"/v1/models": {"data": [{"id": "/models/Qwen2.5-7B"}]}})
    with pytest.raises(ModelMissing, match=r"did you mean /models/Qwen2\.5-7B, which is there\? Else give one .* --model\.$"):
        asyncio.run(a_server(wire).model("qwen2.5-7b"))
    server = a_server(wire)
    assert asyncio.run(server.model("/models/qwen2.5-7b")).name == "/models/Qwen2.5-7B"
    asyncio.run(server.chat({**PAYLOAD, "model": "/models/qwen2.5-7b"}))
    assert {asked["model"] for asked in wire.asked[1:]} == {"/models/Qwen2.5-7B"}


def test_an_ollama_behind_this_api_is_said() -> None:
    """It would cut prompts without a word, which its own API prevents. A name without a tag means `latest` there."""
    wire = Wire(told={"/v1/models": {"data": [{"id": "m:latest", "owned_by": "library"}]}})
    assert "--api ollama" in found(wire).warnings[0]


@pytest.mark.parametrize(("heeds", "said"), [(False, 1), (True, 0)])
def test_an_sglang_that_heeds_no_seed_is_said(heeds: bool, said: int) -> None:
    """It takes one in any case, so no request finds that out; it tells its settings."""
    told = {"/server_info": {"enable_deterministic_inference": heeds}}
    wire = Wire(told={"/v1/models": {"data": [{"id": "m", "owned_by": "sglang"}]}, **told})
    assert ["--enable-deterministic-inference" in words for words in found(wire).warnings] == [True] * said


# ---- dialects --------------------------------------------------------------------------------------------------------


@on_a_loop
async def test_one_request_finds_out_that_nothing_is_missing() -> None:
    """It is asked once for each model, however often the model is."""
    wire = Wire()
    server = a_server(wire)
    await server.model("m")
    assert (await server.model("m")) == Model("m", "", 4096)
    assert len(wire.asked) == 1


@pytest.mark.parametrize(
    ("refused", "differs", "words"),
    [
        (("seed",), {"seed": False}, "takes no seed"),
        (("max_tokens",), {"limit": "max_completion_tokens"}, "called max_completion_tokens here"),
        (("chat_template_kwargs",), {"quiet": "reasoning_effort"}, "told by reasoning_effort"),
        (("chat_template_kwargs", "reasoning_effort"), {"quiet": None}, "knows no way to tell a model not to think"),
        (("logprobs",), {"logprobs": False}, "gives no log-probabilities"),
        (("strict",), {"strict": False}, "takes no `strict`"),
        (("minItems",), {"bounds": False}, "takes no bounds"),
        (("temperature", "top_p"), {"temperature": False, "top_p": False}, "takes no temperature"),
    ],
)
@on_a_loop
async def test_what_a_server_does_not_take_is_left_out(refused: tuple[str, ...], differs: dict[str, Any], words: str) -> None:
    """Whatever it refuses, and nothing else; every later request to that model is without it."""
    wire = Wire(without(*refused))
    server = a_server(wire)
    model = await server.model("m")
    await server.chat({**PAYLOAD, "format": {**SCHEMA, "minItems": 1}})
    assert model.differs == differs
    assert words in model.in_words[0]
    assert len(model.in_words) == len(differs)
    last = json.dumps(wire.asked[-1])
    assert not any(f'"{name}"' in last for name in refused)


def test_a_server_without_log_probabilities_is_not_asked_for_them() -> None:
    """It takes the field and gives none, as LM Studio does."""
    reply = {"choices": [{"message": {"content": '{"words": ["kestrel"]}'}, "logprobs": None}]}
    assert found(Wire(lambda _: httpx.Response(200, json=reply))).differs == {"logprobs": False}


def test_a_model_that_thinks_is_told_not_to() -> None:
    """In the second way where the first does not help."""
    thinking: Refuses = lambda asked: None if "reasoning_effort" in asked else said("", reasoning="hm")  # noqa: E731
    assert found(Wire(thinking)).differs == {"quiet": "reasoning_effort"}
    both: Refuses = lambda _: said('{"words": ["kestrel"]}', reasoning_content="hm")  # noqa: E731
    assert found(Wire(both)).differs == {"thinks": True}


KWARGS = {"chat_template_kwargs": {"enable_thinking": True, "thinking": True}}
EFFORT = {"reasoning_effort": "high"}


@pytest.mark.parametrize(
    ("think", "quiet", "sent"),
    [
        ({}, "chat_template_kwargs", {}),
        ({"think": True}, "chat_template_kwargs", KWARGS),
        (
            {"think": "high"},
            "chat_template_kwargs",
            {"chat_template_kwargs": {**KWARGS["chat_template_kwargs"], **EFFORT}, **EFFORT},
        ),
        ({}, "reasoning_effort", {}),
        ({"think": False}, "reasoning_effort", {"reasoning_effort": "none"}),
        ({"think": True}, "reasoning_effort", {"reasoning_effort": "medium"}),
        ({"think": "high"}, "reasoning_effort", EFFORT),
        ({"think": "high"}, None, {}),
    ],
)
def test_a_model_is_told_whether_to_think(think: dict[str, Any], quiet: Any, sent: dict[str, Any]) -> None:
    """In the one way that the server takes; nothing where nothing is to be said, or no way is taken."""
    payload = {name: value for name, value in PAYLOAD.items() if name != "think"} | think
    asked = asked_of(payload, Dialect(quiet=quiet))
    assert {name: asked[name] for name in ("chat_template_kwargs", "reasoning_effort") if name in asked} == sent


def test_thoughts_among_the_parts_of_a_reply() -> None:
    """As Mistral's service has them: they are no part of the text."""
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "So."}]
    body = asyncio.run(a_server(lambda _: said(parts)).chat(PAYLOAD))  # type: ignore[arg-type]
    assert body["message"] == {"role": "assistant", "content": "So.", "thinking": "hm"}


def test_a_model_that_may_think_is_found_out_about_as_it_will_be_asked() -> None:
    """With room for its thoughts, which are then no fault; where they never end, or end in no schema, that is said."""

    def late(asked: Mapping[str, Any]) -> httpx.Response:
        return said('{"words": ["kestrel"]}' if asked.get("max_tokens", 0) > 2000 else "", reasoning_content="hm")

    for think in ("unset", "on", "low"):
        wire = Wire(late)
        server = a_server(wire, thinking=lambda _, think=think: Thinking(think, 2048))
        assert asyncio.run(server.model("m")).differs == {}
        assert all(("chat_template_kwargs" in asked) == (think != "unset") for asked in wire.asked)
    with pytest.raises(ServerError, match=r"with `think: off` \(it writes only thoughts\), and does with `think: unset`"):
        asyncio.run(a_server(Wire(late)).model("m"))
    endless: Refuses = lambda _: said("", reasoning_content="hm")  # noqa: E731
    with pytest.raises(ServerError, match=r"only thoughts and no reply.*a larger `think_room`"):
        asyncio.run(a_server(Wire(endless), thinking=lambda _: Thinking("on", 2048)).model("m"))
    prose: Refuses = lambda _: said("Hello there!", reasoning_content="hm")  # noqa: E731
    with pytest.raises(ServerError, match="ignores the JSON schema"):
        asyncio.run(a_server(Wire(prose), thinking=lambda _: Thinking("on", 2048)).model("m"))


@pytest.mark.parametrize("refused", [(), ("seed",)])
@pytest.mark.parametrize(("works", "given"), [("off", "on"), ("low", "off"), ("on", "unset")])
def test_the_setting_with_which_a_model_can_be_used_is_named(works: Think, given: Think, refused: tuple[str, ...]) -> None:
    """Where it ignores the schema with all others, whatever else the server does not take; with that it is used."""
    told: list[tuple[Think, int | None]] = []

    def picky(asked: Mapping[str, Any]) -> httpx.Response:
        kwargs = asked.get("chat_template_kwargs", {})
        effort = asked.get("reasoning_effort", {True: "on", False: "off", None: "unset"}[kwargs.get("enable_thinking")])
        told.append(({"none": "off", "medium": "on"}.get(effort, effort), asked.get("max_tokens")))
        return without(*refused)(asked) or said('{"words": ["kestrel"]}' if told[-1][0] == works else "Hello!")

    with pytest.raises(
        ServerError, match=rf"with `think: {given}` \(it ignores the JSON schema\), and does with `think: {works}`"
    ):
        asyncio.run(a_server(Wire(picky), thinking=lambda _: Thinking(given, 99)).model("m"))
    assert (given, 256 + 2048) not in told
    model = asyncio.run(a_server(Wire(picky), thinking=lambda _: Thinking(works, 99)).model("m"))
    assert model.differs.keys() - {"quiet"} == set(refused)


def test_a_schema_without_bounds_is_obeyed_by_a_longer_list() -> None:
    """Where a server takes no bounds, and so never saw them; what breaks the schema is left out of requests."""

    def silenced(asked: Mapping[str, Any]) -> httpx.Response:
        words = ["kestrel"] * (1 if "maxItems" in json.dumps(asked) else 3)
        return said("Hello!" if {"chat_template_kwargs", "reasoning_effort"} & asked.keys() else json.dumps({"words": words}))

    assert found(Wire(silenced)).differs == {"quiet": None}


@pytest.mark.parametrize(
    ("refuses", "words"),
    [
        (lambda _: said("", reasoning_content="hm"), "writes only thoughts and no reply.*thinking switched off"),
        (lambda _: said("Hello there!"), r"ignores the JSON schema.*\(it wrote: Hello there!\).*switch structured outputs on"),
        (without("response_format"), "refuses JSON schemas for m .*take a server that has them"),
        (lambda _: refusal(400, "no such thing"), "answered 400: no such thing"),
    ],
)
def test_who_cannot_be_used_is_refused(refuses: Refuses, words: str) -> None:
    """Before anything is begun, in one sentence."""
    with pytest.raises(ServerError, match=words):
        found(Wire(refuses))


# ---- faults ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (refusal(401, f"Incorrect key {KEY}"), ServerError, "refuses the key .*401.*SKILLS_DSPY_API_KEY or OPENAI_API_KEY"),
        (refusal(403), ServerError, "refuses the key .*403"),
        (refusal(404, "The model `m` does not exist."), ModelMissing, "has no model 'm'"),
        (refusal(404, "Not Found"), ServerError, "give the address of its API with --base-url, which usually ends in /v1"),
        (refusal(405, "Method Not Allowed"), ServerError, "usually ends in /v1"),
        (refusal(413, "too large"), ContextTooLong, "too large"),
        (refusal(400, "maximum context length is 4096 tokens"), ContextTooLong, "start it with a larger window"),
        (refusal(400, "Cannot truncate prompt with n_keep (15028) >= n_ctx (7424)"), ContextTooLong, "larger window"),
        (refusal(422, f"odd {KEY}"), ServerError, r"answered 422: odd \(the key\)"),
        (httpx.Response(200, html="<html><b>Hello</b></html>"), ServerError, r"a web page \(Hello\)\); .*ends in /v1"),
        (httpx.Response(200, json={"error": "Unexpected endpoint"}), ServerError, "answered 200: Unexpected endpoint"),
    ],
)
def test_refusals_are_errors_at_once(answer: httpx.Response, kind: type[MachineError], words: str) -> None:
    """One sentence with what to do, and never the key; the prompt is not asked again, though others are tried."""
    wire = Wire(lambda _: answer)
    with pytest.raises(kind, match=words) as caught:
        asyncio.run(a_server(wire, key=KEY).chat(PAYLOAD))
    assert KEY not in str(caught.value)
    asked = [request["messages"] == PAYLOAD["messages"] for request in wire.asked]
    assert asked == [True, False, False]


def test_a_key_that_is_missing_or_none() -> None:
    """The variables are named; what cannot be a key is not shown."""
    with pytest.raises(ServerError, match=r"wants a key \(it answered 401\); set SKILLS_DSPY_API_KEY or OPENAI_API_KEY"):
        asyncio.run(a_server(Wire(told={"/v1/models": refusal(401)})).models())
    with pytest.raises(ServerError, match="cannot be one: a line break") as caught:
        a_server(Wire(), key="sk-a\nsk-b")
    assert "sk-" not in str(caught.value)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("headers", "waits"),
    [
        ({"Retry-After": "20"}, [20, 20]),
        ({"Retry-After": "Thu, 26 Nov 2026 20:00:30 GMT", "Date": "Thu, 26 Nov 2026 20:00:00 GMT"}, [30, 30]),
        ({"Retry-After": "soon"}, None),
        ({}, None),
        ({"Retry-After": "100000"}, [100]),
    ],
)
def test_a_busy_server_is_asked_again_when_it_says(status: int, headers: dict[str, str], waits: list[float] | None) -> None:
    """In seconds or as a date; longer than the patience lasts nobody waits."""
    busy, slept = iter([True] * len(waits or [1, 2])), list[float]()
    wire = Wire(lambda _: refusal(status, "busy", **headers) if next(busy, False) else None)
    asyncio.run(a_server(wire, slept=slept).chat(PAYLOAD))
    assert slept == waits or (waits is None and all(0.5 <= pause <= 2 for pause in slept) and len(slept) == 2)


@pytest.mark.parametrize("path", ["/v1/models", "/props"])
def test_a_server_that_still_loads_is_waited_for_at_the_start(path: str) -> None:
    """As it says, and that is said; longer than the patience nobody waits. llama.cpp answers so until its model is there."""
    wire, slept, told = Wire(told={"/v1/models": {"data": [{"id": "m", "owned_by": "llamacpp"}]}}), list[float](), list[str]()

    def loading(request: httpx.Request) -> httpx.Response:
        if request.url.path == path and sum(slept) < ready:
            return refusal(503, "Loading model", **{"Retry-After": "20"})
        return wire(request)

    def on_fault(fault: Fault, pause: float) -> None:
        told.append(f"{fault.error} {pause:g}")

    ready = 30.0
    assert asyncio.run(a_server(loading, slept=slept, on_fault=on_fault).version()) == "llama.cpp"
    assert slept == [20, 20]
    assert told == [f"The server at {HOST} answered 503: Loading model. 20"] * 2
    ready = 1000.0
    with pytest.raises(ServerError, match=r"503: Loading model\. .* kept failing for 100 s"):
        asyncio.run(a_server(loading, slept=[]).version())


@pytest.mark.parametrize("status", [401, 404, 500])
def test_other_refusals_at_the_start_are_errors_at_once(status: int) -> None:
    """Waiting would bring nothing."""
    wire = Wire(told={"/v1/models": refusal(status)})
    with pytest.raises(ServerError):
        asyncio.run(a_server(wire).version())
    assert len(wire.requests) == 1


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"choices": [3]}', b'{"choices": [{"message": {"content": 3}}]}'])
def test_a_broken_body_is_asked_for_again(body: bytes) -> None:
    """Whatever is wrong with it."""
    answers = iter([httpx.Response(200, content=body)])
    wire = Wire(lambda _: next(answers, None))
    assert asyncio.run(a_server(wire).chat(PAYLOAD))["done"]
    assert len(wire.asked) == 2


def test_nobody_answers() -> None:
    """The sentence has no command of Ollama's."""

    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(ServerError, match=r"No server answers at http.*give its address with --base-url"):
        asyncio.run(a_server(refuse).version())


# ---- a whole run -----------------------------------------------------------------------------------------------------


def teacher() -> Wire:
    """The simulated teacher behind OpenAI's API."""
    mind = Teacher(TEACHER)

    def answer(asked: Mapping[str, Any]) -> httpx.Response | None:
        if asked["messages"][-1]["content"] == "Say hello.":
            return without("strict")(asked)
        request = parse(from_openai(asked))
        reply = mind.reply(request, mind.choose_fault(request))
        return httpx.Response(200, json=to_openai(chat_reply(request, reply, (0.002, 0.001))))

    models = {"data": [{"id": MODEL, "max_model_len": 131072, "owned_by": "vllm"}]}
    return Wire(answer, {"/v1/models": models, "/version": {"version": "0.11.0"}})


def run(folder: Path, server: Server | None) -> RunPaths:
    """A small run."""

    async def main() -> None:
        embedder = AsyncEmbedder(HashEmbedder())
        recorded = None if server else {past.spec.task_name: past for past in find_recorded(str(folder.with_name("openai")))}
        try:
            request = RunRequest((SPEC,), a_config(), 2, folder, concurrency=8, recorded=recorded)
            await Runner(request, server, embedder, Watcher()).run()
        finally:
            await embedder.close()

    asyncio.run(main())
    return RunPaths(folder / SPEC.task_name)


def test_a_run_has_the_same_bytes_whatever_api_answers(tmp_path: Path) -> None:
    """The same rows as through Ollama's, after an interruption and from the recording as well; and the key is nowhere."""
    usual = run(tmp_path / "ollama", FakeServer(TEACHER)).data.read_bytes()
    broken, wire = teacher(), teacher()
    good = broken.refuses
    broken.refuses = lambda asked: refusal(400, "enough") if len(broken.asked) > 30 else good(asked)
    with pytest.raises(ServerError, match="answered 400: enough"):
        run(tmp_path / "openai", a_server(broken, key=KEY))
    paths = run(tmp_path / "openai", a_server(wire, key=KEY))
    assert paths.data.read_bytes() == usual
    assert len([asked for asked in broken.asked if asked not in wire.asked]) >= 15
    assert run(tmp_path / "replayed", None).data.read_bytes() == usual
    noted = read_run_json(paths)
    assert noted is not None
    assert noted.server is not None
    assert noted.server.answered_by == "OpenAI API (vLLM 0.11.0)"
    differs = {MODEL: {"strict": False}}
    said = {"host": HOST, "version": "vLLM 0.11.0", "api": "OpenAI API", "note": None, "differs": differs}
    assert noted.content["server"] == said
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
