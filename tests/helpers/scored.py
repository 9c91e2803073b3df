"""Small datasets to be scored, for tests: each test says only what matters to it."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evals.bench.hash_embedder import HashEmbedder
from evals.data.datasets import Dataset, RunOrigin
from evals.data.material import Material, gather
from evals.data.rows import Row, row_of
from evals.data.vectors import Embedded
from skills_dspy.base.records import Reason, SeedExample
from skills_dspy.model.embedding.embedder import Embedder
from skills_dspy.model.embedding.vectors import RememberedVectors
from skills_dspy.pipeline.funnel import Funnel
from skills_dspy.similarity.languages import Classifier
from skills_dspy.store.journal import Journal
from skills_dspy.store.run_dir import RunPaths

HASH = HashEmbedder()


def english(_: str) -> tuple[str, float]:
    """Takes everything for English."""
    return "en", 1.0


def by_first_word(text: str) -> tuple[str, float]:
    """Takes the first word for the language."""
    return text.split(maxsplit=1)[0], 1.0


def a_seed(question: str, answer: str = "An answer.", context: str | None = None) -> SeedExample:
    """A seed."""
    return SeedExample(question=question, answer=answer, context=context)


def a_run(
    accepted: int = 0, rejected: Mapping[tuple[str, Reason], int] | None = None, journal: Path = Path("nowhere.sqlite")
) -> RunOrigin:
    """A run that ended with this funnel, whose vectors are those of HashEmbedder."""
    counts = Counter[tuple[str, Reason]](rejected or {})
    return RunOrigin("complete", "Ollama 0.0.0", Funnel(accepted + counts.total(), accepted, counts), HASH.name, journal)


def a_material(
    rows: Sequence[Row],
    seeds: Sequence[SeedExample] = (),
    *,
    run: RunOrigin | None = None,
    embedder: Embedder | None = HASH,
    vectors: NDArray[np.float32] | None = None,
    seed_vectors: NDArray[np.float32] | None = None,
    classify: Classifier = english,
    sample: int | None = None,
    path: Path = Path("rows.jsonl"),
) -> Material:
    """A dataset made ready, with the vectors of HashEmbedder or those that are given."""
    dataset = Dataset(str(path), path, tuple(rows), tuple(seeds), run)
    material = gather(dataset, sample, 0, embedder, classify=classify, progress=lambda *_: None)
    if vectors is None:
        return material
    given = Embedded(vectors, vectors[:0] if seed_vectors is None else seed_vectors, "given by hand")
    return Material(**{name: getattr(material, name) for name in Material.__slots__} | {"vectors": given})


def around(*groups: int, spread: float = 0.0, seed: int = 0, dimension: int = 32) -> NDArray[np.float32]:
    """Unit vectors: for each number one near that axis, off by noise of this size."""
    noise = np.random.Generator(np.random.PCG64(seed)).normal(size=(len(groups), dimension)) * spread
    vectors = np.eye(dimension)[list(groups)] + noise
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def rows_of(*lines: Mapping[str, Any]) -> list[Row]:
    """The rows that lines hold."""
    return [row for line in lines if (row := row_of(line, Path("data.jsonl"), 1)) is not None]


def a_line(question: str, answer: str = "An answer of some words.", context: str | None = None) -> dict[str, Any]:
    """A line of a run's data.jsonl, as far as it is scored."""
    return {
        "instruction": question,
        "response": answer,
        "context": context,
        "tags": {
            "instruction_quality": "good",
            "sample_quality": 5,
            "difficulty": "easy",
            "category": "reasoning",
            "soft": {"difficulty": {"probabilities": dict.fromkeys(DIFFICULTIES, 0.2), "expected": 3.0, "mass": 0.9}},
        },
        "question_verdict": {"explanation": "", "rating": 1, "soft": None},
        "pair_verdict": {
            "explanation": "",
            "rating": 3,
            "soft": {"probabilities": {"1": 0.0, "2": 0.25, "3": 0.75}, "expected": 2.75, "mass": 1.0},
        },
        "provenance": {"draw": 0, "shown": ["seed:0", "0123456789abcdef"]},
    }


DIFFICULTIES = ("very easy", "easy", "medium", "hard", "very hard")


def write_run(
    folder: Path,
    lines: Sequence[Mapping[str, Any]],
    seeds: Sequence[SeedExample] = (),
    *,
    name: str = "test/foxes",
    changes: Mapping[str, Any] | None = None,
    remember: Sequence[str] = (),
) -> RunPaths:
    """A run's directory, as far as it is scored; `remember` are texts whose vectors are in the journal."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = RunPaths(folder)
    funnel = Funnel(len(lines) + 2, len(lines), Counter({("dedup", "duplicate"): 2}))
    content = {
        "status": "complete",
        "task": {"task_name": name, "seed_examples": [seed.model_dump() for seed in seeds]},
        "server": {"version": "0.0.0", "note": None},
        "embedder": {"name": HASH.name, "weights": HASH.weights},
        "result": {"funnel": funnel.as_json()},
        **(changes or {}),
    }
    paths.run_json.write_text(json.dumps(content), "utf-8")
    paths.data.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    with Journal.open(paths.journal) as journal:
        if remember:
            _remember(journal, remember)
    return paths


def _remember(journal: Journal, texts: Sequence[str]) -> None:
    """Have the program itself put vectors there."""
    import asyncio

    from skills_dspy.model.embedding.embedder import AsyncEmbedder

    async def work() -> None:
        embedder = AsyncEmbedder(HASH)
        await RememberedVectors(embedder, journal, None, Path("run")).embed(texts)
        await embedder.close()

    asyncio.run(work())
