"""How a tool of the project that is a module of its own ends where its user is at fault."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from skills_dspy.base.errors import SkillsError
from skills_dspy.base.visible import visible


@contextmanager
def sentences() -> Iterator[None]:
    """Print what an error of ours says on stderr, in one sentence, and leave with its exit code."""
    try:
        yield
    except SkillsError as error:
        click.echo(visible(f"error: {error}"), err=True)
        sys.exit(error.exit_code)
