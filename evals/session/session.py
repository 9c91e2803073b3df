"""A session of the evaluations: one journal for all of them, the models, and whoever asks; the program's own engine.

`eval judges`, `eval program` and `optimize` share one folder and so one journal: what one of them asked, the others find.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dspy

from evals.session.bridge import Bridge, HaltingEngine
from skills_dspy.base.config import ROLES, Role, RunConfig
from skills_dspy.base.errors import ContextTooLong, RequestError, RunDirError, SkillsError
from skills_dspy.commands.check.speed import Counts, Speed, counts_of, speed_of
from skills_dspy.model.adapter import SkillsAdapter
from skills_dspy.model.ask import Asker
from skills_dspy.model.context_window import RunPrompts, step_up
from skills_dspy.model.engine import AsyncOllamaEngine, EngineLM, Window
from skills_dspy.model.hosts.call import Call
from skills_dspy.model.hosts.hosts import introduced, slots_of
from skills_dspy.model.hosts.lane import Host
from skills_dspy.model.hosts.slots import Slots
from skills_dspy.model.program import SkillsProgram
from skills_dspy.model.replies import NO_REPLY, Meter, Replies
from skills_dspy.model.server.names import other_weights, same_model
from skills_dspy.model.server.server import Model, Server
from skills_dspy.screens.residue import residue_look
from skills_dspy.store.journal import Journal, JournalReader, request_digest
from skills_dspy.store.run_dir import RunPaths, taken
from skills_dspy.store.run_json import server_in_words

FOLDER = Path("output-evals")
"""Where evaluations keep their journal and their reports, unless another folder is named."""

_MODEL = "model "
"""The keys in the journal of who has answered begin like this."""
_TIMED = 64
"""Live replies whose speed is looked at: the first ones."""


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """What a session is opened with.

    Attributes:
        folder: holds the journal and the reports.
        concurrency: requests in flight, 1 or more.
        extra_models: models that are asked besides those of the roles.
        recorded: a folder of an earlier session, which then answers instead of a server.
        note: what answers, in words, in place of the server's own.
        most_calls: no more live calls than this; None for no limit.
        beside: a run of the same tasks; models are asked with its windows, unless more is needed.
    """

    folder: Path
    config: RunConfig
    concurrency: int = 8
    extra_models: tuple[str, ...] = ()
    recorded: Path | None = None
    note: str | None = None
    most_calls: int | None = None
    beside: RunPrompts | None = None


class CallsSpent(SkillsError):
    """As many calls were made as were allowed."""

    exit_code = 1


class OnceReplies(Replies):
    """Replies that are asked for once, however many ask at a time: DSPy's tools send a slow call again.

    Attributes:
        counts: of the first live replies, for their speed.
        made: digests of all requests so far, whether the host, the journal or a recording answered.
        lost: those of them that the server could not answer, though it answered others, with why.
    """

    def __init__(
        self, journal: Journal, source: Host | JournalReader, slots: Slots, meter: Meter, most_calls: int | None = None
    ) -> None:
        super().__init__(journal, source, slots, meter)
        self._kept = journal
        self._begun = 0
        self._most = None if isinstance(source, JournalReader) else most_calls
        self._asked: dict[str, asyncio.Task[dict[str, Any]]] = {}
        self.counts: list[Counts] = []
        self.made: set[str] = set()
        self.lost: dict[str, str] = {}

    async def fetch(self, payload: Mapping[str, Any], call: Call) -> dict[str, Any]:
        """The body of the reply, as `Replies.fetch` gives it.

        Raises:
            CallsSpent: it would be one live call too many.
        """
        call.digest = digest = request_digest(payload)
        self.made.add(digest)
        task = self._asked.get(digest)
        if task is None:
            if self._most is not None and self._kept.get(digest) is None:
                if self._begun >= self._most:
                    # What is on its way was counted and paid for: it is kept, so that nobody asks for it again.
                    await asyncio.gather(*self._asked.values(), return_exceptions=True)
                    raise CallsSpent(
                        f"the {self._most} calls that were allowed are spent; every reply is kept: "
                        "the same command goes on where this one stopped"
                    )
                self._begun += 1
            task = self._asked[digest] = asyncio.ensure_future(self._timed(payload, call))
            task.add_done_callback(lambda done: self._settled(digest, done))
        body = await asyncio.shield(task)
        if NO_REPLY in body:
            self.lost[digest] = body[NO_REPLY]
        return body

    def _settled(self, digest: str, task: asyncio.Task[dict[str, Any]]) -> None:
        self._asked.pop(digest, None)
        if not task.cancelled():
            task.exception()  # looked at, since whoever waited may have gone: asyncio would print a traceback

    async def _timed(self, payload: Mapping[str, Any], call: Call) -> dict[str, Any]:
        live, began = self._meter.live, time.monotonic()
        body = await super().fetch(payload, call)
        if self._meter.live > live and len(self.counts) < _TIMED:
            self.counts.append(counts_of(body, time.monotonic() - began))
        return body

    async def drop(self) -> None:
        """Give up what is still on its way, when the session ends."""
        tasks = list(self._asked.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class Session:
    """An open session. Made by `open_session`, and used in its event loop; the language models may be used in any thread.

    Attributes:
        config, concurrency: as asked for, with true for `soft_ratings: auto`: what is shown of judges shows probabilities.
        models: name as configured to the model that answers.
        answered_by: what answers, in words, and what has answered in this folder before.
        replies, meter, journal: where the language models get their replies, how many there were, and all of them.
        usual: model to the num_ctx that a run of the same tasks asks it with.
        bridge: for threads that ask.
        adapter: DSPy's within this session.
    """

    config: RunConfig
    concurrency: int
    models: Mapping[str, Model]
    answered_by: str
    replies: OnceReplies
    meter: Meter
    journal: Journal
    usual: Mapping[str, int]
    bridge: Bridge
    adapter: SkillsAdapter = field(default_factory=SkillsAdapter)

    @property
    def most_ctx(self) -> int:
        """The largest window that the configuration allows and all models can have, in tokens."""
        lengths = [model.context_length for model in self.models.values() if model.context_length]
        return min([self.config.max_num_ctx, *lengths])

    def window_for(self, prompt: int, reply: int) -> int:
        """Return a num_ctx for a prompt and its reply, see the function of this name."""
        return window_for(self.config, prompt, reply, self.most_ctx)

    def speed(self) -> Speed | None:
        """Return how fast the server has read and written so far, by its own counts; None while nothing was asked live."""
        counts = self.replies.counts
        return speed_of(counts, counts) if counts else None

    def lm(self, model: str, role: Role, num_ctx: int, **settings: float) -> dspy.LM:
        """Return a language model by a name that the session was opened with.

        The keep_alive and the window are the role's own where it has some; else the window is that of a run of the same tasks,
        or of the `num_ctx` tokens that are needed here where that is more. `settings` are DSPy's defaults for each request:
        temperature, max_tokens, seed.
        """
        settings_of_role = self.config.role(role)
        size = settings_of_role.num_ctx or max(num_ctx, self.usual.get(model, 0))
        window = Window(size, settings_of_role.keep_alive, self.config.asks_soft(shown=True), settings_of_role.think)
        engine = AsyncOllamaEngine(self.replies, window)
        return EngineLM(self.models[model].name, engine, HaltingEngine(engine, self.bridge), **settings)

    def asker(
        self,
        program: SkillsProgram,
        limits: Mapping[str, int],
        seed: int,
        num_ctx: int,
        judge: str | None = None,
        task: str = "evals",
    ) -> Asker:
        """Return who asks the program's steps, as in a run, with a window of at least `num_ctx` tokens, see `lm`.

        `limits` is step to the most tokens of a first reply; `seed` and `task` decide the sampling seeds; `judge` is a model to
        judge and tag instead of the configured ones.
        """
        names = {role: self.config.model_for(role) for role in ROLES}
        if judge is not None:
            names["validator"] = names["tagger"] = judge
        lms = {role: self.lm(names[role], role, num_ctx) for role in ROLES}
        roles, look = {role: self.config.role(role) for role in ROLES}, residue_look(self.config.screens)
        return Asker(program, lms, roles, limits, seed, task, look)


def window_for(config: RunConfig, prompt: int, reply: int, most: int) -> int:
    """Return a num_ctx that holds a prompt of so many tokens and its reply, as `step_up` has it.

    Raises:
        ContextTooLong: they do not fit into `most` tokens; `max_num_ctx` is named where it is what does not allow it.
    """
    if prompt + reply > most:
        bound = f"max_num_ctx ({most}): raise it in the configuration" if most == config.max_num_ctx else None
        raise ContextTooLong(
            f"A prompt of about {prompt} tokens and its reply of {reply} do not fit into "
            f"{bound or f'the {most} tokens that a model can have: take one with a larger window'}, or take shorter examples."
        )
    return step_up(prompt + reply, most)


@asynccontextmanager
async def open_session(request: SessionRequest, serve: Callable[[], Server] | None) -> AsyncIterator[Session]:
    """Open the folder's journal and ask the host, which `serve` makes unless a recording answers, for the models.

    Raises:
        RunDirError: the folder is in use, or is something else, or holds replies of another model of the same name; or there
            is no recording.
        ServerError, ModelMissing: the host does not have what is needed.
    """
    names = tuple(dict.fromkeys([*map(request.config.model_for, ROLES), *request.extra_models]))
    async with AsyncExitStack() as stack:
        paths = stack.enter_context(taken(request.folder.parent, request.folder.name))
        journal = stack.enter_context(Journal.open(paths.journal))
        source: Host | JournalReader
        if request.recorded is not None:
            if request.recorded.resolve() == request.folder.resolve():
                raise RequestError(f"{request.folder} is the recording itself; choose another --output-dir for the replay")
            source = stack.enter_context(JournalReader.open(RunPaths(request.recorded).journal))
            known = source.meta()
            answered_by = known.get("answered_by", "a recording that does not say what answered")
            models = {name: _recorded(known, name) for name in names}
        else:
            assert serve is not None
            source = server = serve()
            stack.push_async_callback(server.close)
            said = await introduced(server)
            models = {name: await server.model(name) for name in names}
            answered_by = request.note or server_in_words(server.kind, said["version"], server.host)
        answered_by = _noted(paths.folder, journal, answered_by, models)
        meter = Meter()
        replies = OnceReplies(journal, source, slots_of(source, request.concurrency), meter, request.most_calls)
        stack.push_async_callback(replies.drop)
        bridge = Bridge(asyncio.get_running_loop())
        stack.callback(bridge.close)
        lengths = {name: model.context_length for name, model in models.items()}
        of_run = {} if request.beside is None else request.beside.windows(lengths)
        usual = {name: size for name, size in of_run.items() if name in models}
        # One answer for all commands of a session, so that they find each other's replies.
        config = request.config.model_copy(update={"soft_ratings": request.config.asks_soft(shown=True)})
        session = Session(config, request.concurrency, models, answered_by, replies, meter, journal, usual, bridge)
        with dspy.context(adapter=session.adapter, disable_history=True, track_usage=False, warn_on_type_mismatch=False):
            yield session


def _noted(folder: Path, journal: Journal, answered_by: str, models: Mapping[str, Model]) -> str:
    """Say in the journal what answers, so that a replay can say it too; returns all who have answered in this folder.

    Raises:
        RunDirError: a model has changed: replies are kept by its name, so those of the old one would pass for the new one's.
    """
    known = journal.meta()
    named = {f"{_MODEL}{name}": f"{model.name} {model.digest}".strip() for name, model in models.items()}
    digests = dict(_models_in(known).values())
    for model in models.values():
        if (then := digests.get(model.name, model.digest)) != model.digest:
            raise RunDirError(
                f"{other_weights(model.name, then, model.digest)}, and the replies in {folder} are the former's: choose "
                "another --output-dir, or get the former back"
            )
    before = known.get("answered_by")
    everybody = "; then ".join(dict.fromkeys([*(before.split("; then ") if before else ()), answered_by]))
    for key, value in {"answered_by": everybody, **named}.items():
        journal.set_meta(key, value)
    return everybody


def _models_in(meta: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """The models that have answered in a folder: as they were named to the server's name and digest."""
    named = {key.removeprefix(_MODEL): value.partition(" ") for key, value in meta.items() if key.startswith(_MODEL)}
    return {name: (listed, digest) for name, (listed, _, digest) in named.items()}


def _recorded(meta: Mapping[str, str], name: str) -> Model:
    """The model that answered in a folder by this name, or by another that means the same."""
    known = _models_in(meta)
    alike = (found for other, found in known.items() if same_model(other, name))
    return Model(*(known.get(name) or next(alike, (name, ""))), None)
