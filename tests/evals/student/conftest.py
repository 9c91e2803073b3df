"""A student of random weights for the tests of what is done with one."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from evals.student.model import LoadedStudent, load_student
from tests.helpers.tiny_student import one_thread, write_student


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the student lies."""
    with warnings.catch_warnings(), one_thread():
        warnings.simplefilter("ignore")
        yield write_student(tmp_path_factory.mktemp("student"))


@pytest.fixture(scope="module")
def student(folder: Path) -> LoadedStudent:
    """Loaded once."""
    return load_student(str(folder), "cpu")
