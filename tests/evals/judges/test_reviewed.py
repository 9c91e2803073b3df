"""Reviews as labelled cases, and the judges of a run against the person who looked at its rows."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from evals.figures.statistics import items_to_halve, kappa_interval
from evals.judges.cases import ACCEPTED, ANSWER_ALONE, EDITED, IN_WORDS, SCALE_OF_STEP, labelled_cases
from evals.judges.reviewed import card_of_reviews, head_of_reviews, read_reviewed, reviewed_cases
from skills_dspy.base.errors import RequestError, RunDirError
from skills_dspy.base.seeds import STANDARD
from skills_dspy.commands.review.rated import RatedRow, rated_rows
from skills_dspy.store.reviews import Review, ReviewLog, text_mark
from skills_dspy.store.run_dir import RunPaths
from tests.helpers.exporting import a_record, a_run_json, write_run
from tests.helpers.fake_server import FakeServer
from tests.helpers.making import a_config, there
from tests.helpers.small_runs import SEEDS, TEACHER, make_run
from tests.helpers.terminal import Terminal

PARTS = ("train", "validation", "test")
Saying = dict[str, Any] | None


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunPaths:
    """A run that nobody has looked at."""
    return make_run(tmp_path_factory.mktemp("run"), {}, wanted=12, server=FakeServer(replace(TEACHER, seed=1)))


@pytest.fixture
def paths(run: RunPaths) -> RunPaths:
    """The same for one test: without reviews, whatever another has left."""
    run.reviews.unlink(missing_ok=True)
    return run


def look(paths: RunPaths, saying: Callable[[int, RatedRow], Saying]) -> dict[str, RatedRow]:
    """Say something of each row, or nothing; returns the rows by their ids."""
    rows = [row for row in rated_rows(paths) if row.accepted or row.judged_out]
    log = ReviewLog(paths)
    for number, row in enumerate(rows):
        if (said := saying(number, row)) is not None:
            log.add(Review.model_validate({"id": row.row.id, "text": text_mark(row.row), **said}), 0)
    return {row.row.id: row for row in rows}


def honest(_: int, row: RatedRow) -> Saying:
    """What the run said itself."""
    if row.accepted:
        return {"verdict": "accept"}
    return {"verdict": "reject", "about": "question" if row.row.response is None else "answer", "note": "Bad."}


def test_each_choice_says_something_of_question_and_pair(paths: RunPaths) -> None:
    """Accepted: both are good; the answer alone rejected: the question is; edited: not what was changed."""
    accepted = [row.row for row in rated_rows(paths) if row.accepted]
    choices: list[dict[str, Any]] = [
        {"verdict": "accept"},
        {"verdict": "reject", "about": "answer", "reason": "wrong fact"},
        {"verdict": "reject", "about": "question", "note": "No."},
        {"verdict": "edit", "instruction": accepted[3].instruction, "response": "Better."},
        {"verdict": "edit", "instruction": "Better?", "response": accepted[4].response},
        {"verdict": "skip"},
        {"verdict": "reject", "about": "question", "reason": "unsafe"},
    ]
    rows = look(paths, lambda number, row: choices[number] if row.accepted and number < len(choices) else None)
    log = ReviewLog(paths)
    log.read()
    log.add(Review(id=accepted[6].id, text=text_mark(accepted[6]), verdict="undo"), 1)
    (found,) = read_reviewed([paths.folder])
    assert [row.review.verdict for row in found.rows] == ["accept", "reject", "reject", "edit", "edit"]
    told = [
        [(case.good, case.reason) for case, _ in row.cases if SCALE_OF_STEP[case.step].about == about]
        for row in found.rows
        for about in ("question", "pair")
    ]
    wanted = [
        (True, ACCEPTED),
        (True, ACCEPTED),
        (True, ANSWER_ALONE),
        (False, "wrong fact"),
        (False, IN_WORDS),
        (False, IN_WORDS),
    ]
    wanted += [(True, ANSWER_ALONE), (False, EDITED), (False, EDITED), (False, EDITED)]
    assert told == [[each, each] for each in wanted]
    for case in reviewed_cases([found]):
        row = rows[case.id.rpartition("/review-")[2]].row
        assert (case.question, case.context, case.origin) == (row.instruction, row.context, "review")
        assert set(case.examples) <= {seed.model_copy(update={"line": one.line}) for seed in SEEDS for one in case.examples}
        assert case.examples
        assert all((seed.context is None) == (row.context is None) for seed in case.examples)
        assert case.inputs()


def test_the_runs_own_judges_are_measured_without_a_call(paths: RunPaths) -> None:
    """Whoever says what the run said agrees with it; each judge's figures are of the rows that it rated."""
    rows = look(paths, honest)
    card, content = card_of_reviews(read_reviewed([paths.folder]), [])
    rated = Counter(verdict.stage for row in rows.values() for verdict in row.verdicts if verdict.passed is not None)
    stages = {"judge_question": 0, "instruction_quality": 0, "judge_pair": 0, "sample_quality": 0}
    for judge in card.judges:
        stage = judge.step.removeprefix("tag_").removesuffix("_freeform").removesuffix("_grounded")
        stages[stage] += judge.all.accuracy.of
        assert judge.of_reviews == judge.all
    assert stages == {stage: rated[stage] for stage in stages}
    by_step = {judge.step: judge for judge in card.judges}
    assert by_step["judge_question_freeform"].all.false_accept.count > 0  # the other judge of questions rejected some of these
    assert content["reviews"] == {
        "accept": sum(r.accepted for r in rows.values()),
        "reject": sum(not r.accepted for r in rows.values()),
    }
    assert by_step["tag_sample_quality"].all.accuracy.value == 1
    assert by_step["tag_sample_quality"].said[0].startswith("It decided all")
    assert "of_reviews" in content["judges"][0]


def test_a_case_shows_the_seeds_that_the_judges_saw(tmp_path: Path) -> None:
    """Those of the row's draw before the first ones of the task, in the order of the file."""
    run = a_run_json(accepted=1)
    run["task"]["seed_examples"] = [{"question": f"q{number}?", "answer": "a", "line": 1} for number in range(9)]
    record = a_record()
    record = record.model_copy(update={"provenance": record.provenance.model_copy(update={"shown": ("seed:8", "seed:6")})})
    paths = RunPaths(write_run(tmp_path, [record], run))
    ReviewLog(paths).add(Review(id=record.id, text=text_mark(record), verdict="accept"), 0)
    cases = reviewed_cases(read_reviewed([tmp_path]))
    assert [len(case.examples) for case in cases] == [STANDARD] * 4
    for case in cases:
        assert [seed.question for seed in case.examples][-2:] == ["q6?", "q8?"]


def test_a_reply_that_cannot_be_read_counts_as_that(paths: RunPaths) -> None:
    """A person may look at such a row as well; it is no verdict whose label is lost."""
    lost = next(row for row in rated_rows(paths) if any(verdict.passed is None for verdict in row.verdicts))
    said = Review(id=lost.row.id, text=text_mark(lost.row), verdict="reject", about="question", reason="unsafe")
    ReviewLog(paths).add(said, 0)
    card, content = card_of_reviews(read_reviewed([paths.folder]), [])
    assert sum(judge.all.unreadable.count for judge in card.judges) == 1
    assert "unknown_verdicts" not in content


def test_what_a_judge_and_a_person_see_otherwise_is_named(paths: RunPaths) -> None:
    """By the reason, by your verdict where that is all that is known, and by the rows."""

    def hard(number: int, row: RatedRow) -> Saying:
        if not row.accepted:
            return {"verdict": "accept"} if row.row.response is not None else honest(number, row)
        if number % 2:
            return {"verdict": "edit", "instruction": row.row.instruction, "response": "Better."}
        return {"verdict": "reject", "about": "answer", "reason": "wrong figure"}

    rows = look(paths, hard)
    card, _ = card_of_reviews(read_reviewed([paths.folder]), ["tag_sample_quality"])
    (judge,) = card.judges
    log = ReviewLog(paths)
    first = log.read()[0]
    for known, each in enumerate((first.model_copy(update={"verdict": "undo"}), first), start=1):
        log.add(each, known)
    facts = head_of_reviews(card_of_reviews(read_reviewed([paths.folder]), [])[1])
    assert ("Decided again", "1 of these rows, after what the judges said of them was shown") in facts
    assert judge.said[:3] == (
        "Of the flaws that you found it misses `wrong figure` most: 6 of 6 let through.",
        "Of the rows that you accepted it rejected 6 of 6.",
        "Of the rows that you edited it let through 6 of 6.",
    )
    named = judge.said[-2].removeprefix("It let through what you would not: ").partition(" and ")[0].split(", ")
    assert len(named) == 5
    assert all(rows[name].accepted for name in named)
    assert judge.kappa_low is not None
    assert there(judge.more_reviews) > 0


def test_so_many_more_reviews_halve_the_interval() -> None:
    """It is found out by drawing so many: of 40 decisions about three times as many more; none where all agree."""
    accepts, good = [True] * 20 + [False] * 20, [True] * 14 + [False] * 6 + [False] * 15 + [True] * 5
    more = there(items_to_halve(accepts, good, 0))
    assert 100 <= more <= 145
    now, then = (there(kappa_interval(accepts * times, good * times, 0)) for times in (1, round((40 + more) / 40)))
    assert (then.high - then.low) / (now.high - now.low) == pytest.approx(0.5, abs=0.06)
    assert items_to_halve(good, good, 0) is None
    assert items_to_halve([], [], 0) is None
    assert items_to_halve([True] * 5, [True] * 5, 0) is None
    assert items_to_halve([True] * 4 + [False], [True] * 5, 0) is None


def test_what_cannot_be_measured_is_said(paths: RunPaths, tmp_path: Path) -> None:
    """Nobody has looked, there is no run, another judge, other thresholds, no journal."""
    with pytest.raises(RequestError, match=r"nobody has looked at a row of .* yet; see `review`"):
        read_reviewed([paths.folder])
    with pytest.raises(RunDirError, match="there is no run at or below"):
        read_reviewed([tmp_path])
    look(paths, honest)
    other = RunPaths(tmp_path / "other")
    other.folder.mkdir()
    for path in (paths.data, paths.rejected, paths.reviews):
        (other.folder / path.name).write_bytes(path.read_bytes())
    content = json.loads(paths.run_json.read_bytes())
    other.run_json.write_text(json.dumps(content))
    assert len(read_reviewed([paths.folder, other.folder])) == 1  # the same rows
    _, found = card_of_reviews(read_reviewed([other.folder]), [])
    assert found["unknown_verdicts"] > 0
    left_out = f"{found['unknown_verdicts']} verdicts whose labels stand in a journal that is not there"
    assert ("Left out", left_out) in head_of_reviews(found)
    accepted = paths.data.read_bytes()
    other.data.write_bytes(b"")
    with pytest.raises(RequestError, match="stand in the journal, which is not there"):
        card_of_reviews(read_reviewed([other.folder]), [])
    other.data.write_bytes(accepted)
    content["config"]["judges"]["pair_pass"] = [3]
    other.run_json.write_text(json.dumps(content))
    text = other.data.read_text().replace('"id":"', '"id":"0')
    other.data.write_text(text)
    other.reviews.write_text(other.reviews.read_text().replace('"id": "', '"id": "0'))
    both = read_reviewed([paths.folder, other.folder])
    with pytest.raises(RequestError, match="were made with different thresholds"):
        card_of_reviews(both, [])
    for name, said in (("judge_all", "there is no judge 'judge_all'"), ("tag_sample_quality", "has rated none of the rows")):
        questions = [run for run in both if run.paths == other]
        bare = [type(run)(run.paths, run.run, run.config, run.rows[:0]) for run in questions]
        with pytest.raises(RequestError, match=said):
            card_of_reviews(bare, [name])


def test_the_command_prints_the_judges_and_you(paths: RunPaths, terminal: Terminal) -> None:
    """No server is asked; the report is written as always, and exit codes are those of the report card."""
    look(paths, honest)
    said = terminal.type("-v", "eval", "judges", "--reviews", paths.folder, "--no-fused", "--min-kappa", "-1")
    assert said.code == 0, said.err
    assert f"{paths.folder}: a person has decided " in said.err
    assert terminal.servers == []
    assert "The judges and you" in said.out
    assert "Asked: nobody: this is what the judges said when the rows were made" in said.out
    written = json.loads((terminal.folder / "output-evals" / "judges.json").read_text())
    assert {judge["step"] for judge in written["judges"]} <= set(SCALE_OF_STEP)
    assert "The judges and you" in (terminal.folder / "output-evals" / "judges.md").read_text()
    for words, wrong in (
        (("--judge-model", "big"), "--judge-model is about judges that are asked: give --ask too"),
        (("--cases", "x.yaml"), "--cases is about judges that are asked"),
    ):
        said = terminal.type("eval", "judges", "--reviews", paths.folder, *words)
        assert (said.code, said.out) == (2, "")
        assert wrong in said.err
    assert "--ask is about --reviews" in terminal.type("eval", "judges", "--ask").err


def test_judges_are_asked_anew_about_reviewed_rows(paths: RunPaths, terminal: Terminal) -> None:
    """As about labelled cases, and about no others where none are given; in the folder that has the report without a call."""
    look(paths, lambda number, row: honest(number, row) if number % 3 == 0 else None)
    assert terminal.type("eval", "judges", "--reviews", paths.folder).code == 0
    words = ("--ask", "--samples", 1, "--no-fused", "--judge", "judge_question_freeform")
    said = terminal.type("eval", "judges", "--reviews", paths.folder, *words)
    assert said.code == 0, said.err
    (server,) = terminal.servers
    written = json.loads((terminal.folder / "output-evals" / "judges.json").read_text())
    (judge,) = written["judges"]
    assert judge["all"]["cases"] == judge["of_reviews"]["cases"] == written["cases_of_reviews"] == server.answered > 2
    assert "rows that a person looked at, 0 made from seeds" in said.out


def test_judges_are_optimized_on_reviewed_rows(paths: RunPaths, terminal: Terminal) -> None:
    """Of the run's own task, each row in one part alone for all judges; the plan costs nothing to see."""
    look(paths, honest)
    words = (
        "optimize",
        "judge_pair_freeform",
        "--optimizer",
        "bootstrap",
        "--out",
        "p.json",
        "--max-calls",
        120,
        "--reviews",
        paths.folder,
    )
    said = terminal.type(*words, "--dry-run")
    assert said.code == 0, said.err
    assert terminal.servers == []
    said = terminal.type(*words, "--json")
    assert said.code in (0, 1), said.err
    told = json.loads(said.out)
    assert told["tasks"] == ["test/foxes"]
    parts = [{key.rpartition("/review-")[2] for unit in told["units"] for key in unit["splits"][part]} for part in PARTS]
    looked = {row.rated.row.id for run in read_reviewed([paths.folder]) for row in run.rows}
    assert all(part & looked for part in parts)
    assert told["reviews"] == len(looked)
    assert not any(one & other & looked for one, other in combinations(parts, 2))


def test_reviews_without_a_case_leave_the_shipped_cases_out() -> None:
    """Whoever names reviews means these; the shipped cases are for who names neither reviews nor files."""
    assert labelled_cases((), a_config({}), ()) == ()
    assert labelled_cases((), a_config({}))
