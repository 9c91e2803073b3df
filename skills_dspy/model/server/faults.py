"""Why a server was not reached or broke off, told apart by what lies below the errors of httpx, and what helps."""

import errno
import re
import socket
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import httpx

from skills_dspy.base.config import ServerConfig
from skills_dspy.model.server.route import Route, without_place

_EXPIRED, _NOT_YET = 10, 9
_OTHER_NAME = (62, 64)
"""OpenSSL's numbers of what is wrong with a certificate; 62 is a name, 64 an address."""
_OWN_CERTIFICATE = re.compile("ALERT_(CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE|BAD_CERTIFICATE|ACCESS_DENIED|UNKNOWN_CA)")
"""What a server answers that misses a certificate of who asks, by version of TLS."""
_WANTS_CERTIFICATE = "it may want a certificate of who asks, which cannot be given here: ask it through a tunnel that has one"
_SHOWN = 100
"""So many characters are shown of what is no http."""
_NO_WAY = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN)


UNANSWERED = (httpx.NetworkError, httpx.RemoteProtocolError, httpx.ProxyError, httpx.ConnectTimeout, ssl.SSLError)
"""What httpx raises where there is no connection, or one that ends without an answer, and what it lets through later."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why there was no answer.

    Attributes:
        why: what the server does, without naming it: `refuses the connection`.
        todo: what helps; empty where it is just not there, or was for a moment not.
        passing: whether asking again may help.
        who: the proxy that does it, where it is not the server: `proxy in HTTPS_PROXY`.
    """

    why: str
    todo: str = ""
    passing: bool = True
    who: str = ""

    @property
    def sentence(self) -> str:
        """Who does what."""
        return f"the {self.who} {self.why}" if self.who else f"it {self.why}"


def cause_of(error: Exception, url: httpx.URL, route: Route, config: ServerConfig) -> Cause:
    """Why a request to this address did not come to an answer, for what httpx raises and for ConnectionError."""
    below = list(_below(error))
    if route.proxy is not None and (url.scheme != "https" or not any(isinstance(found, ssl.SSLError) for found in below)):
        cause = _cause(error, below, httpx.URL(route.proxy.url), route, config)
        todo = f"set {route.named_by} in the environment right, or name the host in NO_PROXY"
        return replace(cause, who=f"proxy in {route.named_by}", todo=todo)
    return _cause(error, below, url, route, config)


def _cause(error: Exception, below: Sequence[BaseException], url: httpx.URL, route: Route, config: ServerConfig) -> Cause:
    """Of whom the connection goes to."""
    if (unsafe := next((found for found in below if isinstance(found, ssl.SSLError)), None)) is not None:
        return _encryption(unsafe, route)
    if isinstance(error, httpx.ConnectTimeout):
        todo = "see its address and the firewall between, or raise server.connect_timeout in the configuration"
        return Cause(f"takes no connection within {config.connect_timeout:g} s", todo)
    if isinstance(error, httpx.ProxyError):
        refused = "wants a name and a password" if str(error).startswith("407") else f"refuses to connect ({error})"
        return Cause(refused, passing=str(error).startswith("5"))
    if any(isinstance(found, socket.gaierror) for found in below):
        todo = "see how it is spelt, and whether this machine has a network"
        return Cause("has a name that no host is known by", todo)
    numbers = {found.errno for found in below if isinstance(found, OSError)}
    if numbers.intersection(_NO_WAY):
        return Cause("cannot be reached from this machine", "see that it is on, and in a network of this machine")
    if isinstance(error, ConnectionError | httpx.ConnectError) and errno.ECONNRESET not in numbers:
        return Cause("refuses the connection")
    said = str(error)[:_SHOWN]
    does = "resets" if errno.ECONNRESET in numbers else "closes"
    why = f"does not speak http ({said})" if "illegal" in said else f"{does} the connection without an answer"
    wants = "if it wants https, write https:// in its address" if url.scheme == "http" else _WANTS_CERTIFICATE
    return Cause(why, f"see its port and its log; {wants}")


def _encryption(error: ssl.SSLError, route: Route) -> Cause:
    if isinstance(error, ssl.SSLEOFError):
        return Cause("closes the connection before it is encrypted", "see its port and its log")
    if _OWN_CERTIFICATE.search(error.reason or ""):
        why = f"refuses to encrypt ({without_place(error.strerror or str(error))})"
        return Cause(why, _WANTS_CERTIFICATE, passing=False)
    if not isinstance(error, ssl.SSLCertVerificationError):
        why = f"does not speak https ({without_place(error.strerror or str(error))})"
        return Cause(why, "if it speaks http, write http:// in its address", passing=False)
    said = error.verify_message.rstrip(".")
    if error.verify_code in _OTHER_NAME:
        todo = "ask it by a name that stands there, or renew the certificate"
        return Cause(f"has a certificate of another name ({said})", todo, passing=False)
    if error.verify_code == _EXPIRED:
        todo = "renew it there, or see the clock of this machine"
        return Cause("has a certificate that has expired", todo, passing=False)
    if error.verify_code == _NOT_YET:
        return Cause("has a certificate that is not valid yet", "see the clock of this machine", passing=False)
    todo = "set SSL_CERT_FILE to a file with that certificate, or with the one of who signed it"
    if route.trusted_by:
        todo += f" (trusted now is what is in {route.trusted_by})"
    return Cause(f"has a certificate that is not trusted ({said})", todo, passing=False)


def _below(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and all that it came from."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for part in error.exceptions:
                yield from _below(part)
        error = error.__cause__ or error.__context__
