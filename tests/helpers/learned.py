"""What `eval student` writes about a run, by hand."""

import hashlib
import json
from pathlib import Path
from typing import Any

SAID = (
    "The rows teach the skill: the loss per token on seeds that nobody showed falls from 3.0 to 2.0 (-1.0, 95 % -1.5 to -0.5)."
)
LOSSES = {"all rows": (8, 2.0), "1/2 of the rows": (4, 2.5), "1/4 of the rows": (2, 2.75), "answers shuffled": (8, 2.875)}
BEFORE = 3.0


def learned(of: Path, **changes: Any) -> str:
    """The text of a report about the rows of a run's directory as they are now."""
    taught = [
        {
            "lesson": name,
            "rows": rows,
            "tokens": 10 * rows,
            "loss": loss,
            "spread": None,
            "change": around(loss - BEFORE),
            "all_rows_less_this": None if name == "all rows" else around(2.0 - loss),
        }
        for name, (rows, loss) in LOSSES.items()
    ]
    told = {
        "student": "models/small.gguf",
        "runs": {"test/foxes": digest_of(of)},
        "verdicts": [SAID, "More."],
        "before": BEFORE,
    }
    return json.dumps({**told, "taught": taught, **changes})


def digest_of(run: Path) -> str:
    """By what a report knows the rows of a run."""
    return hashlib.sha256((run / "data.jsonl").read_bytes()).hexdigest()


def around(value: float) -> dict[str, float]:
    """A difference with its interval."""
    return {"value": value, "low": value - 0.25, "high": value + 0.25}
