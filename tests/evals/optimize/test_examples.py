"""The examples of a unit: that the three sets never mix, what each holds, that a seed decides, and what is too few."""

import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import dspy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.judges.cases import SHIPPED, Case, load_cases
from evals.optimize.examples import count_of, examples_of, fresh_examples
from evals.optimize.splits import Splits, case_digest, traits, unseen
from evals.optimize.targets import TARGETS, Unit
from skills_dspy.base.errors import RequestError
from skills_dspy.base.records import SeedExample
from skills_dspy.model.steps import STEPS
from skills_dspy.similarity.text import squeezed
from skills_dspy.tasks.files import load_tasks
from skills_dspy.tasks.shown import seed_digest
from skills_dspy.tasks.spec import TaskSpec
from tests.helpers.making import a_config, a_spec
from tests.helpers.seeding import a_seed, a_task, renamed, skill_cases

CONFIG = a_config()
SIZES = (24, 24, 48)
EVERY = [*TARGETS["all"], *TARGETS["tag_fused"]]
WRITERS = [unit for unit in EVERY if unit.makes != "labels"]
LABELLERS = [unit for unit in EVERY if unit.makes == "labels"]
by_name = pytest.mark.parametrize("unit", EVERY, ids=lambda unit: unit.name)


def the_unit(name: str) -> Unit:
    """A unit by its name."""
    return TARGETS[name][0]


@functools.cache
def shipped() -> tuple[tuple[TaskSpec, ...], tuple[Case, ...]]:
    """The tasks and labelled cases of this project."""
    specs = load_tasks((Path(__file__).resolve().parents[3] / "task_specs",)).specs
    return specs, load_cases([SHIPPED], CONFIG)


@functools.cache
def split_of_shipped(unit: Unit, seed: int = 0) -> Splits[dspy.Example]:
    """The sets of a unit made of them."""
    return examples_of(unit, *shipped(), CONFIG, seed, SIZES)


def asked_about(example: dspy.Example) -> set[str]:
    """What an example is about, blanks and case aside: a question, a text, or the seeds that a writing begins with.

    A corrupted seed is left out: it may borrow from training seeds what makes it bad, and cut in half two are the same.
    """
    return set() if example.get("origin") == "corruption" else _about(example)


def _about(example: dspy.Example) -> set[str]:
    inputs = example.asked
    found = [inputs.get("question"), inputs.get("context")]
    if "examples" in inputs and "question" not in inputs:
        found += [text for shown in inputs["examples"] for text in _texts(shown)]
    return {squeezed(text) for text in found if text}


def _texts(shown: Any) -> list[str | None]:
    """Questions and context of what a prompt shows."""
    return [
        shown if isinstance(shown, str) else None,
        getattr(shown, "context", None),
        getattr(shown, "question", None),
        *getattr(shown, "questions", ()),
    ]


def prompted(example: dspy.Example) -> set[str]:
    """Questions and texts that stand in its prompts, as examples or to be rated."""
    inputs, found = example.asked, list[Any]()
    found += inputs.get("examples", []) or []
    found += example.get("standard", []) or []
    found += (example.get("passages") or {}).get("examples", [])
    texts = [text for each in found for text in _texts(each)]
    return {squeezed(text) for text in texts if text} | _about(example)


def apart(split: Splits[dspy.Example]) -> bool:
    """Whether no part is about, or was made of, what another one is; and no prompt shows what a later part is about."""
    parts = list(split)
    about = [{text for example in part for text in asked_about(example)} for part in parts]
    made_of = [{digest for example in part for digest in example.digests} for part in parts]
    prompts = [{text for example in part for text in prompted(example)} for part in parts]
    mixed = any(a & b for sets in (about, made_of) for a, b in combinations(sets, 2))
    return not mixed and not any(prompts[early] & about[late] for early, late in ((0, 1), (0, 2), (1, 2)))


def keys(split: Splits[dspy.Example]) -> dict[str, list[str]]:
    """What a program file keeps of a split."""
    return {name: [str(example.key) for example in part] for name, part in split._asdict().items()}


# ---- that they stay apart ---------------------------------------------------------------------------------------------


@by_name
def test_the_shipped_tasks_and_cases_stay_apart(unit: Unit) -> None:
    """Each set has something, of both classes where there are any, none has more than asked for, and a seed decides."""
    split = split_of_shipped(unit)
    assert apart(split)
    for part, most in zip(split, SIZES, strict=True):
        assert 0 < len(part) <= most
        if unit.makes == "labels":
            assert {example.good for example in part} == {True, False}
            assert sum(example.weight for example in part) == pytest.approx(len(part))
            assert all(example.field in STEPS[unit.name].source.output_fields for example in part)
            assert not any(example.good for example in part if example.origin == "corruption")
    validated = {digest for example in split.validation for digest in example.digests}
    assert not any(validated & {*example.digests, *example.get("beside", ())} for example in split.test)
    found = [key for part in keys(split).values() for key in part]
    assert len(set(found)) == len(found)  # a sampling seed follows from the key
    assert {d for example in split.test for d in example.digests} != {
        d for example in split_of_shipped(unit, 1).test for d in example.digests
    }


def a_pool(numbers: Iterable[int], kind: str, about: Iterable[int]) -> list[SeedExample]:
    """Seeds with these questions, and, where they have one, these texts."""
    found = []
    for number, text in zip(numbers, about, strict=False):
        seed = a_seed(number)
        found.append(seed if kind == "freeform" else seed.model_copy(update={"context": f"Text {text} of the foxes, no more."}))
    return found


POOLS = st.lists(
    st.tuples(
        st.lists(st.integers(0, 14), min_size=5, max_size=9),
        st.sampled_from(["freeform", "grounded"]),
        st.lists(st.integers(0, 14), min_size=9, max_size=9),
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=25, deadline=None)
@given(POOLS, st.integers(0, 9), st.sampled_from(EVERY))
def test_tasks_that_share_questions_or_texts_stay_apart(
    pools: list[tuple[list[int], str, list[int]]], seed: int, unit: Unit
) -> None:
    """Whichever tasks have which seeds: the sets do not mix, or the tasks are refused in one sentence, exit 2."""
    specs = [a_spec(a_pool(*pool), name=f"test/foxes{place}") for place, pool in enumerate(pools)]
    if unit.kind is not None and not any(spec.seeds(unit.kind) for spec in specs):
        return
    try:
        split = examples_of(unit, specs, (), CONFIG, seed, (40, 40, 40))
    except RequestError as error:
        assert "\n" not in str(error)  # noqa: PT017 - both ways are right
        assert "needed" in str(error) or "each part needs" in str(error)  # noqa: PT017
        return
    assert apart(split)


def test_the_same_seed_in_two_tasks_is_trained_on_in_both() -> None:
    """Each task is split on its own, so in one it could be tested on what the other one trains on."""
    common = [a_seed(number) for number in range(3)]
    specs = [
        a_spec([*common, *(a_seed(number) for number in own)], name=f"test/foxes{place}")
        for place, own in enumerate(((10, 11, 12), (20, 21, 22)))
    ]
    digests = {seed_digest(seed) for seed in common}
    for unit in (the_unit("write_answer_freeform"), the_unit("judge_pair_freeform")):
        for seed in range(5):
            split = examples_of(unit, specs, (), CONFIG, seed, (99, 99, 99))
            assert apart(split)
            trained = {digest for example in split.train for digest in example.digests}
            held = {digest for part in (split.validation, split.test) for example in part for digest in example.digests}
            assert digests <= trained
            assert not digests & held


def test_a_skill_of_labelled_cases_is_in_one_set() -> None:
    """And skills that share a question, or an example, are in one together."""
    unit = the_unit("judge_question_freeform")
    cases = skill_cases(unit.name, 6)
    twin = renamed(skill_cases(unit.name, 1), "twin of skill-0")
    for seed in range(5):
        split = examples_of(unit, [a_task(3)], [*cases, *twin], CONFIG, seed, (99, 99, 99))
        skills = [{example.task for example in part} for part in split]
        assert not any(a & b for a, b in combinations(skills, 2))
        assert any({"skill-0", "twin of skill-0"} <= part for part in skills)
        assert apart(split)


def test_cases_by_hand_of_the_tasks_own_seeds_stay_apart_from_those_made_of_them() -> None:
    """A user writes cases for the task at hand, and shows its seeds as examples there."""
    unit, task, tested = the_unit("judge_pair_freeform"), a_task(8), set()
    cases = skill_cases(unit.name, 4)
    cases = [replace(case, examples=(task.seed_examples[int(case.task[-1])],)) for case in cases]
    for seed in range(8):
        split = examples_of(unit, [task], cases, CONFIG, seed, (99, 99, 99))
        assert apart(split)
        tested |= {example.origin for example in split.test}
    assert tested == {"hand", "seed", "corruption"}


# ---- what they hold ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", WRITERS, ids=lambda unit: unit.name)
def test_what_a_metric_needs_is_no_text_that_an_optimizer_can_show(unit: Unit) -> None:
    """MIPROv2 describes the data by the repr of examples: held-out seeds must not stand in it."""
    split = split_of_shipped(unit)
    held = {text for example in split.test for text in asked_about(example)}
    told = squeezed(" ".join(repr(example) for example in split.train))
    assert not [text for text in held if text in told]
    assert all(example.known for example in split.train)


def test_an_answer_is_not_compared_with_its_own_seed() -> None:
    """To come nearer to the right answer is no copying; the model shown is another seed."""
    task = a_task(8)
    answers = {seed.question: seed.answer for seed in task.seed_examples}
    for example in examples_of(the_unit("write_answer_freeform"), [task], (), CONFIG, 0, SIZES).test:
        own = answers[example.asked["question"]]
        assert own not in example.known
        models = [model.answer for model in example.asked["examples"]]
        assert own not in models
        assert list(example.shown) == models


def test_a_writing_asks_for_the_least_that_a_task_asks_for() -> None:
    """One signature serves all."""
    specs = [a_task(4, writes=5), a_task(4, name="test/owls", about="o", writes=2)]
    assert count_of(specs) == 2
    split = examples_of(the_unit("write_questions_freeform"), specs, (), CONFIG, 0, (4, 4, 4))
    assert {example.count for example in split.test} == {2}
    assert {example.task for example in split.test} == {"test/foxes", "test/owls"}


# ---- that a seed decides ----------------------------------------------------------------------------------------------

_SOME = [the_unit(name) for name in ("judge_pair_grounded", "tag_sample_quality", "write_questions_freeform")]
_PRINT = """
import json
from tests.evals.optimize.test_examples import _SOME, keys, split_of_shipped

print(json.dumps([keys(split_of_shipped(unit)) for unit in _SOME]))
"""


def test_hash_seeds_change_nothing() -> None:
    """A process whose sets and hashes are ordered otherwise splits as this one does."""
    done = subprocess.run(
        [sys.executable, "-c", _PRINT],
        env={**os.environ, "PYTHONHASHSEED": "4711"},
        capture_output=True,
        check=True,
        cwd=Path(__file__).resolve().parents[3],
    )
    assert json.loads(done.stdout) == [keys(split_of_shipped(unit)) for unit in _SOME]


def test_all_units_split_a_tasks_seeds_alike() -> None:
    """What one unit is tested on, no other unit of the same program was trained on."""
    task = a_task(12)
    found: dict[str, str] = {}
    for unit in (the_unit(f"{name}_freeform") for name in ("judge_question", "judge_pair", "write_questions", "write_answer")):
        for name, part in examples_of(unit, [task], (), CONFIG, 3, (99, 99, 99))._asdict().items():
            for example in part:
                for digest in set(example.digests) & {seed_digest(seed) for seed in task.seed_examples}:
                    assert found.setdefault(digest, name) == name
    assert len(found) == 12


# ---- too few ----------------------------------------------------------------------------------------------------------


def refused(unit: Unit, specs: Sequence[TaskSpec], cases: Sequence[Case]) -> str:
    """What it says: one sentence, exit 2."""
    with pytest.raises(RequestError) as caught:
        examples_of(unit, specs, cases, CONFIG, 0, SIZES)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_all_tasks_with_too_few_seeds_are_named_at_once() -> None:
    """Nobody has to find the small skills of a taxonomy one by one."""
    small = [a_task(2), a_task(5, name="test/hens", about=" hens"), a_task(1, name="test/owls", about=" owls")]
    told = refused(the_unit("write_answer_freeform"), small, ())
    assert told.startswith("tasks/foxes.yaml: test/foxes has 2 freeform seeds that differ in question and text, and 4 or more")
    assert told.endswith("too few have also: test/owls")


def test_too_few_seeds_of_ones_own() -> None:
    """Two tasks that have all in common cannot be tested."""
    told = refused(the_unit("write_answer_freeform"), [a_task(5), a_task(5, name="test/owls")], ())
    assert "has 0 freeform seeds whose question and text no other task" in told
    assert "2 or more are needed" in told


@pytest.mark.parametrize("unit", LABELLERS, ids=lambda unit: unit.name)
def test_too_few_cases_for_a_judge(unit: Unit) -> None:
    """Neither seeds nor cases: how many are needed, and with which option to give them."""
    kind = unit.kind or "freeform"
    told = refused(unit, [a_task(1, kind)], ())
    assert "6 or more over 3 or more skills with --cases" in told
    assert "4 or more seeds" in told


# ---- what a finished program is measured on ---------------------------------------------------------------------------


@by_name
def test_a_finished_program_is_measured_on_nothing_that_it_has_seen(unit: Unit) -> None:
    """What was trained on or chosen by is left out; what was tested on is fresh."""
    split = split_of_shipped(unit)
    seen = frozenset(d for e in (*split.train, *split.validation) for d in (*e.digests, *e.get("beside", ())))
    found = fresh_examples(unit, *shipped(), CONFIG, seen, 30)
    assert 0 < len(found) <= 30
    assert not any(seen & set(example.digests) for example in found)


@by_name
def test_nothing_left_is_said(unit: Unit) -> None:
    """One sentence, exit 2, also where all seeds ask the same."""
    task = a_task(6, unit.kind or "freeform")
    seen = frozenset(map(seed_digest, task.seed_examples))
    with pytest.raises(RequestError, match=f"nothing is left to measure {unit.name}") as caught:
        fresh_examples(unit, [task], (), CONFIG, seen, 30)
    assert caught.value.exit_code == 2
    alike = [a_seed(0, unit.kind or "freeform").model_copy(update={"answer": f"Answer {n}."}) for n in range(3)]
    with pytest.raises(RequestError, match="nothing is left"):  # an answer needs another seed as its model
        fresh_examples(unit, [a_spec(alike)], (), CONFIG, frozenset(), 30)


def test_cases_of_skills_that_were_seen_are_left_out() -> None:
    """Be it for one case, or for an example that stood beside another."""
    cases = skill_cases("judge_pair_freeform", 3)
    left = unseen(cases, "judge_pair_freeform", frozenset({case_digest(cases[0])}))
    assert left == cases[1:]
    left = unseen(cases, "judge_pair_freeform", frozenset({seed_digest(cases[0].examples[0])}))
    assert {case.task for case in left} == {"skill-1", "skill-2"}


@given(st.text(), st.text(), st.none() | st.text())
def test_a_digest_tells_seeds_by_what_they_ask_about(question: str, answer: str, context: str | None) -> None:
    """Not by the line where they stand, nor by what is touched up: the answer, blanks, case, a last full stop."""
    seed = SeedExample(question=question, answer=answer, context=context, line=1)
    assert seed_digest(seed) == seed_digest(seed.model_copy(update={"line": 99}))
    for touched in ({"answer": answer + "x"}, {"question": f"  {question} "}, {"question": f"{question}."}):
        assert seed_digest(seed) == seed_digest(seed.model_copy(update=touched))
    assert seed_digest(seed) != seed_digest(seed.model_copy(update={"question": f"{question}x"}))
    assert seed_digest(seed) != seed_digest(seed.model_copy(update={"context": f"{context or ''}x"}))
    assert traits(seed) == traits(seed.model_copy(update={"answer": answer + "x"}))


# ---- what a person reviewed -------------------------------------------------------------------------------------------


def reviewed(count: int, spec: TaskSpec) -> tuple[Case, ...]:
    """Cases of rows of a task: each third one accepted, rejected for its question, rejected for its answer."""
    steps = ("judge_question_freeform", "tag_instruction_quality", "judge_pair_freeform", "tag_sample_quality")
    return tuple(
        Case(
            id=f"{step}/{spec.task_name}/review-{row:016x}",
            step=step,
            task=spec.task_name,
            task_description="Knowing.",
            examples=spec.seed_examples,
            context=None,
            question=f"What of {row // 2 if row % 8 < 2 else row}?",
            answer=f"This of {row}." if place > 1 else None,
            label=1,
            good=row % 3 == 0 or (row % 3 == 2 and place < 2),
            reason="accepted",
            origin="review",
            where="",
        )
        for row in range(count)
        for place, step in enumerate(steps)
    )


def row_of(key: str) -> str:
    """The row that an example is of."""
    return key.rpartition("/review-")[2]


@pytest.mark.parametrize("seed", range(3))
def test_reviewed_rows_are_split_by_row(seed: int) -> None:
    """No row is in two parts, of whichever judge; rows that ask the same stay together; all parts have good and bad ones."""
    spec = a_task(8, name="reviewed")
    cases = reviewed(48, spec)
    question = {row_of(case.id): case.question for case in cases}
    parts: list[set[str]] = [set(), set(), set()]
    for unit in LABELLERS:
        if unit.kind == "grounded":
            continue
        split = examples_of(unit, [spec], cases, CONFIG, seed, (100, 100, 100))
        for number, part in enumerate(split):
            of_reviews = [example for example in part if example.origin == "review"]
            parts[number] |= {question[row_of(example.key)] for example in of_reviews}
            assert {example.good for example in of_reviews} == {True, False}
        assert apart(split)
    assert not any(one & other for one, other in combinations(parts, 2))
    assert len(set.union(*parts)) == len(set(question.values()))


def test_no_held_out_seed_is_shown_beside_a_reviewed_row() -> None:
    """The seeds of its task are split too, where that is optimized on; where it is not they are all shown."""
    spec = a_task(8, name="reviewed")
    unit = the_unit("judge_pair_freeform")
    cases = reviewed(24, spec)
    split = examples_of(unit, [spec], cases, CONFIG, 0, SIZES)
    of_seeds = [{digest for e in part if e.origin == "seed" for digest in e.digests} for part in split]
    beside = {digest for part in split for e in part if e.origin == "review" for digest in e.beside}
    assert beside
    assert not beside & (of_seeds[1] | of_seeds[2])
    other = examples_of(unit, [a_task(8, name="other", about="-other")], cases, CONFIG, 0, SIZES)
    assert {digest for part in other for e in part if e.origin == "review" for digest in e.beside} > beside


def test_reviews_come_first_and_go_together_with_cases_by_hand() -> None:
    """A small set is filled with what a person said of the rows at hand; cases by hand stay split by skill."""
    specs, by_hand = shipped()
    unit = the_unit("judge_pair_freeform")
    cases = (*by_hand, *reviewed(60, a_task(8, name="reviewed")))
    small = examples_of(unit, specs, cases, CONFIG, 0, (8, 8, 8))
    assert {example.origin for part in small for example in part} == {"review"}
    whole = examples_of(unit, specs, cases, CONFIG, 0, (200, 200, 200))
    assert apart(whole)
    assert {"hand", "review"} <= {example.origin for example in whole.test}


def test_too_few_reviews_are_said() -> None:
    """With what would help."""
    spec = a_task(2, name="reviewed")
    with pytest.raises(RequestError, match="or more reviews, of good and of bad rows"):
        examples_of(the_unit("judge_pair_freeform"), [spec], reviewed(4, spec), CONFIG, 0, SIZES)
