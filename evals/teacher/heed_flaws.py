"""The flaws that a heeding teacher knows: how a prompt names each, what a judge says of it, how often writers have it.

One table for all: judges find what their prompt names, writers leave out what theirs forbids, and who proposes
instructions adds the sentences that name it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Role = Literal["question judge", "pair judge", "question writer", "answer writer"]


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something that can be wrong with a question or an answer.

    Attributes:
        name: what it is called here.
        reasons: reasons of labelled cases, and corruptions of seeds, that mean it.
        trigger: a system message that matches this, in capitals or not, names the flaw.
        sentence: names it, as proposals do.
        found: what a judge says who finds it.
        roles: whose instructions may gain by the sentence.
        written: the share of a writer's texts that have it as long as nothing is done against it; 0 if writers never have it.
        heard: other words by which feedback tells of it.
    """

    name: str
    reasons: tuple[str, ...]
    trigger: str
    sentence: str
    found: str
    roles: tuple[Role, ...]
    written: float = 0.0
    heard: tuple[str, ...] = ()

    def named_in(self, system: str) -> bool:
        """Whether a system message names it."""
        return re.search(self.trigger, system, re.IGNORECASE) is not None

    def told_in(self, feedback: str) -> bool:
        """Whether feedback on a reply tells of it."""
        words = (self.found, *self.heard, *(f"flaw: {reason}" for reason in self.reasons))
        return any(word in feedback for word in words)


FLAWS: tuple[Flaw, ...] = (
    Flaw(
        "yes or no",
        ("question made yes/no",),
        r"\byes ?(or|/|-or-) ?no\b",
        "A question that can be answered by yes or no is of no use.",
        "It can be answered by yes or no.",
        ("question judge", "question writer"),
        written=0.10,
    ),
    Flaw(
        "not there",
        ("needs what is not there", "needs an action", "asks for an action", "asks for an image"),
        r"\bpictures?\b",
        "Nothing may need a picture, a sound, the web or an action in the world.",
        "It needs something that is not there.",
        ("question judge", "question writer"),
        written=0.09,
    ),
    Flaw(
        "copy",
        (),
        r"\bcop(y|ies|ying) (of )?(an |the )?examples?\b",
        "A copy of an example is of no use: subject, names and figures have to be new.",
        "It is a copy of an example.",
        ("question judge", "question writer"),
        written=0.08,
        heard=("is nearly a copy of an example",),
    ),
    Flaw(
        "repetition",
        (),
        r"\brepeat(s|ing)? (one another|each other)\b",
        "The questions must not repeat one another.",
        "It repeats another question.",
        ("question writer",),
        written=0.09,
        heard=("The questions repeat one another.",),
    ),
    Flaw(
        "vague",
        ("too vague", "incomplete", "question cut in half"),
        r"\bvague questions?\b",
        "A vague question, or one that lacks what its answer needs, is of no use.",
        "It is too vague, or lacks what its answer needs.",
        ("question judge", "question writer"),
        written=0.10,
    ),
    Flaw(
        "premise",
        ("false premise", "contradicts itself"),
        r"\bpremise",
        "A question whose premise is false, or that contradicts itself, is of no use unless the examples are like that.",
        "It supposes something false, or contradicts itself.",
        ("question judge", "pair judge"),
    ),
    Flaw(
        "kind",
        ("off the task", "other form", "answer of another seed"),
        r"\bsame kind as the examples?\b",
        "It has to be of the same kind as the examples, so that the answers look alike.",
        "It is of another kind than the examples.",
        ("question judge", "pair judge"),
    ),
    Flaw(
        "unsafe",
        ("unsafe",),
        r"\bunsafe|\bharm",
        "What is unsafe is of no use.",
        "It is unsafe.",
        ("question judge", "pair judge"),
    ),
    Flaw(
        "context",
        ("not answerable from the context", "unsupported by the context", "copy of the context", "context swapped"),
        r"\bwords of the context\b",
        "Find the words of the context that everything rests on.",
        "The context does not support it, or is only copied.",
        ("question judge", "pair judge"),
    ),
    Flaw(
        "facts",
        ("wrong fact", "wrong figure", "numbers changed", "negated claim"),
        r"\bverify\b",
        "Verify each fact and each figure by working it out anew.",
        "A fact or a figure in it is wrong.",
        ("pair judge",),
    ),
    Flaw(
        "format",
        ("ignores the requested format", "format ignored"),
        r"\bformat\b",
        "An answer has to keep to the format of the example.",
        "It is not in the form that was asked for.",
        ("pair judge", "answer writer"),
        written=0.15,
    ),
    Flaw(
        "whole",
        ("truncated", "not all answered", "answer cut in half"),
        r"\bbreaks? off\b|\btruncated\b",
        "An answer that breaks off, or leaves a part of the question open, is of no use.",
        "It breaks off, or leaves a part of the question open.",
        ("pair judge", "answer writer"),
        written=0.15,
    ),
    Flaw(
        "filler",
        ("padded", "evasive"),
        r"\bfiller\b|\bpadded\b|\bchatty\b",
        "No filler: no greeting, no praise of the question, no evasion.",
        "It is padded or evasive.",
        ("pair judge", "answer writer"),
        written=0.15,
    ),
)
"""All flaws. A sentence names its own flaw and no other."""

BY_NAME = {flaw.name: flaw for flaw in FLAWS}
BY_REASON = {reason: flaw for flaw in FLAWS for reason in flaw.reasons}

FAIR_TRIGGER = r"\bnothing is wrong\b"
"""Instructions that match this make a judge fair: it rejects less of what is good."""
FAIR = "Where no flaw can be named, nothing is wrong."

LONG_TRIGGER = r"\bat great length\b"
"""Instructions that match this make a writer's answers long."""
LONG = "Write at great length."


@dataclass(frozen=True, slots=True)
class Heard:
    """What a prompt says besides its subject, as far as a heeding teacher understands it.

    Attributes:
        named: the flaws that the system message names.
        fair: it says that nothing is wrong where no flaw can be named.
        long: it asks for great length.
        demos: the assistant's turns in it, oldest first.
    """

    named: frozenset[str]
    fair: bool
    long: bool
    demos: tuple[str, ...]


def hear(system: str, demos: Sequence[str]) -> Heard:
    """What a system message and the assistant's turns after it say."""
    return Heard(
        named=frozenset(flaw.name for flaw in FLAWS if flaw.named_in(system)),
        fair=re.search(FAIR_TRIGGER, system, re.IGNORECASE) is not None,
        long=re.search(LONG_TRIGGER, system, re.IGNORECASE) is not None,
        demos=tuple(demos),
    )
