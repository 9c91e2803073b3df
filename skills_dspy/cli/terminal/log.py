"""`-v`: what the program logs, as lines on stderr."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from skills_dspy.cli.terminal.streams import echo

OURS = "skills_dspy"
"""The logger of the program; those of its modules are below it."""


class _Lines(logging.Handler):
    """Prints each record as a line on the stderr of now, in front of which a display may stand."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one."""
        echo(self.format(record), err=True)


@contextmanager
def logging_to_stderr(verbose: int) -> Iterator[None]:
    """Show what is done, and with 2 or more each request as well."""
    logger, lines = logging.getLogger(OURS), _Lines()
    before = logger.level
    lines.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s", "%H:%M:%S"))
    logger.setLevel(logging.DEBUG if verbose > 1 else logging.INFO)
    logger.addHandler(lines)
    try:
        yield
    finally:
        logger.removeHandler(lines)
        logger.setLevel(before)
