"""The dataset card: valid for the Hub, and honest about what is in the dataset and what is not."""

import re
from typing import Any

import pytest
import yaml
from huggingface_hub import DatasetCardData

from skills_dspy.commands.export.card import Tally, card, size_category
from skills_dspy.commands.export.facts import facts_of
from skills_dspy.commands.export.split import Split, SplitBasis
from skills_dspy.store.run_json import RunJson
from tests.helpers.exporting import a_record, a_run_json, some_records


def a_card(*runs: dict[str, Any], split: Split | None = None, repeated: int = 0, mended: int = 0) -> str:
    """The card of runs with three rows each."""
    facts = [facts_of(RunJson.of(run)) for run in runs]
    tally = Tally()
    for fact in facts:
        for number, record in enumerate(some_records(task=fact.task_name)):
            tally.add(record, "test" if split is not None and number == 0 else "train")
    tally.repeated, tally.mended = repeated, mended
    tally.compared = SplitBasis(split, limit=0.05, by_words=0, models=1) if split else None
    return card(facts, tally)


def front(text: str) -> dict[str, Any]:
    """The YAML above a card."""
    found: dict[str, Any] = yaml.safe_load(text.split("---\n")[1])
    DatasetCardData(**found)
    return found


def test_a_card_says_how_the_dataset_was_made() -> None:
    """Models with digests, prompts, thresholds, funnel, tags, the embedder, the split."""
    text = a_card(a_run_json(), split=Split(0.25, 7), repeated=2, mended=1)
    for said in (
        "3 instruction-response pairs for 1 skill, of which 1 are about a context",
        "| freeform | write_questions | `aaaa` | as shipped |",
        "share of 0.25 and the seed 7",
        "| test/foxes | 2 | 1 |",
        "2 rows were left out",
        "In 1 rows half a character",
        "Ollama 0.9.9",
    ):
        assert said in text
    assert front(text)["configs"][0]["data_files"] == [
        {"split": "train", "path": "data/train-*.parquet"},
        {"split": "test", "path": "data/test-*.parquet"},
    ]


def test_a_card_names_the_evaluation_questions_that_rows_were_kept_clear_of() -> None:
    """Also when none was too near, which leaves no line in the funnel; and for which tasks there was no such comparison."""
    run = a_run_json()
    file = {"name": "exam.jsonl", "path": "/home/me/exam.jsonl", "sha256": "e" * 64, "questions": 12}
    run["decontamination"] = {"files": [file], "questions": 12, "ngram": 13, "max_cosine": 0.9, "contaminated_seeds": []}
    text = a_card(run, a_run_json("test/owls"))
    assert "| test/foxes | exam.jsonl | 12 | `" + "e" * 64 + "` | 13 | 0.9 |" in text
    assert "| test/owls | none |" in text
    assert "/home/me" not in text
    run["decontamination"] |= {"max_cosine": None, "contaminated_seeds": [{"seed": "seed:0", "detail": "it holds"}]}
    text = a_card(run)
    assert "| 13 | not compared |" in text
    assert "1 seed of test/foxes is contaminated itself" in text
    assert "not compared with any benchmark" not in text
    assert "Rows were not compared with any benchmark." in a_card(a_run_json())


def test_the_front_names_the_languages_of_the_rows() -> None:
    """Those of a tenth of the rows or more, the most frequent first; none where none can be told."""
    tally = Tally()
    texts = ["Explain why the sky looks blue to us."] * 12 + ["Warum sieht der Himmel für uns eigentlich blau aus?"] * 3
    for text in [*texts, "Pourquoi le ciel nous paraît-il donc bleu ?"]:
        tally.add(a_record(question=text, answer=text), "train")
    assert front(card([facts_of(RunJson.of(a_run_json()))], tally))["language"] == ["en", "de"]
    assert "language" not in front(a_card(a_run_json()))


def test_a_description_that_a_model_derived_is_shown_as_that() -> None:
    """It stands in every row, so the card cannot say that there is none."""
    run = a_run_json()
    run["task"]["task_description"] = ""
    run["derived_description"] = "All about foxes."
    assert "| test/foxes | All about foxes. (derived by the generator) | 2 |" in a_card(run)


def test_a_card_tells_nothing_of_the_machine() -> None:
    """No host and no time: it may be published, and the same runs give the same card."""
    text = a_card(a_run_json())
    assert "secret-host" not in text
    assert not re.search(r"\d{4}-\d\d-\d\d", text)
    assert text == a_card(a_run_json())


@pytest.mark.parametrize(
    ("note", "version"),
    [
        ("replies written by hand", "replay"),
        (None, "0.0.0-simulated"),
        ("mine", "0.0.0-simulated"),
        ("Ollama 0.0.0-fake", "replay"),
    ],
)
def test_replies_that_no_model_gave_are_called_that(note: str | None, version: str) -> None:
    """In two places, so that nobody takes them for a model's."""
    run = a_run_json(note=note)
    run["server"]["version"] = version
    text = a_card(run)
    assert "**No language model wrote these rows**" in text
    assert "**These rows say nothing about any language model**" in text
    assert (note or "simulated teacher") in text
    assert "No language model wrote" not in a_card(a_run_json())


def test_a_replay_whose_note_tells_nothing_says_it_itself() -> None:
    """The version that told it is the recording's, which is not there any more."""
    run = a_run_json(note="mine")
    run["server"] = {**run["server"], "version": "replay", "no_model": True}
    assert "**No language model wrote these rows**" in a_card(run)


@pytest.mark.parametrize(
    ("note", "version"),
    [("Ollama 0.33.0 with the model fakir:1b", "0.33.0"), ("Ollama 0.33.0", "replay"), ("OpenAI API (vLLM 0.11.0)", "replay")],
)
def test_a_note_alone_does_not_say_that_no_model_answered(note: str, version: str) -> None:
    """Every replay has one: it names who answered the recording, which most often is a model."""
    run = a_run_json(note=note)
    run["server"]["version"] = version
    text = a_card(run)
    assert f"- {note}." in text
    assert "No language model" not in text
    assert "say nothing about any language model" not in text


@pytest.mark.parametrize(
    ("licences", "said"),
    [
        ([None], "unknown"),
        (["Apache-2.0"], "apache-2.0"),
        (["Apache-2.0", "CC-BY-4.0"], ["apache-2.0", "cc-by-4.0"]),
        (["Apache-2.0", None], "other"),
        (["My own: none"], "other"),
    ],
)
def test_the_licence_is_that_of_the_seeds(licences: list[str | None], said: object) -> None:
    """By the Hub's names where it has them; what nobody stated is not made up."""
    text = a_card(*(a_run_json(f"test/t{n}", licence=licence) for n, licence in enumerate(licences)))
    assert front(text)["license"] == said
    for n, licence in enumerate(licences):
        assert f"| test/t{n} | {licence or 'not stated'} |" in text


def test_the_licences_of_the_models_are_told_where_they_are_known() -> None:
    """Under those of the seeds, once for each model; a card without any is what it was."""
    run, other = a_run_json(), a_run_json("test/owls")
    before = a_card(run)
    run["server"]["licences"] = other["server"]["licences"] = {"big": "Apache License, Version 2.0, January 2004"}
    assert a_card(run, other).count("| big | Apache License, Version 2.0, January 2004 |\n") == 1
    first, last = a_card(run).split("\nOf the models, by the first lines that their server or file has of it:\n\n")
    assert first + last.split("2004 |\n", 1)[1] == before


def test_texts_of_users_stay_in_their_cells() -> None:
    """A description with a bar, line breaks or HTML breaks no table, a name with a quote no YAML."""
    run = a_run_json('test/the "x": y')
    run["task"]["task_description"] = "a | b\n\n# c <script>"
    text = a_card(run)
    assert "a \\| b # c &lt;script>" in text
    assert front(text)["pretty_name"] == 'Synthetic instructions: the "x": y'


def test_a_run_of_an_older_version_has_a_card() -> None:
    """What it did not write down is not stated."""
    text = a_card({"task": {"task_name": "test/old", "seed_examples": [{"question": "q", "answer": "a"}]}})
    assert "- not stated." in text
    assert front(text)["license"] == "unknown"


@pytest.mark.parametrize(
    ("rows", "name"), [(1, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (999_999, "100K<n<1M"), (20_000_000, "10M<n<100M")]
)
def test_sizes_have_the_hubs_names(rows: int, name: str) -> None:
    """Lower bounds belong to the larger class."""
    assert size_category(rows) == name
