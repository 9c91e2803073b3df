"""`run --hold-out K`: seeds that no prompt shows, named in run.json, and the same in all that goes on from the run."""

import json

from tests.helpers.exporting import write_run
from tests.helpers.reporting import reported
from tests.helpers.terminal import Terminal


def test_seeds_that_are_held_out_are_in_no_prompt_and_in_run_json(terminal: Terminal) -> None:
    """Two of five stay out; a resume goes on with the same two, and with another number it is refused."""
    task = terminal.task()
    said = terminal.run("--task-paths", task, "-n", 3, "--hold-out", 2)
    assert (said.code, "\nHeld out: 2 of 5 seeds, which no prompt shows.\n" in said.out) == (0, True), said.out
    content = terminal.run_json()
    held, kept = content["held_out"], content["task"]["seed_examples"]
    assert (len(held), len(kept), content["inputs"]["hold_out"]) == (2, 3, 2)
    assert "held_out" not in content["task"]
    prompts = "\n".join(terminal.servers[-1].prompts)
    assert not any(seed["question"] in prompts or seed["answer"] in prompts for seed in held)
    assert all(seed["question"] in prompts for seed in kept)
    assert terminal.run("--task-paths", task, "-n", 4, "--hold-out", 2).code == 0
    assert terminal.run_json()["held_out"] == held
    for option, now in ((("--hold-out", 1), "1"), ((), "none")):
        said = terminal.run("--task-paths", task, "-n", 4, *option)
        assert said.code == 2
        assert f"begun with other inputs (seeds held out: 2 then, {now} now): use --restart" in said.err


def test_without_the_option_a_run_is_what_it_was(terminal: Terminal) -> None:
    """No key of run.json tells of it, nor the summary, and such a run does not go on with seeds held out."""
    task = terminal.task()
    said = terminal.run("--task-paths", task, "-n", 1)
    assert (said.code, "eld out" in said.out) == (0, False)
    content = terminal.run_json()
    assert "held_out" not in content
    assert "hold_out" not in content["inputs"]
    said = terminal.run("--task-paths", task, "-n", 1, "--hold-out", 1)
    assert (said.code, "(seeds held out: none then, 1 now)" in said.err) == (2, True)


def test_summary_json_explain_and_report_say_how_many(terminal: Terminal) -> None:
    """Of one task and of many together; a page says it among the facts of each run, and nothing where none was."""
    tasks = [terminal.task(f"test/{name}") for name in ("foxes", "jays", "newts", "owls")]
    said = terminal.run("--task-paths", *tasks, "-n", 1, "--hold-out", 2, "--json")
    assert [task["held_out"] for task in json.loads(said.out)["tasks"]] == [2] * 4
    said = terminal.run("--task-paths", *tasks, "-n", 1, "--hold-out", 2)
    assert "Held out: 8 of 20 seeds, which no prompt shows." in said.out
    story = terminal.type("explain", terminal.rows()[0][0]["id"], "--output-dir", terminal.output).out
    assert "held out 2 of 5 seeds, which no prompt shows" in story
    page = reported(terminal.folder / "r.html", terminal.output)
    assert [dict(view["facts"])["seeds held out"] for view in page.summary["views"]] == ["8 of 20", *["2 of 5"] * 4]
    one = reported(terminal.folder / "other.html", write_run(terminal.folder / "other"))
    assert "seeds held out" not in dict(one.summary["views"][0]["facts"])


def test_replay_and_decide_keep_what_was_held_out(terminal: Terminal) -> None:
    """Both make their dataset of the same seeds, named or not, and say again which ones stayed out."""
    task = terminal.task()
    terminal.run("--task-paths", task, "-n", 3, "--hold-out", 2)
    made = terminal.paths()
    held = terminal.run_json()["held_out"]
    for folder, words in ((terminal.folder / "again", ()), (terminal.folder / "named", ("--task-paths", task))):
        said = terminal.type("run", "--replay", terminal.output, "--output-dir", folder, *words)
        assert said.code == 0, said.err
        assert terminal.run_json(folder)["held_out"] == held
        assert terminal.paths(output=folder).data.read_bytes() == made.data.read_bytes()
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
