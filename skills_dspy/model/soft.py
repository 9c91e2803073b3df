"""Soft ratings: how probable each label of a scale was, read from the log-probabilities beside a reply.

G-Eval (Liu et al. 2023, arXiv:2303.16634) takes a model's probabilities of the labels, and their expected value, in place
of the label alone: finer, and with fewer ties. Ollama gives them since 0.12.11, when it is asked: for every token of the
reply its log-probability and those of the most probable tokens in its place.

They are the model's own, from before the schema leaves it no other words. So what is read is how it would have rated, had it
written a label just there: the labels' shares of what it gave to all labels together, which `mass` tells. A label that is
not among the 20 most probable tokens counts as never; where `mass` is small, the model would rather have written no label,
and its rating is worth as little.

How a rating is read: from the token in which the value of the rated field begins, each alternative of a token is joined to
what stands before it, and held against the labels as they are written in JSON. If it can only become one label, its
probability is that label's. If it can still become several, and is what the model went on with, the next token decides, and
its probabilities are multiplied with those of the way to it. If the model did not go on with it, nothing tells how it would
have: `very` is then half `very easy` and half `very hard`, and a blank, with which all labels begin, is as the labels that were
told apart; `mass` has only those. At last the labels' probabilities are made to add up to 1.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

from skills_dspy.base.records import SoftRating
from skills_dspy.base.scales import Label
from skills_dspy.model.steps import STEPS
from skills_dspy.store.said import said_in

Possible = tuple[Label, ...]
"""The labels that a beginning of a value can become."""

ASKED: Mapping[str, Any] = {"logprobs": True, "top_logprobs": 20}
"""What a request asks for to get probabilities: of 20 tokens in each place, the most that Ollama gives."""

KEPT = "rating_logprobs"
"""The key of a journaled reply under which is kept what a soft rating is read from."""

RATING_STEPS = tuple(name for name, step in STEPS.items() if any(scale.ordered for scale in step.rates))
"""The steps whose replies hold such labels."""

_RATED = tuple(dict.fromkeys(scale.field for step in STEPS.values() for scale in step.rates if scale.ordered))
"""The output fields that are labels of a scale, which has an order and so an expected value."""

_UNDECIDED = 0.01
"""The largest share of the labels' probability that beginnings of several labels may have and still be left out."""
_SPREAD = "spread"
"""What is kept with a rating in which they have more. A journal from before they were shared out lacks it: unread it stays."""
_LEAST = 1e-6
"""Probabilities are given to 6 decimals, and what is less probable is not kept."""
_LEAST_LOGPROB = math.log(_LEAST)
_NEVER = -9999.0
"""The logarithm of a probability of 0, for which JSON has no number."""

BLANKS = " \t\n\r"
"""What JSON allows between its marks."""

_AFTER = re.compile(r"(?:\s|```|<[^<>\s]{1,40}>|\[/?[A-Z_]{1,40}\])*")
"""What a list of tokens may hold after the reply: blanks, the fence that a server takes off, the tokens that end a turn."""

_AFTER_VALUE = BLANKS + ",}]"
_END = re.compile(rf"[{BLANKS}]*}}")
_AROUND = {mark: re.compile(rf"[{BLANKS}]*{mark}[{BLANKS}]*") for mark in "{:,"}


def rated_fields(payload: Mapping[str, Any]) -> dict[str, tuple[Label, ...]]:
    """The fields of a request's reply that are ratings, with their labels in the schema's order, worst first."""
    schema = payload.get("format")
    properties = schema.get("properties", {}) if isinstance(schema, Mapping) else {}
    return {name: tuple(properties[name]["enum"]) for name in _RATED if "enum" in properties.get(name, ())}


def trimmed(body: Mapping[str, Any], payload: Mapping[str, Any]) -> dict[str, Any]:
    """A server's reply as it is journaled: of its `logprobs` only what the soft ratings are read from.

    The list over all tokens, with 20 alternatives each, would be a hundred times the reply. Kept is, under
    `rating_logprobs`, for each rated field `at`, the character of the reply at which the first token stands in which the
    value begins, and `tokens`, from that one to the one that decides: each its text, its log-probability and those of its
    alternatives, a text and a log-probability each, that can become a label and have a probability of 0.000001 or more. Where
    more than 0.01 of the labels' probability is on beginnings of several, `spread` is true.
    The server's own list is always left out; where nothing was asked for, came or can be found, the key is missing.
    """
    rest = {key: value for key, value in body.items() if key != "logprobs"}
    told, text = body.get("logprobs"), said_in(body, payload).text
    if not told or not payload.get("logprobs"):
        return rest
    found = {field: _kept(text, told, field, labels) for field, labels in rated_fields(payload).items()}
    kept = {field: tokens for field, tokens in found.items() if tokens is not None}
    return {**rest, KEPT: kept} if kept else rest


def soft_of(body: Mapping[str, Any], payload: Mapping[str, Any]) -> dict[str, SoftRating]:
    """The soft ratings of a journaled reply, by field.

    A field is left out if the server gave no probabilities, or those of another text; if it is missing, stands twice or is
    none of the labels; if the chosen label has no probability; or if more than 0.01 of the labels' probability is on
    beginnings of several, and the journal is from before those were shared out.
    """
    kept, text = body.get(KEPT) or {}, said_in(body, payload).text
    fields = {field: labels for field, labels in rated_fields(payload).items() if field in kept}
    ratings = {field: _read(text, kept[field], field, labels) for field, labels in fields.items()}
    return {field: rating for field, rating in ratings.items() if rating is not None}


def rated(body: Mapping[str, Any], payload: Mapping[str, Any]) -> bool:
    """Whether a journaled reply rates what it was asked to rate, and probabilities were asked for with it."""
    fields = rated_fields(payload) if payload.get("logprobs") else {}
    return bool(fields) and all(_label_span(said_in(body, payload).text, *field) is not None for field in fields.items())


def in_words(soft: SoftRating) -> str:
    """A soft rating for people: `1: 12 %, 2: 30 %, 3: 58 %; expected 2.46`."""
    shares = ", ".join(f"{label}: {_percent(share)}" for label, share in soft.probabilities.items())
    return f"{shares}; expected {soft.expected:.2f}"


def _percent(share: float) -> str:
    if 0 < share < 0.005:
        return "<1 %"
    return ">99 %" if 0.995 < share < 1 else f"{100 * share:.0f} %"


def _kept(text: str, logprobs: Sequence[Mapping[str, Any]], field: str, labels: Possible) -> dict[str, Any] | None:
    """What `trimmed` keeps for one field."""
    span = _label_span(text, field, labels)
    begins = None if span is None else first_token(logprobs, text, span[0])
    if span is None or begins is None:
        return None
    number, before = begins
    at = span[0] - before
    tokens, way, stands_before = [], "", text[at : span[0]]
    for entry in (logprobs[place] for place in range(number, len(logprobs))):  # each is decoded when it is looked at
        others = entry.get("top_logprobs") or ()
        counting = [
            [other["token"], logprob]
            for other in others
            if _possible(_joined(way, other["token"], stands_before), labels)
            and (logprob := _rounded(other["logprob"])) >= _LEAST_LOGPROB
        ]
        tokens.append([entry["token"], _rounded(entry["logprob"]), counting])
        way += entry["token"].removeprefix(stands_before)
        stands_before = ""
        if len(_possible(way, labels)) == 1:
            kept = {"at": at, "tokens": tokens}
            return kept if _read(text, kept, field, labels) is not None else {**kept, _SPREAD: True}
    return None


def _rounded(logprob: float) -> float:
    return round(max(min(float(logprob), 0.0), _NEVER), 6)


def _label_span(text: str, field: str, labels: Possible) -> tuple[int, int] | None:
    """Where the value of a field stands in a reply; None unless it is one of the labels, as JSON is usually written."""
    span = value_span(text, field)
    return span if span is not None and text[slice(*span)] in map(_in_json, labels) else None


def _read(text: str, kept: Mapping[str, Any], field: str, labels: Possible) -> SoftRating | None:
    """The soft rating of one field from what `trimmed` kept for it."""
    span = _label_span(text, field, labels)
    if span is None:
        return None
    chosen, given = _given(kept["tokens"], labels, text[kept["at"] : span[0]])
    shares = {label: given.get((label,), 0.0) for label in labels}
    mass, undecided = sum(shares.values()), sum(share for its, share in given.items() if len(its) > 1)
    if len(chosen) != 1 or shares[chosen[0]] <= 0 or mass < _LEAST:
        return None
    if undecided > _UNDECIDED * (mass + undecided):
        if not kept.get(_SPREAD):
            return None
        for its in given:
            if 1 < len(its) < len(labels):
                shares |= {label: shares[label] + given[its] / len(its) for label in its}
    whole = sum(shares.values())
    shares = {label: share / whole for label, share in shares.items()}
    values = [label if isinstance(label, int) else place for place, label in enumerate(labels, start=1)]
    return SoftRating(
        probabilities={str(label): round(share, 6) for label, share in shares.items()},
        expected=round(sum(share * value for share, value in zip(shares.values(), values, strict=True)), 6),
        mass=round(min(mass, 1.0), 6),
    )


def _given(tokens: Sequence[Any], labels: Possible, before: str) -> tuple[Possible, dict[Possible, float]]:
    """The labels that the chosen tokens can become, and what the model gave to each label, or beginning of several."""
    given: dict[Possible, float] = {}
    chosen: Possible = ()
    way, on_the_way = "", 1.0
    for token, logprob, others in tokens:
        here = way + token.removeprefix(before)
        chosen = _possible(here, labels)
        on = 0.0
        for other, its_logprob in others if token in (name for name, _ in others) else [(token, logprob), *others]:
            there = here if other == token else _joined(way, other, before)
            possible = _possible(there, labels)
            share = on_the_way * math.exp(its_logprob)
            if len(possible) > 1 and (there == here or len(possible) == len(chosen) == len(labels)):
                on += share
            elif possible:
                given[possible] = given.get(possible, 0.0) + share
        if len(chosen) == 1:
            break
        way, on_the_way, before = here, on, ""
    return chosen, given


@lru_cache(maxsize=4096)
def _joined(way: str, token: str, before: str) -> str | None:
    """What of the value is written by `way` and then `token`; None if that is no beginning of a value.

    `before` is what the chosen token holds before the value begins; blanks at its end may be others or none.
    """
    if way:
        return way + token if token else None
    mark = before.rstrip(BLANKS)
    if token.startswith(mark):
        return token[len(mark) :].lstrip(BLANKS) if token else None
    return "" if token and mark.startswith(token) else None


@lru_cache(maxsize=4096)
def _possible(written: str | None, labels: Possible) -> Possible:
    """The labels that a value can still become of which this is written; none for what begins no value."""
    if written is None:
        return ()
    return tuple(
        label
        for label in labels
        if (whole := _in_json(label)).startswith(written) or (written.startswith(whole) and written[len(whole)] in _AFTER_VALUE)
    )


@cache
def _in_json(label: Label) -> str:
    return json.dumps(label, ensure_ascii=False)


@lru_cache(maxsize=64)  # a reply is looked at when it comes, when it is kept and when it is used
def value_span(text: str, key: str) -> tuple[int, int] | None:
    """Where the value of a top-level key stands in a JSON object: its first character and the one after its last.

    None if the text is no JSON object, lacks the key or has it twice.
    """
    try:
        spans = [(start, end) for name, start, end in _items(text) if name == key]
    except (ValueError, IndexError, RecursionError):
        return None
    return spans[0] if len(spans) == 1 else None


def first_token(tokens: Sequence[Mapping[str, Any]], text: str, place: int) -> tuple[int, int] | None:
    """The number of the token in which a character of the text stands, and how much of the token stands before it.

    Only from there to their ends are list and text compared, backwards: what a server lists before may be another text than
    the one it gives (it begins with a fence that was taken off, say, or lacks some). None if they do not agree.
    """
    rest, told = text[place:].rstrip(), ""
    for number in range(len(tokens) - 1, -1, -1):
        token = tokens[number]["token"]
        told = token + told
        at = told.rfind(rest, 0, len(token) + len(rest) - 1)
        if at >= 0:
            fits = text[:place].endswith(told[:at]) and _AFTER.fullmatch(told, at + len(rest))
            return (number, at) if fits else None
    return None


def _items(text: str) -> Iterator[tuple[str, int, int]]:
    """The keys of a JSON object with the spans of their values; ValueError or IndexError when it is none."""
    decoder = json.JSONDecoder()
    place = _after(text, 0, "{")
    while text[place] != "}":
        key, place = decoder.raw_decode(text, place)
        start = _after(text, place, ":")
        _, end = decoder.raw_decode(text, start)
        yield key, start, end
        place = _after(text, end, ",") if not _END.match(text, end) else text.index("}", end)


def _after(text: str, place: int, mark: str) -> int:
    """The place after a mark, with the blanks on both sides of it."""
    found = _AROUND[mark].match(text, place)
    if found is None:
        raise ValueError(f"no {mark} at {place}")
    return found.end()
