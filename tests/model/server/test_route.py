"""The way to a server: which variables of the environment count for which address, and what is said where one is no good."""

import ssl
from pathlib import Path

import httpx
import pytest

from skills_dspy.base.errors import ServerError
from skills_dspy.model.server.route import is_loopback, route_to
from tests.helpers.rude_server import CERTIFICATES

PROXY = "http://proxy.example:3128"
SECRETS = [
    "http://me:hush@:3128",
    "socks://me:hush@proxy:1",
    "http://me:hu#sh@proxy:1",
    "me:hush@proxy:port",
    "ftp://me:hush@a",
]


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("http://127.0.0.1:11434", True),
        ("http://127.8.8.8", True),
        ("http://[::1]:11434", True),
        ("http://[::ffff:127.0.0.1]:11434", True),
        ("0.0.0.0:11434", True),
        (":11434", True),
        ("localhost", True),
        ("http://LOCALHOST.:1", True),
        ("box.localhost", True),
        ("http://10.0.0.7:11434", False),
        ("https://ollama.example", False),
        ("localhost.example:80", False),
    ],
)
def test_which_addresses_are_this_machine(host: str, here: bool) -> None:
    """Only others are reached through the environment's proxy, and only for them it has to be a good one."""
    assert is_loopback(host) is here
    environment = dict.fromkeys(("http_proxy", "HTTPS_PROXY", "all_proxy"), PROXY)
    assert (route_to(host, environment).proxy is None) is here
    if here:
        assert route_to(host, dict.fromkeys(environment, "socks://garbage")).proxy is None


@pytest.mark.parametrize(
    ("environment", "named_by"),
    [
        ({"http_proxy": PROXY}, "http_proxy"),
        ({"HTTP_PROXY": PROXY, "ALL_PROXY": "socks://x"}, "HTTP_PROXY"),
        ({"http_proxy": "", "HTTP_PROXY": " ", "ALL_PROXY": PROXY}, "ALL_PROXY"),
        ({"HTTP_PROXY": "proxy.example:3128"}, "HTTP_PROXY"),
        ({"https_proxy": "garbage::", "ftp_proxy": PROXY}, ""),
        ({"http_proxy": PROXY, "NO_PROXY": "x.example, 10.0.0.0/8"}, ""),
        ({"http_proxy": PROXY, "no_proxy": "*"}, ""),
        ({"http_proxy": PROXY, "no_proxy": "10.1.2.3:11434"}, ""),
        ({"http_proxy": PROXY, "no_proxy": "10.1.2.3:80,,.example,10.1.2"}, "http_proxy"),
        ({}, ""),
    ],
)
def test_the_proxy_for_an_address(environment: dict[str, str], named_by: str) -> None:
    """The variable of its scheme, then the one for all; what is not for this address is not looked at."""
    route = route_to("http://10.1.2.3:11434", environment)
    assert route.named_by == named_by
    assert (route.proxy is None) is (not named_by)


@pytest.mark.parametrize(
    ("left_out", "host"),
    [("example", "a.example"), (".example", "a.example"), ("*.a.example", "a.example"), ("[fd00::1]", "[fd00::1]")],
)
def test_names_that_no_proxy_has(left_out: str, host: str) -> None:
    """A name stands for all below it, with a dot or a star or without; a name that only ends alike is another."""
    environment = {"http_proxy": PROXY, "NO_PROXY": left_out}
    assert route_to(f"http://{host}:1", environment).proxy is None
    assert route_to("http://another-example", environment).proxy is not None


@pytest.mark.parametrize("value", [*SECRETS, "socks5h://me:hush@127.0.0.1:1080"])
@pytest.mark.parametrize("name", ["https_proxy", "ALL_PROXY"])
def test_a_proxy_that_cannot_be_asked(name: str, value: str) -> None:
    """The variable is named, with the address that it counts for, and no part of its value is shown."""
    with pytest.raises(ServerError) as caught:
        route_to("https://you:too@a.example:8443", {name: value})
    said = str(caught.value)
    assert said.startswith(f"{name} in the environment, which counts for https://a.example:8443, is ")
    assert "set it right, unset it, or name the host in NO_PROXY" in said
    assert not [word for word in ("hush", "hu", "sh@", "me:", "too") if word in said.replace("which", "")]
    assert ("pip install 'httpx[socks]'" in said) is value.startswith("socks5h")


@pytest.mark.parametrize("host", ["https://a.example", "https://127.0.0.1:1"])
@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SSL_CERT_FILE", "/nowhere/at.pem", r"names no certificates \(No such file or directory\): set it right, or unset it"),
        ("SSL_CERT_FILE", __file__, r"names no certificates \(no certificate or crl found\)"),
        ("SSL_CERT_FILE", str(Path(__file__).parent), r"names no certificates \(Is a directory\)"),
    ],
)
def test_certificates_that_are_none(host: str, name: str, value: str, said: str) -> None:
    """It is said for https, to whatever host, and no matter for http."""
    with pytest.raises(ServerError, match=f"{name} in the environment, which counts for {host}, {said}"):
        route_to(host, {name: value})
    assert route_to(host.replace("https", "http"), {name: value}).verify is False


def test_certificates_in_another_form(tmp_path: Path) -> None:
    """As browsers save them: it is said how they are turned into what is read."""
    text = (CERTIFICATES / "trusted_by_hand.pem").read_text()
    begin = text.index("-----BEGIN CERTIFICATE")
    (tmp_path / "a.der").write_bytes(ssl.PEM_cert_to_DER_cert(text[begin : text.index("-----END CERTIFICATE-----") + 25]))
    with pytest.raises(ServerError, match=r"names no certificates \(they are in DER form, .*openssl x509 -inform der -in FILE"):
        route_to("https://a.example", {"SSL_CERT_FILE": str(tmp_path / "a.der")})


def test_keys_that_cannot_be_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python writes them where SSLKEYLOGFILE says, or fails."""
    monkeypatch.setenv("SSLKEYLOGFILE", "/nowhere/keys")
    with pytest.raises(ServerError, match=r"SSLKEYLOGFILE in the environment, .* names no file that can be written"):
        route_to("https://a.example", {})
    assert route_to("http://a.example", {}).verify is False


def test_certificates_are_looked_at() -> None:
    """Plain http has none; https is checked, however it is spelt, and so is an https proxy."""
    assert route_to("http://a.example", {}).verify is False
    for address, environment in (("HTTPS://a.example", {}), ("http://a.example", {"http_proxy": "https://proxy.example"})):
        verify = route_to(address, environment).verify
        assert isinstance(verify, ssl.SSLContext)
        assert verify.verify_mode is ssl.CERT_REQUIRED
        assert verify.check_hostname


def test_a_certificate_made_by_hand_is_enough() -> None:
    """Python 3.13 is stricter by itself, and takes hardly one that `openssl req -x509` makes."""
    verify = route_to("https://a.example", {"SSL_CERT_FILE": str(CERTIFICATES / "trusted_by_hand.pem")}).verify
    assert isinstance(verify, ssl.SSLContext)
    assert not verify.verify_flags & ssl.VERIFY_X509_STRICT
    assert verify.cert_store_stats()["x509"] == 1


def test_an_address_that_is_none() -> None:
    """As httpx has it, whatever is wrong; the servers make a sentence of it. A proxy's is none of ours."""
    for name in ("a:port", "xn--9-", "\udcff", "[::1"):
        with pytest.raises(httpx.InvalidURL):
            route_to(f"http://{name}", {"http_proxy": PROXY})
        with pytest.raises(ServerError, match="http_proxy in the environment"):
            route_to("http://a.example", {"http_proxy": f"http://{name}"})
