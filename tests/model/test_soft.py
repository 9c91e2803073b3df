"""Soft ratings: the probability of every label, read from the tokens of a reply."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from signatures.labels import Difficulty, PairRating, Quality, Score
from skills_dspy.base.records import SoftRating
from skills_dspy.base.scales import Label
from skills_dspy.model.soft import ASKED, KEPT, in_words, rated_fields, soft_of, trimmed, value_span
from skills_dspy.model.steps import STEPS
from tests.helpers.logprobs import spell
from tests.helpers.making import a_program, the_adapter

SCALES: Mapping[str, tuple[Label, ...]] = {
    "rating": get_args(PairRating),
    "score": get_args(Score),
    "quality": get_args(Quality),
    "difficulty": get_args(Difficulty),
}
SCALES_AND_TENS = [*SCALES.items(), ("score", (1, 2, 10, 100))]
"""Fields and labels; the last is a scale whose labels begin alike."""

PAIR = SCALES["rating"]
HARD = SCALES["difficulty"]


def entry(token: str, share: float = 1.0, **others: float) -> dict[str, Any]:
    """One token of Ollama's list, its probability, and other tokens with theirs."""
    return wire(token, {token: share, **others})


def wire(token: str, shares: Mapping[str, float]) -> dict[str, Any]:
    """One token of Ollama's list with all that it tells of its place."""
    told = [{"token": name, "logprob": math.log(share)} for name, share in shares.items()]
    return {"token": token, "logprob": math.log(shares.get(token, 1e-9)), "top_logprobs": told}


def payload_of(field: str, labels: Sequence[Label]) -> dict[str, Any]:
    """A request for one rating with its probabilities."""
    return {"format": {"properties": {field: {"enum": list(labels)}}}, **ASKED}


def read_soft(text: str, logprobs: Sequence[Mapping[str, Any]], field: str, labels: Sequence[Label]) -> SoftRating | None:
    """The soft rating of one field of a reply, by way of the journal."""
    payload = payload_of(field, labels)
    kept = trimmed({"message": {"content": text}, "logprobs": logprobs}, payload)
    return soft_of(json.loads(json.dumps(kept)), payload).get(field)


def rated(value: Sequence[Mapping[str, Any]], field: str = "rating", labels: Sequence[Label] = PAIR) -> SoftRating | None:
    """The soft rating of a reply whose value is spelled by these tokens."""
    tokens = [entry("{"), entry(f'"{field}'), entry('":'), *value, entry("}")]
    return read_soft("".join(str(token["token"]) for token in tokens), tokens, field, labels)


def shares_of(soft: SoftRating | None) -> list[float]:
    """The probabilities, worst label first."""
    assert soft is not None
    return list(soft.probabilities.values())


# -- known distributions, cut into tokens by chance ---------------------------------------------------------------------


@dataclass
class Told:
    """A reply with the list of its tokens, and the distribution that the list was made from."""

    text: str
    logprobs: list[dict[str, Any]]
    field: str
    labels: tuple[Label, ...]
    shares: list[float]
    mass: float


def _cut(draw: st.DrawFn, text: str) -> list[str]:
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(text) - 1)), max_size=4)))
    return [part for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True) if (part := text[start:end])]


def _possible(written: str, spelled: Mapping[Label, str]) -> list[Label]:
    return [label for label, whole in spelled.items() if whole.startswith(written)]


@st.composite
def _way_on(draw: st.DrawFn, label: Label, way: str, token: str, spelled: Mapping[Label, str]) -> str:
    """What a model that is about to write another label writes next: the chosen token, or one that leaves no doubt."""
    whole = spelled[label][len(way) :]
    if whole.startswith(token) and draw(st.booleans()):
        return token
    least = next(length for length in range(1, len(whole) + 1) if _possible(way + whole[:length], spelled) == [label])
    return whole[: draw(st.integers(least, len(whole)))]


@st.composite
def replies(draw: st.DrawFn) -> Told:
    """Any scale, any distribution, any label of it, any layout; tokens that end anywhere, in and around the value."""
    field, labels = draw(st.sampled_from(SCALES_AND_TENS))
    weights = draw(st.lists(st.integers(0, 1000), min_size=len(labels), max_size=len(labels)).filter(any))
    share = {label: weight / sum(weights) for label, weight in zip(labels, weights, strict=True)}
    chosen = draw(st.sampled_from([label for label in labels if share[label]]))
    blank = draw(st.sampled_from(["", " ", "\n  "]))
    traps = draw(st.sampled_from(["", f'"{field}": 2', f'{{"{field}":"good"}}', "\ufffd", "ü\n"]))
    first = {"explanation": draw(st.text(max_size=10)) + traps, "inner": {field: labels[0]}}
    before = json.dumps(first, ensure_ascii=draw(st.booleans()))[:-1] + f',{blank}"{field}":'
    after = draw(st.sampled_from(["}", "\n}", ', "category": "math"}']))
    spelled = {label: json.dumps(label) + after for label in labels}
    mass = draw(st.sampled_from([1.0, 0.75, 0.01]))

    overlap = draw(st.integers(0, 3))  # how much of the key shares a token with the value
    told = [entry(token) for token in _cut(draw, before[: len(before) - overlap])]
    lead = before[len(before) - overlap :] + blank
    if draw(st.booleans()):
        told += [entry(lead)] if lead else []
        lead = ""

    way, here = "", list(labels)
    while _possible(way, spelled) != [chosen]:
        rest = spelled[chosen][len(way) :]
        token = rest[: draw(st.integers(1, len(rest)))]
        went = {label: draw(_way_on(label, way, token, spelled)) if label != chosen else token for label in here}
        tokens: dict[str, float] = {}
        for label, other in went.items():
            tokens[other] = tokens.get(other, 0.0) + share[label]
        scale = (1.0 if way else mass) / sum(tokens.values())
        listed = {lead + other: its * scale for other, its in draw(st.permutations(list(tokens.items()))) if its}
        if not way and mass < 1:
            listed["no label"] = 1 - mass
        told.append(wire(lead + token, listed))
        here = [label for label in here if went[label] == token]
        way, lead = way + token, ""
    rest = spelled[chosen][len(way) :]
    told += [entry(token) for token in (_cut(draw, rest) if rest else [])]
    text = before + blank + spelled[chosen]
    return Told(text, told, field, labels, [share[label] for label in labels], mass)


@given(replies())
def test_the_distribution_is_read_from_any_tokens(told: Told) -> None:
    """Whatever the tokens hold of a label: the probabilities come back, and the expected value and mass that follow."""
    soft = read_soft(told.text, told.logprobs, told.field, told.labels)
    assert soft is not None
    assert list(soft.probabilities) == [str(label) for label in told.labels]
    assert shares_of(soft) == pytest.approx(told.shares, abs=1e-5)
    assert sum(shares_of(soft)) == pytest.approx(1, abs=1e-5)
    values = [label if isinstance(label, int) else place for place, label in enumerate(told.labels, start=1)]
    expected = sum(share * value for share, value in zip(told.shares, values, strict=True))
    assert soft.expected == pytest.approx(expected, abs=1e-3)
    assert soft.mass == pytest.approx(told.mass, abs=1e-5)


@given(replies(), st.data())
def test_only_the_tokens_from_the_value_on_have_to_be_the_replys(told: Told, data: st.DataObject) -> None:
    """One that is missing before changes nothing; one that is missing there, when it is not empty, leaves no reading."""
    place = data.draw(st.integers(0, len(told.logprobs) - 1))
    lost, start = told.logprobs[place]["token"], len("".join(one["token"] for one in told.logprobs[:place]))
    span = value_span(told.text, told.field)
    assert span is not None
    soft = read_soft(told.text, told.logprobs[:place] + told.logprobs[place + 1 :], told.field, told.labels)
    if start + len(lost) <= span[0]:
        assert soft == read_soft(told.text, told.logprobs, told.field, told.labels)
    elif start >= span[0] and lost.strip():
        assert soft is None


BEFORE, BROKEN = '{"a": "ü", "rating": ', "\ufffd"


@pytest.mark.parametrize(
    ("tokens", "read"),
    [
        ([" ", BEFORE, "3", "}"], True),
        (["<s>", BEFORE, "3", "}", "</s>"], True),
        (["[/INST]", " \n", BEFORE, "3", "}", "\n", "<|im_end|>"], True),
        (['{"a": "', BROKEN, BROKEN, '", "rating":', " ", "3", "}"], True),  # tokens that hold half a character each
        (['{"a": "', BROKEN, BROKEN + '", "rating": 3', "}"], False),
        (['{"a": "', BROKEN, BROKEN, '", "score":', " ", "3", "}"], True),
        (["```", "json", "\n", BEFORE, "3", "}", "\n", "```", ""], True),
        ([BEFORE, "2", "}"], False),
        ([BEFORE, "3"], False),
        (["Well: ", BEFORE, "3", "}"], True),
        ([BEFORE, "3", "}", " Done"], False),
        ([BEFORE[1:], "3", "}"], True),
        (["<s>" + BEFORE + "3}"], False),
    ],
)
def test_what_may_stand_around_the_tokens_of_a_reply(tokens: list[str], read: bool) -> None:
    """Before the value anything; after the reply blanks, the fence that a server takes off, and tokens that end a turn."""
    soft = read_soft(f"{BEFORE}3}}", [entry(token) for token in tokens], "rating", PAIR)
    assert (soft is not None) == read


@pytest.mark.parametrize(
    "text",
    [
        "3",
        "{",
        '{"rating" 3}',
        '{"rating": 3',
        '{"rating": 3 "b": 1}',
        '{"rating": 3, "rating": 3}',
        '{"inner": {"rating": 3}}',
        '{"rating": ' + "[" * 100_000,
    ],
)
def test_what_is_no_object_with_the_key_once_has_no_rating(text: str) -> None:
    """Broken off, no object, the key within something else, or twice there, when nobody knows which is meant."""
    assert read_soft(text, [entry(text[:-2]), entry(text[-2:])], "rating", PAIR) is None


# -- replies of real models ---------------------------------------------------------------------------------------------

REAL: list[dict[str, Any]] = json.loads(Path(__file__).with_name("real_replies.json").read_text("utf-8"))
"""Each with its model and server; of the alternatives only those around the ratings were kept, with 4 decimals."""


@pytest.mark.parametrize(
    ("reply", "expected", "mass"),
    [
        (REAL[0], {"rating": 0.808}, [0.443]),
        (REAL[1], {"quality": 4.318, "difficulty": 1.93}, [0.057, 0.463]),
        (REAL[2], {"quality": 2.243, "difficulty": 1.745}, [0.153, 0.520]),
        (REAL[3], {"rating": 0.811}, [0.739]),
        (REAL[4], {"rating": 0.749}, [0.315]),  # 1.1 % of its labels' probability is on a blank
        (REAL[5], {"quality": 2.528, "difficulty": 2.859}, [0.068, 0.107]),  # half of the difficulty's is on `very`
    ],
    ids=[f"{reply['server']} {reply['step']} {number}" for number, reply in enumerate(REAL)],
)
def test_the_replies_of_a_real_server_are_read(reply: dict[str, Any], expected: dict[str, float], mass: list[float]) -> None:
    """The list begins and ends with a fence that the text lacks, ends with an empty token, lists labels that are no labels."""
    schema = the_adapter().plan(a_program().predictor(reply["step"]).signature).schema
    payload = {"format": schema, **ASKED}
    body = {"message": {"content": reply["content"]}, "logprobs": reply["logprobs"]}
    soft = soft_of(trimmed(body, payload), payload)
    assert {field: rating.expected for field, rating in soft.items()} == pytest.approx(expected, abs=1e-3)
    assert [rating.mass for rating in soft.values()] == pytest.approx(mass, abs=1e-3)


# -- single cases -------------------------------------------------------------------------------------------------------


def test_a_rating_of_three() -> None:
    """The numbers of the wire, the expected value, the mass, in words."""
    soft = rated([wire(" 3", {" 3": 0.29, " 2": 0.15, " 1": 0.06, " 4": 0.5})])
    assert soft == SoftRating(probabilities={"1": 0.12, "2": 0.3, "3": 0.58}, expected=2.46, mass=0.5)
    assert in_words(soft) == "1: 12 %, 2: 30 %, 3: 58 %; expected 2.46"


def test_hardly_and_almost_are_not_never_and_surely() -> None:
    """A probability that is rounded away is said to be there."""
    almost = SoftRating(probabilities={"poor": 0.0, "good": 0.004, "excellent": 0.996}, expected=2.996, mass=1)
    assert in_words(almost) == "poor: 0 %, good: <1 %, excellent: >99 %; expected 3.00"
    assert in_words(SoftRating(probabilities={"0": 0, "1": 1}, expected=1, mass=1)) == "0: 0 %, 1: 100 %; expected 1.00"


def test_a_word_is_worth_its_place() -> None:
    """From 1; an integer is worth itself, from 0 where the scale begins there."""
    words = rated([entry(' "'), entry("poor", 0.5, good=0.5), entry('"')], "quality", SCALES["quality"])
    assert words is not None
    assert words.expected == 3.0
    zero = rated([wire("0", {"0": 0.25, "1": 0.75})], labels=(0, 1))
    assert zero is not None
    assert zero.expected == 0.75


def test_several_tokens_of_one_label_add_up() -> None:
    """Other blanks, more or less of the label, with or without what follows it: all of it is the label."""
    soft = rated([wire(" 3", {" 3": 0.3, "3": 0.1, "  3}": 0.05, "\n3": 0.05, " 2": 0.5})])
    assert shares_of(soft) == [0, 0.5, 0.5]
    told = {' "poor': 0.2, ' "po': 0.1, '"p': 0.1, ' "poor"': 0.1, ' "good",': 0.25, ' "g': 0.25}
    assert shares_of(rated([wire(' "po', told), entry('or"')], "quality", SCALES["quality"])) == [0, 0.5, 0, 0.5, 0]


def test_what_is_no_label_counts_for_none() -> None:
    """Other numbers, longer ones, words without their quote, other words."""
    junk = {" 4": 0.1, " 31": 0.1, " 3.": 0.1, ' "3': 0.1, "-1": 0.1, "": 0.1, "a": 0.1}
    soft = rated([wire(" 3", {" 3": 0.1, " 1": 0.1, **junk})])
    assert soft is not None
    assert (shares_of(soft), soft.mass) == ([0.5, 0, 0.5], 0.2)
    words = rated([wire(' "easy', {' "easy': 0.5, " easy": 0.2, ' "easier': 0.3}), entry('"')], "difficulty", HARD)
    assert words is not None
    assert words.mass == 0.5


def test_labels_that_begin_alike_are_told_apart_by_what_follows() -> None:
    """The chosen beginning's probability is shared out by the next token."""
    value = [entry(' "'), entry("very", 0.6, easy=0.4), wire(" hard", {" hard": 0.75, " easy": 0.25}), entry('"')]
    assert shares_of(rated(value, "difficulty", HARD)) == [0.15, 0.4, 0, 0, 0.45]
    piecewise = [entry(' "'), entry("v", 0.6, easy=0.4), entry("ery"), entry(" "), entry("h", 0.75, e=0.25), entry('ard"')]
    assert shares_of(rated(piecewise, "difficulty", HARD)) == [0.15, 0.4, 0, 0, 0.45]


@pytest.mark.parametrize("beginning", ["very", "v", "very "])
def test_a_beginning_of_several_labels_that_was_not_chosen(beginning: str) -> None:
    """Nobody knows how it would have gone on: above one hundredth each has its part, below it counts for none."""
    much = rated([entry(' "'), wire("easy", {"easy": 0.6, beginning: 0.2}), entry('"')], "difficulty", HARD)
    assert shares_of(much) == [0.125, 0.75, 0, 0, 0.125]
    assert much is not None
    assert much.mass == 0.6
    little = [entry(' "'), wire("easy", {"easy": 0.99, beginning: 0.009}), entry('"')]
    assert shares_of(rated(little, "difficulty", HARD)) == [0, 1, 0, 0, 0]
    of_little_mass = [entry(' "'), wire("easy", {"easy": 0.03, beginning: 0.01}), entry('"')]
    assert shares_of(rated(of_little_mass, "difficulty", HARD)) == [0.125, 0.75, 0, 0, 0.125]
    in_several = [entry(' "'), wire("easy", {"easy": 0.984, "v": 0.008, "ve": 0.008}), entry('"')]
    assert shares_of(rated(in_several, "difficulty", HARD)) == [0.008, 0.984, 0, 0, 0.008]


def test_a_blank_that_was_not_chosen_tells_nothing() -> None:
    """Any label may come after it, and as likely as without it."""
    soft = rated([entry(' "', 0.8, **{" ": 0.2}), entry("easy", 0.75, hard=0.25), entry('"')], "difficulty", HARD)
    bare = rated([wire("3", {"3": 0.6, "1": 0.2, " ": 0.1, "\n ": 0.1})])
    assert shares_of(soft) == [0, 0.75, 0, 0.25, 0]
    assert shares_of(bare) == [0.25, 0, 0.75]
    assert bare is not None
    assert bare.mass == 0.8


def test_ways_to_write_the_same_are_one_way() -> None:
    """Before anything is decided, other blanks or a quote in a token of its own change nothing."""
    quote = wire(' "', {' "': 0.5, '"': 0.3, " ": 0.1, ' "easy': 0.1})
    soft = rated([quote, wire("easy", {"easy": 0.5, "medium": 0.5}), entry('"')], "difficulty", HARD)
    assert shares_of(soft) == [0, 0.55, 0.45, 0, 0]
    assert soft is not None
    assert soft.mass == 1


def test_the_chosen_token_counts_though_the_list_lacks_it() -> None:
    """It was drawn, so it has its probability, however small; one of zero is no reading."""
    told = {"token": " 3", "logprob": math.log(0.25), "top_logprobs": [{"token": " 2", "logprob": math.log(0.5)}]}
    assert shares_of(rated([told])) == [0, 0.666667, 0.333333]
    assert rated([{**told, "logprob": -9999.0}]) is None
    assert rated([{**told, "logprob": -math.inf}]) is None
    assert shares_of(rated([{"token": " 3", "logprob": -0.5}])) == [0, 0, 1]
    assert rated([{"token": " 3", "logprob": -50.0, "top_logprobs": None}]) is None


@pytest.mark.parametrize("value", [" 4", " true", " 1.0", ' "3"', " null", " [3]", ' "thr\\u0065e"'])
def test_what_is_none_of_the_labels_has_no_rating(value: str) -> None:
    """Python takes true and 1.0 for 1; a rating does not."""
    labels: tuple[Label, ...] = (1, 2, 3, "three")
    assert rated([wire(value, {value: 0.5, " 1": 0.5})], labels=labels) is None


def test_both_ratings_of_a_fused_reply() -> None:
    """Each is read in its own place."""
    reply = {"explanation": 'It is "quality": "good".', "quality": "good", "difficulty": "very easy", "category": "math"}
    shares: dict[str, Mapping[Label, float]] = {
        "quality": {"good": 0.75, "excellent": 0.25},
        "difficulty": {"very easy": 0.5, "easy": 0.375, "very hard": 0.125},
    }
    text = json.dumps(reply)
    told = spell(text, shares)
    assert shares_of(read_soft(text, told, "quality", SCALES["quality"])) == [0, 0, 0, 0.75, 0.25]
    assert shares_of(read_soft(text, told, "difficulty", HARD)) == [0.5, 0.375, 0, 0, 0.125]
    assert read_soft(text, told, "score", SCALES["score"]) is None


# -- requests and bodies ------------------------------------------------------------------------------------------------


def test_the_ratings_among_the_programs_outputs() -> None:
    """Judges and tags on scales, worst label first; a category has no order, and prose and questions have no labels."""
    for name, step in STEPS.items():
        schema = the_adapter().plan(a_program().predictor(name).signature).schema
        ordered = {scale.field: scale.labels for scale in step.rates if scale.ordered}
        assert rated_fields({"format": schema} if schema else {}) == ordered
    assert rated_fields({"format": "json"}) == {}
    assert rated_fields({"format": {"properties": {"rating": {"type": "integer"}}}}) == {}


PAYLOAD = payload_of("rating", PAIR)
TEXT = '{"explanation": "Fit.", "rating": 3}'


def a_body(**more: Any) -> dict[str, Any]:
    """What a server says to PAYLOAD."""
    return {"message": {"role": "assistant", "content": TEXT}, "done": True, "eval_count": 9, **more}


def test_the_compact_form() -> None:
    """From the value's first token to the one that decides: place, text, log-probability, what else could become a label."""
    told = spell(TEXT, {"rating": {1: 0.25, 3: 0.5}})
    told[-2]["top_logprobs"] += [{"token": " 7", "logprob": -1.0}, {"token": " 2", "logprob": -20.0}]
    kept = trimmed(a_body(logprobs=told), PAYLOAD)
    assert trimmed(kept, PAYLOAD) == kept
    assert kept == a_body(
        rating_logprobs={
            "rating": {"at": TEXT.index(" 3"), "tokens": [[" 3", -0.693147, [[" 3", -0.693147], [" 1", -1.386294]]]]}
        }
    )
    assert soft_of(kept, PAYLOAD) == {
        "rating": SoftRating(probabilities={"1": 0.333333, "2": 0, "3": 0.666667}, expected=2.333333, mass=0.75)
    }


@pytest.mark.parametrize("logprobs", [None, []])
def test_a_server_without_probabilities(logprobs: object) -> None:
    """It ignores what was asked, or gives an empty list: the reply is what it always was, and nothing pretends."""
    assert trimmed(a_body(logprobs=logprobs), PAYLOAD) == trimmed(a_body(), PAYLOAD) == a_body()
    assert soft_of(a_body(), PAYLOAD) == {}


def test_probabilities_that_nobody_asked_for_are_not_kept() -> None:
    """A rating is soft because the settings say so."""
    told = spell(TEXT, {"rating": {3: 1.0}})
    assert trimmed(a_body(logprobs=told), {"format": PAYLOAD["format"]}) == a_body()
    assert trimmed(a_body(logprobs=told), dict(ASKED)) == a_body()
    assert trimmed(a_body(logprobs=[entry("Other.")]), PAYLOAD) == a_body()


def test_a_reply_that_cannot_be_read_keeps_nothing() -> None:
    """Empty, cut, or no JSON at all."""
    for text in (None, "", "No JSON.", TEXT[:-3]):
        body = {**a_body(), "message": {"content": text}}
        assert trimmed({**body, "logprobs": [entry(text or "")]}, PAYLOAD) == body
        assert soft_of(body, PAYLOAD) == {}


def test_what_was_not_read_before_is_not_read_from_its_journal() -> None:
    """A replay of an old run has its bytes: beginnings of several labels are shared out where the journal says so."""
    text = '{"difficulty": "easy"}'
    payload = payload_of("difficulty", HARD)
    told = [entry('{"difficulty": "'), entry("easy", 0.5, very=0.5), entry('"}')]
    kept = trimmed({"message": {"content": text}, "logprobs": told}, payload)
    assert [token for token, _, _ in kept[KEPT]["difficulty"]["tokens"]] == ['{"difficulty": "', "easy"]
    assert shares_of(soft_of(kept, payload)["difficulty"]) == [0.25, 0.5, 0, 0, 0.25]
    assert kept[KEPT]["difficulty"].pop("spread") is True
    assert soft_of(kept, payload) == {}


def test_impossible_ratings_are_refused() -> None:
    """A probability is one, and some of it was on the labels."""
    good = {"probabilities": {"1": 1.0}, "expected": 1.0, "mass": 1.0}
    assert SoftRating.model_validate(good)
    for bad in ({"probabilities": {"1": 1.1}}, {"mass": 0.0}, {"mass": 1.1}, {"label": 1}):
        with pytest.raises(ValidationError):
            SoftRating.model_validate({**good, **bad})
