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
    [
        (4, 3, "3 to 7 words"),
        (100, 3, "75 to 180 words"),
        (100, 2, "75 to 250 words"),
        (900, 3, "670 to 1200 words"),
        (200, 9, "150 to 350 words"),
    ],
)
def test_an_answer_may_say_more_than_few_seeds_or_long_ones_do(words: int, seeds: int, said: str) -> None:
    """Three quarters as much again, more where few show what is usual, no more than a reply has room for; it is told when."""
    more = "near the upper end where there is much worth saying"
    assert usual_length(["word " * words] * seeds, answers=True, richer=True) == f"{said}, {more}"


@pytest.mark.parametrize(
    ("lengths", "said"),
    [
        ((7, 8, 8, 9, 10, 10, 11, 12, 13, 14, 20, 25), "5 to 35 words, mostly 8 to 15"),
        ((1, 1, 9, 13, 18, 26, 27, 33, 37, 39, 46, 52, 71, 75, 82), "1 to 110 words, mostly 15 to 50"),
        ((1, 1, 1, 1, 1), "1 to 3 words, mostly 1"),
    ],
)
@pytest.mark.parametrize("richer", [False, True])
def test_of_many_answers_the_usual_lengths_are_told(lengths: tuple[int, ...], said: str, richer: bool) -> None:
    """A single long one decides how long one may be, not how long they are; where that shows, none need grow. Questions may."""
    texts = ["word " * length for length in lengths]
    assert usual_length(texts, answers=True, richer=richer) == said
    assert usual_length(texts) == said.partition(",")[0]
