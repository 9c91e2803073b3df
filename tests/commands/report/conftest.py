"""A run that all tests of reports look at."""

import pytest

from skills_dspy.store.run_dir import RunPaths
from tests.helpers.small_runs import make_run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunPaths:
    """A run of both kinds of seeds, with rejections at many stages."""
    return make_run(tmp_path_factory.mktemp("runs"), {}, wanted=4)
