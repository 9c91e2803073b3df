"""The writers' prompts: a plan of variety, a new context, new questions, and the answer to one question."""

from functools import cache
from typing import Annotated

import dspy
from annotated_types import Len

from signatures.examples import ABOUT_TASK, Pair, PlannedAxis, Question, TextWithQuestions

NonEmpty = Annotated[str, Len(min_length=1)]


class PlanVariety(dspy.Signature):
    """Say in which ways the exercises of a skill can differ from each other.

    The task description says what the skill is. The examples are a few exercises of it. Later, many new exercises will be
    written, and each will be told values of a few axes. Name two to six axes along which such exercises can differ while all
    of them practise this one skill at the level of the examples: for instance the subject, the setting, the kind of text or
    data, what is asked for, what makes it difficult. Choose the axes that matter for this skill.
    The first axis is the subject: the things, places, people, events or field that an exercise is about, also where the
    examples hardly name any.
    An axis changes what an answer has to do or to be about. What would only decorate a request is no axis, nor is its wording,
    the look of its figures, or how many things it names.
    If the examples have a context, say of each axis whether its values are of that text (what it is about and what it is
    like) or of the request (what is asked about it); the subject is of the text. If they have none, all axes are of the
    request, also those of a text or a table that stands in the question. If all exercises make one and the same request about
    their context, name no axis of the request.
    Give each axis its values: short phrases of a few words, each different from the others, each natural with most values of
    the other axes, each such as people who need the skill often meet, none that makes an exercise slighter or odder than the
    examples, and spread widely over all that it can be about. Give the subject at least twelve values and every other axis
    three to six. Do not make values out of the examples alone: they are only a sample."""

    task_description: str = dspy.InputField(desc=ABOUT_TASK)
    examples: list[Pair] = dspy.InputField(desc="exercises of this skill with good answers")
    axes: Annotated[list[PlannedAxis], Len(1, 6)] = dspy.OutputField(desc="the axes, the subject first, each with its values")


class WriteContext(dspy.Signature):
    """Write one new text that exercises of a skill can be built on.

    The task description says what the skill is. The examples are texts that such exercises were built on. Write another text
    of the same kind: for the same purpose and the same readers, in the same language and layout, and with the same things in
    it that the skill works on (errors to find, figures to add up, decisions to list, or whatever it is here). Choose another
    subject, and other names, figures and sentences. Where a plan is given, follow it as far as it fits such a text.
    The text is complete and stands by itself. It is a text that people really write and read, not a text about the skill:
    no exercise, no question, no solution, no placeholder, no remark. Leave the mistakes of an example behind, unless the
    skill is about mistakes."""

    task_description: str = dspy.InputField(desc=ABOUT_TASK)
    length: str = dspy.InputField(desc="how long such texts are")
    examples: list[str] = dspy.InputField(desc="texts that earlier exercises were built on")
    plan: str | None = dspy.InputField(desc="what the new text is to be like; absent when there is no plan")
    context: str = dspy.OutputField(
        desc="Now write one new text: of the kind of the examples and as long, about another subject. "
        "Begin with its first word; write no tags."
    )


class WriteQuestionsFreeform(dspy.Signature):
    """Write new questions that practise a skill.

    A question is anything that a person puts to an assistant: a question, an instruction, a problem, a text to work on. The
    task description says what the skill is. The examples show how such questions are put: how much they give, how long and
    how hard they are, in which language and tone. They are samples and not moulds: take over no sentence, no opening, no
    ending and no mistake of theirs. Only words that stand in all examples, such as one fixed request, belong to the skill:
    keep those words and change the rest.
    Each new question
    - practises the skill that the description names, is as hard as the examples, and wants an answer of the same kind;
    - is complete: it gives everything that a definite answer needs, and a language model can answer it in text;
    - is put plainly, in its own words, as somebody would who needs the answer: of real things where the skill is used on
      such, with figures and details as one meets them, but with a story or a reason for asking only where the examples have
      one;
    - is harmless;
    - has parts that belong together, and something in it that is worth working out or telling;
    - asks for something else than every example and every other new question;
    - is no well-known puzzle, riddle or textbook example told again.
    Where a plan is given, it has one line for each question. Follow what in it makes a good question of this skill, drop
    what does not fit or sounds contrived, and do not quote it. Write the questions only, without numbers and without
    answers."""

    task_description: str = dspy.InputField(desc=ABOUT_TASK)
    length: str = dspy.InputField(desc="how long such questions are")
    examples: list[Question] = dspy.InputField(desc="questions of this skill")
    count: int = dspy.InputField(desc="how many new questions to write")
    plan: list[str] | None = dspy.InputField(desc="what each new question is to be like; absent when there is no plan")
    questions: list[NonEmpty] = dspy.OutputField(desc="the new questions, as many as asked for")


class WriteQuestionsGrounded(dspy.Signature):
    """Write new questions about a given text that practise a skill.

    A question is anything that a person puts to an assistant about a text: a question, an instruction, a request to rework
    it. The task description says what the skill is. The examples are texts with questions of this skill. Take from them what
    such questions want done with a text, how long and how hard they are, in which language and tone. They are samples and not
    moulds: take over no sentence and no mistake of theirs. Only words that stand in all example questions, such as one fixed
    request, belong to the skill: put that request to the whole new text, in those words or in others that mean the same.
    Write about the new text, which comes last. Each new question
    - practises the skill that the description names, is as hard as the examples, and wants an answer of the same kind;
    - can be answered fully from the new text alone, and its full answer is a good piece of the skill: never a part of a
      sentence, and never half of the work that the examples want done;
    - is put plainly, in its own words, with a story or a reason for asking only where the examples have one, and does not
      repeat the text;
    - is harmless, and a language model can answer it in text;
    - asks for something else than every other new question.
    Where a plan is given, it has one line for each question. Follow what in it makes a good question about this text, drop
    what does not fit, and do not quote it. Write the questions only, without numbers and without answers."""

    task_description: str = dspy.InputField(desc=ABOUT_TASK)
    length: str = dspy.InputField(desc="how long such questions are")
    examples: list[TextWithQuestions] = dspy.InputField(desc="texts with questions of this skill")
    count: int = dspy.InputField(desc="how many new questions to write")
    context: str = dspy.InputField(desc="the new text that the questions are about")
    plan: list[str] | None = dspy.InputField(desc="what each new question is to be like; absent when there is no plan")
    questions: list[NonEmpty] = dspy.OutputField(desc="the new questions, as many as asked for")


class WriteAnswerFreeform(dspy.Signature):
    """Write the best answer to a question, for somebody who learns a skill from it.

    The task description says what the skill is, and may say whom the answer is for. The examples are questions of this skill
    with good answers. Take from them what kind of answer is wanted: how deep it goes, in which language and tone, whether it
    shows its steps, whether it is whole sentences, a list, a table or one word, and a heading or labels that they all have.
    Take nothing else from them: not their sentences, not how their prose opens and closes, not how many points they make.
    What this question asks for decides, also where it asks for another form.
    The answer is correct and complete and does everything that the question asks. It says what somebody says who knows the
    matter well: particulars instead of generalities, in sentences that read easily. Where it works something out, each figure
    follows from what stands before it. It is as long as this question needs, as a rule as long as such answers are. It goes
    straight to what was asked. Where the examples answer in whole sentences it does so too, from its first word on, with no
    bare verdict in front. It begins and ends in its own way, and sums up or repeats nothing unless the question or the
    examples want that. It has no talk about you, about the task or about further help. It says that something is uncertain
    only where that is so and matters. It invents no facts. Where the examples show \\n in place of a line break, it has a
    real one. Where something to avoid is given, it is as good without that."""

    task_description: str = dspy.InputField(desc=ABOUT_TASK)
    length: str = dspy.InputField(desc="how long such answers are")
    examples: list[Pair] = dspy.InputField(desc="questions of this skill with good answers")
    question: str = dspy.InputField(desc="the question to answer")
    avoid: str | None = dspy.InputField(desc="what too many other answers already have; absent when there is no such thing")
    answer: str = dspy.OutputField(desc="the answer")


class WriteAnswerGrounded(dspy.Signature):
    """Write the best answer to a question about a text, for somebody who learns a skill from it.

    The task description says what the skill is. The examples are texts with a question of this skill and a good answer. Take
    from them what kind of answer is wanted: how deep it goes, in which language and tone, whether it shows its steps,
    whether it is whole sentences, a list, a table or one word, and a heading or labels that they all have. Take nothing else
    from them: not their sentences, not how their prose opens and closes, not how many points they make. What this question
    asks for decides, also where it asks for another form.
    The answer rests on the text that comes last: every fact, name and figure is in that text or follows from it. If the text
    does not tell what is asked, the answer says so. The answer is correct and complete and does everything that the question
    asks, for the whole text or for the part that was asked about. It is as long as this question and this text need, as a rule
    as long as such answers are. It goes straight to what was asked and repeats nothing unless the question wants that. It has
    no talk about you, about the task or about further help. Where the examples show \\n in place of a line break, it has a
    real one. Where something to avoid is given, it is as good without that."""

    task_description: str = dspy.InputField(desc=ABOUT_TASK)
    length: str = dspy.InputField(desc="how long such answers are")
    examples: list[Pair] = dspy.InputField(desc="texts with a question of this skill and a good answer")
    context: str = dspy.InputField(desc="the text that the question is about")
    question: str = dspy.InputField(desc="the question to answer")
    avoid: str | None = dspy.InputField(desc="what too many other answers already have; absent when there is no such thing")
    answer: str = dspy.OutputField(desc="the answer")


@cache
def bounded(signature: type[dspy.Signature], count: int) -> type[dspy.Signature]:
    """A prompt for new questions with its list bounded to exactly `count` items; the same class for the same count."""
    exact: type[dspy.Signature] = signature.with_updated_fields("questions", Annotated[list[NonEmpty], Len(count, count)])
    exact.__name__ = signature.__name__
    return exact
