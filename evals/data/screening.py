"""How near the seeds of tasks are to each other, which is what the bounds of `screens` are set by.

`python -m evals.data.screening PATH...` takes each seed as if a model had written it beside the others of its task, and prints
for every bound how far the seeds go, and which of them the built-in bounds reject.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from evals.figures.sentences import sentences
from skills_dspy.base.config import ScreensConfig, load_config
from skills_dspy.base.visible import visible
from skills_dspy.model.adapter import SkillsAdapter
from skills_dspy.model.steps import STEPS
from skills_dspy.screens.screens import screened
from skills_dspy.screens.task_texts import PARTS, NewText, TaskTexts, task_texts_of
from skills_dspy.similarity.pieces import Pieces, words_in
from skills_dspy.similarity.text import squeezed
from skills_dspy.tasks.files import load_tasks
from skills_dspy.tasks.spec import TaskSpec

FEWEST = 3
"""Seeds of a kind from which on their lengths say something about the next one's."""


@dataclass(slots=True)
class Extremes:
    """What of the seeds comes nearest to each bound, with the place where.

    Attributes:
        copied, echoed: words in a row that are another seed's, or the prompts'.
        longest, shortest: the words of a seed over those of the longest or the shortest of the others.
        rejected: what the bounds reject.
    """

    tasks: int = 0
    seeds: int = 0
    copied: tuple[float, str] = (0, "-")
    echoed: tuple[float, str] = (0, "-")
    longest: tuple[float, str] = (0, "-")
    shortest: tuple[float, str] = (1, "-")
    rejected: list[str] = field(default_factory=list)


def extremes_of(specs: Sequence[TaskSpec], bounds: ScreensConfig) -> Extremes:
    """Take every seed as new beside the others of its task that are about another text."""
    adapter, found = SkillsAdapter(), Extremes()
    instructions = tuple(adapter.plan(step.source).system for step in STEPS.values())
    for spec in specs:
        found.tasks += 1
        found.seeds += len(spec.seed_examples)
        for place, rest in _each_without(spec):
            _look(found, spec, place, task_texts_of(rest, bounds, instructions))
    return found


def _each_without(spec: TaskSpec) -> Iterator[tuple[int, TaskSpec]]:
    """Every seed's number, and the task with none but the seeds of other texts, or, without a text, with other questions."""
    for place, seed in enumerate(spec.seed_examples):
        about = squeezed(seed.context or seed.question)
        others = tuple(one for one in spec.seed_examples if squeezed(one.context or one.question) != about)
        if others:
            yield place, spec.model_copy(update={"seed_examples": others})


def _look(found: Extremes, spec: TaskSpec, place: int, task: TaskTexts) -> None:
    seed = spec.seed_examples[place]
    many = len(spec.seeds(seed.kind)) >= FEWEST
    for part in PARTS:
        new = NewText(part, seed.kind, seed, {}, task)
        if not new.text:
            continue
        where, cut = f"{spec.task_name} seed:{place} {part}", Pieces.of(new.text)
        ignored = task.common[part].union(*(Pieces.of(text).pieces for text in new.given))
        for source in task.seeds[part]:
            found.copied = max(found.copied, (words_in(cut.longest_run(source.pieces, ignored)), where))
        for source in task.prompts:
            found.echoed = max(found.echoed, (words_in(cut.longest_run(source.pieces, task.known)), where))
        if many and (lengths := task.lengths.get((seed.kind, part))) is not None:
            found.longest = max(found.longest, (cut.words / max(1, lengths[1]), where))
            found.shortest = min(found.shortest, (cut.words / max(1, lengths[0]), where))
        if (why := screened(new)) is not None and (many or why[0] != "length"):
            found.rejected.append(f"{where}: {why[0]}: {why[1]}")


@click.command(help=__doc__)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(path_type=Path))
def main(paths: Sequence[Path]) -> None:
    """Print what the seeds of the tasks at these paths come to, or leave with exit code 2 and one sentence."""
    with sentences():
        specs = [spec for path in paths for spec in load_tasks([path]).specs]
    found = extremes_of(specs, load_config().screens)
    lines = [f"{found.seeds} seeds of {found.tasks} tasks, each as if it were new beside the others"]
    for name in ("copied", "echoed", "longest", "shortest"):
        value, where = getattr(found, name)
        lines.append(f"{name:9} {value:6.2f}  {where}")
    lines += [f"rejected by the built-in bounds: {len(found.rejected)}", *(f"  {line}" for line in found.rejected)]
    print(visible("\n".join(lines)))


if __name__ == "__main__":
    main()
