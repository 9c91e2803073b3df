"""The shape of the code: folders are layers, and each outside has one door."""

import ast
import itertools
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

from evals.readme.architecture import ORDER, imports, statements, trees

ROOT = Path(__file__).parent.parent
PURE = ("skills_dspy/base/", "skills_dspy/tasks/", "skills_dspy/similarity/")
SEEDED = ("random.Random", "np.random.Generator", "np.random.PCG64", "np.random.Philox", "np.random.default_rng")
WRITERS = ("skills_dspy/store/", "skills_dspy/commands/export/")
CLI = ("skills_dspy/cli/", "skills_dspy/__main__.py")
PYTHON = ("skills_dspy/__init__.py", "skills_dspy/commands/api/server.py")
OTHER_FORMS = {"run", "check", "export", "aexport"}


def of(*prefixes: str) -> dict[str, ast.Module]:
    """The modules below these folders."""
    return {path: tree for path, tree in trees().items() if path.startswith(prefixes)}


@cache
def packages(tree: ast.AST) -> set[str]:
    """The top-level names that are imported anywhere in it."""
    found = set()
    for node in statements(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


@cache
def nodes(tree: ast.AST) -> tuple[ast.AST, ...]:
    """All that is in it."""
    return tuple(ast.walk(tree))


@cache
def named(tree: ast.AST) -> frozenset[str]:
    """Every dotted name that is used in it."""
    return frozenset(spelled(node) for node in nodes(tree) if isinstance(node, ast.Attribute))


def spelled(node: ast.expr) -> str:
    """As `ast.unparse` has it, which takes ten times as long for a dotted name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and isinstance(node.value, (ast.Name, ast.Attribute)):
        return f"{spelled(node.value)}.{node.attr}"
    return ast.unparse(node)


@cache
def loaded() -> tuple[set[str], set[str]]:
    """What is loaded, in a process that then ends, by all that is below the model, and by the commands after it."""
    below = [path.removesuffix(".py").replace("/", ".") for path in of(*PURE, *WRITERS)]
    commands = ["skills_dspy.cli.main", "skills_dspy.cli.run", "skills_dspy.cli.check"]
    code = "; ".join(f"import sys, {', '.join(names)}; print(*sys.modules)" for names in (below, commands))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, second = done.stdout.splitlines()
    return set(first.split()), set(second.split())


def test_folders_import_downwards_only() -> None:
    """A folder is a layer: it knows those before it in the order, and none beside or above it."""
    level = {folder: number for number, line in enumerate(ORDER) for folder in line}
    assert {path.rpartition("/")[0] for path in trees()} <= {*level, "skills_dspy/commands"}
    upwards = {(own, other) for own, other in imports() if level.get(other, -1) >= level.get(own, 99)}
    assert upwards - {("skills_dspy/cli", "skills_dspy")} == set()  # its version


def test_folders_stay_small() -> None:
    """A stranger finds a room in a minute: few entries at each root, and at most 16 modules in a folder."""
    for root, most in (("skills_dspy", 14), ("evals", 12)):
        assert len([path for path in (ROOT / root).iterdir() if path.name != "__pycache__"]) <= most
    for folder in {Path(path).parent for path in trees()}:
        assert len([path for path in (ROOT / folder).glob("*.py") if path.name != "__init__.py"]) <= 16, folder


def test_signatures_know_nothing_of_the_program() -> None:
    """Prompts can be used, and optimized, without the program that is built on them."""
    for path, tree in of("signatures/").items():
        assert packages(tree) <= {"signatures", "dspy", "pydantic", "annotated_types", *sys.stdlib_module_names}, path


def test_only_the_command_line_knows_of_evals() -> None:
    """And only when one of its commands is called: neither help nor a run imports them, nor scipy, which takes a while."""
    for path, tree in of("skills_dspy/").items():
        assert path.startswith(CLI) or "evals" not in packages(tree), path
    assert not [path for path, tree in trees().items() if "tests" in packages(tree)]
    _, to_run = loaded()
    assert not to_run & {"evals", "scipy"}


def test_what_has_no_model_imports_no_dspy() -> None:
    """DSPy costs a second at every start; what is below the model does without it, whatever it imports in turn."""
    below, _ = loaded()
    assert not below & {"dspy", "litellm", "httpx", "torch"}


@pytest.mark.parametrize(
    ("libraries", "doors"),
    [
        ({"httpx", "ollama"}, ("skills_dspy/model/server/", "skills_dspy/commands/export/hub.py")),
        ({"sentence_transformers", "torch", "transformers"}, ("skills_dspy/model/embedding/",)),
        ({"socket", "ssl"}, ("skills_dspy/model/server/",)),
        (
            {"http", "urllib", "requests", "aiohttp", "websockets", "ftplib", "smtplib"},
            ("skills_dspy/commands/review/server.py",),
        ),
        ({"sqlite3", "filelock"}, ("skills_dspy/store/",)),
        ({"subprocess"}, ("skills_dspy/tasks/changed.py", "skills_dspy/model/embedding/process.py")),
        ({"shutil", "tempfile", "pickle", "cloudpickle", "shelve"}, ()),
        ({"yaml"}, ("skills_dspy/base/",)),
        ({"ray"}, ("skills_dspy/commands/cluster/ray_cluster.py",)),
        ({"click", "rich"}, CLI),
    ],
    ids=lambda value: " ".join(sorted(value)),
)
def test_one_door_to_each_outside(libraries: set[str], doors: tuple[str, ...]) -> None:
    """The network, the disk and the terminal each have their place, where foreign errors become ours."""
    found = {path for path, tree in of("skills_dspy/").items() if packages(tree) & libraries}
    assert {path for path in found if not path.startswith(doors)} == set()


PRINTERS = {"print", "Console", "click.echo", "click.secho", "click.echo_via_pager", "rich.print"}
STREAMS = re.compile(r"sys\.(std(out|err)\.(write|writelines|buffer)|__std(out|err)__)")
OUR_TOOLS = ("evals/teacher/", "evals/record/", "evals/bench/", "evals/readme/", "skills_dspy/model/server/llamacpp_child.py")


def test_all_commands_print_through_one_place() -> None:
    """Nothing that a model or a file says acts on the terminal: cli/terminal shows it as escapes; nobody prints around it."""
    found = set()
    for path, tree in trees().items():
        if path.startswith(("skills_dspy/cli/terminal/", *OUR_TOOLS)):
            continue
        calls = [node for node in nodes(tree) if isinstance(node, ast.Call) and spelled(node.func) in PRINTERS]
        found |= {f"{path}: {ast.unparse(call)}" for call in calls if not all(_is_visible(each) for each in call.args)}
        found |= {f"{path}: {name}" for name in named(tree) if STREAMS.match(name)}
    assert found == set()


def _is_visible(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and ast.unparse(value.func) in ("visible", "visible_line")


_METHODS = "write_text|write_bytes|mkdir|unlink|touch|rename|rmdir|symlink_to"
WRITING = re.compile(rf"os\.(open|remove|rename|replace|mkdir|makedirs|unlink)|.*\.({_METHODS})")


def test_only_the_store_writes() -> None:
    """A run's files go through one package, which survives a kill and a full disk; exports, into a folder that it gave them."""
    found = {
        f"{path}: {name}"
        for path, tree in of("skills_dspy/").items()
        if not path.startswith(WRITERS)
        for name in named(tree)
        if WRITING.fullmatch(name) and not (path.startswith(CLI) and name == "os.open")
    }
    assert found == set()


def test_pure_code_has_no_world() -> None:
    """Text and vectors are compared without clock, process or network, and without a generator that nobody seeded."""
    for path, tree in of("skills_dspy/similarity/").items():
        assert not packages(tree) & {"os", "sys", "time", "datetime", "pathlib", "uuid", "secrets"}, path
    for path, tree in trees().items():
        loose = {name for name in named(tree) if name.startswith(("random.", "np.random."))}
        assert {name for name in loose if not name.startswith(SEEDED)} == set(), path


def test_only_the_doors_read_their_surroundings() -> None:
    """The command line, and of the one from Python what connects: arguments and environment reach everything else as arguments
    of functions; DSPy's own settings are left alone, and looked at where a call goes the short way if nobody listens.
    """
    for path, tree in of("skills_dspy/").items():
        used = named(tree)
        door = path.startswith(CLI) or path in PYTHON
        assert door or not used & {"os.environ", "os.getenv", "sys.argv"}, path
        looks = {"dspy.settings"} if path == "skills_dspy/model/program.py" else set()
        assert used & {"dspy.configure", "dspy.settings", "dspy.configure_cache", "dspy.cache"} == looks, path


def test_modules_keep_no_state() -> None:
    """What stands at the top of a module is a constant, named as one; no function assigns it again."""
    for path, tree in of("skills_dspy/").items():
        assert not any(isinstance(node, ast.Global) for node in statements(tree)), path
        targets = (target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets)
        names = {target.id for target in targets if isinstance(target, ast.Name)}
        names -= OTHER_FORMS  # functions, made of their asynchronous or synchronous forms
        assert path.startswith(CLI) or all(re.fullmatch(r"_?[A-Z]\w*|__\w+__", name) for name in names), path


def test_errors_are_not_swallowed() -> None:
    """No handler without a kind, and none that does nothing."""
    for path, tree in of("skills_dspy/", "evals/").items():
        for node in statements(tree):
            if isinstance(node, ast.ExceptHandler):
                assert node.type is not None, f"{path}:{node.lineno}"
                assert not all(isinstance(line, ast.Pass) for line in node.body), f"{path}:{node.lineno}"


def test_ours_is_all_there_is() -> None:
    """Every import is of the standard library, of ours, or of a package that pyproject.toml asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]
    names = {re.split(r"[^\w-]", line, maxsplit=1)[0].replace("-", "_").lower() for line in asked}
    given_along = {"pydantic_core": "pydantic", "yaml": "pyyaml"}
    for path, tree in of("signatures/", "skills_dspy/").items():
        for package in packages(tree) - sys.stdlib_module_names - {"signatures", "skills_dspy", "evals", "task_specs"}:
            assert given_along.get(package, package).lower() in names, f"{path} imports {package}"


def test_no_public_name_has_two_meanings() -> None:
    """Whoever meets a name in one module knows it in all others."""
    places: dict[str, set[str]] = {}
    for path, tree in trees().items():
        for node in tree.body:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
            names = [target.id for target in targets if isinstance(target, ast.Name)]
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                names.append(node.name)
            for name in names:
                places.setdefault(name, set()).add(path)
    twice = {name: found for name, found in places.items() if len(found) > 1 and not name.startswith("_")}
    # A function for Python is called as its command; the last is one way to corrupt questions, and pairs.
    assert set(twice) <= {"T", "main", *OTHER_FORMS, "context_of_another"}, twice
