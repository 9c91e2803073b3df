"""Signals that end a command in good order, as Ctrl-C does."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interrupted_by(*endings: signal.Signals) -> Iterator[None]:
    """These raise KeyboardInterrupt meanwhile; afterwards they do again what they did before."""
    before = {ending: signal.signal(ending, signal.default_int_handler) for ending in endings}
    try:
        yield
    finally:
        for ending, handler in before.items():
            signal.signal(ending, handler)
