"""The card of an exported dataset: what is in it, how it was made, and what it is not.

A card is Markdown, laid out in card.md, below YAML that the Hugging Face Hub reads. The same runs and rows give the same card:
it tells no time and no path of the machine where it was made.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, get_args

from signatures.labels import Category, Difficulty, PairRating, Quality, Score
from skills_dspy.base.records import AnswerPair, Record
from skills_dspy.commands.export.facts import NOT_STATED, RunFacts
from skills_dspy.commands.export.judges import JudgeRates
from skills_dspy.commands.export.layouts import ThoughtfulRecord
from skills_dspy.commands.export.markdown import cell, markdown_table
from skills_dspy.commands.export.preferences import HUB_TAG, columns_in_words, judges_section, preferences_in_words
from skills_dspy.commands.export.reviewed import ExportRow, JudgedAnswer, Rows, exported_answer
from skills_dspy.commands.export.split import SplitBasis
from skills_dspy.pipeline.funnel import STAGES
from skills_dspy.similarity.languages import languages_of, load_classifier
from skills_dspy.similarity.length import PairLengths

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
    """Counts of the rows of an export, as they go by.

    Attributes:
        tasks: rows by task and side.
        texts: what the languages are told from.
        thoughtful: rows with the generator's thoughts.
        spoilt: rows whose thoughts were left out because a trainer would take what is in them for its own.
        repeated: rows left out because another of the runs has them.
        left_over: place and fault of rows left out because they hold what a machine leaves behind.
        mended: rows in which half a character was replaced.
        compared: by what rows were compared; none without a test side.
        labels: of rows for KTO, how many are true and false.
        lengths: of pairs of answers.
        soft: how many margins of these are of soft ratings.
        looked_at, read, elsewhere: what people did, see `ExportRows`; empty where nobody has looked.
    """

    tasks: Counter[tuple[str, str]] = field(default_factory=Counter)
    grounded: int = 0
    tags: Counter[tuple[str, object]] = field(default_factory=Counter)
    texts: list[str] = field(default_factory=list)
    thoughtful: int = 0
    spoilt: int = 0
    repeated: int = 0
    left_over: list[str] = field(default_factory=list)
    mended: int = 0
    compared: SplitBasis | None = None
    labels: Counter[bool] = field(default_factory=Counter)
    lengths: PairLengths = field(default_factory=PairLengths)
    soft: int = 0
    looked_at: Counter[str] = field(default_factory=Counter)
    read: int = 0
    elsewhere: Counter[tuple[str, str] | None] = field(default_factory=Counter)

    def reviews(self) -> str | None:
        """How many rows a person has looked at, in a sentence; None where nobody has looked at any."""
        count = self.looked_at.total() - self.looked_at["none"]
        if not count:
            return None
        rejected = "rejected" if self.labels or self.lengths.counts else "rejected and left out"
        ways = (("accept", "accepted"), ("edit", "edited"), ("reject", rejected))
        said = ", ".join(f"{self.looked_at[verdict]:,} {did}" for verdict, did in ways if self.looked_at[verdict])
        return f"A person looked at {count:,} of {self.looked_at.total():,} rows: {said}"

    def add(self, row: ExportRow, side: str) -> None:
        """One more row, on this side."""
        self.tasks[row.task_name, side] += 1
        self.grounded += bool(row.context)
        if isinstance(row, AnswerPair):
            self.lengths.add(row.chosen.answer, row.rejected.answer)
            self.soft += row.chosen.soft and row.rejected.soft
        elif isinstance(row, JudgedAnswer):
            self.labels[row.label] += 1
        if len(self.texts) < _TEXTS:
            self.texts.append(f"{row.instruction}\n{exported_answer(row)}")
        if isinstance(row, Record):
            self._note(row)

    def _note(self, record: Record) -> None:
        """The tags of an accepted row, and whether it has thoughts."""
        self.thoughtful += isinstance(record, ThoughtfulRecord) and bool(record.reasoning_content)
        for name, _ in _TAGS[:-1]:
            self.tags[name, getattr(record.tags, name)] += 1
        self.tags["pair_rating", record.pair_verdict.rating] += 1

    @property
    def rows(self) -> dict[str, int]:
        """Rows of `train` and `test`, those with none left out."""
        counts = {side: sum(n for (_, at), n in self.tasks.items() if at == side) for side in ("train", "test")}
        return {side: count for side, count in counts.items() if count}


def card(runs: Sequence[RunFacts], tally: Tally, kind: Rows = "accepted", rates: Sequence[JudgeRates] = ()) -> str:
    """The text of README.md of such rows; `rates` says how often the judges err, where that was measured."""
    rows, skills = sum(tally.rows.values()), len({run.task_name for run in runs})
    names = list(dict.fromkeys(run.task_name.rsplit("/", 1)[-1].replace("_", " ") for run in runs))
    title = f"Synthetic {'instructions' if kind == 'accepted' else 'preferences'}: " + (
        ", ".join(names) if len(names) <= 3 else f"{len(names)} skills"
    )
    seeds = [
        (run.task_name, run.description or NOT_STATED, len(run.seeds), run.created_by, run.seed, run.status) for run in runs
    ]
    models = dict.fromkeys((role, name, f"`{digest}`") for run in runs for role, name, digest in run.models)
    prompts = dict.fromkeys(
        (kind, step, f"`{mark}`", run.compiled or "as shipped") for run in runs for kind, step, mark in run.prompts
    )
    licences = dict.fromkeys((run.task_name, run.licence or NOT_STATED) for run in runs)
    what, parts = preferences_in_words(kind, tally.labels, tally.lengths, tally.soft)
    return (
        (files(__package__) / "card.md")
        .read_text("utf-8")
        .format(
            front=_front(runs, tally, title, kind),
            what=what,
            title=title,
            rows=rows,
            skills=f"{skills} skill{'s' * (skills != 1)}",
            grounded=tally.grounded,
            answered=_answered(runs),
            contents="\n\n".join([_contents(tally), *parts]),
            columns=columns_in_words(kind, looked_at=tally.reviews() is not None),
            judges=judges_section(kind, rates),
            embedders=", ".join(f"`{name}`" for name in dict.fromkeys(run.embedder for run in runs)),
            versions=", ".join(dict.fromkeys(run.version for run in runs)),
            seeds=markdown_table(("task", "description", "seeds", "by", "random seed", "run"), seeds),
            models=markdown_table(("role", "model", "digest"), models),
            thresholds=markdown_table(("setting", "value"), dict.fromkeys(item for run in runs for item in run.thresholds)),
            prompts=markdown_table(("kind", "step", "fingerprint", "prompt"), prompts),
            screening=_screening(runs),
            funnel=_funnel(runs),
            tags=f"## Tags\n\n{_tag_table(tally, rows)}\n\n" if kind == "accepted" else "",
            licences=markdown_table(("task", "licence of the seeds"), licences),
            models_licences=_models_licences(runs),
            limits=_limits(runs, tally, kind),
        )
    )


def size_category(rows: int) -> str:
    """The Hub's name for a dataset's size."""
    return next((name for bound, name in _SIZES if rows < bound), "10M<n<100M")


def _front(runs: Sequence[RunFacts], tally: Tally, title: str, kind: Rows) -> str:
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
    languages = languages_of(tally.texts, load_classifier())
    known = languages.known
    data = DatasetCardData(
        language=[name for name in languages.counts if known.count(name) >= max(1, _LEAST_SHARE * len(known))] or None,
        license=licence,
        pretty_name=title,
        size_categories=[size_category(sum(tally.rows.values()))],
        task_categories=["text-generation"],
        tags=["synthetic", HUB_TAG[kind], "skills_dspy"],
        configs=[
            {
                "config_name": "default",
                "data_files": [
                    {"split": side, "path": f"data/{side}-*.parquet" if kind == "accepted" else f"data/{side}.jsonl"}
                    for side in tally.rows
                ],
            }
        ],
        **details,
    )
    return f"---\n{data.to_yaml()}\n---"


def _answered(runs: Sequence[RunFacts]) -> str:
    warning = " **No language model wrote these rows**; the models named below are only what was asked for."
    answers = dict.fromkeys((run.answered_by, run.no_model) for run in runs)
    return "\n".join(f"- {cell(said)}.{warning if no_model else ''}" for said, no_model in answers)


def _contents(tally: Tally) -> str:
    sides, compared = list(tally.rows), tally.compared
    names = dict.fromkeys(name for name, _ in tally.tasks)
    parts = [markdown_table(("task", *sides), [(name, *(tally.tasks[name, side] for side in sides)) for name in names])]
    if compared is not None:
        sentence = (
            f"Test rows were set apart with a share of {compared.split.share:g} and the seed {compared.split.seed}. "
            "Near-duplicates (same or near-same context, question or pair by their words, or near in meaning where the run had "
            f"found that or by the vectors of all runs, at a squared distance below {compared.limit:g}) were kept on one side; "
            "every row was compared with every other."
        )
        parts.append(" ".join([sentence, *compared.sentences(sum(tally.rows.values()))]))
    if tally.thoughtful:
        parts.append(f"{tally.thoughtful:,} rows have what the generator thought before it answered, as `reasoning_content`.")
    if (said := tally.reviews()) is not None:
        typed = tally.looked_at["edit"] and not tally.labels and not tally.lengths.counts
        both = " `provenance.reviewed` has both texts of an edited row." if typed else ""
        parts.append(f"{said}.{both}")
    if tally.repeated:
        parts.append(f"{tally.repeated:,} rows were left out because another of the runs has a row with the same id.")
    if tally.left_over:
        parts.append(f"{len(tally.left_over):,} rows were left out because they hold what a machine leaves behind.")
    if tally.mended:
        parts.append(f"In {tally.mended:,} rows half a character, which UTF-8 cannot hold, became U+FFFD.")
    return "\n\n".join(parts)


def _models_licences(runs: Sequence[RunFacts]) -> str:
    """Nothing, where neither server nor file told one."""
    told = dict.fromkeys(item for run in runs for item in run.models_licences)
    if not told:
        return ""
    return (
        "\nOf the models, by the first lines that their server or file has of it:\n\n"
        + markdown_table(("model", "licence"), told)
        + "\n"
    )


def _screening(runs: Sequence[RunFacts]) -> str:
    """Nothing, when no run was decontaminated."""
    if not any(run.screened for run in runs):
        return ""
    rows = dict.fromkeys(
        (run.task_name, name, questions, f"`{digest}`", ngram, cosine)
        for run in runs
        for name, questions, digest, ngram, cosine in run.screened or [("none", 0, "", "", "")]
    )
    heads = ("task", "evaluation questions", "questions", "sha256", "words in a row", "largest cosine")
    text = "\n## Decontamination\n\nCandidates too near to these were rejected:\n\n" + markdown_table(heads, rows) + "\n"
    for name, count in dict.fromkeys((run.task_name, run.contaminated_seeds) for run in runs if run.contaminated_seeds):
        seeds, themselves = ("seed", "is contaminated itself") if count == 1 else ("seeds", "are contaminated themselves")
        text += f"\n{count} {seeds} of {cell(name)} {themselves}.\n"
    return text


def _funnel(runs: Sequence[RunFacts]) -> str:
    lost: Counter[tuple[str, str]] = Counter()
    for run in runs:
        for stage, reason, count in run.rejected:
            lost[stage, reason] += count
    order = {stage: place for place, stage in enumerate(STAGES)}
    rows = sorted(((s, r, n) for (s, r), n in lost.items()), key=lambda row: (order.get(row[0], len(order)), row[1]))
    candidates = sum(run.candidates for run in runs)
    accepted = candidates - lost.total()
    text = f"{candidates:,} candidates, {accepted:,} accepted, {lost.total():,} rejected:"
    if any(run.status == "running" for run in runs):
        text += " (a run was still going on when this was exported; its counts are of its last stop)"
    return text + "\n\n" + markdown_table(("stage", "reason", "rejected"), rows)


def _tag_table(tally: Tally, rows: int) -> str:
    counts = [(name.replace("_", " "), label, tally.tags[name, label]) for name, labels in _TAGS for label in labels]
    cells = [(name, label, count, f"{100 * count / rows:.1f} %") for name, label, count in counts if count]
    return markdown_table(("tag", "label", "rows", "share"), cells)


def _limits(runs: Sequence[RunFacts], tally: Tally, kind: Rows) -> str:
    rows = sum(tally.rows.values())
    read = (
        f"A person has read {tally.read:,} of these {rows:,} rows, and nobody the others"
        if tally.read < rows
        else "A person has read each of these rows"
    )
    if not tally.read:
        read = "Nobody has read these rows one by one"
    lines = [
        f"- {read}. The judges are models too, and let bad pairs pass.",
        "- Facts were not checked against any source. Rows with a context were judged against that context alone.",
        "- The rows resemble the seeds in subject, form and language, and share the biases of the models.",
        "- Tags are a model's opinion. Near-duplicates by the embedding model's measure were removed; others may remain.",
    ]
    if not all(run.screened for run in runs):
        which = "Rows of some tasks" if any(run.screened for run in runs) else "Rows"
        lines.append(f"- {which} were not compared with any benchmark.")
    if kind != "accepted" and tally.read < rows:
        whose = " where no person has read a row" if tally.read else ", not a person's"
        lines.insert(0, f"- **What is preferred is a model's opinion**{whose}: see how often it errs, above.")
    if any(run.no_model for run in runs):
        lines.insert(0, '- **These rows say nothing about any language model**: see "What answered".')
    return "\n".join(lines)
