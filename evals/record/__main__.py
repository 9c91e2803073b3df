"""Record anew what is shipped and what the tests replay: skills_dspy/run/demo and tests/cassettes.

With --base-url a real Ollama answers demo and main flow, and the recordings name its model; with --api openai another server,
the demo alone. Faults and optimizations are the simulated teacher's, with or without: no model fails or improves on demand.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

import click

from evals.record.answering import CHECKOUT, MODEL, RECORD_FROM, RECORD_NOTE
from evals.record.demo import DEMO_FOLDER, record_demo
from skills_dspy.base.config import Api, load_config
from skills_dspy.base.errors import MachineError, RequestError, SkillsError
from skills_dspy.commands.api.server import Connection
from skills_dspy.store.run_json import server_in_words


@click.command(help=__doc__)
@click.option("--base-url", metavar="URL", help=f"A real Ollama that has {MODEL}, such as http://127.0.0.1:11434.")
@click.option(
    "--api", type=click.Choice(get_args(Api)), default="ollama", help="What it speaks; cassettes are of Ollama's own API."
)
@click.option("--only", type=click.Choice(["demo", "cassettes"]), help="One of the two.")
def main(base_url: str | None, api: str, only: str | None) -> None:
    """Record, and leave with exit code 2 and one sentence when that fails."""
    try:
        if api != "ollama" and (base_url is None or only != "demo"):
            raise RequestError(f"--api {api} needs --base-url and --only demo: the cassettes are requests to an Ollama")
        if only == "demo" and base_url is None:
            raise RequestError("the demo is recorded from a model: give --base-url")
        real: dict[str, str] = {}
        if base_url is not None:
            real = {RECORD_FROM: base_url, RECORD_NOTE: asyncio.run(note_of(base_url, api))}
            if only != "cassettes":
                record_demo(base_url, real[RECORD_NOTE], api)
                click.echo(f"recorded {DEMO_FOLDER}: {real[RECORD_NOTE]}")
        if only != "demo":
            record_cassettes(real)
    except SkillsError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)


async def note_of(base_url: str, api: str) -> str:
    """The words for what answers at a real server: its version, the model and the model's digest, where it has one.

    Raises:
        RequestError: it is a simulated teacher, which must not pass for a model.
        MachineError: nobody answers there, or the model is not pulled.
    """
    config = load_config(models={"generator": MODEL})
    connection = Connection(api, (base_url,), 1)
    ((_, server),) = connection.each(connection.over(config))
    try:
        version = await server.version()
        model = None if "simulated" in version else await server.model(config.generator.model)
    finally:
        await server.close()
    if model is None:
        raise RequestError(
            f"{base_url} is a simulated teacher, not an Ollama; leave out --base-url to record only what is simulated"
        )
    digest = f" (digest {model.digest[:12]})" if model.digest else ""
    return f"{server_in_words(server.kind, version)} with the model {model.name}{digest}"


def cassette_tests(*, of_a_model: bool | None = None) -> list[Path]:
    """The test modules that have cassettes: all, or those that a model answers, or those that it does not."""
    texts = {path: path.read_text("utf-8") for path in sorted((CHECKOUT / "tests").rglob("test_*.py"))}
    found = {path: "(host: str" in text for path, text in texts.items() if "pytest.mark.vcr" in text}
    return [path for path, answered in found.items() if of_a_model in (None, answered)]


def record_cassettes(real: Mapping[str, str]) -> None:
    """Record cassettes anew, and replay all of them once to see that they serve.

    Args:
        real: the variables with the address of a real Ollama and what answers there, for the cassettes of the main flow, which
            stay as they are where it is empty.

    Raises:
        RequestError: this is no checkout with tests.
        MachineError: the tests do not pass, while recording or afterwards; pytest has said why.
    """
    if not cassette_tests():
        raise RequestError(f"there are no tests with cassettes in {CHECKOUT / 'tests'}; record in a checkout of the project")
    if real:
        _pytest("were recorded", cassette_tests(of_a_model=True), "--record-mode=rewrite", **real)
    _pytest("were recorded", cassette_tests(of_a_model=False), "--record-mode=rewrite")
    _pytest("are replayed", cassette_tests())


def _pytest(when: str, modules: Sequence[Path], *options: str, **environment: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-m", "vcr", *options, *map(str, modules)]
    ended = subprocess.run(command, cwd=CHECKOUT, env=os.environ | environment, check=False)
    if ended.returncode:
        raise MachineError(f"the tests failed while their cassettes {when} (pytest's exit code {ended.returncode})")


if __name__ == "__main__":
    main()
