"""What is shipped: the wheel's files, the declared requirements, and what the papers beside the code say of it."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from skills_dspy import __version__
from skills_dspy.cli.main import cli
from skills_dspy.model.embedding.weights import COMPUTING
from skills_dspy.tasks.files import load_tasks

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("evals", "signatures", "skills_dspy", "task_specs")
METADATA = f"skills_dspy-{__version__}.dist-info"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
PAPERS = ("README.md", "CONTRIBUTING.md")


# ---- the wheel -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """The wheel, built without a network from a copy, so that nothing built earlier gets into it."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("LICENSE", "README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, source)
    build = f"from setuptools.build_meta import build_wheel; build_wheel({str(built)!r})"  # as pip does, without its own start
    ended = subprocess.run([sys.executable, "-c", build], cwd=source, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    """Code, prompts, tasks, settings, labelled cases and recordings travel; the project's own tools and stray files do not."""
    tools = tuple(f"evals/{name}/" for name in ("bench", "readme", "record", "teacher"))
    wanted = {
        path.relative_to(ROOT).as_posix()
        for name in PACKAGES
        for path in (ROOT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    wanted = {name for name in wanted if not name.startswith(tools)}
    assert {name for name in wheel.namelist() if not name.startswith(METADATA)} == wanted


def test_the_wheel_gives_the_command_and_says_its_version_and_licence(wheel: zipfile.ZipFile) -> None:
    """`skills-dspy` starts what `python -m skills_dspy` starts."""
    assert "skills-dspy = skills_dspy.__main__:main" in wheel.read(f"{METADATA}/entry_points.txt").decode().splitlines()
    assert f"Version: {__version__}" in wheel.read(f"{METADATA}/METADATA").decode().splitlines()
    assert f"{METADATA}/licenses/LICENSE" in wheel.namelist()


def test_every_shipped_task_loads_without_a_warning() -> None:
    """There are six or more with five seeds or more each, of both kinds."""
    loaded = load_tasks([ROOT / "task_specs"])
    specs, warnings = loaded.specs, loaded.warnings
    assert (loaded.broken, loaded.skipped) == ((), ())
    assert warnings == ()
    assert len(specs) >= 6
    assert [spec.task_name for spec in specs if len(spec.seed_examples) < 5] == []
    assert any(spec.seeds("freeform") for spec in specs)
    assert any(spec.seeds("grounded") for spec in specs)


# ---- requirements ----------------------------------------------------------------------------------------------------


def _requirements(*extras: str) -> dict[NormalizedName, Requirement]:
    """What the project and these extras of it ask for, by normalized name."""
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in EXTRAS[extra])]
    found = {canonicalize_name(requirement.name): requirement for requirement in map(Requirement, lines)}
    found.pop(canonicalize_name(PROJECT["name"]), None)  # the dev extra names the other extras through the project itself
    return found


_IMPORT = re.compile(r"^\s*(?:from (\w[\w.]*) import |import (\w[^#\n]*))", re.MULTILINE)
"""A line that imports. All modules are read, and parsing them takes seconds; in scripts between quotes it counts, too."""


BENCH = "evals/bench"


def _imported(package: str) -> set[str]:
    """The top-level names that a package's modules import, whether at once or later."""
    lines = [found for path in _modules(package) for found in _IMPORT.findall(path.read_text("utf-8"))]
    modules = [one for source, names in lines for one in ([source] if source else re.split("[,;]", names))]
    return {module.split()[0].partition(".")[0] for module in modules if module.strip()}


def _modules(package: str) -> list[Path]:
    return [path for path in (ROOT / package).rglob("*.py") if package == BENCH or path.parent != ROOT / BENCH]


_distributions = cache(packages_distributions)


@pytest.mark.parametrize(
    ("package", "extras"),
    [
        ("signatures", ()),
        ("skills_dspy", ("llamacpp", "offline", "ray")),
        ("evals", ("offline", "ray", "student", "teacher")),
        *((folder, tuple(EXTRAS)) for folder in (BENCH, "tests")),  # neither is in the package
    ],
)
def test_whatever_is_imported_is_declared(package: str, extras: tuple[str, ...]) -> None:
    """Nothing works only because another package happens to bring it along."""
    distributions = _distributions()
    # pydantic pins its own core to one release, so it cannot be asked for beside it.
    foreign = _imported(package) - sys.stdlib_module_names - {*PACKAGES, "tests", "pydantic_core"}
    assert foreign
    needed = {name: {canonicalize_name(d) for d in distributions.get(name, (name,))} for name in foreign}
    assert {name for name, given_by in needed.items() if not given_by & set(_requirements(*extras))} == set()


def test_every_requirement_has_an_upper_bound() -> None:
    """Only releases up to the series that was tried are taken."""
    unbounded = [str(r) for r in _requirements(*EXTRAS).values() if not any(s.operator == "<" for s in r.specifier)]
    assert unbounded == []


@pytest.mark.parametrize("release", ["1.82.7", "1.82.8"])
def test_releases_that_were_not_their_makers_are_never_taken(release: str) -> None:
    """Two of litellm stole keys; those before and after them are fine."""
    litellm = _requirements()[canonicalize_name("litellm")].specifier
    assert not litellm.contains(release)
    assert litellm.contains("1.82.6")
    assert litellm.contains(_locked(LOCK)[canonicalize_name("litellm")])


def _locked(name: str) -> dict[NormalizedName, str]:
    """Package to release, as a lock pins them."""
    pins = re.findall(r"^([\w.-]+)==([^\s;]+)", (ROOT / name).read_text("utf-8"), re.MULTILINE)
    return {canonicalize_name(package): release for package, release in pins}


LOCK, DEMO, TORCH = "requirements.lock", "requirements-demo.lock", "requirements-torch.lock"
LOCKED = tuple(name for name in EXTRAS if name != "ray")  # 250 MB on the disk, for one test that is left out without it
NOT_IN_DEMO = {canonicalize_name(name) for name in (*COMPUTING.values(), "litellm")}


def test_the_lock_files_pin_every_requirement_within_its_bounds() -> None:
    """A bound that moved without `make lock` shows here. Of torch no build is named: which one it is decides the machine."""
    pinned = {**_locked(LOCK), **_locked(TORCH)}
    outside = [str(r) for name, r in _requirements(*LOCKED).items() if not r.specifier.contains(pinned.get(name, "0"))]
    assert outside == []
    assert list(_locked(TORCH)) == ["torch"]
    assert "torch" not in _locked(LOCK)
    assert [version for version in pinned.values() if Version(version).local] == []


@pytest.mark.parametrize("lock", [LOCK, DEMO])
def test_a_lock_has_the_hashes_of_each_release(lock: str) -> None:
    """Nothing else is installed than what was there when the lock was made."""
    pins = re.split(r"\n(?=\w)", (ROOT / lock).read_text("utf-8"))[1:]
    assert len(pins) == len(_locked(lock))
    assert [pin.split()[0] for pin in pins if not re.search(r"--hash=sha256:[0-9a-f]{64}", pin)] == []


def test_the_demo_has_a_lock_of_its_own_which_the_other_completes() -> None:
    """The same releases, so that `make test` goes on in the environment that `make demo` made."""
    assert _locked(DEMO).items() < _locked(LOCK).items()
    assert _locked(DEMO).keys() >= _requirements().keys() - NOT_IN_DEMO


def test_the_demo_installs_nothing_that_computes_vectors() -> None:
    """Whatever its packages ask for is there, but for what loads models and for litellm, which no command of ours asks."""
    locked = _locked(DEMO).keys()
    assert not locked & NOT_IN_DEMO
    asked = {
        canonicalize_name(Requirement(line).name)
        for package in locked
        if package in _locked_here()
        for line in requires(package) or ()
        if (marker := Requirement(line).marker) is None or marker.evaluate({"extra": ""})
    }
    assert asked - locked <= NOT_IN_DEMO


def _locked_here() -> set[NormalizedName]:
    """What is installed here: some of a lock is for other systems."""
    return {canonicalize_name(name) for names in _distributions().values() for name in names}


# ---- make, and the papers --------------------------------------------------------------------------------------------


def _make(*words: str) -> subprocess.CompletedProcess[str]:
    """Run make as from a shell, even when make runs these tests."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["/usr/bin/env", "make", "--silent", *words]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def _targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


def _commands(text: str) -> set[str]:
    """The targets in `make ...` between backticks and in lines of code, without settings like PYTHON=python3.12."""
    blocks = re.findall(r"^```.*?^```", text, re.MULTILINE | re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    lines += [line.strip() for line in text.splitlines() if line.startswith("    ")]
    calls = re.findall(r"`make ([^`\n]+)`", text)
    calls += [call for line in lines for call in re.findall(r"^(?:\$ )?make ([^#]+)", line)]
    return {word for call in calls for word in call.split() if "=" not in word}


@pytest.mark.parametrize("paper", PAPERS)
def test_every_make_target_that_a_paper_names_exists(paper: str) -> None:
    """Nobody is told to run what is not there, and both papers name the tests."""
    named = _commands((ROOT / paper).read_text("utf-8"))
    assert "test" in named
    assert named - _targets() == set()


def test_make_alone_lists_every_target() -> None:
    """The list is the default target and leaves none out."""
    listed = re.findall(r"^  make ([a-z-]+) +[a-z]", _make().stdout, re.MULTILINE)
    assert sorted(listed) == sorted(_targets())


def test_make_refuses_a_python_that_is_too_old_with_one_sentence(tmp_path: Path) -> None:
    """It says which Python it tried and how to name another, and makes nothing."""
    old = tmp_path / "old-python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    ended = _make(f"PYTHON={old}", f"VENV={tmp_path / 'venv'}", "demo")
    said = [line for line in ended.stderr.splitlines() if not line.startswith("make")]
    assert said == [f"error: {old} is no Python 3.11 or newer; name one, for example: make PYTHON=python3.11 demo"]
    assert ended.returncode != 0
    assert not (tmp_path / "venv").exists()


def test_the_changelog_begins_with_this_version() -> None:
    """The newest section is about what is here."""
    sections = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert sections[0] == __version__


# ---- where others use it ---------------------------------------------------------------------------------------------


def test_the_action_and_the_hook_call_what_is_there() -> None:
    """Options of `tasks`, files of the checkout, inputs that are declared."""
    action = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
    steps = "\n".join(f"{step.get('run', '')} {step.get('env', '')}" for step in action["runs"]["steps"])
    options = {flag for param in cli.commands["tasks"].params for flag in param.opts}
    assert set(re.findall(r"--(?:format|taxonomy-base|strict)\b", steps)) <= options
    assert (ROOT / "requirements-demo.lock").name in steps
    assert set(re.findall(r"inputs\.([\w-]+)", str(action))) == set(action["inputs"])
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    assert hook["entry"].split() == ["skills-dspy", "tasks"]
    shipped = [path.relative_to(ROOT).as_posix() for path in (ROOT / "task_specs").rglob("*.yaml")]
    assert all(re.search(hook["files"], path) for path in (*shipped, "compositional_skills/a/b/qna.yaml"))
    assert not re.search(hook["files"], "compose.yaml")


def test_the_image_is_made_of_what_is_there() -> None:
    """It copies files of the checkout, is nobody's root, and the compose file gives it the Ollama beside it."""
    lines = (ROOT / "Dockerfile").read_text("utf-8").splitlines()
    copied = [word for line in lines if re.match(r"COPY (?!--from)", line) for word in line.split()[1:-1]]
    assert copied
    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert any(line.startswith("USER ") and line != "USER root" for line in lines)
    services = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]
    assert services["skills"]["environment"]["OLLAMA_HOST"] == "http://ollama:11434"


def test_the_citation_is_of_this_version() -> None:
    """And of this licence."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert (cited["version"], cited["license"]) == (__version__, PROJECT["license"])
