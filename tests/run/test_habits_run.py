"""A whole run with a model that has habits: what too many rows share is written again or rejected, and all of it is told."""

import asyncio
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from evals.teacher.config import TeacherConfig
from skills_dspy.base.records import AnswerPair, Rejection
from skills_dspy.base.scales import PAIR, SAMPLE
from skills_dspy.cli.summary import print_summary
from skills_dspy.commands.decide.again import DecideResult
from skills_dspy.commands.decide.dataset import DecideRequest, decide_run, prepare
from skills_dspy.commands.report.reading import read_runs
from skills_dspy.commands.report.stories import stories_of
from skills_dspy.commands.review.rated import RATED, rated_rows
from skills_dspy.model.steps import STEPS
from skills_dspy.run.past import find_recorded
from skills_dspy.run.request import RunRequest
from skills_dspy.run.task import TaskView
from skills_dspy.similarity.habits import answer_habits, question_habits
from skills_dspy.store.journal import JournalReader, request_digest
from skills_dspy.store.run_dir import RunPaths
from tests.helpers.fake_server import FakeServer
from tests.helpers.making import a_config, a_spec
from tests.helpers.small_runs import (
    accepted_in,
    decided_anew,
    failing,
    freeform,
    rejected_in,
    rows_of,
    run_to_its_end,
    story_of,
)

SPEC = a_spec(freeform("fox", "badger", "marten", "hare", "stoat"), count=3)
WANTED = 12
BODY = "it is so for {} and all that lives beside it in the old wood, as far as anybody can tell from walk {}."
TAIL = "Please think about it step by step."


class Talker(FakeServer):
    """Begins most answers alike, and still some of those that are told not to; ends many questions alike.

    All questions have a word that its own plan of variety names.
    """

    always = False

    def _body(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        body = super()._body(payload)
        said, user = (message["content"] for message in payload["messages"])
        step = next(name for name, step in STEPS.items() if said.startswith(step.source.instructions.strip()))
        turn, message = int(request_digest(payload)[:8], 16), body["message"]
        if step == "plan_variety":
            message["content"] = json.dumps({"axes": [{"name": "fruit", "of": "request", "values": ["lemon", "plum"]}]})
        elif step == "write_questions_freeform":
            questions = [f"Lemon {question}" for question in json.loads(message["content"])["questions"]]
            message["content"] = json.dumps(
                {"questions": [*(f"{question} {TAIL}" for question in questions[:2]), *questions[2:]]}
            )
        elif step == "write_answer_freeform":
            habit = self.always or (turn % 2 == 0 if "<avoid>" in user else turn % 5 > 0)
            message["content"] = f"{'Of course' if habit else f'Well {turn}'} " + BODY.format(turn, turn)
        return body


def go(
    folder: Path, server: FakeServer | None, concurrency: int = 8, n: int = WANTED, **more: Any
) -> tuple[TaskView, RunPaths]:
    """Run to the end."""
    config = a_config({"tagging": "fused", **more.pop("config", {})})
    (task,) = run_to_its_end(RunRequest((SPEC,), config, n, folder, concurrency=concurrency, **more), server)
    return task, RunPaths(folder / SPEC.task_name)


def talker(seed: int = 0, **more: Any) -> Talker:
    """The model."""
    return Talker(TeacherConfig(pass_rate=0.9), seed=seed, **more)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[TaskView, RunPaths]:
    """The run; nobody changes it."""
    return go(tmp_path_factory.mktemp("talker"), talker())


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> RunPaths:
    """A run of the same model that looks at no row beside the others."""
    return go(tmp_path_factory.mktemp("plain"), talker(), config={"habits": {"watched": False}})[1]


def test_no_habit_is_in_more_than_a_quarter_of_the_rows(made: tuple[TaskView, RunPaths]) -> None:
    """Though four of five answers begin alike: some are written again, and what has it again is rejected with its numbers."""
    task, paths = made
    rows = accepted_in(paths)
    assert len(rows) == WANTED
    openings = [habit.words for row in rows for habit in answer_habits(row.response) if habit.kind == "opening"]
    endings = [habit.words for row in rows for habit in question_habits(row.instruction) if habit.kind == "question closing"]
    assert 0 < openings.count("of course") <= WANTED // 4
    assert endings.count("it step by step") <= WANTED // 4
    again = [row for row in rows if row.provenance.rewritten is not None]
    lost = {stage: [row for row in rejected_in(paths) if row.stage == stage] for stage in ("question_habits", "answer_habits")}
    assert all(lost.values())
    assert task.run.funnel.rewritten == len(again) + len(lost["answer_habits"]) > 1
    overused = next(row for row in lost["answer_habits"] if row.reason == "overused")
    said = r'\d of \d+ accepted answers begin with "of course"'
    assert re.fullmatch(rf"{said}; written again, and {said}", overused.detail)
    assert {row.reason for row in lost["question_habits"]} == {"overused"}
    assert re.fullmatch(r'\d of \d+ accepted questions end with "it step by step"', lost["question_habits"][0].detail)
    console = Console(width=200, record=True)
    print_summary([task], replayed=False, console=console)
    rejected = sum(map(len, lost.values()))
    told = f"{task.run.funnel.rewritten} answers were written again, {rejected} candidates rejected (habits)."
    assert f"Like too many others: {told}" in console.export_text()
    assert json.loads(paths.run_json.read_text("utf-8"))["result"]["funnel"]["rewritten"] == task.run.funnel.rewritten
    assert all("judge_question" not in row.provenance.calls for row in lost["question_habits"])


def test_a_model_that_cannot_do_otherwise_makes_rows_all_the_same(tmp_path: Path) -> None:
    """After eight answers in a row were lost to one habit the next is taken, so the run comes to its end."""
    server = talker()
    server.always = True
    task, paths = go(tmp_path, server, n=4)
    assert len(accepted_in(paths)) == 4
    assert {row.response[:9] for row in accepted_in(paths)} == {"Of course"}
    lost = sum(row.stage == "answer_habits" for row in rejected_in(paths))
    assert task.run.funnel.rewritten == lost
    assert lost == 16


def test_what_a_second_writing_is_asked(made: tuple[TaskView, RunPaths]) -> None:
    """Its prompt says what is overused and shows other seeds; all is asked once more at a seed of its own, and only that."""
    row = next(row for row in accepted_in(made[1]) if row.provenance.rewritten is not None)
    calls = row.provenance.calls
    asked = ["write_answer", "judge_pair", "sample_quality"]
    assert [stage for stage in calls if stage.endswith("_again")] == [f"{stage}_again" for stage in asked]
    with JournalReader.open(made[1].journal) as journal:
        first, second = (journal.full(calls[stage][0]) for stage in ("write_answer", "write_answer_again"))
        assert first is not None
        assert second is not None
        prompts = [one.request["messages"][-1]["content"] for one in (first, second)]
        seeds = {one.request["options"]["seed"] for one in (first, second)}
    assert "<avoid>" not in prompts[0]
    assert 'Too many other answers begin with "of course": this one does not.' in prompts[1]
    assert len(seeds) == 2
    models = set(row.provenance.fitting)
    assert models
    assert all(seed.question not in prompts[0] for k, seed in enumerate(SPEC.seed_examples) if f"seed:{k}" in models)
    assert all(row.provenance.prompts[stage] == row.provenance.prompts[f"{stage}_again"] for stage in asked)


@pytest.mark.parametrize(("concurrency", "seed"), [(1, 1), (16, 2)])
def test_timing_decides_nothing(made: tuple[TaskView, RunPaths], tmp_path: Path, concurrency: int, seed: int) -> None:
    """The same bytes, one call after the other and with many in flight."""
    _, paths = go(tmp_path, talker(seed), concurrency)
    assert rows_of(paths) == rows_of(made[1])


def test_a_killed_run_goes_on(made: tuple[TaskView, RunPaths], tmp_path: Path) -> None:
    """It asks for nothing again, and has the same bytes; so has a replay."""
    with pytest.raises(Exception, match="kept failing"):
        go(tmp_path / "killed", talker(before=failing(50)))
    server = talker()
    _, paths = go(tmp_path / "killed", server)
    assert rows_of(paths) == rows_of(made[1])
    assert 0 < len(server.asked) == len(set(server.asked))
    recorded = {SPEC.task_name: find_recorded(str(made[1].folder))[0]}
    _, again = go(tmp_path / "replayed", None, recorded=recorded)
    assert rows_of(again) == rows_of(made[1])


def test_without_a_look_all_is_as_before(plain: RunPaths) -> None:
    """Habits stay, nothing in rows or run.json speaks of them, and a run that was begun so goes on so."""
    assert sum(row.response.startswith("Of course") for row in accepted_in(plain)) > WANTED // 2
    before = rows_of(plain)
    # A column that no row has something in stands in every row all the same.
    everything = b"".join((*before, plain.run_json.read_bytes())).replace(b'"rewritten":""', b"")
    assert [word for word in (b"habits", b"rewritten", b"_again") if word in everything] == []
    go(plain.folder.parents[1], talker())
    assert rows_of(plain) == before


def test_the_story_of_a_row(made: tuple[TaskView, RunPaths]) -> None:
    """It tells that the answer was written again, why, and each call of both writings."""
    row = next(row for row in accepted_in(made[1]) if row.provenance.rewritten is not None)
    story = story_of(row.id, made[1].folder)
    assert f"written again {row.provenance.rewritten}" in story
    assert story.index(" sample_quality ─") < story.index(" write_answer_again ─")


def test_what_is_said_of_a_second_answer_that_is_rejected(made: tuple[TaskView, RunPaths], tmp_path: Path) -> None:
    """In review and in a report stands what judges said of that answer: who rejected it, and nothing that the first one got."""
    strict, config = go(tmp_path, Talker(TeacherConfig(pass_rate=0.7, seed=16), seed=0), n=4)[1], a_config({})
    reasons = set()
    for paths in (made[1], strict):
        rated = {each.row.id: each for each in rated_rows(paths)}
        (run,) = read_runs([paths.folder])
        with stories_of(run) as stories:
            for row in (row for row in run.rows if isinstance(row, Rejection) and row.stage == "answer_habits"):
                reasons.add(row.reason)
                said = {RATED[verdict.stage].name: verdict for verdict in rated[row.id].verdicts}
                last = {"judged bad": PAIR, "filtered": SAMPLE}.get(row.reason)
                assert [name for name, verdict in said.items() if not verdict.passed] == ([last.name] if last else [])
                assert (SAMPLE.name in said) == (last is not PAIR)
                for verdict in said.values():
                    passing = RATED[verdict.stage].passing
                    assert passing is not None
                    assert (verdict.label in passing(config)) == verdict.passed
                told = {
                    name: label for name, label in stories.of(row).ratings.items() if name in {s.name for s in RATED.values()}
                }
                assert told == {name: verdict.label for name, verdict in said.items()}
                assert rated[row.id].judged_out == (row.reason != "overused")
    assert reasons == {"overused", "judged bad", "filtered"}


def decided(made: RunPaths, folder: Path, text: str, server: FakeServer | None = None) -> tuple[DecideResult, RunPaths]:
    """The run decided anew."""
    shutil.copytree(made.folder, folder / "runs" / "foxes", dirs_exist_ok=True)
    return decided_anew(folder / "runs" / "foxes", folder / "again", text, server)


def test_decided_anew(made: tuple[TaskView, RunPaths], tmp_path: Path) -> None:
    """By the same bounds the same bytes; without a look the first answers are taken, which the journal has."""
    done, again = decided(made[1], tmp_path, "habits: {share: 0.25}\n")
    assert (done.diff.moved, done.live, rows_of(again)) == ({}, 0, rows_of(made[1]))
    done, again = decided(made[1], tmp_path, "habits: {watched: false}\n")
    assert not {row.stage for row in rejected_in(again)} & {"question_habits", "answer_habits"}
    assert [row for row in accepted_in(again) if row.response.startswith("Of course")][WANTED // 4 :]
    assert not [row for row in accepted_in(again) if row.provenance.rewritten]


def test_a_pair_of_an_answer_that_was_written_again(made: tuple[TaskView, RunPaths], tmp_path: Path) -> None:
    """Its second answer is held against the one that stands in the row, with the calls that wrote and rated that one."""
    shutil.copytree(made[1].folder, tmp_path / "foxes")
    request = DecideRequest(tmp_path / "foxes", pairs=100, fill=False)
    server = talker()
    done = asyncio.run(decide_run(request, prepare(request), server))
    assert done.dataset is not None
    assert done.paired is not None
    assert len(server.asked) <= 2 * done.paired.asked
    rewritten = {row.id: row for row in accepted_in(made[1]) if row.provenance.rewritten is not None}
    pairs = [AnswerPair.model_validate_json(line) for line in RunPaths(done.dataset).pairs.read_bytes().splitlines()]
    checked = [(pair, rewritten[pair.id]) for pair in pairs if pair.id in rewritten]
    assert checked
    for pair, row in checked:
        first, second = sorted((pair.chosen, pair.rejected), key=lambda one: one.second)
        rated, calls = "judge_pair" if pair.scale == "pair_verdict" else pair.scale, row.provenance.calls
        assert (first.answer, first.calls) == (row.response, (*calls["write_answer_again"], *calls[f"{rated}_again"]))
        assert not {*second.calls} & {digest for digests in calls.values() for digest in digests}


def test_a_look_at_a_run_that_had_none(plain: RunPaths, tmp_path: Path) -> None:
    """What is to be written again was never asked for, and `--fill` asks for just that."""
    done, again = decided(plain, tmp_path, "habits: {watched: true}\n")
    unasked = {row.id for row in rejected_in(again) if (row.stage, row.reason) == ("write_answer", "not asked")}
    assert unasked
    assert done.calls_left == 3 * len(unasked)
    server = talker()
    done, again = decided(plain, tmp_path, "habits: {watched: true}\n", server)
    assert 0 < done.live == len(server.asked)
    assert not [row for row in rejected_in(again) if row.reason == "not asked"]
    assert unasked <= {row.id for some in (accepted_in(again), rejected_in(again)) for row in some if row.provenance.rewritten}
