"""Seeds that stay out of a run: which, how many, and what is said where there are too few."""

import pytest

from skills_dspy.base.errors import SpecError
from skills_dspy.base.records import SeedExample
from skills_dspy.tasks.held_out import hold_out
from skills_dspy.tasks.shown import seed_digest, seen_by
from tests.helpers.making import a_spec
from tests.helpers.small_runs import freeform

FOXES = a_spec(freeform("fox", "badger", "marten", "jay", "pike"))
GROUNDED = SeedExample(question="What does it do?", answer="It runs.", context="A hare runs home.", line=1)


def test_so_many_seeds_stay_out_and_the_seed_says_which() -> None:
    """None is lost, the order stays that of the file, the same seed chooses the same ones, and another one others."""
    held = [hold_out(FOXES, 2, seed) for seed in range(20)]
    for spec in held:
        assert len(spec.held_out) == 2
        assert sorted((*spec.seed_examples, *spec.held_out), key=FOXES.seed_examples.index) == list(FOXES.seed_examples)
        assert list(spec.seed_examples) == [one for one in FOXES.seed_examples if one not in spec.held_out]
    assert held == [hold_out(FOXES, 2, seed) for seed in range(20)]
    assert {one for spec in held for one in spec.held_out} == set(FOXES.seed_examples)
    assert hold_out(FOXES, 0, 0) is FOXES


def test_of_each_kind_a_seed_stays() -> None:
    """A run makes both kinds of a task that has both, whatever is held out; where that cannot be, one sentence says so."""
    both = FOXES.model_copy(update={"seed_examples": (GROUNDED, *FOXES.seed_examples)})
    assert all(GROUNDED in hold_out(both, 4, seed).seed_examples for seed in range(10))
    with pytest.raises(
        SpecError, match=r"there are 6 seeds, and 5 cannot stay out .* give --hold-out 4 or less, or write more"
    ):
        hold_out(both, 5, 0)
    with pytest.raises(SpecError, match=r"write more seeds, or leave --hold-out out"):
        hold_out(a_spec(freeform("fox")), 1, 0)


def test_what_the_program_has_seen_stays_in_the_run() -> None:
    """Whatever the seed; it stands for its kind where it can, and where too few are left one sentence says so."""
    known = FOXES.seed_examples[1:3]
    for seed in range(10):
        held = hold_out(FOXES, 3, seed, known.__contains__)
        assert (held.seed_examples, len(held.held_out)) == (known, 3)
    with pytest.raises(
        SpecError,
        match=r"there are 5 seeds, 2 of which the program has seen, and 4 cannot stay out .* give --hold-out 3 or less",
    ):
        hold_out(FOXES, 4, 0, known.__contains__)
    with pytest.raises(SpecError, match=r"5 of which the program has seen, .*; write more seeds, or leave --hold-out out"):
        hold_out(FOXES, 1, 0, lambda _: True)


DEMO = {"examples": [{"question": "WHAT is a fox", "answer": "An animal."}], "question": "Where do they sleep?"}


@pytest.mark.parametrize(
    ("question", "answer", "context", "is_seen"),
    [
        ("What is a  fox?", "A beast.", None, True),
        ("What is a fox", "A beast.", "A fox barks.", False),
        ("Where do they sleep?", "Here.", "Badgers dig, and martens climb.", True),
        ("Do they?", "They dig all day, and at night they sleep.", None, True),
        ("Who are they?", "They dig.", None, False),
        ("What?", "Compiled with it.", None, True),
        ("Is a", "Part of another question.", None, True),
        ("Is a f", "Part of a word.", None, False),
        ("?", "What has no word.", None, False),
    ],
)
def test_a_program_has_seen_what_its_prompts_hold_and_what_it_was_compiled_with(
    question: str, answer: str, context: str | None, is_seen: bool
) -> None:
    """By what is asked, with the text that it is asked about, or by a long answer, in demonstrations or instructions."""
    told = {"instructions": "Badgers dig, and martens climb. They dig all day, and at night they sleep!"}
    compiled = seed_digest(SeedExample(question="what", answer="Else.", line=1))
    program = {"provenance": {"seen": [compiled]}, "predictors": {"judge": {"demos": [DEMO], "signature": told}}}
    assert seen_by(program)(SeedExample(question=question, answer=answer, context=context, line=1)) is is_seen
