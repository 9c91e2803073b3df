"""Asking a step: seeds that differ, room for the reply, and one second try."""

import asyncio
import itertools
import json
from typing import Any

import dspy
import pytest
from dspy import lm15

from skills_dspy.base.config import ROLES, Role
from skills_dspy.base.errors import MissingReply, Residue, ServerError, SkillsError, Truncated, Unreadable
from skills_dspy.base.records import SoftRating
from skills_dspy.base.residue import residue_in
from skills_dspy.model.ask import TRIES, Answer, Asker, Failed
from skills_dspy.model.hosts.call import CURRENT_CALL
from skills_dspy.model.steps import STEPS
from tests.helpers.loops import on_a_loop
from tests.helpers.making import Teacher, a_config, a_program, the_adapter

INPUTS: dict[str, Any] = {"task_description": "Foxes.", "examples": [], "question": "Why?"}
VERDICT = json.dumps({"explanation": "It asks why.", "rating": 1})
STEP = "judge_question_freeform"
LIMITS = {step: 100 + place for place, step in enumerate(STEPS)}


class Replies(Teacher):
    """A teacher that fills in the call as the real engine does, and raises what is an error among its replies."""

    def __init__(self, *replies: str | Exception) -> None:
        super().__init__(self._next)
        self._replies = iter(replies)
        self._numbers = itertools.count()

    def _next(self, _: lm15.Request) -> str:
        call = CURRENT_CALL.get()
        assert call.rank() == (4,)
        call.digest = f"digest {next(self._numbers)}"
        reply = next(self._replies)
        if isinstance(reply, SkillsError):
            call.error = reply
        if isinstance(reply, Exception):
            raise reply
        call.raw = reply
        return reply


def asker(teacher: Teacher, *, seed: int = 0, task: str = "t", config: dict[str, Any] | None = None) -> Asker:
    """An asker whose roles all ask this teacher."""
    roles = {role: a_config(config).role(role) for role in ROLES}
    return Asker(a_program(), {role: teacher.lm() for role in ROLES}, roles, LIMITS, seed, task)


def ask(asking: Asker, step: str = STEP, place: tuple[int, int] = (0, 0), inputs: dict[str, Any] | None = None) -> Answer:
    """Ask a step."""
    with dspy.context(adapter=the_adapter()):
        return asyncio.run(asking.ask(step, inputs or INPUTS, place, lambda: (4,)))


def configs(teacher: Teacher) -> list[lm15.Config]:
    """The options of the requests that the teacher got."""
    return [request.config for request in teacher.requests]


def test_an_answer() -> None:
    """Values, the text as it came, and the key of the request."""
    teacher = Replies(VERDICT)
    answer = ask(asker(teacher))
    assert answer == Answer({"explanation": "It asks why.", "rating": 1}, VERDICT, ("digest 0",))
    (config,) = configs(teacher)
    assert (config.temperature, config.max_tokens, config.top_p) == (0.15, LIMITS[STEP], None)


def test_an_answer_has_the_probabilities_of_its_own_reply() -> None:
    """Those of the reply that was used, not of one that could not be read; none where the server gave none."""
    soft = SoftRating(probabilities={"0": 0.25, "1": 0.75}, expected=0.75, mass=0.9)

    class Soft(Replies):
        """A teacher that tells probabilities, as the real engine does."""

        def _next(self, request: lm15.Request) -> str:
            reply = super()._next(request)
            CURRENT_CALL.get().soft = {"rating": soft} if reply == VERDICT else {"rating": soft, "other": soft}
            return reply

    assert ask(asker(Soft("no JSON", VERDICT))).soft == {"rating": soft}
    assert ask(asker(Replies(VERDICT))).soft == {}


def test_each_role_has_its_own_model_and_options() -> None:
    """The judge judges, the teacher writes, the tagger tags, each with its temperature; top_p is sent only if it is set."""
    teachers: dict[Role, Teacher] = {
        "generator": Replies("An answer."),
        "validator": Replies(VERDICT),
        "tagger": Replies(json.dumps({"difficulty": "easy"})),
    }
    changes = {"generator": {"temperature": 1.5, "top_p": 0.5}, "tagger": {"temperature": 0.0}}
    roles = {role: a_config(changes).role(role) for role in ROLES}
    asking = Asker(a_program(), {role: t.lm() for role, t in teachers.items()}, roles, LIMITS, 0, "t")
    about = {"task_description": "Foxes.", "question": "Why?"}
    ask(asking, STEP)
    ask(asking, "write_answer_freeform", inputs={**about, "length": "1 to 3 words", "examples": [], "avoid": None})
    ask(asking, "tag_difficulty", inputs={**about, "context": None})
    options = {role: [(c.temperature, c.top_p, c.max_tokens) for c in configs(t)] for role, t in teachers.items()}
    assert options == {
        "generator": [(1.5, 0.5, LIMITS["write_answer_freeform"])],
        "validator": [(0.15, None, LIMITS[STEP])],
        "tagger": [(0.0, None, LIMITS["tag_difficulty"])],
    }


def seed_of(**changes: Any) -> int:
    """The sampling seed of a first try."""
    options = {"seed": 0, "task": "t", "step": STEP, "place": (3, 1), **changes}
    teacher = Replies(VERDICT)
    inputs = dict(INPUTS)
    if options["step"] == "judge_question_grounded":
        inputs["context"] = "A text."
    ask(asker(teacher, seed=options["seed"], task=options["task"]), options["step"], options["place"], inputs)
    (config,) = configs(teacher)
    return int(config.seed or 0)


def test_seeds_differ_from_place_to_place() -> None:
    """Run, task, step, draw, index: each alone makes another seed, and the same place has the same again."""
    others: list[dict[str, Any]] = [
        {},
        {"seed": 1},
        {"task": "u"},
        {"step": "judge_question_grounded"},
        {"place": (4, 1)},
        {"place": (3, 2)},
        {"place": (31, -1)},
    ]
    seeds = [seed_of(**changes) for changes in others]
    assert len(set(seeds)) == len(others)
    assert seeds == [seed_of(**changes) for changes in others]
    assert all(0 <= seed < 2**31 for seed in seeds)


@pytest.mark.parametrize("bad", ["", "no JSON", VERDICT[:-1], '{"explanation": "x", "rating": 7}'])
def test_an_unreadable_reply_is_asked_for_once_more(bad: str) -> None:
    """With another seed, as the same one would give the same reply; with the same room."""
    teacher = Replies(bad, VERDICT)
    answer = ask(asker(teacher))
    assert (answer.raw, answer.digests) == (VERDICT, ("digest 0", "digest 1"))
    first, second = configs(teacher)
    assert first.seed != second.seed
    assert first.max_tokens == second.max_tokens
    assert teacher.requests[0].messages == teacher.requests[1].messages


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("", "the reply is empty"),
        (" ", "the reply is empty"),
        ("no JSON", "the reply does not fit: invalid JSON: expected ident at line 1 column 2"),
        ('{"explanation": "x", "rating": 7}', "the reply does not fit: rating: input should be 0 or 1"),
    ],
)
def test_unreadable_twice_is_a_failure(bad: str, said: str) -> None:
    """Never a verdict: it has the step, the reason, the reply as it came, and both requests."""
    teacher = Replies("{", bad)
    with pytest.raises(Failed) as caught:
        ask(asker(teacher))
    failed = caught.value
    assert len(teacher.requests) == TRIES
    assert isinstance(failed.cause, Unreadable)
    assert (failed.step, str(failed), str(failed.cause), failed.cause.raw) == (STEP, said, said, bad)
    assert failed.digests == ("digest 0", "digest 1")
    assert failed.__cause__ is failed.cause


def test_a_truncated_reply_gets_twice_the_room() -> None:
    """And another seed; the first room is what the limits say."""
    teacher = Replies(Truncated("cut", "It asks w"), VERDICT)
    assert ask(asker(teacher)).raw == VERDICT
    first, second = configs(teacher)
    assert (first.max_tokens, second.max_tokens) == (LIMITS[STEP], 2 * LIMITS[STEP])
    assert first.seed != second.seed


def test_thoughts_have_room_beside_the_text() -> None:
    """As much as the role plans for them, and twice that for a reply that was cut; the text has no more than without them."""
    rooms = []

    class Thinker(Replies):
        def _next(self, request: lm15.Request) -> str:
            rooms.append(CURRENT_CALL.get().room)
            return super()._next(request)

    for think, planned in (("low", 1024), ("unset", 2048), ("on", 300)):
        teacher = Thinker(Truncated("the reply was cut", "{"), VERDICT)
        ask(asker(teacher, config={"validator": {"think": think, "think_room": 300 if think == "on" else None}}))
        assert [config.max_tokens for config in configs(teacher)] == [LIMITS[STEP] + planned, 2 * (LIMITS[STEP] + planned)]
    assert rooms == [LIMITS[STEP], 2 * LIMITS[STEP]] * 3


def test_truncated_twice_is_a_failure() -> None:
    """With the part that came, which is not used."""
    with pytest.raises(Failed, match="cut after 7") as caught:
        ask(asker(Replies(Truncated("cut after 3", "It"), Truncated("cut after 7", "It asks"))))
    assert isinstance(caught.value.cause, Truncated)
    assert caught.value.cause.raw == "It asks"


def writer(*replies: str | Exception) -> Asker:
    """An asker that lets no residue through."""
    roles, teacher = {role: a_config().role(role) for role in ROLES}, Replies(*replies)
    return Asker(a_program(), {role: teacher.lm() for role in ROLES}, roles, LIMITS, 0, "t", residue_in)


PLAN = json.dumps({"axes": [{"name": "subject", "of": "text", "values": ["a", "b"]}]})
WRITERS: dict[str, tuple[dict[str, Any], str, str]] = {
    "write_description": ({"path": "a/b"}, "It is <think> about foxes.", "It is about foxes."),
    "plan_variety": ({}, PLAN.replace("subject", "<pad>"), PLAN),
    "write_context": ({"length": "1 word", "plan": None}, "A text.<|im_end|>", "A text."),
    "write_questions_freeform": (
        {"length": "1 word", "plan": None, "count": 5},
        json.dumps({"questions": [f"{n}?</s>" for n in range(5)]}),
        json.dumps({"questions": [*"ABCD", "How?</s>"]}),
    ),
    "write_answer_freeform": ({"length": "1 word", "question": "Why?", "avoid": None}, "User: So.", "So."),
}


@pytest.mark.parametrize("step", WRITERS)
def test_residue_is_asked_for_once_more_and_is_then_a_failure(step: str) -> None:
    """In every text that a model writes; of questions it is enough that one has none, the others are rejected one by one."""
    more, bad, good = WRITERS[step]
    inputs = {name: value for name, value in {**INPUTS, **more}.items() if name in STEPS[step].source.input_fields}
    answer = ask(writer(bad, good), step, inputs=inputs)
    assert (answer.raw, answer.digests) == (good, ("digest 0", "digest 1"))
    with pytest.raises(Failed, match=r"the reply has a .*: ") as caught:
        ask(writer(bad, bad), step, inputs=inputs)
    assert isinstance(caught.value.cause, Residue)
    assert caught.value.in_words.endswith(", twice")


def test_what_a_prompt_holds_is_no_residue_in_its_reply() -> None:
    """An answer may speak of what it was asked about."""
    inputs = {**INPUTS, "length": "1 word", "avoid": None, "question": "What does `<|im_end|>` mean?"}
    assert ask(writer("<|im_end|> ends a turn."), "write_answer_freeform", inputs=inputs).digests == ("digest 0",)


def test_a_recording_from_before_residue_was_asked_for_again_answers_all_the_same() -> None:
    """The first one decides. Of what else it lacks nothing is known, nor where the run did ask again."""
    inputs = {**INPUTS, "length": "1 word", "avoid": None}
    with pytest.raises(Failed) as caught:
        ask(writer("So.</s>", MissingReply("none")), "write_answer_freeform", inputs=inputs)
    assert (caught.value.digests, caught.value.in_words) == (("digest 0",), "the reply has a token of a chat template: </s>")
    with pytest.raises(MissingReply):
        ask(writer("", MissingReply("none")), "write_answer_freeform", inputs=inputs)
    with pytest.raises(MissingReply):
        ask(writer("So.</s>", MissingReply("none", insists=True)), "write_answer_freeform", inputs=inputs)


def test_no_json_says_what_stands_around_it() -> None:
    """A judge that thinks aloud is told from one that cannot write JSON."""
    with pytest.raises(Failed, match=r"invalid JSON: .*, and has a block of thinking: <think>"):
        ask(writer(*(2 * [f"<think>Hm.</think>{VERDICT}"])))


def test_our_errors_end_the_run_as_ours() -> None:
    """They come out as they were raised, and nothing is asked again."""
    gone = ServerError("The server is gone.")
    teacher = Replies(gone)
    with pytest.raises(ServerError) as caught:
        ask(asker(teacher))
    assert caught.value is gone
    assert len(teacher.requests) == 1


def test_errors_that_are_not_ours_are_bugs() -> None:
    """They are not swallowed, not renamed and not asked again."""
    teacher = Replies(RuntimeError("a bug"))
    with pytest.raises(RuntimeError, match="a bug"):
        ask(asker(teacher))
    assert len(teacher.requests) == 1


@on_a_loop
async def test_calls_at_once_do_not_mix() -> None:
    """Each has its own call, whatever the order of replies; afterwards there is none."""

    def reply(request: lm15.Request) -> str:
        call = CURRENT_CALL.get()
        call.raw = call.digest = request.messages[0].text.split("<question>\n")[1].split("\n")[0]
        return VERDICT

    asking = asker(Teacher(reply))
    waiting = [asking.ask(STEP, {**INPUTS, "question": f"Q{n}"}, (n, 0), lambda: (0,)) for n in range(10)]
    with dspy.context(adapter=the_adapter()):
        answers = list(await asyncio.gather(*waiting))
    assert CURRENT_CALL.get(None) is None
    assert [answer.raw for answer in answers] == [f"Q{n}" for n in range(10)]
