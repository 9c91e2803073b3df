"""The README's commands on what the demo made: scored, decided anew, exported; and a taxonomy's file, linted."""

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import yaml

from evals.record.answering import ROOT

SCORED = "output/demo/instructlab/skills/writing/freeform/debate"
_QNA = "taxonomy/compositional_skills/writing/freeform/haiku/qna.yaml"
_SEEDS = 4
_HAIKU = ROOT / "task_specs" / "writing" / "freeform" / "haiku.yaml"


def on_the_demo(folder: Path) -> dict[str, str]:
    """What the commands print, by the names of the README's blocks; the demo's runs lie in the folder already.

    Raises:
        click.ClickException: a command failed.
    """
    scores = re.search(r"^Diversity$.*?(?=^Words$)", _printed(folder, "eval", "data", SCORED), re.DOTALL | re.MULTILINE)
    if scores is None:
        raise click.ClickException("the scores have no part on diversity")
    decided = _printed(folder, "decide", SCORED, "--min-sample-quality", "5", "--dry-run")
    export = ["output/demo", "--format", "hf", "--out", "output/hf", "--test-share", "0.2"]
    write_qna(folder)
    return {
        "data": scores.group().strip(),
        "decide": decided,
        "export": _printed(folder, "export", *export),
        "tasks": _printed(folder, "tasks", "taxonomy"),
    }


def write_qna(folder: Path) -> None:
    """A skill file as people write them, made of the shipped haiku: no description, few seeds, and a slip."""
    task = yaml.safe_load(_HAIKU.read_text("utf-8"))
    seeds = task["seed_examples"][:_SEEDS]
    seeds[1]["answer"] = seeds[1]["answer"].strip().replace("\n", "\\n")
    content = {"version": 3, "created_by": "you", "task_description": "", "seed_examples": seeds}
    path = folder / _QNA
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), "utf-8")


def _printed(folder: Path, *words: str) -> str:
    environment = {**os.environ, "COLUMNS": "100", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "skills_dspy", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)
    if done.returncode not in (0, 1):
        raise click.ClickException(f"{' '.join(words)} ended with {done.returncode}: {done.stderr.strip()}")
    printed = done.stdout.replace(sys.executable, ".venv/bin/python")  # as it reads in a checkout
    return "\n".join(line.rstrip() for line in printed.strip("\n").splitlines())
