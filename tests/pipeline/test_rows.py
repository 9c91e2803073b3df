"""The ledger: every decision is a row that validates, the same bytes whatever the timing was."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from skills_dspy.base.records import Neighbour, PairVerdict, QuestionVerdict, Record, Rejection, SoftRating, Tags
from skills_dspy.pipeline.candidate import Candidate, Dropped, Passed
from skills_dspy.pipeline.draw import Draw, Example
from skills_dspy.pipeline.funnel import STAGES
from skills_dspy.pipeline.rows import RunLedger
from skills_dspy.store.files import AppendLog, read_rows
from tests.helpers.making import a_spec

SEED = Example("seed:0", "What is a fox?", "An animal.", None)
EARLIER = Example("0123456789abcdef", "Where do foxes live?", "In dens.", None)
NEAR = Neighbour(id="seed:0", distance=0.5)
PROMPTS = {kind: {stage: f"{kind[0]}-{stage}" for stage in STAGES} for kind in ("freeform", "grounded")}
TAGS = Tags(
    instruction_quality="good",
    sample_quality=4,
    difficulty="easy",
    category="math",
    other_categories=("editing",),
    explanations={"category": "It asks for a sum."},
)
PASSED = Passed("So.", QuestionVerdict(explanation="Fit.", rating=1), PairVerdict(explanation="Right.", rating=3), TAGS)
WRITTEN = {"write_questions": ("w1", "w2")}
ALL_CALLS = {**WRITTEN, "judge_question": ("j",), "difficulty": ("d",), "category": ("c",)}


def a_candidate(
    question: str | None = "Why?",
    calls: dict[str, tuple[str, ...]] | None = None,
    *,
    number: int = 3,
    index: int = 1,
    context: str | None = None,
) -> Candidate:
    """A candidate of some draw; it needs a loop."""
    draw = Draw(number, "freeform" if context is None else "grounded", (SEED,), (EARLIER,), (SEED,))
    return Candidate(draw, index, question, context, None, dict(ALL_CALLS if calls is None else calls))


def written(
    folder: Path, scene: Callable[[RunLedger], object], *, seed: int = 0, task: str = "test/foxes"
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows of data.jsonl and rejected.jsonl after a scene."""
    folder.mkdir(exist_ok=True)
    paths = folder / "data.jsonl", folder / "rejected.jsonl"

    async def run() -> None:
        with AppendLog.open(paths[0]) as data, AppendLog.open(paths[1]) as rejected:
            scene(RunLedger(a_spec(name=task), seed, {"generator": "m"}, PROMPTS, data, rejected))

    asyncio.run(run())
    accepted, rejections = ([row for _, row in read_rows(path)] for path in paths)
    return accepted, rejections


def test_an_accepted_pair(tmp_path: Path) -> None:
    """The whole row: texts, verdicts, tags, and where all of it came from."""
    ids: list[str] = []
    accepted, rejected = written(tmp_path, lambda ledger: ids.append(ledger.accept(a_candidate(), PASSED, NEAR)))
    assert rejected == []
    (row,) = accepted
    assert [row["id"]] == ids
    assert len(row["id"]) == 16
    assert row == {
        "id": row["id"],
        "task_name": "test/foxes",
        "task_description": "Knowing foxes.",
        "instruction": "Why?",
        "response": "So.",
        "context": None,
        "tags": {
            "instruction_quality": "good",
            "sample_quality": 4,
            "difficulty": "easy",
            "category": "math",
            "other_categories": ["editing"],
            "explanations": {"category": "It asks for a sum."},
            "soft": {},
        },
        "question_verdict": {"explanation": "Fit.", "rating": 1, "soft": None},
        "pair_verdict": {"explanation": "Right.", "rating": 3, "soft": None},
        "provenance": {
            "draw": 3,
            "index": 1,
            "shown": ["seed:0", "0123456789abcdef"],
            "fitting": [],
            "models": {"generator": "m"},
            "prompts": {stage: f"f-{stage}" for stage in ALL_CALLS},
            "calls": {stage: list(digests) for stage, digests in ALL_CALLS.items()},
            "neighbour": {"id": "seed:0", "distance": 0.5},
        },
    }
    assert Record.model_validate(row).model_dump(mode="json") == row


def test_an_accepted_pair_with_probabilities(tmp_path: Path) -> None:
    """They stand beside the labels, in the scale's order; a row without them, as older ones are, still reads."""
    soft = SoftRating(probabilities={"1": 0.125, "2": 0.25, "3": 0.625}, expected=2.5, mass=0.98)
    judged = replace(
        PASSED,
        pair_verdict=PASSED.pair_verdict.model_copy(update={"soft": soft}),
        tags=TAGS.model_copy(update={"soft": {"difficulty": soft}}),
    )
    accepted, _ = written(tmp_path, lambda ledger: ledger.accept(a_candidate(), judged, NEAR))
    (row,) = accepted
    told = {"probabilities": {"1": 0.125, "2": 0.25, "3": 0.625}, "expected": 2.5, "mass": 0.98}
    assert (row["pair_verdict"]["soft"], row["tags"]["soft"]) == (told, {"difficulty": told})
    assert list(row["pair_verdict"]["soft"]["probabilities"]) == ["1", "2", "3"]
    assert Record.model_validate(row).pair_verdict.soft == soft
    for part in ("question_verdict", "pair_verdict", "tags"):
        del row[part]["soft"]
    assert Record.model_validate(row).pair_verdict.soft is None


def test_a_rejected_candidate(tmp_path: Path) -> None:
    """What was rejected where and why, with the reply that decided."""
    dropped = Dropped("judge_pair", "judged bad", "Wrong.", "So.", '{"rating": 1}')
    accepted, rejected = written(tmp_path, lambda ledger: ledger.reject(a_candidate(context="A text."), dropped, None))
    assert accepted == []
    (row,) = rejected
    rejection = Rejection.model_validate(row)
    assert rejection.model_dump(mode="json") == row
    assert (rejection.stage, rejection.reason, rejection.detail) == ("judge_pair", "judged bad", "Wrong.")
    assert (rejection.instruction, rejection.response, rejection.context) == ("Why?", "So.", "A text.")
    assert rejection.raw_reply == '{"rating": 1}'
    assert rejection.provenance.neighbour is None
    assert rejection.provenance.prompts["judge_question"] == "g-judge_question"


def a_candidate_rejected(dropped: Dropped, **changes: Any) -> Callable[[RunLedger], object]:
    """A scene in which a candidate is rejected."""
    return lambda ledger: ledger.reject(a_candidate(**changes), dropped, NEAR)


def a_candidate_accepted(**changes: Any) -> Callable[[RunLedger], object]:
    """A scene in which a candidate is accepted."""
    return lambda ledger: ledger.accept(a_candidate(**changes), PASSED, NEAR)


def test_a_duplicate_has_the_calls_of_its_writing_only(tmp_path: Path) -> None:
    """How far it had come when it was found out depends on timing."""
    duplicate = Dropped("dedup", "duplicate", "squared distance 0.01 to seed:0")
    far = {"write_context": ("x",), **ALL_CALLS}
    near = {"write_context": ("x",), **WRITTEN}
    rows = [
        written(tmp_path / name, a_candidate_rejected(duplicate, calls=calls, context="A text."))[1]
        for name, calls in (("far", far), ("near", near))
    ]
    assert rows[0] == rows[1]
    assert list(rows[0][0]["provenance"]["calls"]) == ["write_context", "write_questions"]
    assert list(rows[0][0]["provenance"]["prompts"]) == ["write_context", "write_questions"]


def test_calls_stand_in_the_order_of_the_stages(tmp_path: Path) -> None:
    """Two tags are asked for at once; which came first leaves no trace in the bytes."""
    other = dict(reversed(ALL_CALLS.items()))
    scenes = {"one": ALL_CALLS, "other": other}
    for name, calls in scenes.items():
        written(tmp_path / name, a_candidate_accepted(calls=calls))
        written(tmp_path / name, a_candidate_rejected(Dropped("category", "unreadable", "no JSON, twice"), calls=calls))
    for file in ("data.jsonl", "rejected.jsonl"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "other" / file).read_bytes()


def id_of(folder: Path, seed: int = 0, task: str = "test/foxes", **changes: Any) -> str:
    """The id of an accepted candidate."""
    accepted, _ = written(folder, a_candidate_accepted(**changes), seed=seed, task=task)
    return str(accepted[0]["id"])


def test_ids_are_stable_and_different(tmp_path: Path) -> None:
    """The same row of the same run has the same id, whatever became of it; every other row has another."""
    first = id_of(tmp_path / "a")
    assert id_of(tmp_path / "b") == first
    _, (row,) = written(tmp_path / "c", a_candidate_rejected(Dropped("judge_pair", "judged bad", "Wrong.")))
    assert row["id"] == first
    assert first == "8b6033f404248fe4"
    others: list[dict[str, Any]] = [
        {"seed": 1},
        {"task": "test/other"},
        {"number": 4},
        {"index": 0},
        {"question": "How?"},
        {"number": 31, "index": 1},
    ]
    ids = {id_of(tmp_path / f"other {n}", **changes) for n, changes in enumerate(others)}
    assert len(ids | {first}) == len(others) + 1


def test_a_tag_is_lost_only_where_it_is_empty() -> None:
    """A model that tags a question about servers may begin its explanation as the program begins its own."""
    said = {"difficulty": "server failed: 500", "category": "server failed: is what it asks about"}
    for difficulty, count in ((None, 1), ("easy", 0)):
        tags = TAGS.model_copy(update={"difficulty": difficulty, "explanations": said})
        assert replace(PASSED, tags=tags).tags_lost == count
