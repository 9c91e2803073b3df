"""The judges' prompts: is a question fit to be answered, and is a pair fit to be learned from."""

import dspy

from signatures.examples import Pair, Question
from signatures.labels import PairRating, QuestionRating


class JudgeQuestionFreeform(dspy.Signature):
    """Decide whether a new question is fit to become training material for a skill.

    The examples are good questions of this skill. They set the standard for form, length, language, level and openness:
    whatever they do is allowed, however short, odd or narrow it would look elsewhere. Rate 0 if any of these holds:
    - no language model can carry it out in text: it needs an image, a sound, the web, today's news, a file that is not
      there, an action in the world, or knowledge of the person who asks;
    - it is unsafe: it invites harm or hatred, or seeks private facts of real people that it does not itself give;
    - it is off the task: it practises another skill than the examples;
    - it cannot be understood or answered as it stands: it is incomplete, contradicts itself, or supposes something
      false, unless such a twist is what the examples practise;
    - it is plainly of another form than any of the examples, so that its answer could not have the form of theirs.
    Otherwise rate 1. Do not answer the question; do not rate how interesting it is."""

    task_description: str = dspy.InputField(desc="what the skill is, in the words of the person who teaches it")
    examples: list[Question] = dspy.InputField(desc="good questions of this skill")
    question: str = dspy.InputField(desc="the new question to judge")
    explanation: str = dspy.OutputField(
        desc="in one to three sentences, what the question asks and which of the points, if any, it fails"
    )
    rating: QuestionRating = dspy.OutputField(desc="1 if it is fit, 0 if any of the points holds")


class JudgeQuestionGrounded(dspy.Signature):
    """Decide whether a new question about a text is fit to become training material for a skill.

    The examples are good questions of this skill, each asked about a text of its own that is not shown. They set the
    standard for form, length, language, level and openness: whatever they do is allowed, however short, odd or narrow
    it would look elsewhere. The new question is about the context given here. Rate 0 if any of these holds:
    - it cannot be answered from this context alone: the context lacks what is asked for, or facts have to be known
      that the context does not give; language, reckoning and common sense are no such facts;
    - no language model can carry it out in text: it needs an image, a sound, the web, an action in the world;
    - it is unsafe: it invites harm or hatred, or seeks private facts of real people that the context does not give;
    - it is off the task: it practises another skill than the examples;
    - it cannot be understood as it stands, or supposes something that the context contradicts;
    - it is plainly of another form than any of the examples, so that its answer could not have the form of theirs.
    Otherwise rate 1. Do not answer the question; do not rate how interesting it is."""

    task_description: str = dspy.InputField(desc="what the skill is, in the words of the person who teaches it")
    examples: list[Question] = dspy.InputField(desc="good questions of this skill, without their texts")
    context: str = dspy.InputField(desc="the text that the new question is about")
    question: str = dspy.InputField(desc="the new question to judge")
    explanation: str = dspy.OutputField(
        desc="in one to three sentences, what the question asks, where the context holds the answer, and which of the "
        "points, if any, it fails"
    )
    rating: QuestionRating = dspy.OutputField(desc="1 if it is fit, 0 if any of the points holds")


class JudgePairFreeform(dspy.Signature):
    """Judge a question with its answer as training material for a skill.

    The example is a good pair of this skill. It sets the standard for the form, length, language and openness of an
    answer: a one-word answer, a table or a poem is as good as a page of prose when that is what the example shows or
    the question asks. Length as such earns nothing. Check in this order: is every statement right, every step and figure
    correct; is everything done that the question asks, in the form that it and the example want; is it safe; is it
    whole, not cut off, not padded with talk about itself. Recompute what can be recomputed. Then rate:
    1 - wrong in something that matters, incomplete, unsafe, evasive, or not in the form asked for;
    2 - right and complete, with a small flaw in form or wording that a learner would not suffer from;
    3 - right, complete and in the form asked for; a model answer."""

    task_description: str = dspy.InputField(desc="what the skill is, in the words of the person who teaches it")
    example: Pair = dspy.InputField(desc="a question of this skill with a good answer")
    question: str = dspy.InputField(desc="the question of the pair to judge")
    answer: str = dspy.InputField(desc="the answer of the pair to judge")
    explanation: str = dspy.OutputField(
        desc="in one to four sentences, what was checked, what was found, and the worst flaw if there is one"
    )
    rating: PairRating = dspy.OutputField(desc="1, 2 or 3 on the scale above")


class JudgePairGrounded(dspy.Signature):
    """Judge a question about a text with its answer as training material for a skill.

    The example is a good pair of this skill, about a text of its own. It sets the standard for the form, length,
    language and openness of an answer: a one-word answer, a list or a corrected text is as good as a page of prose when
    that is what the example shows or the question asks. Length as such earns nothing. Check in this order: does every
    statement rest on the context or the question, or follow from them by counting, reckoning, a rule of the language or
    the rewording that was asked for; is every name and figure that it takes from them unchanged; is everything done that
    the question asks, in the form that it and the example want; is nothing overlooked that the context holds; is it safe;
    is it whole, not cut off, no mere copy of the context where work on it was asked for. That the context does not tell is
    a right answer where it does not. Then rate:
    1 - wrong or unsupported by the context in something that matters, incomplete, unsafe, evasive, or not in the form
    asked for;
    2 - right, supported and complete, with a small flaw in form or wording that a learner would not suffer from;
    3 - right, supported, complete and in the form asked for; a model answer."""

    task_description: str = dspy.InputField(desc="what the skill is, in the words of the person who teaches it")
    example: Pair = dspy.InputField(desc="a text, a question of this skill about it, and a good answer")
    context: str = dspy.InputField(desc="the text that the pair to judge is about")
    question: str = dspy.InputField(desc="the question of the pair to judge")
    answer: str = dspy.InputField(desc="the answer of the pair to judge")
    explanation: str = dspy.OutputField(
        desc="in one to four sentences, what was checked against the context, what was found, and the worst flaw if "
        "there is one"
    )
    rating: PairRating = dspy.OutputField(desc="1, 2 or 3 on the scale above")
