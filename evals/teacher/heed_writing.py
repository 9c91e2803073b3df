"""What a heeding teacher writes: random sentences, with fewer flaws if the prompt forbids them or shows examples. Pure."""

from collections.abc import Callable
from random import Random

from evals.teacher.heed_flaws import FLAWS, Flaw, Heard, Role
from evals.teacher.words import sentence, words

FLAWED = {"forbidden": 0.02, "demonstrations": 0.04}
"""The share of a writer's texts with a flaw that the prompt forbids, or when it shows demonstrations; the smallest that applies
counts, and no flaw gets more frequent than the table of flaws has it."""

LONG_ANSWER = (150, 186)
"""The words at which an answer of great length ends, with its sentence."""
_SENTENCES = (2, 4)
_BULLETS = 6

Rng = Callable[..., Random]
"""A generator of its own for every place in a reply."""


def write_questions(count: int, shown: tuple[str, ...], heard: Heard, rng: Rng) -> list[str]:
    """New questions, some of them flawed.

    Args:
        count: how many.
        shown: the questions among the prompt's examples.
        heard: what the prompt says.
        rng: depends on the subject and the sampling seed, and not on what is heard.
    """
    good = [sentence(rng("question", place), "?") for place in range(count)]
    written: list[str] = []
    for place, question in enumerate(good):
        flaw = flaw_at(rng("flaw", place).random(), "question writer", heard)
        other = written[-1] if written else good[-1] if count > 1 else None
        written.append(_flawed_question(question, flaw, other, shown, rng("spoil", place)))
    return written


def write_answer(heard: Heard, rng: Rng) -> str:
    """An answer, perhaps with a flaw; the arguments are as for `write_questions`."""
    text = _sentences(rng("answer"), heard.long)
    flaw = flaw_at(rng("flaw").random(), "answer writer", heard)
    if flaw is None:
        return text
    return _flawed_answer(text, flaw.name, rng("spoil"))


def flaw_at(point: float, writer: Role, heard: Heard) -> Flaw | None:
    """The flaw of a text, if it has one.

    Args:
        point: a number from 0 to 1 that does not depend on the prompt. Each flaw has a stretch of its own of these numbers,
            which a better prompt shortens: it takes flaws away and never brings one.
        writer: who writes.
        heard: what the prompt says.
    """
    begin = 0.0
    for flaw in FLAWS:
        if writer in flaw.roles:
            if begin <= point < begin + chance(flaw, heard):
                return flaw
            begin += flaw.written
    return None


def chance(flaw: Flaw, heard: Heard) -> float:
    """The share of a writer's texts that have a flaw, 0 to 1."""
    chances = [flaw.written]
    if heard.demos:
        chances.append(FLAWED["demonstrations"])
    if flaw.name in heard.named:
        chances.append(FLAWED["forbidden"])
    return min(chances)


def _flawed_question(question: str, flaw: Flaw | None, other: str | None, shown: tuple[str, ...], rng: Random) -> str:
    lowered = question[0].lower() + question[1:]
    match flaw.name if flaw is not None else None:
        case None:
            return question
        case "yes or no":
            return f"Is it true that {lowered}"
        case "not there":
            return f"Look at the picture. {question}"
        case "copy" if shown:
            return rng.choice(shown)
        case "repetition" if other is not None:
            return other
        case _:
            return f"Tell me something about {rng.choice(words())}."


def _flawed_answer(text: str, flaw: str, rng: Random) -> str:
    match flaw:
        case "whole":
            told = text.split()
            return " ".join([*told[: -1 - len(told) // 8], "and", "the"])
        case "filler":
            return f"Great question! {text}"
        case _:
            return "\n".join(f"* {word}" for word in rng.choices(words(), k=max(_BULLETS, len(text.split()) - _BULLETS)))


def _sentences(rng: Random, long: bool) -> str:
    sentences = [sentence(rng) for _ in range(rng.randint(*_SENTENCES))]
    enough = rng.randint(*LONG_ANSWER) if long else 0
    while len(" ".join(sentences).split()) < enough:
        sentences.append(sentence(rng))
    return " ".join(sentences)
