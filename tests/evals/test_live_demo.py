"""`make demo-live`: what is run, what is said of the small model, and how it ends. Really run: by hand, and by nobody's CI."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from evals.record.live import main
from skills_dspy.base.config import load_config


@pytest.mark.parametrize(("ends", "code"), [(0, 0), (1, 0), (2, 2), (130, 130)])
@pytest.mark.parametrize("given", [True, False])
def test_the_main_job_is_run_on_a_model_file(monkeypatch: pytest.MonkeyPatch, ends: int, code: int, given: bool) -> None:
    """A run that stops short has not failed; of the small model it is said what its texts are worth, first and last."""
    commands: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, ends)

    monkeypatch.setattr("subprocess.run", run)
    monkeypatch.setattr("evals.record.live.small_model", lambda: Path("smollm2.gguf"))
    done = CliRunner().invoke(main, ["--output-dir", "out", *(["--model-file", "fox.gguf"] if given else [])])
    assert done.exit_code == code
    (command,) = commands
    assert command[command.index("--llamacpp") + 1] == ("fox.gguf" if given else "smollm2.gguf")
    assert done.output.count("writes nonsense that fits the schema") == (0 if given else 2)
    # It ends also when nothing is accepted.
    assert load_config(Path(command[command.index("--config") + 1])).draws.max_draws is not None
