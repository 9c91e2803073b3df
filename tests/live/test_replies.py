"""What a real model writes under our schemas, and what the server tells beside it."""

import asyncio
import json
from dataclasses import dataclass

import jsonschema
import pytest

from skills_dspy.base.tokens import LEAST_TIMES, MOST_TIMES
from skills_dspy.model.program import estimate_of
from skills_dspy.model.server.gguf import ModelFile
from skills_dspy.model.soft import rated_fields, soft_of
from skills_dspy.model.steps import STEPS
from tests.live.asking import Heard, ask_all, tokens
from tests.live.doors import Door

REPLIES = 10
"""To each step's prompts through each door: 20 in all."""
READ = 0.95
"""The share of rated replies whose probabilities must have been read."""

pytestmark = pytest.mark.block_network(allowed_hosts=["127.0.0.1"])


@dataclass(frozen=True)
class Asked:
    """What came of all prompts, and the tokens that the server counted meanwhile."""

    heard: Heard
    counted: dict[str, int]


@pytest.fixture(scope="module")
def asked(door: Door, model_file: ModelFile) -> Asked:
    """So many replies to every prompt of the program."""

    async def ask() -> Asked:
        server, counted = door.open()
        await server.model(model_file.name)  # what finds out about a server is no reply
        before = counted() if door.name == "http" else {"prompt": 0, "output": 0}
        try:
            heard = await ask_all(server, model_file.name, REPLIES, door.kind)
            return Asked(heard, {name: number - before[name] for name, number in counted().items()})
        finally:
            await server.close()

    return asyncio.run(ask())


@pytest.fixture(scope="module")
def heard(asked: Asked) -> Heard:
    """All replies."""
    return asked.heard


@pytest.mark.parametrize("step", STEPS)
def test_every_schema_is_obeyed(heard: Heard, step: str) -> None:
    """No reply that was not cut has another form than the one that was asked for; prose is text."""
    replies = heard.whole(step)
    assert len(replies) >= REPLIES
    for entry in replies:
        content = entry.reply["message"]["content"]
        assert content.strip()
        if "format" in entry.request:
            jsonschema.validate(json.loads(content), entry.request["format"])


def test_soft_ratings_are_read(heard: Heard) -> None:
    """Wherever the server gave log-probabilities, but for a few in which no label is told apart."""
    rated = [entry for step in STEPS for entry in heard.whole(step) if rated_fields(entry.request)]
    ratings = [(field, entry) for entry in rated for field in rated_fields(entry.request)]
    read = [field for field, entry in ratings if field in soft_of(entry.reply, entry.request)]
    assert len(ratings) >= 9 * REPLIES
    assert len(read) >= READ * len(ratings)


def test_the_estimate_of_a_prompt_is_within_its_bounds(heard: Heard) -> None:
    """As base/tokens.py says, by the server's own count."""
    times = [estimate_of(entry.request["messages"]) / entry.reply["prompt_eval_count"] for entry in heard.entries.values()]
    assert min(times) >= LEAST_TIMES
    assert max(times) <= MOST_TIMES


def test_no_reply_is_lost_or_paid_twice(asked: Asked) -> None:
    """By the tokens of prompts and of replies that llama.cpp counted itself."""
    assert tokens(asked.heard.entries.values()) == asked.counted
