"""A whole run with a model that copies, echoes, leaves residue and runs on: none of it is accepted, and all of it is told."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from evals.teacher.config import TeacherConfig
from skills_dspy.cli.decide import print_decided
from skills_dspy.commands.decide.again import DecideResult
from skills_dspy.model.steps import STEPS
from skills_dspy.store.journal import request_digest
from skills_dspy.store.run_dir import RunPaths
from tests.helpers.fake_server import FakeServer
from tests.helpers.making import a_spec
from tests.helpers.small_runs import accepted_in, decided_anew, make_run, rejected_in, rows_of, story_of
from tests.screens.test_screens import ANSWER, DEBATE, FREEFORM, GROUNDED, LEFT_OVER, TEXTS

TAIL = FREEFORM[0].question + " Give three reasons."
ECHO = f"<task_description>\n{DEBATE}\n</task_description>\n<examples>\n</examples>"
LONG = "ever and "
SEEDS = {seed.question for seed in (*FREEFORM, *GROUNDED)}
BAD = (TAIL, ECHO, ANSWER, LEFT_OVER["think"], LONG * 5, TEXTS[0])


class Small(FakeServer):
    """Every writing begins with a seed's question and, where the prompt shows an accepted one, with that.

    Whether a context or an answer is bad comes of its request's digest.
    """

    def _body(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        body = super()._body(payload)
        said, user = (message["content"] for message in payload["messages"])
        step = next(name for name, step in STEPS.items() if said.startswith(step.source.instructions.strip()))
        turn = int(request_digest(payload)[2:10], 16)
        message = body["message"]
        if step == "write_context":
            message["content"] = (TEXTS[0], ECHO, message["content"], message["content"])[turn % 4]
        elif step == "write_questions_freeform":
            questions = json.loads(message["content"])["questions"]
            shown = [text for text in re.findall(r"<question>\n(.*?)\n</question>", user, re.DOTALL) if text not in SEEDS]
            copied = [f"{text} Say so in the words of somebody who has seen it with his own eyes." for text in shown[:1]]
            message["content"] = json.dumps({"questions": [TAIL, *copied, *questions[1 + len(copied) :]]})
        elif step.startswith("write_answer"):
            bad = (ANSWER if step.endswith("freeform") else GROUNDED[0].answer, LEFT_OVER["think"], LONG * 500)
            message["content"] = (*bad, message["content"], message["content"])[turn % 5]
        return body


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> RunPaths:
    """The run; nobody changes it."""
    spec = a_spec((*FREEFORM, *GROUNDED), count=3, description=DEBATE)
    return make_run(
        tmp_path_factory.mktemp("small"), {"draws": {"window": 1}}, 8, Small(TeacherConfig(pass_rate=0.9, seed=3)), spec=spec
    )


def test_nothing_useless_is_accepted(made: RunPaths) -> None:
    """Each sort is rejected at the stage that wrote it, before a judge was asked, with its own reason."""
    accepted = accepted_in(made)
    assert len(accepted) == 8
    texts = [text for row in accepted for text in (row.context, row.instruction, row.response) if text is not None]
    assert not [text for text in texts for bad in BAD if bad in text]
    found = {(row.stage, row.reason) for row in rejected_in(made)}
    assert found >= {
        ("write_context", "copy"),
        ("write_context", "echo"),
        ("write_questions", "copy"),
        ("write_answer", "copy"),
        ("write_answer", "residue"),
        ("write_answer", "length"),
    }
    assert [row for row in rejected_in(made) if re.search(r"question of [0-9a-f]{16}, which its prompt showed", row.detail)]
    after = {"write_context": "write_questions", "write_questions": "judge_question", "write_answer": "judge_pair"}
    assert not [row for row in rejected_in(made) if row.reason in ("copy", "echo") and after[row.stage] in row.provenance.calls]


def test_the_counts_balance_and_a_rejection_is_explained(made: RunPaths) -> None:
    """They stand in the funnel, and the story of one says what was found and shows the reply."""
    rows = rejected_in(made)
    funnel = json.loads(made.run_json.read_text("utf-8"))["result"]["funnel"]
    told = {(one["stage"], one["reason"]): one["count"] for one in funnel["rejected"]}
    assert told["write_context", "echo"] == sum((row.stage, row.reason) == ("write_context", "echo") for row in rows)
    assert sum(told.values()) == len(rows) == funnel["candidates"] - 8
    row = next(row for row in rows if row.stage == "write_answer" and row.reason == "residue")
    story = story_of(row.id, made.folder)
    assert "rejected by write_answer: residue: the reply has a block of thinking: <think>, twice" in story
    assert "instruction_quality" in story
    assert (row.response, row.raw_reply) == (None, LEFT_OVER["think"])
    assert len(row.provenance.calls["write_answer"]) == 2


def decided(made: RunPaths, folder: Path, screens: str) -> tuple[DecideResult, RunPaths]:
    """The run decided anew with other screens, from its journal alone."""
    return decided_anew(made.folder, folder / "again", screens)


def test_the_same_screens_decide_the_same(made: RunPaths, tmp_path: Path) -> None:
    """To the byte, with contexts and with what accepted pairs the prompts showed."""
    done, again = decided(made, tmp_path, "screens: {copied_words: 20}\n")
    assert done.diff.moved == {}
    assert rows_of(again) == rows_of(made)


def test_stricter_screens_reject_what_was_accepted(made: RunPaths, tmp_path: Path) -> None:
    """Without a call: each row's texts are in the journal."""
    done, again = decided(made, tmp_path, "screens: {shortest: 1}\n")
    lost = {row.id for row in rejected_in(again) if row.reason == "length"}
    kept = {row.id for row in accepted_in(again)}
    before = {row.id for row in accepted_in(made)}
    assert before - kept
    assert before - kept <= lost
    assert done.live == 0


def test_looser_screens_leave_out_what_was_never_asked(made: RunPaths, tmp_path: Path) -> None:
    """An answer that was screened out was never judged, and about a context that was nothing was ever asked."""
    done, again = decided(made, tmp_path, "screens: {copied_words: null, echoed_words: null, residue: false, longest: null}\n")
    before = {row.id: row for row in rejected_in(made)}
    after = {row.id: (row.stage, row.reason) for row in rejected_in(again)}
    # A reply with residue was asked for once more; without the screen it is the first that counts, and nobody judged that.
    first = [row.id for row in accepted_in(made) if len(row.provenance.calls["write_answer"]) > 1]
    assert {*first} == {*after} - {*before} != set()
    of_answers = [*first, *(name for name, row in before.items() if row.stage == "write_answer")]
    of_contexts = [name for name, row in before.items() if row.stage == "write_context"]
    assert {after[name] for name in of_answers} == {("judge_pair", "not asked")}
    assert {after[name] for name in of_contexts} == {("write_questions", "not asked")}
    assert not {row.reason for row in rejected_in(again)} & {"copy", "echo", "residue"}
    questions = sum(after[name] == ("judge_question", "not asked") for name in before)
    assert done.calls_left == 4 * len(of_answers) + 7 * questions


def test_what_no_call_can_fill_is_not_offered(made: RunPaths, tmp_path: Path) -> None:
    """Contexts that pass now have no questions, and what their prompt would show depends on the bounds: it takes a new run."""
    done, again = decided(made, tmp_path, "screens: {echoed_words: null}\n")
    left = [row for row in rejected_in(again) if row.reason == "not asked"]
    assert left
    assert all(row.instruction is None and "need a run of their own" in row.detail for row in left)
    console = Console(width=200, record=True)
    print_decided(done, filled=False, console=console)
    said = console.export_text()
    assert f"never asked for: {len(left)} candidate" in said
    assert "screens.echoed_words: 8 then, null now" in said
    assert "--fill" not in said
