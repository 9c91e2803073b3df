"""`eval program`: a compiled program against the original prompts, on any task."""

import json
from typing import TYPE_CHECKING

import click

from skills_dspy.cli.arguments import EvalProgramOptions
from skills_dspy.cli.optimize_lines import comparison_lines
from skills_dspy.cli.progress import Progress
from skills_dspy.cli.run import load_specs
from skills_dspy.cli.sessions import INTERRUPTED, Interrupted, in_session
from skills_dspy.model.compiled import load_compiled

if TYPE_CHECKING:
    from evals.optimize.program import Compared
    from evals.session.session import Session


def eval_program_command(options: EvalProgramOptions) -> int:
    """Measure before and after; returns the exit code."""
    from evals.judges.cases import SHIPPED, load_cases
    from evals.judges.descriptions import description_line
    from evals.optimize.program import compare

    config = options.session.models.load()
    compiled = load_compiled(options.file)
    specs = load_specs(options.task_paths).specs
    cases = load_cases(options.cases or (SHIPPED,), config)
    progress = Progress(quiet=options.quiet)
    derived: dict[str, str] = {}

    def phase(unit: str, doing: str) -> None:
        progress.say(f"{unit}: {doing}")

    def tell(task: str, text: str) -> None:
        derived[task] = text
        progress.say(description_line(task, text))

    async def work(session: "Session") -> tuple[tuple["Compared", ...], str]:
        compared = await compare(
            session,
            compiled,
            specs,
            cases,
            seed=options.session.seed,
            most=options.examples,
            judge=options.holdout_judge,
            phase=phase,
            tell=tell,
        )
        return compared, session.answered_by

    others = tuple(filter(None, (options.holdout_judge,)))
    try:
        compared, answered_by = in_session(options.session, config, work, extra_models=others, note=options.note)
    except Interrupted:
        return INTERRUPTED
    if options.as_json:
        content = {
            "program": str(options.file),
            "answered_by": answered_by,
            "tasks": [spec.task_name for spec in specs],
            **({"derived_descriptions": derived} if derived else {}),
            "units": [unit.as_json(options.session.seed) for unit in compared],
        }
        click.echo(json.dumps(content, indent=2, ensure_ascii=False))
    else:
        for line in comparison_lines(compared, options.session.seed, answered_by):
            click.echo(line)
    return 0
