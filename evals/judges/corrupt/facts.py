"""Answers with a wrong fact: one claim of an English text turned into its opposite, or another figure. Pure."""

import random
import re
from collections.abc import Iterator

_QUOTED = re.compile(r"\"[^\"\n]*\"|“[^”\n]*”|`[^`]*`|(?<!\w)'[^'\n]*'(?!\w)")
_SENTENCE = re.compile(r"[^.?!\n]+(?:[.?!]+(?!\s|$)[^.?!\n]+)*[.?!]*")
_NO_CLAIM = re.compile(
    r"→|->|=>|\b(let me know|hope (this|that|it)|feel free|would (you )?like|thank(s| you)|as if|if you)\b", re.IGNORECASE
)

# A verb that may be negated, and what may not follow it: then "not" would not turn the claim into its opposite.
_VERB = re.compile(
    r"(?<!\bthe )(?<!\ba )(?<!\bnot )(?<!\bonly )\b(?:(?P<verb>is|are|was|were|can|could|will|should|must)|"
    r"(?P<perfect>has|have|had)(?= (?:been|made|done|become|gone|found|left|held|lost|built|sent|said|\w+(?:ed|en|wn|ght))\b))"
    r"(?= [\w\"“(])(?! (?:not|no|never|only|just|merely|always|also|necessarily|both|like|nothing|nobody|none|neither|rarely|"
    r"hardly|often|usually|sometimes|either|some|you|we|they|he|she|it|i|there|even|still|already|\w+ no)\b)",
)
_NOT = re.compile(
    r"\b(?P<verb>is|are|was|were|can|could|will|would|should|must|has|have|had|does|do|did)(?P<not>n't|n’t| not)"
    r"(?= \w)(?! (?:only|just|merely|always|necessarily|both|even|yet|until)\b)|"
    r"\bca(?P<cant>n't|n’t|nnot)(?= \w)|\bwo(?P<wont>n't|n’t)(?= \w)"
)
_CONDITION = re.compile(
    r"\b(?i:as soon as|until|before|after|when|while|if|unless|once|whether)\b|"
    r"\b(?i:who|whom|whose|which|where|what|how|why)(?: \S+){0,2} $|\b(?:we|you|I) $"
)
"""What may stand before a verb whose opposite turns nothing round: a condition, a side remark, "we can calculate"."""
_LEANING = re.compile(r"\b(any|anything|anyone|anybody|ever|either|yet|anymore|until|nothing|nobody|no)\b", re.IGNORECASE)


def negated(text: str, rng: random.Random) -> str | None:
    """Return the text with one claim turned round: a "not" put to a verb, or taken away.

    Questions, quotations, conditions and polite phrases are left alone, and so are verbs that a "not" would not turn round
    ("not only"). None where there is no other verb.
    """
    quoted = [match.span() for match in _QUOTED.finditer(text)]
    places = []
    for match in _SENTENCE.finditer(text):
        sentence, begin = match.group(), match.start()
        if sentence.rstrip().endswith("?") or _NO_CLAIM.search(sentence):
            continue
        for verb, start, end, put in _edits(sentence):
            clause = re.split("[,;:]", sentence[:verb])[-1]
            if not _CONDITION.search(clause) and not any(low <= begin + start < high for low, high in quoted):
                places.append((begin + start, begin + end, put))
    if not places:
        return None
    start, end, put = rng.choice(places)
    return text[:start] + put + text[end:]


def _edits(sentence: str) -> Iterator[tuple[int, int, int, str]]:
    """Where a verb begins that is turned round, and what comes in place of the text from the second place to the third."""
    for match in _VERB.finditer(sentence):
        if match["verb"] == "can":
            yield match.start(), match.start(), match.end(), "cannot"
        else:
            yield match.start(), match.end(), match.end(), " not"
    for match in _NOT.finditer(sentence):
        if _LEANING.search(sentence, match.end()):
            continue  # "does not have any" without its "not" is no sentence
        if match["verb"]:
            yield match.start(), match.start("not"), match.end("not"), ""
        else:
            yield match.start(), match.start(), match.end(), "can" if match["cant"] else "will"


_UNITS = r"kg|g|mg|km|m|cm|mm|l|ml|am|pm|h|min|s|kb|mb|gb|w|kw|kwh|v|x"
_NUMBER = re.compile(rf"(?<![\w.,^{{])[0-9]+(?:[.,][0-9]+)*(?=(?:{_UNITS})?(?![\w]))", re.IGNORECASE)
_MARKER = re.compile(
    r"^[ \t>*-]*(?:\(?[0-9]+(?:\\?[.)]|\))(?=\s|\*)|#+ .*|(?:step|part|chapter|verse|day|round)\s+[0-9]+\b)",
    re.IGNORECASE | re.MULTILINE,
)
_RESULT = re.compile(r"(?:[=≈]|\bapproximately|\babout|\bequals?|\bis)[ \t]*[^\w\s]?[ \t]*$", re.IGNORECASE)
_RESULT_LINE = re.compile(r"^\W*(?:answer|result|total)\b", re.IGNORECASE)
_YEAR = re.compile(r"[12][0-9]{3}")
_FEW_WORDS = 4
_TRIES = 20


def changed_numbers(answer: str, question: str, context: str | None, rng: random.Random) -> str | None:
    """The answer with one of its figures that matter replaced by another one of the same look, wherever it stands.

    Where there is a context, the figures matter that context and question have: they are no longer what these say. Where there
    is none, the last figure matters that the question has not, if it has others: it is what they come to. The result of a
    calculation goes before both, and an answer that is hardly more than a figure is changed in any case.

    The first digit changes, so that no rounding makes the new figure right; of a year the decade; a day or hour stays below 29.
    No figure of question or context is taken for the new one. Markers of lists, headings and figures inside of names ("R2") are
    left as they are.
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
    places = [match.start() for match in found if match.group() == value]
    for start in places if other else ():
        answer = answer[:start] + str(other) + answer[start + len(value) :]
    return answer if other else None


def _figures(text: str) -> Iterator[re.Match[str]]:
    markers = {place for match in _MARKER.finditer(text) for place in range(*match.span())}
    return (match for match in _NUMBER.finditer(text) if match.start() not in markers)


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
