"""Models that think, from the command line: where their thoughts go, and where they never do."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from skills_dspy.base.config import ROLES
from skills_dspy.base.errors import ThinkingRefused
from skills_dspy.cli.check import NOT_READY, READY
from skills_dspy.model.server.server import Model
from skills_dspy.store.files import read_rows
from skills_dspy.store.journal import request_digest
from tests.cli.test_check import checked, named
from tests.helpers.fake_server import FakeServer
from tests.helpers.making import a_spec
from tests.helpers.terminal import Terminal
from tests.helpers.timed_server import TimedServer

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
    paths = thinker.paths()
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
    config_of_run = thinker.run_json()["config"]
    assert [config_of_run[role].get("think") for role in ROLES] == ["on", "low", None]
    refused = thinker.run(*words)
    assert refused.code == 2
    assert "begun with other inputs (config: generator, validator)" in refused.err


def test_the_command_line_lets_all_roles_think(thinker: Terminal) -> None:
    """A replay that is told otherwise than its recording finds no replies, and says so."""
    words = ("--task-paths", thinker.folder / "foxes.yaml", "-n", 1, "--output-dir", thinker.folder / "more")
    assert thinker.type("run", *words, "--think", "High").code == 0
    config = thinker.run_json(thinker.folder / "more")["config"]
    assert [config[role]["think"] for role in ROLES] == ["high"] * 3
    again = ("--replay", thinker.output, "--output-dir", thinker.folder / "again", "--think", "off")
    assert thinker.type("run", *again).code == 2


def test_a_prompt_is_shown_with_what_is_asked_of_thinking(thinker: Terminal) -> None:
    """And with the room for it."""
    words = ("prompts", "write_answer_freeform", "--task-paths", thinker.folder / "foxes.yaml")
    said, more = thinker.type(*words).out, thinker.type(*words, "--config", thinker.folder / "think.yaml").out
    room = int(said.partition("num_predict ")[2].split()[0])
    assert f"num_predict {room + 2048}, think on\n" in more


Quirk = Callable[[Mapping[str, Any], dict[str, Any]], None]


class QuirkyServer(TimedServer):
    """What a quirk makes of the replies; the models say of themselves that they can think where that is known."""

    def __init__(self, quirk: Quirk, thinks: bool | None = None, *, window: int = 131072) -> None:
        super().__init__(timed=False, tokens=40, context_length=window)
        self._quirk, self._thinks = quirk, thinks

    async def model(self, name: str) -> Model:
        """A model, and whether it can think."""
        return replace(await super().model(name), thinks=self._thinks)

    async def chat(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """A reply with its quirk."""
        body = await super().chat(payload)
        self._quirk(payload, body)
        return body


def without_schema(*thinks: object) -> Quirk:
    """The schema is ignored where a request says this of thinking."""

    def quirk(payload: Mapping[str, Any], body: dict[str, Any]) -> None:
        if "format" in payload and payload.get("think", "unset") in thinks:
            body["message"]["content"] = "* a question"

    return quirk


def all_in_thinking(payload: Mapping[str, Any], body: dict[str, Any]) -> None:
    """Told not to think, the model writes its reply where thoughts belong."""
    if payload.get("think") is False:
        body["message"] = {"role": "assistant", "content": "", "thinking": body["message"]["content"]}


def deep(tokens: int) -> Quirk:
    """Told to think or not, the model has so many tokens of thoughts before its reply."""

    def quirk(payload: Mapping[str, Any], body: dict[str, Any]) -> None:
        body["message"]["thinking"], room = MIND * (tokens // 4), payload["options"]["num_predict"]
        if room < tokens + 40:
            body["message"]["content"], body["done_reason"], tokens_now = "", "length", room
        else:
            tokens_now = tokens + 40
        body["eval_count"] = tokens_now

    return quirk


def left_in_the_text(payload: Mapping[str, Any], body: dict[str, Any]) -> None:
    """Before prose the model thinks in the text, as one without a template does."""
    if "format" not in payload:
        body["message"]["content"] = f"<think>\n{MIND}\n</think>\n\n{body['message']['content']}"


def refusing(payload: Mapping[str, Any], _: dict[str, Any]) -> None:
    """The server takes nothing said of thinking but that there is to be none."""
    if payload.get("think"):
        raise ThinkingRefused('The server answered 400: "m" does not support thinking.')


ON: Mapping[str, Any] = {role: {"think": "on"} for role in ROLES}


@pytest.mark.parametrize(
    ("quirk", "config", "fault", "works"),
    [
        (without_schema(False), {}, "invalid JSON", "`think: unset`"),
        (without_schema(False, "unset", True), {}, "invalid JSON", "`think: low`"),
        (without_schema(True, "low", "unset"), ON, "invalid JSON", "`think: off`"),
        (all_in_thinking, {}, "all of the reply is thoughts, and there is no text", "`think: unset`"),
        (deep(1500), {}, "all of them thoughts", "`think: unset`"),
        (deep(6000), ON, "all of them thoughts", "`think: on, think_room: 8192`"),
        (left_in_the_text, {}, "a block of thinking", "`think: unset`"),
        (refusing, ON, "does not support thinking", "`think: off`"),
    ],
)  # fmt: skip
def test_check_names_the_setting_that_works(quirk: Quirk, config: Mapping[str, Any], fault: str, works: str) -> None:
    """Where replies cannot be used as the configuration has it, for all roles that ask that model so."""
    code, text = checked(QuirkyServer(quirk), config=config)
    assert code == NOT_READY
    (line,) = {line.partition("can be read: ")[2][:60] for line in text.splitlines() if "can be read" in line}
    assert line.startswith("set that for generator, validator and tagger")
    assert fault in text
    assert ("(or give --think" in text) is ("think_room" not in works)
    assert f"with {works} it can be read" in text
    assert "take another model" not in text
    assert not named(text, "think")


def test_check_says_it_where_no_setting_helps() -> None:
    """As before, it is another model then; a text that is only too long is no matter of thinking."""
    server = QuirkyServer(without_schema(False, True, "low", "unset"))
    text = checked(server)[1]
    assert "twice; nor with `think` unset, on or low; take another model" in text
    text = checked(QuirkyServer(without_schema(False), window=6000))[1]  # in which there is no room for thoughts
    assert "twice; take another model" in text
    text = checked(QuirkyServer(lambda _, body: body.update(done_reason="length")))[1]
    assert "cut after 40 tokens, twice; take another model" in text


@pytest.mark.parametrize(
    ("quirk", "thinks", "config", "said"),
    [
        (deep(100), None, {}, "warn think mistral-small3.2 thinks although it is told not to (`think: off`), up to 13"),
        (lambda *_: None, True, {}, "ok think mistral-small3.2 can think, and is told not to (`think: off`)"),
        (deep(100), None, ON, "ok think mistral-small3.2 thinks with `think: on`, up to 13"),
        (deep(1800), None, ON, "warn think mistral-small3.2 thinks with `think: on`, up to 18"),
        (lambda *_: None, None, ON, "warn think mistral-small3.2 has no thoughts with `think: on`, or the server hides them"),
    ],
)
def test_check_says_whether_a_model_thinks(quirk: Quirk, thinks: bool | None, config: Mapping[str, Any], said: str) -> None:
    """Where it can, or was told to, with the tokens that it takes, which the forecast has, too."""
    code, text = checked(QuirkyServer(quirk, thinks), config=config)
    assert code == READY
    (line,) = named(text, "think")
    assert line.startswith(said)


def test_check_says_where_thoughts_may_take_longer_than_a_reply_may() -> None:
    """All the room of a second try, at the speed that was seen, against `server.timeout`."""

    def slow(payload: Mapping[str, Any], body: dict[str, Any]) -> None:
        deep(100)(payload, body)
        body["eval_duration"] = body["eval_count"] * 50_000_000  # 20 tokens a second

    (line,) = named(checked(QuirkyServer(slow), config={role: {"think": "high"} for role in ROLES})[1], "think")
    assert line.startswith("warn think mistral-small3.2 thinks with `think: high`, up to 1")
    assert "thoughts that take all of it twice over write for 819 s, and server.timeout is 300" in line
    (line,) = named(checked(QuirkyServer(slow), config=ON)[1], "think")
    assert line.startswith("ok ")


def test_check_tries_each_way_to_think_of_a_model() -> None:
    """A judge that thinks is tried beside the generator that does not; the remedy is for it alone."""
    text = checked(QuirkyServer(without_schema(True)), config={"validator": {"think": "on"}})[1]
    (line,) = (line for line in text.splitlines() if "can be read" in line)
    assert "judge_question_freeform" in line
    assert "with `think: off` it can be read: set that for validator in the configuration" in line


def test_the_setting_that_is_named_gives_a_description_where_the_file_has_none() -> None:
    """A run asks for that first: it is tried with each setting, though a stand-in has taken its place by then."""

    def fussy(payload: Mapping[str, Any], body: dict[str, Any]) -> None:
        describes = "Say what skill a set of examples practises" in str(payload["messages"])
        if payload.get("think", "unset") not in ({"low"} if describes else {"low", "unset"}):
            body["message"]["content"] = ""

    text = checked(QuirkyServer(fussy), first=a_spec(description=""))[1]
    assert "with `think: low` it can be read" in text


def test_the_forecast_counts_thoughts() -> None:
    """They are most of the tokens."""
    quirks: tuple[Quirk, ...] = (lambda *_: None, deep(1000))
    texts = [checked(QuirkyServer(quirk), config=ON)[1].splitlines() for quirk in quirks]
    plain, deeper = ([int(line.split()[-1]) for line in lines if line.startswith("judge_pair_")] for lines in texts)
    assert len(plain) == 2
    assert all(900 < more - less <= 1040 for less, more in zip(plain, deeper, strict=True))
