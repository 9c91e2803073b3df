"""Seeds rated by the judges before a run: who is asked what, and what is said of those that fail."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from skills_dspy.base.errors import ServerError
from skills_dspy.base.records import SeedExample
from skills_dspy.commands.check.seeds import RatedSeeds, closing_line, questions_about, rate_seeds
from tests.helpers.making import FREEFORM, a_config, a_spec
from tests.helpers.timed_server import Payload, TimedServer, rating

WINDOWS: Mapping[Any, int] = {"generator": 4096, "validator": 4096, "tagger": 4096}
SUM = SeedExample(question="What is 2 + 2?", answer="It is 5.", line=9)
HARE = SeedExample(question="What is a hare?", answer="An animal, too.", line=12)
TEXTS = tuple(
    SeedExample(question=f"Who runs {where}?", answer="The fox.", context=context, line=20 + line)
    for line, (where, context) in enumerate([("fast", "A fox runs."), ("far", "A fox runs."), ("home", "A stoat runs.")])
)


def asked_of(payload: Payload) -> str:
    """The prompt's own part."""
    return str(payload["messages"][-1]["content"])


def judging(payload: Payload) -> str:
    """Everything is fine but for a sum and a text about a stoat; of one question nothing can be read."""
    about = asked_of(payload).rpartition("</examples>")[2]
    if "Who runs far?" in about and "<answer>" not in about:
        return "no JSON"
    bad = "It is 5." in about or ("stoat" in about and "<question>" not in about)
    return rating(payload, best=not bad, why="The sum\nis wrong." if bad else "Right.")


def rate(*seeds: SeedExample, reply: Any = judging, **spec: Any) -> tuple[RatedSeeds, TimedServer]:
    """What is said of some seeds, and the server that was asked."""
    server = TimedServer(timed=False, reply=reply)
    (rated,) = asyncio.run(rate_seeds([a_spec(seeds, **spec)], a_config(), server, WINDOWS, 4))
    return rated, server


def test_a_seed_that_fails_is_named_with_its_judge_and_the_reason() -> None:
    """One line for each verdict against it, and the others count as good."""
    rated, server = rate(FREEFORM, SUM, HARE)
    assert list(rated.lines()) == [
        "tasks/foxes.yaml:9: judge_pair_freeform says 1 (passing: 2, 3): The sum is wrong.",
        "tasks/foxes.yaml:9: tag_sample_quality says 1 (passing: 4, 5): The sum is wrong.",
    ]
    assert [rated.passes(place) for place in range(3)] == [True, False, True]
    assert closing_line([rated]) == "2 of 3 seeds pass"
    assert len(server.payloads) == 9


def test_a_judge_sees_the_other_seeds_and_never_the_one_that_it_rates() -> None:
    """As in a run, where nothing that is rated stands among the examples."""
    _, server = rate(FREEFORM, SUM, HARE)
    for prompt in map(asked_of, server.payloads):
        examples, _, about = prompt.rpartition("</examples>")
        (rated,) = [seed for seed in (FREEFORM, SUM, HARE) if seed.question in about]
        assert rated.question not in examples
        assert all(seed.question in examples for seed in (FREEFORM, SUM, HARE) if seed is not rated)


def test_a_context_is_rated_once_and_counts_for_all_its_seeds() -> None:
    """What nobody could read is no rejection, but no pass either."""
    rated, _ = rate(*TEXTS)
    unjudged, failed = rated.lines()
    assert unjudged.startswith("tasks/foxes.yaml:21: judge_question_grounded is unjudged: ")
    assert unjudged.endswith(", twice")
    assert failed == "tasks/foxes.yaml:22: judge_context says 0 (passing: 1): The sum is wrong."
    assert [rated.passes(place) for place in range(3)] == [True, None, False]
    assert closing_line([rated]) == "1 of 3 seeds pass, 1 unjudged"
    assert [question.places for question, _ in rated.said if question.step.name == "judge_context"] == [(0, 1), (2,)]
    shared, _ = rate(*TEXTS[:2], reply=lambda payload: judging(payload).replace('"rating": 1', '"rating": 0'))
    assert "tasks/foxes.yaml:20: judge_context (the same in 2 seeds) says 0 (passing: 1): Right." in list(shared.lines())


def test_a_single_seed_is_shown_itself_and_that_is_said() -> None:
    """There is nothing else to show."""
    rated, server = rate(FREEFORM)
    (line,) = rated.lines()
    judges = "judge_question_freeform, judge_pair_freeform, tag_sample_quality"
    assert line.startswith(f"tasks/foxes.yaml:7: {judges} saw this itself as the example")
    assert rated.passes(0) is True
    assert all(question.examples == (FREEFORM,) for question in questions_about(rated.spec, rated.config))
    assert len(server.payloads) == 3


def test_a_blank_description_is_derived_first() -> None:
    """The judges are told what a run would tell them."""
    rated, server = rate(
        FREEFORM, HARE, description=" ", reply=lambda asked: judging(asked) if "format" in asked else "Beasts."
    )
    assert rated.spec.task_description == "Beasts."
    assert all("Beasts." in asked_of(payload) for payload in server.payloads[1:])


def test_all_verdicts_can_be_had_as_json() -> None:
    """Seed by seed, with what the line cuts off."""
    rated, _ = rate(FREEFORM, SUM)
    content = rated.as_json()
    assert (content["task"], content["file"]) == ("test/foxes", "tasks/foxes.yaml")
    assert [(seed["seed"], seed["line"], seed["passes"]) for seed in content["seeds"]] == [
        ("seed:0", 7, True),
        ("seed:1", 9, False),
    ]
    assert content["seeds"][1]["verdicts"][1] == {
        "step": "judge_pair_freeform",
        "label": 1,
        "passes": False,
        "explanation": "The sum\nis wrong.",
        "failure": None,
        "alone": False,
    }


def test_a_server_that_breaks_ends_it() -> None:
    """With its own sentence, not a group of errors."""
    with pytest.raises(ServerError, match="it kept failing"):
        asyncio.run(
            rate_seeds([a_spec([FREEFORM])], a_config(), TimedServer(refuses=ServerError("it kept failing")), WINDOWS, 4)
        )


def test_fused_or_not_the_same_is_asked() -> None:
    """The tag of the instruction, which both have, is no judge of seeds."""
    steps = [
        {question.step.name for question in questions_about(a_spec(TEXTS), a_config({"tagging": tagging}))}
        for tagging in ("separate", "fused")
    ]
    assert steps == [{"judge_context", "judge_question_grounded", "judge_pair_grounded", "tag_sample_quality"}] * 2
