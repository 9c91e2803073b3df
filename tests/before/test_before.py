"""What a user sees is what it was before the code was moved: expected/ holds what the code of commit 6418c49 did."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.before.doing import EXPECTED, content, expected, found, materialize, normal, surroundings
from tests.before.scenarios import SCENARIOS, Scenario, outcome


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all inputs, in which every command is run."""
    folder = tmp_path_factory.mktemp("before")
    materialize(folder)
    return folder


@pytest.fixture(autouse=True)
def there(workspace: Path, clean_environment: None) -> Iterator[None]:  # noqa: ARG001 - the other fixture goes first
    """In that folder, with a terminal of a fixed width."""
    with surroundings(workspace):
        yield


def _param(scenario: Scenario) -> Any:
    loads_torch = scenario.name == "rows with vectors"
    return pytest.param(scenario, id=f"{scenario.group}: {scenario.name}", marks=[pytest.mark.torch] if loads_torch else [])


@pytest.mark.parametrize("scenario", [_param(scenario) for scenario in SCENARIOS])
def test_it_does_what_it_did_before(scenario: Scenario) -> None:
    """Each command has its exit code, its words on stdout and stderr, and its files have their bytes."""
    wanted = expected(scenario.group)[scenario.name]
    done = outcome(scenario)
    assert done["steps"] == wanted["steps"]
    assert sorted(done["files"]) == sorted(wanted["files"])
    for path in found(scenario.files):
        file = normal(str(path))
        if done["files"][file] != wanted["files"][file]:
            before = (EXPECTED / "files" / wanted["files"][file]).read_bytes().decode()
            assert content(path).split("\n") == before.split("\n"), file


def test_every_scenario_has_an_expectation_and_every_expectation_a_scenario() -> None:
    """None was lost."""
    groups = {scenario.group for scenario in SCENARIOS}
    known = [(group, name) for group in sorted(groups) for name in expected(group)]
    assert sorted(known) == sorted((scenario.group, scenario.name) for scenario in SCENARIOS)
    assert {path.stem for path in EXPECTED.glob("*.json")} == groups
