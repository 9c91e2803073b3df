"""Which runs of a recording answer a replay, and what they have to have in common."""

from collections.abc import Callable, Mapping, Sequence

from skills_dspy.base.config import RunConfig
from skills_dspy.base.errors import RequestError, RunDirError
from skills_dspy.run.past import PastRun, find_recorded, recorded_questions
from skills_dspy.screens.benchmark import Benchmark
from skills_dspy.tasks.spec import TaskSpec


class Replay:
    """The runs of a recording by the names of their tasks, those that are in `specs`; all of them when that is None.

    Args:
        name: the directory that was given, or `demo`.
        specs: the tasks that are wanted. One that was not recorded fails for itself, as long as there is another.

    Raises:
        RunDirError: there is no recording, or none of the tasks was recorded.
        RequestError: the runs differ in seed, models or program.
    """

    def __init__(self, name: str, specs: Sequence[TaskSpec] | None) -> None:
        found = {run.spec.task_name: run for run in find_recorded(name)}
        if specs is None:
            specs = [run.spec for run in found.values()]
        elif all(spec.task_name not in found for spec in specs):
            raise RunDirError(
                f"{specs[0].path}: the recording {name} holds no run of the task {specs[0].task_name}; it holds "
                f"{', '.join(found)}"
            )
        self.specs = tuple(specs)
        self.runs: Mapping[str, PastRun] = {s.task_name: found[s.task_name] for s in specs if s.task_name in found}
        self.first = next(iter(self.runs.values()))
        self._name = name
        self._check("recorded with different seeds or models", lambda run: (run.seed, run.models))
        self._check("recorded with different programs", lambda run: run.program and run.program.content)

    def config(self) -> RunConfig:
        """The settings of the runs, but for the embedder's device, which is this machine's.

        Raises:
            RequestError: they differ in what shapes a dataset.
        """
        self._check("recorded with different configurations", lambda run: run.config.shaping())
        config = self.first.config
        return config.model_copy(update={"embedder": config.embedder.model_copy(update={"device": "cpu"})})

    def evaluation(self) -> Benchmark | None:
        """The evaluation questions that the runs were decontaminated against.

        Raises:
            RequestError: the runs differ in them, or the files are not what they were.
        """
        self._check("decontaminated differently", lambda run: (run.evaluation, run.evaluation and run.config.decontamination))
        advice = "give the questions of then, or others, with --decontaminate"
        return recorded_questions(self.first.evaluation, f"--replay {self._name}", advice)

    def _check(self, how: str, trait: Callable[[PastRun], object]) -> None:
        if any(trait(run) != trait(self.first) for run in self.runs.values()):
            raise RequestError(f"--replay {self._name}: its runs were {how}; give the directory of one")
