"""Servers on this machine that answer as one thing or another does which is no model's server, a socket and a thread each."""

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

CERTIFICATES = Path(__file__).parent / "certificates"
"""Certificates with their key, made for tests: in turn for localhost, for another name, and no longer valid since 2021."""

Manner = Callable[[socket.socket], None]
"""What is done with one connection."""


def answers(body: str, status: str = "200 OK", kind: str = "application/json", more: str = "") -> Manner:
    """The same to everything."""

    def answer(connection: socket.socket) -> None:
        connection.recv(65536)
        head = (
            f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body.encode())}\r\n{more}Connection: close\r\n"
        )
        connection.sendall(f"{head}\r\n{body}".encode())

    return answer


def encrypted(certificate: str, manner: Manner, mutual: ssl.TLSVersion | None = None) -> Manner:
    """The same over https; with a certificate of who asks, too, where `mutual` is the newest version that is spoken.

    Who is refused is read to the end: a connection that is broken off over unread bytes may take with it what was said before.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / f"{certificate}.pem")
    if mutual is not None:
        context.verify_mode, context.maximum_version = ssl.CERT_REQUIRED, mutual

    def encrypt(connection: socket.socket) -> None:
        with connection.dup() as plain:
            try:
                with context.wrap_socket(connection, server_side=True) as wrapped:
                    manner(wrapped)
            except ssl.SSLError:
                while mutual is not None and plain.recv(65536):
                    pass

    return encrypt


def closes(connection: socket.socket) -> None:
    """Read, and go without a word."""
    connection.recv(65536)


def resets(connection: socket.socket) -> None:
    """Read, and break off."""
    connection.recv(65536)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def moved(to: str, status: str = "301 Moved Permanently") -> Manner:
    """Send everybody on."""
    return answers("", status, more=f"Location: {to}\r\n")


@contextmanager
def rude_server(manner: Manner) -> Iterator[int]:
    """A server that treats every connection so; yields its port."""

    def serve() -> None:
        with suppress(OSError):  # the end of the listening socket is how it ends
            while True:
                connection, _ = listening.accept()
                with connection, suppress(OSError):  # whoever does not like the certificate goes away
                    manner(connection)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
