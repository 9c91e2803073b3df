"""Records as rows of each layout: what goes where, and that nothing is lost that has a place."""

import json
from typing import Any

import pytest

from skills_dspy.base.errors import RequestError
from skills_dspy.base.records import Record, SoftRating
from skills_dspy.commands.export.layouts import instructlab_row, typed_row
from tests.helpers.exporting import a_record


def test_instructlab_keeps_all_that_is_no_message_as_one_string() -> None:
    """The metadata hold the whole record; the context is said once in the messages."""
    record = a_record(context="The fox runs.", soft=True)
    row = instructlab_row(record, "Be brief.", "some-uuid")
    assert list(row) == ["messages", "metadata", "id", "unmask"]
    assert (row["id"], row["unmask"]) == ("some-uuid", False)
    assert sum(turn["content"].count("The fox runs.") for turn in row["messages"]) == 1
    metadata = json.loads(row["metadata"])
    assert (metadata["leaf_node_type"], metadata["leaf_node_path"]) == ("grounded_skill", "test_foxes")
    whole = record.model_dump(mode="json")
    renamed = {"id": "row_id", "instruction": "question"}
    assert {name: metadata[renamed.get(name, name)] for name in whole} == whole
    assert json.loads(instructlab_row(a_record(), "", "u")["metadata"])["leaf_node_type"] == "freeform_skill"


def test_typed_rows_hold_every_field_of_a_record() -> None:
    """A field that is added to a record is added here, or this fails."""
    record = a_record(context="c", soft=True)
    row = typed_row(record)
    assert set(row) == set(Record.model_fields)
    for name in ("tags", "question_verdict", "pair_verdict", "provenance"):
        assert set(row[name]) == set(type(getattr(record, name)).model_fields), name
    assert set(row["pair_verdict"]["soft"]) == set(SoftRating.model_fields)
    assert back(row) == record


def test_a_typed_row_has_no_label_where_a_tag_could_not_be_had() -> None:
    """Its column is empty there, and its explanation says why."""
    record = a_record()
    tags = record.tags.model_copy(update={"difficulty": None, "explanations": {"difficulty": "unreadable: no label, twice"}})
    bare = record.model_copy(update={"tags": tags})
    row = typed_row(bare)
    assert row["tags"]["difficulty"] is None
    assert back(row) == bare


def back(row: dict[str, Any]) -> Record:
    """A record from its typed columns."""
    tags, source = dict(row["tags"]), dict(row["provenance"])
    tags["explanations"] = present(tags["explanations"])
    tags["soft"] = {name: soft(value) for name, value in present(tags["soft"]).items()}
    source["models"] = present(source["models"])
    source["prompts"] = {item["step"]: item["fingerprint"] for item in source["prompts"]}
    source["calls"] = {item["step"]: item["digests"] for item in source["calls"]}
    verdicts = {name: {**row[name], "soft": soft(row[name]["soft"])} for name in ("question_verdict", "pair_verdict")}
    return Record.model_validate({**row, **verdicts, "tags": tags, "provenance": source})


def present(values: dict[str, Any]) -> dict[str, Any]:
    """Without the columns that are empty."""
    return {name: value for name, value in values.items() if value is not None}


def soft(value: dict[str, Any] | None) -> dict[str, Any] | None:
    """A soft rating from its columns."""
    return value and {**value, "probabilities": {p["label"]: p["probability"] for p in value["probabilities"]}}


def test_a_tag_without_a_column_is_refused() -> None:
    """It is not left out in silence."""
    record = a_record()
    odd = record.model_copy(update={"tags": record.tags.model_copy(update={"explanations": {"mood": "Gay."}})})
    with pytest.raises(RequestError, match="'mood'"):
        typed_row(odd)
