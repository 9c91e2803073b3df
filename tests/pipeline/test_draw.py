"""What a draw shows: the same in every process, at least one seed, and a fair share of everything."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skills_dspy.base.seeds import STANDARD, request_seed, rng_of
from skills_dspy.pipeline.draw import Draw, Example, kind_of_draw, plan_draw, seed_examples
from tests.helpers.making import FREEFORM, GROUNDED

FREE = tuple(Example(f"seed:{n}", f"q{n}", f"a{n}", None) for n in range(5))
BASED = tuple(Example(f"seed:{n}", f"q{n}", f"a{n}", f"c{n}") for n in range(5, 8))
ACCEPTED = tuple(Example(f"id{n}", f"q{n}", f"a{n}", "c" if n % 2 else None) for n in range(20))


def plan(
    number: int,
    seeds: tuple[Example, ...] = FREE,
    accepted: tuple[Example, ...] = ACCEPTED,
    *,
    task: str = "t",
    run_seed: int = 0,
    examples: int = 3,
    accepted_share: float = 1 / 3,
) -> Draw:
    """A draw."""
    return plan_draw(number, seeds, accepted, task=task, run_seed=run_seed, examples=examples, accepted_share=accepted_share)


def test_seeds_are_named_by_their_place() -> None:
    """`seed:K` counts all seeds of the file, of either kind."""
    assert seed_examples([FREEFORM, GROUNDED]) == (
        Example("seed:0", FREEFORM.question, FREEFORM.answer, None),
        Example("seed:1", GROUNDED.question, GROUNDED.answer, GROUNDED.context),
    )


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 300))
def test_both_kinds_get_their_share_at_any_time(freeform: int, grounded: int, draws: int) -> None:
    """After any number of draws each kind is less than one draw away from its share of the seeds."""
    if not freeform + grounded:
        return
    kinds = [kind_of_draw(n, freeform, grounded) for n in range(draws)]
    assert abs(kinds.count("grounded") - draws * grounded / (freeform + grounded)) < 1
    assert abs(kinds.count("freeform") - draws * freeform / (freeform + grounded)) < 1


@given(
    number=st.integers(0, 500),
    free=st.integers(0, 5),
    based=st.integers(0, 3),
    known=st.integers(0, 20),
    examples=st.integers(1, 20),
    share=st.floats(0, 1),
    seed=st.integers(0, 2**63 - 1),
)
def test_what_every_draw_keeps_to(
    number: int, free: int, based: int, known: int, examples: int, share: float, seed: int
) -> None:
    """One seed at least, the share at most, nothing twice, nothing of the other kind, and always the same again."""
    if not free + based:
        return
    seeds, accepted = FREE[:free] + BASED[:based], ACCEPTED[:known]
    draw = plan(number, seeds, accepted, run_seed=seed, examples=examples, accepted_share=share)
    assert draw == plan(number, seeds, accepted, run_seed=seed, examples=examples, accepted_share=share)
    assert draw.number == number
    assert draw.seeds
    assert len(draw.shown) <= examples
    assert len(draw.accepted) <= share * examples + 1e-6
    assert set(draw.seeds) <= set(seeds)
    assert set(draw.accepted) <= set(accepted)
    assert len({example.id for example in draw.shown}) == len(draw.shown)
    assert {e.context is not None for e in draw.shown} == {draw.kind == "grounded"}
    own = based if draw.kind == "grounded" else free
    pool = [a for a in accepted if (a.context is not None) == (draw.kind == "grounded")]
    # All seeds of the kind, or those shown and some more, in the order of the file.
    assert draw.standard == tuple(s for s in seeds if s in draw.standard)
    assert len(draw.standard) == min(own, STANDARD)
    assert set(draw.standard) >= set(draw.seeds[:STANDARD])
    # As many as there are: nothing is left out for another reason.
    guests = min(len(pool), int(share * examples + 1e-9), examples - 1)
    assert (len(draw.accepted), len(draw.seeds)) == (guests, min(own, examples - guests))


@pytest.mark.parametrize(
    ("examples", "share", "guests"),
    [(3, 1 / 3, 1), (6, 1 / 3, 2), (3, 2 / 3, 2), (3, 0.3, 0), (3, 1.0, 2), (1, 1.0, 0), (10, 0.1, 1)],
)
def test_a_third_of_three_is_one(examples: int, share: float, guests: int) -> None:
    """Shares that are fractions are not rounded down to less; and one seed always stays."""
    assert len(plan(0, examples=examples, accepted_share=share).accepted) == guests


def test_a_draw_depends_on_task_run_and_number() -> None:
    """Each alone leads to another choice, sooner or later."""
    ten = [[plan(n, task=task, run_seed=seed).shown for n in range(10)] for task, seed in (("t", 0), ("u", 0), ("t", 1))]
    assert ten[0] != ten[1] != ten[2] != ten[0]
    assert any(first != second for first, second in pairwise(ten[0]))


def test_the_standard_of_judges_is_the_same_for_many_draws() -> None:
    """With eight seeds or fewer it is all of them; with more it is those shown and the first of the others."""
    assert {plan(number).standard for number in range(20)} == {FREE}
    many = tuple(Example(f"seed:{n}", f"q{n}", "a", None) for n in range(30))
    for number in range(20):
        draw = plan(number, many)
        others = [seed for seed in many if seed not in draw.seeds][: STANDARD - len(draw.seeds)]
        assert draw.standard == tuple(sorted({*draw.seeds, *others}, key=many.index))
        assert len(draw.standard) == STANDARD
    assert len(plan(0, many, (), examples=20).standard) == STANDARD


def test_every_seed_is_shown_and_is_the_model_at_times() -> None:
    """No seed is left out, and no seed alone decides the form of all answers."""
    draws = [plan(number) for number in range(200)]
    assert {example for draw in draws for example in draw.seeds} == set(FREE)
    first = [draw.seeds[0] for draw in draws]
    assert all(20 < first.count(example) < 60 for example in FREE)


def test_places_do_not_share_a_generator() -> None:
    """Parts are kept apart: draw 1 of run 23 is not draw 12 of run 3."""
    assert rng_of(1, 23).random() != rng_of(12, 3).random()
    assert rng_of("a", "b").random() != rng_of("ab").random()
    assert len({request_seed(0, "t", step, draw, index) for step in "ab" for draw in range(50) for index in range(5)}) == 500
