"""Second answers: two calls each, of those that fell short, kept in the journal, and pairs of answers that differ by rating."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from evals.teacher.config import TeacherConfig
from skills_dspy.base.errors import ServerError
from skills_dspy.base.records import AnswerPair, Record, Rejection
from skills_dspy.commands.decide.again import DecideResult
from skills_dspy.commands.decide.dataset import DecideRequest, prepare
from skills_dspy.commands.decide.thresholds import Bounds
from skills_dspy.model.soft import rated_fields
from skills_dspy.similarity.length import PairLengths
from skills_dspy.store.files import typed_rows
from skills_dspy.store.journal import JournalReader
from skills_dspy.store.run_dir import RunPaths
from tests.helpers.fake_server import FakeServer
from tests.helpers.logprobs import spell
from tests.helpers.small_runs import decide, failing, make_run

TEACHER = TeacherConfig(pass_rate=0.6)


class SoftServer(FakeServer):
    """One that is four fifths sure of every label, and else would have given the worst."""

    sure = 0.8

    async def chat(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """One reply's body, with log-probabilities where they are asked for."""
        body, fields = await super().chat(payload), rated_fields(payload) if payload.get("logprobs") else {}
        if fields:
            said = json.loads(body["message"]["content"])
            worst = {name: next(label for label in labels if label != said[name]) for name, labels in fields.items()}
            shares = {name: {said[name]: self.sure, worst[name]: 1 - self.sure} for name in fields}
            body["logprobs"] = spell(body["message"]["content"], shares)
        return body


class GoneServer(FakeServer):
    """One that nobody can reach."""

    async def version(self) -> str:
        """What it says of itself."""
        raise ServerError("The server at http://fake:11434 is gone.")


class TornServer(SoftServer):
    """One whose soft ratings contradict its labels."""

    sure = 0.1


class SameServer(SoftServer):
    """One that answers a prompt as it did in these replies, whatever the seed."""

    said: Mapping[str, Any]

    def _body(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        body = super()._body(payload)
        return {**body, "message": self.said.get(str(payload["messages"]), body["message"])}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> RunPaths:
    """A finished run with soft ratings; nobody changes it."""
    return make_run(tmp_path_factory.mktemp("pairs"), {"soft_ratings": True}, wanted=6, server=SoftServer(TEACHER))


@pytest.fixture
def run(made: RunPaths, tmp_path: Path) -> RunPaths:
    """A copy of it that a test may change."""
    copytree(made.folder, tmp_path / "runs" / "foxes")
    return RunPaths(tmp_path / "runs" / "foxes")


def pair(paths: RunPaths, wanted: int, server: FakeServer | None = None, *, fill: bool = False, **more: Any) -> DecideResult:
    """Ask for pairs."""
    return decide(paths, server=server or SoftServer(TEACHER), pairs=wanted, fill=fill, **more)


def pairs_in(done: DecideResult) -> list[AnswerPair]:
    """The pairs of a dataset."""
    assert done.dataset is not None
    return [AnswerPair.model_validate_json(line) for line in RunPaths(done.dataset).pairs.read_bytes().splitlines()]


def calls_in(run: RunPaths) -> int:
    """How many calls its journal has."""
    with JournalReader.open(run.journal) as journal:
        return int(journal.usage()["calls"])


def test_second_answers_are_two_calls_each(run: RunPaths) -> None:
    """Of those that were rejected for their answers, or accepted with less than the best label; each pair differs by rating."""
    server = SoftServer(TEACHER)
    before, done = calls_in(run), pair(run, 1000, server)
    assert done.paired is not None
    rejected = [Rejection.model_validate_json(line) for line in run.rejected.read_bytes().splitlines()]
    accepted = [Record.model_validate_json(line) for line in run.data.read_bytes().splitlines()]
    judged = {
        row.id: row
        for row in rejected
        if row.stage in ("judge_pair", "sample_quality") and row.reason in ("judged bad", "filtered")
    }
    short = list(judged)
    short += [row.id for row in accepted if row.pair_verdict.rating < 3]
    short += [row.id for row in accepted if row.pair_verdict.rating == 3 and row.tags.sample_quality < 5]
    pairs = pairs_in(done)
    assert [one.id for one in pairs] == [name for name in short if name in {one.id for one in pairs}]
    assert len(pairs) == done.paired.found == len(short) - done.paired.lost.total() > 2
    assert done.paired.short == done.paired.asked == len(short)
    assert done.live == len(server.asked) == calls_in(run) - before <= 2 * len(short)
    assert len({one.scale for one in pairs}) == 2
    with JournalReader.open(run.journal) as journal:
        for one in pairs:
            first, second = sorted((one.chosen, one.rejected), key=lambda each: each.second)
            assert (first.second, second.second) == (False, True)
            assert one.chosen.rating > one.rejected.rating
            assert one.chosen.soft
            assert one.margin == pytest.approx(one.chosen.expected - one.rejected.expected)
            assert one.margin != one.chosen.rating - one.rejected.rating
            requests = [told.request for each in (first, second) if (told := journal.full(each.calls[0])) is not None]
            assert requests[0]["messages"] == requests[1]["messages"]
            assert requests[0]["options"]["seed"] != requests[1]["options"]["seed"]
            assert one.id not in judged or (second is one.chosen and first.answer == judged[one.id].response)


def test_as_many_as_are_wanted_at_any_concurrency(run: RunPaths, made: RunPaths, tmp_path: Path) -> None:
    """No call more than that needs, and the same bytes."""
    found = []
    for number, concurrency in enumerate((1, 8)):
        copytree(made.folder, tmp_path / str(number) / "foxes")
        server = SoftServer(TEACHER)
        done = pair(RunPaths(tmp_path / str(number) / "foxes"), 2, server, concurrency=concurrency)
        assert done.dataset is not None
        assert done.paired is not None
        assert done.paired.found == 2
        run_json = json.loads((done.dataset / "run.json").read_bytes())
        del run_json["result"]["usage"]
        found.append((RunPaths(done.dataset).pairs.read_bytes(), run_json, len(server.asked)))
    assert found[0] == found[1]
    assert found[0][1]["decided"]["pairs"]["found"] == 2
    most = pair(run, 1000)
    assert most.paired is not None
    assert found[0][2] < most.live


def test_what_was_answered_is_never_asked_again(run: RunPaths) -> None:
    """A server that fails on the way leaves no dataset and keeps its replies; a second time none has to be there."""
    with pytest.raises(ServerError):
        pair(run, 1000, SoftServer(TEACHER, before=failing(3)), concurrency=1)
    assert [path.name for path in run.folder.parent.iterdir()] == ["foxes"]
    rest, again = pair(run, 1000), pair(run, 1000, GoneServer(TEACHER))
    assert rest.live > 3
    assert again.live == 0
    assert again.set_aside is None
    assert again.dataset == rest.dataset


def test_other_thresholds_are_not_filled_for_pairs(run: RunPaths) -> None:
    """What they let through and was never asked for stays left out; only --fill asks for it as well."""
    loose = Bounds(1, None, 1, None)
    done, filled = pair(run, 1, bounds=loose), pair(run, 1, bounds=loose, fill=True)
    assert done.diff.not_asked
    assert not filled.diff.not_asked


def test_a_chosen_answer_passes(run: RunPaths) -> None:
    """With a stricter border, of two answers below it neither is worth learning from."""
    done = pair(run, 1000, bounds=Bounds(pair_rating=3, sample_quality=5))
    pairs = pairs_in(done)
    best = {"pair_verdict": 3, "sample_quality": 5}
    assert pairs
    assert all(one.chosen.rating == best[one.scale] for one in pairs)
    assert done.paired is not None
    assert done.paired.lost["neither passes"]


def test_without_soft_ratings_labels_give_the_margin(run: RunPaths) -> None:
    """And replies that cannot be used give no pair, counted by what was wrong."""
    done = pair(run, 1000, FakeServer(replace(TEACHER, faults=(("unreadable", 0.5),))))
    assert done.paired is not None
    assert done.paired.lost["unreadable"]
    assert all(one.margin == one.chosen.rating - one.rejected.rating for one in pairs_in(done))


def test_soft_ratings_that_contradict_the_labels_make_no_pair(run: RunPaths) -> None:
    """Neither answer is better then."""
    done = pair(run, 1000, TornServer(TEACHER))
    assert done.paired is not None
    assert done.paired.lost["rated alike"] > 2
    assert all(one.margin > 0 for one in pairs_in(done))


def test_the_same_answer_again_is_not_judged(run: RunPaths) -> None:
    """A model that is sure of its words writes no second answer, and a pair of one text says nothing."""
    server = SameServer(TEACHER)
    rows: list[Record | Rejection] = [row for _, row in typed_rows(run.data, Record)]
    rows += [row for _, row in typed_rows(run.rejected, Rejection)]
    with JournalReader.open(run.journal) as journal:
        written = [journal.full(digest) for row in rows for digest in row.provenance.calls.get("write_answer", ())]
    server.said = {str(reply.request["messages"]): reply.reply["message"] for reply in written if reply is not None}
    done = pair(run, 1000, server)
    assert done.paired is not None
    assert done.paired.lost == {"the same answer": done.paired.asked}
    assert done.live == done.paired.asked > 2


def test_other_numbers_of_pairs_lie_beside_one_another(run: RunPaths) -> None:
    """A dataset without pairs keeps the name that it had."""
    request = DecideRequest(run.folder)
    names = [prepare(replace(request, pairs=count)).target.name for count in (None, 1, 2)]
    assert len(Counter(names)) == 3
    assert names[0] == "foxes-decided-" + names[0][-8:]


def test_uneven_lengths_are_said() -> None:
    """As soon as chance does not explain them; which answers a model would learn to write is in the words."""
    lengths = PairLengths()
    for _ in range(3):
        lengths.add("one two three", "one")
    assert not lengths.uneven
    lengths.add("one two three", "one")
    assert lengths.sentences() == [
        "Chosen answers have 3 words in the median, rejected ones 1; the chosen one is longer in 4 of 4 pairs, the rejected "
        "one in 0.",
        "That is uneven: what is trained on these pairs may learn to write longer answers, good or not.",
    ]
    for _ in range(4):
        lengths.add("one", "one two three")
    assert len(lengths.sentences()) == 1
    assert PairLengths().sentences() == []
