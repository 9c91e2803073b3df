"""What the summary says of a run's cost."""

import pytest

from skills_dspy.cli.summary import cost_line


@pytest.mark.parametrize(
    ("calls", "tokens", "accepted", "said"),
    [
        (12, 340, 3, "Cost: 12 calls, 340 tokens, 4.0 calls and 113 tokens for each accepted pair."),
        (12, 0, 3, "Cost: 12 calls, 4.0 for each accepted pair; the server does not tell how many tokens."),
        (12, 0, 0, "Cost: 12 calls; the server does not tell how many tokens."),
        (0, 0, 0, "Cost: 0 calls, 0 tokens."),
    ],
)
def test_tokens_that_nobody_counted_are_not_said_to_be_none(calls: int, tokens: int, accepted: int, said: str) -> None:
    """Servers leave the counts out, as Ollama did of a prompt that it had kept: that is no run without tokens."""
    usage = {"calls": calls, "prompt_tokens": tokens, "output_tokens": 0}
    assert cost_line(usage, accepted, replayed=False) == said
