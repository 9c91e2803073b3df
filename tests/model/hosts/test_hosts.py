"""Several hosts as one server: who dies gives its work to others, who differs is refused, who answers nonsense is left out."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from skills_dspy.base.config import ROLES, Role
from skills_dspy.base.errors import ModelMissing, RequestError, ServerError
from skills_dspy.model.hosts.call import Call
from skills_dspy.model.hosts.hosts import Hosts, agreed, introduced
from skills_dspy.model.hosts.lane import Lane
from skills_dspy.model.hosts.member import Member, OnFault
from skills_dspy.model.replies import NO_REPLY, Meter, Replies
from skills_dspy.model.server.ollama import OllamaServer
from skills_dspy.model.server.server import Fault, Model
from tests.helpers.loops import in_virtual_time
from tests.model.server.test_ollama import GOOD, settings


class Machine:
    """A host on a network of the test: its digest, how it answers, and what it was asked."""

    def __init__(self, name: str, digest: str = "d" * 64, holds: int = 3, window: int = 8192) -> None:
        self.name, self.digest, self.holds, self.window = name, digest, holds, window
        self.loads = False  # it answers 503 to everything, as one does that still loads its model
        self.seconds = 1.0
        self.hangs = self.page = False
        self.models = ["m", "judge"]
        self.away = False
        self.refuses: Callable[[str], int | None] = lambda _: None
        self.asked: list[str] = []
        self.loaded: list[str] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        """One answer, after a second."""
        if self.away:
            raise httpx.ConnectError("Connection refused", request=request)
        if self.hangs and request.url.path != "/api/chat":
            await asyncio.sleep(10_000)
        if self.page:
            return httpx.Response(200, text="<html>Welcome</html>", request=request)
        if self.loads:
            return httpx.Response(503, json={"error": "loading model"}, request=request)
        told = json.loads(await request.aread() or b"null")
        if request.url.path == "/api/chat":
            return await self._chat(request, told)
        answers: dict[str, Any] = {
            "/api/version": {"version": f"0.33.{self.name}"},
            "/api/tags": {"models": [{"model": f"{name}:latest", "digest": self.digest} for name in self.models]},
            "/api/show": {"model_info": {"llama.context_length": self.window}},
            "/api/ps": {"models": [{"model": f"{name}:latest"} for name in self.loaded]},
        }
        return httpx.Response(200, json=answers[request.url.path], request=request)

    async def _chat(self, request: httpx.Request, told: Any) -> httpx.Response:
        text = told["messages"][-1]["content"]
        await asyncio.sleep(self.seconds)
        if self.away:
            raise httpx.ReadError("reset", request=request)
        self.asked.append(text)
        if (status := self.refuses(text)) is not None:
            return httpx.Response(status, json={"error": "no"}, request=request)
        if told["model"] in self.loaded:
            self.loaded.remove(told["model"])
        self.loaded = [*self.loaded, told["model"]][-self.holds :]
        return httpx.Response(200, json=GOOD, request=request)


class Net:
    """Machines, hosts of them, and what was told."""

    def __init__(self, *machines: Machine, roles: tuple[tuple[Role, ...], ...] = (), slots: int = 1) -> None:
        self.machines, self.told, self.faults = machines, [], []  # type: tuple[Machine, ...], list[str], list[str]
        served = roles or (ROLES,) * len(machines)
        self.hosts = Hosts([self._member(m, r, slots) for m, r in zip(machines, served, strict=True)], self.told.append)
        self.meter = Meter()
        self.replies = Replies(None, self.hosts, self.hosts.slots, self.meter)

    def _member(self, machine: Machine, roles: tuple[Role, ...], slots: int) -> Member:
        def make(heard: OnFault) -> OllamaServer:
            loop = asyncio.get_running_loop()
            address = f"http://{machine.name}:11434"
            return OllamaServer(
                address, settings(), transport=httpx.MockTransport(machine), on_fault=heard, clock=loop.time, concurrency=slots
            )

        lane = Lane(slots, serves=lambda step: step != "judge" or "validator" in roles)
        return Member(make, lane, roles, frozenset({"m", "judge"}), settings(), self._fault)

    def _fault(self, fault: Fault, _: float) -> None:
        self.faults.append(str(fault.error))

    async def ask(self, text: str, step: str = "write", model: str = "m") -> dict[str, Any]:
        """One reply."""
        payload = {"model": model, "messages": [{"role": "user", "content": text}], "options": {}}
        return await self.replies.fetch(payload, Call(step, lambda: (0,)))

    async def all(self, count: int, step: str = "write") -> list[str]:
        """The hosts that answered so many."""
        return [body["host"] for body in await asyncio.gather(*(self.ask(f"{step} {n}", step) for n in range(count)))]


@in_virtual_time
async def test_a_host_that_dies_gives_its_work_to_the_others_and_comes_back() -> None:
    """Nothing is lost, nobody waits for it, it is tried again, and all of it is told once."""
    net = Net(Machine("a"), Machine("b"))
    a, b = net.machines
    await net.hosts.version()
    assert await net.all(4) == ["http://a:11434", "http://b:11434"] * 2
    a.away = True
    assert set(await net.all(4)) == {"http://b:11434"}
    a.away = False
    await asyncio.sleep(5)
    assert set(await net.all(4)) == {"http://a:11434", "http://b:11434"}
    assert len(a.asked) + len(b.asked) == 12
    await net.hosts.close()
    assert [line.partition(" ")[0] for line in net.told] == ["The", "http://a:11434"]
    assert net.told[0].endswith("Its work goes to the others, and it is tried again.")
    assert net.told[1] == "http://a:11434 answers again."
    assert net.faults == []
    assert net.meter.faults == {"http://a:11434": 1}


@in_virtual_time
async def test_when_all_are_gone_they_are_waited_for() -> None:
    """As patiently as for one; the first that is back goes on, and the requests that waited at the other go there."""
    net = Net(Machine("a"), Machine("b"))
    a, b = net.machines
    await net.hosts.version()
    a.away = b.away = True
    began = asyncio.get_running_loop().time()
    waiting = asyncio.gather(*(net.ask(f"{n}") for n in range(4)))
    await asyncio.sleep(30)
    a.away = False
    assert {body["host"] for body in await waiting} == {"http://a:11434"}
    seconds = asyncio.get_running_loop().time() - began
    a.away = True
    with pytest.raises(ServerError, match="kept failing for 100 s"):
        await net.ask("too long")
    await net.hosts.close()
    assert seconds < 45


@in_virtual_time
async def test_a_prompt_that_every_host_fails_at_is_given_up_and_they_go_on() -> None:
    """It is asked of each; the others' requests are answered meanwhile, and no host is left out for it."""
    net = Net(Machine("a"), Machine("b"))
    for machine in net.machines:
        machine.refuses = lambda text: 500 if text == "poison" else None
    bad, good = await asyncio.gather(net.ask("poison"), net.all(12))
    assert "It answers others, and this never." in bad[NO_REPLY]
    assert len(good) == 12
    assert {machine.asked.count("poison") > 0 for machine in net.machines} == {True}
    await asyncio.sleep(20)
    assert set(await net.all(4)) == {"http://a:11434", "http://b:11434"}
    await net.hosts.close()


@in_virtual_time
async def test_a_host_that_loses_the_model_is_left_out() -> None:
    """What does not pass on one host ends no run that another can finish; it is named with the reason."""
    net = Net(Machine("a"), Machine("b"))
    net.machines[0].refuses = lambda _: 404
    assert set(await net.all(6)) == {"http://b:11434"}
    await net.hosts.close()
    (told,) = net.told
    assert told.startswith("http://a:11434 is left out from now on: The model 'm' is not on the server")


@in_virtual_time
async def test_models_are_compared_by_digest() -> None:
    """Two hosts with other weights under one name are refused, naming both; the smaller window counts for both."""
    same = Net(Machine("a"), Machine("b", window=4096))
    assert (await same.hosts.model("m")).context_length == 4096
    with pytest.raises(RequestError) as raised:
        await Net(Machine("a"), Machine("b", "e" * 64)).hosts.model("m")
    assert str(raised.value) == (
        "http://a:11434 and http://b:11434 have different weights under the name m (dddddddddddd and eeeeeeeeeeee): "
        "pull the same on both, or leave one of the hosts out."
    )


@in_virtual_time
async def test_a_host_without_the_model_is_named_with_its_pull_line() -> None:
    """The line is for that host, not for the one that has it."""
    net = Net(Machine("a"), Machine("b"))
    net.machines[1].models = ["judge"]
    with pytest.raises(ModelMissing) as raised:
        await net.hosts.model("m")
    said = str(raised.value)
    assert said.startswith("The model 'm' is not on the server at http://b:11434, which has judge:latest")
    assert said.endswith("get it with: OLLAMA_HOST=http://b:11434 ollama pull m")


@in_virtual_time
async def test_a_host_that_is_away_at_the_beginning_joins_when_it_is_back() -> None:
    """If it has the same models; with others it is left out. Where a role has no other host, nothing begins."""
    for digest, joins in (("d" * 64, True), ("e" * 64, False)):
        net = Net(Machine("a"), Machine("b", digest))
        b = net.machines[1]
        b.away = True
        assert await net.hosts.version() == "0.33.a"
        await net.hosts.model("m")
        assert set(await net.all(4)) == {"http://a:11434"}
        b.away = False
        await asyncio.sleep(20)
        assert ("http://b:11434" in await net.all(4)) is joins
        assert ("other weights under the name m" in net.told[-1]) is not joins
        await net.hosts.close()
    judge = Net(Machine("a"), Machine("b"), roles=(("generator", "tagger"), ("validator",)))
    judge.machines[1].away = True
    with pytest.raises(ServerError, match="http://b:11434"):
        await judge.hosts.version()


@in_virtual_time
async def test_a_host_that_is_back_and_still_loads_is_asked_when_it_has_loaded() -> None:
    """503 to whoever asks says that it will answer; that is no request of a run that could go elsewhere."""
    net = Net(Machine("a"), Machine("b"))
    a = net.machines[0]
    await net.hosts.version()
    a.away = True
    await net.all(4)
    a.away, a.loads = False, True
    await asyncio.sleep(20)
    a.loads = False
    await asyncio.sleep(20)
    assert set(await net.all(4)) == {"http://a:11434", "http://b:11434"}
    await net.hosts.close()


@in_virtual_time
async def test_a_role_whose_only_host_is_left_out_ends_the_run() -> None:
    """Its work is not done by other weights than it began with: the error names the host, and what to do."""
    net = Net(Machine("a"), Machine("b"), roles=(ROLES, ("generator", "tagger")))
    a = net.machines[0]
    await net.hosts.version()
    await net.hosts.model("m")
    a.away = True
    await net.all(2)
    a.away, a.digest = False, "e" * 64
    await asyncio.sleep(10)
    assert set(await net.all(2)) == {"http://b:11434"}
    with pytest.raises(ServerError, match=r"^http://a:11434 was left out \(it has other weights under the name m "):
        await net.ask("x", "judge")
    await net.hosts.close()


@in_virtual_time
async def test_a_host_that_is_left_out_stays_so_and_is_named_once() -> None:
    """Also when it was away, and is tried again, while another of its requests was refused; and with many in flight."""
    net = Net(Machine("a"), Machine("b"), slots=4)
    a = net.machines[0]
    await net.hosts.version()
    a.refuses = lambda text: 401 if text != "write 0" else 502
    await net.all(8)
    a.refuses = lambda _: None
    await asyncio.sleep(20)
    assert set(await net.all(8)) == {"http://b:11434"}
    await net.hosts.close()
    (told,) = [line for line in net.told if "left out" in line]
    assert not told.endswith("..")


@pytest.mark.parametrize("others", [True, False])
@in_virtual_time
async def test_a_prompt_that_ends_whatever_host_gets_it_is_given_up(others: bool) -> None:
    """After a few rounds one host finds out whether it is the prompt, or whether it answers nobody and its patience is over."""
    net = Net(Machine("a"), Machine("b"))

    def ends(text: str) -> int | None:
        if text == "poison" or (text.startswith("Say") and not others):
            raise httpx.ReadError("reset")
        return None

    for machine in net.machines:
        machine.refuses = ends
    await net.hosts.version()
    if others:
        assert "and this never" in (await net.ask("poison"))[NO_REPLY]
    else:
        with pytest.raises(ServerError, match="kept failing"):
            await net.ask("poison")
    assert sum(machine.asked.count("poison") for machine in net.machines) < 40
    await net.hosts.close()


@in_virtual_time
async def test_nobody_waits_for_a_fast_host_that_hangs() -> None:
    """What takes longer than expected may never end: the slower host has the work then, though no slot was freed meanwhile."""
    net = Net(Machine("a"), Machine("b"), slots=2)
    a, b = net.machines
    b.seconds = 10.0
    await net.hosts.version()
    await net.all(8)
    a.seconds = 10_000.0
    began = asyncio.get_running_loop().time()
    asked = [asyncio.ensure_future(net.ask(f"{n}")) for n in range(8)]
    await asyncio.wait(asked, timeout=55)
    done = sum(one.done() for one in asked)
    for one in asked:
        one.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    await net.hosts.close()
    assert done == 6
    asyncio.get_running_loop().time() - began


@in_virtual_time
async def test_a_host_that_is_back_works_beside_its_requests_that_hang() -> None:
    """Those from before it went away do not count as the one that it gets at first."""
    net = Net(Machine("a"), Machine("b"), slots=4)
    lane = net.hosts.slots.lanes[0]
    await net.hosts.version()
    net.machines[0].seconds = 10_000.0
    hung = [asyncio.ensure_future(net.ask(f"{n}")) for n in range(4)]
    await asyncio.sleep(0.5)
    assert lane.held == 2
    net.hosts.members[0].away("It was seen to be away.")
    net.machines[0].seconds = 1.0
    await asyncio.sleep(10)
    assert "http://a:11434" in await net.all(8)
    for one in hung:
        one.cancel()
    await asyncio.gather(*hung, return_exceptions=True)
    await net.hosts.close()


@in_virtual_time
async def test_a_host_that_comes_with_a_smaller_window_is_left_out() -> None:
    """Prompts were fitted to the windows of those that were there at the beginning."""
    net = Net(Machine("a"), Machine("b", window=4096))
    net.machines[1].away = True
    await net.hosts.version()
    await net.hosts.model("m")
    net.machines[1].away = False
    await asyncio.sleep(10)
    assert set(await net.all(4)) == {"http://a:11434"}
    await net.hosts.close()
    assert "it has a smaller window for m, 4096 tokens" in net.told[-1]


@in_virtual_time
async def test_a_host_that_dies_between_version_and_models_is_away() -> None:
    """Where another has all its roles, the run begins without it."""
    net = Net(Machine("a"), Machine("b"))
    await net.hosts.version()
    net.machines[0].away = True
    await net.hosts.model("m")
    answered = set(await net.all(4))
    await net.hosts.close()
    assert answered == {"http://b:11434"}


@in_virtual_time
async def test_run_json_names_each_host() -> None:
    """Where there is one, it is named as ever."""
    two, one = await introduced(Net(Machine("a"), Machine("b")).hosts), await introduced(Net(Machine("a")).hosts)
    assert two["hosts"] == [
        {"host": f"http://{name}:11434", "version": f"0.33.{name}", "slots": 1, "roles": list(ROLES)} for name in "ab"
    ]
    assert one == {"host": "http://a:11434", "version": "0.33.a"}


@pytest.mark.parametrize(("bad", "left_out"), [(9, True), (2, False)])
@in_virtual_time
async def test_a_host_that_answers_wrongly_is_left_out(bad: int, left_out: bool) -> None:
    """When its replies are unreadable far more often than those of the others to the same steps; a few are chance."""
    net = Net(Machine("a"), Machine("b"))
    a, b = net.hosts.slots.lanes
    for _ in range(40):
        b.heard("write", readable=True)
    b.heard("write", readable=False)
    for number in range(20):
        a.heard("write", readable=number >= bad)
    told = net.told if a.limit == 0 else []
    assert bool(told) is left_out
    assert not told or told[0].startswith("http://a:11434 is left out from now on: ")


@in_virtual_time
async def test_the_room_for_models_is_learned_from_the_host() -> None:
    """One that drops a model to load another has room for one at a time; from then on it is asked model by model."""
    rooms = []
    for holds in (1, 2):
        net = Net(Machine("a", holds=holds))
        await net.ask("x", "write", "m")
        await net.ask("y", "judge", "judge")
        rooms.append(net.hosts.slots.lanes[0].room)
    assert (rooms[0], rooms[1]) == (1, None)


@in_virtual_time
async def test_a_host_that_hangs_gives_its_work_to_the_others() -> None:
    """What takes ten times as long as usual, and longer than a minute, is asked elsewhere; it comes back when it answers."""
    net = Net(Machine("a"), Machine("b"), slots=2)
    a = net.machines[0]
    await net.hosts.version()
    await net.all(8)
    a.seconds, a.hangs = 10_000.0, True
    began = asyncio.get_running_loop().time()
    assert set(await net.all(4)) == {"http://b:11434"}
    seconds = asyncio.get_running_loop().time() - began
    a.seconds, a.hangs = 1.0, False
    await asyncio.sleep(400)
    assert "http://a:11434" in await net.all(8)
    await net.hosts.close()
    assert "The server at http://a:11434 has not answered a request of write for 60 s." in net.told[0]
    assert seconds < 65


@in_virtual_time
async def test_a_slow_step_is_no_host_that_hangs() -> None:
    """However quick other steps are, and whatever this one takes before any reply to it is known; later ten times that."""
    net = Net(Machine("a"), Machine("b"), slots=4)
    await net.hosts.version()
    await net.all(8, "judge")
    for machine in net.machines:
        machine.seconds = 50.0
    await net.all(8)
    for machine in net.machines:
        machine.seconds = 400.0
    assert len(await net.all(8)) == 8
    await net.hosts.close()
    assert (net.told, net.faults, net.meter.faults) == ([], [], {})


@in_virtual_time
async def test_a_slow_reply_where_no_other_host_is_well_is_waited_for() -> None:
    """It is no fault: nobody asks again."""
    net = Net(Machine("a"), Machine("b"))
    await net.hosts.version()
    await net.all(4)
    net.machines[1].away = True
    await net.all(2)
    net.machines[0].seconds = 130.0
    assert await net.all(1) == ["http://a:11434"]
    await net.hosts.close()
    assert net.faults == []
    assert "http://a:11434" not in net.meter.faults


@in_virtual_time
async def test_nobody_is_left_out_who_cannot_be_replaced() -> None:
    """Unreadable replies of the last host that is well are better than none."""
    net = Net(Machine("a"), Machine("b"))
    a, b = net.hosts.slots.lanes
    for _ in range(40):
        b.heard("write", readable=True)
    b.limit = 0
    for _ in range(20):
        a.heard("write", readable=False)
    alone = a.well
    b.limit = 1
    a.heard("write", readable=False)
    assert (alone, a.well) == (True, False)


def test_models_without_a_digest_are_compared_by_what_is_told_of_them() -> None:
    """As llama.cpp tells parameters and size; what only one of them tells says nothing."""
    small, large = (Model("m", "", None, weights={"n_params": number, "n_vocab": 9}) for number in (135, 7000))
    with pytest.raises(RequestError, match=r"different weights under the name m \(n_params 135, n_vocab 9 and n_params 7000"):
        agreed("m", [("a", small), ("b", large)])
    assert agreed("m", [("a", small), ("b", Model("m", "", None))]) == small


@in_virtual_time
async def test_an_address_that_is_no_such_server_is_refused() -> None:
    """However many others are well: nobody would look at a line of it all night."""
    net = Net(Machine("a"), Machine("b"))
    net.machines[1].page = True
    with pytest.raises(ServerError, match=r"^What answers at http://b:11434 is no Ollama"):
        await net.hosts.version()
