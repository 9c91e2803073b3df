"""`run`, `check`, `export`, `load_run` from Python: the same bytes as the command line, without a word on the terminal."""

import asyncio
import inspect
import io
import json
import re
import runpy
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.utils.callback import BaseCallback

import skills_dspy
from evals.bench.hash_embedder import HashEmbedder
from skills_dspy import Run, SkillsError, acheck, arun, check, export, load_run, run
from skills_dspy.base.errors import EmbedderMissing, RequestError, RunDirError
from skills_dspy.commands.api.request import embedder_of
from skills_dspy.commands.check.lines import Line
from skills_dspy.model.embedding.embedder import AsyncEmbedder
from skills_dspy.model.embedding.weights import COMPUTING, require_packages
from skills_dspy.model.server.server import Model
from skills_dspy.run.headway import Headway
from skills_dspy.store.run_dir import RunPaths
from tests.helpers.fake_server import FakeServer
from tests.helpers.terminal import Terminal

GUIDE = Path(__file__).parents[3] / "docs" / "python.md"


def test_a_run_from_python_is_the_command_s_byte_for_byte(terminal: Terminal) -> None:
    """Rows and rejections are the same; it prints nothing, tells how far it is, and gives what lies on the disk."""
    task, heard = terminal.task(), list[Headway]()
    assert terminal.run("--task-paths", task, "-n", 3, "--quiet").code == 0
    (made,) = run(task, n=3, output_dir=terminal.folder / "here", on_progress=heard.append)
    said = terminal.capsys.readouterr()
    assert (said.out, said.err) == ("", "")
    there = RunPaths(terminal.output / "test/foxes")
    for path in (there.data, there.rejected):
        assert path.read_bytes() == (made.folder / path.name).read_bytes()
    assert made.complete
    assert (made.task_name, made.wanted, len(list(made.rows))) == ("test/foxes", 3, 3)
    assert made.funnel is not None
    assert made.funnel.candidates == 3 + len(list(made.rejections)) == heard[-1].candidates
    assert (heard[-1].accepted, heard[-1].wanted) == (3, 3)


def test_a_run_is_loaded_from_its_folder_or_the_one_above(terminal: Terminal) -> None:
    """With its rows as records; of several, or none, it is said which."""
    folder = terminal.folder / "here"
    (made,) = run(terminal.task(), n=2, output_dir=folder)
    loaded = load_run(folder)
    assert loaded == load_run(made.folder) == made
    row = next(loaded.rows)
    assert row.pair_verdict.rating in (2, 3)
    assert row.id == json.loads((made.folder / "data.jsonl").read_text("utf-8").splitlines()[0])["id"]
    run(terminal.task("test/jays"), n=1, output_dir=folder)
    with pytest.raises(RunDirError, match=r"holds 2 runs, such as .*; give the directory of one"):
        load_run(folder)
    (terminal.folder / "empty").mkdir()
    with pytest.raises(SkillsError, match="holds no run"):
        load_run(terminal.folder / "empty")


def test_a_replay_needs_no_torch_and_a_run_says_so(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the recording's journal has is not computed; what has to be, is not begun: one sentence, and nothing is written."""
    here, again = terminal.folder / "here", terminal.folder / "again"
    (made,) = run(terminal.task(), n=2, output_dir=here)

    class Absent(HashEmbedder):
        def load(self) -> None:
            require_packages()

    for module in COMPUTING:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr("skills_dspy.commands.api.run.embedder_of", lambda *_: AsyncEmbedder(Absent()))
    (replayed,) = run(replay=here, output_dir=again)
    monkeypatch.setattr("skills_dspy.commands.api.run.embedder_of", embedder_of)
    for name in ("data.jsonl", "rejected.jsonl"):
        assert (made.folder / name).read_bytes() == (replayed.folder / name).read_bytes()
    with pytest.raises(
        EmbedderMissing, match="computes no vectors, because torch, transformers, sentence-transformers are not"
    ):
        run(terminal.task(), n=2, output_dir=terminal.folder / "live")
    assert not (terminal.folder / "live").exists()


def test_the_teacher_s_licence_stands_in_run_json_and_in_that_of_a_replay(terminal: Terminal) -> None:
    """By the name of the model, beside the server that told it; where none is told, there is no word of it."""

    class Licensed(FakeServer):
        async def model(self, name: str) -> Model:
            return replace(await super().model(name), licence="mit" if name == "big" else None)

    terminal.make_server = Licensed
    here, again = terminal.folder / "here", terminal.folder / "again"
    (made,) = run(terminal.task(), n=1, output_dir=here, model="big", tagger_model="small")
    (replayed,) = run(replay=here, output_dir=again)
    assert [told.content["server"]["licences"] for told in (made, replayed)] == [{"big": "mit"}, {"big": "mit"}]
    (made,) = run(terminal.task(), n=1, output_dir=here, model="small", restart=True)
    assert "licences" not in made.content["server"]


def test_it_can_be_awaited_and_called_in_a_notebook(terminal: Terminal) -> None:
    """An event loop may run already: one awaits, or waits for a thread that has a loop of its own."""
    task = terminal.task()

    async def notebook() -> tuple[tuple[Run, ...], tuple[Run, ...]]:
        awaited = await arun(task, n=1, output_dir=terminal.folder / "one")
        return awaited, run(task, n=1, output_dir=str(terminal.folder / "two"))

    for (made,) in asyncio.run(notebook()):
        assert made.complete


def test_what_cannot_be_done_is_one_of_our_errors(terminal: Terminal) -> None:
    """No exit code, no traceback of somebody else's; where a limit stops a run, its status says so."""
    with pytest.raises(RequestError, match="no task is given"):
        run()
    with pytest.raises(SkillsError, match=r"nowhere\.yaml"):
        run(terminal.folder / "nowhere.yaml")
    limits = terminal.write("short.yaml", "draws:\n  max_draws: 1\n")
    (made,) = run(terminal.task(), n=50, config=limits, output_dir=terminal.folder / "short")
    assert made.status == "stopped: 1 draws were made (draws.max_draws)"
    assert not made.complete


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"n": 0}, "-n is 0; give a whole number from 1 to 10000000"),
        ({"n": -1}, "-n is -1; give"),
        ({"n": 2.5}, "-n is 2.5; give"),
        ({"n": True}, "-n is True; give"),
        ({"concurrency": 0}, "--concurrency is 0; give a whole number from 1 to 1024"),
        ({"concurrency": 1025}, "--concurrency is 1025; give"),
        ({"api": "bogus"}, "--api is 'bogus'; give ollama or openai"),
        ({"think": "bogus"}, '--think is "bogus"; give off, on, low, medium, high or unset'),
    ],
)
def test_what_the_command_line_refuses_is_refused(terminal: Terminal, asked: dict[str, Any], said: str) -> None:
    """Before anything is asked or written, with the words of the options."""
    for ask in (run, check):
        with pytest.raises(RequestError, match=f"^{re.escape(said)}"):
            ask(terminal.task(), output_dir=terminal.folder / "here", **asked)
    assert (terminal.servers, (terminal.folder / "here").exists()) == ([], False)


@pytest.mark.parametrize("seed", [-1, 2**63, 0.5])
def test_a_seed_is_what_it_is_for_the_command_line(terminal: Terminal, seed: int) -> None:
    """0 or more, and no more than a journal can hold, of a run and of an export."""
    said = re.escape(f"--seed is {seed}; give a whole number from 0 to {2**63 - 1}")
    with pytest.raises(RequestError, match=said):
        run(terminal.task(), seed=seed, output_dir=terminal.folder / "here")
    with pytest.raises(RequestError, match=said):
        export(terminal.folder, terminal.folder / "out", test_share=0.5, seed=seed)


@pytest.mark.parametrize("ask", [run, check])
@pytest.mark.parametrize(
    ("told", "asked"),
    [(None, "http://127.0.0.1:11434"), (' "elsewhere:1"\n', "elsewhere:1"), ("http://[::", "")],
    ids=["nothing", "a host", "no host"],
)
def test_ollama_host_says_who_is_asked(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, told: str | None, asked: str, ask: Any
) -> None:
    """Else it is the Ollama of this machine; what is no address is named, and nobody is asked."""
    if told is not None:
        monkeypatch.setenv("OLLAMA_HOST", told)
    if not asked:
        with pytest.raises(RequestError, match=r"^OLLAMA_HOST in the environment is no address of a server; write it like"):
            ask(terminal.task(), n=1)
        return
    ask(terminal.task(), n=1)
    assert {server.host for server in terminal.servers} == {asked}


@pytest.mark.parametrize(("set_to", "patience"), [(None, 15.0), (3, 3.0)])
def test_a_check_has_no_more_patience_than_who_waits_for_it(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, set_to: int | None, patience: float
) -> None:
    """From Python and as a command, whatever a run is told to have; less stays less."""
    patiences: list[float] = []

    def server(_: str, config: Any, **__: Any) -> FakeServer:
        patiences.append(config.patience)
        return FakeServer()

    monkeypatch.setattr("skills_dspy.commands.api.server.OllamaServer", server)
    config = None if set_to is None else terminal.write("config.yaml", f"server:\n  patience: {set_to}\n")
    check(terminal.task(), n=1, config=config)
    terminal.type("check", "--task-paths", terminal.task(), *(() if config is None else ("--config", config)))
    assert set(patiences) == {patience}
    assert len(patiences) == 2


def test_an_export_that_cannot_be_is_refused(terminal: Terminal) -> None:
    """As the command line refuses it; nothing is written."""
    (made,) = run(terminal.task(), n=1, output_dir=terminal.folder / "here")
    refused: list[tuple[dict[str, Any], str]] = [
        ({"test_share": 2.0}, "--test-share is 2.0; give a number above 0 and below 1"),
        ({"test_share": 0}, "--test-share is 0; give"),
        ({"test_share": float("nan")}, "--test-share is nan; give"),
        ({"test_share": "half"}, "--test-share is 'half'; give"),
        ({"format": "bogus"}, "--format is 'bogus'; give messages, alpaca, sharegpt, instructlab, parquet, hf, kto or dpo"),
    ]
    for asked, said in refused:
        with pytest.raises(RequestError, match=f"^{re.escape(said)}"):
            export(made.folder, terminal.folder / "out", **asked)
    assert not (terminal.folder / "out").exists()


def test_one_file_of_evaluation_questions_is_one_path(terminal: Terminal) -> None:
    """As one task file is, and no list of letters."""
    questions = terminal.write("evals.jsonl", '{"question": "What is a wren, and where does it nest?"}\n')
    (made,) = run(terminal.task(), n=1, output_dir=terminal.folder / "here", decontaminate=str(questions))
    assert [file["name"] for file in made.content["decontamination"]["files"]] == ["evals.jsonl"]


def test_rows_are_exported(terminal: Terminal) -> None:
    """Of one run or several, to where it was asked; what is told on the way is a function's affair."""
    heard: list[tuple[str, int]] = []
    (made,) = run(terminal.task(), n=4, output_dir=terminal.folder / "here")
    done = export(
        made.folder, terminal.folder / "out", format="alpaca", test_share=0.5, on_progress=lambda *told: heard.append(told)
    )
    assert sum(done.rows.values()) == 4
    assert {path.name for path in done.out.iterdir()} == {"train.jsonl", "test.jsonl"}
    assert heard[-1] == ("writing", 4)
    with pytest.raises(SkillsError):
        export(made.folder, terminal.folder / "out", format="alpaca", test_share=0.5)
    with pytest.raises(SkillsError, match="decide RUN --pairs K"):
        export(made.folder, terminal.folder / "pairs", format="dpo")
    with pytest.raises(SkillsError, match="--reviewed-only leaves out"):
        export(made.folder, terminal.folder / "kto", format="kto", reviewed_only=True)
    with pytest.raises(SkillsError, match="use --format hf instead of alpaca"):
        export(made.folder, terminal.folder / "rates", format="alpaca", judge_report=terminal.folder / "judges.json")
    labelled = export(made.folder, terminal.folder / "kto", format="kto")
    assert sum(labelled.rows.values()) >= 4


def test_what_a_night_would_need_is_checked(terminal: Terminal) -> None:
    """As the command says it: each line as it is found, and all of it at the end."""
    lines: list[Line] = []
    report = check(terminal.task(), n=5, on_progress=lines.append)
    assert tuple(lines) == report.lines
    assert report.ready == (report.count("FAIL") == 0)
    assert lines[0].name == "host"
    assert asyncio.run(acheck(terminal.task())).lines[0] == lines[0]
    assert terminal.capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["arun", "run", "acheck", "check", "aexport", "export", "load_run"])
def test_each_function_says_what_it_takes(name: str) -> None:
    """Names, types and a text, for `help`, editors and mypy; and the name means the function, whatever was imported."""
    function: Callable[..., Any] = getattr(skills_dspy, name)
    assert callable(function)
    assert function.__name__ == name
    assert "Raises:" in (function.__doc__ or "")
    assert all(
        parameter.annotation is not inspect.Parameter.empty for parameter in inspect.signature(function).parameters.values()
    )
    assert name in dir(skills_dspy)


def test_callbacks_of_dspy_hear_of_each_call(terminal: Terminal) -> None:
    """Of the program, its predictors, the model with its reply, and the adapter: what MLflow and OpenInference listen to."""
    heard: list[str] = []

    class Listener(BaseCallback):  # type: ignore[misc] # dspy ships no types
        """Notes what it hears."""

        def on_module_start(self, instance: Any, **_: Any) -> None:
            """A program or a predictor begins."""
            heard.append(type(instance).__name__)

        def on_lm_start(self, instance: Any, inputs: dict[str, Any], **_: Any) -> None:
            """A model is asked."""
            heard.append(f"{instance.model} {inputs['messages'][0]['role']}")

        def on_lm_end(self, outputs: Any, exception: Exception | None, **_: Any) -> None:
            """It has answered."""
            heard.append("a text" if exception is None and outputs[0] else "none")

        def on_adapter_parse_end(self, **_: Any) -> None:
            """A reply was read."""
            heard.append("parsed")

    with dspy.context(callbacks=[Listener()]):
        run(terminal.task(), n=1, output_dir=terminal.folder / "here")
    assert {"SkillsProgram", "Predict", "mistral-small3.2 system", "a text", "parsed"} <= set(heard)
    assert heard.count("SkillsProgram") == heard.count("mistral-small3.2 system")


def test_the_example_of_the_guide_runs(terminal: Terminal) -> None:
    """All blocks of docs/python.md, one after the other, as in a notebook, with a stand-in for the server."""
    terminal.task()
    terminal.write("skill.yaml", (terminal.folder / "foxes.yaml").read_text("utf-8"))
    blocks = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    script = terminal.write("example.py", "\n".join(blocks))
    out = io.StringIO()
    with redirect_stdout(out):
        runpy.run_path(str(script))
    assert "5 of 5" in out.getvalue()
