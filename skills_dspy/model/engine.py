"""The engine under dspy.LM: DSPy's request to Ollama's wire form, Ollama's reply to DSPy's response.

dspy.LM takes an engine since 3.4: `complete(lm15.Request) -> lm15.Response`. Nothing is retried or cached in DSPy: the journal
remembers, the server module is patient, the asker asks again.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import dspy
from dspy import lm15
from dspy.utils.callback import with_callbacks

from skills_dspy.base.config import ROLES, Role, RunConfig
from skills_dspy.base.errors import SkillsError, Truncated, Unanswered, Unreadable
from skills_dspy.base.thinking import THINK_FIELD, Think
from skills_dspy.base.tokens import MOST_TIMES, estimate_tokens
from skills_dspy.model.ask import Asker, Look
from skills_dspy.model.hosts.call import CURRENT_CALL, Call
from skills_dspy.model.program import SkillsProgram
from skills_dspy.model.replies import NO_REPLY, Replies
from skills_dspy.model.soft import ASKED, rated_fields, soft_of
from skills_dspy.store.said import Said, counted, said_in


@dataclass(frozen=True, slots=True)
class Window:
    """What is the same for every request to a model; `soft` asks for ratings with the probability of every label."""

    num_ctx: int
    keep_alive: str
    soft: bool
    think: Think = "off"


class Engine:
    """What DSPy asks of an engine before it asks it anything."""

    supports_response_schema = True
    supports_function_calling = False
    supports_reasoning = False
    supported_params = frozenset({"temperature", "max_tokens", "top_p", "seed", "response_format"})


class AsyncOllamaEngine(Engine):
    """Completes DSPy's requests from `Replies`."""

    def __init__(self, replies: Replies, window: Window) -> None:
        self._replies = replies
        self._window = window

    async def complete(self, request: lm15.Request) -> lm15.Response:
        """One reply. Our own errors are left in the running call too, because DSPy wraps them where a thread waits."""
        call = CURRENT_CALL.get(None) or Call("predict", lambda: (0,))  # a predictor that is used outside a run
        try:
            payload = payload_of(request, self._window)
            body = await self._replies.fetch(payload, call)
            if NO_REPLY in body:
                raise Unanswered(body[NO_REPLY], "")
            said = said_in(body, payload)
            call.raw = text = said.text
            prompt_tokens, output_tokens = counted(body, "prompt_eval_count"), counted(body, "eval_count")
            _check_whole(said, body, output_tokens, call.room)
            call.soft = soft_of(body, payload)
        except SkillsError as error:
            call.error = error
            raise
        return lm15.Response(
            id=None,
            model=request.model,
            message=lm15.Message(role="assistant", parts=(lm15.TextPart(text=text),)),
            finish_reason="stop",
            usage=lm15.Usage(input_tokens=prompt_tokens, output_tokens=output_tokens),
        )


class OllamaEngine(Engine):
    """The synchronous face of an async engine, for dspy's threaded tools (Evaluate, the optimizers)."""

    def __init__(self, engine: AsyncOllamaEngine, loop: asyncio.AbstractEventLoop) -> None:
        self._engine = engine
        self._loop = loop

    def complete(self, request: lm15.Request) -> lm15.Response:
        """One reply; asked on the loop's own thread, so that slots, journal and connections stay in one place."""
        return asyncio.run_coroutine_threadsafe(self._engine.complete(request), self._loop).result()


def _check_whole(said: Said, body: Mapping[str, Any], tokens: int, room: int) -> None:
    """Refuse a reply of so many tokens that was cut, or has no text beside its thoughts, or more than `room` tokens of it.

    What was left over of the room for thoughts is not for the text: later prompts, which show it, have no place for that.
    """
    text, thoughts = said
    only = bool(thoughts) and not text.strip()
    if body.get("done_reason") == "length":
        raise Truncated(f"the reply was cut after {tokens} tokens{', all of them thoughts' if only else ''}", text)
    if only:
        raise Unreadable("all of the reply is thoughts, and there is no text", text)
    if room and _least_tokens(tokens, said) > room:
        raise Truncated(f"the reply has more than {room} tokens beside its thoughts", text)


def _least_tokens(tokens: int, said: Said) -> float:
    """How many of a reply's tokens the text beside its thoughts has, at least.

    It is the text's share of what is seen. Where no thought is seen there may be many all the same, which the server counts and
    hides: then only what the text's own estimate says for certain.
    """
    text, thoughts = said
    own = estimate_tokens(text)
    return tokens * own / (own + estimate_tokens(thoughts)) if thoughts else min(tokens, own / MOST_TIMES)


def payload_of(request: lm15.Request, window: Window) -> dict[str, Any]:
    """Ollama's wire form of a request, as `ollama.AsyncClient.chat` takes it."""
    messages = [{"role": "system", "content": request.system}] if request.system else []
    messages += [{"role": message.role, "content": message.text} for message in request.messages]
    config = request.config
    options = {
        "num_ctx": window.num_ctx,
        "temperature": config.temperature,
        "num_predict": config.max_tokens,
        "top_p": config.top_p,
        "seed": config.seed,
    }
    payload: dict[str, Any] = {
        "model": request.model,
        "messages": messages,
        "options": {name: value for name, value in options.items() if value is not None},
        "keep_alive": window.keep_alive,
        # Unasked, a model that can think does, and its thoughts take the reply's room; the explanation is the place to think.
        **THINK_FIELD[window.think],
    }
    if config.response_format:
        payload["format"] = config.response_format["schema"]
    if window.soft and rated_fields(payload):
        payload |= ASKED
    return payload


class Completing(Protocol):
    """An engine as DSPy wants it for its asynchronous calls."""

    async def complete(self, request: lm15.Request) -> lm15.Response:
        """One reply."""


class EngineLM(dspy.LM):
    """A dspy.LM whose asynchronous calls go to its engine at once, and whose errors come as the engine raised them.

    DSPy's own way hands every request to two threads, which look for attached files and for a price: that takes longer than
    all else where a journal has the reply. `waiting` is the engine of calls that wait, which go DSPy's way; `settings` are
    defaults of each request: temperature, max_tokens, seed.
    """

    def __init__(self, model: str, engine: Completing, waiting: Any, **settings: float) -> None:
        super().__init__(model, engine=waiting, async_engine=engine, cache=False, num_retries=0, **settings)
        self._answers = engine

    @with_callbacks  # type: ignore[untyped-decorator] # dspy ships no types
    async def acall(
        self, prompt: str | None = None, *, messages: Sequence[Mapping[str, str]] = (), **options: Any
    ) -> list[str]:
        """The text of one reply; TypeError for an option that no request has."""
        asked = messages or [{"role": "user", "content": prompt or ""}]
        response = await self._answers.complete(request_of(self.model, asked, {**self.kwargs, **options}))
        return [response.message.text or ""]


def request_of(model: str, messages: Sequence[Mapping[str, str]], options: Mapping[str, Any]) -> lm15.Request:
    """DSPy's request, from messages and options as its adapters have them; options that are None are left out."""
    given = {name: value for name, value in options.items() if value is not None}
    if (form := given.get("response_format")) is not None:
        given["response_format"] = {"type": form["type"], **form["json_schema"]}
    first, *others = messages
    system = first["content"] if first["role"] == "system" else None
    return lm15.Request(
        model,
        system=system,
        messages=tuple(
            lm15.Message(role=message["role"], parts=(lm15.TextPart(text=message["content"]),))
            for message in (messages if system is None else others)
        ),
        config=lm15.Config(**given),
    )


def make_lm(model: str, replies: Replies, window: Window, loop: asyncio.AbstractEventLoop) -> dspy.LM:
    """A dspy.LM whose every reply comes from `replies`."""
    engine = AsyncOllamaEngine(replies, window)
    return EngineLM(model, engine, OllamaEngine(engine, loop))


def asker_for(
    program: SkillsProgram,
    config: RunConfig,
    models: Mapping[Role, str],
    windows: Mapping[Role, int],
    replies: Replies,
    limits: Mapping[str, int],
    seed: int,
    task: str,
    residue: Look | None = None,
) -> Asker:
    """Who asks the steps of a program, each of its role's model, in the running event loop; see `Asker`.

    `models` and `windows` have of each role the model's name and its num_ctx in tokens.
    """
    roles, loop = {role: config.role(role) for role in ROLES}, asyncio.get_running_loop()
    soft = config.asks_soft(shown=False)  # rows carry them, but nothing decides by them
    hosted = {role: Window(windows[role], settings.keep_alive, soft, settings.think) for role, settings in roles.items()}
    lms = {role: make_lm(models[role], replies, hosted[role], loop) for role in ROLES}
    return Asker(program, lms, roles, limits, seed, task, residue)
