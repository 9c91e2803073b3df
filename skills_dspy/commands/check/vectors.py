"""Whether vectors can be had, from this machine or from a server, in words."""

from collections.abc import Callable
from typing import NamedTuple

from skills_dspy.base.config import RunConfig
from skills_dspy.base.errors import EmbedderMissing
from skills_dspy.model.embedders import Serve, pointed
from skills_dspy.model.embedding.weights import HINT, WeightsFolder, served
from skills_dspy.model.served_embedder import ServedEmbedder


class Found(NamedTuple):
    """Whether all is as it has to be, in words, and the weights, empty where they are not on this machine yet."""

    ready: bool
    text: str
    weights: str = ""


async def find_vectors(config: RunConfig, find: Callable[[str], WeightsFolder | None], serve: Serve) -> Found:
    """Look for the embedding model; a server's is tried with a text.

    `find` gives the files of a model of this machine, none when a run would have to fetch them.

    Raises:
        MachineError: it is not there, or gives no vectors; says so where the server has a model of that name.
    """
    name = config.embedder.model
    if (there := served(name)) is not None:
        embedder = ServedEmbedder(name, serve(there[0]))
        try:
            (vector,) = await embedder.embed(["A first text, to see that it works."])
        finally:
            await embedder.close()
        return Found(True, f"{name} answers with vectors of {len(vector)} numbers", embedder.weights)
    try:
        found, lost = find(name), None
    except EmbedderMissing as error:
        found, lost = None, error
    if found is not None:
        return Found(True, f"{name} is in {found.folder} ({found.source})", found.weights)
    if (pointer := await pointed(name, config.server.api, serve)) is not None:
        raise EmbedderMissing(f"{name} is not on this machine, but {pointer}") from lost
    if lost is not None:
        raise lost
    return Found(False, f"{name} is not on this machine: a run fetches it from the hub first; or {HINT}")
