"""The prompt for a task whose file does not say what its skill is: told from the task's place and its seeds."""

import dspy

from signatures.examples import Pair


class WriteDescription(dspy.Signature):
    """Say what skill a set of examples practises, for those who will write, answer and judge more of the kind.

    Each example is an exercise of one and the same skill: a question or instruction, a good answer, and the text that
    they are about where there is one. The path is the place that its teacher gave the skill in a tree of skills, in short
    words from the general to the particular. The examples decide; the path helps to tell what they are examples of. Say in
    one to three sentences what is asked for, what it is about, and what a good answer does and looks like. Say what holds
    of all the examples and nothing that holds of a single one only: none of their names, figures or subjects, unless the
    skill is about just that. Claim nothing that the examples do not show. No title, no list, no example, no remark about
    the examples or about this request."""

    examples: list[Pair] = dspy.InputField(desc="exercises of the skill with good answers")
    path: str = dspy.InputField(desc="where the skill stands in the tree of skills")
    description: str = dspy.OutputField(desc="what the skill is, in one to three sentences")
