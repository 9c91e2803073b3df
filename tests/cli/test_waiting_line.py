"""What a terminal shows of a request that is left waiting."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from skills_dspy.base.errors import ServerError
from skills_dspy.cli.shared.options import ServerOptions
from skills_dspy.cli.shared.sessions import open_server
from skills_dspy.model.server.server import Fault
from tests.helpers.fake_server import FakeServer
from tests.helpers.making import a_config


def test_a_request_that_is_left_waiting_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, so that nobody has to guess why the run is slow; one whose fault was said waits from its next sending on."""
    said: list[tuple[float, str]] = []
    now, failed = 0.0, asyncio.Event()

    class Choosy(FakeServer):
        def __init__(self, *_: object, on_fault: Callable[[Fault, float], None], **__: object) -> None:
            super().__init__()
            self.on_fault = on_fault

        async def chat(self, payload: Mapping[str, Any]) -> dict[str, Any]:
            nonlocal now
            if payload["number"] == 0:
                await failed.wait()
                self.on_fault(Fault(ServerError("Busy."), True), 2.0)
                await asyncio.Event().wait()
            now += 30
            return {}

    monkeypatch.setattr("skills_dspy.commands.api.server.OllamaServer", Choosy)

    async def main() -> None:
        options = ServerOptions(None, ("http://127.0.0.1:11434",), 4)
        server = open_server(
            options.connection,
            a_config(),
            lambda message, pause: said.append((now, f"{message} {pause:g}")),
            lambda line: said.append((now, line)),
            lambda: now,
        )
        left = asyncio.ensure_future(server.chat({"number": 0}))
        await asyncio.sleep(0)
        for number in range(1, 20):
            if number == 7:
                failed.set()
                await asyncio.sleep(0)
            await server.chat({"number": number})
        left.cancel()

    asyncio.run(main())
    assert said == [
        (180.0, "Busy. 2"),
        (
            450.0,
            "A request of predict has waited 4 min while the server answered 8 sent after it; if this goes on, restart the "
            "server: nothing is lost.",
        ),
    ]
