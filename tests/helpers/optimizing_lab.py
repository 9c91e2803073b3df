"""A laboratory for `optimize`: the teacher of one improvable sentence, inside the tests' own process.

Commands of the laboratory hand it their requests; a process of its own asks it over real HTTP.

Its tasks and labelled cases are few and say nothing; what is measured says nothing about a model. Each command that several
tests look at is typed once for all of them.
"""

import asyncio
import contextlib
import io
import json
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import yaml
from aiohttp import web

from evals.judges.cases import SCALE_OF_STEP, Case, load_cases
from evals.judges.corruptions import seed_cases
from evals.record.answering import CHECKOUT
from evals.teacher.config import Improvable, TeacherConfig
from evals.teacher.server import make_app, runner_of
from evals.teacher.service import Response, Service
from skills_dspy.base.config import load_config
from skills_dspy.cli.main import start
from skills_dspy.model.server.ollama import OllamaServer
from skills_dspy.store.journal import request_digest
from skills_dspy.tasks.files import load_tasks
from skills_dspy.tasks.spec import TaskSpec
from tests.helpers.logprobs import spell
from tests.helpers.seeding import a_seed

TASKS = CHECKOUT / "task_specs"
MODEL, STRICT = "mistral-small3.2", "strict-judge"
NOTE = "a simulation"
NOBODY = "http://127.0.0.1:9"
FREEFORM, GROUNDED = "test/foxes", "test/owls"
JUDGE = "judge_question_freeform"
RUNS = {
    "gepa, judge": (JUDGE, "--optimizer", "gepa", "--max-calls", "90"),
    "mipro, judge": (JUDGE, "--optimizer", "mipro", "--max-calls", "110"),
    "bootstrap, judge": (JUDGE, "--optimizer", "bootstrap", "--max-calls", "60"),
    "gepa, questions": ("write_questions_freeform", "--optimizer", "gepa", "--max-calls", "280"),
    "mipro, answers": ("write_answer_freeform", "--optimizer", "mipro", "--force", "--max-calls", "300"),
    "bootstrap, answers": ("write_answer_grounded", "--optimizer", "bootstrap", "--force"),
}
GAMED = ("write_answer_freeform", "--optimizer", "gepa", "--force", "--max-calls", "330", "--holdout-judge-model", STRICT)
"""What `optimize` is given for several tests: for the honest teacher, and for one with a gullible judge."""
CHAT = ("POST", "/api/chat")
_SEEDS, _SKILLS, _CASES = 8, 6, 4


class Teacher(httpx.AsyncBaseTransport):
    """A teacher in a thread of its own; a `sure` one gives probabilities of a rating's labels, all to the one that it says.

    Attributes:
        asked: the body of every chat request, in the order in which they came.
        reached: set when the request came from which on all have to wait, see `hold_from`.
    """

    def __init__(self, config: TeacherConfig, *, sure: bool = False) -> None:
        self._sure = sure
        self.asked: list[dict[str, Any]] = []
        self.reached = threading.Event()
        self._hold: int | None = None
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        service = Service(config)
        self._answer = service.routes[CHAT]
        self._routes = service.routes = {**service.routes, CHAT: self._noted}
        self._runner = runner_of(make_app(config, service))
        self._thread = threading.Thread(target=self._serve, name="teacher", daemon=True)
        self._thread.start()
        self._ready.wait()

    def hold_from(self, number: int | None) -> None:
        """Let the request that makes it so many, and all after it, wait until their client leaves; None for none."""
        self.reached.clear()
        self._hold = number

    def digests(self, begin: int = 0) -> list[str]:
        """What tells the requests from one another, from a place on."""
        return [request_digest(body) for body in self.asked[begin:]]

    def close(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _noted(self, data: Mapping[str, Any]) -> Response:
        self.asked.append(dict(data))
        if self._hold is not None and len(self.asked) >= self._hold:
            self.reached.set()
            await asyncio.Event().wait()  # cancelled when the client leaves
        response = await self._answer(data)
        if self._sure and response.status == 200:
            reply = json.loads(response.body)
            values = json.loads(reply["message"]["content"])
            ratings = {name: {value: 1.0} for name, value in values.items() if name == "rating"}
            reply["logprobs"] = spell(reply["message"]["content"], ratings)
            return replace(response, body=json.dumps(reply).encode())
        return response

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a client of httpx in another loop, without a network."""
        data = json.loads(request.content) if request.method == "POST" else {}
        work = self._routes[request.method, request.url.path](data)
        told = await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))
        return httpx.Response(told.status, content=told.body, headers={"Content-Type": told.content_type})

    def _serve(self) -> None:
        self._loop.run_until_complete(self._start())
        self._loop.run_forever()
        self._loop.run_until_complete(self._runner.cleanup())
        self._loop.close()

    async def _start(self) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        self._ready.set()


@dataclass(frozen=True)
class Outcome:
    """How a command ended: what a terminal has, the paths of the program file and of the session, and the requests made."""

    code: int
    out: str
    err: str
    path: Path
    output: Path
    asked: tuple[dict[str, Any], ...]

    @property
    def program(self) -> dict[str, Any]:
        """The content of the program file."""
        content: dict[str, Any] = json.loads(self.path.read_bytes())
        return content

    @property
    def provenance(self) -> dict[str, Any]:
        """Where the program came from."""
        found: dict[str, Any] = self.program["provenance"]
        return found

    @property
    def unit(self) -> dict[str, Any]:
        """What became of the only unit."""
        (unit,) = self.provenance["units"]
        return dict(unit)

    @property
    def planned(self) -> int:
        """The most calls that were announced."""
        found = re.search(r"at most ([\d,]+) calls", self.err + self.out)
        assert found is not None
        return int(found.group(1).replace(",", ""))


class Lab:
    """Teachers, and commands that are typed once for all tests; everything is written below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tasks, self.cases = folder / "tasks", folder / "cases"
        write_inputs(self.tasks, self.cases)
        self._teachers: dict[str, Teacher] = {}
        self._outcomes: dict[tuple[str, ...], Outcome] = {}
        self._typed = 0

    def teacher(self, which: str = "honest") -> Teacher:
        """The honest teacher, the `gullible` one, a `sure` one that gives probabilities, or one that is often `unreadable`."""
        if which not in self._teachers:
            made = (case for spec in self.specs for case in seed_cases(spec, 0))
            self._teachers[which] = Teacher(
                TeacherConfig(
                    slots=8,
                    models=(f"{MODEL}:latest", f"{STRICT}:latest"),
                    improvable=Improvable((*self.by_hand, *made), which == "gullible"),
                    faults=(("unreadable", 0.3),) if which == "unreadable" else (),
                ),
                sure=which == "sure",
            )
        return self._teachers[which]

    @cached_property
    def by_hand(self) -> tuple[Case, ...]:
        """The labelled cases."""
        return load_cases((self.cases,), load_config())

    @cached_property
    def specs(self) -> tuple[TaskSpec, ...]:
        """The tasks."""
        return load_tasks((self.tasks,)).specs

    def optimized(self, *words: str, which: str = "honest") -> Outcome:
        """`optimize` with words behind it, typed the first time that anybody asks."""
        key = (which, *words)
        if key not in self._outcomes:
            self._outcomes[key] = self.optimize(*words, which=which)
        return self._outcomes[key]

    def optimize(self, *words: str, which: str = "honest", output: Path | None = None, out: Path | None = None) -> Outcome:
        """`optimize` with words behind it, in a folder of its own unless one is given."""
        self._typed += 1
        folder = self.folder / str(self._typed)
        output, out = output or folder / "output", out or folder / "program.json"
        teacher = self.teacher(which)
        begin = len(teacher.asked)
        code, stdout, stderr = self.typed(*self.command(teacher.url, output, out, *words))
        return Outcome(code, stdout, stderr, out, output, tuple(teacher.asked[begin:]))

    def typed(self, *words: object) -> tuple[int, str, str]:
        """Type a command whose requests to a teacher of ours go to it directly."""
        teachers = {teacher.url: teacher for teacher in self._teachers.values()}

        def server(host: str, *given: Any, **how: Any) -> OllamaServer:
            return OllamaServer(host, *given, transport=teachers.get(host), **how)

        with patch("skills_dspy.commands.api.server.OllamaServer", server):
            return typed(*words)

    def command(self, url: str, output: Path, out: Path, *words: str) -> list[str]:
        """`optimize` on these tasks and cases, in words."""
        return command(self.folder, url, output, out, *words)

    def cases_for(self, program: Path) -> list[str]:
        """The cases that a program's prompts are measured on, in words."""
        units = json.loads(program.read_bytes())["predictors"]
        files = sorted({path for unit in units for path in _cases_for(unit, self.cases)})
        return [word for path in files for word in ("--cases", str(path))]

    def close(self) -> None:
        """End all teachers."""
        for teacher in self._teachers.values():
            teacher.close()


def command(inputs: Path, url: str, output: Path, out: Path, *words: str) -> list[str]:
    """`optimize` on the tasks and cases in a folder, in words."""
    given = [] if "--task-paths" in words else ["--task-paths", str(inputs / "tasks")]
    files = [] if "--cases" in words else _cases_for(words[0], inputs / "cases")
    given += [word for path in files for word in ("--cases", str(path))]
    return ["optimize", *words, *given, "--out", str(out), "--output-dir", str(output), "--base-url", url, "--note", NOTE]


def _cases_for(target: str, folder: Path) -> list[Path]:
    """The files of cases that a target needs, since reading them all takes longer than a small optimization."""
    needed = {"write_questions": ["judge_question_"], "write_answer": ["judge_pair_", "tag_sample_quality"]}
    step, _, kind = target.rpartition("_")
    names = [f"{name}{kind}" if name.endswith("_") else name for name in needed.get(step, [target])]
    paths = [folder / f"{name}.yaml" for name in names]
    return paths if all(path.exists() for path in paths) else [folder]


def write_inputs(tasks: Path, cases: Path, seeds: int = _SEEDS) -> None:
    """Write a task of each kind with so many seeds, and labelled cases of every step over some skills."""
    for folder in (tasks, cases):
        folder.mkdir()
    for name, kind in ((FREEFORM, "freeform"), (GROUNDED, "grounded")):
        made = [a_seed(number, kind, about=f"-{kind}").model_dump(include=set(_FIELDS)) for number in range(seeds)]  # type: ignore[arg-type]
        task = {"task_name": name, "created_by": "somebody", "task_description": f"Know all about {name}."}
        content = {**task, "data_builder": "instructlab/skills", "seed_examples": [_filled(seed) for seed in made]}
        (tasks / f"{kind}.yaml").write_text(yaml.safe_dump(content, sort_keys=False), "utf-8")
    for step, scale in SCALE_OF_STEP.items():
        skills = [_skill(step, scale.about == "pair", scale.labels, number) for number in range(_SKILLS)]
        (cases / f"{step}.yaml").write_text(yaml.safe_dump({"step": step, "skills": skills}, sort_keys=False), "utf-8")


_FIELDS = ("question", "answer", "context")


def _filled(seed: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in seed.items() if value is not None}


def _skill(step: str, pair: bool, labels: tuple[Any, ...], number: int) -> dict[str, Any]:
    """A skill with cases that are good and bad in turn."""
    kind: Any = "grounded" if step.endswith("grounded") else "freeform"
    example = a_seed(number, kind, about=f"-skill-{number}").model_dump(include=set(_FIELDS))
    cases = []
    for place in range(_CASES):
        subject = a_seed(place, kind, about=f"-skill-{number}-case-{place}").model_dump(include=set(_FIELDS))
        answer = {} if pair else {"answer": None}
        verdict = {"label": labels[-1], "reason": "fit"} if place % 2 else {"label": labels[0], "reason": "too vague"}
        cases.append({"id": f"case-{number}-{place}", **_filled(subject | answer), **verdict})
    return {
        "task": f"skill {number}",
        "task_description": f"Know all about animals of sort {number}.",
        "examples": [_filled(example)],
        "cases": cases,
    }


def typed(*words: object) -> tuple[int, str, str]:
    """Type a command; its exit code and what it says on stdout and on stderr."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = start([str(word) for word in words])
    return code, out.getvalue(), err.getvalue()


def opened(folder: Path) -> Iterator[Lab]:
    """A laboratory, and its end."""
    made = Lab(folder)
    yield made
    made.close()
