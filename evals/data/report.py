"""The scores of datasets, each for itself or two side by side, as JSON and as tables."""

from collections.abc import Callable, Sequence
from typing import Any

from evals.data.compare import compare
from evals.data.datasets import Dataset
from evals.data.languages import load_classifier
from evals.data.material import Material, gather
from evals.data.score import score
from evals.data.tables import Section, comparison_sections, score_sections
from skills_dspy.base.errors import EmbedderMissing
from skills_dspy.model.embedding.embedder import Embedder

Report = tuple[dict[str, Any], list[Section]]


class Scorer:
    """Scores datasets.

    Args:
        sample: the most rows for distances, likeness to seeds and languages; None for the usual.
        seed: of the sample.
        model_of: the embedding model for some datasets, by name; None to do without vectors.
        load: an embedding model by its name.
        count: hears how many of how many texts have been embedded.
    """

    def __init__(
        self,
        sample: int | None,
        seed: int,
        model_of: Callable[[Sequence[Dataset]], str] | None,
        load: Callable[[str], Embedder],
        count: Callable[[int, int], None],
    ) -> None:
        self._sample = sample
        self._seed = seed
        self._model_of = model_of
        self._load = load
        self._count = count
        self._embedders: dict[str, Embedder] = {}
        self._classify = load_classifier()

    def alone(self, datasets: Sequence[Dataset]) -> Report:
        """Each dataset for itself.

        Raises:
            EmbedderMissing: there is no embedding model and one is needed.
        """
        scores = [score(self._gathered(dataset, [dataset])) for dataset in datasets]
        content = {"sample_seed": self._seed, "datasets": [found.as_json() for found in scores]}
        return content, [section for found in scores for section in score_sections(found)]

    def compared(self, pairs: Sequence[tuple[Dataset, Dataset]]) -> Report:
        """Each pair side by side.

        Raises:
            EmbedderMissing: there is no embedding model and one is needed.
        """
        datasets, comparisons, sections = [], [], list[Section]()
        for pair in pairs:
            first, second = (self._gathered(dataset, [dataset, *pair]) for dataset in pair)
            scores = score(first), score(second)
            comparison = compare(first, second, self._seed)
            datasets += [found.as_json() for found in scores]
            comparisons.append(comparison.as_json())
            sections += comparison_sections(comparison, *scores)
        return {"sample_seed": self._seed, "datasets": datasets, "comparisons": comparisons}, sections

    def _gathered(self, dataset: Dataset, related: Sequence[Dataset]) -> Material:
        embedder = None
        if self._model_of is not None:
            name = self._model_of(related)
            if name not in self._embedders:
                self._embedders[name] = self._load(name)
            embedder = self._embedders[name]
        try:
            return gather(dataset, self._sample, self._seed, embedder, classify=self._classify, told=self._count)
        except EmbedderMissing as error:
            raise EmbedderMissing(f"{error}; or do without it with --no-vectors") from error
