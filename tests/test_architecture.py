"""The shape of the code, as DESIGN.md draws it: who may import whom, and who touches the disk, the network, the environment."""

import ast
import itertools
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = {
    0: ["skills_dspy", "errors"],
    1: [
        "config",
        "records",
        "seed_nodes",
        "task_spec",
        "taxonomy",
        "taxonomy_schema",
        "thresholds",
        "yaml_lines",
    ],
    2: [
        "dataset_card",
        "dedup",
        "export_rows",
        "filter",
        "funnel",
        "funnel_diff",
        "hyperplanes",
        "limits",
        "lint",
        "lint_texts",
        "near_duplicates",
        "ngrams",
        "run_facts",
        "sampling",
        "soft",
        "spans",
        "speed",
        "tokens",
    ],
    3: [
        "adapter",
        "calls",
        "describing",
        "program",
        "windows",
    ],
    4: [
        "admission",
        "compiled",
        "embedder",
        "engine",
        "evaluation_set",
        "hub",
        "model_files",
        "ollama_server",
        "replies",
        "slots",
        "store",
        "store.beside",
        "store.eval_index",
        "store.exporting",
        "store.exporting.aside",
        "store.exporting.columns",
        "store.exporting.export",
        "store.exporting.hf",
        "store.exporting.instructlab",
        "store.exporting.jsonl",
        "store.exporting.meaning",
        "store.exporting.source",
        "store.exporting.splitting",
        "store.files",
        "store.journal",
        "store.recording",
        "store.run_dir",
        "task_files",
        "taxonomy_git",
        "vectors",
    ],
    5: [
        "asking",
        "candidates",
        "contamination",
        "decided",
        "deciding",
        "deriving",
        "flow",
        "forecast",
        "leaves",
        "ledger",
        "manifest",
        "novelty",
        "opening",
        "preflight",
        "recorded",
        "redeciding",
        "run",
        "sample_prompts",
        "scheduler",
        "settled",
        "task_report",
    ],
    6: [
        "__main__",
        "cli",
        "cli.check",
        "cli.check_lines",
        "cli.decide",
        "cli.deciding",
        "cli.display",
        "cli.eval_data",
        "cli.eval_judges",
        "cli.eval_program",
        "cli.evaluate",
        "cli.explain",
        "cli.export",
        "cli.main",
        "cli.open_files",
        "cli.optimize",
        "cli.optimize_lines",
        "cli.optimizing",
        "cli.options",
        "cli.progress",
        "cli.prompts",
        "cli.run",
        "cli.sessions",
        "cli.summary",
        "cli.tasks",
    ],
}
"""Every module of skills_dspy; a new one is entered here, and by that decides what it may do."""

LAYER = {
    **{name if name == "skills_dspy" else f"skills_dspy.{name}": layer for layer, names in LAYERS.items() for name in names},
    "signatures": 0,
    "signatures.labels": 0,
    "signatures.examples": 1,
    "signatures.describe": 3,
    "signatures.generate": 3,
    "signatures.judge": 3,
    "signatures.tag": 3,
}
OURS = {"skills_dspy", "signatures", "evals"}


def name_of(path: Path) -> str:
    """A module's name from its path."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules(package: str) -> dict[str, ast.Module]:
    """The modules of a package, parsed."""
    return {name_of(path): ast.parse(path.read_text()) for path in sorted((ROOT / package).rglob("*.py"))}


def product() -> dict[str, ast.Module]:
    """What runs: the program and its prompts."""
    return {**modules("skills_dspy"), **modules("signatures")}


def imports(tree: ast.AST, known: frozenset[str]) -> set[str]:
    """The modules that a tree imports, wherever in it; `from package import module` is that module."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            assert not node.level, "imports are written in full"
            inner = {f"{base}.{alias.name}" for alias in node.names} & known
            found |= inner or {base}
    return found


def graph() -> dict[str, set[str]]:
    """Module to what it imports."""
    return {name: imports(tree, frozenset(LAYER)) for name, tree in product().items()}


def top(name: str) -> str:
    """The package that a module belongs to."""
    return name.split(".", maxsplit=1)[0]


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Every call with what is called, as it is written."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def test_every_module_has_its_layer() -> None:
    """The table above is complete, and holds nothing that is not there."""
    assert set(LAYER) == set(product())


def test_every_module_says_its_layer() -> None:
    """Its first line names the layer that the table has; packages' own files may leave it out."""
    for name, tree in modules("skills_dspy").items():
        said = re.search(r"\(layer (\d)", ast.get_docstring(tree) or "")
        if said:
            assert (name, int(said[1])) == (name, LAYER[name])
        else:
            assert LAYER[name] in (0, 6), f"{name} does not say its layer"


def test_imports_go_downwards() -> None:
    """No module knows anything of a layer above its own."""
    upwards = {
        f"{name} imports {imported}"
        for name, found in graph().items()
        for imported in found & set(LAYER)
        if LAYER[imported] > LAYER[name]
    }
    assert upwards == set()


def test_imports_go_round_nowhere() -> None:
    """Within a layer too, one module comes first; CycleError names those that do not."""
    ours = {name: found & set(LAYER) for name, found in graph().items()}
    assert len(list(TopologicalSorter(ours).static_order())) == len(ours)


def test_the_bottom_needs_the_standard_library_only() -> None:
    """Labels and errors can be had by anybody."""
    for name, found in graph().items():
        if LAYER[name] == 0:
            assert {top(imported) for imported in found} <= sys.stdlib_module_names, name


def test_signatures_know_nothing_of_the_program() -> None:
    """Prompts can be used, and optimized, without the program that is built on them."""
    for name, tree in modules("signatures").items():
        known = {"signatures", "dspy", "pydantic", "annotated_types", *sys.stdlib_module_names}
        assert {top(imported) for imported in imports(tree, frozenset())} <= known, name


def test_what_has_no_model_imports_no_dspy() -> None:
    """Layers 0 to 2, whatever they import in turn, do without it: DSPy costs a second at every start."""
    below = [name for name, layer in LAYER.items() if layer <= 2]
    heavy = {"dspy", "litellm", "httpx", "torch"}
    code = f"import sys, {', '.join(below)}; print(*sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize(
    ("libraries", "users"),
    [
        ({"httpx", "ollama"}, {"skills_dspy.ollama_server", "skills_dspy.hub"}),
        ({"huggingface_hub"}, {"skills_dspy.model_files", "skills_dspy.embedder", "skills_dspy.hub"}),
        ({"sentence_transformers", "torch", "transformers"}, {"skills_dspy.embedder"}),
        ({"socket", "ssl", "http", "urllib", "requests", "aiohttp", "websockets", "ftplib", "smtplib"}, set()),
        ({"sqlite3", "filelock"}, {"skills_dspy.store.journal", "skills_dspy.store.recording", "skills_dspy.store.run_dir"}),
        ({"subprocess"}, {"skills_dspy.taxonomy_git"}),
        ({"shutil", "tempfile", "pickle", "cloudpickle", "shelve"}, set()),
        ({"yaml"}, {"skills_dspy.yaml_lines"}),
        ({"click", "rich"}, {name for name, layer in LAYER.items() if layer == 6}),
        ({"logging"}, {"skills_dspy.model_files", "skills_dspy.embedder"}),
    ],
    ids=lambda value: " ".join(sorted(value)),
)
def test_one_door_to_each_outside(libraries: set[str], users: set[str]) -> None:
    """The network, the disk and the terminal each have their module, where foreign errors become ours."""
    found = {name for name, imported in graph().items() if {top(i) for i in imported} & libraries}
    assert found <= users


_WRITING_METHODS = {
    "write_text",
    "write_bytes",
    "mkdir",
    "unlink",
    "touch",
    "rename",
    "rmdir",
    "symlink_to",
    "hardlink_to",
    "chmod",
}
_READING_METHODS = {"open", "read_text", "read_bytes", "iterdir", "glob", "rglob", "stat", "exists", "is_file", "is_dir"}
_OS_READING = {"os.walk", "os.getpid", "os.dup2", "os._exit"}


def writes(called: str, call: ast.Call) -> bool:
    """Whether a call changes something on the disk, or may."""
    method = called.rsplit(".", 1)[-1]
    if call.args and ast.unparse(call.args[0]) == "os.devnull":
        return False
    if called.startswith("os."):
        return called not in _OS_READING and not called.startswith("os.environ.")
    if method == "open":
        modes = [a for a in (*call.args, *(k.value for k in call.keywords)) if isinstance(a, ast.Constant)]
        return (called == "open" and not modes) or any(set("wax+") & set(str(mode.value)) for mode in modes)
    if method == "replace":  # of a path, which takes one argument; that of a text takes two
        return isinstance(call.func, ast.Attribute) and len(call.args) == 1 and not call.keywords
    return method in _WRITING_METHODS and "." in called


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("path.open('w')", True),
        ("path.open(mode='ab')", True),
        ("path.open('rb')", False),
        ("Journal.open(path)", False),
        ("open(path, 'x')", True),
        ("open(path)", True),
        ("path.replace(other)", True),
        ("text.replace('a', 'b')", False),
        ("replace(record, answer=None)", False),
        ("path.write_text('x')", True),
        ("write_text(path, 'x')", False),
        ("os.open(path, 0)", True),
        ("os.open(os.devnull, 1)", False),
        ("open(os.devnull, 'w')", False),
        ("os.environ.pop('A')", False),
        ("os.replace(a, b)", True),
        ("os.walk(folder)", False),
    ],
)
def test_writing_is_recognized(code: str, verdict: bool) -> None:
    """The test below sees what it is to see."""
    ((called, call),) = calls(ast.parse(code))
    assert writes(called, call) is verdict


def test_only_the_store_writes() -> None:
    """Whatever a run leaves on the disk has gone through one package, which survives a kill and a full disk."""
    found = {
        f"{name}: {ast.unparse(call)}"
        for name, tree in product().items()
        if not name.startswith("skills_dspy.store")
        for called, call in calls(tree)
        if writes(called, call)
    }
    assert found == set()


def test_only_one_loader_reads_below_the_edges() -> None:
    """Tasks and settings come from the disk through one module; everything else up to layer 3 gets what it needs."""
    found = {
        name
        for name, tree in product().items()
        if LAYER[name] <= 3
        for called, _ in calls(tree)
        if ("." in called and called.rsplit(".", 1)[-1] in _READING_METHODS) or called.startswith("os.")
    }
    assert found == {"skills_dspy.yaml_lines"}


def test_pure_functions_have_no_world() -> None:
    """Layer 2 knows no clock, no disk, no process and no generator but one that it was told how to seed."""
    for name in (name for name, layer in LAYER.items() if layer == 2):
        tree = product()[name]
        assert not {top(i) for i in imports(tree, frozenset())} & {
            "os",
            "sys",
            "time",
            "datetime",
            "pathlib",
            "uuid",
            "secrets",
        }
        used = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert {name for name in used if name.startswith(("random.", "np.random"))} <= {"random.Random"}


def test_only_the_command_line_reads_its_surroundings() -> None:
    """Arguments and environment reach everything else as arguments of functions."""
    found = {
        f"{name}: {ast.unparse(node)}"
        for name, tree in product().items()
        if LAYER[name] < 6
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.environ", "os.getenv", "sys.argv", "os.putenv")
    }
    assert found == set()


def test_dspy_is_configured_nowhere() -> None:
    """A run has its own context; whoever uses the package keeps their own settings."""
    words = ("dspy.configure", "dspy.settings", "dspy.configure_cache", "dspy.cache")
    found = {
        f"{name}: {ast.unparse(node)}"
        for name, tree in product().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node) in words
    }
    assert found == set()


def test_only_the_command_line_knows_of_evals() -> None:
    """And only when one of its commands is called: no module imports them at its top."""
    for name, tree in product().items():
        at_the_top = {
            top(i) for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom) for i in imports(node, frozenset())
        }
        assert "evals" not in at_the_top, name
        if LAYER[name] < 6:
            assert "evals" not in {top(i) for i in imports(tree, frozenset())}, name


def test_nothing_imports_the_tests() -> None:
    """Not the program, and not the evaluations either."""
    for name, tree in {**product(), **modules("evals")}.items():
        assert "tests" not in {top(i) for i in imports(tree, frozenset())}, name


_CHANGING = {"append", "extend", "add", "update", "setdefault", "pop", "popitem", "clear", "remove", "insert", "discard"}


def module_names(tree: ast.Module) -> Iterator[str]:
    """What a module assigns at its top."""
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        for target in targets:
            yield from (name.id for name in ast.walk(target) if isinstance(name, ast.Name))


def test_modules_keep_no_state() -> None:
    """What stands at the top of a module is a constant: named as one, never assigned again and never changed."""
    for name, tree in product().items():
        names = set(module_names(tree))
        if LAYER[name] < 6:  # options of the command line are shared by their names
            assert {n for n in names if not re.fullmatch(r"_?[A-Z]\w*|__\w+__", n)} == set(), name
        for node in ast.walk(tree):
            assert not isinstance(node, ast.Global), f"{name} has a global"
            changed: ast.expr | None = None
            if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
                changed = node.value
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGING:
                changed = node.func.value
            assert not (isinstance(changed, ast.Name) and changed.id in names), f"{name} changes {ast.unparse(node)}"


def test_errors_are_not_swallowed() -> None:
    """No handler without a kind, and none that does nothing."""
    for name, tree in product().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler):
                assert node.type is not None, f"{name}:{node.lineno}"
                assert not all(isinstance(line, ast.Pass) for line in node.body), f"{name}:{node.lineno}"


def test_ours_is_all_there_is() -> None:
    """Every import is of the standard library, of ours, or of a package that pyproject.toml asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]
    names = {re.split(r"[^\w-]", line, maxsplit=1)[0].replace("-", "_").lower() for line in asked}
    given_along = {"pydantic_core": "pydantic", "yaml": "pyyaml"}
    for name, found in graph().items():
        for package in {top(imported) for imported in found} - sys.stdlib_module_names - OURS:
            assert given_along.get(package, package).lower() in names, f"{name} imports {package}"
