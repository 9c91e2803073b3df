"""The simulated teacher's log-probabilities: made for a reply, told to who asks, read by the program."""

import asyncio
import json
import math
from collections.abc import Mapping
from typing import Any, get_args

import dspy
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.teacher import replies, wire
from evals.teacher.serve import TeacherConfig, start
from evals.teacher.tokens import Label, spell
from signatures.labels import Difficulty, Quality
from skills_dspy.base.config import ROLES
from skills_dspy.base.records import SoftRating
from skills_dspy.model.ask import Answer, Asker
from skills_dspy.model.engine import Window, make_lm
from skills_dspy.model.ollama import OllamaServer
from skills_dspy.model.replies import Meter, Replies
from skills_dspy.model.slots import Slots
from skills_dspy.model.soft import read_soft
from skills_dspy.model.steps import reply_limits
from skills_dspy.store.journal import JournaledReply
from tests.helpers.making import a_config, a_program, a_spec, the_adapter

local = pytest.mark.block_network(allowed_hosts=["127.0.0.1"])
SCALES: Mapping[str, tuple[Label, ...]] = {
    "rating": (0, 1),
    "score": (1, 2, 3, 4, 5),
    "quality": get_args(Quality),
    "difficulty": get_args(Difficulty),
}
MODEL = "mistral-small3.2"
TEXT = '{"explanation": "Fit.", "rating": 1}'


@st.composite
def rated(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, dict[Label, float]]]:
    """A reply with some ratings among other values, and the distribution of each."""
    said: dict[str, Any] = {"explanation": draw(st.text())}
    shares: dict[str, dict[Label, float]] = {}
    for field in draw(st.lists(st.sampled_from(list(SCALES)), unique=True)):
        weights = draw(st.lists(st.integers(0, 50), min_size=5, max_size=5).filter(lambda w: w[0] > 0))
        order = draw(st.permutations(SCALES[field]))
        shares[field] = {label: weight / sum(weights) for label, weight in zip(order, weights, strict=False)}
        said[field] = order[0]
        said[f"after {field}"] = draw(st.lists(st.text(max_size=3)) | st.none() | st.floats(0, 1))
    return said, shares


@given(rated())
def test_what_is_spelled_is_read(made: tuple[dict[str, Any], dict[str, dict[Label, float]]]) -> None:
    """The tokens join to the reply, and every distribution comes back, with the mass that it had."""
    said, shares = made
    text = json.dumps(said, ensure_ascii=False)
    told = spell(text, shares)
    assert "".join(entry["token"] for entry in told) == text
    for entry in told:
        assert entry["top_logprobs"] == sorted(entry["top_logprobs"], key=lambda other: -other["logprob"])
        assert entry["logprob"] in [other["logprob"] for other in entry["top_logprobs"] if other["token"] == entry["token"]]
    for field, distribution in shares.items():
        soft = read_soft(text, told, field, SCALES[field])
        assert soft is not None
        mass = sum(distribution.values())
        expected = [distribution.get(label, 0) / mass for label in SCALES[field]]
        assert list(soft.probabilities.values()) == pytest.approx(expected, abs=1e-5)
        assert soft.mass == pytest.approx(mass, abs=1e-5)


@pytest.mark.parametrize(
    ("text", "shares", "said"),
    [
        ("Prose.", {}, "Expecting value"),
        ('{"rating":1}', {}, "not one JSON object as json.dumps writes it"),
        ("[1]", {}, "not one JSON object"),
        (TEXT, {"score": {1: 1.0}}, "the reply has no score"),
        (TEXT, {"rating": {0: 1.0}}, "the reply says 1, which has no probability"),
        (TEXT, {"rating": {0: 0.6, 1: 0.6}}, "no probabilities"),
        (TEXT, {"rating": {0: -0.1, 1: 0.6}}, "no probabilities"),
    ],
)
def test_mistakes_in_a_distribution_are_named(text: str, shares: Mapping[str, Mapping[Label, float]], said: str) -> None:
    """A simulation that does not add up is a bug of ours."""
    with pytest.raises(ValueError, match=said):
        spell(text, shares)


def a_request(**more: Any) -> wire.Asked:
    """A request as the server understands it."""
    data = {"model": MODEL, "messages": [{"role": "user", "content": "Fit?"}], "stream": False, **more}
    return wire.parse(data, chat=True, default_num_ctx=4096, most_num_ctx=4096)


def test_only_what_was_asked_for_is_told() -> None:
    """Nothing unasked; of each place the most probable ones, as many as were asked for; nothing that nobody made."""
    told = spell(TEXT, {"rating": {0: 0.25, 1: 0.75}})

    def ending(made: wire.Logprobs | None, **asked: Any) -> dict[str, Any]:
        return wire.ending(a_request(**asked), TEXT, "stop", 9, (0.2, 0.1), made)

    assert ending(told, logprobs=True, top_logprobs=20)["logprobs"] == told
    (label,) = (entry for entry in ending(told, logprobs=True, top_logprobs=1)["logprobs"] if entry["token"] == " 1")
    assert label == {
        "token": " 1",
        "logprob": math.log(0.75),
        "top_logprobs": [{"token": " 1", "logprob": math.log(0.75)}],
    }
    assert ending(told, logprobs=True)["logprobs"] == [{"token": e["token"], "logprob": e["logprob"]} for e in told]
    assert "logprobs" not in ending(told)
    assert "logprobs" not in ending(None, logprobs=True, top_logprobs=20)
    for wanted in (-1, 21):
        with pytest.raises(wire.Refused, match="top_logprobs must be between 0 and 20"):
            a_request(logprobs=True, top_logprobs=wanted)


class Kept:
    """Stands where a run has its journal."""

    def __init__(self) -> None:
        self.body: dict[str, Any] = {}

    def get(self, _: str) -> dict[str, Any] | None:
        """Nothing is remembered."""
        return None

    async def put(self, entry: JournaledReply) -> dict[str, Any]:
        """Keep the last body."""
        self.body = entry.reply
        return entry.reply


def judged(config: TeacherConfig, *, soft: bool) -> tuple[Answer, dict[str, Any]]:
    """A judge's answer over HTTP, and the body that a journal would have."""

    async def main() -> tuple[Answer, dict[str, Any]]:
        runner, port = await start(config)
        server = OllamaServer(f"http://127.0.0.1:{port}", a_config().server)
        try:
            kept, spec = Kept(), a_spec()
            lm = make_lm(MODEL, Replies(kept, server, Slots(1), Meter()), Window(4096, "30m", soft), asyncio.get_running_loop())
            roles = {role: a_config().role(role) for role in ROLES}
            asker = Asker(a_program(), dict.fromkeys(ROLES, lm), roles, reply_limits(spec, a_config()), 0, spec.task_name)
            inputs = {"task_description": "Foxes.", "examples": [], "question": "Why?"}
            with dspy.context(adapter=the_adapter(), disable_history=True):
                return await asker.ask("judge_question_freeform", inputs, (0, 0), lambda: (0,)), kept.body
        finally:
            await server.close()
            await runner.cleanup()

    return asyncio.run(main())


@local
def test_a_soft_rating_over_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the simulated teacher through HTTP, client, engine and DSPy to the answer; only if it was asked for."""
    told = spell(TEXT, {"rating": {0: 0.25, 1: 0.5}})
    monkeypatch.setattr(replies.Teacher, "reply", lambda *_: replies.Reply(TEXT, "stop", 9, told))
    answer, body = judged(TeacherConfig(), soft=True)
    assert answer.values["rating"] == 1
    soft = SoftRating(probabilities={"0": 0.333333, "1": 0.666667}, expected=0.666667, mass=0.75)
    assert answer.soft == {"rating": soft}
    assert list(body["rating_logprobs"]) == ["rating"]
    answer, body = judged(TeacherConfig(), soft=False)
    assert answer.soft == {}
    assert "rating_logprobs" not in body


@local
def test_replies_made_by_chance_have_no_probabilities_over_http() -> None:
    """Asked for them, the simulated teacher says nothing, and the rating is what it always was."""
    answer, body = judged(TeacherConfig(pass_rate=1), soft=True)
    assert (answer.values["rating"], answer.soft) == (1, {})
    assert not [key for key in body if "logprobs" in key]


@local
def test_too_many_alternatives_are_refused_as_ollama_does() -> None:
    """400 with its words."""

    async def main() -> httpx.Response:
        runner, port = await start(TeacherConfig())
        try:
            data = {"model": MODEL, "messages": [{"role": "user", "content": "Fit?"}], "logprobs": True, "top_logprobs": 21}
            async with httpx.AsyncClient() as http:
                return await http.post(f"http://127.0.0.1:{port}/api/chat", json=data)
        finally:
            await runner.cleanup()

    response = asyncio.run(main())
    assert response.status_code == 400
    assert response.json() == {"error": "top_logprobs must be between 0 and 20"}
