"""The range of lengths that writers are told."""

import pytest

from skills_dspy.similarity.length import usual_length


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["word " * 27, "word " * 36], "20 to 45 words"),
        (["Yes", "No."], "1 to 3 words"),
        (["word " * 92, "word " * 145], "65 to 190 words"),
        (["word " * 4, "word " * 8], "3 to 10 words"),
        (["word " * 1100], "820 to 1400 words"),
        (["🦊"], "1 to 3 words"),
        (["狐狸是什么动物？它住在哪里？"], "10 to 20 characters"),
        (["+"], "1 to 3 words"),
    ],
)
def test_a_range_as_people_would_write_it(texts: list[str], said: str) -> None:
    """From three quarters of the shortest to five quarters of the longest, in round numbers, and never a single one."""
    assert usual_length(texts) == said


@pytest.mark.parametrize(
    ("words", "seeds", "said"),
    [(4, 3, "3 to 7 words"), (100, 3, "75 to 180 words"), (100, 2, "75 to 250 words"), (900, 3, "670 to 1200 words")],
)
def test_an_answer_may_say_more_than_the_seeds_do(words: int, seeds: int, said: str) -> None:
    """Three quarters as much again, more where few show what is usual, and no more than a reply has room for."""
    assert usual_length(["word " * words] * seeds, richer=True) == said
