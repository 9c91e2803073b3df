"""Which language a text is in, as far as that can be told offline: py3langid, used once for each text.

py3langid is a naive Bayes classifier over byte n-grams for 140 labels (a fork of langid.py, Lui and Baldwin 2012). Its limits:
- A short text cannot be told. Of pieces of the English seeds with fewer than 15 bytes of letters it took every third for
  another language; from 30 bytes on, and a probability of 0.3, fewer than one in 100, and one in eight was left open.
- One text gets one language, however many are in it; code, tables and lists of names may get any, mostly with a low
  probability. Near relatives are mixed up: English and Nigerian Pidgin (pcm), Bosnian, Croatian and Serbian.
"""

import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

TOO_SHORT = "too short to tell"
UNSURE = "not sure"

FEWEST_BYTES = 30
"""Bytes of letters in UTF-8 from which on a language is told; 30 Latin letters, or 10 Chinese characters."""
LEAST_PROBABILITY = 0.3
_MOST_CHARACTERS = 2000
"""A text's beginning is enough, and keeps a long one from taking its time."""

Classifier = Callable[[str], tuple[str, float]]
"""A text to the most probable language (ISO 639 code; `zxx`: none) and its probability."""

_NAMES = {
    "ar": "Arabic",
    "cs": "Czech",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "fi": "Finnish",
    "fr": "French",
    "he": "Hebrew",
    "hi": "Hindi",
    "hu": "Hungarian",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "nl": "Dutch",
    "no": "Norwegian",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sv": "Swedish",
    "th": "Thai",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "vi": "Vietnamese",
    "zh": "Chinese",
}


@dataclass(frozen=True, slots=True)
class Languages:
    """The languages of some texts, in their order: an ISO 639 code, TOO_SHORT or UNSURE for each."""

    told: tuple[str, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Languages to numbers of texts, the most frequent first; at the end those that could not be told."""
        found = Counter(self.told)
        open_ones = {name: found.pop(name) for name in (TOO_SHORT, UNSURE) if name in found}
        return {**dict(sorted(found.items(), key=lambda item: (-item[1], item[0]))), **open_ones}

    @property
    def main(self) -> str | None:
        """The most frequent language, the first of the alphabet among equals; None when none is told."""
        known = Counter(self.known)
        return min(known, key=lambda language: (-known[language], language), default=None)

    @property
    def known(self) -> list[str]:
        """The languages of the texts whose language is told."""
        return [language for language in self.told if language not in (TOO_SHORT, UNSURE)]


@cache
def load_classifier() -> Classifier:
    """The classifier with its model, read in about half a second."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # type: ignore[import-untyped]

    classify: Classifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True).classify
    return classify


def languages_of(texts: Sequence[str], classify: Classifier) -> Languages:
    """The language of each text, or why it cannot be told."""
    return Languages(tuple(_language(text[:_MOST_CHARACTERS], classify) for text in texts))


def language_name(language: str) -> str:
    """A language's name in English where it is a common one, else its code."""
    return _NAMES.get(language, language)


def _language(text: str, classify: Classifier) -> str:
    letters = "".join(char for char in text if unicodedata.category(char)[0] in "LM")
    if len(letters.encode("utf-8", "replace")) < FEWEST_BYTES:
        return TOO_SHORT
    language, probability = classify(text)
    return language if probability >= LEAST_PROBABILITY and language != "zxx" else UNSURE
