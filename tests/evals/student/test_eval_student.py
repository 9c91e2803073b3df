"""`eval student` from the command line, with a student of random weights."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from evals.student.judging import AnsweredTwice
from evals.student.lessons import Fit
from evals.student.model import load_student
from evals.student.outcome import outcome_of
from evals.student.report import StudentReport
from evals.student.training import TrainingSettings
from skills_dspy.base.errors import ServerError
from skills_dspy.store.run_dir import RunPaths
from tests.evals.student.test_judging import PAIRS, a_judge
from tests.evals.student.test_outcome import trial
from tests.helpers.fake_server import FakeServer
from tests.helpers.terminal import Said, Terminal

pytestmark = pytest.mark.torch


def measure(terminal: Terminal, data: object, *words: object, student: object = "any") -> Said:
    """Type the command about some data."""
    given = ("--seeds", terminal.task(), "--student", student, "--output-dir", terminal.folder / "trained")
    return terminal.type("eval", "student", data, *given, *words)


def refused(terminal: Terminal, why: str, data: object, *words: object) -> list[str]:
    """Type what is refused, in these words; returns all that was said."""
    said = measure(terminal, data, *words)
    assert (said.code, why in said.err) == (2, True), said.err
    return said.err.splitlines()


def test_it_trains_measures_and_goes_on(terminal: Terminal, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted, it goes on; the report has every lesson, in three forms; a third time nothing is trained.

    The student and its card are written, and the run is left as it was.
    """
    terminal.run("--task-paths", terminal.task(), "-n", 4, "--hold-out", 2)
    train = partial(measure, terminal, terminal.output, "--device", "cpu", "--epochs", 1, student=folder)
    data = RunPaths(terminal.output / "test/foxes").data
    rows, saved = data.read_bytes(), terminal.folder / "saved"
    with monkeypatch.context() as patched:
        patched.setattr("skills_dspy.cli.progress.TrainingProgress._count", interrupting())
        said = train()
    assert said.code == 130
    assert "every finished training is kept: the same command goes on where this one stopped" in said.err
    terminal.make_server = lambda: a_judge(lambda _: "tie")
    said = train("--json", "--save", saved, "--markdown", terminal.folder / "report.md", "--judge", "fox")
    assert said.code == 0, said.err
    report = json.loads(said.out)
    assert (report["judged"]["after"], report["judged"]["questions"], report["judged"]["turned"]) == (0.5, 2, 0)
    assert report["seeds"] == {"test/foxes": 2}
    assert "on seeds that nobody showed:" in (saved / "README.md").read_text("utf-8")
    assert report["rows"]["the seeds"] == {"taught": 3, "near_copies": 0, "too_long": 0, "empty": 0, "repeated": 0}
    lessons = ["all rows", "1/2 of the rows", "answers shuffled", "the seeds alone", "the seeds, repeated"]
    assert [one["lesson"] for one in report["taught"]] == lessons
    assert all(one["change"]["low"] <= one["change"]["value"] <= one["change"]["high"] for one in report["taught"])
    assert json.loads((terminal.folder / "trained" / "student.json").read_bytes()) == report
    assert "| all rows |" in (terminal.folder / "report.md").read_text("utf-8")
    card = (saved / "README.md").read_text("utf-8")
    assert f"rows of {terminal.output.name}," in card
    assert str(terminal.folder) not in card
    assert "base_model" not in card
    assert report["verdicts"][0] in card.replace("\\", "")
    assert load_student(str(saved), "cpu").mark != load_student(str(folder), "cpu").mark
    monkeypatch.setattr("evals.student.trial.trained", None)  # which nobody calls now
    again = train("--save", saved)
    assert (again.code, "5 of 5 trainings were finished earlier" in again.err) == (0, True), again.err
    assert "Loss per token of the held-out seeds' answers" in again.out
    assert "(LoRA of rank 16, 1 pass, learning rate 0.0002" in " ".join(again.out.split())
    assert "is not the student of this training" in train("--save", terminal.output).err
    assert data.read_bytes() == rows


def interrupting() -> Callable[[object], None]:
    """Counts steps, and at the second one somebody presses Ctrl-C."""
    counted: list[int] = []

    def count(_: object) -> None:
        counted.append(1)
        if len(counted) == 2:
            raise KeyboardInterrupt

    return count


@pytest.mark.parametrize(
    ("rows", "words", "why"),
    [
        (
            '{"question": "What is a cat?", "answer": "It purrs."}\n',
            ("--window", "9"),
            "1 are longer than the window of 9 tokens",
        ),
        ('{"question": "What is a fox?", "answer": "An animal."}\n', (), "1 are near copies of held-out seeds"),
        (
            '{"question": "What is a fox?", "answer": "An animal."}\n{"question": "What is a hen?", "answer": " "}\n'
            '{"prompt": "What is a cat?", "completion": "A fish.", "label": false}\n',
            (),
            "window of 64 tokens, 2 are blank or labelled false; give other rows",
        ),
        ("", (), "the file is empty"),
    ],
)
def test_rows_that_teach_nothing_are_refused(
    terminal: Terminal, folder: Path, rows: str, words: tuple[str, ...], why: str
) -> None:
    """One sentence and exit code 2, before anything is trained."""
    data = terminal.write("rows.jsonl", rows)
    task = terminal.task() if "--window" not in words else terminal.write("short.yaml", SHORT)
    said = terminal.type("eval", "student", data, "--seeds", task, "--student", folder, "--device", "cpu", *words)
    assert (said.code, said.out) == (2, "")
    assert why in said.err.splitlines()[-1]


@pytest.mark.parametrize(("judge", "why"), [("missing-one", "is not on the server"), ("fox", "the host answers no request")])
def test_a_judge_is_asked_for_before_anything_is_trained(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, judge: str, why: str
) -> None:
    """Whether its server answers, and has the model: a night of training is not followed by the news that it has not."""
    monkeypatch.setattr("skills_dspy.cli.student.examine_student", None)  # which nobody calls
    if judge == "fox":
        terminal.make_server = Silent
    assert len(refused(terminal, why, terminal.output, "--judge", judge)) == 1


def test_a_judge_may_be_a_model_file(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is called like its file, with or without its ending; another name is refused before anything is trained."""
    examined: list[object] = []

    def examine(*asked: object) -> tuple[StudentReport, tuple[AnsweredTwice, ...]]:
        examined.append(asked)
        settings, fits = TrainingSettings(), {"the data": Fit(())}
        report = StudentReport(
            "s", (str(terminal.output),), {"t": 2}, fits, settings, 64, "cpu", 0, 1, outcome_of(trial(1, all=0.5), 0)
        )
        return report, tuple(PAIRS)

    model = terminal.folder / "fox-1b.gguf"
    model.write_bytes(b"GGUF\3\0\0\0" + bytes(16))
    monkeypatch.setattr("skills_dspy.cli.student.examine_student", examine)
    monkeypatch.setattr("skills_dspy.commands.api.server.LlamaCppServer", lambda *_, **__: a_judge(lambda _: "tie"))
    why = f"--judge jay: the model of --llamacpp {model} is called like its file; give --judge fox-1b"
    refused(terminal, why, terminal.output, "--llamacpp", model, "--judge", "jay")
    assert examined == []
    for name in ("fox-1b", "fox-1b.gguf"):
        said = measure(terminal, terminal.output, "--llamacpp", model, "--judge", name, "--json")
        assert (said.code, json.loads(said.out)["judged"]["judge"]) == (0, "fox-1b"), said.err


@pytest.mark.parametrize("option", ["--control", "--compare"])
def test_data_is_not_compared_with_itself(terminal: Terminal, monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    """A slip of the hand, which would cost a training."""
    monkeypatch.setattr("evals.student.examination.load_student", None)  # which nobody calls
    data = terminal.write("rows.jsonl", '{"question": "What is a cat?", "answer": "It purrs."}\n')
    refused(terminal, f"error: {option} {data}: it is among the data; give other rows", data, option, data)
    other = terminal.write("same.jsonl", '{"messages": ' + CHAT + "}\n")
    refused(terminal, f"error: {option} {other}: the data has the very same rows; give other rows", data, option, other)


def test_a_control_of_the_same_task_is_refused(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs are of is known; of a file it is the user's word, and so is a part of the data no other skill."""
    monkeypatch.setattr("evals.student.examination.load_student", None)  # which nobody calls
    run, other = (terminal.folder / name for name in ("one", "two"))
    for folder, seed in ((run, 0), (other, 5)):
        typed = ("--task-paths", terminal.task(), "-n", 2, "--hold-out", 2, "--output-dir", folder, "--seed", seed)
        assert terminal.type("run", *typed).code == 0
    rows = RunPaths(run / "test/foxes").data.read_text("utf-8")
    asked = json.loads(rows.splitlines()[0])["instruction"]
    part = terminal.write("part.jsonl", json.dumps({"instruction": asked, "response": "Yes."}))
    for control, why in (
        (other, "two/test/foxes: it is of test/foxes, as the data is, and no other skill; give rows of another task, or"),
        (part, "part.jsonl: the data has the very same questions; give other rows"),
    ):
        refused(terminal, why, run, "--control", control)


def test_the_report_of_another_skill_is_not_replaced(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sentence names a folder for this one, where cards find it as well; a report about the same data may be made anew."""
    monkeypatch.setattr("evals.student.model.NEEDED", ("no_such_library",))  # so that nothing is trained
    folder = terminal.folder / "trained"
    folder.mkdir()
    told = {"student": "small", "data": ["out/foxes"], "runs": {}, "verdicts": []}
    terminal.write("trained/student.json", json.dumps(told))
    why = "student.json is a report about other data (out/foxes), which this one would replace; give it a folder of its own: "
    refused(terminal, f"{why}--output-dir {folder / 'jays'}", terminal.folder / "out/jays")
    for data in ("out/foxes", "./out//foxes"):
        refused(terminal, "trains with no_such_library", data)


@pytest.mark.parametrize("option", ["DATA", "--seeds", "--compare", "--control", "--student", "--config"])
@pytest.mark.parametrize("inside", ["", "model.json"])
def test_a_page_takes_the_place_of_nothing_that_is_read(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, option: str, inside: str
) -> None:
    """Neither of a file that was given, nor of one in a folder that was; said before anything is trained."""
    monkeypatch.setattr("skills_dspy.cli.student.examine_student", None)  # which nobody calls
    given = {"DATA": "out", "--seeds": "task.yaml", "--student": "any", option: "mine"}
    place = terminal.folder / "mine"
    if inside:
        place.mkdir()
    (place / inside).write_text("precious")
    words = [word for name, value in given.items() for word in (name, terminal.folder / value) if word != "DATA"]
    said = terminal.type("eval", "student", *words, "--output-dir", terminal.folder / "trained", "--markdown", place / inside)
    why = f"--markdown {place / inside} would take the place of what is read; give another file"
    assert (said.code, why in said.err) == (2, True), said.err
    assert (place / inside).read_text() == "precious"


def test_a_page_of_before_is_replaced_also_beside_the_data(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """And one that cannot be written is refused before anything is trained."""
    monkeypatch.setattr("evals.student.model.NEEDED", ("no_such_library",))  # so that nothing is trained
    terminal.output.mkdir()
    (terminal.output / "learned.md").write_text("# What")
    (terminal.output / "README.md").write_text("# A card")
    for page, why in (
        (terminal.output / "learned.md", "trains with no_such_library"),
        (terminal.output / "new.md", "trains with no_such_library"),
        (terminal.output / "README.md", "README.md would take the place of what is read"),
        (terminal.output, f"--markdown {terminal.output} is a folder; give a file"),
        (Path("/proc/new.md"), "cannot write /proc/new.md: "),
        ("/dev/null", "--markdown /dev/null is no file; give a file"),
    ):
        assert len(refused(terminal, why, terminal.output, "--markdown", page)) == 1
    assert sorted(path.name for path in terminal.output.iterdir()) == ["README.md", "learned.md"]


class Silent(FakeServer):
    """A host where nothing listens."""

    async def version(self) -> str:
        """Nothing."""
        raise ServerError("the host answers no request")


CHAT = '[{"role": "user", "content": "What is a cat?"}, {"role": "assistant", "content": "It purrs."}]'
SHORT = """\
task_name: test/short
created_by: somebody
task_description: Short.
data_builder: instructlab/skills
seed_examples:
  - question: fox
    answer: barks
  - question: jay
    answer: caws
"""


def test_without_the_extra_one_sentence_says_how_to_get_it(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read before."""
    monkeypatch.setattr("evals.student.model.NEEDED", ("torch", "no_such_library"))
    said = terminal.type("eval", "student", "rows.jsonl", "--seeds", "task.yaml", "--student", "any")
    assert said.code == 2
    assert "`eval student` trains with no_such_library, which is not here: pip install 'skills-dspy[student]'" in said.err
