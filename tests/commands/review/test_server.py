"""Who may ask the page's server, and that nothing of a model's text can run there."""

import json
import re
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from importlib.resources import files
from typing import Any

import pytest

from skills_dspy.base.errors import RequestError
from skills_dspy.commands.review.answering import HEADERS, LONGEST_BODY, Asked, Door
from skills_dspy.commands.review.desk import ReviewDesk
from skills_dspy.commands.review.opening import open_review
from skills_dspy.commands.review.server import ReviewServer, opened
from tests.helpers.exporting import write_run

DOOR = Door("secret-token", 8000)
HOST = {"host": "127.0.0.1:8000"}
JSON = {**HOST, "origin": "http://127.0.0.1:8000", "content-type": "application/json"}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> ReviewDesk:
    """A desk with three rows."""
    return open_review(write_run(tmp_path_factory.mktemp("runs")), "newest", lambda: "now").desk


def post(desk: ReviewDesk, name: str, said: Any, **headers: str) -> tuple[int, Any]:
    """A call of the page; headers with `_` for `-`."""
    changed = {**JSON, **{key.replace("_", "-"): value for key, value in headers.items()}}
    given = {key: value for key, value in changed.items() if value}
    answered = DOOR.answer(Asked("POST", f"/secret-token/{name}", given, json.dumps(said).encode()), desk)
    return answered.status, json.loads(answered.body) if answered.kind == "application/json" else answered.body.decode()


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/secret-token/", HOST, 200),
        ("/secret-token/", {"host": "localhost:8000"}, 200),
        ("/secret-token/page.js", HOST, 200),
        ("/secret-token/page.css", {**HOST, "origin": "http://localhost:8000"}, 200),
        ("/secret-token/", {"host": "rebound.example:8000"}, 403),
        ("/secret-token/", {"host": "127.0.0.1:9000"}, 403),
        ("/secret-token/", {}, 403),
        ("/secret-token/", {**HOST, "origin": "http://evil.example"}, 403),
        ("/secret-token/", {**HOST, "origin": "null"}, 403),
        ("/secret-token/", {**HOST, "origin": "http://127.0.0.1:9000"}, 403),
        ("/", HOST, 404),
        ("/secret-toker/", HOST, 404),
        ("/secret-token2/", HOST, 404),
        ("/s\u00e9cret/", HOST, 404),
        ("//secret-token/", HOST, 404),
        ("/secret-token/../desk.py", HOST, 404),
        ("/secret-token/next", HOST, 404),
    ],
)
def test_only_who_knows_the_address_comes_in(desk: ReviewDesk, path: str, headers: dict[str, str], status: int) -> None:
    """From this machine, by its own name, and not by way of another page."""
    assert DOOR.answer(Asked("GET", path, headers), desk).status == status


def test_the_token_is_compared_in_constant_time(desk: ReviewDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """And in no other way."""
    compared: list[tuple[bytes, ...]] = []

    def differ(*both: bytes) -> bool:
        compared.append(both)
        return False

    monkeypatch.setattr("skills_dspy.commands.review.answering.secrets.compare_digest", differ)
    assert DOOR.answer(Asked("GET", "/secret-token/", HOST), desk).status == 404
    assert compared == [(b"secret-token", b"secret-token")]


def test_calls_are_the_pages_own(desk: ReviewDesk) -> None:
    """JSON from this origin with the name of a window; a form of another page is none."""
    assert post(desk, "next", {"window": "w"})[0] == 200
    assert post(desk, "next", {"window": "w"}, origin="")[0] == 403
    assert post(desk, "next", {"window": "w"}, origin="http://evil.example")[0] == 403
    assert post(desk, "next", {"window": "w"}, content_type="text/plain")[0] == 415
    wrongs: list[Any] = [[], {}, {"window": 3}, {"window": ""}, {"window": "w" * 100}]
    for wrong in wrongs:
        assert post(desk, "next", wrong)[0] == 400
    assert DOOR.answer(Asked("POST", "/secret-token/next", JSON, b"{"), desk).status == 400
    assert DOOR.answer(Asked("POST", "/secret-token/next", JSON, b"[" * 100_000), desk).status == 400
    assert post(desk, "other", {"window": "w"})[0] == 404
    assert post(desk, "undo", {"window": "w"}) == (400, {"error": "There is nothing to take back."})


def test_a_choice_and_what_goes_wrong_with_it(desk: ReviewDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sentence each: half a choice, another window, the disk."""
    row = post(desk, "next", {"window": "w"})[1]["row"]
    said = {"window": "w", "id": row["id"], "known": row["known"], "verdict": "reject"}
    assert post(desk, "choose", said) == (400, {"error": "Not saved: a rejection says what is wrong, and why."})
    status, found = post(desk, "choose", {**said, "about": "answer", "note": "Foxes do not bark."})
    assert (status, found["last"]["id"], found["progress"]["reject"]) == (200, row["id"], 1)
    status, found = post(desk, "choose", {**said, "verdict": "accept"})
    assert (status, found["known"]) == (409, 1)
    assert post(desk, "choose", {**said, "id": "0" * 16}) == (400, {"error": "There is no such row in this run."})
    row = post(desk, "next", {"window": "w"})[1]["row"]

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    status, found = post(desk, "choose", {"window": "w", "id": row["id"], "known": 0, "verdict": "accept"})
    assert status == 500
    assert "No space left on device" in found["error"]
    assert post(desk, "undo", {"window": "w"})[0] == 500
    assert post(desk, "next", {"window": "w"})[1]["row"]["id"] == row["id"]


def test_no_text_can_become_markup() -> None:
    """The page is the same for all rows; its script, which no policy lets be inline, knows no way from text to markup."""
    page, script = ((files("skills_dspy.commands.review") / name).read_text("utf-8") for name in ("page.html", "page.js"))
    assert re.findall(r"<script\b[^>]*>[^<]*</script>", page) == ['<script src="page.js" defer></script>']
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|https?:", page)
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|eval|Function|srcdoc|\.href|setAttribute|DOMParser", script
    )
    policy = dict(part.split(" ", 1) for part in HEADERS["Content-Security-Policy"].split("; "))
    assert policy.pop("default-src") == "'none'"
    assert set(policy.values()) == {"'self'", "'none'"}


@pytest.fixture
def server(desk: ReviewDesk) -> Iterator[ReviewServer]:
    """It, listening."""
    with opened(desk, 0) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.mark.block_network(allowed_hosts=["127.0.0.1"])
def test_the_server_speaks_http_on_this_machine(
    server: ReviewServer, desk: ReviewDesk, capfd: pytest.CaptureFixture[str]
) -> None:
    """Every answer has the policy above it; too much is not read; the log says nothing of the token; a taken port is said."""
    host, port = "127.0.0.1", server.server_address[1]
    assert server.server_address[0] == host
    assert len(server.door.token) >= 32
    connection = HTTPConnection(host, port, timeout=5)
    place = f"/{server.door.token}/"
    for method, path, status, extra in (
        ("GET", place, 200, {}),
        ("GET", "/", 404, {}),
        ("GET", place, 403, {"Host": "evil.example"}),
        ("POST", f"{place}next", 200, {"Origin": f"http://{host}:{port}", "Content-Type": "application/json"}),
        ("POST", f"{place}next", 413, {"Content-Length": str(LONGEST_BODY + 1)}),
        ("POST", f"{place}next", 413, {"Content-Length": "-1"}),
        ("PUT", place, 501, {}),
    ):
        connection.request(method, path, b'{"window": "w"}' if method == "POST" else None, extra)
        reply = connection.getresponse()
        body = reply.read()
        assert (reply.status, str(len(body))) == (status, reply.headers["Content-Length"])
        assert {name: reply.headers[name] for name in HEADERS} == dict(HEADERS)
    connection.close()
    assert capfd.readouterr() == ("", "")
    with pytest.raises(RequestError, match=rf"--port {port}: Address already in use"), opened(desk, port):
        pass
