"""Decontamination: whether a text is too near to an evaluation question, by shared words or by embedding.

What is compared of a candidate is what a model would be given: its context, if it has one, and its question. The question of a
grounded candidate is compared alone as well, with those evaluation questions that have no context either. Of an answer only the
words are compared.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skills_dspy.base.config import DecontaminationConfig
from skills_dspy.base.errors import EmbedderMissing, MissingReply, Unanswered
from skills_dspy.model.embedding.embedder import LiveEmbedder, VectorSource
from skills_dspy.screens.benchmark import Benchmark, BenchmarkQuestion
from skills_dspy.similarity.nearest import Vectors, nearest_row
from skills_dspy.similarity.ngrams import TOKENS_VERSION, build
from skills_dspy.similarity.sight import ComparedText, Sight, compared_text
from skills_dspy.similarity.text import joined_tokens, pictures, tokens
from skills_dspy.store.benchmark_index import BenchmarkIndex, BrokenIndex, find_index, index_path, keep_index
from skills_dspy.tasks.spec import TaskSpec

KEPT_IN = ".decontamination"
"""The folder below the output directory where indexes are kept."""

_CHUNK = 256
"""Questions that are embedded between two looks at the clock."""
_BRIEF = 100


class Notices:
    """What the user may want to hear before the first call; here it is dropped."""

    def say(self, line: str) -> None:
        """Something takes its time."""

    def warn(self, line: str) -> None:
        """Something is odd."""


class Screen:
    """Evaluation questions, and whether a text is too near to any of them; `ready` comes first."""

    def __init__(self, evaluation: Benchmark, config: DecontaminationConfig) -> None:
        self.evaluation = evaluation
        self.config = config
        self._bare = np.flatnonzero([not question.grounded for question in evaluation.questions])
        self._loaded: BenchmarkIndex | None = None
        self._bare_vectors: Vectors = np.zeros((0, 0), dtype=np.float32)
        self._texts = cache(self._texts_of)
        self._alike = cache(self._with_words)

    @property
    def compares_vectors(self) -> bool:
        """Whether embeddings are compared."""
        return self.config.max_cosine is not None

    def inputs(self) -> dict[str, Any]:
        """What decides which candidates are rejected, for the inputs of a run."""
        files = [{"name": file.name, "sha256": file.sha256} for file in self.evaluation.files]
        return {"files": files, "normalisation": TOKENS_VERSION, **self.config.model_dump(mode="json")}

    def as_json(self) -> dict[str, Any]:
        """Files and counts, for run.json."""
        noted = [{**asdict(file), "path": str(file.path)} for file in self.evaluation.files]
        files = [{name: value for name, value in file.items() if value} for file in noted]
        return {"files": files, "questions": len(self.evaluation.questions), **self.config.model_dump(mode="json")}

    async def ready(self, embedder: LiveEmbedder, weights: str | None, folders: Sequence[Path], notices: Notices) -> str | None:
        """Find the index in one of the folders, or build it and keep it in the first of them.

        Candidates' vectors are of these weights, None for the embedder's. It is loaded only if something has to be computed.
        Returns the weights of the index's vectors; None where embeddings are not compared.

        Raises:
            EmbedderMissing: the index has to be built and there is no embedding model, or another one.
        """
        used = weights if self.compares_vectors else None
        if self.compares_vectors and used is None:
            embedder.start()
            await embedder.ready()
            used = embedder.weights
        made_from = self._made_from(used)
        self._loaded = self._find(folders, made_from, notices)
        if self._loaded is None:
            by_file = self._find(folders, self._made_from_files(made_from), notices)
            self._loaded = await self._build(embedder, used, notices, by_file)
            await asyncio.to_thread(keep_index, folders[0], made_from, self._loaded)
        if self.compares_vectors:
            vectors = self._loaded.vectors
            self._bare_vectors = vectors if len(self._bare) == len(vectors) else vectors[self._bare]
        return used

    def words(self, text: str) -> str | None:
        """What a text shares with a question, in words; None for nothing."""
        for found in self._index.grams.find(text):
            question, shown = self.evaluation.questions[found.owner], joined_tokens(found.words)
            if not found.whole:
                return f"shares a {self.config.ngram}-gram with {question.place}: {shown}"
            # A word-gram has no pictures: of a riddle in emoji it is no more than what all of its kind ask.
            alike = self._alike(found.words) if pictures(question.text) else (question,)
            if owner := next((one for one in alike if pictures(one.text) in pictures(text)), None):
                return f"holds the whole question of {owner.place}: {shown}"
        return None

    def same(self, text: str, *, bare: bool) -> str | None:
        """Whether a text is one of the questions that are too short to be looked for inside others; in words, or None."""
        owner = self._index.grams.same(text)
        question = None if owner is None else self.evaluation.questions[owner]
        return None if question is None or (bare and question.grounded) else f"is the question of {question.place}"

    def near(self, vector: NDArray[np.float32], text: str, sight: Sight, *, bare: bool) -> str | None:
        """The question that lies nearest to a text with its vector, in words, if it is too near; `bare`: without a context."""
        assert self.config.max_cosine is not None
        vectors = self._bare_vectors if bare else self._index.vectors
        limit = 2.0 - 2.0 * self.config.max_cosine
        found = nearest_row(vectors, vector, limit, compared_text(sight, text), self._texts(sight, bare))
        if found is None:
            return None
        question = self.evaluation.questions[self._bare[found[0]] if bare else found[0]]
        asked = " ".join(question.text.split())
        brief = asked if len(asked) <= _BRIEF else asked[: _BRIEF - 3] + "..."
        return f"has cosine {1.0 - found[1] / 2.0:.4f} to {question.place}: {brief}"

    def _texts_of(self, sight: Sight, bare: bool) -> Sequence[ComparedText | None]:
        questions = self.evaluation.questions
        return [compared_text(sight, one.text) for one in ([questions[row] for row in self._bare] if bare else questions)]

    def _with_words(self, words: Sequence[str]) -> Sequence[BenchmarkQuestion]:
        return [question for question in self.evaluation.questions if tokens(question.text) == [*words]]

    @property
    def _index(self) -> BenchmarkIndex:
        if self._loaded is None:
            raise RuntimeError("the index of evaluation questions is not ready yet")
        return self._loaded

    def _made_from(self, weights: str | None) -> dict[str, Any]:
        # A file's bytes would not do: what is read of them depends on the field, and on this program's version.
        read = json.dumps([(question.text, question.grounded) for question in self.evaluation.questions])
        return {
            "questions": hashlib.sha256(read.encode()).hexdigest(),
            "normalisation": TOKENS_VERSION,
            "ngram": self.config.ngram,
            "weights": weights,
        }

    def _made_from_files(self, made_from: Mapping[str, Any]) -> dict[str, Any]:
        """What an index was kept by when that was not yet the texts."""
        files = [f"{file.sha256}:{file.field}" if file.field else file.sha256 for file in self.evaluation.files]
        return {"files": files, **{name: value for name, value in made_from.items() if name != "questions"}}

    def _find(self, folders: Sequence[Path], made_from: Mapping[str, Any], notices: Notices) -> BenchmarkIndex | None:
        for folder in folders:
            try:
                found = find_index(folder, made_from, self.config.ngram, len(self.evaluation.questions))
            except BrokenIndex as error:
                notices.warn(f"{index_path(folder, made_from)} cannot be used ({error}): the index is built anew")
                continue
            if found is not None:
                return found
        return None

    async def _build(
        self, embedder: LiveEmbedder, weights: str | None, notices: Notices, by_file: BenchmarkIndex | None
    ) -> BenchmarkIndex:
        texts = [question.text for question in self.evaluation.questions]
        notices.say(f"Decontamination: building the index of {len(texts)} evaluation questions; it is kept for later runs.")
        grams = await asyncio.to_thread(build, texts, self.config.ngram)
        if weights is None:
            return BenchmarkIndex(grams, np.zeros((0, 0), dtype=np.float32))
        if by_file is not None and by_file.grams.equals(grams):  # the same texts were read of the files then
            return BenchmarkIndex(grams, by_file.vectors)
        embedder.start()
        await embedder.ready()
        if embedder.weights != weights:
            raise EmbedderMissing(
                "the index of evaluation questions is not kept here, and this machine's embedding model has other weights than "
                f"the vectors of the recording ({weights[:12]} there, {embedder.weights[:12]} here): give its --output-dir"
            )
        parts = []
        for done in range(_CHUNK, len(texts) + _CHUNK, _CHUNK):
            try:
                parts.append(await embedder.embed(texts[done - _CHUNK : done]))
            except Unanswered as error:
                todo = "set decontamination.max_cosine to null in the configuration, which compares words only"
                raise EmbedderMissing(
                    f"{error} No new question can be compared with it: {todo}, or take another embedding model"
                ) from error
            if done % (_CHUNK * 20) == 0 and done < len(texts):
                notices.say(f"Decontamination: {done} of {len(texts)} questions are embedded.")
        return BenchmarkIndex(grams, np.concatenate(parts))


class TaskScreen:
    """The screen for one task, whose texts' vectors are remembered with it; `sight` says how far these are to be believed."""

    def __init__(self, screen: Screen, vectors: VectorSource, sight: Callable[[], Sight] = lambda: "trusted") -> None:
        self._screen = screen
        self._vectors = vectors
        self._sight = sight

    async def question(self, question: str, context: str | None) -> str | None:
        """Why a question, with its context, is contaminated, in words; None when it is not.

        Raises:
            MissingReply: a vector has to be computed and there is no model for it.
        """
        screen = self._screen
        texts = [question] if context is None else [f"{context}\n{question}", question]
        said = screen.words(texts[0])
        for place, text in enumerate(texts):
            said = said or screen.same(text, bare=place > 0)
        if said is not None or not screen.compares_vectors:
            return said
        try:
            vectors = await self._vectors.embed(texts)
        except EmbedderMissing as error:
            # In a replay this text may belong to a candidate that never has to settle.
            raise MissingReply(str(error)) from error
        for place, (text, vector) in enumerate(zip(texts, vectors, strict=True)):
            said = said or screen.near(vector, text, self._sight(), bare=place > 0)
        return said

    def answer(self, text: str) -> str | None:
        """Why an answer is contaminated, in words; None when it is not."""
        return self._screen.words(text)


async def contaminated_seeds(spec: TaskSpec, screen: TaskScreen) -> tuple[tuple[int, str], ...]:
    """The seeds that are contaminated themselves: their numbers from 0, and why. Raises as `TaskScreen.question`."""
    found = []
    for number, seed in enumerate(spec.seed_examples):
        if (said := await screen.question(seed.question, seed.context)) is not None:
            found.append((number, f"it {said}"))
        elif (said := screen.answer(seed.answer)) is not None:
            found.append((number, f"its answer {said}"))
    return tuple(found)


def seed_warnings(spec: TaskSpec, found: Sequence[tuple[int, str]]) -> Iterator[str]:
    """One line for each contaminated seed, with file and line."""
    for number, why in found:
        place = f"{spec.path}:{spec.seed_examples[number].line}"
        yield f"{place}: this seed is contaminated itself, and what is made from it may be: {why}"
