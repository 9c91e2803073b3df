"""`check`: its lines and exit codes, and the command itself against the simulated teacher."""

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from evals.record.answering import CHECKOUT, simulated_teacher
from skills_dspy.base.config import ROLES
from skills_dspy.base.errors import EmbedderMissing, ServerError, Unanswered
from skills_dspy.base.records import SeedExample, SoftRating
from skills_dspy.cli.check import NOT_READY, READY, SEEDS_FAIL, ShownChecks, closed, closed_seeds
from skills_dspy.cli.main import start
from skills_dspy.commands.check.checks import Checks
from skills_dspy.commands.check.forecast import StepCost
from skills_dspy.commands.check.lines import estimate_line, hours_line, soft_line, speed_line, together_line, trial_line
from skills_dspy.commands.check.report import CheckRequest
from skills_dspy.commands.check.speed import Counts, Speed, Together, Trial
from skills_dspy.model.embedding.weights import WeightsFolder
from skills_dspy.model.server.openai import OpenAIServer
from skills_dspy.model.soft import rated_fields
from skills_dspy.store.run_dir import RunPaths
from skills_dspy.tasks.spec import TaskSpec
from tests.helpers.logprobs import spell
from tests.helpers.making import FREEFORM, GROUNDED, a_config, a_spec
from tests.helpers.timed_server import TimedServer, rating, willing

COUNTS = Counts(100, 0.5, 40, 2.0, 0.0, 2.5)
WINDOWS: Mapping[Any, int] = {"generator": 4096, "validator": 4096, "tagger": 4096}
MODEL = "mistral-small3.2"


def found(name: str) -> WeightsFolder:
    """An embedding model that is there."""
    return WeightsFolder(Path("/models") / name, "path", "w" * 64)


def checked(
    server: TimedServer | OpenAIServer,
    *,
    pull: bool = False,
    config: Mapping[str, Any] | None = None,
    find: Callable[[str], WeightsFolder | None] = found,
    wanted: int = 20,
    seeds: bool = False,
    as_json: bool = False,
    output: Path = Path("nowhere"),
    first: TaskSpec | None = None,
) -> tuple[int, str]:
    """The exit code, and what was printed."""
    out = Console(file=io.StringIO(), width=80, highlight=False, soft_wrap=True)
    specs = (first or a_spec((FREEFORM, GROUNDED)), a_spec((FREEFORM,), name="test/other"))
    vectors = server if isinstance(server, TimedServer) else TimedServer()
    request = CheckRequest(specs, a_config(config), wanted, 4, output, pull)
    checks = Checks(request, server, ShownChecks(out), find, lambda _: vectors)
    code = closed_seeds(checks.rate_seeds(), out, as_json=as_json) if seeds else closed(checks.run(), out, as_json=as_json)
    assert isinstance(out.file, io.StringIO)
    return code, out.file.getvalue()


def named(text: str, name: str) -> list[str]:
    """The lines of one name, without it."""
    return [" ".join(line.split()) for line in text.splitlines() if line[6:].startswith(f"{name} ")]


SURE = SoftRating(probabilities={"1": 1.0}, expected=1.0, mass=1.0)


def a_trial(**changes: Any) -> Trial:
    """A trial that went well, but for the changes."""
    values = {"step": "write_answer_freeform", "model": "m", "prose": True, "estimate": 150, "counts": COUNTS, "tries": 1}
    return Trial(**{**values, "fault": None, "raw": "text", **changes})


def a_together(factor: float, *, requests: int = 8, busy: float = 1.0, mean_tokens: float = 96.0) -> Together:
    """So much gain."""
    return Together(requests, COUNTS, 10.0, 10.0 * factor, mean_tokens, busy)


# ---- the whole of it ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("begun", "said"),
    [
        (
            {"name": "Mistral-Small3.2", "digest": "e" * 64},
            "has other weights now: mistral-small3.2 (eeeeeeeeeeee then",
        ),
        ({"name": MODEL, "digest": "d" * 64}, ""),
        ({"name": "another", "digest": "e" * 64}, ""),
        ("broken", "models"),
    ],
)
def test_a_run_of_other_weights_is_told_before_the_night(tmp_path: Path, begun: object, said: str) -> None:
    """It would be refused then; one warning a run, however many roles the model has."""
    paths = RunPaths(tmp_path / "test" / "other")
    paths.folder.mkdir(parents=True)
    paths.run_json.write_text(json.dumps({"inputs": {"models": dict.fromkeys(ROLES, begun)}}))
    code, text = checked(TimedServer(timed=False), output=tmp_path)
    assert code == READY
    lines = named(text, "begun")
    assert len(lines) == bool(said)
    assert all(said in line for line in lines)


def test_all_is_well() -> None:
    """Each thing has its line, the forecast its table, and the exit code is 0."""
    server = TimedServer(timed=False)
    code, text = checked(server)
    assert code == READY
    assert "FAIL" not in text
    assert named(text, "host") == ["ok host Ollama 0.0.0-fake answers at http://fake:11434"]
    assert len(named(text, "model")) == len(named(text, "window")) == len(named(text, "JSON reply")) == 1
    assert named(text, "model")[0].endswith("its window has at most 131072 tokens")
    assert named(text, "embedder")[0].endswith("all-MiniLM-L6-v2 (path)")
    assert "2.0 s of it loading the model" in named(text, "JSON reply")[0]
    assert "for 20 pairs for each of 2 tasks" in named(text, "time")[0]
    assert any(line.startswith("each accepted pair") for line in text.splitlines())
    assert server.closed == 2


def test_models_that_do_not_fit_together_are_a_warning() -> None:
    """Of one host with several models, which says what it has in memory; of one model nothing is asked or said."""
    judges = {"validator": {"model": "judge"}, "tagger": {"model": "tagger"}}
    code, text = checked(TimedServer(timed=False, room=1), config=judges)
    assert code == READY
    (line,) = named(text, "memory")
    assert line.startswith(f"warn memory the server does not hold its models at once ({MODEL}, judge, tagger; after each")
    assert "loading one takes about 2.0 s, and a run does that about 12 times, 24 s in all" in line
    assert named(checked(TimedServer(timed=False, room=3), config=judges)[1], "memory")[0].startswith("ok memory the server")
    assert not named(checked(TimedServer(timed=False, room=1))[1], "memory")


def test_what_soft_ratings_need_is_tried_where_they_are_asked_for() -> None:
    """Every step that rates is asked; a line says from how many replies they are read, and what to do about the others."""

    class Halfway(TimedServer):
        async def chat(self, payload: Mapping[str, Any]) -> dict[str, Any]:
            body, fields = await super().chat(payload), rated_fields(payload)
            if payload.get("logprobs") and "rating" in fields:
                text = body["message"]["content"]
                body["logprobs"] = spell(text, {"rating": {json.loads(text)["rating"]: 1.0}})
            return body

    assert not named(checked(Halfway(timed=False))[1], "soft")
    code, text = checked(Halfway(timed=False), config={"soft_ratings": True})
    assert code == READY
    (line,) = named(text, "soft")
    assert line.startswith("warn soft soft ratings are read from 2 of 5 replies that rate, not from tag_instr")
    assert soft_line([a_trial(soft={"rating": SURE})]).state == "ok"


def test_nobody_answers() -> None:
    """The server's own sentence, the embedder's line all the same, and exit code 2."""

    class Nobody(TimedServer):
        async def version(self) -> str:
            raise ServerError("No Ollama server answers; start one with `ollama serve`")

    code, text = checked(Nobody())
    assert code == NOT_READY
    assert named(text, "host") == ["FAIL host No Ollama server answers; start one with `ollama serve`"]
    assert named(text, "embedder")
    assert "Not ready" in text


def test_a_missing_model_comes_with_the_line_that_pulls_it() -> None:
    """All missing ones are named, and nothing is asked of the others."""
    server = TimedServer(missing=("strict", "quick"))
    code, text = checked(server, config={"validator": {"model": "strict"}, "tagger": {"model": "quick"}})
    assert code == NOT_READY
    assert [line.split(": ")[1].split(" (")[0] for line in named(text, "model")[1:]] == [
        "ollama pull strict",
        "ollama pull quick",
    ]
    assert not server.payloads


def test_pull_pulls_what_is_missing_and_goes_on() -> None:
    """The check is then as if it had been there; a pull that fails says why."""
    code, text = checked(TimedServer(missing=("no-such",)), pull=True, config={"validator": {"model": "no-such"}})
    assert code == NOT_READY
    assert "there is no no-such to pull" in text
    server = TimedServer(timed=False, missing=("strict",))
    code, text = checked(server, pull=True, config={"validator": {"model": "strict"}})
    assert code == READY
    assert server.pulled == ["strict"]
    assert "strict: pulling two" in text
    assert len(named(text, "JSON reply")) == 2
    assert "Loading one model in place of another" in text


def test_a_prompt_that_cannot_fit_stops_the_check() -> None:
    """The sentence with file and line; no request is sent."""
    server = TimedServer(context_length=1024)
    code, text = checked(server)
    assert code == NOT_READY
    assert "foxes.yaml:11: a prompt of" in named(text, "window")[0]
    assert not server.payloads


def test_replies_that_do_not_parse_are_shown_and_the_check_goes_on() -> None:
    """What else can be measured is measured; the exit code is 2."""
    code, text = checked(TimedServer(timed=False, reply=lambda _: "[bold]Sure![/bold] " + "blah bleh " * 50))
    assert code == NOT_READY
    (line,) = named(text, "JSON reply")
    assert line.startswith(f"FAIL JSON reply write_questions_freeform of {MODEL}: ")
    assert "python -m skills_dspy prompts write_questions_freeform" in line
    assert "[bold]Sure![/bold] blah" in line
    assert len(line) < 500
    assert named(text, "text reply")[0].startswith("ok")
    assert named(text, "time")


def test_a_server_that_breaks_during_the_trials_is_a_failure() -> None:
    """Its sentence is printed, and connections are closed."""
    server = TimedServer(refuses=ServerError("It kept failing for 15 s"))
    code, text = checked(server)
    assert code == NOT_READY
    assert "It kept failing for 15 s" in text
    assert server.closed == 2


def test_weights_that_are_nowhere_are_a_failure() -> None:
    """A run would need them."""

    def nowhere(_: str) -> WeightsFolder | None:
        raise EmbedderMissing("no weights")

    code, text = checked(TimedServer(timed=False), find=nowhere)
    assert code == NOT_READY
    assert named(text, "embedder") == ["FAIL embedder no weights"]


def test_a_warning_alone_is_no_failure() -> None:
    """Weights that have to be fetched are warned of."""
    code, text = checked(TimedServer(timed=False, context_length=None), find=lambda _: None)
    assert code == READY
    assert "does not tell" in named(text, "model")[0]
    assert named(text, "embedder")[0].startswith("warn")


def test_vectors_of_the_server_are_tried() -> None:
    """With how many numbers they have, and that the thresholds are another model's; one that is not there is a failure."""
    code, text = checked(TimedServer(timed=False), config={"embedder": {"model": "ollama:all-minilm"}})
    tried, thresholds = named(text, "embedder")
    assert code == READY
    assert tried == "ok embedder ollama:all-minilm answers with vectors of 3 numbers"
    assert thresholds.startswith("warn embedder the built-in dedup.max_squared_distance (")
    assert "decontamination.max_cosine" in thresholds
    code, text = checked(TimedServer(timed=False), config={"embedder": {"model": "ollama:bge-m3"}})
    assert code == NOT_READY
    assert named(text, "embedder")[0].endswith("get it with `ollama pull bge-m3`")


def test_a_seed_without_a_vector_is_named_and_the_check_goes_on() -> None:
    """The run of its task would end with it; all else is tried."""

    class Fussy(TimedServer):
        async def embed(self, model: str, text: str) -> Sequence[float]:
            if "лис" in text:
                raise Unanswered("The server answered 500: EOF. It answers others, and this never.", "")
            return await super().embed(model, text)

    foreign = tuple(SeedExample(question=f"Почему {animal} рыжая?", answer="x") for animal in ("лиса", "белка"))
    code, text = checked(Fussy(timed=False), config={"embedder": {"model": "ollama:all-minilm"}}, first=a_spec(foreign))
    assert code == NOT_READY
    (line,) = named(text, "embedder")
    assert line.startswith("FAIL embedder ollama:all-minilm has no vector of the text that begins with 'Почему лиса рыжая?'")
    assert line.endswith("change this seed, or take another embedding model")
    assert named(text, "JSON reply")
    assert named(text, "time")


def test_prompts_that_are_never_answered_when_they_are_timed_are_a_failure() -> None:
    """What was found out before is said all the same."""

    def fails(payload: Mapping[str, Any]) -> str:
        if payload["options"]["num_predict"] == 96:
            raise Unanswered("The server answered 500: EOF. It answers others, and this never.", "")
        return willing(payload)

    code, text = checked(TimedServer(timed=False, reply=fails))
    assert code == NOT_READY
    assert named(text, "reply") == ["FAIL reply The server answered 500: EOF. It answers others, and this never."]
    assert named(text, "estimate")


@pytest.mark.parametrize("hub", [True, False])
def test_a_bare_name_that_only_the_server_has_is_pointed_there(hub: bool) -> None:
    """Instead of the hub, where it would be looked for in vain."""

    def find(name: str) -> WeightsFolder | None:
        if hub:
            return None
        raise EmbedderMissing(f"{name} is nowhere")

    code, text = checked(TimedServer(timed=False), config={"embedder": {"model": "all-minilm"}}, find=find)
    assert code == NOT_READY
    assert named(text, "embedder")[0].endswith("has one of that name: give it as ollama:all-minilm")


# ---- its lines ---------------------------------------------------------------------------------------------------------


def test_a_server_that_queues_is_told_what_setting_it_would_gain() -> None:
    """The variable, the memory it costs, and an upper bound that is called one."""
    line = together_line(a_together(1.02), 8, 7200, 8192)
    assert line.state == "warn"
    assert "1.0 times the tokens/s of one alone" in line.text
    assert "OLLAMA_NUM_PARALLEL=4 ollama serve" in line.text
    assert "4 x 8192 tokens" in line.text
    assert "up to 4 times as fast, 30 min instead of 2 h 0 min" in line.text
    assert "cannot be known before it is tried" in line.text
    assert "OLLAMA_NUM_PARALLEL=2 ollama serve" in together_line(a_together(1.0, requests=2), 2, 7200, 8192).text


def test_no_queue_is_claimed_where_there_is_none() -> None:
    """A gain is fine; short replies and a machine that is busy with one are told apart from queueing."""
    good = together_line(a_together(3.1), 8, 7200, 8192)
    short = together_line(a_together(1.1, mean_tokens=5), 8, 7200, 8192)
    busy = together_line(a_together(1.1, busy=6.0), 8, 7200, 8192)
    alone = together_line(a_together(1.0, requests=1), 1, 7200, 8192)
    assert [line.state for line in (good, short, busy, alone)] == ["ok", "warn", "warn", "ok"]
    assert not any("OLLAMA_NUM_PARALLEL" in line.text for line in (good, short, busy, alone))
    assert "more are not tried" in together_line(a_together(9.0, requests=16), 64, 7200, 8192).text
    slots_of_ours = together_line(a_together(0.7), 8, 7200, None, has_slots=True)
    assert slots_of_ours.text.endswith("the machine has no more to give; a lower --concurrency does as well")


def test_an_estimate_below_the_count_is_a_warning_with_a_window() -> None:
    """The worst prompt decides, and the window is raised in proportion."""
    low = a_trial(estimate=80)
    fine = estimate_line([a_trial()], WINDOWS)
    line = estimate_line([a_trial(), low], WINDOWS)
    assert fine.state == "ok"
    assert "1.50 times as many" in fine.text
    assert line.state == "warn"
    assert "set generator.num_ctx to 5120" in line.text
    silent = a_trial(counts=Counts(None, None, 40, 2.0, 0.0, 2.5))
    assert estimate_line([silent], WINDOWS).state == "warn"


def test_a_reply_at_the_second_try_is_a_warning() -> None:
    """It was parsed, but half of the calls were lost."""
    assert trial_line(a_trial(tries=2)).state == "warn"
    assert trial_line(a_trial(fault="the reply is empty", raw="  ", tries=2)).text.endswith("begins: nothing")
    assert "3.0 s of it loading" in trial_line(a_trial(counts=Counts(100, 0.5, 40, 2.0, 3.0, 5.5))).text


def test_speeds_are_said_plainly() -> None:
    """Small speeds keep a decimal; what is unknown is said to be."""
    assert "reads 200 tokens/s and writes 4.5 tokens/s" in speed_line("m", Speed(200.0, 4.5)).text
    assert speed_line("m", Speed(None, 4.5)).state == "warn"


def test_hours_come_with_their_assumption() -> None:
    """Nothing assumed passes for measured."""
    line = hours_line([StepCost("tag_category", "m", 1.0, 1, 1)], 12_000, 50, 1)
    assert "about 3 h 20 min for 50 pairs at the measured speed" in line.text
    assert "Assumed, not measured: each of the 5 checks" in line.text
    assert "80% through" in line.text
    assert "memory" not in line.text


# ---- the command -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def queueing() -> Iterator[str]:
    """A simulated teacher with one slot."""
    with simulated_teacher("--slots", "1", "--latency-per-token", "0.002") as address:
        yield address


LOCAL = pytest.mark.block_network(allowed_hosts=["127.0.0.1"])
Command = Callable[..., tuple[int, str]]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Exit code and output of `python -m skills_dspy check` in an empty folder, on the shipped debate."""
    monkeypatch.chdir(tmp_path)

    def check(address: str, *options: str) -> tuple[int, str]:
        code = start(["check", "--base-url", address, *options])
        printed = capsys.readouterr()
        assert printed.err == ""
        assert not list(tmp_path.iterdir())
        return code, printed.out

    return check


@LOCAL
def test_the_command_pulls_and_finds_a_queue(queueing: str, command: Command) -> None:
    """With --pull the check goes on where a judge was missing, and sees that the server only queues."""
    code, text = command(queueing, "--judge-model", "strict", "--pull", "-n", "50", "--concurrency", "4")
    assert code == READY
    assert "strict: pulling" in text
    assert "OLLAMA_NUM_PARALLEL=4 ollama serve" in text
    assert "for 50 pairs at the measured speed" in text


def test_seeds_that_fail_are_named_and_exit_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    """Host and models come first; with --json all verdicts are alone on stdout."""
    bad, good = (TimedServer(timed=False, reply=partial(rating, best=best, why="[b]No.")) for best in (False, True))
    code, text = checked(bad, seeds=True)
    assert code == SEEDS_FAIL
    assert "tasks/foxes.yaml:7: judge_question_freeform says 0 (passing: 1): [b]No.\n" in text
    assert text.endswith("\n\n0 of 3 seeds pass\n")
    code, text = checked(good, seeds=True, as_json=True)
    content = json.loads(capsys.readouterr().out)
    assert code == READY
    assert [[seed["passes"] for seed in task["seeds"]] for task in content["tasks"]] == [[True, True], [True]]
    assert "seeds" not in text
    assert checked(TimedServer(missing=(MODEL,)), seeds=True)[0] == NOT_READY
    assert checked(TimedServer(missing=(MODEL,)), seeds=True, as_json=True)[0] == NOT_READY
    told = json.loads(capsys.readouterr().out)
    assert (told["ready"], [line["state"] for line in told["lines"]]) == (False, ["ok", "FAIL"])
    assert bad.closed == good.closed == 2


def test_what_was_found_can_be_read_by_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    """Every line with its state, the forecast step by step and in seconds; a person still sees the lines, elsewhere."""
    code, text = checked(TimedServer(timed=False), as_json=True)
    content = json.loads(capsys.readouterr().out)
    assert (code, content["ready"]) == (READY, True)
    assert [line["name"] for line in content["lines"]][:2] == ["host", "model"]
    assert {line["state"] for line in content["lines"]} <= {"ok", "warn"}
    assert {cost["step"] for cost in content["costs"]} > {"write_answer_freeform"}
    assert content["seconds"] > 0
    assert named(text, "host")
    code, _ = checked(TimedServer(missing=(MODEL,)), as_json=True)
    content = json.loads(capsys.readouterr().out)
    assert (code, content["ready"], content["costs"], content["seconds"]) == (NOT_READY, False, [], None)


def test_an_address_that_is_none_is_said_to_be_none(capsys: pytest.CaptureFixture[str]) -> None:
    """Without asking anybody: the sentence, and exit code 2."""
    debate = CHECKOUT / "task_specs" / "writing" / "freeform" / "debate.yaml"
    assert start(["check", "--base-url", "ht!tp://x y", "--task-paths", str(debate)]) == NOT_READY
    assert "is no address of a server" in named(capsys.readouterr().out, "host")[0]
