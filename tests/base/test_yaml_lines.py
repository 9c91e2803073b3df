"""Tests of reading YAML with lines."""

import codecs
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from skills_dspy.base.errors import ConfigError, SpecError
from skills_dspy.base.yaml_lines import MAX_BYTES, MAX_DEPTH, MAX_VALUES, Node, parse_yaml, read_yaml, shown
from skills_dspy.tasks.yaml_files import find_yaml

FILE = Path("some.yaml")


def parsed(text: str) -> Node:
    """The nodes of a text."""
    return parse_yaml(text.encode(), FILE, SpecError)


def refusal(data: str | bytes) -> SpecError:
    """The error that a text or some bytes give."""
    with pytest.raises(SpecError) as caught:
        parse_yaml(data if isinstance(data, bytes) else data.encode(), FILE, SpecError)
    return caught.value


def test_plain_values_are_those_of_yaml() -> None:
    """What is read without lines is what PyYAML reads safely."""
    text = "a: 1\nb: [x, 2.5, -0.5e+2, yes, OFF, ~, null, {c: 'd', e: }]\nf: |\n  g\n  h\ni: 1_000\nj: \"k\\nl\"\n"
    assert parsed(text).plain() == yaml.safe_load(text)


@pytest.mark.parametrize(
    ("written", "value"),
    [(".inf", float("inf")), ("-.inf", -float("inf")), ("1.", 1.0), ("-7", -7), ("+0", 0), (".nan", float("nan"))],
)
def test_numbers_come_out_with_their_type(written: str, value: float) -> None:
    """Infinities, bare points and signs are numbers; whoever wants finite ones has to say so."""
    assert repr(parsed(f"a: {written}").fields["a"].value) == repr(value)


@pytest.mark.parametrize(
    "text",
    [
        "a:\n  - [b, {c: d}]\n  - |\n    é\n    😀\n  - f",
        "a: [b? c]",
        "a: {b: c?}",
        "a: |#b\n  c",
        "a:\tb",
        "a: 'b",
        "a: ?b",
        "a: *b",
    ],
)
def test_files_are_read_alike_without_libyaml(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values and lines are the same, and so is what is refused and in which words, where PyYAML has no libyaml."""

    def outcome() -> Node | str:
        try:
            return parsed(text)
        except SpecError as error:
            return str(error)

    quick = outcome()
    monkeypatch.setattr("skills_dspy.base.yaml_lines._FAST", None)
    assert outcome() == quick


def test_every_key_and_value_has_its_line() -> None:
    """Keys give their own line, items the one where they start, whatever stands between."""
    node = parsed(
        "# first\nseeds:\n  - question: |\n      long\n      text\n    answer:\n      below\n\n  - answer: x\nend: 1\n"
    )
    assert node.line == 2
    assert node.line_of(["seeds"]) == 2
    assert node.line_of(["seeds", 0]) == 3
    assert node.line_of(["seeds", 0, "question"]) == 3
    assert node.line_of(["seeds", 0, "answer"]) == 6
    assert node.fields["seeds"].items[0].fields["answer"].line == 7
    assert node.line_of(["seeds", 1, "answer"]) == 9
    assert node.line_of(["end"]) == 10


def test_a_path_to_nowhere_gives_the_last_line_on_its_way() -> None:
    """A missing key is reported where its mapping starts; there is no node at its path."""
    node = parsed("a: 1\nb:\n  - c: 2\n")
    assert node.line_of(["b", 0, "missing"]) == 3
    assert node.line_of(["b", 1]) == 2
    assert node.line_of(["b", -1]) == 2
    assert node.line_of(["nothing", "at", "all"]) == 1
    assert node.at(["b", 0, "missing"]) is None
    assert node.at(["b", 1, "c"]) is None
    found = node.at(["b", 0, "c"])
    assert found is not None
    assert found.value == 2


def test_an_escape_is_not_the_character_of_a_later_value() -> None:
    """The one is meant so; the other nobody sees."""
    found = parsed('a: "x\\u00a0y"\nb: x\u00a0y')
    assert found.fields["a"].described() == r'the text "x\xa0y"'
    assert found.fields["b"].described() == r'the text "x\xa0y", with U+00A0 (no-break space) in column 5'


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
def test_lines_are_those_of_an_editor(line_break: str) -> None:
    """All three line breaks count one; the separators that only YAML takes for breaks count none."""
    text = line_break.join(["a: 'x\u2028\u0085y'", "b: 1", "", "c: 2"])
    assert parsed(text).key_lines == {"a": 1, "b": 2, "c": 4}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_what_a_byte_order_mark_says_is_heeded(encoding: str) -> None:
    """Windows editors write one before UTF-8, and PowerShell's `>` writes UTF-16 with one."""
    mark = codecs.BOM_UTF16_BE if encoding == "utf-16-be" else b""
    assert parse_yaml(mark + "a: hellgrün 🍵".encode(encoding), FILE, SpecError).plain() == {"a": "hellgrün 🍵"}


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        (b"a: 1\r\nb: caf\xe9\n", 2, "byte 12 is not UTF-8 (it may be Windows-1252 or Latin-1); save the file as UTF-8"),
        ("a: é".encode("utf-16-le"), 1, "is not UTF-8 (it looks like UTF-16); save the file as UTF-8"),
        ("a:\n  - {x: 1,\n     x: 2}", 3, "`x` is already in line 2"),
        ("'a': 1\n\"a\": 2", 2, "`a` is already in line 1"),
        ("a: !!null x", 1, "the tag `!!null`"),
        ("a: !!str [x]", 1, "the tag `!!str`"),
        ("? {}\n: c", 1, "this one is an empty mapping"),
        ("&k 5: a", 1, "this one is the number 5"),
        ("# x", None, "the file is empty"),
        ("~", None, "the file is empty"),
        ("a: *x", 1, "refers to nothing above it"),
        ("a: &x [*x]", 1, "contains itself"),
        ("<<: 1", 1, "merge keys"),
        ("a: 1\n---\nb: 2", 2, "a second document starts here"),
        ("a: 2020-01-01", 1, "as a date"),
        ("a: 010", 1, "the decimal number it may look like"),
        ("a: \x07", 1, "the control character U+0007"),
        ("[]", 1, "the file is an empty list"),
        ("just words", 1, 'the file is the text "just words"'),
        ("a: 1\nb: [1\n\n", 2, "close the bracket"),
        ("[" * 2_000, 1, f"deeper than {MAX_DEPTH}"),
        ("{a: " * 2_000, 1, f"deeper than {MAX_DEPTH}"),
        ("- " * 2_000, 1, f"deeper than {MAX_DEPTH}"),
        ("? " * 2_000, 1, f"deeper than {MAX_DEPTH}"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str | bytes, line: int | None, part: str) -> None:
    """Every refusal names the file, the line, and what to write instead, in one line."""
    error = refusal(text)
    assert part in str(error)
    assert error.line == line
    assert error.path == FILE
    assert "\n" not in str(error)


def test_the_deepest_nesting_is_read() -> None:
    """The limit itself is allowed, one level more is not."""
    inner = MAX_DEPTH - 1
    text = "[" * inner + "]" * inner
    assert json.dumps(parsed(f"a: {text}").plain()) == f'{{"a": {text}}}'
    assert "nested" in str(refusal(f"a: [{text}]"))


def test_tags_that_change_nothing_are_read() -> None:
    """`!!str` makes text; a tag that says what YAML reads anyway is no harm."""
    assert parsed("a: !!str 5\nb: !!int 5\nc: !!map {d: !!seq [x]}\ne: !!null ~").plain() == {
        "a": "5",
        "b": 5,
        "c": {"d": ["x"]},
        "e": None,
    }


def test_text_that_only_looks_special_is_text() -> None:
    """`<<` and `=` are text as values, and `<<` in quotes is a key like any other."""
    assert parsed("a: <<\nb: =\n'<<': c").plain() == {"a": "<<", "b": "=", "<<": "c"}


def test_aliases_stand_for_what_they_name() -> None:
    """An anchor can be used again, also as a key, and can be set anew; lines are those of the anchor."""
    node = parsed("a: &x one\nb: *x\nc: &x two\nd: *x\n*x : e\n")
    assert node.plain() == {"a": "one", "b": "one", "c": "two", "d": "two", "two": "e"}
    assert node.fields["b"].line == 1
    assert node.line_of(["b"]) == 2


def test_plain_values_are_not_shared() -> None:
    """Changing what an alias came to leaves its anchor alone."""
    plain = parsed("a: &x [1]\nb: *x").plain()
    assert isinstance(plain, dict)
    assert plain["a"] is not plain["b"]


def test_an_alias_bomb_is_refused() -> None:
    """Few bytes that stand for very many values are refused in the line where it gets too much."""
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    error = refusal("\n".join(rows))
    assert f"more than {MAX_VALUES} values" in str(error)
    assert error.line == 5


def test_too_many_values_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit holds without aliases too, and for keys as for values; the limit itself is allowed."""
    monkeypatch.setattr("skills_dspy.base.yaml_lines.MAX_VALUES", 11)
    assert parsed("a: [1, 2, 3, 4, 5, 6, 7, 8]").size == 11
    assert "more than 11 values" in str(refusal("a: [1, 2, 3, 4, 5, 6, 7, 8, 9]"))
    assert "more than 11 values" in str(refusal("{a: 1, b: 1, c: 1, d: 1, e: 1, f: 1}"))


def test_shown_text_is_one_short_clean_line() -> None:
    """Line breaks become spaces, long text is cut, control characters are escaped."""
    assert shown("a\n  b\tc") == "a b c"
    assert shown("x" * 100) == "x" * 59 + "…"
    assert shown("x" + " " * 1000 + "y") == "x…"
    assert shown("a\x1b[31mb\u202e") == "a\\x1b[31mb\\u202e"


@given(st.text(), st.integers(min_value=2, max_value=80))
def test_shown_text_has_no_line_break(text: str, limit: int) -> None:
    """Whatever the text holds, it is one line and prints."""
    assert shown(text, limit).isprintable()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("x" * 300, "cannot be read"),
        ("a\x00b", "cannot be read"),
        ("file/below", "cannot be read"),
        ("missing", "does not exist"),
        (".", "this is a folder"),
    ],
)
def test_what_cannot_be_opened_is_refused(tmp_path: Path, name: str, said: str) -> None:
    """In a sentence, with the caller's class of error."""
    (tmp_path / "file").write_text("a: 1")
    with pytest.raises(ConfigError, match=said):
        read_yaml(tmp_path / name, ConfigError)


def test_a_file_may_be_as_large_as_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte more is refused before anything is parsed, and no more than that one is read."""
    file = tmp_path / "large.yaml"
    file.write_bytes(b"[" * (MAX_BYTES + 1))
    with pytest.raises(SpecError, match="larger than 4 MiB"):
        read_yaml(file, SpecError)
    monkeypatch.setattr("skills_dspy.base.yaml_lines.MAX_BYTES", 4)
    file.write_bytes(b"a: 1")
    assert read_yaml(file, SpecError).plain() == {"a": 1}
    file.write_bytes(b"a: 12")
    with pytest.raises(SpecError, match="larger than"):
        read_yaml(file, SpecError)


def test_folders_give_their_files_in_order(tmp_path: Path) -> None:
    """Files are sorted by path; hidden ones, folders named like files, and other files are left out."""
    for name in ["b.yaml", "a/z.yaml", "a/b/c.yaml", "A.yaml", ".hidden/x.yaml", ".x.yaml", "a/notes.txt", "d.yaml/e.yaml"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("a: 1")
    found = [file.relative_to(tmp_path).as_posix() for file in find_yaml([tmp_path], SpecError)]
    assert found == ["A.yaml", "a/b/c.yaml", "a/z.yaml", "b.yaml", "d.yaml/e.yaml"]


def test_a_file_is_listed_once(tmp_path: Path) -> None:
    """However it is named, by itself, by its folder or by a link, the first mention counts."""
    (tmp_path / "a.yaml").write_text("a: 1")
    (tmp_path / "b.yaml").write_text("a: 1")
    (tmp_path / "c.yaml").symlink_to(tmp_path / "a.yaml")
    again = tmp_path / "." / ".." / tmp_path.name / "b.yaml"
    assert find_yaml([tmp_path / "b.yaml", tmp_path, again], SpecError) == (tmp_path / "b.yaml", tmp_path / "a.yaml")


def test_a_link_to_itself_is_refused_when_read(tmp_path: Path) -> None:
    """A loop of links ends in a sentence, not in a traceback."""
    loop = tmp_path / "loop.yaml"
    loop.symlink_to(loop)
    assert find_yaml([tmp_path], SpecError) == (loop,)
    with pytest.raises(SpecError, match="cannot be read"):
        read_yaml(loop, SpecError)


def test_a_folder_that_cannot_be_listed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder below that is closed to us is not passed over in silence."""

    def closed(path: str) -> NoReturn:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(SpecError, match=r"cannot be read \(Permission denied\)"):
        find_yaml([tmp_path], SpecError)


def snippets() -> Iterator[str]:
    """Pieces of which YAML, good and bad, is made."""
    yield from "ab01:-?[]{},&*!|>'\"%@#<=~\\ \t\n\r._/\u2028\x85\ufeff"
    yield from (
        "a: ",
        "- ",
        "\n  ",
        "---\n",
        "...\n",
        "<<: ",
        "!!str ",
        "!!int ",
        "&x ",
        "*x ",
        "\\u",
        "1e",
        "0x",
        "|1-\n",
        "é",
        "😀",
    )


@given(
    st.one_of(st.binary(), st.text().map(str.encode), st.lists(st.sampled_from(list(snippets()))).map("".join).map(str.encode))
)
def test_any_bytes_give_a_mapping_or_one_error(data: bytes) -> None:
    """Nothing but our own error ever comes out, and what is read agrees with PyYAML."""
    try:
        node = parse_yaml(data, FILE, SpecError)
    except SpecError as error:
        said = str(error)
    else:
        said = "read"
        assert node.kind == "mapping"
        with suppress(yaml.YAMLError):  # it refuses `=` as a value and an anchor that is set anew
            assert repr(node.plain()) == repr(yaml.safe_load(data.decode().removeprefix("\ufeff")))
    assert "\n" not in said


VALUES = st.recursive(
    st.one_of(st.text(), st.integers(-(10**30), 10**30), st.floats(allow_nan=False), st.booleans(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(), inner, max_size=4)),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), VALUES, min_size=1, max_size=5), st.booleans())
def test_what_pyyaml_writes_is_read_back(values: dict[str, object], flow: bool) -> None:
    """Values survive a trip through yaml.safe_dump."""
    assert parsed(yaml.safe_dump(values, default_flow_style=flow)).plain() == values
