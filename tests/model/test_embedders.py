"""Which embedding model a name means, and what is said when it is nowhere."""

import asyncio
from pathlib import Path

import pytest

from skills_dspy.base.config import load_config
from skills_dspy.base.errors import EmbedderMissing
from skills_dspy.model.embedders import choose_embedder, foreign_thresholds
from skills_dspy.model.embedding.weights import MINILM_SHA256, WeightsFolder
from tests.helpers.making import a_config
from tests.helpers.timed_server import TimedServer


def nowhere(name: str) -> WeightsFolder:
    """No model."""
    raise EmbedderMissing(f"{name} is nowhere")


def test_a_name_that_only_the_server_has_is_pointed_there() -> None:
    """A user of Ollama gives its name as it is there; another name that nobody has is said as ever."""
    server = TimedServer()
    settings = load_config(models={"embedder": "all-minilm"})
    with pytest.raises(EmbedderMissing, match=r"'all-minilm' is not on this machine, but .* give it as ollama:all-minilm$"):
        choose_embedder(settings, lambda _: server, needed=True, find=nowhere)
    assert server.closed == 1
    with pytest.raises(EmbedderMissing, match=r"^other is nowhere$"):
        choose_embedder(load_config(models={"embedder": "other"}), lambda _: server, needed=True, find=nowhere)


def test_a_replay_looks_for_no_model_before_it_needs_one() -> None:
    """Neither here nor on a server."""
    embedder = choose_embedder(load_config(), lambda _: TimedServer(), needed=False, find=nowhere)
    asyncio.run(embedder.close())
    server = TimedServer()
    embedder = choose_embedder(load_config(models={"embedder": "ollama:all-minilm"}), lambda _: server, needed=True)
    with pytest.raises(RuntimeError, match="not asked"):
        _ = embedder.weights
    asyncio.run(embedder.ready())
    assert embedder.weights == "e" * 64


def test_a_model_of_this_machine_has_its_weights_before_it_is_loaded() -> None:
    """So that what is to be said of it can be said at once."""
    found = WeightsFolder(Path("model"), "path", "w" * 64)
    embedder = choose_embedder(load_config(), lambda _: TimedServer(), needed=True, find=lambda _: found)
    assert embedder.weights == "w" * 64
    asyncio.run(embedder.close())


def test_built_in_thresholds_are_said_to_be_minilms() -> None:
    """Only those that were left as they are, only for another model, and of evaluation questions only where there are."""
    other = load_config(models={"embedder": "ollama:bge-m3"})
    said = foreign_thresholds(other, "w", decontaminates=True)
    assert said is not None
    assert "dedup.max_squared_distance (" in said
    assert "decontamination.max_cosine (0.9)" in said
    assert "decontamination" not in str(foreign_thresholds(other, "w", decontaminates=False))
    chosen = a_config({"embedder": {"model": "ollama:bge-m3"}, "dedup": {"max_squared_distance": 0.3}})
    assert foreign_thresholds(chosen, "w", decontaminates=False) is None
    assert foreign_thresholds(other, MINILM_SHA256, decontaminates=True) is None
    assert foreign_thresholds(load_config(), "w", decontaminates=True) is None
