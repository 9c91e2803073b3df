"""Characters that nobody sees, or takes for a sign: named with code point, line and column, wherever they do harm."""

from pathlib import Path

import pytest

from skills_dspy.base.config import load_config
from skills_dspy.base.errors import ConfigError, EvaluationError, SpecError
from skills_dspy.base.yaml_lines import parse_yaml
from skills_dspy.screens.benchmark import read_benchmark

FILE = Path("some.yaml")
TASK = "version: 3\ntext: |\n  long\nseeds:\n  - question: Tea?\n    answer: Yes.\n  - question: Rain?\n"
NBSP, ZERO = "U+00A0 (no-break space)", "U+200B (zero width space)"


def refusal(text: str) -> str:
    """What is said of a text that is no YAML."""
    with pytest.raises(SpecError) as caught:
        parse_yaml(text.encode(), FILE, SpecError)
    return str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "line", "what"),
    [
        ("    answer", "\u00a0 \u00a0 answer", 6, f"{NBSP} in column 1 breaks it; write a blank instead"),
        ("    answer", "\u200b" * 4 + "answer", 6, f"{ZERO} in column 1 breaks it; write a blank instead"),
        ("    answer", "  \u3000\u3000answer", 6, "U+3000 (ideographic space) in column 3 breaks it; write a blank instead"),
        ("    answer", "\u3000\u3000answer", 6, "in column 1 breaks it; write two blanks for each instead"),
        ("- question: Tea", "-\u202fquestion: Tea", 5, "U+202F (narrow no-break space) in column 4"),
        ("answer: ", "answer:\u2007", 6, "U+2007 (figure space) in column 12"),
        ("Yes", "Y\u2028es", 6, "U+2028 (line separator) in column 14"),
        ("Yes", "Y\u0085es", 6, "U+0085 (next line) in column 14"),
        ("seeds:", "\u200b\nseeds:", 4, f"{ZERO} in column 1 breaks it; take it out"),
        ("|", "|\ufeff", 2, "U+FEFF (byte order mark) in column 8 breaks it; take it out"),
        ("seeds:", "seeds:\u00ad", 4, "U+00AD (soft hyphen) in column 7"),
        ("    answer", "\t answer", 6, "U+0009 (tab) in column 1 breaks it; indent with spaces"),
        ("Yes", "Y\x1bes", 6, "the control character U+001B (escape) in column 14"),
        ("Yes.", "“Yes: no”", 6, 'U+201C (left double quotation mark) in column 13 breaks it; write `"` instead'),
        ("Yes.", '"Yes: no”', 6, "U+201D (right double quotation mark) in column 21"),
        ("answer: ", "answer：", 6, "U+FF1A (fullwidth colon) in column 11 breaks it; write `: ` instead"),
        ("  - question: Tea", "  – question: Tea", 5, "U+2013 (en dash) in column 3 breaks it; write `-` instead"),
        ("Yes.", '"\\ud83c tea"', 6, "the escape \\ud83c is half a character"),
    ],
)
def test_what_breaks_a_file_is_named_with_its_place(old: str, new: str, line: int, what: str) -> None:
    """And with what to write instead, though PyYAML complains of another place, or of what it made of it."""
    said = refusal(TASK.replace(old, new))
    assert said.startswith(f"{FILE}:{line}: ")
    assert what in said


def test_an_innocent_character_is_not_blamed() -> None:
    """What a text holds is its own affair: only what lets a reader get further when it is written otherwise is the cause."""
    kept = "text: “tea”\u00a0– yes\nseeds: [a\n"
    assert refusal(kept) == f"{FILE}:2: this is not YAML: expected ',' or ']', but got '<stream end>'; close the bracket"
    assert parse_yaml(b'a: "\\ud83c\\udf75"', FILE, SpecError).plain() == {"a": "🍵"}


def test_what_breaks_json_is_named_as_well(tmp_path: Path) -> None:
    """As JSON that was pasted from a page has it; what a text holds there is no matter."""
    path = tmp_path / "q.jsonl"
    path.write_text('{"question": "What is\u00a0tea?"}\n{\u00a0"question": "What is rain?"}\n', "utf-8")
    with pytest.raises(EvaluationError, match=r"q\.jsonl:2: .*; there is U\+00A0 .* in column 2: write a blank instead$"):
        read_benchmark([path])


def test_a_file_without_a_single_sign_is_told_what_stands_for_it() -> None:
    """As from a keyboard that writes Chinese: all of it is one text."""
    assert "with U+FF1A (fullwidth colon) in column 2; write keys and values, `key: value`" in refusal("a：1\nb：2\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("generator:\n\u00a0\u00a0temperature: 0.5", f":2: the key `\\xa0\\xa0temperature` is written with {NBSP} in column 1"),
        (
            "generator:\n  temperature\u200b: 0.5",
            f":2: in `generator`: the key `temperature\\u200b` is written with {ZERO} in column 14",
        ),
        ("generator:\n\u2028\u2028top_p: 0.5", ":2: the key `top_p` is written with U+2028 (line separator) in column 1"),
        (
            "“tagging”: fused",
            ':1: the key `“tagging”` is written with U+201C (left double quotation mark) in column 1, write `"`',
        ),
        ("tаgging: fused", ":1: unknown key `tаgging`, with U+0430 (cyrillic small letter a) in it; did you mean `tagging`?"),
        ("{seed: “a\u00a0”, max: 1}", ":1: unknown key `seed`"),
        ("tagging: fused\u00a0", f':1: `tagging` is the text "fused\\xa0", with {NBSP} in column 15; write separate or fused'),
        ("generator: {top_p: −0.5}", '"−0.5", with U+2212 (minus sign) in column 20; write a number'),
    ],
)
def test_what_stands_in_a_key_or_a_setting_is_named_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    """It would look like a key that is known, or a value that may be written."""
    path = tmp_path / "c.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert said in str(caught.value)
