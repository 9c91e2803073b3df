"""The cassettes themselves: each is used, says what answered, holds no secret; and a request is taken only for its like."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from vcr import VCR
from vcr.request import Request

from evals.record.__main__ import cassette_tests
from evals.teacher.server import SERVER
from tests import conftest
from tests.helpers.cassette_format import (
    HEADING,
    HOST,
    PRIVATE_HEADERS,
    CassetteYaml,
    read_cassette,
    same_request,
    simulation_note,
)

TESTS = Path(__file__).parent
CASSETTES = sorted((TESTS / "cassettes").rglob("*"))
FILES = [path for path in CASSETTES if path.is_file()]
URL = "http://127.0.0.1:11434/api/chat"


def names(path: Path) -> str:
    """A cassette as its test's module and name."""
    return path.relative_to(TESTS / "cassettes").as_posix()


# ---- the files -------------------------------------------------------------------------------------------------------


def wanted(session: pytest.Session) -> set[str]:
    """The cassettes of all tests that are marked vcr, whatever part of them runs now."""
    found = set()
    for path in cassette_tests():
        for item in pytest.Module.from_parent(session, path=path).collect():
            if isinstance(item, pytest.Function) and item.get_closest_marker("vcr"):
                found.add(f"{path.stem}/{item.name}.yaml")
    return found


def test_every_cassette_has_its_test_and_every_test_its_cassette(request: pytest.FixtureRequest) -> None:
    """A cassette that no test uses proves nothing: delete it; one that is missing is recorded by `python -m evals.record`."""
    marked = wanted(request.session)
    assert len(marked) > 14
    assert {names(path) for path in FILES} == marked


@pytest.mark.parametrize("path", FILES, ids=names)
def test_a_cassette_says_what_answered(path: Path) -> None:
    """The first line says it, every response confirms it, and nothing private of the machine that recorded is in it."""
    note, interactions = read_cassette(path)
    assert interactions
    notes = {simulation_note([interaction]) for interaction in interactions}
    assert len(notes) == 1, "one part was answered by a simulated teacher and one by something else"
    simulated = notes.pop()
    assert note.startswith("Ollama ") if simulated is None else note == simulated
    for interaction in interactions:
        assert interaction["request"]["uri"].startswith(HOST)
        assert not {header.lower() for header in interaction["request"]["headers"]} & set(PRIVATE_HEADERS)


# ---- the format ------------------------------------------------------------------------------------------------------


def an_interaction(said: str, server: str = SERVER) -> dict[str, Any]:
    """One request and its response."""
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "two\n\tlines \n"}], "options": {"top_p": 1e-05}})
    return {
        "request": {"method": "POST", "uri": f"{HOST}/api/chat", "body": body, "headers": {}},
        "response": {"status": {"code": 200, "message": "OK"}, "headers": {"server": [server]}, "body": {"string": said}},
    }


@pytest.mark.parametrize(
    "said",
    [
        '{"message":{"content":"a\\nb\\n"},"eval_count":3,"done":true}',
        '{"message":{"content":"Grüße – 中文 \\u2028 \\u0007"}}',
        '{"escaped":"\\u003c"}',
        '{ "spaced": 1 }',
        '{"cut":',
        "",
        "[1]",
    ],
)
def test_a_response_comes_back_byte_for_byte(said: str) -> None:
    """However the server has written it; and the request as the same JSON."""
    written = an_interaction(said)
    (read,) = CassetteYaml().deserialize(CassetteYaml().serialize({"version": 1, "interactions": [written]}))["interactions"]
    assert read["response"] == written["response"]
    assert json.loads(read["request"]["body"]) == json.loads(written["request"]["body"])


def test_a_model_is_named_or_nothing_is_recorded() -> None:
    """What was not answered by the simulated teacher needs words for who did, and never gets those of the simulation."""
    mixed = [an_interaction("{}"), an_interaction("{}", server="nginx")]
    data = {"version": 1, "interactions": mixed}
    assert simulation_note(mixed) is None
    assert CassetteYaml("Ollama 1.2").serialize(data).startswith(f"{HEADING}Ollama 1.2\n")
    with pytest.raises(ValueError, match=r"evals\.record"):
        CassetteYaml().serialize(data)


# ---- the matcher -----------------------------------------------------------------------------------------------------


def a_request(body: str = '{"model": "m", "options": {"seed": 1}}', url: str = URL, method: str = "POST") -> Request:
    """A request as vcrpy sees it."""
    return Request(method, url, body.encode(), {})


@pytest.mark.parametrize(
    "other",
    [
        a_request('{"options":{"seed":1},"model":"m"}'),
        a_request('{"model": "m", "options": {"seed": 1}, "keep_alive": "5m"}'),
        a_request(url="http://gpu.example:8080/api/chat"),
    ],
    ids=["spaces and order of keys", "keep_alive", "host and port"],
)
def test_what_decides_no_reply_does_not_matter(other: Request) -> None:
    """The same question in other letters, from elsewhere, gets the recorded reply."""
    same_request(a_request(), other)


@pytest.mark.parametrize(
    "other",
    [
        a_request('{"model": "m", "options": {"seed": 2}}'),
        a_request('{"model": "n", "options": {"seed": 1}}'),
        a_request(""),
        a_request('{"model":'),
        a_request(url=URL.replace("chat", "generate")),
        a_request(method="GET"),
    ],
    ids=["seed", "model", "no body", "no JSON", "path", "method"],
)
def test_another_question_gets_no_recorded_reply(other: Request) -> None:
    """A changed prompt does not replay an old reply."""
    with pytest.raises(AssertionError):
        same_request(a_request(), other)


@pytest.fixture
def cassette(tmp_path: Path) -> Iterator[Any]:
    """A cassette of two equal interactions, open for replay."""
    path = tmp_path / "two.yaml"
    path.write_text(CassetteYaml().serialize({"version": 1, "interactions": [an_interaction("{}")] * 2}), "utf-8")
    recorder = VCR(record_mode="none")
    recorder.register_serializer("yaml", CassetteYaml())
    with recorder.use_cassette(str(path)) as opened:
        yield opened


def test_what_is_left_over_fails_the_test(
    cassette: Any, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test that passes without asking for all of its cassette is failed after all: also for one of two equal requests."""
    monkeypatch.setitem(request.node.funcargs, "vcr", cassette)
    for ended in (pytest.raises(pytest.fail.Exception, match="number 2 of 2"), pytest.raises(StopIteration)):
        cassette.play_response(cassette.requests[0])
        after = conftest.pytest_runtest_call(request.node)
        next(after)
        with ended:
            after.send(None)
