"""Doing a scenario through the command line, and writing down what came of it; all that varies is taken out here."""

import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import sqlite3
import sys
from base64 import b64decode
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from skills_dspy.base.columns import from_columns

HERE = Path(__file__).parent
INPUTS, EXPECTED = HERE / "inputs", HERE / "expected"
ROOT = HERE.parents[1]
ENVIRONMENT = {
    "COLUMNS": "120",
    "HF_HUB_OFFLINE": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "TERM": "dumb",
    "NO_COLOR": "1",
    "GIT_DISCOVERY_ACROSS_FILESYSTEM": "1",  # git says the same wherever temporary folders lie
}

OLD_DEMO = "inputs/runs/demo"
"""What `--replay demo` was until a model recorded another: replies by hand, from before the code was moved."""

Outcome = dict[str, Any]
"""`steps`: argv, exit code, lines of stdout and stderr of each; `files`: the name of each one's text below EXPECTED/files."""

_LONG = "word " * 30_000
_VARYING = frozenset(
    ("started", "ended", "seconds", "versions", "rows_per_second", "calls_per_second", "created", "generated", "usage")
)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d[:_]\d\d[:_]\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?")
_LOADING = re.compile(r"[^\n]*Loading weights:[^\n]*\n?")
_CACHE = re.compile(r"Hugging Face cache [^,]+")
_COST = re.compile(r"^Cost: .*?( \(|\.$)", re.MULTILINE)
_CALLS = re.compile(r"^(\S+ +\d+ of \d+ +\d+) +\d+ ", re.MULTILINE)
"""How many calls a run took depends on how many draws were under way when it had its pairs, and so on timing."""
_SITE = re.compile(r"[^\s\"]*/site-packages/")
_SECONDS = re.compile(r", \d+\.\d\d s;")
"""How long a reply took in a replay is measured, too."""
_LONGEST, _KEPT = 400, 250
_SIGNATURE = re.compile(r"signatures\.[\w.]+ \(\S+\.py:\d+\)")
"""Where a prompt's text stands is no behaviour: it may move."""


def materialize(folder: Path) -> None:
    """Lay out all inputs in an empty folder, which the commands are run in."""
    shutil.copytree(INPUTS, folder / "inputs")
    shutil.copytree(INPUTS / "task_specs", folder / "task_specs")
    # Where the decontaminated run was told to find its questions when it was made.
    shutil.copytree(INPUTS / "tasks", folder / "tests" / "before" / "inputs" / "tasks")
    for kind in ("task_files", "configs", "case_files"):
        for file in listed(kind):
            path = folder / kind / file["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            data = b64decode(file["base64"]) if "base64" in file else file["text"].replace("@LONG@", _LONG).encode()
            path.write_bytes(data)
            if "attribution" in file:
                (path.parent / "attribution.txt").write_text(file["attribution"], encoding="utf-8")


def listed(kind: str) -> list[dict[str, str]]:
    """The small files of one kind, each with `name`, `file` and content."""
    found: list[dict[str, str]] = json.loads((INPUTS / f"{kind}.json").read_text(encoding="utf-8"))
    for number, file in enumerate(found):
        file.setdefault("file", f"f{number:03}.yaml")
    return found


@cache
def expected(group: str) -> dict[str, Outcome]:
    """What is to come of the scenarios of a group, by their names."""
    text = (EXPECTED / f"{group}.json").read_text(encoding="utf-8")
    outcomes: dict[str, Outcome] = json.loads(_SITE.sub("SITE/", _SECONDS.sub(", N s;", text)))
    return outcomes


@contextlib.contextmanager
def surroundings(folder: Path) -> Iterator[None]:
    """The environment and the working directory that all scenarios are done in."""
    before = dict(os.environ)
    for name in list(os.environ):
        if name.startswith(("OLLAMA_", "SKILLS_DSPY_")) or name.lower().endswith("_proxy") or name == "FORCE_COLOR":
            del os.environ[name]
    os.environ.update(ENVIRONMENT)
    try:
        with contextlib.chdir(folder):
            yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def typed(argv: tuple[str, ...]) -> dict[str, Any]:
    """Run one command line; returns what a terminal would have shown."""
    from skills_dspy.cli.main import start

    out, err = io.StringIO(), io.StringIO()
    before = sys.argv
    sys.argv = ["skills_dspy", *argv]  # some sentences repeat what was typed
    words = [OLD_DEMO if pair == ("--replay", "demo") else pair[1] for pair in pairwise(("", *argv))]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = start(words)
    finally:
        sys.argv = before
    stdout, stderr = (_lines(said.getvalue().replace(f"recording {OLD_DEMO} ", "recording demo ")) for said in (out, err))
    return {"argv": list(argv), "code": code, "stdout": stdout, "stderr": stderr}


def content(path: Path) -> str:
    """What is compared of a file: all of it where bytes have to be the same, without times and versions elsewhere."""
    return "\n".join(_short(line) for line in _whole(path).split("\n"))


def _short(line: str) -> str:
    """A long line's beginning, with a digest for all of it: the expectations would be several megabytes."""
    if len(line) <= _LONGEST:
        return line
    return f"{line[:_KEPT]} ... {len(line)} characters, sha256 {hashlib.sha256(line.encode()).hexdigest()}"


def _whole(path: Path) -> str:
    if path.suffix == ".jsonl":
        return "\n".join(map(_row_of_then, path.read_bytes().decode("utf-8").split("\n")))
    if path.suffix == ".sqlite":
        return _database(path)
    if path.suffix == ".parquet":
        return _table(path)
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        with contextlib.suppress(ValueError):  # alpaca's is a list of lines, whatever it is called
            text = json.dumps(_without_varying(json.loads(text)), indent=1, ensure_ascii=False)
    return normal(text)


def normal(text: str) -> str:
    """A text without what differs from machine to machine and from day to day."""
    text = text.replace(str(Path.cwd()), "TMP")
    # The line that says how to look at a row names the interpreter, from where one stands if it lies below.
    text = re.sub(rf"\S*{re.escape(Path(sys.executable).name)} -m skills_dspy", "PYTHON -m skills_dspy", text)
    text = _CACHE.sub("Hugging Face cache CACHE", _LOADING.sub("", text.replace(str(ROOT), "ROOT")))
    text = _SITE.sub("SITE/", text)  # where packages lie is the machine's
    text = _SECONDS.sub(", N s;", _CALLS.sub(r"\1 N ", _COST.sub(r"Cost: N\1", text)))
    return _SIGNATURE.sub("SIGNATURE", _TIME.sub("TIME", text))


def compared(patterns: tuple[str, ...]) -> dict[str, str]:
    """The files here that are compared, each with the name of its text below EXPECTED/files."""
    return {normal(str(path)): _file_name(path, content(path)) for path in found(patterns)}


def found(patterns: tuple[str, ...]) -> list[Path]:
    """The files here that fit any of the patterns."""
    return sorted(path for pattern in patterns for path in Path().glob(pattern) if path.is_file())


def _file_name(path: Path, text: str) -> str:
    return f"{normal(path.stem)[:20]}-{hashlib.sha256(text.encode()).hexdigest()[:12]}.txt"


def _lines(text: str) -> list[str]:
    text = normal(text)
    if text.lstrip().startswith("{"):
        with contextlib.suppress(ValueError):
            text = json.dumps(_without_varying(json.loads(text)), indent=1, ensure_ascii=False)
    return [_short(line) for line in text.split("\n")]


def _without_varying(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: "VARIES" if key in _VARYING else _without_varying(inner) for key, inner in value.items()}
    return [_without_varying(item) for item in value] if isinstance(value, list) else value


def _row_of_then(line: str) -> str:
    """A line, if it is a row of a run, with the nulls, lists and mappings that were written then."""
    if not (line.startswith('{"id":') and '"provenance":{' in line):
        return line
    return json.dumps(from_columns(json.loads(line)), ensure_ascii=False, separators=(",", ":"))


def _database(path: Path) -> str:
    """The tables of a journal, how many rows each has, and the keys of its replies."""
    with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as base:
        tables = base.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
        lines = [f"{sql}: {base.execute(f'SELECT count(*) FROM {name}').fetchone()[0]} rows" for name, sql in tables]  # noqa: S608
        lines += [" ".join(row) for row in base.execute("SELECT digest, step FROM replies ORDER BY digest")]
    return "\n".join(lines)


def _table(path: Path) -> str:
    from pyarrow import parquet

    table = parquet.read_table(path)
    rows = [json.dumps(row, ensure_ascii=False, default=str) for row in table.to_pylist()]
    return "\n".join([str(table.schema.remove_metadata()), *rows])
