"""Students: small DSPy modules around the predictors of a unit, which DSPy's optimizers compile and dspy.Evaluate measures.

A student asks at a desk, in DSPy's threads. What measures it (judges, tags) is asked through the desk in the session's loop
and is no part of it, so no optimizer touches it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import dspy
from dspy.utils.exceptions import AdapterParseError, LMError

from evals.optimize.targets import Unit
from evals.session.bridge import Halt
from evals.session.session import Session
from skills_dspy.base.config import ROLES
from skills_dspy.base.errors import ReplyError, SkillsError, Truncated, Unanswered, Unreadable
from skills_dspy.base.records import SoftRating
from skills_dspy.base.seeds import request_seed
from skills_dspy.model.ask import TRIES, Answer, Failed, together
from skills_dspy.model.hosts.call import CURRENT_CALL, Call
from skills_dspy.model.program import SkillsProgram
from skills_dspy.model.room import RETRY
from skills_dspy.model.steps import STEPS, Subject
from skills_dspy.model.steps import inputs as prompt_inputs


class Unusable(Exception):
    """Twice in a row a reply could not be used, or the server gives none."""


class Desk:
    """Asks for students. DSPy copies students all the time; their desk stays the one.

    The judges are asked with the predictors of `program`, which are not the ones that are optimized; the arguments are those
    of `Session.asker`.
    """

    def __init__(
        self,
        session: Session,
        program: SkillsProgram,
        limits: Mapping[str, int],
        seed: int,
        num_ctx: int,
        judge: str | None = None,
    ) -> None:
        self.config = session.config
        self._lms = {role: session.lm(self.config.model_for(role), role, num_ctx) for role in ROLES}
        self._limits = limits
        self._asker = session.asker(program, limits, seed, num_ctx, judge=judge)
        self._bridge = session.bridge
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
        settings = self.config.role(role)
        room = self._limits[step] + settings.thoughts
        for attempt in range(TRIES):
            seed = request_seed(self._seed, "optimize", step, key, attempt)
            config: dict[str, Any] = {"temperature": settings.temperature, "max_tokens": room, "seed": seed}
            if settings.top_p is not None:
                config["top_p"] = settings.top_p
            call = Call(step, lambda: (1,))
            try:
                said = _once(predictor, call, inputs, config, self._lms[role])
                self._asker.refuse_residue(call, inputs, said.toDict())
                return said, call.soft
            except ReplyError as error:
                last = error
                if isinstance(error, Unanswered):
                    break
                room *= RETRY if isinstance(error, Truncated) else 1
        raise Unusable(str(last)) from last

    def consult(self, key: str, questions: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Answer | Failed]:
        """Return what the judges say to steps with their inputs, each on its own, all at once.

        Raises:
            Halt: the evaluation cannot go on.
        """

        async def one(place: int, step: str, inputs: Mapping[str, Any]) -> Answer | Failed:
            try:
                return await self._asker.ask(step, inputs, (request_seed("consult", key), place), lambda: (0,))
            except Failed as failed:
                return failed

        async def every() -> list[Answer | Failed]:
            # The judges' calls are none of the student's: they must not be found in its trace.
            with dspy.context(trace=None):
                return await together([one(place, *question) for place, question in enumerate(questions)])

        return self._bridge.run(every())


def _once(
    predictor: dspy.Predict, call: Call, inputs: Mapping[str, Any], config: dict[str, Any], lm: dspy.LM
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


class Student(dspy.Module):
    """A module whose every forward gives a prediction: with `failure` where twice no reply could be used.

    It has copies of the predictors that a program, or another student, has for the unit's steps.
    """

    def __init__(self, unit: Unit, prompts: dspy.Module, desk: Desk) -> None:
        super().__init__()
        self._unit = unit
        self._desk = desk
        for step in unit.steps:
            setattr(self, step, getattr(prompts, step).deepcopy())

    def forward(self, **inputs: Any) -> dspy.Prediction:
        """Return the prediction for an example's inputs.

        Raises:
            Halt: the evaluation cannot go on, or there is a mistake in this program.
        """
        predict = {"labels": self._label, "questions": self._questions, "answers": self._answer}[self._unit.makes]
        try:
            return predict(str(inputs["key"]), inputs["asked"], inputs)
        except Unusable as unusable:
            return dspy.Prediction(failure=str(unusable))
        except Exception as error:
            raise Halt(error) from error

    def _ask(self, step: str, inputs: Mapping[str, Any], key: str) -> tuple[dspy.Prediction, Mapping[str, SoftRating]]:
        return self._desk.predict(getattr(self, step), step, inputs, key)

    def _label(self, key: str, asked: Mapping[str, Any], _: Mapping[str, Any]) -> dspy.Prediction:
        """The label in its field with its explanation; `soft`, field to probabilities of its labels."""
        said, soft = self._ask(self._unit.name, asked, key)
        # A copy: what was said stands in DSPy's trace, from which demonstrations are made.
        return dspy.Prediction(**said.toDict(), soft=dict(soft))

    def _questions(self, key: str, asked: Mapping[str, Any], inputs: Mapping[str, Any]) -> dspy.Prediction:
        """`questions`, and for each `passed` (None without a verdict) and `said`; `context`, written before them."""
        writing, context, description = dict(asked), None, asked["task_description"]
        if self._unit.kind == "grounded":
            writing["context"] = context = self._ask("write_context", inputs["passages"], key)[0].context
        questions = [question.strip() for question in self._ask(self._unit.name, writing, key)[0].questions]
        (judge,), standard, passing = self._unit.judges, inputs["standard"], self._desk.config.judges.question_pass
        subjects = [Subject(context, question) for question in questions]
        verdicts = self._desk.consult(
            key, [(judge, prompt_inputs(STEPS[judge], description, standard, subject)) for subject in subjects]
        )
        return dspy.Prediction(
            questions=questions,
            context=context,
            passed=[None if isinstance(one, Failed) else one.values["rating"] in passing for one in verdicts],
            said=[str(one.cause) if isinstance(one, Failed) else one.values["explanation"] for one in verdicts],
        )

    def _answer(self, key: str, asked: Mapping[str, Any], _: Mapping[str, Any]) -> dspy.Prediction:
        """`answer`, `passed`, `rating` and `judged` by the pair judge, `score` and `tagged` by the tagger of samples."""
        answer = self._ask(self._unit.name, asked, key)[0].answer
        pair = Subject(asked.get("context"), asked["question"], answer)
        description, models = asked["task_description"], asked["examples"]
        verdict, tag = self._desk.consult(
            key, [(step, prompt_inputs(STEPS[step], description, models, pair)) for step in self._unit.judges]
        )
        if isinstance(verdict, Failed):
            return dspy.Prediction(failure=f"there was no verdict: {verdict.cause}", answer=answer)
        if isinstance(tag, Failed):
            return dspy.Prediction(failure=f"there was no verdict: {tag.cause}", answer=answer)
        return dspy.Prediction(
            answer=answer,
            passed=verdict.values["rating"] in self._desk.config.judges.pair_pass,
            rating=verdict.values["rating"],
            judged=verdict.values["explanation"],
            score=tag.values["score"],
            tagged=tag.values["explanation"],
        )


def copy_prompts(student: dspy.Module, program: SkillsProgram) -> None:
    """Put a student's instructions and demonstrations into a program."""
    for name, predictor in student.named_predictors():
        target = program.predictor(name)
        target.signature = target.signature.with_instructions(predictor.signature.instructions)
        target.demos = list(predictor.demos)
