"""A terminal that commands are typed in, with a stand-in for the server."""

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from rich.console import Console

from evals.figures.tables import Section, print_sections
from skills_dspy.cli.main import start
from skills_dspy.store.files import read_rows
from skills_dspy.store.run_dir import RunPaths
from tests.helpers.fake_server import FakeServer

TASK = """\
task_name: {name}
created_by: somebody
task_description: Knowing foxes.
data_builder: instructlab/skills
num_questions_to_generate_per_prompt: 3
seed_examples:
  - question: What is a fox?
    answer: An animal.
  - question: What is a badger?
    answer: Another animal.
  - question: What is a marten?
    answer: A third animal.
  - question: What is a jay?
    answer: A bird.
  - question: What is a pike?
    answer: A fish.
"""


class Screen(io.StringIO):
    """What somebody sits in front of."""

    def isatty(self) -> bool:
        """Somebody does."""
        return True


class Said(NamedTuple):
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


def printed(sections: Sequence[Section], width: int) -> str:
    """What a terminal of so many columns shows of a report, without the blanks at the ends of lines."""
    out = io.StringIO()
    print_sections(sections, Console(file=out, width=width, highlight=False, emoji=False, color_system=None))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


@dataclass
class Terminal:
    """A shell in a folder of its own, with a stand-in for the server and an embedder that needs no model."""

    folder: Path
    capsys: pytest.CaptureFixture[str]
    servers: list[FakeServer] = field(default_factory=list)
    make_server: Callable[[], FakeServer] = FakeServer

    @property
    def output(self) -> Path:
        """Where runs live."""
        return self.folder / "output"

    def write(self, name: str, text: str) -> Path:
        """Write a file."""
        path = self.folder / name
        path.write_text(text, "utf-8")
        return path

    def task(self, name: str = "test/foxes") -> Path:
        """Write a task file."""
        return self.write(f"{name.rsplit('/', 1)[-1]}.yaml", TASK.format(name=name))

    def type(self, *words: object) -> Said:
        """Type a command."""
        code = start([str(word) for word in words])
        said = self.capsys.readouterr()
        return Said(code, said.out, said.err)

    def run(self, *words: object) -> Said:
        """Type a `run` into the output folder."""
        return self.type("run", "--output-dir", self.output, *words)

    def paths(self, name: str = "test/foxes", output: Path | None = None) -> RunPaths:
        """The files of a task's run."""
        return RunPaths((output or self.output) / name)

    def run_json(self, output: Path | None = None) -> dict[str, Any]:
        """What the run says of itself."""
        content: dict[str, Any] = json.loads(self.paths(output=output).run_json.read_bytes())
        return content

    def rows(self, name: str = "test/foxes") -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """What was accepted and rejected."""
        paths = self.paths(name)
        return [row for _, row in read_rows(paths.data)], [row for _, row in read_rows(paths.rejected)]
