"""Rows in files: the same columns of the same types whatever is in them, and the same records when they are read again."""

import json
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.json as paj
import pyarrow.parquet as pq
import pytest

from skills_dspy.base.columns import TAG_NAMES, from_columns, to_columns, whole
from skills_dspy.base.records import Record, Rejection
from skills_dspy.store.files import AppendLog
from tests.helpers.exporting import a_record

FULL = a_record(context="The fox runs.", soft=True)
_TAGS = {"difficulty": None, "category": None, "other_categories": (), "explanations": {TAG_NAMES[0]: "Because."}, "soft": {}}
_SOURCE = {"neighbour": None, "prompts": {"write_answer_again": "ff"}, "calls": {"write_answer_again": ("f" * 64,)}}
BARE = a_record(neighbour=None).model_copy(
    update={
        "tags": FULL.tags.model_copy(update=_TAGS),
        "provenance": FULL.provenance.model_copy(update={**_SOURCE, "fitting": ("seed:1", "seed:2"), "rewritten": "too many"}),
    }
)


def rejected(record: Record, **changes: Any) -> Rejection:
    """The same candidate, rejected."""
    texts = {name: getattr(record, name) for name in ("id", "task_name", "instruction", "response", "context", "provenance")}
    said: dict[str, Any] = {"stage": "dedup", "reason": "duplicate", "detail": "near", "raw_reply": None}
    return Rejection.model_validate({**texts, **said, **changes})


LOST = rejected(FULL, instruction=None, response=None, context=None, raw_reply="half \ud83e a fox")
LOST = LOST.model_copy(update={"provenance": LOST.provenance.model_copy(update={**_SOURCE, "calls": {}, "prompts": {}})})
PAIRS = [(FULL, BARE), (rejected(FULL, raw_reply='{"rating": 1}'), LOST), (rejected(BARE), LOST)]


def files(folder: Path, *rows: Record | Rejection) -> list[Path]:
    """A file for each row, as a run writes it."""
    paths = [folder / f"{place}.jsonl" for place in range(len(rows))]
    for path, row in zip(paths, rows, strict=True):
        with AppendLog.open(path) as log:
            log.append(to_columns(row.model_dump(mode="json")))
    return paths


@pytest.mark.parametrize("rows", PAIRS)
def test_two_files_load_together_in_either_order(tmp_path: Path, rows: Any, load: Callable[..., Any]) -> None:
    """In pyarrow, whose schemas must agree to the letter, in pandas and in datasets; and what was loaded becomes Parquet."""
    target = tmp_path / "all.parquet"
    for paths in permutations(files(tmp_path, *rows)):
        names = [str(path) for path in paths]
        pq.write_table(pa.concat_tables(map(paj.read_json, names)), target)
        pd.concat([pd.read_json(name, lines=True) for name in names]).to_parquet(target)
        loaded = load("json", data_files=names, split="train")
        assert loaded.num_rows == 2
        loaded.to_parquet(target)
        assert sorted(map(str, pq.read_table(target)["id"])) == sorted(row.id for row in rows)


@pytest.mark.parametrize("row", [FULL, BARE, *PAIRS[1]])
def test_a_row_that_is_read_again_is_the_same(row: Record | Rejection) -> None:
    """Whatever is missing in it; but half a character is gone, which nobody could read."""
    written = to_columns(row.model_dump(mode="json"))
    read = type(row).model_validate_json(json.dumps(written))
    assert read == row.model_validate(whole(row.model_dump(mode="json")))
    assert to_columns(read.model_dump(mode="json")) == written


def test_a_row_of_before_is_read_as_it_is() -> None:
    """With nulls, lists and mappings; and so is what is no row of ours at all."""
    old = BARE.model_dump(mode="json")
    for row in (old, {**old, "provenance": {"shown": []}}, {"provenance": "the web"}, {}):
        assert from_columns(row) == row
    assert Record.model_validate(old) == BARE


@pytest.mark.parametrize(
    ("part", "value"), [("calls", [{"stage": "x"}]), ("calls", "x"), ("neighbour", None), ("prompts", [1])]
)
def test_a_row_that_was_changed_by_hand_is_refused(part: str, value: object) -> None:
    """With a ValueError, which whoever reads it says with file and line."""
    row = to_columns(FULL.model_dump(mode="json"))
    row["provenance"][part] = value
    with pytest.raises(ValueError, match="a part is missing or of another type"):
        from_columns(row)
