"""Preferences as trainers read them: what is true, false, chosen and rejected, and how often the judges err that say so."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from skills_dspy.base.errors import ExportError, NothingToExport
from skills_dspy.base.records import FARTHEST, AnswerPair, Neighbour, RatedAnswer, Reason, Record, Rejection
from skills_dspy.commands.export.export import Format
from skills_dspy.commands.export.judges import judge_rates
from skills_dspy.commands.export.source import find_sources
from skills_dspy.commands.export.split import Split
from skills_dspy.store.files import typed_rows
from skills_dspy.store.run_dir import RunPaths
from tests.helpers.exporting import a_record, a_run_json, exported, files_below, json_rows, say, some_records, write_run

REPORT = Path(__file__).parents[2] / "before" / "inputs" / "runs" / "evals" / "judges.json"


def rejected(row_id: str, stage: str, reason: Reason, answer: str | None = "A plant.", *, question: str = "Fox?") -> Rejection:
    """A rejected candidate, decided before `a_record`."""
    whole = a_record(row_id, question)
    values = {name: getattr(whole, name) for name in ("id", "task_name", "instruction", "context")}
    source = whole.provenance.model_copy(update={"draw": int(row_id, 16)})
    return Rejection(**values, stage=stage, reason=reason, detail="", response=answer, raw_reply="{}", provenance=source)


def a_pair(
    row_id: str, *, context: str = "", better: str = "An animal.", worse: str = "A plant.", soft: bool = True
) -> AnswerPair:
    """A pair of answers."""
    sides = {
        name: RatedAnswer(answer=text, rating=rating, expected=rating - 0.25, soft=soft, second=rating == 3, calls=("c" * 64,))
        for name, text, rating in (("chosen", better, 3), ("rejected", worse, 1))
    }
    return AnswerPair(
        id=row_id,
        task_name="test/foxes",
        instruction=f"q{row_id} w{row_id}?",
        context=context,
        scale="pair_verdict",
        margin=2.0,
        neighbour=FARTHEST,
        **sides,
    )


def write(root: Path, accepted: list[Record], *others: Rejection | AnswerPair) -> Path:
    """A run's files; returns the folder of runs."""
    folder = write_run(root, accepted)
    for name, kind in (("rejected.jsonl", Rejection), ("pairs.jsonl", AnswerPair)):
        lines = [row.model_dump_json() + "\n" for row in others if isinstance(row, kind)]
        (folder / name).write_text("".join(lines), "utf-8")
    return root


@pytest.fixture
def judged(tmp_path: Path) -> Path:
    """A run with an accepted pair, one about a context, and all sorts of rejected ones."""
    return write(
        tmp_path / "runs",
        [a_record("a"), a_record("b", "Who runs?", "It does.", "The fox runs.\n")],
        rejected("1", "judge_pair", "judged bad"),
        rejected("2", "sample_quality", "filtered", question="Plants?"),
        rejected("3", "judge_pair", "unreadable"),
        rejected("4", "write_answer", "truncated"),
        rejected("5", "judge_question", "judged bad", None),
        rejected("6", "sample_quality", "truncated"),
        rejected("7", "answer_habits", "overused"),
        rejected("8", "judge_pair", "judged bad", "A plant.<|im_end|>"),
        rejected("9", "sample_quality", "not asked"),
    )


def test_an_answer_is_true_or_false_as_it_was_judged(judged: Path, tmp_path: Path) -> None:
    """Replies that could not be read, cut ones, residue and what fell for anything else are neither; in the order decided."""
    tally = exported(judged, tmp_path / "kto", "kto", system="Be brief.")
    rows = json_rows(tmp_path / "kto" / "data" / "train.jsonl")
    assert [(row["id"], row["label"]) for row in rows] == [("1", False), ("2", False), ("a", True), ("b", True)]
    system = {"role": "system", "content": "Be brief."}
    asked = {"role": "user", "content": "The fox runs.\n\nWho runs?"}
    answered = {"role": "assistant", "content": "It does."}
    assert rows[3] == {"prompt": [system, asked], "completion": [answered], "label": True, "id": "b"}
    assert (dict(tally.labels), len(tally.left_over)) == ({True: 2, False: 2}, 1)
    card = (tmp_path / "kto" / "README.md").read_text("utf-8")
    assert "Labels: 2 true, 2 false." in card
    assert "`id` (of the row in the run).\n" in card


@pytest.mark.parametrize("reason", ["judged bad", "filtered"])
def test_an_answer_that_was_written_again_and_then_judged_is_false(reason: Reason, tmp_path: Path) -> None:
    """It is rejected under the name of habits, which made it be written again, but for what a judge said of it."""
    write(tmp_path / "runs", [a_record("a")], rejected("1", "answer_habits", reason))
    exported(tmp_path / "runs", tmp_path / "kto", "kto")
    rows = json_rows(tmp_path / "kto" / "data" / "train.jsonl")
    assert {row["id"]: row["label"] for row in rows} == {"1": False, "a": True}


def test_pairs_are_chosen_and_rejected(tmp_path: Path) -> None:
    """With the margin; the card says what they are, and how the lengths compare."""
    long = "It is an animal that runs and barks."
    write(tmp_path / "runs", [a_record()], a_pair("1", better=long), a_pair("2", context="Text.\n", soft=False))
    exported(tmp_path / "runs", tmp_path / "dpo", "dpo")
    first, second = json_rows(tmp_path / "dpo" / "data" / "train.jsonl")
    assert first == {
        "prompt": [{"role": "user", "content": "q1 w1?"}],
        "chosen": [{"role": "assistant", "content": long}],
        "rejected": [{"role": "assistant", "content": "A plant."}],
        "margin": 2.0,
        "scale": "pair_verdict",
        "id": "1",
    }
    assert second["prompt"][0]["content"] == "Text.\n\nq2 w2?"
    text = (tmp_path / "dpo" / "README.md").read_text("utf-8")
    assert "# Synthetic preferences: foxes\n\n2 pairs of answers for 1 skill, of which 1 are about a context." in text
    assert "Chosen answers have 5 words in the median, rejected ones 2; the chosen one is longer in 1 of 2 pairs" in text
    assert "Of 1 the margin is the difference of soft ratings, of the other 1 that of labels." in text
    assert "- dpo\n" in text
    assert "## Tags" not in text
    assert "How often they err was not measured" in text


def test_without_pairs_it_is_said_how_to_get_some(judged: Path) -> None:
    """One sentence with the command; another where second answers were asked for and made none."""
    pairs = judged / "test" / "foxes" / "pairs.jsonl"
    with pytest.raises(NothingToExport, match=r"pairs\.jsonl is empty: no second answer made a pair"):
        find_sources([judged], "pairs")
    pairs.unlink()
    with pytest.raises(
        NothingToExport, match=r"no pairs of answers in .*foxes: `decide RUN --pairs K` asks for second answers"
    ):
        find_sources([judged], "pairs")


def test_residue_in_either_answer_keeps_a_pair_out(tmp_path: Path) -> None:
    """What is rejected is trained on, too."""
    write(tmp_path / "runs", [a_record()], a_pair("1", worse="A plant.<|im_end|>"), a_pair("2"))
    assert len(exported(tmp_path / "runs", tmp_path / "dpo", "dpo").left_over) == 1
    assert [row["id"] for row in json_rows(tmp_path / "dpo" / "data" / "train.jsonl")] == ["2"]


def test_thoughts_have_no_place_there(judged: Path, tmp_path: Path) -> None:
    """Refused before anything is read."""
    with pytest.raises(ExportError, match="--thoughts: kto holds answers that are compared"):
        exported(judged, tmp_path / "kto", "kto", thoughts=True)


@pytest.mark.parametrize("layout", ["kto", "dpo"])
def test_both_answers_to_one_question_stay_on_one_side(layout: Format, tmp_path: Path, load: Callable[..., Any]) -> None:
    """A near-copy of a question, accepted or rejected, does not cross over; the same again gives the same bytes."""
    near = rejected("1", "judge_pair", "judged bad", question="q0a q0b q0c q0d?")
    pairs = [
        a_pair(f"{n}", worse=f"w{n}a w{n}b").model_copy(update={"neighbour": Neighbour(id="1", distance=0.1)}) for n in (1, 2)
    ]
    write(tmp_path / "runs", some_records(4), near, *pairs, a_pair("3", worse="k l m"), a_pair("4", worse="n o p"))
    for name in ("one", "two"):
        exported(tmp_path / "runs", tmp_path / name, layout, split=Split(0.4, 3))
    assert files_below(tmp_path / "one") == files_below(tmp_path / "two")
    sides = load(str(tmp_path / "one"))
    together = {"kto": ("1", some_records(1)[0].id), "dpo": ("1", "2")}[layout]
    assert sorted(sides) == ["test", "train"]
    assert {tuple(name in sides[side]["id"] for name in together) for side in sides} == {(True, True), (False, False)}


# ---- what a person said ----------------------------------------------------------------------------------------------


ACCEPT, WRONG = {"verdict": "accept"}, {"verdict": "reject", "about": "answer", "reason": "wrong fact"}
VAGUE = {"verdict": "reject", "about": "question", "reason": "too vague"}


def edit(question: str, answer: str) -> dict[str, str]:
    """The choice of other texts."""
    return {"verdict": "edit", "instruction": question, "response": answer}


def look(root: Path, **choices: dict[str, str]) -> None:
    """What a person says of the rows of a run, by their ids behind an `r`."""
    paths = RunPaths(root / "test" / "foxes")
    rows: dict[str, Record | Rejection] = {row.id: row for _, row in typed_rows(paths.data, Record)}
    rows |= {row.id: row for _, row in typed_rows(paths.rejected, Rejection)}
    for name, choice in choices.items():
        say(paths.folder, rows[name.removeprefix("r")], **choice)


def test_a_persons_verdict_is_the_label(judged: Path, tmp_path: Path) -> None:
    """Whatever the judge said; what was edited is true as it was edited, and of a bad question nothing is learned."""
    look(judged, ra=WRONG, rb=VAGUE, r1=ACCEPT, r2=edit("Which?", "This one."))
    tally = exported(judged, tmp_path / "kto", "kto")
    rows = json_rows(tmp_path / "kto" / "data" / "train.jsonl")
    assert [(row["id"], row["label"]) for row in rows] == [("1", True), ("2", True), ("a", False)]
    assert [turns["content"] for turns in rows[1]["prompt"] + rows[1]["completion"]] == ["Which?", "This one."]
    assert tally.reviews() == "A person looked at 4 of 4 rows: 1 accepted, 1 edited, 2 rejected"
    card = (tmp_path / "kto" / "README.md").read_text("utf-8")
    assert "- A person has read each of these rows." in card
    assert "(of the row in the run). A person's word goes before the judge's: `label` is true where they accepted" in card


def test_reviewed_only_keeps_what_was_looked_at_true_or_false(judged: Path, tmp_path: Path) -> None:
    """What the judges alone said is out, and where nobody has looked at any nothing is left."""
    with pytest.raises(NothingToExport, match="--reviewed-only leaves out what no person looked at"):
        exported(judged, tmp_path / "none", "kto", reviewed_only=True)
    look(judged, ra=WRONG, r1=ACCEPT)
    tally = exported(judged, tmp_path / "kto", "kto", reviewed_only=True)
    assert [(row["id"], row["label"]) for row in json_rows(tmp_path / "kto" / "data" / "train.jsonl")] == [
        ("1", True),
        ("a", False),
    ]
    assert tally.reviews() == "A person looked at 2 of 4 rows: 1 accepted, 1 rejected"
    text = (tmp_path / "kto" / "README.md").read_text("utf-8")
    assert "- A person has read each of these rows." in text
    assert "**What is preferred is a model's opinion**" not in text


@pytest.mark.parametrize(
    ("review", "kept"),
    [
        (ACCEPT, ["2"]),
        (WRONG, ["1", "2"]),
        (VAGUE, ["2"]),
        (edit("q1 w1?", "Better."), ["2"]),
    ],
)
def test_a_pair_that_a_person_contradicts_is_left_out(review: dict[str, str], kept: list[str], tmp_path: Path) -> None:
    """The first answer was rejected beside a second: who accepts the first, or mends it, prefers another than the judge."""
    first = rejected("1", "judge_pair", "judged bad", question="q1 w1?")
    write(tmp_path / "runs", [a_record()], a_pair("1"), a_pair("2"), first)
    look(tmp_path / "runs", r1=review)
    exported(tmp_path / "runs", tmp_path / "dpo", "dpo")
    assert [row["id"] for row in json_rows(tmp_path / "dpo" / "data" / "train.jsonl")] == kept


@pytest.mark.parametrize(
    ("review", "chosen"),
    [
        (ACCEPT, ["An animal.", "An animal."]),
        (WRONG, ["An animal."]),
        (edit("q1 w1?", "A red animal."), ["A red animal.", "An animal."]),
        (edit("What is q1?", "A red animal."), ["An animal."]),
    ],
)
def test_what_a_person_mends_is_chosen_as_they_mended_it(review: dict[str, str], chosen: list[str], tmp_path: Path) -> None:
    """The first answer was chosen: who edits it makes it better; of an answer to another question than asked nobody knows."""
    pair = a_pair("1")
    sides = {"chosen": pair.chosen.model_copy(update={"second": False}), "rejected": pair.rejected}
    first = a_record("1", "q1 w1?", "An animal.")
    write(tmp_path / "runs", [first], pair.model_copy(update=sides), a_pair("2"))
    look(tmp_path / "runs", r1=review)
    tally = exported(tmp_path / "runs", tmp_path / "dpo", "dpo")
    assert [row["chosen"][0]["content"] for row in json_rows(tmp_path / "dpo" / "data" / "train.jsonl")] == chosen
    read = "A person has read 1 of these 2 rows, and nobody the others" if len(chosen) == 2 else "Nobody has read these rows"
    text = (tmp_path / "dpo" / "README.md").read_text("utf-8")
    assert read in text
    assert "(of the row in the run). Where a person mended the chosen answer, `chosen` has their words" in text
    assert f"a model's opinion**{' where no person has read a row' if len(chosen) == 2 else ', not a person'}" in text
    assert "provenance" not in text
    assert "left out" not in (tally.reviews() or "left out")


# ---- in the trainer --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lab() -> tuple[Callable[[], Any], Any]:
    """What makes a tiny model with random weights, and its tokenizer with a chat template: nothing is fetched."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tokenizers import Tokenizer, models, pre_tokenizers
        from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
    words = {
        word: number for number, word in enumerate(("[UNK]", "[PAD]", "[EOS]", "assistant", "user", "fox", "An", "animal", "."))
    }
    made: Any = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    kind: Any = PreTrainedTokenizerFast
    tokenizer = kind(tokenizer_object=made, unk_token="[UNK]", pad_token="[PAD]", eos_token="[EOS]")
    turns = "{% for m in messages %}{{ m.role }} {{ m.content }} [EOS] {% endfor %}"
    tokenizer.chat_template = turns + "{% if add_generation_prompt %}assistant {% endif %}"
    kind = LlamaConfig
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = kind(vocab_size=len(words), max_position_embeddings=64, pad_token_id=1, eos_token_id=2, **sizes)
    return lambda: LlamaForCausalLM(config), tokenizer


@pytest.mark.torch
@pytest.mark.parametrize("layout", ["kto", "dpo"])
def test_the_trainer_takes_a_step(
    layout: Format, judged: Path, tmp_path: Path, load: Callable[..., Any], lab: tuple[Callable[[], Any], Any]
) -> None:
    """TRL reads the folder as it lies there, and learns from it: the loss is that of a model that prefers nothing yet."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from trl.trainer.dpo_config import DPOConfig
        from trl.trainer.dpo_trainer import DPOTrainer
        from trl.trainer.kto_config import KTOConfig
        from trl.trainer.kto_trainer import KTOTrainer

        if layout == "dpo":
            pairs = (a_pair("1"), a_pair("2", context="The fox runs."))
            (judged / "test/foxes/pairs.jsonl").write_text("".join(one.model_dump_json() + "\n" for one in pairs), "utf-8")
        exported(judged, tmp_path / "out", layout)
        rows = load(str(tmp_path / "out"), split="train")
        config_kind: Any = KTOConfig if layout == "kto" else DPOConfig
        trainer_kind: Any = KTOTrainer if layout == "kto" else DPOTrainer
        make_model, tokenizer = lab
        config = config_kind(
            output_dir=str(tmp_path / "trained"),
            max_steps=1,
            per_device_train_batch_size=2,
            report_to=[],
            save_strategy="no",
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            disable_tqdm=True,
        )
        model = make_model()
        before = model.model.embed_tokens.weight.detach().clone()
        trainer = trainer_kind(model=model, ref_model=make_model(), args=config, train_dataset=rows, processing_class=tokenizer)
        told = trainer.train()
    assert 0.3 < told.training_loss < 1.0
    assert not before.equal(model.model.embed_tokens.weight.detach())


# ---- how often the judges err ----------------------------------------------------------------------------------------


def of_simulated(root: Path) -> Path:
    """A run judged by the model that the report is about, with a question that was rejected for its answer."""
    run = a_run_json()
    run["inputs"]["models"] = {role: {"name": "mistral-small3.2:latest", "digest": "d"} for role in ("validator", "tagger")}
    run["config"]["filter"]["sample_quality"] = [4, 5]
    folder = write_run(root, run=run)
    (folder / "rejected.jsonl").write_text(rejected("1", "judge_pair", "judged bad").model_dump_json() + "\n", "utf-8")
    (folder / "pairs.jsonl").write_text(a_pair("1").model_dump_json() + "\n", "utf-8")
    return folder


@pytest.mark.parametrize("place", ["runs/test/foxes", "runs", "output-evals", None])
def test_the_card_tells_how_often_the_judges_err(place: str | None, tmp_path: Path) -> None:
    """By the report that lies with the run, or that is given: false accepts and false rejects, at the run's own threshold."""
    of_simulated(tmp_path / "runs")
    report = tmp_path / (place or "elsewhere") / "judges.json"
    report.parent.mkdir(exist_ok=True)
    report.write_bytes(REPORT.read_bytes())
    told = {judge["step"]: judge for judge in json.loads(REPORT.read_bytes())["judges"]}
    rates, said = judge_rates(find_sources([tmp_path / "runs"], "judged"), None if place else report)
    assert said[0] == f"How often the judges err: from {report.absolute()}"
    by_step = {rate.step: rate for rate in rates}
    assert list(by_step) == [step for step in told if step not in ("tag_difficulty", "tag_category")]
    for step, rate in by_step.items():
        sweep = told[step]["threshold_sweep"]
        figures = (
            told[step]["all"]
            if sweep is None
            else next(c for c in sweep["labels"] if ", ".join(map(str, c["accepts"])) == rate.passes)
        )
        assert rate.false_accept.model_dump() == {
            name: figures["false_accept"][name] for name in ("count", "of", "low", "high")
        }
        assert rate.false_reject.count == figures["false_reject"]["count"]
    exported(tmp_path / "runs", tmp_path / "kto", "kto", rates=rates)
    text = (tmp_path / "kto" / "README.md").read_text("utf-8")
    assert "simulated-teacher" in text
    for step in by_step:
        assert (f"| `{step}` |" in text) == step.startswith(("judge_pair", "tag_sample"))
    exported(tmp_path / "runs", tmp_path / "hf", "hf", rates=rates)
    assert "| `judge_question_freeform` | 1 | 1 of 2 (50 %; 9 to 91 %) |" in (tmp_path / "hf" / "README.md").read_text("utf-8")


def test_the_card_tells_it_from_reviews(tmp_path: Path) -> None:
    """`eval judges --reviews` reports in the same form, names all models and servers, and no program."""
    of_simulated(tmp_path / "runs")
    told = json.loads(REPORT.read_bytes())
    kept = {"judges": told["judges"], "answered_by": ["Ollama 1", "Ollama 2"], "reviews": {"accept": 5, "reject": 2}}
    report = tmp_path / "judges.json"
    report.write_text(
        json.dumps({**kept, "judge_models": ["mistral-small3.2"], "tagger_models": ["mistral-small3.2"]}), "utf-8"
    )
    rates, _ = judge_rates(find_sources([tmp_path / "runs"]), report)
    assert {rate.step for rate in rates} == {judge["step"] for judge in told["judges"]}
    assert rates[0].source == "a person, who looked at 7 rows, 4 of them about this; answered by Ollama 1; Ollama 2"
    report.write_text(json.dumps({**kept, "judge_models": ["mistral-small3.2", "other"], "tagger_models": []}), "utf-8")
    with pytest.raises(ExportError, match=r"it is about mistral-small3\.2 and other, and the validator"):
        judge_rates(find_sources([tmp_path / "runs"]), report)


def test_a_report_on_other_prompts_says_nothing_of_these(tmp_path: Path) -> None:
    """The judges were asked with a compiled program, and the run without, or the other way round."""
    of_simulated(tmp_path / "runs")
    report = tmp_path / "judges.json"
    report.write_text(json.dumps({**json.loads(REPORT.read_bytes()), "program": "program.json"}), "utf-8")
    with pytest.raises(ExportError, match="other prompts than those of test/foxes: one of the two has a compiled program"):
        judge_rates(find_sources([tmp_path / "runs"]), report)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "it is no report of `eval judges`, but no JSON at all"),
        ("{}", r"it is no report of `eval judges` \(answered_by: Field required\)"),
        (None, "it is about mistral-small3.2, and the validator of test/foxes is big"),
    ],
)
def test_another_report_is_refused_where_it_is_given_and_named_where_it_is_found(
    content: str | None, said: str, tmp_path: Path
) -> None:
    """The figures of other judges say nothing of these."""
    write_run(tmp_path / "runs")
    report = tmp_path / "runs" / "judges.json"
    report.write_bytes(REPORT.read_bytes() if content is None else content.encode())
    sources = find_sources([tmp_path / "runs"])
    with pytest.raises(ExportError, match=f"--judge-report .*judges.json: {said}"):
        judge_rates(sources, report)
    rates, lines_said = judge_rates(sources, None)
    assert rates == ()
    assert lines_said[0].startswith(f"{report.absolute()} was not used: ")
