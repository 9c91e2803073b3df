"""A model file is looked at before anything else happens."""

import struct
from hashlib import sha256
from pathlib import Path

import pytest

from skills_dspy.base.errors import RequestError
from skills_dspy.model.server.gguf import count_weights, read_model_file


def text(value: str) -> bytes:
    """A string as the format has it."""
    return struct.pack("<Q", len(value)) + value.encode()


def head(*entries: bytes) -> bytes:
    """The head of a file with these entries."""
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(entries)) + b"".join(entries)


NAME = text("general.name") + struct.pack("<I", 8) + text("fox")
TOKENS = text("tokenizer.tokens") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("bb")
SCORES = text("tokenizer.scores") + struct.pack("<IIQ", 9, 6, 2) + bytes(8)
RATE = text("llama.rope.freq_base") + struct.pack("<If", 6, 1e4)
LENGTH = text("llama.context_length") + struct.pack("<II", 4, 8192)


def test_name_window_and_digest_come_from_the_file(tmp_path: Path) -> None:
    """The window is found behind values of every sort."""
    path = tmp_path / "fox-1b.Q4.gguf"
    path.write_bytes(head(NAME, TOKENS, SCORES, RATE, LENGTH))
    found = read_model_file(path)
    assert (found.name, found.context_length) == ("fox-1b.Q4", 8192)
    assert found.digest() == sha256(path.read_bytes()).hexdigest()


def test_the_licence_comes_from_the_file(tmp_path: Path) -> None:
    """As its key among the general ones says it."""
    path = tmp_path / "fox.gguf"
    path.write_bytes(head(NAME, text("general.license") + struct.pack("<I", 8) + text("apache-2.0"), RATE, LENGTH))
    found = read_model_file(path)
    assert (found.licence, found.context_length) == ("apache-2.0", 8192)
    path.write_bytes(head(NAME, LENGTH))
    assert read_model_file(path).licence is None


def test_the_weights_are_counted_by_the_file(tmp_path: Path) -> None:
    """Whatever their precision: they stand behind all else that it says of itself."""
    path = tmp_path / "fox.gguf"
    tensors = b"".join(
        text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 2, 0)
        for name, shape in (("output.weight", (32, 7)), ("norm", (5,)))
    )
    entries = (NAME, TOKENS, LENGTH, SCORES)
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 2, len(entries)) + b"".join(entries) + tensors)
    assert count_weights(path) == 32 * 7 + 5
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(RequestError, match="is cut or broken"):
        count_weights(path)


def test_a_file_that_tells_no_window_has_none(tmp_path: Path) -> None:
    """Then max_num_ctx alone bounds it."""
    path = tmp_path / "fox.gguf"
    path.write_bytes(head(NAME))
    assert read_model_file(path).context_length is None


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("fox.gguf", None, "cannot be read: No such file or directory"),
        ("fox.gguf", b"PK\x03\x04 a zip", "is no GGUF file"),
        ("fox.gguf", b"", "is no GGUF file"),
        ("fox.gguf", head(NAME, LENGTH)[:-30], "cut or broken"),
        ("fox.gguf", head(text("a") + struct.pack("<I", 77)), "cut or broken"),
        ("fox.gguf", head(text("a") + struct.pack("<IQ", 8, 2**64 - 1), LENGTH), "cut or broken"),
        ("my fox.gguf", head(), "its name has no blanks"),
    ],
    ids=["missing", "a zip", "empty", "cut", "no such type", "no such length", "blanks"],
)
def test_what_is_no_model_file_is_refused(tmp_path: Path, name: str, content: bytes | None, said: str) -> None:
    """One sentence with the path."""
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RequestError) as raised:
        read_model_file(path)
    assert said in str(raised.value)
    assert str(path) in str(raised.value)
