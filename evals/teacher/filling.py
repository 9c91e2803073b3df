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


def fill(schema: Mapping[str, Any], rng: Random, taste: Taste) -> Any:
    """A value that the schema allows, objects with every property in the schema's order."""
    return _Filling(schema.get("$defs", {}), rng, taste).value("", schema)


def passing_labels(name: str, labels: list[Any]) -> list[Any]:
    """The labels of `rating`, `quality` or `score` that count as passed: the top part of the scale."""
    known = _PASSING.get(name)
    top = [label for label in labels if label in known] if known else []
    return top or labels[1:] or labels


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


@dataclass(frozen=True, slots=True)
class _Filling:
    defs: Mapping[str, Any]
    rng: Random
    taste: Taste

    def value(self, name: str, schema: Mapping[str, Any]) -> Any:
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._label(name, list(schema["enum"]))
        kind = schema.get("type", "object" if "properties" in schema else "string")
        if kind == "object":
            return {key: self.value(key, part) for key, part in schema.get("properties", {}).items()}
        if kind == "array":
            return self._array(name, schema)
        if kind == "string":
            return self._text(name, schema)
        return self._scalar(kind, schema)

    def _resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in schema or "anyOf" in schema:
            named = schema.get("$ref", "").rpartition("/")[2]
            schema = self.defs[named] if named else self.rng.choice(schema["anyOf"])
        return schema

    def _label(self, name: str, labels: list[Any]) -> Any:
        if name not in ("rating", "quality", "score"):
            return self.rng.choice(labels)
        passing = passing_labels(name, labels)
        failing = [label for label in labels if label not in passing]
        return self.rng.choice(passing if self.rng.random() < self.taste.pass_rate or not failing else failing)

    def _array(self, name: str, schema: Mapping[str, Any]) -> list[Any]:
        least = schema.get("minItems", 0)
        most = schema.get("maxItems", max(least, _UNBOUNDED_LIST))
        count = most if name == "questions" else self.rng.randint(least, most)
        items = self._resolved(schema.get("items", {}))
        if "enum" in items and count <= len(items["enum"]):
            return self.rng.sample(items["enum"], count)  # labels are not repeated
        return [self._item(name, items) for _ in range(count)]

    def _item(self, name: str, items: Mapping[str, Any]) -> Any:
        shown = self.taste.shown
        if name == "questions" and shown and self.rng.random() < self.taste.duplicate_rate:
            return self.rng.choice(shown)
        return self.value(name, items)

    def _text(self, name: str, schema: Mapping[str, Any]) -> str:
        text = sentence(self.rng, "?" if name in ("question", "questions") else ".")
        while len(text) < schema.get("minLength", 0):
            text += " " + sentence(self.rng)
        return text[: schema.get("maxLength", len(text))]

    def _scalar(self, kind: Any, schema: Mapping[str, Any]) -> Any:
        if kind == "boolean":
            return self.rng.random() < 0.5
        if kind == "null":
            return None
        least = schema.get("minimum", 0)
        most = schema.get("maximum", max(least, 100))
        return self.rng.randint(least, most) if kind == "integer" else self.rng.uniform(least, most)
