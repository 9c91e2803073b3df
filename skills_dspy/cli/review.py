"""`review`: the page where a person looks at a run, served until Ctrl-C."""

import signal
from datetime import UTC, datetime
from typing import cast

from skills_dspy.cli.shared.arguments import ReviewOptions
from skills_dspy.cli.shared.interruptions import interrupted_by
from skills_dspy.cli.terminal.streams import echo
from skills_dspy.commands.review.opening import OpenedReview, open_review
from skills_dspy.commands.review.order import Order
from skills_dspy.commands.review.server import opened
from skills_dspy.store.reviews import DID


def review_command(options: ReviewOptions) -> int:
    """Serve the page until it is interrupted; returns the exit code."""
    review = open_review(options.run, cast("Order", options.order), lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    if review.running:
        echo(f"warning: a run is still writing in {options.run}; what it adds now is shown when you start again", err=True)
    with opened(review.desk, options.port) as server:
        echo(f"{_progress(review)}. Look at them here, on this machine alone:")
        echo(f"  {server.door.address}")
        echo(
            f"Every choice goes to {review.reviews} at once. Ctrl-C ends it; the same command goes on where you were.", err=True
        )
        # By Ctrl-C, too: who is started in the background by a shell is told to ignore it, and `kill -INT` would do nothing.
        with interrupted_by(signal.SIGINT, signal.SIGTERM):
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                echo(f"\n{_progress(review)}: {review.reviews}")
    return 0


def _progress(review: OpenedReview) -> str:
    counts = review.desk.counts()
    ways = ", ".join(f"{counts[verdict]} {did}" for verdict, did in DID.items() if counts[verdict])
    return f"{counts.total()} of {review.rows} rows looked at{f' ({ways})' if ways else ''}"
