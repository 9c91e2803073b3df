"""Every fault that HTTP can carry, recorded from the simulated teacher: what passes is asked again, nothing becomes a verdict.

Refused and reset connections and timeouts are no replies, so no cassette can hold them: see test_ollama_server.py.
`python -m evals.record` records these anew, from the simulated teacher always.
"""

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import dspy
import pytest

from skills_dspy.base.config import ROLES
from skills_dspy.base.errors import ModelMissing, ReplyError, ServerError, Truncated, Unreadable
from skills_dspy.model.adapter import SkillsAdapter
from skills_dspy.model.ask import Answer, Asker, Failed
from skills_dspy.model.engine import Window, make_lm
from skills_dspy.model.hosts.slots import Slots
from skills_dspy.model.replies import Meter, Replies
from skills_dspy.model.server.ollama import OllamaServer
from skills_dspy.model.server.server import Fault
from skills_dspy.model.steps import reply_limits
from skills_dspy.store.journal import Journal
from tests.helpers.loops import answered
from tests.helpers.making import a_config, a_program, a_spec

Faulty = Callable[..., AbstractContextManager[str]]

MODEL = "mistral-small3.2"
PAYLOAD = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "How do bees find their way home?"}],
    "options": {"seed": 7, "num_predict": 512},
}
JUDGED = {"task_description": "Knowing bees.", "examples": [], "question": "How do bees find their way home?"}
ANSWERED = {
    "task_description": "Knowing bees.",
    "length": "1 to 10 words",
    "examples": [{"question": "What is a bee?", "answer": "An insect."}],
    "avoid": None,
    "question": "How do bees find their way home?",
}
WHERE = (0, 0)
SEED = "2"
"""Of the teacher: with it the first replies to PAYLOAD are faults at a rate of one half. It may have to change with PAYLOAD."""


class Patient:
    """A clock that only sleeping moves, and all that went wrong meanwhile."""

    def __init__(self) -> None:
        self.time = 0.0
        self.faults: list[Fault] = []
        self.pauses: list[float] = []

    def server(self, host: str, patience: float = 600) -> OllamaServer:
        """A server whose faults are noted and whose pauses take no time."""
        config = a_config({"server": {"patience": patience}}).server
        return OllamaServer(host, config, clock=lambda: self.time, sleep=self._sleep, on_fault=self._on_fault)

    async def _sleep(self, seconds: float) -> None:
        self.time += seconds

    def _on_fault(self, fault: Fault, pause: float) -> None:
        self.faults.append(fault)
        self.pauses.append(pause)


def chat(server: OllamaServer) -> dict[str, Any]:
    """One reply."""
    return answered(server, server.chat(PAYLOAD))


def ask(server: OllamaServer, journal: Path, step: str, inputs: dict[str, Any]) -> tuple[Answer | Failed, Meter]:
    """One step's answer or failure, and what it cost."""
    config, spec = a_config(), a_spec()

    async def main() -> tuple[Answer | Failed, Meter]:
        meter = Meter()
        with Journal.open(journal) as opened, dspy.context(adapter=SkillsAdapter(), disable_history=True):
            window = Window(4096, "30m", soft=True)
            lm = make_lm(MODEL, Replies(opened, server, Slots(1), meter), window, asyncio.get_running_loop())
            roles = {role: config.role(role) for role in ROLES}
            asker = Asker(a_program(), dict.fromkeys(ROLES, lm), roles, reply_limits(spec, config), 0, spec.task_name)
            try:
                return await asker.ask(step, inputs, WHERE, lambda: (0,)), meter
            except Failed as failed:
                return failed, meter
            finally:
                await server.close()

    return asyncio.run(main())


def statuses(cassette: Any) -> list[int]:
    """The statuses of all responses."""
    return [response["status"]["code"] for response in cassette.responses]


def options(cassette: Any) -> list[dict[str, Any]]:
    """The options of all requests."""
    return [json.loads(request.body)["options"] for request in cassette.requests]


# ---- faults that pass ------------------------------------------------------------------------------------------------


@pytest.mark.vcr
@pytest.mark.parametrize("kind", ["429", "500", "503", "empty", "broken"])
def test_a_passing_fault_is_asked_again(kind: str, faulty: Faulty, vcr: Any) -> None:
    """The same request is sent again after a pause until a reply comes; each fault is told, and none is left over."""
    patient = Patient()
    with faulty("--fault", f"{kind}=0.5", "--seed", SEED) as host:
        body = chat(patient.server(host))
    assert body["message"]["content"].strip()
    assert body["done_reason"] == "stop"
    assert patient.faults, "the first reply was no fault: choose another SEED"
    assert len(patient.faults) == len(vcr) - 1
    assert all(fault.passing for fault in patient.faults)
    said = "empty or broken" if kind in ("empty", "broken") else f"answered {kind}"
    assert all(said in str(fault.error) for fault in patient.faults)
    assert statuses(vcr) == [*[int(kind) if kind.isdigit() else 200] * len(patient.faults), 200]
    assert patient.time == sum(patient.pauses) > 0
    assert len({request.body for request in vcr.requests}) == 1


@pytest.mark.vcr
def test_a_server_that_stays_broken_ends_the_patience(faulty: Faulty, vcr: Any) -> None:
    """After ten seconds of status 500 there is one sentence that says where, what, and for how long."""
    patient = Patient()
    with faulty("--fault", "500=1") as host, pytest.raises(ServerError, match="kept failing for 10 s") as caught:
        chat(patient.server(host, patience=10))
    assert host in str(caught.value)
    assert "500" in str(caught.value)
    assert patient.time == 10
    assert statuses(vcr) == [500] * len(vcr)
    assert len(vcr) == len(patient.faults) + 1


@pytest.mark.vcr
def test_a_busy_server_is_no_verdict(faulty: Faulty, vcr: Any, tmp_path: Path) -> None:
    """A judge behind a server that is busy twice gives its verdict the third time, and one reply is paid for."""
    patient = Patient()
    with faulty("--fail-first", "2") as host:
        answer, meter = ask(patient.server(host), tmp_path / "journal.sqlite", "judge_question_freeform", JUDGED)
    assert isinstance(answer, Answer)
    assert answer.values["rating"] in (0, 1)
    assert statuses(vcr) == [503, 503, 200]
    assert all("server busy" in str(fault.error) for fault in patient.faults)
    assert (meter.live, len(answer.digests)) == (1, 1)


# ---- a fault that does not pass --------------------------------------------------------------------------------------


@pytest.mark.vcr
def test_a_missing_model_is_said_at_once(faulty: Faulty, vcr: Any) -> None:
    """Where two other things get status 404, too, it is no prompt's fault: one sentence with the command that helps."""
    patient = Patient()
    with faulty("--model", "another:7b") as host, pytest.raises(ModelMissing, match=f"ollama pull {MODEL}"):
        chat(patient.server(host))
    assert statuses(vcr) == [404, 404, 404]
    assert patient.faults == []


# ---- replies that cannot be used -------------------------------------------------------------------------------------


def check_failed(answer: Answer | Failed, meter: Meter, cassette: Any, cause: type[ReplyError]) -> Failed:
    """Asked twice, with different seeds, and both replies are in the journal; the last one is kept."""
    assert isinstance(answer, Failed)
    assert isinstance(answer.cause, cause)
    contents = [json.loads(response["body"]["string"])["message"]["content"] for response in cassette.responses]
    assert answer.cause.raw == contents[-1]
    assert (len(contents), meter.live, len(set(answer.digests))) == (2, 2, 2)
    first, second = options(cassette)
    assert first["seed"] != second["seed"]
    return answer


@pytest.mark.vcr
def test_an_unreadable_reply_is_no_verdict(faulty: Faulty, vcr: Any, tmp_path: Path) -> None:
    """A judge whose replies are not the JSON that was asked for, twice, has given no rating."""
    with faulty("--fault", "unreadable=1") as host:
        server = Patient().server(host)
        answer, meter = ask(server, tmp_path / "journal.sqlite", "judge_question_freeform", JUDGED)
    failed = check_failed(answer, meter, vcr, Unreadable)
    assert "does not fit" in str(failed)


@pytest.mark.vcr
def test_an_invented_label_is_no_verdict(faulty: Faulty, vcr: Any, tmp_path: Path) -> None:
    """A rating outside the scale, twice, is neither the nearest label nor the lowest."""
    with faulty("--fault", "bad-label=1") as host:
        server = Patient().server(host)
        answer, meter = ask(server, tmp_path / "journal.sqlite", "judge_question_freeform", JUDGED)
    failed = check_failed(answer, meter, vcr, Unreadable)
    assert "rating" in str(failed)
    assert json.loads(failed.cause.raw)["rating"] not in (0, 1)


@pytest.mark.vcr
def test_a_truncated_reply_gets_twice_the_room(faulty: Faulty, vcr: Any, tmp_path: Path) -> None:
    """An answer that was cut is asked for again with twice the tokens; cut again, it is no answer."""
    with faulty("--fault", "truncated=1") as host:
        server = Patient().server(host)
        answer, meter = ask(server, tmp_path / "journal.sqlite", "write_answer_freeform", ANSWERED)
    check_failed(answer, meter, vcr, Truncated)
    first, second = options(vcr)
    assert second["num_predict"] == 2 * first["num_predict"]


@pytest.mark.vcr
def test_what_failed_is_remembered(faulty: Faulty, vcr: Any, tmp_path: Path) -> None:
    """A resumed run does not pay again for replies that could not be used: the same failure comes from the journal."""
    journal = tmp_path / "journal.sqlite"
    with faulty("--fault", "unreadable=1") as host:
        first, paid = ask(Patient().server(host), journal, "judge_question_freeform", JUDGED)
        again, free = ask(Patient().server(host), journal, "judge_question_freeform", JUDGED)
    assert isinstance(first, Failed)
    assert isinstance(again, Failed)
    assert (str(again), again.digests) == (str(first), first.digests)
    assert (paid.live, free.live, free.remembered) == (2, 0, 2)
    assert len(vcr) == 2
