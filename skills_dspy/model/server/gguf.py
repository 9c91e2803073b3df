"""What a model file in llama.cpp's format says of itself, read from its head: is it one, and how large may a window be?"""

import hashlib
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import BinaryIO

from skills_dspy.base.errors import RequestError

_MAGIC = b"GGUF"
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Bytes of a value by the number of its type; strings (8) and arrays (9) say their length themselves."""
_WHOLE = frozenset({0, 2, 4, 10})
"""The types of whole numbers from 0."""
_STRING, _ARRAY = 8, 9
_LONGEST_KEY = 65_535


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file with a model: its name is the file's without `.gguf`; tokens of the largest window and the licence, None where it
    says none.
    """

    path: Path
    name: str
    context_length: int | None
    licence: str | None = None

    def is_called(self, name: str) -> bool:
        """Whether a name means this model: its own without regard to case, with or without `.gguf`, or the file's path."""
        return name == str(self.path) or name.casefold().removesuffix(".gguf") == self.name.casefold()

    def digest(self) -> str:
        """The SHA-256 of the whole file, in hex; a second for a gigabyte."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def read_model_file(path: Path) -> ModelFile:
    """Look at the head of a model file.

    Raises:
        RequestError: there is no such file, or it cannot be read, is none of this format, or has a name with blanks.
    """
    name = path.name.removesuffix(".gguf")
    if not name or any(letter.isspace() for letter in name):
        raise RequestError(f"{path}: a model is called like its file, and its name has no blanks; rename or link the file")
    with _errors(path), path.open("rb") as file:
        if file.read(4) != _MAGIC:
            raise RequestError(f"{path} is no GGUF file, which is what llama.cpp reads; give the path of a model in GGUF")
        return ModelFile(path, name, *_told(file))


def count_weights(path: Path) -> int:
    """How many numbers the model in a file is, whatever their precision; RequestError as `read_model_file` has it."""
    with _errors(path), path.open("rb") as file:
        _magic, _version, tensors, count = _numbers(file, "<4sIQQ")
        for _ in range(count):
            _skip(file, _STRING)
            _skip(file, *_numbers(file, "<I"))
        weights = 0
        for _ in range(tensors):
            _skip(file, _STRING)
            (dimensions,) = _numbers(file, "<I")
            weights += prod(_numbers(file, f"<{dimensions}Q"))
            file.seek(12, 1)  # the kind of the numbers, and where they are
        return weights


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (struct.error, ValueError, OverflowError, KeyError) as error:
        raise RequestError(f"{path} begins like a GGUF file and is cut or broken after that; fetch it again") from error
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror}; give the path of a model in GGUF") from error


def _told(file: BinaryIO) -> tuple[int | None, str | None]:
    """The values of `<architecture>.context_length` and, where it stands before that as it should, of `general.license`.

    Both stand before the long lists of tokens.
    """
    licence: str | None = None
    _version, _tensors, count = _numbers(file, "<IQQ")
    for _ in range(count):
        (length,) = _numbers(file, "<Q")
        key = file.read(min(length, _LONGEST_KEY + 1))
        (kind,) = _numbers(file, "<I")
        if key.endswith(b".context_length") and kind in _WHOLE:
            return int.from_bytes(file.read(_SIZES[kind]), "little") or None, licence
        if key == b"general.license" and kind == _STRING:
            (length,) = _numbers(file, "<Q")
            licence = file.read(min(length, _LONGEST_KEY)).decode("utf-8", "replace").strip() or None
            file.seek(max(0, length - _LONGEST_KEY), 1)
        else:
            _skip(file, kind)
    return None, licence


def _skip(file: BinaryIO, kind: int) -> None:
    if kind == _STRING:
        (length,) = _numbers(file, "<Q")
        file.seek(length, 1)
    elif kind == _ARRAY:
        of, count = _numbers(file, "<IQ")
        if of in _SIZES:
            file.seek(count * _SIZES[of], 1)
        else:
            for _ in range(count):
                _skip(file, of)
    else:
        file.seek(_SIZES[kind], 1)


def _numbers(file: BinaryIO, layout: str) -> tuple[int, ...]:
    return struct.unpack(layout, file.read(struct.calcsize(layout)))
