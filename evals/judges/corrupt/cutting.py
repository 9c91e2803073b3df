"""Texts cut off in the middle, so that anybody sees that something is missing: pure functions of strings."""

import random
import re
from collections.abc import Sequence
from itertools import pairwise

from evals.judges.corrupt.forms import form_of
from skills_dspy.similarity.text import words

_BREAK = re.compile(r"(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bDr)[.?!:][\"'”’)*]*(?=\s|$)|[。？！：]|\n")
_COMMA = re.compile(r"[,;](?=\s)|[，；、]")
_WORD = re.compile(r"\S+")
_FIELD = re.compile(r"[^\s,;|]+[,;|]*")
_UNFINISHED = frozenset(words("the a an every each their its your my our his than if because whether"))
"""Words that no sentence ends with, and that nothing whole stands before."""
_LEANING = frozenset(words("of in on at to for from with by between about into through is are was were as using"))
"""Words that a request rarely ends with, though a question may: "What is it made of?"."""
_PREMISE = frozenset(words("a an the this these there if one two three in on at my i he she it they we"))
_VERBS = frozenset(words("is are was were has have had runs"))
"""What a sentence begins with that asks for nothing, and what stands second or third in it."""
_BARE = " \t\n\"'“”’(),;*"
_NO_SPACES = re.compile("[\u3005-\u30ff\u3400-\u9fff]")
_FEWEST_SIGNS = 4  # the same where each character is a word
_SHORTEST = 8  # characters: of less, no half can be told from a whole


def cut_question(text: str, rng: random.Random) -> str | None:
    """The beginning of a question, up to the middle of the first clause that asks something: nothing that is asked stays whole.

    The cut is behind a word that no sentence ends with, or else inside a word. None where the question is too short for it.
    """
    whole = text.strip()
    start, end = _asking(whole)
    if end - start < _SHORTEST:
        return None
    asked = whole[start:end].rstrip(_BARE).endswith(("?", "？"))
    if (comma := _COMMA.search(whole, start + (_FEWEST_SIGNS if _NO_SPACES.search(whole) else _SHORTEST), end)) is not None:
        end = comma.start()  # what follows may only add to what is whole by then
    aim = start + (end - start) // 2
    places = _behind_small_words(whole, start, aim, (end - start) // 4, question=asked) or _inside_words(whole, start, end, aim)
    return whole[: rng.choice(places)].rstrip() if places else None


def _asking(text: str) -> tuple[int, int]:
    """Where in `text` the first sentence is, or the first one with a question mark if only premises stand before it."""
    ends = sorted({0, *(match.end() for match in _BREAK.finditer(text)), len(text)})
    spans = [(start, end) for start, end in pairwise(ends) if any(char.isalnum() for char in text[start:end])]
    for start, end in spans:
        if text[start:end].rstrip(_BARE).endswith(("?", "？")):
            return start, end
        if not _is_premise(words(text[start:end])):
            break  # it may be a request, and a request must not stay whole
    return spans[0] if spans else (0, 0)


def _is_premise(said: Sequence[str]) -> bool:
    return bool(said) and (said[0] in _PREMISE or said[0].isdigit() or not _VERBS.isdisjoint(said[1:3]))


def _behind_small_words(text: str, start: int, aim: int, slack: int, *, question: bool) -> list[int]:
    small = _UNFINISHED if question else _UNFINISHED | _LEANING
    found = [match for match in _WORD.finditer(text) if start < match.end() and aim - slack <= match.end() <= aim + 3]
    return [match.end() for match in found if match.group().strip(_BARE).casefold() in small]


def _inside_words(text: str, start: int, end: int, aim: int) -> list[int]:
    """The middle of the long word nearest to the aim; in scripts without spaces, the aim."""
    if _NO_SPACES.search(text):
        return [aim]
    found = [match for match in _WORD.finditer(text, start, end) if sum(c.isalpha() for c in match.group()) >= 4]
    middles = [match.start() + len(match.group()) // 2 for match in found if match.group()[: len(match.group()) // 2].isalpha()]
    return sorted(middles, key=lambda place: abs(place - aim))[:1] if len(_WORD.findall(text)) > 1 else []


def cut_answer(text: str, rng: random.Random) -> str | None:
    """The first half of an answer's words, ending inside a sentence or a row where there is such a place near the middle.

    None for a single word, and for two or three that are no list: half of "rapeseed oil" may still be right.
    """
    whole = text.strip()
    unit = _FIELD if form_of(whole) in ("csv", "json", "table") else _WORD
    ends = [match.end() for match in unit.finditer(whole)]
    if len(ends) < 4 and _NO_SPACES.search(whole) and len(whole) >= _SHORTEST:
        ends = list(range(1, len(whole) + 1))
    rows = [line for line in whole.splitlines() if line.strip()]
    if len(ends) < 2 or (len(ends) < 4 and len(rows) < 2 and whole.count(",") < 2):
        return None
    middle = len(ends) // 2
    near = [count for count in range(max(1, middle - 2), min(len(ends) - 1, middle + 2) + 1) if 3 * count <= 2 * len(ends)]
    inside = [count for count in near if not _finished(whole, ends[count - 1])]
    nearest = [count for count in inside if abs(count - middle) == min(abs(other - middle) for other in inside)]
    return whole[: ends[(rng.choice(nearest) if nearest else middle) - 1]].rstrip()


def _finished(text: str, end: int) -> bool:
    """Whether a sentence, a clause or a row ends there."""
    return text[end - 1] in ".!?:;。！？)" or text[end : end + 1] in ("", "\n")
