"""Which embedding model a name means, this machine's or a server's, and what is to be said of it before it is used."""

import asyncio
from collections.abc import Callable

from skills_dspy.base.config import RunConfig, load_config
from skills_dspy.base.errors import EmbedderMissing, MachineError
from skills_dspy.model.embedding.embedder import AsyncEmbedder, LiveEmbedder
from skills_dspy.model.embedding.process import ProcessEmbedder
from skills_dspy.model.embedding.weights import (
    MINILM,
    MINILM_SHA256,
    ServerKind,
    WeightsFolder,
    find_model,
    served,
)
from skills_dspy.model.served_embedder import ServedEmbedder, VectorServer, listed

Serve = Callable[[ServerKind], VectorServer]
"""Gives the command's server, as one of that kind."""


def choose_embedder(
    config: RunConfig, serve: Serve, *, needed: bool, find: Callable[[str], WeightsFolder] = find_model
) -> LiveEmbedder:
    """The embedding model that the settings name; one of this machine that is `needed` is looked for at once.

    Raises:
        EmbedderMissing: it is needed and not there; says so where the server has a model of that name.
    """
    name = config.embedder.model
    if (there := served(name)) is not None:
        return ServedEmbedder(name, serve(there[0]))
    model = ProcessEmbedder(name, config.embedder.device, find)
    if needed:
        try:
            model.find()
        except EmbedderMissing as error:
            if (pointer := asyncio.run(pointed(name, config.server.api, serve))) is not None:
                raise EmbedderMissing(f"the embedding model {name!r} is not on this machine, but {pointer}") from error
            raise
    return AsyncEmbedder(model, model.end)


async def pointed(name: str, api: ServerKind, serve: Serve) -> str | None:
    """What to give instead of a name that no model of this machine has; None where the server has none of it either."""
    server = serve(api)
    try:
        found = listed(await server.models(), name)
    except MachineError:
        return None  # that there is no server is no answer to where the model is: the caller says what it knows
    finally:
        await server.close()
    return None if found is None else f"the server at {server.host} has one of that name: give it as {api}:{name}"


def foreign_thresholds(config: RunConfig, weights: str, *, decontaminates: bool) -> str | None:
    """A warning where distances of another model than MiniLM are judged by built-in thresholds; None where they are not.

    `weights` are those of the embedding model of the settings.
    """
    if weights == MINILM_SHA256 or config.embedder.model in (MINILM, MINILM.rpartition("/")[2]):
        return None
    usual = load_config()
    left = []
    if config.dedup == usual.dedup:
        left.append(f"dedup.max_squared_distance ({config.dedup.max_squared_distance:g})")
    if decontaminates and config.decontamination.max_cosine is not None and config.decontamination == usual.decontamination:
        left.append(f"decontamination.max_cosine ({config.decontamination.max_cosine:g})")
    if not left:
        return None
    many = len(left) > 1
    return (
        f"the built-in {' and '.join(left)} {'are' if many else 'is'} for the vectors of all-MiniLM-L6-v2; those of "
        f"{config.embedder.model} may lie nearer or farther, so look at what is rejected and set {'them' if many else 'it'} in "
        "the configuration"
    )
