"""Which of the languages that corruptions are written in a text is in."""

from typing import Literal, get_args

from skills_dspy.similarity.languages import load_classifier

Language = Literal["en", "de", "es"]

_NEIGHBOURS = ("fr", "it", "pt", "nl")
"""So that their texts are not taken for one of ours."""
_LEAST_PROBABILITY = 0.9


def language(text: str) -> Language | None:
    """The language of a text, also of a short one; None for another one, or where it is not sure."""
    found, probability = load_classifier((*get_args(Language), *_NEIGHBOURS))(text)
    return next((one for one in get_args(Language) if one == found and probability >= _LEAST_PROBABILITY), None)
