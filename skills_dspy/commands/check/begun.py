"""Runs that were begun with other weights of a model, which is better known before the night that should go on with them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from skills_dspy.base.errors import RunDirError
from skills_dspy.model.server.names import other_weights, same_model
from skills_dspy.model.server.server import Model
from skills_dspy.store.run_dir import RunPaths
from skills_dspy.store.run_json import read_run_json
from skills_dspy.tasks.spec import TaskSpec


def begun_with_others(specs: Sequence[TaskSpec], output_dir: Path, models: Mapping[str, Model]) -> Iterator[str]:
    """A sentence for each model of each run of these tasks that has other weights now, and for a run.json that is broken.

    `models` is name as configured to what the server has.
    """
    for spec in specs:
        paths = RunPaths(output_dir / spec.task_name)
        try:
            run = read_run_json(paths)
        except RunDirError as error:
            yield str(error)
            continue
        then = run.inputs.models if run is not None and run.inputs is not None and run.inputs.models else {}
        pairs = [
            (name, model.digest, now.digest)
            for name, now in models.items()
            for model in then.values()
            if same_model(name, model.name) and model.digest != now.digest
        ]
        for pair in dict.fromkeys(pairs):
            todo = "it goes on only with the former; get that back, or use --restart or another --output-dir"
            yield f"{paths.folder} holds a run, and {other_weights(*pair)}: {todo}"
