"""What a reply costs the client, with the log-probabilities of its tokens and without."""

import asyncio
import time
from typing import Any

from evals.bench.client import BenchCase, teacher
from skills_dspy.base.config import load_config
from skills_dspy.model.server.ollama import OllamaServer
from skills_dspy.model.soft import ASKED, trimmed

JUDGE_TOKENS = 98
"""Of a reply as long as a judge's that explains itself."""
_PAYLOAD: dict[str, Any] = {
    "model": "mistral-small3.2",
    "messages": [{"role": "user", "content": "word " * 600}],
    "options": {"seed": 0},
    "format": {"properties": {**{f"sentence_{n}": {"type": "string"} for n in range(4)}, "rating": {"enum": [0, 1]}}},
}


def reading_costs(calls: int) -> tuple[float, float]:
    """Milliseconds of the client's processor for a call without log-probabilities, and with them as Ollama 0.33 writes them."""
    with teacher(BenchCase(1, 0, 0.0, logprobs=JUDGE_TOKENS)) as url:
        return asyncio.run(_measure(url, calls))


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
