"""The real taxonomy's files as one run against the stand-in for the server: each task ends with its pairs, or says why not."""

import re
from pathlib import Path

import pytest

from evals.teacher.config import TeacherConfig
from skills_dspy.model.description import undescribed
from skills_dspy.tasks.files import load_tasks
from skills_dspy.tasks.spec import TaskSpec
from tests.helpers.fake_server import FakeServer
from tests.run.test_runner import Going, Ran

TAXONOMY = Path(__file__).resolve().parents[3] / "shared" / "corpora" / "taxonomy"
if not TAXONOMY.is_dir():
    TAXONOMY = Path("/work/shared/corpora/taxonomy")
pytestmark = pytest.mark.skipif(not TAXONOMY.is_dir(), reason="the corpora are not on this machine")

WANTED = 2
STOPPED = re.compile(
    r"stopped: \d+ draws (in a row gave no accepted pair \(draws\.max_stalled\)|were made \(draws\.max_draws\))"
)
BLANK = re.compile(r"<(\w+)>\s*</\1>")
EVERY_FAULT = TeacherConfig(
    pass_rate=0.8,
    duplicate_rate=0.3,
    faults=(("unreadable", 0.05), ("truncated", 0.05), ("bad-label", 0.05)),
)


@pytest.fixture(scope="module")
def specs() -> tuple[TaskSpec, ...]:
    """All tasks of all sixteen files."""
    loaded = load_tasks([TAXONOMY])
    assert not loaded.broken
    assert not loaded.skipped
    return loaded.specs


@pytest.fixture(scope="module")
def going(specs: tuple[TaskSpec, ...], tmp_path_factory: pytest.TempPathFactory) -> Going:
    """One run of all of them."""
    return Going(tmp_path_factory.mktemp("corpora"), specs, wanted=WANTED, concurrency=8)


@pytest.fixture(scope="module")
def ran(going: Going) -> Ran:
    """The run, ended."""
    return going.go()


def test_every_task_of_every_file_ends_with_its_pairs(going: Going, ran: Ran, specs: tuple[TaskSpec, ...]) -> None:
    """Sixteen files are 23 tasks, and each has exactly N accepted pairs in the kind of its seeds; the counts balance."""
    assert len({spec.path for spec in specs}) == 16
    assert [task.spec.task_name for task in ran.tasks] == [spec.task_name for spec in specs]
    assert len(specs) == 23
    for task in ran.tasks:
        accepted, rejected = going.rows(task.spec)
        assert (task.status, len(accepted)) == ("complete", WANTED)
        assert task.run.funnel.candidates == len(accepted) + len(rejected)
        kinds = {seed.context is None for seed in task.spec.seed_examples}
        assert {row.context is None for row in accepted} <= kinds
        assert going.run_json(task.spec)["status"] == "complete"


def test_blank_descriptions_are_derived_and_kept(going: Going, ran: Ran) -> None:
    """Each blank one by one call of its own; it is in run.json and in every row; a written one is nowhere derived."""
    blank = [task for task in ran.tasks if undescribed(task.spec)]
    assert blank
    asked = [prompt for prompt in ran.server.prompts if "<path>\n" in prompt]
    for task in ran.tasks:
        kept = going.run_json(task.spec)
        accepted, _ = going.rows(task.spec)
        if task in blank:
            assert kept["derived_description"] == task.description
            assert sum(f"<path>\n{task.spec.task_name}\n</path>" in prompt for prompt in asked) == 1
            assert {row.task_description for row in accepted} == {task.description}
            assert task.description is not None
            assert task.description.strip()
        else:
            assert "derived_description" not in kept
            assert {row.task_description for row in accepted} == {task.spec.task_description}
    assert len(asked) == len(blank)


def test_nothing_blank_is_ever_sent(ran: Ran) -> None:
    """No field of any prompt of the run is without text."""
    assert len(ran.server.prompts) > 23 * WANTED * 5
    assert BLANK.search("<question>\n \n</question>")
    assert [prompt for prompt in ran.server.prompts if BLANK.search(prompt)] == []


def test_what_stops_short_says_by_which_limit(specs: tuple[TaskSpec, ...], tmp_path: Path) -> None:
    """With faulty replies and few draws each fourth task has its N pairs, or its status says what stopped it."""
    limits = {"draws": {"max_stalled": 2, "max_draws": 3, "window": 2}}
    going = Going(tmp_path, specs[::4], wanted=3, concurrency=8, config=limits)
    ran = going.go(FakeServer(EVERY_FAULT))
    for task in ran.tasks:
        accepted, rejected = going.rows(task.spec)
        kept = going.run_json(task.spec)
        assert kept["status"] == task.status
        if task.error is not None:
            assert task.status == f"failed: {task.error}"
            assert "description" in str(task.error)
            assert not accepted
            assert not rejected
        elif task.status == "complete":
            assert len(accepted) == 3
        else:
            assert STOPPED.fullmatch(task.status), task.status
            assert len(accepted) < 3
            assert kept["result"]["funnel"]["rejected"]
    assert {task.status.partition(":")[0] for task in ran.tasks} >= {"complete", "stopped"}
