"""Seeds and texts out of the nodes of a YAML file; each refusal names the line of the key at fault."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from skills_dspy.base.errors import SpecError
from skills_dspy.base.records import SeedExample
from skills_dspy.base.validation import unknown_key
from skills_dspy.base.yaml_lines import Node, shown

SEED_KEYS = ("question", "answer", "context")

Where = tuple[str | int, ...]
"""A place in a file: keys, and places in lists from 0."""


class SeedReader:
    """Reads one file's values.

    Args:
        root: the file's top mapping.
        path: the file, for messages.
    """

    def __init__(self, root: Node, path: Path) -> None:
        self.root = root
        self.path = path

    def refuse(self, message: str, *where: str | int) -> NoReturn:
        """Raise a SpecError for a place in the file."""
        raise SpecError(message, self.path, self.root.line_of(where))

    def text(self, *where: str | int, instead: str = "write text") -> str:
        """The text at a place: not empty, and text for YAML too, not what only looks like it."""
        label = _label(where)
        if (node := self.root.at(where)) is None:
            self.refuse(f"{label} is missing; add it", *where)
        if node.kind in ("integer", "number", "boolean"):
            self.refuse(f'{label} is {node.described()}; write it in quotes: "{shown(node.written)}"', *where)
        if node.kind in ("list", "mapping"):
            said = f"{label} is {node.described()}; write text, in quotes if it starts with a bracket or a dash"
            self.refuse(said, *where)
        text = node.written
        if node.kind == "nothing" and text.strip(" ~"):
            said = f'{label} is {text}, which YAML takes for nothing; {instead}, or put it in quotes: "{text}"'
            self.refuse(said, *where)
        if node.kind == "nothing" or not text.strip():
            self.refuse(f"{label} is empty; {instead}", *where)
        return text

    def description(self, *above: str | int) -> str:
        """The `task_description` there, which may be empty."""
        where = (*above, "task_description")
        node = self.root.at(where)
        if node is not None and node.kind == "nothing":
            return ""
        return node.written if node is not None and node.kind == "text" and not node.written.strip() else self.text(*where)

    def seeds(self) -> Iterator[SeedExample]:
        """The items of `seed_examples`, at least one."""
        node = self.root.fields["seed_examples"]
        how = "write a list, each item with `- question:` and `answer:`"
        if not node.items:
            self.refuse(f"`seed_examples` is {node.described()}; {how}", "seed_examples")
        for place in range(len(node.items)):
            yield self.seed("seed_examples", place)

    def seed(self, *where: str | int, known: Sequence[str] = SEED_KEYS, context: str = "context") -> SeedExample:
        """The seed at a place.

        Args:
            where: the place.
            known: the keys that it may have.
            context: the key of its context, if it has one.
        """
        item = self.root.at(where)
        assert item is not None
        if item.kind != "mapping":
            self.refuse(f"{_label(where)} is {item.described()}; write `question:` and `answer:` there", *where)
        for key in item.fields:
            if key not in known:
                self.refuse(f"in {_label(where)}: {unknown_key(key, known)}", *where, key)
        question = self.text(*where, "question")
        answer = self.text(*where, "answer")
        text = self.text(*where, context, instead="leave the key out") if context in item.fields else None
        return SeedExample(question=question, answer=answer, context=text, line=item.line)


def _label(where: Sequence[str | int]) -> str:
    """A place as people count: `seed_examples`, `seed 3`, `answer of seed 3`, `haiku/answer`."""
    match where:
        case ("seed_examples", int(place)):
            return f"seed {place + 1}"
        case ("seed_examples", int(place), str(key)):
            return f"`{key}` of seed {place + 1}"
        case _:
            return f"`{'/'.join(map(str, where))}`"
