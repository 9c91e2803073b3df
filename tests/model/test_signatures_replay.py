"""Each step once, from typed inputs over DSPy, our adapter, engine and HTTP to typed values: recorded and replayed.

`python -m evals.record` records them anew. The replies were written by hand (evals/teacher/scripts); what a real model says
cannot be known beforehand, so there only form and types are checked.
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import dspy
import pytest

from evals.record.answering import SCRIPTS
from evals.record.demo import TASKS
from evals.teacher.script import Script, ScriptedQuestion, load_script
from signatures.examples import Pair, Passage, Question
from signatures.labels import Category, Difficulty, PairRating, Quality, QuestionRating, Score
from skills_dspy.base.config import load_config
from skills_dspy.model.adapter import SkillsAdapter
from skills_dspy.model.engine import Window, make_lm
from skills_dspy.model.ollama import OllamaServer
from skills_dspy.model.program import SkillsProgram
from skills_dspy.model.replies import Meter, Replies
from skills_dspy.model.slots import Slots
from skills_dspy.model.steps import STEPS
from skills_dspy.store.journal import Journal
from skills_dspy.tasks.files import load_tasks
from tests.helpers.cassette_format import is_simulated

COUNT = 5
PROSE = ("write_description", "write_context", "write_answer_freeform", "write_answer_grounded")

Values = Mapping[str, Any]


class Scene:
    """One task with its seeds as examples, and a question of its script as the subject."""

    def __init__(self, task: Path, script: Path, place: int) -> None:
        (self.spec,) = load_tasks((task,)).specs
        self.script: Script = load_script(script)
        self.draw = self.script.draws[0]
        self.scripted: ScriptedQuestion = self.draw.questions[place]
        self.context = self.draw.context[0] if self.draw.context else None
        self.answer = self.scripted.answer[0] if self.scripted.answer else ""

    def inputs(self, *names: str) -> dict[str, Any]:
        """The inputs of these names."""
        seeds = self.spec.seed_examples[:3]
        known = {
            "task_description": self.spec.task_description,
            "passages": [Passage(context=seed.context or "") for seed in seeds],
            "examples": [Question(question=seed.question) for seed in seeds],
            "texts": [Question(context=seed.context, question=seed.question) for seed in seeds],
            "pairs": [Pair(context=s.context, question=s.question, answer=s.answer) for s in seeds],
            "path": self.spec.task_name,
            "example": Pair(context=seeds[0].context, question=seeds[0].question, answer=seeds[0].answer),
            "count": COUNT,
            "context": self.context,
            "question": self.scripted.question,
            "answer": self.answer,
        }
        shown = {"passages": "examples", "texts": "examples", "pairs": "examples"}
        given = names if "path" in names else ("task_description", *names)
        return {shown.get(name, name): known[name] for name in given}


DEBATE = Scene(TASKS[0], SCRIPTS[0], 0)
GRAMMAR = Scene(TASKS[1], SCRIPTS[1], 2)


class Asking:
    """Asks steps, all the way to the wire."""

    def __init__(self, host: str, cassette: Any, journal: Path) -> None:
        self.host = host
        self.cassette = cassette
        self.journal = journal

    def __call__(self, step: str, inputs: Values) -> dict[str, Any]:
        """The step's values; the one request had the form that the step wants."""
        values = asyncio.run(self._ask(step, inputs))
        (request,) = self.cassette.requests
        check_wire(step, json.loads(request.body))
        return values

    async def _ask(self, step: str, inputs: Values) -> dict[str, Any]:
        config = load_config()
        role = STEPS[step].role
        settings = config.role(role)
        server = OllamaServer(self.host, config.server.model_copy(update={"patience": 0.0}))
        try:
            with Journal.open(self.journal) as journal:
                replies = Replies(journal, server, Slots(1), Meter())
                window = Window(8192, settings.keep_alive, config.soft_ratings)
                lm = make_lm(config.model_for(role), replies, window, asyncio.get_running_loop())
                options = {"temperature": settings.temperature, "max_tokens": settings.num_predict, "seed": 7}
                with dspy.context(adapter=SkillsAdapter(), disable_history=True):
                    program = SkillsProgram(COUNT)
                    prediction = await program.acall(step=step, inputs=inputs, lm=lm, config=options)
        finally:
            await server.close()
        values: dict[str, Any] = prediction.toDict()
        return values

    def scripted(self, values: Values, said: Any) -> None:
        """What the script says came through unchanged; nothing is known of what a real model says."""
        if is_simulated({"response": self.cassette.responses[0]}):
            assert values == said


def check_wire(step: str, body: Values) -> None:
    """A request as Ollama wants it: not streamed, seeded, with a schema in the order of the fields where not prose."""
    assert body["stream"] is False
    assert body["options"]["seed"] == 7
    assert body["options"]["num_ctx"] == 8192
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    fields = list(STEPS[step].signature(COUNT).output_fields)
    if step in PROSE:
        assert not body.get("format")
    else:
        assert list(body["format"]["properties"]) == fields
        assert body["format"]["required"] == fields
        assert body["format"]["additionalProperties"] is False


@pytest.fixture
def ask(host: str, vcr: Any, tmp_path: Path) -> Asking:
    """Asks a step of the recorded teacher."""
    return Asking(host, vcr, tmp_path / "journal.sqlite")


def judged(values: Values, vocabulary: Any) -> None:
    """An explanation in words, and a rating of the vocabulary as the number itself."""
    assert values["explanation"].strip()
    assert type(values["rating"]) is int
    assert values["rating"] in get_args(vocabulary)


def test_every_step_has_its_test() -> None:
    """No step is added without a cassette."""
    here = vars(sys.modules[__name__])
    assert [step for step in STEPS if f"test_{step}" not in here] == []


@pytest.mark.vcr
def test_write_description(ask: Asking) -> None:
    """What a task is about is the whole reply, as plain text; nothing blank stands in the prompt."""
    values = ask("write_description", DEBATE.inputs("pairs", "path"))
    assert values["description"].strip()
    prompt = json.loads(ask.cassette.requests[0].body)["messages"][1]["content"]
    assert prompt.startswith("<examples>")
    assert "<task_description>" not in prompt
    assert f"<path>\n{DEBATE.spec.task_name}\n</path>" in prompt
    (said_of_it,) = DEBATE.script.description
    ask.scripted(values, {"description": said_of_it})


@pytest.mark.vcr
def test_write_context(ask: Asking) -> None:
    """A new context is the whole reply, as plain text."""
    values = ask("write_context", GRAMMAR.inputs("passages"))
    assert values["context"].strip()
    ask.scripted(values, {"context": GRAMMAR.context})


@pytest.mark.vcr
def test_write_questions_freeform(ask: Asking) -> None:
    """As many questions come as were asked for."""
    values = ask("write_questions_freeform", DEBATE.inputs("examples", "count"))
    assert len(values["questions"]) == COUNT
    assert all(question.strip() for question in values["questions"])
    ask.scripted(values, {"questions": [q.question for q in DEBATE.draw.questions]})


@pytest.mark.vcr
def test_write_questions_grounded(ask: Asking) -> None:
    """As many questions about the context come as were asked for."""
    values = ask("write_questions_grounded", GRAMMAR.inputs("texts", "count", "context"))
    assert len(values["questions"]) == COUNT
    ask.scripted(values, {"questions": [q.question for q in GRAMMAR.draw.questions]})


@pytest.mark.vcr
def test_judge_question_freeform(ask: Asking) -> None:
    """A question gets an explanation and 0 or 1."""
    values = ask("judge_question_freeform", DEBATE.inputs("examples", "question"))
    judged(values, QuestionRating)
    ask.scripted(values, DEBATE.scripted.judge_question[0])


@pytest.mark.vcr
def test_judge_question_grounded(ask: Asking) -> None:
    """A question about a context, which the judge sees, gets an explanation and 0 or 1."""
    values = ask("judge_question_grounded", GRAMMAR.inputs("examples", "context", "question"))
    judged(values, QuestionRating)
    assert GRAMMAR.context in json.loads(ask.cassette.requests[0].body)["messages"][1]["content"]
    ask.scripted(values, GRAMMAR.scripted.judge_question[0])


@pytest.mark.vcr
def test_tag_instruction_quality(ask: Asking) -> None:
    """A question gets an explanation and one of the five qualities."""
    values = ask("tag_instruction_quality", DEBATE.inputs("examples", "context", "question"))
    assert values["explanation"].strip()
    assert values["quality"] in get_args(Quality)
    ask.scripted(values, DEBATE.scripted.instruction_quality[0])


@pytest.mark.vcr
def test_tag_fused(ask: Asking) -> None:
    """Quality, difficulty and category come in one reply, each from its vocabulary."""
    values = ask("tag_fused", GRAMMAR.inputs("examples", "context", "question"))
    assert values["explanation"].strip()
    assert values["quality"] in get_args(Quality)
    assert values["difficulty"] in get_args(Difficulty)
    assert values["category"] in get_args(Category)
    assert set(values["other_categories"]) <= set(get_args(Category))
    scripted = [getattr(GRAMMAR.scripted, tag)[0] for tag in ("instruction_quality", "difficulty", "category")]
    explanations = " ".join(tag["explanation"] for tag in scripted)
    ask.scripted(values, {**scripted[0], **scripted[1], **scripted[2], "explanation": explanations})


@pytest.mark.vcr
def test_write_answer_freeform(ask: Asking) -> None:
    """An answer is the whole reply, as plain text, with its line breaks."""
    values = ask("write_answer_freeform", DEBATE.inputs("example", "question"))
    assert values["answer"].strip()
    ask.scripted(values, {"answer": DEBATE.answer})


@pytest.mark.vcr
def test_write_answer_grounded(ask: Asking) -> None:
    """An answer about a context is the whole reply, as plain text."""
    values = ask("write_answer_grounded", GRAMMAR.inputs("example", "context", "question"))
    assert values["answer"].strip()
    ask.scripted(values, {"answer": GRAMMAR.answer})


@pytest.mark.vcr
def test_judge_pair_freeform(ask: Asking) -> None:
    """A pair gets an explanation and 1, 2 or 3."""
    values = ask("judge_pair_freeform", DEBATE.inputs("example", "question", "answer"))
    judged(values, PairRating)
    ask.scripted(values, DEBATE.scripted.judge_pair[0])


@pytest.mark.vcr
def test_judge_pair_grounded(ask: Asking) -> None:
    """A pair about a context, which the judge sees, gets an explanation and 1, 2 or 3."""
    values = ask("judge_pair_grounded", GRAMMAR.inputs("example", "context", "question", "answer"))
    judged(values, PairRating)
    assert GRAMMAR.context in json.loads(ask.cassette.requests[0].body)["messages"][1]["content"]
    ask.scripted(values, GRAMMAR.scripted.judge_pair[0])


@pytest.mark.vcr
def test_tag_sample_quality(ask: Asking) -> None:
    """A sample gets an explanation and a score from 1 to 5, as a number."""
    values = ask("tag_sample_quality", GRAMMAR.inputs("example", "context", "question", "answer"))
    assert values["explanation"].strip()
    assert type(values["score"]) is int
    assert values["score"] in get_args(Score)
    ask.scripted(values, GRAMMAR.scripted.sample_quality[0])


@pytest.mark.vcr
def test_tag_difficulty(ask: Asking) -> None:
    """A question gets an explanation and one of the five difficulties."""
    values = ask("tag_difficulty", DEBATE.inputs("context", "question"))
    assert values["explanation"].strip()
    assert values["difficulty"] in get_args(Difficulty)
    ask.scripted(values, DEBATE.scripted.difficulty[0])


@pytest.mark.vcr
def test_tag_category(ask: Asking) -> None:
    """A question gets an explanation, a category, and up to three others."""
    values = ask("tag_category", DEBATE.inputs("context", "question"))
    assert values["explanation"].strip()
    assert values["category"] in get_args(Category)
    assert len(values["other_categories"]) <= 3
    assert set(values["other_categories"]) <= set(get_args(Category))
    ask.scripted(values, DEBATE.scripted.category[0])
