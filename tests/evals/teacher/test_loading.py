"""The simulated teacher's memory, as far as who asks for models in turn meets it, and the teacher without a socket."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest

from evals.bench import virtual_time
from evals.teacher.config import TeacherConfig
from evals.teacher.loading import ModelMemory
from evals.teacher.service import Service
from evals.teacher.transport import TeacherTransport


def answered(memory: Callable[[], ModelMemory], *requests: tuple[float, str, float]) -> list[tuple[str, float, float]]:
    """Requests of (when it comes, its model, seconds of work): model, when it was answered, and for how long it loaded."""

    async def scene() -> list[tuple[str, float, float]]:
        kept, loop, done = memory(), asyncio.get_running_loop(), []

        async def ask(at: float, model: str, seconds: float) -> None:
            await asyncio.sleep(at)
            async with kept.use(model) as loading:
                await asyncio.sleep(seconds)
            done.append((model, loop.time(), loading))

        await asyncio.gather(*(ask(*request) for request in requests))
        return done

    return virtual_time.play(scene())


def test_a_model_is_loaded_when_those_in_flight_for_the_other_have_ended() -> None:
    """And what comes behind it waits, also for the model that was there, which is dropped and loaded anew."""
    requests = ((0.0, "a", 10.0), (1.0, "b", 1.0), (2.0, "a", 1.0))
    assert answered(lambda: ModelMemory(1, 5.0), *requests) == [("a", 15.0, 5.0), ("b", 21.0, 5.0), ("a", 27.0, 5.0)]


def test_requests_for_a_model_that_is_there_are_worked_on_at_once() -> None:
    """Both models fit, so each is loaded once, one after the other."""
    requests = ((0.0, "a", 1.0), (0.0, "b", 1.0), (20.0, "b", 2.0), (21.0, "a", 1.5))
    done = answered(lambda: ModelMemory(2, 5.0), *requests)
    assert done == [("a", 6.0, 5.0), ("b", 11.0, 5.0), ("b", 22.0, 0.0), ("a", 22.5, 0.0)]


def test_the_model_not_used_longest_is_dropped() -> None:
    """Of two that are there a third takes the place of the one that was asked before the other."""

    async def scene() -> tuple[list[str], int]:
        memory = ModelMemory(2, 5.0)
        for model in ("a", "b", "a", "c"):
            async with memory.use(model):
                pass
        return memory.loaded, memory.loads

    assert virtual_time.play(scene()) == (["a", "c"], 3)


def test_one_that_leaves_while_it_waits_lets_the_next_one_load() -> None:
    """Whoever is behind it in the queue is not kept."""

    async def scene() -> float:
        memory = ModelMemory(1, 5.0)
        async with memory.use("a"):

            async def ask(model: str) -> float:
                async with memory.use(model):
                    return asyncio.get_running_loop().time()

            leaving, staying = asyncio.create_task(ask("b")), asyncio.create_task(ask("a"))
            await asyncio.sleep(1.0)
            leaving.cancel()
            await asyncio.wait([leaving])
            return await staying

    assert virtual_time.play(scene()) == 6.0


# ---- without a socket ----------------------------------------------------------------------------------------------------


def with_client(config: TeacherConfig, scene: Callable[[httpx.AsyncClient, TeacherTransport], Coroutine[Any, Any, Any]]) -> Any:
    """What a scene gives that asks a teacher, in virtual time."""

    async def main() -> Any:
        transport = TeacherTransport(Service(config))
        async with httpx.AsyncClient(transport=transport, base_url="http://a:1") as client:
            return await scene(client, transport)

    return virtual_time.play(main())


def a_chat(model: str) -> dict[str, Any]:
    """A request."""
    return {"model": model, "messages": [{"role": "user", "content": "hello"}], "options": {"seed": 0}}


def test_the_server_tells_what_is_in_memory_and_how_long_it_loaded() -> None:
    """`/api/ps` has the last used model first; a reply has the time of the load that it waited for, apart from the others."""

    async def scene(client: httpx.AsyncClient, _: TeacherTransport) -> tuple[list[list[str]], list[float]]:
        loaded, loading = [], []
        for model in ("a", "b", "b"):
            body = (await client.post("/api/chat", json=a_chat(model))).json()
            loading.append(round(body["load_duration"] / 1e9, 3))
            assert body["total_duration"] == pytest.approx(
                sum(body[f"{part}_duration"] for part in ("load", "prompt_eval", "eval")), abs=3
            )
            told = (await client.get("/api/ps")).json()["models"]
            loaded.append([model["name"] for model in told])
        return loaded, loading

    config = TeacherConfig(models=("a", "b"), holds=1, load_seconds=4.0, latency=1.0)
    assert with_client(config, scene) == ([["a:latest"], ["b:latest"], ["b:latest"]], [4.0, 4.0, 0.0])


def test_a_server_that_goes_breaks_off_and_answers_nobody_until_it_comes() -> None:
    """As a process does that was killed and is started again."""

    async def scene(client: httpx.AsyncClient, transport: TeacherTransport) -> list[str]:
        async def ask() -> str:
            try:
                return str((await client.post("/api/chat", json=a_chat("a"))).status_code)
            except httpx.TransportError as error:
                return type(error).__name__

        asking = asyncio.create_task(ask())
        await asyncio.sleep(0.5)
        transport.go()
        told = [await asking, await ask()]
        transport.come()
        return [*told, await ask()]

    assert with_client(TeacherConfig(models=("a",), latency=1.0), scene) == ["ReadError", "ConnectError", "200"]


def test_who_leaves_the_server_is_cancelled_and_not_told_of_a_fault() -> None:
    """Also where the server has gone in the same moment."""

    async def scene(client: httpx.AsyncClient, transport: TeacherTransport) -> bool:
        asking = asyncio.create_task(client.post("/api/chat", json=a_chat("a")))
        await asyncio.sleep(0.5)
        transport.go()
        asking.cancel()
        await asyncio.wait([asking])
        return asking.cancelled()

    assert with_client(TeacherConfig(models=("a",), latency=1.0), scene)
