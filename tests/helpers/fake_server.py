"""A stand-in for the Ollama server inside the test's own process: the simulated teacher's replies without its HTTP."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from evals.teacher import wire
from evals.teacher.config import CONTENT_FAULTS, TeacherConfig
from evals.teacher.replies import Teacher
from skills_dspy.base.errors import ModelMissing
from skills_dspy.model.server.ollama import OllamaServer
from skills_dspy.model.server.server import Model
from skills_dspy.store.journal import request_digest

DIGEST = "d" * 64


class FakeServer(OllamaServer):
    """Replies that depend on the request alone, after so many turns of other tasks as chance has it.

    Args:
        config: how the teacher behaves; only faults of a reply's content happen.
        seed: of the turns.
        before: called with the number of every request, from 1, before it is answered; may wait or raise.
        digest: the models' digest.

    Attributes:
        payloads: the body of every request, in the order in which they came.
    """

    def __init__(
        self,
        config: TeacherConfig | None = None,
        *,
        seed: int = 0,
        before: Callable[[int], Awaitable[None]] | None = None,
        digest: str = DIGEST,
    ) -> None:
        config = config or TeacherConfig(pass_rate=0.8, duplicate_rate=0.2)
        self.host = "http://fake:11434"
        self.payloads: list[Mapping[str, Any]] = []
        self.models_asked: list[str] = []
        self.prompts: list[str] = []
        self.answered = 0
        self.in_flight = 0
        self.most_in_flight = 0
        self.closed = False
        self._digest = digest
        self._teacher = Teacher(config)
        self._rng = random.Random(seed)
        self._before = before

    @property
    def asked(self) -> list[str]:
        """The digest of every request."""
        return [request_digest(payload) for payload in self.payloads]

    async def version(self) -> str:
        """What it says it is."""
        return "0.0.0-fake"

    async def models(self) -> tuple[Model, ...]:
        """None: a list is asked for only where an embedding model is looked for."""
        return ()

    async def model(self, name: str) -> Model:
        """Every model is there, but for those whose name says that they are missing."""
        self.models_asked.append(name)
        if name.startswith("missing"):
            raise ModelMissing(f"The model {name!r} is not on the server")
        return Model(f"{name}:latest", self._digest, 131072)

    async def chat(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """One reply's body."""
        self.payloads.append(payload)
        number = len(self.payloads)
        self.prompts.append(payload["messages"][-1]["content"])
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            for _ in range(self._rng.randrange(6)):
                await asyncio.sleep(0)
            if self._before is not None:
                await self._before(number)
            body = self._body(payload)
            self.answered += 1
            return body
        finally:
            self.in_flight -= 1

    async def loaded(self) -> tuple[str, ...] | None:
        """It does not say."""
        return None

    async def close(self) -> None:
        """Nothing to close."""
        self.closed = True

    def _body(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        asked = wire.parse(payload)
        fault = self._teacher.choose_fault(asked)
        assert fault is None or fault in CONTENT_FAULTS
        return wire.chat_reply(asked, self._teacher.reply(asked, fault), (0.002, 0.001))
