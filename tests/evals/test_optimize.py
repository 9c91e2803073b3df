"""`optimize` from end to end, on the teacher of one improvable sentence: gains, gaming, costs, refusals, kills, bad input.

The teacher is a simulation (evals/teacher/improvable.py): a gain on it says that an optimizer was called rightly.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from evals.bench.hash_embedder import HashEmbedder
from evals.judges.report import choose_cases
from evals.optimize.budget import OPTIMIZERS
from evals.record.answering import CHECKOUT
from skills_dspy.cli import evaluate
from skills_dspy.cli import run as cli_run
from skills_dspy.cli.main import cli
from skills_dspy.model.compiled import base_fingerprint, load_compiled
from skills_dspy.model.embedding.embedder import AsyncEmbedder
from skills_dspy.model.program import SkillsProgram
from skills_dspy.store.run_dir import RunPaths
from tests.helpers.judges import cases_of
from tests.helpers.optimizing_lab import FREEFORM, GAMED, JUDGE, NOBODY, NOTE, RUNS, STRICT, TASKS, Lab, Teacher, typed

pytestmark = pytest.mark.block_network(allowed_hosts=["127.0.0.1"])

SHIPPED_FREEFORM = TASKS / "writing" / "freeform" / "debate.yaml"
every_run = pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)


def fields(body: dict[str, Any]) -> list[str]:
    """The fields of the reply that a request wants; none for prose."""
    return list((body.get("format") or {}).get("properties", ()))


def refused(outcome: tuple[int, str, str], told: str) -> None:
    """Exit code 2 and one sentence that says so, and nothing else but what `check` would warn of, too."""
    code, out, err = outcome
    assert (code, out) == (2, ""), err
    (line,) = [line for line in err.splitlines() if not line.startswith("warning: ")]
    assert re.search(rf"^error: .*{told}", line), err


# ---- gains -------------------------------------------------------------------------------------------------------------


@every_run
def test_every_optimizer_finds_a_gain_on_held_out_seeds(lab: Lab, run: Sequence[str]) -> None:
    """On the test, which no optimizer has seen: the interval of the gain lies above 0, and an honest gain is not suspect."""
    done = lab.optimized(*run)
    unit = done.unit
    assert done.code == 0
    assert unit["kept"]
    assert unit["validation"]["after"]["score"] > unit["validation"]["before"]["score"]
    assert unit["test"]["gain"] == pytest.approx(unit["test"]["after"]["score"] - unit["test"]["before"]["score"], abs=2e-4)
    assert 0 < unit["test"]["low"] <= unit["test"]["gain"] <= unit["test"]["high"]
    (shown,) = re.findall(rf"^{run[0]}.* ([+-][\d.]+) \(([+-][\d.]+) to ([+-][\d.]+)\)$", done.out, re.MULTILINE)
    assert [float(figure) for figure in shown] == pytest.approx(
        [unit["test"][name] for name in ("gain", "low", "high")], abs=1e-3
    )
    assert unit["suspicions"] == []
    assert "SUSPECT" not in done.out + done.err
    assert "it may be chance" not in done.out


@every_run
def test_training_validation_and_test_share_nothing(lab: Lab, run: Sequence[str]) -> None:
    """Neither an example nor, of the cases by hand, a skill is in two of them; what was compiled with is written down."""
    done = lab.optimized(*run)
    parts = [set(keys) for keys in done.unit["splits"].values()]
    assert list(done.unit["splits"]) == ["train", "validation", "test"]
    assert all(parts)
    assert len(set.union(*parts)) == sum(map(len, parts))
    skill = {case.id: case.task for case in lab.by_hand}
    skills = [{skill[key] for key in part if key in skill} for part in parts]
    assert len(set.union(*skills)) == sum(map(len, skills))
    assert done.provenance["seen"]


@every_run
def test_nothing_is_asked_twice_and_no_more_than_was_announced(lab: Lab, run: Sequence[str]) -> None:
    """What the optimizer evaluates again comes from the journal; the calls of the unit are those that were made."""
    done = lab.optimized(*run)
    assert len({json.dumps(body, sort_keys=True) for body in done.asked}) == len(done.asked)
    assert len(done.asked) <= done.planned
    assert "--max-calls" not in run or done.planned <= int(run[-1])
    carded = sum(map(int, re.findall(r"report card of \w+: (\d+) calls", done.err)))
    assert done.unit["calls"] == len(done.asked) - carded


@every_run
def test_the_program_says_where_it_came_from(lab: Lab, run: Sequence[str]) -> None:
    """Models with digests, optimizer, budget, seed, tasks, what answered, and the fingerprints of the base prompts."""
    done = lab.optimized(*run)
    told = done.provenance
    assert (told["target"], told["optimizer"], told["seed"]) == (run[0], run[2], 0)
    assert told["budget"] == (f"at most {run[-1]} calls" if "--max-calls" in run else "light")
    assert told["answered_by"] == NOTE
    proposing = () if "bootstrap" in run else ("proposer",)
    assert (told["models"]["proposer"] is None) == (not proposing)
    for role in ("generator", "validator", "tagger", *proposing):
        assert told["models"][role]["name"] == "mistral-small3.2:latest"
        assert told["models"][role]["digest"]
    assert FREEFORM in told["tasks"]
    assert told["versions"]["dspy"]
    assert done.program["base"] == {step: base_fingerprint(step) for step in done.unit["steps"]}
    assert load_compiled(done.path).steps == tuple(done.unit["steps"])
    for part in ("validation", "test"):
        assert {done.unit[part][moment]["examples"] for moment in ("before", "after")} == {len(done.unit["splits"][part])}
        assert {done.unit[part][moment]["failures"] for moment in ("before", "after")} == {0}


def test_gepa_writes_instructions_bootstrap_shows_replies_mipro_may_do_both(lab: Lab) -> None:
    """Each changes what it is for, and the demonstrations are of training examples alone."""
    base = SkillsProgram(5).predictor(JUDGE).signature.instructions
    states = {name: lab.optimized(*RUNS[f"{name}, judge"]).program["predictors"][JUDGE] for name in OPTIMIZERS}
    written = {name: state["signature"]["instructions"] for name, state in states.items()}
    assert written["gepa"].startswith(base)
    assert written["gepa"] != base
    assert states["gepa"]["demos"] == []
    assert written["bootstrap"] == base
    assert states["bootstrap"]["demos"]
    assert written["mipro"] != base or states["mipro"]["demos"]
    done = lab.optimized(*RUNS["bootstrap, judge"])
    train = {case.question for case in lab.by_hand if case.id in done.unit["splits"]["train"]}
    shown = {demo["question"] for demo in states["bootstrap"]["demos"]}
    held_out = {case.question for case in lab.by_hand if case.step == JUDGE} - train
    assert not shown & held_out


def test_the_same_command_gives_the_same_bytes_at_any_concurrency(lab: Lab) -> None:
    """How many requests are in flight decides nothing."""
    again = lab.optimize(*RUNS["mipro, judge"], "--concurrency", "1")
    assert again.path.read_bytes() == lab.optimized(*RUNS["mipro, judge"]).path.read_bytes()


def test_feedback_on_a_reply_reaches_the_proposer_in_words(lab: Lab) -> None:
    """GEPA is told the reason of the case and the judge's own explanation."""
    done = lab.optimized(*RUNS["gepa, judge"])
    proposals = [json.dumps(body["messages"]) for body in done.asked if "new_instruction" in json.dumps(body["messages"])]
    assert proposals
    assert any("should not pass, because of this flaw: " in text and "The reply said" in text for text in proposals)


# ---- gaming ------------------------------------------------------------------------------------------------------------


def test_a_planted_gaming_strategy_is_reported_as_suspect_with_figures(lab: Lab) -> None:
    """The judge likes length and the proposer has noticed: a great gain, and the words it came with."""
    unit = lab.optimized(*GAMED, which="gullible").unit
    assert unit["test"]["low"] > 0
    before, after = (unit["test"][moment]["habits"]["words"] for moment in ("before", "after"))
    assert after > 1.5 * before
    (longer,) = [said for said in unit["suspicions"] if "longer" in said]
    assert f"{before:.0f} words before, {after:.0f} now" in longer
    assert f"SUSPECT: {longer}" in lab.optimized(*GAMED, which="gullible").out


def test_the_score_that_counts_is_the_held_out_judges(lab: Lab) -> None:
    """It is no fool, sees no gain, and that is said; it had no part in the optimizing."""
    done = lab.optimized(*GAMED, which="gullible")
    holdout = done.unit["holdout"]
    assert done.provenance["holdout_judge"]["name"] == f"{STRICT}:latest"
    assert holdout["gain"] <= 0 < done.unit["test"]["gain"]
    assert f"the judge that was held out sees no gain ({holdout['gain']:+.3f})" in done.out
    assert "by the held-out judge" in done.out
    asked = [place for place, body in enumerate(done.asked) if body["model"].startswith(STRICT)]
    assert asked == list(range(len(done.asked) - len(asked), len(done.asked)))
    assert 0 < len(asked) <= 2 * 2 * len(done.unit["splits"]["test"])
    assert all("explanation" in fields(done.asked[place]) for place in asked)


def test_mipro_without_optuna_is_refused_with_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a task is read: one sentence with the command, and that the other optimizers do without it."""
    monkeypatch.setitem(sys.modules, "optuna", None)
    asked = typed("optimize", JUDGE, "--optimizer", "mipro", "--out", tmp_path / "x.json")
    refused(asked, r"pip install 'skills-dspy\[mipro\]'.* take another optimizer")


def test_a_held_out_judge_that_can_tell_nothing_is_refused(lab: Lab) -> None:
    """Judges are measured on labelled cases; and the same model is no other one."""
    asks = lab.optimize(JUDGE, "--optimizer", "gepa", "--holdout-judge-model", STRICT)
    refused((asks.code, asks.out, asks.err), "measured on labelled cases.* leave it out")
    same = lab.optimize("questions", "--optimizer", "gepa", "--holdout-judge-model", "mistral-small3.2")
    refused((same.code, same.out, same.err), "is a judge that is optimized against: name a model other than")
    assert (asks.asked, same.asked) == ((), ())


# ---- judges first ------------------------------------------------------------------------------------------------------


def test_a_writer_is_not_optimized_against_a_bad_judge(lab: Lab) -> None:
    """One sentence with its kappa and what helps, before anything but the labelled cases is asked."""
    done = lab.optimized("answers", "--optimizer", "bootstrap")
    assert done.code == 2
    assert not done.path.exists()
    last = done.err.splitlines()[-1]
    assert re.match(
        r"error: the judge is not good enough to optimize against: kappa below 0\.4 for tag_sample_quality \(0\.\d\d\)", last
    )
    assert "use --force" in last
    cases = [case for case in lab.by_hand if case.step in ("tag_sample_quality", "judge_pair_freeform")]
    grounded = [case for case in lab.by_hand if case.step == "judge_pair_grounded"]
    assert len(done.asked) == len(cases) + len(grounded)
    assert not any("answer" in fields(body) or not fields(body) for body in done.asked)


def test_force_and_a_lower_floor_go_on(lab: Lab) -> None:
    """The kappas are shown all the same."""
    forced = lab.optimized(*RUNS["bootstrap, answers"])
    lower = lab.optimize("write_answer_grounded", "--optimizer", "bootstrap", "--min-judge-kappa", "-1", output=forced.output)
    assert (forced.code, lower.code, lower.asked) == (0, 0, ())
    assert re.search(r"kappa of judge_pair_grounded: 0\.\d\d \(floor 0\.4\)", forced.err)
    assert "(floor -1)" in lower.err
    assert lower.path.read_bytes() == forced.path.read_bytes()


def test_a_writer_whose_judge_stays_bad_is_left_out_and_the_judges_are_kept(lab: Lab) -> None:
    """With `all` it shows only when they are compiled: a night's work on them is not thrown away, and the exit code tells."""
    words = ("all", "--optimizer", "bootstrap", "--max-calls", "600", "--min-judge-kappa", "1")
    done = lab.optimize(*words, "--task-paths", str(lab.tasks / "freeform.yaml"))
    assert done.code == 2
    assert re.search(
        r"^error: write_questions_freeform is left out: .*kappa below 1 for judge_question_freeform", done.err, re.MULTILINE
    )
    assert len(done.asked) <= 400
    steps = {step for unit in done.provenance["units"] if unit["kept"] for step in unit["steps"]}
    assert set(load_compiled(done.path).steps) == steps
    assert steps
    assert all(step.startswith(("judge_", "tag_")) for step in steps)
    assert f"Written to {done.path}" in done.out


# ---- costs -------------------------------------------------------------------------------------------------------------


def test_a_dry_run_says_what_it_would_cost_and_asks_nobody(lab: Lab) -> None:
    """Calls and tokens of each unit and in all, the same as is said before the first call."""
    done = lab.optimized(*RUNS["gepa, questions"])
    folder = lab.folder / "dry"
    code, out, err = typed(*lab.command(NOBODY, folder / "output", folder / "p.json", *RUNS["gepa, questions"]), "--dry-run")
    assert (code, err) == (0, "")
    assert not folder.exists()
    assert out == "".join(done.err.splitlines(keepends=True)[: len(out.splitlines())])
    assert re.search(r"^Plan: gepa, at most [\d,]+ calls", out)
    assert re.search(r"write_questions_freeform: \d+ calls \(\d+ to measure\), about \d+k prompt and \d+k reply tokens", out)
    parts = [int(number) for number in re.findall(r"^  .*: (\d+) calls", out, re.MULTILINE)]
    assert sum(parts) == done.planned


def test_the_time_is_told_by_the_speed_that_was_measured(lab: Lab) -> None:
    """As soon as there are replies, and once."""
    for run in RUNS.values():
        times = re.findall(r"^Time: at most about .*it writes [\d,]+ tokens a second", lab.optimized(*run).err, re.MULTILINE)
        assert len(times) == 1


def test_replies_that_cannot_be_used_do_not_break_the_limit(lab: Lab) -> None:
    """What has to be asked for twice is not in the plan: then the calls are spent, and the same command goes on."""
    words = (JUDGE, "--optimizer", "bootstrap", "--max-calls", "60")
    first = lab.optimize(*words, which="unreadable")
    assert first.code == 1
    assert len(first.asked) == 60
    assert not first.path.exists()
    assert first.err.splitlines()[-1].startswith("error: the 60 calls that were allowed are spent; every reply is kept")
    second = lab.optimize(*words, which="unreadable", output=first.output, out=first.path)
    assert second.code in (0, 1)
    assert "Scores are on held-out examples" in second.out
    assert not {json.dumps(body, sort_keys=True) for body in first.asked} & {
        json.dumps(body, sort_keys=True) for body in second.asked
    }


# ---- stopped and resumed -----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def held(lab: Lab, after: int) -> Iterator[tuple[Teacher, list[str]]]:
    """The teacher, which holds the request number `after`; the requests until then are known at the end."""
    teacher, asked = lab.teacher(), list[str]()
    begin = len(teacher.asked)
    teacher.hold_from(begin + after)
    try:
        yield teacher, asked
    finally:
        teacher.hold_from(None)
        asked += teacher.digests(begin)


def terminate_when(reached: threading.Event) -> None:
    """Send SIGTERM to this process, in which a command is at work."""
    if reached.wait(60):
        os.kill(os.getpid(), signal.SIGTERM)


def test_stopped_and_resumed_it_gives_the_same_program_and_asks_nothing_twice(lab: Lab) -> None:
    """By SIGTERM and then by SIGKILL, both while GEPA is at work: only what was on its way is asked for again."""
    whole = lab.optimized(*RUNS["gepa, judge"])
    folder = lab.folder / "stopped"
    folder.mkdir()
    output, out = folder / "output", folder / "program.json"
    words = ("--concurrency", "1")
    with held(lab, 12) as (teacher, first):
        threading.Thread(target=terminate_when, args=[teacher.reached]).start()
        done = lab.optimize(*RUNS["gepa, judge"], *words, output=output, out=out)
    assert done.code == 130
    assert done.err.splitlines()[-1].startswith("interrupted; every reply is kept")
    assert "compiling with gepa" in done.err
    with held(lab, 10) as (teacher, second):
        command = lab.command(teacher.url, output, out, *RUNS["gepa, judge"], *words)
        nowhere = subprocess.DEVNULL
        argv = [sys.executable, "-m", "skills_dspy", *command]
        with subprocess.Popen(argv, cwd=CHECKOUT, stdout=nowhere, stderr=nowhere) as process:
            try:
                assert teacher.reached.wait(60)
            finally:
                process.kill()
    assert process.returncode == -signal.SIGKILL
    assert not out.exists()
    begin = len(teacher.asked)
    last = lab.optimize(*RUNS["gepa, judge"], output=output, out=out)
    assert last.code == 0
    assert out.read_bytes() == whole.path.read_bytes()
    third = teacher.digests(begin)
    assert second[0] == first[-1]
    assert second[-1] in third  # several at a time now, so in any order
    answered = [*first[:-1], *second[:-1], *third]
    assert len(set(answered)) == len(answered)
    assert len(answered) == len(whole.asked)


def test_a_replay_needs_no_server_and_gives_the_same_program(lab: Lab) -> None:
    """From the journal of the folder where it was made."""
    whole = lab.optimized(*RUNS["mipro, answers"])
    folder = lab.folder / "replayed"
    words = lab.command(
        NOBODY, folder / "output", folder / "program.json", *RUNS["mipro, answers"], "--replay", str(whole.output)
    )
    code, out, err = typed(*[word for word in words if word not in ("--note", NOTE)])
    assert code == 0, err
    assert (folder / "program.json").read_bytes() == whole.path.read_bytes()
    assert out.replace(str(folder / "program.json"), str(whole.path)) == whole.out


# ---- what a program is good for ----------------------------------------------------------------------------------------


def test_a_run_uses_the_program(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its instruction reaches the wire for its step and no other, and run.json keeps it."""
    program = lab.optimized(*RUNS["gepa, judge"]).path
    instructions = json.loads(program.read_bytes())["predictors"][JUDGE]["signature"]["instructions"]
    teacher = lab.teacher()
    begin = len(teacher.asked)
    monkeypatch.setattr(cli_run, "embedder_of", lambda *_: AsyncEmbedder(HashEmbedder()))
    words = ["--task-paths", lab.tasks / "freeform.yaml", "-n", 2, "--output-dir", tmp_path, "--base-url", teacher.url]
    code, _, err = typed("run", "--program", program, *words, "--quiet")
    assert code == 0, err
    requests = teacher.asked[begin:]
    carrying = [body for body in requests if instructions in body["messages"][0]["content"]]
    assert carrying
    assert all("rating" in fields(body) and "<question>" in body["messages"][-1]["content"] for body in carrying)
    assert len(carrying) < len(requests)
    kept = json.loads(RunPaths(tmp_path / FREEFORM).run_json.read_text("utf-8"))
    assert json.loads(program.read_bytes()) in kept.values()


def test_commands_on_the_same_tasks_ask_in_the_same_window(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`run`, `check`, `eval judges` and `optimize`: for each other num_ctx the server would load the model anew."""
    monkeypatch.setattr(cli_run, "embedder_of", lambda *_: AsyncEmbedder(HashEmbedder()))
    monkeypatch.setattr(evaluate, "choose_cases", lambda *given: choose_cases(*given)[:2])  # two show as much as all
    monkeypatch.chdir(tmp_path)
    teacher = lab.teacher()
    given = ["--task-paths", lab.tasks, "--base-url", teacher.url]
    sizes = [{body["options"]["num_ctx"] for body in lab.optimized(*RUNS["bootstrap, judge"]).asked}]
    cases = lab.cases / f"{JUDGE}.yaml"
    for words in (
        ["run", *given, "-n", 1, "--quiet"],
        ["check", *given],
        [
            "eval",
            "judges",
            *given,
            "--cases",
            cases,
            "--judge",
            JUDGE,
            "--no-fused",
            "--samples",
            1,
            "--output-dir",
            tmp_path / "evals",
        ],
    ):
        begin = len(teacher.asked)
        typed(*words)
        sizes.append({body["options"]["num_ctx"] for body in teacher.asked[begin:]})
    assert sizes == [{8192}] * 4


def test_a_program_goes_on_from_another(lab: Lab) -> None:
    """Judges first and then the writers, by --program: the new one holds both, and says what it was made from."""
    judge = lab.optimized(*RUNS["gepa, judge"])
    words = ("write_questions_freeform", "--optimizer", "bootstrap", "--program", str(judge.path), "--max-calls", "250")
    done = lab.optimize(*words)
    assert done.code in (0, 1), done.err
    compiled = judge.program["predictors"][JUDGE]["signature"]["instructions"]
    judging = [body for body in done.asked if "rating" in fields(body)]
    assert judging
    assert all(compiled in body["messages"][0]["content"] for body in judging)
    if done.code == 0:
        assert load_compiled(done.path).steps == ("write_questions_freeform", JUDGE)
        assert done.provenance["base_program"]["steps"] == [JUDGE]
        assert set(judge.provenance["seen"]) <= set(done.provenance["seen"])
    mixed = lab.optimize(*words, "--seed", "3")
    refused((mixed.code, mixed.out, mixed.err), r"was compiled with seeds or cases that .* would be tested on.*--seed 0")


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda content: content["base"].update({JUDGE: "0" * 12}), f"compiled for other base prompts of {JUDGE}"),
        (lambda content: content["predictors"][JUDGE]["signature"]["fields"].pop(), "compiled for another signature"),
    ],
)
def test_a_program_that_does_not_fit_is_refused_everywhere(lab: Lab, tmp_path: Path, change: Change, told: str) -> None:
    """By `run`, `prompts`, `eval program` and `optimize`, before anybody is asked."""
    content = lab.optimized(*RUNS["gepa, judge"]).program
    change(content)
    path = tmp_path / "program.json"
    path.write_text(json.dumps(content), "utf-8")
    where = ["--task-paths", TASKS, "--base-url", NOBODY, "--output-dir", tmp_path / "output"]
    refused(typed("run", "--program", path, *where), told)
    refused(typed("prompts", "--program", path), told)
    refused(typed("eval", "program", path, *where), told)
    refused(
        typed(*lab.command(NOBODY, tmp_path / "output", tmp_path / "new.json", *RUNS["gepa, judge"]), "--program", path), told
    )
    assert not (tmp_path / "output").exists()


# ---- bad input ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("write_context", "--optimizer", "gepa"), "cannot be a target of its own: it writes the contexts for"),
        (("tag_category", "--optimizer", "gepa"), "cannot be a target of its own: there are no labelled cases"),
        (("judges", "--optimizer", "bootstrap", "--proposer-model", "m"), "--proposer-model has nothing to do"),
        (
            ("judge_question_grounded", "--optimizer", "gepa", "--task-paths", str(SHIPPED_FREEFORM)),
            "is for grounded seeds, and no task",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(lab: Lab, tmp_path: Path, words: Sequence[str], told: str) -> None:
    """In one sentence, before a folder is made or anybody asked."""
    refused(typed(*lab.command(NOBODY, tmp_path / "output", tmp_path / "new" / "program.json", *words)), told)
    assert list(tmp_path.iterdir()) == []


def test_too_few_cases_say_how_many_are_needed(lab: Lab, tmp_path: Path) -> None:
    """Of skills, since these are what is split."""
    cases = tmp_path / "cases.yaml"
    cases.write_text(cases_of(JUDGE), "utf-8")
    words = (JUDGE, "--optimizer", "gepa", "--cases", str(cases))
    told = "the labelled cases of judge_question_freeform are of 1 skills.* 3 or more are needed"
    refused(typed(*lab.command(NOBODY, tmp_path / "output", tmp_path / "program.json", *words)), told)


def test_a_file_that_is_no_program_is_not_written_over(lab: Lab, tmp_path: Path) -> None:
    """It is noticed before the night, not after it; a program is replaced."""
    out = tmp_path / "thesis.json"
    out.write_text('{"years": 4}', "utf-8")
    refused(typed(*lab.command(NOBODY, tmp_path / "output", out, *RUNS["gepa, judge"])), "is there already and is no program")
    assert out.read_text("utf-8") == '{"years": 4}'


def test_nothing_is_written_when_nothing_became_better(lab: Lab, tmp_path: Path) -> None:
    """The exit code is 1 and the prompt stays; the same holds for a second optimizing of what is as good as it gets."""
    best = lab.optimized(*RUNS["bootstrap, judge"])
    out = tmp_path / "again.json"
    words = (JUDGE, "--optimizer", "bootstrap", "--program", str(best.path))
    done = lab.optimize(*words, output=best.output, out=out)
    assert done.code == 1
    assert not out.exists()
    assert "nothing better was found; the prompt stays as it was" in done.out
    assert "Nothing is written, since nothing became better." in done.out


def test_json_is_all_there_is_on_stdout(lab: Lab, tmp_path: Path) -> None:
    """For other programs: the provenance, which is the file's."""
    done = lab.optimized(*RUNS["gepa, judge"])
    again = lab.optimize(*RUNS["gepa, judge"], "--json", "--quiet", output=done.output, out=tmp_path / "p.json")
    assert json.loads(again.out) == done.provenance
    assert again.err == ""


def test_a_server_that_is_not_there_is_no_bad_score(lab: Lab, tmp_path: Path) -> None:
    """DSPy takes every exception for a bad reply; ours ends the command, and nothing is written."""
    config = tmp_path / "config.yaml"
    config.write_text("server: {patience: 0.0}\n", "utf-8")
    words = lab.command(NOBODY, tmp_path / "output", tmp_path / "program.json", *RUNS["gepa, judge"])
    code, out, err = typed(*words, "--config", config, "--quiet")
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert "Traceback" not in err
    assert not (tmp_path / "program.json").exists()


def test_a_floor_that_is_no_number_is_refused() -> None:
    """With `nan` every judge would be good enough."""
    words = ["optimize", "answers", "--optimizer", "bootstrap", "--out", "x.json", "--min-judge-kappa", "nan", "--dry-run"]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 2
    assert "nan is not a number" in done.output
