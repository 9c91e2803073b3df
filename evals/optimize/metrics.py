"""The metrics that prompts are optimized for: pure functions; docs/optimizing.md says how to write one's own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import dspy

from evals.data.text import rouge_l
from evals.session.bridge import Halt
from skills_dspy.similarity.text import squeezed

_NEAR = 0.7
"""From this ROUGE-L on a question is said to be nearly a copy: Self-Instruct (Wang et al. 2023) drops it there."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric and what belongs to it.

    Attributes:
        name: for tables and program files.
        definition: what it measures, in words, for people.
        score_reply: the number for one example and a prediction without `failure`; more is better.
        explain: what was good or bad about such a prediction, in words, for GEPA's reflection.
        worst: the least for one example of weight 1, which a failed reply scores; the most is 1.
        good_enough: from this score on a prediction may be shown as a demonstration.
    """

    name: str
    definition: str
    score_reply: Callable[[Any, Any], float]
    explain: Callable[[Any, Any], str]
    worst: float
    good_enough: float

    def score(self, example: Any, prediction: Any, trace: Any = None) -> float:
        """Return the score in the form that dspy.Evaluate and every optimizer want; `trace` is not looked at.

        Raises:
            Halt: there is a mistake in this program, which DSPy would take for a bad score.
        """
        del trace
        try:
            if failure_of(prediction) is not None:
                return float(self.worst * example.get("weight", 1.0))
            return float(self.score_reply(example, prediction))
        except Exception as error:
            raise Halt(error) from error

    def feedback(self, example: Any, prediction: Any) -> str:
        """Return what was good or bad about a prediction, in words.

        Raises:
            Halt: as `score`.
        """
        try:
            if (failure := failure_of(prediction)) is not None:
                return f"The reply could not be used: {failure}."
            return self.explain(example, prediction)
        except Exception as error:
            raise Halt(error) from error

    def score_with_feedback(
        self, gold: Any, pred: Any, trace: Any = None, pred_name: str | None = None, pred_trace: Any = None
    ) -> dspy.Prediction:
        """Return the score with the feedback, in GEPA's form; one feedback serves every predictor of a student."""
        del trace, pred_name, pred_trace
        return dspy.Prediction(score=self.score(gold, pred), feedback=self.feedback(gold, pred))


def failure_of(prediction: Any) -> str | None:
    """Return what was wrong with a reply that could not be used; None when it could."""
    found: str | None = prediction.get("failure", None)
    return found


def _decides_right(example: Any, prediction: Any) -> bool:
    return bool((prediction[example.field] in example.passing) == example.good)


def _agreement(example: Any, prediction: Any) -> float:
    """Whether a judge or tagger decides as the labelled case wants: `weight` if it does, minus `weight` if not.

    A good and a bad case decide alike how much: `example.weight` is the number of cases over twice the number of those of
    its class, so the mean over a set is Youden's J (sensitivity + specificity - 1, Youden 1950), which is Cohen's kappa
    where both classes are equally many. Saying yes always, or no always, earns 0; being right always earns 1.
    """
    return float(example.weight if _decides_right(example, prediction) else -example.weight)


def soft_agreement(example: Any, prediction: Any) -> float | None:
    """Return the same by the probabilities of the labels: how much more probable the right decision was, weighted.

    From minus `weight` (certain of the wrong decision) to `weight`; None where the server gave no probabilities.
    """
    soft = (prediction.get("soft", None) or {}).get(example.field)
    if soft is None:
        return None
    passes = sum(soft.probabilities[str(label)] for label in example.passing)
    return float(example.weight * (2 * passes - 1) * (1 if example.good else -1))


def _explain_agreement(example: Any, prediction: Any) -> str:
    said = f"The reply said {prediction[example.field]!r}: {prediction.explanation}"
    wanted = "should pass" if example.good else f"should not pass, because of this flaw: {example.reason}"
    if _decides_right(example, prediction):
        return f"Right: this one {wanted}. {said}"
    done = "was let through" if not example.good else "was rejected"
    return f"Wrong: this one {wanted}; but it {done}. {said}"


AGREEMENT = Metric(
    "agreement",
    "Youden's J of the accept decision on labelled cases (Cohen's kappa when good and bad are equally many): saying yes "
    "always earns 0, being right always 1; an unusable reply counts as wrong",
    _agreement,
    _explain_agreement,
    worst=-1.0,
    good_enough=1e-6,
)


def _question_yield(example: Any, prediction: Any) -> float:
    """The share of the questions asked for that the judge passes, each weighted by its novelty, times their spread, 0 to 1.

    Those that the judge gave no readable verdict on are left out of the share.
    """
    passed = [question for question, passes in zip(prediction.questions, prediction.passed, strict=True) if passes]
    novelty = sum(1.0 - nearest(question, example.known) for question in passed)
    judged = int(example.count) - sum(passes is None for passes in prediction.passed)
    return novelty / max(1, judged) * _spread(passed)


def _explain_yield(example: Any, prediction: Any) -> str:
    lines = []
    for question, passes, said in zip(prediction.questions, prediction.passed, prediction.said, strict=True):
        if passes is None:
            lines.append(f'There was no verdict on "{question}": {said}.')
        elif not passes:
            lines.append(f'The judge rejected "{question}": {said}')
        elif nearest(question, example.known) > _NEAR:
            lines.append(f'"{question}" is nearly a copy of an example.')
    if _spread(prediction.questions) < 1.0 - _NEAR:
        lines.append("The questions repeat one another.")
    count = sum(bool(passes) for passes in prediction.passed)
    return "\n".join([f"{count} of {example.count} questions passed the judge.", *lines])


def nearest(text: str, others: Sequence[str]) -> float:
    """Return the likeness of a text with the most similar of others, 0 to 1; 0 when there are none."""
    return max((_alike(text, other) for other in others), default=0.0)


def _alike(a: str, b: str) -> float:
    """The ROUGE-L of two texts; 1 where they are the same but for blanks and case, though neither may hold a word."""
    return 1.0 if squeezed(a) == squeezed(b) else rouge_l(a, b)


def _spread(texts: Sequence[str]) -> float:
    """1 less the mean ROUGE-L of all pairs: 0 when all are the same, 1 when no two share a word, or there are no two."""
    pairs = [_alike(a, b) for a, b in combinations(texts, 2)]
    return 1.0 - sum(pairs) / len(pairs) if pairs else 1.0


QUESTION_YIELD = Metric(
    "question yield",
    "share of the questions asked for that the judge passes, each weighted by its novelty (1 - ROUGE-L with the nearest "
    "seed), times their spread (1 - mean ROUGE-L of their pairs)",
    _question_yield,
    _explain_yield,
    worst=0.0,
    good_enough=0.5,
)


def _answer_quality(_: Any, prediction: Any) -> float:
    """0 if the pair judge rejects, else the mean of its rating and the sample's score; the length has no part in it."""
    return float(((prediction.rating - 1) / 2 + (prediction.score - 1) / 4) / 2) if prediction.passed else 0.0


def _explain_quality(_: Any, prediction: Any) -> str:
    verdict = "passed" if prediction.passed else "rejected"
    judge = f"The judge {verdict} the answer ({prediction.rating} of 3): {prediction.judged}"
    return f"{judge}\nAs a sample it got {prediction.score} of 5: {prediction.tagged}"


ANSWER_QUALITY = Metric(
    "answer quality",
    "0 if the pair judge rejects, else the mean of its rating (1..3) and of the sample's score (1..5), both stretched to 0..1",
    _answer_quality,
    _explain_quality,
    worst=0.0,
    good_enough=0.7,
)
