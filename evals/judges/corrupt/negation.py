"""One claim of an English text turned into its opposite: pure functions of strings."""

import random
import re
from collections.abc import Iterator
from functools import cache

from skills_dspy.similarity.languages import Classifier, languages_of, load_classifier

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

_Edit = tuple[int, int, int, str]
"""Where the verb begins that is turned round, and what comes in place of the text from the second place to the third."""


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


def is_english(text: str) -> bool:
    """Return whether a text is told to be English; one too short to tell is not."""
    return languages_of([text], _classifier()).main == "en"


def _edits(sentence: str) -> Iterator[_Edit]:
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


@cache
def _classifier() -> Classifier:
    return load_classifier()
