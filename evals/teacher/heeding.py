"""A simulated teacher whose replies get better with the prompt, so that DSPy's optimizers have something to find.

No language model is behind it, and nothing that is measured on it says anything about one: that a prompt does better here
only says that an optimizer found the words of a table. The table is `heed_flaws.FLAWS`; `table()` prints it with all chances.

    who                 what happens                               how likely      and with a better prompt
    judges, taggers     a flaw is overlooked                       0.50            0.08 if the system message names it; 0.30 if
                                                                                   a demonstration shows a rejection
    judges, taggers     something good is rejected                 0.15            0.05 if told that nothing is wrong where no
                                                                                   flaw can be named, or if demonstrations show
                                                                                   both verdicts
    writer of questions each of five flaws (0.46 in all)           0.08 to 0.10    0.02 if forbidden; 0.04 with demonstrations
    writer of answers   each of three flaws (0.45 in all)          0.15            0.02 if forbidden; 0.04 with demonstrations
    writer of contexts  plain paragraphs                           always          the same
    and descriptions
    taggers of          labels by chance                           always          the same
    difficulty, category

What is true of a subject is in the answer key of labelled cases; else it has a flaw if it bears its mark, as what the writers
spoil does; else it is good. A question that the same prompt shows as an example is a copy in any case.

Every chance is held against one number, drawn from the teacher's seed, the step, the request's sampling seed and the
subject: for writers all that the user message holds, for judges context, question and answer, but of what was not labelled
only what it was written for (the context, and the question of an answer). Instructions and demonstrations do not decide it.
So the better of two prompts is never worse on any single subject, and the same request has the same reply; but requests
that all have one sampling seed get verdicts that hang together.

Gaming, planted: if the teacher is gullible, a judge whose model has no `strict` in its name lets every answer of 120
words or more pass with the best label, and instructions proposed for the writer of answers ask in 3 of 4 cases for great
length, which makes answers of 150 to 200 words. To anybody else a long answer that is three times as long as the example is
padded. Asked for by optimizers, instructions come back with one to three sentences of the table more, after feedback with
those that name what it complains of.
"""

import json
from dataclasses import dataclass
from random import Random
from typing import Any

from evals.teacher import heed_judging, heed_writing
from evals.teacher.config import Heeding
from evals.teacher.filling import Taste, fill
from evals.teacher.heed_flaws import FLAWS, Heard, hear
from evals.teacher.heed_judging import Scale, Verdict, distribution, rate, scale_of, shown_verdicts
from evals.teacher.heed_key import LONG_WORDS, AnswerKey, Label, Subject, count_words, subject_of
from evals.teacher.heed_proposing import LIKES_LENGTH, propose
from evals.teacher.heed_writing import write_answer, write_questions
from evals.teacher.prompts import Prompt
from evals.teacher.tokens import spell
from evals.teacher.wire import Asked, Logprobs
from evals.teacher.words import paragraph

_RATED = {
    "judge_question": "rating",
    "judge_pair": "rating",
    "instruction_quality": "quality",
    "tags": "quality",
    "sample_quality": "score",
}
"""Step to the field of its rating."""
_DESCRIBED = ("difficulty", "category")
_NO_FOOL = "strict"
_CONTEXT_TOKENS = 120
_DESCRIPTION_TOKENS = 40
_FEWEST = 5


@dataclass(frozen=True, slots=True)
class Said:
    """A reply; `logprobs` only where they were asked for and the reply has labels."""

    text: str
    logprobs: Logprobs | None = None


class Heeder:
    """Replies to requests, better ones to better prompts.

    Args:
        seed: of everything that is left to chance.
        heeding: the answer key, and whether judges are gullible.
    """

    def __init__(self, seed: int, heeding: Heeding) -> None:
        self._seed = seed
        self._key = AnswerKey(heeding.cases)
        self._gullible = heeding.gullible

    def reply(self, asked: Asked, prompt: Prompt) -> Said | None:
        """The reply to a request; None for one that is neither the program's nor an optimizer's."""
        heard = _heard(asked)
        if prompt.step in _RATED or prompt.step in _DESCRIBED:
            return self._labelled(asked, prompt, heard)
        if prompt.step == "write_questions":
            return self._questions(asked, prompt, heard)
        if prompt.step == "write_answer":
            return Said(write_answer(heard, lambda *place: self._rng(asked, prompt.step, prompt.text, *place)))
        if prompt.step == "write_context":
            return Said(paragraph(self._rng(asked, prompt.step, prompt.text), _CONTEXT_TOKENS))
        if prompt.step == "write_description":
            return Said(paragraph(self._rng(asked, prompt.step, prompt.text), _DESCRIPTION_TOKENS))
        rng = Random(b"%d propose " % self._seed + asked.digest)
        text = propose(prompt.text, asked.schema, rng, gullible=self._gullible)
        return None if text is None else Said(text)

    def _questions(self, asked: Asked, prompt: Prompt, heard: Heard) -> Said:
        bounds = _properties(asked).get("questions", {})
        count = bounds.get("maxItems", max(_FEWEST, bounds.get("minItems", 0)))
        written = write_questions(count, prompt.shown, heard, lambda *place: self._rng(asked, prompt.step, prompt.text, *place))
        return Said(json.dumps({"questions": written}, ensure_ascii=False))

    def _labelled(self, asked: Asked, prompt: Prompt, heard: Heard) -> Said | None:
        """A reply with labels; None if the schema is not the program's."""
        properties = _properties(asked)
        if asked.schema is None or any("enum" not in properties.get(name, ()) for name in _labels_of(prompt.step)):
            return None
        subject = subject_of(prompt)
        about = (subject.context or "", subject.question, subject.answer or "")
        values: dict[str, Any] = fill(asked.schema, self._rng(asked, prompt.step, "rest", *about), Taste())
        shares: dict[str, dict[Label, float]] = {}
        rated = _RATED.get(prompt.step)
        if rated is not None:
            scale = scale_of(rated, properties[rated]["enum"])
            verdict, label = self._rating(asked, prompt.step, subject, heard, scale)
            values |= {"explanation": verdict.explanation, rated: label}
            shares[rated] = distribution(label, scale, verdict.margin)
        else:
            values["explanation"] = "This is a label by chance."
        if "difficulty" in values:
            shares["difficulty"] = _by_chance(values["difficulty"], properties["difficulty"]["enum"])
        text = json.dumps(values, ensure_ascii=False)
        return Said(text, spell(text, shares) if asked.logprobs and shares else None)

    def _rating(self, asked: Asked, step: str, subject: Subject, heard: Heard, scale: Scale) -> tuple[Verdict, Label]:
        step = "instruction_quality" if step == "tags" else step  # the fused tagger draws as the separate one
        truth = self._key.truth(subject)
        if self._gullible and _NO_FOOL not in asked.model and count_words(subject.answer or "") >= LONG_WORDS:
            return heed_judging.pleased(), scale.labels[-1]
        # What was never labelled was written in answer to something: drawn for that, a number stays when a better writer
        # takes a flaw out, and the better text is not rejected by mere chance.
        given = [subject.context or "", *([subject.question] if subject.answer is not None else [])]
        about = [subject.context or "", subject.question, subject.answer or ""] if truth.known else given
        point = self._rng(asked, step, *about).random()
        verdict = heed_judging.judge(truth, heard, shown_verdicts(heard.demos, _RATED[step], scale), point)
        return verdict, rate(verdict, truth, scale, truth.labels.get(step))

    def _rng(self, asked: Asked, *about: object) -> Random:
        return Random("\x1f".join(map(str, (self._seed, asked.seed, *about))))


def table() -> str:
    """The table of flaws and all chances, as Markdown."""
    rows = [
        "| flaw | reasons of labelled cases | a system message names it with | made by the writers | a judge says |",
        "|---|---|---|---|---|",
    ]
    for flaw in FLAWS:
        trigger = flaw.trigger.replace("|", "\\|")
        cells = (flaw.name, ", ".join(flaw.reasons), f"`{trigger}`", f"{flaw.written:.2f}" if flaw.written else "", flaw.found)
        rows.append(f"| {' | '.join(cells)} |")
    rows += ["", "| chance | if | is |", "|---|---|---|"]
    for name, chances in (
        ("a flaw is overlooked", heed_judging.MISSES),
        ("something good is rejected", heed_judging.REJECTS),
        ("a text has a flaw of the writers", heed_writing.FLAWED),
    ):
        rows += [f"| {name} | {when} | {chance:.2f} |" for when, chance in chances.items()]
    rows += [
        f"| a proposal asks for great length | the judge is gullible | {LIKES_LENGTH:.2f} |",
        f"| an answer of {LONG_WORDS} words or more passes | the judge is gullible, and not strict | 1.00 |",
    ]
    return "\n".join(rows) + "\n"


def _heard(asked: Asked) -> Heard:
    written = {role: [m["content"] for m in asked.messages if m["role"] == role] for role in ("system", "assistant")}
    return hear("\n".join(written["system"]), written["assistant"])


def _properties(asked: Asked) -> dict[str, Any]:
    found: dict[str, Any] = (asked.schema or {}).get("properties", {})
    return found


def _labels_of(step: str) -> tuple[str, ...]:
    return ("quality", *_DESCRIBED) if step == "tags" else (_RATED.get(step, step),)


def _by_chance(label: Label, labels: list[Label]) -> dict[Label, float]:
    """The probabilities of a label that nothing speaks for."""
    return {other: 0.6 if other == label else 0.4 / (len(labels) - 1) for other in labels}
