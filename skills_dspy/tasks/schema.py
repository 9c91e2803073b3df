"""The schema of a skill's `qna.yaml`, as strict as InstructLab's own for each version.

After instructlab-schema 0.4.2 (PyPI, Apache-2.0): v1, v2 and v3 of compositional_skills.json, where v2 and v3 differ in
the number only, and how its TaxonomyParser takes the version from the file. Version 1, also when none is written, allows
an empty description, one seed, and equal seeds; 2 and 3 ask for a description and five different seeds. All refuse unknown
keys. What YAML itself comes to is yaml_lines.py's matter, which is stricter still.
"""

from collections.abc import Iterator

from skills_dspy.base.validation import unknown_key
from skills_dspy.base.yaml_lines import Node
from skills_dspy.tasks.taxonomy import VERSIONS

FEWEST = {1: 1, 2: 5, 3: 5}
"""How many seeds each version asks for."""

_KEYS = ("version", "created_by", "task_description", "seed_examples")
_SEED_KEYS = ("question", "answer", "context")

Violation = tuple[int, str]
"""A 1-based line, and what is wrong there."""


def version_of(root: Node) -> int | None:
    """The version whose schema holds for a file; None when its `version` names none that there is.

    As InstructLab's parser has it: 1 when nothing is written or nothing like a number, and a number in quotes counts
    (though the schema then refuses it for being text).
    """
    node = root.fields.get("version")
    if node is None or node.kind in ("nothing", "list", "mapping"):
        return 1
    if node.kind == "boolean":
        return None
    try:
        version = int(str(node.value)) if node.kind == "text" else int(float(str(node.value)))
    except (ValueError, OverflowError):
        return 1
    return version if version in VERSIONS else None


def is_strict(root: Node) -> bool:
    """Whether a file is of a version that asks for five different seeds and a description."""
    version = version_of(root)
    return version is not None and FEWEST[version] > 1


def violations(root: Node) -> Iterator[Violation]:
    """What InstructLab's schema of the file's version refuses, each with its line, in the order of the schema."""
    version = version_of(root)
    if version is None:
        yield root.line_of(["version"]), f"`version` is {root.fields['version'].described()}, and there is no such schema"
        return
    yield from _version(root, version)
    yield from _keys(root, _KEYS[1:], _KEYS, "")
    if (author := root.fields.get("created_by")) is not None:
        yield from _text(author, root.line_of(["created_by"]), "`created_by`")
    if (description := root.fields.get("task_description")) is not None:
        least = 1 if version > 1 else 0
        yield from _text(description, root.line_of(["task_description"]), "`task_description`", least)
    if "seed_examples" in root.fields:
        yield from _seeds(root, version)


def _version(root: Node, version: int) -> Iterator[Violation]:
    node = root.fields.get("version")
    if node is None:
        if version > 1:
            yield root.line, "`version` is missing"
    elif node.kind not in ("integer", "number") or node.value != version:
        yield root.line_of(["version"]), f"`version` is {node.described()}, and has to be the number {version} without quotes"


def _keys(node: Node, required: tuple[str, ...], known: tuple[str, ...], of: str) -> Iterator[Violation]:
    for key in required:
        if key not in node.fields:
            yield node.line, f"`{key}`{of} is missing"
    for key in node.fields:
        if key not in known:
            yield node.key_lines[key], f"{unknown_key(key, known)}{of}"


def _text(node: Node, line: int, label: str, least: int = 1) -> Iterator[Violation]:
    if node.kind != "text":
        yield line, f"{label} is {node.described()}, and has to be text (in quotes, where YAML takes it for something else)"
    elif len(node.written) < least:
        yield line, f"{label} is empty"


def _seeds(root: Node, version: int) -> Iterator[Violation]:
    node, line = root.fields["seed_examples"], root.line_of(["seed_examples"])
    if node.kind != "list":
        yield line, f"`seed_examples` is {node.described()}, and has to be a list"
        return
    if len(node.items) < FEWEST[version]:
        plural = "" if len(node.items) == 1 else "s"
        yield line, f"`seed_examples` has {len(node.items)} seed{plural}; version {version} asks for {FEWEST[version]} or more"
    for place, item in enumerate(node.items):
        of = f" of seed {place + 1}"
        if item.kind != "mapping":
            yield item.line, f"seed {place + 1} is {item.described()}, and has to be a mapping with `question` and `answer`"
            continue
        yield from _keys(item, _SEED_KEYS[:2], _SEED_KEYS, of)
        for key in _SEED_KEYS:
            if key in item.fields:
                yield from _text(item.fields[key], item.key_lines[key], f"`{key}`{of}")
    if version > 1:
        yield from _equal_seeds(node)


def _equal_seeds(node: Node) -> Iterator[Violation]:
    plain = [item.plain() for item in node.items]
    for place, item in enumerate(node.items):
        first = plain.index(plain[place])
        if first != place:
            yield item.line, f"seed {place + 1} is the same as seed {first + 1} in line {node.items[first].line}"
