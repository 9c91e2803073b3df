"""The embedding model in a process of its own: importing and computing never hold up the event loop of this one.

torch on a thread shares Python's one lock with the event loop, which then waits for it up to 5 ms at every turn. The
process ends with its input: when `end` closes it, and when this process dies, however that happens.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from skills_dspy.base.errors import EmbedderMissing
from skills_dspy.model.embedding.embedder import Embedder, SentenceEmbedder
from skills_dspy.model.embedding.vocabulary import sight_of
from skills_dspy.model.embedding.weights import MINILM, WeightsFolder, find_model
from skills_dspy.similarity.nearest import Vectors
from skills_dspy.similarity.sight import Sight

_PROGRAM = f"""import json, sys
sys.path[:] = json.loads(sys.argv.pop(1))
from {__name__} import main
main(*sys.argv[1:])
"""
"""Not `-m`: modules are looked for where this process looks for them, not in the user's current folder."""


class ProcessEmbedder:
    """A `SentenceEmbedder` elsewhere, with the same vectors; making one costs nothing, `load` starts the process."""

    def __init__(
        self,
        name: str = MINILM,
        device: str = "cpu",
        find: Callable[[str], WeightsFolder] = find_model,
        program: str = _PROGRAM,
    ) -> None:
        self.name = name
        self._device = device
        self._find = find
        self._program = program
        self._found: WeightsFolder | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._ending = threading.Lock()
        self._ended = False

    @property
    def weights(self) -> str:
        """The SHA-256 of the weights; RuntimeError before they are found."""
        if self._found is None:
            raise RuntimeError("the embedding model is not looked for yet")
        return self._found.weights

    def find(self) -> WeightsFolder:
        """Find the model, without starting anything. Raises EmbedderMissing."""
        self._found = self._found or self._find(self.name)
        return self._found

    def sight(self) -> Sight:
        """Whether it is known to read all scripts. Raises EmbedderMissing."""
        return sight_of(self.find())

    def load(self) -> None:
        """Find the model and wait until the process has loaded it; nothing the second time. Raises EmbedderMissing."""
        if self._process is None:
            self._heard(self._start(self.find()))

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector per text. Raises EmbedderMissing; ValueError for a blank one."""
        if not all(text.strip() for text in texts):
            raise ValueError("a blank text has no embedding")
        self.load()
        process = self._process
        assert process is not None
        assert process.stdin is not None
        question = json.dumps(list(texts)).encode() + b"\n"
        # A process that is gone, or was ended, does not answer either, and that is what is said.
        with contextlib.suppress(BrokenPipeError, ValueError):
            process.stdin.write(question)
            process.stdin.flush()
        rows, columns = self._heard(process)["shape"]
        vectors = self._read(process, 4 * rows * columns)
        return np.frombuffer(vectors, dtype="<f4").reshape(rows, columns)

    def end(self) -> None:
        """End the process, whatever it does; what waits for it gets EmbedderMissing."""
        with self._ending:
            self._ended = True
            if self._process is not None:
                with contextlib.suppress(BrokenPipeError), self._process:
                    self._process.kill()

    def _start(self, found: WeightsFolder) -> "subprocess.Popen[bytes]":
        words = (json.dumps(sys.path), self.name, self._device, str(found.folder), found.weights)
        with self._ending:
            if self._ended:
                raise self._lost("it was ended before it began")
            # A session of its own: Ctrl-C in the terminal is for this process, which then ends the other one.
            self._process = subprocess.Popen(
                [sys.executable, "-c", self._program, *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
            return self._process

    def _heard(self, process: "subprocess.Popen[bytes]") -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self._read(process))
        if "error" in said:
            raise EmbedderMissing(said["error"])
        return said

    def _read(self, process: "subprocess.Popen[bytes]", size: int | None = None) -> bytes:
        """So many bytes, or a line."""
        assert process.stdout is not None
        try:
            found = process.stdout.readline() if size is None else process.stdout.read(size)
        except ValueError:  # `end` has closed it
            found = b""
        if len(found) != size and not (size is None and found.endswith(b"\n")):
            raise self._lost(f"exit code {process.wait()}; what it said stands above")
        return found

    def _lost(self, why: str) -> EmbedderMissing:
        return EmbedderMissing(f"the process of the embedding model {self.name!r} is gone ({why}): run the same command again")


def serve(embedder: Embedder, asked: BinaryIO, told: BinaryIO) -> None:
    """Load, say so, then answer each line of texts with their vectors until the input ends."""

    def say(what: dict[str, Any], rows: bytes = b"") -> None:
        told.write(json.dumps(what).encode() + b"\n" + rows)
        told.flush()

    try:
        embedder.load()
    except EmbedderMissing as error:
        say({"error": str(error)})
        return
    say({})
    for line in asked:
        vectors = embedder.embed(json.loads(line))
        say({"shape": vectors.shape}, vectors.astype("<f4").tobytes())


def main(name: str, device: str, folder: str, weights: str) -> None:
    """Serve on stdin and stdout; what libraries print goes to stderr."""
    told = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(SentenceEmbedder(name, device, lambda _: WeightsFolder(Path(folder), "path", weights)), sys.stdin.buffer, told)
