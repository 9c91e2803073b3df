"""Which verdicts and tags pass: pure functions of the labels and the configuration."""

from signatures.labels import Quality, Score
from skills_dspy.base.config import RunConfig
from skills_dspy.base.records import PairVerdict, QuestionVerdict


def question_passes(verdict: QuestionVerdict, config: RunConfig) -> bool:
    """Whether the question judge's rating lets a question through."""
    return verdict.rating in config.judges.question_pass


def pair_passes(verdict: PairVerdict, config: RunConfig) -> bool:
    """Whether the pair judge's rating lets a pair through."""
    return verdict.rating in config.judges.pair_pass


def quality_passes(quality: Quality, config: RunConfig) -> bool:
    """Whether the instruction's quality lets a question through."""
    return quality in config.filter.instruction_quality


def score_passes(score: Score, config: RunConfig) -> bool:
    """Whether the sample's score lets a pair through."""
    return score in config.filter.sample_quality
