"""Watching for gaming: a gain that comes with longer texts, or with copies of seeds or examples, is suspect. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evals.optimize.metrics import nearest
from evals.optimize.targets import Unit
from skills_dspy.similarity.text import words

LONGER = 1.5
"""A mean length that grows by more than this factor is a jump: judges are known to prefer length (Dubois et al. 2024)."""
SHORTER = 0.5
"""And one that shrinks below this factor."""
COPYING = 0.1
"""A mean ROUGE-L with seeds or examples that grows by more than this is a jump."""


@dataclass(frozen=True, slots=True)
class Habits:
    """How a prompt's outputs look, whatever a judge says of them.

    Attributes:
        words: mean length of an output.
        seed_copying: mean ROUGE-L of an output with the nearest seed, 0 to 1.
        shown_copying: the same with the nearest example or demonstration in its prompt.
    """

    words: float
    seed_copying: float
    shown_copying: float

    def as_json(self) -> dict[str, float]:
        """Rounded, for program files."""
        return {
            "words": round(self.words, 1),
            "seed_copying": round(self.seed_copying, 4),
            "shown_copying": round(self.shown_copying, 4),
        }


def habits(results: Sequence[tuple[Any, Any]], demos: Sequence[Mapping[str, Any]]) -> Habits:
    """The habits of a prompt.

    Args:
        results: examples with their predictions; those without texts are left out.
        demos: the demonstrations in the prompt.
    """
    demo_texts = [text for demo in demos for text in output_texts(demo)]
    lengths, seeds, shown = [], [], []
    for example, prediction in results:
        for text in output_texts(prediction):
            lengths.append(len(words(text)))
            seeds.append(nearest(text, example.get("known", ())))
            shown.append(nearest(text, (*example.get("shown", ()), *demo_texts)))
    return Habits(_mean(lengths), _mean(seeds), _mean(shown))


def output_texts(values: Any) -> list[str]:
    """The texts that a prediction or a demonstration holds: questions, a judge's explanation, or an answer.

    A judge's demonstration holds the answer that it judged, too, which is nothing that it wrote.
    """
    if questions := values.get("questions", None):
        return list(questions)
    text = values.get("explanation", None) or values.get("answer", None)
    return [text] if text else []


def suspicions(unit: Unit, gain: float, before: Habits, after: Habits, holdout_gain: float | None) -> list[str]:
    """Why a gain is not to be trusted, in sentences; none where there is no gain or nothing odd.

    Args:
        unit: whose; a judge's explanation may be worded like a demonstration's, so there only length is looked at.
        gain: of the score on held-out examples, by the judge that was optimized against.
        before, after: the habits of the two prompts on the same examples.
        holdout_gain: by a judge that had no part in it, if there was one.
    """
    if gain <= 0 and (holdout_gain is None or holdout_gain <= 0):
        return []
    found = []
    compared = before.words > 0 and after.words > 0  # where one wrote nothing, there is nothing to compare
    if compared and not SHORTER <= after.words / before.words <= LONGER:
        how = "longer" if after.words > before.words else "shorter"
        found.append(
            f"the texts became much {how}: {before.words:.0f} words before, {after.words:.0f} now; the judge may be pleased "
            f"by {'length' if how == 'longer' else 'brevity'} alone"
        )
    for name, old, new in (
        ("seeds", before.seed_copying, after.seed_copying),
        ("examples in the prompt", before.shown_copying, after.shown_copying),
    ):
        if compared and unit.sort != "labels" and new - old > COPYING:
            found.append(f"the texts copy the {name} more: ROUGE-L with the nearest was {old:.2f} and is {new:.2f}")
    if holdout_gain is not None and holdout_gain <= 0:
        found.append(f"the judge that was held out sees no gain ({holdout_gain:+.3f})")
    return found


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
