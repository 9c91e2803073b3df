"""Other figures in place of those that matter: pure functions of strings."""

import random
import re
from collections.abc import Iterator

_UNITS = r"kg|g|mg|km|m|cm|mm|l|ml|am|pm|h|min|s|kb|mb|gb|w|kw|kwh|v|x"
_NUMBER = re.compile(rf"(?<![\w.,^{{])[0-9]+(?:[.,][0-9]+)*(?=(?:{_UNITS})?(?![\w]))", re.IGNORECASE)
_MARKER = re.compile(
    r"^[ \t>*-]*(?:\(?[0-9]+(?:\\?[.)]|\))(?=\s|\*)|#+ .*|(?:step|part|chapter|verse|day|round)\s+[0-9]+\b)",
    re.IGNORECASE | re.MULTILINE,
)
_RESULT = re.compile(r"(?:[=≈]|\bapproximately|\babout|\bequals?|\bis)[ \t]*[^\w\s]?[ \t]*$", re.IGNORECASE)
_RESULT_LINE = re.compile(r"^\W*(?:answer|result|total|antwort|ergebnis|respuesta|resultado)\b", re.IGNORECASE)
_YEAR = re.compile(r"[12][0-9]{3}")
_FEW_WORDS = 4
_TRIES = 20


def changed_numbers(answer: str, question: str, context: str | None, rng: random.Random) -> str | None:
    """The answer with one of its figures that matter replaced by another one of the same look, wherever it stands.

    Where there is a context, the figures matter that context and question have: they are no longer what these say. Where there
    is none, the last figure matters that the question has not, if it has others: it is what they come to. The result of a
    calculation goes before both, and an answer that is hardly more than a figure is changed in any case.

    The first digit changes, so that no rounding makes the new figure right; of a year the decade; a day or hour stays below 29.
    Markers of lists, headings and figures inside of names ("R2") are left as they are.

    Args:
        answer: what is changed.
        question: its figures, and those of the context, are not taken for the new one.
        context: what the question is about.
        rng: chooses the figure and the new one.

    Returns:
        None where no figure matters.
    """
    found = list(_figures(answer))
    known = {_plain(match.group()) for text in (question, context or "") for match in _NUMBER.finditer(text)}
    values = [match.group() for match in found]
    derived = [match for match in found if known and (context is not None or _plain(match.group()) not in known)]
    results = [match.group() for match in derived if _is_result(answer, match)]
    if len(answer.split()) <= _FEW_WORDS:
        matter = values
    elif results:
        matter = results[-1:]
    elif context is None:
        matter = [match.group() for match in derived[-1:]]
    else:
        matter = sorted({value for value in values if _plain(value) in known})
    if not matter:
        return None
    value = rng.choice(matter)
    taken = known | {_plain(one) for one in values}
    other = next((new for new in (_other(value, rng) for _ in range(_TRIES)) if _plain(new) not in taken), None)
    if other is None:
        return None
    for match in reversed(found):
        if match.group() == value:
            answer = answer[: match.start()] + other + answer[match.end() :]
    return answer


def _figures(text: str) -> Iterator[re.Match[str]]:
    markers = [match.span() for match in _MARKER.finditer(text)]
    for match in _NUMBER.finditer(text):
        if not any(start <= match.start() < end for start, end in markers):
            yield match


def _is_result(answer: str, match: re.Match[str]) -> bool:
    line = answer[answer.rfind("\n", 0, match.start()) + 1 : match.start()]
    return bool(_RESULT.search(line) or _RESULT_LINE.match(line))


def _plain(value: str) -> str:
    """A figure without what groups its thousands."""
    return re.sub(r",(?=[0-9]{3}(?![0-9]))", "", value)


def _other(value: str, rng: random.Random) -> str:
    if value.isdigit() and len(value) == 2 and 10 <= int(value) <= 31:
        return str(rng.choice([number for number in range(10, 29) if number != int(value)]))
    digits = [place for place, char in enumerate(value) if char.isdigit()]
    place = next((place for place in digits if value[place] != "0"), digits[-1])
    if _YEAR.fullmatch(value) and int(value) < 2100:
        place = 2
    new = rng.choice([digit for digit in "123456789" if digit != value[place]])
    return value[:place] + new + value[place + 1 :]
