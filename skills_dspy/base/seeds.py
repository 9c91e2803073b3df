"""Random seeds: each place in a run and each request has its own, from numbers and names alone."""

import hashlib
import random

STANDARD = 8
"""How many seeds' questions set the standard for those who judge questions."""


def rng_of(*parts: object) -> random.Random:
    """A generator of its own for every place in a run: `parts` are what it depends on."""
    return random.Random(_digest(*parts))


def request_seed(*parts: object) -> int:
    """The sampling seed of one request, 0 to 2**31 - 1: distinct places get distinct seeds but for chance."""
    return _digest(*parts) & 0x7FFF_FFFF


def _digest(*parts: object) -> int:
    return int.from_bytes(hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()[:8], "big")
