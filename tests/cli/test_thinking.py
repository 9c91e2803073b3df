"""Models that think, from the command line: where their thoughts go, and where they never do."""

from collections.abc import Mapping
from typing import Any

import pytest

from skills_dspy.store.files import read_rows
from skills_dspy.store.journal import request_digest
from skills_dspy.store.run_dir import RunPaths
from skills_dspy.store.run_json import read_run_json
from tests.helpers.fake_server import FakeServer
from tests.helpers.terminal import Terminal

MIND = "Hm, whiskers and paws"
THINKING = "generator: {think: on}\nvalidator: {think: low}\n"


class ThinkingServer(FakeServer):
    """Its model thinks before it answers unless it is told not to; before prose in the text itself, as some do."""

    def _body(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        body = super()._body(payload)
        message = body["message"]
        if payload.get("think") is not False:
            thoughts = f"{MIND}, {request_digest(payload)[:8]}."
            if "format" in payload:
                message["thinking"] = thoughts
            else:
                message["content"] = f"<think>\n{thoughts}\n</think>\n\n{message['content']}"
        return body


@pytest.fixture
def thinker(terminal: Terminal) -> Terminal:
    """A terminal before a model that thinks, after a run with thoughts of the generator and the judge."""
    terminal.make_server = ThinkingServer
    words = ("--task-paths", terminal.task(), "-n", 3, "--config", terminal.write("think.yaml", THINKING))
    assert terminal.run(*words).code == 0
    return terminal


def test_thoughts_are_kept_beside_what_they_led_to(thinker: Terminal) -> None:
    """In the journal, so in `explain` and in an export that asks for them; in no row, no prompt and no other export."""
    data, rejected = thinker.rows()
    (server,) = thinker.servers
    assert not any(MIND in str(row) or "think>" in str(row) for row in (*data, *rejected))
    assert not any(MIND in prompt for prompt in server.prompts)
    calls = data[0]["provenance"]["calls"]
    said = thinker.type("explain", data[0]["id"], "--output-dir", thinker.output).out
    thought = {stage: f"thoughts\n{MIND}, {digests[0][:8]}." for stage, digests in calls.items()}
    tags = ("instruction_quality", "sample_quality", "difficulty", "category")
    assert {stage for stage, text in thought.items() if text in said} == calls.keys() - set(tags)
    assert f"reply\n{data[0]['response']}" in said.replace("reply\n\n\n", "reply\n")
    for words, has in ((("--thoughts",), True), ((), False)):
        out = thinker.folder / f"{has}.jsonl"
        exported = thinker.type("export", thinker.output, "--format", "messages", "--out", out, *words)
        assert ("3 of 3 rows have thoughts\n" in exported.out) is has
        for row, (_, line) in zip(data, read_rows(out), strict=True):
            last = {"role": "assistant", "content": row["response"]}
            thoughts = f"{MIND}, {row['provenance']['calls']['write_answer'][-1][:8]}."
            assert line["messages"][-1] == (last | {"reasoning_content": thoughts} if has else last)


def test_a_run_with_thoughts_has_the_same_bytes_resumed_replayed_and_decided(thinker: Terminal) -> None:
    """And says what was asked of them, so that a run that asks otherwise is another one."""
    paths = RunPaths(thinker.output / "test/foxes")
    made, config = paths.data.read_bytes(), thinker.folder / "think.yaml"
    words = ("--task-paths", thinker.folder / "foxes.yaml", "-n", 3)
    paths.data.unlink()
    assert thinker.run(*words, "--config", config).code == 0
    assert paths.data.read_bytes() == made
    replayed = thinker.folder / "replayed"
    assert thinker.type("run", "--replay", thinker.output, "--output-dir", replayed).code == 0
    assert (replayed / "test/foxes/data.jsonl").read_bytes() == made
    assert thinker.type("decide", paths.folder, "--out", thinker.folder / "decided").code == 0
    assert (thinker.folder / "decided" / "data.jsonl").read_bytes() == made
    run = read_run_json(paths)
    assert run is not None
    assert run.config is not None
    assert [run.config[role].get("think") for role in ("generator", "validator", "tagger")] == ["on", "low", None]
    refused = thinker.run(*words)
    assert refused.code == 2
    assert "begun with other inputs (config: generator, validator)" in refused.err


def test_a_prompt_is_shown_with_what_is_asked_of_thinking(thinker: Terminal) -> None:
    """And with the room for it."""
    words = ("prompts", "write_answer_freeform", "--task-paths", thinker.folder / "foxes.yaml")
    said, more = thinker.type(*words).out, thinker.type(*words, "--config", thinker.folder / "think.yaml").out
    room = int(said.partition("num_predict ")[2].split()[0])
    assert f"num_predict {room + 2048}, think on\n" in more
