"""The language of texts: told where it can be, and said where it cannot."""

import pytest

from skills_dspy.similarity.languages import (
    TOO_SHORT,
    UNSURE,
    Classifier,
    Languages,
    language_name,
    languages_of,
    load_classifier,
)


@pytest.fixture(scope="module")
def classify() -> Classifier:
    """The real classifier; its model is in the package."""
    return load_classifier()


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Correct all the grammatical errors in the text.", "en"),
        ("Korrigiere bitte alle grammatischen Fehler in diesem Text.", "de"),
        ("Corrige toutes les fautes de grammaire dans ce texte.", "fr"),
        ("请改正这篇文章中的所有语法错误。", "zh"),
        ("Исправь все грамматические ошибки в этом тексте.", "ru"),
        ("Why?", TOO_SHORT),
        ("12 + 30 = 42; 3.14159265358979323846", TOO_SHORT),
        ("", TOO_SHORT),
    ],
)
def test_languages_of_sentences(text: str, language: str, classify: Classifier) -> None:
    """A sentence has its language; a word or a sum has none that can be told."""
    assert languages_of([text], classify).told == (language,)


def test_a_low_probability_is_not_sure() -> None:
    """What the classifier hardly believes itself is not passed on, nor is what it takes for no language."""
    text = "abcdefghij " * 4
    assert languages_of([text], lambda _: ("fr", 0.29)).told == (UNSURE,)
    assert languages_of([text], lambda _: ("zxx", 0.9)).told == (UNSURE,)
    assert languages_of([text], lambda _: ("fr", 0.3)).told == ("fr",)


def test_each_text_is_classified_once_and_only_its_beginning() -> None:
    """A long text takes no longer than a page."""
    seen: list[int] = []

    def classify(text: str) -> tuple[str, float]:
        seen.append(len(text))
        return "en", 1.0

    languages_of(["word " * 10_000, "another text, which is long enough to be told"], classify)
    assert seen == [2000, 45]


def test_counts() -> None:
    """The most frequent language comes first, what could not be told last."""
    found = Languages((UNSURE, "fr", "en", TOO_SHORT, "en", "de"))
    assert list(found.counts.items()) == [("en", 2), ("de", 1), ("fr", 1), (TOO_SHORT, 1), (UNSURE, 1)]
    assert (found.main, Languages((UNSURE,)).main) == ("en", None)


def test_names() -> None:
    """Common languages by their names, others by their codes."""
    assert (language_name("fr"), language_name("wa")) == ("French", "wa")
