"""llama.cpp in a child process: when it is started, what becomes of it, and what is said. The real one: tests/live."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import pytest

from skills_dspy.base.errors import MachineError, ModelMissing, ServerError
from skills_dspy.model.server.gguf import ModelFile
from skills_dspy.model.server.llamacpp import LlamaCppServer
from skills_dspy.model.server.server import Fault, Model, Server
from tests.helpers.loops import on_a_loop

SERVES = """
import json, sys
order = sys.stdin.readline()
open(sys.argv[1], "a").write(order)
print(json.dumps({"address": "http://127.0.0.1:%d" % (json.loads(order)["port"] or 4711)}), flush=True)
sys.stdin.read()
"""
REFUSES = """
import sys
sys.stderr.write("0.01.234.567 E llama_model_load: unknown architecture\\n0.01.234.568 E srv: exiting\\n")
print('{"error": "Failed to init server"}', flush=True)
"""
DIES = "import os; os.kill(os.getpid(), 9)"


class Speaking:
    """Who would ask the child: says where, and takes its time where it is told to."""

    def __init__(self, address: str) -> None:
        self.host = address
        self.closed = False

    async def chat(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """The address; after `after`, if the payload has it."""
        if "after" in payload:
            await payload["after"]
        return {"at": self.host}

    async def close(self) -> None:
        """Remember it."""
        self.closed = True


class Lab:
    """A LlamaCppServer whose children are stand-ins."""

    def __init__(self, folder: Path, script: str = SERVES) -> None:
        self.log, file = folder / "orders", folder / "fox.gguf"
        file.write_bytes(b"GGUF and so on")
        self.spoken: list[Speaking] = []
        self.faults: list[str] = []
        self.begun, self.told = asyncio.Event(), asyncio.Event()
        self.server = LlamaCppServer(
            ModelFile(file, "fox", 4096),
            lambda address, key: cast("Server", self._speak(address, key)),
            slots=3,
            on_fault=self._hear,
            sleep=lambda _: asyncio.sleep(0),
            command=(sys.executable, "-S", "-c", script, str(self.log)),
        )

    def _speak(self, address: str, key: str) -> Speaking:
        assert len(key) > 30
        self.spoken.append(Speaking(address))
        self.begun.set()
        return self.spoken[-1]

    def _hear(self, fault: Fault, _: float) -> None:
        assert fault.passing
        self.faults.append(str(fault.error))
        self.told.set()

    @property
    def orders(self) -> list[dict[str, Any]]:
        """What children were told to serve."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    @property
    def child(self) -> int:
        """The process that runs."""
        assert self.server._process is not None
        return self.server._process.child.pid

    async def ask(self, window: int = 1024, after: Awaitable[Any] | None = None) -> dict[str, Any]:
        """One request."""
        return await self.server.chat({"options": {"num_ctx": window}} | ({} if after is None else {"after": after}))


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Lab]:
    """Makes one, with the package said to be there."""
    monkeypatch.setattr("importlib.metadata.version", lambda _: "2026.10")
    return lambda script=SERVES: Lab(tmp_path, script)


def gone(pid: int) -> bool:
    """Whether this process has ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@on_a_loop
async def test_one_process_serves_all_requests_until_it_is_closed(lab: Callable[..., Lab]) -> None:
    """It begins with the first, has a slot for each request in flight and the window that was asked for, and is gone then."""
    made = lab()
    assert not made.log.exists()
    answers = await asyncio.gather(*(made.ask(1024) for _ in range(5)))
    assert {answer["at"] for answer in answers} == {"http://127.0.0.1:4711"}
    await made.ask(512)
    (order,) = made.orders
    assert (order["slots"], order["window"], order["name"]) == (3, 1024, "fox")
    pid = made.child
    await made.server.close()
    assert gone(pid)
    assert [spoken.closed for spoken in made.spoken] == [True]


def test_after_a_close_it_can_be_asked_on_another_loop(lab: Callable[..., Lab]) -> None:
    """`check` does that."""
    made: list[Lab] = []

    async def work() -> None:
        made[:] = made or [lab()]
        await made[0].ask()
        await made[0].server.close()

    asyncio.run(work())
    asyncio.run(work())
    assert len(made[0].orders) == 2


@on_a_loop
async def test_a_larger_window_waits_for_what_is_on_its_way(lab: Callable[..., Lab]) -> None:
    """Nothing that was asked is lost to the new start, and nobody overtakes it."""
    made, go = lab(), asyncio.Event()
    first = asyncio.create_task(made.ask(1024, go.wait()))
    await made.begun.wait()
    larger = asyncio.create_task(made.ask(2048))
    later = asyncio.create_task(made.ask(1024))
    await asyncio.sleep(0.02)
    assert not larger.done()
    assert not later.done()
    go.set()
    await asyncio.gather(first, larger, later)
    assert [order["window"] for order in made.orders] == [1024, 2048]
    await made.server.close()


@on_a_loop
async def test_a_process_that_died_is_started_again_where_it_was(lab: Callable[..., Lab]) -> None:
    """Whoever waits for an answer finds it at the same address, and it is said why it was away."""
    made = lab()
    await made.ask()
    dead = made.child
    os.kill(dead, signal.SIGKILL)
    await made.told.wait()
    while made.child == dead:  # noqa: ASYNC110 - nobody is told when it is there
        await asyncio.sleep(0.001)
    await made.ask()
    assert [order["port"] for order in made.orders] == [0, 4711]
    assert made.faults == ["llama.cpp ended (by signal 9) and is started again."]
    assert len(made.spoken) == 1
    await made.server.close()


@pytest.mark.parametrize(("script", "why"), [(REFUSES, "llama_model_load: unknown architecture"), (DIES, "by signal 9")])
@on_a_loop
async def test_a_file_that_cannot_be_served_is_one_sentence(lab: Callable[..., Lab], script: str, why: str) -> None:
    """With llama.cpp's own first reason, and what to do."""
    made = lab(script)
    with pytest.raises(ServerError) as raised:
        await made.ask(2048)
    await made.server.close()
    said = str(raised.value)
    assert f"fox.gguf ({why}); take a model file" in said
    assert "3 windows of 2048 tokens" in said


def test_the_file_is_the_only_model(lab: Callable[..., Lab]) -> None:
    """It is called like the file, and its digest is the file's."""
    server = lab().server
    assert asyncio.run(server.models()) == (Model("fox", sha256(b"GGUF and so on").hexdigest(), 4096),)
    assert [asyncio.run(server.model(name)).name for name in ("Fox", "fox.GGUF", server.host)] == ["fox"] * 3
    with pytest.raises(ModelMissing, match="is the model fox, and jay is asked for"):
        asyncio.run(server.model("jay"))


def test_without_the_package_the_line_for_pip_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is started."""
    monkeypatch.setattr("skills_dspy.model.server.llamacpp._PACKAGE", "no-such-package-at-all")
    with pytest.raises(MachineError, match=r"pip install 'skills-dspy\[llamacpp\]'"):
        Lab(tmp_path)
