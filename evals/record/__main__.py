"""Record anew what is shipped and what the tests replay: skills_dspy/run/demo and tests/cassettes.

Without --base-url the simulated teacher answers, with replies written by hand (evals/teacher/scripts); no language model runs.
With --base-url a real Ollama answers, and the recordings say so; with --api openai another server, for the demo alone.
Cassettes of faults are the simulated teacher's always.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from evals.record.answering import CHECKOUT, RECORD_FROM, RECORD_NOTE, SIMULATED_NOTE, scripted_teacher
from evals.record.demo import DEMO_FOLDER, record_demo
from skills_dspy.base.config import load_config
from skills_dspy.base.errors import MachineError, RequestError, SkillsError
from skills_dspy.cli.options import APIS, ServerOptions
from skills_dspy.cli.sessions import make_server
from skills_dspy.store.run_json import server_in_words


@click.command(help=__doc__)
@click.option("--base-url", metavar="URL", help="A real Ollama with the default model, such as http://127.0.0.1:11434.")
@click.option("--api", type=click.Choice(APIS), default="ollama", help="What it speaks; cassettes are of Ollama's own API.")
@click.option("--only", type=click.Choice(["demo", "cassettes"]), help="One of the two.")
def main(base_url: str | None, api: str, only: str | None) -> None:
    """Record, and leave with exit code 2 and one sentence when that fails."""
    try:
        if api != "ollama" and (base_url is None or only != "demo"):
            raise RequestError(f"--api {api} needs --base-url and --only demo: the cassettes are requests to an Ollama")
        note = SIMULATED_NOTE if base_url is None else asyncio.run(note_of(base_url, api))
        if only != "cassettes" and base_url is not None:
            record_demo(base_url, note, api)
        elif only != "cassettes":
            with scripted_teacher() as host:
                record_demo(host, note)
        if only != "cassettes":
            click.echo(f"recorded {DEMO_FOLDER}: {note}")
        if only != "demo":
            record_cassettes(base_url, note)
    except SkillsError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)


async def note_of(base_url: str, api: str = "ollama") -> str:
    """The words for what answers at a real server: its version, the model and the model's digest, where it has one.

    Raises:
        RequestError: it is a simulated teacher, which must not pass for a model.
        MachineError: nobody answers there, or the model is not pulled.
    """
    config = load_config()
    server = make_server(ServerOptions(api, base_url, 1), config)
    try:
        version, model = await server.version(), await server.model(config.generator.model)
    finally:
        await server.close()
    if "simulated" in version:
        raise RequestError(f"{base_url} is a simulated teacher, not an Ollama; leave out --base-url to record from one")
    digest = f" (digest {model.digest[:12]})" if model.digest else ""
    return f"{server_in_words(server.kind, version)} with the model {model.name}{digest}"


def cassette_tests() -> list[Path]:
    """The test modules that have cassettes."""
    return [path for path in sorted((CHECKOUT / "tests").rglob("test_*.py")) if "pytest.mark.vcr" in path.read_text("utf-8")]


def record_cassettes(base_url: str | None, note: str) -> None:
    """Record every cassette anew, and replay them once to see that they serve.

    Args:
        base_url: a real Ollama; none for simulated teachers, which the tests start themselves, a fresh one for each.
        note: what answers, in words.

    Raises:
        RequestError: this is no checkout with tests.
        MachineError: the tests do not pass, while recording or afterwards; pytest has said why.
    """
    if not cassette_tests():
        raise RequestError(f"there are no tests with cassettes in {CHECKOUT / 'tests'}; record in a checkout of the project")
    recorded = {name: value for name, value in os.environ.items() if name != RECORD_FROM} | {RECORD_NOTE: note}
    if base_url is not None:
        recorded[RECORD_FROM] = base_url
    _pytest("were recorded", recorded, "--record-mode=rewrite")
    _pytest("are replayed", os.environ)


def _pytest(when: str, environment: Mapping[str, str], *options: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-m", "vcr", *options, *map(str, cassette_tests())]
    ended = subprocess.run(command, cwd=CHECKOUT, env=environment, check=False)
    if ended.returncode:
        raise MachineError(f"the tests failed while their cassettes {when} (pytest's exit code {ended.returncode})")


if __name__ == "__main__":
    main()
