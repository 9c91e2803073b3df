"""Values for a JSON schema and prose, made by chance of short English words: what a model would send, without the model."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any

_PASSING: Mapping[str, frozenset[Any]] = {
    "quality": frozenset({"good", "excellent"}),
    "score": frozenset({4, 5}),
}
_UNBOUNDED_LIST = 3

CHARACTERS_PER_TOKEN = 4
"""The estimate that all token counts of the simulation rest on."""


@dataclass(frozen=True, slots=True)
class Taste:
    """How often made values pass and repeat.

    Attributes:
        pass_rate: how likely `rating`, `quality` and `score` get a label that passes.
        duplicate_rate: how likely an item of `questions` is one of `shown`.
        shown: the questions among the prompt's examples.
    """

    pass_rate: float = 0.9
    duplicate_rate: float = 0.0
    shown: tuple[str, ...] = ()


def fill(schema: Mapping[str, Any], rng: Random, taste: Taste) -> dict[str, Any]:
    """A value for a schema of the program: one object of texts, labels, and lists of either, in the schema's order."""
    return {name: _value(name, part, rng, taste) for name, part in schema["properties"].items()}


def passing_labels(name: str, labels: list[Any]) -> list[Any]:
    """The labels of `rating`, `quality` or `score` that count as passed: the top part of the scale."""
    known = _PASSING.get(name)
    top = [label for label in labels if label in known] if known else []
    return top or labels[1:] or labels


@cache
def filler_words() -> tuple[str, ...]:
    """The words that sentences are made of (words.txt)."""
    return tuple(files("evals.teacher").joinpath("words.txt").read_text("utf-8").split())


def filler_tokens(text: str) -> int:
    """The estimated number of tokens of a text, rounded up."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def sentence(rng: Random, end: str = ".") -> str:
    """A sentence of 8 to 14 words; of some 10^25 possible ones two are hardly ever the same."""
    text = " ".join(rng.choices(filler_words(), k=rng.randint(8, 14)))
    return text[0].upper() + text[1:] + end


def paragraph(rng: Random, length: int) -> str:
    """Sentences until the text has `length` estimated tokens or a few more."""
    sentences = [sentence(rng)]
    size = len(sentences[0])
    while size < length * CHARACTERS_PER_TOKEN:
        sentences.append(sentence(rng))
        size += 1 + len(sentences[-1])
    return " ".join(sentences)


def _value(name: str, schema: Mapping[str, Any], rng: Random, taste: Taste) -> Any:
    if "enum" in schema:
        return _label(name, list(schema["enum"]), rng, taste)
    if schema.get("type") == "array":
        return _list(name, schema, rng, taste)
    if schema.get("type") == "object":
        return fill(schema, rng, taste)
    return sentence(rng, "?" if name in ("question", "questions") else ".")


def _label(name: str, labels: list[Any], rng: Random, taste: Taste) -> Any:
    if name not in ("rating", "quality", "score"):
        return rng.choice(labels)
    passing = passing_labels(name, labels)
    failing = [label for label in labels if label not in passing]
    return rng.choice(passing if rng.random() < taste.pass_rate or not failing else failing)


def _list(name: str, schema: Mapping[str, Any], rng: Random, taste: Taste) -> list[Any]:
    least = schema.get("minItems", 0)
    most = schema.get("maxItems", max(least, _UNBOUNDED_LIST))
    count = most if name == "questions" else rng.randint(least, most)
    items = schema["items"]
    if "enum" in items and count <= len(items["enum"]):
        return rng.sample(items["enum"], count)  # labels are not repeated
    return [_item(name, items, rng, taste) for _ in range(count)]


def _item(name: str, items: Mapping[str, Any], rng: Random, taste: Taste) -> Any:
    if name == "questions" and taste.shown and rng.random() < taste.duplicate_rate:
        return rng.choice(taste.shown)
    return _value(name, items, rng, taste)
