"""What a reply costs the client, with the log-probabilities of its tokens and without; the server, beside it, only sends."""

import asyncio
import json
import re
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

from skills_dspy.base.config import load_config
from skills_dspy.model.server.ollama import OllamaServer
from skills_dspy.model.soft import ASKED, trimmed

JUDGE_TOKENS = ['{"', "explanation", '": "', *[f" word{n}" for n in range(90)], '", "', "rating", '":', " 1", "}"]
"""A reply as long as a judge's that explains itself."""
_PAYLOAD: dict[str, Any] = {
    "model": "m",
    "messages": [{"role": "user", "content": "word " * 600}],
    "options": {"seed": 0},
    "format": {"type": "object", "properties": {"explanation": {"type": "string"}, "rating": {"enum": [0, 1]}}},
}


def reading_costs(calls: int) -> tuple[float, float]:
    """Milliseconds of the client's processor for a call without log-probabilities, and with them as Ollama 0.33 writes them."""
    with subprocess.Popen([sys.executable, "-m", "evals.bench.reading"], stdout=subprocess.PIPE, text=True) as sender:
        assert sender.stdout is not None
        url = f"http://127.0.0.1:{sender.stdout.readline().strip()}"
        try:
            return asyncio.run(_measure(url, calls))
        finally:
            sender.kill()


async def _measure(url: str, calls: int) -> tuple[float, float]:
    server, spent = OllamaServer(url, load_config().server, concurrency=1), [0.0, 0.0]
    try:
        for number in range(-10, calls):  # ten to warm up, and both in turn: a busy machine treats them alike
            for place, payload in enumerate((_PAYLOAD, {**_PAYLOAD, **ASKED})):
                began = time.process_time()
                trimmed(await server.chat(payload), payload)
                spent[place] += time.process_time() - began if number >= 0 else 0.0
    finally:
        await server.close()
    return 1000 * spent[0] / calls, 1000 * spent[1] / calls


def _entry(token: str, place: int) -> dict[str, Any]:
    return {"token": token, "logprob": -0.12345678 * (place + 1), "bytes": list(token.encode())}


async def _send() -> None:
    """A server that reads a request and sends one of two bodies, until it is killed."""
    counts = {"total_duration": 1, "load_duration": 1, "prompt_eval_count": 700, "prompt_eval_duration": 1, "eval_count": 98}
    message = {"role": "assistant", "content": "".join(JUDGE_TOKENS)}
    plain = {"model": "m", "created_at": "now", "message": message, "done": True, "done_reason": "stop", **counts}
    others = [[token, *(f" o{n}" for n in range(19))] for token in JUDGE_TOKENS]
    tokens = [_entry(each[0], 0) | {"top_logprobs": [_entry(other, n) for n, other in enumerate(each)]} for each in others]
    bodies = [json.dumps(body, separators=(",", ":")).encode() for body in (plain, {**plain, "logprobs": tokens})]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):  # the client has closed the connection
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head.lower())
                assert length is not None
                body = bodies[b'"logprobs"' in await reader.readexactly(int(length[1]))]
                kind = b"content-type: application/json\r\ncontent-length: %d" % len(body)
                writer.write(b"HTTP/1.1 200 OK\r\n" + kind + b"\r\n\r\n" + body)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_send())
