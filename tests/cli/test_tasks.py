"""The command `tasks`, `--taxonomy-base`, and a run over a folder in which a file is broken."""

import io
import json
import subprocess
from pathlib import Path

import pytest
from rich.console import Console

from skills_dspy.base.config import load_config
from skills_dspy.cli.tasks import show
from skills_dspy.commands.check.task_report import TaskReport, github_lines, make_report
from skills_dspy.tasks.lint import Finding
from tests.helpers.terminal import Terminal

GOOD = """\
version: 3
created_by: me
task_description: Knowing animals
seed_examples:
  - {question: How old is the oak, answer: Very}
  - {question: Name a bird, answer: Jay}
  - {question: Where do trout live, answer: In brooks}
  - {question: Is it raining, answer: Hardly}
  - {question: Who runs, answer: The fox, context: The fox runs}
"""


class Shell(Terminal):
    """A terminal in a folder with skills."""

    def skill(self, name: str, text: str = GOOD, licence: str = "MIT") -> Path:
        """Write a skill's file, and an attribution beside it."""
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).with_name("attribution.txt").write_text(f"License of the work: {licence}\n", "utf-8")
        return self.write(name, text)

    def found(self, *paths: object) -> list[tuple[str, int, str, str]]:
        """File, line, rule and severity of all findings."""
        findings = json.loads(self.type("tasks", "--json", *paths).out)["findings"]
        return [(Path(one["path"]).name, one["line"], one["rule"], one["severity"]) for one in findings]


@pytest.fixture
def shell(terminal: Terminal) -> Shell:
    """A shell in an empty folder."""
    return Shell(terminal.folder, terminal.capsys)


# ---- what is printed -------------------------------------------------------------------------------------------------


def test_a_warning_matters_when_strict_and_an_error_always(shell: Shell) -> None:
    """Exit codes for CI; a note matters never."""
    noted = shell.skill("a/qna.yaml", GOOD.replace("version: 3", "version: 1").replace("Knowing animals", "''"))
    assert shell.type("tasks", "--rules").out.startswith("nothing-there      error    a folder holds no task file")
    assert shell.type("tasks", noted).out.endswith("\n\n1 file, 1 task: 0 errors, 0 warnings, 1 note\n")
    assert "::notice file=" in shell.type("tasks", "--format", "github", noted).out
    assert (shell.type("tasks", noted)[0], shell.type("tasks", "--strict", noted)[0]) == (0, 0)
    warned = shell.skill("b/qna.yaml", GOOD, licence="-")
    assert (shell.type("tasks", warned)[0], shell.type("tasks", "--strict", warned)[0]) == (0, 1)
    wrong = shell.skill("c/qna.yaml", GOOD.replace("created_by: me\n", ""))
    assert (shell.type("tasks", wrong)[0], shell.type("tasks", "--strict", wrong)[0]) == (1, 1)


def test_github_gets_its_annotations() -> None:
    """With GitHub's escapes: those of the message, and those of the properties, which a comma or a colon would end."""
    one = Finding(path="a,b:c%.yaml", line=3, rule="schema", severity="error", message="100%:\nno, two")
    two = Finding(path="d.yaml", line=1, rule="attribution", severity="warning", message="x")
    three = Finding(path="d.yaml", line=2, rule="no-description", severity="note", message="y")
    assert github_lines(TaskReport(files=2, tasks=(), findings=(one, two, three), skipped=())) == [
        "::error file=a%2Cb%3Ac%25.yaml,line=3,title=schema::100%25:%0Ano, two",
        "::warning file=d.yaml,line=1,title=attribution::x",
        "::notice file=d.yaml,line=2,title=no-description::y",
        "2 files, 0 tasks: 1 error, 1 warning, 1 note",
    ]


def test_a_terminal_shows_tasks_in_a_table_and_findings_file_by_file(shell: Shell) -> None:
    """Text in brackets is text, not markup; the file's name stands once."""
    file = shell.skill("compositional_skills/[b]/qna.yaml", GOOD.replace("answer: Jay", "answer: [red]"))
    shell.skill("compositional_skills/[c]/qna.yaml")
    shell.skill("knowledge/b/qna.yaml")
    out = Console(width=100, record=True, file=io.StringIO())
    show(make_report([shell.folder], load_config()), out)
    text = out.export_text()
    heading, row, *_ = text.splitlines()
    assert heading.split() == ["task", "kind", "seeds", "longest", "seed", "longest", "prompt", "window"]
    assert row.split()[:3] == ["[c]", "mixed", "5"]
    assert text.count(str(file)) == 1
    assert "    6  error    `answer` of seed 2 is a list" in text
    assert "skipped: a leaf of `knowledge`" in text


# ---- what is found ---------------------------------------------------------------------------------------------------


def test_a_wrong_name_hides_nothing_else(shell: Shell) -> None:
    """What is in a qna.yml is looked at all the same."""
    shell.skill("compositional_skills/a/qna.yml", GOOD.replace("created_by: me\n", ""))
    assert shell.found(".") == [("qna.yml", 1, "file-name", "error"), ("qna.yml", 1, "schema", "error")]


def test_a_folder_with_nothing_in_it_is_a_finding(shell: Shell) -> None:
    """Beside what other folders hold; a path that does not exist is a wrong request."""
    (shell.folder / "empty").mkdir()
    shell.skill("a/qna.yaml")
    assert shell.found("a", "empty") == [("empty", 1, "nothing-there", "error")]
    code, out, err = shell.type("tasks", "a", "missing")
    assert (code, out) == (2, "")
    assert err == "error: missing: there is no such file or folder; check the path\n"


# ---- git and runs ----------------------------------------------------------------------------------------------------


@pytest.fixture
def repository(shell: Shell) -> Shell:
    """A taxonomy in git with one skill on main."""
    shell.skill("compositional_skills/a/qna.yaml")
    for words in ("init --quiet --initial-branch main", "add --all", "commit --quiet --message one"):
        command = ["git", "-c", "user.name=somebody", "-c", "user.email=nobody@example.org", *words.split()]
        subprocess.run(command, cwd=shell.folder, check=True, capture_output=True)
    return shell


def test_only_what_changed_is_looked_at(repository: Shell) -> None:
    """Nothing changed is no fault here: exit 0 and a line that says so; a wrong ref is one."""
    code, out, err = repository.type("tasks", ".", "--taxonomy-base", "main", "--strict")
    assert (code, out) == (0, "0 files, 0 tasks: 0 errors, 0 warnings, 0 notes\n")
    assert err == "no task file there has changed against main; leave out --taxonomy-base to take all\n"
    repository.skill("compositional_skills/b/qna.yaml")
    _, out, _ = repository.type("tasks", ".", "--taxonomy-base", "main", "--json")
    assert [task["task_name"] for task in json.loads(out)["tasks"]] == ["b"]
    code, out, err = repository.type("tasks", ".", "--taxonomy-base", "nowhere", "--format", "github")
    assert out.startswith("::error::--taxonomy-base: nowhere names no commit")
    code, out, err = repository.type("tasks", ".", "--taxonomy-base", "nowhere")
    assert (code, out) == (2, "")
    assert err.startswith("error: --taxonomy-base: nowhere names no commit")


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_run_and_a_check_refuse_when_nothing_changed(repository: Shell, command: str) -> None:
    """They would have nothing to do."""
    code, _, err = repository.type(command, "--task-paths", ".", "--taxonomy-base", "main")
    assert code == 2
    assert err.endswith("error: no task file there has changed against main; leave out --taxonomy-base to take all\n")


def test_a_run_leaves_the_broken_file_out_and_says_so_at_both_ends(repository: Shell) -> None:
    """The others get their pairs; the exit code is 1, and the JSON has the broken file too."""
    repository.skill("compositional_skills/b/qna.yaml")
    repository.skill("compositional_skills/c/qna.yaml", "a: [")
    repository.skill("knowledge/d/qna.yaml")
    words = ("--task-paths", ".", "--taxonomy-base", "main", "-n", 1, "--output-dir", "out", "--quiet", "--json")
    code, out, err = repository.type("run", *words)
    assert code == 1
    summary = json.loads(out)
    assert [(task["task_name"], task["status"]) for task in summary["tasks"]] == [("b", "complete")]
    assert [(one["path"], one["line"]) for one in summary["broken"]] == [("compositional_skills/c/qna.yaml", 1)]
    lines = err.splitlines()
    assert "knowledge/d/qna.yaml:1: skipped: a leaf of `knowledge`, which is not read here: skills only" in lines
    assert any(line.startswith("broken, and left out: compositional_skills/c/qna.yaml:1: ") for line in lines)
    assert lines[-1].startswith("not run: compositional_skills/c/qna.yaml:1: ")
    written = json.loads((repository.folder / "out/b/run.json").read_text())
    assert written["task"]["licence"] == "MIT"
    assert "licence" not in written["inputs"]["task"]
