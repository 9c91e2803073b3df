"""The files that InstructLab's training reads, with all rows and without drawing any twice.

Layout and names are those of instructlab/sdg (generate_data.py, datamixing.py at faa84ef), checked there: rows of
skills_train_msgs hold `messages`, `metadata`, `id` and `unmask`; the recipe lists the leaves' files, relative to itself, with a
`sampling_size` (1.0 is all rows) and the system prompt.
"""

import json
import re
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from skills_dspy.base.records import Record
from skills_dspy.commands.export.facts import RunFacts
from skills_dspy.commands.export.jsonl import json_lines
from skills_dspy.commands.export.layouts import instructlab_row, instructlab_seed, leaf_name

_STAMP = r"\d{4}-\d\d-\d\dT\d\d_\d\d_\d\d"
INSTRUCTLAB_NAMES = re.compile(
    rf"((skills_train_msgs|skills_test_msgs|test)_{_STAMP}|node_datasets_{_STAMP}/[^/]+)\.jsonl|skills_recipe_{_STAMP}\.yaml"
    rf"|node_datasets_{_STAMP}"
)
"""The paths of all that is written; the folder of leaves is there also when it is empty."""

_NAMESPACE = uuid.UUID("5b8f36f0-7d3c-5d0e-9c55-1f6f0b6a4a11")


@contextmanager
def instructlab_files(
    place: Path, sides: Iterable[str], runs: Iterable[RunFacts], system: str, stamp: str
) -> Iterator[Callable[[Record, str], None]]:
    """Writes `skills_train_msgs_*.jsonl`, a file for each leaf, the recipe, and the seeds as `test_*.jsonl`, record by record.

    Rows set apart for testing go to `skills_test_msgs_*.jsonl` and into no leaf's file: those are trained on.

    Rows of one task come together. The stamp, as in `2026-01-31T10_00_00`, ends every name.
    """
    nodes = f"node_datasets_{stamp}"
    (place / nodes).mkdir()
    leaves: dict[str, str] = {}  # what is taken, folded, to the name
    task: str | None = None
    with ExitStack() as files, ExitStack() as leaf:
        write_side = {side: files.enter_context(json_lines(place / f"skills_{side}_msgs_{stamp}.jsonl")) for side in sides}
        write_leaf = write_side["train"]

        def write(record: Record, side: str) -> None:
            nonlocal task, write_leaf
            row = instructlab_row(record, system, str(uuid.uuid5(_NAMESPACE, record.id)))
            write_side[side](row)
            if side != "train":
                return
            if record.task_name != task:
                leaf.close()
                task = record.task_name
                write_leaf = leaf.enter_context(json_lines(place / nodes / f"{_take_name(leaves, task)}.jsonl"))
            write_leaf(row)

        yield write
    recipe = recipe_text([f"{nodes}/{name}.jsonl" for name in leaves.values()], system)
    (place / f"skills_recipe_{stamp}.yaml").write_text(recipe, "utf-8")
    seeds = dict.fromkeys((run.task_name, seed.model_copy(update={"line": 0})) for run in runs for seed in run.seeds)
    with json_lines(place / f"test_{stamp}.jsonl") as write_seed:
        for _, seed in seeds:
            write_seed(instructlab_seed(seed, system))


def _take_name(taken: dict[str, str], task_name: str) -> str:
    """A name for a leaf that no other has: `a_b/c` and `a/b_c` fall together."""
    base = leaf_name(task_name)
    name, number = base, 1
    while name.casefold() in taken:
        number += 1
        name = f"{base}-{number}"
    taken[name.casefold()] = name
    return name


def recipe_text(paths: Iterable[str], system: str) -> str:
    """A recipe: every leaf's file with all of its rows, and the system prompt. Strings are JSON's, which YAML reads."""
    leaves = "".join(f"- path: {_quoted(path)}\n  sampling_size: 1.0\n" for path in paths)
    return f"datasets:{'' if leaves else ' []'}\n{leaves}metadata:\n  sys_prompt: {_quoted(system)}\n"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
