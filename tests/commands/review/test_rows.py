"""What the judges said of each row, and which rows come first."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from skills_dspy.base.errors import RequestError, RunDirError
from skills_dspy.base.records import SoftRating
from skills_dspy.base.scales import PAIR, Label
from skills_dspy.commands.review.opening import open_review
from skills_dspy.commands.review.order import doubts_about, in_order
from skills_dspy.commands.review.rated import RATED, RatedRow, StageVerdict, rated_rows, settings_of
from skills_dspy.store.journal import Journal
from skills_dspy.store.run_dir import RunPaths
from skills_dspy.store.run_json import read_run_json
from tests.helpers.exporting import a_record, write_run
from tests.helpers.fake_server import FakeServer
from tests.helpers.logprobs import spell
from tests.helpers.making import a_config
from tests.helpers.small_runs import TEACHER, make_run

CONFIG = a_config()


class SoftServer(FakeServer):
    """Gives the probability of what it rates, where it can be spelled."""

    def _body(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        body, text = super()._body(payload), ""
        if payload.get("logprobs") and body["done_reason"] == "stop":
            text = body["message"]["content"]
        if text.startswith("{") and text.endswith("}"):
            body["message"]["content"] = text = json.dumps(reply := json.loads(text), ensure_ascii=False)
            rated = {field: {reply[field]: 0.75} for field in ("rating", "quality", "score") if field in reply}
            body["logprobs"] = spell(text, rated)
        return body


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> RunPaths:
    """A run with accepted and rejected rows, and a journal."""
    return make_run(tmp_path_factory.mktemp("run"), {"soft_ratings": True}, server=SoftServer(TEACHER))


@pytest.fixture(scope="module")
def rows(paths: RunPaths) -> list[RatedRow]:
    """All of it that has a question."""
    return list(rated_rows(paths))


def rated(*verdicts: tuple[str, Label, bool], soft: SoftRating | None = None, row_id: str = "a" * 16) -> RatedRow:
    """An accepted row that was rated so."""
    made = tuple(StageVerdict(stage, passed, label, soft) for stage, label, passed in verdicts)
    return RatedRow(a_record(row_id), made)


def test_every_verdict_is_known(rows: list[RatedRow]) -> None:
    """Of accepted rows from the row itself, of rejected ones from the journal: label, explanation, probabilities."""
    assert {row.accepted for row in rows} == {True, False}
    for row in rows:
        stages = [verdict.stage for verdict in row.verdicts]
        assert stages == list(RATED)[: len(stages)]
        assert all(verdict.passed for verdict in row.verdicts[:-1])
        for verdict in row.verdicts:
            scale = RATED[verdict.stage]
            assert scale.passing is not None
            if verdict.passed is not None:
                assert (verdict.label in scale.passing(CONFIG)) == verdict.passed
                assert verdict.explanation
        assert row.accepted or row.judged_out == (getattr(row.row, "reason", "") in ("judged bad", "filtered"))
    assert any(row.judged_out for row in rows)
    assert any(verdict.soft is not None for row in rows if not row.accepted for verdict in row.verdicts)


def test_a_run_without_its_journal_knows_what_passed(paths: RunPaths, rows: list[RatedRow], tmp_path: Path) -> None:
    """And no labels of what was rejected."""
    for name in ("data.jsonl", "rejected.jsonl"):
        (tmp_path / name).write_bytes((paths.folder / name).read_bytes())
    bare = list(rated_rows(RunPaths(tmp_path)))
    passed = [[verdict.passed for verdict in row.verdicts] for row in rows]
    assert [[verdict.passed for verdict in row.verdicts] for row in bare] == passed
    assert all(verdict.label is None for row in bare if not row.accepted for verdict in row.verdicts)


def test_what_is_in_doubt_comes_first() -> None:
    """Judges that disagree, then odds that are near to even, then labels at the border."""
    even = SoftRating(probabilities={"1": 0.45, "2": 0.35, "3": 0.2}, expected=1.75, mass=1.0)
    sure = SoftRating(probabilities={"1": 0.01, "2": 0.09, "3": 0.9}, expected=2.89, mass=1.0)
    disputed = rated(("judge_question", 1, True), ("instruction_quality", "average", False))
    odd = rated(("judge_pair", 2, True), soft=even)
    border = rated(("judge_pair", 2, True))
    apart = rated(("judge_pair", 3, True), ("sample_quality", 4, True))
    clear = rated(("judge_pair", 3, True), soft=sure)
    lost = rated(("judge_question", 1, True), ("instruction_quality", "good", True))
    found = [max(doubts_about(row, CONFIG)) for row in (disputed, odd, border, apart, clear)]
    assert found == [1.0, pytest.approx(0.9), 0.5, 0.5, pytest.approx(0.02)]
    named = [RatedRow(a_record(str(n) * 16), row.verdicts) for n, row in enumerate((clear, border, disputed, odd))]
    assert in_order(named, "uncertain", CONFIG) == [named[2], named[3], named[1], named[0]]
    twice = rated(("judge_pair", 2, True), ("sample_quality", 4, True), row_id="b" * 16)
    assert in_order([border, twice], "uncertain", CONFIG) == [twice, border]  # both come to 0.5, and twice more often
    assert max(doubts_about(lost, CONFIG)) == 0.5  # good is the lowest that passes
    assert doubts_about(RatedRow(a_record(), (StageVerdict("judge_pair", None),)), CONFIG) == [0]


def test_orders_hold_what_they_say(rows: list[RatedRow]) -> None:
    """All but `rejected` show what was accepted or judged; the same rows come in the same order."""
    judged = {row.row.id for row in rows if row.accepted or row.judged_out}
    for order in ("uncertain", "random", "newest"):
        found = in_order(rows, order, CONFIG)
        assert {row.row.id for row in found} == judged
        assert found == in_order(reversed(rows), order, CONFIG)
    assert [row.place for row in in_order(rows, "newest", CONFIG)] == sorted(
        (r.place for r in rows if r.row.id in judged), reverse=True
    )
    rejected = in_order(rows, "rejected", CONFIG)
    assert {row.row.id for row in rejected} == {row.row.id for row in rows if not row.accepted}
    assert [row.judged_out for row in rejected] == sorted((row.judged_out for row in rejected), reverse=True)


def test_the_thresholds_are_those_of_the_run(paths: RunPaths) -> None:
    """What run.json does not say is as usual."""
    run = read_run_json(paths)
    assert run is not None
    assert settings_of(paths, run).judges == CONFIG.judges
    noted = run.model_copy(update={"config": {"judges": {"pair_pass": [3]}}})
    assert PAIR.passing is not None
    assert PAIR.passing(settings_of(paths, noted)) == (3,)
    with pytest.raises(RunDirError, match="restore the file"):
        settings_of(paths, run.model_copy(update={"config": {"judges": {"pair_pass": "all"}}}))


def test_one_run_is_looked_at(tmp_path: Path) -> None:
    """What is none, or several, or empty, is said in a sentence."""
    write_run(tmp_path / "runs")
    write_run(tmp_path / "runs", [], task="test/jays")
    for place, order, said in (
        (tmp_path / "runs", "newest", r"there are 2 runs below .*; give the directory of one: "),
        (tmp_path / "nowhere", "newest", r"there is no run at .*nowhere; give a run's directory$"),
        (tmp_path / "runs" / "test" / "jays", "newest", "there is nothing to look at: it has no row yet that was judged"),
        (tmp_path / "runs" / "test" / "foxes", "rejected", "nothing was rejected that has a question"),
    ):
        with pytest.raises((RunDirError, RequestError), match=said):
            open_review(place, order, lambda: "now")  # type: ignore[arg-type] # one of them
    (tmp_path / "bare").mkdir()
    Journal.open(tmp_path / "bare" / "journal.sqlite").close()
    with pytest.raises(RunDirError, match=r"run.json is missing, so nothing is known of this run"):
        open_review(tmp_path / "bare", "newest", lambda: "now")
    assert open_review(tmp_path / "runs" / "test" / "foxes", "newest", lambda: "now").rows == 3
    broken = tmp_path / "runs" / "test" / "foxes" / "data.jsonl"
    broken.write_text("{}\n")
    with pytest.raises(RunDirError, match=r"data.jsonl:1: this is no row of a run: "):
        open_review(broken.parent, "newest", lambda: "now")
