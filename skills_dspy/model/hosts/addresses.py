"""The addresses of hosts as a user writes them: which roles each has, and how many slots."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from skills_dspy.base.config import ROLES, SPOKEN, Role
from skills_dspy.base.errors import RequestError
from skills_dspy.model.server.connections import place_of, without_secrets

MOST = 1024
"""The most slots of a host."""
_NAMES: Mapping[str, Role] = {**{name: role for role, name in SPOKEN.items()}, **{role: role for role in ROLES}}
_ROLE = re.compile(r"\s*([^=/:.@?]*?)\s*=(.*)", re.DOTALL)
_SLOTS = re.compile(r"(.*?)\s*\*\s*([^*/@]*)", re.DOTALL)
_PASSWORD = re.compile(r"//[^/@]*,[^/@]*@")
"""A comma in what stands before an @, which may be one of a password."""


@dataclass(frozen=True, slots=True)
class Address:
    """One host: where it is, how many slots it was said to have (None for unsaid), and the roles that ask it."""

    url: str
    slots: int | None = None
    roles: tuple[Role, ...] = ROLES


def read_addresses(given: Sequence[str], where: str) -> tuple[Address, ...]:
    """The hosts of `[ROLE=]ADDRESS[*SLOTS],...`, each as often as it is given, in their order.

    Hosts without a role are asked by those roles that have none of their own; where there are none such, judge and tagger ask
    the teacher's. `where` names the option or setting in messages.

    Raises:
        RequestError: an address twice, a role that is none, slots that are no number, or no host for the teacher.
    """
    told: dict[Role | None, list[Address]] = {}
    for text in given:
        role, rest = _role_of(text, where)
        if not rest.strip():
            raise RequestError(f"{where} names no address; write one like http://127.0.0.1:11434")
        if _PASSWORD.search(rest):
            todo = "write one that belongs to a password as %2C, and addresses with http://"
            raise RequestError(f"{where} has a comma before an @: {todo}")
        for part in rest.split(","):
            if _ROLE.fullmatch(part):
                raise RequestError(
                    f"{where} names a role behind a comma ({_shown(part.strip())}); a role stands before its first address: "
                    "--base-url teacher=A,B --base-url judge=C"
                )
            address = _address(part.strip(), where)
            if any(place_of(address.url) == place_of(other.url) for other in told.get(role, ())):
                raise RequestError(f"{where} names {_shown(address.url)} twice; name each host once, with *N for its slots")
            told.setdefault(role, []).append(address)
    usual = told.get(None) or told.get("generator")
    if usual is None:
        raise RequestError(f"{where} names no host for the teacher; add teacher=ADDRESS, or an address without a role")
    return _merged({role: told.get(role, usual) for role in ROLES}, where)


def _role_of(text: str, where: str) -> tuple[Role | None, str]:
    found = _ROLE.fullmatch(text)
    if found is None:
        return None, text
    if found[1] not in _NAMES:
        raise RequestError(f"{where} names a role {found[1]!r}, which is none; roles are teacher, judge and tagger")
    return _NAMES[found[1]], found[2]


def _address(text: str, where: str) -> Address:
    found = _SLOTS.fullmatch(text)
    url, said = (text, None) if found is None else (found[1], found[2])
    if not url:
        raise RequestError(f"{where} has a comma with no address beside it; write ADDRESS,ADDRESS")
    if said is None:
        return Address(url)
    if not said.isascii() or not said.isdigit() or not 1 <= int(said) <= MOST:
        raise RequestError(f"{where} gives {_shown(url)} {said!r} slots; write *N with a whole number from 1 to {MOST}")
    return Address(url, int(said))


def _merged(by_role: Mapping[Role, Iterable[Address]], where: str) -> tuple[Address, ...]:
    """Each host once, with all of its roles."""
    merged: dict[str, Address] = {}
    for role, addresses in by_role.items():
        for address in addresses:
            place = place_of(address.url)
            known = merged.get(place, replace(address, roles=()))
            if None not in (known.slots, address.slots) and known.slots != address.slots:
                raise RequestError(
                    f"{where} gives {_shown(address.url)} {known.slots} slots and {address.slots}; a host has one number for "
                    "all roles"
                )
            merged[place] = replace(known, slots=known.slots or address.slots, roles=(*known.roles, role))
    return tuple(merged.values())


def _shown(url: str) -> str:
    return without_secrets(url).partition("?")[0]
