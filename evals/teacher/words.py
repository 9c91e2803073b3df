"""Random sentences of short English words: what a teacher without a language model can say."""

from functools import cache
from importlib.resources import files
from random import Random

CHARACTERS_PER_TOKEN = 4
"""The estimate that all token counts of the simulation rest on."""


@cache
def words() -> tuple[str, ...]:
    """The words that sentences are made of (words.txt)."""
    return tuple(files("evals.teacher").joinpath("words.txt").read_text("utf-8").split())


def tokens(text: str) -> int:
    """The estimated number of tokens of a text, rounded up."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def sentence(rng: Random, end: str = ".") -> str:
    """A sentence of 8 to 14 words; of some 10^25 possible ones two are hardly ever the same."""
    text = " ".join(rng.choices(words(), k=rng.randint(8, 14)))
    return text[0].upper() + text[1:] + end


def paragraph(rng: Random, length: int) -> str:
    """Sentences until the text has `length` estimated tokens or a few more."""
    sentences = [sentence(rng)]
    size = len(sentences[0])
    while size < length * CHARACTERS_PER_TOKEN:
        sentences.append(sentence(rng))
        size += 1 + len(sentences[-1])
    return " ".join(sentences)
