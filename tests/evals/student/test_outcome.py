"""What losses come to: intervals over seeds, and what is said of them."""

from dataclasses import replace

import pytest

from evals.student.lessons import AS_MANY, CONTROL, OTHER, REPEATED, SEEDS, SHUFFLED
from evals.student.model import SeedLoss
from evals.student.outcome import outcome_of
from evals.student.trial import SeedTrial, Training
from skills_dspy.store.student_report import ALL, HALF, QUARTER

BEFORE = (3.0, 2.5, 4.0, 3.5, 2.8, 3.2)


def losses(less: float, wobble: float = 0.02) -> tuple[SeedLoss, ...]:
    """The loss on each seed, so much lower than before, and a bit more or less so."""
    return tuple(SeedLoss(10 * (loss - less + wobble * (-1) ** place), 10) for place, loss in enumerate(BEFORE))


NAMES = {
    "all": ALL,
    "half": HALF,
    "quarter": QUARTER,
    "shuffled": SHUFFLED,
    "other": OTHER,
    "cut": AS_MANY,
    "control": CONTROL,
    "seeds": SEEDS,
    "repeated": REPEATED,
}


def trial(runs: int = 2, apart: float = 0.1, /, **less: float) -> SeedTrial:
    """Trainings of so many random seeds, all of which bring the more the higher the seed."""
    made = [Training(NAMES[name], seed, 8, 80, losses(by + apart * seed)) for seed in range(runs) for name, by in less.items()]
    return SeedTrial(losses(0, 0), tuple(made), 0)


def test_a_skill_that_is_learned_is_said_with_its_interval() -> None:
    """The change is that over both random seeds, the spread that of their means, the interval that over seeds."""
    outcome = outcome_of(trial(all=0.5, half=0.3, quarter=0.1, shuffled=-0.2), 0)
    every = outcome.of(ALL)
    assert every is not None
    assert round(outcome.before, 4) == 3.1667
    assert round(every.change.mean, 4) == -0.55
    assert every.change.interval.low < -0.55 < every.change.interval.high < 0
    assert every.spread is not None
    assert [round(outcome.before - end, 4) for end in every.spread] == [0.6, 0.5]
    first, shuffled, curve = outcome.verdicts
    assert first.startswith(
        "The rows help; it was not tried whether another skill, the seeds alone and the seeds, repeated may do as well: the "
        "loss per token on seeds that nobody showed falls from 3.167 to 2.617"
    )
    assert shuffled.startswith("They teach more than answers shuffled: 8 rows end -0.700")
    assert curve.startswith("More rows still help: the second half of the 8 ends -0.200")


def test_what_cannot_be_shown_is_said_so() -> None:
    """No change, harm, and rows beyond which nothing is gained."""
    said = outcome_of(trial(all=-0.05, shuffled=0.3), 0).verdicts
    assert said[0].startswith("That the rows teach the skill cannot be shown: ")
    assert said[1].startswith("They teach less than answers shuffled")
    assert outcome_of(trial(all=-0.5), 0).verdicts[0].startswith("The rows do harm")
    assert len(outcome_of(trial(all=-0.5, quarter=-0.5), 0).verdicts) == 1
    advice = outcome_of(trial(all=-0.5, quarter=-0.2), 0).verdicts[1]
    assert advice.startswith("A quarter of them does less harm, so it may be too much training: try --epochs 1")
    curve = outcome_of(trial(all=0.5, half=0.5, quarter=0.2), 0).verdicts[-1]
    assert curve.startswith("More than 8 of these rows are not shown to help: all 8 end +0.000")


def test_few_seeds_are_said_where_they_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the first sentence, which a card takes: with less than six, all of them on one side is nothing rare."""
    assert outcome_of(trial(all=0.5), 0).verdicts[0].endswith(", over 6 seeds).")
    monkeypatch.setattr("tests.evals.student.test_outcome.BEFORE", BEFORE[:5])
    for less in (0.5, -0.5):
        first, *others = outcome_of(trial(all=less, shuffled=0, other=1, half=0), 0).verdicts
        assert first.startswith("That the rows teach the skill cannot be shown: ")
        assert first.endswith(", over 5 seeds, too few to show anything, for which 6 are needed).")
        assert [line.split(" cannot be shown: ")[0] for line in others] == [
            "That they teach more than answers shuffled",
            "That they teach more than the other dataset",
        ]


def test_an_interval_alone_shows_nothing() -> None:
    """Where one seed of six makes the mean, the signs of the others are what chance would give as well."""
    less = (2.0, 0.1, -0.01, 0.1, 0.1, 0.1)
    after = tuple(SeedLoss(10 * (loss - by), 10) for loss, by in zip(BEFORE, less, strict=True))
    outcome = outcome_of(SeedTrial(losses(0, 0), (Training(ALL, 0, 8, 80, after),), 0), 0)
    change = outcome.taught[0].change
    assert change.interval.high < 0
    assert (round(change.p, 4), change.lower) == (0.0625, False)


def test_other_trainings_of_the_same_are_in_the_interval() -> None:
    """Of one random seed the sentences say so; where two say the opposite nothing is shown, however alike the seeds are."""
    first, against = outcome_of(trial(1, all=0.5, shuffled=0.1), 0).verdicts
    assert first.endswith(", over 6 seeds, one training each).")
    assert against.endswith(" lower, one training each.")
    assert outcome_of(trial(1, all=0.5, half=0.3), 0).verdicts[-1].endswith(" lower, one training each.")
    assert outcome_of(trial(2, 1.0, all=-0.3), 0).verdicts[0].startswith("That the rows teach the skill cannot be shown: ")
    by = {ALL: (0.2, 0.2, 0.2), SHUFFLED: (0.21, -0.05, -0.3)}  # of three shuffled ones the best is better than all rows
    made = [Training(name, seed, 8, 80, losses(less)) for name in by for seed, less in enumerate(by[name])]
    said = outcome_of(SeedTrial(losses(0, 0), tuple(made), 0), 0).verdicts
    assert said[1].startswith("That they teach more than answers shuffled cannot be shown: 8 rows end -0.24")


def test_every_control_is_in_the_first_sentence() -> None:
    """One that brings more, one that may bring as much, and which were not tried; only all of them together show the skill."""
    controls = {"shuffled": 0.1, "control": 0.1, "seeds": 0.1, "repeated": 0.1}
    every = outcome_of(trial(all=0.5, **controls), 0).verdicts[0]
    assert every.startswith("The rows teach the skill: ")
    for name in controls:
        said = outcome_of(trial(all=0.5, **{**controls, name: 0.9}), 0).verdicts[0]
        assert said.startswith(f"The rows help, but {NAMES[name]} bring more: ")
    both = outcome_of(trial(all=0.5, **{**controls, "seeds": 0.9, "control": 0.5, "shuffled": 0.5}), 0).verdicts[0]
    assert both.startswith(
        "The rows help, but the seeds alone bring more, and answers shuffled and another skill may do as well: "
    )
    del controls["control"]
    said = outcome_of(trial(all=0.5, **controls), 0).verdicts[0]
    assert said.startswith("The rows help; it was not tried whether another skill may do as well: the loss per token")


def test_rows_that_do_not_say_what_they_were_made_from_are_doubted_in_the_first_sentence() -> None:
    """Nobody can say that the seeds were never shown; and a dataset to compare with may have the advantage."""
    unsaid = {ALL: ["some/rows.jsonl", "b.jsonl"], OTHER: ["c.jsonl"]}
    first, compared = outcome_of(trial(all=0.5, other=0.1), 0, unsaid).verdicts
    on = "held-out seeds that the rows may have been made from (nothing in rows.jsonl and b.jsonl says)"
    assert f"the loss per token on {on} falls from" in first
    assert "nobody showed" not in first
    assert compared.startswith(
        "They teach more than the other dataset, which may have been made from these seeds (nothing in c.jsonl says): as many"
    )


def test_what_a_control_brings_as_well_is_not_called_the_skill() -> None:
    """The loss falls, and with wrong answers as far."""
    first, second = outcome_of(trial(all=0.5, shuffled=0.5), 0).verdicts
    assert first.startswith("The rows help, but answers shuffled may do as well: ")
    assert second.startswith("That they teach more than answers shuffled cannot be shown")


def test_two_datasets_are_compared_for_as_many_tokens() -> None:
    """By the rows cut to the tokens of the other, where the other has fewer."""
    said = outcome_of(trial(all=0.5, other=0.2), 0).verdicts
    assert said[-1].startswith("They teach more than the other dataset: as many tokens of the rows end -0.300")
    said = outcome_of(trial(all=0.5, other=0.2, cut=0.1), 0).verdicts
    assert said[-1].startswith("They teach less than the other dataset: as many tokens of the rows end +0.100")


@pytest.mark.parametrize("less", [0.5002, 0.4998])
def test_a_difference_that_is_not_seen_in_print_is_none(less: float) -> None:
    """Every seed agrees, and the figures would read +0.000 higher, or -0.000 lower."""
    said = outcome_of(trial(1, all=0.5, shuffled=less), 0).verdicts
    assert said[0].startswith("The rows help, but answers shuffled may do as well: ")
    assert said[1].startswith(
        "That they teach more than answers shuffled cannot be shown: 8 rows end +0.000, 95 % +0.000 to +0.000"
    )


def test_one_row_is_one() -> None:
    """In words, too."""
    made = [replace(one, rows=1) for one in trial(1, all=0.5, shuffled=0.1).trainings]
    said = outcome_of(SeedTrial(losses(0, 0), tuple(made), 0), 0).verdicts
    assert said[1].startswith("They teach more than answers shuffled: 1 row ends -0.400")
