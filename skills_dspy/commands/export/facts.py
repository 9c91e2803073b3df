"""What a dataset's readers should know of the run that made it, taken from the content of a run.json."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from skills_dspy.base.records import SeedExample

NOT_STATED = "not stated"


@dataclass(frozen=True, slots=True)
class RunFacts:
    """One run, as an export tells of it. What an older run.json does not hold is empty or `not stated`.

    Attributes:
        task_name, description, created_by: of the task; a description that a model derived says so.
        licence: of the seeds, as their author stated it.
        seeds: the seed examples.
        seed: the run's random seed.
        status: how the run ended, or `running`.
        wanted: accepted pairs asked for.
        answered_by: what gave the replies, in words, without a host.
        no_model: whether something other than a language model gave them.
        models: role, name and digest.
        prompts: kind, stage and fingerprint.
        compiled: what compiled the prompts, if they are not those of signatures/.
        thresholds: what passed, setting and value.
        embedder: the model that measured how near texts are.
        candidates: all that were decided.
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
    wanted: int
    answered_by: str
    no_model: bool
    models: tuple[tuple[str, str, str], ...]
    prompts: tuple[tuple[str, str, str], ...]
    compiled: str | None
    thresholds: tuple[tuple[str, str], ...]
    embedder: str
    candidates: int
    rejected: tuple[tuple[str, str, int], ...]
    version: str
    screened: tuple[tuple[str, int, str, str, str], ...]
    contaminated_seeds: int


def facts_of(content: Mapping[str, Any]) -> RunFacts:
    """Take the facts from a run.json.

    Raises:
        ValueError, KeyError, TypeError: it is not what a run writes; the caller names the file.
    """
    task, inputs = content["task"], _mapping(content.get("inputs"))
    config, funnel = _mapping(content.get("config")), _mapping(_mapping(content.get("result")).get("funnel"))
    answered_by, no_model = _answered_by(_mapping(content.get("server")))
    models = _mapping(inputs.get("models"))
    prompts = _mapping(inputs.get("prompts"))
    screen = _mapping(content.get("decontamination"))
    return RunFacts(
        task_name=str(task["task_name"]),
        description=_description(str(task.get("task_description") or ""), content.get("derived_description")),
        created_by=str(task.get("created_by") or NOT_STATED),
        licence=str(task["licence"]) if task.get("licence") else None,
        seeds=tuple(SeedExample.model_validate(seed) for seed in task["seed_examples"]),
        seed=int(inputs.get("seed", 0)),
        status=str(content.get("status", "unknown")),
        wanted=int(content.get("wanted", 0)),
        answered_by=answered_by,
        no_model=no_model,
        models=tuple((role, str(m["name"]), str(m["digest"])) for role, m in models.items()),
        prompts=tuple((kind, stage, str(mark)) for kind, stages in prompts.items() for stage, mark in stages.items()),
        compiled=_compiled(content.get("program")),
        thresholds=tuple(_thresholds(config)),
        embedder=str(_mapping(content.get("embedder")).get("name") or NOT_STATED),
        candidates=int(funnel.get("candidates", 0)),
        rejected=tuple((str(r["stage"]), str(r["reason"]), int(r["count"])) for r in funnel.get("rejected", ())),
        version=str(_mapping(content.get("versions")).get("skills-dspy", NOT_STATED)),
        screened=tuple(_screened(screen)),
        contaminated_seeds=len(screen.get("contaminated_seeds", ())),
    )


def _description(stated: str, derived: Any) -> str:
    return f"{derived} (derived by the generator)" if derived and not stated.strip() else stated


def _screened(screen: Mapping[str, Any]) -> Iterator[tuple[str, int, str, str, str]]:
    cosine = "not compared" if screen.get("max_cosine") is None else str(screen["max_cosine"])
    for file in screen.get("files", ()):
        yield str(file["name"]), int(file["questions"]), str(file["sha256"]), str(screen.get("ngram", NOT_STATED)), cosine


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _answered_by(server: Mapping[str, Any]) -> tuple[str, bool]:
    """A note is only there when something else than a language model answers; a host's name is nobody's business."""
    if server.get("note"):
        return str(server["note"]), True
    version = str(server.get("version") or "")
    if "simulated" in version or "fake" in version:
        return f"a simulated teacher (version {version}), which is no language model", True
    return (f"Ollama {version}", False) if version else (NOT_STATED, False)


def _compiled(program: Any) -> str | None:
    if not isinstance(program, Mapping):
        return None
    steps = ", ".join(sorted(_mapping(program.get("steps") or program.get("predictors"))))
    return f"compiled by `optimize`{': ' + steps if steps else ''}"


def _thresholds(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    wanted = {"filter": ("instruction_quality", "sample_quality"), "judges": ("question_pass", "pair_pass")}
    found = [
        (f"{section}.{name}", ", ".join(map(str, _mapping(config.get(section))[name])))
        for section, names in wanted.items()
        for name in names
        if isinstance(_mapping(config.get(section)).get(name), list)
    ]
    distance = _mapping(config.get("dedup")).get("max_squared_distance")
    return found if distance is None else [*found, ("dedup.max_squared_distance", str(distance))]
