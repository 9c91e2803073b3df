"""The writers' prompts: a new context, new questions, and the answer to one question."""

from functools import cache
from typing import Annotated

import dspy
from annotated_types import Len

from signatures.examples import Pair, Passage, Question

NonEmpty = Annotated[str, Len(min_length=1)]


class WriteContext(dspy.Signature):
    """Write one new text for exercises that practise a skill.

    The examples are texts that such exercises were built on. Study what they have in common: what kind of text they
    are, who would have written them and for whom, how long they are, how they are laid out, in which language, and which
    features make them usable for the skill (the errors that a proofreader has to find, the figures that a table is made
    from, the decisions that a summary has to catch). Write another text of that kind, with those features, about a
    different subject, with other names, figures and wording. It has to stand on its own and be complete: no
    placeholders, no headings that the examples do not have, no exercise, no solution, no remark about the text."""

    task_description: str = dspy.InputField(desc="what the skill is, in the words of the person who teaches it")
    examples: list[Passage] = dspy.InputField(desc="texts that earlier exercises were built on")
    context: str = dspy.OutputField(desc="the new text")


class WriteQuestionsFreeform(dspy.Signature):
    """Write new questions that practise the same skill as the examples.

    A question is whatever is put to the assistant: a question, an instruction, a problem, a text to work on. Take from
    the examples what a question of this skill looks like: its form, its length, its language, its level, how openly it
    is put and how much it gives. A skill may ask for one word, a table, a computed number or a page of prose; follow
    the examples, not a habit. Then vary what may vary: subject, setting, names, figures, phrasing. Each question must
    be complete by itself, answerable by a language model in text from what it says and from general knowledge,
    harmless, and different in substance from every example and from every other question that you write: another
    wording of the same request is not a new question. Write the questions only, without numbering and without
    answers."""

    task_description: str = dspy.InputField(desc="what the skill is, in the words of the person who teaches it")
    examples: list[Question] = dspy.InputField(desc="questions of this skill")
    count: int = dspy.InputField(desc="how many new questions to write")
    questions: list[NonEmpty] = dspy.OutputField(desc="the new questions, as many as asked for")


class WriteQuestionsGrounded(dspy.Signature):
    """Write new questions about a given text that practise the same skill as the examples.

    A question is whatever is put to the assistant about the text: a question, an instruction, a request to rework it.
    The examples show texts with a question of this skill each. Take from them what such a question looks like: its
    form, its length, its language, its level, how openly it is put, and what it wants done with the text. A skill may
    ask for one word, a list, a corrected version or a calculation; follow the examples, not a habit. Write questions
    about the new text, which comes last. Each must be fully answerable from that text alone, with nothing that has to be
    known or looked up besides; must not repeat the text; must be harmless and feasible in text for a language model; and must
    differ in substance from the other questions that you write: another wording of the same request is not a new
    question. Only where all examples make one and the same request of their texts, that request is the skill: put it first,
    then make it of single parts or features of the text. Write the questions only, without numbering and without answers."""

    task_description: str = dspy.InputField(desc="what the skill is, in the words of the person who teaches it")
    examples: list[Question] = dspy.InputField(desc="texts with a question of this skill each")
    count: int = dspy.InputField(desc="how many new questions to write")
    context: str = dspy.InputField(desc="the new text that the questions are about")
    questions: list[NonEmpty] = dspy.OutputField(desc="the new questions, as many as asked for")


class WriteAnswerFreeform(dspy.Signature):
    """Answer a question the way the example answers its own.

    The example shows the form that an answer of this skill has: how long it is, how it is laid out, in which language
    and tone, whether it gives the bare result or the way to it. Keep to that form; where the question asks for
    another one in so many words, the question decides. Take nothing of the example's subject. The answer must be
    correct, complete, and do everything that the question asks; work it out before you write it down. Do not repeat the
    question, do not speak about yourself or the task, do not add an offer of further help. If something is uncertain, say
    so in the answer instead of inventing it."""

    task_description: str = dspy.InputField(desc="what the skill is, in the words of the person who teaches it")
    example: Pair = dspy.InputField(desc="a question of this skill with a good answer")
    question: str = dspy.InputField(desc="the question to answer")
    answer: str = dspy.OutputField(desc="the answer")


class WriteAnswerGrounded(dspy.Signature):
    """Answer a question about a text the way the example answers its own.

    The example shows a text, a question about it, and the form that an answer of this skill has: how long it is, how it
    is laid out, in which language and tone, whether it gives the bare result or the way to it. Keep to that form; where
    the question asks for another one in so many words, the question decides. Take nothing of the example's subject. The
    answer rests on the context given last and on nothing else: every fact, name and figure comes from it or follows from
    it. It must be correct, complete, and do everything that the question asks; work it out before you write it down. Do
    not repeat the question, do not speak about yourself or the task, do not add an offer of further help."""

    task_description: str = dspy.InputField(desc="what the skill is, in the words of the person who teaches it")
    example: Pair = dspy.InputField(desc="a text, a question of this skill about it, and a good answer")
    context: str = dspy.InputField(desc="the text that the question is about")
    question: str = dspy.InputField(desc="the question to answer")
    answer: str = dspy.OutputField(desc="the answer")


@cache
def bounded(signature: type[dspy.Signature], count: int) -> type[dspy.Signature]:
    """A prompt for new questions with its list bounded to exactly `count` items; the same class for the same count."""
    exact: type[dspy.Signature] = signature.with_updated_fields("questions", Annotated[list[NonEmpty], Len(count, count)])
    exact.__name__ = signature.__name__
    return exact
