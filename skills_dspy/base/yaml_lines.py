"""Reading YAML that people write: plain values that know their lines, one sentence for what is wrong.

It reads a careful subset of YAML: one document, a mapping on top,
text as keys, each key once, no tags but `!!str` and those that change nothing, no merge keys, no dates, no numbers that
YAML reads in base 8 or 60. Aliases are read, up to a size.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NoReturn

import yaml
from yaml.reader import Reader

from skills_dspy.base.encoding import as_utf8, no_utf8
from skills_dspy.base.errors import FileError
from skills_dspy.base.unseen import ODD, UNSEEN, odd_key, placed
from skills_dspy.base.visible import visible_line
from skills_dspy.base.yaml_faults import no_yaml

MAX_BYTES = 4 * 1024 * 1024
"""The largest file that is read."""

MAX_DEPTH = 50
"""How deep lists and mappings may be nested; the top mapping is at depth 1."""

MAX_VALUES = 100_000
"""How many keys and values a file may hold, each alias counted as what it stands for."""

NodeKind = Literal["text", "integer", "number", "boolean", "nothing", "list", "mapping"]

Plain = str | int | float | bool | None | list["Plain"] | dict[str, "Plain"]
"""What YAML comes to without lines."""

_STANDARD = "tag:yaml.org,2002:"
_BOOLEANS = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9_]{0,39})")
_NUMBER = re.compile(r"[-+]?([0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(e[-+][0-9]+)?")
_FAST = getattr(yaml, "CSafeLoader", None)  # not where PyYAML was built without libyaml
_LIBYAML_TAKES = re.compile(r"\t|[|>][-+0-9]*#")
"""Tabs between values, and a comment right after a block's mark."""
_BLANKS = re.compile(r"\s+", re.ASCII)
_HALF = re.compile("[\ud800-\udfff]")
_BREAK = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Node:
    """One value of a YAML file.

    Attributes:
        line: the 1-based line where it starts.
        value: a scalar's value; None for the rest.
        written: a scalar as it stands in the file, without quotes.
        items: a list's values.
        fields: a mapping's values by key, in the file's order.
        key_lines: the 1-based line of each of these keys.
        size: how many keys and values it holds, itself counted, aliases counted as what they stand for.
        odd: the first odd character of a scalar (see unseen.py), with its column; empty where there is none.
        odd_keys: the same of each key that has one, with what to do.
    """

    kind: NodeKind
    line: int
    value: str | int | float | bool | None = None
    written: str = ""
    items: tuple["Node", ...] = ()
    fields: Mapping[str, "Node"] = field(default_factory=dict)
    key_lines: Mapping[str, int] = field(default_factory=dict)
    size: int = 1
    odd: str = ""
    odd_keys: Mapping[str, str] = field(default_factory=dict)

    def at(self, path: Iterable[str | int]) -> "Node | None":
        """What `path` leads to, through keys and places from 0; None where it leads nowhere."""
        *_, (node, _) = self._along(path)
        return node

    def line_of(self, path: Iterable[str | int]) -> int:
        """The 1-based line of what `path` leads to: a key's own line, an item's first line.

        Where the path leads nowhere, the line of the last part of it that exists.
        """
        return [line for node, line in self._along(path) if node is not None][-1]

    def _along(self, path: Iterable[str | int]) -> Iterator[tuple["Node | None", int]]:
        """This node and those on the way, each with its line; the last is None where the path leads nowhere."""
        node = self
        yield node, node.line
        for part in path:
            if isinstance(part, str) and part in node.fields:
                line = node.key_lines[part]
                node = node.fields[part]
            elif isinstance(part, int) and 0 <= part < len(node.items):
                node = node.items[part]
                line = node.line
            else:
                yield None, 0
                return
            yield node, line

    def plain(self) -> Plain:
        """The value without lines; lists and mappings are new ones."""
        if self.kind == "list":
            return [item.plain() for item in self.items]
        if self.kind == "mapping":
            return {key: node.plain() for key, node in self.fields.items()}
        return self.value

    def described(self) -> str:
        """What it is, for a message: `the number 42`, `the text "abc"`, `empty`, `a list`."""
        match self.kind:
            case "text":
                odd = f", with {self.odd}" if self.odd else ""
                return f'the text "{shown(self.written)}"{odd}' if self.written.strip() or odd else "empty"
            case "integer" | "number":
                return f"the number {shown(self.written)}"
            case "boolean":
                return f"the yes/no value {self.written}"
            case "nothing":
                return "empty"
        return f"a {self.kind}" if self.items or self.fields else f"an empty {self.kind}"


UNREAD = Node("nothing", 1)
"""The content of a file that is not read."""


def shown(text: str, limit: int = 60) -> str:
    """A text in one line of at most `limit` characters and without control characters, for messages."""
    line = _BLANKS.sub(" ", text[: 4 * limit]).strip(" ")
    cut = line if len(line) <= limit and len(text) <= 4 * limit else line[: limit - 1] + "…"
    return visible_line(cut)


def read_yaml(path: Path, error: type[FileError]) -> Node:
    """Read a file of at most MAX_BYTES in UTF-8, or in UTF-16 with its mark, whose top level is a mapping.

    Raises:
        error: the file cannot be read, or `parse_yaml` refuses it.
    """
    try:
        if path.is_dir():
            raise error("this is a folder; give the path of a YAML file", path)
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError as problem:
        raise error("the file does not exist; check the path", path) from problem
    except (OSError, ValueError) as problem:
        raise unreadable(path, problem, error) from problem
    return parse_yaml(data, path, error)


def unreadable(path: Path, problem: OSError | ValueError, error: type[FileError]) -> FileError:
    """What is said of a file or folder that the system does not let us read."""
    reason = problem.strerror if isinstance(problem, OSError) else str(problem)
    return error(f"cannot be read ({reason}); check the path and its permissions", path)


def parse_yaml(data: bytes, path: Path, error: type[FileError]) -> Node:
    """Read a file's bytes; its top level has to be a mapping, and `path` is for messages only.

    Raises:
        error: with line and remedy, for all that this module's first lines rule out and for what is no YAML at all.
    """
    if len(data) > MAX_BYTES:
        raise error(f"the file is larger than {MAX_BYTES // 2**20} MiB; split it into smaller files", path)
    try:
        text = as_utf8(data).decode()
    except UnicodeDecodeError as problem:
        line = len(_BREAK.findall(data[: problem.start].decode("utf-8"))) + 1
        raise error(f"byte {problem.start} {no_utf8(data)}", path, line) from problem
    # libyaml reads seven times as fast; where it or we refuse, and where it takes what PyYAML refuses, PyYAML has the word.
    if _FAST is not None and not _LIBYAML_TAKES.search(text):
        with suppress(error):
            return _Parser(text, path, error, _FAST).document()
    return _Parser(text, path, error, yaml.SafeLoader).document()


class _Parser:
    """Builds the nodes of one document from PyYAML's events.

    PyYAML's own composer recurses without a bound, keeps the last of two equal keys, and forgets the lines.
    """

    def __init__(self, text: str, path: Path, error: type[FileError], loader: Any) -> None:
        self._path = path
        self._error = error
        # PyYAML takes U+0085, U+2028 and U+2029 for line breaks too; editors do not, so lines are counted here.
        self._breaks = [match.end() for match in _BREAK.finditer(text)]
        self._anchors: dict[str, Node | None] = {}  # None: still open, so an alias to it would contain itself
        if bad := Reader.NON_PRINTABLE.search(text):
            said = f"holds the control character {placed(text, bad.start())}, which YAML does not allow; remove it"
            self._refuse(said, bad.start())
        self._text, self._odd = text, UNSEEN.search(text) is not None
        self._loader: Any = loader(text)

    def _refuse(self, message: str, index: int | None) -> NoReturn:
        raise self._error(message, self._path, None if index is None else self._line(index))

    def _line(self, index: int) -> int:
        return bisect_left(self._breaks, index + 1) + 1

    def document(self) -> Node:
        self._next()  # the stream's start
        if isinstance(self._next(), yaml.StreamEndEvent):
            self._refuse("the file is empty; write keys and values into it", None)
        event = self._next()
        root = self._node(event, 1)
        if root.kind == "nothing":
            self._refuse("the file is empty; write keys and values into it", None)
        if root.kind != "mapping":
            self._refuse(f"the file is {root.described()}; write keys and values, `key: value`", event.start_mark.index)
        self._next()  # the document's end
        event = self._next()
        if not isinstance(event, yaml.StreamEndEvent):
            self._refuse("a second document starts here; put it into a file of its own", event.start_mark.index)
        return root

    def _next(self) -> Any:
        try:
            return self._loader.get_event()
        except yaml.MarkedYAMLError as problem:
            last = isinstance(self._loader, yaml.SafeLoader)
            self._refuse(*no_yaml(self._text, problem, shown(str(problem.problem), 120), last=last))
        except (ValueError, OverflowError):  # from chr() and int(): "\UFFFFFFFF", %YAML 1.99…9
            self._refuse("this is not YAML: a number is too large; write the character itself", self._loader.index)

    def _node(self, event: Any, depth: int, inside: Any = None) -> Node:
        index = event.start_mark.index
        if isinstance(event, yaml.AliasEvent):
            return self._alias(str(event.anchor), index)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            if inside and inside.flow_style and not event.style and "?" in event.value:
                self._refuse("PyYAML takes no plain text with a question mark between brackets", index)
            node = self._scalar(event, index)
        else:
            if depth > MAX_DEPTH:
                self._refuse(f"nested deeper than {MAX_DEPTH} levels; flatten it", index)
            is_list = isinstance(event, yaml.SequenceStartEvent)
            if event.tag not in (None, _STANDARD + ("seq" if is_list else "map")):
                self._refuse_tag(event.tag, index)
            node = self._list(event, depth) if is_list else self._mapping(event, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, name: str, index: int) -> Node:
        if name not in self._anchors:
            self._refuse(f"`*{shown(name)}` refers to nothing above it; quote the text if it starts with *", index)
        node = self._anchors[name]
        if node is None:
            self._refuse(f"`*{shown(name)}` contains itself; write the value out", index)
        return node

    def _grown(self, size: int, by: Node, index: int) -> int:
        if size + by.size > MAX_VALUES:
            self._refuse(f"the file holds more than {MAX_VALUES} values, aliases written out; split it", index)
        return size + by.size

    def _list(self, start: Any, depth: int) -> Node:
        items: list[Node] = []
        size = 1
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1, start))
            size = self._grown(size, items[-1], event.start_mark.index)
        return Node("list", self._line(start.start_mark.index), items=tuple(items), size=size)

    def _mapping(self, start: Any, depth: int) -> Node:
        fields: dict[str, Node] = {}
        lines: dict[str, int] = {}
        odd: dict[str, str] = {}
        size = 1
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            at = event.start_mark.index
            if isinstance(event, yaml.ScalarEvent) and event.value == "<<" and event.implicit[0]:
                self._refuse("merge keys (`<<`) are not supported; write the keys out", at)
            key = self._node(event, depth + 1, start)
            if not isinstance(key.value, str):
                self._refuse(f"a key has to be text and this one is {key.described()}; put it in quotes", at)
            name = key.value
            if name in fields:
                self._refuse(f"the key `{shown(name)}` is already in line {lines[name]}; keep one of them", at)
            if (self._odd or not name.isascii()) and (said := odd_key(self._text, at, event.end_mark.index)):
                odd[name] = said
            fields[name] = self._node(self._next(), depth + 1, start)
            lines[name] = self._line(at)
            size = self._grown(self._grown(size, key, at), fields[name], at)
        return Node("mapping", self._line(start.start_mark.index), fields=fields, key_lines=lines, size=size, odd_keys=odd)

    def _refuse_tag(self, tag: str, index: int) -> NoReturn:
        name = "!!" + tag.removeprefix(_STANDARD) if tag.startswith(_STANDARD) else tag
        self._refuse(f"the tag `{shown(name)}` is not allowed here; leave it out, and put text in quotes", index)

    def _scalar(self, event: Any, index: int) -> Node:
        text: str = event.value
        if not text.isascii() and (half := _HALF.search(text)):
            # JSON writes a character beyond U+FFFF as two escapes, and YAML has no such pairs: they are put together here.
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
            if half := _HALF.search(text):
                said = f"the escape \\u{ord(half.group()):04x} is half a character, and the other half is not beside it"
                self._refuse(f"{said}; write the character itself", index)
        meant: str = self._loader.resolve(yaml.ScalarNode, text, event.implicit if event.tag is None else (True, False))
        tag = event.tag or meant
        if event.tag not in (None, _STANDARD + "str", meant):
            self._refuse_tag(event.tag, index)
        kind, value = self._value(tag.removeprefix(_STANDARD), text, index)
        odd = None if text.isascii() else ODD.search(text)
        at = (
            -1 if odd is None else self._text.find(odd.group(), index, event.end_mark.index)
        )  # it may be there as an escape only
        return Node(kind, self._line(index), value, text, odd="" if at < 0 else placed(self._text, at))

    def _value(self, tag: str, text: str, index: int) -> tuple[NodeKind, str | int | float | bool | None]:
        plain = text.lower().replace("_", "")
        match tag:
            case "null":
                return "nothing", None
            case "bool":
                return "boolean", _BOOLEANS[plain]
            case "int" if _INTEGER.fullmatch(text):
                return "integer", int(plain)
            case "float" if plain.endswith((".inf", ".nan")):
                return "number", float(plain.replace(".", ""))
            case "float" if _NUMBER.fullmatch(text.lower()):
                return "number", float(plain)
            case "int" | "float":
                reads = f"YAML does not read {shown(text)} as the decimal number it may look like"
                self._refuse(f"{reads}; put it in quotes if it is text, else write it in plain digits", index)
            case "timestamp":
                self._refuse(f'YAML reads {shown(text)} as a date; put it in quotes: "{shown(text)}"', index)
        return "text", text  # `str`, and the texts << and =, which YAML gives tags of their own
