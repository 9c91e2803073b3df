"""What is shown of many tasks: the total and the worst of them, in a terminal of 80 columns and 24 lines, and at the end."""

import io
import json
import resource
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from rich.console import Console

from skills_dspy.base.errors import RequestError, RunDirError
from skills_dspy.base.records import Reason
from skills_dspy.cli.progress import Progress, RunProgress, TrainingProgress
from skills_dspy.cli.summary import json_summary, print_summary
from skills_dspy.model.hosts.lane import Lane
from skills_dspy.model.hosts.slots import Slots
from skills_dspy.model.replies import Meter
from skills_dspy.pipeline.funnel import Funnel, added_up
from skills_dspy.pipeline.settle import Settler
from skills_dspy.run import open_files
from skills_dspy.run.headway import duration, headway_of, worst_tasks
from skills_dspy.run.task import TaskView
from skills_dspy.store.run_dir import RunPaths
from tests.helpers.making import a_spec
from tests.helpers.terminal import Screen, Terminal


class Hand:
    """A clock whose hand is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


def running(name: str = "instructlab/skills/foxes", *, accepted: int = 2, wanted: int = 6) -> TaskView:
    """A task in the middle: two of six accepted, two rejected, forty calls of which ten were remembered."""
    funnel = Funnel()
    for _ in range(accepted):
        funnel.accept()
    funnel.reject("judge_question", "judged bad")
    funnel.reject("dedup", "duplicate")
    run = SimpleNamespace(funnel=funnel, done=accepted >= wanted)
    meter = Meter(live=30, remembered=10, prompt_tokens=9000, output_tokens=3000)
    return TaskView(
        a_spec(name=name),
        RunPaths(Path("output") / name),
        wanted,
        meter,
        cast("Settler", run),
        "Ollama 0.12 at http://127.0.0.1:11434",
    )


def many() -> list[TaskView]:
    """Two hundred tasks: one has failed, thirty are done, the others have 1 to 5 of 6."""
    tasks = [running(f"writing/a long name of a task/number {n:03}", accepted=6 if n < 30 else 1 + n % 5) for n in range(200)]
    for task in tasks[:30]:
        task.status = "complete"
    tasks[150].fail(RunDirError("output/x holds files of something else (y); choose another --output-dir"))
    return tasks


def test_the_worst_are_those_that_are_farthest_behind() -> None:
    """The smallest share first, of equal ones the lowest yield; none that is done or failed."""
    slow, poor, good, done, failed = (running(name, accepted=n) for name, n in zip("abcde", (1, 1, 4, 6, 1), strict=True))
    poor.run.funnel.reject("judge_pair", "judged bad")
    failed.fail(RunDirError("no"))
    assert worst_tasks([good, done, failed, slow, poor], 9) == [poor, slow, good]
    assert worst_tasks([good, done, failed, slow, poor], 1) == [poor]


def test_the_total_adds_up() -> None:
    """What failed is missing, and is not waited for."""
    total = headway_of(many())
    assert (total.tasks, total.done, total.failed) == (200, 30, 1)
    assert total.accepted == sum(task.run.funnel.accepted for task in many())
    assert total.wanted == 1200
    assert total.missing == sum(6 - (1 + n % 5) for n in range(30, 200) if n != 150)
    assert total.counted() == "30 of 200 tasks done, 1 failed"
    funnel = added_up(task.run.funnel for task in many())
    assert funnel.candidates == funnel.accepted + funnel.rejected.total() == total.candidates


def shown(*tasks: TaskView) -> tuple[RunProgress, Hand, io.StringIO]:
    """What a log file is shown of tasks, the clock, and the file."""
    hand, stream = Hand(), io.StringIO()
    progress = RunProgress(stream=stream, clock=hand)
    progress.started(tasks, Slots(4))
    return progress, hand, stream


def test_without_a_terminal_there_is_a_line_now_and_then() -> None:
    """Every 15 seconds at most, and only for tasks that are not done."""
    progress, hand, stream = shown(running(), running("jays", accepted=6))
    with progress:
        for _ in range(59):
            hand.now += 1.0
            progress.changed()
    assert stream.getvalue().splitlines() == [
        f"instructlab/skills/foxes: 2 of 6 accepted, 40 calls, {3000 / seconds:.0f} tokens/s, 0 in flight, "
        f"{left} left [4 candidates, dedup -1, question judge -1, accepted 2]"
        for seconds, left in ((15, "40 s"), (30, "80 s"), (45, "2 min"))
    ]


def test_a_fault_is_told_without_a_terminal() -> None:
    """The first ones at once, later ones now and then."""
    progress, hand, stream = shown()
    progress.fault("The server is broken.", 1.0)
    for _ in range(10):
        hand.now += 2.0
        progress.fault("The server is broken.", 30.0)
    assert stream.getvalue().splitlines() == [
        "The server is broken. Asking again in 1 s.",
        "The server is broken. Asking again in 30 s.",
    ]


def drawn(progress: Progress, width: int = 150) -> list[str]:
    """The lines of the picture in a terminal of so many columns."""
    console = Console(record=True, width=width, file=io.StringIO())
    console.print(progress)
    return console.export_text().splitlines()


def watched(*tasks: TaskView) -> RunProgress:
    """What a terminal is shown of tasks, 30 seconds later."""
    hand = Hand()
    progress = RunProgress(stream=Screen(), clock=hand)
    progress.started(tasks, Slots(8))
    hand.now += 30.0
    return progress


def test_a_terminal_shows_each_task_and_what_is_in_flight() -> None:
    """Accepted, calls, speed, time left, the funnel, the slots; a fault until something settles again."""
    assert drawn(RunProgress(stream=Screen())) == ["asking the server ..."]
    progress = watched(running("instructlab/skills/[/odd] foxes"), running("jays", accepted=6))
    picture = drawn(progress)
    (foxes,) = (line for line in picture if line.startswith("[/odd] foxes"))
    assert "2 of 6" in foxes
    assert foxes.split()[-4:] == ["40", "100", "80", "s"]
    assert any("6 of 6" in line for line in picture)
    assert any("4 candidates, dedup -1, question judge -1, accepted 2" in line for line in picture)
    assert "in flight 0 of 8, waiting 0" in picture
    progress.fault("The server is [broken].", 4.0)
    assert drawn(progress)[-1] == "The server is [broken]. Asking again in 4 s."
    progress.changed()
    assert "broken" not in drawn(progress)[-1]


def of_hosts(count: int) -> Slots:
    """Hosts that have written 3000 tokens each; the last one is away."""
    lanes = [Lane(4, name=f"http://h{number}:11434", calls=30, output_tokens=3000) for number in range(count)]
    lanes[-1].limit, lanes[-1].why = 0, "The server at http://[h]:11434 does not answer."
    return Slots(lanes)


def test_several_hosts_have_a_line_each() -> None:
    """Slots, calls, speed, and why one gets nothing; in a terminal and in a log, of one host alone nothing."""
    slots, (progress, hand, stream) = of_hosts(2), shown(running())
    progress.started([running()], slots)
    hand.now += 30.0
    progress.changed()
    lines = [
        "http://h1:11434: 0 of 4 in flight, 30 calls, 100 tokens/s; gets nothing now: The server at http://[h]:11434 does not "
        "answer.",
        "http://h0:11434: 0 of 4 in flight, 30 calls, 100 tokens/s",
    ]
    assert stream.getvalue().splitlines()[1:] == lines
    picture = watched(running())
    assert not any("http" in line for line in drawn(picture))
    picture.slots = slots
    assert [line.rstrip() for line in drawn(picture) if "http" in line] == lines
    assert len(drawn(picture, 40)) == len(drawn(picture))
    picture.slots = of_hosts(40)
    assert sum("http" in line for line in drawn(picture)) == 8
    assert "and 32 other hosts" in drawn(picture)


def test_a_terminal_is_left_clean() -> None:
    """The live table goes away when the run ends, whatever ends it."""
    screen = Screen()

    def goes_wrong() -> None:
        with RunProgress(stream=screen) as progress:
            progress.started([running()], Slots(4))
            raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        goes_wrong()
    drawing, _, cleared = screen.getvalue().rpartition("\x1b[?25h")
    assert drawing.count("\n") == cleared.count("\x1b[1A\x1b[2K")


def test_questions_are_counted() -> None:
    """A line now and then, a bar with the time left in a terminal, and nothing when quiet."""
    hand, stream, silent = Hand(), io.StringIO(), Screen()
    plain, bar, quiet = (Progress(stream=to, clock=hand, quiet=to is silent) for to in (stream, Screen(), silent))
    with plain.counting(4) as one, bar.counting(4) as two, quiet.counting(4) as three:
        for _ in range(3):
            hand.now += 10.0
            for count in (one, two, three):
                count()
    assert stream.getvalue() == "2 of 4 answered\n"
    assert drawn(bar)[-1].split()[0] == "asking"
    assert "3/4  10 s left" in drawn(bar)[-1]
    assert silent.getvalue() == ""


def test_the_first_steps_of_a_training_tell_no_time() -> None:
    """The first one waits for libraries: how long the others take is said after some of them, without it."""
    hand, stream = Hand(), io.StringIO()
    plain, bar = (TrainingProgress(stream=to, clock=hand) for to in (stream, Screen()))
    with plain.counting(10) as one, bar.counting(10) as two:
        for pause in (600.0, 20.0, 20.0, 20.0):
            hand.now += pause
            one()
            two()
            drawn_last = drawn(bar)[-1]
            assert (" left" in drawn_last) == (pause == 20.0 and "4/10" in drawn_last)
    assert stream.getvalue().splitlines() == [*(f"{n} of 10 steps done" for n in (1, 2, 3)), "4 of 10 steps done, 2 min left"]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (89, "89 s"), (95, "2 min"), (3600, "60 min"), (12_000, "3 h 20 min")]
)
def test_durations_are_for_people(seconds: float, words: str) -> None:
    """Seconds, minutes, hours and minutes."""
    assert duration(seconds) == words


def test_a_terminal_shows_the_total_and_the_worst() -> None:
    """All of it in 24 lines of 80 columns, whatever the number of tasks."""
    progress = watched(*many())
    progress.fault("The server at http://127.0.0.1:11434 is busy.", 4.0)
    lines = drawn(progress, 80)
    assert len(lines) <= 20
    assert max(map(len, lines)) <= 80
    assert lines[1].startswith("total")
    assert f"{headway_of(many()).accepted} of 1200" in lines[1]
    assert sum("1 of 6" in line for line in lines) == 8
    assert any(line.startswith("30 of 200 tasks done, 1 failed") for line in lines)
    assert any(line.startswith("in flight 0 of 8") for line in lines)


def test_plain_lines_are_few() -> None:
    """One of the total and three of the worst, now and then; what has failed is said at once."""
    tasks = many()
    progress, hand, stream = shown(*tasks)
    assert stream.getvalue().splitlines() == [f"{tasks[150].spec.task_name}: {tasks[150].status}"]
    hand.now += 16.0
    progress.changed()
    _, total, *worst = stream.getvalue().splitlines()
    assert total.startswith("total: 30 of 200 tasks done, 1 failed, ")
    assert "of 1200 accepted, 8000 calls, " in total
    assert "0 in flight" in total
    assert len(worst) == 3
    assert all("1 of 6 accepted" in line for line in worst)
    tasks[160].fail(RunDirError("gone"))
    progress.failed(tasks[160])
    assert stream.getvalue().splitlines()[-1].endswith("number 160: failed: gone")


def summary(tasks: Sequence[TaskView]) -> str:
    """The end of a run."""
    console = Console(file=io.StringIO(), record=True, width=200)
    print_summary(tasks, replayed=False, console=console)
    return console.export_text()


def test_the_summary_of_many_has_a_line_for_each() -> None:
    """One funnel for all, each failure with its sentence, and how many were described."""
    tasks = many()
    tasks[3].description = "Something."
    usage = {"calls": 12, "prompt_tokens": 100, "output_tokens": 20}
    tasks = [task if task.error else replace(task, usage=usage) for task in tasks]
    said = summary(tasks)
    assert all(said.count(f"number {n:03} ") == 1 for n in range(150))
    assert said.count("went on") == 1
    assert "total: 30 of 200 tasks done, 1 failed" in said
    assert "failed writing/a long name of a task/number 150: output/x holds files of something else (y); choose" in said
    assert f"Cost: {12 * 199} calls" in said
    assert "Descriptions (derived): of 1 tasks" in said
    assert len(json.loads(json_summary(tasks))["tasks"]) == 200


def test_the_summary_of_a_few_shows_a_failure_without_an_empty_funnel() -> None:
    """It has made nothing."""
    failed, fine = running("a", accepted=0), running("b")
    failed.run.funnel.candidates = 0
    failed.fail(RunDirError("output/a is busy"))
    said = summary([failed, fine])
    assert "a: 0 of 6 accepted, failed: output/a is busy" in said
    assert said.count("went on") == 1


def test_the_summary_says_what_was_lost_to_the_server() -> None:
    """How many and where, of all tasks together as well, why, and that nothing can be done about it."""
    task = running("a", accepted=3)
    for stage in ("judge_pair", "judge_pair", "write_questions"):
        task.run.funnel.reject(
            stage, "server failed", f"The server answered 500 at {stage}. It answers others, and this never."
        )
    said = summary([task])
    assert f"Lost to the server: 3 of {task.run.funnel.candidates} candidates (write_questions 1, judge_pair 2)." in said
    assert "The first: The server answered 500 at write_questions. It answers others, and this never." in said
    assert "and is not asked again" in said
    assert "Lost to the server: 3 of " in summary([task, *many()])
    assert "Lost to the server" not in summary(many())


@pytest.mark.parametrize(
    ("unreadable", "reason", "told"),
    [(9, "unreadable", True), (4, "unreadable", False), (9, "truncated", True), (9, "residue", True)],
)
def test_the_summary_shows_a_reply_where_most_were_of_no_use(unreadable: int, reason: Reason, told: bool) -> None:
    """Half of all or more, and nothing was accepted: then the first says why, and what the model writes."""
    task = running("a", accepted=0)
    task.run.funnel.candidates = 9 - unreadable
    for number in range(unreadable):
        had = "the reply has a block of thinking: <think>" if reason == "residue" else "no JSON"
        task.run.funnel.reject("write_questions", reason, f"{had}, twice {number}", "* questions:\n\x1b[2J")
    said = summary([task])
    assert (", twice 0; the reply: * questions: \\x1b[2J" in said) is told
    assert ("check` tries whether the model can be used with another `think`, and names it" in said) is told
    assert f"Most rejected by write_questions ({reason}): {unreadable} of 9 candidates." in said


def test_no_other_way_to_think_is_advised_against_what_no_thought_left() -> None:
    """As a control character: the reply is shown, and that is all."""
    task = running("a", accepted=0)
    task.run.funnel.candidates = 0
    for _ in range(9):
        task.run.funnel.reject("write_questions", "residue", "the reply has a control character: \\x08", "\x08")
    said = summary([task])
    assert "The first of them: the reply has a control character" in said
    assert "`think`" not in said


# -- exit codes -----------------------------------------------------------------------------------------------------------


def test_one_broken_task_of_two_exits_with_1(terminal: Terminal) -> None:
    """And its sentence stands in the summary and on stderr."""
    (terminal.output / "test" / "jays").mkdir(parents=True)
    (terminal.output / "test" / "jays" / "mine").write_text("mine")
    said = terminal.run("--task-paths", terminal.task(), terminal.task("test/jays"), "-n", 2)
    assert said.code == 1
    assert "test/foxes: 2 of 2 accepted, complete" in said.out
    assert "test/jays: 0 of 2 accepted, failed: " in said.out
    assert said.err.startswith("test/jays: failed: ")
    assert "holds files of something else (mine)" in said.err


def test_nothing_that_could_run_exits_with_2(terminal: Terminal) -> None:
    """With the first sentence, after all of them."""
    for name in ("foxes", "jays"):
        (terminal.output / "test" / name).mkdir(parents=True)
        (terminal.output / "test" / name / "mine").write_text("mine")
    said = terminal.run("--task-paths", terminal.task(), terminal.task("test/jays"), "-n", 2)
    assert said.code == 2
    assert "test/jays: 0 of 2 accepted, failed: " in said.out
    assert said.err.splitlines()[-1].startswith("error: ")
    assert "foxes holds files of something else" in said.err.splitlines()[-1]
    assert terminal.servers[0].asked == []


# -- open files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tasks", "limits", "raised"),
    [
        (1, (1024, 4096), None),
        (200, (1024, 4096), (2544, 4096)),
        (200, (1024, resource.RLIM_INFINITY), (2544, resource.RLIM_INFINITY)),
        (200, (resource.RLIM_INFINITY, resource.RLIM_INFINITY), None),
    ],
)
def test_room_for_open_files_is_asked_for(
    tasks: int, limits: tuple[int, int], raised: tuple[int, int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As much as the tasks need, if there is not enough."""
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, now: asked.append(now))
    open_files.make_room(tasks, 8)
    assert asked == ([] if raised is None else [raised])


def test_too_many_tasks_for_the_system_are_refused_before_anything_is_asked(
    terminal: Terminal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One sentence with the number that fits, exit code 2."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (150, 150))
    with pytest.raises(RequestError, match="200 tasks at once may have 2544 files open, and this system allows 150"):
        open_files.make_room(200, 8)
    said = terminal.run("--task-paths", terminal.task(), "-n", 1)
    assert said.code == 2
    assert said.err.count("\n") == 1
    assert terminal.servers == []
    assert not Path(terminal.output).exists()
