"""A SIMULATED Ollama server with no language model: its replies are made by chance or were written by hand.

It stands in for Ollama in tests, benchmarks and demonstrations. What it says has no meaning, and nothing that is
measured with it says anything about a model. `python -m evals.teacher --port 11500` starts it; `make_app` and `start`
are for use in-process.
"""

import asyncio
import signal
import sys
from pathlib import Path

import click
from aiohttp import web

from evals.judges.cases import SHIPPED, load_cases
from evals.judges.corruptions import seed_cases
from evals.teacher.config import FAULT_KINDS, Heeding, TeacherConfig, parse_fault
from evals.teacher.script import load_script
from evals.teacher.server import make_app
from skills_dspy.base.config import load_config
from skills_dspy.base.errors import ConfigError, MachineError, SkillsError
from skills_dspy.tasks.files import load_tasks

__all__ = ["FAULT_KINDS", "Heeding", "TeacherConfig", "load_script", "main", "make_app", "start"]

_BANNER = "This is a SIMULATED Ollama server: no language model runs here, replies are made by chance or from scripts."
_HEEDS = (
    "It heeds prompts by a table of its own (evals/teacher/heeding.py): what is measured with it says nothing about a model."
)
_DEFAULTS = TeacherConfig()


@click.command(help=__doc__)
@click.option("--port", default=11434, show_default=True, help="Port on 127.0.0.1; 0 for any free one.")
@click.option("--slots", default=_DEFAULTS.slots, show_default=True, help="Requests worked on at once.")
@click.option("--latency", default=_DEFAULTS.latency, show_default=True, help="Seconds of work for each request.")
@click.option(
    "--latency-per-token", default=_DEFAULTS.latency_per_token, show_default=True, help="Seconds for each reply token."
)
@click.option("--model", "models", multiple=True, default=_DEFAULTS.models, show_default=True, help="A pulled model.")
@click.option("--seed", default=_DEFAULTS.seed, show_default=True, help="Of made replies and of faults.")
@click.option("--pass-rate", default=_DEFAULTS.pass_rate, show_default=True, help="How many made ratings pass, 0 to 1.")
@click.option(
    "--duplicate-rate", default=_DEFAULTS.duplicate_rate, show_default=True, help="Share of copied questions, 0 to 1."
)
@click.option("--answer-tokens", default=_DEFAULTS.answer_tokens, show_default=True, help="Length of made prose.")
@click.option("--fault", "faults", multiple=True, metavar="KIND=RATE", help=f"Kinds: {', '.join(FAULT_KINDS)}.")
@click.option("--fail-first", default=_DEFAULTS.fail_first, show_default=True, help="First chat requests that get 503.")
@click.option("--script", "scripts", multiple=True, type=click.Path(path_type=Path), help="YAML file with replies by hand.")
@click.option("--heed", is_flag=True, help="Replies get better with the prompt, by a table (evals/teacher/heeding.py).")
@click.option(
    "--heed-cases", multiple=True, type=click.Path(path_type=Path), help="Labelled cases it knows.  [default: evals/cases]"
)
@click.option(
    "--heed-tasks",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Task files or folders: it knows their seeds, and the corruptions of them that are made with seed 0.",
)
@click.option("--gullible", is_flag=True, help="With --heed: judges like long answers, but for models named *strict*.")
@click.option("--context-length", default=_DEFAULTS.context_length, show_default=True, help="Tokens of the models' window.")
@click.option("--num-ctx", default=_DEFAULTS.default_num_ctx, show_default=True, help="Tokens where a request has none.")
def main(
    port: int,
    slots: int,
    latency: float,
    latency_per_token: float,
    models: tuple[str, ...],
    seed: int,
    pass_rate: float,
    duplicate_rate: float,
    answer_tokens: int,
    faults: tuple[str, ...],
    fail_first: int,
    scripts: tuple[Path, ...],
    heed: bool,
    heed_cases: tuple[Path, ...],
    heed_tasks: tuple[Path, ...],
    gullible: bool,
    context_length: int,
    num_ctx: int,
) -> None:
    """Start the server and serve until SIGTERM or SIGINT."""
    print(_BANNER, flush=True)
    try:
        config = TeacherConfig(
            slots=slots,
            latency=latency,
            latency_per_token=latency_per_token,
            models=models,
            seed=seed,
            pass_rate=pass_rate,
            duplicate_rate=duplicate_rate,
            answer_tokens=answer_tokens,
            faults=tuple(parse_fault(text) for text in faults),
            fail_first=fail_first,
            scripts=tuple(load_script(path) for path in scripts),
            heeding=_heeding(heed, heed_cases, heed_tasks, gullible),
            context_length=context_length,
            default_num_ctx=num_ctx,
        )
        if config.heeding is not None:
            print(_HEEDS, flush=True)
        asyncio.run(_serve(config, port))
    except SkillsError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def _heeding(heed: bool, cases: tuple[Path, ...], tasks: tuple[Path, ...], gullible: bool) -> Heeding | None:
    if not heed:
        given = {"--heed-cases": cases, "--heed-tasks": tasks, "--gullible": gullible}
        if alone := next((name for name, value in given.items() if value), None):
            raise ConfigError(f"{alone} means something with --heed only; add it")
        return None
    by_hand = load_cases(cases or (SHIPPED,), load_config())
    loaded = load_tasks(tasks) if tasks else None
    for line in (*loaded.broken, *loaded.skipped) if loaded else ():
        print(f"left out: {line}", file=sys.stderr)
    specs = loaded.specs if loaded else ()
    return Heeding((*by_hand, *(case for spec in specs for case in seed_cases(spec, 0))), gullible)


async def start(config: TeacherConfig, port: int = 0) -> tuple[web.AppRunner, int]:
    """Serve on 127.0.0.1 until the runner's cleanup().

    Args:
        config: how the teacher behaves.
        port: 0 for any free one.

    Returns:
        The runner and the port.

    Raises:
        OSError: the port is taken.
    """
    runner = web.AppRunner(make_app(config), handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    except OSError:
        await runner.cleanup()
        raise
    return runner, runner.addresses[0][1]


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
