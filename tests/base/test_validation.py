"""A YAML file's values against a model: which fault is named, where, and in which words."""

from pathlib import Path
from typing import Annotated

import pytest

from skills_dspy.base.errors import SpecError
from skills_dspy.base.records import Frozen
from skills_dspy.base.validation import FILLED, Text, Wording, validated
from skills_dspy.base.yaml_lines import parse_yaml

FILE = Path("inn.yaml")
WORDING = Wording(SpecError, lambda where: "/".join(map(str, where)), {"string_type list": "{place} is many"})


class Room(Frozen):
    """What an inn has."""

    name: Text
    beds: int = 1


class Inn(Frozen):
    """What is checked."""

    name: Text
    rooms: Annotated[tuple[Room, ...], FILLED]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "rooms:\n  - beds: 2\n    nam: a\nname: 5",
            "3: in rooms/0: unknown key `nam`; did you mean `name`? known here: name, beds",
        ),
        ("Nam-e: 5\nzzz: 1", "1: unknown key `Nam-e`; did you mean `name`? known here: name, rooms"),
        ("zzz: 1", "1: unknown key `zzz`; known here: name, rooms"),
        ("rooms:\n  - beds: 2\nname: 5", '3: name is the number 5; write it in quotes: "5"'),
        ("rooms:\n  - beds: 2\nname: a", "2: rooms/0/name is missing; add it"),
        ("rooms:\n  - 7\nname: a", "2: rooms/0 is the number 7; write keys and values: name, beds"),
        ("name: [a]\nrooms: [{name: b}]", "1: name is many"),
        ("name: ' '\nrooms: [{name: b}]", "1: name is empty; write text"),
        ("name: a\nrooms: []", "2: rooms is an empty list; write "),
    ],
)
def test_the_first_fault_is_named_and_a_missing_key_last(text: str, said: str) -> None:
    """By its line, in the words of the file's kind or in those for all."""
    with pytest.raises(SpecError) as caught:
        validated(parse_yaml(text.encode(), FILE, SpecError), Inn, FILE, WORDING)
    assert str(caught.value) == f"inn.yaml:{said}"


def test_a_part_of_a_file_is_checked_at_its_place() -> None:
    """Lines and names are those of the whole file."""
    root = parse_yaml(b"a:\n  b:\n    name: x\n    beds: two\n", FILE, SpecError)
    with pytest.raises(SpecError, match=r'inn\.yaml:4: a/b/beds is the text "two"'):
        validated(root, Room, FILE, WORDING, at=("a", "b"))
    root = parse_yaml(b"a:\n  b:\n    name: x\n", FILE, SpecError)
    assert validated(root, Room, FILE, WORDING, at=("a", "b")) == Room(name="x")
