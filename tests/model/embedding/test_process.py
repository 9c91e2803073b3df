"""An embedding model in a process of its own: the same vectors, errors as sentences, and an end whenever it is wanted."""

import asyncio
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from evals.bench.hash_embedder import HashEmbedder
from skills_dspy.base.errors import EmbedderMissing
from skills_dspy.model.embedding.embedder import AsyncEmbedder
from skills_dspy.model.embedding.process import ProcessEmbedder, serve
from skills_dspy.model.embedding.weights import WeightsFolder
from tests.helpers.loops import on_a_loop

LOADED = "import sys\nprint('{}', flush=True)\n"


@pytest.fixture
def process() -> Iterator[Callable[[str], ProcessEmbedder]]:
    """Embedders whose process runs this program, ended after the test."""
    made = []

    def make(program: str) -> ProcessEmbedder:
        made.append(ProcessEmbedder("other", find=lambda _: WeightsFolder(Path("model"), "path", "w" * 64), program=program))
        return made[-1]

    yield make
    for embedder in made:
        embedder.end()


def test_vectors_come_back_byte_for_byte(process: Callable[[str], ProcessEmbedder]) -> None:
    """What the model computes in there is what is given out here, whatever characters the text has."""
    texts = ["a haiku\nabout rain", "naïve \ud800 \u2028 text"]
    embedder = process(
        LOADED + "import array, json\n"
        "for line in sys.stdin:\n"
        "    texts = json.loads(line)\n"
        "    print(json.dumps({'shape': [len(texts), 2]}), flush=True)\n"
        "    sys.stdout.buffer.write(array.array('f', [n for t in texts for n in (len(t), ord(t[-1]))]).tobytes())\n"
        "    sys.stdout.buffer.flush()\n"
    )
    with pytest.raises(RuntimeError, match="not looked for"):
        _ = embedder.weights
    for _ in range(2):
        vectors = embedder.embed(texts)
    assert vectors.dtype == np.float32
    assert vectors.tolist() == [[len(text), ord(text[-1])] for text in texts]
    assert embedder.weights == "w" * 64
    with pytest.raises(ValueError, match="blank"):
        embedder.embed([" "])


def test_what_is_served_is_what_the_embedder_gives() -> None:
    """One line when it is loaded, then for each line of texts the shape and the bytes of float32."""
    told, texts = io.BytesIO(), ["one", "two"]
    serve(HashEmbedder(), io.BytesIO(json.dumps(texts).encode() + b"\n"), told)
    assert told.getvalue() == b'{}\n{"shape": [2, 384]}\n' + HashEmbedder().embed(texts).tobytes()


def test_a_model_that_cannot_be_loaded_is_said_with_its_sentence(process: Callable[[str], ProcessEmbedder]) -> None:
    """The error of there is raised here."""

    class Missing(HashEmbedder):
        def load(self) -> None:
            raise EmbedderMissing("no weights in there")

    told = io.BytesIO()
    serve(Missing(), io.BytesIO(b'["x"]\n'), told)
    with pytest.raises(EmbedderMissing, match=r"^no weights in there$"):
        process(f"print({told.getvalue().decode()!r}, end='')").load()


def test_a_process_that_dies_is_said_in_a_sentence(process: Callable[[str], ProcessEmbedder]) -> None:
    """While it loads or later, as when there is no memory left; also to a text that has begun to be written to it."""
    with pytest.raises(EmbedderMissing, match=r"process of the embedding model 'other' is gone \(exit code 7"):
        process("raise SystemExit(7)").load()
    with pytest.raises(EmbedderMissing, match="exit code 8"):
        process(LOADED + "raise SystemExit(8)").embed(["x " * 100_000])


@on_a_loop
async def test_an_embedder_that_loads_for_ever_is_ended_at_once(process: Callable[[str], ProcessEmbedder]) -> None:
    """A run that is interrupted does not wait for torch; afterwards nothing is started any more."""
    embedder = process("import time; time.sleep(60)")
    beside = AsyncEmbedder(embedder, embedder.end)
    waiting = asyncio.create_task(beside.ready())
    await asyncio.sleep(0)
    await asyncio.wait_for(beside.close(), 5)
    with pytest.raises((EmbedderMissing, asyncio.CancelledError)):
        await waiting
    with pytest.raises(EmbedderMissing, match="is gone"):
        embedder.embed(["x"])
