"""Runs' directories written by hand, row by row, what a person says of their rows, and exports of them."""

import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from skills_dspy.base.columns import TAG_NAMES
from skills_dspy.base.records import (
    PairVerdict,
    Provenance,
    QuestionVerdict,
    Record,
    Rejection,
    SeedExample,
    SoftRating,
    Tags,
)
from skills_dspy.commands.export.card import Tally
from skills_dspy.commands.export.export import PREFERENCES, ExportRequest, Format, write_export
from skills_dspy.commands.export.layouts import RATED_TAGS
from skills_dspy.commands.export.source import SourceRun, find_sources
from skills_dspy.store.reviews import Review, ReviewLog, text_mark
from skills_dspy.store.run_dir import RunPaths
from tests.helpers.making import FREEFORM, GROUNDED

STAMP = "2026-01-31T10_00_00"
SOFT = SoftRating(probabilities={"1": 0.25, "2": 0.25, "3": 0.5}, expected=2.25, mass=0.9)


def a_record(
    row_id: str = "0123456789abcdef",
    question: str = "What is a fox?",
    answer: str = "An animal that barks.",
    context: str | None = None,
    *,
    task: str = "test/foxes",
    soft: bool = False,
    neighbour: tuple[str, float] | None = ("seed:0", 1.25),
) -> Record:
    """An accepted pair."""
    rating = SOFT if soft else None
    return Record.model_validate(
        {
            "id": row_id,
            "task_name": task,
            "task_description": "Knowing foxes.",
            "instruction": question,
            "response": answer,
            "context": context,
            "tags": Tags(
                instruction_quality="good",
                sample_quality=5,
                difficulty="easy",
                category="information seeking",
                other_categories=("reasoning", "others"),
                explanations=dict.fromkeys(TAG_NAMES, "Because."),
                soft=dict.fromkeys(RATED_TAGS, SOFT) if soft else {},
            ),
            "question_verdict": QuestionVerdict(explanation="Clear.", rating=1, soft=rating),
            "pair_verdict": PairVerdict(explanation="Right.", rating=3, soft=rating),
            "provenance": Provenance.model_validate(
                {
                    "draw": 3,
                    "index": 1,
                    "shown": ("seed:0", "fedcba9876543210"),
                    "models": {"generator": "big", "validator": "small", "tagger": "small"},
                    "prompts": {"write_questions": "aaaa", "judge_question": "bbbb"},
                    "calls": {"write_questions": ("c" * 64,), "judge_question": ("d" * 64, "e" * 64)},
                    "neighbour": None if neighbour is None else {"id": neighbour[0], "distance": neighbour[1]},
                }
            ),
        }
    )


def some_records(count: int = 3, *, task: str = "test/foxes") -> list[Record]:
    """Pairs that have nothing in common; the second has a context, the third soft ratings."""
    return [
        a_record(
            f"{zlib.crc32(task.encode()) + number:016x}",
            f"q{number}a q{number}b q{number}c q{number}d?",
            f"r{number}a r{number}b: ünï “r{number}c”\nr{number}d",
            f"c{number}a c{number}b c{number}c\n" if number % 3 == 1 else None,
            task=task,
            soft=number % 3 == 2,
        )
        for number in range(count)
    ]


def a_run_json(
    task: str = "test/foxes",
    *,
    seed: int = 0,
    licence: str | None = None,
    note: str | None = None,
    seeds: Sequence[SeedExample] = (FREEFORM, GROUNDED),
    accepted: int = 3,
) -> dict[str, Any]:
    """What a run writes down of itself."""
    return {
        "format": 1,
        "status": "complete",
        "wanted": accepted,
        "inputs": {
            "seed": seed,
            "models": {role: {"name": "big", "digest": "f" * 64} for role in ("generator", "validator", "tagger")},
            "prompts": {"freeform": {"write_questions": "aaaa"}},
        },
        "server": {"host": "http://secret-host:11434", "version": "0.9.9", "note": note},
        "embedder": {"name": "all-MiniLM-L6-v2", "weights": "w"},
        "versions": {"skills-dspy": "0.1.0"},
        "program": None,
        "task": {
            "task_name": task,
            "created_by": "somebody",
            "task_description": "Knowing foxes.",
            "data_builder": "instructlab/skills",
            "seed_examples": [example.model_dump(mode="json") for example in seeds],
            **({} if licence is None else {"licence": licence}),
        },
        "config": {
            "filter": {"instruction_quality": ["good"], "sample_quality": [4, 5]},
            "judges": {"question_pass": [1], "pair_pass": [2, 3]},
            "dedup": {"max_squared_distance": 0.05},
        },
        "result": {
            "draws": 2,
            "funnel": {
                "candidates": accepted + 2,
                "accepted": accepted,
                "rejected": [{"stage": "judge_pair", "reason": "judged bad", "count": 2}],
            },
        },
    }


def write_run(
    root: Path, records: Sequence[Record] | None = None, run: Mapping[str, Any] | None = None, task: str = "test/foxes"
) -> Path:
    """Put a run's files below a folder; returns the run's directory."""
    records = some_records(task=task) if records is None else records
    folder = root / task
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(run or a_run_json(task, accepted=len(records))), "utf-8")
    made = {id(record): record for record in records}  # many of them may be the same one
    lines = {key: json.dumps(record.model_dump(mode="json"), ensure_ascii=False) + "\n" for key, record in made.items()}
    text = "".join(lines[id(record)] for record in records)
    (folder / "data.jsonl").write_bytes(text.encode("utf-8", "backslashreplace"))
    return folder


def sources(*places: Path) -> tuple[SourceRun, ...]:
    """The runs there."""
    return find_sources(places)


def say(folder: Path, row: Record | Rejection, verdict: str, **more: Any) -> None:
    """What a person says of a row of the run in a folder."""
    log = ReviewLog(RunPaths(folder))
    log.read()
    review = Review.model_validate({"id": row.id, "text": text_mark(row), "verdict": verdict, **more})
    assert log.add(review, log.changes(row.id)) is None


def exported(place: Path, out: Path, layout: Format = "messages", **options: Any) -> Tally:
    """Export the runs at a place."""
    runs = find_sources([place], PREFERENCES.get(layout, "accepted"))
    return write_export(ExportRequest(runs, layout, out, STAMP, **options))


def json_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSONL file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def files_below(folder: Path) -> dict[str, bytes]:
    """Every file below a folder by its path, hidden ones too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
