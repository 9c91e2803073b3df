"""Whether an embedding model tells the seeds apart is said before a run."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from skills_dspy.base.config import load_config
from skills_dspy.base.records import SeedExample
from skills_dspy.commands.check.task_report import make_report
from skills_dspy.commands.check.vectors import find_vectors, unread_seeds
from skills_dspy.model.embedding.weights import WeightsFolder, packaged_minilm
from tests.helpers.making import FREEFORM, GROUNDED, a_config, a_spec
from tests.helpers.timed_server import TimedServer

THAI = tuple(SeedExample(question=text, answer="x") for text in ("ทำไมจึงมีฤดูฝน", "แนะนำมะม่วง"))


class Blind(TimedServer):
    """Has a model that gives all texts one vector."""

    def __init__(self) -> None:
        super().__init__(timed=False)
        self.embedded: list[str] = []

    async def embed(self, model: str, text: str) -> Sequence[float]:
        """Note the text."""
        self.embedded.append(text)
        return [float(len(model)), 0.0, 0.0]


def test_a_servers_model_that_sees_nothing_of_the_seeds_is_named() -> None:
    """Two Thai seeds get one vector; English ones are not asked for."""
    server, config = Blind(), a_config({"embedder": {"model": "ollama:all-minilm"}})
    specs = (a_spec((FREEFORM, GROUNDED)), a_spec(THAI, name="test/thai"))
    (said,) = asyncio.run(find_vectors(config, lambda _: None, lambda _: server, specs)).warnings
    assert said.startswith("test/thai: ollama:all-minilm gives two different texts of the seeds the same vector")
    assert "--embedder ollama:bge-m3" in said
    assert server.embedded[1:] == [seed.question for seed in THAI]


def test_a_model_of_this_machine_that_does_not_know_the_script_is_named() -> None:
    """With the share of unknown tokens and a model for many languages; nothing is said where no file tells."""
    spec, minilm = a_spec((*THAI, FREEFORM), name="test/thai"), "all-MiniLM-L6-v2"
    said = unread_seeds(spec, minilm)
    assert said is not None
    assert said.startswith("100% of the tokens of 2 of the texts of the seeds are unknown to the embedding model")
    assert "`--embedder paraphrase-multilingual-MiniLM-L12-v2`" in said
    assert unread_seeds(a_spec((FREEFORM, GROUNDED)), minilm) is None
    assert unread_seeds(spec, "nowhere/at-all") is None
    assert unread_seeds(spec, "ollama:all-minilm") is None
    folder = packaged_minilm()
    assert folder is not None
    here = WeightsFolder(folder, "package", "w")
    found = asyncio.run(find_vectors(a_config({}), lambda _: here, lambda _: Blind(), (spec, a_spec((FREEFORM,)))))
    assert found.warnings == (f"test/thai: {unread_seeds(spec, a_config({}).embedder.model)}",)


def test_tasks_warns_of_seeds_that_are_not_read(tmp_path: Path) -> None:
    """At the task's first line, by the rule's name; a broken file of a tokenizer is said there, too."""
    seeds = "".join(f"  - question: {seed.question}\n    answer: x\n" for seed in THAI)
    (tmp_path / "thai.yaml").write_text(
        f"task_name: test/thai\ncreated_by: me\ndata_builder: instructlab/skills\ntask_description: d\nseed_examples:\n{seeds}",
        "utf-8",
    )
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "tokenizer.json").write_text("{")
    for model, said in ((None, "100% of the tokens of the seeds are unknown"), (str(tmp_path / "model"), "cannot be read")):
        report = make_report([tmp_path / "thai.yaml"], load_config(models={"embedder": model}))
        (warning,) = [found for found in report.findings if found.rule == "unread-seeds"]
        assert said in warning.message
        assert (warning.severity, warning.line) == ("warning", 1)
