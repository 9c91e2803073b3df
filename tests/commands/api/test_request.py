"""What a run has opened is closed, whatever ends it."""

import asyncio
from typing import Any

import pytest

from evals.bench.hash_embedder import HashEmbedder
from skills_dspy.base.errors import EmbedderMissing
from skills_dspy.commands.api.request import RunSettings, run_request, run_tasks
from skills_dspy.model.embedding.embedder import AsyncEmbedder
from skills_dspy.run.runner import Watcher
from skills_dspy.screens.decontamination import Notices
from tests.helpers.fake_server import FakeServer
from tests.helpers.making import a_spec


class Away(AsyncEmbedder):
    """A model of a server that is not there."""

    name = "ollama:away"
    closed = False

    async def ready(self) -> None:
        """It is not."""
        raise EmbedderMissing("There is no such model.")

    async def close(self) -> None:
        """Be closed."""
        self.closed = True


def test_an_embedding_model_that_is_not_there_leaves_nothing_open(tmp_path: Any) -> None:
    """It ends the run before it begins, and the server, which was opened for it, is closed with the model."""
    request = run_request(RunSettings(output_dir=tmp_path), (a_spec(),), print)
    server, embedder = FakeServer(), Away(HashEmbedder())
    with pytest.raises(EmbedderMissing):
        asyncio.run(run_tasks(request, server, embedder, Watcher(), Notices()))
    assert (server.closed, embedder.closed) == (True, True)
