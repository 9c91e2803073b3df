"""Rows as they stand in data.jsonl and rejected.jsonl: every field in every row, and always of one type.

Readers of JSON Lines guess the type of a column from what a file happens to hold. One that is null or empty throughout a file,
or a mapping whose keys differ from file to file, does not go together with the same column of another file.
"""

import json
from collections.abc import Mapping
from typing import Any

_Row = Mapping[str, Any]

TAG_NAMES = ("instruction_quality", "sample_quality", "difficulty", "category")
"""The tags that have an explanation."""

_TEXTS = ("instruction", "response", "context", "raw_reply")
_VERDICTS = ("question_verdict", "pair_verdict")
_FARTHEST = 4.0  # squared distance of opposite unit vectors


def to_columns(row: _Row) -> dict[str, Any]:
    """What is written of a record or a rejection that was dumped as JSON.

    A text that is missing is empty, lists of names that may be empty are one text with commas, soft ratings are JSON in a text
    (empty where there is none), what is keyed by steps is a list of small records, and without a neighbour there is one without
    a name at the farthest distance. Half of a surrogate pair becomes U+FFFD.
    """
    found = dict(row)
    for name in _TEXTS:
        if name in row:
            found[name] = row[name] or ""
    if (tags := row.get("tags")) is not None:
        explained = {**dict.fromkeys(TAG_NAMES, ""), **tags["explanations"]}
        texts = {"difficulty": tags["difficulty"] or "", "category": tags["category"] or ""}
        others = {"other_categories": ", ".join(tags["other_categories"]), "explanations": explained}
        found["tags"] = {**tags, **texts, **others, "soft": _text(tags["soft"])}
    for name in _VERDICTS:
        if name in row:
            found[name] = {**row[name], "soft": _text(row[name]["soft"])}
    source = row["provenance"]
    found["provenance"] = {
        **{name: source[name] for name in ("draw", "index", "shown")},
        "fitting": ", ".join(source["fitting"]),
        "rewritten": source.get("rewritten") or "",
        "models": source["models"],
        "prompts": [{"step": step, "fingerprint": mark} for step, mark in (source["prompts"] or {"": ""}).items()],
        "calls": [{"step": step, "digests": digests} for step, digests in (source["calls"] or {"": [""]}).items()],
        "neighbour": source["neighbour"] or {"id": "", "distance": _FARTHEST},
    }
    return dict(whole(found))


def from_columns(row: _Row) -> dict[str, Any]:
    """The row again as a record or a rejection is dumped; what is written in another way, as older rows are, is left as it is.

    Raises:
        ValueError: something in it is not as `to_columns` writes it.
    """
    source = row.get("provenance")
    if not isinstance(source, dict) or not isinstance(source.get("fitting"), str):
        return dict(row)
    try:
        return _from_columns(row, source)
    except (LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"a part is missing or of another type ({error})") from error


def _from_columns(row: _Row, source: _Row) -> dict[str, Any]:
    found = dict(row)
    for name in _TEXTS:
        if name in row:
            found[name] = row[name] or None
    if (tags := row.get("tags")) is not None:
        texts = {name: tags[name] or None for name in ("difficulty", "category")}
        explained = {name: text for name, text in tags["explanations"].items() if text}
        others = {"other_categories": _names(tags["other_categories"]), "explanations": explained}
        found["tags"] = {**tags, **texts, **others, "soft": _mapping(tags["soft"]) or {}}
    for name in _VERDICTS:
        if name in row:
            found[name] = {**row[name], "soft": _mapping(row[name]["soft"])}
    found["provenance"] = {
        **{name: value for name, value in source.items() if value or name != "rewritten"},
        "fitting": _names(source["fitting"]),
        "prompts": {item["step"]: item["fingerprint"] for item in source["prompts"] if item["step"]},
        "calls": {item["step"]: item["digests"] for item in source["calls"] if item["step"]},
        "neighbour": source["neighbour"] if source["neighbour"]["id"] else None,
    }
    return found


def whole(value: Any) -> Any:
    """JSON with U+FFFD for halves of surrogate pairs, which JSON can hold and no file, terminal or reader of tables can."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, dict):
        return {whole(key): whole(item) for key, item in value.items()}
    return [whole(item) for item in value] if isinstance(value, list) else value


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) if value else ""


def _mapping(text: str) -> Any:
    return json.loads(text) if text else None


def _names(text: str) -> list[str]:
    return text.split(", ") if text else []
