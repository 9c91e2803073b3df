"""The model, and the two doors to it; each is opened once."""

from collections.abc import Iterator

import pytest

from evals.record.live import small_model
from skills_dspy.model.server.gguf import ModelFile, read_model_file
from tests.live.doors import Door, Served, http, model_file_alone


@pytest.fixture(scope="session")
def model_file() -> ModelFile:
    """SmolLM2-135M-Instruct, which lies in a package of its own."""
    return read_model_file(small_model())


@pytest.fixture(scope="session")
def served(model_file: ModelFile) -> Iterator[Served]:
    """A server that is there before the program."""
    served = Served(model_file)
    yield served
    served.kill()


@pytest.fixture(scope="session", params=["http", "llamacpp"])
def door(request: pytest.FixtureRequest, model_file: ModelFile) -> Door:
    """One of the two."""
    if request.param == "http":
        return http(model_file, request.getfixturevalue("served"))
    return model_file_alone(model_file)
