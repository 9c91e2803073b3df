"""Each step once, from typed inputs over DSPy, our adapter, engine and HTTP to typed values: recorded and replayed.

`python -m evals.record --base-url URL` records them anew, from a real model. What it says cannot be known beforehand:
checked is that the values are those of its reply, word by word, and that they are of the types and labels that were asked for.
"""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import dspy
import pytest
from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

from evals.record.answering import CASSETTE_TASKS, MODEL
from skills_dspy.base.config import load_config
from skills_dspy.model.adapter import SkillsAdapter
from skills_dspy.model.engine import Window, make_lm
from skills_dspy.model.hosts.slots import Slots
from skills_dspy.model.program import SkillsProgram
from skills_dspy.model.replies import Meter, Replies
from skills_dspy.model.server.ollama import OllamaServer
from skills_dspy.model.soft import rated_fields, soft_of, trimmed
from skills_dspy.model.steps import STEPS, inputs
from skills_dspy.store.journal import Journal
from skills_dspy.tasks.files import load_tasks

COUNT = 5

Values = Mapping[str, Any]


class Scene:
    """One task with its seeds as examples, and one of them as the subject, which the examples are not."""

    def __init__(self, task: Path) -> None:
        (spec,) = load_tasks((task,)).specs
        self.spec = spec.model_copy(update={"num_questions_to_generate_per_prompt": COUNT})
        *self.examples, self.subject = spec.seed_examples[:4]

    def inputs(self, step: str) -> dict[str, Any]:
        """What the prompt of a step is given."""
        return inputs(STEPS[step], self.spec, self.examples, self.subject)


FREEFORM, GROUNDED = map(Scene, CASSETTE_TASKS)


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
        config = load_config(models={"generator": MODEL})
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


@pytest.mark.vcr
@pytest.mark.parametrize("step", STEPS)
def test_step(ask: Asking, step: str) -> None:
    """Its prompt shows what it is about; what the model says comes through unchanged, in the types that were asked for."""
    # Of the freeform skill's axes this model names values without end.
    scene = GROUNDED if STEPS[step].kind == "grounded" or step == "plan_variety" else FREEFORM
    values = ask(step, scene.inputs(step))
    signature = STEPS[step].signature(COUNT)
    assert list(values) == list(signature.output_fields)
    for name, field in signature.output_fields.items():
        wanted: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
        TypeAdapter(wanted).validate_python(values[name], strict=True)
    request, body = json.loads(ask.cassette.requests[0].body), json.loads(ask.cassette.responses[0]["body"]["string"])
    assert set(soft_of(trimmed(body, request), request)) == set(rated_fields(request)), "a real server's probabilities are read"
    said = body["message"]["content"]
    prose = SkillsAdapter().plan(STEPS[step].source).prose
    assert to_jsonable_python(values) == ({prose: said.strip()} if prose else json.loads(said))
    prompt = request["messages"][1]["content"]
    assert all(str(getattr(scene.subject, part) or "") in prompt for part in STEPS[step].about)
    assert ("<task_description>" in prompt) == (step != "write_description")
