"""The files that InstructLab's training reads, with all rows and without drawing any twice.

Layout and names are those of instructlab/sdg (generate_data.py, datamixing.py at faa84ef), checked there: rows of
skills_train_msgs hold `messages`, `metadata`, `id` and `unmask`; the recipe lists the leaves' files, relative to itself, with a
`sampling_size` (1.0 is all rows) and the system prompt.
"""

import json
import re
import uuid
from contextlib import ExitStack, closing
from pathlib import Path

from skills_dspy.base.records import Record
from skills_dspy.commands.export.facts import RunFacts
from skills_dspy.commands.export.jsonl import JsonLines
from skills_dspy.commands.export.layouts import instructlab_row, instructlab_seed, leaf_name

_STAMP = r"\d{4}-\d\d-\d\dT\d\d_\d\d_\d\d"
INSTRUCTLAB_NAMES = re.compile(
    rf"((skills_train_msgs|skills_test_msgs|test)_{_STAMP}|node_datasets_{_STAMP}/[^/]+)\.jsonl|skills_recipe_{_STAMP}\.yaml"
    rf"|node_datasets_{_STAMP}"
)
"""The paths of all that is written; the folder of leaves is there also when it is empty."""

_NAMESPACE = uuid.UUID("5b8f36f0-7d3c-5d0e-9c55-1f6f0b6a4a11")


def row_uuid(row_id: str) -> str:
    """The UUID of a row: the same for the same row, in every export."""
    return str(uuid.uuid5(_NAMESPACE, row_id))


class InstructLabWriter:
    """Writes `skills_train_msgs_*.jsonl`, a file for each leaf, the recipe, and the seeds as `test_*.jsonl`.

    Rows set apart for testing go to `skills_test_msgs_*.jsonl` and into no leaf's file: those are trained on.

    Args:
        place: the folder.
        sides: `train` and `test`, or `train` alone.
        runs: whose rows will come; rows of one task come together.
        system: the system turn of every row.
        stamp: ends every name, as in `2026-01-31T10_00_00`.
        stack: closes the files.
    """

    def __init__(
        self, place: Path, sides: tuple[str, ...], runs: tuple[RunFacts, ...], system: str, stamp: str, stack: ExitStack
    ) -> None:
        self._place, self._runs, self._system, self._stamp = place, runs, system, stamp
        self._nodes = f"node_datasets_{stamp}"
        (place / self._nodes).mkdir()
        self._sides = {side: JsonLines(place / f"skills_{side}_msgs_{stamp}.jsonl") for side in sides}
        self._task: str | None = None
        self._leaf: JsonLines | None = None
        self._leaves: dict[str, str] = {}  # what is taken, folded, to the name
        for file in self._sides.values():
            stack.callback(file.close)
        stack.callback(self._close_leaf)

    def write(self, record: Record, side: str) -> None:
        """Write one record."""
        row = instructlab_row(record, self._system, row_uuid(record.id))
        self._sides[side].write(row)
        if side == "train":
            if record.task_name != self._task or self._leaf is None:
                self._next_leaf(record.task_name)
            assert self._leaf is not None
            self._leaf.write(row)

    def finish(self) -> None:
        """Write the recipe and the seeds."""
        self._close_leaf()
        for file in self._sides.values():
            file.close()
        recipe = recipe_text([f"{self._nodes}/{name}.jsonl" for name in self._leaves.values()], self._system)
        (self._place / f"skills_recipe_{self._stamp}.yaml").write_text(recipe, "utf-8")
        seeds = dict.fromkeys((run.task_name, seed.model_copy(update={"line": 0})) for run in self._runs for seed in run.seeds)
        with closing(JsonLines(self._place / f"test_{self._stamp}.jsonl")) as lines:
            for _, seed in seeds:
                lines.write(instructlab_seed(seed, self._system))

    def _next_leaf(self, task_name: str) -> None:
        self._close_leaf()
        name = base = leaf_name(task_name)
        number = 1
        while name.casefold() in self._leaves:  # a_b/c and a/b_c
            number += 1
            name = f"{base}-{number}"
        self._leaves[name.casefold()] = name
        self._leaf = JsonLines(self._place / self._nodes / f"{name}.jsonl")
        self._task = task_name

    def _close_leaf(self) -> None:
        if self._leaf is not None:
            self._leaf.close()
            self._leaf = None


def recipe_text(paths: list[str], system: str) -> str:
    """A recipe: every leaf's file with all of its rows, and the system prompt. Strings are JSON's, which YAML reads."""
    leaves = "".join(f"- path: {_quoted(path)}\n  sampling_size: 1.0\n" for path in paths)
    return f"datasets:{' []' if not paths else ''}\n{leaves}metadata:\n  sys_prompt: {_quoted(system)}\n"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
