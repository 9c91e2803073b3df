"""The blocks of output in README.md and docs/commands.md: made by the commands that stand above them, on the shipped demo.

`python -m evals.readme` rewrites them; `--check` exits 1 if they differ, but for the line of the cost: how many calls were
under way at the end depends on timing.
"""

import contextlib
import io
import json
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
import yaml

from evals.readme.architecture import PICTURE, ROOT, page
from skills_dspy.cli.main import start

PAGES = (ROOT / "README.md", ROOT / "docs" / "commands.md")
RUN = ("run", "--replay", "demo", "-n", "5", "--output-dir", "output/demo", "--restart", "--quiet")
_RUNS = "output/demo/instructlab/skills/coding"
_SHELL = f"{_RUNS}/freeform/shell_command"
_QNA = "taxonomy/compositional_skills/writing/freeform/haiku/qna.yaml"
_SEEDS = 4
_COST = re.compile(r"^ *Cost: .*$", re.MULTILINE)


@click.command()
@click.option("--check", is_flag=True, help="Change nothing; exit 1 if a block is out of date.")
@click.option("--architecture", is_flag=True, help="Write docs/architecture.md from the code instead.")
def main(check: bool, architecture: bool) -> None:
    """Run the commands of README.md and docs/commands.md and put what they print into them."""
    if architecture:
        PICTURE.write_text(page(), encoding="utf-8")
        return
    with tempfile.TemporaryDirectory() as folder:
        blocks = outputs(Path(folder))
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        new = filled(text, blocks)
        if not check:
            path.write_text(new, encoding="utf-8")
        elif _COST.sub("", new) != _COST.sub("", text):
            raise click.ClickException(f"{path.name} does not show what its commands print now; run: python -m evals.readme")


def outputs(folder: Path) -> dict[str, str]:
    """What the commands print when they are run in an empty folder, as code blocks by name.

    Raises:
        click.ClickException: a command failed.
    """
    demo = _printed(folder, *RUN)
    row = (folder / _SHELL / "data.jsonl").read_text(encoding="utf-8").splitlines()[0]
    scores = re.search(r"^Diversity$.*?(?=^Words$)", _printed(folder, "eval", "data", _SHELL), re.DOTALL | re.MULTILINE)
    if scores is None:
        raise click.ClickException("the scores have no part on diversity")
    _write_qna(folder / _QNA)
    texts = {
        "demo": demo,
        "data": scores.group(),
        "decide": _printed(folder, "decide", _SHELL, "--min-sample-quality", "5", "--dry-run"),
        "export": _printed(folder, "export", "output/demo", "--format", "hf", "--out", "output/hf", "--test-share", "0.2"),
        "tasks": _printed(folder, "tasks", "taxonomy"),
    }
    blocks = {name: f"```\n{text.strip()}\n```" for name, text in texts.items()}
    return {**blocks, "pair": f"```json\n{shortened(json.loads(row))}\n```"}


def shortened(row: dict[str, Any]) -> str:
    """A row as the README shows it: everything but the provenance's digests."""
    kept = {name: row[name] for name in ("instruction", "response", "question_verdict", "pair_verdict")}
    tags = {name: value for name, value in row["tags"].items() if name != "explanations"}
    return json.dumps({**kept, "tags": tags}, ensure_ascii=False, indent=2)


def filled(text: str, blocks: dict[str, str]) -> str:
    """The text with every `<!-- name -->` ... `<!-- /name -->` block replaced."""
    return re.sub(
        r"(<!-- (\w+) -->\n).*?(<!-- /\2 -->)", lambda found: f"{found[1]}{blocks[found[2]]}\n{found[3]}", text, flags=re.DOTALL
    )


def _write_qna(path: Path) -> None:
    """A skill file as people write them, made of the shipped haiku: no description, few seeds, and a slip."""
    task = yaml.safe_load((ROOT / "task_specs" / "writing" / "freeform" / "haiku.yaml").read_text("utf-8"))
    seeds = task["seed_examples"][:_SEEDS]
    seeds[1]["answer"] = seeds[1]["answer"].strip().replace("\n", "\\n")
    content = {"version": 3, "created_by": "you", "task_description": "", "seed_examples": seeds}
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), "utf-8")


def _printed(folder: Path, *words: str) -> str:
    """What a command prints in this folder, as it reads in a checkout."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(folder),
        patch.dict(os.environ, {"COLUMNS": "100", "HF_HUB_OFFLINE": "1"}),
        patch.object(sys, "argv", ["skills_dspy", *words]),  # some sentences repeat what was typed
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = start(words)
    if code not in (0, 1):
        raise click.ClickException(f"{' '.join(words)} ended with {code}: {err.getvalue().strip()}")
    printed = out.getvalue().replace(sys.executable, ".venv/bin/python")
    return "\n".join(line.rstrip() for line in printed.strip("\n").splitlines())


if __name__ == "__main__":
    main()
