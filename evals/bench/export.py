"""`python -m evals.bench.export`: time and memory of exports of many synthetic rows, each in a process of its own.

The rows are words drawn at random, one in ten of them a near-copy of the one before it: no model wrote them. Their vectors are
drawn at random too, with a cosine of some 0.4 to each other, as questions of one skill may have.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

import numpy as np

from skills_dspy.model.embedding.vectors import vector_key
from skills_dspy.store.journal import Journal

VOCABULARY = 20_000
DIMENSION = 384


def write_rows(folder: Path, count: int, seed: int = 7) -> None:
    """Put a run with so many accepted rows into a folder."""
    rng = random.Random(seed)
    words = [f"w{number}" for number in range(VOCABULARY)]
    task = {"task_name": "bench", "seed_examples": [{"question": "q", "answer": "a"}]}
    (folder / "run.json").write_text(json.dumps({"task": task, "embedder": {"name": "none"}}), "utf-8")
    question: list[str] = []
    with (folder / "data.jsonl").open("w", encoding="utf-8") as file:
        for number in range(count):
            if number % 10:
                question = rng.choices(words, k=rng.randint(8, 20))
            elif question:
                question[rng.randrange(len(question))] = rng.choice(words)
            file.write(json.dumps(_row(number, question, rng.choices(words, k=rng.randint(60, 150)))) + "\n")


def write_vectors(folder: Path, seed: int = 7) -> None:
    """Give a run a journal with a vector of each question."""
    rng = np.random.default_rng(seed)
    common = rng.standard_normal(DIMENSION)
    with Journal.open(folder / "journal.sqlite") as journal, (folder / "data.jsonl").open(encoding="utf-8") as file:
        journal.set_meta("embedder_weights", "none: drawn at random")
        while rows := [json.loads(line) for line in islice(file, 4096)]:
            drawn = 0.8 * common + rng.standard_normal((len(rows), DIMENSION))
            drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
            keys = (vector_key("none", row["instruction"]) for row in rows)
            journal.put_vectors([(key, vector.astype("<f4").tobytes()) for key, vector in zip(keys, drawn, strict=True)])


def _row(number: int, question: list[str], answer: list[str]) -> dict[str, object]:
    names = ("instruction_quality", "sample_quality", "difficulty", "category")
    steps = ("write_questions", "judge_question", "instruction_quality", "write_answer", "judge_pair", "sample_quality")
    return {
        "id": f"{number:016x}",
        "task_name": "bench",
        "task_description": "",
        "instruction": " ".join(question),
        "response": " ".join(answer),
        "context": None,
        "tags": {
            "instruction_quality": "good",
            "sample_quality": 5,
            "difficulty": "easy",
            "category": "others",
            "explanations": dict.fromkeys(names, "An explanation of some length, as taggers write it."),
        },
        "question_verdict": {"explanation": "An explanation of some length.", "rating": 1},
        "pair_verdict": {"explanation": "An explanation of some length.", "rating": 3},
        "provenance": {
            "draw": number // 5,
            "index": number % 5,
            "shown": ["seed:0"],
            "models": {"generator": "none"},
            "prompts": dict.fromkeys(steps, "0123456789ab"),
            "calls": {step: [f"{number:064x}"] for step in steps},
            "neighbour": {"id": "seed:0", "distance": 1.0},
        },
    }


def measure(folder: Path, out: Path, *words: str) -> str:
    """Run one export; returns a line with its time and its peak of resident memory."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "skills_dspy", "export", str(folder), "--out", str(out), "--overwrite", *words]
    code = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=2, stderr=-3); "
    code += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=True)
    unit = 1024 if sys.platform != "darwin" else 1024**2  # kilobytes, but bytes on macOS
    return f"{' '.join(words):40} {time.perf_counter() - begun:7.1f} s {int(done.stdout) / unit:6.0f} MB"


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--split-rows", type=int, default=100_000, help="with --test-share only up to so many rows")
    given = parser.parse_args()
    for count in given.rows:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place, "run")
            folder.mkdir()
            write_rows(folder, count)
            for layout in ("messages", "parquet"):
                print(f"{count:>9,} rows", measure(folder, Path(place, layout), "--format", layout), flush=True)
            if count <= given.split_rows:
                words = ("--format", "messages", "--test-share", "0.1")
                print(f"{count:>9,} rows", measure(folder, Path(place, "split"), *words), flush=True)
                write_vectors(folder)
                print(f"{count:>9,} rows", measure(folder, Path(place, "split"), *words), "with vectors", flush=True)


if __name__ == "__main__":
    main()
