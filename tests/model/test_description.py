"""A blank description: derived by one call of its own, kept, shown, never sent blank; a task that has one is asked as ever."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.optimize.targets import units_of
from evals.teacher.config import CUT, TeacherConfig
from skills_dspy.base.errors import ContextTooLong, MissingReply, NotDescribed, RequestError, RunDirError, Unanswered
from skills_dspy.base.tokens import estimate_tokens
from skills_dspy.commands.check.measure import Preflight
from skills_dspy.commands.check.sample_prompts import messages_of, prompt_estimates
from skills_dspy.model.context_window import choose_windows, needs
from skills_dspy.model.description import PLACEHOLDER, described, examples_in_turn, undescribed
from skills_dspy.model.room import RETRY
from skills_dspy.model.steps import DESCRIBE, inputs, reply_limits
from skills_dspy.run.past import find_recorded
from skills_dspy.store.journal import JournalReader
from tests.helpers.fake_server import FakeServer
from tests.helpers.loops import on_a_loop
from tests.helpers.making import FREEFORM, GROUNDED, a_config, a_program, a_spec
from tests.helpers.terminal import TASK, Terminal
from tests.helpers.timed_server import TimedServer
from tests.run.test_runner import CROWS, FOXES, WANTED, Going, run

BLANK = FOXES.model_copy(update={"task_description": " \n"})
SAID = "Questions about animals, answered in one sentence."


def teaching(*replies: str) -> TeacherConfig:
    """A teacher that describes foxes so, one reply after the other, and leaves everything else to chance."""
    return TeacherConfig(pass_rate=0.8, duplicate_rate=0.2, descriptions={BLANK.task_name: replies or (SAID,)})


@pytest.fixture
def going(tmp_path: Path) -> Going:
    """A run of a task without a description."""
    return Going(tmp_path / "output", (BLANK,), teacher=teaching())


def journaled(going: Going) -> list[str]:
    """The steps of the replies in the journal, as they came."""
    with JournalReader.open(going.paths().journal) as recording:
        return [row[0] for row in recording._connection.execute("SELECT step FROM replies ORDER BY rowid")]


# -- a run ----------------------------------------------------------------------------------------------------------------


def test_the_description_is_asked_for_first_and_once(going: Going) -> None:
    """One call, journaled; every other prompt has it, none has a blank; the rows and run.json have it, the inputs do not."""
    ran = going.go()
    first, *others = ran.server.prompts
    assert first.startswith("<examples>\n<example>\n<question>\nWhat is a fox?")
    assert f"<path>\n{BLANK.task_name}\n</path>" in first
    assert all(prompt.startswith(f"<task_description>\n{SAID}\n</task_description>") for prompt in others)
    assert journaled(going)[0] == "write_description"
    assert journaled(going).count("write_description") == 1
    accepted, _ = going.rows()
    assert len(accepted) == WANTED
    assert {row.task_description for row in accepted} == {SAID}
    manifest = going.run_json()
    assert manifest["derived_description"] == ran.task.description == SAID
    assert manifest["inputs"]["task"]["task_description"] == manifest["task"]["task_description"] == " \n"
    assert set(manifest["inputs"]["prompts"]) == {"task", "freeform"}
    assert manifest["result"]["usage"]["by_step"]["write_description"]["calls"] == 1


def test_a_task_with_that_description_makes_the_same_requests(going: Going) -> None:
    """But for the first: deriving changes no prompt and no row."""
    going.go()
    told = replace(going, folder=going.folder / "told", specs=(described(BLANK, SAID),))
    told.go()
    assert told.bytes() == going.bytes()  # with the digests of all requests that led to a row
    assert "write_description" not in journaled(told)
    assert "derived_description" not in told.run_json()
    assert set(told.run_json()["inputs"]["prompts"]["task"]) == {"plan_variety"}


def test_a_run_goes_on_without_asking_again(going: Going) -> None:
    """The journal has it; the same file is the same input."""
    going.go()
    more = replace(going, wanted=WANTED + 2)
    ran = more.go(FakeServer(teaching("Something else.")))
    assert "<path>" not in "".join(ran.server.prompts)
    assert ran.task.description == SAID
    assert more.run_json()["derived_description"] == SAID
    whole = replace(going, folder=going.folder / "whole", wanted=WANTED + 2)
    whole.go()
    assert more.bytes() == whole.bytes()


def test_a_description_that_is_written_later_is_another_input(going: Going) -> None:
    """The rows were made with the derived one."""
    going.go()
    with pytest.raises(RunDirError, match=r"begun with other inputs \(task: task_description; prompts: task\)"):
        replace(going, specs=(FOXES,)).go()


def test_a_replay_takes_it_from_the_recording(going: Going) -> None:
    """The same bytes without a server; a recording that lacks it cannot be replayed."""
    going.go()
    (recorded,) = find_recorded(str(going.folder))
    assert undescribed(recorded.spec)
    again = replace(going, folder=going.folder / "again")
    (task,) = run(again.request(specs=(recorded.spec,), recorded={BLANK.task_name: recorded}), None)
    assert task.description == SAID
    assert again.bytes() == going.bytes()
    with pytest.raises(MissingReply, match="write_description"):
        run(replace(again, folder=going.folder / "x").request(seed=7, recorded={BLANK.task_name: recorded}), None)


@pytest.mark.parametrize("bad", [" \n", f"Questions about{CUT}"])
def test_unreadable_twice_is_said_and_nothing_takes_its_place(going: Going, bad: str) -> None:
    """The task ends with a sentence before anything else is asked; what was paid for is kept."""
    server = FakeServer(teaching(bad))
    with pytest.raises(NotDescribed, match=r"^tasks/foxes\.yaml: the task has no description.*, twice\): write what"):
        going.go(server)
    assert len(server.asked) == 2
    assert going.run_json()["status"].startswith("failed: tasks/foxes.yaml: the task has no description")
    assert going.rows() == ([], [])


def test_a_server_that_cannot_describe_it_is_said(going: Going) -> None:
    """Why, and that the file may say it; it was asked often enough by then."""

    async def never(_: int) -> None:
        raise Unanswered("The server answered 500: EOF.", "")

    server = FakeServer(before=never)
    with pytest.raises(NotDescribed, match=r"gave none that can be used \(The server answered 500: EOF\.\): write what"):
        going.go(server)
    assert len(server.asked) == 1


def test_one_that_cannot_be_described_stops_nobody_else(going: Going) -> None:
    """It is that task's own fault."""
    both = replace(going, specs=(BLANK, CROWS))
    ran = both.go(FakeServer(teaching(" ")))
    assert ran.tasks[0].status.startswith("failed: tasks/foxes.yaml: the task has no description")
    assert ran.tasks[1].status == "complete"


def test_many_are_described_side_by_side(tmp_path: Path) -> None:
    """Each is a call in the queue; nobody waits for all descriptions to be there."""
    blanks = tuple(BLANK.model_copy(update={"task_name": f"test/{n}"}) for n in range(6))
    ran = Going(tmp_path, blanks, wanted=1).go()
    asked = ["<path>" in prompt for prompt in ran.server.prompts]
    assert sum(asked) == 6
    assert ran.server.most_in_flight == 4
    assert len({task.description for task in ran.tasks}) == 6
    assert [task.status for task in ran.tasks] == ["complete"] * 6


# -- its prompt and the window --------------------------------------------------------------------------------------------


def test_both_kinds_of_seed_are_shown_in_turn() -> None:
    """As many as other prompts show, whole pairs, the first kind first."""
    other = GROUNDED.model_copy(update={"question": "Who sleeps?"})
    spec = a_spec([GROUNDED, other, FREEFORM], name="a/b")
    shown = inputs(DESCRIBE, spec, examples_in_turn(spec))
    assert [pair.question for pair in shown["examples"]] == ["Who runs?", "What is a fox?", "Who sleeps?"]
    assert [pair.context for pair in shown["examples"]] == ["The fox runs.", None, "The fox runs."]
    assert shown["path"] == "a/b"
    assert len(examples_in_turn(a_spec([FREEFORM] * 9, shown=2))) == 2


@given(st.integers(1, 4), st.booleans(), st.integers(1, 500))
def test_the_window_has_room_for_any_description_that_may_come(count: int, grounded: bool, words: int) -> None:
    """It is chosen before the description is there, and no task that was described needs more."""
    spec = a_spec([GROUNDED if grounded else FREEFORM] * count, description="")
    config, program = a_config(), a_program()
    room = RETRY * reply_limits(spec, config)["write_description"]
    text = "ab " * words
    before = needs(spec, config, program)
    assert next(iter(before)) == "write_description"
    if estimate_tokens(text) <= room:
        after = needs(described(spec, text), config, program)
        assert "write_description" not in after
        assert all(after[step].total <= before[step].total for step in after)
        window, larger = (choose_windows([need], config, {})["generator"] for need in (after, before))
        assert window <= larger


def test_a_description_that_takes_too_long_a_prompt_says_what_helps() -> None:
    """Whoever writes one saves the prompt."""
    long = FREEFORM.model_copy(update={"answer": "word " * 150})
    spec = a_spec([long] * 20, description="", shown=20)
    config = a_config({"max_num_ctx": 4096, "draws": {"variety": "off"}})
    with pytest.raises(ContextTooLong, match="write a task_description, which saves this prompt"):
        choose_windows([needs(spec, config, a_program())], config, {})


def test_it_is_no_target_of_the_optimizers() -> None:
    """Nothing measures it."""
    with pytest.raises(RequestError, match="write_description cannot be a target of its own: nothing measures"):
        units_of("write_description", {"freeform"}, "separate")


# -- the commands ---------------------------------------------------------------------------------------------------------


@on_a_loop
async def test_check_tries_it_first_and_sends_no_blank() -> None:
    """The other prompts are tried, timed and estimated with what came."""
    server = TimedServer(timed=False)
    spec = a_spec(description="")
    windows = dict.fromkeys(("generator", "validator", "tagger"), 4096)
    flight = Preflight(spec, a_config(), server, windows, concurrency=2)  # type: ignore[arg-type]
    assert flight.steps[:2] == ("write_description", "write_questions_freeform")
    for step in flight.steps:
        trial = await flight.attempt(step)
        assert trial.fault is None
    await flight.together()
    first, *others = [payload["messages"][-1]["content"] for payload in server.payloads]
    assert first.startswith("<examples>")
    assert all(text.startswith("<task_description>\nA whole sentence.\n</task_description>") for text in others)


def test_estimates_take_it_to_be_of_the_usual_length() -> None:
    """Before there is one."""
    spec = a_spec(description="")
    assert prompt_estimates(spec, a_config()) == prompt_estimates(described(spec, PLACEHOLDER), a_config())
    assert PLACEHOLDER not in json.dumps(messages_of(spec, "freeform", DESCRIBE, 0, a_program()))


def blank_task(terminal: Terminal) -> Path:
    """A task file whose description is blank."""
    text = TASK.format(name="test/foxes").replace("Knowing foxes.", '""')
    return terminal.write("blank.yaml", text)


def test_the_summary_the_json_and_explain_show_it(terminal: Terminal) -> None:
    """Whoever looks at the dataset sees what its prompts said."""
    terminal.make_server = lambda: FakeServer(teaching())
    said = terminal.run("--task-paths", blank_task(terminal), "-n", 2)
    assert said.code == 0
    assert f"Description (derived): {SAID}" in said.out
    told = terminal.run("--task-paths", blank_task(terminal), "-n", 2, "--json")
    assert json.loads(told.out)["tasks"][0]["derived_description"] == SAID
    row = terminal.rows()[0][0]
    story = terminal.type("explain", row["id"], "--output-dir", terminal.output)
    assert f"description (derived) {SAID}" in story.out


def test_prompts_shows_it_for_a_task_without_one(terminal: Terminal) -> None:
    """First of all, and in the others there stands that it will be there."""
    said = terminal.type("prompts", "--task-paths", blank_task(terminal))
    rules = [line.strip("─ ") for line in said.out.splitlines() if line.startswith("──")]
    assert rules[0] == "write_description"
    assert "⟨the description that the model derives⟩" in said.out
    assert "<task_description>\n\n</task_description>" not in said.out
