"""What a tokenizer knows is read from its file alone."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from skills_dspy.base.errors import EmbedderMissing
from skills_dspy.model.embedding.vocabulary import _RARE_SCRIPTS, sight_of, unknown_share
from skills_dspy.model.embedding.weights import MINILM_SHA256, WeightsFolder, folder_here, packaged_minilm


def a_folder(folder: Path, *known: str) -> WeightsFolder:
    """A model whose tokenizer knows these words."""
    words = Whitespace().pre_tokenize_str(" ".join(known))
    vocabulary = {"<unk>": 0} | {word: number for number, (word, _) in enumerate(words, start=1)}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    folder.mkdir(exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    return WeightsFolder(folder, "path", "other weights")


def test_minilm_knows_no_thai_and_half_of_chinese() -> None:
    """As it was measured with the weights; English is known."""
    folder = packaged_minilm()
    assert folder is not None
    assert unknown_share(folder, ["อธิบายรถไฟ ให้เด็กฟัง"]) == 1.0
    assert unknown_share(folder, ["写一首关于春天的诗"]) == pytest.approx(5 / 9)
    assert unknown_share(folder, ["Why is ice slippery?", "Was heißt schön?"]) == 0.0
    assert unknown_share(folder, [""]) is None


def test_a_model_that_knows_many_scripts_reads_all(tmp_path: Path) -> None:
    """By its tokenizer's file; without one nobody knows, and one that is broken is said to be."""
    assert sight_of(a_folder(tmp_path / "many", *_RARE_SCRIPTS)) == "all"
    assert sight_of(a_folder(tmp_path / "english", "Why", "is", "ice")) == "some"
    assert sight_of(WeightsFolder(tmp_path, "path", "w")) == "some"
    assert sight_of(WeightsFolder(tmp_path, "path", MINILM_SHA256)) == "some"
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(EmbedderMissing, match=r"tokenizer\.json .* cannot be read"):
        sight_of(WeightsFolder(tmp_path, "path", "w"))


def test_a_folder_is_found_without_asking_anybody(tmp_path: Path) -> None:
    """A path, or the package; none for a server's model or one that is not here."""
    assert folder_here(str(tmp_path)) == tmp_path
    assert folder_here("all-MiniLM-L6-v2") == packaged_minilm()
    assert folder_here("all-MiniLM-L6-v2", lambda: tmp_path) == tmp_path
    assert folder_here("ollama:all-minilm") is None
    assert folder_here("no-such-model-anywhere") is None
