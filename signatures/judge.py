"""The judges' prompts: is a new text fit to ask about, is a question fit to be answered, is a pair fit to be learned from."""

import dspy

from signatures.examples import ABOUT_TASK, Pair, Question
from signatures.labels import ContextRating, PairRating, QuestionRating


class JudgeContext(dspy.Signature):
    """Decide whether exercises of a skill can be built on a new text.

    The task description says what the skill is. The examples are good texts for it. Rate 0 if any of these holds:
    - the text is of another kind than the examples, or lacks what the skill works on;
    - it is no text to work on but talk about the skill or the task: it says what a text should be like, or how one learns
      the skill, or it is an exercise or a solution;
    - it is about nothing in particular: empty phrases, placeholders, names of things instead of things;
    - it breaks off, repeats itself over and over, or cannot be understood;
    - it is an example over again, with a few words changed;
    - it is unsafe: it invites harm or hatred.
    Otherwise rate 1. Mistakes in the text are no fault if the skill is about mistakes."""

    task_description: str = dspy.InputField(desc=ABOUT_TASK)
    examples: list[str] = dspy.InputField(desc="good texts for this skill")
    context: str = dspy.InputField(desc="the new text to judge")
    explanation: str = dspy.OutputField(
        desc="in at most twenty words, what the text is, and which of the points, if any, it fails"
    )
    rating: ContextRating = dspy.OutputField(desc="1 if it is fit, 0 if any of the points holds")


class JudgeQuestionFreeform(dspy.Signature):
    """Decide whether a new question is fit to become training material for a skill.

    The task description says what the skill is. The examples are good questions of it: whatever they do is allowed, however
    short, odd or narrow it would look elsewhere. Rate 0 if any of these holds:
    - it does not practise the skill that the description names, or is plainly too easy or too hard for those whom the
      description or the examples have in mind;
    - it is incomplete, contradicts itself, or rests on something false, so that no definite answer is possible, unless such
      a twist is what the examples practise;
    - a language model cannot answer it in text: it needs an image, a sound, the web, today's news, a file that is not given,
      or an action in the world;
    - it is unsafe: it invites harm or hatred, or wants private facts of real people that it does not itself give;
    - it is no question to an assistant: it talks about the task, gives its own answer, or is an example over again.
    Otherwise rate 1. Do not answer the question. How interesting it is does not count."""

    task_description: str = dspy.InputField(desc=ABOUT_TASK)
    examples: list[Question] = dspy.InputField(desc="good questions of this skill")
    question: str = dspy.InputField(desc="the new question to judge")
    explanation: str = dspy.OutputField(
        desc="in at most twenty words, what the question asks, and which of the points, if any, it fails"
    )
    rating: QuestionRating = dspy.OutputField(desc="1 if it is fit, 0 if any of the points holds")


class JudgeQuestionGrounded(dspy.Signature):
    """Decide whether a new question about a text is fit to become training material for a skill.

    The task description says what the skill is. The examples are good questions of it, each asked about a text of its own
    that is not shown here: whatever they do is allowed, however short, odd or narrow it would look elsewhere. The new
    question is about the context that is given. Rate 0 if any of these holds:
    - it does not practise the skill that the description names, or is plainly too easy or too hard for it;
    - the context does not hold what a full answer needs. Language, arithmetic and common sense may be needed besides. A
      question that the examples ask in the same way is fine even if the answer is that the context does not tell;
    - it cannot be understood, or rests on something that the context contradicts;
    - a language model cannot answer it in text: it needs an image, a sound, the web or an action in the world;
    - it is unsafe: it invites harm or hatred, or wants private facts of real people that the context does not give;
    - it is no question to an assistant: it talks about the task, or gives its own answer.
    Otherwise rate 1. Do not answer the question. How interesting it is does not count."""

    task_description: str = dspy.InputField(desc=ABOUT_TASK)
    examples: list[Question] = dspy.InputField(desc="good questions of this skill, without their texts")
    context: str = dspy.InputField(desc="the text that the new question is about")
    question: str = dspy.InputField(desc="the new question to judge")
    explanation: str = dspy.OutputField(
        desc="in at most twenty words, what the question asks, and which of the points, if any, it fails"
    )
    rating: QuestionRating = dspy.OutputField(desc="1 if it is fit, 0 if any of the points holds")


class JudgePairFreeform(dspy.Signature):
    """Judge a question with its answer as training material for a skill.

    The task description says what the skill is and may say whom the answer is for. The examples are good pairs of this
    skill: an answer of their kind is what is wanted, be it one word, a table, a poem or a page of prose. Being long earns
    nothing. Check, in this order:
    - is every statement, step and figure right? Recompute what can be recomputed;
    - is everything done that the question asks, in the form that it asks for, or else in a form of the examples' kind;
    - does the pair practise the skill, at the level and for the readers that the description and the examples have in mind;
    - is it safe, whole, and free of talk about itself?
    Then rate:
    1 - something that matters is wrong, missing, unsafe, evasive, in another form than was asked for, for other readers, or
    of another skill;
    2 - nothing of that kind, but a careful teacher would mend something before use: the wording, the layout, the length, a
    small imprecision, a slip of tone, a stock phrase at the beginning or the end;
    3 - a careful teacher would use it as it is."""

    task_description: str = dspy.InputField(desc=ABOUT_TASK)
    examples: list[Pair] = dspy.InputField(desc="questions of this skill with good answers")
    question: str = dspy.InputField(desc="the question of the pair to judge")
    answer: str = dspy.InputField(desc="the answer of the pair to judge")
    explanation: str = dspy.OutputField(
        desc="in at most twenty-five words, what was checked, and the worst flaw if there is one"
    )
    rating: PairRating = dspy.OutputField(desc="1, 2 or 3 on the scale above")


class JudgePairGrounded(dspy.Signature):
    """Judge a question about a text with its answer as training material for a skill.

    The task description says what the skill is. The examples are good pairs of it, each about a text of its own: an answer of
    their kind is what is wanted, be it one word, a list, a table or a reworked text. Being long earns nothing. Check, in this
    order:
    - does every statement, name and figure of the answer stand in the context or the question, or follow from them by
      counting, arithmetic, a rule of the language or the rewording that was asked for? Recompute what can be recomputed;
    - is everything done that the question asks, in the form that it asks for, or else in a form of the examples' kind, with
      nothing overlooked that the context holds? If the context does not tell, an answer that says so is right;
    - does the pair practise the skill, at the level that the description and the examples have in mind;
    - is it safe, whole, free of talk about itself, and no mere copy of the context where work on it was asked for?
    Then rate:
    1 - something that matters is wrong, unsupported, missing, unsafe, evasive, in another form than was asked for, or of
    another skill; or the question itself asks for so little, or so oddly, that nobody learns the skill from it;
    2 - nothing of that kind, but a careful teacher would mend something before use: the wording, the layout, the length, a
    small imprecision, a slip of tone;
    3 - a careful teacher would use it as it is."""

    task_description: str = dspy.InputField(desc=ABOUT_TASK)
    examples: list[Pair] = dspy.InputField(desc="texts with a question of this skill and a good answer")
    context: str = dspy.InputField(desc="the text that the pair to judge is about")
    question: str = dspy.InputField(desc="the question of the pair to judge")
    answer: str = dspy.InputField(desc="the answer of the pair to judge")
    explanation: str = dspy.OutputField(
        desc="in at most twenty-five words, what was checked against the context, and the worst flaw if there is one"
    )
    rating: PairRating = dspy.OutputField(desc="1, 2 or 3 on the scale above")
