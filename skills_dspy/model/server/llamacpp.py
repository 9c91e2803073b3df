"""llama.cpp without a server to look after: one model file, served by a child process from the first request to `close`."""

import asyncio
import json
import re
import secrets
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from skills_dspy.base.errors import MachineError, ModelMissing, ServerError
from skills_dspy.model.server.gguf import ModelFile
from skills_dspy.model.server.server import Fault, Model, Server

CHILD = (sys.executable, "-m", "skills_dspy.model.server.llamacpp_child")
_PACKAGE = "xllamacpp"
_REMEMBERED = 20
"""Lines of llama.cpp's errors that are kept, to say why it did not start."""
_GRACE = 2.0
"""Seconds that it has to end; killing one that has just ended would take its exit code from asyncio (python/cpython#87744)."""
_LONGEST_LINE = 2**24
"""Bytes of a line that is read from it."""
_LONGEST_PAUSE = 30.0
"""Seconds between two attempts to start it again, at most."""


class LlamaCppServer:
    """llama.cpp with one model file; see `Server`.

    It has `slots` slots, each with the window that the first request names; one that names a larger window starts it anew when
    the others are answered. When the process ends by itself it is started again at the same address.

    Args:
        speak: who asks a server of OpenAI's API, for its address and its key.
        slots: requests that it answers at once, 1 or more.
        on_fault: told each end of the process, with the seconds until it is started again.
        command: starts the child process.

    Raises:
        MachineError: the package that brings llama.cpp is not installed.
    """

    kind = "llama.cpp"

    def __init__(
        self,
        file: ModelFile,
        speak: Callable[[str, str], Server],
        *,
        slots: int,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        on_fault: Callable[[Fault, float], None] | None = None,
        command: Sequence[str] = CHILD,
    ) -> None:
        self.host = str(file.path)
        self._file, self._speak, self._slots, self._command = file, speak, slots, command
        self._sleep, self._on_fault = sleep, on_fault or (lambda *_: None)
        self._package = _package_version()
        self._key = secrets.token_urlsafe()
        self._known: Model | None = None
        self._rest()

    def _rest(self) -> None:
        """Nothing runs; what follows may happen on another event loop."""
        self._process: _Process | None = None
        self._server: Server | None = None
        self._watching: asyncio.Task[None] | None = None
        self._turn, self._quiet, self._busy = asyncio.Lock(), asyncio.Event(), 0

    async def chat(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """One reply; see `Server.chat`. ServerError too where llama.cpp cannot load the file or has not the memory for it."""
        server = await self._serving(int(payload["options"]["num_ctx"]))
        try:
            return await server.chat(payload)
        finally:
            self._busy -= 1
            if not self._busy:
                self._quiet.set()

    async def version(self) -> str:
        """The package that brings llama.cpp, whose build it does not tell, and the model."""
        (model,) = await self.models()
        return f"{_PACKAGE} {self._package}, {model.name} sha256 {model.digest[:12]}"

    async def models(self) -> tuple[Model, ...]:
        """The one model."""
        if self._known is None:
            digest = await asyncio.to_thread(self._file.digest)
            self._known = Model(self._file.name, digest, self._file.context_length, licence=self._file.licence)
        return (self._known,)

    async def model(self, name: str) -> Model:
        """The one model; ModelMissing where another is asked for."""
        (model,) = await self.models()
        if not self._file.is_called(name):
            raise ModelMissing(f"{self._file.path} is the model {model.name}, and {name} is asked for; one file is one model")
        return model

    async def loaded(self) -> tuple[str, ...] | None:
        """None: it does not say."""
        return None

    async def close(self) -> None:
        """End the process; a further request starts another."""
        await self._stop()
        self._rest()

    async def _serving(self, window: int) -> Server:
        """Who answers, with a window of so many tokens or more, counted as busy with one request more."""
        async with self._turn:
            if self._process is None or self._process.window < window:
                if self._busy:
                    self._quiet.clear()
                    await self._quiet.wait()
                await self._stop()
                self._process = await self._launch(window, 0)
                self._server = self._speak(self._process.address, self._key)
                self._watching = asyncio.create_task(self._watch(self._process))
            assert self._server is not None
            self._busy += 1
            return self._server

    async def _launch(self, window: int, port: int) -> "_Process":
        file = self._file
        order = {"path": str(file.path), "name": file.name, "key": self._key, "slots": self._slots, "window": window}
        return await _Process.start(self._command, {**order, "port": port})

    async def _watch(self, process: "_Process") -> None:
        """Start it again whenever it ends. Requests that are on their way come back by themselves, see `Asking`."""
        while True:
            how = await process.end()
            self._on_fault(Fault(ServerError(f"llama.cpp ended ({how}) and is started again."), True), 0.0)
            pause = 1.0
            while True:
                try:
                    self._process = process = await self._launch(process.window, process.port)
                    break
                except ServerError as error:
                    self._on_fault(Fault(error, True), pause)
                    await self._sleep(pause)
                    pause = min(2 * pause, _LONGEST_PAUSE)

    async def _stop(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching})
            if not self._watching.cancelled():
                self._watching.result()
        if self._server is not None:
            await self._server.close()
        if self._process is not None:
            await self._process.kill()
        self._process = self._server = self._watching = None


@dataclass(slots=True)
class _Process:
    """A child that serves at `address`; it ends when its input does, and so never outlives the program."""

    child: asyncio.subprocess.Process
    errors: asyncio.Task[None]
    address: str
    window: int

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    @classmethod
    async def start(cls, command: Sequence[str], order: Mapping[str, Any]) -> "_Process":
        """Start a child and wait until it serves; ServerError where it does not."""
        pipe = asyncio.subprocess.PIPE
        # In a session of its own: a Ctrl-C is for the program, which may still want the replies that are on their way.
        child = await asyncio.create_subprocess_exec(
            *command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True, limit=_LONGEST_LINE
        )
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stderr is not None
        said: deque[str] = deque(maxlen=_REMEMBERED)
        started = cls(child, asyncio.create_task(_listen(child.stderr, said)), "", order["window"])
        try:
            child.stdin.write(json.dumps(order).encode() + b"\n")
            answer = json.loads(await child.stdout.readline() or b"{}")
            started.address = answer.get("address", "")
        finally:
            if not started.address:
                await started.kill()
        if not started.address:
            # The first error is the cause, the others follow from it; of a traceback the last line says it.
            why = said[0 if answer else -1] if said else _how_ended(child)
            raise ServerError(
                f"llama.cpp cannot serve {order['path']} ({why}); take a model file that it knows, fetch this one again, or, "
                f"where memory is short, lower --concurrency: it is {order['slots']} windows of {order['window']} tokens now."
            )
        return started

    async def end(self) -> str:
        """Wait until it has ended by itself; returns how."""
        await self.child.wait()
        await asyncio.wait({self.errors})  # not awaited itself: whoever gives up waiting must not end it
        return _how_ended(self.child)

    async def kill(self) -> None:
        """End it, whether it runs or not: it is asked to, by the end of its input, and not for long."""
        assert self.child.stdin is not None
        self.child.stdin.close()
        try:
            async with asyncio.timeout(_GRACE):
                await self.end()
        except TimeoutError:
            self.child.kill()
            await self.end()


async def _listen(stream: asyncio.StreamReader, said: deque[str]) -> None:
    async for line in stream:
        said.append(re.sub(r"^[\d.]+ [A-Z] +", "", line.decode("utf-8", "replace").strip()))


def _how_ended(child: asyncio.subprocess.Process) -> str:
    """A child's exit code or signal, in words."""
    code = child.returncode or 0
    return f"by signal {-code}" if code < 0 else f"with exit code {code}"


def _package_version() -> str:
    try:
        return metadata.version(_PACKAGE)
    except metadata.PackageNotFoundError as error:
        raise MachineError(
            f"--llamacpp needs the package {_PACKAGE}, which is not installed: pip install 'skills-dspy[llamacpp]'"
        ) from error
