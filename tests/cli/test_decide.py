"""`decide` as its user types it: what is shown, exit codes, and what is said where."""

import json
import shutil
from pathlib import Path

import pytest

from skills_dspy.store.run_dir import RunPaths
from tests.helpers.fake_server import FakeServer
from tests.helpers.small_runs import TEACHER, failing, make_run
from tests.helpers.terminal import Terminal


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> RunPaths:
    """A finished run; nobody changes it."""
    return make_run(tmp_path_factory.mktemp("made"), {}, wanted=8)


@pytest.fixture
def shell(terminal: Terminal, made: RunPaths, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal in a folder with a finished run, `runs/foxes`."""
    shutil.copytree(made.folder, "runs/foxes")
    monkeypatch.setattr("sys.argv", ["python -m skills_dspy", "decide", "runs/foxes", "--min-pair-rating", "1", "--dry-run"])
    terminal.make_server = lambda: FakeServer(TEACHER)
    return terminal


def test_the_diff_is_shown(shell: Terminal) -> None:
    """What is left out and the command that asks for it, who was lost, where the rows are."""
    code, out, err = shell.type("decide", "runs/foxes", "--min-pair-rating", "1", "--min-sample-quality", "5")
    assert (code, err) == (0, "")
    assert "judges.pair_pass: [2, 3] then, [1, 2, 3] now" in out
    assert "-m skills_dspy decide runs/foxes --min-pair-rating 1 --fill" in out
    (line,) = [line for line in out.splitlines() if line.startswith("Lost: ")]
    assert line.rsplit(": ", 1)[1].split(",")[0].strip() in (Path("runs/foxes/data.jsonl")).read_text("utf-8")
    assert "Data: runs/foxes-decided-" in out
    assert not shell.servers


def test_fill_asks_the_server(shell: Terminal) -> None:
    """The rest is asked for at the address given, the summary says how much, and a second time nothing is."""
    code, out, _ = shell.type("decide", "runs/foxes", "--min-pair-rating", "1", "--fill", "--base-url", "http://there:1")
    (server,) = shell.servers
    assert code == 0
    assert server.host == "http://there:1"
    assert f"Asked now: {len(server.asked)} calls" in out
    assert "Gained: " in out
    assert "never asked for" not in out
    _, out, _ = shell.type("decide", "runs/foxes", "--min-pair-rating", "1", "--fill", "--json")
    assert json.loads(out)["calls_made"] == 0
    assert not shell.servers[-1].asked


def test_fill_asks_several_hosts(shell: Terminal) -> None:
    """Each has its part, and a second time none is asked, as with one."""
    asked = ["decide", "runs/foxes", "--min-pair-rating", "1", "--fill", "--base-url", "http://a:1,http://b:1*2"]
    code, out, _ = shell.type(*asked, "--concurrency", 1)
    assert [server.most_in_flight for server in shell.servers] == [1, 2]
    first, second = (len(server.asked) for server in shell.servers)
    assert code == 0
    assert min(first, second) > 0
    assert f"Asked now: {first + second} calls" in out
    _, out, _ = shell.type(*asked, "--json")
    told = json.loads(out)
    assert told["calls_made"] == 0
    assert json.loads(Path(told["dataset"], "run.json").read_bytes())["decided"]["filled_by"] == []


def test_pairs_ask_the_server_and_are_told(shell: Terminal) -> None:
    """How many there are and why not more, how long their answers are, where they lie; export reads them there."""
    code, out, _ = shell.type("decide", "runs/foxes", "--pairs", 2, "--json")
    told = json.loads(out)
    assert (code, told["pairs"]["found"]) == (0, 2)
    assert shell.type("export", told["dataset"], "--format", "dpo", "--out", "dpo") == (
        0,
        "\n".join(
            (
                "2 pairs of 1 run as dpo: dpo",
                "Chosen answers have {chosen_words:g} words in the median, rejected ones {rejected_words:g}; the chosen one is "
                "longer in {chosen_longer} of 2 pairs, the rejected one in {rejected_longer}.".format(
                    **told["pairs"]["lengths"]
                ),
                "Answered by: a simulated teacher (version 0.0.0-fake), which is no language model\n",
            )
        ),
        "",
    )
    pair = json.loads(Path(told["dataset"], "pairs.jsonl").read_text("utf-8").splitlines()[0])
    code, out, _ = shell.type("explain", pair["id"], "--output-dir", told["dataset"])
    assert code == 0
    assert f"second answer, chosen: {pair['scale']} {pair['chosen']['rating']} against {pair['rejected']['rating']}" in out
    assert pair["chosen"]["calls"][0][:12] in out
    code, out, _ = shell.type("decide", "runs/foxes", "--pairs", 500)
    assert "There are no more: the answers of" in out
    (line,) = [line for line in out.splitlines() if line.startswith("Pairs: runs/foxes-decided-")]
    assert Path(line.removeprefix("Pairs: ").split(",")[0]).is_file()
    code, _, err = shell.type("decide", "runs/foxes", "--pairs", 2, "--dry-run")
    assert (code, err[:7]) == (2, "error: ")
    assert "--pairs asks for replies to keep" in err


def test_a_server_that_fails_leaves_no_dataset(shell: Terminal) -> None:
    """One sentence, exit code 2; what it answered is kept."""
    shell.make_server = lambda: FakeServer(TEACHER, before=failing(3))
    code, _, err = shell.type("decide", "runs/foxes", "--min-pair-rating", "1", "--fill", "--concurrency", "1")
    assert (code, err) == (2, "error: The server at http://fake:11434 kept failing.\n")
    assert [path.name for path in Path("runs").iterdir()] == ["foxes"]
    assert shell.servers[0].closed


def test_an_interrupted_fill_says_how_to_go_on(shell: Terminal) -> None:
    """Ctrl-C: exit code 130, what came is kept, and the command that goes on."""

    async def interrupt(number: int) -> None:
        if number > 2:
            raise KeyboardInterrupt

    shell.make_server = lambda: FakeServer(TEACHER, before=interrupt)
    code, _, err = shell.type("decide", "runs/foxes", "--min-pair-rating", "1", "--fill", "--concurrency", "1")
    assert code == 130
    assert "the replies that came are kept in the run's journal. Go on with: " in err
    assert [path.name for path in Path("runs").iterdir()] == ["foxes"]


def test_the_story_of_a_row_that_was_decided_anew(shell: Terminal) -> None:
    """`explain` finds the prompts and replies of a decided dataset's rows, and one row where both lie side by side."""
    _, out, _ = shell.type("decide", "runs/foxes", "--min-pair-rating", "1", "--json")
    told = json.loads(out)
    rejected = [json.loads(line) for line in Path(told["dataset"], "rejected.jsonl").read_text("utf-8").splitlines()]
    left_out = next(row for row in rejected if row["reason"] == "not asked")
    code, out, _ = shell.type("explain", left_out["id"], "--output-dir", told["dataset"])
    assert code == 0
    assert "rejected by sample_quality: not asked" in out
    assert "judge_pair" in out
    assert shell.type("explain", left_out["id"], "--output-dir", "runs")[0] == 0


def test_eval_data_reads_a_decided_dataset(shell: Terminal) -> None:
    """It is scored like a run, with its funnel and who answered."""
    _, out, _ = shell.type("decide", "runs/foxes", "--min-sample-quality", "5", "--json")
    code, out, _ = shell.type("eval", "data", json.loads(out)["dataset"], "--json")
    assert code == 0
    assert "decided anew" in out


def test_the_help_names_all_that_may_differ(terminal: Terminal) -> None:
    """Every section of which the command lets a setting differ: screens and habits, too."""
    told = " ".join(terminal.type("decide", "--help").out.split())
    assert "only filter, judges, dedup, screens and habits may differ" in told
