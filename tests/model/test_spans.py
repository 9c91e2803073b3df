"""Where a value stands in a JSON reply, and in which token it begins."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skills_dspy.model.soft import first_token, value_span

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text(max_size=6), _VALUES, max_size=5), st.sampled_from([None, 1, "\t"]), st.booleans())
def test_every_value_is_found_where_it_stands(reply: dict[str, object], indent: int | str | None, ascii_only: bool) -> None:
    """However the object is laid out: what stands there reads as the value."""
    text = json.dumps(reply, indent=indent, ensure_ascii=ascii_only)
    for key, value in reply.items():
        span = value_span(text, key)
        assert span is not None
        assert json.loads(text[slice(*span)]) == value
    assert value_span(text, "a key that is not there") is None


def test_keys_inside_of_strings_and_objects_do_not_count() -> None:
    """Only a key of the whole object is one."""
    text = '{"said": "{\\"rating\\": 1}, \\"rating\\": 1", "inner": {"rating": 1}, "rating" : 3 }'
    span = value_span(text, "rating")
    assert span == (text.index("3"), text.index("3") + 1)
    assert value_span('{"inner": {"rating": 1}}', "rating") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "3",
        "[3]",
        "{",
        '{"rating"',
        '{"rating" 3}',
        '{"rating": }',
        '{"rating": 3',
        '{"rating": 3 "b": 1}',
        '{"rating": 3, "rating": 3}',
        "{rating: 3}",
        '{"rating": ' + "[" * 100_000,
    ],
)
def test_what_is_no_object_with_the_key_once_has_no_value(text: str) -> None:
    """Broken off, no object, or twice there, when nobody knows which is meant."""
    assert value_span(text, "rating") is None


@given(st.text(), st.data())
def test_the_token_of_a_character_is_found(middle: str, data: st.DataObject) -> None:
    """However a text is cut into tokens; an empty one is never the one."""
    text = f"{{{middle}}}"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    tokens = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    place = data.draw(st.integers(0, len(text) - 1))
    found = first_token(tokens, text, place)
    assert found is not None
    number, before = found
    assert sum(map(len, tokens[:number])) + before == place
    assert before < len(tokens[number])


OBJECT = '{"a": "ü", "rating": 3}'
PLACE = OBJECT.index("3")


@pytest.mark.parametrize(
    "tokens",
    [
        [" ", OBJECT[:PLACE], "3", "}"],
        ["<s>", OBJECT[:PLACE], "3", "}", "</s>"],
        ["[/INST]", " \n", OBJECT[:PLACE], "3", "}", "\n", "<|im_end|>"],
    ],
)
def test_what_stands_around_the_reply_may_be_there(tokens: list[str]) -> None:
    """Blanks that were cut off the text, and the tokens that begin and end a turn."""
    found = first_token(tokens, OBJECT, PLACE)
    assert found == (tokens.index("3"), 0)
    assert first_token([OBJECT[:PLACE], "3", "}"], f" {OBJECT}\n", PLACE + 1) == (1, 0)


@pytest.mark.parametrize(
    "tokens",
    [
        [],
        [OBJECT[:PLACE], "2", "}"],
        [OBJECT[:PLACE], "3"],
        ["Well: ", OBJECT[:PLACE], "3", "}"],
        [OBJECT[:PLACE], "3", "}", " Done"],
        [OBJECT[1:PLACE], "3", "}"],
        ["<s>" + OBJECT],
    ],
)
def test_tokens_of_another_text_are_refused(tokens: list[str]) -> None:
    """Something is missing, other or more; or the reply's beginning shares its token with what is not of the text."""
    assert first_token(tokens, OBJECT, PLACE) is None


def test_a_character_in_parts_before_the_value_does_no_harm() -> None:
    """A token that holds half of a character cannot be written as text; what follows the last such token is compared."""
    broken = ['{"a": "', "\ufffd", "\ufffd", '", "rating":', " ", "3", "}"]
    assert first_token(broken, OBJECT, PLACE) == (5, 0)
    together = ['{"a": "', "\ufffd", '\ufffd", "rating": 3', "}"]
    assert first_token(together, OBJECT, PLACE) is None
    other = ['{"a": "', "\ufffd", "\ufffd", '", "score":', " ", "3", "}"]
    assert first_token(other, OBJECT, PLACE) is None


def test_the_sign_for_a_broken_character_may_be_the_texts_own() -> None:
    """Then the tokens are the text's, to the letter."""
    text = '{"a": "\ufffd", "rating": 3}'
    assert first_token([text[:-2], "3}"], text, len(text) - 2) == (1, 0)
