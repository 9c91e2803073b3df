"""The shipped demo: two recorded runs and a text that says what answered, in skills_dspy/run/demo."""

import shutil
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

from evals.record.answering import CHECKOUT, MODEL
from skills_dspy.base.errors import MachineError
from skills_dspy.cli.run import COMPLETE, SHORT
from skills_dspy.store.aside import write_json, write_text
from skills_dspy.store.journal import Journal, pack
from skills_dspy.store.run_dir import RunPaths, find_runs
from skills_dspy.store.run_json import read_run_json

DEMO_FOLDER = CHECKOUT / "skills_dspy" / "run" / "demo"
TASKS = (
    CHECKOUT / "task_specs" / "coding" / "freeform" / "shell_command.yaml",
    CHECKOUT / "task_specs" / "extraction" / "meeting_actions.yaml",
)
"""What is run: a freeform task that a small model of code can do, and a grounded one that it has contexts for, if poor ones."""
WANTED = 5
"""Accepted pairs of each task: a quarter of an hour on two processor cores."""
MOST_DRAWS = 16
"""After so many draws it stops: a model that gives its prompt back where a new context is wanted might do so for ever."""

_README = """\
Recorded runs of skills_dspy, replayed by `python -m skills_dspy run --replay demo` without a server and without a model.

WHAT ANSWERED: {note}.

Every reply is that model's own, as it came; nothing was chosen or edited afterwards. It is a small model, and a poor judge
(docs/teachers.md): the rows show what the program does with its replies, not what a good teacher makes.

Each run's directory has two files. journal.sqlite holds every reply with the request that it answers, and the vectors of the
texts that were compared, so that no embedding model is needed either; run.json says what the run was made with,
and `note` under `server` says what answered. All else in a dataset (which examples a prompt shows, what
is a duplicate, which ratings pass, where each row came from) is worked out anew in a replay, as in any run.

Recorded by `python -m evals.record --base-url http://127.0.0.1:11434`, from an Ollama.
"""


def record_demo(host: str, note: str, api: str) -> None:
    """Run both tasks and put them in place of the old demo, which stays as it is when anything goes wrong.

    Args:
        host: who answers.
        note: what answers, in words.
        api: what it speaks.

    Raises:
        MachineError: a run did not end with all its pairs; the program has said why.
        SkillsError: the demo cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="skills-dspy-demo-") as folder:
        runs, packed = Path(folder, "runs"), Path(folder, "demo")
        _run(host, note, api, runs)
        packed.mkdir()
        write_text(packed / "README.txt", readme(note))
        for run in find_runs(runs):
            pack_run(run, note, packed / run.folder.relative_to(runs))
        if DEMO_FOLDER.exists():
            shutil.rmtree(DEMO_FOLDER)
        shutil.copytree(packed, DEMO_FOLDER)


def pack_run(run: RunPaths, note: str, target: Path) -> None:
    """Copy what a replay needs of a run that has ended: its journal as one file, which says what answered, and run.json.

    Raises:
        SkillsError: the run cannot be read, or the target cannot be written.
    """
    with Journal.open(run.journal) as journal:
        journal.set_meta("answered_by", note)
    target.mkdir(parents=True)
    pack(run.journal, target / run.journal.name)
    if (noted := read_run_json(run)) is not None:
        write_json(RunPaths(target).run_json, noted.content)


def readme(note: str) -> str:
    """The text beside the runs."""
    text = _README.format(note=note)
    return "\n\n".join(textwrap.fill(part, 100, break_on_hyphens=False) for part in text.split("\n\n")) + "\n"


def _run(host: str, note: str, api: str, output: Path) -> None:
    config = output.with_name("config.yaml")
    write_text(config, f"draws: {{max_draws: {MOST_DRAWS}}}\n")
    command = [sys.executable, "-m", "skills_dspy", "run", "--task-paths", *map(str, TASKS), "-n", str(WANTED)]
    command += ["--base-url", host, "--api", api, "--model", MODEL, "--note", note, "--config", str(config)]
    command += ["--seed", "0", "--concurrency", "4", "--output-dir", str(output)]
    # Its summary names a folder that will be gone, so only its progress is shown.
    ended = subprocess.run(command, cwd=CHECKOUT, stdout=subprocess.DEVNULL, check=False)
    if ended.returncode not in (COMPLETE, SHORT):
        raise MachineError(f"the recorded run ended with exit code {ended.returncode}; the old demo was left as it is")
