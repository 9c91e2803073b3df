"""Students at their desk: what they ask of whom, what they make of it, second tries, failures, and what halts everything."""

import asyncio
import copy
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import dspy
import pytest

from evals.optimize.examples import examples_of
from evals.optimize.plan import limits_of, longest_prompt
from evals.optimize.students import Desk, Student, copy_prompts
from evals.optimize.targets import TARGETS, Unit
from evals.session.bridge import Halt
from evals.session.session import Session, SessionRequest
from skills_dspy.base.config import RunConfig
from skills_dspy.base.errors import ServerError, Unanswered
from skills_dspy.base.tokens import estimate_tokens
from skills_dspy.model.program import SkillsProgram
from tests.helpers.judges import JudgeServer, Sayer, within
from tests.helpers.making import a_config, a_spec, the_adapter
from tests.helpers.seeding import a_seed

T = TypeVar("T")
CONFIG = a_config()
SPEC = a_spec([*(a_seed(n) for n in range(6)), *(a_seed(n, "grounded", about="g") for n in range(6))], count=3)
EVERY = [*TARGETS["all"], *TARGETS["tag_fused"]]
JUDGE, QUESTIONS, ANSWERS = (
    TARGETS[name][0] for name in ("judge_pair_freeform", "write_questions_freeform", "write_answer_freeform")
)
PROSE = "Foxes live in woods."


def well(fields: tuple[str, ...], prompt: str) -> dict[str, Any]:
    """What is written and said when all goes well; of three questions the second is rejected."""
    bad = "<question>\nSecond" in prompt
    every = {
        "explanation": "It is vague." if bad else "It fits.",
        "rating": 0 if bad else (3 if "<answer>\nFoxes" in prompt else 1),
        "score": 4,
        "quality": "good",
        "difficulty": "easy",
        "category": "math",
        "other_categories": [],
        "questions": [" First one?", "Second one?", "Third one?\n"],
    }
    return {field: every[field] for field in fields}


class Server(JudgeServer):
    """Replies as told where JSON is asked for, and with `prose` where text is."""

    def __init__(self, say: Sayer = well, prose: str = PROSE, **more: Any) -> None:
        super().__init__(say, **more)
        self.prose = prose

    def _body(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        if payload.get("format"):
            return super()._body(payload)
        body = super()._body({**payload, "format": {"properties": {"explanation": {}}}})
        body["message"] = {"role": "assistant", "content": self.prose}
        return body


def at_desk(folder: Path, server: Server, work: Callable[[Desk], T], seed: int = 0, config: RunConfig = CONFIG) -> T:
    """What blocking work at a desk with the program's own judges gives."""

    def at_it(session: Session) -> Awaitable[T]:
        return asyncio.to_thread(work, Desk(session, SkillsProgram(3), limits_of([SPEC], config), seed, 8192))

    return within(SessionRequest(folder / "e", config), server, at_it)


def an_example(unit: Unit) -> dspy.Example:
    """The first example of its test."""
    return examples_of(unit, [SPEC], (), CONFIG, 0, (4, 4, 4)).test[0]


def predicted(folder: Path, unit: Unit, server: Server, config: RunConfig = CONFIG) -> dspy.Prediction:
    """What a unit's student makes of its first example."""
    inputs = an_example(unit).inputs()
    return at_desk(folder, server, lambda desk: Student(unit, SkillsProgram(3), desk)(**inputs), config=config)


# ---- what they make of it ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", EVERY, ids=lambda unit: unit.name)
def test_a_student_gives_what_its_metric_needs(unit: Unit, tmp_path: Path) -> None:
    """For every unit: with the inputs that each prompt takes (a wrong one is a mistake of ours), and a score with words.

    No prompt of its own steps is longer than was reckoned, by the same estimate of tokens.
    """
    server = Server()
    found = predicted(tmp_path, unit, server)
    example = an_example(unit)
    assert found.get("failure", None) is None
    assert -2 <= unit.metric.score(example, found) <= 2
    assert "fits" in unit.metric.feedback(example, found) or unit.makes == "questions"
    judged = {"labels": 0, "questions": 3, "answers": 2}[unit.makes]
    assert len(server.asked) == len(unit.steps) + judged
    most = longest_prompt(unit, SkillsProgram(3), [example], limits_of([SPEC], CONFIG))
    for payload in server.payloads[: len(unit.steps)]:
        assert estimate_tokens("".join(message["content"] for message in payload["messages"])) <= most


def test_questions_come_with_their_verdicts(tmp_path: Path) -> None:
    """Trimmed, each with whether it passed and what was said; one without a verdict has none, and the others keep theirs."""
    found = predicted(tmp_path / "a", QUESTIONS, Server())
    assert found.questions == ["First one?", "Second one?", "Third one?"]
    assert (found.passed, found.said) == ([True, False, True], ["It fits.", "It is vague.", "It fits."])
    assert found.context is None

    def mute(fields: tuple[str, ...], prompt: str) -> dict[str, Any] | str:
        return "no JSON" if "Second" in prompt and "rating" in fields else well(fields, prompt)

    assert predicted(tmp_path / "b", QUESTIONS, Server(mute)).passed == [True, None, True]


def test_grounded_questions_are_judged_with_the_context_that_was_written(tmp_path: Path) -> None:
    """Not with a seed's."""
    server = Server()
    found = predicted(tmp_path, TARGETS["write_questions_grounded"][0], server)
    assert found.context == PROSE
    assert [f"<context>\n{PROSE}" in prompt for prompt in server.prompts] == [False, True, True, True, True]


def test_residue_cannot_be_used(tmp_path: Path) -> None:
    """As in a run: it is asked for once more, and no judge sees it."""
    server = Server(prose=f"<think>Hm.</think>{PROSE}")
    found = predicted(tmp_path, ANSWERS, server)
    assert found.failure == "the reply has a block of thinking: <think>"
    assert len(server.asked) == 2


@pytest.mark.parametrize("field", ["rating", "score"])
def test_an_answer_without_a_verdict_is_a_failure_and_no_low_rating(field: str, tmp_path: Path) -> None:
    """Of the judge or of the tagger; the answer itself stays known."""

    def mute(fields: tuple[str, ...], prompt: str) -> dict[str, Any] | str:
        return "no JSON" if field in fields else well(fields, prompt)

    found = predicted(tmp_path, ANSWERS, Server(mute))
    assert "there was no verdict" in found.failure
    assert found.answer == PROSE
    assert "rating" not in found


def test_the_thresholds_of_the_configuration_decide(tmp_path: Path) -> None:
    """What passes a judge is what would pass in a run."""
    strict = a_config({"judges": {"pair_pass": [3]}})

    def middling(fields: tuple[str, ...], prompt: str) -> dict[str, Any]:
        return {**well(fields, prompt), **({"rating": 2} if "rating" in fields else {})}

    assert predicted(tmp_path / "a", ANSWERS, Server(middling)).passed is True
    assert predicted(tmp_path / "b", ANSWERS, Server(middling), strict).passed is False


# ---- second tries -----------------------------------------------------------------------------------------------------


def test_an_unreadable_reply_is_asked_for_once_more(tmp_path: Path) -> None:
    """With another sampling seed; the second one counts."""
    replies = iter(["no JSON"])
    server = Server(lambda fields, prompt: next(replies, None) or well(fields, prompt))
    assert predicted(tmp_path, TARGETS["judge_question_freeform"][0], server).rating == 1
    assert len({payload["options"]["seed"] for payload in server.payloads}) == 2


def test_two_unreadable_replies_are_a_failure(tmp_path: Path) -> None:
    """It says what was wrong; nothing is guessed, and a third time is not asked."""
    server = Server(lambda *_: '{"explanation": "x", "rating": 7}')
    found = predicted(tmp_path, JUDGE, server)
    assert "rating" in found.failure
    assert found.toDict().keys() == {"failure"}
    assert len(server.asked) == 2


def test_a_truncated_reply_gets_twice_the_room(tmp_path: Path) -> None:
    """And is a failure if that is not enough."""
    server = Server(cut=True)
    found = predicted(tmp_path, JUDGE, server)
    first, second = (payload["options"]["num_predict"] for payload in server.payloads)
    assert second == 2 * first
    assert found.failure


def test_what_the_server_cannot_answer_is_a_failure_of_one_example(tmp_path: Path) -> None:
    """Asked once, for it was asked often enough by then; the others go on, and it is counted."""

    async def never(_: int) -> None:
        raise Unanswered("The server answered 500: EOF.", "")

    server = Server(before=never)
    found = predicted(tmp_path, JUDGE, server)
    assert found.failure == "The server answered 500: EOF."
    assert len(server.asked) == 1


# ---- what halts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 2], ids=["the writer", "a judge"])
def test_a_server_that_goes_away_halts(number: int, tmp_path: Path) -> None:
    """It is no failed reply of an example, whoever was asked."""

    async def away(now: int) -> None:
        if now >= number:
            raise ServerError("the server is away")

    with pytest.raises(Halt, match="away"):
        predicted(tmp_path, ANSWERS, Server(before=away))


def test_wrong_inputs_are_a_mistake_of_ours(tmp_path: Path) -> None:
    """DSPy would take them for a bad score."""
    with pytest.raises(Halt):
        at_desk(tmp_path, Server(), lambda desk: Student(ANSWERS, SkillsProgram(3), desk)(key="k"))


# ---- what optimizers need ---------------------------------------------------------------------------------------------


def test_two_prompts_are_compared_on_the_same_draws(tmp_path: Path) -> None:
    """The sampling seeds follow from the run's seed and the example, not from the prompt."""
    other = SkillsProgram(3)
    judge = other.predictor(JUDGE.name)
    judge.signature = judge.signature.with_instructions("Judge otherwise.")
    seeds, inputs = [], an_example(JUDGE).inputs()
    for place, (program, seed) in enumerate(((SkillsProgram(3), 0), (other, 0), (other, 1))):
        server = Server()
        at_desk(tmp_path / str(place), server, lambda desk, own=program: Student(JUDGE, own, desk)(**inputs), seed)  # type: ignore[misc]
        seeds.append(server.payloads[0]["options"]["seed"])
    assert seeds[0] == seeds[1] != seeds[2]


def test_judges_do_not_stand_in_the_trace_of_a_writer(tmp_path: Path) -> None:
    """Demonstrations are made of the trace: it holds the writer's own calls alone."""
    unit = TARGETS["write_questions_grounded"][0]

    def work(desk: Desk) -> list[str]:
        student = Student(unit, SkillsProgram(3), desk)
        names = {id(predictor): name for name, predictor in student.named_predictors()}
        with dspy.context(trace=[]):
            student(**an_example(unit).inputs())
            return [names[id(predictor)] for predictor, _, _ in dspy.settings.trace]

    assert at_desk(tmp_path, Server(), work) == ["write_context", "write_questions_grounded"]


def test_copies_of_a_student_ask_at_the_same_desk_with_predictors_of_their_own(tmp_path: Path) -> None:
    """DSPy copies students all the time; the program's predictors are never touched."""
    unit, program = JUDGE, SkillsProgram(3)
    student = at_desk(tmp_path, Server(), lambda desk: Student(unit, program, desk))
    students = [student, copy.deepcopy(student), student.deepcopy(), student.reset_copy()]
    assert len({id(vars(student)["_desk"]) for student in students}) == 1
    predictors = [program.predictor(unit.name), *(student.predictors()[0] for student in students)]
    assert len({id(predictor) for predictor in predictors}) == 5


def test_what_was_compiled_goes_into_the_program(tmp_path: Path) -> None:
    """Instructions and demonstrations; the bounds of the program's own signature stay."""
    unit, program = TARGETS["write_questions_grounded"][0], SkillsProgram(2)
    student = at_desk(tmp_path, Server(), lambda desk: Student(unit, SkillsProgram(3), desk))
    for predictor in student.predictors():
        predictor.signature = predictor.signature.with_instructions("Write as foxes do.")
        predictor.demos = [dspy.Example(context="A.", questions=["B?"])]
    copy_prompts(student, program)
    for step in unit.steps:
        assert program.predictor(step).signature.instructions == "Write as foxes do."
        assert len(program.predictor(step).demos) == 1
    original = SkillsProgram(2).predictor(unit.name)
    schemas = [the_adapter().plan(each.signature).schema for each in (program.predictor(unit.name), original)]
    assert schemas[0] == schemas[1]
