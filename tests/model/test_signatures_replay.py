"""Each step once, from typed inputs over DSPy, our adapter, engine and HTTP to typed values: recorded and replayed.

`python -m evals.record` records them anew. The replies were written by hand (evals/teacher/scripts); what a real model says
cannot be known beforehand, so there only form and types are checked.
"""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dspy
import pytest

from evals.record.answering import SCRIPTS
from evals.record.demo import TASKS
from evals.teacher.script import Script, ScriptedQuestion, load_script
from skills_dspy.base.config import load_config
from skills_dspy.model.adapter import SkillsAdapter
from skills_dspy.model.engine import Window, make_lm
from skills_dspy.model.program import SkillsProgram
from skills_dspy.model.replies import Meter, Replies
from skills_dspy.model.server.ollama import OllamaServer
from skills_dspy.model.slots import Slots
from skills_dspy.model.steps import STEPS, Subject, inputs
from skills_dspy.store.journal import Journal
from skills_dspy.tasks.files import load_tasks
from tests.helpers.cassette_format import is_simulated

COUNT = 5

Values = Mapping[str, Any]


class Scene:
    """One task with its seeds as examples, and a question of its script as the subject."""

    def __init__(self, task: Path, script: Path, place: int) -> None:
        (spec,) = load_tasks((task,)).specs
        self.spec = spec.model_copy(update={"num_questions_to_generate_per_prompt": COUNT})
        self.script: Script = load_script(script)
        self.draw = self.script.draws[0]
        self.scripted: ScriptedQuestion = self.draw.questions[place]
        context = str(self.draw.context[0]) if self.draw.context else None
        answer = str(self.scripted.answer[0]) if self.scripted.answer else ""
        self.subject = Subject(context, self.scripted.question, answer)

    def inputs(self, step: str) -> dict[str, Any]:
        """What the prompt of a step is given."""
        return inputs(STEPS[step], self.spec, self.spec.seed_examples[:3], self.subject)

    def said(self, *tags: str) -> dict[str, Any]:
        """The script's replies of these names about the question, as the values of one."""
        replies: list[Any] = [getattr(self.scripted, tag)[0] for tag in tags]
        values = {name: value for reply in replies for name, value in reply.items()}
        return values | {"explanation": " ".join(reply["explanation"] for reply in replies)}


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
                window = Window(8192, settings.keep_alive, soft=True)
                lm = make_lm(config.model_for(role), replies, window, asyncio.get_running_loop())
                options = {"temperature": settings.temperature, "max_tokens": settings.num_predict, "seed": 7}
                with dspy.context(adapter=SkillsAdapter(), disable_history=True):
                    program = SkillsProgram(COUNT)
                    prediction = await program.acall(step=step, inputs=inputs, lm=lm, config=options)
        finally:
            await server.close()
        values: dict[str, Any] = prediction.toDict()
        return values


def check_wire(step: str, body: Values) -> None:
    """A request as Ollama wants it: not streamed, seeded, with a schema in the order of the fields where not prose."""
    assert body["stream"] is False
    assert body["options"]["seed"] == 7
    assert body["options"]["num_ctx"] == 8192
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    fields = list(STEPS[step].signature(COUNT).output_fields)
    if SkillsAdapter().plan(STEPS[step].source).prose:
        assert not body.get("format")
    else:
        assert list(body["format"]["properties"]) == fields
        assert body["format"]["required"] == fields
        assert body["format"]["additionalProperties"] is False


@pytest.fixture
def ask(host: str, vcr: Any, tmp_path: Path) -> Asking:
    """Asks a step of the recorded teacher."""
    return Asking(host, vcr, tmp_path / "journal.sqlite")


SCRIPTED: dict[str, tuple[Scene, Values]] = {
    "write_description": (DEBATE, {"description": DEBATE.script.description[0]}),
    "write_context": (GRAMMAR, {"context": GRAMMAR.subject.context}),
    "write_questions_freeform": (DEBATE, {"questions": [q.question for q in DEBATE.draw.questions]}),
    "write_questions_grounded": (GRAMMAR, {"questions": [q.question for q in GRAMMAR.draw.questions]}),
    "judge_question_freeform": (DEBATE, DEBATE.said("judge_question")),
    "judge_question_grounded": (GRAMMAR, GRAMMAR.said("judge_question")),
    "tag_instruction_quality": (DEBATE, DEBATE.said("instruction_quality")),
    "tag_fused": (GRAMMAR, GRAMMAR.said("instruction_quality", "difficulty", "category")),
    "write_answer_freeform": (DEBATE, {"answer": DEBATE.subject.answer}),
    "write_answer_grounded": (GRAMMAR, {"answer": GRAMMAR.subject.answer}),
    "judge_pair_freeform": (DEBATE, DEBATE.said("judge_pair")),
    "judge_pair_grounded": (GRAMMAR, GRAMMAR.said("judge_pair")),
    "tag_sample_quality": (GRAMMAR, GRAMMAR.said("sample_quality")),
    "tag_difficulty": (DEBATE, DEBATE.said("difficulty")),
    "tag_category": (DEBATE, DEBATE.said("category")),
}


@pytest.mark.vcr
@pytest.mark.parametrize("step", STEPS)
def test_step(ask: Asking, step: str) -> None:
    """Its prompt shows what it is about and nothing blank; what the script says comes through unchanged, in its types."""
    scene, scripted = SCRIPTED[step]
    values = ask(step, scene.inputs(step))
    assert {name: type(value) for name, value in values.items()} == {name: type(value) for name, value in scripted.items()}
    assert all(value.strip() for value in values.values() if isinstance(value, str))
    prompt = json.loads(ask.cassette.requests[0].body)["messages"][1]["content"]
    assert all(str(getattr(scene.subject, part) or "") in prompt for part in STEPS[step].about)
    assert ("<task_description>" in prompt) == (step != "write_description")
    # Nothing is known of what a real model says.
    if is_simulated({"response": ask.cassette.responses[0]}):
        assert values == scripted
