"""Vectors of rows and seeds: what the run remembers is not computed, contexts count half, weights do not mix."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from evals.bench.hash_embedder import HashEmbedder
from evals.data.measures import products, vendi_score
from evals.data.rows import Row
from evals.data.vectors import Embedded, embed
from skills_dspy.base.errors import EmbedderMissing
from skills_dspy.similarity.sight import Sight
from tests.helpers.scored import HASH, a_run, a_seed, write_run

ROWS = [Row("What is a jay?", "A bird."), Row("What is a pike?", "A fish.")]
SEEDS = [a_seed("What is a fox?")]
TEXTS = ["What is a jay?", "What is a pike?", "What is a fox?"]


class Counting(HashEmbedder):
    """Notes what it is asked for; may have another name, other weights, or be missing."""

    def __init__(self, name: str = HASH.name, weights: str = HASH.weights, *, missing: bool = False) -> None:
        self.name, self.weights, self.missing = name, weights, missing
        self.asked: list[str] = []

    def load(self) -> None:
        """Be there, or not."""
        if self.missing:
            raise EmbedderMissing("there is no model")

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Note the texts and embed them."""
        self.asked += texts
        return super().embed(texts)


def embedded(embedder: Counting, journal: Path | None = None, rows: Sequence[Row] = ROWS) -> Embedded:
    """The vectors of these rows and SEEDS."""
    run = None if journal is None else a_run(journal=journal)
    return embed(rows, SEEDS, run, embedder, lambda *_: None)


def journal_with(folder: Path, texts: Sequence[str]) -> Path:
    """A journal in which a run has put the vectors of these texts."""
    return write_run(folder, [], remember=texts).journal


def test_a_file_is_embedded_each_text_once() -> None:
    """Rows first, then seeds."""
    embedder = Counting()
    found = embedded(embedder, rows=[*ROWS, ROWS[0]])
    assert embedder.asked == TEXTS
    assert np.array_equal(found.rows, HASH.embed([*TEXTS[:2], TEXTS[0]]))
    assert np.array_equal(found.seeds, HASH.embed(TEXTS[2:]))
    assert found.model == f"{HASH.name} {HASH.weights}"


def test_what_the_run_remembers_needs_no_model(tmp_path: Path) -> None:
    """Bit by bit as the program has put it there."""
    found = embedded(Counting(missing=True), journal_with(tmp_path, TEXTS))
    assert np.array_equal(found.rows, HASH.embed(TEXTS[:2]))
    assert found.model == f"{HASH.name} {HASH.weights}"


def test_only_what_is_missing_is_computed(tmp_path: Path) -> None:
    """With the same weights."""
    embedder = Counting()
    embedded(embedder, journal_with(tmp_path, TEXTS[:2]))
    assert embedder.asked == TEXTS[2:]


@pytest.mark.parametrize("embedder", [Counting(name="another"), Counting(weights="others")])
def test_vectors_of_other_weights_do_not_mix(embedder: Counting, tmp_path: Path) -> None:
    """They have no distance: all are computed anew."""
    found = embedded(embedder, journal_with(tmp_path, TEXTS[:2]))
    assert embedder.asked == TEXTS
    assert found.model == f"{embedder.name} {embedder.weights}"


def test_without_a_model_nothing_is_made_up(tmp_path: Path) -> None:
    """Neither for a file nor for the rest of a run; a run whose journal is gone is like a file."""
    for journal in (None, journal_with(tmp_path, TEXTS[:2]), tmp_path / "gone.sqlite"):
        with pytest.raises(EmbedderMissing):
            embedded(Counting(missing=True), journal)


def test_a_context_counts_half() -> None:
    """The squared distance of two is the mean of that of their questions and that of their contexts."""
    rows = [Row("What is a jay?", "b", "one"), Row("What is a pike?", "b", "one"), Row("What is a jay?", "b", "two")]
    found = embedded(Counting(), rows=rows)
    one, other, third = found.rows.astype(np.float64)
    jay, pike, first, second = HASH.embed(["What is a jay?", "What is a pike?", "one", "two"]).astype(np.float64)
    assert ((one - other) ** 2).sum() == pytest.approx(((jay - pike) ** 2).sum() / 2, abs=1e-6)
    assert ((one - third) ** 2).sum() == pytest.approx(((first - second) ** 2).sum() / 2, abs=1e-6)
    assert np.linalg.norm(found.rows, axis=1) == pytest.approx(np.ones(3), abs=1e-6)
    # The seed has no context: its question stands for it.
    fox = HASH.embed(["What is a fox?"])[0]
    assert found.seeds[0] == pytest.approx(np.concatenate([fox, fox]) / np.sqrt(2), abs=1e-6)


def test_progress_is_told_from_nothing_to_all() -> None:
    """In steps of some texts."""
    told: list[tuple[int, int]] = []
    embed([Row(f"q{n}", "a") for n in range(70)], [], None, Counting(), lambda done, of: told.append((done, of)))
    assert told == [(0, 70), (32, 70), (64, 70), (70, 70)]


class Blind(HashEmbedder):
    """Sees nothing of scripts that it does not have, nor letter case."""

    def sight(self) -> Sight:
        """Some scripts alone."""
        return "some"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The vectors of what it sees."""
        return super().embed(["".join(char if char.isascii() else "?" for char in text).lower()[:12] for text in texts])


def test_texts_that_the_model_does_not_tell_apart_have_vectors_of_their_letters() -> None:
    """Thai questions differ as much as they do, copies by a full stop hardly; to the rest all stays as it was."""
    asked = ("อธิบายตลาดน้ำให้เด็กฟัง", "แนะนำมะม่วงสุกดีๆสักหน่อย", "อธิบายตลาดน้ำให้เด็กฟัง.", "Why is ice?", "Why is 1 Mb?", "Why is 1 MB?")
    found = embed([Row(question, "x") for question in asked], SEEDS, None, Blind(), lambda *_: None)
    assert found.rows.shape == (6, 2 * HASH.embed(["a"]).shape[1])
    ((_, cosines),) = products(found.rows, found.rows)
    assert cosines[0, 1] < 0.5
    assert cosines[0, 2] > 0.9
    assert 0.5 < cosines[4, 5] < 0.99
    assert np.array_equal(found.rows[3, :384], Blind().embed([asked[3]])[0])
    assert not found.rows[3, 384:].any()
    model = Blind().embed([*asked, *TEXTS[2:]])
    assert np.allclose(cosines[3:5, 3:5], model[3:5] @ model[3:5].T, atol=1e-6)
    ((_, of_seed),) = products(found.rows, found.seeds)
    assert np.allclose(of_seed[3:], model[3:6] @ model[6:].T, atol=1e-6)
    unit = found.rows / np.linalg.norm(found.rows, axis=1)[:, None]
    assert vendi_score(found.rows) == pytest.approx(vendi_score(unit), abs=1e-6)


def test_where_all_are_told_apart_vectors_are_the_models() -> None:
    """The same text twice is the same text."""
    rows = [Row("Why is ice slippery?", "x"), Row("Why is ice slippery?", "y")]
    assert np.array_equal(embed(rows, [], None, Blind(), lambda *_: None).rows, Blind().embed(["Why is ice s"] * 2))
