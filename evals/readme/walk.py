"""The README's walk from report card to optimized run: its commands, run against the simulated teacher that heeds prompts."""

import os
import re
import subprocess
import sys
from pathlib import Path

import click

from evals.record.answering import ROOT, simulated_teacher

PORT = "11555"
"""The port that the README's commands name; the walk takes any free one and writes this one down."""

TASKS = "task_specs"
_HEED = ("--heed", "--heed-tasks", str(ROOT / TASKS), "--slots", "8")


def walk(folder: Path) -> dict[str, str]:
    """Run the walk in an empty folder; returns what its commands print, by the names of the README's blocks.

    Raises:
        click.ClickException: a command failed.
    """
    (folder / TASKS).symlink_to(ROOT / TASKS)
    with simulated_teacher(*_HEED) as url:
        host = ["--base-url", url]
        card = _printed(folder, url, "eval", "judges", "--samples", "1", "--no-fused", *host)
        judges = ["--task-paths", TASKS, "--optimizer", "gepa", "--out", "programs/judges.json"]
        compiled = _printed(folder, url, "optimize", "judges", *judges, *host)
        diff = _printed(folder, url, "prompts", "judge_pair_grounded", "--program", "programs/judges.json")
        answers = ["--task-paths", TASKS, "--optimizer", "bootstrap", "--out", "programs/all.json"]
        both = _printed(
            folder, url, "optimize", "answers", "--program", "programs/judges.json", *answers, "--min-judge-kappa", "0.3", *host
        )
        task = f"{TASKS}/writing/freeform/haiku.yaml"
        _printed(folder, url, "run", "--program", "programs/all.json", "--task-paths", task, "-n", "20", *host)
    return {"judges": _between(card, "Decisions", "Replies and agreement"), "compiled": compiled, "diff": diff, "both": both}


def _printed(folder: Path, url: str, *words: str) -> str:
    environment = {**os.environ, "COLUMNS": "100", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "skills_dspy", *words, *(() if words[0] == "prompts" else ("--quiet",))]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)
    if done.returncode:
        raise click.ClickException(f"{' '.join(words)} ended with {done.returncode}: {done.stderr.strip()}")
    text = done.stdout.replace(url, f"http://127.0.0.1:{PORT}").replace(f"{ROOT}/", "")
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())


def _between(text: str, first: str, last: str) -> str:
    """The part of a report from one heading up to another."""
    found = re.search(rf"^{re.escape(first)}$.*?(?=^{re.escape(last)}$)", text, re.DOTALL | re.MULTILINE)
    if found is None:
        raise click.ClickException(f"the report has no part {first!r}")
    return found.group().strip()
