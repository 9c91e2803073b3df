"""Where a reply comes from: the journal first, then a recording or the server, and into the journal before it is used."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from skills_dspy.base.errors import ContextTooLong, MissingReply, ModelMissing
from skills_dspy.model.hosts.call import Call
from skills_dspy.model.hosts.slots import Slots
from skills_dspy.model.replies import Meter, Replies
from skills_dspy.model.server.ollama import OllamaServer
from skills_dspy.store.journal import Journal, JournaledReply, JournalReader, request_digest
from tests.helpers.loops import on_a_loop
from tests.helpers.making import a_config, idle

PAYLOAD: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Why?"}], "options": {"seed": 1}}


def body_of(text: str) -> dict[str, Any]:
    """What the server says."""
    return {
        "model": "m",
        "message": {"role": "assistant", "content": text},
        "done": True,
        "done_reason": "stop",
        "prompt_eval_count": 10,
        "eval_count": 3,
    }


class Host:
    """A server that counts what it is asked and answers with the number of the request."""

    def __init__(self, status: int = 200) -> None:
        self.asked = 0
        self.status = status
        self.gate: asyncio.Event | None = None

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer a chat."""
        self.asked += 1
        number = self.asked
        if self.gate is not None:
            await self.gate.wait()
        return httpx.Response(self.status, json=body_of(f"reply {number}"), request=request)

    def server(self) -> OllamaServer:
        """The client of it."""
        return OllamaServer("http://127.0.0.1:11434", a_config().server, transport=httpx.MockTransport(self))


def a_call(place: int = 0) -> Call:
    """A call of some step, with its place in the queue."""
    return Call("judge_pair_freeform", lambda: (place,))


@on_a_loop
async def test_a_reply_is_asked_for_once(journal: Journal) -> None:
    """The second time the journal has it: the server is not asked, and the meter tells the one from the other."""
    host, meter, call = Host(), Meter(), a_call()
    replies = Replies(journal, host.server(), Slots(2), meter)
    assert await replies.fetch(PAYLOAD, call) == body_of("reply 1")
    assert await replies.fetch(PAYLOAD, a_call()) == body_of("reply 1")
    assert host.asked == 1
    assert call.digest == request_digest(PAYLOAD)
    counts = Counter({"judge_pair_freeform": 1})
    assert meter == Meter(live=1, remembered=1, prompt_tokens=10, output_tokens=3, by_step=counts)


def test_what_is_counted_of_a_reply_without_counts() -> None:
    """A server leaves out what is 0."""
    meter = Meter()
    meter.count("a", {})
    meter.count("a", {"prompt_eval_count": None, "eval_count": 4})
    meter.count("a", {"prompt_eval_count": -1, "eval_count": "many"})
    assert meter == Meter(live=3, output_tokens=4, by_step=Counter(a=3))


@on_a_loop
async def test_a_reply_is_on_the_disk_before_it_is_used(journal: Journal, tmp_path: Path) -> None:
    """Whoever reads the file in that moment finds the reply with its request and its step."""
    replies = Replies(journal, Host().server(), Slots(1), Meter(), clock=iter([1.0, 2.0, 5.0]).__next__)
    body = await replies.fetch(PAYLOAD, a_call())
    with JournalReader.open(tmp_path / "journal.sqlite") as other:
        kept = other.full(request_digest(PAYLOAD))
    # Three seconds: the wait for a slot is not counted, only the server's own time.
    assert kept == JournaledReply(request_digest(PAYLOAD), PAYLOAD, body, "judge_pair_freeform", 5.0, 3.0)


@on_a_loop
async def test_of_two_equal_requests_the_first_reply_stands(journal: Journal) -> None:
    """Both were under way at once, and the server gave two replies: both get the one that is in the journal."""
    host = Host()
    host.gate = asyncio.Event()
    replies = Replies(journal, host.server(), Slots(2), Meter())
    asking = [asyncio.create_task(replies.fetch(PAYLOAD, a_call())) for _ in range(2)]
    await idle()
    assert host.asked == 2
    host.gate.set()
    first, second = await asyncio.gather(*asking)
    assert first == second == journal.get(request_digest(PAYLOAD))


@on_a_loop
async def test_the_journal_needs_no_slot(journal: Journal) -> None:
    """What is known is there at once, however many wait for the server."""
    slots = Slots(1)
    replies = Replies(journal, Host().server(), slots, Meter())
    body = await replies.fetch(PAYLOAD, a_call())
    async with slots.take(lambda: (0,)):
        assert await replies.fetch(PAYLOAD, a_call()) == body


@on_a_loop
async def test_the_server_is_asked_in_the_order_of_ranks(journal: Journal) -> None:
    """A call waits with its own rank."""
    slots = Slots(1)
    host = Host()
    replies = Replies(journal, host.server(), slots, Meter())
    async with slots.take(lambda: (0,)):
        asking = [
            asyncio.create_task(replies.fetch({**PAYLOAD, "options": {"seed": place}}, a_call(place))) for place in (3, 1, 2)
        ]
        await idle()
        assert slots.waiting == 3
        assert host.asked == 0
    texts = [body["message"]["content"] for body in await asyncio.gather(*asking)]
    assert texts == ["reply 3", "reply 1", "reply 2"]


def test_a_fault_of_the_server_leaves_no_reply(journal: Journal) -> None:
    """The error goes on, the slot is free, nothing is in the journal."""
    slots, meter = Slots(1), Meter()
    replies = Replies(journal, Host(404).server(), slots, meter)
    with pytest.raises(ModelMissing):
        asyncio.run(replies.fetch(PAYLOAD, a_call()))
    assert (slots.held, meter.live) == (0, 0)
    assert journal.get(request_digest(PAYLOAD)) is None


@pytest.mark.parametrize(
    ("options", "fits"),
    [
        ({"num_ctx": 42, "num_predict": 32}, True),
        ({"num_ctx": 41, "num_predict": 32}, False),
        ({"num_ctx": 10}, True),
        ({"num_ctx": 9}, False),
        ({}, True),
    ],
)
def test_the_answer_to_half_a_prompt_is_not_kept(journal: Journal, options: dict[str, int], fits: bool) -> None:
    """A server cuts without a word what exceeds the window: by its own count there was no room, so the reply is none."""
    payload = {**PAYLOAD, "options": options}
    replies = Replies(journal, Host().server(), Slots(1), Meter())
    if fits:
        asyncio.run(replies.fetch(payload, a_call()))
        return
    window = options["num_ctx"]
    with pytest.raises(ContextTooLong) as caught:
        asyncio.run(replies.fetch(payload, a_call()))
    assert str(caught.value).startswith("A prompt of judge_pair_freeform took 10 tokens, which leaves no room for its reply")
    assert f"in a window of {window}: set num_ctx to {2 * window} for the model m in the configuration" in str(caught.value)
    assert journal.get(request_digest(payload)) is None


def test_a_replay_takes_replies_from_the_recording(journal: Journal, tmp_path: Path) -> None:
    """They are copied into the run's own journal, which is whole in itself, and cost nothing."""
    with Journal.open(tmp_path / "recorded.sqlite") as recorded:
        asyncio.run(recorded.put(JournaledReply(request_digest(PAYLOAD), PAYLOAD, body_of("old"), "x", 0.0, 1.0)))
    meter = Meter()
    with JournalReader.open(tmp_path / "recorded.sqlite") as recording:
        replies = Replies(journal, recording, Slots(1), meter)
        assert asyncio.run(replies.fetch(PAYLOAD, a_call())) == body_of("old")
    assert journal.get(request_digest(PAYLOAD)) == body_of("old")
    assert meter == Meter(remembered=1)


def test_a_reply_that_the_recording_lacks(journal: Journal, tmp_path: Path) -> None:
    """The error names the step and what may have changed; no slot stays taken."""
    Journal.open(tmp_path / "recorded.sqlite").close()
    slots = Slots(1)
    with JournalReader.open(tmp_path / "recorded.sqlite") as recording:
        replies = Replies(journal, recording, slots, Meter())
        with pytest.raises(MissingReply, match=r"request of judge_pair_freeform: either more is asked for than it holds"):
            asyncio.run(replies.fetch(PAYLOAD, a_call()))
    assert slots.held == 0
    assert journal.get(request_digest(PAYLOAD)) is None
