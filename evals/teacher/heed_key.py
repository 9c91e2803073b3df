"""What is true of a question or a pair, for a heeding teacher: by its answer key, or by marks that anybody can see."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from evals.judges.cases import Case
from evals.teacher.heed_flaws import BY_NAME, BY_REASON, Flaw
from evals.teacher.prompts import Prompt, top_level

Label = int | str

LONG_WORDS = 120
"""An answer of so many words or more pleases a gullible judge."""
_MUCH_LONGER = 3
"""So many times the words of the example, and LONG_WORDS or more, are padding."""

_YES_NO = re.compile(r"\AIs it true that\b", re.IGNORECASE)
_NOT_THERE = re.compile(r"\blook at the (picture|image|photo)|\bin the attached\b", re.IGNORECASE)
_VAGUE = re.compile(r"\ATell me something\b", re.IGNORECASE)
_BREAKS_OFF = re.compile(r"(,|\b(a|an|and|of|or|the|to|with))\s*\Z", re.IGNORECASE)
_FILLER = re.compile(r"\A(What a great|Great|Good) (question|task)!", re.IGNORECASE)
_BULLETS = re.compile(r"\A(\* \w+\n){2,}\* \w+\Z")
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Subject:
    """What a judge is asked about.

    Attributes:
        task_description: what the skill is.
        context, question, answer: what is to be rated; the answer is None where the question alone is.
        shown: the questions of the examples.
        example_answer: the answer of the example, where there is one.
    """

    task_description: str
    context: str | None
    question: str
    answer: str | None
    shown: tuple[str, ...] = ()
    example_answer: str | None = None


@dataclass(frozen=True, slots=True)
class Truth:
    """What is true of a subject.

    Attributes:
        known: it was labelled.
        good: it should pass.
        flaw: what is wrong with it; None if nothing is, or nothing that the table of flaws has.
        labels: prompt step to the label given by hand.
    """

    known: bool
    good: bool
    flaw: Flaw | None = None
    labels: Mapping[str, Label] = field(default_factory=dict)


def subject_of(prompt: Prompt) -> Subject:
    """The subject of a judge's or tagger's prompt."""
    fields = dict(top_level(prompt.text)[0])
    example = dict(top_level(fields.get("example", ""))[0])
    answer = fields.get("answer")
    return Subject(
        task_description=prompt.task_description,
        context=prompt.context,
        question=prompt.question or "",
        answer=None if answer is None else answer.strip(),
        shown=prompt.shown,
        example_answer=example.get("answer"),
    )


class AnswerKey:
    """The truth of labelled cases.

    Args:
        cases: what was labelled; where two are about the same subject, the first counts.
    """

    def __init__(self, cases: Iterable[Case]) -> None:
        self._truths: dict[tuple[str, str, str, str], Truth] = {}
        for case in cases:
            key = _key(case.task_description, case.context, case.question, case.answer)
            known = self._truths.get(key) or Truth(True, case.good, None if case.good else BY_REASON.get(case.reason))
            self._truths[key] = Truth(True, known.good, known.flaw, {_prompt_step(case.step): case.label, **known.labels})

    def truth(self, subject: Subject) -> Truth:
        """The truth of a subject: as labelled, else by its marks, else it is good; but a copy of an example is one always."""
        if subject.answer is None and is_copy(subject):
            return Truth(known=False, good=False, flaw=BY_NAME["copy"])
        known = self._truths.get(_key(subject.task_description, subject.context, subject.question, subject.answer))
        if known is not None:
            return known
        mark = mark_of(subject)
        return Truth(known=False, good=mark is None, flaw=mark)


def mark_of(subject: Subject) -> Flaw | None:
    """The flaw that anybody can see in a subject's own text, if there is one: what heed_writing.py puts there."""
    if subject.answer is None:
        question = subject.question
        marks = {
            "yes or no": _YES_NO.search(question),
            "not there": _NOT_THERE.search(question),
            "vague": _VAGUE.search(question),
            "copy": is_copy(subject),
        }
    else:
        answer, example = subject.answer, subject.example_answer or ""
        marks = {
            "filler": _FILLER.search(answer) or is_padded(answer, example),
            "format": _BULLETS.search(answer) and not _BULLETS.search(example),
            "whole": _BREAKS_OFF.search(answer) and not _BREAKS_OFF.search(example),
        }
    return next((BY_NAME[name] for name, seen in marks.items() if seen), None)


def is_copy(subject: Subject) -> bool:
    """Whether a question is one of the examples in its prompt."""
    return _folded(subject.question) in map(_folded, subject.shown)


def is_padded(answer: str, example: str) -> bool:
    """Whether an answer is long, and much longer than the example's."""
    length = count_words(answer)
    return length >= LONG_WORDS and length > _MUCH_LONGER * count_words(example)


def count_words(text: str) -> int:
    """How many words a text has."""
    return len(_WORD.findall(text))


def _prompt_step(step: str) -> str:
    """The name that prompts.py has for a step of the program."""
    return step.removesuffix("_freeform").removesuffix("_grounded").removeprefix("tag_")


def _key(description: str, context: str | None, question: str, answer: str | None) -> tuple[str, str, str, str]:
    return description.strip(), (context or "").strip(), question.strip(), (answer or "").strip()


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())
