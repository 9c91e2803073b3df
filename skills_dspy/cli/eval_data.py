"""`eval data`: the score of a dataset, or of two side by side, on the terminal, as JSON and as Markdown."""

import json
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from skills_dspy.base.config import load_config
from skills_dspy.base.errors import EmbedderMissing, RequestError
from skills_dspy.cli.arguments import EvalDataOptions
from skills_dspy.cli.progress import Progress
from skills_dspy.model.embedding.embedder import Embedder, SentenceEmbedder
from skills_dspy.store.files import write_text
from skills_dspy.tasks.files import load_task

if TYPE_CHECKING:
    from evals.data.datasets import Dataset
    from evals.data.languages import Classifier
    from evals.data.material import Material
    from evals.tables import Section

_WIDTH = 100
"""Columns of the tables where there is no terminal."""


def eval_data_command(options: EvalDataOptions, embedder: Embedder | None = None) -> int:
    """Score what was asked for; returns the exit code.

    Args:
        options: what was asked for.
        embedder: in place of the embedding model, whatever its name, for tests.

    Raises:
        RequestError: there is nothing that can be scored or compared, or a file's line is not what it should be.
        MachineError: a file cannot be read or written, or there is no embedding model and one is needed.
    """
    from evals.tables import markdown, print_sections

    if options.no_vectors and options.embedder is not None:
        raise RequestError("--no-vectors does without an embedding model, and --embedder names one; leave out one of the two")
    if options.markdown is not None and not options.markdown.parent.is_dir():
        # Refused before the work, not after it.
        raise RequestError(f"--markdown {options.markdown}: there is no folder {options.markdown.parent}; make it first")
    pairs = _read(options)
    with Progress(quiet=not sys.stderr.isatty()) as progress:
        progress.update("scoring")
        work = _Work(options, embedder, lambda done, count: progress.update(f"embedding {done} of {count} texts"))
        content, sections = work.scored(pairs) if options.other is None else work.compared(pairs)
    if options.markdown is not None:
        write_text(options.markdown, markdown(sections))
    if options.as_json:
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
        # A file's name may hold bytes that are no text; an escape can be written, and reads as the same name again.
        click.echo(text.encode("utf-8", "backslashreplace").decode())
        return 0
    width = None if sys.stdout.isatty() else _WIDTH
    print_sections(sections, Console(highlight=False, emoji=False, width=width))
    if options.markdown is not None:
        click.echo(f"\nWritten to {options.markdown}")
    return 0


def _read(options: EvalDataOptions) -> list[tuple["Dataset", ...]]:
    """The datasets that are scored each for itself, or the pairs that are compared."""
    from evals.data.datasets import paired, read_datasets, with_seeds

    first = read_datasets(options.path)
    second = () if options.other is None else read_datasets(options.other)
    if options.seeds is not None:
        spec, warnings = load_task(options.seeds)
        for warning in warnings:
            click.echo(f"warning: {warning}", err=True)
        both = with_seeds((*first, *second), spec.seed_examples)
        first, second = both[: len(first)], both[len(first) :]
    return [(dataset,) for dataset in first] if options.other is None else [*paired(first, second)]


class _Work:
    """Scores datasets with the options that were given.

    Args:
        options: what was asked for.
        embedder: in place of every embedding model; None for the real ones.
        told: hears how many of how many texts have been embedded.
    """

    def __init__(self, options: EvalDataOptions, embedder: Embedder | None, told: Callable[[int, int], None]) -> None:
        from evals.data.languages import load_classifier

        self._options = options
        self._config = load_config()
        self._given = embedder
        self._embedders: dict[str, Embedder] = {}
        self._classify: Classifier = load_classifier()
        self._told = told

    def scored(self, alone: Sequence[tuple["Dataset", ...]]) -> tuple[dict[str, Any], list["Section"]]:
        """Each dataset for itself: as JSON and as tables."""
        from evals.data.score import score
        from evals.data.tables import score_sections
        from evals.tables import as_json

        scores = [score(self._gathered(dataset, self._model([dataset]))) for (dataset,) in alone]
        content = {"sample_seed": self._options.seed, "datasets": [as_json(found) for found in scores]}
        return content, [section for found in scores for section in score_sections(found)]

    def compared(self, pairs: Sequence[tuple["Dataset", ...]]) -> tuple[dict[str, Any], list["Section"]]:
        """Each pair side by side: as JSON and as tables."""
        from evals.data.compare import compare
        from evals.data.score import score
        from evals.data.tables import comparison_sections
        from evals.tables import as_json

        datasets, comparisons, sections = [], [], list["Section"]()
        for pair in pairs:
            first, second = (self._gathered(dataset, self._model([dataset, *pair])) for dataset in pair)
            scores = score(first), score(second)
            comparison = compare(first, second, self._options.seed)
            datasets += [as_json(found) for found in scores]
            comparisons.append(as_json(comparison))
            sections += comparison_sections(comparison, *scores)
        return {"sample_seed": self._options.seed, "datasets": datasets, "comparisons": comparisons}, sections

    def _gathered(self, dataset: "Dataset", model: str) -> "Material":
        from evals.data.material import gather

        options = self._options
        if model not in self._embedders:
            self._embedders[model] = self._given or SentenceEmbedder(model, self._config.embedder.device)
        embedder = None if options.no_vectors else self._embedders[model]
        try:
            return gather(dataset, options.sample, options.seed, embedder, classify=self._classify, progress=self._told)
        except EmbedderMissing as error:
            raise EmbedderMissing(f"{error}; or do without it with --no-vectors") from error

    def _model(self, datasets: Sequence["Dataset"]) -> str:
        """The embedding model that was named, else that of the first run among the datasets, else the usual one."""
        of_runs = [dataset.run.embedder for dataset in datasets if dataset.run is not None]
        return self._options.embedder or next(iter(of_runs), self._config.embedder.model)
