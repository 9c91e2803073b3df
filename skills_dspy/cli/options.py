"""The options that several commands share, and paths that take all the words up to the next option."""

import math
from pathlib import Path
from typing import Any

import click

DEFAULT_HOST = "http://127.0.0.1:11434"


class Number(click.FloatRange):
    """A number within bounds; click's own range lets `nan` through, with which nothing compares."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number."""
        found: float = super().convert(value, param, ctx)
        if math.isnan(found):
            self.fail(f"{value} is not a number.", param, ctx)
        return found


_TAKING_MANY = {"--task-paths": "task_paths", "--decontaminate": "decontaminate"}


class ManyPaths(click.Command):
    """A command whose `--task-paths`, and other options that name files, take all the words up to the next option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give every path an option of its own, which is what click understands."""
        spread: list[str] = []
        taking: str | None = None
        for place, arg in enumerate(args):
            if arg.startswith("-"):
                taking = _TAKING_MANY.get(arg)
                if taking is None:
                    spread.append(arg)
                elif not args[place + 1 :] or args[place + 1].startswith("-"):
                    raise click.BadOptionUsage(taking, f"Option '{arg}' requires an argument.", ctx)
            elif taking is not None:
                spread += [f"--{taking.replace('_', '-')}", arg]
            else:
                spread.append(arg)
        return super().parse_args(ctx, spread)


task_paths_option = click.option(
    "--task-paths",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PATH ...",
    help="Task files, qna.yaml files, or folders of them, such as a taxonomy.  "
    "[default: task_specs/ here, else the shipped debate]",
)


taxonomy_base_option = click.option(
    "--taxonomy-base",
    metavar="REF",
    help="Only task files of a git checkout that have changed since it branched off REF, uncommitted ones included.",
)
decontaminate_option = click.option(
    "--decontaminate",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE ...",
    help="Evaluation questions (.jsonl, .parquet, .txt) that no pair may share 13 words with or lie near to.",
)
base_url_option = click.option(
    "--base-url",
    default=DEFAULT_HOST,
    show_default=f"OLLAMA_HOST, else {DEFAULT_HOST}",
    help="The Ollama host.",
)
config_option = click.option(
    "--config", type=click.Path(path_type=Path), help="YAML over the built-in defaults (skills_dspy/skills.yaml)."
)
model_option = click.option("--model", help="Ollama's name of the teacher.  [default: mistral-small3.2]")
judge_option = click.option("--judge-model", help="The judge's.  [default: follows --model]")
embedder_option = click.option("--embedder", help="A sentence-transformers model: name or path.  [default: all-MiniLM-L6-v2]")
program_option = click.option(
    "--program", type=click.Path(path_type=Path), metavar="FILE", help="Prompts that `optimize` has compiled."
)
tagger_option = click.option("--tagger-model", help="The tagger's.  [default: follows --model]")
concurrency_option = click.option(
    "--concurrency", type=click.IntRange(1, 1024), default=8, show_default=True, help="Requests in flight."
)
seed_option = click.option(
    "--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Decides splits, samples and choices."
)
cases_option = click.option(
    "--cases",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Labelled cases: files or folders, once for each.  [default: those of evals/cases]",
)
eval_dir_option = click.option(
    "--output-dir",
    type=click.Path(path_type=Path),
    default=Path("output-evals"),
    show_default=True,
    help="Where evaluations keep their journal and their reports.",
)
eval_replay_option = click.option(
    "--replay",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Answer every model call from the --output-dir of an earlier evaluation.",
)
note_option = click.option(
    "--note", hidden=True, help="What answers, in words, when it is not a language model (for recordings)."
)
quiet_option = click.option("--quiet", is_flag=True, help="No progress.")
