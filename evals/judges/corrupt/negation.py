"""One claim of a text turned into its opposite, in English, German or Spanish: pure functions of strings."""

import random
import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from evals.judges.corrupt.languages import Language, language

_QUOTED = re.compile(r"\"[^\"\n]*\"|“[^”\n]*”|„[^“”\n]*[“”]|«[^»\n]*»|`[^`]*`|(?<!\w)'[^'\n]*'(?!\w)")
_SENTENCE = re.compile(r"[^.?!\n]+(?:[.?!]+(?!\s|$)[^.?!\n]+)*[.?!]*")
_NO_CLAIM = re.compile(
    r"→|->|=>|\b(let me know|hope (this|that|it)|feel free|would (you )?like|thank(s| you)|as if|if you)\b", re.IGNORECASE
)

# A verb that may be negated, and what may not follow it: then "not" would not turn the claim into its opposite.
_EN = re.compile(
    r"(?<!\bthe )(?<!\ba )(?<!\bnot )(?<!\bonly )\b(?:(?P<verb>is|are|was|were|can|could|will|should|must)|"
    r"(?P<perfect>has|have|had)(?= (?:been|made|done|become|gone|found|left|held|lost|built|sent|said|\w+(?:ed|en|wn|ght))\b))"
    r"(?= [\w\"“(])(?! (?:not|no|never|only|just|merely|always|also|necessarily|both|like|nothing|nobody|none|neither|rarely|"
    r"hardly|often|usually|sometimes|either|some|you|we|they|he|she|it|i|there|even|still|already|\w+ no)\b)",
)
_EN_NOT = re.compile(
    r"\b(?P<verb>is|are|was|were|can|could|will|would|should|must|has|have|had|does|do|did)(?P<not>n't|n’t| not)"
    r"(?= \w)(?! (?:only|just|merely|always|necessarily|both|even|yet|until)\b)|"
    r"\bca(?P<cant>n't|n’t|nnot)(?= \w)|\bwo(?P<wont>n't|n’t)(?= \w)"
)
_CONDITION = re.compile(
    r"\b(?i:as soon as|until|before|after|when|while|if|unless|once|whether|falls|wenn|bevor|nachdem|si|cuando)\b|"
    r"\b(?i:who|whom|whose|which|where|what|how|why)(?: \S+){0,2} $|\b(?:we|you|I) $"
)
"""What may stand before a verb whose opposite turns nothing round: a condition, a side remark, "we can calculate"."""
_EN_LEANING = re.compile(r"\b(any|anything|anyone|anybody|ever|either|yet|anymore|until|nothing|nobody|no)\b", re.IGNORECASE)
_DE = re.compile(
    r"\b(?P<verb>ist|sind|war|waren|wird|werden|wurde|wurden|kann|können|muss|müssen|darf|soll|hat|haben)(?= \w)"
    r"(?! (?:nicht|kein\w*|nie\w*|nur|auch|immer|sich|man|er|sie|es|ich|wir|mir|ihm|ihr|ihnen|nichts)\b)"
)
_DE_NOT = re.compile(r" nicht(?= \w)(?! (?:nur|immer|mehr|unbedingt|einmal|zu|sondern)\b)")
_DE_NEGATIVE = re.compile(r"\b(?:nicht|kein\w*|nie|niemals|niemand|nichts)\b", re.IGNORECASE)
_ES = re.compile(
    r"(?<!\bno )\b(?P<clitic>(?:se |lo |la |le |les |los |las |me |te |nos )?)"
    r"(?P<verb>es|son|está|están|fue|fueron|era|eran|ha|han|puede|pueden|debe|deben|tiene|tienen|hay)(?= \w)"
    r"(?! (?:nada|nadie|ningun\w*|ningún|nunca|solo|sólo|siempre|también)\b)"
)
_ES_NOT = re.compile(
    r"\b[Nn]o (?=(?:se |lo |la |le )?(?:es|son|está|están|fue|fueron|era|eran|ha|han|puede|pueden|debe|deben|tiene|hay)\b)"
)
_ES_LEANING = re.compile(r"\b(nada|nadie|ningun\w*|ningún|nunca|tampoco|sino)\b", re.IGNORECASE)


class Edit(NamedTuple):
    """What comes in place of `start` to `end` in a sentence, and where the verb begins that it turns round."""

    verb: int
    start: int
    end: int
    put: str


def negated(text: str, rng: random.Random) -> str | None:
    """The text with one claim turned round: a "not" put to a verb, or taken away.

    Questions, quotations, conditions and polite phrases are left alone, and so are verbs that a "not" would not turn round
    ("not only"). None where there is no other verb, or the language is another one.
    """
    tongue = language(text)
    if tongue is None:
        return None
    quoted = [match.span() for match in _QUOTED.finditer(text)]
    places = []
    for match in _SENTENCE.finditer(text):
        sentence, begin = match.group(), match.start()
        if sentence.rstrip().endswith("?") or _NO_CLAIM.search(sentence):
            continue
        for verb, start, end, put in _EDITS[tongue](sentence):
            clause = re.split("[,;:]", sentence[:verb])[-1]
            if not _CONDITION.search(clause) and not any(low <= begin + start < high for low, high in quoted):
                places.append((begin + start, begin + end, put))
    if not places:
        return None
    start, end, put = rng.choice(places)
    return text[:start] + put + text[end:]


def _english(sentence: str) -> Iterator[Edit]:
    for match in _EN.finditer(sentence):
        if match["verb"] == "can":
            yield Edit(match.start(), match.start(), match.end(), "cannot")
        else:
            yield Edit(match.start(), match.end(), match.end(), " not")
    for match in _EN_NOT.finditer(sentence):
        if _EN_LEANING.search(sentence, match.end()):
            continue  # "does not have any" without its "not" is no sentence
        if match["verb"]:
            yield Edit(match.start(), match.start("not"), match.end("not"), "")
        else:
            yield Edit(match.start(), match.start(), match.end(), "can" if match["cant"] else "will")


def _german(sentence: str) -> Iterator[Edit]:
    if _DE_NEGATIVE.search(sentence):
        for match in _DE_NOT.finditer(sentence):
            yield Edit(match.start(), match.start(), match.end(), "")
    else:
        for match in _DE.finditer(sentence):
            yield Edit(match.start(), match.end(), match.end(), " nicht")


def _spanish(sentence: str) -> Iterator[Edit]:
    if _ES_LEANING.search(sentence):
        return
    for match in _ES.finditer(sentence):
        yield Edit(match.start(), match.start(), match.start(), "no ")
    for match in _ES_NOT.finditer(sentence):
        yield Edit(match.start(), match.start(), match.end(), "")


_EDITS: Mapping[Language, Callable[[str], Iterator[Edit]]] = {"en": _english, "de": _german, "es": _spanish}
