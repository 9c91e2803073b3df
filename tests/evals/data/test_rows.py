"""Lines of JSON as rows: the layouts of ours and of others, the ratings, and what is refused with its line."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.data.rows import LAYOUTS, RATINGS, Row, read_pairs, row_of
from skills_dspy.base.errors import FileError
from skills_dspy.commands.export.parquet import parquet_file
from tests.helpers.exporting import a_record
from tests.helpers.making import there
from tests.helpers.scored import a_line

FILE = Path("rows.jsonl")
WORDS = st.text(max_size=12).filter(lambda text: bool(text.strip()))


def row(**content: Any) -> Row:
    """The row of line 3, which is none to be left out."""
    return there(row_of(content, FILE, 3))


def refused(content: dict[str, Any]) -> str:
    """Why a line is refused."""
    with pytest.raises(FileError) as caught:
        row_of(content, FILE, 3)
    assert (caught.value.path, caught.value.line) == (FILE, 3)
    return str(caught.value).removeprefix("rows.jsonl:3: ")


def written(folder: Path, text: str | bytes) -> Path:
    """A file with this content."""
    path = folder / "rows.jsonl"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# ---- layouts ---------------------------------------------------------------------------------------------------------


@given(WORDS, WORDS, st.none() | WORDS)
def test_every_layout_gives_the_same_row(question: str, answer: str, context: str | None) -> None:
    """Whatever the keys are called."""
    expected = Row(question, answer, context)
    assert row(instruction=question, response=answer, context=context) == expected
    assert row(instruction=question, output=answer, input=context or "") == expected
    assert row(question=question, answer=answer, context=context) == expected
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    assert row(messages=turns, context=context) == expected
    others = [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]
    for name, said in (("conversations", others), ("conversation", turns), ("messages", json.dumps(turns))):
        assert row(**{name: said}, context=context) == expected
    parts = [{"role": "user", "parts": [{"text": question}]}, {"role": "model", "parts": [{"text": answer}]}]
    both = [{"input": question, "output": answer}]
    for chat in ([question, answer], both, parts, [{**turn, "role": turn["role"].title()} for turn in turns]):
        assert row(conversation=chat, context=context) == row(contents=chat, Context=context) == expected
    assert row(chosen=turns, rejected=turns[:1], context=context) == replace(expected, preference="chosen")
    assert row(Question=question, Answer=answer, context=context) == expected
    assert row(inputs=question, targets=answer, context=context) == expected
    for answers in ([answer, "or so"], {"text": [answer], "answer_start": [3]}):
        assert row(question=question, answers=answers, context=context) == expected
    assert row(prompt=turns[:1], completion=turns[1:], context=context) == expected
    for asked, told in (
        ("prompt", "completion"),
        ("instruction", "generation"),
        ("user", "assistant"),
        ("question", "response"),
    ):
        assert row(**{asked: question, told: answer, "system": "s", "input": context}) == expected
    assert row(input=question, output=answer, context=context) == expected
    assert row(prompt="a", prompt_id="b", messages=turns, context=context) == expected


def test_a_chat_is_its_last_question_with_its_last_answer() -> None:
    """System turns, earlier turns and calls of tools are left out; parts of a content are put together."""
    found = row(
        messages=[
            {"role": "system", "content": "You are a fox."},
            {"role": "user", "content": "Who are you?"},
            {"role": "assistant", "content": "A fox."},
            {
                "role": "user",
                "content": [{"type": "text", "text": "And"}, {"type": "image"}, {"type": "text", "text": "who am I?"}],
            },
            {"role": "assistant", "content": None, "tool_calls": [{}]},
            {"role": "tool", "content": "badger"},
            {"role": "assistant", "content": "A badger."},
        ]
    )
    assert (found.question, found.answer) == ("And\nwho am I?", "A badger.")


def test_a_chat_that_ends_with_a_question_is_the_pair_before() -> None:
    """As ShareGPT's are cut; a greeting before the first question answers nothing."""
    turns = [("gpt", "Hello!"), ("human", "Who are you?"), ("gpt", "A fox."), ("human", "And I?"), ("gpt", " ")]
    said = [{"from": role, "value": text} for role, text in turns]
    assert (
        row(conversations=said) == row(conversations=said[:4]) == row(conversations=said[:3]) == Row("Who are you?", "A fox.")
    )
    assert row_of({"conversations": said[:2]}, FILE, 3) is None


def test_an_answer_may_be_one_of_several_or_yes_or_no() -> None:
    """As distilabel writes generations, some of them null, and BoolQ its answers."""
    assert row(instruction="a", generations=[None, "b", "c"]) == row(instruction="a", responses=["b"]) == Row("a", "b")
    assert row(problem="a", solution="b", generations=["c"]) == Row("a", "b")
    assert row(question="a", answer=True, passage="p") == Row("a", "true")
    assert row(question="a", answers=[False]) == Row("a", "false")


def test_a_blank_context_is_none() -> None:
    """Many write an empty one where there is none; the next key counts then."""
    assert row(question="a", answer="b", context=" ").context is None
    assert row(question="a", answer="b", context="", input="c").context == "c"
    assert row(question="a", answer="b", context="c", input="d").context == "c"


@pytest.mark.parametrize(
    "content",
    [
        {"instruction": None, "question": "a", "answer": "b"},
        {"instruction": " ", "input": "a", "output": "b"},
        {"question": "a", "answer": "", "output": "b"},
        {"question": None, "answer": None, "messages": [{"role": "user", "content": "a"}, {"role": "model", "content": "b"}]},
        {"question": "a", "answer": "", "messages": [], "conversation": [{"input": "a", "output": "b"}]},
        {"question": "a", "answers": {"text": []}, "response": "b"},
    ],
)
def test_an_empty_column_hides_no_other(content: dict[str, Any]) -> None:
    """Columns of several sets stand beside one another in a file that was put together."""
    assert row(**content) == Row("a", "b")


def test_a_number_is_read_as_its_text() -> None:
    """As question, answer, context, among several answers and in a turn."""
    assert row(question=2, answer=4.5, context=0) == Row("2", "4.5", "0")
    assert row(question="a", answers=[4, 5]) == row(question="a", answers={"text": [4]}) == Row("a", "4")
    assert row(messages=[{"role": "user", "content": 2}, {"role": "assistant", "content": 4}]) == Row("2", "4")


def test_half_a_character_is_replaced() -> None:
    """JSON can hold a lone surrogate; no file or terminal can."""
    found = row(question="fox \ud83e", answer="\udd8a", context="\ud83e\udd8a")
    assert (found.question, found.answer, found.context) == ("fox \ufffd", "\ufffd", "🦊")


def test_what_instructlab_writes_is_read() -> None:
    """The metadata tell context and question apart; knowledge that is trained on whole is a pair all the same."""
    turns = [{"role": "system", "content": "s"}, {"role": "user", "content": "c\n\na"}, {"role": "assistant", "content": "b"}]
    metadata = json.dumps({"question": "a", "response": "b", "context": "c", "tags": {"category": "math"}})
    assert row(messages=turns, metadata=metadata, id="x", unmask=False) == Row("a", "b", "c", {"category": "math"})
    assert row(messages=turns, metadata="no JSON", unmask=True) == Row("c\n\na", "b")
    for other in ({"question": "Q?", "response": "A"}, {"question": "a", "answer": ""}, {"answer": "b", "prompt": None}):
        assert row(messages=turns, metadata=json.dumps(other)) == Row("c\n\na", "b")
    plums = [turns[1], {"role": "assistant", "content": "By a plum. \n"}]
    for name, part in (("answer", "B"), ("response", "plum"), ("output", "By a"), ("completion", "")):
        assert row(messages=plums, metadata=json.dumps({"question": "a", name: part})) == Row("c\n\na", "By a plum. \n")
    assert row(messages=plums, metadata=json.dumps({"question": "a", "answer": "By a plum."})) == Row("a", "By a plum.")
    for user, assistant in (
        ("<|user|>", "<|assistant|>"),
        *[[f"<|start_of_role|>{n}<|end_of_role|>" for n in ("user", "assistant")]],
    ):
        whole = {"role": "pretraining", "content": f"{user}\nWhy?\n{assistant}\nSo.\nThen."}
        assert row(messages=[whole], metadata='{"sdg_document": "d"}', unmask=True) == Row("Why?", "So.\nThen.")


def test_our_typed_columns_keep_their_ratings(tmp_path: Path) -> None:
    """A Parquet export scores as the run that it is of, whatever the file is called."""
    with parquet_file(tmp_path / "rows") as write:
        write(a_record(context="The fox runs.", soft=True))
    (found,) = read_pairs(tmp_path / "rows")
    assert found == row(**a_record(context="The fox runs.", soft=True).model_dump(mode="json"))
    assert list(there(found).soft) == ["pair_verdict"]


# ---- ratings ---------------------------------------------------------------------------------------------------------


def test_a_row_of_ours_has_its_ratings_and_who_was_shown() -> None:
    """Labels of all six, soft ratings where they are, and the examples in its prompts."""
    found = row(**a_line("What is a fox?"))
    assert list(found.ratings) == list(RATINGS)
    assert found.ratings["pair_verdict"] == 3
    assert found.ratings["category"] == "reasoning"
    assert list(found.soft) == ["pair_verdict", "difficulty"]
    assert found.soft["pair_verdict"].expected == 2.75
    assert found.shown == ("seed:0", "0123456789abcdef")


@pytest.mark.parametrize(
    "content",
    [
        {"question_verdict": {"rating": True}, "pair_verdict": {"rating": 7}},
        {"question_verdict": 1, "tags": ["good"], "provenance": {"shown": "seed:0"}},
        {"tags": {"instruction_quality": "splendid", "sample_quality": "5", "difficulty": [], "category": None}},
    ],
)
def test_what_others_call_the_same_is_no_rating(content: dict[str, Any]) -> None:
    """A label that is none of ours says nothing."""
    found = row(question="a", answer="b", **content)
    assert (found.ratings, found.soft, found.shown) == ({}, {}, None)


@pytest.mark.parametrize(
    "soft",
    [
        None,
        {},
        {"expected": 2.0},
        {"probabilities": {"1": 0.5, "2": 0.5}, "expected": 1.5, "mass": 1.0},
        {"probabilities": {"1": 0.5, "2": 0.5, "3": 7}, "expected": 1.5, "mass": 1.0},
        {"probabilities": {"1": 0, "2": 0.5, "3": 0.5}, "expected": float("nan"), "mass": 1.0},
        {"probabilities": {"1": 0, "2": 0.5, "3": 0.5}, "expected": 10**400, "mass": 1.0},
    ],
)
def test_a_broken_soft_rating_is_none(soft: object) -> None:
    """The label is there all the same."""
    found = row(question="a", answer="b", pair_verdict={"rating": 2, "soft": soft})
    assert (found.ratings, found.soft) == ({"pair_verdict": 2}, {})


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({}, f"there is no key where {LAYOUTS} should be"),
        ({"text": "a", "label": "b"}, "there is `text`, `label` where `instruction` with"),
        ({"input": "a"}, "there is `input` where `instruction` with"),
        ({"instruction": "a"}, "there is `instruction` but no `response`; add it"),
        ({"question": "a", "text": "b"}, "there is `question` but no `answer`; add it"),
        ({"question": "a", "answer": [["b"]]}, "`answer` is not text; write it in quotes"),
        ({"prompt": "a", "completion": [{"role": "user", "content": "b"}]}, "`completion` is not text; write it in quotes"),
        ({"question": True, "answer": "b"}, "`question` is not text"),
        ({"question": "a", "answer": {"id": 3}}, "`answer` is not text"),
        ({"question": "a", "answer": "b", "context": ["c"]}, "`context` is not text"),
        ({"messages": "hello"}, "`messages` is not a list of turns"),
        ({"messages": ["hello", {"role": "user"}]}, "`messages` is not a list of turns"),
        ({"messages": [{"role": "assistant", "content": "b"}]}, "`messages` has no turn of the role `user`"),
    ],
)
def test_a_line_that_is_no_row_is_refused(content: dict[str, Any], why: str) -> None:
    """With file, line and what to do."""
    assert refused(content).startswith(why)


@pytest.mark.parametrize(
    "content",
    [
        {"question": "a", "answer": None},
        {"question": "\n ", "answer": "b"},
        {"question": "a", "answer": float("nan")},
        {"question": "a", "answer": "", "data": [{"id": 1}], "messages": []},
        {"question": "a", "answers": {"text": [], "answer_start": []}},
        {"messages": [{"role": "user", "content": "a"}]},
        {"messages": [{"role": "user", "content": " "}, {"role": "assistant", "content": "b"}]},
    ],
)
def test_a_row_without_question_or_answer_is_left_out(content: dict[str, Any]) -> None:
    """Null or blank; others' files have such rows."""
    assert row_of(content, FILE, 3) is None


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"question": "a", "answer":', "this line is not JSON; write one object on each line"),
        (b"[1]", "this line is JSON, but no object"),
        (b"[" * 100_000, "this line is not JSON"),
        (b"\xff\xfe{}", "this line is not UTF-8"),
    ],
)
def test_a_broken_line_is_refused_with_its_number(line: bytes, why: str, tmp_path: Path) -> None:
    """Empty lines are counted, too."""
    path = written(tmp_path, b'{"question": "a", "answer": "b"}\n\n' + line + b"\n")
    with pytest.raises(FileError, match=r"rows\.jsonl:3: ") as caught:
        list(read_pairs(path))
    assert why in str(caught.value)


# ---- files -----------------------------------------------------------------------------------------------------------


def test_a_file_is_read_whatever_its_line_ends(tmp_path: Path) -> None:
    """A byte order mark, carriage returns, empty lines and a last line without an end."""
    line = json.dumps({"question": "Füchse?", "answer": "Ja."}, ensure_ascii=False).encode()
    path = written(tmp_path, b"\xef\xbb\xbf" + line + b"\r\n\n  \n" + line)
    assert list(read_pairs(path)) == [Row("Füchse?", "Ja.")] * 2
