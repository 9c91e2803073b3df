"""Tests of README.md: what it shows is what the program prints."""

import subprocess
import sys
from pathlib import Path

from evals.readme.architecture import PICTURE, page

ROOT = Path(__file__).resolve().parent.parent


def test_the_readme_shows_what_the_demo_prints() -> None:
    """The accepted pair and the funnels in the README are those of the shipped recording, word for word."""
    checked = subprocess.run(
        [sys.executable, "-m", "evals.readme", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr


def test_the_picture_of_the_imports_is_true() -> None:
    """docs/architecture.md is what the code gives; `make architecture` writes it."""
    assert PICTURE.read_text(encoding="utf-8") == page()


def test_the_readme_says_what_answered() -> None:
    """Nobody can take the demo's replies for a model's: the README names the hand and the simulated teacher."""
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert "**written by hand**" in text
    assert "**simulated teacher**" in text
    assert "say nothing about how good the prompts are with a real model" in text
