"""The heeding teacher: a simulation whose replies get better with the prompt, deterministic and as its table says."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import combinations
from random import Random
from typing import Any

import dspy
import pytest
from click.testing import CliRunner
from gepa.strategies.instruction_proposal import InstructionProposalSignature
from hypothesis import given
from hypothesis import strategies as st

import evals.teacher.serve
from evals.judges.cases import SHIPPED, Case, load_cases
from evals.judges.scales import SCALES, passing
from evals.optimize.metrics import AGREEMENT
from evals.teacher import heed_judging, heed_writing, wire
from evals.teacher.config import Heeding, TeacherConfig
from evals.teacher.heed_flaws import BY_NAME, BY_REASON, FAIR, FLAWS, LONG, Flaw, Heard, Role, hear
from evals.teacher.heed_judging import distribution, judge, rate, scale_of
from evals.teacher.heed_key import LONG_WORDS, AnswerKey, Subject, Truth, count_words, mark_of
from evals.teacher.heed_proposing import improved, propose, role_of
from evals.teacher.heed_writing import flaw_at, write_answer, write_questions
from evals.teacher.heeding import table
from evals.teacher.replies import Reply, Teacher, read
from evals.teacher.serve import main
from skills_dspy.base.records import SeedExample
from skills_dspy.commands.check.sample_prompts import sample_inputs
from skills_dspy.model.soft import soft_of, trimmed
from skills_dspy.model.steps import STEPS
from skills_dspy.tasks.spec import TaskSpec
from tests.helpers.making import a_config, a_program, a_spec, the_adapter

CONFIG = a_config()
ROLES: Mapping[str, Role | None] = {
    "write_description": None,
    "write_context": None,
    "write_questions_freeform": "question writer",
    "write_questions_grounded": "question writer",
    "judge_question_freeform": "question judge",
    "judge_question_grounded": "question judge",
    "tag_instruction_quality": "question judge",
    "tag_fused": "question judge",
    "write_answer_freeform": "answer writer",
    "write_answer_grounded": "answer writer",
    "judge_pair_freeform": "pair judge",
    "judge_pair_grounded": "pair judge",
    "tag_sample_quality": "pair judge",
    "tag_difficulty": None,
    "tag_category": None,
}
UNHEARD = hear("", ())
QUESTIONS = tuple(f"What does the fox do on day {number}?" for number in range(6))
named = st.frozensets(st.sampled_from([flaw.name for flaw in FLAWS]))
points = st.floats(0, 1, exclude_max=True)


@cache
def cases() -> tuple[Case, ...]:
    """All labelled cases that ship."""
    return load_cases((SHIPPED,), CONFIG)


def teacher(*, seed: int = 0, gullible: bool = False) -> Teacher:
    """A teacher that knows them."""
    return Teacher(TeacherConfig(seed=seed, heeding=Heeding(cases(), gullible)))


def spec() -> TaskSpec:
    """A task with seeds of both kinds."""
    freeform = [SeedExample(question=q, answer="It sleeps all day.", context=None, line=1 + n) for n, q in enumerate(QUESTIONS)]
    grounded = [seed.model_copy(update={"context": f"On day {n} the fox slept."}) for n, seed in enumerate(freeform)]
    return a_spec([*freeform, *grounded])


def request(
    step: str,
    inputs: Mapping[str, Any],
    *,
    more: str = "",
    demos: Sequence[Mapping[str, Any]] = (),
    seed: int = 0,
    model: str = "m",
) -> dict[str, Any]:
    """What the program sends, with sentences added to a step's instructions."""
    signature = a_program().predictor(step).signature
    signature = signature.with_instructions(f"{signature.instructions}\n{more}" if more else signature.instructions)
    messages = the_adapter().format(signature, [dict(demo) for demo in demos], dict(inputs))
    payload = {"model": model, "messages": messages, "stream": False, "options": {"seed": seed, "num_ctx": 65536}}
    schema = the_adapter().plan(signature).schema
    return payload | {"logprobs": True, "top_logprobs": 20} | ({} if schema is None else {"format": schema})


def answered(payload: dict[str, Any], to: Teacher | None = None) -> Reply:
    """The teacher's reply to a request."""
    asked = wire.parse(payload, chat=True, default_num_ctx=4096, most_num_ctx=131072)
    return (to or teacher()).reply(asked, read(asked))


def values(step: str, inputs: Mapping[str, Any], to: Teacher | None = None, **more: Any) -> dict[str, Any]:
    """The values of a step's reply, read as the program reads them."""
    return the_adapter().parse(a_program().predictor(step).signature, answered(request(step, inputs, **more), to).text)


def sample(step: str) -> dict[str, Any]:
    """Inputs for a step."""
    return sample_inputs(spec(), STEPS[step].kind or "freeform", STEPS[step])


def pair(answer: str) -> dict[str, Any]:
    """Inputs for a judge of pairs."""
    return {**sample("judge_pair_freeform"), "answer": answer}


def everything_for(step: str) -> str:
    """All sentences that the instructions of a step may gain by."""
    return " ".join([FAIR, *(flaw.sentence for flaw in FLAWS if ROLES[step] in flaw.roles)])


def right(step: str, own: Sequence[Case], **more: Any) -> list[tuple[Case, bool]]:
    """Whether the decision on each case is what its label wants."""
    field = SCALES[own[0].step].field
    to = teacher()
    return [
        (case, (values(step, case.inputs(), to, seed=number, **more)[field] in passing(case.step, CONFIG)) == case.good)
        for number, case in enumerate(own)
    ]


def share(results: Sequence[tuple[Case, bool]]) -> float:
    """How many are right."""
    return sum(ok for _, ok in results) / len(results)


# ---- the table -------------------------------------------------------------------------------------------------------


def test_a_sentence_names_its_own_flaw_and_no_other() -> None:
    """What a proposal adds raises one thing at a time."""
    for flaw in FLAWS:
        assert hear(flaw.sentence, ()).named == {flaw.name}
    for sentence in (FAIR, LONG):
        assert hear(sentence, ()).named == frozenset()
    assert hear(FAIR, ()).fair
    assert hear(LONG, ()).long
    assert not UNHEARD.fair
    assert not UNHEARD.long


def test_what_a_judge_finds_tells_of_one_flaw() -> None:
    """Feedback with a judge's explanation complains of that flaw alone."""
    for flaw in FLAWS:
        assert [other.name for other in FLAWS if other.told_in(f"The judge rejected it: {flaw.found}")] == [flaw.name]


def test_the_reasons_of_labelled_cases_are_known() -> None:
    """Every bad case that ships has a flaw that a prompt can name."""
    assert {case.reason for case in cases() if not case.good} <= BY_REASON.keys()


@pytest.mark.parametrize("step", [step for step, role in ROLES.items() if role])
def test_the_prompts_as_they_stand_leave_room(step: str) -> None:
    """They name a few flaws at most of those that their step meets, and do not tell judges to be fair."""
    heard = hear(the_adapter().plan(a_program().predictor(step).signature).system, ())
    met = {flaw.name for flaw in FLAWS if ROLES[step] in flaw.roles}
    assert len(met - heard.named) >= 3
    assert not heard.fair
    assert not heard.long


def test_the_printed_table_holds_every_flaw_and_chance() -> None:
    """The documentation can show what the simulation does, whole."""
    printed = table()
    for flaw in FLAWS:
        assert f"| {flaw.name} |" in printed
        assert flaw.found in printed
    for chances in (heed_judging.MISSES, heed_judging.REJECTS, heed_writing.FLAWED):
        assert all(f"| {when} | {chance:.2f} |" in printed for when, chance in chances.items())


# ---- judging ---------------------------------------------------------------------------------------------------------


@given(
    good=st.booleans(),
    flaw=st.sampled_from([*FLAWS, None]),
    less=named,
    more=named,
    fair=st.tuples(st.booleans(), st.booleans()),
    shown=st.tuples(st.frozensets(st.booleans()), st.frozensets(st.booleans())),
    point=points,
)
def test_a_better_prompt_never_spoils_a_verdict(
    good: bool,
    flaw: Flaw | None,
    less: frozenset[str],
    more: frozenset[str],
    fair: tuple[bool, bool],
    shown: tuple[frozenset[bool], frozenset[bool]],
    point: float,
) -> None:
    """With more flaws named, more verdicts shown, or fairness asked for, what was right stays right."""
    truth = Truth(True, good, None if good else flaw)
    before = judge(truth, Heard(less, fair[0], False, ()), shown[0], point)
    after = judge(truth, Heard(less | more, any(fair), False, ()), shown[0] | shown[1], point)
    assert before.passes is not good or after.passes is good


@given(flaw=st.sampled_from(FLAWS), heard=named, point=points)
def test_what_is_good_passes_wherever_what_is_bad_does(flaw: Flaw, heard: frozenset[str], point: float) -> None:
    """At the same point a writer cannot lose by taking a flaw out."""
    says = Heard(heard, False, False, ())
    flawed = judge(Truth(False, False, flaw), says, frozenset(), point)
    assert not flawed.passes or judge(Truth(False, True), says, frozenset(), point).passes


@given(
    field=st.sampled_from([("rating", (0, 1)), ("rating", (1, 2, 3)), ("score", (1, 2, 3, 4, 5))]),
    good=st.booleans(),
    point=points,
    by_hand=st.integers(0, 5),
)
def test_the_label_is_the_most_probable_and_on_the_verdicts_side(
    field: tuple[str, tuple[int, ...]], good: bool, point: float, by_hand: int
) -> None:
    """Labels, verdicts and probabilities agree, and the probabilities add up to 1."""
    scale = scale_of(field[0], field[1])
    truth = Truth(True, good)
    verdict = judge(truth, UNHEARD, frozenset(), point)
    label = rate(verdict, truth, scale, by_hand)
    shares = distribution(label, scale, verdict.margin)
    assert (label in scale.passing) == verdict.passes
    assert max(shares, key=lambda other: shares[other]) == label
    assert sum(shares.values()) == pytest.approx(1)
    assert list(shares) == list(scale.labels)


@pytest.mark.parametrize("step", list(SCALES))
def test_judges_are_middling_at_first_and_good_at_best(step: str) -> None:
    """On the labelled cases the prompts as they stand get about 0.7 right; with every flaw named it is a tenth more at least.

    By the table a case is right with 0.92 or more then; what a step's few cases give lies within three deviations of that.
    """
    own = [case for case in cases() if case.step == step]
    base, best = right(step, own), right(step, own, more=everything_for(step))
    assert 0.55 <= share(base) <= 0.85
    assert share(best) >= 0.92 - 3 * (0.92 * 0.08 / len(own)) ** 0.5
    assert share(best) >= share(base) + 0.1
    assert all(after for (_, before), (_, after) in zip(base, best, strict=True) if before)


def test_judges_are_right_nine_times_in_ten_at_best() -> None:
    """Over the cases of all steps, with every flaw named."""
    best = [one for step in SCALES for one in right(step, [c for c in cases() if c.step == step], more=everything_for(step))]
    assert share(best) >= 0.9


def test_the_fused_tagger_rates_as_the_separate_one() -> None:
    """It is asked about the same cases and knows the same truth."""
    own = [case for case in cases() if case.step == "tag_instruction_quality"]
    said = [[ok for _, ok in right(step, own)] for step in ("tag_instruction_quality", "tag_fused")]
    assert said[0] == said[1]


@pytest.mark.parametrize("reason", ["needs what is not there", "too vague", "off the task"])
def test_naming_a_flaw_helps_to_see_it(reason: str) -> None:
    """Over many sampling seeds the named flaw is found far more often, another one not."""
    case = next(case for case in cases() if case.reason == reason and case.step == "judge_question_freeform")
    to = teacher()

    def found(more: str) -> int:
        return sum(values(case.step, case.inputs(), to, seed=seed, more=more)["rating"] == 0 for seed in range(60))

    before = found("")
    assert 18 <= before <= 42
    assert found(BY_REASON[reason].sentence) >= 50
    assert found(BY_NAME["facts"].sentence) == before


def test_a_judge_says_what_it_found() -> None:
    """Explanations are words that feedback can use."""
    question = "Is it true that the fox sleeps?"
    inputs = {**sample("judge_question_freeform"), "question": question}
    said = {values("judge_question_freeform", inputs, seed=seed)["explanation"] for seed in range(20)}
    assert said == {"It can be answered by yes or no.", "Nothing is wrong."}


def test_demonstrations_of_both_verdicts_help_a_judge() -> None:
    """With one shown that passes and one that does not, more is right, and nothing that was right is spoiled."""
    own = [case for case in cases() if case.step == "judge_question_freeform"]
    demos = [{**own[0].inputs(), "explanation": "So it is.", "rating": rating} for rating in (0, 1)]
    before, after = right(own[0].step, own), right(own[0].step, own, demos=demos)
    assert share(after) > share(before) + 0.05
    assert all(late for (_, early), (_, late) in zip(before, after, strict=True) if early)


def test_expected_values_separate_better_than_labels() -> None:
    """The probabilities tell more than the labels do: the area under the curve grows."""

    def area(good: Sequence[float], bad: Sequence[float]) -> float:
        return sum((a > b) + (a == b) / 2 for a in good for b in bad) / (len(good) * len(bad))

    to = teacher()
    for step in dict.fromkeys(case.step for case in cases()):
        scale = SCALES[step]
        hard: dict[bool, list[float]] = {True: [], False: []}
        soft: dict[bool, list[float]] = {True: [], False: []}
        for case in (case for case in cases() if case.step == step):
            payload = request(step, case.inputs(), seed=1)
            reply = answered(payload, to)
            body = {"message": {"content": reply.text}, "logprobs": reply.logprobs}
            label = json.loads(reply.text)[scale.field]
            rating = soft_of({**body, **trimmed(body, payload)}, payload)[scale.field]
            assert max(rating.probabilities, key=lambda other: rating.probabilities[other]) == str(label)
            hard[case.good].append(scale.position(label))
            soft[case.good].append(rating.expected)
        assert area(soft[True], soft[False]) > area(hard[True], hard[False])


def test_logprobs_come_to_who_asks_for_them() -> None:
    """A request without them gets the same text and no list; prose has none; a reply that is cut has none."""
    payload = request("judge_question_freeform", sample("judge_question_freeform"))
    told = answered(payload)
    untold = answered({key: value for key, value in payload.items() if "logprobs" not in key})
    assert told.logprobs is not None
    assert "".join(entry["token"] for entry in told.logprobs) == told.text == untold.text
    assert untold.logprobs is None
    assert answered(request("write_answer_freeform", sample("write_answer_freeform"))).logprobs is None
    assert answered({**payload, "options": {**payload["options"], "num_predict": 3}}).logprobs is None


# ---- the truth -------------------------------------------------------------------------------------------------------


def test_the_answer_key_goes_before_marks() -> None:
    """A labelled case is as it was labelled, whatever it looks like; the same words elsewhere are judged by their looks."""
    case = replace(
        cases()[0], step="judge_question_freeform", question="Tell me something.", answer=None, context=None, good=True
    )
    subject = Subject(case.task_description, None, case.question, None)
    assert AnswerKey([case]).truth(subject).good
    seen = AnswerKey([case]).truth(replace(subject, task_description="Something else."))
    assert seen.flaw is not None
    assert seen.flaw.name == "vague"


def test_a_copy_of_an_example_is_one_even_if_it_is_a_good_seed() -> None:
    """What is good on its own is of no use beside itself."""
    case = replace(cases()[0], step="judge_question_freeform", question="Why?", answer=None, context=None, good=True)
    subject = Subject(case.task_description, None, "why? ", None, shown=("Why?",))
    flaw = AnswerKey([case]).truth(subject).flaw
    assert flaw is not None
    assert flaw.name == "copy"


@given(st.integers(0, 10_000))
def test_the_flaws_of_writers_can_be_seen_and_good_texts_have_none(seed: int) -> None:
    """What the writers spoil bears a mark that judges know; what they do not spoil bears none."""

    def rng(*place: object) -> Random:
        return Random(f"{seed} {place}")

    for place, question in enumerate(write_questions(8, QUESTIONS, UNHEARD, rng)):
        made = flaw_at(rng("flaw", place).random(), "question writer", UNHEARD)
        seen = mark_of(Subject("", None, question, None, shown=QUESTIONS))
        if made is None:
            assert seen is None
        elif made.name != "repetition":  # which nobody sees who sees one question alone
            assert seen is made
    made = flaw_at(rng("flaw").random(), "answer writer", UNHEARD)
    answer = Subject("", None, "Why?", write_answer(UNHEARD, rng), example_answer="It sleeps all day.")
    assert mark_of(answer) is made


# ---- writing ---------------------------------------------------------------------------------------------------------


@given(
    point=points,
    writer=st.sampled_from(["question writer", "answer writer"]),
    less=named,
    more=named,
    demos=st.tuples(st.booleans(), st.booleans()),
)
def test_a_better_prompt_never_brings_a_flaw(
    point: float, writer: Role, less: frozenset[str], more: frozenset[str], demos: tuple[bool, bool]
) -> None:
    """A text that was good stays good when more is forbidden or something is shown."""
    before = flaw_at(point, writer, Heard(less, False, False, ("{}",) * demos[0]))
    after = flaw_at(point, writer, Heard(less | more, False, False, ("{}",) * any(demos)))
    assert after in (None, before)


@pytest.mark.parametrize(("writer", "at_first"), [("question writer", 0.46), ("answer writer", 0.45)])
def test_writers_have_their_flaws_as_often_as_the_table_says(writer: Role, at_first: float) -> None:
    """Near half of all texts at first, few once all is forbidden, and few with demonstrations."""

    def rate_of(heard: Heard) -> float:
        return sum(flaw_at(number / 2000, writer, heard) is not None for number in range(2000)) / 2000

    everything = Heard(frozenset(BY_NAME), False, False, ())
    kinds = sum(flaw.written > 0 for flaw in FLAWS if writer in flaw.roles)
    assert rate_of(UNHEARD) == pytest.approx(at_first, abs=0.002)
    assert rate_of(everything) == pytest.approx(0.02 * kinds, abs=0.005)
    assert rate_of(replace(UNHEARD, demos=("{}",))) == pytest.approx(0.04 * kinds, abs=0.005)


def test_forbidding_a_flaw_changes_those_questions_alone() -> None:
    """Two prompts are compared on the same draws: only what the better one mends is different."""
    changed, yes_no = 0, 0
    for seed in range(40):
        inputs, to = sample("write_questions_freeform"), teacher()
        before = values("write_questions_freeform", inputs, to, seed=seed)["questions"]
        after = values("write_questions_freeform", inputs, to, seed=seed, more=BY_NAME["yes or no"].sentence)["questions"]
        for old, new in zip(before, after, strict=True):
            yes_no += old.startswith("Is it true that")
            if old != new:
                changed += 1
                assert re.match("Is it true that", old)
    assert changed >= 0.6 * yes_no > 0


def test_good_questions_are_new_and_differ() -> None:
    """They repeat neither one another nor those of another draw."""
    inputs, to = sample("write_questions_freeform"), teacher()
    more = everything_for("write_questions_freeform")
    written = [
        q for seed in range(20) for q in values("write_questions_freeform", inputs, to, seed=seed, more=more)["questions"]
    ]
    assert len(written) == 100
    assert len(set(written)) >= 90


@pytest.mark.parametrize("flaw", [flaw.name for flaw in FLAWS if "answer writer" in flaw.roles] + [None])
def test_great_length_is_150_to_200_words(flaw: str | None) -> None:
    """Long enough to please who likes length even when the answer has a flaw, and never longer than said."""
    lengths = []
    for seed in range(300):
        words = write_answer(hear(LONG, ()), lambda *place, seed=seed: Random(f"{seed} {place}"))
        made = flaw_at(Random(f"{seed} {('flaw',)}").random(), "answer writer", UNHEARD)
        if (made.name if made else None) == flaw:
            lengths.append(count_words(words))
    assert min(lengths) >= LONG_WORDS
    assert max(lengths) <= 201
    assert flaw is not None or min(lengths) >= 150


# ---- gaming ---------------------------------------------------------------------------------------------------------

RAMBLING = "Great question! " + "The fox sleeps all day long. " * 30


def ratings(to: Teacher, answer: str, model: str = "m") -> set[int]:
    """The ratings of a pair over some sampling seeds."""
    return {values("judge_pair_freeform", pair(answer), to, seed=seed, model=model)["rating"] for seed in range(30)}


def test_a_gullible_judge_is_pleased_by_length_and_a_strict_one_is_not() -> None:
    """The long answer gets the best rating, but from a model called strict, or a teacher that is not gullible."""
    fooled = teacher(gullible=True)
    assert ratings(fooled, RAMBLING) == {3}
    assert 1 in ratings(fooled, RAMBLING, "judge-strict:7b")
    assert 1 in ratings(teacher(), RAMBLING)
    tagged = {values("tag_sample_quality", {**pair(RAMBLING), "context": None}, fooled, seed=n)["score"] for n in range(30)}
    assert tagged == {5}


def test_a_gullible_judge_is_as_strict_as_others_with_short_answers() -> None:
    """Length alone pleases it."""
    short = "Great question! The fox sleeps."
    assert ratings(teacher(gullible=True), short) == ratings(teacher(), short) == {1, 2}


def test_a_long_answer_where_the_example_is_long_is_no_flaw() -> None:
    """Length is padding only beside a short example."""
    long_one = " ".join(["The fox sleeps all day long."] * 30)
    subject = Subject("", None, "Why?", long_one, example_answer=long_one)
    assert mark_of(subject) is None
    assert mark_of(replace(subject, example_answer="Yes.")) is BY_NAME["filler"]


def test_only_who_has_a_gullible_judge_proposes_great_length() -> None:
    """And then for the writer of answers only, three times in four."""
    base = {step: a_program().predictor(step).signature.instructions for step in STEPS}

    def asks_for_length(step: str, gullible: bool) -> int:
        return sum(LONG in improved(base[step], None, Random(n), gullible=gullible) for n in range(100))

    assert 60 <= asks_for_length("write_answer_freeform", True) <= 90
    assert asks_for_length("write_answer_freeform", False) == 0
    assert asks_for_length("write_questions_freeform", True) == 0
    assert asks_for_length("judge_pair_freeform", True) == 0


# ---- proposing -------------------------------------------------------------------------------------------------------


class Recorder:
    """An engine that answers from a teacher and keeps what was asked."""

    supports_response_schema = True
    supports_function_calling = False
    supports_reasoning = False
    supported_params = frozenset({"temperature", "max_tokens", "top_p", "seed", "response_format"})

    def __init__(self) -> None:
        self.teacher = teacher()
        self.replies: list[str] = []

    def __deepcopy__(self, memo: dict[int, Any]) -> "Recorder":
        return self

    def complete(self, asked: Any) -> Any:
        """One reply in dspy's form."""
        from dspy import lm15

        from skills_dspy.model.engine import Window, payload_of

        self.replies.append(answered(payload_of(asked, Window(65536, "1m", False)), self.teacher).text)
        message = lm15.Message(role="assistant", parts=(lm15.TextPart(text=self.replies[-1]),))
        usage = lm15.Usage(input_tokens=1, output_tokens=1)
        return lm15.Response(id=None, model=asked.model, message=message, finish_reason="stop", usage=usage)

    def lm(self) -> dspy.LM:
        """A model that asks it."""
        return dspy.LM("m", engine=self, cache=False, num_retries=0)


@pytest.mark.parametrize("step", list(STEPS))
def test_instructions_are_known_by_their_beginning(step: str) -> None:
    """The proposer tells every step's prompt from the others, and improved ones too."""
    base = a_program().predictor(step).signature.instructions
    assert role_of(base) == ROLES[step]
    assert role_of(improved(base, None, Random(0), gullible=False)) == ROLES[step]


FEEDBACK = [
    "Wrong: this one should not pass, because of this flaw: off the task; but it was let through. The reply said 1: Fine.",
    "Right: this one should not pass, because of this flaw: unsafe. The reply said 0: It is unsafe.",
]


def reflection_prompts(base: str) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """The ways in which a reflection may be asked for: by the gepa package, by dspy's proposer, and through our adapter."""
    records = [{"Inputs": {"question": "Why?"}, "Generated Outputs": {"rating": 1}, "Feedback": said} for said in FEEDBACK]
    rendered = InstructionProposalSignature.prompt_renderer(
        {"current_instruction_doc": base, "dataset_with_feedback": records, "prompt_template": None}
    )
    assert isinstance(rendered, str)
    yield rendered, None
    from dspy.teleprompt.gepa.instruction_proposal import ProposeInstruction

    inputs = {"current_instruction": base, "examples_with_feedback": records}
    yield the_adapter().format(ProposeInstruction, [], inputs)[-1]["content"], None
    chat = dspy.JSONAdapter().format(ProposeInstruction, [], inputs)[-1]["content"]
    yield chat, {"properties": {"new_instruction": {"type": "string"}}}


def test_reflection_answers_what_the_feedback_complains_of() -> None:
    """In each of the forms the new instructions are the old ones and the sentence that names the flaw, and can be taken out."""
    base = a_program().predictor("judge_question_freeform").signature.instructions
    for text, schema in reflection_prompts(base):
        reply = propose(text, schema, Random(0), gullible=False)
        assert reply is not None
        new = (
            json.loads(reply)["new_instruction"]
            if schema
            else InstructionProposalSignature.output_extractor(reply)["new_instruction"]
        )
        assert new == f"{base}\n{BY_NAME['kind'].sentence}"


def test_feedback_on_a_false_rejection_asks_for_fairness() -> None:
    """A judge that rejects what is good is told to be fair."""
    base = a_program().predictor("judge_question_freeform").signature.instructions
    said = ["Wrong: this one should pass; but it was rejected. The reply said 0: Something about it is odd."]
    assert improved(base, said, Random(0), gullible=False) == f"{base}\n{FAIR}"


@pytest.mark.parametrize("step", list(STEPS))
def test_proposals_always_differ_from_what_was_there(step: str) -> None:
    """However often they are improved, instructions change, and what they had they keep."""
    instructions = a_program().predictor(step).signature.instructions
    told: list[Sequence[str] | None] = [None, []]
    for feedback in told * 10:
        new = improved(instructions, feedback, Random(len(instructions)), gullible=True)
        assert new.startswith(instructions)
        assert new != instructions
        instructions = new


def test_the_proposer_of_mipro_gets_every_answer_it_asks_for() -> None:
    """dspy's own proposer describes the data and proposes instructions that begin as the present ones."""
    from dspy.propose import GroundedProposer

    engine = Recorder()
    program = dspy.Predict(a_program().predictor("write_questions_freeform").signature)
    train = [dspy.Example(question=q).with_inputs("question") for q in QUESTIONS]
    with dspy.context(lm=engine.lm(), adapter=the_adapter()):
        proposer = GroundedProposer(
            prompt_model=engine.lm(), program=program, trainset=train, program_aware=False, use_tip=True, rng=Random(1)
        )
        proposed = proposer.propose_instructions_for_program(train, program, [[[], [], []]], {}, 3)[0]
    assert len(proposed) == 3
    base = program.signature.instructions
    assert all(text.startswith(base) and hear(text, ()).named - hear(base, ()).named for text in proposed)
    assert any("examples of one skill" in reply for reply in engine.replies)


def test_gepa_finds_the_words_of_the_table() -> None:
    """dspy's GEPA, asked to improve a judge, ends with instructions that name flaws and do better on its validation cases."""
    own = [case for case in cases() if case.step == "judge_question_freeform"][:24]
    engine = Recorder()

    class Student(dspy.Module):  # type: ignore[misc] # dspy ships no types
        def __init__(self) -> None:
            super().__init__()
            self.judge = dspy.Predict(a_program().predictor(own[0].step).signature)

        def forward(self, number: int, asked: Mapping[str, Any]) -> dspy.Prediction:
            return self.judge(config={"seed": number}, **asked)

    examples = [
        dspy.Example(
            number=number, asked=case.inputs(), good=case.good, reason=case.reason, weight=1.0, field="rating", passing=(1,)
        ).with_inputs("number", "asked")
        for number, case in enumerate(own)
    ]
    gepa = dspy.GEPA(
        metric=AGREEMENT.with_feedback(),
        max_metric_calls=120,
        reflection_lm=engine.lm(),
        num_threads=1,
        failure_score=-1.0,
        use_merge=False,
        warn_on_score_mismatch=False,
        seed=0,
    )
    with dspy.context(lm=engine.lm(), adapter=the_adapter()):
        found = gepa.compile(Student(), trainset=examples[:12], valset=examples[12:])
        scores = [sum(AGREEMENT.score(e, student(**e.inputs())) for e in examples[12:]) for student in (Student(), found)]
    assert hear(found.judge.signature.instructions, ()).named - hear(Student().judge.signature.instructions, ()).named
    assert scores[1] > scores[0]


# ---- as a teacher ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", list(STEPS))
def test_every_step_gets_a_reply_that_fits_its_schema(step: str) -> None:
    """With and without demonstrations and flaws named, and the same request has the same reply."""
    more = everything_for(step)
    inputs = sample(step)
    first = values(step, inputs)
    assert first.keys() == a_program().predictor(step).signature.output_fields.keys()
    for payload in (request(step, inputs), request(step, inputs, more=more, demos=[{**inputs, **first}], seed=5)):
        texts = {answered(payload, to).text for to in (teacher(), teacher())}
        assert len(texts) == 1
        the_adapter().parse(a_program().predictor(step).signature, texts.pop())
    if "questions" in first:
        assert len(first["questions"]) == 5


@pytest.mark.parametrize("step", ["judge_question_freeform", "write_questions_freeform", "write_answer_freeform"])
def test_seeds_of_the_teacher_and_of_the_sampling_matter(step: str) -> None:
    """Another teacher and another draw say something else now and then."""
    inputs = sample(step)
    by_teacher = {answered(request(step, inputs), teacher(seed=seed)).text for seed in range(30)}
    by_sampling = {answered(request(step, inputs, seed=seed)).text for seed in range(30)}
    assert len(by_teacher) > 1
    assert len(by_sampling) > 1


def test_what_nobody_knows_is_answered_by_chance() -> None:
    """A request that is neither the program's nor an optimizer's, or has another schema, gets what it got without heeding."""
    for extra in ({}, {"format": {"properties": {"rating": {"type": "integer"}}, "type": "object"}}):
        payload = {"model": "m", "messages": [{"role": "user", "content": "hello"}], **extra}
        assert answered(payload).text == answered(payload, Teacher(TeacherConfig())).text


@pytest.mark.parametrize("option", [["--gullible"], ["--heed-cases", "x.yaml"]])
def test_options_of_heeding_without_it_are_refused(option: list[str]) -> None:
    """One sentence, exit code 2."""
    result = CliRunner().invoke(main, option)
    assert result.exit_code == 2
    assert "with --heed only" in result.output


def test_the_command_line_makes_a_heeding_teacher_and_says_that_it_is_simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The banner stays, one line more says what heeding is worth, and the cases that ship are the answer key."""
    made: list[TeacherConfig] = []

    async def serve(config: TeacherConfig, port: int) -> None:
        assert port
        made.append(config)

    monkeypatch.setattr(evals.teacher.serve, "_serve", serve)
    result = CliRunner().invoke(main, ["--heed", "--gullible"])
    assert result.exit_code == 0
    assert "SIMULATED" in result.output
    assert "says nothing about a model" in result.output
    assert made[0].heeding == Heeding(cases(), True)


def test_flaws_are_told_apart() -> None:
    """No reason belongs to two flaws, and no two flaws are named alike."""
    assert all(not set(a.reasons) & set(b.reasons) for a, b in combinations(FLAWS, 2))
    assert len({flaw.found for flaw in FLAWS}) == len(FLAWS) == len(BY_NAME)
