"""Which of three languages a text is in, by its small words: enough to choose the words of a corruption."""

from collections.abc import Mapping
from typing import Literal

from evals.data.text import words

Language = Literal["en", "de", "es"]

_SMALL_WORDS: Mapping[str, frozenset[str]] = {
    "en": frozenset(
        words(
            "the a an of to and is are was were in on for with that this it what which how who why when does do did "
            "you your has have be as by from or not can will would their its they he she i"
        )
    ),
    "de": frozenset(
        words(
            "der die das ein eine einen dem den des und ist sind war waren nicht mit für auf von zu im wie wer welche "
            "welcher wann wird werden hat haben sich auch es sie er ich oder aus bei nach was dieser diese dieses "
            "wurde kann warum"
        )
    ),
    "es": frozenset(
        words(
            "el la los las un una unos unas y es son de del en que qué cuál cuándo cómo quién por para con no se su "
            "sus está están fue al lo o como más era este esta cuántos"
        )
    ),
    # Neighbours, so that their texts are not taken for one of the three.
    "fr": frozenset(
        words("le la les un une des du et est sont de en que qui quel quelle dans pour avec pas ne il elle au ce cette")
    ),
    "it": frozenset(words("il lo la gli le un una e è sono di del della in che chi per con non si nel al come quale quanto")),
    "pt": frozenset(words("o a os as um uma e é são de do da em que quem por para com não se no na ao como qual")),
    "nl": frozenset(words("de het een en is zijn van in op met voor dat die niet wat wie hoe waarom te er aan bij")),
}


_OURS: Mapping[str, Language] = {"en": "en", "de": "de", "es": "es"}


def language(text: str) -> Language | None:
    """The language whose small words are the most frequent in a text; None for another one, a tie, or fewer than two."""
    said = words(text)
    hits = {name: sum(word in small for word in said) for name, small in _SMALL_WORDS.items()}
    best = max(hits, key=lambda name: hits[name])
    sure = hits[best] > 1 and list(hits.values()).count(hits[best]) == 1
    return _OURS.get(best) if sure else None
