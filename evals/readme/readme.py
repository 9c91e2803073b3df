"""Fills the README's blocks of output from real runs, and says when they are out of date.

`python -m evals.readme` rewrites them; `--check` exits 1 if they differ, but for the line of the cost: how many calls were
under way at the end depends on timing. `--demo` and `--walk` take one part only: the demo on the shipped recording, or the walk
from report card to optimized run beside the simulated teacher, which takes a minute.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from evals.readme.data import on_the_demo
from evals.readme.walk import walk

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
COMMAND = ["-m", "skills_dspy", "run", "--replay", "demo", "-n", "5", "--output-dir", "output/demo", "--restart"]
_PAIR = "instructlab/skills/writing/grounded/grammar"
_COST = re.compile(r"^ *Cost: .*$", re.MULTILINE)


@click.command()
@click.option("--check", is_flag=True, help="Change nothing; exit 1 if a block is out of date.")
@click.option("--demo", "only", flag_value="demo", help="The blocks of the demo only.")
@click.option("--walk", "only", flag_value="walk", help="The blocks of the walk only.")
def main(check: bool, only: str | None) -> None:
    """Run the README's commands and put what they print into it."""
    blocks: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        if only != "walk":
            printed = demo(Path(folder))
            rows = (Path(folder) / "output" / "demo" / _PAIR / "data.jsonl").read_text(encoding="utf-8").splitlines()
            blocks |= {"pair": _code("json", shortened(json.loads(rows[0]))), "demo": _code("", printed.strip())}
            blocks |= {name: _code("", text) for name, text in on_the_demo(Path(folder)).items()}
        if only != "demo":
            blocks |= {name: _code("diff" if name == "diff" else "", text) for name, text in walk(Path(folder)).items()}
    text = README.read_text(encoding="utf-8")
    new = filled(text, blocks)
    if not check:
        README.write_text(new, encoding="utf-8")
    elif _COST.sub("", new) != _COST.sub("", text):
        raise click.ClickException("the README's output is not what its commands print now; run: python -m evals.readme")


def demo(folder: Path) -> str:
    """What the demo prints, run from an empty folder."""
    environment = {**os.environ, "COLUMNS": "100"}
    done = subprocess.run(
        [sys.executable, *COMMAND, "--quiet"], check=True, capture_output=True, text=True, cwd=folder, env=environment
    )
    printed = done.stdout.replace(sys.executable, ".venv/bin/python")  # as it reads in a checkout
    return "\n".join(line.rstrip() for line in printed.splitlines())


def shortened(row: dict[str, Any]) -> str:
    """A row as the README shows it: everything but the provenance's digests."""
    kept = {name: row[name] for name in ("instruction", "context", "response", "question_verdict", "pair_verdict")}
    tags = {name: value for name, value in row["tags"].items() if name != "explanations"}
    return json.dumps({**kept, "tags": tags}, ensure_ascii=False, indent=2)


def filled(text: str, blocks: dict[str, str]) -> str:
    """The text with every `<!-- name -->` ... `<!-- /name -->` block replaced."""
    for name, block in blocks.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        found = pattern.search(text)
        if found is None:
            raise click.ClickException(f"the README has no block named {name}")
        text = f"{text[: found.start()]}{found[1]}{block}\n{found[2]}{text[found.end() :]}"
    return text


def _code(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```"
