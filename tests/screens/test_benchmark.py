"""Evaluation questions from files: what is read of a row, and one sentence with file and line for what cannot be."""

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skills_dspy.base.errors import EvaluationError
from skills_dspy.screens.benchmark import Benchmark, read_benchmark, skipped_warnings

PACK: dict[str, Callable[[bytes], bytes]] = {
    ".gz": partial(gzip.compress, mtime=0),  # else each worker of a test run has names of its own
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda data: pa.compress(data, "zstd", asbytes=True),
}


def parquet_bytes(rows: list[dict[str, Any]]) -> bytes:
    """A Parquet file of these rows."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return bytes(sink.getvalue())


def arrow_bytes(rows: list[dict[str, Any]]) -> bytes:
    """What datasets keeps of these rows on a disk."""
    table, sink = pa.Table.from_pylist(rows), pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


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
        ({"prompt": [{"role": "user", "content": [{"type": "text", "text": "u"}, {"type": "image"}]}]}, "u", False),
        ({"conversations": [{"from": "human", "value": "u"}, {"from": "gpt", "value": "a"}]}, "u", False),
        ({"question": {"stem": "Q?", "choices": [{"text": "a", "label": "A"}]}, "answerKey": "A"}, "Q?", False),
        ({"ctx": "C", "endings": ["a", "b"], "label": 1}, "C", False),
        ({"Problem": "P", "Answer": "3"}, "P", False),
        ({"question": "Q?", "context": {"contexts": ["a", "b"], "n": 2}}, "a\nb\nQ?", True),
        ({"turns": [{"content": "T"}], "cluster": "c"}, "T", False),
        ({"question": "Q?", "messages": [{"role": "user", "content": "u"}], "context": "C."}, "C.\nQ?", True),
        ({"query": "Q?", "conversations": [{"from": "gpt", "value": "a"}]}, "Q?", False),
        ({"question": " ", "messages": [{"role": "user", "content": "u"}]}, "u", False),
        ({"turns": 1, "messages": [{"role": "user", "content": "u"}], "context": "C."}, "u", False),
        ({"text": None, "input": "I", "conversation": [{"role": "user", "content": "u"}]}, "I", False),
        ({"question": 4}, "4", False),
        ({"question": 0.5, "turns": 3, "id": 7}, "0.5", False),
        ({"question": 17, "goal": 2, "question_content": "Q?"}, "Q?", False),
        ({"question": float("nan"), "query": "Q?", "context": 2}, "2\nQ?", True),
        ({"question": {"value": 3}}, "3", False),
        ({"prompt": [{"role": "user", "content": "u"}, {"role": "assistant", "content": "4"}], "turns": 2}, "u", False),
        ({"messages": json.dumps([{"role": "user", "content": 5}]), "question": " "}, "5", False),
        ({"paragraphs": "P", "question": "Q?"}, "Q?", False),
        ({"prompt": '["pear", "apple"]'}, '["pear", "apple"]', False),
        ({"conversation": '["pear", {"role": "user"}]'}, '["pear", {"role": "user"}]', False),
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


@pytest.mark.parametrize("chat", ["messages", "conversations", "conversation", "prompt"])
def test_an_empty_chat_hides_no_question(tmp_path: Path, chat: str) -> None:
    """Columns of other sets stand beside one another in a file that was put together."""
    assert texts(read_benchmark([jsonl(tmp_path, {"question": "Q?", chat: []})])) == ["Q?"]


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


FIELDS = (
    "a question is text in question, problem, instruction, prompt, text, input, turns or messages, "
    "or name its place: FILE:FIELD"
)
NO_COLUMN = (
    "no column is called question, problem, instruction, prompt, text, input, turns or messages: "
    "the first line, taken for the columns' names, has"
)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "exam.csv",
            b"Q\nq\n",
            f":2: {NO_COLUMN} `Q`; name the one with the question, or, if that line has no names, its number: ",
        ),
        ("mmlu.csv", b"What is it?,a,b,c,d,A\nAnd this?,e,f,g,h,B\n", f":2: {NO_COLUMN} `What is it?`, `a`, `b`, "),
        (
            "exam.doc",
            b"Q",
            ": it holds no rows that can be told; .jsonl, .json, .csv, .tsv, .parquet, .arrow, .txt are read, also packed",
        ),
        (
            "exam.csv",
            b"question,answer\n\nWhat, then?,a\n",
            ":3: this row has 3 cells and the first one has 2; put a text with commas or line ends in quotes",
        ),
        (
            "exam.csv",
            b"question\nWhy, then?\n",
            ":2: this row has 2 cells and the first one has 1; put a text with commas or line ends in quotes",
        ),
        (
            "exam.csv",
            b"question;a;b\nfirst\nhalf;c;d\n",
            ":2: this row has 1 cell and the first one has 3; put a text with semicolons",
        ),
        (
            "exam.tsv",
            b"question\ta\nb\tc\td\n",
            ":2: this row has 3 cells and the first one has 2; put a text with tabs or line ends in quotes",
        ),
        ("exam.json", b'{"question":\n"a"', ":2: this is not JSON (Expecting ',' delimiter); correct it"),
        ("exam.json.gz", b"\x1f\x8b\x08\x00", ": this file cannot be unpacked ("),
        ("exam.xlsx", b"PK\x03\x04", ": this is a ZIP archive or a spreadsheet; unpack it, or save it as CSV"),
        ("exam.jsonl", b"version https://git-lfs.github.com/spec/v1\n", ": this is what Git LFS keeps in place of the file"),
        ("exam.jsonl", b"\n<!DOCTYPE html>", ": this is a web page and not the file; download the file itself"),
        ("exam.txt", b" \n\n", ": there is no question in this file; leave it out"),
        ("exam.jsonl", b"", ": there is no question in this file; leave it out"),
        ("exam.jsonl", b'{"text": "a"}\n{"text": "b', ":2: this line is not JSON; write one object on each line"),
        ("exam.jsonl", b'{"text": "a"}\n["b"]\n', ":2: this line is not a JSON object; write one object on each line"),
        ("exam.jsonl", b"[" * 100_000, ":1: this line is not JSON; write one object on each line"),
        ("exam.jsonl", b'{"stimulus": "a", "endings": []}', f":1: no question: this row has `stimulus`, `endings`; {FIELDS}"),
        (
            "exam.jsonl",
            b'{"question": " "}',
            ": there is no question in this file: in all 1 rows it is null or blank; leave it out",
        ),
        ("exam.jsonl", b"{}", f":1: no question: this row has nothing; {FIELDS}"),
        ("exam.jsonl", b'{"question": true}', ":1: `question` is not text; write it as a string"),
        ("exam.jsonl", b'{"input": [101, 2023]}', ":1: `input` is not text; write it as a string"),
        ("exam.jsonl", b'{"turns": 3, "dialog": ["a"]}', f":1: no question: this row has `turns`, `dialog`; {FIELDS}"),
        ("exam.csv", b"id,messages\n1,[{'role': 'user'}]\n", ":2: `messages` is not a list of turns with `role` and `content`"),
        (
            "exam.jsonl",
            b'{"question": {"id": 3}}',
            ":1: `question` is not text, but holds `id`; name the one with the question: ",
        ),
        ("exam.jsonl", b'{"text": "\\ud800"}', ":1: the question holds half a surrogate pair, which is no text; correct it"),
        ("exam.jsonl", b'{"messages": ["a"]}', ":1: `messages` is not a list of turns with `role` and `content`"),
        ("exam.jsonl", b'{"messages": []}', ": there is no question in this file: in all 1 rows it is null or blank"),
        (
            "exam.txt",
            b"good\nb\xe4d\n",
            ":2: this line is not UTF-8 (it may be Windows-1252",
        ),
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
    pq.write_table(pa.table({"stimulus": ["a"], "endings": ["b"]}), path)
    with pytest.raises(EvaluationError, match=r"exam.parquet:1: no question: this row has `stimulus`, `endings`"):
        read_benchmark([path])
    pq.write_table(pa.table({"question": [True]}), path)
    with pytest.raises(EvaluationError, match=r"exam.parquet:1: `question` is not text"):
        read_benchmark([path])


# ---- files as they are published -------------------------------------------------------------------------------------


def test_every_turn_of_a_benchmark_is_a_question(tmp_path: Path) -> None:
    """A dialogue's first turn is asked alone, and so may a copy of it be."""
    found = read_benchmark([jsonl(tmp_path, {"question_id": 1, "turns": ["First?", " ", "And then?"]})])
    assert [(q.place, q.text) for q in found.questions] == [("exam.jsonl:1", "First?"), ("exam.jsonl:1", "And then?")]


def test_rows_without_a_question_are_left_out_and_counted(tmp_path: Path) -> None:
    """Null, blank, a chat without a user, a line that is null; one sentence says how many."""
    rows = ({"question": "a"}, {"question": None}, {"question": " "}, None, {"messages": [{"role": "system", "content": "s"}]})
    found = read_benchmark([jsonl(tmp_path, *rows)])
    assert (found.files[0].questions, found.files[0].skipped) == (1, 4)
    assert list(skipped_warnings(found)) == [f"{tmp_path}/exam.jsonl: 4 rows without a question were left out"]


JSON_ROWS = b'{"question": "a"}\n{"question": "b"}\n'


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("exam.json", JSON_ROWS),
        ("exam.json", b'[{"question": "a"},\n {"question": "b"}]'),
        ("exam.json", b'["a", "b"]'),
        ("exam.txt", b'{"questions": ["a", "b"]}\n'),
        ("exam.txt", b'\n{\n"questions": ["a", "b"]\n}'),
        ("exam.txt.gz", gzip.compress(JSON_ROWS, mtime=0)),
        ("exam.jsonl", b'[{"question": "a"}, {"question": "b"}]'),
        ("exam.json", b'{"canary": "x", "examples": [{"input": "a"}, {"input": "b"}]}'),
        ("exam.json", b'{"question": {"0": "a", "1": "b"}, "answer": {"0": "c", "1": "d"}}'),
        ("rows", b'{"rows": [{"row_idx": 0, "row": {"question": "a"}}, {"row_idx": 1, "row": {"question": "b"}}]}'),
        ("exam.csv", b'\xef\xbb\xbfid,Question\r\n1,a\r\n2,"b"\r\n'),
        ("exam.csv", b"id;question\n1;a\n2;b\n"),
        ("exam.csv", b"\r\n \nquestion;b\na;1\n  \nb;2;;\n"),
        ("exam.csv", b"question,\na\nb,\n"),
        (
            "exam.csv",
            b'id,messages\n1,"[{""role"": ""user"", ""content"": ""a""}]"\n2,"[{""role"": ""user"", ""content"": ""b""}]"\n',
        ),
        ("exam.csv", b'id,turns\n1,"[""a"", ""b""]"\n'),
        ("exam.tsv", b"question\tanswer\na\tx, y\nb\tz\n"),
        ("exam.jsonl", JSON_ROWS.decode().encode("utf-16")),
        *((f"exam.jsonl{ending}", pack(JSON_ROWS)) for ending, pack in PACK.items()),
        ("exam.jsonl", gzip.compress(JSON_ROWS, mtime=0)),
        ("exam.csv.gz", gzip.compress(b"question\na\nb\n", mtime=0)),
        ("exam.bin", parquet_bytes([{"question": "a"}, {"question": "b"}])),
        ("exam.arrow", arrow_bytes([{"question": "a"}, {"question": "b"}])),
    ],
)
def test_a_file_is_read_as_what_it_is(tmp_path: Path, name: str, data: bytes) -> None:
    """By what it holds, where its name does not say it; packed or not, from whatever system."""
    path = tmp_path / name
    path.write_bytes(data)
    assert texts(read_benchmark([path])) == ["a", "b"]


@pytest.mark.parametrize("article", [True, False])
def test_the_questions_of_squad_have_their_passages(tmp_path: Path, article: bool) -> None:
    """Its own files have them in articles of passages, and others have a passage on each line."""
    passages = [{"context": f"{n}.", "qas": [{"question": f"{n}{k}?", "answers": []} for k in (1, 2)]} for n in "AB"]
    path = tmp_path / "squad.json"
    path.write_text(json.dumps({"data": [{"title": "T", "paragraphs": passages}] if article else passages}))
    found = read_benchmark([path])
    assert texts(found) == ["A.\nA1?", "A.\nA2?", "B.\nB1?", "B.\nB2?"]
    assert all(question.grounded for question in found.questions)


@pytest.mark.parametrize(
    ("row", "field", "found"),
    [
        ({"question": "no", "q": {"stem": "a"}}, "q.stem", ["a"]),
        ({"question": {"a.b": 1, "stem": "a", "text": "b"}}, "question.text", ["b"]),
        ({"a.b": "a", "a": {"b": "no"}}, "a.b", ["a"]),
        ({"paragraphs": [{"qas": [{"q": "a"}, {"q": "b"}]}, {"qas": [{"q": "c"}]}]}, "paragraphs.qas.q", ["a", "b", "c"]),
        ({"chat": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "no"}]}, "chat", ["a"]),
        ({"question": "no", "turns": ["a", "b"]}, "turns", ["a", "b"]),
        ({"a": {"turns": '["a", "b"]'}}, "a.turns", ["a", "b"]),
        ({"asked": '["pear", "apple"]'}, "asked", ['["pear", "apple"]']),
        ({"question": "no", "a": {"sum": 4}}, "a.sum", ["4"]),
    ],
)
def test_a_field_can_be_named(tmp_path: Path, row: dict[str, Any], field: str, found: list[str]) -> None:
    """With dots for what lies within, through lists; the row that has none there is counted."""
    path = jsonl(tmp_path, row, {"other": 1})
    read = read_benchmark([Path(f"{path}:{field}")])
    assert texts(read) == found
    (file,) = read.files
    assert (file.name, file.field, file.skipped, str(file.path)) == (f"exam.jsonl:{field}", field, 1, f"{path}:{field}")


def test_a_field_of_columns_can_be_named(tmp_path: Path) -> None:
    """As pandas writes a table; and of JSON in a text file."""
    path, text = tmp_path / "exam.json", tmp_path / "race.txt"
    path.write_text('{"q": {"0": "a", "1": "b"}, "answer": {"0": "c", "1": "d"}}')
    text.write_text('{"article": "no", "asked": ["a", "b"]}')
    assert texts(read_benchmark([Path(f"{path}:q")])) == texts(read_benchmark([Path(f"{text}:asked")])) == ["a", "b"]


def test_a_text_file_may_begin_with_a_bracket(tmp_path: Path) -> None:
    """Its lines are questions where they are no JSON."""
    path = tmp_path / "exam.txt"
    path.write_text('[3, 1, 2]\n{"a": 1} is which kind of value?\n')
    assert len(read_benchmark([path]).questions) == 2


def test_a_column_without_a_name_has_a_number(tmp_path: Path) -> None:
    """The first line of such a file is a question, too."""
    (tmp_path / "exam.csv").write_text('"a, and\nmore",1,2\nb,3,4\n')
    found = read_benchmark([tmp_path / "exam.csv:1"])
    assert [(q.place, q.text) for q in found.questions] == [("exam.csv:1:1", "a, and\nmore"), ("exam.csv:1:3", "b")]


def test_a_row_without_names_that_is_cut_is_refused(tmp_path: Path) -> None:
    """A comma outside quotes would end the question there."""
    (tmp_path / "exam.csv").write_text("a,1,2\nWhat, then?,3,4\n")
    with pytest.raises(EvaluationError, match=r"exam\.csv:2: this row has 4 cells and the first one has 3; put a text with"):
        read_benchmark([tmp_path / "exam.csv:1"])


def test_a_colon_in_a_name_names_no_field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in a file that is there nor in a path of another system or the web, which is named whole."""
    monkeypatch.chdir(tmp_path)
    jsonl(tmp_path, {"text": "a"})
    assert texts(read_benchmark([jsonl(tmp_path, {"text": "b"}, name="exam.jsonl:text")])) == ["b"]
    jsonl(tmp_path, {"text": "c"}, name="C")
    for name, why in ((r"C:\x.jsonl", "there is no such file"), ("https://x.org/exam.jsonl", "this is an address")):
        with pytest.raises(EvaluationError) as caught:
            read_benchmark([Path(name)])
        assert str(caught.value).startswith(f"{Path(name)}: {why}")
    with pytest.raises(EvaluationError, match=r"exam.jsonl: no row has a text at `txt`; there is `text`"):
        read_benchmark([Path("exam.jsonl:txt")])
