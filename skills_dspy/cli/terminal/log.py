"""`-v`: what the program logs, as lines on stderr."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from skills_dspy.cli.terminal.streams import echo

OURS = "skills_dspy"
"""The logger of the program; those of its modules are below it."""


class _Lines(logging.Handler):
    """Prints each record as a line on the stderr of now, in front of which a display may stand."""

    def emit(self, record: logging.LogRecord) -> None:
        echo(self.format(record), err=True)


@contextmanager
def logging_to_stderr() -> Iterator[Callable[[int], None]]:
    """Show what is done, once the yielded function is told how much of it: 1, or from 2 on each request as well."""
    logger, lines = logging.getLogger(OURS), _Lines()
    before = logger.level
    lines.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s", "%H:%M:%S"))
    logger.addHandler(lines)
    try:
        yield lambda verbose: logger.setLevel(logging.DEBUG if verbose > 1 else logging.INFO)
    finally:
        logger.removeHandler(lines)
        logger.setLevel(before)
