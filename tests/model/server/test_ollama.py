"""The server's client: what passes is asked again, what does not is an error at once, and every error is a sentence."""

import asyncio
import json
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from ollama import ChatResponse

from skills_dspy.base.config import ServerConfig
from skills_dspy.base.errors import ContextTooLong, ModelMissing, ServerError, ThinkingRefused
from skills_dspy.model.server.connections import CONNECTIONS_PER_CLIENT, without_secrets
from skills_dspy.model.server.ollama import OllamaServer, body_of
from skills_dspy.model.server.server import Fault, Model
from tests.helpers.loops import answered, on_a_loop
from tests.helpers.making import idle

HOST = "http://127.0.0.1:11434"
PAYLOAD = {"model": "m", "messages": [{"role": "user", "content": "Why?"}], "options": {"seed": 1}, "keep_alive": "30m"}
GOOD = {"model": "m", "message": {"role": "assistant", "content": "So."}, "done": True, "done_reason": "stop", "eval_count": 2}

Answer = httpx.Response | Exception


def settings(**changes: float) -> ServerConfig:
    """Timeouts and patience, in seconds."""
    values = {"connect_timeout": 5.0, "timeout": 60.0, "patience": 100.0, "backoff_first": 1.0, "backoff_max": 8.0}
    return ServerConfig.model_validate({**values, **changes})


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        """The time."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.slept.append(seconds)
        self.now += seconds


class Wire:
    """The network: answers in order, the last one for ever after."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """The next answer."""
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, content=answer.content)


def prompts(wire: Wire) -> list[bool]:
    """Of each request, whether it was the prompt, and not one of the other things that a server is asked."""
    return [json.loads(request.content)["messages"] == PAYLOAD["messages"] for request in wire.requests]


def a_server(
    wire: Callable[[httpx.Request], Any], host: str = HOST, clock: Clock | None = None, **options: Any
) -> OllamaServer:
    """A client on that network."""
    time = clock or Clock()
    config = options.pop("config", settings())
    sleep = options.pop("sleep", time.sleep)
    transport = httpx.MockTransport(wire)
    return OllamaServer(host, config, clock=time, sleep=sleep, transport=transport, **options)


def good() -> httpx.Response:
    """A reply."""
    return httpx.Response(200, json=GOOD)


def ollama_version() -> httpx.Response:
    """The answer to who it is."""
    return httpx.Response(200, json={"version": "0.32"})


def error(status: int, text: str = "busy") -> httpx.Response:
    """An error as Ollama says it."""
    return httpx.Response(status, json={"error": text})


PASSING: dict[str, Answer] = {
    "refused": httpx.ConnectError("refused"),
    "reset while reading": httpx.ReadError("reset"),
    "reset while writing": httpx.WriteError("reset"),
    "closed": httpx.RemoteProtocolError("Server disconnected without sending a response."),
    "slow to connect": httpx.ConnectTimeout("slow"),
    "slow to answer": httpx.ReadTimeout("slow"),
    "429": error(429),
    "500": error(500),
    "502": httpx.Response(502, text="<html>Bad gateway</html>"),
    "503": error(503, "server busy, please try again.  maximum pending requests exceeded"),
    "504": httpx.Response(504),
    "524": httpx.Response(524, text="error code: 524"),
    "an error that is no object": httpx.Response(502, json=["bad"]),
    "an error in an object": httpx.Response(500, json={"error": {"message": "bad"}}),
    "empty body": httpx.Response(200),
    "half a body": httpx.Response(200, content=json.dumps(GOOD)[:40].encode()),
    "no UTF-8": httpx.Response(200, content=b'{"message": "\xff"}'),
    "no object": httpx.Response(200, json=[GOOD]),
    "null": httpx.Response(200, json=None),
    "no message": httpx.Response(200, json={"done": True}),
    "not done": httpx.Response(200, json={**GOOD, "done": False}),
    "an error with 200": httpx.Response(200, json={"error": {"message": "guard"}}),
    "a web page with 200": httpx.Response(200, text="<html>Request rejected"),
    "lists without an end": httpx.Response(200, content=b'{"message": ' + b"[" * 20_000),
    "nothing of being done": httpx.Response(200, json={k: v for k, v in GOOD.items() if k != "done"}),
}


@pytest.mark.parametrize("kind", PASSING)
def test_a_fault_that_passes_is_asked_again(kind: str) -> None:
    """Whatever the server was doing, the reply comes in the end, and the same request was sent each time."""
    clock, faults = Clock(), list[Fault]()
    wire = Wire(PASSING[kind], PASSING[kind], good())
    server = a_server(wire, clock=clock, on_fault=lambda fault, _: faults.append(fault))
    assert asyncio.run(server.chat(PAYLOAD)) == GOOD
    assert len({request.content for request in wire.requests}) == 1
    assert len(wire.requests) == 3
    assert len(clock.slept) == 2
    assert [fault.passing for fault in faults] == [True, True]
    assert all(HOST in str(fault.error) for fault in faults)


@pytest.mark.parametrize("kind", PASSING)
def test_patience_ends(kind: str) -> None:
    """The error names the host and the fault, and says how to go on; it came after the patience and not long after."""
    clock = Clock()
    with pytest.raises(ServerError) as caught:
        asyncio.run(a_server(Wire(PASSING[kind]), clock=clock).chat(PAYLOAD))
    said = str(caught.value)
    assert said.count(HOST) == 2
    assert "kept failing for 100 s" in said
    assert "run the same command again (without --restart): it goes on where it stopped" in said
    assert clock.now == 1100.0


def test_faults_are_told_apart() -> None:
    """Each kind of fault has its own words, with what the server said."""
    said = {}
    for kind, answer in PASSING.items():
        with pytest.raises(ServerError) as caught:
            asyncio.run(a_server(Wire(answer), config=settings(patience=0)).chat(PAYLOAD))
        said[kind] = str(caught.value)
    assert "The server at http://127.0.0.1:11434 refuses the connection." in said["refused"]
    assert "The connection to http://127.0.0.1:11434 broke (reset)" in said["reset while reading"]
    assert "takes no connection within 5 s; " in said["slow to connect"]
    assert "server.connect_timeout" in said["slow to connect"]
    assert "did not answer in time; raise server.timeout in the configuration" in said["slow to answer"]
    assert "answered 429: busy." in said["429"]
    assert "answered 502: a web page (Bad gateway)." in said["502"]
    assert "server busy, please try again. maximum pending" in said["503"]
    assert "answered 504: nothing." in said["504"]
    assert "answered 500: bad." in said["an error in an object"]
    assert "answered 200: guard." in said["an error with 200"]
    assert "answered 200: a web page (Request rejected)." in said["a web page with 200"]
    for kind in ("empty body", "half a body", "no object", "no message", "not done", "lists without an end"):
        assert "a body that is empty or broken" in said[kind]


@on_a_loop
async def test_patience_counts_from_the_first_fault_of_a_request() -> None:
    """An earlier request's faults do not shorten it, nor does the time that a good reply took."""
    clock = Clock()
    server = a_server(Wire(error(500), good(), error(500), good()), clock=clock, config=settings(patience=2))
    await server.chat(PAYLOAD)
    clock.now += 1000
    await server.chat(PAYLOAD)
    assert len(clock.slept) == 2


def test_patience_lasts_while_others_are_answered() -> None:
    """A server that answers other requests is well: one request that fails waits until it has answered nobody for so long."""
    clock = Clock()
    other = {**PAYLOAD, "options": {"seed": 2}}
    answered = [clock.now]

    def wire(request: httpx.Request) -> httpx.Response:
        return error(503) if json.loads(request.content)["options"]["seed"] == 1 else good()

    async def sleep(seconds: float) -> None:
        await clock.sleep(seconds)
        if len(clock.slept) <= 10:
            await server.chat(other)
            answered.append(clock.now)

    server = a_server(wire, clock=clock, config=settings(patience=10), sleep=sleep)
    with pytest.raises(ServerError, match="kept failing for 10 s"):
        asyncio.run(server.chat(PAYLOAD))
    assert answered[-1] - answered[0] > 10
    assert clock.now == pytest.approx(answered[-1] + 10)


def test_the_last_pause_ends_with_the_patience() -> None:
    """Nobody sleeps past the end: one more try is made exactly then; what is told of a pause is what is slept."""
    clock, told = Clock(), list[float]()
    wire = Wire(error(500))
    server = a_server(wire, clock=clock, config=settings(patience=10), on_fault=lambda _, pause: told.append(pause))
    with pytest.raises(ServerError):
        asyncio.run(server.chat(PAYLOAD))
    assert sum(clock.slept) == pytest.approx(10)
    assert told == clock.slept
    assert len(wire.requests) == len(clock.slept) + 1


@pytest.mark.parametrize("seed", range(5))
def test_pauses_double_up_to_the_longest(seed: int) -> None:
    """Each is between half and all of its step: 1, 2, 4, 8, 8 ... seconds, never more than the longest."""
    clock = Clock()
    with pytest.raises(ServerError):
        asyncio.run(a_server(Wire(error(500)), clock=clock, jitter=random.Random(seed)).chat(PAYLOAD))
    steps = [1.0, 2.0, 4.0, *[8.0] * len(clock.slept)]
    for pause, step in zip(clock.slept[:-1], steps, strict=False):
        assert step / 2 <= pause <= step
    assert len({round(pause / step, 6) for pause, step in zip(clock.slept[:4], steps, strict=False)}) == 4


def test_a_model_that_is_missing() -> None:
    """At once, as others miss it too, with the command that gets it."""
    wire = Wire(error(404, "model 'm' not found"))
    with pytest.raises(ModelMissing, match="'m' is not on the server; get it with: ollama pull m"):
        asyncio.run(a_server(wire).chat(PAYLOAD))
    assert prompts(wire) == [True, False, False]


def test_a_prompt_that_is_too_long() -> None:
    """At once, where short ones are too long as well, with what the server says and what to change."""
    wire = Wire(error(400, "the input length exceeds the context length"))
    with pytest.raises(ContextTooLong, match=r"the input length exceeds the context length\. Raise max_num_ctx"):
        asyncio.run(a_server(wire).chat(PAYLOAD))
    assert prompts(wire) == [True, False, False]


@pytest.mark.parametrize(
    "said", ['"m" does not support thinking', 'think value "low" is not supported for this model', "reasoning_effort: not here"]
)
def test_a_model_that_refuses_to_think(said: str) -> None:
    """At once, with the setting to change; a model whose name speaks of thinking may refuse other things."""
    wire = Wire(error(400, said))
    with pytest.raises(
        ThinkingRefused,
        match=f"{said}; give `think` another value .* roles that ask m: unset to say nothing of it, or another of off, on",
    ):
        asyncio.run(a_server(wire).chat(PAYLOAD))
    assert prompts(wire) == [True, False, False]
    thinker = {**PAYLOAD, "model": "big-thinking:8b"}
    with pytest.raises(ServerError) as caught:
        asyncio.run(a_server(Wire(error(400, '"big-thinking" does not support tools'))).chat(thinker))
    assert type(caught.value) is ServerError


@pytest.mark.parametrize("status", [400, 405, 406, 409, 413, 422, 424, 501])
def test_other_refusals_are_errors_at_once(status: int) -> None:
    """The prompt is not asked again; what the server says is shown, as much of it as fits a line.

    Where another prompt might be taken, two are tried: they are refused as well, so it is not this one's fault.
    """
    wire = Wire(error(status, "no\nsuch " + 300 * "x"))
    with pytest.raises(ServerError) as caught:
        asyncio.run(a_server(wire).chat(PAYLOAD))
    assert f"{HOST} answered {status}: no such xxx" in str(caught.value)
    assert len(str(caught.value)) < 300
    assert prompts(wire) == [True, False, False]


@pytest.mark.parametrize(("concurrency", "seconds"), [(1, 60), (8, 480)])
def test_a_reply_is_waited_for_while_the_server_queues(concurrency: int, seconds: float) -> None:
    """A server that works on one request at a time answers the last of eight after eight times one; connecting is quick."""
    waits = list[dict[str, Any]]()

    def wire(request: httpx.Request) -> httpx.Response:
        waits.append(request.extensions["timeout"])
        return good()

    asyncio.run(a_server(wire, concurrency=concurrency).chat(PAYLOAD))
    assert [(wait["read"], wait["connect"], wait["pool"]) for wait in waits] == [(seconds, 5, None)]


# ---- version and models ----------------------------------------------------------------------------------------------

LISTED = {"models": [{"model": "b:7b", "digest": "bb"}, {"model": "a:latest", "digest": "aa"}, {"name": "no name"}]}
SHOWN = {"model_info": {"general.architecture": "llama", "llama.context_length": 32768}, "details": {}}


def ollama(shown: dict[str, Any] = SHOWN) -> Callable[[httpx.Request], httpx.Response]:
    """A server with two models."""
    bodies = {"/api/version": {"version": "0.12.3"}, "/api/tags": LISTED, "/api/show": shown}
    return lambda request: httpx.Response(200, json=bodies[request.url.path])


def test_the_version() -> None:
    """As the server says it; another server may not say."""
    assert asyncio.run(a_server(ollama()).version()) == "0.12.3"
    assert asyncio.run(a_server(Wire(httpx.Response(200, json={}))).version()) == "unknown"


def test_the_models() -> None:
    """By name, with their digests."""
    models = asyncio.run(a_server(ollama()).models())
    assert models == (Model("a:latest", "aa", None), Model("b:7b", "bb", None))


def test_a_list_of_no_models() -> None:
    """Null is how some write an empty one: it is an Ollama all the same, which has none."""
    with pytest.raises(ModelMissing, match="which has none; get it with: ollama pull a"):
        asyncio.run(a_server(Wire(httpx.Response(200, json={"models": None}))).model("a"))


@pytest.mark.parametrize("answer", [b"[" * 20_000, b'{"models": 3}', b'{"models": [3]}', b"{}", b"null", b""])
def test_a_list_of_models_that_is_none(answer: bytes) -> None:
    """Whatever is there instead."""
    with pytest.raises(ServerError, match=r"is no Ollama .*it sends a body that is empty or broken"):
        asyncio.run(a_server(Wire(httpx.Response(200, content=answer))).models())


def test_what_nobody_needs_of_a_list_may_be_anything() -> None:
    """A date that is none makes no other server of it."""
    entry = {"model": "a:latest", "digest": None, "size": -1, "modified_at": "yesterday", "details": 3}
    assert asyncio.run(a_server(Wire(httpx.Response(200, json={"models": [entry]}))).models()) == (Model("a:latest", "", None),)


@pytest.mark.parametrize(("name", "found"), [("a", "a:latest"), ("a:latest", "a:latest"), ("b:7b", "b:7b")])
def test_a_model_by_name(name: str, found: str) -> None:
    """A name without a tag means `latest`, as for `ollama run`; the window is the model's own."""
    model = asyncio.run(a_server(ollama()).model(name))
    assert (model.name, model.context_length) == (found, 32768)


@pytest.mark.parametrize(
    ("told", "licence"),
    [
        (
            {"license": "\n     Apache License\n  Version 2.0, January 2004\n\nTERMS"},
            "Apache License, Version 2.0, January 2004",
        ),
        ({"license": " ", "model_info": {"general.license": "mit"}}, "mit"),
        ({"license": "x" * 999}, "x" * 200),
        ({"model_info": {"general.license": 7}}, None),
    ],
)
def test_the_licence_of_a_model(told: dict[str, Any], licence: str | None) -> None:
    """The title of the text that Ollama has, else what the model's file says."""
    assert asyncio.run(a_server(ollama({**SHOWN, **told})).model("a")).licence == licence


@pytest.mark.parametrize("name", ["b", "c", "a:7b", "library/b", "localhost:5000/b"])
def test_a_model_that_is_not_pulled(name: str) -> None:
    """Another tag of the same name is another model; a port in a name is no tag."""
    with pytest.raises(ModelMissing, match=f"ollama pull {name}$"):
        asyncio.run(a_server(ollama()).model(name))


def test_a_model_that_is_listed_and_cannot_be_shown() -> None:
    """It was removed just now, or its files are broken: that is no other program at the address."""

    def wire(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/show":
            return httpx.Response(404, json={"error": "model 'a:latest' not found"})
        return ollama()(request)

    with pytest.raises(ModelMissing, match=r"lists a model that it cannot show \(model 'a:latest' not found\); pull it again"):
        asyncio.run(a_server(wire).model("a"))


@pytest.mark.parametrize(("can", "thinks"), [(["completion", "thinking"], True), (["completion"], False), (None, None)])
def test_whether_a_model_can_think(can: list[str] | None, thinks: bool | None) -> None:
    """As newer servers say; older ones do not."""
    shown = SHOWN if can is None else {**SHOWN, "capabilities": can}
    assert asyncio.run(a_server(ollama(shown)).model("a")).thinks is thinks


def test_what_may_be_meant_is_said_of_a_model_that_is_not_pulled() -> None:
    """Another tag of it; else what there is. The command that gets it stays."""
    near = "; did you mean b:7b, which is there? Then name that one, else get b with: ollama pull b"
    for name, said in (("b", near), ("c", ", which has a:latest, b:7b; get it with: ollama pull c")):
        with pytest.raises(ModelMissing) as caught:
            asyncio.run(a_server(ollama()).model(name))
        assert str(caught.value) == f"The model {name!r} is not on the server{said}"


@on_a_loop
async def test_another_spelling_is_asked_for_as_the_server_lists_it() -> None:
    """Ollama finds a model whatever its case; a request without a tag goes out as it always did."""
    sent: list[str] = []

    def wire(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/chat":
            sent.append(json.loads(request.content)["model"])
            return httpx.Response(200, json=GOOD)
        return ollama()(request)

    server = a_server(wire)
    for name in ("a", "A", "library/a", "B:7B"):
        assert (await server.model(name)).digest == ("bb" if name == "B:7B" else "aa")
        await server.chat({**PAYLOAD, "model": name})
    assert sent == ["a", "a:latest", "a:latest", "b:7b"]


@pytest.mark.parametrize(
    "shown",
    [
        {"model_info": None},
        {"model_info": {"a": "llama"}},
        {"model_info": {"a.context_length": "much"}},
        {"model_info": {"a.context_length": -1}},
    ],
)
def test_a_model_that_does_not_tell_its_window(shown: dict[str, Any]) -> None:
    """Then nothing is known of it."""
    assert asyncio.run(a_server(ollama(shown)).model("a")).context_length is None


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (httpx.ConnectError("refused"), r"No Ollama server answers at .* \(it refuses the connection\); start one with"),
        (httpx.ReadTimeout("slow"), r"gives no answer within 60 s\); see its log, or raise server\.timeout in the config"),
        (error(500, "broken"), "answered 500: broken"),
        (error(404, "page not found"), r"is no Ollama \(it answered 404: page not found\)"),
        (
            httpx.Response(200, text="<html>"),
            r"is no Ollama \(it (answered 200: a web page|sends a body that is empty or broken)\)",
        ),
        (httpx.Response(200, json=["0.12"]), "is no Ollama"),
    ],
)
def test_questions_before_a_run_are_asked_once(answer: Answer, said: str) -> None:
    """Whoever starts a run wants to know at once that the server is not there."""
    for ask in (OllamaServer.version, OllamaServer.models):
        wire = Wire(answer)
        with pytest.raises(ServerError, match=said):
            asyncio.run(ask(a_server(wire)))
        assert len(wire.requests) == 1


def test_a_host_that_is_busy_at_the_start_is_asked_again() -> None:
    """A proxy in front of an Ollama answers so while that is being started."""
    clock = Clock()
    assert asyncio.run(a_server(Wire(error(503), error(429), ollama_version()), clock=clock).version()) == "0.32"
    assert len(clock.slept) == 2


def test_nobody_answers() -> None:
    """It has taken the connection: the error says how long it was waited for, and by which setting that is longer."""

    async def silence(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError("never")

    with pytest.raises(ServerError) as caught:
        asyncio.run(a_server(silence, config=settings(connect_timeout=0.005, timeout=0.005)).version())
    said = str(caught.value)
    assert said.startswith(f"No Ollama server answers at {HOST} (it takes the connection and gives no answer within 0.005 s)")
    assert "raise server.timeout in the configuration" in said


@pytest.mark.parametrize(
    "host",
    ["http://127.0.0.1:port", "http://127.0.0.1:123456", "http://[::1", "http://a\x00b", "http://ü..de"],
)
def test_an_address_that_is_none(host: str) -> None:
    """It is named, with how to write one; nothing is asked, again or at all."""
    clock = Clock()
    wire = Wire(good())
    server = OllamaServer(host, settings(), clock=clock, sleep=clock.sleep, transport=httpx.MockTransport(wire))
    for ask in (server.version(), server.chat(PAYLOAD)):
        with pytest.raises(ServerError) as caught:
            asyncio.run(ask)
        assert str(caught.value) == f"{host!r} is no address of a server; write it like http://127.0.0.1:11434."
    with pytest.raises(ServerError, match="is no address of a server"):
        list(server.pull("m"))
    assert (wire.requests, clock.slept) == ([], [])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("http://me:secret@a.example:11434", "http://a.example:11434"),
        ("http://me:se@cret@a.example", "http://a.example"),
        ("http://me:se/cret@a.example", "http://a.example"),
        ("me:secret@a.example:11434", "a.example:11434"),
        ("https://a.example/p@th", "https://a.example/p@th"),
        ("https://a.example:8000/p@th", "https://a.example:8000/p@th"),
        ("https://[::1]:8000/p@th", "https://[::1]:8000/p@th"),
        ("skills-dspy run --base-url me:secret@a.example -n 5", "skills-dspy run --base-url a.example -n 5"),
        ("skills-dspy run --base-url http://me:secret@a.example -n 5", "skills-dspy run --base-url http://a.example -n 5"),
    ],
)
def test_passwords_are_not_shown(given: str, said: str) -> None:
    """An address may hold a name and a password: they are for the server, not for messages and files."""
    assert without_secrets(given) == said
    assert OllamaServer(given, settings()).host == said


def test_a_scheme_that_is_none() -> None:
    """Found out by the network layer only, and not asked again."""
    clock = Clock()
    server = OllamaServer("ftp://127.0.0.1:1", settings(), clock=clock, sleep=clock.sleep)
    with pytest.raises(ServerError, match=r"'ftp://127.0.0.1:1' is no address of a server"):
        answered(server, server.chat(PAYLOAD))
    assert clock.slept == []


# ---- connections -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("concurrency", [1, CONNECTIONS_PER_CLIENT, CONNECTIONS_PER_CLIENT + 1, 20, 64])
@on_a_loop
async def test_requests_are_spread_over_clients(concurrency: int) -> None:
    """No client has more at once than it does well with: httpx slows down when one has many."""
    clients = -(-concurrency // CONNECTIONS_PER_CLIENT)
    gate = asyncio.Event()
    busiest = list[int]()

    async def wire(_: httpx.Request) -> httpx.Response:
        busiest.append(max(server._connections.busy))
        await gate.wait()
        return good()

    server = a_server(wire, concurrency=concurrency)
    asking = [asyncio.create_task(server.chat(PAYLOAD)) for _ in range(concurrency)]
    await idle()
    assert len({id(client) for client in server._connections.all()}) == clients
    assert sum(server._connections.busy) == concurrency
    gate.set()
    await asyncio.gather(*asking)
    assert max(busiest) == -(-concurrency // clients) <= CONNECTIONS_PER_CLIENT
    assert server._connections.busy == [0] * clients
    await server.close()
    assert server._connections.drop() == []


def test_a_closed_server_can_be_asked_again() -> None:
    """In another loop too: connections belong to the loop that made them."""
    server = a_server(Wire(good()))
    assert answered(server, server.chat(PAYLOAD)) == answered(server, server.chat(PAYLOAD)) == GOOD


class _Handler(BaseHTTPRequestHandler):
    answers: Sequence[tuple[int, bytes]] = ()

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, body = self.answers[0]
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _answer  # noqa: N815 - the names that http.server looks for

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@contextmanager
def listening(status: int, body: bytes) -> Iterator[str]:
    """A real server on this machine that always answers the same."""
    handler = type("Handler", (_Handler,), {"answers": [(status, body)]})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


local = pytest.mark.block_network(allowed_hosts=["127.0.0.1"])


@local
@pytest.mark.parametrize("form", ["{}", "{}/", "127.0.0.1:{port}", "localhost:{port}"])
def test_a_proxy_is_not_asked_for_this_machine(form: str) -> None:
    """Whoever has to go through a proxy to the world still reaches the server next door, however its address is written."""
    environment = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"), "http://127.0.0.1:9")
    with listening(200, b'{"version": "1.2"}') as address:
        host = form.format(address, port=address.rsplit(":", 1)[1])
        server = OllamaServer(host, settings(), environment=environment)
        assert answered(server, server.version()) == "1.2"


@local
def test_a_proxy_is_asked_for_other_machines() -> None:
    """The environment's proxy is used where it is meant to be."""
    with listening(200, b'{"version": "from the proxy"}') as proxy:
        server = OllamaServer("http://ollama.example:11434", settings(), environment={"http_proxy": proxy})
        assert answered(server, server.version()) == "from the proxy"


# ---- pulling ---------------------------------------------------------------------------------------------------------


@local
def test_a_pull_tells_its_progress() -> None:
    """What is being done, how far it is, how much there is; a line without numbers counts as none."""
    lines = [{"status": "pulling manifest"}, {"status": "pulling aa", "total": 10, "completed": 4}, {"status": "success"}]
    with listening(200, b"\n".join(json.dumps(line).encode() for line in lines)) as address:
        progress = list(OllamaServer(address, settings()).pull("m"))
    assert progress == [("pulling manifest", 0, 0), ("pulling aa", 4, 10), ("success", 0, 0)]


@local
@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b'{"status": "pulling"}\n{"error": "pull model manifest: file does not exist"}', "reports: pull model manifest"),
        (500, b'{"error": "disk full"}', "answered 500: disk full"),
        (200, b"<html>", "empty or broken"),
    ],
)
def test_a_pull_that_fails(status: int, body: bytes, said: str) -> None:
    """In the middle or at once: a sentence with what the server says."""
    with listening(status, body) as address, pytest.raises(ServerError, match=said):
        list(OllamaServer(address, settings()).pull("m"))


def test_a_body_is_what_the_ollama_package_makes_of_it() -> None:
    """The same keys and values in the same order, so journals stay as they are; of a token what a rating is read from."""
    told = [{"token": "3", "logprob": -0.5, "bytes": [51], "top_logprobs": [{"token": "2", "logprob": -1, "bytes": [50]}]}]
    told += [{"token": "}", "logprob": 0, "top_logprobs": None}]
    message = {"role": "assistant", "content": "ü3}", "thinking": "Hm."}
    counts = {"total_duration": 5, "load_duration": 1, "prompt_eval_count": 7, "prompt_eval_duration": 2, "eval_count": 2}
    sent = {"model": "m", "created_at": "now", "message": message, "done_reason": "stop", "done": True, "new": [1], **counts}
    body = body_of(json.dumps({**sent, "logprobs": told}).encode())
    as_before = ChatResponse.model_validate(sent).model_dump(exclude_none=True)
    assert list(body) == [*as_before, "logprobs"]
    assert {key: body[key] for key in as_before} == as_before
    listed = body["logprobs"]
    assert (len(listed), listed[-1]) == (2, {"token": "}", "logprob": 0.0, "top_logprobs": None})
    assert listed[0] == {"token": "3", "logprob": -0.5, "top_logprobs": [{"token": "2", "logprob": -1.0}]}
