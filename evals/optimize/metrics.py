"""The metrics that prompts are optimized for: pure functions of an example and a prediction, each with its definition.

Each takes `(example, prediction, trace=None)` and returns a number, as `dspy.Evaluate` and every optimizer want it;
`Metric.with_feedback` is the same for GEPA, with a sentence or two in words beside the number. docs/optimizing.md says
how to write one's own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import dspy

from evals.data.text import rouge_l
from skills_dspy.similarity.text import squeezed

ScoreFunction = Callable[..., float]
"""`(example, prediction, trace=None)` to a number; more is better."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric and what belongs to it.

    Attributes:
        name: for tables and program files.
        definition: what it measures, in words, for people.
        score: the number for one example.
        feedback: what was good or bad about a prediction, in words, for GEPA's reflection.
        worst, perfect: the ends of the range of `score` for one example of weight 1; a failed reply scores `worst`.
        good_enough: from this score on a prediction may be shown as a demonstration.
    """

    name: str
    definition: str
    score: ScoreFunction
    feedback: Callable[[Any, Any], str]
    worst: float
    perfect: float
    good_enough: float

    def with_feedback(self) -> Callable[..., dspy.Prediction]:
        """The metric in GEPA's form: the score with feedback in words."""

        def score(
            gold: Any, pred: Any, trace: Any = None, pred_name: str | None = None, pred_trace: Any = None
        ) -> dspy.Prediction:
            del trace, pred_name, pred_trace  # one feedback serves every predictor of a student
            return dspy.Prediction(score=self.score(gold, pred), feedback=self.feedback(gold, pred))

        return score


def agreement(example: Any, prediction: Any, trace: Any = None) -> float:
    """Whether a judge or tagger decides as the labelled case wants: `weight` if it does, minus `weight` if not.

    A good and a bad case decide alike how much: `example.weight` is the number of cases over twice the number of those of
    its class, so the mean over a set is Youden's J (sensitivity + specificity - 1, Youden 1950), which is Cohen's kappa
    where both classes are equally many. Saying yes always, or no always, earns 0; being right always earns 1. A reply that
    cannot be used is counted as wrong.

    Args:
        example: with `good`, `field`, `passing` and `weight`.
        prediction: with the label in its `field`, or `failure`.
        trace: not looked at.
    """
    del trace
    return float(example.weight if _decides_right(example, prediction) else -example.weight)


def soft_agreement(example: Any, prediction: Any, trace: Any = None) -> float | None:
    """The same by the probabilities of the labels: how much more probable the right decision was than the wrong one, weighted.

    From minus `weight` (certain of the wrong decision) to `weight`; None where the server gave no probabilities.

    Args:
        example: with `good`, `field`, `passing` and `weight`.
        prediction: with `soft`, field to `SoftRating`.
        trace: not looked at.
    """
    del trace
    soft = (prediction.get("soft", None) or {}).get(example.field)
    if soft is None:
        return None
    passes = sum(soft.probabilities[str(label)] for label in example.passing)
    return float(example.weight * (2 * passes - 1) * (1 if example.good else -1))


def agreement_feedback(example: Any, prediction: Any) -> str:
    """Whether the decision was right, the case's own reason, and what the judge said."""
    if (failure := failure_of(prediction)) is not None:
        return f"The reply could not be used: {failure}."
    said = f"The reply said {prediction[example.field]!r}: {prediction.explanation}"
    wanted = "should pass" if example.good else f"should not pass, because of this flaw: {example.reason}"
    if _decides_right(example, prediction):
        return f"Right: this one {wanted}. {said}"
    done = "was let through" if not example.good else "was rejected"
    return f"Wrong: this one {wanted}; but it {done}. {said}"


def question_yield(example: Any, prediction: Any, trace: Any = None) -> float:
    """How many of the questions asked for are worth having: the share that the judge passes, times novelty, times spread.

    Each question that passes counts its novelty: 1 less its ROUGE-L with the nearest seed's question. The sum is divided by
    the number of questions asked for, less those that the judge gave no readable verdict on, and multiplied by the spread of
    those that pass: 1 less the mean ROUGE-L of their pairs (1 for a single one). From 0 (none passes, or all are copies) to 1.

    Args:
        example: with `known`, the seeds' questions, and `count`, how many were asked for.
        prediction: with `questions` and, for each, `passed` (None without a verdict); or `failure`.
        trace: not looked at.
    """
    del trace
    if failure_of(prediction) is not None:
        return 0.0
    passed = [question for question, passes in zip(prediction.questions, prediction.passed, strict=True) if passes]
    novelty = sum(1.0 - nearest(question, example.known) for question in passed)
    judged = int(example.count) - sum(passes is None for passes in prediction.passed)
    return novelty / max(1, judged) * spread(passed)


def question_feedback(example: Any, prediction: Any) -> str:
    """Each question that is of no use with the judge's explanation or its copy among the seeds."""
    if (failure := failure_of(prediction)) is not None:
        return f"The reply could not be used: {failure}."
    lines = []
    for question, passes, said in zip(prediction.questions, prediction.passed, prediction.said, strict=True):
        if passes is None:
            lines.append(f'There was no verdict on "{question}": {said}.')
        elif not passes:
            lines.append(f'The judge rejected "{question}": {said}')
        elif nearest(question, example.known) > _NEAR:
            lines.append(f'"{question}" is nearly a copy of an example.')
    if spread(prediction.questions) < 1.0 - _NEAR:
        lines.append("The questions repeat one another.")
    count = sum(bool(passes) for passes in prediction.passed)
    return "\n".join([f"{count} of {example.count} questions passed the judge.", *lines])


def answer_quality(example: Any, prediction: Any, trace: Any = None) -> float:
    """How good an answer is: 0 if the pair judge rejects it, else the mean of its rating and the sample's score.

    Both, the rating 1..3 and the score 1..5, are stretched over 0 to 1. The answer's length has no part in it.

    Args:
        example: not looked at.
        prediction: with `passed`, `rating` and `score`; or `failure`.
        trace: not looked at.
    """
    del example, trace
    if failure_of(prediction) is not None or not prediction.passed:
        return 0.0
    return float(((prediction.rating - 1) / 2 + (prediction.score - 1) / 4) / 2)


def answer_feedback(example: Any, prediction: Any) -> str:
    """What the pair judge and the tagger said of the answer."""
    del example
    if (failure := failure_of(prediction)) is not None:
        return f"The reply could not be used: {failure}."
    verdict = "passed" if prediction.passed else "rejected"
    judge = f"The judge {verdict} the answer ({prediction.rating} of 3): {prediction.judged}"
    return f"{judge}\nAs a sample it got {prediction.score} of 5: {prediction.tagged}"


def failure_of(prediction: Any) -> str | None:
    """What was wrong with a reply that could not be used; None when it could."""
    found: str | None = prediction.get("failure", None)
    return found


def nearest(text: str, others: Sequence[str]) -> float:
    """The `alike` of a text with the most similar of others, 0 when there are none."""
    return max((alike(text, other) for other in others), default=0.0)


def alike(a: str, b: str) -> float:
    """The ROUGE-L of two texts; 1 where they are the same but for blanks and case, though neither may hold a word."""
    return 1.0 if squeezed(a) == squeezed(b) else rouge_l(a, b)


def spread(texts: Sequence[str]) -> float:
    """1 less the mean ROUGE-L of all pairs: 0 when all are the same, 1 when no two share a word, or there are no two."""
    pairs = [alike(a, b) for a, b in combinations(texts, 2)]
    return 1.0 - sum(pairs) / len(pairs) if pairs else 1.0


_NEAR = 0.7
"""From this ROUGE-L on a question is said to be nearly a copy: Self-Instruct (Wang et al. 2023) drops it there."""


def _decides_right(example: Any, prediction: Any) -> bool:
    return failure_of(prediction) is None and (prediction[example.field] in example.passing) == example.good


AGREEMENT = Metric(
    "agreement",
    "Youden's J of the accept decision on labelled cases (Cohen's kappa when good and bad are equally many): saying yes "
    "always earns 0, being right always 1; an unusable reply counts as wrong",
    agreement,
    agreement_feedback,
    worst=-1.0,
    perfect=1.0,
    good_enough=1e-6,
)
QUESTION_YIELD = Metric(
    "question yield",
    "share of the questions asked for that the judge passes, each weighted by its novelty (1 - ROUGE-L with the nearest "
    "seed), times their spread (1 - mean ROUGE-L of their pairs)",
    question_yield,
    question_feedback,
    worst=0.0,
    perfect=1.0,
    good_enough=0.5,
)
ANSWER_QUALITY = Metric(
    "answer quality",
    "0 if the pair judge rejects, else the mean of its rating (1..3) and of the sample's score (1..5), both stretched to 0..1",
    answer_quality,
    answer_feedback,
    worst=0.0,
    perfect=1.0,
    good_enough=0.7,
)
