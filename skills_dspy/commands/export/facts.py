"""What a dataset's readers should know of the run that made it, taken from its run.json."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from skills_dspy.base.records import SeedExample
from skills_dspy.store.run_json import OLLAMA, Decontamination, FunnelCounts, Inputs, NotedServer, RunJson, needed

NOT_STATED = "not stated"


@dataclass(frozen=True, slots=True)
class RunFacts:
    """One run, as an export tells of it. What an older run.json does not hold is empty or `not stated`.

    Attributes:
        description: of the task; one that a model derived says so.
        licence: of the seeds, as their author stated it.
        status: how the run ended, or `running`.
        answered_by: what gave the replies, in words, without a host.
        no_model: whether something other than a language model gave them.
        models: role, name and digest.
        models_licences: name and licence of the models whose server or file told one.
        prompts: kind, stage and fingerprint.
        compiled: what compiled the prompts, if they are not those of signatures/.
        thresholds: what passed, setting and value.
        rejected: stage, reason, count.
        version: of skills_dspy.
        screened: evaluation files that candidates were kept clear of: name, questions, SHA-256, words of an n-gram, the largest
            cosine that was let through.
        contaminated_seeds: how many seeds are too near to these themselves.
    """

    task_name: str
    description: str
    created_by: str
    licence: str | None
    seeds: tuple[SeedExample, ...]
    seed: int
    status: str
    answered_by: str
    no_model: bool
    models: tuple[tuple[str, str, str], ...]
    models_licences: tuple[tuple[str, str], ...]
    prompts: tuple[tuple[str, str, str], ...]
    compiled: str | None
    thresholds: tuple[tuple[str, str], ...]
    embedder: str
    candidates: int
    rejected: tuple[tuple[str, str, int], ...]
    version: str
    screened: tuple[tuple[str, int, str, str, str], ...]
    contaminated_seeds: int


def facts_of(run: RunJson) -> RunFacts:
    """Take the facts from a run.json; KeyError where it does not say which task, or from which seeds."""
    task, server = needed(run.task, "task"), run.server or NotedServer()
    inputs, config, screen = run.inputs or Inputs(), run.config or {}, run.decontamination or Decontamination()
    funnel = run.result.funnel if run.result and run.result.funnel else FunnelCounts(candidates=0, accepted=0, rejected=())
    cosine = "not compared" if screen.max_cosine is None else str(screen.max_cosine)
    return RunFacts(
        task_name=needed(task.task_name, "task_name"),
        description=run.description(marked=True),
        created_by=task.created_by or NOT_STATED,
        licence=task.licence or None,
        seeds=needed(task.seed_examples, "seed_examples"),
        seed=inputs.seed or 0,
        status=run.status or "unknown",
        answered_by=_answered_by(server),
        no_model=server.without_model,
        models=tuple((role, model.name, model.digest) for role, model in (inputs.models or {}).items()),
        models_licences=tuple(server.licences.items()),
        prompts=tuple((kind, stage, mark) for kind, stages in inputs.prompts.items() for stage, mark in stages.items()),
        compiled=None if run.program is None else _compiled(run.program),
        thresholds=tuple(_thresholds(config)),
        embedder=run.embedder.name or NOT_STATED,
        candidates=funnel.candidates,
        rejected=tuple((entry.stage, entry.reason, entry.count) for entry in funnel.rejected),
        version=run.versions.get("skills-dspy", NOT_STATED),
        screened=tuple((f.name, f.questions, f.sha256, str(screen.ngram or NOT_STATED), cosine) for f in screen.files),
        contaminated_seeds=len(screen.contaminated_seeds),
    )


def _answered_by(server: NotedServer) -> str:
    """A host's name is nobody's business."""
    if server.without_model and not server.note:
        return f"a simulated teacher (version {server.version}), which is no language model"
    return server.answered_by if server.note or server.version or server.api != OLLAMA else NOT_STATED


def _compiled(program: Mapping[str, Any]) -> str:
    steps = ", ".join(sorted(program.get("steps") or program.get("predictors") or {}))
    return f"compiled by `optimize`{': ' + steps if steps else ''}"


def _thresholds(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    wanted = {"filter": ("instruction_quality", "sample_quality"), "judges": ("question_pass", "pair_pass")}
    for section, names in wanted.items():
        for name in names:
            if passing := config.get(section, {}).get(name):
                yield f"{section}.{name}", ", ".join(map(str, passing))
    distance = config.get("dedup", {}).get("max_squared_distance")
    if distance is not None:
        yield "dedup.max_squared_distance", str(distance)
