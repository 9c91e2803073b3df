"""The tests' cassettes: recorded anew by the tests themselves, and then replayed once to see that they serve."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from evals.record.answering import RECORD_FROM, RECORD_NOTE, ROOT
from skills_dspy.base.errors import MachineError, RequestError

_MARK = "pytest.mark.vcr"


def cassette_tests(root: Path = ROOT) -> list[Path]:
    """The test modules that have cassettes."""
    return [path for path in sorted((root / "tests").rglob("test_*.py")) if _MARK in path.read_text("utf-8")]


def record_cassettes(base_url: str | None, note: str) -> None:
    """Record every cassette anew.

    Args:
        base_url: a real Ollama; none for simulated teachers, which the tests start themselves, a fresh one for each.
        note: what answers, in words.

    Raises:
        RequestError: this is no checkout with tests.
        MachineError: the tests do not pass, while recording or afterwards; pytest has said why.
    """
    modules = cassette_tests()
    if not modules:
        raise RequestError(f"there are no tests with cassettes in {ROOT / 'tests'}; record in a checkout of the project")
    environment = {name: value for name, value in os.environ.items() if name not in (RECORD_FROM, RECORD_NOTE)}
    environment[RECORD_NOTE] = note
    if base_url is not None:
        environment[RECORD_FROM] = base_url
    _pytest(modules, ["--record-mode=rewrite"], environment, "were recorded")
    _pytest(modules, [], os.environ, "are replayed")


def _pytest(modules: Sequence[Path], options: Sequence[str], environment: Mapping[str, str], when: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-m", "vcr", *options, *map(str, modules)]
    ended = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    if ended.returncode:
        raise MachineError(f"the tests failed while their cassettes {when} (pytest's exit code {ended.returncode})")
