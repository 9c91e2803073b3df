"""What the page's server answers to a request: who may ask, the page's own files, and the desk's three calls. No sockets."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from skills_dspy.base.errors import RequestError, SkillsError
from skills_dspy.commands.review.desk import Conflict, ReviewDesk

LONGEST_BODY = 2_000_000
"""Bytes of a request that are read at most."""

_FILES = {"": ("page.html", "text/html"), "page.js": ("page.js", "text/javascript"), "page.css": ("page.css", "text/css")}
_WINDOW = 64  # characters of a window's name, at most

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Stand above every answer: nothing but the page's own files may run or load, and no other page may show or read it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request; the names of its headers are in small letters."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer; `kind` is its content type."""

    status: int
    kind: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Door:
    """Who may come in: whoever knows the token, at this port of this machine, and is no other page."""

    token: str
    port: int

    @property
    def address(self) -> str:
        """What to open in a browser."""
        return f"http://127.0.0.1:{self.port}/{self.token}/"

    def answer(self, asked: Asked, desk: ReviewDesk) -> Answered:
        """The answer to a request."""
        hosts = [f"{name}:{self.port}" for name in ("127.0.0.1", "localhost")]
        if asked.headers.get("host") not in hosts:  # a name that somebody lets lead here (DNS rebinding)
            return _words(403, "This page answers to 127.0.0.1 alone.")
        origin = asked.headers.get("origin")
        if origin not in (None, *(f"http://{host}" for host in hosts)) or (asked.method == "POST" and origin is None):
            return _words(403, "Another page asked for this.")
        token, _, name = asked.path.removeprefix("/").partition("/")
        if not secrets.compare_digest(token.encode("utf-8", "replace"), self.token.encode()):
            return _words(404, "There is nothing here; open the address that the terminal shows.")
        if asked.method == "GET" and name in _FILES:
            file, kind = _FILES[name]
            return Answered(200, f"{kind}; charset=utf-8", (files(__package__) / file).read_bytes())
        if asked.method == "POST" and name in ("next", "choose", "undo"):
            return _called(asked, desk, name)
        return _words(404, "There is nothing here.")


def _called(asked: Asked, desk: ReviewDesk, name: str) -> Answered:
    if asked.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        return _words(415, "This takes JSON.")
    try:
        said = json.loads(asked.body)
    except (ValueError, RecursionError):
        said = None
    window = said.get("window") if isinstance(said, dict) else None
    if not isinstance(said, dict) or not isinstance(window, str) or not 0 < len(window) <= _WINDOW:
        return _words(400, "This takes JSON with the name of a window.")
    try:
        match name:
            case "next":
                found = desk.next(window)
            case "choose":
                found = desk.choose(window, said)
            case _:
                found = desk.undo(window)
    except Conflict as error:
        return _json(409, {"error": str(error), "known": error.known})
    except SkillsError as error:
        return _json(400 if isinstance(error, RequestError) else 500, {"error": str(error)})
    return _json(200, found)


def _json(status: int, content: Mapping[str, Any]) -> Answered:
    return Answered(status, "application/json", json.dumps(content).encode())


def _words(status: int, text: str) -> Answered:
    return Answered(status, "text/plain; charset=utf-8", text.encode())
