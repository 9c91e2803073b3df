"""Habits of texts: openings and closings of prose in any language with spaces, and nothing anywhere else."""

import pytest

from skills_dspy.base.tokens import estimate_tokens
from skills_dspy.similarity.habits import LONGEST_HABIT, answer_habits, layout_of, question_habits, subject_words

LONG = "the walls of old houses are thick and keep the rooms cool until late in the long hot evening of a day in summer"
CODE = "def mean(values):\n    total = sum(values) / len(values) if values else 0.0\n    return total\n" * 3
TABLE = "| name of the town | people in it | area |\n|---|---|---|\n| Rome and its many hills around | 3 | 4 |\n" * 3
CSV = "id, name of the town, people, area in square miles\n1, Rome, 3, 4\n2, Oslo, 5, 6\n3, Bonn, 7, 8\n4, Bath, 9, 1\n"
JSON = '{"name": "Rome", "people": [3, 4, 5, 6, 7], "area": {"land": 7, "water": 8}, "old": true, "walls": "long and old."}'
BULLETS = f"- Of course {LONG}.\n- And {LONG}."
CHINESE = "当然可以，古老的房子墙壁很厚，夏天的晚上房间里也很凉爽，所以人们喜欢住在里面。" * 3
THAI = "แน่นอน บ้านเก่า มีผนังหนา และ ห้อง เย็น จนถึง ค่ำ ใน ฤดูร้อน คน จึง ชอบ อยู่ ใน บ้าน เก่า มาก ๆ ทุก ๆ วัน ของ ปี."
HINDI = "ज़रूर यह पुराने घरों की दीवारें मोटी होती हैं और कमरे गर्मियों की शाम तक ठंडे रहते हैं इसलिए लोग उनमें रहना पसंद करते हैं।"


def told(habits: object) -> dict[str, str]:
    """Kind to words."""
    assert isinstance(habits, (tuple, frozenset))
    return {habit.kind: habit.words for habit in habits}


def test_what_is_found_in_prose() -> None:
    """Two words of the opening, three of the closing, and the beginning of the last paragraph, however they are typed."""
    text = f"\n“Of course!” They say that {LONG}.\n\nSo, think about it: **I hope this helps!**\n"
    assert told(answer_habits(text)) == {"opening": "of course", "closing": "hope this helps", "last paragraph": "so"}
    assert told(answer_habits(f"{LONG}.\n\nIn short {LONG}."))["last paragraph"] == "in short"
    assert "last paragraph" not in told(answer_habits(f"Of course {LONG}."))
    assert told(answer_habits(f"Die Häuser sind alt. {LONG}."))["opening"] == "die häuser"
    assert told(answer_habits(HINDI)) == {"opening": "ज़रूर यह", "closing": "पसंद करते हैं"}


@pytest.mark.parametrize("text", [CODE, f"```\n{LONG}.\n```", TABLE, CSV, JSON, BULLETS, CHINESE, THAI, "Category: sports", ""])
def test_nothing_is_found_elsewhere(text: str) -> None:
    """Code, tables, data, lists, labels, and scripts without spaces have none, in answers as in questions."""
    assert (answer_habits(text), question_habits(text)) == ((), ())


def test_short_texts_and_short_lines_have_none() -> None:
    """A salutation, a label before the text, and an answer of a few words may well be as others are."""
    assert answer_habits("Of course it is a fox in the garden.") == ()
    assert "opening" not in told(answer_habits(f"Dear Sir,\n{LONG}.\n\nThank you for all of your time."))
    assert "closing" not in told(answer_habits(f"Of course {LONG}.\n\nBest regards,\nAnna"))


def test_what_is_found_in_a_question() -> None:
    """Four words at either end, and the words that may tell the subject."""
    text = "How can I keep my 2nd garden dry? Think step by step about it."
    assert told(question_habits(text)) == {"question opening": "how can i keep", "question closing": "by step about it"}
    assert question_habits("Who was the first?") == ()
    assert {habit.words for habit in subject_words(text)} == {"garden", "step"}
    assert {habit.words for habit in subject_words("我的花园 don't 2nd")} == set()


def test_what_a_prompt_quotes_is_short() -> None:
    """A word without end is no habit."""
    assert told(answer_habits(f"{'x' * 200} and {LONG}.")).keys() == {"closing"}
    assert all(estimate_tokens(habit.words) <= LONGEST_HABIT for habit in answer_habits(f"Of {'x' * 60} {LONG}."))


@pytest.mark.parametrize(
    ("text", "layout"),
    [
        (f"{LONG}\n```\nx\n```\n- a\n- b", "code"),
        (TABLE, "table"),
        (f"## Walls\n{LONG}\n- a\n- b", "headings"),
        ("1. a\n2. b", "numbers"),
        (BULLETS, "bullets"),
        (f"{LONG}\n\n{LONG}", "paragraphs"),
        (f"{LONG}\n{LONG} 1. and 2.", "one paragraph"),
        (CHINESE, "one paragraph"),
    ],
)
def test_layouts(text: str, layout: str) -> None:
    """One name for each text."""
    assert layout_of(text) == layout
