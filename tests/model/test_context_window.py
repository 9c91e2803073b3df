"""The window of each model: no prompt that a task can make is longer than was foreseen."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any, get_args

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from skills_dspy.base.config import NO_SCREENS, ROLES, RunConfig
from skills_dspy.base.errors import ConfigError, ContextTooLong
from skills_dspy.base.records import Kind, SeedExample
from skills_dspy.base.tokens import estimate_tokens
from skills_dspy.model.ask import Answer, Asker
from skills_dspy.model.context_window import Need, RunPrompts, choose_windows, needs, window_words
from skills_dspy.model.exhibits import fitting
from skills_dspy.model.program import SkillsProgram, prompt_of
from skills_dspy.model.room import RETRY, largest_shown, longest, may_be_shown, question_limit
from skills_dspy.model.steps import LONGEST_AVOID, LONGEST_NAME, LONGEST_VALUE, STEPS, TOLD_AXES, plans, reply_limits, way
from skills_dspy.pipeline.candidate import Candidate, Passed
from skills_dspy.pipeline.draw import Draw, Example, kind_of_draw, plan_draw, seed_examples
from skills_dspy.pipeline.flow import Flow
from skills_dspy.pipeline.variety import derive_axes
from skills_dspy.tasks.spec import TaskSpec
from tests.helpers.making import FREEFORM, GROUNDED, a_config, a_program, a_spec

LONG = SeedExample(question="Why? " * 300, answer="So. " * 900, line=23)


def needs_of(spec: TaskSpec, config: RunConfig, program: SkillsProgram | None = None) -> dict[str, Need]:
    """What the steps of a task may need."""
    return needs(spec, config, program or a_program(spec.num_questions_to_generate_per_prompt))


# ---- the bound holds -------------------------------------------------------------------------------------------------


class Prompts(Asker):
    """Asks nobody: it notes the prompt that would be sent, and answers with the longest text that can come of it."""

    def __init__(self, spec: TaskSpec, config: RunConfig, program: SkillsProgram, unit: str) -> None:
        self.lengths: list[tuple[str, int]] = []
        self._predictors = program
        self._most = {step: filled(unit, RETRY * limit) for step, limit in reply_limits(spec, config).items()}
        for kind in get_args(Kind):  # a list has more room, but a longer question is dropped
            self._most[f"write_questions_{kind}"] = filled(unit, question_limit(longest(spec.seeds(kind))))
        self._count = spec.num_questions_to_generate_per_prompt

    async def ask(self, step: str, inputs: Mapping[str, Any], *_: Any) -> Answer:
        """Note the length, answer at length."""
        predictor = self._predictors.predictor(step)
        assert set(inputs) == set(predictor.signature.input_fields)
        messages = prompt_of(predictor, inputs)
        self.lengths.append((step, sum(estimate_tokens(message["content"]) for message in messages)))
        text = self._most[step]
        values = {
            "axes": [],
            "context": text,
            "questions": [text] * self._count,
            "answer": text,
            "explanation": text,
            "rating": 3 if step.startswith("judge_pair") else 1,
            "quality": "good",
            "score": 5,
            "difficulty": "easy",
            "category": "math",
            "other_categories": [],
        }
        return Answer(values, text, ())


def filled(unit: str, tokens: int) -> str:
    """The unit again and again, up to exactly so many tokens by the estimate; no white space around it, as in a reply."""
    times = tokens // max(1, estimate_tokens(unit) - 1)
    text = (unit * times).strip()
    while estimate_tokens(text) > tokens:
        text = text[: -max(1, len(text) // 20)].strip()
    return text + "é" * (tokens - estimate_tokens(text))


def all_prompts(spec: TaskSpec, config: RunConfig, program: SkillsProgram, unit: str) -> list[tuple[str, int]]:
    """Step and length of every prompt of one draw of each kind, with accepted pairs as long as they can be."""
    prompts = Prompts(spec, config, program, unit)
    # The longest that windows are chosen for is longer than the screens would let through, and its words repeat.
    flow = Flow(spec, config.model_copy(update={"screens": NO_SCREENS}), prompts)

    async def novel(_: Candidate) -> bool:
        return True

    async def one(draw: Draw) -> None:
        written = await flow.write(draw, lambda: (0,))
        own = [seed for seed in seed_examples(spec.seed_examples) if (seed.context is None) == (draw.kind == "freeform")]
        longest_first = sorted(own, key=lambda seed: -estimate_tokens(f"{seed.question}{seed.answer}{seed.context}"))
        models = fitting(longest_first, own, spec.num_icl_examples_per_prompt)
        candidate = Candidate(draw, 0, written.questions[0], written.context, None, {}, fitting=models)
        passed = await flow.pursue(candidate, novel, lambda: (0,))
        assert isinstance(passed, Passed)
        candidate.avoid = filled(unit, LONGEST_AVOID)
        again = await flow.rewrite(candidate, passed, lambda: (0,))
        assert isinstance(again, Passed)
        await flow.tag(candidate, passed, lambda: (0,))

    async def all_kinds() -> None:
        line = "; ".join([f"{filled(unit, LONGEST_NAME)}: {filled(unit, LONGEST_VALUE)}"] * TOLD_AXES)
        if plans(spec, config):
            await derive_axes(prompts, spec, (0,))
        seeds = seed_examples(spec.seed_examples)
        kinds = {kind_of_draw(n, len(spec.seeds("freeform")), len(spec.seeds("grounded"))): n for n in range(len(seeds))}
        for number in kinds.values():
            guests: list[Example] = []
            for _ in range(2):
                draw = plan_draw(
                    number,
                    seeds,
                    guests,
                    task="t",
                    run_seed=0,
                    examples=spec.num_icl_examples_per_prompt,
                    accepted_share=config.draws.accepted_share,
                )
                plan = (line,) * spec.num_questions_to_generate_per_prompt if plans(spec, config) else ()
                await one(replace(draw, plan=plan, text_plan=line if plan else None))
                most = largest_shown(longest(spec.seeds(draw.kind)))
                context = filled(unit, most.context) if draw.kind == "grounded" else None
                assert may_be_shown(filled(unit, most.question), context, longest(spec.seeds(draw.kind)))
                guests = [Example("x", filled(unit, most.question), "", context)] * 20

    asyncio.run(all_kinds())
    return prompts.lengths


@cache
def with_demos(count: int) -> SkillsProgram:
    """A program whose judge is shown how others judged."""
    program = SkillsProgram(count)
    program.judge_pair_freeform.demos = [{"question": "Why?", "answer": "So.", "explanation": "Right.", "rating": 3}]
    return program


PARTS = st.text(st.sampled_from("ab Zé漢🦊\n\t.7<>/"), min_size=1, max_size=12).filter(str.strip)
SEEDS = st.builds(SeedExample, question=PARTS, answer=PARTS, context=st.none() | PARTS)


@settings(max_examples=25, deadline=None, phases=[Phase.reuse, Phase.generate])  # to make a failure smaller takes minutes
@given(
    seeds=st.lists(SEEDS, min_size=1, max_size=4),
    shown=st.integers(1, 5),
    count=st.integers(1, 4),
    share=st.sampled_from([0.0, 1 / 3, 0.5, 1.0]),
    tagging=st.sampled_from(["separate", "fused"]),
    num_predict=st.sampled_from([16, 40, 120]),
    description=PARTS,
    unit=PARTS,
    demos=st.booleans(),
    variety=st.sampled_from(["auto", "off"]),
)
def test_no_prompt_is_longer_than_foreseen(
    seeds: list[SeedExample],
    shown: int,
    count: int,
    share: float,
    tagging: str,
    num_predict: int,
    description: str,
    unit: str,
    demos: bool,
    variety: str,
) -> None:
    """Whatever the seeds are, and however long everything is that the models write within their limits."""
    spec = a_spec(seeds, shown=shown, count=count, description=description)
    changes = {
        "draws": {"accepted_share": share, "variety": variety},
        "tagging": tagging,
        "generator": {"num_predict": num_predict},
    }
    config, program = a_config(changes), a_program(count)
    if demos:
        program = with_demos(count)
    foreseen = needs_of(spec, config, program)
    lengths = all_prompts(spec, config, program, unit)
    assert [(step, length, foreseen[step].prompt) for step, length in lengths if length > foreseen[step].prompt] == []
    assert {step for step, _ in lengths} == set(foreseen)


def test_the_bound_is_not_far_off() -> None:
    """With everything as long as it can be, a prompt fills most of what was foreseen for it."""
    spec, config = a_spec([FREEFORM, GROUNDED], shown=2), a_config()
    foreseen = needs_of(spec, config)
    longest = dict(sorted(all_prompts(spec, config, a_program(), "fox "), key=lambda pair: pair[1]))
    assert {
        step: length / foreseen[step].prompt for step, length in longest.items() if length < 0.9 * foreseen[step].prompt
    } == {}


# ---- needs -----------------------------------------------------------------------------------------------------------


def names_of(kind: Kind, tagging: str) -> set[str]:
    """The names of the steps of a way."""
    return {step.name for step in way(kind, tagging)}


def test_only_steps_that_are_taken_need_anything() -> None:
    """A task with seeds of one kind needs nothing for the other."""
    config = a_config({"draws": {"variety": "off"}})
    assert set(needs_of(a_spec([FREEFORM]), config)) == names_of("freeform", "separate")
    assert set(needs_of(a_spec([GROUNDED]), config)) == names_of("grounded", "separate")
    both = needs_of(a_spec([FREEFORM, GROUNDED]), config)
    assert set(both) == {*names_of("freeform", "separate"), *names_of("grounded", "separate")}


@pytest.mark.parametrize("order", [[FREEFORM, GROUNDED], [GROUNDED, FREEFORM]])
def test_a_step_of_both_kinds_needs_what_the_longer_needs(order: list[SeedExample]) -> None:
    """Taggers see a context where there is one."""
    need = needs_of(a_spec(order), a_config())["tag_difficulty"]
    assert need.prompt == needs_of(a_spec([GROUNDED]), a_config())["tag_difficulty"].prompt
    assert need.prompt > needs_of(a_spec([FREEFORM]), a_config())["tag_difficulty"].prompt


def test_a_reply_may_be_asked_for_with_twice_its_room() -> None:
    """The window has room for the second try as well."""
    need = needs_of(a_spec(), a_config())["judge_pair_freeform"]
    assert need.reply == 2 * 512
    assert need.total == need.prompt + need.reply


# ---- windows ---------------------------------------------------------------------------------------------------------


def test_thoughts_have_room_in_the_window() -> None:
    """Of the replies of the role that thinks, second try included; its texts, which others are shown, become no longer."""
    spec = a_spec((FREEFORM, GROUNDED), description="")
    plain, thoughtful = needs_of(spec, a_config()), needs_of(spec, a_config({"generator": {"think": "high"}}))
    assert plain.keys() == thoughtful.keys()
    for name, need in plain.items():
        more = RETRY * 8192 if STEPS[name].role == "generator" else 0
        assert (thoughtful[name].prompt, thoughtful[name].reply) == (need.prompt, need.reply + more)


def a_need(step: str, prompt: int, reply: int = 0, spec: TaskSpec | None = None) -> dict[str, Need]:
    """What one step needs."""
    return {step: Need(spec or a_spec(), step, prompt, reply)}


def needing(generator: int, validator: int = 100, tagger: int = 100) -> dict[str, Need]:
    """What the three roles need."""
    judge, tag = a_need("judge_pair_freeform", validator), a_need("tag_fused", tagger)
    return {**a_need("write_answer_freeform", generator - 10, 10), **judge, **tag}


def test_one_window_for_each_model() -> None:
    """Another window would make the server load the model anew: roles that share a model share the largest."""
    assert choose_windows([needing(3000, 5000, 100)], a_config(), {}) == dict.fromkeys(ROLES, 8192)


def test_models_of_their_own_have_windows_of_their_own() -> None:
    """Powers of two from 4096, so that most tasks and commands ask in the same and load nothing anew."""
    config = a_config({"validator": {"model": "judge"}, "tagger": {"model": "tagger"}})
    windows = choose_windows([needing(4096, 4097, 8193)], config, {})
    assert windows == {"generator": 4096, "validator": 8192, "tagger": 16384}


def test_the_longest_of_all_tasks_decides() -> None:
    """All tasks of a run ask the same models."""
    assert choose_windows([needing(100), needing(9000), needing(3000)], a_config(), {})["generator"] == 16384


def test_the_models_own_window_bounds_the_choice() -> None:
    """Rounding up does not go beyond what the model has, or beyond what is allowed."""
    name = a_config().generator.model
    assert choose_windows([needing(3000)], a_config(), {name: 3050})["generator"] == 3050
    assert choose_windows([needing(3000)], a_config(), {name: None})["generator"] == 4096
    assert choose_windows([needing(3000)], a_config({"max_num_ctx": 3001}), {})["generator"] == 3001


def test_the_windows_of_a_run_are_those_of_the_tasks_that_fit() -> None:
    """A run leaves out a task whose prompts fit into none, so it decides nothing for other commands either."""
    name, fitting, long = (
        a_config().generator.model,
        a_spec(),
        a_spec((LONG.model_copy(update={"answer": "So. " * 2000}),), name="test/long"),
    )
    assert RunPrompts((fitting, long), a_config()).windows({name: 8192}) == {name: 4096}
    assert RunPrompts((fitting, long), a_config()).windows({}) == {name: 32768}
    assert RunPrompts((long,), a_config()).windows({name: 8192}) == {}


@pytest.mark.parametrize(
    ("own", "usual", "said"),
    [
        (4096, {}, "4,096 tokens"),
        (4096, {"a": 8192, "b": 4096}, "4,096 and 8,192 tokens, as in a run of these tasks"),
        (
            8192,
            {"a": 8192, "b": 4096},
            "8,192 tokens, more than the 4,096 of a run of these tasks: between the two the server ",
        ),
    ],
)
def test_it_is_said_when_a_command_needs_more_than_a_run(own: int, usual: dict[str, int], said: str) -> None:
    """Then the model is loaded anew, which takes its time."""
    assert window_words(own, usual).startswith(said)


def test_a_roles_own_window_decides() -> None:
    """Whoever sets num_ctx knows better than the model's card, and pays for no more than that."""
    config = a_config(
        {"generator": {"num_ctx": 4096}, "validator": {"model": "judge", "num_ctx": 2048}, "tagger": {"model": "judge"}}
    )
    name = config.generator.model
    windows = choose_windows([needing(3000)], config, {name: 1000, "judge": 1000})
    assert windows == {"generator": 4096, "validator": 2048, "tagger": 2048}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"generator": {"num_ctx": 4096}}, "generator.num_ctx is 4096, but another role needs 8192 of the same model"),
        ({"validator": {"num_ctx": 8192}, "tagger": {"num_ctx": 7000}}, "tagger.num_ctx is 7000, but another role needs 8192"),
    ],
)
def test_two_windows_for_one_model_are_refused(changes: dict[str, Any], said: str) -> None:
    """Each change of window loads the model anew, and none of the two was asked for in vain."""
    with pytest.raises(ConfigError) as caught:
        choose_windows([needing(3000, 6000)], a_config(changes), {})
    assert said in str(caught.value)
    assert "(mistral-small3.2)" in str(caught.value)


def test_a_role_may_set_the_window_for_all() -> None:
    """The largest is asked for by name, and the others need no more."""
    config = a_config({"validator": {"num_ctx": 8000}})
    assert choose_windows([needing(3000, 6000)], config, {}) == dict.fromkeys(ROLES, 8000)


@pytest.mark.parametrize(
    ("changes", "lengths", "bound", "way_out"),
    [
        ({"max_num_ctx": 4096}, {}, 4096, "raise max_num_ctx in the configuration if the model and the machine's memory"),
        ({}, {"mistral-small3.2": 8192}, 8192, "take a model with a larger window"),
        ({"generator": {"num_ctx": 4096}}, {"mistral-small3.2": 8192}, 4096, "raise generator.num_ctx in the configuration"),
    ],
)
def test_a_prompt_that_cannot_fit(changes: dict[str, Any], lengths: dict[str, int], bound: int, way_out: str) -> None:
    """The error names file and line of the longest seed, the step, the numbers, and what can be changed."""
    spec = a_spec([FREEFORM, LONG, GROUNDED])
    wanted = {**needing(100), **a_need("write_answer_freeform", 9000, 77, spec)}
    with pytest.raises(ContextTooLong) as caught:
        choose_windows([needing(100), wanted], a_config(changes), lengths)
    said = str(caught.value)
    assert said.startswith("tasks/foxes.yaml:23: a prompt of write_answer_freeform may take 9000 tokens and its reply 77")
    assert f"the window of mistral-small3.2 is {bound}: shorten the longest seed (this line)" in said
    assert way_out in said


@pytest.mark.parametrize(
    ("step", "prompt", "reply", "description", "advice"),
    [
        (
            "write_answer_freeform",
            5000,
            9000,
            10,
            "shorten the longest seed (this line), lower num_icl_examples_per_prompt, or",
        ),
        ("write_questions_freeform", 9000, 5000, 10, "shorten the longest seed (this line)"),
        ("write_questions_freeform", 5000, 9000, 10, "lower num_questions_to_generate_per_prompt, or"),
        ("write_answer_freeform", 9000, 100, 4500, "shorten the longest seed (this line)"),
        ("write_answer_freeform", 9000, 100, 4501, "shorten task_description, or"),
    ],
)
def test_what_takes_the_room_is_to_be_changed(step: str, prompt: int, reply: int, description: int, advice: str) -> None:
    """Many questions at once, a long description, or else the seeds."""
    spec = a_spec([LONG], description="é" * description)
    with pytest.raises(ContextTooLong) as caught:
        choose_windows([{**needing(100), **a_need(step, prompt, reply, spec)}], a_config({"max_num_ctx": 4096}), {})
    assert f"is 4096: {advice}" in str(caught.value)


def test_thoughts_that_take_the_room_are_to_be_changed_first() -> None:
    """Where all would fit with no room for them; else it is the prompt that is too long."""
    config = a_config({"max_num_ctx": 16384, "generator": {"think": "high"}})
    for prompt, advice in (
        (1000, "lower generator.think_room (8192 now) or set generator.think to off, or raise"),
        (17000, "shorten"),
    ):
        spec = a_spec([LONG])
        with pytest.raises(ContextTooLong, match=rf"is 16384: {re.escape(advice)}"):
            choose_windows([{**needing(100), **a_need("write_answer_freeform", prompt, 2 * 8192 + 400, spec)}], config, {})
