"""Whether vectors can be had, from this machine or from a server, and whether they tell the seeds apart, in words."""

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import NamedTuple

from skills_dspy.base.config import RunConfig
from skills_dspy.base.errors import EmbedderMissing, Unanswered
from skills_dspy.model.embedders import Serve, pointed
from skills_dspy.model.embedding.vocabulary import unknown_share
from skills_dspy.model.embedding.weights import HINT, WeightsFolder, folder_here, served
from skills_dspy.model.served_embedder import ServedEmbedder
from skills_dspy.similarity.nearest import squared_distance
from skills_dspy.similarity.sight import AGREE
from skills_dspy.tasks.spec import TaskSpec

_FOREIGN = 0.1
"""The share of letters and pictures beyond ASCII from which on a tokenizer is asked about texts."""
_UNKNOWN = 0.1
"""The share of unknown tokens from which on it is said."""
_TRIED = 8
"""How many seeds of a task a server's model is tried with."""
_INSTEAD = (
    "repetitions among them are found by their characters; a model for many languages finds those of meaning, too: "
    "`--embedder paraphrase-multilingual-MiniLM-L12-v2`, or on Ollama `--embedder ollama:bge-m3`"
)


class Found(NamedTuple):
    """Whether all is as it has to be, in words, and the weights, empty where they are not on this machine yet."""

    ready: bool
    text: str
    weights: str = ""
    warnings: tuple[str, ...] = ()


def unread_seeds(spec: TaskSpec, model: str) -> str | None:
    """What is to be said where the embedding model's tokenizer, if its file is on this machine, knows little of the seeds."""
    texts = [text for text in _compared(spec) if _is_foreign(text)]
    folder = folder_here(model) if texts else None
    try:
        share = None if folder is None else unknown_share(folder, texts)
    except EmbedderMissing as error:  # a run would end with it, but not what only looks at tasks
        return str(error)
    if share is None or share < _UNKNOWN:
        return None
    which = "the seeds" if len(texts) == len(_compared(spec)) else f"{len(texts)} of the texts of the seeds"
    return f"{share:.0%} of the tokens of {which} are unknown to the embedding model {model}: {_INSTEAD}"


def _compared(spec: TaskSpec) -> list[str]:
    """What dedup compares of the seeds."""
    found = (text for seed in spec.seed_examples for text in (seed.question, seed.context) if text is not None)
    return list(dict.fromkeys(found))


def _is_foreign(text: str) -> bool:
    return sum(char > "\u024f" and not char.isspace() for char in text) >= _FOREIGN * len(text)


async def _seeds_alike(spec: TaskSpec, embedder: ServedEmbedder) -> str | None:
    """What is to be said of a server's model that gives two seeds in foreign letters the same vector."""
    texts = [text for text in _compared(spec) if _is_foreign(text)][:_TRIED]
    vectors = await embedder.embed(texts) if len(texts) > 1 else ()
    pairs = combinations(zip(texts, vectors, strict=False), 2)
    if not any(squared_distance(one, other) <= AGREE for (_, one), (_, other) in pairs):
        return None
    return f"{spec.task_name}: {embedder.name} gives two different texts of the seeds the same vector: {_INSTEAD}"


async def find_vectors(
    config: RunConfig, find: Callable[[str], WeightsFolder | None], serve: Serve, specs: Sequence[TaskSpec] = ()
) -> Found:
    """Look for the embedding model; a server's is tried with a text, and with seeds in foreign letters.

    `find` gives the files of a model of this machine, none when a run would have to fetch them.

    Raises:
        MachineError: it is not there, or gives no vectors, or none of a seed; says where the server has a model of that name.
    """
    name = config.embedder.model
    if (there := served(name)) is not None:
        embedder = ServedEmbedder(name, serve(there[0]))
        try:
            (vector,) = await embedder.embed(["A first text, to see that it works."])
            alike = [said for spec in specs if (said := await _seeds_alike(spec, embedder)) is not None]
        except Unanswered as error:
            todo = "change this seed, or take another embedding model"
            raise EmbedderMissing(f"{error} Nothing can be compared with it: {todo}") from error
        finally:
            await embedder.close()
        return Found(True, f"{name} answers with vectors of {len(vector)} numbers", embedder.weights, tuple(alike))
    try:
        found, lost = find(name), None
    except EmbedderMissing as error:
        found, lost = None, error
    if found is not None:
        unread = (f"{spec.task_name}: {said}" for spec in specs if (said := unread_seeds(spec, name)) is not None)
        return Found(True, f"{name} is in {found.folder} ({found.source})", found.weights, tuple(unread))
    if (pointer := await pointed(name, config.server.api, serve)) is not None:
        raise EmbedderMissing(f"{name} is not on this machine, but {pointer}") from lost
    if lost is not None:
        raise lost
    return Found(False, f"{name} is not on this machine: a run fetches it from the hub first; or {HINT}")
