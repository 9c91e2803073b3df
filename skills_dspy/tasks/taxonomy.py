"""InstructLab's taxonomy: what a `qna.yaml` holds, and the name that its place in the tree gives it.

Read are the versions 1 (also when none is written), 2 and 3, and the oldest layout, which has no `seed_examples` but a
mapping of a name to question, answer and `document` or `context`, nested or not; there each name is a task of its own.
A run reads leniently what only makes a poorer dataset (few seeds, no description, no author, another version) and says so;
what would be read wrongly (an unknown key, a number for a text) is refused. InstructLab's own, stricter schemas are in
schemas/; `violations` says what they refuse. How a file's version is taken is that of its TaxonomyParser.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, model_validator
from pydantic_core import PydanticCustomError

from skills_dspy.base.errors import SpecError
from skills_dspy.base.records import Frozen, SeedExample
from skills_dspy.base.validation import Where, unknown_key, validated
from skills_dspy.base.yaml_lines import Node, shown
from skills_dspy.tasks.spec import (
    WORDING,
    Context,
    Description,
    ParsedTask,
    SeedFields,
    Seeds,
    TaskSpec,
    name_fault,
    seeds_in,
)

QNA = "qna.yaml"
"""The name that a taxonomy's file has to have."""
ATTRIBUTION = "attribution.txt"
"""The file beside it that names work, licence and creators."""
SKILL_TREES = ("compositional_skills", "foundational_skills")
"""The folders of a taxonomy whose leaves are skills."""
VERSIONS = (1, 2, 3)

_META = ("version", "created_by", "task_description")
_LICENCE = ("license of the work", "licence of the work")
_NOT_NAMED = ("", "-", "n/a", "none")


def in_skill_tree(folder: Path) -> bool:
    """Whether a folder, with its full path, is one of the skill trees or lies in one."""
    return any(part in SKILL_TREES for part in folder.parts)


def task_name(folder: Path, given: Path) -> str:
    """The task's name that a `qna.yaml` has by its place: its path below `compositional_skills` or `foundational_skills`.

    Outside of such a tree, which InstructLab does not know, it is the path of its folder below the one that was `given`; of a
    file that lies directly in that folder, or that was given itself, its folder's name. Both are full paths.
    """
    parts = folder.parts
    tree = max((place for place, part in enumerate(parts) if part in SKILL_TREES), default=None)
    below = folder.relative_to(given).parts if tree is None else parts[tree + 1 :]
    return "/".join(below or parts[-1:])


def is_task_file(root: Node) -> bool:
    """Whether a file called qna.yaml is a task file after all: the two keys that only those have."""
    return bool({"task_name", "data_builder"} & set(root.fields))


def has_oldest_layout(root: Node) -> bool:
    """Whether a file maps names to seeds, without `seed_examples`."""
    others = [node for key, node in root.fields.items() if key not in _META]
    return "seed_examples" not in root.fields and any(node.kind == "mapping" for node in others)


def named_licence(attribution: str) -> str | None:
    """The licence that an `attribution.txt` names in its line `License of the work:`; several are joined by `; `."""
    found = []
    for line in attribution.splitlines():
        key, colon, value = line.partition(":")
        if colon and " ".join(key.split()).casefold() in _LICENCE and value.strip().casefold() not in _NOT_NAMED:
            found.append(value.strip())
    return "; ".join(dict.fromkeys(found)) or None


class _Meta(BaseModel):
    """What stands above the seeds, in every layout."""

    task_description: Description = ""


class _Qna(Frozen):
    """What a `qna.yaml` holds; what is only odd about it is the schema's matter."""

    version: Any = None
    created_by: Any = None
    task_description: Description = ""
    seed_examples: Seeds


class _Leaf(SeedFields):
    """What the oldest layout holds below a name."""

    document: Context = ""
    task_description: Description = ""
    created_by: Any = None

    @model_validator(mode="after")
    def _has_one_context(self) -> "_Leaf":
        if self.context and self.document:
            said = "here are both `context` and `document`, which mean the same; keep one"
            raise PydanticCustomError("whole_file", "{message}", {"message": said, "keys": [("document",)]})
        return self


def parse_qna(root: Node, path: Path, name: str, licence: str | None = None) -> tuple[ParsedTask, ...]:
    """The tasks of a `qna.yaml`: one, called `name`, or in the oldest layout one for each name in it, joined to that.

    Raises:
        SpecError: with file, line and what to write instead.
    """
    reader = _Reader(root, path, name, licence)
    if has_oldest_layout(root):
        return tuple(reader.leaf(where) for where in reader.names((), root.fields))
    fields = validated(root, _Qna, path, WORDING)
    return (reader.task((), seeds_in(root, fields.seed_examples), fields.task_description),)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Makes the tasks of one file; its fields are the arguments of `parse_qna`."""

    root: Node
    path: Path
    name: str
    licence: str | None

    def names(self, above: Where, fields: Mapping[str, Node]) -> Iterator[Where]:
        """The places of the oldest layout's names."""
        for key, node in fields.items():
            where = (*above, key)
            if not above and key in _META:
                continue
            if node.kind != "mapping" or not node.fields:
                said = f"{WORDING.label(where)} is {node.described()}; write `question:` and `answer:` below it, or"
                raise SpecError(f"{said} `seed_examples:` with a list", self.path, self.root.line_of(where))
            if {"question", "answer"} & set(node.fields):
                yield where
            else:
                yield from self.names(where, node.fields)

    def leaf(self, where: Where) -> ParsedTask:
        """The task of one of these names."""
        leaf = validated(self.root, _Leaf, self.path, WORDING, at=where)
        seed = leaf.model_copy(update={"context": leaf.context or leaf.document}).seed(_node(self.root, where).line)
        own = "task_description" in leaf.model_fields_set
        above = leaf if own else validated(self.root, _Meta, self.path, WORDING)
        return self.task(where, (seed,), above.task_description)

    def task(self, where: Where, seeds: tuple[SeedExample, ...], description: str) -> ParsedTask:
        """The task that stands at a place."""
        name = "/".join((self.name, *map(str, where)))
        if fault := name_fault(name):
            said = f"the task's name is its place in the taxonomy, and `{shown(name)}` {fault}; rename the folder"
            raise SpecError(f"{said}{' or the key' if where else ''}", self.path, self.root.line_of(where))
        author = _node(self.root, where).fields.get("created_by") or self.root.fields.get("created_by")
        spec = TaskSpec(
            task_name=name,
            created_by="" if author is None else author.written,
            task_description=description,
            seed_examples=seeds,
            licence=self.licence,
            path=self.path,
        )
        return ParsedTask(spec, self.root, where)


def _node(root: Node, where: Where) -> Node:
    node = root.at(where)
    assert node is not None
    return node


def oddities(root: Node) -> Iterator[tuple[int, str]]:
    """What is odd about a `qna.yaml` besides its tasks, and stops nothing: lines, and what a run says of them."""
    version = root.fields.get("version")
    if version is not None and (version.kind != "integer" or version.value not in VERSIONS):
        said = f"`version` is {version.described()}, and known here are {', '.join(map(str, VERSIONS))}"
        yield root.line_of(["version"]), f"{said}; the file is read like version {VERSIONS[-1]}"
    if "created_by" not in root.fields and "seed_examples" in root.fields:
        yield root.line, "`created_by` is missing, which InstructLab asks for"


def version_of(root: Node) -> int | None:
    """The version whose schema holds for a file, as InstructLab's parser has it; None when its `version` names none.

    It is 1 when nothing like a number is written; one in quotes counts (though the schema then refuses it for being text).
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


def violations(root: Node) -> Iterator[tuple[int, str]]:
    """What InstructLab's schema of the file's version refuses, each with its line."""
    version = version_of(root)
    if version is None:
        yield root.line_of(["version"]), f"`version` is {root.fields['version'].described()}, and there is no such schema"
        return
    from jsonschema import Draft202012Validator  # only who checks files has to wait for it

    schema = json.loads((files(__package__) / "schemas" / f"v{version}.json").read_text("utf-8"))
    errors = sorted(Draft202012Validator(schema).iter_errors(root.plain()), key=lambda error: "version" not in error.path)
    # Each missing key is an error of its own there, and here an error names all that are missing.
    yield from dict.fromkeys(said for error in errors for said in _violation(root, version, error))


def _violation(root: Node, version: int, error: Any) -> Iterator[tuple[int, str]]:
    """What an error of jsonschema comes to: one line, or one for each unknown or missing key and each seed that repeats."""
    where: Where = tuple(error.absolute_path)
    node, of = _node(root, where), f" of {WORDING.label(where)}" if where else ""
    match error.validator:
        case "required":
            yield from ((node.line, f"`{key}`{of} is missing") for key in error.validator_value if key not in node.fields)
        case "additionalProperties":
            known = list(error.schema["properties"])
            unknown = [key for key in node.fields if key not in known]
            yield from ((node.key_lines[key], f"{unknown_key(key, known, node.odd_keys.get(key, ''))}{of}") for key in unknown)
        case "uniqueItems":
            plain = [item.plain() for item in node.items]
            for item, place, first in ((node.items[n], n + 1, plain.index(one)) for n, one in enumerate(plain)):
                if first + 1 != place:
                    yield item.line, f"seed {place} is the same as seed {first + 1} in line {node.items[first].line}"
        case fault:
            said = _SCHEMA_SENTENCES[f"type {error.validator_value}" if fault == "type" else fault]
            seeds = f"{len(node.items)} seed{'' if len(node.items) == 1 else 's'}"
            it = f"{WORDING.label(where)} is {node.described()}, and has to be"
            label, least = WORDING.label(where), error.validator_value
            yield root.line_of(where), said.format(it=it, label=label, seeds=seeds, version=version, least=least)


_SCHEMA_SENTENCES = {
    "const": "{it} the number {version} without quotes",
    "minLength": "{label} is empty",
    "minItems": "{label} has {seeds}; version {version} asks for {least} or more",
    "type string": "{it} text (in quotes, where YAML takes it for something else)",
    "type array": "{it} a list",
    "type object": "{it} a mapping with `question` and `answer`",
}


def misnamed(path: Path) -> str | None:
    """What is wrong with the name of a file that seems meant as a taxonomy's; None when nothing is."""
    if path.name != QNA and path.name.casefold() in (QNA, "qna.yml"):
        return f"the file is called {path.name}, which InstructLab does not read; rename it to {QNA}"
    return None
