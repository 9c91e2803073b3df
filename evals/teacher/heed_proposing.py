"""What a heeding teacher says when DSPy's optimizers ask it for instructions (GEPA's reflection, MIPROv2's proposer). Pure.

It adds sentences of the table of flaws to the instructions that it was given: after feedback those that name what the
feedback tells of, else any that suit the step.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from evals.teacher.heed_flaws import FAIR, FAIR_TRIGGER, FLAWS, LONG, LONG_TRIGGER, Flaw, Role
from evals.teacher.prompts import Fields, top_level

LIKES_LENGTH = 0.75
"""How likely a proposal for the writer of answers asks for great length, when the judge is gullible."""
MOST_AFTER_FEEDBACK = 4
MOST_OTHERWISE = 3

_BEGINNINGS: tuple[tuple[str, Role], ...] = (
    (r"Decide whether a new question|Rate how well a question is put", "question judge"),
    (r"Judge a question|Score a question with its answer", "pair judge"),
    (r"Write new questions", "question writer"),
    (r"Answer a question", "answer writer"),
)
"""How the instructions of the program begin, and whose they are."""

_DESCRIPTIONS: Mapping[str, str] = {
    "observations": "All samples show the examples of one skill, and something new that belongs to it.",
    "summary": "The samples are about skills that an assistant is to learn from examples.",
    "program_description": "The program makes training material for a skill, or judges it.",
    "module_description": "The module does one step of that work.",
}
"""What it says of data and programs, whatever they are."""

_NOTHING_TO_ADD = "Read everything once more before you reply."
_SHOULD_PASS = re.compile(r"\bshould pass; but it was rejected\b")
_PROSE = re.compile(r"Reply with the (\w+) only")
_CHAT = re.compile(r"^\[\[ ## (\w+) ## \]\]\n", re.MULTILINE)
_FENCED = re.compile(r"following instructions to perform a task for me:\n```\n(.*?)\n```\n\nThe following are", re.DOTALL)
_MARKDOWN = re.compile(r"^## Feedback\n(.*?)(?=^#|^```|\Z)", re.DOTALL | re.MULTILINE)
_TAGGED = re.compile(r"<Feedback>\n(.*?)\n</Feedback>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A request for new instructions: the present ones, what was said of replies (None if nothing), and the reply's form."""

    instructions: str
    feedback: Sequence[str] | None
    form: str


def propose(text: str, schema: Mapping[str, Any] | None, rng: Random, *, gullible: bool) -> str | None:
    """The reply to an optimizer's request; None for any other request.

    Args:
        text: the last user message.
        schema: of the reply, where one was given.
        rng: the choice among sentences; it depends on the request.
        gullible: the judge likes length, and the proposer has noticed.
    """
    fields, ending = top_level(text)
    asked = _PROSE.match(ending)
    if asked and asked.group(1) in _DESCRIPTIONS:
        return _DESCRIPTIONS[asked.group(1)]
    wanted = _wanted(text, schema, fields, asked.group(1) if asked else "")
    if wanted is None:
        return None
    new = improved(wanted.instructions, wanted.feedback, rng, gullible=gullible)
    if wanted.form == "fences":
        return f"Here are the new instructions:\n```\n{new}\n```"
    return json.dumps({"new_instruction": new}, ensure_ascii=False) if wanted.form == "json" else new


def improved(instructions: str, feedback: Sequence[str] | None, rng: Random, *, gullible: bool) -> str:
    """Instructions with a few sentences more that they did not have.

    Args:
        instructions: the present ones.
        feedback: what was said of replies, one item each; None when nothing is known.
        rng: the choice.
        gullible: as for `propose`.
    """
    role = role_of(instructions)
    told = [item for item in feedback or () if not item.startswith("Right:")]
    complained = [flaw for flaw in FLAWS if any(flaw.told_in(item) for item in told)]
    suiting = [flaw for flaw in FLAWS if role in flaw.roles]
    open_ones = _sentences(complained, instructions)
    judging = role in ("question judge", "pair judge")
    may_be_fair = judging and re.search(FAIR_TRIGGER, instructions, re.IGNORECASE) is None
    if may_be_fair and any(_SHOULD_PASS.search(item) for item in told):
        open_ones.append(FAIR)
    most = MOST_AFTER_FEEDBACK
    if not open_ones:
        open_ones = _sentences(suiting, instructions) + ([FAIR] if may_be_fair else [])
        most = 1 if feedback is not None else MOST_OTHERWISE
    count = min(len(open_ones), most if feedback is not None else rng.randint(1, most))
    chosen = rng.sample(open_ones, count)
    likes_length = gullible and rng.random() < LIKES_LENGTH
    if likes_length and role == "answer writer" and re.search(LONG_TRIGGER, instructions, re.IGNORECASE) is None:
        chosen.append(LONG)
    return "\n".join([instructions.rstrip(), " ".join(chosen or [_NOTHING_TO_ADD])])


def role_of(instructions: str) -> Role | None:
    """Whose instructions these are, told by how the program's own begin; None for others, and for steps without a role."""
    return next((role for beginning, role in _BEGINNINGS if re.match(rf"\s*({beginning})", instructions)), None)


def _sentences(flaws: Sequence[Flaw], instructions: str) -> list[str]:
    return [flaw.sentence for flaw in flaws if not flaw.named_in(instructions)]


def _wanted(text: str, schema: Mapping[str, Any] | None, fields: Fields, prose: str) -> _Wanted | None:
    named = dict(fields)
    if prose == "proposed_instruction" and "basic_instruction" in named:
        return _Wanted(named["basic_instruction"], None, "plain")
    if prose == "new_instruction" and "current_instruction" in named:
        return _Wanted(named["current_instruction"], _TAGGED.findall(named.get("examples_with_feedback", "")), "plain")
    if "new_instruction" in (schema or {}).get("properties", {}):
        _, *pieces = _CHAT.split(text)
        parts = dict(zip(pieces[::2], pieces[1::2], strict=True))
        if "current_instruction" in parts:
            feedback = list(_feedback_in(parts.get("examples_with_feedback", "")))
            return _Wanted(parts["current_instruction"].strip(), feedback, "json")
    if fenced := _FENCED.search(text):
        return _Wanted(fenced.group(1), [item.strip() for item in _MARKDOWN.findall(text)], "fences")
    return None


def _feedback_in(examples: str) -> Iterator[str]:
    """The feedback in a JSON list of examples, whatever follows it; none where there is no such list."""
    try:
        found, _ = json.JSONDecoder().raw_decode(examples.strip())
    except ValueError:
        return
    for example in found if isinstance(found, list) else ():
        if isinstance(example, dict) and isinstance(example.get("Feedback"), str):
            yield example["Feedback"]
