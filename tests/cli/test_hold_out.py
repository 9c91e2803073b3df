"""`run --hold-out K`: seeds that no prompt shows, named in run.json, and the same in all that goes on from the run."""

import json
from typing import Any

from skills_dspy.store.run_dir import RunPaths
from tests.helpers.terminal import Terminal

NAME = "test/foxes"


def run_json(terminal: Terminal, folder: str = "output") -> dict[str, Any]:
    """What the run of the task says of itself."""
    content: dict[str, Any] = json.loads(RunPaths(terminal.folder / folder / NAME).run_json.read_bytes())
    return content


def test_seeds_that_are_held_out_are_in_no_prompt_and_in_run_json(terminal: Terminal) -> None:
    """Two of five stay out; a resume goes on with the same two, and with another number it is refused."""
    task = terminal.task()
    assert terminal.run("--task-paths", task, "-n", 3, "--hold-out", 2).code == 0
    content = run_json(terminal)
    held, kept = content["held_out"], content["task"]["seed_examples"]
    assert (len(held), len(kept), content["inputs"]["hold_out"]) == (2, 3, 2)
    assert "held_out" not in content["task"]
    prompts = "\n".join(terminal.servers[-1].prompts)
    assert not any(seed["question"] in prompts or seed["answer"] in prompts for seed in held)
    assert all(seed["question"] in prompts for seed in kept)
    assert terminal.run("--task-paths", task, "-n", 4, "--hold-out", 2).code == 0
    assert run_json(terminal)["held_out"] == held
    for option, now in ((("--hold-out", 1), "1"), ((), "none")):
        said = terminal.run("--task-paths", task, "-n", 4, *option)
        assert said.code == 2
        assert f"begun with other inputs (seeds held out: 2 then, {now} now): use --restart" in said.err


def test_without_the_option_a_run_is_what_it_was(terminal: Terminal) -> None:
    """No key of run.json tells of it, and such a run does not go on with seeds held out."""
    task = terminal.task()
    assert terminal.run("--task-paths", task, "-n", 1).code == 0
    assert "held_out" not in run_json(terminal)
    assert "hold_out" not in run_json(terminal)["inputs"]
    said = terminal.run("--task-paths", task, "-n", 1, "--hold-out", 1)
    assert (said.code, "(seeds held out: none then, 1 now)" in said.err) == (2, True)


def test_replay_and_decide_keep_what_was_held_out(terminal: Terminal) -> None:
    """Both make their dataset of the same seeds, named or not, and say again which ones stayed out."""
    task = terminal.task()
    terminal.run("--task-paths", task, "-n", 3, "--hold-out", 2)
    made = RunPaths(terminal.output / NAME)
    held = run_json(terminal)["held_out"]
    for folder, words in (("again", ()), ("named", ("--task-paths", task))):
        said = terminal.type("run", "--replay", terminal.output, "--output-dir", terminal.folder / folder, *words)
        assert said.code == 0, said.err
        assert run_json(terminal, folder)["held_out"] == held
        assert RunPaths(terminal.folder / folder / NAME).data.read_bytes() == made.data.read_bytes()
    decided = terminal.folder / "decided"
    assert terminal.type("decide", made.folder, "--out", decided, "--min-pair-rating", 1).code == 0
    assert json.loads((decided / "run.json").read_bytes())["held_out"] == held


def test_too_few_seeds_are_said_in_one_sentence(terminal: Terminal) -> None:
    """Before anything is written."""
    said = terminal.run("--task-paths", terminal.task(), "-n", 1, "--hold-out", 5)
    assert said.code == 2
    assert said.err.splitlines()[-1].endswith(
        "there are 5 seeds, and 5 cannot stay out of a run that needs one of each kind; give --hold-out 4 or less, or write "
        "more seeds"
    )
    assert not terminal.output.exists()
