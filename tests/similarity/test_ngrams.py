"""Shared n-grams: what is found, what is not, in whatever case and punctuation the words are written."""

import string
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skills_dspy.similarity.ngrams import SHORTEST, SharedGram, build
from skills_dspy.similarity.text import joined_tokens, plain, tokens

N = 13
JANET = (
    "Janet's ducks lay 16 eggs per day. She eats three for breakfast every morning and bakes muffins for her friends every day."
)
WORDS = st.text(string.ascii_lowercase + "äçéßж", min_size=1, max_size=6).filter(lambda w: tokens(w) == [w])
TEXTS = st.lists(WORDS, max_size=40)
NOISE = st.sampled_from([" ", ", ", "; ", "\n", " - ", "... ", '" "', " (", "!\t", "\u00a0", " – "])


def written(words: Sequence[str], noise: Sequence[str], loud: Sequence[bool]) -> str:
    """Words in some case, with some punctuation after each."""
    parts = []
    for place, word in enumerate(words):
        parts += [word.upper() if loud[place % len(loud)] else word, noise[place % len(noise)]]
    return "".join(parts)


def shares(words: Sequence[str], other: Sequence[str], n: int) -> bool:
    """Whether two lists have n words in a row in common, by the slow way."""
    grams = {tuple(other[i : i + n]) for i in range(len(other) - n + 1)}
    return any(tuple(words[i : i + n]) in grams for i in range(len(words) - n + 1))


@given(
    st.lists(WORDS, min_size=N, max_size=30),
    TEXTS,
    TEXTS,
    st.lists(NOISE, min_size=1, max_size=5),
    st.lists(st.booleans(), min_size=1, max_size=5),
    st.data(),
)
def test_a_shared_n_gram_is_found_whatever_case_and_punctuation(
    question: list[str], before: list[str], after: list[str], noise: list[str], loud: list[bool], data: st.DataObject
) -> None:
    """Any thirteen words of the question within any text, however it is written."""
    start = data.draw(st.integers(0, len(question) - N))
    text = written([*before, *question[start : start + N], *after], noise, loud)
    found = next(build(["Something else altogether, of no length to speak of.", " ".join(question)], N).find(text), None)
    assert found is not None
    assert found.owner == 1
    assert shares(list(found.words), question, N)


FEW = st.lists(st.sampled_from(["a", "b", "c"]), max_size=30)


@given(st.lists(FEW, min_size=1, max_size=5), FEW, st.integers(1, N))
def test_found_is_what_is_shared_and_nothing_else(questions: list[list[str]], text: list[str], n: int) -> None:
    """The slow way agrees: n words in a row, or a whole question of SHORTEST to n - 1 words; never less."""
    found = next(build([" ".join(q) for q in questions], n).find(" ".join(text)), None)
    held = [shares(text, q, n) or (SHORTEST <= len(q) < n and shares(text, q, len(q))) for q in questions]
    assert (found is not None) == any(held)
    if found is not None:
        assert shares(found.words, questions[found.owner], len(found.words))
        assert shares(found.words, text, len(found.words))
        assert len(found.words) == (len(questions[found.owner]) if found.whole else n)


def test_a_question_of_few_words_does_not_match_everything() -> None:
    """It is found only as a whole text of its own."""
    index = build(["What is the capital of France?", "Why?", "2 + 2"], N)
    assert not [*index.find("Please tell me: what is the capital of France? And why? 2 + 2!")]
    assert index.same("what is the  CAPITAL of France") == 0
    assert index.same("why??") == 1
    assert index.same("2+2=") is None
    assert index.same("2+2") == 2
    assert index.same("2-2") is None
    assert index.same("What is the capital of Germany?") is None


def test_the_first_of_several_questions_is_named() -> None:
    """The earliest shared words of the text, and of the questions that have them the first."""
    index = build(["Other words. " + JANET, JANET, JANET], N)
    found = next(index.find("He said: " + JANET))
    assert found == SharedGram(0, tuple(tokens(JANET)[:N]), whole=False)


@pytest.mark.parametrize(
    ("question", "common", "rare"),
    [
        ("下列关于光合作用的说法中正确的是哪一项请从四个选项中选出最合适的一个", "下列关于细胞的说法中正确的是", 26),
        (
            "次のうち正しいものはどれですか。富士山の高さは三千七百七十六メートルであり日本で最も高い山として知られている。",
            "次のうち正しいものはどれですか",
            45,
        ),
        ("ข้อใดต่อไปนี้ถูกต้องเกี่ยวกับเมืองหลวงของประเทศไทยซึ่งตั้งอยู่ริมแม่น้ำเจ้าพระยา", "ข้อใดต่อไปนี้", 60),
    ],
    ids=["Chinese", "Japanese", "Thai"],
)
def test_scripts_without_spaces(question: str, common: str, rare: int) -> None:
    """What every exam asks is not found; as much of a question as makes up thirteen words is."""
    index = build([question], N)
    assert not [*index.find(common)]
    found = next(index.find("xx" + question[:rare] + "yy"))
    assert joined_tokens(found.words) in "".join(tokens(question))


@given(st.text(), st.text())
def test_any_text_can_be_asked_for(question: str, text: str) -> None:
    """No text is too odd, lone surrogates included; a text has its own words."""
    index = build([question, ""], N)
    assert all(found.owner == 0 for found in index.find(text))
    if plain(question) == plain(text) and len(tokens(question)) < SHORTEST:
        assert index.same(text) == 0
    assert index.same("\ud800 lonely") is None


def test_large_numbers_of_questions_are_hashed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parts make no difference."""
    questions = [f"Question number {k} of a test that has a great many of them, all of some length: {k}?" for k in range(50)]
    questions[7] = "Short one?"
    whole = build(questions, N)
    monkeypatch.setattr("skills_dspy.similarity.ngrams._BLOCK", 40)
    parts = build(questions, N)
    assert (whole.grams == parts.grams).all()
    assert (whole.owners == parts.owners).all()
    assert parts.same("short one") == 7
    assert next(parts.find(questions[33])).owner == 33
    assert not [*build([], N).find("anything")]
