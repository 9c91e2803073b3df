"""What prompts show as examples: each text once, without blank lines, and of pairs those that fit."""

from signatures.examples import Pair, Question, TextWithQuestions
from skills_dspy.base.records import SeedExample
from skills_dspy.model.exhibits import bare, fitting, fitting_by_words, shown_as
from skills_dspy.model.steps import Subject


def pair(question: str, answer: str = "So.", context: str | None = None) -> SeedExample:
    """A seed."""
    return SeedExample(question=question, answer=answer, context=context)


ONE = [pair("Why?\n\n", context="\n\n A text.\n"), pair("How?", context=" A text."), pair("Why?", context="Another.")]


def test_a_context_stands_there_once() -> None:
    """With all that is asked about it; the writer of contexts sees it once too."""
    assert shown_as("passages", ONE) == [" A text.", "Another."]
    assert shown_as("questions", ONE) == [
        TextWithQuestions(context=" A text.", questions=["Why?", "How?"]),
        TextWithQuestions(context="Another.", questions=["Why?"]),
    ]
    assert shown_as("standard", ONE) == [Question(question="Why?"), Question(question="How?")]
    assert shown_as("questions", [pair("Why?\n")]) == [Question(question="Why?")]
    assert shown_as("fitting", ONE[:1]) == [Pair(context=" A text.", question="Why?", answer="So.")]


def test_blank_lines_around_a_text_go_and_its_indentation_stays() -> None:
    """So an example ends like the text that is judged."""
    assert bare("\n  \n    x\n\n  y \n\n") == "    x\n\n  y"
    assert bare(None) == bare(" \n") == ""


def test_those_that_fit_stand_in_the_files_order() -> None:
    """At most three, as many as there is room for, and always one."""
    seeds = [pair(f"Question {n}?") for n in range(5)]
    assert fitting(seeds[::-1], seeds) == tuple(seeds[2:])
    assert fitting(seeds[::-1], seeds, most=2) == tuple(seeds[3:])
    long = [pair("Why?", "word " * 700), pair("How?", "word " * 700), pair("What?", "word " * 650), pair("Who?")]
    assert fitting(long, long) == (long[0], long[3])
    assert fitting(long[:1], long[:1]) == (long[0],)


def test_without_vectors_words_decide() -> None:
    """Those of question and context; of equals the first of the file."""
    seeds = [pair("Name a bird."), pair("Sum up the text.", context="Ponds have frogs."), pair("Name a fish of a pond.")]
    assert fitting_by_words(seeds, Subject(None, "Name a fish of the sea."), most=1) == (seeds[2],)
    assert fitting_by_words(seeds, Subject("Frogs live in ponds.", "Sum it up."), most=1) == (seeds[1],)
    assert fitting_by_words(seeds, Subject(None, "Zzz."), most=2) == tuple(seeds[:2])
