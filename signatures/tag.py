"""The taggers' prompts, in the manner of Magpie (Xu et al. 2024, arXiv:2406.08464): quality, score, difficulty, category.

Each takes an optional context, so that a grounded sample is tagged with its text in view.
"""

from typing import Annotated

import dspy
from annotated_types import Len

from signatures.examples import ABOUT_TASK, Pair, Question
from signatures.labels import Category, Difficulty, Quality, Score


def _deeper(text: str) -> str:
    """A scale for the inside of a docstring, which is indented by four."""
    return text.replace("\n", "\n    ")


OtherCategories = Annotated[list[Category], Len(0, 3)]

_CATEGORIES = _deeper("""information seeking: facts or explanations are wanted;
reasoning: something has to be inferred, argued or weighed;
planning: a plan, schedule or strategy is wanted;
editing: a given text has to be corrected, shortened, translated or reworked;
coding & debugging: program code has to be written, explained or mended;
math: something has to be calculated or proved;
role playing: the assistant is to speak as somebody;
data analysis: data has to be extracted, arranged, compared or interpreted;
creative writing: a story, poem, speech or other piece of writing is to be invented;
advice seeking: guidance on somebody's own situation is wanted;
brainstorming: many ideas are wanted;
others: none of these.
Where several fit, the first of them is the one that most of the work of the answer belongs to: a sum about a given text is
math if calculating is the work, data analysis if finding and arranging the figures is; reasoning only where neither fits.""")

_QUALITY = _deeper("""very poor: nobody can tell what is wanted;
poor: it can be told what is wanted, but something is missing without which no good answer is possible;
average: it can be answered, but is so vague or careless that two good answers could differ in what they take it to want;
good: it is clear and complete: two good answers would do the same;
excellent: it is good and also exact: it says, in no more words than needed, everything that a good answer has to heed.""")

_DIFFICULTY = _deeper("""very easy: anybody answers it at once;
easy: it takes common knowledge or one simple step;
medium: it takes some special knowledge or several steps;
hard: it takes sound special knowledge or careful reasoning over many steps;
very hard: only an expert answers it well, with much thought.""")

_CONTEXT = "the text that the question is about; absent when there is none"


class TagInstructionQuality(dspy.Signature):
    __doc__ = f"""Rate how well a question is put, as an instruction to an assistant.

    The examples are good questions of the same skill and show what is usual there: how long, how formal, how open. Rate
    clarity, completeness and precision against them, not the subject, and not whether you could answer. A short
    question that says all it needs is good. Where a context stands beside the question, read the two together. The scale:
    {_QUALITY}"""

    task_description: str = dspy.InputField(desc=ABOUT_TASK)
    examples: list[Question] = dspy.InputField(desc="good questions of this skill")
    context: str | None = dspy.InputField(desc=_CONTEXT)
    question: str = dspy.InputField(desc="the question to rate")
    explanation: str = dspy.OutputField(desc="in at most twenty words, what is wanted, and how clearly it is put")
    quality: Quality = dspy.OutputField(desc="one label of the scale")


class TagSampleQuality(dspy.Signature):
    """Score a question with its answer as a sample that an assistant is to learn from.

    The examples are good samples of the same skill: an answer of their kind is what is wanted, and a short one is no flaw where
    theirs are short. The score:
    1 - useless or harmful: wrong, off the point, unsafe, broken, or of another skill;
    2 - poor: partly right, with faults that would teach something wrong;
    3 - middling: right in the main, but shallow, loose, carelessly written, or not on the level of this skill;
    4 - good: correct, complete and well made, with a small fault that can be named;
    5 - excellent: correct, complete and well made, and no fault can be named."""

    task_description: str = dspy.InputField(desc=ABOUT_TASK)
    examples: list[Pair] = dspy.InputField(desc="good samples of this skill")
    context: str | None = dspy.InputField(desc=_CONTEXT)
    question: str = dspy.InputField(desc="the question of the sample")
    answer: str = dspy.InputField(desc="the answer of the sample")
    explanation: str = dspy.OutputField(
        desc="in at most twenty words, what the sample does well, and its fault if there is one"
    )
    score: Score = dspy.OutputField(desc="1 to 5 on the scale above")


class TagDifficulty(dspy.Signature):
    __doc__ = f"""Rate how difficult it is to answer a question well.

    Think of what has to be known and how many steps of reasoning or craft are needed, not of how long the answer is. Where a
    context stands beside the question, what it gives need not be known. The scale:
    {_DIFFICULTY}"""

    task_description: str = dspy.InputField(desc=ABOUT_TASK)
    context: str | None = dspy.InputField(desc=_CONTEXT)
    question: str = dspy.InputField(desc="the question to rate")
    difficulty: Difficulty = dspy.OutputField(desc="one label of the scale")


class TagCategory(dspy.Signature):
    __doc__ = f"""Name the kind of task that a question sets.

    Choose the category that fits best, and up to three others that fit as well, if any. The categories:
    {_CATEGORIES}"""

    task_description: str = dspy.InputField(desc=ABOUT_TASK)
    context: str | None = dspy.InputField(desc=_CONTEXT)
    question: str = dspy.InputField(desc="the question to sort")
    category: Category = dspy.OutputField(desc="the category that fits best")
    other_categories: OtherCategories = dspy.OutputField(desc="up to three others that fit, often none")


class TagFused(dspy.Signature):
    __doc__ = f"""Rate how well a question is put, how difficult it is, and what kind of task it sets.

    The examples are good questions of the same skill and show what is usual there. Where a context stands beside the
    question, read the two together. Quality is clarity, completeness and precision against the examples, not the subject:
    {_QUALITY}
    Difficulty is what has to be known and reasoned to answer well, not how long the answer is:
    {_DIFFICULTY}
    The category is the one that fits best, beside up to three others that fit as well, if any:
    {_CATEGORIES}"""

    task_description: str = dspy.InputField(desc=ABOUT_TASK)
    examples: list[Question] = dspy.InputField(desc="good questions of this skill")
    context: str | None = dspy.InputField(desc=_CONTEXT)
    question: str = dspy.InputField(desc="the question to tag")
    explanation: str = dspy.OutputField(desc="in at most twenty words, how clearly it is put and what it takes")
    quality: Quality = dspy.OutputField(desc="one label of the quality scale")
    difficulty: Difficulty = dspy.OutputField(desc="one label of the difficulty scale")
    category: Category = dspy.OutputField(desc="the category that fits best")
    other_categories: OtherCategories = dspy.OutputField(desc="up to three others that fit, often none")
