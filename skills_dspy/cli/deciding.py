"""The `decide` command's options; what it does is imported when it is called."""

from pathlib import Path
from typing import get_args

import click

from signatures.labels import Quality
from skills_dspy.cli.options import base_url_option, concurrency_option, note_option, quiet_option


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="YAML over the run's own settings; of what shapes a dataset, only filter, judges and dedup may differ.",
)
@click.option("--min-sample-quality", type=click.IntRange(1, 5), help="The lowest sample quality that passes the filter.")
@click.option(
    "--min-instruction-quality",
    type=click.Choice(get_args(Quality)),
    help="The lowest instruction quality that passes the filter.",
)
@click.option("--min-pair-rating", type=click.IntRange(1, 3), help="The lowest rating of the pair judge that passes.")
@click.option(
    "--max-squared-distance",
    type=click.FloatRange(0, 4),
    help="Below this squared distance to a seed or an accepted pair a candidate is a duplicate.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where the dataset goes.  [default: RUN-decided-XXXXXXXX, a digest of the thresholds]",
)
@click.option("--dry-run", is_flag=True, help="Show what would change and write nothing.")
@click.option("--fill", is_flag=True, help="Ask the server for the replies that are needed now and were never asked for.")
@base_url_option
@concurrency_option
@note_option
@quiet_option
@click.option("--json", "as_json", is_flag=True, help="A machine-readable summary on stdout, and nothing else there.")
def decide(
    run: Path,
    config: Path | None,
    min_sample_quality: int | None,
    min_instruction_quality: str | None,
    min_pair_rating: int | None,
    max_squared_distance: float | None,
    out: Path | None,
    dry_run: bool,
    fill: bool,
    base_url: str,
    concurrency: int,
    note: str | None,
    quiet: bool,
    as_json: bool,
) -> int:
    """Decide anew, by other thresholds, which candidates of a run are accepted; no model is asked.

    Shows what changes as a diff of the funnel, and writes a new dataset beside the run. The run itself stays as it is.
    Candidates that would need replies which nobody ever asked for are left out and counted; --fill asks for just those.
    """
    from skills_dspy.cli.decide import DecideOptions, decide_command
    from skills_dspy.commands.decide.dataset import DecideRequest
    from skills_dspy.commands.decide.thresholds import Bounds

    bounds = Bounds(min_sample_quality, min_instruction_quality, min_pair_rating, max_squared_distance)
    request = DecideRequest(run, config, bounds, out, dry_run, concurrency, note)
    return decide_command(request, DecideOptions(fill, base_url, as_json, quiet))
