"""What a text is made of: its tokens and its words."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skills_dspy.similarity.text import joined_tokens, likeness, operators, tokens, words

TEXTS = st.text(alphabet=st.sampled_from("ab cd' éß中ー👍-.\n"), max_size=30)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don’t STOP—me, now!", ["dont", "stop", "me", "now"]),
        ("don\u00b4t don\uff07t don`t", ["dont", "dont", "dont"]),
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("ｆｕｌｌ ﬁ ²", ["full", "fi", "2"]),
        ("e\u0301tude \u00e9tude", ["étude", "étude"]),
        ("so\u00adft zero\u200bwidth", ["soft", "zerowidth"]),
        ("1,000.5 x_1 a+b", ["1", "000", "5", "x", "1", "a", "b"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("GPTは何ですか", ["gpt", "は", "何", "で", "す", "か"]),
        ("ก็ดี", ["ก", "็", "ด", "ี"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("... ?!", []),
    ],
)
def test_how_texts_are_normalised(text: str, expected: list[str]) -> None:
    """NFKC, casefold, apostrophes and invisible characters left out, characters alone where words have no spaces."""
    assert tokens(text) == [unicodedata.normalize("NFKC", token) for token in expected]


def test_tokens_as_a_person_reads_them() -> None:
    """Spaces only where there are words."""
    assert joined_tokens(tokens("the GPT は何 a b")) == "the gpt は何 a b"


@pytest.mark.parametrize("dash", ["–", "—", "−", "-"])
def test_a_dash_of_any_length_is_a_minus(dash: str) -> None:
    """Between numbers, letters and brackets; between words it is none."""
    assert operators(f"Is 3 {dash} 1 = (x){dash}y {dash} or not?") == ["-", "=", "-"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The Fox, the fox!", ["the", "fox", "the", "fox"]),
        ("Don’t stop - it's 'quoted'", ["don't", "stop", "it's", "quoted"]),
        ("a well-known snake_case _word_", ["a", "well", "known", "snake", "case", "word"]),
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("3.14 + 2x", ["3", "14", "2x"]),
        ("狐は走る fast", ["狐", "は", "走", "る", "fast"]),
        ("빠른 여우", ["빠른", "여우"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("cafe\u0301 café", ["café", "café"]),
        ("👍🏽👍 ❤️ ok", ["👍🏽", "👍", "❤️", "ok"]),
        ("... !? \n", []),
    ],
)
def test_words(text: str, found: list[str]) -> None:
    """Words are what a reader of the language counts; each Chinese or Japanese character and each emoji is one."""
    assert words(text) == found


@given(TEXTS)
def test_words_of_words_are_the_same(text: str) -> None:
    """Taking a text's words apart a second time changes nothing."""
    assert words(" ".join(words(text))) == words(text)


def test_likeness_is_by_the_letter() -> None:
    """Case and layout do not count."""
    assert likeness("Correct  the errors.", "correct the ERRORS.") == 1.0
    assert 0.5 < likeness("Correct the errors.", "Correct the terms.") < 1.0
    assert likeness("abc", "xyz") == 0.0
