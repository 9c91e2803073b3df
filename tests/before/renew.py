"""`python -m tests.before.renew` gives the old recordings in inputs/ today's prompts, after a prompt was changed on purpose.

A reply belongs to a step and a sampling seed, which say of which candidate it is; so each request that the scenarios make
today finds the reply of its forerunner. A step that the recordings do not know has one and the same reply, see _NEW.
Afterwards `python -m tests.before.make` writes what is to be expected, and `git diff` shows what changed.
"""

import json
import sqlite3
import tempfile
import zlib
from collections.abc import Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from skills_dspy.base.columns import from_columns
from skills_dspy.base.errors import MissingReply
from skills_dspy.model.compiled import base_fingerprint
from skills_dspy.model.hosts.call import Call
from skills_dspy.model.replies import Replies
from skills_dspy.model.steps import STEPS
from skills_dspy.store.journal import JournaledReply, JournalReader, request_digest
from tests.before.doing import INPUTS, materialize, surroundings
from tests.before.scenarios import DEMO, SCENARIOS, outcome

Key = tuple[str, int, str, float, float | None]
Rows = dict[Key, tuple[Any, ...]]

_NEW = {
    "judge_context": {"explanation": "It is a text of the kind that is wanted.", "rating": 1},
    "plan_variety": {"axes": [{"name": "subject", "of": "request", "values": ["anything", "something else"]}]},
}
"""What steps reply that no recording knows."""


def main() -> None:
    """Renew programs, journals and rows."""
    for path in sorted([*INPUTS.glob("programs/*.json"), *INPUTS.glob("runs/**/run.json")]):
        _renew_program(path)
    finding = _Finding()
    with tempfile.TemporaryDirectory() as name, surroundings(Path(name)), patch.object(Replies, "fetch", finding.fetch()):
        materialize(Path.cwd())
        for scenario in sorted(SCENARIOS, key=lambda one: one.group != "old_runs"):
            outcome(scenario)
        for path in sorted(INPUTS.glob("runs/**/journal.sqlite")):
            recording, *task = path.relative_to(INPUTS / "runs").parts
            _renew_journal(path, *finding.of(Path("inputs/runs", recording, *task).resolve()))
            _add_vectors(path, Path(DEMO if recording == "demo" else f"o/{recording}-all", *task))
        for run in sorted(path.parent for path in INPUTS.glob("runs/**/data.jsonl")):
            recording, *task = run.relative_to(INPUTS / "runs").parts
            _renew_rows(run, Path("o", f"{recording}-all", *task))


class _Finding:
    """Stands for the asking of a recording: what it lacks, its forerunner has."""

    def __init__(self) -> None:
        self._gained: dict[Path, dict[str, JournaledReply]] = {}
        self._had: dict[Path, set[str]] = {}

    def of(self, path: Path) -> tuple[dict[str, JournaledReply], set[str]]:
        """The replies that a recording lacked, by digest, and the digests of those that it had."""
        return self._gained.get(path, {}), self._had.get(path, set())

    def fetch(self) -> Callable[[Replies, Mapping[str, Any], Call], Awaitable[dict[str, Any]]]:
        """What stands in for the fetching of replies."""
        fetch = Replies.fetch

        async def fetch_or_find(asking: Replies, payload: Mapping[str, Any], call: Call) -> dict[str, Any]:
            source = asking._source
            if not isinstance(source, JournalReader):
                return await fetch(asking, payload, call)
            path = source._path.resolve()
            try:
                body = await fetch(asking, payload, call)
            except MissingReply:
                if (reply := _forerunner(path, payload, call.step)) is None:
                    raise
                self._gained.setdefault(path, {})[reply.digest] = reply
                return reply.reply if asking._journal is None else await asking._journal.put(reply)
            self._had.setdefault(path, set()).add(request_digest(payload))
            return body

        return fetch_or_find


@cache
def _known(path: Path) -> Rows:
    with closing(sqlite3.connect(path)) as base:
        rows = base.execute("SELECT step, request, arrived, seconds, reply FROM replies").fetchall()
    return {_key(step, json.loads(zlib.decompress(request))): tuple(row) for step, request, *row in rows}


def _key(step: str, request: Mapping[str, Any]) -> Key:
    """Whose reply it is, and under which settings; a prompt's words are not part of it."""
    options = request["options"]
    return step, options["seed"], request["model"], options["temperature"], options.get("top_p")


def _forerunner(path: Path, payload: Mapping[str, Any], step: str) -> JournaledReply | None:
    digest = request_digest(payload)
    if step in _NEW:
        message = {"role": "assistant", "content": json.dumps(_NEW[step])}
        body = {"message": message, "done_reason": "stop", "prompt_eval_count": 300, "eval_count": 20}
        return JournaledReply(digest, dict(payload), body, step, 0.0, 0.0)
    known = _known(path).get(_key(step, payload))
    if known is None:
        return None
    arrived, seconds, reply = known
    return JournaledReply(digest, dict(payload), _of_today(json.loads(reply), step), step, arrived, seconds)


def _of_today(body: dict[str, Any], step: str) -> dict[str, Any]:
    """A reply without the fields that the step no longer asks for."""
    with suppress(ValueError):  # prose, or a reply that is cut or no JSON on purpose
        said = json.loads(body["message"]["content"])
        known = {
            name: value for name, value in said.items() if name in STEPS[step].source.output_fields or name != "explanation"
        }
        if isinstance(said, dict) and known != said:
            body["message"]["content"] = json.dumps(known, ensure_ascii=False)
    return body


def _renew_program(path: Path) -> None:
    """The texts that it brings stay; the fields that it was made for are those of today."""
    content = json.loads(path.read_text(encoding="utf-8"))
    program = content if path.name != "run.json" else content["program"]
    if program is None:
        return
    for step in program["base"]:
        program["base"][step] = base_fingerprint(step)
        program["predictors"][step]["signature"]["fields"] = STEPS[step].signature(1).dump_state()["fields"]
        for demo in program["predictors"][step]["demos"]:
            if "example" in demo:  # which was one until there were several, with their length
                demo |= {"examples": [demo.pop("example")], "length": "10 to 30 words"}
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _renew_journal(path: Path, replies: Mapping[str, JournaledReply], had: AbstractSet[str]) -> None:
    renewed = {_key(one.step, one.request) for one in replies.values()}
    with closing(sqlite3.connect(path)) as base, base:
        for digest, step, request in base.execute("SELECT digest, step, request FROM replies").fetchall():
            if digest not in had and _key(step, json.loads(zlib.decompress(request))) in renewed:
                base.execute("DELETE FROM replies WHERE digest = ?", (digest,))
        for digest, one in sorted(replies.items()):
            tokens = [one.reply.get(key, 0) for key in ("prompt_eval_count", "eval_count")]
            text = json.dumps(one.reply, ensure_ascii=False, separators=(",", ":"))
            row = (
                digest,
                one.step,
                one.arrived,
                one.seconds,
                *tokens,
                text,
                zlib.compress(json.dumps(one.request, ensure_ascii=False, separators=(",", ":")).encode()),
            )
            base.execute("INSERT INTO replies VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)


def _add_vectors(path: Path, replayed: Path) -> None:
    """Which seeds a prompt shows follows from vectors, so a recording has those of all texts that are compared today."""
    if not replayed.exists():  # evaluations compare none
        return
    with closing(sqlite3.connect(replayed)) as other:
        rows = other.execute("SELECT key, vector FROM vectors").fetchall()
    with closing(sqlite3.connect(path)) as base, base:
        base.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", rows)


def _renew_rows(run: Path, replayed: Path) -> None:
    """Which prompts and calls a row came from is what it is in a replay."""
    for name in ("data.jsonl", "rejected.jsonl"):
        lines = (replayed / name).read_bytes().splitlines()
        now = {row["id"]: from_columns(row)["provenance"] for row in map(json.loads, lines)}
        rows = [json.loads(line) for line in (run / name).read_bytes().splitlines()]
        said = [json.dumps(row | {"provenance": now[row["id"]]}, ensure_ascii=False, separators=(",", ":")) for row in rows]
        (run / name).write_bytes("".join(f"{line}\n" for line in said).encode())
    mine, theirs = (json.loads((folder / "run.json").read_text(encoding="utf-8")) for folder in (run, replayed))
    mine["inputs"]["prompts"] = theirs["inputs"]["prompts"]
    (run / "run.json").write_text(json.dumps(mine, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
