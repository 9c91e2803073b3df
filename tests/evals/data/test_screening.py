"""How near seeds are to each other: the figures that the bounds of the screens are set by."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from evals.data.screening import extremes_of, main
from skills_dspy.base.records import SeedExample
from tests.helpers.making import a_config, a_spec

SHARED = "tell me in a few plain words how it came about"
SEEDS = (
    SeedExample(question=f"Foxes are red: {SHARED}.", answer="one two three four"),
    SeedExample(question=f"Snow is white: {SHARED}.", answer="five six"),
    SeedExample(question="Why is the sea salt?", answer="seven eight nine ten eleven twelve thirteen fourteen"),
)


def test_each_seed_is_taken_as_new_beside_the_others() -> None:
    """The longest run that just one other seed has, and lengths over those of the others."""
    found = extremes_of([a_spec(SEEDS)], a_config().screens)
    assert (found.tasks, found.seeds, found.rejected) == (1, 3, [])
    assert found.copied == (11.0, "test/foxes seed:1 question")
    assert found.longest == (2.0, "test/foxes seed:2 answer")
    assert found.shortest == (5 / 14, "test/foxes seed:2 question")


def test_what_the_bounds_reject_is_named() -> None:
    """Here by a bound that is too strict for these seeds."""
    found = extremes_of([a_spec(SEEDS)], a_config({"screens": {"copied_words": 11}}).screens)
    assert [line.split(": ")[:2] for line in found.rejected] == [[f"test/foxes seed:{k} question", "copy"] for k in (0, 1)]


def test_seeds_about_one_text_are_not_compared() -> None:
    """They share its words by their nature."""
    text = "The fox that lives behind the mill has three cubs and no fear."
    seeds = [SeedExample(question=f"{word} it.", answer=f"{word}: {text}", context=text) for word in ("Say", "Read", "Sing")]
    assert extremes_of([a_spec(seeds)], a_config().screens).copied == (0, "-")


def test_no_shipped_seed_is_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    """The command prints the figures, the place of each, and that the built-in bounds leave people's own texts alone."""
    main([str(Path(__file__).parents[3] / "task_specs" / "writing")], standalone_mode=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(" seeds of 3 tasks, each as if it were new beside the others")
    assert [line.split()[0] for line in lines[1:5]] == ["copied", "echoed", "longest", "shortest"]
    assert lines[5:] == ["rejected by the built-in bounds: 0"]


def test_its_help_and_its_errors_are_words(tmp_path: Path) -> None:
    """`--help` is no path, and what is wrong with one is a sentence with exit code 2."""
    said = CliRunner().invoke(main, ["--help"])
    assert (said.exit_code, "takes each seed as if a model had" in said.output) == (0, True)
    (tmp_path / "broken.yaml").write_text("task_name: [")
    said = CliRunner().invoke(main, [str(tmp_path / "broken.yaml")])
    assert (said.exit_code, said.output.startswith("error: "), isinstance(said.exception, SystemExit)) == (2, True, True)
