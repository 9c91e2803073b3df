"""The server of the page: the standard library's, on 127.0.0.1 alone."""

import secrets
import socketserver
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from skills_dspy.base.errors import RequestError
from skills_dspy.commands.review.answering import HEADERS, LONGEST_BODY, Answered, Asked, Door
from skills_dspy.commands.review.desk import ReviewDesk

_IDLE = 60  # seconds that a connection is kept without a request


class ReviewServer(ThreadingHTTPServer):
    """Serves a desk to whoever knows the door's address."""

    daemon_threads = True

    def __init__(self, desk: ReviewDesk, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.desk = desk
        self.door = Door(secrets.token_urlsafe(24), self.server_address[1])

    def server_bind(self) -> None:
        """Take the port, without asking the network what this machine is called."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "skills_dspy", ""
    timeout = _IDLE
    server: ReviewServer

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit() or int(length) > LONGEST_BODY:
            self.close_connection = True
            self._send(Answered(413, "text/plain; charset=utf-8", b"This is too long."))
            return
        self._answer(self.rfile.read(int(length)))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Nothing: the path has the token in it."""

    def _answer(self, body: bytes) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._send(self.server.door.answer(Asked(self.command, self.path, headers, body), self.server.desk))

    def _send(self, answered: Answered) -> None:
        self.send_response(answered.status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", answered.kind)
        self.send_header("Content-Length", str(len(answered.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answered.body)


@contextmanager
def opened(desk: ReviewDesk, port: int) -> Iterator[ReviewServer]:
    """The server, closed in the end; RequestError where the port is taken."""
    try:
        server = ReviewServer(desk, port)
    except OSError as error:
        raise RequestError(f"--port {port}: {error.strerror}; choose another, or leave it out for one that is free") from error
    with server:
        yield server
