"""What passes: exactly the ratings and tags that the settings name."""

from collections.abc import Callable
from typing import Any, get_args

import pytest

from signatures.labels import PairRating, Quality, QuestionRating, Score
from skills_dspy.base.config import RunConfig
from skills_dspy.base.records import PairVerdict, QuestionVerdict
from skills_dspy.pipeline.filter import pair_passes, quality_passes, question_passes, score_passes
from tests.helpers.making import a_config


def question(rating: Any, config: RunConfig) -> bool:
    """Whether a question with this rating passes."""
    return question_passes(QuestionVerdict(explanation="x", rating=rating), config)


def pair(rating: Any, config: RunConfig) -> bool:
    """Whether a pair with this rating passes."""
    return pair_passes(PairVerdict(explanation="x", rating=rating), config)


CASES = [
    pytest.param(question, QuestionRating, ("judges", "question_pass"), [1], id="question"),
    pytest.param(pair, PairRating, ("judges", "pair_pass"), [2, 3], id="pair"),
    pytest.param(quality_passes, Quality, ("filter", "instruction_quality"), ["good", "excellent"], id="quality"),
    pytest.param(score_passes, Score, ("filter", "sample_quality"), [4, 5], id="score"),
]


@pytest.mark.parametrize(("passes", "vocabulary", "key", "built_in"), CASES)
def test_what_passes(
    passes: Callable[[Any, RunConfig], bool], vocabulary: Any, key: tuple[str, str], built_in: list[Any]
) -> None:
    """The built-in settings are those of the design; any other choice of labels is followed to the label."""
    labels = get_args(vocabulary)
    assert [label for label in labels if passes(label, a_config())] == built_in
    section, name = key
    for label in labels:
        config = a_config({section: {name: [label]}})
        assert [other for other in labels if passes(other, config)] == [label]
    assert all(passes(label, a_config({section: {name: list(labels)}})) for label in labels)
