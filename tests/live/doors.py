"""The two ways to real llama.cpp: a server of OpenAI's API that somebody has started, and a model file alone."""

import json
import os
import secrets
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from skills_dspy.base.records import Kind
from skills_dspy.model.server.gguf import ModelFile
from skills_dspy.model.server.llamacpp import CHILD, LlamaCppServer
from skills_dspy.model.server.openai import OpenAIServer
from skills_dspy.model.server.server import Server
from tests.live.asking import SLOTS, settings


class Served:
    """llama.cpp as somebody else would run it: it stays, also when the program ends."""

    window = 4096

    def __init__(self, file: ModelFile, key: str = "") -> None:
        self._file, self.key, self._port = file, key or secrets.token_urlsafe(), 0
        self.start()

    def start(self) -> None:
        """Start it, at the same address as before."""
        self._process = subprocess.Popen(CHILD, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        order = {"path": str(self._file.path), "name": self._file.name, "key": self.key, "port": self._port}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({**order, "slots": SLOTS, "window": self.window}) + "\n")
        self._process.stdin.flush()
        self.address = str(json.loads(self._process.stdout.readline())["address"])
        self._port = int(self.address.rpartition(":")[2])
        self.began = time.time()

    def kill(self) -> None:
        """End it with SIGKILL, as a lack of memory would."""
        self._process.kill()
        self._process.communicate()


@dataclass(frozen=True)
class Door:
    """One way: its words on the command line, a server in this process, and where that tells what it counted.

    `kind` is the kind of seeds whose prompts go through it, where a step takes both. `strike` kills llama.cpp under a program
    that runs, whose process id it gets; `since_strike` tells since when it runs again, in epoch seconds, and what it counted,
    where that can be known.
    """

    name: str
    kind: Kind
    words: tuple[str, ...]
    environment: dict[str, str]
    open: Callable[[], tuple[Server, Callable[[], dict[str, int]]]]
    strike: Callable[[int], None]
    since_strike: Callable[[], tuple[float, dict[str, int]]] | None = None


def http(file: ModelFile, served: Served) -> Door:
    """Through a server that is there."""

    def open_it() -> tuple[Server, Callable[[], dict[str, int]]]:
        server = OpenAIServer(served.address, settings(file.name).server, key=served.key, concurrency=SLOTS)
        return server, lambda: counted(served.address, served.key)

    def strike(_: int) -> None:
        served.kill()
        served.start()

    def since_strike() -> tuple[float, dict[str, int]]:
        return served.began, counted(served.address, served.key)

    words = ("--api", "openai", "--base-url", served.address, "--model", file.name)
    return Door("http", "freeform", words, {"SKILLS_DSPY_API_KEY": served.key}, open_it, strike, since_strike)


def model_file_alone(file: ModelFile) -> Door:
    """Through a model file: the program starts llama.cpp."""

    def open_it() -> tuple[Server, Callable[[], dict[str, int]]]:
        spoken: list[tuple[str, str]] = []

        def speak(address: str, key: str) -> Server:
            spoken.append((address, key))
            return OpenAIServer(address, settings(file.name).server, key=key, concurrency=SLOTS)

        return LlamaCppServer(file, speak, slots=SLOTS), lambda: counted(*spoken[-1])

    def strike(program: int) -> None:
        (child,) = children(program)
        os.kill(child, 9)

    return Door("llamacpp", "grounded", ("--llamacpp", str(file.path)), {}, open_it, strike)


def children(program: int) -> list[int]:
    """The processes in which a program has llama.cpp."""
    found = subprocess.run(
        ["/usr/bin/env", "pgrep", "-P", str(program), "-f", CHILD[-1]], capture_output=True, text=True, check=False
    )
    return [int(word) for word in found.stdout.split()]


def counted(address: str, key: str) -> dict[str, int]:
    """What a llama.cpp has counted since it was started: tokens of prompts and of replies."""
    lines = httpx.get(f"{address}/metrics", headers={"Authorization": f"Bearer {key}"}, trust_env=False).text.splitlines()
    told = dict(line.removeprefix("llamacpp:").split() for line in lines if line.startswith("llamacpp:"))
    prompts = ("prompt_tokens_total", "prompt_tokens_cached_total")
    return {"prompt": sum(int(told[name]) for name in prompts), "output": int(told["tokens_predicted_total"])}
