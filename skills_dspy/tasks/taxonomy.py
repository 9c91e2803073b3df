"""InstructLab's taxonomy: what a `qna.yaml` holds, and the name that its place in the tree gives it.

Read are the versions 1 (also when none is written), 2 and 3, and the oldest layout, which has no `seed_examples` but a
mapping of a name to question, answer and `document` or `context`, nested or not; there each name is a task of its own.
A run reads leniently what only makes a poorer dataset (few seeds, no description, no author, another version) and says so;
what would be read wrongly (an unknown key, a number for a text) is refused. The strict schema is in taxonomy_schema.py.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from skills_dspy.base.validation import unknown_key
from skills_dspy.base.yaml_lines import Node, shown
from skills_dspy.tasks.seed_nodes import SeedReader, Where
from skills_dspy.tasks.spec import DATA_BUILDER, ParsedTask, TaskSpec, name_fault

QNA = "qna.yaml"
"""The name that a taxonomy's file has to have."""
ATTRIBUTION = "attribution.txt"
"""The file beside it that names work, licence and creators."""
SKILL_TREES = ("compositional_skills", "foundational_skills")
"""The folders of a taxonomy whose leaves are skills."""
KNOWLEDGE_TREE = "knowledge"
"""The folder whose leaves are documents to learn from."""
VERSIONS = (1, 2, 3)

_KEYS = ("version", "created_by", "task_description", "seed_examples")
_META = ("version", "created_by", "task_description")
_LEAF_KEYS = ("question", "answer", "context", "document", "task_description", "created_by")
_LICENCE = ("license of the work", "licence of the work")
_NOT_NAMED = ("", "-", "n/a", "none")


def in_skill_tree(folder: Path) -> bool:
    """Whether a folder, with its full path, is one of the skill trees or lies in one."""
    return any(part in SKILL_TREES for part in folder.parts)


def task_name(folder: Path, given: Path) -> str:
    """The task's name that a `qna.yaml` has by its place: its path below `compositional_skills` or `foundational_skills`.

    Outside of such a tree, which InstructLab does not know, it is the path below the folder that was given; a file that
    lies directly in that folder, or that was given itself, has its folder's name.

    Args:
        folder: where the file lies; a full path.
        given: the folder that was given and in which it was found; `folder` for a file that was given itself.
    """
    parts = folder.parts
    tree = max((place for place, part in enumerate(parts) if part in SKILL_TREES), default=None)
    below = folder.relative_to(given).parts if tree is None else parts[tree + 1 :]
    return "/".join(below or parts[-1:])


def lies_in_knowledge(folder: Path, given: Path) -> bool:
    """Whether a file lies in a taxonomy's `knowledge` tree.

    Folders above the one that was given do not count: `~/knowledge/my_skills` is somebody's own name.
    """
    return not in_skill_tree(folder) and KNOWLEDGE_TREE in (given.name, *folder.relative_to(given).parts)


def holds_knowledge(root: Node) -> bool:
    """Whether a file's content is a knowledge leaf's, wherever it lies: it names its `document` or `domain` beside seeds."""
    return "seed_examples" in root.fields and bool({"document", "domain"} & set(root.fields))


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


def parse_qna(root: Node, path: Path, name: str, licence: str | None = None) -> tuple[ParsedTask, ...]:
    """The tasks of a `qna.yaml`: one, or in the oldest layout one for each name.

    Args:
        root: the file's top mapping.
        path: the file, for messages and for `TaskSpec.path`.
        name: the task's name by its place; in the oldest layout the names in the file are joined to it.
        licence: as `attribution.txt` names it.

    Raises:
        SpecError: with file, line and what to write instead.
    """
    reader = _Reader(root, path, licence)
    return tuple(reader.leaves(name) if has_oldest_layout(root) else [reader.whole(name)])


class _Reader(SeedReader):
    def __init__(self, root: Node, path: Path, licence: str | None) -> None:
        super().__init__(root, path)
        self._licence = licence

    def whole(self, name: str) -> ParsedTask:
        for key in self.root.fields:
            if key not in _KEYS:
                self.refuse(unknown_key(key, _KEYS), key)
        if "seed_examples" not in self.root.fields:
            self.refuse("`seed_examples` is missing; add it: a list, each item with `- question:` and `answer:`")
        seeds = tuple(self.seeds())
        spec = self._spec(name, (), seed_examples=seeds)
        places: tuple[Where, ...] = tuple(("seed_examples", place) for place in range(len(seeds)))
        return ParsedTask(spec, self.root, places, odd=tuple(self._oddities()))

    def leaves(self, name: str) -> Iterator[ParsedTask]:
        """The tasks of the oldest layout; what is odd about the file is said with the first."""
        odd = tuple(self._oddities())
        for where in self._names((), self.root.fields, _META):
            leaf = self.root.at(where)
            assert leaf is not None
            if "context" in leaf.fields and "document" in leaf.fields:
                self.refuse("here are both `context` and `document`, which mean the same; keep one", *where, "document")
            context = "document" if "document" in leaf.fields else "context"
            seed = self.seed(*where, known=_LEAF_KEYS, context=context)
            spec = self._spec("/".join((name, *map(str, where))), where, seed_examples=(seed,))
            yield replace(ParsedTask(spec, self.root, (where,), where), odd=odd)
            odd = ()

    def _names(self, above: Where, fields: Mapping[str, Node], meta: tuple[str, ...]) -> Iterator[Where]:
        for key, node in fields.items():
            where = (*above, key)
            if key in meta:
                continue
            if node.kind != "mapping" or not node.fields:
                said = f"`{'/'.join(map(str, where))}` is {node.described()}"
                self.refuse(f"{said}; write `question:` and `answer:` below it, or `seed_examples:` with a list", *where)
            if {"question", "answer"} & set(node.fields):
                yield where
            else:
                yield from self._names(where, node.fields, ())

    def _spec(self, name: str, where: Where, **seeds: tuple[object, ...]) -> TaskSpec:
        if fault := name_fault(name):
            said = f"the task's name is its place in the taxonomy, and `{shown(name)}` {fault}"
            self.refuse(f"{said}; rename the folder{' or the key' if where else ''}", *where)
        own = {key: where if self.root.at((*where, key)) is not None else () for key in ("task_description", "created_by")}
        described = self.root.at((*own["task_description"], "task_description")) is not None
        author = self.root.at((*own["created_by"], "created_by"))
        return TaskSpec.model_validate(
            {
                "task_name": name,
                "created_by": author.written if author is not None else "",
                "task_description": self.description(*own["task_description"]) if described else "",
                "data_builder": DATA_BUILDER,
                "licence": self._licence,
                "path": self.path,
                **seeds,
            }
        )

    def _oddities(self) -> Iterator[tuple[int, str]]:
        version = self.root.fields.get("version")
        if version is not None and (version.kind != "integer" or version.value not in VERSIONS):
            said = f"`version` is {version.described()}, and known here are {', '.join(map(str, VERSIONS))}"
            yield self.root.line_of(["version"]), f"{said}; the file is read like version {VERSIONS[-1]}"
        if "created_by" not in self.root.fields and "seed_examples" in self.root.fields:
            yield self.root.line, "`created_by` is missing, which InstructLab asks for"


def misnamed(path: Path) -> str | None:
    """What is wrong with the name of a file that seems meant as a taxonomy's; None when nothing is."""
    if path.name != QNA and path.name.casefold() in (QNA, "qna.yml"):
        return f"the file is called {path.name}, which InstructLab does not read; rename it to {QNA}"
    return None
