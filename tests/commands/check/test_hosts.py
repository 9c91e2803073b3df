"""What `check` finds of several hosts, on servers that keep virtual time."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from evals.bench import virtual_time
from skills_dspy.base.config import ROLES, Role
from skills_dspy.base.errors import ServerError
from skills_dspy.commands.check.forecast import StepCost
from skills_dspy.commands.check.hosts import CheckedHost, HostSpeed, measure_hosts, seconds_of, speed_lines
from skills_dspy.commands.check.lines import Line
from skills_dspy.commands.check.memory import memory_line, swaps_of
from skills_dspy.commands.check.speed import Counts, Speed, Together
from tests.commands.check.test_measure import flight, together
from tests.helpers.making import FREEFORM, a_config, a_spec
from tests.helpers.timed_server import WRITING, TimedServer

THREE = {"validator": {"model": "j"}, "tagger": {"model": "t"}, "generator": {"model": "g"}}


def a_host(name: str, roles: tuple[Role, ...] = ROLES, tried: int = 8, **server: Any) -> CheckedHost:
    """One with a server of its own."""
    made = TimedServer(**server)
    made.host = f"http://{name}"
    return CheckedHost(made, roles, tried)


def measured(*hosts: CheckedHost) -> list[HostSpeed | Line]:
    """The speed of each."""

    async def main() -> list[HostSpeed | Line]:
        return await measure_hosts(hosts, flight(TimedServer(), config=a_config(THREE)))

    return virtual_time.play(main())


@pytest.mark.parametrize("silent", [False, True])
@pytest.mark.parametrize("slots", [1, 2, 3, 4, 5, 7, 8])
def test_the_best_slots_are_those_that_a_server_works_on(slots: int, silent: bool) -> None:
    """Found with one request alone and as many at once as are asked for."""
    assert together(TimedServer(slots=slots, tokens=500, silent=silent)).slots(8) == slots


def test_more_slots_than_are_tried_are_best_where_a_server_works_on_all_of_these() -> None:
    """Nothing says that it could not do more."""
    assert together(TimedServer(slots=64, tokens=500), 64).slots(64) == 64


@pytest.mark.parametrize(("at_once", "tokens", "slots"), [(10.0, 96, 1), (40.0, 96, 6), (13.0, 96, 6), (10.0, 12, 6)])
def test_one_slot_is_best_where_several_bring_nothing(at_once: float, tokens: int, slots: int) -> None:
    """It works on several and is no faster for it; of short replies that cannot be said."""
    assert Together(8, Counts(1, 1, 1, 1, 0, 1), 10.0, at_once, tokens, 5.0, most=6).slots(8) == slots


def test_each_host_is_measured_with_the_model_of_its_first_role() -> None:
    """All at the same time; one that breaks is a line, and the others are measured all the same."""
    judge = a_host("j", ("validator", "tagger"), 4, slots=2, tokens=500, room=1)
    broken = a_host("b", refuses=ServerError("The server at http://b is broken."))
    first, second, line = measured(a_host("g", slots=3, tokens=500, room=3), judge, broken)
    assert isinstance(first, HostSpeed)
    assert isinstance(second, HostSpeed)
    assert (first.model, first.slots, second.model, second.slots, second.together.requests) == ("g", 3, "j", 2, 4)
    assert first.power == pytest.approx(WRITING * first.together.factor)
    assert first.together.factor == pytest.approx(3 * 8 / 9, rel=0.05)
    assert dict(first.loads) == {"j": 2.0, "t": 2.0, "g": 2.0}
    assert (first.loaded, second.loaded) == (("j:latest", "t:latest", "g:latest"), ("j:latest",))
    assert line == Line("FAIL", "speed", "http://b: The server at http://b is broken.")
    said = [one.text for one in speed_lines([first, second])]
    assert said[0].startswith("http://g: g gives 38 tokens/s, asked alone and reading included, and 101 for 8 requests at once")
    assert said[1].endswith("; best with 2 in flight")
    (alone,) = speed_lines([replace(first, together=replace(first.together, at_once=first.together.alone))])
    assert alone.state == "warn"
    assert "OLLAMA_NUM_PARALLEL" in alone.text
    assert said[2] == f"2 hosts give {first.rate + second.rate:.0f} tokens/s together, each measured by itself"


def of_speed(name: str, rate: float, roles: tuple[Role, ...], model: str = "g") -> HostSpeed:
    """A host that writes half as many tokens a second alone, besides reading, and twice that with several."""
    found = Together(8, Counts(1, 1, round(rate / 2), 1, 0, 1), rate / 3, rate * 2 / 3, 96, 1)
    return HostSpeed(a_host(name, roles), model, found, 1, {}, None)


@pytest.mark.parametrize(
    ("hosts", "seconds"),
    [
        ([("a", 10.0, ROLES)], 20.0),
        ([("a", 10.0, ROLES), ("b", 30.0, ROLES)], 5.0),
        ([("a", 10.0, ("generator", "tagger")), ("b", 10.0, ("validator",))], 16.0),
        ([("a", 30.0, ("generator", "tagger")), ("b", 10.0, ("validator",))], 16 / 3),
        ([("a", 10.0, ROLES), ("b", 90.0, ("validator",))], 16.0),
    ],
)
def test_a_run_takes_as_long_as_the_roles_with_the_fewest_hosts(
    hosts: Sequence[tuple[str, float, tuple[Role, ...]]], seconds: float
) -> None:
    """A judge's host does not help the teacher."""
    costs = [StepCost("write_answer_freeform", "g", 1, 0, 160), StepCost("judge_pair_freeform", "g", 1, 0, 40)]
    assert seconds_of(costs, {"g": Speed(None, 10.0)}, [of_speed(*host) for host in hosts]) == pytest.approx(seconds)


def test_models_that_do_not_fit_together_are_named_with_their_cost() -> None:
    """What is in memory after each was asked tells; nothing is said of one model, or where the server says nothing."""
    loads = {"g": 5.0, "j": 5.5, "t": 0.0}
    assert memory_line(loads, None, 10, "a") is None
    assert memory_line({"g": 5.0}, (), 10, "a") is None
    fine = memory_line(loads, ("t:latest", "j", "G"), 10, "a")
    assert fine == Line("ok", "memory", "a holds all its models at once: g, j, t")
    line = memory_line(loads, ("g:latest", "another"), 40, "http://a")
    assert line is not None
    assert line.state == "warn"
    assert "http://a does not hold its models at once (g, j, t; after each was asked, g is in memory)" in line.text
    assert "loading one takes about 5.2 s, and a run does that about 40 times, 4 min in all" in line.text


def test_swaps_are_counted_by_batches_of_draws() -> None:
    """Each batch of open draws goes once through the models of its steps: teacher, judge, tagger, and once more."""
    specs, costs = [a_spec((FREEFORM,))], [StepCost("write_questions_freeform", "g", 0.5, 1, 1)]
    assert swaps_of(specs, a_config(THREE), costs, 64, 8) == 6 * 2
    assert swaps_of(specs, a_config(THREE), costs, 64, 8, hosts=2) == 6
    assert swaps_of(specs, a_config({"validator": {"model": "j"}}), costs, 64, 8) == 4 * 2
