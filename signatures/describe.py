"""The prompt for a task whose file does not say what its skill is: told from the task's place and its seeds."""

import dspy

from signatures.examples import Pair


class WriteDescription(dspy.Signature):
    """Say what skill a set of examples practises, for those who will write, answer and judge more of the kind.

    Each example is an exercise of one skill: a question or instruction, a good answer, and the text that they are about where
    there is one. The path is the place of the skill in its teacher's tree of skills, from the general to the particular. The
    examples decide; the path helps to tell what they are examples of. Say in one to three sentences what is asked for, what
    it is about, for whom where that can be seen, and what a good answer does. Say only what makes it this skill and what holds
    of all its exercises. Leave out what one example merely happens to have, such as its names, its figures, its subject, its
    labels, its headings, its number of parts or its closing words: another exercise of the skill need not have them. With few
    examples be the more general. No title, no list, no example, no remark about the examples or about this request."""

    examples: list[Pair] = dspy.InputField(desc="exercises of the skill with good answers")
    path: str = dspy.InputField(desc="where the skill stands in the tree of skills")
    description: str = dspy.OutputField(desc="what the skill is, in one to three sentences")
