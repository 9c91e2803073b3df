"""The desk that students ask at: optimized predictors in DSPy's threads, the judges that measure them in the session's loop."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import dspy
from dspy.utils.exceptions import AdapterParseError, LMError

from evals.session.bridge import Bridge, Halt
from skills_dspy.base.config import Role, RoleConfig
from skills_dspy.base.errors import ReplyError, SkillsError, Truncated, Unreadable
from skills_dspy.base.records import SoftRating
from skills_dspy.base.seeds import request_seed
from skills_dspy.model.ask import CURRENT_CALL, TRIES, Answer, Asker, Call, Failed
from skills_dspy.model.room import RETRY
from skills_dspy.model.steps import STEPS

Consultation = tuple[str, Mapping[str, Any], int]
"""A step, its inputs, and a number that tells it from other questions about the same example."""


class Unusable(Exception):
    """Twice in a row a reply could not be used."""


class Desk:
    """Asks for students. DSPy copies students all the time; their desk stays the one.

    Args:
        lms: the model of each role.
        roles: each role's temperature.
        limits: step to the most tokens of a first reply.
        asker: asks the judges; its program is not the one that is optimized.
        bridge: into the loop where the asker lives.
        seed: decides the sampling seeds.
    """

    def __init__(
        self,
        lms: Mapping[Role, dspy.LM],
        roles: Mapping[Role, RoleConfig],
        limits: Mapping[str, int],
        asker: Asker,
        bridge: Bridge,
        seed: int,
    ) -> None:
        self._lms = lms
        self._roles = roles
        self._limits = limits
        self._asker = asker
        self._bridge = bridge
        self._seed = seed

    def __deepcopy__(self, memo: dict[int, Any]) -> "Desk":
        return self

    def predict(
        self, predictor: dspy.Predict, step: str, inputs: Mapping[str, Any], key: str
    ) -> tuple[dspy.Prediction, Mapping[str, SoftRating]]:
        """Ask an optimized predictor, as a run does: a reply that cannot be used is asked for once more.

        The sampling seed follows from the example alone, not from the prompt: two prompts are compared on the same draws.

        Returns:
            What it said, and output field to the probabilities of its labels, where the server gave them.

        Raises:
            Unusable: no reply could be used.
            Halt: the evaluation cannot go on.
        """
        role = STEPS[step].role
        settings, room = self._roles[role], self._limits[step]
        for attempt in range(TRIES):
            config: dict[str, Any] = {
                "temperature": settings.temperature,
                "max_tokens": room,
                "seed": request_seed(self._seed, "optimize", step, key, attempt),
            }
            if settings.top_p is not None:
                config["top_p"] = settings.top_p
            call = Call(step, lambda: (1,))
            try:
                return self._once(predictor, call, inputs, config, self._lms[role]), call.soft
            except ReplyError as error:
                last = error
                room *= RETRY if isinstance(error, Truncated) else 1
        raise Unusable(str(last)) from last

    def consult(self, key: str, questions: Sequence[Consultation]) -> list[Answer | Failed]:
        """What the judges say, each question on its own, all at once.

        Raises:
            Halt: the evaluation cannot go on.
        """
        return self._bridge.run(self._consult(key, questions))

    async def _consult(self, key: str, questions: Sequence[Consultation]) -> list[Answer | Failed]:
        number = request_seed("consult", key)

        async def one(step: str, inputs: Mapping[str, Any], place: int) -> Answer | Failed:
            try:
                return await self._asker.ask(step, inputs, (number, place), lambda: (0,))
            except Failed as failed:
                return failed

        # The judges' calls are none of the student's: they must not be found in its trace.
        with dspy.context(trace=None):
            return list(await asyncio.gather(*(one(*question) for question in questions)))

    def _once(
        self, predictor: dspy.Predict, call: Call, inputs: Mapping[str, Any], config: dict[str, Any], lm: dspy.LM
    ) -> dspy.Prediction:
        token = CURRENT_CALL.set(call)
        try:
            return predictor(lm=lm, config=config, **inputs)
        except LMError as error:
            if isinstance(call.error, ReplyError):
                raise call.error from error
            if isinstance(call.error, SkillsError):
                raise Halt(call.error) from error
            raise
        except AdapterParseError as error:
            raise Unreadable(str(error.__cause__ or "the reply is empty"), call.raw) from error
        finally:
            CURRENT_CALL.reset(token)
