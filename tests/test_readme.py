"""Tests of README.md and the pages beside it: what they show is what the program prints, or takes."""

import re
from pathlib import Path

import pytest

from evals.readme.__main__ import main
from evals.readme.architecture import PICTURE, page
from skills_dspy.cli.run import load_specs

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.torch
def test_the_readme_shows_what_the_demo_prints() -> None:
    """The accepted pair and the funnels in the README are those of the shipped recording, word for word."""
    main(["--check"], standalone_mode=False)  # raises where a page differs


def test_the_picture_of_the_imports_is_true() -> None:
    """docs/architecture.md is what the code gives; `make architecture` writes it."""
    assert PICTURE.read_text(encoding="utf-8") == page()


def test_the_readme_says_what_answered() -> None:
    """Nobody can take the demo's rows for a good teacher's: the README names the small model, and says how it judges."""
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert "A real and small model: Qwen2.5-Coder-1.5B on Ollama" in text
    assert "as a judge it rates hardly better than by chance" in text
    assert "no measure of a good teacher" in text


def test_runs_that_pages_name_are_those_of_shipped_tasks() -> None:
    """A command with one works when it is pasted after the run."""
    names = {task.task_name for task in load_specs((ROOT / "task_specs",)).specs}
    for page_ in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for name in re.findall(r"\boutput/(?:demo/)?(\S+/(?:freeform|grounded)/\w+)", page_.read_text("utf-8")):
            assert name in names, f"{page_.name}: output/{name}"
