"""`eval program`: before and after once more, on any task, on what the program was not compiled with."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from skills_dspy.model.adapter import SkillsAdapter
from skills_dspy.model.compiled import load_compiled
from skills_dspy.model.program import SkillsProgram
from skills_dspy.tasks.files import load_tasks
from skills_dspy.tasks.shown import seed_digest
from tests.helpers.optimizing_lab import GAMED, JUDGE, NOTE, RUNS, STRICT, Lab, typed

pytestmark = pytest.mark.block_network(allowed_hosts=["127.0.0.1"])


def evaluated(lab: Lab, program: Path, output: Path, *words: object, which: str = "honest") -> tuple[Any, list[dict[str, Any]]]:
    """The scores as JSON, and the requests that it took."""
    teacher = lab.teacher(which)
    begin = len(teacher.asked)
    given = [] if "--task-paths" in words else ["--task-paths", lab.tasks]
    given += lab.cases_for(program)
    where = ["--base-url", teacher.url, "--output-dir", output, "--note", NOTE, "--quiet", "--json"]
    code, out, err = lab.typed("eval", "program", program, *words, *given, *where)
    assert (code, err) == (0, "")
    return json.loads(out), teacher.asked[begin:]


def test_the_gain_is_there_again_on_seeds_and_cases_it_was_not_compiled_with(lab: Lab, tmp_path: Path) -> None:
    """Judges on labelled cases, with intervals, and with the probabilities of the labels beside them."""
    said, _ = evaluated(lab, lab.optimized(*RUNS["gepa, judge"]).path, tmp_path / "output", which="sure")
    (unit,) = said["units"]
    assert (unit["unit"], unit["metric"]) == (JUDGE, "agreement")
    assert unit["low"] > 0
    assert unit["gain"] == pytest.approx(unit["after"]["score"] - unit["before"]["score"], abs=2e-4)
    assert unit["after"]["soft_score"] > unit["before"]["soft_score"]
    assert unit["suspicions"] == []
    assert said["answered_by"] == NOTE


def test_nothing_that_was_compiled_with_is_measured_on(lab: Lab, tmp_path: Path) -> None:
    """None of the cases of training and validation is asked about, and no seed that was shown beside them."""
    done = lab.optimized(*RUNS["gepa, judge"])
    used = {*done.unit["splits"]["train"], *done.unit["splits"]["validation"]}
    questions = {case.question for case in lab.by_hand if case.id in used}
    _, asked = evaluated(lab, done.path, tmp_path / "output")
    about = [body["messages"][-1]["content"] for body in asked]
    assert questions
    assert not [text for text in about for question in questions if f"<question>\n{question}\n</question>" in text]


def test_both_prompts_are_asked_about_the_same(lab: Lab, tmp_path: Path) -> None:
    """Two requests that differ in the system message alone, for each example."""
    done = lab.optimized(*RUNS["gepa, judge"])
    said, asked = evaluated(lab, done.path, tmp_path / "output", "--examples", 10)
    program = SkillsProgram(5)
    load_compiled(done.path).apply(program)
    compiled = SkillsAdapter().plan(program.predictor(JUDGE).signature).system
    before = [(body["messages"][1:], body["options"]) for body in asked if body["messages"][0]["content"] != compiled]
    after = [(body["messages"][1:], body["options"]) for body in asked if body["messages"][0]["content"] == compiled]
    assert said["units"][0]["before"]["examples"] == len(before) == len(after) == 10
    assert sorted(map(str, before)) == sorted(map(str, after))


def test_any_task_will_do(lab: Lab, tmp_path: Path) -> None:
    """A program is measured on tasks that it has never seen, too."""
    done = lab.optimized(*RUNS["bootstrap, judge"])
    foxes = tmp_path / "foxes.yaml"
    seeds = "".join(f"  - question: What is fox {n} called?\n    answer: Fox {n} is called Jo{n}.\n" for n in range(5))
    head = "task_name: test/foxes\ncreated_by: somebody\ntask_description: Knowing foxes.\n"
    foxes.write_text(f"{head}data_builder: instructlab/skills\nseed_examples:\n{seeds}", "utf-8")
    said, asked = evaluated(lab, done.path, tmp_path / "output", "--task-paths", foxes)
    assert said["tasks"] == ["test/foxes"]
    assert any("Knowing foxes." in body["messages"][-1]["content"] for body in asked)


def test_a_program_does_not_mark_its_own_work(lab: Lab, tmp_path: Path) -> None:
    """Writers are judged by the original judges before and after, even if the program has compiled ones."""
    judges, writer = (
        lab.optimized("judge_pair_freeform", "--optimizer", "bootstrap", "--max-calls", "60"),
        lab.optimized(*RUNS["mipro, answers"]),
    )
    content = writer.program
    for part in ("base", "predictors"):
        content[part] = {**judges.program[part], **content[part]}
    path = tmp_path / "both.json"
    path.write_text(json.dumps(content), "utf-8")
    said, asked = evaluated(lab, path, tmp_path / "output", "--examples", 6)
    assert [unit["unit"] for unit in said["units"]] == ["judge_pair_freeform", "write_answer_freeform"]
    assert said["units"][1]["gain"] > 0
    answers = [body for body in asked if not body.get("format")]
    assert answers
    last_answer = max(place for place, body in enumerate(asked) if not body.get("format"))
    judging = [body for body in asked[last_answer - len(answers) :] if "rating" in json.dumps(body.get("format"))]
    demonstrated = [body for body in judging if any(message["role"] == "assistant" for message in body["messages"])]
    assert judging
    assert demonstrated == []


def test_gaming_shows_here_too_and_another_judge_can_be_named(lab: Lab, tmp_path: Path) -> None:
    """The gullible judge's gain is suspect; the strict one sees none."""
    program = lab.optimized(*GAMED, which="gullible").path
    ((unit,), (strict,)) = (
        evaluated(lab, program, tmp_path / "output", "--examples", 12, *more, which="gullible")[0]["units"]
        for more in ((), ("--holdout-judge-model", STRICT))
    )
    assert unit["low"] > 0
    assert any("much longer" in said for said in unit["suspicions"])
    assert strict["gain"] <= 0


def test_the_table_says_what_it_shows(lab: Lab, tmp_path: Path) -> None:
    """Scores of both prompts, the gain with its interval, what answered; progress is kept off stdout."""
    done = lab.optimized(*RUNS["gepa, judge"])
    where = ["--base-url", lab.teacher().url, "--output-dir", tmp_path / "output", "--note", NOTE]
    code, out, err = lab.typed("eval", "program", done.path, "--task-paths", lab.tasks, *lab.cases_for(done.path), *where)
    assert code == 0
    assert re.search(r"original +compiled +gain", out)
    assert re.search(rf"^{JUDGE} +0\.\d+ \(.*\) +1\.\d+ \(.*\) \+0\.\d+ \(\+0\.\d+ to \+0\.\d+\)$", out, re.MULTILINE)
    assert f"Answered by: {NOTE}." in out
    assert [line.split(" on ")[0] for line in err.splitlines()] == [
        "context window: 8,192 tokens, as in a run of these tasks",
        f"{JUDGE}: measuring the original prompt",
        f"{JUDGE}: measuring the compiled prompt",
    ]


# ---- bad input ---------------------------------------------------------------------------------------------------------


def test_tasks_that_do_not_use_it_are_refused(lab: Lab, tmp_path: Path) -> None:
    """A program for freeform seeds has nothing to do for grounded ones."""
    program, url = lab.optimized(*RUNS["gepa, judge"]).path, lab.teacher().url
    words = ["--task-paths", lab.tasks / "grounded.yaml", "--base-url", url, "--output-dir", tmp_path / "output"]
    code, _, err = typed("eval", "program", program, *words)
    assert code == 2
    assert re.fullmatch(rf"error: .*it has prompts for {JUDGE}, which none of these tasks uses\n", err)


def test_a_program_that_has_seen_everything_needs_another_task(lab: Lab, tmp_path: Path) -> None:
    """It says so instead of measuring on what it was compiled with."""
    foxes = lab.tasks / "freeform.yaml"
    content = lab.optimized(*RUNS["mipro, answers"]).program

    content["provenance"]["seen"] = [seed_digest(seed) for spec in load_tasks((foxes,)).specs for seed in spec.seed_examples]
    path = tmp_path / "program.json"
    path.write_text(json.dumps(content), "utf-8")
    words = ["--task-paths", foxes, "--base-url", lab.teacher().url, "--output-dir", tmp_path / "output", "--quiet"]
    code, out, err = typed("eval", "program", path, *words)
    assert (code, out) == (2, "")
    assert re.fullmatch(r"error: nothing is left to measure write_answer_freeform on .* give another task\n", err), err
