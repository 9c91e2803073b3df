"""The estimate of tokens: never low, whatever the script, and nearly additive."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from evals.bench.tokens import TEXTS_BY_SCRIPT
from skills_dspy.base.tokens import LEAST_TIMES, MOST_TIMES, estimate_tokens

CHARACTERS = st.one_of(
    st.characters(codec=None),
    st.sampled_from("aZ"),
    st.sampled_from(" \n\t\r\x0b\x1c\x85\xa0\u2028\u3000"),
    st.sampled_from("09.,-_{}\"'/\\"),
    st.sampled_from("éßжλבعकไ漢あ한🦊\u0301\u200d"),
)
TEXTS = st.text(CHARACTERS, max_size=60)


@given(TEXTS, TEXTS)
def test_joined_texts_take_about_the_sum(first: str, second: str) -> None:
    """Not less than either alone, and at most one token more than both: so parts of a prompt can be added up."""
    joined = estimate_tokens(first + second)
    assert joined <= estimate_tokens(first) + estimate_tokens(second) + 1
    assert joined >= max(estimate_tokens(first), estimate_tokens(second))


@given(TEXTS)
def test_never_less_than_an_eighth_of_the_characters(text: str) -> None:
    """No vocabulary packs ordinary text tighter."""
    assert estimate_tokens(text) >= len(text) // 8


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("", 0, 0),
        ("fox", 1, 1),
        ("The quick brown fox jumps over the lazy dog.", 10, 16),
        ("internationalization", 4, 7),
        ("1234567", 7, 7),  # a token each with Mistral
        ("a, b; c.", 6, 6),
        ("Der Fuchs läuft über die Straße.", 9, 16),
        ("Лиса бежит через лес.", 7, 18),
        ("الثعلب يجري", 4, 11),
        ("Η αλεπού τρέχει", 5, 14),
        ("लोमड़ी", 3, 10),
        ("狐狸在跑。", 5, 10),
        ("キツネが走る", 6, 12),
        ("🦊🦊", 4, 8),
        ("def f(x):\n    return x ** 2\n", 14, 18),
        (" ", 0, 0),
        ("a b c d", 4, 4),
        ("a  b", 3, 3),
        (" " * 100, 20, 30),
        ("\n", 1, 1),
        ("\n\n", 1, 2),
        ("\n" * 100, 20, 30),
        ("\t" * 100, 20, 30),
        ("\u3000" * 10, 10, 20),
    ],
)
def test_in_several_scripts(text: str, least: int, most: int) -> None:
    """Between what a good vocabulary takes and what would waste the window."""
    assert least <= estimate_tokens(text) <= most


COUNTED = {
    "English": (32, 33),
    "code": (44, 40),
    "JSON": (56, 52),
    "German": (60, 44),
    "Amharic": (252, 131),
    "Japanese": (151, 52),
    "numbers": (73, 71),
}
"""What SmolLM2 and Qwen2.5-Coder made of texts of evals/bench/scripts.yaml on 2026-11-26; docs/commands.md has the others."""


@pytest.mark.parametrize("name", COUNTED)
def test_the_stated_bounds_are_those_that_tokenizers_keep(name: str) -> None:
    """Never below their count and at most so many times it, for English; other texts lie outside, as is said there."""
    estimate = estimate_tokens(yaml.safe_load(TEXTS_BY_SCRIPT.read_text("utf-8"))[name])
    times = [estimate / tokens for tokens in COUNTED[name]]
    within = all(LEAST_TIMES <= each <= MOST_TIMES for each in times)
    assert within is (name in ("English", "code", "JSON")), times
    assert 0.3 < min(times) <= max(times) < 3.3
