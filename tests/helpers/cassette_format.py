"""How a cassette is written, and which recorded request a new one is taken for.

Cassettes are read by people, in reviews above all: JSON bodies stand in them as YAML, texts line by line. The first line of
each says what answered. What replays is the same as with vcrpy's own format.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from vcr.request import Request

from evals.record.answering import IMPROVABLE_NOTE, SIMULATED_NOTE
from evals.teacher.server import IMPROVABLE_SERVER, SERVER

HEADING = "# WHAT ANSWERED: "
"""How the first line of a cassette begins."""

_NOTES = {SERVER: SIMULATED_NOTE, IMPROVABLE_SERVER: IMPROVABLE_NOTE}

PRIVATE_HEADERS = ("accept", "accept-encoding", "authorization", "connection", "content-length", "host", "user-agent")
"""Headers of requests that are not recorded: they are the machine's or a secret."""

HOST = "http://ollama"
"""What stands for the host: where it was when the recording was made is nobody's business."""

_VOLATILE = ("keep_alive",)  # never decides which reply is replayed

Interaction = dict[str, Any]


def key(request: Request) -> str:
    """Method, path and the SHA-256 of the body as canonical JSON, worked out once for each request."""
    known = request.__dict__.get("_key")
    if known is None:
        body = request.body or b""
        try:
            data = json.loads(body)
        except ValueError:
            text = repr(body)
        else:
            if isinstance(data, dict):
                data = {name: value for name, value in data.items() if name not in _VOLATILE}
            text = json.dumps(data, sort_keys=True)
        known = request.__dict__["_key"] = f"{request.method} {request.path} {hashlib.sha256(text.encode()).hexdigest()}"
    return str(known)


def same_request(one: Request, other: Request) -> None:
    """The matcher: vcrpy's own would compare bodies letter by letter and make a diff of every miss."""
    if key(one) != key(other):
        raise AssertionError("method, path or JSON body differ")


def without_host(request: Request) -> Request:
    """The request as it is recorded."""
    request.uri = HOST + request.path
    return request


def unplayed(cassette: Any) -> list[str]:
    """The interactions that a test has not asked for, in words."""
    return [
        f"{request.method} {request.path} (number {place} of {len(cassette)})"
        for place, request in enumerate(cassette.requests, start=1)
        if not cassette.play_counts[place - 1]
    ]


class CassetteYaml:
    """A serializer for vcrpy.

    Args:
        note: what answers while recording, when it is not the simulated teacher.
    """

    def __init__(self, note: str = "") -> None:
        self._note = note

    def serialize(self, data: dict[str, Any]) -> str:
        """The text of a cassette; ValueError when nobody has said what answered."""
        note = simulation_note(data["interactions"]) or self._note
        if not note:
            raise ValueError("record with `python -m evals.record`, which says what answered")
        readable = [_readable(interaction) for interaction in data["interactions"]]
        text = yaml.dump({**data, "interactions": readable}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
        return f"{HEADING}{note}\n{text}"

    def deserialize(self, text: str) -> dict[str, Any]:
        """What vcrpy handed to `serialize`."""
        data: dict[str, Any] = yaml.load(text, Loader=yaml.CSafeLoader)
        for interaction in data["interactions"]:
            request, body = interaction["request"], interaction["response"]["body"]
            if isinstance(request["body"], dict):
                request["body"] = _compact(request["body"])
            if "json" in body:
                interaction["response"]["body"] = {"string": _compact(body["json"])}
        return data


def read_cassette(path: Path) -> tuple[str, list[Interaction]]:
    """What a cassette says of who answered, and its interactions."""
    text = path.read_text("utf-8")
    first = text.partition("\n")[0]
    note = first.removeprefix(HEADING) if first.startswith(HEADING) else ""
    interactions: list[Interaction] = CassetteYaml().deserialize(text)["interactions"]
    return note, interactions


def simulation_note(interactions: Sequence[Interaction]) -> str | None:
    """What simulated teacher answered, in words; None where anything else did, in all or in part."""
    notes = {_NOTES.get(_server_of(interaction)) for interaction in interactions}
    return notes.pop() if len(notes) == 1 else None


def _server_of(interaction: Interaction) -> str:
    headers = {name.lower(): values for name, values in interaction["response"]["headers"].items()}
    return "".join(headers.get("server", []))


class _Dumper(yaml.CSafeDumper):
    """Writes texts of several lines as such."""


def _text(dumper: _Dumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def _readable(interaction: Interaction) -> Interaction:
    request, response = dict(interaction["request"]), dict(interaction["response"])
    asked = _json_object(request["body"])
    if asked is not None:
        request["body"] = asked  # its bytes do not matter, see `key`
    said = response["body"]["string"]
    answered = _json_object(said)
    if answered is not None and _compact(answered) == said:  # the bytes of a response do
        response["body"] = {"json": answered}
    return {**interaction, "request": request, "response": response}


def _json_object(text: object) -> dict[str, Any] | None:
    try:
        value = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _compact(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
