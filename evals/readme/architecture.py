"""The order of the folders, and the picture of the imports between them in docs/architecture.md."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "docs" / "architecture.md"

ORDER = (
    ("signatures",),
    ("skills_dspy/base",),
    ("skills_dspy/tasks", "skills_dspy/similarity"),
    ("skills_dspy/store",),
    ("skills_dspy/model/embedding",),
    ("skills_dspy/model",),
    ("skills_dspy/screens",),
    ("skills_dspy/pipeline",),
    ("skills_dspy/run",),
    ("skills_dspy/commands/decide", "skills_dspy/commands/export", "skills_dspy/commands/check"),
    ("evals",),
    ("evals/data", "evals/session"),
    ("evals/judges/corrupt",),
    ("evals/judges",),
    ("evals/optimize",),
    ("skills_dspy/cli",),
    ("skills_dspy",),
    ("evals/teacher",),
    ("evals/record",),
    ("evals/bench", "evals/readme"),
)
"""The folders from the bottom up: each imports from those before it; folders in one line know nothing of each other."""


def imports(root: Path = ROOT) -> dict[tuple[str, str], set[str]]:
    """Folder and folder to the files of the first that import something of the second."""
    modules = {
        path.relative_to(root).with_suffix("").as_posix().removesuffix("/__init__"): path.relative_to(root).parent.as_posix()
        for top in ("signatures", "skills_dspy", "evals")
        for path in (root / top).rglob("*.py")
    }
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for path in sorted(path for top in ("signatures", "skills_dspy", "evals") for path in (root / top).rglob("*.py")):
        own = path.relative_to(root).parent.as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for name in _names(node):
                other = modules.get(name.replace(".", "/"))
                if other is not None and other != own:
                    found[own, other].add(path.relative_to(root).as_posix())
    return dict(found)


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []
