"""Sentence embeddings on this machine: one unit vector per text, whatever its length and company."""

import asyncio
import math
import re
import sys
from bisect import bisect_right
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from skills_dspy.base.errors import EmbedderMissing
from skills_dspy.model.embedding.vocabulary import sight_of
from skills_dspy.model.embedding.weights import HINT, MINILM, WeightsFolder, brief, find_model, quiet_loading
from skills_dspy.similarity.nearest import Vectors
from skills_dspy.similarity.sight import Sight

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


class Embedder(Protocol):
    """What turns texts into unit vectors."""

    @property
    def name(self) -> str:
        """The model, as the user named it."""

    @property
    def weights(self) -> str:
        """What tells one set of weights from another: a SHA-256, or words. Known once loaded."""

    def sight(self) -> Sight:
        """Whether it is known to read all scripts; may take a second."""

    def load(self) -> None:
        """Get ready; nothing the second time. Raises EmbedderMissing."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one float32 unit vector per text, each depending on its own text alone; ValueError for a blank one."""


class LiveEmbedder(Protocol):
    """What turns texts into unit vectors while an event loop goes on: on this machine, or on a server."""

    @property
    def name(self) -> str:
        """The model, as the user named it."""

    @property
    def weights(self) -> str:
        """What tells one set of weights from another; known once `ready` has returned."""

    async def sight(self) -> Sight:
        """Whether it is known to read all scripts; `ready` comes first."""

    def start(self) -> object:
        """Begin to get ready; nothing the second time. An error waits for `ready` or `embed`."""

    async def ready(self) -> None:
        """Wait until vectors can be had. Raises EmbedderMissing."""

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one float32 unit vector per text, each depending on its own text alone; ValueError for a blank one.

        Raises:
            EmbedderMissing: the model is not there.
            ContextTooLong: the model cannot read a text whole, nor in pieces.
            ServerError: the server stayed broken longer than the patience allows.
            Unanswered: the server can give no vector of a text, and gives others.
        """

    async def close(self) -> None:
        """Give up what is under way."""


class VectorSource(Protocol):
    """What turns texts into vectors while other work goes on."""

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector per text, in their order; Unanswered where a server can give none of one of them."""


def pieces(text: str, room: int, count: Callable[[str], int]) -> list[tuple[str, int]]:
    """Cut `text` between words into pieces of at most `room` tokens; return them with their lengths in tokens.

    A single word longer than `room` is cut between characters. Nothing is left out but white space at the cuts.
    """
    if (length := count(text)) <= room:
        return [(text, length)]
    words = re.findall(r"\s*\S+", text)
    found: list[tuple[str, int]] = []
    while words:
        # A word is a token or more, so the first `room` words are enough to look at.
        sizes = range(1, min(room, len(words)) + 1)
        fits = bisect_right(sizes, room, key=lambda size: count("".join(words[:size])))
        if not fits and len(words[0]) > 1:
            words = [*words[0].strip(), *words[1:]]
            continue
        head = "".join(words[: max(fits, 1)]).strip()
        found.append((head, count(head)))
        words = words[max(fits, 1) :]
    return found


class SentenceEmbedder:
    """A sentence-transformers model, `name` as for `find_model`; making one costs nothing, `load` imports torch.

    A text's vector depends on the text and the weights alone. In a batch it would depend on the others: they set the
    padding, and padding changes the last bits (about 1e-7). The number of threads can change them too. So each text
    has a forward pass of its own, on one thread: some 10 ms for a question on a CPU, little beside a teacher's reply.

    The model reads only so many tokens (all-MiniLM-L6-v2: 256) and would cut the rest without a word. A longer text
    is embedded in pieces and the pieces' vectors are averaged, each weighted by its tokens.

    torch computes on the CPU unless told otherwise: the GPU belongs to the teacher.
    """

    def __init__(self, name: str = MINILM, device: str = "cpu", find: Callable[[str], WeightsFolder] = find_model) -> None:
        self.name = name
        self.device = device
        self._find = find
        self._loaded: tuple[WeightsFolder, SentenceTransformer] | None = None

    @property
    def weights(self) -> str:
        """The SHA-256 of the weights; RuntimeError before `load`."""
        if self._loaded is None:
            raise RuntimeError("the embedding model is not loaded yet")
        return self._loaded[0].weights

    def sight(self) -> Sight:
        """Whether it is known to read all scripts. Raises EmbedderMissing."""
        return sight_of(self._loaded[0] if self._loaded else self._find(self.name))

    def load(self) -> None:
        """Find the model and load it, quietly; nothing the second time. Raises EmbedderMissing."""
        self._model()

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector per text; the first call loads the model. Raises EmbedderMissing, ValueError for a blank."""
        model = self._model()
        import torch

        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            vectors = [_vector(model, text) for text in texts]
        finally:
            torch.set_num_threads(threads)
        return np.stack(vectors) if vectors else np.zeros((0, 0), dtype=np.float32)

    def _model(self) -> "SentenceTransformer":
        if self._loaded is None:
            found = self._find(self.name)
            try:
                self._loaded = found, _load(found.folder, self.device)
            except Exception as error:
                where = f"the embedding model in {found.folder} cannot be loaded on {self.device!r}"
                hint = HINT if self.device == "cpu" else "set embedder.device to cpu in the configuration"
                raise EmbedderMissing(f"{where} ({brief(error)}): {hint}") from error
        return self._loaded[1]


class AsyncEmbedder:
    """An embedder on a thread of its own, so that an event loop goes on while it loads and computes.

    The thread works in order: loading first, then the texts as they were asked for. `end` makes the embedder give up what it
    does, so that nobody has to wait for it in the end.
    """

    def __init__(self, embedder: Embedder, end: Callable[[], None] | None = None) -> None:
        self._embedder = embedder
        self._end = end
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embedder")
        self._loading: Future[None] | None = None

    @property
    def name(self) -> str:
        """The model, as the user named it."""
        return self._embedder.name

    @property
    def weights(self) -> str:
        """What tells one set of weights from another; known once `ready` has returned."""
        return self._embedder.weights

    async def sight(self) -> Sight:
        """Whether it is known to read all scripts."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._embedder.sight)

    def start(self) -> "Future[None]":
        """Begin to load; nothing the second time. An error waits for `ready` or `embed`."""
        if self._loading is None:
            self._loading = self._thread.submit(self._embedder.load)
        return self._loading

    async def ready(self) -> None:
        """Wait until it is loaded. Raises EmbedderMissing."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self.start().result)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector per text. Raises EmbedderMissing at every call if loading failed."""
        loading = self.start()

        def work() -> Vectors:
            loading.result()  # never waits: the one thread has been through it
            return self._embedder.embed(texts)

        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def close(self) -> None:
        """Drop what has not begun, and wait for the rest or end it."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        if self._end is not None:
            self._end()
        await asyncio.to_thread(self._thread.shutdown)


def _load(folder: Path, device: str) -> "SentenceTransformer":
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging as bars

    with quiet_loading(bars.is_progress_bar_enabled(), bars.disable_progress_bar, bars.enable_progress_bar):
        model = SentenceTransformer(str(folder), device=device, local_files_only=True)
        _vector(model, "A first text, to see that it works.")
    return model


def _vector(model: "SentenceTransformer", text: str) -> Vectors:
    """Return the unit vector of one text, in as many pieces as it needs; ValueError for a blank one."""
    if not text.strip():
        raise ValueError("a blank text has no embedding")

    def count(part: str) -> int:
        # verbose=False: no warning that the text is longer than the model reads; that is what is being found out.
        ids = model.tokenizer(part, add_special_tokens=False, truncation=False, verbose=False)["input_ids"]
        return len(ids)

    limit = model.max_seq_length or sys.maxsize
    parts = pieces(text, limit - model.tokenizer.num_special_tokens_to_add(pair=False), count)
    # prompt="": a prompt of the model's own would take room that the pieces do not know of.
    encoded = [
        model.encode(part, prompt="", show_progress_bar=False, normalize_embeddings=True).astype(np.float64)
        for part, _ in parts
    ]
    mean = np.average(np.stack(encoded), axis=0, weights=[max(1, length) for _, length in parts])
    return np.asarray(mean / math.sqrt(math.fsum((mean * mean).tolist())), dtype=np.float32)
