"""The map of diversity: what lies near on it, and how much of the truth it says that it shows."""

import numpy as np

from skills_dspy.commands.report.diversity import _principal
from tests.helpers.scored import around


def test_groups_lie_apart_and_their_members_together() -> None:
    """Whether there are fewer texts than dimensions or more; the numbers are the same but for the last digits.

    On each axis what is farthest from the middle is above it, whichever way the axis was found.
    """
    vectors = around(*[0] * 20, *[1] * 20, *[2] * 20, spread=0.02)
    few, shown = _principal(vectors)
    many, shown_of_many = _principal(np.vstack([vectors, vectors, vectors]))
    np.testing.assert_allclose(many[:60], few, atol=1e-6)
    assert abs(shown - shown_of_many) < 1e-9
    assert shown > 0.9
    for places in (few, many, _principal(-np.vstack([vectors, vectors, vectors]))[0]):  # as may be on another machine
        assert (places[np.abs(places).argmax(axis=0), [0, 1]] > 0).all()
    groups = few.reshape(3, 20, 2)
    middles = groups.mean(axis=1)
    assert np.abs(groups - middles[:, None]).max() < 0.2
    assert min(float(np.linalg.norm(middles[one] - middles[other])) for one, other in ((0, 1), (0, 2), (1, 2))) > 0.8


def test_texts_that_are_all_the_same_lie_on_one_point() -> None:
    """And the map says that there is nothing to show."""
    places, shown = _principal(around(0, 0, 0))
    assert not places.any()
    assert shown == 0.0
