"""The card of an exported dataset: what is in it, how it was made, and what it is not.

A card is Markdown below YAML that the Hugging Face Hub reads. The same runs and rows give the same card: it tells no time and
no path of the machine where it was made.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from signatures.labels import Category, Difficulty, PairRating, Quality, Score
from skills_dspy.base.records import Record
from skills_dspy.commands.export.facts import NOT_STATED, RunFacts
from skills_dspy.pipeline.funnel import STAGES
from skills_dspy.similarity.languages import languages_of, load_classifier

_TEXTS, _LEAST_SHARE = 1_000, 0.1
"""How many rows the languages are told from, and from which share on a language is named."""
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10_000_000, "1M<n<10M"))
_HUB_LICENCES = re.compile(
    r"apache-2\.0|mit|bsd-[23]-clause|cc0-1\.0|cc-by-([234]|sa-[34]|nc-4|nc-sa-4|nd-4)\.0|cdla-(permissive-2|sharing-1)\.0|"
    r"(gpl-[23]|lgpl-3|mpl-2)\.0|odc-by|odbl|pddl|unlicense"
)
"""Licences by the names that the Hub knows; they are SPDX's in small letters."""

_TAGS: tuple[tuple[str, tuple[object, ...]], ...] = (
    ("instruction_quality", get_args(Quality)),
    ("sample_quality", get_args(Score)),
    ("difficulty", get_args(Difficulty)),
    ("category", get_args(Category)),
    ("pair_rating", get_args(PairRating)),
)


@dataclass(slots=True)
class Tally:
    """Counts of the rows of an export, as they go by."""

    sides: Counter[str] = field(default_factory=Counter)
    tasks: Counter[tuple[str, str]] = field(default_factory=Counter)
    grounded: int = 0
    tags: Counter[tuple[str, object]] = field(default_factory=Counter)
    texts: list[str] = field(default_factory=list)

    def add(self, record: Record, side: str) -> None:
        """One more row, on this side."""
        tags = record.tags
        self.sides[side] += 1
        self.tasks[record.task_name, side] += 1
        self.grounded += record.context is not None
        if len(self.texts) < _TEXTS:
            self.texts.append(f"{record.instruction}\n{record.response}")
        for name in ("instruction_quality", "sample_quality", "difficulty", "category"):
            self.tags[name, getattr(tags, name)] += 1
        self.tags["pair_rating", record.pair_verdict.rating] += 1

    @property
    def rows(self) -> int:
        """All rows."""
        return self.sides.total()

    @property
    def by_side(self) -> dict[str, int]:
        """Rows of `train` and `test`, those with none left out."""
        return {side: self.sides[side] for side in ("train", "test") if self.sides[side]}


@dataclass(frozen=True, slots=True)
class Split:
    """How rows were set apart for testing: the share asked for, and the seed."""

    share: float
    seed: int


@dataclass(frozen=True, slots=True)
class SplitBasis:
    """By what rows were compared before they were set apart.

    Attributes:
        limit: the squared distance below which vectors were taken for near.
        by_words: how many rows have no vector in a journal, so that of their meaning only what the run noted was known.
        models: of how many embedding models (or weights of one) the others' vectors are.
    """

    limit: float
    by_words: int
    models: int

    def sentences(self, rows: int) -> list[str]:
        """What was not compared by meaning, of so many rows; nothing where all was."""
        said = []
        if self.by_words:
            said.append(
                f"{self.by_words:,} of {rows:,} rows have no vector in a journal and were compared with others by their words "
                "alone, and by what their run had noted."
            )
        if self.models > 1:
            said.append(
                f"The vectors are of {self.models} embedding models; rows of different ones were compared by their words alone."
            )
        return said


def card(
    runs: Sequence[RunFacts],
    tally: Tally,
    split: Split | None,
    repeated: int = 0,
    mended: int = 0,
    compared: SplitBasis | None = None,
) -> str:
    """The text of README.md.

    Args:
        runs: those whose rows are in the dataset.
        tally: of all rows.
        split: how train and test were parted; none when all is for training.
        repeated: rows left out because an earlier run has them.
        mended: rows in which half of a surrogate pair became U+FFFD.
        compared: by what rows were compared, where there is a split.
    """
    parts = [
        _front(runs, tally),
        f"# {_title(runs)}",
        _intro(runs, tally),
        _answered(runs),
        _contents(tally, split, repeated, mended, compared),
        _making(runs),
        *_screening(runs),
        _funnel(runs),
        _tag_tables(tally),
        _licence(runs),
        _limits(runs),
    ]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def size_category(rows: int) -> str:
    """The Hub's name for a dataset's size."""
    return next((name for bound, name in _SIZES if rows < bound), "10M<n<100M")


def _front(runs: Sequence[RunFacts], tally: Tally) -> str:
    from huggingface_hub import DatasetCardData

    stated = list(dict.fromkeys(run.licence for run in runs))
    names = [(licence or "").lower() for licence in stated]
    licence: str | list[str] = names[0] if len(names) == 1 else names
    details: dict[str, Any] = {}
    if stated == [None]:
        licence = "unknown"
    elif not all(map(_HUB_LICENCES.fullmatch, names)):
        licence, words = "other", ", ".join(name or NOT_STATED for name in stated)
        details = {"license_name": "as-stated-by-the-authors-of-the-seeds", "license_details": words}
    files = [{"split": side, "path": f"data/{side}-*.parquet"} for side in tally.by_side]
    data = DatasetCardData(
        language=_languages(tally.texts) or None,
        license=licence,
        pretty_name=_title(runs),
        size_categories=[size_category(tally.rows)],
        task_categories=["text-generation"],
        tags=["synthetic", "instruction-tuning", "skills_dspy"],
        configs=[{"config_name": "default", "data_files": files}],
        **details,
    )
    return f"---\n{data.to_yaml()}\n---"


def _languages(texts: Sequence[str]) -> list[str]:
    """The languages of a tenth or more of the texts whose language can be told, the most frequent first."""
    found = languages_of(texts, load_classifier())
    return [language for language in found.counts if (found.share(language) or 0.0) >= _LEAST_SHARE]


def _title(runs: Sequence[RunFacts]) -> str:
    names = list(dict.fromkeys(run.task_name.rsplit("/", 1)[-1].replace("_", " ") for run in runs))
    return "Synthetic instructions: " + (", ".join(names) if len(names) <= 3 else f"{len(names)} skills")


def _intro(runs: Sequence[RunFacts], tally: Tally) -> str:
    skills = len({run.task_name for run in runs})
    return (
        f"{tally.rows:,} instruction-response pairs for {skills} skill{'s' * (skills != 1)}, of which {tally.grounded:,} are "
        "about a context. All are **synthetic**: made with skills_dspy from a few seed examples of each skill."
    )


def _answered(runs: Sequence[RunFacts]) -> str:
    lines = ["## What answered", ""]
    for said, none in dict.fromkeys((run.answered_by, run.no_model) for run in runs):
        warning = " **No language model wrote these rows**; the models named below are only what was asked for." if none else ""
        lines.append(f"- {_cell(said)}.{warning}")
    return "\n".join(lines)


def _contents(tally: Tally, split: Split | None, repeated: int, mended: int, compared: SplitBasis | None) -> str:
    names = list(dict.fromkeys(name for name, _ in tally.tasks))
    sides = list(tally.by_side)
    rows = [(name, *(tally.tasks[name, side] for side in sides)) for name in names]
    text = "## Contents\n\n" + _table(("task", *sides), rows)
    if split is not None and compared is not None:
        text += (
            f"\n\nTest rows were set apart with a share of {split.share:g} and the seed {split.seed}. Near-duplicates (same or "
            "near-same context, question or pair by their words, or near in meaning where the run had found that or by the "
            f"vectors of all runs, at a squared distance below {compared.limit:g}) were kept on one side; every row was "
            "compared with every other."
        )
        text += "".join(f" {sentence}" for sentence in compared.sentences(tally.rows))
    if repeated:
        text += f"\n\n{repeated:,} rows were left out because another of the runs has a row with the same id."
    if mended:
        text += f"\n\nIn {mended:,} rows half a character, which UTF-8 cannot hold, became U+FFFD."
    return text + (
        "\n\nColumns: `id`, `task_name`, `task_description`, `instruction`, `response`, `context` (null when there is none), "
        "`tags` (instruction quality, sample quality, difficulty, category, each with an explanation and, where the server "
        "gave probabilities, a soft rating), `question_verdict`, `pair_verdict` (rating and explanation of the judges), "
        "`provenance` (draw, examples shown, models, prompts, calls, nearest earlier text)."
    )


def _making(runs: Sequence[RunFacts]) -> str:
    models = dict.fromkeys(model for run in runs for model in run.models)
    prompts = dict.fromkeys((*prompt, run.compiled or "as shipped") for run in runs for prompt in run.prompts)
    thresholds = dict.fromkeys(item for run in runs for item in run.thresholds)
    seeds = [
        (run.task_name, run.description or NOT_STATED, len(run.seeds), run.created_by, run.seed, run.status) for run in runs
    ]
    embedders = ", ".join(f"`{name}`" for name in dict.fromkeys(run.embedder for run in runs))
    versions = ", ".join(dict.fromkeys(run.version for run in runs))
    return "\n\n".join(
        [
            "## How it was made",
            "Questions (and contexts, where the seeds have one) were written in the manner of the seeds, judged (0 or 1), "
            "answered, judged again with their answers (1 to 3), tagged in the manner of Magpie, filtered by their tags, and "
            f"compared with the seeds and with all earlier pairs by the embedding model {embedders}. skills_dspy {versions}.",
            _table(("task", "description", "seeds", "by", "random seed", "run"), seeds),
            "Models:",
            _table(("role", "model", "digest"), [(role, name, f"`{digest}`") for role, name, digest in models]),
            "What passed:",
            _table(("setting", "value"), thresholds),
            "Prompts, by their fingerprints:",
            _table(("kind", "step", "fingerprint", "prompt"), [(k, s, f"`{mark}`", how) for k, s, mark, how in prompts]),
        ]
    )


def _screening(runs: Sequence[RunFacts]) -> list[str]:
    """Nothing, when no run was decontaminated."""
    if not any(run.screened for run in runs):
        return []
    rows = dict.fromkeys(
        (run.task_name, name, questions, f"`{digest}`", ngram, cosine)
        for run in runs
        for name, questions, digest, ngram, cosine in run.screened or [("none", 0, "", "", "")]
    )
    heads = ("task", "evaluation questions", "questions", "sha256", "words in a row", "largest cosine")
    text = "## Decontamination\n\nCandidates too near to these were rejected:\n\n" + _table(heads, rows)
    dirty = dict.fromkeys((run.task_name, run.contaminated_seeds) for run in runs if run.contaminated_seeds)
    for name, count in dirty:
        text += f"\n\n{count} seed{'s' * (count != 1)} of {_cell(name)} {'are' if count != 1 else 'is'} contaminated "
        text += "themselves." if count != 1 else "itself."
    return [text]


def _funnel(runs: Sequence[RunFacts]) -> str:
    lost: Counter[tuple[str, str]] = Counter()
    for run in runs:
        for stage, reason, count in run.rejected:
            lost[stage, reason] += count
    order = {stage: place for place, stage in enumerate(STAGES)}
    rows = sorted(((s, r, n) for (s, r), n in lost.items()), key=lambda row: (order.get(row[0], len(order)), row[1]))
    candidates = sum(run.candidates for run in runs)
    accepted = candidates - lost.total()
    text = f"## Funnel\n\n{candidates:,} candidates, {accepted:,} accepted, {lost.total():,} rejected:"
    if any(run.status == "running" for run in runs):
        text += " (a run was still going on when this was exported; its counts are of its last stop)"
    return text + "\n\n" + _table(("stage", "reason", "rejected"), rows)


def _tag_tables(tally: Tally) -> str:
    rows = [
        (name.replace("_", " "), label, tally.tags[name, label], f"{100 * tally.tags[name, label] / tally.rows:.1f} %")
        for name, labels in _TAGS
        for label in labels
        if tally.tags[name, label]
    ]
    return "## Tags\n\n" + _table(("tag", "label", "rows", "share"), rows)


def _licence(runs: Sequence[RunFacts]) -> str:
    stated = dict.fromkeys((run.task_name, run.licence or NOT_STATED) for run in runs)
    return (
        "## Licence\n\nOf the seeds, as their authors stated it. Whether the models' terms put further conditions on what they "
        "wrote was not examined.\n\n" + _table(("task", "licence of the seeds"), stated)
    )


def _limits(runs: Sequence[RunFacts]) -> str:
    none = any(run.no_model for run in runs)
    lines = [
        "- Nobody has read these rows one by one. The judges are models too, and let bad pairs pass.",
        "- Facts were not checked against any source. Rows with a context were judged against that context alone.",
        "- The rows resemble the seeds in subject, form and language, and share the biases of the models.",
        "- Tags are a model's opinion. Near-duplicates by the embedding model's measure were removed; others may remain.",
    ]
    if not all(run.screened for run in runs):
        which = "Rows of some tasks" if any(run.screened for run in runs) else "Rows"
        lines.append(f"- {which} were not compared with any benchmark.")
    if none:
        lines.insert(0, '- **These rows say nothing about any language model**: see "What answered".')
    return "## Limits\n\n" + "\n".join(lines)


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    filled = [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows]
    if not filled:
        return f"({NOT_STATED})"
    return "\n".join([f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads), *filled])


def _cell(value: object) -> str:
    """Text that stays in its cell, or its line, whatever is in it."""
    text = f"{value:,}" if isinstance(value, int) and value >= 10_000 else str(value)
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
