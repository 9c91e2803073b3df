"""Counts, and the speeds that follow from them."""

import pytest

from skills_dspy.commands.check.speed import Counts, Together, Trial, counted_share, counts_of, model_speeds, speed_of


def counts(prompt: int | None = 100, reading: float | None = 0.5, output: int = 40, writing: float = 2.0) -> Counts:
    """The counts of one reply."""
    return Counts(prompt, reading, output, writing, 0.0, 3.0)


def trial(model: str = "m", estimate: int = 150, of: Counts | None = None) -> Trial:
    """A trial that went well."""
    return Trial("write_answer_freeform", model, True, estimate, of or counts(), 1, None, "text")


def test_durations_come_in_nanoseconds() -> None:
    """What Ollama says is taken over in seconds."""
    body = {
        "message": {"content": "x"},
        "load_duration": 3_000_000_000,
        "prompt_eval_count": 120,
        "prompt_eval_duration": 500_000_000,
        "eval_count": 30,
        "eval_duration": 1_500_000_000,
    }
    assert counts_of(body, 5.5) == Counts(120, 0.5, 30, 1.5, 3.0, 5.5)


def test_a_silent_server_is_measured_by_text_and_clock() -> None:
    """Tokens are estimated from the text, writing took all the time, reading is unknown; nothing is ever zero."""
    silent = counts_of({"message": {"content": "fox fox fox"}}, 2.0)
    assert silent == Counts(None, None, 3, 2.0, 0.0, 2.0)
    empty = counts_of({}, 0.0)
    assert empty.output_tokens == 1
    assert empty.output_seconds > 0


def test_speed_is_all_tokens_by_all_seconds() -> None:
    """Not a mean of rates: a long reply weighs more. What is timed beside tells nothing of reading."""
    speed = speed_of([counts(100, 0.5)], [counts(output=40, writing=2.0), counts(output=10, writing=3.0)])
    assert speed.prompt == pytest.approx(200)
    assert speed.output == pytest.approx(10)
    assert speed.seconds(400, 20) == pytest.approx(4.0)


def test_unknown_reading_costs_nothing() -> None:
    """A server that does not say how long it reads is taken to read at once."""
    speed = speed_of([counts(None, None), counts(100, None)], [counts()])
    assert speed.prompt is None
    assert speed.seconds(10_000, 20) == pytest.approx(1.0)


def test_each_model_has_its_own_speed() -> None:
    """Only the first model's is told by the answer that was timed alone, too."""
    alone = Together(8, counts(output=160, writing=2.0), 80.0, 80.0, 96.0, 1.0)
    speeds = model_speeds([trial("m"), trial("judge", of=counts(output=20, writing=4.0))], alone)
    assert speeds["m"].output == pytest.approx(200 / 4)
    assert speeds["judge"].output == pytest.approx(5)


def test_counted_share_is_counted_by_estimated_tokens() -> None:
    """Trials without a count are left out; without any, the estimate stands."""
    assert counted_share([trial(estimate=150), trial(estimate=50), trial(of=counts(None, None))]) == pytest.approx(1.0)
    assert counted_share([trial(estimate=400)]) == pytest.approx(0.25)
    assert counted_share([trial(of=counts(None, None))]) == 1.0
