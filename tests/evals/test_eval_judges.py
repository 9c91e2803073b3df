"""The command `eval judges`: exit codes, what is said where, the report, replay, interruption, bad input."""

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from evals.judges.cases import SCALE_OF_STEP
from skills_dspy.base.errors import Unanswered
from skills_dspy.base.scales import Label
from skills_dspy.model.compiled import compiled_content
from skills_dspy.model.program import SkillsProgram
from tests.helpers.judges import PAIR, QUALITY, QUESTION, SAMPLE, JudgeServer, cases_of, lets_all_pass
from tests.helpers.terminal import TASK, Said, Terminal


def knows(fields: tuple[str, ...], prompt: str) -> dict[str, Any]:
    """A judge that is always right about these cases."""
    worst = {"rating": 1 if "<answer>\nIn" in prompt else 0, "quality": "very poor", "score": 1}
    best = {**lets_all_pass(fields, prompt), **({"rating": 3 if "<answer>\nIn" in prompt else 1} if "rating" in fields else {})}
    return best if "badly" not in prompt else {**best, **{name: worst[name] for name in fields if name in worst}}


@pytest.fixture
def terminal(terminal: Terminal) -> Terminal:
    """A terminal whose stand-in for the server judges."""
    terminal.make_server = JudgeServer
    return terminal


def typed(terminal: Terminal, *words: object) -> Said:
    """Type `eval judges` with words behind it."""
    return terminal.type("eval", "judges", *words)


def ask(terminal: Terminal, *words: object) -> Said:
    """The same about a few cases of the question judge."""
    return typed(terminal, "--cases", terminal.write("cases.yaml", cases_of(QUESTION)), *words)


def output(terminal: Terminal) -> Path:
    """Where the session lives."""
    return terminal.folder / "output-evals"


def report_of(terminal: Terminal) -> dict[str, Any]:
    """What was written as JSON."""
    content: dict[str, Any] = json.loads((output(terminal) / "judges.json").read_text("utf-8"))
    return content


# -- the report ---------------------------------------------------------------------------------------------------------


def test_the_report_is_printed_and_written(terminal: Terminal) -> None:
    """Tables on stdout, the same as Markdown and JSON in the folder; what is said meanwhile goes to stderr."""
    said = ask(terminal)
    assert said.code == 0
    assert "Answered by: Ollama 0.0.0-fake at http://127.0.0.1:11434" in said.out
    assert "judge_question_freeform      4  50.0 % (15.0–85.0)  100 % (34.2–100)  0.0 % (0.0–65.8)   0.00" in said.out
    assert "4 cases, 12 replies wanted: the journal has 0, calls are made for the other 12" in said.err
    report = report_of(terminal)
    assert (report["cases_by_hand"], report["cases_from_seeds"], report["samples"]) == (4, 0, 3)
    assert report["judges"][0]["all"]["kappa"] == 0.0
    page = (output(terminal) / "judges.md").read_text("utf-8")
    assert "| judge_question_freeform | 4 | 50.0 % (15.0–85.0) |" in page
    assert "- Answered by: Ollama" in page


def test_several_hosts_answer_one_session(terminal: Terminal) -> None:
    """Each has its part of the replies, the report names both, and a second time none is asked."""
    several = ["--base-url", "http://a:1,http://me:pa55@b:1*2"]
    said = ask(terminal, *several)
    assert said.code == 0
    assert "http://a:1, " in said.out
    first, second = (len(server.asked) for server in terminal.servers)
    assert (first > 0, second > 0, first + second) == (True, True, 12)
    assert ask(terminal, *several).code == 0
    assert not any(server.asked for server in terminal.servers[2:])
    assert not any(b"pa55" in path.read_bytes() for path in output(terminal).iterdir())


def test_what_the_server_could_not_answer_is_said_and_not_asked_again(terminal: Terminal) -> None:
    """The report is made of the rest; how many were lost stands at its head, the second time as well."""

    class Poisoned(JudgeServer):
        def _body(self, payload: Mapping[str, Any]) -> dict[str, Any]:
            if "What about 1" in payload["messages"][-1]["content"]:
                raise Unanswered("The server answered 500: EOF.", "")
            return super()._body(payload)

    terminal.make_server = Poisoned
    first, second = ask(terminal), ask(terminal)
    assert (first.code, second.code) == (0, 0)
    assert "Lost to the server: 3 of 12 requests" in first.err
    lost = "Lost to the server: 3 of 12 replies, the first of judge_question_freeform: The server answered 500: EOF."
    assert all(lost in " ".join(said.out.split()) for said in (first, second))
    assert [len(server.asked) for server in terminal.servers] == [12, 0]
    assert report_of(terminal)["judges"][0]["all"]["unreadable"]["count"] == 1


def test_a_judge_that_thinks_is_another_judge(terminal: Terminal) -> None:
    """It is asked anew, with room for its thoughts in a window that holds them, and the report says so."""
    ask(terminal, "--samples", 1)
    said = ask(terminal, "--samples", 1, "--think", "high")
    assert "4 replies wanted: the journal has 0" in said.err
    assert "mistral-small3.2 (think high), tagger mistral-small3.2 (think high)" in " ".join(said.out.split())
    assert report_of(terminal)["think"] == {"generator": "high", "validator": "high", "tagger": "high"}
    asked = [payload for server in terminal.servers for payload in server.payloads]
    rooms = {request["think"]: (request["options"]["num_predict"], request["options"]["num_ctx"]) for request in asked}
    assert rooms == {False: (512, 4096), "high": (512 + 8192, 32768)}


def test_the_report_tells_replies_of_models_from_cases_by_hand(terminal: Terminal) -> None:
    """Both are counted, each on its own, in the line of facts, in the table and as JSON."""
    by_hand = terminal.write("hand.yaml", cases_of(QUESTION))
    reply = cases_of(QUESTION, 2).replace("skills:", "written_by: a small model\nskills:").replace("id: foxes-", "id: real-")
    said = typed(terminal, "--cases", by_hand, "--cases", terminal.write("real.yaml", reply), "--samples", "1")
    assert "Cases: 4 written by hand, 2 replies of models, 0 made from seeds" in said.out
    rows = [line.split()[:3] for line in said.out.splitlines() if line.startswith("  by ")]
    assert rows == [["by", "hand", "4"], ["by", "models", "2"]]
    report = report_of(terminal)
    assert (report["cases_by_hand"], report["cases_of_models"], report["cases_from_seeds"]) == (4, 2, 0)


def test_markdown_may_go_elsewhere_as_well(terminal: Terminal) -> None:
    """For a user's own documentation; a folder that is not there is refused before a call is made."""
    page = terminal.folder / "card.md"
    assert ask(terminal, "--markdown", page).code == 0
    assert page.read_text("utf-8") == (output(terminal) / "judges.md").read_text("utf-8")
    said = ask(terminal, "--markdown", terminal.folder / "nowhere" / "card.md", "--output-dir", terminal.folder / "other")
    assert said.code == 2
    assert "there is no folder" in said.err
    said = ask(terminal, "--markdown", page, "--program", page, "--output-dir", terminal.folder / "other")
    assert "card.md would take the place of what is read; give another file" in said.err
    assert len(terminal.servers) == 1


def test_a_good_judge_has_a_good_card(terminal: Terminal) -> None:
    """All six at once, with every part of the report."""
    terminal.make_server = lambda: JudgeServer(knows)
    folder = terminal.folder / "all"
    folder.mkdir()
    for step in SCALE_OF_STEP:
        text = cases_of(step)
        if step.endswith("grounded"):
            text = text.replace("        answer: An animal.\n", "        answer: An animal.\n        context: A wood.\n")
            text = text.replace("        question:", "        context: A wood.\n        question:")
        (folder / f"{step}.yaml").write_text(text, "utf-8")
    said = typed(terminal, "--cases", folder, "--threshold-sweep", "--samples", 1)
    assert said.code == 0, said.err
    report = report_of(terminal)
    assert [card["step"] for card in report["judges"]] == list(SCALE_OF_STEP)
    assert {card["all"]["kappa"] for card in report["judges"]} == {1.0}
    fused = report["fused_against_separate"]
    assert fused["instruction_quality"]["fused_accuracy"]["value"] == 1.0
    assert fused["costs"]["tag_fused"] == {"calls": 4, "prompt_tokens": 400, "output_tokens": 80, "tokens_per_case": 120.0}
    assert "It decided all 4 cases right." in said.out
    assert "Fused against separate tags" in said.out
    assert "The best thresholds, for --config" in said.out


def test_fused_tags_may_be_left_out(terminal: Terminal) -> None:
    """Three calls for each case less."""
    cases = terminal.write("quality.yaml", cases_of(QUALITY))
    assert typed(terminal, "--cases", cases, "--no-fused", "--samples", 1).code == 0
    assert report_of(terminal)["fused_against_separate"] is None
    assert len(terminal.servers[0].asked) == 4


def test_soft_ratings_are_compared_where_the_server_gives_them(terminal: Terminal) -> None:
    """And said to be missing where it does not."""
    assert "The server gave no probabilities of labels" in ask(terminal).out
    shares: Mapping[str, Mapping[Label, float]] = {"rating": {1: 0.9, 0: 0.1}}
    terminal.make_server = lambda: JudgeServer(shares=shares)
    said = ask(terminal, "--output-dir", terminal.folder / "soft")
    assert "judge_question_freeform     4 of 4   0.50  0.50  +0.000 (+0.000 to +0.000)       no better" in said.out


def test_seeds_and_their_corruptions_are_cases_too(terminal: Terminal) -> None:
    """Of the tasks that are named; the seeds are good and the corrupted ones bad."""
    task = terminal.write("foxes.yaml", TASK.format(name="test/foxes"))
    said = ask(terminal, "--task-paths", task, "--judge", PAIR, "--judge", QUESTION, "--samples", 1)
    assert said.code == 0
    report = report_of(terminal)
    assert report["tasks"] == ["test/foxes"]
    assert (report["cases_by_hand"], report["cases_from_seeds"]) == (4, sum(c["all"]["cases"] for c in report["judges"]) - 4)
    made = {(row["origin"], row["good"]) for card in report["judges"] for row in card["missed"]}
    assert {("seed", True), ("corruption", False)} <= made
    assert "  from seeds" in said.out


def test_a_compiled_program_is_judged_instead(terminal: Terminal) -> None:
    """Its instructions are in the prompts, and the report names it."""
    program = SkillsProgram(1)
    predictor = program.predictor(QUESTION)
    predictor.signature = predictor.signature.with_instructions("Be as strict as a badger.")
    path = terminal.write("badger.json", json.dumps(compiled_content(program, [QUESTION], {"target": "judges", "seen": []})))
    said = ask(terminal, "--program", path)
    assert said.code == 0
    assert report_of(terminal)["program"] == str(path)
    assert f"Compiledprogram:{path}" in "".join(said.out.split())  # a long path goes over several lines
    first = set(terminal.servers[0].asked)
    ask(terminal)
    assert first.isdisjoint(terminal.servers[1].asked)


def test_only_the_models_that_are_asked_have_to_be_there(terminal: Terminal) -> None:
    """The teacher writes nothing here."""
    said = ask(terminal, "--model", "missing", "--judge-model", "judge")
    assert said.code == 0
    assert terminal.servers[0].models_asked == ["judge"]
    cases = terminal.write("quality.yaml", cases_of(QUALITY))
    assert typed(terminal, "--cases", cases, "--model", "missing", "--tagger-model", "tagger").code == 0
    assert terminal.servers[1].models_asked == ["tagger"]


# -- kappa for a user's CI ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("least", "code"), [("-1", 0), ("0", 0), ("0.01", 1), ("1", 1)])
def test_a_judge_below_the_wanted_kappa_is_a_failure(least: str, code: int, terminal: Terminal) -> None:
    """It is named with its kappa, and the report is there all the same."""
    said = ask(terminal, "--min-kappa", least, "--quiet")
    assert said.code == code
    assert said.err == (f"kappa is below {least} for: judge_question_freeform (0.00)\n" if code else "")
    assert report_of(terminal)["judges"]


def test_a_kappa_that_is_not_defined_is_below_everything(terminal: Terminal) -> None:
    """Nothing readable is nothing known."""
    terminal.make_server = lambda: JudgeServer(lambda *_: "no JSON")
    said = ask(terminal, "--min-kappa", "-1", "--quiet")
    assert (said.code, said.err) == (1, "kappa is below -1 for: judge_question_freeform (not defined)\n")
    assert "100 % (51.0–100)" in said.out


def test_a_report_of_nothing_is_no_success(terminal: Terminal) -> None:
    """Where no reply could be read the report is written all the same, and one sentence says that it says nothing."""
    terminal.make_server = lambda: JudgeServer(lambda *_: "no JSON")
    said = ask(terminal, "--quiet", "--samples", 1)
    assert said.code == 2
    assert said.err.startswith("error: no judge gave a verdict that can be read on any case: ")
    assert said.err.count("\n") == 1
    assert report_of(terminal)["judges"][0]["all"]["unreadable"]["count"] == 4


# -- nothing is paid twice ----------------------------------------------------------------------------------------------


def test_the_second_time_nothing_is_asked(terminal: Terminal) -> None:
    """It is said beforehand, and the report is the same bytes."""
    ask(terminal)
    before = (output(terminal) / "judges.json").read_bytes()
    said = ask(terminal)
    assert "4 cases, 12 replies wanted: the journal has them all." in said.err
    assert terminal.servers[1].asked == []
    assert (output(terminal) / "judges.json").read_bytes() == before


def test_a_replay_needs_no_server(terminal: Terminal) -> None:
    """The same report, and it says what answered then."""
    ask(terminal, "--note", "a judge made by hand")
    before = report_of(terminal)
    said = ask(terminal, "--replay", output(terminal), "--output-dir", terminal.folder / "again", "--json")
    assert said.code == 0
    assert json.loads(said.out) == before
    assert "the recording is asked for the other 12" in said.err
    assert len(terminal.servers) == 1


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_keeps_what_came(signum: signal.Signals, terminal: Terminal) -> None:
    """The same command goes on."""

    async def interrupt(number: int) -> None:
        if number == 6:
            os.kill(os.getpid(), signum)

    terminal.make_server = lambda: JudgeServer(before=interrupt)
    said = ask(terminal, "--concurrency", 1)
    assert said.code == 130
    assert "the same command goes on" in said.err
    assert not (output(terminal) / "judges.json").exists()
    terminal.make_server = JudgeServer
    said = ask(terminal, "--concurrency", 1)
    assert said.code == 0
    assert len(terminal.servers[1].asked) <= 7
    assert f"calls are made for the other {len(terminal.servers[1].asked)}" in said.err


# -- bad input ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--judge", "judge_everything"], "there is no judge 'judge_everything'; the judges are: judge_question_freeform, "),
        (["--judge", SAMPLE], "there is no case for tag_sample_quality; give some with --cases, or a task with fitting seeds"),
        (["--program", "nowhere.json"], "cannot read nowhere.json"),
        (["--judge-model", "missing"], "The model 'missing' is not on the server"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(words: list[str], sentence: str, terminal: Terminal) -> None:
    """With exit code 2."""
    said = ask(terminal, *words)
    assert said.code == 2
    assert sentence in said.err
    assert len(said.err.splitlines()) == 1
    assert said.out == ""


@pytest.mark.parametrize(
    "words",
    [["--samples", "0"], ["--min-kappa", "1.5"], ["--min-kappa", "nan"], ["--concurrency", "0"], ["--nonsense"]],
)
def test_an_option_outside_its_range_is_refused(words: list[str], terminal: Terminal) -> None:
    """By click, with exit code 2."""
    assert ask(terminal, *words).code == 2
    assert terminal.servers == []
