"""What a run is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from skills_dspy.base.config import RunConfig
from skills_dspy.model.compiled import CompiledProgram
from skills_dspy.run.past import PastRun
from skills_dspy.screens.benchmark import Benchmark
from skills_dspy.tasks.spec import TaskSpec


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What is asked for.

    Attributes:
        specs: the tasks, with different names.
        wanted: accepted pairs for each task, 1 or more.
        seed: decides every choice and every sampling seed.
        concurrency: requests in flight, 1 or more.
        restart: set existing runs aside first.
        recorded: the recordings to replay by task name; none for a live run.
        note: what answers, in words, in place of the server's own.
        program: compiled prompts; none for those that stand in signatures/.
    """

    specs: tuple[TaskSpec, ...]
    config: RunConfig
    wanted: int
    output_dir: Path
    seed: int = 0
    concurrency: int = 8
    restart: bool = False
    recorded: Mapping[str, PastRun] | None = None
    note: str | None = None
    program: CompiledProgram | None = None
    evaluation: Benchmark | None = None
