"""The table of steps: what each prompt shows, who is let through, and what it takes to add a step."""

from typing import Any, Literal, cast, get_args

import dspy
import pytest

from signatures.examples import Pair, Question, TextWithQuestions
from signatures.labels import PairRating, Quality, QuestionRating, Score
from skills_dspy.base.records import Kind
from skills_dspy.base.scales import Scale
from skills_dspy.model.context_window import needs
from skills_dspy.model.program import SkillsProgram
from skills_dspy.model.steps import STEPS, Step, Subject, inputs, reply_limits, way
from skills_dspy.run.account import prompt_fingerprints
from tests.helpers.making import FREEFORM, GROUNDED, a_config, a_spec, the_adapter

NEW = Subject("A text.", "Why?", "Because.")
SPEC = a_spec([GROUNDED, FREEFORM], description="Foxes.", count=4, name="a/b")
OWN: dict[str, Any] = {
    "context": "A text.",
    "question": "Why?",
    "answer": "Because.",
    "count": 4,
    "path": "a/b",
    "plan": None,
    "avoid": None,
    "task_description": "Foxes.",
}
SHOWN: dict[str, dict[str, Any]] = {
    "passages": {"examples": [GROUNDED.context or ""]},
    "questions": {"examples": [TextWithQuestions(context=GROUNDED.context or "", questions=[GROUNDED.question])]},
    "standard": {"examples": [Question(question=GROUNDED.question)]},
    "fitting": {"examples": [Pair(context=GROUNDED.context, question=GROUNDED.question, answer=GROUNDED.answer)]},
    "pairs": {"examples": [Pair(context=GROUNDED.context, question=GROUNDED.question, answer=GROUNDED.answer)]},
    "nothing": {},
}


@pytest.mark.parametrize("step", STEPS.values(), ids=list(STEPS))
def test_a_prompt_is_given_exactly_the_fields_of_its_signature(step: Step) -> None:
    """Of the task, of the examples and of the candidate, each as the table has it."""
    asked = inputs(step, SPEC, [GROUNDED], NEW)
    assert list(asked) == list(step.source.input_fields)
    lengths = {"context": "2 to 4 words", "question": "1 to 3 words", "answer": "1 to 3 words"}
    own = OWN | SHOWN[step.shows] | ({"length": lengths[step.makes]} if step.makes else {})
    if step.name.endswith("questions_freeform") or step.name.endswith("answer_freeform"):
        more = ", near the upper end where there is much worth saying"
        own["length"] = {"question": "3 to 5 words", "answer": f"1 to 5 words{more}"}[step.makes or ""]
    assert asked == {name: own[name] for name in asked}


PASSING: list[tuple[str, Any, tuple[str, str], list[Any]]] = [
    ("judge_question_freeform", QuestionRating, ("judges", "question_pass"), [1]),
    ("judge_pair_grounded", PairRating, ("judges", "pair_pass"), [2, 3]),
    ("tag_instruction_quality", Quality, ("filter", "instruction_quality"), ["good", "excellent"]),
    ("tag_fused", Quality, ("filter", "instruction_quality"), ["good", "excellent"]),
    ("tag_sample_quality", Score, ("filter", "sample_quality"), [4, 5]),
]


@pytest.mark.parametrize(("name", "vocabulary", "key", "built_in"), PASSING, ids=[name for name, *_ in PASSING])
def test_what_passes(name: str, vocabulary: Any, key: tuple[str, str], built_in: list[Any]) -> None:
    """The built-in settings are those of the design; any other choice of labels is followed to the label."""
    step, labels, (section, setting) = STEPS[name], get_args(vocabulary), key
    field = step.rates[0].field

    def passing(config: Any) -> list[Any]:
        return [label for label in labels if step.rejects({field: label, "explanation": "x"}, config) is None]

    assert passing(a_config()) == built_in
    for label in labels:
        assert passing(a_config({section: {setting: [label]}})) == [label]
    assert passing(a_config({section: {setting: list(labels)}})) == list(labels)


def test_why_a_candidate_is_rejected() -> None:
    """By a judge in its own words, by a tag with the label before them."""
    said = {"rating": 0, "quality": "poor", "explanation": "It is vague."}
    assert STEPS["judge_question_grounded"].rejects(said, a_config()) == "It is vague."
    assert STEPS["tag_instruction_quality"].rejects(said, a_config()) == "instruction quality is poor: It is vague."
    assert STEPS["tag_category"].rejects(said, a_config()) is None


Tone = Literal["rude", "polite"]


class TagTone(dspy.Signature):  # type: ignore[misc]  # dspy ships no types
    """Say how polite a question is."""

    task_description: str = dspy.InputField(desc="what the skill is")
    examples: list[Question] = dspy.InputField(desc="good questions of this skill")
    question: str = dspy.InputField(desc="the new question")
    explanation: str = dspy.OutputField(desc="why")
    tone: Tone = dspy.OutputField(desc="rude or polite")


TONE = Scale("tone", "tone", get_args(Tone), "question", lambda _: ("polite",))


@pytest.mark.parametrize("kind", get_args(Kind))
def test_adding_a_step(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signature and an entry: prompts, room, window, fingerprint and verdict follow; flow.py says when it is asked."""
    step = Step("tag_tone", "tone", "tagger", TagTone, shows="standard", about=("question",), rates=(TONE,))
    monkeypatch.setitem(cast("dict[str, Step]", STEPS), step.name, step)
    config, spec = a_config({"tagger": {"num_predict": 77}}), a_spec([GROUNDED, FREEFORM], description="Foxes.")
    program, adapter = SkillsProgram(5), the_adapter()
    assert way(kind, "separate")[-1] is step
    asked = inputs(step, spec, spec.seeds(kind), NEW)
    prompt = adapter.format(program.predictor("tag_tone").signature, [], asked)[-1]["content"]
    assert all(text in prompt for text in ("Foxes.", spec.seeds(kind)[0].question, "Why?"))
    assert reply_limits(spec, config)["tag_tone"] == 77
    assert needs(spec, config, program)["tag_tone"].prompt > 77
    assert "tone" in prompt_fingerprints(spec, config, program)[kind]
    assert step.rejects({"tone": "rude", "explanation": "It shouts."}, config) == "tone is rude: It shouts."
