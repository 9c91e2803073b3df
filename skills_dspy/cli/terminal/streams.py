"""stdout and stderr: control characters of models, servers and files are shown there as escapes, whoever prints them."""

import codecs
import io
import json
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from types import TracebackType
from typing import Any, TextIO, cast

import click

from skills_dspy.base.visible import visible


class _Passing(io.TextIOBase):
    """A stream that stands before another one, `beneath`, and passes on what is written."""

    def __init__(self, beneath: TextIO) -> None:
        self.beneath = beneath

    def write(self, text: str) -> int:
        self.beneath.write(text)
        return len(text)

    def writable(self) -> bool:
        return True

    def flush(self) -> None:
        self.beneath.flush()

    def isatty(self) -> bool:
        return self.beneath.isatty()

    def fileno(self) -> int:
        return self.beneath.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.beneath.encoding

    def close(self) -> None:
        """The stream beneath is not ours to close."""


class Guard(_Passing):
    """A stream that shows control characters as escapes."""

    def write(self, text: str) -> int:
        """Write a text as it may be seen; returns how much of it was written: all."""
        super().write(visible(text))
        return len(text)


class Told(_Passing):
    """Where somebody is told how things go: when nobody can hear it any more, the work goes on without a word.

    As where `2>&1 | head` has seen enough, a terminal is gone, or the disk of a log is full.
    """

    _heard = True

    def write(self, text: str) -> int:
        """Write a text as long as somebody hears it; returns how much of it was written: all."""
        self._while_heard(lambda: self.beneath.write(text))
        return len(text)

    def flush(self) -> None:
        """Hand over what waits."""
        self._while_heard(self.beneath.flush)

    def _while_heard(self, tell: Callable[[], object]) -> None:
        try:
            if self._heard:
                tell()
        except OSError:
            self._heard = False


def as_json_has_it(error: UnicodeError) -> tuple[str, int]:
    """In the manner of a codec's error handlers: characters that a stream does not know as JSON writes them.

    Python's own would write `\\xe9` or `\\U0001f375`, with which JSON that is printed could not be read again.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


def know_all_letters(stream: TextIO) -> None:
    """Let a terminal that knows few letters be no reason to stop."""
    if isinstance(stream, io.TextIOWrapper):
        codecs.register_error(as_json_has_it.__name__, as_json_has_it)
        stream.reconfigure(errors=as_json_has_it.__name__)


@contextmanager
def guarded() -> Iterator[None]:
    """Stand before stdout and stderr: nothing acts on the terminal, be it in a warning of a library."""
    with redirect_stdout(Guard(sys.stdout)), redirect_stderr(Guard(cast("TextIO", Told(sys.stderr)))):
        yield


def show_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print what nobody has caught, in the manner of `sys.excepthook`."""
    sys.stderr.write(visible("".join(traceback.format_exception(kind, error, trace))))


def echo(line: str = "", *, err: bool = False, stream: TextIO | None = None) -> None:
    """Print a line on stdout, on stderr with `err`, or on a stream."""
    click.echo(visible(line), stream, err=err)


def echo_json(content: Any) -> None:
    """Print JSON on stdout; what is shown as an escape there reads as the same text again."""
    echo(json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False))
