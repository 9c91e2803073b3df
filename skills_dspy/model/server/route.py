"""The way to a server: the proxy and the certificates that an environment names for it, or what is wrong with them there.

A server on this machine is asked without a proxy, whatever the environment says; certificates are trusted alike everywhere.
"""

import importlib.util
import ipaddress
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from skills_dspy.base.errors import ServerError

_SOCKS = ("socks5", "socks5h")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_DER = b"\x30\x82"
"""How a certificate in DER form begins."""
_KEY_LOG = "SSLKEYLOGFILE"
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Route:
    """How a server is reached.

    Attributes:
        proxy: who is asked in its place; None for nobody.
        named_by: the variable that names the proxy.
        verify: what its certificate is compared with; False for plain http, which has none.
        trusted_by: the variables that name what is trusted; empty where that is the usual authorities.
    """

    proxy: httpx.Proxy | None = None
    named_by: str = ""
    verify: ssl.SSLContext | bool = False
    trusted_by: str = ""


def route_to(address: str, environment: Mapping[str, str]) -> Route:
    """The way to an address, which may leave out `http://`.

    Raises:
        ServerError: a variable that counts for this address has a value that is of no use; the value is not shown, because it
            may hold a password.
        httpx.InvalidURL: the address is none.
    """
    url = url_of(address)
    here = f"{url.scheme}://{url.netloc.decode()}"
    named_by, value = ("", "") if is_loopback(address) or _left_out(url, environment) else _proxy(url.scheme, environment)
    proxy = _usable(named_by, value, here) if value else None
    if "https" not in (url.scheme, "" if proxy is None else proxy.url.scheme):
        return Route(proxy, named_by)
    verify, trusted_by = _trusted(environment, here)
    if proxy is not None and proxy.url.scheme == "https":
        proxy = httpx.Proxy(proxy.url, auth=proxy.auth, ssl_context=verify)
    return Route(proxy, named_by, verify, trusted_by)


def url_of(address: str) -> httpx.URL:
    """An address, which may leave out `http://`; raises httpx.InvalidURL, for a name that is none, too."""
    try:
        url = httpx.URL(address if "//" in address else f"http://{address}")
        return url.copy_with(host=url.host)
    except ValueError as error:
        raise httpx.InvalidURL(str(error)) from error


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own."""
    name = url_of(host).host.rstrip(".")
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        # No name, as in `:11434`, is what the ollama package takes for this machine, and `0` is what the system does.
        return name in ("", "0", "localhost") or name.endswith(".localhost")
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_unspecified  # 0.0.0.0 is what OLLAMA_HOST often says, and means this machine


def _proxy(scheme: str, environment: Mapping[str, str]) -> tuple[str, str]:
    """The variable that names a proxy for a scheme, and its value; both empty where none does. Small letters go first."""
    for name in (f"{scheme}_proxy", f"{scheme}_PROXY".upper(), "all_proxy", "ALL_PROXY"):
        if value := environment.get(name, "").strip():
            return name, value
    return "", ""


def _left_out(url: httpx.URL, environment: Mapping[str, str]) -> bool:
    """Whether NO_PROXY has it: as a name, a domain, an address, a network such as 10.0.0.0/8, each with a port or without."""
    told = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    port = url.port or _PORTS.get(url.scheme)
    return any(_covers(entry, url.host.lower(), port) for entry in told.lower().replace(",", " ").split())


def _covers(entry: str, host: str, port: int | None) -> bool:
    if entry == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        name, colon, wanted = entry.rpartition(":")
        if colon and wanted.isdigit():
            return int(wanted) == port and _covers(name, host, port)
        domain = entry.lstrip("*").lstrip(".")
        return bool(domain) and (host == domain or host.endswith(f".{domain}"))


def _usable(name: str, value: str, here: str) -> httpx.Proxy:
    try:
        url = url_of(value)
    except httpx.InvalidURL as error:
        raise _in_the_way(name, here, "is no address of a proxy") from error
    if url.scheme not in (*_PORTS, *_SOCKS) or not url.host:
        raise _in_the_way(name, here, f"is no address of a proxy that can be asked ({', '.join((*_PORTS, *_SOCKS))})")
    if url.scheme in _SOCKS and importlib.util.find_spec("socksio") is None:
        raise _in_the_way(name, here, "is a SOCKS proxy, for which `pip install 'httpx[socks]'` is needed")
    return httpx.Proxy(url)


def _in_the_way(name: str, here: str, what: str) -> ServerError:
    return ServerError(
        f"{name} in the environment, which counts for {here}, {what}: set it right, unset it, or name the host in NO_PROXY."
    )


def _trusted(environment: Mapping[str, str], here: str) -> tuple[ssl.SSLContext, str]:
    given = {name: environment.get(name) or None for name in _CERTIFICATES}
    named = [name for name, value in given.items() if value is not None]
    file, folder = given.values()
    try:
        if not named:
            return httpx.create_ssl_context(trust_env=False), ""
        context = ssl.create_default_context(cafile=file, capath=folder)
        # Python 3.13 wants more of a certificate than those have that people make for their own servers.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return context, " and ".join(named)
    except OSError as error:
        # Only what is opened for writing has a name in the error.
        name, purpose = (_KEY_LOG, "no file that can be written") if error.filename else (_CERTIFICATES[0], "no certificates")
        why = without_place(error.strerror or str(error))
        if file is not None and name == _CERTIFICATES[0] and Path(file).is_file() and Path(file).read_bytes()[:2] == _DER:
            why = "they are in DER form, and wanted is PEM: openssl x509 -inform der -in FILE -out FILE.pem"
        raise ServerError(
            f"{name} in the environment, which counts for {here}, names {purpose} ({why}): set it right, or unset it."
        ) from error


def without_place(said: str) -> str:
    """What the ssl module says of an error, without its own number and the line of its source."""
    return re.sub(r"^\[[^\]]*\] | \(_ssl\.c:\d+\)$", "", said)
