"""No key, name or password of who asks is in any error, whatever the server's answer quotes."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

import httpx
import pytest

from skills_dspy.base.errors import ServerError, SkillsError
from skills_dspy.model.server.ollama import OllamaServer
from tests.model.server.test_ollama import PAYLOAD, a_server, good, listening, settings
from tests.model.server.test_openai import a_server as an_openai
from tests.model.server.test_openai import said

KEY = "sk-topsecret/key=1"
"""JSON and addresses may write it in another way."""
PARTS = ("sk-", "secret", "annie", "YW5uaWU6")


@dataclass
class Asker:
    """Asks a server whose answers quote how it was asked; `shown` is what shall stand for that."""

    openai: bool
    host: str
    shown: str

    def told(self, answer: Callable[[str], httpx.Response], *, of_one: bool = False) -> str:
        """The error; with `of_one` that of a prompt where all others are answered."""

        def wire(asked: httpx.Request) -> httpx.Response:
            how = asked.headers["Authorization"]
            if of_one and json.loads(asked.content)["messages"] != PAYLOAD["messages"]:
                return said("yes") if self.openai else good()
            return answer(how if "Bearer" in how else f"{how}, annie:{KEY}")

        server: Any = an_openai(wire, self.host, key=KEY) if self.openai else a_server(wire, self.host)
        with pytest.raises(SkillsError) as caught:
            asyncio.run(server.chat(PAYLOAD))
        return str(caught.value)


@pytest.fixture(params=["ollama", "openai", "password"])
def asker(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Asker:
    """By a key, or by a name and a password in the address."""
    if request.param == "ollama":
        monkeypatch.setenv("OLLAMA_API_KEY", KEY)
    if request.param == "password":
        return Asker(False, f"http://annie:{quote(KEY, '')}@a.example", "Basic (the key), (the name):(the password)")
    return Asker(request.param == "openai", "http://a.example", "Bearer (the key)")


@pytest.mark.parametrize(("status", "of_one"), [(400, True), (400, False), (401, True), (401, False)])
def test_no_part_of_a_key_is_quoted(asker: Asker, status: int, of_one: bool) -> None:
    """Wherever a long text is cut, and whoever else the server answers."""
    for before in (0, 160, 185):
        told = asker.told(lambda how, x=before: httpx.Response(status, json={"error": f"{'x' * x} {how}"}), of_one=of_one)  # type: ignore[misc]
        assert str(status) in told
        assert not [part for part in PARTS if part in told]


@pytest.mark.parametrize(
    "answer",
    [
        lambda how: httpx.Response(422, json={"error": f"odd {how}"}),
        lambda how: httpx.Response(422, text=f"<p>odd {how}</p>"),
        lambda how: httpx.Response(422, text=json.dumps({"error": f"odd {how}"}).replace("/", "\\/").replace("=", "\\u003d")),
        lambda how: httpx.Response(200, json={"error": f"odd {how}"}),
        lambda how: httpx.Response(307, headers={"Location": f"ftp://b.example/odd/{how}"}),
        lambda how: httpx.Response(307, headers={"Location": f"ftp://b.example/odd/{quote(how, '')}"}),
    ],
    ids=["json", "page", "escaped", "no error", "moved", "moved and escaped"],
)
def test_what_else_is_said_is_told(asker: Asker, answer: Callable[[str], httpx.Response]) -> None:
    """In whatever it is written; a word stands where the key stood."""
    told = unquote(asker.told(answer))
    assert f"odd {asker.shown}" in told.replace("odd/", "odd ")
    assert not [part for part in PARTS if part in told]


def test_a_short_name_is_no_letter_of_other_words() -> None:
    """Only as a word of its own is it left out, and the rest can be read."""
    answer = httpx.Response(422, json={"error": "a broken tokenizer of ok:en"})
    with pytest.raises(SkillsError, match=r"answered 422: a broken tokenizer of \(the name\):\(the password\)\."):
        asyncio.run(a_server(lambda _: answer, "http://ok:en@a.example").chat(PAYLOAD))


@pytest.mark.block_network(allowed_hosts=["127.0.0.1"])
def test_a_pull_quotes_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though another client asks for it."""
    monkeypatch.setenv("OLLAMA_API_KEY", KEY)
    body = json.dumps({"error": f"odd Bearer {KEY}"}).encode()
    with listening(403, body) as address, pytest.raises(ServerError, match=r"answered 403: odd Bearer \(the key\);"):
        list(OllamaServer(address, settings()).pull("m"))
