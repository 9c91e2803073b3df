"""A SIMULATED Ollama server with no language model: its replies are made by chance.

It stands in for Ollama in tests and benchmarks. What it says has no meaning, and nothing that is
measured with it says anything about a model. `python -m evals.teacher --port 11500` starts it.
"""

import socket
from pathlib import Path
from typing import Any

import click

from evals.teacher.config import FAULT_KINDS, Improvable, TeacherConfig
from evals.teacher.server import serve_teacher
from skills_dspy.base.errors import SkillsError

_BANNER = "This is a SIMULATED Ollama server: no language model runs here, replies are made by chance."
_DEFAULTS = TeacherConfig()
_SHARE = click.FloatRange(0, 1)


def _faults(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> tuple[tuple[str, float], ...]:
    """Kinds with their rates, of KIND=RATE each."""
    try:
        faults = tuple((kind, float(rate)) for kind, _, rate in (text.partition("=") for text in texts))
    except ValueError as error:
        raise click.BadParameter("it has to be KIND=RATE, such as 500=0.1") from error
    if unknown := {kind for kind, _ in faults} - set(FAULT_KINDS):
        raise click.BadParameter(f"there is no fault {', '.join(sorted(unknown))}")
    return faults


@click.command(help=__doc__)
@click.option("--port", default=11434, show_default=True, help="Port on 127.0.0.1; 0 for any free one.")
@click.option("--slots", default=_DEFAULTS.slots, type=click.IntRange(1), help="Requests worked on at once.")
@click.option("--latency", default=_DEFAULTS.latency, help="Seconds of work for each request.")
@click.option("--latency-per-token", default=_DEFAULTS.latency_per_token, help="Seconds for each reply token.")
@click.option("--speed", default=_DEFAULTS.speed, help="Tokens a second that requests share (sharing.py); 0: no sharing.")
@click.option("--logprobs", default=_DEFAULTS.logprobs, help="Least tokens with log-probabilities, where asked; 0: none.")
@click.option("--holds", default=_DEFAULTS.holds, type=click.IntRange(0), help="Models in memory at once; 0: all.")
@click.option("--load-seconds", default=_DEFAULTS.load_seconds, type=click.FloatRange(0), help="Seconds that one loads.")
@click.option("--model", "models", multiple=True, default=_DEFAULTS.models, help="A pulled model.")
@click.option("--seed", default=_DEFAULTS.seed, help="Of made replies and of faults.")
@click.option("--pass-rate", default=_DEFAULTS.pass_rate, type=_SHARE, help="How many made ratings pass.")
@click.option("--duplicate-rate", default=_DEFAULTS.duplicate_rate, type=_SHARE, help="Share of copied questions.")
@click.option(
    "--fault", "faults", multiple=True, metavar="KIND=RATE", callback=_faults, help=f"Kinds: {', '.join(FAULT_KINDS)}."
)
@click.option("--fail-first", default=_DEFAULTS.fail_first, help="First chat requests that get 503.")
@click.option(
    "--improvable",
    "cases",
    multiple=True,
    type=click.Path(path_type=Path),
    help="File or folder of labelled cases: replies get better where one sentence stands in the prompt (improvable.py).",
)
def main(port: int, cases: tuple[Path, ...], **attributes: Any) -> None:
    """Start the server and serve until SIGTERM or SIGINT."""
    try:
        config = TeacherConfig(**attributes, improvable=_improvable(cases))
        bound = socket.create_server(("127.0.0.1", port), backlog=1024)
    except SkillsError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"port {port} on 127.0.0.1 cannot be used ({error.strerror}); choose another") from error
    print(f"{_BANNER}\nlistening on http://127.0.0.1:{bound.getsockname()[1]}", flush=True)
    serve_teacher(config, bound)


def _improvable(cases: tuple[Path, ...]) -> Improvable | None:
    if not cases:
        return None
    from evals.judges.cases import load_cases  # these import DSPy, which nothing else here needs
    from skills_dspy.base.config import load_config

    return Improvable(load_cases(cases, load_config()))


if __name__ == "__main__":
    main()
