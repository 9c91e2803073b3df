"""Labelled cases and verdicts made by hand, and a server whose judge says what a test wants: no model, and no meaning."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from evals.judges.ask import FUSED, Judged
from evals.judges.cases import SCALE_OF_STEP, Case, CaseOrigin
from evals.session.session import Session, SessionRequest, open_session
from skills_dspy.base.records import SoftRating
from skills_dspy.base.scales import Label
from skills_dspy.model.server.ollama import OllamaServer
from skills_dspy.model.steps import STEPS
from tests.helpers.fake_server import FakeServer
from tests.helpers.logprobs import spell
from tests.helpers.making import FREEFORM, a_config

T = TypeVar("T")
CONFIG = a_config()
QUESTION, PAIR, QUALITY, SAMPLE = (
    "judge_question_freeform",
    "judge_pair_freeform",
    "tag_instruction_quality",
    "tag_sample_quality",
)


def a_case(step: str, label: Label, number: int = 0, *, reason: str = "fit", origin: CaseOrigin = "hand") -> Case:
    """A labelled case; what is asked does not matter here."""
    answer = "An animal." if SCALE_OF_STEP[step].about == "pair" else None
    name, good, where = f"{step}/{origin}-{number}", label in STEPS[step].passing(CONFIG), f"cases.yaml:{number}"
    return Case(name, step, "foxes", "Foxes.", (FREEFORM,), None, "Why?", answer, label, good, reason, origin, where)


def said(case: Case, label: Label | None, sample: int = 0, *, expected: float | None = None, **more: Any) -> Judged:
    """What a judge said; no label is an unreadable reply."""
    soft = None if expected is None else SoftRating(probabilities={"1": 1.0}, expected=expected, mass=1.0)
    step = more.pop("step", case.step)
    failure = more.pop("failure", None if label is not None else "unreadable")
    return Judged(case, step, sample, label, soft, "because", failure, **more)


def verdicts(step: str, pairs: Sequence[tuple[Label, Label | None]]) -> list[Judged]:
    """What was said of one case for each pair of expected and given label."""
    return [said(a_case(step, wanted, number), given) for number, (wanted, given) in enumerate(pairs)]


def described(case: Case, quality: str, difficulty: str, category: str) -> Judged:
    """What the fused tagger said."""
    values = {"quality": quality, "difficulty": difficulty, "category": category, "explanation": "because"}
    return said(case, quality, step=FUSED, values=values)


def both_ways() -> tuple[list[Judged], list[Judged]]:
    """Four cases, tagged separately and by the fused tagger."""
    cases = [a_case(QUALITY, label, n) for n, label in enumerate(("good", "excellent", "poor", "average"))]
    separate = [said(case, case.label) for case in cases]
    fused = [
        described(cases[0], "excellent", "easy", "math"),
        described(cases[1], "excellent", "hard", "math"),
        described(cases[2], "good", "easy", "planning"),
        described(cases[3], "average", "medium", "math"),
    ]
    difficulties, categories = ("easy", "hard", "medium", None), ("math", "math", "math", "math")
    fused += [said(case, label, step="tag_difficulty") for case, label in zip(cases, difficulties, strict=True)]
    fused += [said(case, label, step="tag_category") for case, label in zip(cases, categories, strict=True)]
    return separate, fused


def within(request: SessionRequest, server: OllamaServer | None, work: Callable[[Session], Awaitable[T]]) -> T:
    """What the work in a session gives."""

    async def main() -> T:
        async with open_session(request, None if server is None else lambda: server) as session:
            return await work(session)

    return asyncio.run(main())


CASES = """\
step: {step}
skills:
  - task: foxes
    task_description: Knowing foxes.
    examples:
      - question: What is a fox?
        answer: An animal.
    cases:
{cases}"""
CASE = """\
      - id: foxes-{number}
        question: {question}
{answer}        label: {label}
        reason: {reason}
"""


def cases_of(step: str, count: int = 4) -> str:
    """A file of cases, good and bad in turn; the bad ones say so in their question."""
    scale = SCALE_OF_STEP[step]
    written = [
        CASE.format(
            number=number,
            question=f"Where does fox {number} live?" if number % 2 == 0 else f"What about {number}, badly?",
            answer="        answer: In the wood.\n" if scale.about == "pair" else "",
            label=scale.labels[-1] if number % 2 == 0 else scale.labels[0],
            reason="fit" if number % 2 == 0 else "too vague",
        )
        for number in range(count)
    ]
    return CASES.format(step=step, cases="".join(written))


Sayer = Callable[[tuple[str, ...], str], Mapping[str, Any] | str]
"""From the fields of the reply and the prompt's last message to the reply: its values, or the text as it comes."""


def lets_all_pass(fields: tuple[str, ...], prompt: str) -> dict[str, Any]:
    """A judge that always says yes."""
    del prompt
    best = {"rating": 1, "quality": "good", "score": 5, "difficulty": "easy", "category": "math", "other_categories": []}
    return {"explanation": "Fine.", **{field: best[field] for field in fields if field != "explanation"}}


class JudgeServer(FakeServer):
    """A stand-in for the Ollama server with a judge.

    Args:
        say: what it says.
        shares: field to label to probability, for who asks for them; None for a server that gives none.
        cut: replies end at their limit.
        more: see FakeServer.
    """

    def __init__(
        self,
        say: Sayer = lets_all_pass,
        *,
        shares: Mapping[str, Mapping[Label, float]] | None = None,
        cut: bool = False,
        **more: Any,
    ) -> None:
        super().__init__(**more)
        self._say = say
        self._shares = shares
        self._cut = cut

    def _body(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        fields = tuple(payload["format"]["properties"])
        reply = self._say(fields, payload["messages"][-1]["content"])
        text = reply if isinstance(reply, str) else json.dumps({field: reply[field] for field in fields}, ensure_ascii=False)
        body: dict[str, Any] = {
            "model": payload["model"],
            "message": {"role": "assistant", "content": text},
            "done": True,
            "done_reason": "length" if self._cut else "stop",
            "prompt_eval_count": 100,
            "eval_count": 20,
        }
        if self._shares is not None and payload.get("logprobs"):
            body["logprobs"] = spell(text, {field: each for field, each in self._shares.items() if field in fields})
        return body
