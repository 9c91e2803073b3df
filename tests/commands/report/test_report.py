"""What a report's page holds of runs: every row with its story, counted as the runs count, and nothing that acts."""

import base64
import hashlib
import json
import re
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from evals.data.collapse import NEAR_COPY
from skills_dspy.base.errors import ExportError, RequestError, RunDirError
from skills_dspy.base.scales import SCALES
from skills_dspy.base.visible import visible
from skills_dspy.cli.report import near_copies
from skills_dspy.commands.report.packing import Lines, pack_rows
from skills_dspy.commands.report.page import SCRIPTS
from skills_dspy.model.embedding.vectors import WEIGHTS
from skills_dspy.pipeline.funnel import STAGES
from skills_dspy.store.files import read_rows
from skills_dspy.store.journal import Journal, JournalReader
from skills_dspy.store.run_dir import RunPaths, taken
from tests.helpers.exporting import a_record, write_run
from tests.helpers.reporting import ESCAPES, ReadPage, hostile_run, reported
from tests.helpers.small_runs import make_run
from tests.helpers.terminal import Terminal


@pytest.fixture(scope="module")
def page(run: RunPaths, tmp_path_factory: pytest.TempPathFactory) -> ReadPage:
    """Its report."""
    return reported(tmp_path_factory.mktemp("report") / "report.html", run.folder)


def rows_of(run: RunPaths) -> dict[str, dict[str, Any]]:
    """All rows of a run by their ids."""
    return {row["id"]: row for path in (run.data, run.rejected) for _, row in read_rows(path)}


def test_the_funnel_is_that_of_the_run(run: RunPaths, page: ReadPage) -> None:
    """Stage by stage, with every reason; what has no context is not counted at the stages of contexts."""
    funnel = json.loads(run.run_json.read_text())["result"]["funnel"]
    (view,) = page.summary["views"]
    assert (view["candidates"], view["accepted"]) == (funnel["candidates"], funnel["accepted"])
    counted = {(one["stage"], reason): count for one in view["funnel"] for reason, count in one["rejected"].items()}
    assert counted == {(one["stage"], one["reason"]): one["count"] for one in funnel["rejected"]}
    places = [one["stage"] for one in view["funnel"]]
    of_contexts = view["funnel"][: places.index("write_questions")]
    after = view["funnel"][len(of_contexts) :]
    for part in (of_contexts, after):
        for one, following in pairwise(part):
            assert one["came"] - sum(one["rejected"].values()) == one["on"] == following["came"]
    calls = [row["provenance"]["calls"] for row in rows_of(run).values()]
    assert [one["came"] for one in of_contexts] == [sum(one["stage"] in made for made in calls) for one in of_contexts]
    lost = sum(one["came"] - one["on"] for one in of_contexts)
    assert 0 < of_contexts[0]["came"] < after[0]["came"] == view["candidates"] - lost
    assert view["funnel"][-1]["on"] == view["accepted"]
    assert view["remarks"] == []


def test_every_row_is_there_with_its_texts_and_its_fate(run: RunPaths, page: ReadPage) -> None:
    """Accepted and rejected, in the order of their draws."""
    rows, columns = rows_of(run), page.columns
    assert set(columns["id"]) == set(rows)
    for place, name in enumerate(columns["id"]):
        row, detail = rows[name], page.details[place]
        assert columns["question"][place] == (row["instruction"] or "")
        assert (detail.get("answer"), detail.get("context")) == (row["response"], row["context"])
        stage, reason = columns["stage"][place], columns["reason"][place]
        fate = (None, None) if stage < 0 else (STAGES[stage], page.summary["reasons"][reason])
        assert fate == (row.get("stage"), row.get("reason"))
        assert detail.get("why") == row.get("detail")
        nearest, near = row["provenance"]["neighbour"], columns["near"][place]
        told = None if near is None else f"seed:{-1 - near}" if near < 0 else columns["id"][near]
        assert told == (nearest and nearest["id"])
    draws = [rows[name]["provenance"]["draw"] for name in columns["id"]]
    assert draws == sorted(draws)


def test_every_story_is_whole(run: RunPaths, page: ReadPage) -> None:
    """Each prompt and reply of each row comes out of the page as it stands in the journal; a cut one is called that."""
    rows, cut = rows_of(run), list[bool]()
    with JournalReader.open(run.journal) as journal:
        for name, detail in zip(page.columns["id"], page.details, strict=True):
            digests = [digest for tries in rows[name]["provenance"]["calls"].values() for digest in tries]
            found = [journal.full(digest) for digest in digests]
            told = [call["messages"] for call in detail["calls"]]
            sent = [[(m["role"], visible(m["content"])) for m in each.request["messages"]] for each in found if each]
            assert told == sent
            cut += (own := [each.reply["done_reason"] == "length" for each in found if each])
            assert [call["heading"] for call in detail["calls"]] == ["reply (cut)" if one else "reply" for one in own]
            replies = [visible(each.reply["message"]["content"]) for each in found if each]
            assert [call["reply"] for call in detail["calls"]] == replies
    assert 0 < cut.count(True) < len(cut) / 2


def test_rejected_rows_have_the_ratings_that_they_got(page: ReadPage) -> None:
    """Read from their replies; what came after the rejection was never asked."""
    names = [scale["name"] for scale in page.summary["scales"]]
    place = names.index("question_verdict")
    labels = page.summary["scales"][place]["labels"]
    bad = [
        page.columns["ratings"][number][place]
        for number, stage in enumerate(page.columns["stage"])
        if stage >= 0
        and STAGES[stage] == "judge_question"
        and page.summary["reasons"][page.columns["reason"][number]] == "judged bad"
    ]
    assert bad
    assert {labels[label] for label in bad} == {"0"}
    accepted = [row for row, stage in zip(page.columns["ratings"], page.columns["stage"], strict=True) if stage < 0]
    assert all(row[names.index(scale.name)] is not None for row in accepted for scale in SCALES)


def test_the_map_has_every_seed_and_every_question(run: RunPaths, page: ReadPage) -> None:
    """With its context where there is one; of candidates that never had a question there is nothing to show."""
    assert 0 < page.summary["map"] < 1
    assert all(point is not None for seeds in page.summary["seeds"] for _, _, point in seeds)
    rows = rows_of(run)
    for name, point in zip(page.columns["id"], page.columns["point"], strict=True):
        assert (point is not None) == (rows[name]["instruction"] is not None)


def test_runs_of_another_embedding_model_are_left_off_the_map(run: RunPaths, tmp_path: Path) -> None:
    """Distances between vectors of two models mean nothing, and the page says so."""
    other = make_run(tmp_path / "other", {}, wanted=1)
    with Journal.open(other.journal) as journal:
        journal.set_meta(WEIGHTS, "other weights")
    found = reported(tmp_path / "r.html", run.folder, other=other.folder)
    assert {number for number, point in zip(found.columns["run"], found.columns["point"], strict=True) if point} == {0}
    assert [len(view["remarks"]) for view in found.summary["views"]] == [0, 1]
    assert "of another embedding model" in found.summary["views"][1]["remarks"][0]


def test_a_run_without_a_journal_says_so(run: RunPaths, tmp_path: Path) -> None:
    """Its rows are there all the same, with what they know themselves."""
    folder = tmp_path / "test" / "foxes"
    folder.mkdir(parents=True)
    for path in (run.data, run.rejected, run.run_json):
        (folder / path.name).write_bytes(path.read_bytes())
    found = reported(tmp_path / "r.html", folder)
    (view,) = found.summary["views"]
    assert "no journal" in view["remarks"][0]
    assert (found.summary["map"], {len(detail["calls"]) for detail in found.details}) == (None, {0})
    assert all(detail["missing"] for detail in found.details)
    assert len(found.details) == view["candidates"]


def test_rows_and_run_json_that_disagree_are_remarked_on(tmp_path: Path) -> None:
    """The page shows the rows; here run.json counts two rejected ones that are not there."""
    found = reported(tmp_path / "r.html", write_run(tmp_path / "runs"))
    assert (
        "run.json counts 5 candidates and 3 accepted ones, and the rows are 3 and 3" in found.summary["views"][0]["remarks"][1]
    )


def test_a_run_that_goes_on_is_shown_as_far_as_it_is(tmp_path: Path) -> None:
    """And it says so."""
    write_run(tmp_path / "runs")
    with taken(tmp_path / "runs", "test/foxes"):
        found = reported(tmp_path / "r.html", tmp_path / "runs")
    assert "a run is still writing there" in found.summary["views"][0]["remarks"][0]


def test_soft_ratings_stand_beside_the_labels(tmp_path: Path) -> None:
    """As expected values to plot, and in words in the row."""
    found = reported(tmp_path / "r.html", write_run(tmp_path / "runs", [a_record(soft=True), a_record("f" * 16)]))
    place = [scale["name"] for scale in found.summary["scales"]].index("pair_verdict")
    assert [row[place] for row in found.columns["soft"]] == [2.25, None]
    assert found.details[0]["soft"]["pair_verdict"] == "1: 25 %, 2: 25 %, 3: 50 %; expected 2.25"


def test_answers_that_are_near_copies_are_paired(tmp_path: Path) -> None:
    """By the places of their rows; a short answer is rightly that of many questions."""
    long = "The fox runs over the hill and hides behind the old oak until the hounds have gone by"
    records = [a_record(f"{n:016x}", f"Question {n}?", text) for n, text in enumerate(["Yes.", long, "Yes.", f"{long} again"])]
    assert reported(tmp_path / "r.html", write_run(tmp_path / "runs", records)).summary["copies"] == [
        {"pairs": [[1, 3]], "count": 1, "complete": True, "bound": NEAR_COPY}
    ]


def test_of_very_many_near_copies_it_is_known_that_these_are_not_all() -> None:
    """More than can be put together in pairs."""
    some, many = near_copies(["the same eight words are in each answer"] * 3), near_copies(["a b c d e f g h"] * 501)
    assert (len(some.pairs), some.complete) == (3, True)
    assert (len(many.pairs), many.complete) == (500 * 499 // 2, False)


def test_two_places_stand_side_by_side(run: RunPaths, tmp_path: Path) -> None:
    """The second is chosen beside the first; runs of one name are told apart by where they lie, and can be chosen alone.

    Several together are counted at each stage as far as they have it.
    """
    one, two = write_run(tmp_path / "one"), write_run(tmp_path / "two")
    screened = RunPaths(write_run(tmp_path / "two", task="test/jays"))
    _, rejected = next(read_rows(run.rejected))
    screened.rejected.write_text(json.dumps(rejected | {"stage": "decontamination", "reason": "contaminated"}) + "\n")
    found = reported(tmp_path / "r.html", one, other=tmp_path / "two")
    names = [view["name"] for view in found.summary["views"]]
    assert names == [f"test/foxes ({one})", f"{tmp_path / 'two'}: both runs", f"test/foxes ({two})", "test/jays"]
    assert found.summary["views"][found.summary["beside"]]["runs"] == [1, 2]
    both = found.summary["views"][1]
    came = {at["stage"]: (at["came"], at["on"]) for at in both["funnel"]}
    assert (both["candidates"], both["accepted"], came["decontamination"], came["dedup"]) == (7, 6, (4, 3), (7, 7))


def test_a_run_is_not_compared_with_itself(tmp_path: Path) -> None:
    """Nothing would differ, so it is a slip of the hand."""
    write_run(tmp_path / "runs")
    with pytest.raises(RequestError, match=r"--compare: .*test/foxes is on both sides"):
        reported(tmp_path / "r.html", tmp_path / "runs", other=tmp_path / "runs")


def test_what_is_no_run_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    """A place without a run, a broken row, a file that is in the way."""
    with pytest.raises(RunDirError, match=r"there is no run at .*nowhere; give a run's directory, or a folder of runs$"):
        reported(tmp_path / "r.html", tmp_path / "nowhere")
    write_run(tmp_path / "good")
    folder = write_run(tmp_path / "runs")
    (folder / "rejected.jsonl").write_text('{"id": "0"}\n')
    with pytest.raises(RunDirError, match=r"rejected.jsonl:1: this is no row of a run: "):
        reported(tmp_path / "r.html", folder)
    assert not (tmp_path / "r.html").exists()
    (tmp_path / "r.html").write_text("mine")
    with pytest.raises(ExportError, match="exists already"):
        reported(tmp_path / "r.html", folder)
    with pytest.raises(ExportError, match=r"r.html is nothing that this command wrote, which alone --overwrite replaces"):
        reported(tmp_path / "r.html", tmp_path / "good", overwrite=True)
    assert (tmp_path / "r.html").read_text() == "mine"


def test_the_same_runs_give_the_same_bytes(run: RunPaths, page: ReadPage, tmp_path: Path) -> None:
    """No clock and no chance is in a page, nor the address of the server that answered."""
    assert reported(tmp_path / "again.html", run.folder).html == page.html
    assert "fake:11434" not in json.dumps(page.summary)


# ---- nothing acts ----------------------------------------------------------------------------------------------------


def test_texts_stand_in_the_page_as_data_alone(tmp_path: Path) -> None:
    """Whatever they hold: no element begins or ends in them, and they come out as they may be seen."""
    found = reported(tmp_path / "r.html", hostile_run(tmp_path / "runs"))
    usual = reported(tmp_path / "usual.html", write_run(tmp_path / "usual"))
    for mark in ("<script", "</script", "<style", "<img", "<svg", "<iframe", "<!--", "</title"):
        assert found.html.lower().count(mark) == usual.html.lower().count(mark), mark
    assert found.columns["question"] == [visible(text) for text in ESCAPES]
    assert [detail["answer"] for detail in found.details] == [visible(f"answer {text}") for text in ESCAPES]
    assert [detail["context"] for detail in found.details] == [visible(f"context {text}") for text in ESCAPES]


def test_the_policy_lets_only_the_pages_own_script_run(page: ReadPage) -> None:
    """By its hash; nothing is loaded from anywhere, no form is sent, and no element has a handler or a style of its own."""
    match = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page.html)
    assert match is not None
    policy = dict(part.strip().partition(" ")[::2] for part in match[1].split(";"))
    assert (policy["default-src"], policy["base-uri"], policy["form-action"]) == ("'none'",) * 3
    for name, tag in (("script-src", "script"), ("style-src", "style")):
        texts = re.findall(rf"<{tag}>(.*?)</{tag}>", page.html, re.DOTALL)
        hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in texts]
        assert policy[name].split() == hashes
    markup = re.sub(r"<(script|style)\b.*?</\1>", "", page.html, flags=re.DOTALL)
    assert not re.search(r"\s(src|style|on\w+)=", markup)
    assert re.findall(r'href="([^"]*)"', markup) == ["#rows"]


def test_the_pages_own_script_makes_no_markup_of_texts() -> None:
    """Nothing that parses HTML, runs a text or asks the network is called in it."""
    assets = files("skills_dspy.commands.report") / "assets"
    for name in SCRIPTS:
        script = (assets / name).read_text("utf-8")
        assert not re.search(
            r"innerHTML|outerHTML|AdjacentHTML|document\.write|\beval\(|Function\(|\bfetch\(|XMLHttp|import\(", script
        ), name


def test_the_library_is_the_one_that_is_named() -> None:
    """Chart.js as its package has it, with its licence."""
    assets = files("skills_dspy.commands.report") / "assets"
    noted = (assets / "chart.README.md").read_text("utf-8")
    library = (assets / "chart.umd.min.js").read_bytes()
    assert hashlib.sha256(library).hexdigest() in noted
    version = re.search(rb"Chart\.js v([0-9.]+)", library)
    assert version is not None
    assert f"chart.js {version[1].decode()}" in noted
    assert "MIT" in (assets / "chart.LICENSE.md").read_text("utf-8")


def test_what_prompts_share_is_kept_once() -> None:
    """A thousand rows whose prompts differ in a line are not a thousand prompts; 10,000 real rows would be 30 MB and more."""
    lines, prompt = Lines(), [f"line {n} of what every prompt says" for n in range(100)]
    rows = [{"calls": [["user", lines.text("\n".join([*prompt, f"question {n}"]))]] * 5} for n in range(1000)]
    packed = pack_rows(rows, lines)
    assert len(packed.shared) + sum(map(len, packed.parcels)) < 60_000  # 17 MB as they stand


# ---- as it is typed --------------------------------------------------------------------------------------------------


def test_report_says_what_it_wrote(tmp_path: Path, terminal: Terminal) -> None:
    """Runs, rows, size and place on stdout, remarks on stderr; as JSON where that is asked for."""
    out = tmp_path / "new" / "r.html"
    write_run(tmp_path / "runs")
    code, said, remarked = terminal.type("report", tmp_path / "runs", "--out", out)
    assert (code, said) == (0, f"1 run, 3 accepted and 0 rejected candidates, 0.3 MB: {out}\n")
    assert remarked.startswith("note: there is no journal (journal.sqlite), so the page has no prompts and replies")
    code, said, _ = terminal.type("report", tmp_path / "runs", "--out", out, "--overwrite", "--json")
    told = json.loads(said)
    assert (code, told["runs"], told["accepted"], told["bytes"]) == (0, 1, 3, out.stat().st_size)
    assert terminal.type("report", tmp_path / "runs", "--out", out)[0] == 2
