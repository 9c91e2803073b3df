"""Which seeds a compiled program has seen: those that it was compiled with, and those that its prompts hold. Pure."""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from skills_dspy.base.records import SeedExample
from skills_dspy.similarity.text import squeezed

_LONG = 8
"""Answers of fewer words are those of many seeds."""
_CLEAR = 20
"""Texts of fewer characters may stand in other words by chance."""


@lru_cache(maxsize=2**12)  # each split and each budget of an optimization asks for it again
def seed_digest(seed: SeedExample) -> str:
    """Return twelve hex digits that tell a seed from others by what it asks about, wherever its file lies.

    Blanks, case, a last full stop and the answer do not count: a seed that was touched up has been seen all the same.
    """
    return digest_of_parts(squeezed(part).rstrip(".?! ") for part in (seed.question, seed.context or ""))


def digest_of_parts(parts: Iterable[str]) -> str:
    """Return twelve hex digits that tell some texts from others."""
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:12]


def seen_by(program: Mapping[str, Any]) -> Callable[[SeedExample], bool]:
    """Whether a program, by the content of its file, has seen a seed.

    It has if it was compiled with it, or if its instructions or demonstrations hold what the seed asks, with the text that it
    is asked about, or its answer of eight words or more.
    """
    digests = frozenset(map(str, program.get("provenance", {}).get("seen", ())))
    told = "\n".join(map(squeezed, _texts(program.get("predictors"))))

    def holds(text: str) -> bool:
        bare = squeezed(text).rstrip(".?! ") or squeezed(text)
        if len(bare) >= _CLEAR:
            return bare in told
        return re.search(rf"(?<!\w){re.escape(bare)}(?!\w)", told) is not None

    def seen(seed: SeedExample) -> bool:
        if seed_digest(seed) in digests or (holds(seed.question) and (seed.context is None or holds(seed.context))):
            return True
        return len(seed.answer.split()) >= _LONG and holds(seed.answer)

    return seen


def _texts(value: object) -> Iterator[str]:
    """Every text in what JSON holds."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(part)
