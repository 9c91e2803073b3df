"""Why nobody answers: each cause has its own words and its own remedy, before a run and in it, for each kind of server."""

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any
from unittest import mock

import httpx
import pytest

from skills_dspy.base.errors import ServerError
from skills_dspy.model.server.ollama import OllamaServer
from skills_dspy.model.server.openai import OpenAIServer
from tests.helpers.loops import answered
from tests.helpers.rude_server import CERTIFICATES, Manner, answers, closes, encrypted, moved, resets, rude_server
from tests.model.server.test_ollama import HOST, PAYLOAD, a_server, settings
from tests.model.server.test_openai import a_server as openai_server

local = pytest.mark.block_network(allowed_hosts=["127.0.0.1"])
HELLO = answers('{"version": "0.32", "models": [], "data": []}')


def asked(address: str, environment: Mapping[str, str] | None = None, api: str = "ollama") -> str:
    """What is said when a server is asked what it is, or its version."""
    kind: Callable[..., Any] = OllamaServer if api == "ollama" else OpenAIServer
    server = kind(address, settings(patience=0), concurrency=1, environment=environment or {})
    try:
        return str(answered(server, server.version()))
    except ServerError as error:
        return str(error)


def _secure(certificate: str) -> Manner:
    return encrypted(certificate, HELLO)


MANNERS: dict[str, tuple[str, Manner, str]] = {
    "not trusted": (
        "https",
        _secure("trusted_by_hand"),
        "it has a certificate that is not trusted (self-signed certificate)); set SSL",
    ),
    "http behind https": ("https", HELLO, "it does not speak https (wrong version number)); if it"),
    "closed before https": ("https", closes, "it closes the connection before it is encrypted); see its port and its log."),
    "https behind http": (
        "http",
        _secure("expired"),
        "without an answer); see its port and its log; if it wants https, write https://",
    ),
    "https that says so": (
        "http",
        answers("Client sent an HTTP request to an HTTPS server.", "400 Bad"),
        "wants https (Client sent",
    ),
    "closed at once": ("http", closes, "it closes the connection without an answer); see its port"),
    "reset at once": ("http", resets, "it resets the connection without an answer); see its port"),
    "a web page": (
        "http",
        answers("<html><title>Sign in</title>", kind="text/html"),
        "(it answered 200: a web page (Sign in))",
    ),
    "no object": ("http", answers("[1]"), "(it answered 200: [1])"),
    "LM Studio": ("http", answers('{"error": "Unexpected endpoint"}'), "(it answered 200: Unexpected endpoint)"),
    "nothing there": ("http", answers("404 page not found", "404 Not Found"), "(it answered 404: 404 page not found)"),
    "moved to https": (
        "http",
        moved("https://you:hush@box.example/"),
        "sends every request on to https://box.example (301): give",
    ),
    "moved to no port": (
        "http",
        moved("http://you:hush@login.example:port/x?key=hush"),
        "sends every request on to 'http://login.example:port/x' (301): give",
    ),
    "moved to no host": ("http", moved("http://[::1/"), "sends every request on to 'http://[::1/' (301): give"),
    "moved to no web": ("http", moved("ftp://box.example", "307 Temporary"), "on to ftp://box.example (307): give"),
    "lists without an end": ("http", answers("[" * 20_000), "(it answered 200: [[["),
    "an error without an end": ("http", answers("[" * 20_000, "418 Teapot"), "answered 418: [[["),
    "a day without an end": (
        "http",
        answers("", "418 Teapot", more=f"Retry-After: Mon, 01 Jan {'9' * 30} 00:00:00 GMT\r\n"),
        "answered 418: nothing",
    ),
    "a login": (
        "http",
        moved("http://box.example/login?key=hush"),
        "sends every request on to http://box.example/login (301): give",
    ),
}


@local
@pytest.mark.parametrize("api", ["ollama", "openai"])
@pytest.mark.parametrize("kind", MANNERS)
def test_what_is_wrong_is_said_with_what_helps(kind: str, api: str) -> None:
    """One sentence, whatever the server speaks; nothing that stands in an address for somebody else is shown."""
    scheme, manner, words = MANNERS[kind]
    with rude_server(manner) as port:
        said = asked(f"{scheme}://127.0.0.1:{port}", api=api)
    assert words in (said if api == "ollama" else said.replace("nothing there (", "(").replace("); give", "))"))
    assert f"{scheme}://127.0.0.1:{port}" in said
    assert "hush" not in said


@local
@pytest.mark.parametrize(
    ("certificate", "words"),
    [
        ("expired", "it has a certificate that has expired); renew it there, or see the clock of this machine."),
        ("of_another_name", "it has a certificate of another name (IP address mismatch"),
        ("trusted_by_hand", "0.32"),
    ],
)
def test_certificates_are_trusted_by_the_environment(certificate: str, words: str) -> None:
    """SSL_CERT_FILE is obeyed for a server on this machine, too, as for a tunnel; it makes no name right and no date."""
    with rude_server(_secure(certificate)) as port:
        address = f"https://127.0.0.1:{port}"
        assert words in asked(address, {"SSL_CERT_FILE": str(CERTIFICATES / f"{certificate}.pem")})
        other = "trusted_by_hand" if certificate == "of_another_name" else "of_another_name"
        said = asked(address, {"SSL_CERT_FILE": str(CERTIFICATES / f"{other}.pem")})
        assert "set SSL_CERT_FILE to a file with that certificate" in said
        assert "(trusted now is what is in SSL_CERT_FILE)" in said


@local
@pytest.mark.parametrize("api", ["ollama", "openai"])
@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_that_wants_a_certificate_of_who_asks(newest: ssl.TLSVersion, api: str) -> None:
    """It speaks https well enough: that is said, and what helps; TLS 1.3 lets who asks send the request first."""
    trusted = {"SSL_CERT_FILE": str(CERTIFICATES / "trusted_by_hand.pem")}
    with rude_server(encrypted("trusted_by_hand", HELLO, newest)) as port:
        said = asked(f"https://127.0.0.1:{port}", trusted, api)
    assert "refuses to encrypt (" in said
    assert "it may want a certificate of who asks" in said


def test_what_breaks_the_encryption_off_in_a_run_is_said_too() -> None:
    """httpx wraps nothing that comes after the handshake; where only the end of the connection comes, it may be the same."""
    alert = ssl.SSLError(1, "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required (_ssl.c:2559)")
    alert.reason = "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    wire = mock.Mock(side_effect=[alert, httpx.RemoteProtocolError("Server disconnected without sending a response.")])
    server = a_server(wire, "https://box.example")
    with pytest.raises(
        ServerError, match=r"The server at https://box\.example refuses to encrypt \(.* certificate of who asks"
    ):
        asyncio.run(server.chat(PAYLOAD))
    with pytest.raises(ServerError, match=r"closes the connection without an answer\); .* it may want a certificate"):
        asyncio.run(server.version())


@local
@pytest.mark.parametrize("api", ["ollama", "openai"])
@pytest.mark.parametrize("address", ["http://box.example:8080", "https://box.example"])
@pytest.mark.parametrize(
    ("status", "words"),
    [("407 Who", "wants a name and a password"), ("503 Busy", "503"), ("", "refuses the connection")],
)
def test_a_proxy_that_does_not_let_through(status: str, words: str, address: str, api: str) -> None:
    """Whoever answers, the variable is named, and not what is in it."""
    with rude_server(answers("<p>Squid", status or "200 OK", "text/html")) as port:
        said = asked(address, {"ALL_PROXY": f"http://me:hush@127.0.0.1:{port if status else 9}"}, api)
    assert words in said
    assert "proxy in ALL_PROXY" in said
    assert address in said
    assert "hush" not in said


@pytest.mark.parametrize(
    ("below", "words"),
    [
        (socket.gaierror(-2, "Name or service not known"), "has a name that no host is known by"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "cannot be reached from this machine"),
        (ExceptionGroup("all", [OSError(errno.ENETUNREACH, "a"), OSError(errno.ENETUNREACH, "b")]), "cannot be reached from"),
        (OSError("All connection attempts failed"), "refuses the connection"),
    ],
)
def test_ways_not_to_be_there(below: Exception, words: str) -> None:
    """A name that is misspelt, a machine that is off, and a port where nobody listens are three things."""

    def wire(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("All connection attempts failed") from below

    with pytest.raises(ServerError, match=rf"No Ollama server answers at {HOST} \(it {words}"):
        asyncio.run(a_server(wire).version())
    with pytest.raises(ServerError, match=rf"The server at {HOST} {words}.*kept failing for 0 s"):
        asyncio.run(a_server(wire, config=settings(patience=0)).chat(PAYLOAD))


@local
def test_a_certificate_that_is_none_any_more_ends_a_run_at_once() -> None:
    """Asking again does not help; every other broken connection is asked again."""
    with rude_server(_secure("expired")) as port:
        server = OllamaServer(f"https://127.0.0.1:{port}", settings(), concurrency=1)
        with pytest.raises(ServerError, match=r"The server at https.* has a certificate that [^.]*\.$"):
            answered(server, server.chat(PAYLOAD))


@pytest.mark.parametrize("path", ["/v1", "/api", "/api/chat", "/v1/chat/completions/"])
def test_an_address_with_too_much_at_its_end(path: str) -> None:
    """What other programs want there is to be left out for an Ollama, and is another for OpenAI's API."""
    wire = lambda _: httpx.Response(404, text="404 page not found")  # noqa: E731
    with pytest.raises(ServerError, match=rf"leave {path.rstrip('/')} out of its address: --base-url {HOST}\.$"):
        asyncio.run(a_server(wire, f"{HOST}{path}").version())
    with pytest.raises(
        ServerError, match=rf"usually ends in /v1, such as http://127.0.0.1:{'8000' if path == '/v1' else '11434'}/v1"
    ):
        asyncio.run(openai_server(wire, f"{HOST}{path}").version())


@pytest.mark.parametrize(
    ("version", "old"), [("0.4.7", True), ("0.1.48-rc1", True), ("0.5.0", False), ("0.0.0", False), ("1.0", False)]
)
def test_an_ollama_without_schemas(version: str, old: bool) -> None:
    """It is said before a run, and by what it says itself where its version is kept from us."""
    ask = a_server(lambda _: httpx.Response(200, json={"version": version})).version()
    if not old:
        assert asyncio.run(ask) == version
        return
    with pytest.raises(
        ServerError, match=rf"is {version}, but replies are read by JSON schemas, .* from 0\.5 on: install a newer"
    ):
        asyncio.run(ask)
    said = "json: cannot unmarshal object into Go struct field ChatRequest.format of type string"
    with pytest.raises(ServerError, match=r"says of a schema: json: cannot .* from 0\.5 on"):
        asyncio.run(a_server(lambda _: httpx.Response(400, json={"error": said})).chat(PAYLOAD))


def test_a_list_that_comes_late() -> None:
    """The time to connect is none to answer: a list of models on a slow disk takes its time."""

    async def wire(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.02)
        return httpx.Response(200, json={"version": "0.32"})

    assert asyncio.run(a_server(wire, config=settings(connect_timeout=0.001)).version()) == "0.32"


def test_names_passwords_and_keys_reach_an_ollama(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of its address, which the ollama package drops; a key that is none is said without a letter of it."""
    seen: list[str] = []

    def wire(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("Authorization", ""))
        return httpx.Response(401, text="who?")

    with pytest.raises(
        ServerError, match=r"answered 401: who\?; if it asks who you are, write http://NAME:PASSWORD@HOST"
    ) as caught:
        asyncio.run(a_server(wire, "http://me:hush@a.example").version())
    assert seen == ["Basic bWU6aHVzaA=="]
    assert "hush" not in str(caught.value)
    for key in ("schlüssel", "two\nlines"):
        monkeypatch.setenv("OLLAMA_API_KEY", key)
        with pytest.raises(ServerError, match=r"^The key in OLLAMA_API_KEY cannot be one: a line break or a letter in it"):
            asyncio.run(a_server(wire, environment={"OLLAMA_API_KEY": key}).version())


def test_an_ollama_that_takes_nobody_from_elsewhere() -> None:
    """It refuses the Host header that a tunnel hands on, with an empty page."""
    with pytest.raises(
        ServerError, match=r"answered 403: nothing; if .*; an Ollama that .* wants the header `Host: localhost`"
    ):
        asyncio.run(a_server(lambda _: httpx.Response(403)).version())


@pytest.mark.parametrize("text", ["404 page not found", "<html>Not Found", '{"detail": "Not Found"}', "404: Not Found"])
def test_a_path_that_is_not_there_is_no_model_that_is_not_there(text: str) -> None:
    """Pulling the model would not help."""
    with pytest.raises(ServerError, match="is no Ollama"):
        asyncio.run(a_server(lambda _: httpx.Response(404, text=text)).embed("m", "a"))
