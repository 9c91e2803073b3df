"""Who answers while something is recorded: the simulated teacher in a process of its own, or a real Ollama."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from skills_dspy.base.errors import MachineError

CHECKOUT = Path(__file__).resolve().parents[2]
MODEL = "qwen2.5-coder:1.5b"
"""The model that demo and cassettes are recorded from, as Ollama names it: small enough for two processor cores."""

CASSETTE_TASKS = (
    CHECKOUT / "task_specs" / "coding" / "freeform" / "shell_command.yaml",
    CHECKOUT / "task_specs" / "coding" / "grounded" / "sql_query.yaml",
)
"""What the cassettes of prompts and main flow are about. The demo has another grounded task: of SQL the model makes no pair."""

SIMULATED_NOTE = (
    "faults of a server, and replies made by chance between them, by the simulated teacher of evals/teacher, because no model "
    "fails on demand; no language model ran in this recording"
)
"""What a recording of faults says of itself."""

IMPROVABLE_NOTE = (
    "replies made by chance and by a table of three rows, which gives an optimizer one sentence to find, by the simulated "
    "teacher (evals/teacher/improvable.py); no language model ran in this recording"
)
"""The same of a recording of an optimization."""

RECORD_FROM = "SKILLS_DSPY_RECORD_FROM"
"""The environment variable with the address of a real Ollama, for the tests that record."""

RECORD_NOTE = "SKILLS_DSPY_RECORD_NOTE"
"""The environment variable with the words for what answers there."""


@contextmanager
def simulated_teacher(*options: str) -> Iterator[str]:
    """Start a simulated teacher on a free port, and end it afterwards.

    A fresh one for each recording: its faults come in the order in which requests arrive.

    Args:
        options: more options of `python -m evals.teacher`.

    Yields:
        Its address; MachineError when it did not start, and has said on stderr why.
    """
    command = [sys.executable, "-m", "evals.teacher", "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT) as process:
        assert process.stdout is not None
        try:
            found = re.search(r"listening on (\S+)", process.stdout.readline() + process.stdout.readline())
            if found is None:
                raise MachineError("the simulated teacher did not start; what it says stands above")
            yield found[1]
        finally:
            process.terminate()
            process.wait(10)
