"""The prompts: what every signature asks for, in which order, and with which labels."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import dspy
import pytest
from pydantic import ValidationError

import signatures
from signatures import describe, generate, judge, labels, tag
from signatures.examples import Pair, Question
from skills_dspy.model.steps import STEPS
from tests.helpers.making import the_adapter

PACKAGE = Path(signatures.__file__).parent
CHAT_TOKENS = ("[INST]", "[/INST]", "<s>", "</s>", "<|", "|>", "<<SYS>>", "[SYSTEM_PROMPT]", "{}")
LABELS = {
    "quality": labels.Quality,
    "score": labels.Score,
    "difficulty": labels.Difficulty,
    "category": labels.Category,
    "other_categories": labels.Category,
}
JUDGED = {
    judge.JudgeContext: labels.ContextRating,
    judge.JudgeQuestionFreeform: labels.QuestionRating,
    judge.JudgeQuestionGrounded: labels.QuestionRating,
    judge.JudgePairFreeform: labels.PairRating,
    judge.JudgePairGrounded: labels.PairRating,
}


def every_signature() -> list[Any]:
    """One of each, with lists of three questions."""
    return [pytest.param(step.signature(3), id=step.name) for step in STEPS.values()]


def defined(module: Any) -> Iterator[Any]:
    """The signatures that a module offers."""
    for name, thing in vars(module).items():
        if isinstance(thing, type) and issubclass(thing, dspy.Signature) and not name.startswith("_"):
            yield thing


def test_every_public_signature_is_a_step_of_the_program() -> None:
    """No prompt lies there unused, and none is used that is not in the package."""
    used = {step.source for step in STEPS.values()}
    written = {s for module in (describe, generate, judge, tag) for s in defined(module)}
    assert written == used


@pytest.mark.parametrize("signature", every_signature())
def test_reasons_come_before_verdicts(signature: type[dspy.Signature]) -> None:
    """Whoever decides writes the explanation first, a tag that decides nothing has none; whoever writes gives no verdict."""
    names = list(signature.output_fields)
    if "explanation" in names:
        assert names[0] == "explanation"
        assert len(names) > 1
    else:
        tags = (["difficulty"], ["category", "other_categories"])
        assert names in (["description"], ["axes"], ["context"], ["questions"], ["answer"], *tags)


@pytest.mark.parametrize("signature", every_signature())
def test_no_prompt_speaks_in_the_tokens_of_a_chat_template(signature: type[dspy.Signature]) -> None:
    """Which model answers is not known to a prompt; a placeholder that nothing fills is none either."""
    text = the_adapter().plan(signature).system
    assert [token for token in CHAT_TOKENS if token in text] == []


@pytest.mark.parametrize("signature", every_signature())
def test_the_task_is_an_input_and_stands_first(signature: type[dspy.Signature]) -> None:
    """What the skill is comes from the task file, or is what is asked: the instructions are the same for every task."""
    asked = "description" in signature.output_fields
    assert next(iter(signature.input_fields)) == ("examples" if asked else "task_description")
    assert "task_description" not in signature.instructions
    assert signature.instructions.strip()


@pytest.mark.parametrize("signature", every_signature())
def test_what_changes_from_call_to_call_comes_last(signature: type[dspy.Signature]) -> None:
    """Description and examples stand before the rest, so that the server's prefix cache holds them."""
    names = list(signature.input_fields)
    shared = [name for name in names if name in ("task_description", "length", "examples")]
    assert names[: len(shared)] == shared


@pytest.mark.parametrize("signature", every_signature())
def test_every_field_is_described(signature: type[dspy.Signature]) -> None:
    """A field without words of its own would be described by its name alone."""
    for name, field in {**signature.input_fields, **signature.output_fields}.items():
        assert field.json_schema_extra["desc"] not in ("", f"${{{name}}}")


@pytest.mark.parametrize("signature", every_signature())
def test_instructions_are_flush_left(signature: type[dspy.Signature]) -> None:
    """Scales that are put into a docstring do not leave its indentation in the prompt."""
    deep = [line for line in signature.instructions.splitlines() if line.startswith("   ")]
    assert deep == []


@pytest.mark.parametrize("signature", every_signature())
def test_the_schema_has_the_labels_of_the_vocabulary(signature: type[dspy.Signature]) -> None:
    """Neither a label more nor one less, in the vocabulary's order."""
    schema = the_adapter().plan(signature).schema or {"properties": {}}
    for name, vocabulary in LABELS.items():
        if name in schema["properties"]:
            node = schema["properties"][name]
            assert tuple(node.get("items", node)["enum"]) == get_args(vocabulary)
    if "rating" in schema["properties"]:
        assert tuple(schema["properties"]["rating"]["enum"]) == get_args(JUDGED[signature])


@pytest.mark.parametrize("signature", every_signature())
def test_every_label_is_explained_in_words(signature: type[dspy.Signature]) -> None:
    """A scale of which a step is not described is rated by habit."""
    for name, vocabulary in LABELS.items():
        if name in signature.output_fields:
            marks = {f"{label} - " if isinstance(label, int) else f"{label}: " for label in get_args(vocabulary)}
            assert {mark for mark in marks if mark not in signature.instructions} == set()


@pytest.mark.parametrize("grounded", [judge.JudgeQuestionGrounded, judge.JudgePairGrounded])
def test_both_judges_of_grounded_samples_see_the_context(grounded: type[dspy.Signature]) -> None:
    """An answer cannot be checked against a text that is not there."""
    assert grounded.input_fields["context"].annotation is str


@pytest.mark.parametrize(
    ("freeform", "grounded"),
    [
        (generate.bounded(generate.WriteQuestionsFreeform, 3), generate.bounded(generate.WriteQuestionsGrounded, 3)),
        (generate.WriteAnswerFreeform, generate.WriteAnswerGrounded),
        (judge.JudgeQuestionFreeform, judge.JudgeQuestionGrounded),
        (judge.JudgePairFreeform, judge.JudgePairGrounded),
    ],
)
def test_grounded_prompts_are_the_freeform_ones_with_a_context(
    freeform: type[dspy.Signature], grounded: type[dspy.Signature]
) -> None:
    """The two ways differ by the context that is required in the one and unknown to the other, and by nothing else."""
    assert set(grounded.input_fields) - set(freeform.input_fields) == {"context"}
    assert set(freeform.input_fields) <= set(grounded.input_fields)
    assert list(freeform.output_fields) == list(grounded.output_fields)


@pytest.mark.parametrize("signature", list(defined(tag)))
def test_a_tagger_may_see_a_context(signature: type[dspy.Signature]) -> None:
    """Grounded samples are tagged with their text in view, others without."""
    assert signature.input_fields["context"].annotation == str | None


def test_the_fused_tagger_answers_what_three_taggers_answer() -> None:
    """One prompt for all tags that need no answer in view."""
    separate: list[Any] = [tag.TagInstructionQuality, tag.TagDifficulty, tag.TagCategory]
    outputs = {name: field.annotation for s in separate for name, field in s.output_fields.items()}
    assert {name: field.annotation for name, field in tag.TagFused.output_fields.items()} == outputs


@pytest.mark.parametrize("source", [generate.WriteQuestionsFreeform, generate.WriteQuestionsGrounded])
@pytest.mark.parametrize("count", [1, 5, 50])
def test_as_many_questions_as_asked_for(source: Any, count: int) -> None:
    """The list is bounded from both sides, and no item of it may be empty."""
    schema = the_adapter().plan(generate.bounded(source, count)).schema
    assert schema is not None
    assert schema["properties"]["questions"] == {
        "type": "array",
        "minItems": count,
        "maxItems": count,
        "items": {"type": "string", "minLength": 1},
    }
    assert generate.bounded(source, count) is generate.bounded(source, count)


def test_what_is_shown_is_typed_and_frozen() -> None:
    """An example with a misspelt part is an error and no example without that part."""
    question = Question(question="Why?")
    with pytest.raises(ValidationError):
        question.question = "How?"
    with pytest.raises(ValidationError):
        Question.model_validate({"question": "Why?", "contxt": "..."})
    with pytest.raises(ValidationError):
        Pair.model_validate({"question": "Why?"})
    assert list(Pair.model_fields) == ["context", "question", "answer"]


@pytest.mark.parametrize("module", ["signatures", "signatures.labels", "signatures.examples"])
def test_vocabularies_are_had_without_dspy(module: str) -> None:
    """Whoever wants labels alone does not pay for an import of DSPy."""
    code = f"import sys, {module}; sys.exit('dspy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_labels_need_the_standard_library_only() -> None:
    """The vocabularies are the bottom of everything."""
    tree = ast.parse((PACKAGE / "labels.py").read_text())
    imported = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert imported == ["typing"]
    assert not any(isinstance(node, ast.Import) for node in ast.walk(tree))
