"""What the tokenizer of an embedding model knows, read from its file alone: no model is loaded for it, and no torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from skills_dspy.base.errors import EmbedderMissing
from skills_dspy.model.embedding.weights import HINT, MINILM_SHA256, WeightsFolder, brief
from skills_dspy.similarity.sight import Sight

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_FILE = "tokenizer.json"
_RARE_SCRIPTS = (
    "ฤดูฝนมาถึงแล้ว", "မိုးရာသီ", "ລະດູຝົນ", "រដូវវស្សា", "ዝናብ ለምን ይዘንባል", "వర్షాకాలం వచ్చింది", "മഴക്കാലം വന്നു", "વરસાદ પડે છે", "ಮಳೆಗಾಲ ಬಂದಿದೆ",
    "වැසි සමය", "ਮੀਂਹ ਪੈਂਦਾ ਹੈ",
)  # fmt: skip
"""The rain comes, in scripts that models for English lack and models for many languages have."""
RARE_PAIRS = (
    ("ทำไมจึงมีฤดูฝน", "แนะนำอาหารเช้า"), ("ባቡር እንዴት ይሄዳል", "ባንክ የት ነው"), ("రైలు ఎలా నడుస్తుంది", "బ్యాంకు ఎక్కడ ఉంది"),
)  # fmt: skip
"""Unrelated questions in such scripts, each two of as many words: a model that lacks the script gives both one vector."""
_FEW = 0.2
"""The share of unknown tokens in these up to which a model is one for many languages."""


def sight_of(found: WeightsFolder) -> Sight:
    """Whether a model reads all scripts; `some` where nobody can tell."""
    if found.weights == MINILM_SHA256:
        return "some"
    share = unknown_share(found.folder, _RARE_SCRIPTS)
    return "all" if share is not None and share <= _FEW else "some"


def unknown_share(folder: Path, texts: Sequence[str]) -> float | None:
    """The share of the tokens of some texts that a model knows nothing of, 0 to 1; None where its folder does not tell.

    Raises:
        EmbedderMissing: its file is there and cannot be read.
    """
    tokenizer = _load(folder)
    if tokenizer is None:
        return None
    unknown = {number for token, number in tokenizer.get_vocab().items() if token in ("[UNK]", "<unk>", "<UNK>")}
    found = [number for text in texts for number in tokenizer.encode(text, add_special_tokens=False).ids]
    return sum(number in unknown for number in found) / len(found) if found else None


def _load(folder: Path) -> "Tokenizer | None":
    from tokenizers import Tokenizer

    file = folder / _FILE
    if not file.is_file():
        return None
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:
        raise EmbedderMissing(f"the tokenizer {file} of the embedding model cannot be read ({brief(error)}): {HINT}") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
