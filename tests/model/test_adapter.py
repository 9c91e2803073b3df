"""The adapter: prompts are the same bytes every time, replies are read strictly, and nothing is repaired."""

import asyncio
import json
from typing import Annotated, Any, Literal

import dspy
import pytest
from annotated_types import Len
from dspy.utils.exceptions import AdapterParseError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from signatures.examples import Pair, PlannedAxis, Question
from signatures.generate import PlanVariety, WriteContext, WriteQuestionsFreeform, bounded
from signatures.tag import TagSampleQuality
from skills_dspy.base.errors import Unreadable
from skills_dspy.model.adapter import SkillsAdapter
from skills_dspy.model.steps import STEPS
from tests.helpers.making import Teacher

Sort = dspy.Signature(
    {
        "kinds": (list[Question], dspy.InputField(desc="what there is")),
        "pair": (Pair | None, dspy.InputField(desc="a pair")),
        "count": (int, dspy.InputField(desc="how many")),
        "fruit": (str, dspy.InputField(desc="the fruit")),
        "explanation": (str, dspy.OutputField(desc="why")),
        "size": (Literal["small", "large"], dspy.OutputField(desc="how large")),
        "rating": (Literal[1, 2], dspy.OutputField(desc="how good")),
        "names": (Annotated[list[str], Len(0, 2)], dspy.OutputField(desc="other names")),
    },
    "Sort a fruit.\n\nBy size.",
)
Describe = dspy.Signature(
    {
        "fruit": (str, dspy.InputField(desc="the fruit")),
        "text": (str, dspy.OutputField(desc="what it looks like")),
    },
    "Describe a fruit.",
)
Measure = dspy.Signature(
    {
        "fruit": (str, dspy.InputField(desc="the fruit")),
        "title": (str, dspy.OutputField(desc="its name")),
        "grams": (int, dspy.OutputField(desc="its weight")),
        "metres": (float, dspy.OutputField(desc="its length")),
        "ripe": (bool, dspy.OutputField(desc="whether it is ripe")),
        "parts": (list[str], dspy.OutputField(desc="its parts")),
        "seeds": (Annotated[list[int], Len(2, 2)], dspy.OutputField(desc="two numbers")),
    },
    "Measure a fruit.",
)
GOOD: dict[str, Any] = {"explanation": "It is round.", "size": "small", "rating": 1, "names": ["berry"]}
ASKED: dict[str, Any] = {
    "kinds": [Question(question="Plum?"), Question(context="A tree.", question="Pear?")],
    "pair": Pair(question="Fig?", answer="Yes."),
    "count": 2,
    "fruit": "sloe",
}
SORT_SYSTEM = """\
Sort a fruit.

By size.

You are given:

- <kinds>: what there is
- <pair>: a pair
- <count>: how many
- <fruit>: the fruit

Your whole reply is one JSON object with nothing before or after it. Its keys, in this order:

- "explanation" (text): why
- "size" (one of "small", "large"): how large
- "rating" (one of 1, 2): how good
- "names" (a list of 0 to 2, each text): other names"""
SORT_USER = """\
<kinds>
<kind>
<question>
Plum?
</question>
</kind>
<kind>
<context>
A tree.
</context>
<question>
Pear?
</question>
</kind>
</kinds>

<pair>
<question>
Fig?
</question>
<answer>
Yes.
</answer>
</pair>

<count>
2
</count>

<fruit>
sloe
</fruit>

Reply with one JSON object with the keys "explanation", "size", "rating", "names", in this order."""


def read(text: str, signature: type[dspy.Signature] = Sort) -> dict[str, Any] | None:
    """The values of a reply, or None when it is refused in the one way in which a reply is refused."""
    try:
        return SkillsAdapter().parse(signature, text)
    except AdapterParseError as error:
        if not isinstance(error.__cause__, Unreadable):
            raise
        return None


def bad(text: str, signature: type[dspy.Signature] = Sort) -> str:
    """What is said of a reply that cannot be used."""
    with pytest.raises(AdapterParseError) as caught:
        SkillsAdapter().parse(signature, text)
    cause = caught.value.__cause__
    assert isinstance(cause, Unreadable)
    assert cause.raw == text
    return str(cause)


def good_with(**changes: Any) -> str:
    """A good reply to Sort with something changed; None leaves a key out."""
    values = {**GOOD, **changes}
    return json.dumps({name: value for name, value in values.items() if value is not None})


def test_a_prompt_in_full() -> None:
    """System message and question, to the letter: tags around inputs, records and lists nested, None left out."""
    messages = SkillsAdapter().format(Sort, [], ASKED)
    assert messages == [{"role": "system", "content": SORT_SYSTEM}, {"role": "user", "content": SORT_USER}]


def test_a_prompt_for_prose_in_full() -> None:
    """A single text is asked for as text, not as JSON."""
    system, user = SkillsAdapter().format(Describe, [], {"fruit": "fig"})
    assert system["content"] == (
        "Describe a fruit.\n\nYou are given:\n\n- <fruit>: the fruit\n\n"
        "Your whole reply is the text itself: what it looks like. Add nothing before or after it."
    )
    assert user["content"] == "<fruit>\nfig\n</fruit>\n\nReply with the text only, as plain text."


def test_other_types_in_words() -> None:
    """Numbers, truth values and lists are described the way people say it."""
    system = SkillsAdapter().plan(Measure).system
    for said in (
        '"title" (text)',
        '"grams" (a whole number)',
        '"metres" (a number)',
        '"ripe" (true or false)',
        '"parts" (a list of any number, each text)',
        '"seeds" (a list of 2, each a whole number)',
    ):
        assert said in system


def test_what_is_not_given_is_not_shown() -> None:
    """An input that is None leaves no trace, nor does one that a demo lacks."""
    user = SkillsAdapter().format(Sort, [], {"kinds": [], "pair": None, "count": 0, "fruit": ""})[-1]["content"]
    assert "pair" not in user
    assert user.startswith("<kinds>\n\n</kinds>\n\n<count>\n0\n</count>\n\n<fruit>\n\n</fruit>\n\n")
    assert "None" not in user


def test_demos_are_turns() -> None:
    """Each demo is a question and the reply that should have followed, in the form that replies have."""
    demos: list[dict[str, Any]] = [{**ASKED, **GOOD, "augmented": True}, {"fruit": "Äpfel", "explanation": "ü"}]
    messages = SkillsAdapter().format(Sort, demos, ASKED)
    assert [m["role"] for m in messages] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert messages[1]["content"] == messages[-1]["content"] == SORT_USER
    assert messages[2]["content"] == json.dumps(GOOD)
    assert messages[3]["content"].startswith("<fruit>\nÄpfel\n</fruit>\n\nReply")
    said = {"explanation": "ü", "size": "(not given)", "rating": "(not given)", "names": "(not given)"}
    assert messages[4]["content"] == json.dumps(said, ensure_ascii=False)


def test_demos_of_prose_are_prose() -> None:
    """The reply of a demo is the text itself."""
    messages = SkillsAdapter().format(Describe, [{"fruit": "fig", "text": "Green."}, {"fruit": "nut"}], {"fruit": "pea"})
    assert [m["content"] for m in messages if m["role"] == "assistant"] == ["Green.", "(not given)"]


def test_a_demo_after_saving_renders_as_before() -> None:
    """Records become mappings when a program is saved; the prompt is the same."""
    saved = {"kinds": [{"context": None, "question": "Plum?"}, {"context": "A tree.", "question": "Pear?"}]}
    saved_pair = {"context": None, "question": "Fig?", "answer": "Yes."}
    messages = SkillsAdapter().format(Sort, [{**ASKED, **saved, "pair": saved_pair}], ASKED)
    assert messages[1]["content"] == SORT_USER


def test_the_schema_in_full() -> None:
    """Flat, with bounds and labels, without titles, nothing besides allowed."""
    assert SkillsAdapter().plan(Sort).schema == {
        "type": "object",
        "properties": {
            "explanation": {"type": "string"},
            "size": {"type": "string", "enum": ["small", "large"]},
            "rating": {"type": "integer", "enum": [1, 2]},
            "names": {"type": "array", "maxItems": 2, "items": {"type": "string"}},
        },
        "required": ["explanation", "size", "rating", "names"],
        "additionalProperties": False,
    }


def test_a_field_may_be_named_title() -> None:
    """Titles go; a property of that name stays."""
    schema = SkillsAdapter().plan(Measure).schema
    assert schema is not None
    assert schema["properties"]["title"] == {"type": "string"}


@pytest.mark.parametrize("step", STEPS.values(), ids=lambda step: step.name)
def test_schemas_keep_to_what_a_grammar_knows(step: Any) -> None:
    """No references, no titles, keys in the order of the fields: the sampler writes them in that order."""
    signature = step.signature(4)
    plan = SkillsAdapter().plan(signature)
    if plan.prose:
        assert plan.schema is None
        assert plan.response_format == {}
        return
    assert plan.schema is not None
    text = json.dumps(plan.schema)
    assert not any(word in text for word in ("$ref", "$defs", '"title"', "anyOf", "default"))
    assert list(plan.schema["properties"]) == plan.schema["required"] == list(signature.output_fields)
    assert plan.response_format["response_format"]["json_schema"]["schema"] is plan.schema


def test_a_good_reply() -> None:
    """All fields, as they are in the reply; white space around the object does not matter."""
    assert SkillsAdapter().parse(Sort, json.dumps(GOOD)) == GOOD
    assert SkillsAdapter().parse(Sort, f"\n {json.dumps(GOOD, indent=1)}\n") == GOOD
    assert SkillsAdapter().parse(Sort, good_with(names=[])) == {**GOOD, "names": []}


def test_a_good_text() -> None:
    """Blank lines around prose are not part of it, nor is one blank before it; white space within it is."""
    for text in ("a\n\n b", " a\n\n b", "\n \n a\n\n b \n\t\n"):
        assert SkillsAdapter().parse(Describe, text) == {"text": "a\n\n b"}
    for text in ("    return 1\n  # so", "\tx", "  x"):
        assert SkillsAdapter().parse(Describe, f"\n{text}\n") == {"text": text}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the reply is empty"),
        (" \n\t", "the reply is empty"),
        (f"```json\n{json.dumps(GOOD)}\n```", "the reply does not fit: invalid JSON: expected value"),
        (f"Here it is: {json.dumps(GOOD)}", "invalid JSON"),
        (json.dumps(GOOD) + " I hope this helps.", "invalid JSON: trailing characters"),
        (json.dumps(GOOD) * 2, "invalid JSON: trailing characters"),
        (json.dumps(GOOD)[:-1], "invalid JSON: EOF"),
        (json.dumps(GOOD)[:30], "invalid JSON: EOF"),
        (json.dumps(GOOD).replace('"', "'"), "invalid JSON"),
        (json.dumps(GOOD).replace("}", ",}"), "invalid JSON"),
        (json.dumps([GOOD]), "input should be an object"),
        ("null", "input should be an object"),
        ("1", "input should be an object"),
        (good_with(size="huge"), "size: input should be 'small' or 'large'"),
        (good_with(size="Small"), "size: input should be 'small' or 'large'"),
        (good_with(size="small "), "size: input should be"),
        (good_with(rating="1"), "rating: input should be 1 or 2"),
        (good_with(rating=3), "rating: input should be 1 or 2"),
        (good_with(rating=True), "rating: input should be one of the labels"),
        (good_with(rating=1.0), "rating: input should be one of the labels"),
        (good_with(rating=[1]), "rating: input should be 1 or 2"),
        (good_with(explanation=None), "explanation: field required"),
        (good_with(rating=None), "rating: field required"),
        (good_with(names=None), "names: field required"),
        (good_with(mood="good"), "mood: extra inputs are not permitted"),
        (good_with(explanation=""), "the reply has a blank explanation"),
        (good_with(explanation=" \n"), "the reply has a blank explanation"),
        (good_with(explanation=7), "explanation: input should be a valid string"),
        (good_with(names="berry"), "names: input should be a valid array"),
        (good_with(names=["a", "b", "c"]), "names: list should have at most 2 items"),
        (good_with(names=["a", " "]), "the reply has a blank names"),
        (good_with(names=["a", 1]), "names.1: input should be a valid string"),
        (json.dumps(GOOD).replace("}", ', "rating": 2}'), "the reply has the key rating twice"),
        (json.dumps(GOOD).replace("round", "\\ud83d"), "invalid JSON: unexpected end of hex escape"),
        (json.dumps(GOOD, ensure_ascii=False).replace("round", "\ud83d"), "half a character"),
        ("[" * 100_000, "invalid JSON: recursion limit"),
    ],
)
def test_bad_replies_are_errors(text: str, said: str) -> None:
    """Whatever is wrong with a reply, it is said in a sentence, with the reply as it came, and nothing is mended."""
    assert said in bad(text)


@pytest.mark.parametrize("questions", [[], ["a"], ["a", "b", "c"], ["a", ""], ["a", "\t"], ["a", None]])
def test_a_list_has_as_many_items_as_were_asked_for(questions: list[Any]) -> None:
    """Fewer, more or blank questions are no reply."""
    bad(json.dumps({"questions": questions}), bounded(WriteQuestionsFreeform, 2))
    fine = {"questions": ["a", "b"]}
    assert SkillsAdapter().parse(bounded(WriteQuestionsFreeform, 2), json.dumps(fine)) == fine


@pytest.mark.parametrize("text", ["", "  \n", "half \ud800"])
def test_bad_prose(text: str) -> None:
    """Text can be empty, or hold what no file and no request can hold."""
    bad(text, WriteContext)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 4) | st.floats() | st.sampled_from(["small", "1", ""]) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(GOOD)), inner, max_size=4),
    max_leaves=6,
)
NEARLY = st.fixed_dictionaries({}, optional={name: st.just(value) | JSON for name, value in GOOD.items()})


@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(codec=None)) | JSON.map(json.dumps) | NEARLY.map(json.dumps))
@example(json.dumps(GOOD))
def test_any_reply_is_read_or_refused(text: str) -> None:
    """What is read says exactly what the reply says and can be read again; everything else is one kind of error."""
    values = read(text)
    if values is not None:
        assert read(json.dumps(values)) == values
        assert json.dumps(json.loads(text), sort_keys=True) == json.dumps(values, sort_keys=True)


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(codec=None)))
def test_any_prose_is_itself(text: str) -> None:
    """A text that is read is the reply without blank lines around it, fits into a file, and is the same when read again."""
    values = read(text, Describe)
    if values is not None:
        assert values["text"].strip() == text.strip()
        assert values["text"] in text
        assert values["text"].split("\n")[0].strip()
        assert values["text"].encode()


@settings(max_examples=100, deadline=None)
@given(question=st.text(), context=st.text(), answer=st.text(), shown=st.text())
def test_inputs_stand_in_the_prompt_as_they_are(question: str, context: str, answer: str, shown: str) -> None:
    """Nothing is escaped, trimmed or cut: braces, tags and line breaks of a text stay what they are."""
    inputs = {
        "task_description": shown,
        "examples": [Pair(context=context, question=shown, answer=answer)],
        "context": context,
        "question": question,
        "answer": answer,
    }
    user = SkillsAdapter().format(TagSampleQuality, [], inputs)[-1]["content"]
    for name, text in (("question", question), ("context", context), ("answer", answer), ("task_description", shown)):
        assert f"<{name}>\n{text}\n</{name}>" in user


@pytest.mark.parametrize("wait", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("text", ["not JSON", json.dumps(GOOD)])
def test_one_call_and_never_a_second(text: str, wait: bool) -> None:
    """DSPy's own adapters ask again in another form when a reply does not parse; this one does not."""
    teacher = Teacher(lambda _: text)
    predict = dspy.Predict(Sort)
    with dspy.context(lm=teacher.lm(), adapter=SkillsAdapter()):
        try:
            given_back = asyncio.run(predict.acall(**ASKED)) if wait else predict(**ASKED)
            assert given_back.toDict() == GOOD
        except AdapterParseError:
            assert text == "not JSON"
    (request,) = teacher.requests
    assert request.system == SORT_SYSTEM
    assert request.messages[-1].text == SORT_USER
    assert request.config.response_format is not None
    assert request.config.response_format["schema"] == SkillsAdapter().plan(Sort).schema


def test_records_in_a_reply() -> None:
    """Said in words with their keys, one flat schema without references, and read strictly."""
    plan = SkillsAdapter().plan(PlanVariety)
    keys = '"name" (text), "of" (one of "text", "request"), "values" (a list of 2 to 40, each text)'
    assert f'- "axes" (a list of 1 to 6, each an object with the keys {keys})' in plan.system
    text = json.dumps(plan.schema)
    assert "$" not in text
    assert "few words" not in text
    good = '{"axes": [{"name": "subject", "of": "text", "values": ["ponds", "lakes"]}]}'
    read = plan.read(good)
    assert read == {"axes": [PlannedAxis(name="subject", of="text", values=("ponds", "lakes"))]}
    assert plan.written(read) == good
    for wrong in ('["ponds"]', '["ponds", 1]', '["ponds", " "]', '"ponds"', '["ponds", "lakes"], "more": 1'):
        with pytest.raises(Unreadable):
            plan.read(f'{{"axes": [{{"name": "subject", "of": "text", "values": {wrong}}}]}}')


def test_a_list_without_a_name_for_its_items_is_one_of_lines() -> None:
    """A plan has a line for each question, and none of them is a tag's inside."""
    given = {"task_description": "Foxes.", "length": "1 to 3 words", "examples": [], "count": 2, "plan": ["a: b", "a: c"]}
    user = SkillsAdapter().format(WriteQuestionsFreeform, [], given)[-1]["content"]
    assert "<plan>\na: b\na: c\n</plan>" in user
    assert "<plan>" not in SkillsAdapter().format(WriteQuestionsFreeform, [], {**given, "plan": None})[-1]["content"]


def test_prose_is_asked_for_without_a_schema() -> None:
    """A grammar would force prose into JSON."""
    teacher = Teacher(lambda _: "Round.")
    with dspy.context(lm=teacher.lm(), adapter=SkillsAdapter()):
        assert dspy.Predict(Describe)(fruit="fig").text == "Round."
    assert teacher.requests[0].config.response_format is None


@pytest.mark.parametrize(("name", "value"), [("grams", "5"), ("grams", 5.0), ("metres", "1.5"), ("ripe", "yes"), ("ripe", 1)])
def test_nothing_is_converted(name: str, value: Any) -> None:
    """A number in quotes is a text, and 1 is not true."""
    fine: dict[str, Any] = {"title": "Fig", "grams": 5, "metres": 0.1, "ripe": True, "parts": [], "seeds": [1, 2]}
    assert SkillsAdapter().parse(Measure, json.dumps(fine)) == fine
    assert bad(json.dumps({**fine, name: value}), Measure).startswith(f"the reply does not fit: {name}: ")


def test_labels_are_shown_as_they_are_written() -> None:
    """A label with letters beyond ASCII is not escaped."""
    size = dspy.Signature({"size": (Literal["größer", "kleiner"], dspy.OutputField(desc="how large"))}, "Say it.")
    assert '"size" (one of "größer", "kleiner")' in SkillsAdapter().plan(size).system
