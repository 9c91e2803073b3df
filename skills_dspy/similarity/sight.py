"""What vectors cannot tell of two texts, and how far apart the texts are then: by their characters.

An embedding model sees what its tokenizer keeps. That of all-MiniLM-L6-v2, and of nearly all models made for English, makes one
unknown token of each word in a script that it does not have, and drops case, accents and layout; other models read no more than
so many tokens of a text. What they do not see moves no vector. Three rules say so without a tokenizer, which a replay does
not have:

- **Unread scripts.** Two texts that are for the most part in scripts which such models lack are compared by their characters
  alone. So are the words of such a script, its digits and emoji, where two other texts differ in them.
- **Signs.** One operator instead of another moves a vector less the longer a text is; `+` is never near to `-`.
- **Vectors that agree.** At a distance of (nearly) 0 the model saw the same, so all that differs in the texts was not seen.

What differs unseen may be a slip: a blank, a full stop, a letter of a long word. Then the texts stay as near as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from skills_dspy.similarity.differences import MOST_EDITS, misspelt, told_apart
from skills_dspy.similarity.scripts import is_unread
from skills_dspy.similarity.text import plain

Sight = Literal["all", "some", "trusted"]
"""What the vectors of a run may be asked: a model that reads all scripts, one that may not (`some`), and as it was before this
was looked at, when every vector was `trusted`."""

AGREE = 1e-5
"""The squared distance up to which two vectors are of texts that look the same to the model; rounding leaves less."""
LOOKED_AT = 0.2
"""The squared distance from which on a vector is believed, in a script that is read."""
TOLD_APART = 0.25
"""The least squared distance of two texts that are told apart by what is not seen: beyond the limits of dedup (0.05),
decontamination and a split (0.2)."""


@dataclass(frozen=True, slots=True)
class ComparedText:
    """A question, or a question with its context, as it is compared.

    Attributes:
        parts: the question, and the context if there is one; two texts have as many.
        bare: the parts as `plain` has them, if the model reads next to nothing of them; else none.
        by_script: whether scripts are looked at; else only vectors that agree.
    """

    parts: tuple[str, ...]
    bare: tuple[str, ...]
    by_script: bool

    @property
    def unread(self) -> bool:
        """Whether the model reads next to nothing of it."""
        return bool(self.bare)


def compared_text(sight: Sight, question: str, context: str | None = None) -> ComparedText | None:
    """A text to be compared beside its vector; None where the vector is all that counts."""
    if sight == "trusted":
        return None
    parts = (question,) if context is None else (question, context)
    unread = sight == "some" and is_unread("".join(parts))
    return ComparedText(parts, tuple(map(plain, parts)) if unread else (), sight == "some")


def distance(of_vectors: float, one: ComparedText | None, other: ComparedText | None) -> float:
    """The squared distance of two texts, 0 to 4, from that of their vectors: as it is where the vectors tell what there is."""
    if one is None or other is None or one.parts == other.parts:
        return of_vectors
    if both_unread(one, other):
        return _scaled(list(map(_rewritten, one.bare, other.bare, one.parts, other.parts)))
    if of_vectors >= LOOKED_AT or not any(
        a != b and told_apart(a, b, by_script=one.by_script, agree=of_vectors <= AGREE)
        for a, b in zip(one.parts, other.parts, strict=True)
    ):
        return of_vectors
    shares = [_share(plain(a), plain(b)) for a, b in zip(one.parts, other.parts, strict=True)]
    return max(TOLD_APART, of_vectors, _scaled(shares))


def both_unread(one: ComparedText | None, other: ComparedText | None) -> bool:
    """Whether the vectors of two texts say nothing, however far apart they are."""
    return one is not None and other is not None and one.unread and other.unread


def _scaled(shares: Sequence[float]) -> float:
    """The mean of shares of what has to be written anew as a squared distance, from 0 to 2 (half or more)."""
    return round(sum(min(2.0, 4.0 * share) for share in shares) / len(shares), 6)


def _share(one: str, other: str) -> float:
    """The share of the characters that have to be written anew."""
    from rapidfuzz.distance import OSA

    return OSA.distance(one, other) / max(len(one), len(other)) if one != other else 0.0


def _rewritten(bare: str, other_bare: str, one: str, other: str) -> float:
    """The same of two bare texts, and 0 for what may be slips."""
    share = _share(bare, other_bare)
    edits = round(share * max(len(bare), len(other_bare)))
    return 0.0 if edits <= MOST_EDITS and misspelt(one, other) else share
