"""Students: small DSPy modules around the predictors of a unit, which DSPy's optimizers compile and dspy.Evaluate measures.

What measures a student (judges, tags) is asked through the desk and is no part of it, so no optimizer touches it.
"""

from collections.abc import Mapping
from typing import Any

import dspy

from evals.optimize.desk import Consultation, Desk, Unusable
from evals.optimize.targets import Unit
from evals.session.bridge import Broken
from skills_dspy.base.config import RunConfig
from skills_dspy.model.ask import Failed
from skills_dspy.model.program import SkillsProgram
from skills_dspy.model.steps import STEPS, Subject
from skills_dspy.model.steps import inputs as prompt_inputs


def student_of(unit: Unit, program: SkillsProgram, desk: Desk, config: RunConfig) -> dspy.Module:
    """The student of a unit, with copies of the program's predictors."""
    predictors = {step: program.predictor(step).deepcopy() for step in unit.steps}
    if unit.sort == "labels":
        return Labeller(unit, predictors, desk)
    if unit.sort == "questions":
        return Questioner(unit, predictors, desk, config)
    return Answerer(unit, predictors, desk, config)


def compiled_into(program: SkillsProgram, student: dspy.Module) -> None:
    """Put a student's predictors into a program."""
    for name, predictor in student.named_predictors():
        target = program.predictor(name)
        target.signature = target.signature.with_instructions(predictor.signature.instructions)
        target.demos = list(predictor.demos)


class _Student(dspy.Module):
    """A module whose every forward gives a prediction: with `failure` where twice no reply could be used."""

    def __init__(self, unit: Unit, predictors: Mapping[str, dspy.Predict], desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self._last = unit.steps[-1]
        for step, predictor in predictors.items():
            setattr(self, step, predictor)

    def forward(self, **inputs: Any) -> dspy.Prediction:
        """The prediction for an example's inputs.

        Raises:
            Halt: the evaluation cannot go on.
            Broken: there is a mistake in this program.
        """
        try:
            return self._predicted(str(inputs["key"]), inputs["asked"], inputs)
        except Unusable as unusable:
            return dspy.Prediction(failure=str(unusable))
        except Exception as error:
            raise Broken(error) from error

    def _predicted(self, key: str, asked: Mapping[str, Any], inputs: Mapping[str, Any]) -> dspy.Prediction:
        raise NotImplementedError

    def _ask(self, step: str, inputs: Mapping[str, Any], key: str) -> dspy.Prediction:
        return self._desk.predict(getattr(self, step), step, inputs, key)[0]


class Labeller(_Student):
    """A judge or tagger: what it says of a labelled case."""

    def _predicted(self, key: str, asked: Mapping[str, Any], inputs: Mapping[str, Any]) -> dspy.Prediction:  # noqa: ARG002
        """The label in its field with its explanation; `soft`, field to probabilities of its labels."""
        said, soft = self._desk.predict(getattr(self, self._last), self._last, asked, key)
        # A copy: what was said stands in DSPy's trace, from which demonstrations are made.
        return dspy.Prediction(**said.toDict(), soft=dict(soft))


class Questioner(_Student):
    """A writer of questions, and of contexts before them where the seeds have one, with what the judge says of each."""

    def __init__(self, unit: Unit, predictors: Mapping[str, dspy.Predict], desk: Desk, config: RunConfig) -> None:
        super().__init__(unit, predictors, desk)
        self._grounded = unit.kind == "grounded"
        self._judge = unit.judges[0]
        self._passing = config.judges.question_pass

    def _predicted(self, key: str, asked: Mapping[str, Any], inputs: Mapping[str, Any]) -> dspy.Prediction:
        """`questions`, and for each `passed` (None without a verdict) and `said`; `context`."""
        writing, context, description = dict(asked), None, asked["task_description"]
        if self._grounded:
            described = prompt_inputs(STEPS["write_context"], description, inputs["passages"])
            writing["context"] = context = self._ask("write_context", described, key).context
        questions = [question.strip() for question in self._ask(self._last, writing, key).questions]
        judge, standard = STEPS[self._judge], inputs["standard"]
        consulted: list[Consultation] = [
            (self._judge, prompt_inputs(judge, description, standard, Subject(context, question)), number)
            for number, question in enumerate(questions)
        ]
        passed: list[bool | None] = []
        said: list[str] = []
        for answer in self._desk.consult(key, consulted):
            passed.append(None if isinstance(answer, Failed) else answer.values["rating"] in self._passing)
            said.append(str(answer.cause) if isinstance(answer, Failed) else answer.values["explanation"])
        return dspy.Prediction(questions=questions, context=context, passed=passed, said=said)


class Answerer(_Student):
    """A writer of answers, with what the pair judge and the tagger of samples say."""

    def __init__(self, unit: Unit, predictors: Mapping[str, dspy.Predict], desk: Desk, config: RunConfig) -> None:
        super().__init__(unit, predictors, desk)
        self._judge, self._tag = unit.judges
        self._passing = config.judges.pair_pass

    def _predicted(self, key: str, asked: Mapping[str, Any], inputs: Mapping[str, Any]) -> dspy.Prediction:  # noqa: ARG002
        """`answer`, `passed`, `rating` and `judged` by the judge, `score` and `tagged` by the tagger."""
        answer = self._ask(self._last, asked, key).answer
        pair = Subject(asked.get("context"), asked["question"], answer)
        description, model = asked["task_description"], [asked["example"]]
        verdict, tag = self._desk.consult(
            key,
            [
                (step, prompt_inputs(STEPS[step], description, model, pair), number)
                for number, step in enumerate((self._judge, self._tag))
            ],
        )
        for missing in (verdict, tag):
            if isinstance(missing, Failed):
                return dspy.Prediction(failure=f"there was no verdict: {missing.cause}", answer=answer)
        assert not isinstance(verdict, Failed)
        assert not isinstance(tag, Failed)
        return dspy.Prediction(
            answer=answer,
            passed=verdict.values["rating"] in self._passing,
            rating=verdict.values["rating"],
            judged=verdict.values["explanation"],
            score=tag.values["score"],
            tagged=tag.values["explanation"],
        )
