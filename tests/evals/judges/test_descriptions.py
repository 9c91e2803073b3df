"""Tasks without a description in `eval judges`, `eval program` and `optimize`: described first, by a call, never sent blank."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.judges.corruptions import seed_cases
from evals.judges.descriptions import (
    cases_with_descriptions,
    derive_descriptions,
    description_line,
    with_descriptions,
)
from evals.optimize.plan import OptimizeRequest, plan_of
from evals.session.session import Session, SessionRequest
from evals.teacher.config import Improvable, TeacherConfig
from skills_dspy.base.errors import ContextTooLong, NotDescribed, RequestError
from skills_dspy.base.records import SeedExample
from skills_dspy.model.compiled import compiled_content
from skills_dspy.model.description import described
from skills_dspy.model.program import SkillsProgram
from skills_dspy.tasks.files import load_tasks
from tests.evals.optimize.test_budget import A_REQUEST
from tests.helpers.fake_server import FakeServer
from tests.helpers.judges import cases_of, within
from tests.helpers.making import FREEFORM, a_config, a_spec, there
from tests.helpers.optimizing_lab import TASKS, typed
from tests.helpers.seeding import a_task

SAID = "Questions about animals, answered in one sentence."
BLANK = a_spec(description=" \n")
TOLD = a_spec(name="test/crows")
BLANK_PROMPT = re.compile(r"<task_description>\s*</task_description>")


def a_server(descriptions: Mapping[str, str] | None = None) -> FakeServer:
    """A teacher with something to improve that describes tasks so."""
    said = {name: (reply,) for name, reply in (descriptions or {}).items()}
    return FakeServer(TeacherConfig(descriptions=said, improvable=Improvable()))


# -- in a session ---------------------------------------------------------------------------------------------------------


@dataclass
class Told:
    """What came of a session."""

    server: FakeServer
    derived: dict[str, str]
    said: list[str]


def answering(answer: str) -> SeedExample:
    """The freeform seed with another answer."""
    return FREEFORM.model_copy(update={"answer": answer})


def derive(folder: Path, specs: Sequence[Any], server: FakeServer | None = None, **more: Any) -> Told:
    """Describe the tasks in a session of this folder."""
    server = server or a_server({BLANK.task_name: SAID})
    said: list[str] = []

    async def work(session: Session) -> dict[str, str]:
        return await derive_descriptions(session, specs, 0, said.append)

    derived = within(SessionRequest(folder, a_config(more.pop("config", None)), **more), server, work)
    return Told(server, derived, said)


def test_only_tasks_without_a_description_are_asked_about(tmp_path: Path) -> None:
    """One call each, by the signature of a run; a task with a description costs nothing."""
    told = derive(tmp_path, (TOLD, BLANK))
    assert told.derived == {BLANK.task_name: SAID}
    assert told.said == [description_line(BLANK.task_name, SAID)]
    (prompt,) = told.server.prompts
    assert prompt.startswith("<examples>\n<example>\n<question>\nWhat is a fox?")
    assert f"<path>\n{BLANK.task_name}\n</path>" in prompt
    assert derive(tmp_path / "none", (TOLD,)).server.asked == []


def test_the_journal_has_it_the_next_time_whatever_else_is_asked(tmp_path: Path) -> None:
    """No call, and the same words, with other tasks beside it; a replay needs no server."""
    derive(tmp_path / "first", (BLANK,))
    long = a_spec([answering("word " * 3000)], name="test/long", description="")
    again = derive(tmp_path / "first", (long, BLANK), a_server({long.task_name: "Long.", BLANK.task_name: "Other."}))
    assert again.derived == {long.task_name: "Long.", BLANK.task_name: SAID}
    assert len(again.server.asked) == 1
    replayed = derive(tmp_path / "second", (BLANK,), a_server(), recorded=tmp_path / "first")
    assert replayed.derived == {BLANK.task_name: SAID}
    assert replayed.server.asked == []


def test_unusable_twice_is_a_sentence_and_what_the_others_cost_is_kept(tmp_path: Path) -> None:
    """The file and the way out are named; the descriptions of all others are in the journal by then."""
    others = tuple(a_spec(name=f"test/{n}", description="") for n in range(3))
    said = {BLANK.task_name: " "} | {o.task_name: f"Skill {o.task_name}." for o in others}
    with pytest.raises(
        NotDescribed, match=r"^tasks/foxes\.yaml: .*, twice\): write what.*, and run the command again$"
    ) as raised:
        derive(tmp_path, (BLANK, *others), a_server(said))
    assert raised.value.exit_code == 2
    told = derive(tmp_path, others, a_server())
    assert told.server.asked == []
    assert list(told.derived) == [other.task_name for other in others]


def test_seeds_that_fit_into_no_window_are_refused_before_the_first_call(tmp_path: Path) -> None:
    """Also when they are those of the last task."""
    server = a_server()
    long = a_spec([answering("word " * 9000)], name="test/long", description="")
    with pytest.raises(ContextTooLong):
        derive(tmp_path, (BLANK, long), server, config={"max_num_ctx": 4096})
    assert server.asked == []


# -- specs and cases ------------------------------------------------------------------------------------------------------


@settings(deadline=None)  # the first one loads what tells languages
@given(st.integers(2, 6), st.text(min_size=1), st.integers(0, 9))
def test_cases_from_seeds_are_the_same_but_for_the_description(count: int, text: str, seed: int) -> None:
    """Ids, corruptions and examples depend on the seeds alone; a skill by hand of the same name keeps its words."""
    spec = a_task(count).model_copy(update={"task_description": ""})
    cases = seed_cases(spec, seed)
    filled = cases_with_descriptions(cases, {spec.task_name: text})
    assert filled == seed_cases(described(spec, text), seed)
    assert [replace(case, task_description="") for case in filled] == list(cases)
    labelled = tuple(replace(case, origin=origin) for case in cases for origin in ("hand", "reply"))
    assert cases_with_descriptions(labelled, {spec.task_name: text}) == labelled


@given(st.text())
def test_a_description_is_said_in_one_line(text: str) -> None:
    """Whatever the model wrote: no line break, and nothing that a terminal would obey."""
    line = description_line("test/foxes", text)
    assert line.startswith("test/foxes: description (derived): ")
    assert line.isprintable()


# -- the plan of an optimization ------------------------------------------------------------------------------------------

BLANKS: OptimizeRequest = replace(
    A_REQUEST, specs=tuple(s.model_copy(update={"task_description": ""}) for s in A_REQUEST.specs)
)


@pytest.mark.parametrize("target", ["question-judge", "answers"])
def test_a_plan_counts_the_descriptions_and_stays_what_it_was(target: str) -> None:
    """One call for each, within what is allowed; with the derived ones the units, splits and calls are the same."""

    def plan(request: OptimizeRequest, most: int | None) -> Any:
        level = {"level": "light"} if most is None else {"most_calls": most}
        return plan_of(replace(request, target=target, **level), a_config(), 32768, {})

    assert plan(BLANKS, None).calls == plan(A_REQUEST, None).calls + 2
    with pytest.raises(RequestError, match="too few") as caught:
        plan(BLANKS, 1)
    needed = int(str(caught.value).split()[-2])
    for most in (needed, needed + 50, None):
        before = plan(BLANKS, most)
        assert before.described == 2
        assert most is None or before.calls <= most
        derived = {spec.task_name: f"Derived for {spec.task_name}." for spec in BLANKS.specs}
        after = plan(replace(BLANKS, specs=with_descriptions(BLANKS.specs, derived), derived=derived), most)
        assert (after.calls, after.judges) == (before.calls, before.judges)
        for one, other in zip(before.units, after.units, strict=True):
            assert one.settings == other.settings
            assert [e.key for part in one.splits for e in part] == [e.key for part in other.splits for e in part]
            words = {e.asked["task_description"] for part in other.splits for e in part}
            assert words <= {*derived.values(), *(case.task_description for case in BLANKS.cases)}


# -- the commands ---------------------------------------------------------------------------------------------------------

DEBATE = TASKS / "writing" / "freeform" / "debate.yaml"
READING = TASKS / "reading" / "short_answer.yaml"


@dataclass
class Typed:
    """What a command said, and the server that it asked."""

    code: int
    out: str
    err: str
    server: FakeServer


@dataclass
class Desk:
    """A folder with the same two tasks twice: without descriptions, and with those that are derived."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch

    def __post_init__(self) -> None:
        paths = (DEBATE, READING)
        self.names = tuple(spec.task_name for spec in load_tasks(paths).specs)
        self.blank = tuple(self._written(f"blank-{path.name}", path, "") for path in paths)
        self.told = tuple(
            self._written(f"told-{path.name}", path, self.words(name)) for path, name in zip(paths, self.names, strict=True)
        )

    def words(self, name: str) -> str:
        """The description that is derived for a task."""
        return f"Derived in words by hand for {name}."

    def type(self, *words: object, output: str, tasks: Sequence[Path], server: FakeServer | None = None) -> Typed:
        """Type a command."""
        asked = server or a_server({name: self.words(name) for name in self.names})
        where = ["--output-dir", self.folder / output, *(word for path in tasks for word in ("--task-paths", path))]
        self.monkeypatch.setattr("skills_dspy.commands.api.server.OllamaServer", lambda *_, **__: asked)
        return Typed(*typed(*words, *where), asked)

    def _written(self, name: str, path: Path, description: str) -> Path:
        text = re.sub(r"(?m)^task_description:(.|\n(?=\s))*$", "", path.read_text("utf-8"))
        assert "task_description" not in text
        there = self.folder / name
        there.write_text(f"task_description: {json.dumps(description)}\n{text}", "utf-8")
        return there


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Two tasks and a teacher."""
    return Desk(tmp_path, monkeypatch)


def a_program_file(folder: Path) -> Path:
    """A program that was compiled with nothing."""
    program = SkillsProgram(5)
    step = "write_answer_freeform"
    predictor = program.predictor(step)
    predictor.signature = predictor.signature.with_instructions("Answer, and be brief.")
    path = folder / "program.json"
    path.write_text(json.dumps(compiled_content(program, [step], {"seen": []})), "utf-8")
    return path


PAIRS = "judge_pair_grounded"


def some_cases(folder: Path) -> Path:
    """Cases by hand that the commands here ask nothing about: those of the seeds are enough."""
    path = folder / "cases.yaml"
    path.write_text(cases_of("judge_question_freeform", 2), "utf-8")
    return path


COMMANDS: dict[str, Callable[[Path], list[object]]] = {
    "optimize": lambda folder: [
        *("optimize", "write_answer_freeform", "--optimizer", "bootstrap", "--force", "--max-calls", 260),
        *("--out", folder / "out.json", "--json"),
    ],
    "eval judges": lambda folder: ["eval", "judges", "--judge", PAIRS, "--cases", some_cases(folder), "--json"],
    "eval program": lambda folder: ["eval", "program", a_program_file(folder), "--examples", 4, "--json"],
}


BLANK_ONES = "descriptions that the tasks' files leave blank: 2 calls"
ANNOUNCED = {
    "optimize": rf"at most (?P<most>[\d,]+) calls(.|\n)*  {BLANK_ONES}\n",
    "eval judges": rf"{BLANK_ONES}; with the cases at most (?P<all>\d+)",
    "eval program": "descriptions: asking for 2 that the tasks' files leave blank, by one call each\n",
}
"""What each says before it begins; `optimize` keeps to --max-calls."""


@pytest.mark.parametrize("which", COMMANDS)
def test_a_command_describes_first_and_then_asks_as_if_the_files_had_said_so(desk: Desk, which: str) -> None:
    """Announced, the same requests but for the first two, no blank, said and written down; the second time nothing is asked."""
    words = COMMANDS[which](desk.folder)
    done = desk.type(*words, output="blank", tasks=desk.blank)
    assert done.code in (0, 1), done.err  # 1: nothing became better
    announced = there(re.search(ANNOUNCED[which], done.err))
    bounds = announced.groupdict()
    assert len(done.server.asked) <= int(bounds.get("most", 260)) <= 260
    assert len(done.server.asked) == int(bounds.get("all", len(done.server.asked)))
    told = desk.type(*words, output="told", tasks=desk.told)
    first = [prompt for prompt in done.server.prompts[:2] if "<path>" in prompt]
    assert len(first) == 2
    assert sorted(done.server.asked[2:]) == sorted(told.server.asked)
    assert not [prompt for prompt in done.server.prompts if BLANK_PROMPT.search(prompt)]
    derived = {name: desk.words(name) for name in desk.names}
    for name, text in derived.items():
        assert done.err.count(f"{name}: description (derived): {text}\n") == 1
    assert json.loads(done.out)["derived_descriptions"] == derived
    assert "derived" not in told.out + told.err
    again = desk.type(*words, output="blank", tasks=desk.blank, server=a_server())
    assert (again.code, again.server.asked) == (done.code, [])
    assert json.loads(again.out) == json.loads(done.out)
    page = desk.folder / "blank" / "judges.md"
    assert not page.exists() or f"for {', '.join(desk.names)}; see judges.json" in page.read_text("utf-8")


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_task_that_cannot_be_described_ends_the_command(desk: Desk, command: Callable[[Path], list[object]]) -> None:
    """One sentence, exit code 2, nothing else asked, nothing written."""
    name = desk.names[0]
    server = a_server({name: " "})
    done = desk.type(*command(desk.folder), output="x", tasks=desk.blank, server=server)
    assert (done.code, done.out) == (2, "")
    last = done.err.splitlines()[-1]
    assert re.match(rf"error: .*{re.escape(str(desk.blank[0]))}: the task has no description, and the model gave none", last)
    assert len(server.asked) == 3
    assert all("<path>" in prompt for prompt in server.prompts)
    assert sorted(path.name for path in (desk.folder / "x").glob("*.json")) == []
    assert not (desk.folder / "out.json").exists()


def test_the_three_share_what_was_derived(desk: Desk) -> None:
    """One journal, one call for each task, whichever command was the first."""
    desk.type(*COMMANDS["eval judges"](desk.folder), output="shared", tasks=desk.blank)
    for name in ("optimize", "eval program"):
        done = desk.type(*COMMANDS[name](desk.folder), output="shared", tasks=desk.blank, server=a_server())
        assert not [prompt for prompt in done.server.prompts if "<path>" in prompt]
        assert json.loads(done.out)["derived_descriptions"] == {task: desk.words(task) for task in desk.names}


def test_the_generator_is_needed_for_descriptions_only(desk: Desk) -> None:
    """`eval judges` asks the generator that is configured, which need not be there where nothing is to be described."""
    others = ("--model", "missing-writer", "--judge-model", "judge", "--tagger-model", "judge")
    words = [*COMMANDS["eval judges"](desk.folder), *others]
    refused = desk.type(*words, output="m", tasks=desk.blank)
    assert refused.code == 2
    assert "missing-writer" in refused.err
    fine = desk.type(*words, output="n", tasks=desk.told)
    assert fine.code == 0
    assert "missing-writer" not in fine.server.models_asked
