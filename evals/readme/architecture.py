"""The order of the folders, and docs/architecture.md: the imports between them, drawn from the code."""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "docs" / "architecture.md"

ORDER = (
    ("signatures",),
    ("skills_dspy/base",),
    ("skills_dspy/similarity",),
    ("skills_dspy/tasks",),
    ("skills_dspy/store",),
    ("skills_dspy/model/embedding", "skills_dspy/model/server"),
    ("skills_dspy/model/hosts",),
    ("skills_dspy/model",),
    ("skills_dspy/screens",),
    ("skills_dspy/pipeline",),
    ("skills_dspy/run",),
    (
        "skills_dspy/commands/decide",
        "skills_dspy/commands/export",
        "skills_dspy/commands/check",
        "skills_dspy/commands/report",
        "skills_dspy/commands/review",
    ),
    ("skills_dspy/commands/api",),
    ("skills_dspy/commands/cluster",),
    ("evals",),
    ("evals/figures",),
    ("evals/data", "evals/session"),
    ("evals/judges/corrupt",),
    ("evals/judges",),
    ("evals/optimize", "evals/student"),
    ("skills_dspy/cli/terminal",),
    ("skills_dspy/cli/shared",),
    ("skills_dspy/cli",),
    ("skills_dspy",),
    ("evals/teacher",),
    ("evals/record",),
    ("evals/bench", "evals/readme"),
)
"""The folders from the bottom up: each imports from those before it; folders in one line know nothing of each other."""

Imports = Mapping[tuple[str, str], set[str]]
"""Folder and folder to the files of the first that import something of the second."""


@cache
def trees() -> Mapping[str, ast.Module]:
    """Every module of signatures, skills_dspy and evals by its path."""
    paths = (path for top in ("signatures", "skills_dspy", "evals") for path in sorted((ROOT / top).rglob("*.py")))
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


@cache
def imports() -> Imports:
    """The imports between folders, as the code has them."""
    folders = {path.removesuffix(".py").removesuffix("/__init__"): path.rpartition("/")[0] for path in trees()}
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for path, tree in trees().items():
        own = path.rpartition("/")[0]
        for node in statements(tree):
            for name in _names(node):
                other = folders.get(name.replace(".", "/"))
                if other is not None and other != own:
                    found[own, other].add(path)
    return dict(found)


def statements(tree: ast.AST) -> Iterator[ast.AST]:
    """What is run in it, however deep it stands, without the expressions, which are most of a tree."""
    left = [tree]
    while left:
        yield (node := left.pop())
        left += [child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr)]


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []


def page() -> str:
    """docs/architecture.md: each folder with what it holds, a picture, and a table of all imports."""
    arrows = set(imports())
    folders = [folder for line in ORDER for folder in line]
    return _PAGE.format(
        holds="\n".join(f"| `{folder}/` | {_holds(folder)} |" for folder in folders),
        picture=_picture(folders, arrows),
        table=_table(folders, arrows),
    )


def _holds(folder: str) -> str:
    """The first sentence of a folder's docstring."""
    text = ast.get_docstring(trees()[f"{folder}/__init__.py"]) or ""
    return text.partition("\n")[0].rstrip(".")


def _picture(folders: list[str], arrows: set[tuple[str, str]]) -> str:
    """A Mermaid flowchart of the arrows that no longer way says already (the transitive reduction)."""
    above: dict[str, set[str]] = {}
    for folder in folders:
        own = {other for one, other in arrows if one == folder and other != folder}
        above[folder] = own | {further for other in own for further in above.get(other, set())}
    lines = ["flowchart TB"]
    for folder in reversed(folders):
        own = {other for one, other in arrows if one == folder}
        direct = [other for other in own if not any(other in above.get(between, set()) for between in own)]
        lines += [f"  {_node(folder)} --> {_node(other)}" for other in sorted(direct, key=folders.index, reverse=True)]
    return "\n".join(lines)


def _node(folder: str) -> str:
    return f"{folder.replace('/', '_')}[{folder}]"


def _table(folders: list[str], arrows: set[tuple[str, str]]) -> str:
    """Rows import columns; numbers stand for the folders in their order."""
    numbers = [str(number) for number in range(1, len(folders) + 1)]
    rows = [f"| | {' | '.join(numbers)} |", f"|---|{'---|' * len(folders)}"]
    for number, folder in zip(numbers, folders, strict=True):
        marks = ("×" if (folder, other) in arrows else " " for other in folders)
        rows.append(f"| {number} {folder} | {' | '.join(marks)} |")
    return "\n".join(rows)


_PAGE = """# Architecture

Folders are layers: a folder imports from those before it in this list, never from one after it, and folders that stand side by
side know nothing of each other. The order is written down once, in evals/readme/architecture.py; tests/test_architecture.py
checks it. This page is made from the code by `make architecture`.

| folder, from the bottom up | holds |
| --- | --- |
{holds}

What imports what, without the arrows that a longer way says already:

```mermaid
{picture}
```

All imports between folders (a row imports the columns with a mark):

{table}

## The way of one seed

Eight files, to be read in this order: `skills_dspy/tasks/spec.py` (what a task is), `pipeline/draw.py` (what one draw shows),
`model/steps.py` (every prompt of the flow, in one table), `pipeline/flow.py` (one candidate from its question to its tags),
`model/ask.py` (a prompt becomes a request), `model/replies.py` (a reply is on the disk before it is used), `pipeline/settle.py`
(draws run at once and are decided in order), `pipeline/rows.py` (a decision becomes a row).

## What is asked for, and when

`pipeline/outlook.py` estimates, from what each stage has let through so far, how likely every open candidate is to be
accepted; before anything is known, four of five. Two things follow, and nothing that is written depends on them. A draw is
opened where the open ones are expected to yield fewer pairs than are missing, so `-n 8` opens two. And a candidate before
which enough others are expected to be accepted waits, even if a slot of the server is free: a server shares its speed among
its requests, so what need not be decided would make the rest slower. Of what waits for a slot (`model/hosts/slots.py`) the task
goes first that holds the fewest, then the earliest draw, then the later stage. Difficulty and category are asked when a pair
is accepted; its row, and the rows after it, wait for them (`pipeline/writing.py`), and nobody else does.
[docs/benchmarks.md](benchmarks.md) says what that comes to.
"""
