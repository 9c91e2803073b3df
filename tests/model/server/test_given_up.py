"""A prompt that a server cannot answer is given up; a server that cannot answer for a while is not mistaken for one."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx
import pytest

from skills_dspy.base.errors import ContextTooLong, MachineError, ServerError, SkillsError, Unanswered
from skills_dspy.model.server.asking import Asking
from skills_dspy.model.server.faults import Cause
from skills_dspy.model.server.ollama import OllamaServer
from skills_dspy.model.server.openai import OpenAIServer
from skills_dspy.model.server.server import Fault
from tests.helpers.loops import on_a_loop
from tests.model.server.test_ollama import HOST, PASSING, PAYLOAD, Clock, a_server, error, good, settings
from tests.model.server.test_openai import said

BUSY = {429, 503}
STATUSES = (400, 401, 403, 404, 405, 406, 407, 409, 410, 413, 418, 422, 424, 451, 499, 501, 505)
REFUSED = {str(status): error(status, "refused by policy") for status in STATUSES}
MOVED = httpx.Response(302, headers={"Location": "http://guard.example/blocked"})
NEVER = {kind: answer for kind, answer in PASSING.items() if kind not in ("429", "503")} | REFUSED

Asked = Mapping[str, Any]


def prompt(text: str, **more: Any) -> dict[str, Any]:
    """A request with this prompt."""
    return {**PAYLOAD, "messages": [{"role": "user", "content": text}], **more}


class Host:
    """A server that answers all prompts but those of which `fails` has something else to say."""

    def __init__(self, fails: Callable[[str], httpx.Response | Exception | None], clock: Clock | None = None) -> None:
        self.fails, self.clock = fails, clock or Clock()
        self.asked: list[str] = []
        self.server = a_server(self, clock=self.clock)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """The answer to one request."""
        asked = json.loads(request.content)
        self.asked.append(asked["messages"][-1]["content"])
        answer = self.fails(self.asked[-1])
        if isinstance(answer, Exception):
            raise answer
        return good() if answer is None else httpx.Response(answer.status_code, content=answer.content)

    def outcome(self, *texts: str) -> list[Any]:
        """What comes of prompts that are asked at once: replies and errors."""

        async def ask() -> list[Any]:
            asking = (self.server.chat(prompt(text)) for text in texts)
            return list(await asyncio.gather(*asking, return_exceptions=True))

        return asyncio.run(ask())


@pytest.mark.parametrize("kind", NEVER)
def test_a_prompt_that_is_never_answered_is_given_up(kind: str) -> None:
    """After a few tries, over some seconds where it might pass, and whether others are in flight or not.

    What is kept of it says what went wrong, and not where: the address of a server is another one tomorrow.
    """
    host = Host(lambda text: NEVER[kind] if text == "poison" else None)
    (given_up,) = host.outcome("poison")
    assert isinstance(given_up, Unanswered)
    assert str(given_up).endswith("It answers others, and this never.")
    assert HOST not in str(given_up)
    tries, seconds = host.asked.count("poison"), host.clock.now - 1000
    assert (tries == 2 and seconds < 2) if kind in REFUSED else (4 <= tries <= 6 and 3 < seconds < 30)
    assert [str(one) if isinstance(one, SkillsError) else "fine" for one in host.outcome("a", "poison", "b")] == [
        "fine",
        str(given_up),
        "fine",
    ]


@pytest.mark.parametrize("api", ["ollama", "openai"])
@pytest.mark.parametrize(
    ("refused", "told"),
    [
        (error(404, "an error was encountered: blob not found"), "404: an error was encountered: blob not found"),
        (error(404, "model 'm' not found"), "404: model 'm' not found"),
        (error(400, '"m" does not support thinking'), '400: "m" does not support thinking'),
        (error(401, "sk-1 was refused"), "401"),
        (MOVED, "302"),
    ],
)
def test_what_one_prompt_is_refused_with_is_said_of_no_other(refused: httpx.Response, told: str, api: str) -> None:
    """Its model is there, its address and its key are right, whatever the status means of a server that answers nobody."""

    def wire(request: httpx.Request) -> httpx.Response:
        if "poison" in request.content.decode():
            return httpx.Response(refused.status_code, content=refused.content, headers=refused.headers)
        return good() if api == "ollama" else said("yes")

    clock, shown = Clock(), list[str]()
    more = {"transport": httpx.MockTransport(wire), "clock": clock, "sleep": clock.sleep}
    more["on_fault"] = lambda fault, _: shown.append(str(fault.error))
    kind: Callable[..., Any] = OllamaServer if api == "ollama" else OpenAIServer
    with pytest.raises(Unanswered) as caught:
        asyncio.run(kind(HOST, settings(), **more).chat(prompt("poison")))
    assert str(caught.value) == f"The server answered {told}. It answers others, and this never."
    assert shown == [f"The server answered {told}."]


@pytest.mark.parametrize("status", [400, 500, 503])
@pytest.mark.parametrize("other", ["Say the number 1, and nothing more.", "Say the number 2, and nothing more."])
def test_one_of_the_other_things_may_be_another_that_is_never_answered(status: int, other: str) -> None:
    """That what the server is asked in between is of its bad prompts itself does not save the prompt, nor end the run."""
    host = Host(lambda text: error(status) if text in ("poison", other) else None)
    assert isinstance(host.outcome("poison")[0], Unanswered)


@pytest.mark.parametrize("status", BUSY)
def test_a_busy_server_has_the_whole_patience(status: int) -> None:
    """It says itself that it will answer: only a prompt to which it says so for ever is given up."""
    host = Host(lambda text: error(status) if text == "poison" and host.clock.now < 1000 + until else None)
    until = 95.0
    assert host.outcome("poison") == host.outcome("other")
    host, until = Host(host.fails), 1e9
    (given_up,) = host.outcome("poison")
    assert isinstance(given_up, Unanswered)
    assert 1100 < host.clock.now < 1130


@pytest.mark.parametrize("answer", [error(500), error(503), httpx.ConnectError("refused"), httpx.Response(200)])
@pytest.mark.parametrize("seconds", [20, 99])
def test_a_server_that_starts_anew_loses_nobody(answer: httpx.Response | Exception, seconds: float) -> None:
    """Everything fails for a while, however many are in flight, and then each is answered."""
    host = Host(lambda _: answer if host.clock.now < 1000 + seconds else None)
    assert all(isinstance(reply, dict) for reply in host.outcome(*"abcdefgh"))


def by_chance(share: float, seed: int, *texts: str) -> tuple[list[object], int]:
    """What comes of prompts, and how often `poison` was asked, which always fails; this share of all others fails by chance."""
    rng, clock, asked = random.Random(seed), Clock(), list[str]()
    failed, cause = ServerError("It failed."), Cause("fails")
    fault = Fault(failed, True)
    asking = Asking(
        HOST, settings(patience=1e4), lambda *_: fault, lambda _: cause, lambda _: failed, clock=clock, sleep=clock.sleep
    )

    async def ask(text: str) -> str:
        asked.append(text)
        if text == "poison" or rng.random() < share:
            raise ConnectionError
        return text

    async def one(text: str) -> str:
        return await asking.patiently(lambda: ask(text), "m", lambda number: ask(f"Say {number}."))

    async def all_of_them() -> list[object]:
        return list(await asyncio.gather(*map(one, texts), return_exceptions=True))

    return asyncio.run(all_of_them()), asked.count("poison")


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_a_server_that_fails_by_chance_loses_nobody(share: float) -> None:
    """Behind one address there may be several, most of them broken: what fails there fails by chance."""
    texts = [str(number) for number in range(100)]
    assert [seed for seed in range(40) if by_chance(share, seed, *texts)[0] != texts] == []


@pytest.mark.parametrize(("share", "most"), [(0.0, 6), (0.2, 20), (0.5, 40), (0.8, 100)])
def test_a_prompt_that_always_fails_is_told_from_chance(share: float, most: int) -> None:
    """It takes the more tries the more of the others fail, and has an end; the others are answered."""
    for seed in range(20):
        (given_up, *others), tries = by_chance(share, seed, "poison", *"abcde")
        assert isinstance(given_up, Unanswered)
        assert others == [*"abcde"]
        assert tries <= most


@on_a_loop
async def test_a_prompt_that_ends_the_server_is_given_up_alone() -> None:
    """What was in flight beside it fails with it, time and again, and is answered all the same."""
    crashes = 0

    async def wire(request: httpx.Request) -> httpx.Response:
        nonlocal crashes
        text = json.loads(request.content)["messages"][-1]["content"]
        before, crashes = crashes, crashes + (text == "poison")
        for _ in range(2 if text.startswith("Say") else 40):
            await asyncio.sleep(0)
        if crashes > before:
            raise httpx.RemoteProtocolError("Server disconnected without sending a response.")
        return good()

    async def sleep(seconds: float) -> None:
        for _ in range(round(20 * seconds)):
            await asyncio.sleep(0)
        clock.now += seconds / 8

    clock = Clock()
    server = a_server(wire, clock=clock, sleep=sleep, config=settings(patience=1e4))
    texts = [*"abcdefg", "poison", *"hijklmn"]
    replies = await asyncio.gather(*(server.chat(prompt(text)) for text in texts), return_exceptions=True)
    assert [place for place, reply in enumerate(replies) if isinstance(reply, Exception)] == [7]


def test_a_model_that_cannot_be_used_gives_nobody_up() -> None:
    """Prompts for another model are answered, and none for this one: that is no prompt's fault, and said as before."""

    def wire(request: httpx.Request) -> httpx.Response:
        return error(500, "requires more memory") if json.loads(request.content)["model"] == "big" else good()

    server = a_server(wire)

    async def ask() -> None:
        await server.chat(prompt("a"))
        await server.chat(prompt("b", model="big"))

    with pytest.raises(MachineError, match=r"requires more memory.* kept failing for 100 s"):
        asyncio.run(ask())


@pytest.mark.parametrize("status", [400, 500])
def test_a_prompt_that_is_too_long_is_given_up_whatever_was_answered_before(status: int) -> None:
    """What the server answers now tells, so that a resumed run loses what the first one lost, and nothing else."""
    too_long = error(status, "input is too large to process: it exceeds the context")
    host = Host(lambda text: too_long if text == "long" else None)
    outcomes = [outcome for texts in (("long",), ("short",), ("long",), ("a", "long")) for outcome in host.outcome(*texts)]
    first, *others = (one for one in outcomes if isinstance(one, Exception))
    assert isinstance(first, Unanswered)
    assert "exceeds the context" in str(first)
    assert [str(one) for one in others] == [str(first)] * 2


def test_a_server_that_finds_everything_too_long_gives_nobody_up() -> None:
    """Its window is too small, which ends the run with what to set."""
    outcomes = Host(lambda _: error(400, "the input exceeds the context length")).outcome("long", "short")
    assert [type(one) for one in outcomes] == [ContextTooLong] * 2


def test_what_is_asked_meanwhile_has_the_same_form() -> None:
    """Model, schema and options are those of the prompt, so that what cannot be had in that form is not laid on the text."""
    requests: list[Asked] = []

    def wire(request: httpx.Request) -> httpx.Response:
        requests.append(json.loads(request.content))
        return error(500) if "format" in requests[-1] else good()

    asked = prompt("a", format={"type": "object"}, think=False)
    asked["messages"].insert(0, {"role": "system", "content": "Be a fox."})
    with pytest.raises(MachineError, match="kept failing"):
        asyncio.run(a_server(wire).chat(asked))
    other = requests[-1]
    assert other["messages"] != asked["messages"]
    assert {**other, "messages": 0} == {**requests[0], "messages": 0}
    assert [message["role"] for message in other["messages"]] == [message["role"] for message in asked["messages"]]


@pytest.mark.parametrize("status", [400, 500])
def test_a_template_that_takes_no_system_message_is_said_at_once(status: int) -> None:
    """It would refuse every prompt of a run, and none is noted as one that the server cannot answer."""
    host = Host(lambda _: error(status, "template: System role not supported"))
    (said,) = host.outcome("a")
    assert isinstance(said, MachineError)
    assert "refuses our prompts (template: System role not supported): take another model" in str(said)


@pytest.mark.parametrize("status", [200, 400, 500])
def test_a_prompt_is_given_up_by_a_server_of_openais_api(status: int) -> None:
    """As by any other."""

    def wire(request: httpx.Request) -> httpx.Response:
        text = json.loads(request.content)["messages"][-1]["content"]
        return error(status, "content filter") if text == "poison" else said("yes")

    clock = Clock()
    server = OpenAIServer(HOST, settings(), transport=httpx.MockTransport(wire), clock=clock, sleep=clock.sleep)
    with pytest.raises(Unanswered, match=f"The server answered {status}: content filter"):
        asyncio.run(server.chat(prompt("poison", options={"num_predict": 9})))


def test_a_prompt_that_is_moderated_is_not_laid_on_the_key() -> None:
    """Some services say so with the status of a key that they do not take."""

    def wire(request: httpx.Request) -> httpx.Response:
        return error(403, "flagged") if "poison" in request.content.decode() else said("yes")

    clock = Clock()
    more = {"transport": httpx.MockTransport(wire), "clock": clock, "sleep": clock.sleep}
    with pytest.raises(Unanswered, match=r"^The server answered 403\. It answers others"):
        asyncio.run(OpenAIServer(HOST, settings(), key="sk-1", **more).chat(prompt("poison")))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["500", "reset while reading", "an error with 200", "half a body"])
def test_a_text_without_a_vector_is_given_up(kind: str) -> None:
    """A text that an embedding model trips over, as it does where a vector comes out as not a number."""

    def wire(request: httpx.Request) -> httpx.Response:
        answer = PASSING[kind]
        if json.loads(request.content)["input"] != "poison":
            return httpx.Response(200, json={"model": "m", "embeddings": [[1.0, 2.0]]})
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, content=answer.content)

    ask: Callable[[str], Awaitable[Any]] = lambda text: a_server(wire).embed("m", text)  # noqa: E731
    assert list(asyncio.run(_awaited(ask("fine")))) == [1.0, 2.0]
    with pytest.raises(Unanswered):
        asyncio.run(_awaited(ask("poison")))


async def _awaited(work: Awaitable[Any]) -> Any:
    return await work
