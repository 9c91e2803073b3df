"""Seeds, tasks and labelled cases in numbers, for tests of splits and examples: nothing in them means anything."""

from collections.abc import Sequence
from dataclasses import replace

import dspy

from evals.judges.cases import Case
from evals.optimize.splits import weights
from skills_dspy.base.records import Kind, SeedExample
from skills_dspy.tasks.spec import TaskSpec
from tests.helpers.making import a_spec

WORDS = ("fox", "owl", "bee", "elk", "cod", "ant", "yak", "hen", "pig", "cow", "emu", "ape")


def a_seed(number: int, kind: Kind = "freeform", *, about: str = "") -> SeedExample:
    """A seed that differs from those of other numbers in question, text and answer."""
    word = WORDS[number % len(WORDS)] + "s" * (number // len(WORDS)) + about
    context = f"In {number + 1990} every {word} ate {number + 3} of the apples." if kind == "grounded" else None
    return SeedExample(
        question=f"What do we know of the {word} and its {number + 3} apples?",
        answer=f"The {word} is an animal. It has eaten {number + 3} apples.",
        context=context,
        line=10 + number,
    )


def a_task(count: int, kind: Kind = "freeform", *, name: str = "test/foxes", about: str = "", writes: int = 5) -> TaskSpec:
    """A task with so many different seeds of a kind."""
    return a_spec([a_seed(number, kind, about=about) for number in range(count)], name=name, count=writes)


def skill_cases(step: str, skills: int, each: int = 4, *, name: str = "skill") -> list[Case]:
    """Labelled cases by hand of so many skills, good and bad in turn, one example a skill."""
    pair = step in ("judge_pair_freeform", "judge_pair_grounded", "tag_sample_quality")
    kind: Kind = "grounded" if step.endswith("grounded") else "freeform"
    found = []
    for skill in range(skills):
        example = a_seed(skill, kind, about=f"-{name}")
        for number in range(each):
            rated = a_seed(100 * skill + number, kind, about=f"-{name}-rated")
            good = number % 2 == 0
            found.append(
                Case(
                    id=f"{step}/{name}-{skill}-{number}",
                    step=step,
                    task=f"{name}-{skill}",
                    task_description="Foxes.",
                    examples=(example,),
                    context=rated.context,
                    question=rated.question,
                    answer=rated.answer if pair else None,
                    label=1,
                    good=good,
                    reason="fit" if good else "too vague",
                    origin="hand",
                    where=f"cases.yaml:{number}",
                )
            )
    return found


def labelled_example(
    good: bool, weight: float = 1.0, *, key: str = "k", reason: str = "too vague", question: str = "Why?"
) -> dspy.Example:
    """A labelled case of a judge of pairs, of which 2 and 3 pass, as optimizers get it."""
    rated = {"good": good, "field": "rating", "passing": (2, 3), "weight": weight, "reason": reason}
    return dspy.Example(key=key, asked={"question": question}, **rated).with_inputs("key", "asked")


def labelled_examples(good: Sequence[bool]) -> list[dspy.Example]:
    """Labelled cases with their weights, keyed by their places."""
    weighted = enumerate(zip(good, weights(good), strict=True))
    return [labelled_example(is_good, weight, key=str(at), question=f"Why {at}?") for at, (is_good, weight) in weighted]


def renamed(cases: Sequence[Case], task: str) -> list[Case]:
    """The same cases as if of another skill."""
    return [replace(case, task=task) for case in cases]
