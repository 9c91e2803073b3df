"""Addresses of hosts as a user writes them: roles, slots, and what is wrong with them."""

import pytest

from skills_dspy.base.config import ROLES
from skills_dspy.base.errors import RequestError
from skills_dspy.model.hosts.addresses import Address, read_addresses

A, B, C = "http://a:11434", "http://b:11434", "http://c:11434"


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ([A], [Address(A)]),
        ([f"{A}*4, {B}"], [Address(A, 4), Address(B)]),
        ([A, B], [Address(A), Address(B)]),
        ([f"teacher={A}", f"judge={B}*2"], [Address(A, None, ("generator", "tagger")), Address(B, 2, ("validator",))]),
        ([A, f"tagger={B}"], [Address(A, None, ("generator", "validator")), Address(B, None, ("tagger",))]),
        ([f"generator={A}", f"validator={A}*3,{C}"], [Address(A, 3, ROLES), Address(C, None, ("validator",))]),
        (["http://name:a=b@a:11434"], [Address("http://name:a=b@a:11434")]),  # not a role
        (["http://name:a*8@a:11434*2"], [Address("http://name:a*8@a:11434", 2)]),  # nor slots
    ],
)
def test_hosts_have_roles_and_slots(given: list[str], read: list[Address]) -> None:
    """A role goes to its own hosts, else to those without a role, else to the teacher's; each host is there once."""
    assert list(read_addresses(given, "--base-url")) == read


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([f"{A},a:11434/"], "--base-url names a:11434/ twice; name each host once, with *N for its slots"),
        ([f"{A},{A}/v1/"], "--base-url names http://a:11434/v1/ twice; name each host once, with *N for its slots"),
        (
            ["http://127.0.0.1:1", "LOCALHOST:1"],
            "--base-url names LOCALHOST:1 twice; name each host once, with *N for its slots",
        ),
        ([A, A], "--base-url names http://a:11434 twice; name each host once, with *N for its slots"),
        (
            [f"jugde={A}", B],
            "--base-url names a role 'jugde', which is none; roles are teacher, judge and tagger",
        ),
        ([f"judge={A}"], "--base-url names no host for the teacher; add teacher=ADDRESS, or an address without a role"),
        ([f"{A}*0"], "--base-url gives http://a:11434 '0' slots; write *N with a whole number from 1 to 1024"),
        ([f"{A}*"], "--base-url gives http://a:11434 '' slots; write *N with a whole number from 1 to 1024"),
        (
            [f"teacher={A},judge={B}"],
            f"--base-url names a role behind a comma (judge={B}); a role stands before its first address: "
            "--base-url teacher=A,B --base-url judge=C",
        ),
        ([f"{A},"], "--base-url has a comma with no address beside it; write ADDRESS,ADDRESS"),
        ([f"{A}*2", f"judge={A}*3"], "--base-url gives http://a:11434 2 slots and 3; a host has one number for all roles"),
        (
            ["http://me:secret@a,http://me:secret@a"],
            "--base-url names http://a twice; name each host once, with *N for its slots",
        ),
        (["http://a/?key=secret*0"], "--base-url gives http://a/ '0' slots; write *N with a whole number from 1 to 1024"),
        (
            ["http://me:se,cret@a"],
            "--base-url has a comma before an @: write one that belongs to a password as %2C, and addresses with http://",
        ),
        ([""], "--base-url names no address; write one like http://127.0.0.1:11434"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(given: list[str], said: str) -> None:
    """The option, the host without its password, and what to write."""
    with pytest.raises(RequestError) as raised:
        read_addresses(given, "--base-url")
    assert str(raised.value) == said
