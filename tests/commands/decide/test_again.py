"""Acceptance decided anew: the same thresholds give the same rows, others account for all, and nothing is paid twice."""

import asyncio
import json
import re
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evals.data.datasets import read_datasets
from signatures.examples import Axis
from skills_dspy.base.errors import ConfigError, RequestError, RunDirError, ServerError
from skills_dspy.base.records import Record, Rejection
from skills_dspy.commands.decide.dataset import DecideRequest, prepare
from skills_dspy.commands.decide.thresholds import Bounds
from skills_dspy.run.past import find_recorded
from skills_dspy.store.journal import JournalReader
from skills_dspy.store.run_dir import RunPaths, find_row, find_runs, taken
from tests.helpers.disk import journaled, names_in
from tests.helpers.fake_server import FakeServer
from tests.helpers.small_runs import SPEC, TEACHER, decide, failing, make_run

ALL = Bounds(1, "very poor", 1, None)
ROWS = ("data.jsonl", "rejected.jsonl")


@pytest.fixture(scope="module", params=["separate", "fused"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, made_once: RunPaths) -> RunPaths:
    """A finished run, tagged in either way; nobody changes it."""
    return made_once if request.param == "separate" else make_run(tmp_path_factory.mktemp("fused"), {"tagging": "fused"})


@pytest.fixture
def run(made: RunPaths, tmp_path: Path) -> RunPaths:
    """A copy of it that a test may change."""
    shutil.copytree(made.folder, tmp_path / "runs" / "foxes")
    return RunPaths(tmp_path / "runs" / "foxes")


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> RunPaths:
    """A finished run, where one kind of tagging is enough."""
    return make_run(tmp_path_factory.mktemp("once"), {"tagging": "separate"})


@pytest.fixture
def once(made_once: RunPaths, tmp_path: Path) -> RunPaths:
    """A copy of it that a test may change."""
    shutil.copytree(made_once.folder, tmp_path / "runs" / "foxes")
    return RunPaths(tmp_path / "runs" / "foxes")


@dataclass(frozen=True)
class Rows:
    """What lies in a dataset's directory."""

    accepted: tuple[Record, ...]
    rejected: tuple[Rejection, ...]

    @property
    def places(self) -> list[tuple[int, int]]:
        """All draws and indices."""
        all_rows: list[Record | Rejection] = [*self.accepted, *self.rejected]
        return [(row.provenance.draw, row.provenance.index) for row in all_rows]


def rows(folder: Path | None) -> Rows:
    """The rows of a dataset."""
    assert folder is not None
    paths = RunPaths(folder)
    return Rows(
        tuple(Record.model_validate_json(line) for line in paths.data.read_bytes().splitlines()),
        tuple(Rejection.model_validate_json(line) for line in paths.rejected.read_bytes().splitlines()),
    )


def content(folder: Path | None) -> dict[str, bytes]:
    """The bytes of all files of a dataset but the journal's."""
    assert folder is not None
    return {
        path.name: path.read_bytes() for path in folder.iterdir() if path.name in ("data.jsonl", "rejected.jsonl", "run.json")
    }


def run_json(folder: Path | None) -> dict[str, Any]:
    """The content of a run.json."""
    assert folder is not None
    told: dict[str, Any] = json.loads((folder / "run.json").read_text("utf-8"))
    return told


# -- the same thresholds ------------------------------------------------------------------------------------------------


def test_the_same_thresholds_give_the_same_rows(run: RunPaths) -> None:
    """Decided by what it was made with, a run gives its own bytes and its own funnel, with either kind of tags."""
    before = content(run.folder)
    done = decide(run)
    after = content(done.dataset)
    assert (after["data.jsonl"], after["rejected.jsonl"]) == (before["data.jsonl"], before["rejected.jsonl"])
    assert run_json(done.dataset)["result"]["funnel"] == run_json(run.folder)["result"]["funnel"]
    assert {row.reason for row in rows(run.folder).rejected} > {"duplicate", "judged bad", "filtered"}, "the run shows little"
    assert (done.prepared.changed, done.diff.moved, done.calls_left) == ([], {}, 0)
    assert content(run.folder) == before


def test_a_derived_description_is_told_again(tmp_path: Path) -> None:
    """A task whose file leaves its description blank was asked about with the one that the model derived."""
    made = make_run(tmp_path, {}, spec=SPEC.model_copy(update={"task_description": " "}))
    derived = run_json(made.folder)["derived_description"]
    done = decide(made)
    assert content(done.dataset)["data.jsonl"] == content(made.folder)["data.jsonl"]
    assert run_json(done.dataset)["derived_description"] == derived
    assert {row.task_description for row in rows(done.dataset).accepted} == {derived}


class QuotingServer(FakeServer):
    """Begins the first question of a list, and every other text, with its plan."""

    async def chat(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """One reply's body."""
        body, told = await super().chat(payload), re.search(r"<plan>\n(.+)\n", payload["messages"][-1]["content"])
        if told is not None and body["done_reason"] == "stop":
            message, plan = body["message"], told[1]
            if message["content"].startswith("{"):
                message["content"] = message["content"].replace('["', f'["{plan} ', 1)
            elif zlib.crc32(message["content"].encode()) % 2:
                message["content"] = f"{plan}. {message['content']}"
        return body


def test_what_quoted_its_plan_is_found_again(tmp_path: Path) -> None:
    """No row says what a draw was told: it follows from the axes, and from what had become of the draws before."""
    axes = (
        Axis(name="subject", of="text", values=("ponds", "lakes")),
        Axis(name="form", values=("a table", "a list", "a riddle")),
    )
    spec = SPEC.model_copy(update={"variety": axes})
    made = make_run(tmp_path, {"draws": {"window": 2}}, 4, QuotingServer(TEACHER), spec=spec)
    quoted = [row for row in rows(made.folder).rejected if row.reason == "echo"]
    assert {row.stage for row in quoted} == {"write_context", "write_questions"}
    assert all("names its plan" in row.detail for row in quoted)
    after = content(decide(made).dataset)
    assert {name: text for name, text in content(made.folder).items() if name in ROWS} == {name: after[name] for name in ROWS}


# -- evaluation questions -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def screened_once(made_once: RunPaths, tmp_path_factory: pytest.TempPathFactory) -> tuple[RunPaths, Path]:
    """A run that was decontaminated against a question which it would have accepted, and the file of that question."""
    folder = tmp_path_factory.mktemp("screened")
    file = folder / "exam.txt"
    freeform = next(row.instruction for row in rows(made_once.folder).accepted if row.context is None)
    file.write_text(freeform.replace("\n", " ") + "\n", "utf-8")
    return make_run(folder / "screened", {}, questions=file), file


@pytest.fixture
def screened(screened_once: tuple[RunPaths, Path], tmp_path: Path) -> Iterator[tuple[RunPaths, Path]]:
    """A copy of it that a test may change, and the file, which is there again afterwards."""
    made, file = screened_once
    output = made.folder.parents[1]  # with the index of the questions
    shutil.copytree(output, tmp_path / "screened")
    questions = file.read_bytes()
    yield RunPaths(tmp_path / "screened" / made.folder.relative_to(output)), file
    file.write_bytes(questions)


def test_a_decontaminated_run_stays_so(screened: tuple[RunPaths, Path]) -> None:
    """Its own thresholds give its own rows, and the loosest let no evaluation question in, whatever is asked for now."""
    made, _ = screened
    lost = {row.id for row in rows(made.folder).rejected if row.reason == "contaminated"}
    assert lost
    same = decide(made)
    assert content(same.dataset)["data.jsonl"] == content(made.folder)["data.jsonl"]
    assert content(same.dataset)["rejected.jsonl"] == content(made.folder)["rejected.jsonl"]
    filled = decide(made, ALL, FakeServer(TEACHER))
    assert filled.live
    assert not lost & {row.id for row in rows(filled.dataset).accepted}
    assert run_json(filled.dataset)["decontamination"] == run_json(made.folder)["decontamination"]


def test_evaluation_questions_that_changed_are_not_taken_for_those_of_then(screened: tuple[RunPaths, Path]) -> None:
    """One sentence names the file, whether it has changed or is gone."""
    made, file = screened
    file.write_text("What else?\n", "utf-8")
    with pytest.raises(RequestError, match=r"exam\.txt changed since"):
        decide(made)
    file.unlink()
    with pytest.raises(RequestError, match=r"exam\.txt, which is not there"):
        decide(made)


def test_a_run_that_was_decontaminated_by_another_normalisation_is_refused(screened: tuple[RunPaths, Path]) -> None:
    """The new dataset would say that it was decontaminated as the run was, and it was not."""
    made, _ = screened
    noted = json.loads(made.run_json.read_text("utf-8"))
    noted["inputs"]["decontamination"]["normalisation"] = 0
    made.run_json.write_text(json.dumps(noted), "utf-8")
    with pytest.raises(RunDirError, match="its normalisation is 0, this one's"):
        decide(made)


# -- other thresholds ---------------------------------------------------------------------------------------------------

BOUNDS = st.builds(
    Bounds,
    st.sampled_from((None, 1, 2, 3, 4, 5)),
    st.sampled_from((None, "very poor", "poor", "average", "good", "excellent")),
    st.sampled_from((None, 1, 2, 3)),
    st.sampled_from((None, 0.0, 1.9, 2.0)),
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bounds=BOUNDS)
def test_any_thresholds_account_for_every_candidate(bounds: Bounds, made_once: RunPaths, tmp_path: Path) -> None:
    """Each candidate is there once, accepted ones pass, no two of them are near, and the diff adds up to the rows."""
    out = tmp_path / "out"
    shutil.rmtree(out, ignore_errors=True)
    done = decide(made_once, bounds, out=out)
    before, after, diff = rows(made_once.folder), rows(out), done.diff
    assert sorted(after.places) == sorted(before.places)
    config = prepare(DecideRequest(made_once.folder, bounds=bounds, dry_run=True)).config
    for row in after.accepted:
        assert row.question_verdict.rating in config.judges.question_pass
        assert row.pair_verdict.rating in config.judges.pair_pass
        assert row.tags.instruction_quality in config.filter.instruction_quality
        assert row.tags.sample_quality in config.filter.sample_quality
        assert row.provenance.neighbour is not None
        assert row.provenance.neighbour.distance >= config.dedup.max_squared_distance
    assert (diff.before.accepted, diff.after.accepted) == (len(before.accepted), len(after.accepted))
    assert diff.after.candidates == len(after.places)
    ids = {row.id for row in before.accepted}, {row.id for row in after.accepted}
    assert (sum(diff.lost_to.values()), sum(diff.gained_from.values())) == (len(ids[0] - ids[1]), len(ids[1] - ids[0]))
    assert set(diff.lost) <= ids[0] - ids[1]
    assert set(diff.gained) <= ids[1] - ids[0]
    assert sum(diff.not_asked.values()) == sum(row.reason == "not asked" for row in after.rejected)
    untagged = [row for row in after.accepted if row.tags.difficulty is None]
    assert all(
        row.tags.explanations["difficulty"].startswith(("not asked: ", "unreadable: ", "truncated: ")) for row in untagged
    )
    never_asked = any(text.startswith("not asked: ") for row in after.accepted for text in row.tags.explanations.values())
    assert (done.calls_left > 0) == (bool(diff.not_asked) or never_asked)


def test_stricter_needs_no_reply(once: RunPaths) -> None:
    """What only rejects more of what was accepted is known to the last row, when no duplicate is set free by it."""
    done = decide(once, Bounds(sample_quality=5))
    before, after = rows(once.folder), rows(done.dataset)
    lost = [row.id for row in before.accepted if row.tags.sample_quality < 5]
    assert lost, "the run shows nothing"
    assert [row.id for row in after.accepted] == [row.id for row in before.accepted if row.tags.sample_quality == 5]
    assert done.diff.lost == lost[:5]
    assert done.diff.lost_to == {("sample_quality", "filtered"): len(lost)}


def test_looser_leaves_out_what_was_never_asked(once: RunPaths) -> None:
    """A pair that the judge had stopped was never tagged: it is left out with its own reason, and counted where it stands."""
    done = decide(once, Bounds(pair_rating=1))
    stopped = [r.id for r in rows(once.folder).rejected if (r.stage, r.reason) == ("judge_pair", "judged bad")]
    found = [r for r in rows(done.dataset).rejected if r.reason == "not asked"]
    assert stopped, "the run shows nothing"
    assert [(r.id, r.stage) for r in found] == [(name, "sample_quality") for name in stopped]
    assert all(r.response is not None and r.raw_reply is None and "judge_pair" in r.provenance.calls for r in found)
    assert done.diff.not_asked == {"sample_quality": len(stopped)}
    assert done.calls_left == 3 * len(stopped)
    assert f"{len(stopped)} candidate" in run_json(done.dataset)["status"]


def test_a_copy_is_decided_by_what_is_accepted_now(once: RunPaths) -> None:
    """Where copies are no duplicates any more, each goes its own way from where it was stopped."""
    copies = [r.id for r in rows(once.folder).rejected if r.reason == "duplicate"]
    done = decide(once, Bounds(squared_distance=0.0))
    assert copies, "the run shows nothing"
    assert not any(r.reason == "duplicate" for r in rows(done.dataset).rejected)
    assert len(rows(done.dataset).places) == len(rows(once.folder).places)


def test_contexts_are_decided_anew_by_their_ratings(tmp_path: Path) -> None:
    """A draw that its context had cost has no questions to decide; those that it has go if their context fails now."""
    path = tmp_path / "contexts.yaml"
    strict = make_run(tmp_path / "strict", {}, 6)
    cost = [one.id for one in rows(strict.folder).rejected if (one.stage, one.reason) == ("judge_context", "judged bad")]
    path.write_text("judges: {context_pass: [0, 1]}\n")
    looser = decide(strict, config=path)
    assert cost, "the run shows nothing"
    assert looser.diff.not_asked["write_questions"] == len(cost)
    assert {one.id for one in rows(looser.dataset).rejected if one.stage == "write_questions"} >= set(cost)
    easy = make_run(tmp_path / "easy", {"judges": {"context_pass": [0, 1]}}, server=FakeServer(replace(TEACHER, seed=5)))
    path.write_text("judges: {context_pass: [1]}\n")
    stricter = decide(easy, config=path)
    lost = [one for one in rows(stricter.dataset).rejected if one.stage == "judge_context"]
    assert "judged bad" in {one.reason for one in lost} <= {"judged bad", "unreadable"}
    assert len({(one.provenance.draw, one.context) for one in lost}) < len(lost)
    assert len(rows(stricter.dataset).places) == len(rows(easy.folder).places)
    changes = decide(easy).diff.changes()
    assert changes == [(*pair, count, count) for *pair, count, _ in changes]


# -- asking for the rest ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bounds", [ALL, Bounds(pair_rating=1), Bounds(squared_distance=0.0)], ids=["all", "pairs", "copies"])
def test_fill_asks_for_just_those(bounds: Bounds, run: RunPaths) -> None:
    """Nothing that the journal holds is asked for; afterwards nothing is missing, and the journal alone gives the same."""
    known, dry = journaled(run.journal), decide(run, bounds, dry_run=True)
    left, waiting = dry.calls_left, sum(dry.diff.not_asked.values())
    full = asyncio.Event()

    async def together(_: int) -> None:
        """None is answered before as many are in flight as there may be."""
        if server.in_flight == min(4, waiting):
            full.set()
        await asyncio.wait_for(full.wait(), 5)

    server = FakeServer(TEACHER, before=together)
    filled = decide(run, bounds, server, concurrency=4)
    assert left > 0
    assert server.asked
    assert not set(server.asked) & known
    assert len(server.asked) == len(set(server.asked)) == filled.live
    assert journaled(run.journal) == known | set(server.asked)
    assert filled.diff.not_asked == {}
    assert server.most_in_flight == min(4, waiting)
    assert server.closed
    again = decide(run, bounds, out=run.folder.parent / "again")
    assert content(again.dataset) == content(filled.dataset)


def test_fill_gives_the_same_at_any_concurrency(made_once: RunPaths, tmp_path: Path) -> None:
    """One request at a time or sixteen, in whatever order the replies come: the same rows."""
    found = []
    for seed, concurrency in enumerate((1, 3, 16)):
        shutil.copytree(made_once.folder, tmp_path / str(seed) / "foxes")
        paths = RunPaths(tmp_path / str(seed) / "foxes")
        done = decide(paths, replace(ALL, squared_distance=1.95), FakeServer(TEACHER, seed=seed), concurrency=concurrency)
        found.append({name: part for name, part in content(done.dataset).items() if name != "run.json"})
    assert found[0] == found[1] == found[2]


def test_a_fill_that_is_stopped_goes_on(once: RunPaths, tmp_path: Path) -> None:
    """When the server fails nothing is half-written; what it answered is kept, and only the rest is asked for then."""
    shutil.copytree(once.folder, tmp_path / "whole" / "foxes")
    whole = decide(RunPaths(tmp_path / "whole" / "foxes"), ALL, FakeServer(TEACHER))
    known = journaled(once.journal)
    with pytest.raises(ServerError):
        decide(once, ALL, FakeServer(TEACHER, before=failing(5)), concurrency=2)
    assert names_in(once.folder.parent) == {"foxes"}
    kept = journaled(once.journal) - known
    assert 0 < len(kept) <= 5
    server = FakeServer(TEACHER)
    done = decide(once, ALL, server)
    assert not set(server.asked) & (known | kept)
    assert rows(done.dataset) == rows(whole.dataset)


def test_another_model_is_refused(once: RunPaths) -> None:
    """Half a dataset judged by another model is none: a model with another digest is refused before anything is asked."""
    server = FakeServer(TEACHER, digest="e" * 64)
    with pytest.raises(RunDirError, match=r"the same name has other weights now: .* decide without --fill"):
        decide(once, ALL, server)
    assert not server.asked
    assert server.closed
    assert names_in(once.folder.parent) == {"foxes"}


def test_who_filled_is_said(once: RunPaths) -> None:
    """A dataset says who answered, the run's own server and the one that was asked later, also when it is decided once more."""
    filled = decide(once, ALL, FakeServer(TEACHER), note="somebody else")
    assert run_json(filled.dataset)["server"]["no_model"]
    assert run_json(filled.dataset)["server"]["note"] == "Ollama 0.0.0-fake; somebody else"
    assert run_json(filled.dataset)["decided"]["filled_by"] == [{"version": "0.0.0-fake", "note": "somebody else"}]
    assert "note" not in run_json(once.folder)["server"] or run_json(once.folder)["server"]["note"] is None
    later = decide(once, Bounds(sample_quality=2))
    (dataset,) = read_datasets(later.dataset or Path())
    assert dataset.run is not None
    assert dataset.run.answered_by == "Ollama 0.0.0-fake; somebody else"


def test_the_same_server_needs_no_note(once: RunPaths) -> None:
    """Filled by who answered the run, a dataset has no note: that would say that no language model answered."""
    filled = decide(once, ALL, FakeServer(TEACHER))
    assert filled.live
    assert run_json(filled.dataset)["server"] == run_json(once.folder)["server"]


# -- the dataset --------------------------------------------------------------------------------------------------------


def test_the_dataset_lies_beside_the_run(once: RunPaths) -> None:
    """It is named after the thresholds, points to the run's journal, and a search from above does not meet its rows twice."""
    done = decide(once, Bounds(sample_quality=5))
    same = decide(once, Bounds(sample_quality=5, pair_rating=2))
    assert done.dataset is not None
    assert done.dataset == same.dataset
    assert done.dataset.name.startswith("foxes-decided-")
    assert (done.dataset / "journal.sqlite").resolve() == once.journal.resolve()
    assert [paths.folder for paths in find_runs(once.folder.parent)] == [once.folder]
    assert [paths.folder for paths in find_runs(done.dataset)] == [done.dataset]
    row = rows(done.dataset).accepted[0]
    found = find_row(done.dataset, row.id)
    assert found is not None
    with JournalReader.open(found.paths.journal) as journal:
        assert all(journal.full(digest) for digests in row.provenance.calls.values() for digest in digests)
    (dataset,) = read_datasets(done.dataset)
    assert dataset.run is not None
    assert dataset.run.funnel == done.diff.after
    told = run_json(done.dataset)["decided"]
    assert told["run"] == "../foxes"
    assert told["changed"] == [{"setting": "filter.sample_quality", "then": [4, 5], "now": [5]}]


def test_the_same_again_changes_nothing(once: RunPaths) -> None:
    """What is there with the same bytes stays; what differs, because replies were added, is set aside and never deleted."""
    first = decide(once, ALL)
    before = content(first.dataset)
    assert decide(once, ALL).set_aside is None
    assert names_in(once.folder.parent) == {"foxes", (first.dataset or Path()).name}
    filled = decide(once, ALL, FakeServer(TEACHER))
    assert filled.set_aside is not None
    assert filled.set_aside.name.endswith(".old-20260102-030405")
    assert content(filled.set_aside) == before
    assert len(rows(filled.dataset).accepted) > len(rows(filled.set_aside).accepted)


def test_a_dry_run_writes_nothing(once: RunPaths) -> None:
    """The same numbers, and no file that was not there."""
    before = names_in(once.folder), names_in(once.folder.parent)
    dry = decide(once, ALL, dry_run=True)
    assert (names_in(once.folder), names_in(once.folder.parent)) == before
    assert dry.dataset is None
    assert decide(once, ALL).diff == dry.diff


def test_something_else_is_not_overwritten(once: RunPaths, tmp_path: Path) -> None:
    """A folder or file that is no decided dataset is refused, the run itself among them."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("x")
    for place in (other, once.folder, once.data):
        with pytest.raises(RunDirError, match="holds something else; choose another --out"):
            decide(once, ALL, out=place)
    assert names_in(other) == {"thesis.txt"}
    (tmp_path / "empty").mkdir()
    assert decide(once, ALL, out=tmp_path / "empty").dataset == tmp_path / "empty"


# -- a run that cannot be decided, or not all of it ---------------------------------------------------------------------


def test_an_unfinished_run_is_decided_as_far_as_it_came(tmp_path: Path) -> None:
    """What has settled is decided, with the same rows, and the dataset says that the run is not finished."""
    with pytest.raises(ServerError):
        make_run(tmp_path, {}, 5, FakeServer(TEACHER, before=failing(120)))
    paths = RunPaths(tmp_path / SPEC.task_name)
    done = decide(paths)
    after = content(done.dataset)
    assert rows(paths.folder).places
    assert (after["data.jsonl"], after["rejected.jsonl"]) == (paths.data.read_bytes(), paths.rejected.read_bytes())
    assert not done.prepared.finished
    assert run_json(done.dataset)["status"].startswith("decided anew, of a run that is not finished (failed")


def test_a_run_in_use_is_refused(once: RunPaths) -> None:
    """While a run writes, its rows are not read: the sentence says who has it."""
    with taken(once.folder.parent, once.folder.name), pytest.raises(RunDirError, match=r"another run .*is using"):
        decide(once)


def test_a_killed_run_is_not_in_use(once: RunPaths) -> None:
    """What a kill has left behind does not count."""
    once.running.write_text('{"pid": 1}')
    assert decide(once).dataset is not None


def break_line(path: Path, number: int, change: Callable[[dict[str, Any]], object]) -> None:
    """Change one row of a file."""
    lines = path.read_text("utf-8").splitlines(keepends=True)
    row = json.loads(lines[number - 1])
    change(row)
    lines[number - 1] = json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n"
    path.write_text("".join(lines), "utf-8")


def drop_line(path: Path, number: int) -> None:
    """Lose one row of a file."""
    lines = path.read_text("utf-8").splitlines(keepends=True)
    del lines[number - 1]
    path.write_text("".join(lines), "utf-8")


def change_run_json(paths: RunPaths, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the run.json."""
    told = run_json(paths.folder)
    change(told)
    paths.run_json.write_text(json.dumps(told), "utf-8")


BROKEN: dict[str, tuple[Callable[[RunPaths], object], str]] = {
    "no JSON": (lambda p: p.data.write_text("{\n" + p.data.read_text()), r"data\.jsonl:1: this line is not a JSON object"),
    "a key is gone": (lambda p: break_line(p.data, 2, lambda r: r.pop("tags")), r"data\.jsonl:2: .*`tags`: Field required"),
    "no such stage": (
        lambda p: break_line(p.rejected, 1, lambda r: r.update(stage="taste")),
        r"rejected\.jsonl:1: 'taste' is no stage",
    ),
    "a row is gone": (lambda p: drop_line(p.rejected, 1), r"\.jsonl:\d+: question \d+ of draw \d+ stands where"),
    "a row of another task": (
        lambda p: break_line(p.data, 1, lambda r: r["provenance"].update(shown=["seed:9"])),
        r"\.jsonl:\d+: (there is no seed:9|`provenance.shown` is not that of draw)",
    ),
    "an answer changed by hand": (
        lambda p: break_line(p.data, 1, lambda r: r.update(response="Better.")),
        r"data\.jsonl:1: this row's text is not what the journal says",
    ),
    "a question changed by hand": (
        lambda p: break_line(p.data, 1, lambda r: r.update(instruction="What is better?")),
        "the journal has no vector of the text 'What is better\\?'",
    ),
    "no journal": (lambda p: p.journal.unlink(), "there is no recording at"),
    "no run.json": (lambda p: p.run_json.unlink(), "has no run.json yet"),
    "another format": (lambda p: change_run_json(p, lambda t: t.update(format=7)), "made by another version .*its format is 7"),
    "other prompts": (
        lambda p: change_run_json(p, lambda t: t["inputs"]["prompts"]["freeform"].update(judge_pair="0" * 12)),
        r"with other prompts \(freeform judge_pair\)",
    ),
    "something that decides too": (
        lambda p: change_run_json(p, lambda t: t["inputs"].update(taste="sweet")),
        "made with taste, which decided what was accepted too",
    ),
    "no rows": (lambda p: [p.data.write_text(""), p.rejected.write_text("")], "has decided nothing yet"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_what_is_broken_is_named(how: str, once: RunPaths) -> None:
    """One sentence says what and where, and no dataset is begun."""
    breaks, said = BROKEN[how]
    breaks(once)
    with pytest.raises(RunDirError, match=said):
        decide(once)
    assert names_in(once.folder.parent) == {"foxes"}


def test_a_fill_makes_no_journal_where_there_was_none(once: RunPaths) -> None:
    """A journal that is gone is said to be, not begun anew and paid for once more."""
    once.journal.unlink()
    server = FakeServer(TEACHER)
    with pytest.raises(RunDirError, match="there is no recording at"):
        decide(once, ALL, server)
    assert not once.journal.exists()
    assert not server.asked


def test_no_run_or_several_are_refused(once: RunPaths, tmp_path: Path) -> None:
    """One run is decided at a time; the sentence names one of several, and what is no run."""
    shutil.copytree(once.folder, once.folder.with_name("other"))
    with pytest.raises(RunDirError, match=r"holds 2 runs; give the directory of one, such as .*foxes"):
        decide(RunPaths(once.folder.parent))
    (tmp_path / "nothing").mkdir()
    with pytest.raises(RunDirError, match="holds no run"):
        decide(RunPaths(tmp_path / "nothing"))
    with pytest.raises(RunDirError, match="there is no such directory"):
        decide(RunPaths(tmp_path / "nowhere"))


def test_a_decided_dataset_is_no_run(once: RunPaths) -> None:
    """It has the rows of another run, whose thresholds were other ones: the sentence says which run to give."""
    done = decide(once, ALL)
    assert done.dataset is not None
    with pytest.raises(RunDirError, match=r"was decided anew from another run; give that run: .*foxes$"):
        decide(RunPaths(done.dataset))
    with pytest.raises(RunDirError, match="was decided anew from another run"):
        find_recorded(str(done.dataset))


# -- what may differ ----------------------------------------------------------------------------------------------------


def test_a_file_goes_over_the_runs_own_settings(made_once: RunPaths, tmp_path: Path) -> None:
    """What a file leaves out stays as in the run; options go before the file; what decides nothing may differ."""
    path = tmp_path / "other.yaml"
    path.write_text("filter:\n  sample_quality: [5, 3]\nserver:\n  patience: 5\n")
    config = prepare(DecideRequest(made_once.folder, path, Bounds(pair_rating=3), dry_run=True)).config
    assert config.filter.sample_quality == (3, 5)
    assert config.filter.instruction_quality == ("good", "excellent")
    assert config.judges.pair_pass == (3,)
    assert config.server.patience == 5
    both = prepare(DecideRequest(made_once.folder, path, Bounds(sample_quality=2), dry_run=True)).config
    assert both.filter.sample_quality == (2, 3, 4, 5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "dedup: {max_squared_distance: 0.1}\ngenerator:\n  temperature: 0.9\n",
            r":3: `generator.temperature` is 0.9 here and 0.7",
        ),
        (
            "tagging: fused\n",
            r":1: `tagging` is \"fused\" here and \"separate\" in the run; .* only filter, judges, dedup, screens and habits",
        ),
        ("tagging: fused\nsoft_ratings: true\n", r":1: `tagging` .*\(and so do `soft_ratings`\)"),
        ("filter:\n  sample_quality: [6]\n", r":2: "),
        ("filter:\n  taste: [6]\n", r":2: in `filter`: "),
    ],
)
def test_what_was_asked_cannot_differ(text: str, said: str, made_once: RunPaths, tmp_path: Path) -> None:
    """Another key that shapes a dataset is refused with file and line, as is what no configuration may hold."""
    path = tmp_path / "other.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        prepare(DecideRequest(made_once.folder, path, dry_run=True))


def test_a_bound_that_is_no_number_is_refused(made_once: RunPaths) -> None:
    """NaN is below and above nothing."""
    with pytest.raises(ConfigError, match=r"`dedup.max_squared_distance` cannot be nan"):
        prepare(DecideRequest(made_once.folder, bounds=Bounds(squared_distance=float("nan")), dry_run=True))
