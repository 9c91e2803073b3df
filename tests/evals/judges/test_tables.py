"""Tests of the report card as tables: the same content in a terminal of 100 columns and as Markdown."""

import functools

import pytest

from evals.figures.statistics import Rate
from evals.judges.ask import Judged
from evals.judges.card import ReportCard, report_card
from evals.judges.cases import SCALE_OF_STEP
from evals.judges.fused import StepTokens
from evals.judges.tables import sections, with_interval
from tests.helpers.judges import CONFIG, PAIR, QUALITY, QUESTION, SAMPLE, a_case, both_ways, said, verdicts
from tests.helpers.terminal import printed

FACTS = [("Answered by", "a SIMULATED teacher"), ("Cases", "4 written by hand")]


@functools.cache
def a_card(*, soft: bool = True, samples: int = 2) -> ReportCard:
    """A card with every part there is: each judge with 40 cases by hand and some from seeds, and fused tags."""
    judged: list[Judged] = []
    for step, scale in SCALE_OF_STEP.items():
        for number_ in range(40):
            label = scale.labels[-1 - number_ % len(scale.labels)]
            given = scale.labels[-1 - number_ // 7 % len(scale.labels)]
            case = a_case(step, label, number_, reason="ignores the requested format")
            expected = float(scale.position(given)) if soft else None
            judged += [said(case, given, sample, expected=expected) for sample in range(samples)]
        judged += [said(a_case(step, scale.labels[0], 99, reason="answer cut in half", origin="corruption"), scale.labels[-1])]
    separate, fused = both_ways()
    spent = {step: StepTokens(4, 900, 100) for step in (QUALITY, "tag_fused", "tag_difficulty", "tag_category")}
    kept = [one for one in judged if one.step != QUALITY]
    return report_card([*kept, *separate], fused, CONFIG, spent)


@pytest.mark.parametrize(
    ("count", "of", "text"),
    [
        (3, 24, "12.5 % (4.3–31.0)"),
        (0, 5, "0.0 % (0.0–43.4)"),
        (5, 5, "100 % (56.6–100)"),
        (0, 0, "–"),
    ],
)
def test_a_rate_is_a_percentage_with_its_interval(count: int, of: int, text: str) -> None:
    """Of nothing there is none."""
    assert with_interval(Rate(count, of)) == text


def test_the_tables_fit_100_columns() -> None:
    """No line is longer, and nothing is cut off."""
    text = printed(sections(a_card(), FACTS, sweep=True), 100)
    assert max(len(line) for line in text.splitlines()) <= 100
    assert "…" not in text
    for step in SCALE_OF_STEP:
        assert step in text


def test_thresholds_are_shown_only_when_they_are_asked_for() -> None:
    """They are long."""
    without, with_them = (printed(sections(a_card(), FACTS, sweep=sweep), 100) for sweep in (False, True))
    assert "Thresholds" not in without
    for step in (PAIR, QUALITY, SAMPLE):
        assert f"Thresholds of {step}" in with_them
    assert f"Thresholds of {QUESTION}" not in with_them


def test_two_judges_that_share_a_threshold_and_differ_are_both_heard() -> None:
    """The configuration has one line for both; the second wish is a comment."""
    loose = verdicts("judge_pair_grounded", [(3, 2), (2, 2), (1, 1)])
    strict = verdicts(PAIR, [(3, 3), (2, 3), (1, 2)])
    *_, choosing = sections(report_card([*loose, *strict], (), CONFIG), FACTS, sweep=True)
    assert choosing.lines == (
        "judges:",
        "  pair_pass: [3]   # best for judge_pair_freeform",
        "  # pair_pass: [2, 3]   # best for judge_pair_grounded",
    )
    assert "judge_pair_freeform: kappa 1.00 instead of 0.00." in choosing.notes


def test_a_threshold_that_is_the_best_already_is_said_to_be() -> None:
    """With the lines all the same."""
    *_, choosing = sections(report_card(verdicts(SAMPLE, [(5, 5), (1, 1)]), (), CONFIG), FACTS, sweep=True)
    assert choosing.notes[0] == "The configured thresholds are the best ones."
    assert choosing.lines[-1] == "  sample_quality: [4, 5]   # best for tag_sample_quality"


def test_one_sample_is_said_to_tell_nothing_of_agreement() -> None:
    """And how to get it."""
    text = printed(sections(report_card(verdicts(QUESTION, [(1, 1), (0, 0)]), (), CONFIG), FACTS, sweep=False), 100)
    assert "--samples" in text
    assert "how often two of 2 samples" in printed(sections(a_card(), FACTS, sweep=False), 100)


def test_of_thresholds_without_a_readable_verdict_none_is_called_the_best() -> None:
    """Where kappa is not defined, nobody knows which is."""
    unread = [said(a_case(SAMPLE, label, n), None) for n, label in enumerate((1, 5))]
    *_, choosing = sections(report_card(unread, (), CONFIG), FACTS, sweep=True)
    assert choosing.notes == (f"Which threshold is best cannot be told for {SAMPLE}: kappa is not defined.",)
