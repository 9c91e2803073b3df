"""Evaluation questions from files: what is read of a row, and one sentence with file and line for what cannot be."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skills_dspy.base.errors import EvaluationError
from skills_dspy.screens.benchmark import Benchmark, read_benchmark


def jsonl(folder: Path, *rows: object, name: str = "exam.jsonl") -> Path:
    """A file of JSON lines."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def texts(found: Benchmark) -> list[str]:
    """The questions' texts."""
    return [question.text for question in found.questions]


@pytest.mark.parametrize(
    ("row", "text", "grounded"),
    [
        ({"question": "Q?", "answer": "A", "choices": ["yes", "no"]}, "Q?", False),
        ({"problem": " P ", "solution": "S"}, "P", False),
        ({"instruction": "I", "input": "in", "output": "out"}, "I\nin", False),
        ({"instruction": "I", "input": "", "output": "out"}, "I", False),
        ({"instruction": "", "input": "alone"}, "alone", False),
        ({"prompt": "P", "completion": "C"}, "P", False),
        ({"text": "T", "label": 1}, "T", False),
        ({"question": "Q?", "prompt": "Answer this: Q?"}, "Q?", False),
        ({"question": "Q?", "context": "C."}, "C.\nQ?", True),
        ({"passage": "C.", "question": "Q?", "context": None}, "C.\nQ?", True),
        (
            {
                "messages": [
                    {"role": "system", "content": "s"},
                    {"role": "user", "content": "u"},
                    {"role": "assistant", "content": "a"},
                ]
            },
            "u",
            False,
        ),
        ({"messages": [{"role": "user", "content": "u"}, {"role": "user", "content": "v"}]}, "u\nv", False),
        ({"prompt": [{"role": "user", "content": "u"}]}, "u", False),
    ],
)
@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_what_is_read_of_a_row(tmp_path: Path, row: dict[str, Any], text: str, grounded: bool, ending: str) -> None:
    """The first field with a question, an alpaca's input, a context before it, the user's turns; no answers, no choices."""
    path = tmp_path / f"exam.{ending}"
    if ending == "jsonl":
        path = jsonl(tmp_path, row)
    else:
        pq.write_table(pa.Table.from_pylist([row]), path)
    (question,) = read_benchmark([path]).questions
    assert (question.text, question.grounded, question.place) == (text, grounded, f"exam.{ending}:1")


def test_lines_are_counted_and_blank_ones_passed_over(tmp_path: Path) -> None:
    """In text and JSONL, with a byte order mark and with the line ends of other systems."""
    text = tmp_path / "exam.txt"
    text.write_bytes("\ufeffFirst?\r\n\n  \nZweite Frage mit ä?\r\n".encode())
    rows = tmp_path / "exam.jsonl"
    rows.write_bytes(b'\n{"question": "Third?"}\r\n')
    found = read_benchmark([text, rows])
    assert [(q.place, q.text) for q in found.questions] == [
        ("exam.jsonl:2", "Third?"),
        ("exam.txt:1", "First?"),
        ("exam.txt:4", "Zweite Frage mit ä?"),
    ]
    assert [(file.name, file.questions) for file in found.files] == [("exam.jsonl", 1), ("exam.txt", 2)]


def test_names_tell_files_apart_and_their_order_does_not_matter(tmp_path: Path) -> None:
    """As many folders as it takes; a file given twice is one file."""
    one, two = (jsonl(tmp_path, {"text": name}, name=f"{name}/test.jsonl") for name in ("math", "code"))
    found = read_benchmark([one, two])
    assert [file.name for file in found.files] == ["code/test.jsonl", "math/test.jsonl"]
    assert read_benchmark([two, one]) == found
    assert read_benchmark([one, tmp_path / "code" / ".." / "math" / "test.jsonl"]).files[0].name == "test.jsonl"
    changed = jsonl(tmp_path, {"text": "other"}, name="math/test.jsonl")
    assert read_benchmark([changed]).files[0].sha256 != found.files[1].sha256


FIELDS = "a question is text in question, problem, instruction, prompt, text, input, or messages"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("exam.csv", b"Q", ": evaluation questions are read from files that end in .jsonl, .parquet, .txt; convert this one"),
        ("exam.txt", b" \n\n", ": there is no question in this file; leave it out"),
        ("exam.jsonl", b"", ": there is no question in this file; leave it out"),
        ("exam.jsonl", b'{"text": "a"}\n{"text": "b', ":2: this line is not JSON; write one object on each line"),
        ("exam.jsonl", b'{"text": "a"}\n["b"]\n', ":2: this line is not a JSON object; write one object on each line"),
        ("exam.jsonl", b"[" * 100_000, ":1: this line is not JSON; write one object on each line"),
        ("exam.jsonl", b'{"ctx": "a", "endings": []}', f":1: no question: this row has `ctx`, `endings`; {FIELDS}"),
        ("exam.jsonl", b'{"question": " "}', f":1: no question: this row has `question`; {FIELDS}"),
        ("exam.jsonl", b"{}", f":1: no question: this row has nothing; {FIELDS}"),
        ("exam.jsonl", b'{"question": 3}', ":1: `question` is not text; write it as a string"),
        ("exam.jsonl", b'{"question": "q", "context": ["c"]}', ":1: `context` is not text; write it as a string"),
        ("exam.jsonl", b'{"text": "\\ud800"}', ":1: the question holds half a surrogate pair, which is no text; correct it"),
        ("exam.jsonl", b'{"messages": ["a"]}', ":1: `messages` is not a list of turns with `role` and `content`, both text"),
        ("exam.jsonl", b'{"messages": []}', ":1: no turn of `messages` has text of the user"),
        ("exam.txt", b"good\nb\xe4d\n", ":2: this line is not UTF-8; save the file as UTF-8"),
        ("exam.parquet", b"PAR1 or not", ": this is not a Parquet file that can be read"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    """What is wrong, where, and what to do."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(EvaluationError) as caught:
        read_benchmark([path])
    assert str(caught.value).startswith(f"{path}{said}")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """Or is a folder."""
    with pytest.raises(EvaluationError, match=r"gone.txt: there is no such file; give the path"):
        read_benchmark([tmp_path / "gone.txt"])
    (tmp_path / "exam.txt").mkdir()
    with pytest.raises(EvaluationError, match=r"exam.txt: this is a folder; name the files in it"):
        read_benchmark([tmp_path / "exam.txt"])


def test_a_parquet_file_names_rows_and_columns(tmp_path: Path) -> None:
    """Rows are counted from 1 over all its parts; without a known column it is refused, and so is a row without a question."""
    path = tmp_path / "exam.parquet"
    pq.write_table(pa.table({"question": ["a", "b", "c"], "answer": [1, 2, 3]}), path, row_group_size=2)
    assert [q.place for q in read_benchmark([path]).questions] == [f"exam.parquet:{n}" for n in (1, 2, 3)]
    pq.write_table(pa.table({"ctx": ["a"], "endings": ["b"]}), path)
    with pytest.raises(EvaluationError, match=r"exam.parquet:1: no question: this row has `ctx`, `endings`"):
        read_benchmark([path])
    pq.write_table(pa.table({"question": ["a", None]}), path)
    with pytest.raises(EvaluationError, match=r"exam.parquet:2: no question"):
        read_benchmark([path])
    pq.write_table(pa.table({"question": [1]}), path)
    with pytest.raises(EvaluationError, match=r"exam.parquet:1: `question` is not text"):
        read_benchmark([path])
