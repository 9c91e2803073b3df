"""Accepted records as the rows that trainers read: one function a format, nothing but text in and out."""

import json
from typing import Any

from skills_dspy.base.columns import TAG_NAMES
from skills_dspy.base.errors import RequestError
from skills_dspy.base.records import AnswerPair, Record, SeedExample
from skills_dspy.commands.export.reviewed import JudgedAnswer

INSTRUCTLAB_PROMPT = (
    "I am a Red Hat® Instruct Model, an AI language model developed by Red Hat and IBM Research based on the "
    "granite-3.0-8b-base model. My primary role is to serve as a chat assistant."
)
"""The system prompt that InstructLab trains with unless it is told otherwise (instructlab/sdg, generate_data.py)."""

_KEYS = {"messages": ("messages",), "alpaca": ("instruction", "input", "output"), "sharegpt": ("id", "conversations")}
_HEAD = 4096
"""So many bytes of a file are looked at: later keys may stand behind them."""

RATED_TAGS = TAG_NAMES[:3]
"""The tags that may have a soft rating."""

ROLE_NAMES = ("generator", "validator", "tagger")


class ThoughtfulRecord(Record):
    """A record with what its generator thought before it answered, empty where it did not."""

    reasoning_content: str


def _thoughts(record: Record) -> dict[str, str]:
    """What stands beside the answer where thoughts are asked for; the name is that of chat templates and of servers."""
    return {"reasoning_content": record.reasoning_content} if isinstance(record, ThoughtfulRecord) else {}


def user_turn(question: str, context: str | None) -> str:
    """What the user says: the context without line breaks at its end, a blank line, the question, in InstructLab's order."""
    return question if context is None else context.rstrip("\n") + "\n\n" + question


def _asked(question: str, context: str | None, system: str | None) -> list[dict[str, str]]:
    said = [{"role": "user", "content": user_turn(question, context)}]
    return said if system is None else [{"role": "system", "content": system}, *said]


def _answered(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def _turns(record: Record, system: str | None) -> list[dict[str, str]]:
    return [*_asked(record.instruction, record.context, system), _answered(record.response) | _thoughts(record)]


def begins_export(layout: str, head: bytes) -> bool:
    """Whether a file that begins so has rows of this layout, by the keys of the first one, as far as they are there."""
    if layout == "parquet":
        return head.startswith(b"PAR1")
    first, *more = _KEYS.get(layout, ("",))
    return head.startswith(b'{"%s": ' % first.encode()) and (
        len(head) >= _HEAD or all(b'"%s": ' % k.encode() in head for k in more)
    )


def messages_row(record: Record, system: str | None = None) -> dict[str, Any]:
    """A chat, as TRL, axolotl and OpenAI's fine-tuning read it; they allow no key beside `messages`."""
    return {"messages": _turns(record, system)}


def alpaca_row(record: Record) -> dict[str, Any]:
    """Stanford Alpaca's layout: `input` is the context, empty when there is none."""
    row = {"instruction": record.instruction, "input": record.context or "", "output": record.response}
    return row | _thoughts(record)


def kto_row(row: JudgedAnswer, system: str | None = None) -> dict[str, Any]:
    """Unpaired preference, as TRL's KTOTrainer reads it: a good answer is true, one that was rejected for itself false."""
    return {
        "prompt": _asked(row.instruction, row.context, system),
        "completion": [_answered(row.response)],
        "label": row.label,
        "id": row.id,
    }


def dpo_row(pair: AnswerPair, system: str | None = None) -> dict[str, Any]:
    """Paired preference, as TRL's DPOTrainer reads it; it does without margin, scale and id, which others may use."""
    return {
        "prompt": _asked(pair.instruction, pair.context or None, system),
        "chosen": [_answered(pair.chosen.answer)],
        "rejected": [_answered(pair.rejected.answer)],
        "margin": pair.margin,
        "scale": pair.scale,
        "id": pair.id,
    }


_SHAREGPT = {"system": "system", "user": "human", "assistant": "gpt"}


def sharegpt_row(record: Record, system: str | None = None) -> dict[str, Any]:
    """ShareGPT's layout, with the row's id in its `id`."""
    turns = [{"from": _SHAREGPT[turn["role"]], "value": turn["content"]} for turn in _turns(record, system)]
    turns[-1] |= _thoughts(record)
    return {"id": record.id, "conversations": turns}


def leaf_name(task_name: str) -> str:
    """A task's name as InstructLab names the file of a leaf: the parts of the path joined by `_`."""
    return task_name.replace("/", "_")


def instructlab_row(record: Record, system: str, row_uuid: str) -> dict[str, Any]:
    """A row of skills_train_msgs: the chat, and everything else as one JSON string; its id there is a UUID."""
    whole = record.model_dump(mode="json")
    grounded = record.context is not None
    metadata = {
        "task_description": record.task_description,
        "leaf_node_path": leaf_name(record.task_name),
        "leaf_node_type": "grounded_skill" if grounded else "freeform_skill",
        **({"context": record.context} if grounded else {}),
        "question": record.instruction,
        "response": record.response,
        "row_id": record.id,
        **{name: whole[name] for name in ("task_name", "tags", "question_verdict", "pair_verdict", "provenance")},
    }
    return {
        "messages": _turns(record, system),
        "metadata": json.dumps(metadata, ensure_ascii=False, allow_nan=False),
        "id": row_uuid,
        "unmask": False,
    }


def instructlab_seed(seed: SeedExample, system: str) -> dict[str, str]:
    """A row of InstructLab's test file. The user turn is laid out as in the training rows."""
    return {"user": user_turn(seed.question, seed.context), "assistant": seed.answer, "system": system}


def typed_row(record: Record) -> dict[str, Any]:
    """The whole record for typed columns: what is keyed by steps or labels becomes a list of small records, in their order.

    Raises:
        RequestError: the record holds a tag or a role that no column is for.
    """
    row = record.model_dump()
    tags, source = row["tags"], row["provenance"]
    columns = ((tags["explanations"], TAG_NAMES), (tags["soft"], RATED_TAGS), (source["models"], ROLE_NAMES))
    if unknown := [name for values, names in columns for name in values if name not in names]:
        raise RequestError(f"row {record.id} holds {unknown[0]!r}, for which there is no typed column; use another --format")
    for soft in (*tags["soft"].values(), row["question_verdict"]["soft"], row["pair_verdict"]["soft"]):
        if soft is not None:
            soft["probabilities"] = [{"label": label, "probability": p} for label, p in soft["probabilities"].items()]
    source.setdefault("rewritten", None)
    source.setdefault("reviewed", None)
    source["prompts"] = [{"step": step, "fingerprint": fingerprint} for step, fingerprint in source["prompts"].items()]
    source["calls"] = [{"step": step, "digests": digests} for step, digests in source["calls"].items()]
    return row
