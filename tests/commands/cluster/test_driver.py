"""Runs on a cluster, on a stand-in for one: the same bytes, summary and exit code; machines that fail; an end in good order."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from skills_dspy.base.errors import ModelMissing, ServerError, WorkerLost
from skills_dspy.commands.cluster.news import News
from skills_dspy.store.run_dir import taken
from skills_dspy.store.shared_folder import look_for
from tests.commands.cluster.machines import Machines, rows
from tests.helpers.fake_server import FakeServer
from tests.helpers.terminal import Said, Terminal

NAMES = [f"test/task-{number}" for number in range(3)]


@pytest.fixture
def machines() -> Machines:
    """Two of them."""
    return Machines()


@pytest.fixture
def cluster(terminal: Terminal, machines: Machines, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal whose Ray cluster is the stand-in, and workers that tell something every few milliseconds."""

    @contextmanager
    def connected(address: str, _: Any) -> Iterator[Machines]:
        assert address == "auto"
        yield machines

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("skills_dspy.commands.cluster.ray_cluster.connected", connected)
    monkeypatch.setattr("skills_dspy.commands.cluster.work._EVERY", 0.002)
    return terminal


def run(terminal: Terminal, folder: str, *words: object, names: list[str] = NAMES) -> Said:
    """Two pairs for each of a few tasks."""
    tasks = [terminal.task(name) for name in names]
    return terminal.type("run", "--task-paths", *tasks, "-n", 2, "--output-dir", folder, *words)


def statuses(said: Said) -> dict[str, str]:
    """How each task has ended, as `--json` says it."""
    return {task["task_name"]: task["status"] for task in json.loads(said.out)["tasks"]}


async def slowly(_: int) -> None:
    """What a server does before each reply, so that there is time to disturb it."""
    await asyncio.sleep(0.002)


def summary(said: Said, folder: str) -> str:
    """What was printed, but for the folder, and for what chance decides in any run: how much was asked ahead."""
    text = said.out.replace(folder, "FOLDER")
    return re.sub(r'Cost: .*|"(calls|\w*tokens\w*|duration\w*|seconds)": .*', "", text)


@pytest.mark.parametrize("as_json", [False, True])
def test_a_run_on_a_cluster_is_the_plain_run(cluster: Terminal, machines: Machines, as_json: bool) -> None:
    """The bytes of all rows, the summary and the exit code; each machine has had some of the tasks, each task was done once."""
    words = ("--quiet", *(["--json"] if as_json else []))
    plain, away = run(cluster, "here", *words), run(cluster, "away", *words, "--executor", "ray")
    assert (plain.code, away.code, away.err) == (0, 0, "")
    assert summary(away, "away") == summary(plain, "here")
    assert rows(Path("away")) == rows(Path("here"))
    assert len(rows(Path("away"))) == 2 * len(NAMES)
    assert {machine for machine, _ in machines.batches} == {"node-0", "node-1"}
    assert sorted(name for _, names in machines.batches for name in names) == NAMES
    assert not [path for path in Path("away").iterdir() if path.name != "test"]  # nor is the token left


def test_a_run_on_a_cluster_tells_how_far_all_tasks_are(cluster: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """One display for the tasks of all workers, with the requests in flight of all together."""
    monkeypatch.setattr("skills_dspy.cli.progress._LINE_EVERY", 0.0)
    said = run(cluster, "away", "--executor", "ray", "--concurrency", 3)
    assert said.code == 0
    assert all(f"{name}: " in said.err for name in NAMES)
    assert " in flight" in said.err


def test_machines_get_many_tasks_first_and_few_at_the_end(cluster: Terminal, machines: Machines) -> None:
    """So that no worker begins anew for each task, and all end at about one time."""
    names = [f"test/task-{number:02}" for number in range(8)]
    assert run(cluster, "away", "--quiet", "--executor", "ray", names=names).code == 0
    sizes = [len(batch) for _, batch in machines.batches]
    assert sizes[:2] == [2, 2]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == 1


def test_a_task_that_fails_for_itself_leaves_the_others_alone(cluster: Terminal) -> None:
    """It is told as in a plain run, and the exit code is the same."""
    with taken(Path("away"), NAMES[1]):
        said = run(cluster, "away", "--executor", "ray", "--json")
    assert said.code == 1
    ended = statuses(said)
    assert ended.pop(NAMES[1]).startswith("failed: another run (pid ")
    assert set(ended.values()) == {"complete"}
    assert said.err.count("failed: another run") == 1


def test_a_task_that_is_alone_and_fails_ends_the_run(cluster: Terminal) -> None:
    """With one sentence."""
    with taken(Path("away"), NAMES[0]):
        said = run(cluster, "away", "--executor", "ray", names=NAMES[:1])
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: another run (pid ")


def test_tasks_whose_worker_died_again_and_again_fail_and_the_others_go_on(cluster: Terminal, machines: Machines) -> None:
    """Each says why; what they have stays."""
    machines.lost[0] = WorkerLost("the worker of this task died 4 times")
    said = run(cluster, "away", "--executor", "ray", "--quiet", "--json")
    assert said.code == 1
    lost = machines.batches[0][1]
    assert {name: status for name, status in statuses(said).items() if status != "complete"} == dict.fromkeys(
        lost, "failed: the worker of this task died 4 times"
    )


@pytest.mark.parametrize("error", [ServerError("Nobody answers at 127.0.0.1."), ModelMissing("It lacks the model.")])
def test_a_machine_whose_server_fails_is_left_out(cluster: Terminal, machines: Machines, error: Exception) -> None:
    """Its tasks go to the other machine, and all are done."""
    machines.lost[1] = error  # type: ignore[assignment]
    said = run(cluster, "away", "--quiet", "--executor", "ray")
    assert said.code == 0
    assert said.err == f"warning: Node 1 is left out, and its tasks go to other machines: {error}\n"
    assert [machine for machine, _ in machines.batches].count("node-1") == 1
    assert len(rows(Path("away"))) == 2 * len(NAMES)


def test_a_run_that_is_begun_anew_is_set_aside_once(cluster: Terminal, machines: Machines) -> None:
    """Where a machine fails in the middle the other goes on with what it had begun, and does not begin it anew once more."""

    assert run(cluster, "away", "--quiet").code == 0
    cluster.make_server = lambda: FakeServer(before=slowly)
    machines.broken[0] = ServerError("Nobody answers.")
    assert run(cluster, "away", "--quiet", "--executor", "ray", "--restart").code == 0
    assert [order.request.restart for order in machines.orders].count(False) == 1
    assert len(list(Path("away/test").glob("*.old-*"))) == len(NAMES)


def test_without_any_machine_that_works_the_run_ends_with_the_server_s_error(cluster: Terminal, machines: Machines) -> None:
    """As it would here."""
    machines.lost = {0: ServerError("Nobody answers."), 1: ServerError("Nobody answers.")}
    said = run(cluster, "away", "--quiet", "--executor", "ray")
    assert (said.code, said.err.splitlines()[-1]) == (2, "error: Nobody answers.")


def test_a_cluster_without_a_machine_is_refused(cluster: Terminal, machines: Machines) -> None:
    """A head node alone may have no processor for others."""
    machines.count = 0
    said = run(cluster, "away", "--executor", "ray")
    assert (said.code, said.out) == (2, "")
    assert said.err == "error: the cluster has no machine that can work: `ray status` shows what it has\n"


def test_a_worker_that_does_not_see_the_output_folder_ends_the_run(cluster: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks for the driver's token before anything else, and makes nothing where it is."""
    elsewhere = Path.cwd() / "elsewhere"
    monkeypatch.setattr("skills_dspy.commands.cluster.work.look_for", lambda _, *rest: look_for(elsewhere, *rest))
    said = run(cluster, "away", "--executor", "ray")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: the worker on node-")
    assert f"does not see the folder {elsewhere} of this machine: give an --output-dir that is" in said.err
    assert not list(Path("away").iterdir())


def test_workers_of_a_cluster_that_is_gone_are_not_waited_for_long(
    cluster: Terminal, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody may hear of the end, and Ray soon ends the program: the sentence comes before that."""

    async def stuck(_: object = None) -> None:
        await asyncio.Event().wait()

    async def deaf() -> None:
        pass

    def named() -> Mapping[str, str]:
        if machines.batches:
            raise WorkerLost("the Ray cluster is gone")
        return Machines.machines(machines)

    cluster.make_server = lambda: FakeServer(before=stuck)
    for what, stand_in in (("machines", named), ("stop", deaf)):
        monkeypatch.setattr(machines, what, stand_in)
    monkeypatch.setattr("skills_dspy.commands.cluster.driver._LEAVING_LOST", 0.01)
    said = run(cluster, "away", "--quiet", "--executor", "ray")
    assert (said.code, said.err.strip()) == (2, "error: the Ray cluster is gone")


def test_an_interrupted_run_ends_in_good_order(cluster: Terminal, machines: Machines) -> None:
    """All workers write what they have; the same command goes on, and ends with the bytes of a run that nothing disturbed."""

    signals: list[int] = []  # one: another would meet the run that goes on

    def interrupt(_: int, news: News) -> None:
        if any(told["run"].funnel.accepted for told in news.tasks.values()) and not signals:
            signals.append(signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)

    machines.on_news = interrupt
    cluster.make_server = lambda: FakeServer(before=slowly)
    first = run(cluster, "away", "--quiet", "--executor", "ray")
    assert first.code == 130
    assert first.err.startswith("Interrupted; everything is kept (")
    noted = {json.loads(path.read_bytes())["status"] for path in Path("away").rglob("run.json")}
    assert "interrupted" in noted
    assert "running" not in noted
    machines.stopped, machines.on_news = False, lambda *_: None
    assert run(cluster, "away", "--quiet", "--executor", "ray").code == 0
    assert run(cluster, "plain", "--quiet").code == 0
    assert rows(Path("away")) == rows(Path("plain"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--ray-address", "a:6379"), "--ray-address says where a Ray cluster is, and is of use with --executor ray only"),
        (("--executor", "ray", "--replay", "demo"), "a replay asks no server, so there is nothing to share out"),
        (("--executor", "ray", "--llamacpp", "m.gguf"), "--llamacpp starts a server on this machine, and --executor ray asks"),
    ],
)
def test_what_does_not_go_with_a_cluster_is_refused(terminal: Terminal, words: tuple[str, ...], said: str) -> None:
    """In one sentence, before anything is looked for."""
    refused = terminal.run("--task-paths", terminal.task(), *words)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith(f"error: {said}")
    assert refused.err.count("\n") == 1


def test_without_ray_it_is_said_how_to_install_it(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else is needed for `run` as it is without."""
    monkeypatch.setitem(sys.modules, "ray", None)
    said = terminal.run("--task-paths", terminal.task(), "--executor", "ray")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: --executor ray needs Ray, which is not installed here (")
    assert said.err.endswith("): pip install 'skills-dspy[ray]'\n")
    assert not terminal.output.exists()


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A stand-in for the package, which finds no cluster."""

    def init(*_: object, **__: object) -> None:
        raise ConnectionError("Could not find any running Ray instance.\nA second line.")

    module = ModuleType("ray")
    module.init, module.shutdown = init, lambda: None  # type: ignore[attr-defined]
    for name in ("cloudpickle", "exceptions", "util", "util.scheduling_strategies"):
        part = ModuleType(f"ray.{name}")
        part.RayError = OSError  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, f"ray.{name}", part)
        setattr(module, name, part)
    monkeypatch.setitem(sys.modules, "ray", module)
    monkeypatch.setattr("skills_dspy.commands.cluster.ray_cluster._QUIET", {})
    return module


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            (),
            "no Ray cluster is reachable on this machine (Could not find any running Ray instance.); begin one with `ray start",
        ),
        (("--ray-address", "127.0.0.1:9"), "no Ray cluster is reachable at 127.0.0.1:9 ("),
        (("--ray-address", "ray://127.0.0.1:9"), "ray://127.0.0.1:9 is for programs outside of a cluster"),
        (("--ray-address", "http://a:8265"), "http://a:8265 is no address of a Ray cluster: write it like 10.0.0.1:6379"),
        (("--ray-address", "somewhere"), "somewhere is no address of a Ray cluster: write it like 10.0.0.1:6379"),
    ],
)
@pytest.mark.usefixtures("ray")
@pytest.mark.block_network(allowed_hosts=["127.0.0.1"])
def test_a_cluster_that_is_not_reachable_is_named(terminal: Terminal, words: tuple[str, ...], said: str) -> None:
    """At once, in one sentence."""
    refused = terminal.run("--task-paths", terminal.task(), "--executor", "ray", *words)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith(f"error: {said}")
    assert refused.err.count("\n") == 1
    assert not terminal.output.exists()
