"""The command `eval data`: what it prints, JSON, Markdown, two side by side, bad input, and that it is quick enough."""

import cProfile
import json
import pstats
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from evals.bench.hash_embedder import HashEmbedder
from evals.data.rows import Row
from skills_dspy.base.errors import EmbedderMissing
from skills_dspy.cli import evaluate
from tests.evals.data.test_collapse import varied
from tests.helpers.scored import HASH, a_line, a_seed, write_run
from tests.helpers.terminal import TASK, Said, Terminal

SEEDS = (a_seed("What is a fox?", "An animal."), a_seed("What is a badger?", "Another animal."))


class NamedEmbedder(HashEmbedder):
    """Stands in for the model of any name; `nowhere` is nowhere."""

    def __init__(self, name: str, _device: str) -> None:
        self.name = name

    def load(self) -> None:
        """Be there, but for one."""
        if self.name == "nowhere":
            raise EmbedderMissing("the embedding model 'nowhere' is no folder")

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed, unless it is nowhere."""
        self.load()
        return super().embed(texts)


@pytest.fixture
def terminal(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal with a stand-in for the embedding model."""
    monkeypatch.setattr(evaluate, "SentenceEmbedder", NamedEmbedder)
    return terminal


def typed(terminal: Terminal, *words: object) -> Said:
    """Type `eval data` with words behind it."""
    return terminal.type("eval", "data", *words)


def scored(terminal: Terminal, *words: object) -> dict[str, Any]:
    """What `--json` gives."""
    said = typed(terminal, *words, "--json")
    assert said.code == 0, said.err
    content: dict[str, Any] = json.loads(said.out)
    return content


def written(name: str, text: str) -> Path:
    """Write a file where the terminal is, to be named as it is there."""
    path = Path(name)
    path.write_text(text, "utf-8")
    return path


def a_file(name: str, rows: Sequence[Row]) -> Path:
    """Write a file of question and answer."""
    return written(name, "".join(json.dumps({"question": row.question, "answer": row.answer}) + "\n" for row in rows))


def a_run(name: str, count: int = 12) -> Path:
    """Write a run of a task, all of whose vectors are remembered."""
    lines = [
        a_line(f"What is it that {name} do in the wood on day {n}?", f"It runs and sleeps {n} times.") for n in range(count)
    ]
    texts = [*(line["instruction"] for line in lines), *(seed.question for seed in SEEDS)]
    return write_run(Path("output") / name, lines, SEEDS, name=f"test/{name}", remember=texts).folder


# -- one dataset --------------------------------------------------------------------------------------------------------


def test_a_run_is_printed_with_all_its_parts(terminal: Terminal) -> None:
    """On stdout, and nothing on stderr."""
    said = typed(terminal, a_run("foxes"))
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("\ntest/foxes\n12 rows, complete: output/foxes\nAnswered by: Ollama 0.0.0\nVectors by hash")
    for part in ("Yield by stage", "  soft ", "Vendi score", "question, cosine", "seed:1", "Words", "English"):
        assert part in said.out
    assert "12 of 14 candidates were accepted (86%)." in said.out


def test_a_run_needs_no_embedding_model(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """It remembers its vectors; another model has to be there."""

    def refuse(_: NamedEmbedder) -> None:
        raise EmbedderMissing("there is none")

    monkeypatch.setattr(NamedEmbedder, "load", refuse)
    run = a_run("foxes")
    assert scored(terminal, run)["datasets"][0]["diversity"]["vendi"] > 1
    assert typed(terminal, run, "--embedder", "another").code == 2


def test_a_folder_with_runs_gives_each(terminal: Terminal) -> None:
    """By path."""
    for name in ("foxes", "badgers"):
        a_run(name)
    content = scored(terminal, "output")
    assert [found["name"] for found in content["datasets"]] == ["test/badgers", "test/foxes"]
    assert list(content) == ["sample_seed", "datasets"]


def test_seeds_of_a_task_file_show_how_new_a_file_is(terminal: Terminal) -> None:
    """What a run knows by itself."""
    task = written("foxes.yaml", TASK.format(name="test/foxes"))
    rows = a_file("rows.jsonl", [Row("What is a fox?", "An animal."), Row("Who sings?", "Nobody.")])
    (found,) = scored(terminal, rows, "--seeds", task)["datasets"]
    assert found["novelty"]["question_rouge_l"]["share_from"] == {"0.5": 0.5, "0.7": 0.5}
    assert found["novelty"]["question_cosine"]["share_from"]["0.9"] == 0.5
    assert len(found["coverage"]["seeds"]) == 5
    said = typed(terminal, rows, "--seeds", task)
    assert "Coverage of the seeds, by cosine" in said.out


def test_collapse_is_said_first(terminal: Terminal) -> None:
    """In words."""
    rows = [Row(f"Write a debate between {row.question}", row.answer) for row in varied(40)]
    said = typed(terminal, a_file("rows.jsonl", rows), "--no-vectors")
    collapse = "\nCollapse\n100% of the 40 questions start with the same four words (write a debate between).\n"
    assert collapse in said.out
    assert said.out.index("Collapse") < said.out.index("Diversity")
    assert "Collapse" not in typed(terminal, a_run("foxes", 8)).out


def test_another_seed_draws_another_sample(terminal: Terminal) -> None:
    """Which is named."""
    rows = a_file("rows.jsonl", varied(60))
    one, other = (scored(terminal, rows, "--sample", 10, "--seed", seed) for seed in (1, 2))
    assert (one["sample_seed"], other["sample_seed"]) == (1, 2)
    assert one["datasets"][0]["sample"] == 10
    assert one["datasets"][0]["diversity"] != other["datasets"][0]["diversity"]
    assert one["datasets"][0]["words"] == other["datasets"][0]["words"]


def test_markdown_goes_into_a_file(terminal: Terminal) -> None:
    """Beside the tables, or beside JSON."""
    run = a_run("foxes")
    said = typed(terminal, run, "--markdown", "score.md")
    assert said.out.endswith("\nWritten to score.md\n")
    page = Path("score.md").read_text("utf-8")
    assert "## Diversity" in page
    assert scored(terminal, run, "--markdown", "again.md")
    assert Path("again.md").read_text("utf-8") == page


# -- two side by side ---------------------------------------------------------------------------------------------------


def test_two_runs_are_put_side_by_side(terminal: Terminal) -> None:
    """Every number of both with the interval of their difference; all of each is in the JSON."""
    one, other = a_run("foxes", 30), a_run("badgers", 25)
    content = scored(terminal, one, "--compare", other)
    assert [found["name"] for found in content["datasets"]] == ["test/foxes", "test/badgers"]
    (comparison,) = content["comparisons"]
    assert (comparison["first"], comparison["second"]) == ("output/foxes", "output/badgers")
    numbers = {number["name"]: number for number in comparison["numbers"]}
    assert numbers["accepted, of all candidates"]["rows"] == [32, 27]
    assert numbers["Vendi score of the questions"]["rows"] == [12, 12]
    assert all(number["low"] <= number["high"] for number in numbers.values())
    said = typed(terminal, one, "--compare", other)
    assert "Side by side" in said.out
    assert "1 is output/foxes, 2 is output/badgers; the difference is 2 minus 1" in said.out


def test_a_file_beside_a_run_is_embedded_by_the_runs_model(terminal: Terminal) -> None:
    """So that their distances compare; in either order."""
    run, rows = a_run("foxes", 20), a_file("rows.jsonl", varied(20))
    for pair in ((run, rows), (rows, run)):
        content = scored(terminal, pair[0], "--compare", pair[1])
        assert {found["embedder"] for found in content["datasets"]} == {f"{HASH.name} {HASH.weights}"}
        names = [number["name"] for number in content["comparisons"][0]["numbers"]]
        assert "mean distance to the nearest" in names
        assert "pair verdict, mean" not in names


def test_folders_are_compared_task_by_task(terminal: Terminal) -> None:
    """Runs of one name belong together."""
    for name in ("foxes", "badgers"):
        a_run(name)
    content = scored(terminal, "output", "--compare", "output")
    assert [(found["first"], found["second"]) for found in content["comparisons"]] == [
        ("output/badgers", "output/badgers"),
        ("output/foxes", "output/foxes"),
    ]
    assert {number["difference"] for found in content["comparisons"] for number in found["numbers"]} == {0}


# -- bad input ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nowhere"], "nowhere: there is no such file or directory; give a run's directory or a file of rows"),
        (["hollow"], "hollow holds no run and no file of rows; give a run's directory or a file of rows"),
        (["empty.jsonl"], "empty.jsonl: the file is empty; each line should hold `instruction` with `response`"),
        (["broken.jsonl"], "broken.jsonl:2: this line is not JSON; write one object on each line"),
        (["rows.jsonl", "--seeds", "hollow"], "hollow: this is a folder"),
        (["output/foxes", "--seeds", "foxes.yaml"], "--seeds is for a file of rows"),
        (["output", "--compare", "rows.jsonl"], "output/badgers holds test/badgers, which has no partner"),
        (
            ["rows.jsonl", "--embedder", "nowhere"],
            "the embedding model 'nowhere' is no folder; or do without it with --no-vectors",
        ),
        (["rows.jsonl", "--embedder", "a", "--no-vectors"], "leave out one of the two"),
        (["rows.jsonl", "--markdown", "nowhere/score.md"], "there is no folder nowhere; make it first"),
        (["rows.jsonl", "--markdown", "hollow"], "hollow is a folder; give a file"),
        (["rows.jsonl", "--markdown", "rows.jsonl"], "rows.jsonl would take the place of what is read; give another file"),
        (["output/foxes", "--compare", "rows.jsonl", "--markdown", "rows.jsonl"], "would take the place of what is read"),
        (["rows.jsonl", "--seeds", "foxes.yaml", "--markdown", "foxes.yaml"], "would take the place of what is read"),
    ],
)
def test_what_cannot_be_scored_is_one_sentence(words: list[str], sentence: str, terminal: Terminal) -> None:
    """With exit code 2, and nothing on stdout."""
    Path("hollow").mkdir()
    a_run("foxes")
    a_run("badgers")
    written("foxes.yaml", TASK.format(name="test/foxes"))
    written("empty.jsonl", "\n")
    good = '{"question": "a", "answer": "b"}\n'
    written("rows.jsonl", good)
    written("broken.jsonl", good + '{"question": "a", "ans\n')
    said = typed(terminal, *words)
    assert said.code == 2
    assert sentence in said.err
    assert len(said.err.splitlines()) == 1
    assert said.out == ""


def test_a_name_that_is_no_text_can_be_shown(terminal: Terminal) -> None:
    """A file's name may be any bytes."""
    rows = a_file("f\udcffx.jsonl", varied(3))
    assert r"3 rows: f\udcffx.jsonl" in typed(terminal, rows, "--no-vectors").out
    assert scored(terminal, rows, "--no-vectors")["datasets"][0]["path"] == "f\udcffx.jsonl"


# -- size ---------------------------------------------------------------------------------------------------------------


def test_work_grows_with_the_rows_and_not_with_their_pairs(terminal: Terminal) -> None:
    """Nothing compares all with all in Python: three times the rows take three times as many calls at most, not nine."""
    task = written("foxes.yaml", TASK.format(name="test/foxes"))
    spent = []
    for count in (200, 600):
        rows = a_file("rows.jsonl", varied(count))
        with cProfile.Profile() as profile:
            assert typed(terminal, rows, "--seeds", task, "--json").code == 0
        spent.append(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined] # typeshed leaves it out
    assert spent[1] <= 3 * spent[0]
