"""What run.json says of a dataset that was decided anew: what a run's says, from which run it is, and how."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skills_dspy.base.config import RunConfig
from skills_dspy.commands.decide.pairs import PairCounts
from skills_dspy.commands.decide.thresholds import differences, thresholds
from skills_dspy.pipeline.funnel import FunnelDiff
from skills_dspy.run.account import count_hosts, versions
from skills_dspy.run.past import DECIDED, PastRun
from skills_dspy.store.aside import way_to
from skills_dspy.store.journal import JournalReader
from skills_dspy.store.run_json import RUN_FORMAT, NotedServer, RunJson

FILLED_BY = "filled_by"
"""What a journal calls those who answered when `decide --fill` asked: a JSON list of server versions and notes."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run that may be decided anew, as far as `noted`, its run.json, says; its settings with other thresholds; where to."""

    recorded: PastRun
    noted: RunJson
    config: RunConfig
    target: Path

    @property
    def status(self) -> str:
        """How the run stood."""
        return str(self.noted.status)

    @property
    def finished(self) -> bool:
        """Whether the run had come to its end."""
        return self.status == "complete" or self.status.startswith("stopped")

    @property
    def changed(self) -> list[tuple[tuple[str, ...], Any, Any]]:
        """Every threshold that differs: its keys, then and now."""
        return differences(self.recorded.config, self.config)

    @property
    def embedder(self) -> str:
        """The model whose vectors the journal holds; a run.json from before it was noted leaves the setting."""
        return self.noted.embedder.name or self.recorded.config.embedder.model


def decided_json(
    prepared: Prepared, diff: FunnelDiff, draws: int, journal: JournalReader, paired: PairCounts | None = None
) -> dict[str, Any]:
    """The content of a decided dataset's run.json; without times, so that the same inputs give the same bytes.

    `draws` is how many the run settled something of; the journal is the run's; `paired` is what came of second answers.
    """
    content, filled = prepared.noted.content, fillers(journal)
    result = content.get("result") or {}
    return {
        "format": RUN_FORMAT,
        "status": _status(prepared, diff),
        "wanted": content["wanted"],
        "inputs": {**content["inputs"], "config": prepared.config.shaping()},
        "server": _server(content["server"], filled),
        "windows": content.get("windows"),
        "embedder": {"name": prepared.embedder, "weights": journal.meta().get("embedder_weights")},
        "versions": versions(),
        "program": content.get("program"),
        "task": content["task"],
        **{
            name: content[name] for name in ("held_out", "derived_description", "variety", "decontamination") if name in content
        },
        "config": prepared.config.noted(),
        DECIDED: {
            "run": way_to(prepared.recorded.paths.folder, prepared.target),
            "run_status": prepared.status,
            "thresholds": thresholds(prepared.config),
            "changed": [{"setting": ".".join(keys), "then": old, "now": new} for keys, old, new in prepared.changed],
            "accepted_before": diff.before.accepted,
            "not_asked": diff.not_asked,
            "filled_by": filled,
            **({} if paired is None else {"pairs": paired.as_json()}),
        },
        "result": {
            "draws": draws if result.get("draws") is None else result["draws"],
            "funnel": diff.after.as_json(),
            "usage": {**journal.usage(), **count_hosts(journal, content["server"], result.get("usage") or {}, {})},
        },
    }


def fillers(journal: JournalReader) -> list[dict[str, Any]]:
    """Who answered when `decide --fill` asked, beside the run's own server: `version` and `note` of each."""
    found: list[dict[str, Any]] = json.loads(journal.meta().get(FILLED_BY, "[]"))
    return found


def _server(own: Mapping[str, Any], filled: list[dict[str, Any]]) -> dict[str, Any]:
    """Everybody who answered as one server; with a note only where one has it, and then the versions are not all there."""
    if not filled:
        return dict(own)
    everybody = [own, *filled]
    if any(server.get("note") for server in everybody):
        noted = [NotedServer.model_validate(server) for server in everybody]
        told = {"no_model": True} if any(server.without_model for server in noted) else {}
        return {**own, "note": "; ".join(dict.fromkeys(server.answered_by for server in noted)), **told}
    return {**own, "version": ", ".join(dict.fromkeys(str(server.get("version")) for server in everybody))}


def _status(prepared: Prepared, diff: FunnelDiff) -> str:
    said = "decided anew"
    if not prepared.finished:
        said += f", of a run that is not finished ({prepared.status})"
    missing = sum(diff.not_asked.values())
    return f"{said}; {missing} candidates left out, because replies to them were never asked for" if missing else said
