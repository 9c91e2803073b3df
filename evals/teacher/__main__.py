"""A SIMULATED Ollama server with no language model: its replies are made by chance or were written by hand.

It stands in for Ollama in tests, benchmarks and demonstrations. What it says has no meaning, and nothing that is
measured with it says anything about a model. `python -m evals.teacher --port 11500` starts it.
"""

import asyncio
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from evals.judges.cases import load_cases
from evals.teacher.config import FAULT_KINDS, Improvable, TeacherConfig, parse_fault
from evals.teacher.script import load_script
from evals.teacher.server import start
from skills_dspy.base.config import load_config
from skills_dspy.base.errors import MachineError, SkillsError

_BANNER = "This is a SIMULATED Ollama server: no language model runs here, replies are made by chance or from scripts."
_DEFAULTS = TeacherConfig()

F = TypeVar("F", bound=Callable[..., Any])


def _option(name: str, attribute: str, text: str) -> Callable[[F], F]:
    """An option for an attribute of TeacherConfig, with its default and of its type."""
    return click.option(name, attribute, default=getattr(_DEFAULTS, attribute), show_default=True, help=text)


@click.command(help=__doc__)
@click.option("--port", default=11434, show_default=True, help="Port on 127.0.0.1; 0 for any free one.")
@_option("--slots", "slots", "Requests worked on at once.")
@_option("--latency", "latency", "Seconds of work for each request.")
@_option("--latency-per-token", "latency_per_token", "Seconds for each reply token.")
@click.option("--model", "models", multiple=True, default=_DEFAULTS.models, show_default=True, help="A pulled model.")
@_option("--seed", "seed", "Of made replies and of faults.")
@_option("--pass-rate", "pass_rate", "How many made ratings pass, 0 to 1.")
@_option("--duplicate-rate", "duplicate_rate", "Share of copied questions, 0 to 1.")
@_option("--answer-tokens", "answer_tokens", "Length of made prose.")
@click.option("--fault", "faults", multiple=True, metavar="KIND=RATE", help=f"Kinds: {', '.join(FAULT_KINDS)}.")
@_option("--fail-first", "fail_first", "First chat requests that get 503.")
@click.option("--script", "scripts", multiple=True, type=click.Path(path_type=Path), help="YAML file with replies by hand.")
@click.option(
    "--improvable",
    "cases",
    multiple=True,
    type=click.Path(path_type=Path),
    help="File or folder of labelled cases: replies get better where one sentence stands in the prompt (improvable.py).",
)
@_option("--context-length", "context_length", "Tokens of the models' window.")
@_option("--num-ctx", "default_num_ctx", "Tokens where a request has none.")
def main(port: int, faults: tuple[str, ...], scripts: tuple[Path, ...], cases: tuple[Path, ...], **attributes: Any) -> None:
    """Start the server and serve until SIGTERM or SIGINT."""
    print(_BANNER, flush=True)
    try:
        config = TeacherConfig(
            **attributes,
            faults=tuple(parse_fault(text) for text in faults),
            scripts=tuple(load_script(path) for path in scripts),
            improvable=Improvable(load_cases(cases, load_config())) if cases else None,
        )
        asyncio.run(_serve(config, port))
    except SkillsError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


async def _serve(config: TeacherConfig, port: int) -> None:
    try:
        runner, bound = await start(config, port)
    except OSError as error:
        raise MachineError(f"port {port} on 127.0.0.1 cannot be used ({error.strerror}); choose another") from error
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    print(f"listening on http://127.0.0.1:{bound}", flush=True)
    await stop.wait()
    await runner.cleanup()


if __name__ == "__main__":
    main()
