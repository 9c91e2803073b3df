"""What a card says of preferences that it does not say of accepted rows: labels, pairs, lengths, and who errs how often."""

from collections.abc import Mapping, Sequence

from skills_dspy.commands.export.judges import OF_ANSWERS, JudgeRates
from skills_dspy.commands.export.markdown import markdown_table
from skills_dspy.commands.export.reviewed import Rows
from skills_dspy.similarity.length import PairLengths

_COLUMNS: Mapping[Rows, str] = {
    "accepted": "`id`, `task_name`, `task_description`, `instruction`, `response`, `context` (null when there is none), `tags` "
    "(instruction quality, sample quality, difficulty, category, each with an explanation and, where the server gave "
    "probabilities, a soft rating), `question_verdict`, `pair_verdict` (rating and explanation of the judges), `provenance` "
    "(draw, examples shown, models, prompts, calls, nearest earlier text).",
    "judged": "`prompt` (a chat: the context, if there is one, a blank line, the question), `completion` (the answer), `label` "
    "(true where judge and filter accepted it, false where they rejected it for the answer; replies that were unreadable or "
    "cut, and what was rejected for anything else, are left out), `id` (of the row in the run).",
    "pairs": "`prompt` (a chat: the context, if there is one, a blank line, the question), `chosen`, `rejected` (two answers "
    "by the same model to the same prompt; the judge, or the tagger of sample quality, rated the chosen one higher, and it "
    "passes), `margin` (by how much), `scale` (`pair_verdict`, 1 to 3, or `sample_quality`, 1 to 5), `id` (of the row in the "
    "run).",
}
_BY_PEOPLE: Mapping[Rows, str] = {
    "accepted": "",
    "judged": " A person's word goes before the judge's: `label` is true where they accepted or edited the row, which then has "
    "their text, and false where they rejected the answer; of a question that they rejected nothing is here.",
    "pairs": " Where a person mended the chosen answer, `chosen` has their words, and `margin` is that of the answer before; "
    "pairs that they contradict are left out.",
}
HUB_TAG: Mapping[Rows, str] = {"accepted": "instruction-tuning", "judged": "kto", "pairs": "dpo"}
"""What such a dataset is called on the Hub."""


def columns_in_words(kind: Rows, *, looked_at: bool) -> str:
    """What the columns are; also what a person's verdict does to them, where anybody looked at the rows."""
    return _COLUMNS[kind] + (_BY_PEOPLE[kind] if looked_at else "")


def preferences_in_words(kind: Rows, labels: Mapping[bool, int], lengths: PairLengths, soft: int) -> tuple[str, list[str]]:
    """What the rows are, as the first sentence says it, and what is to be said of them besides.

    Known are the labels of rows for KTO; of pairs the lengths, and how many margins are of soft ratings.
    """
    match kind:
        case "accepted":
            return "instruction-response pairs", []
        case "judged":
            counts = [f"{labels.get(label, 0):,} {str(label).lower()}" for label in (True, False)]
            return "answers with a label", [f"Labels: {', '.join(counts)}."]
        case "pairs":
            labels_alone = f", of the other {len(lengths.counts) - soft:,} that of labels" if soft < len(lengths.counts) else ""
            margins = (
                f"Of {soft:,} the margin is the difference of soft ratings{labels_alone}." if soft else "Margins are of labels."
            )
            asked = "A second answer was asked for where the first was rejected, or accepted with less than the best label."
            return "pairs of answers", [asked, *lengths.sentences(), margins]


def judges_section(kind: Rows, rates: Sequence[JudgeRates]) -> str:
    """How often the judges err; nothing for accepted rows where that was not measured."""
    own = [rate for rate in rates if kind == "accepted" or rate.step in OF_ANSWERS]
    if not own:
        unmeasured = "How often they err was not measured; `eval judges` does, and `export --judge-report` tells it here."
        return "" if kind == "accepted" else f"\n## The judges\n\n{unmeasured}\n"
    heads = ("judge", "what passes", "lets bad ones through", "rejects good ones", "measured by")
    rows = [(f"`{r.step}`", r.passes, r.false_accept.in_words(), r.false_reject.in_words(), r.source) for r in own]
    return (
        "\n## The judges\n\nHow often they err: false accepts of all that is bad, false rejects of all that is good, with 95 % "
        f"intervals.\n\n{markdown_table(heads, rows)}\n"
    )
