"""The program: every prompt is a named predictor that can be asked, saved, loaded and told apart."""

import asyncio
import json
from typing import Annotated, Any

import dspy
import pytest
from annotated_types import Len

from signatures.examples import Question
from skills_dspy.base.config import ROLES
from skills_dspy.base.errors import RequestError
from skills_dspy.model.program import SkillsProgram, fingerprint
from skills_dspy.model.steps import STEPS, step_of
from tests.helpers.making import Teacher, a_program, the_adapter

INPUTS = {"task_description": "Foxes.", "examples": [Question(question="Why?")], "question": "How?"}
REPLY = {"explanation": "It asks how.", "rating": 1}


def a_judge() -> Teacher:
    """It finds every question fit."""
    return Teacher(lambda _: json.dumps(REPLY))


def ask(program: SkillsProgram, step: str, inputs: dict[str, Any], judge: Teacher) -> dspy.Prediction:
    """Ask a step of the program."""
    with dspy.context(adapter=the_adapter()):
        return asyncio.run(program.acall(step=step, inputs=inputs, lm=judge.lm(), config={"seed": 5}))


def test_every_step_is_a_predictor_of_its_name() -> None:
    """Optimizers, saved states and reports name a prompt by its step."""
    named = dict(a_program(4).named_predictors())
    assert list(named) == list(STEPS)
    for name, step in STEPS.items():
        assert step.name == name
        assert step.role in ROLES
        assert named[name].signature is step.signature(4)
        assert a_program(4).predictor(name) is named[name]


def test_who_writes_who_judges_who_tags() -> None:
    """The role decides which model answers."""
    roles = {"write": "generator", "plan": "generator", "judge": "validator", "tag": "tagger"}
    assert {name: step.role for name, step in STEPS.items()} == {name: roles[name.split("_")[0]] for name in STEPS}


def test_only_the_writers_of_questions_depend_on_their_number() -> None:
    """All other signatures are the same class in every program."""
    differing = [name for name, step in STEPS.items() if step.signature(2) is not step.signature(3)]
    assert differing == ["write_questions_freeform", "write_questions_grounded"]


def test_an_unknown_step_is_refused_with_the_names() -> None:
    """A misspelt prompt is the user's mistake, and the names help."""
    with pytest.raises(RequestError, match=r"no prompt named 'judge'.*judge_question_freeform"):
        step_of("judge")
    with pytest.raises(RequestError):
        a_program().predictor("nonsense")


def test_a_step_is_asked_with_its_model_and_options() -> None:
    """Inputs become the prompt, the configuration goes with the request, the reply comes back as values."""
    judge = a_judge()
    assert ask(a_program(), "judge_question_freeform", INPUTS, judge).toDict() == REPLY
    (request,) = judge.requests
    assert request.config.seed == 5
    assert "<question>\nHow?\n</question>" in request.messages[0].text


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {name: value for name, value in INPUTS.items() if name != "question"},
        {**INPUTS, "context": "A text."},
        {**INPUTS, "qestion": "How?"},
    ],
)
def test_inputs_are_exactly_those_of_the_signature(inputs: dict[str, Any]) -> None:
    """DSPy warns of a missing input and asks all the same; here nothing is asked."""
    judge = a_judge()
    with pytest.raises(ValueError, match="judge_question_freeform takes"):
        ask(a_program(), "judge_question_freeform", inputs, judge)
    assert judge.requests == []


def prints_of(program: SkillsProgram) -> dict[str, str]:
    """The fingerprint of every step."""
    return {name: fingerprint(predictor) for name, predictor in program.named_predictors()}


def test_every_prompt_has_a_fingerprint_of_its_own() -> None:
    """Twelve hex digits, the same in every program."""
    prints = prints_of(SkillsProgram(3))
    assert len(set(prints.values())) == len(STEPS)
    assert all(len(value) == 12 and int(value, 16) >= 0 for value in prints.values())
    assert prints == prints_of(SkillsProgram(3))


def test_a_fingerprint_changes_with_the_prompt() -> None:
    """Instructions, demos, the words for a field and the bounds of a list: each makes another prompt."""
    before = SkillsProgram(3)
    judge = before.judge_question_freeform
    signature = judge.signature
    seen = {fingerprint(judge)}
    for changed in (
        signature.with_instructions("Judge."),
        signature.with_updated_fields("question", desc="what is asked"),
        signature.with_updated_fields("rating", desc="0 or 1"),
        signature.append("mood", dspy.OutputField(desc="how it sounds"), str),
    ):
        seen.add(fingerprint(dspy.Predict(changed)))
    assert len(seen) == 5
    for demos in ([INPUTS | REPLY], [INPUTS | REPLY] * 2, [INPUTS | REPLY | {"rating": 0}]):
        judge.demos = demos
        seen.add(fingerprint(judge))
    assert len(seen) == 8
    loose = SkillsProgram(3).write_questions_freeform
    seen |= {fingerprint(loose)}
    # A bound that only the grammar knows, and no word of the prompt: blank questions are allowed.
    loose.signature = loose.signature.with_updated_fields("questions", Annotated[list[str], Len(3, 3)])
    seen |= {fingerprint(loose)}
    assert len(seen) == 10
    three, four = prints_of(SkillsProgram(3)), prints_of(SkillsProgram(4))
    assert [name for name in STEPS if three[name] != four[name]] == ["write_questions_freeform", "write_questions_grounded"]


def test_a_fingerprint_changes_with_nothing_else() -> None:
    """Models, options and what was asked before belong to a call, not to its prompt."""
    program = SkillsProgram(3)
    before = prints_of(program)
    ask(program, "judge_question_freeform", INPUTS, a_judge())
    judge = program.judge_question_freeform
    judge.config = {"temperature": 1.0}
    judge.lm = a_judge().lm()
    judge.traces = [1]
    assert prints_of(program) == before
    judge.signature = judge.signature.with_instructions(judge.signature.instructions)
    assert prints_of(program) == before
