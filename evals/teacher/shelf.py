"""The models that the simulated server says it has: names, made-up digests, what is loaded."""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

_DETAILS = {
    "parent_model": "",
    "format": "gguf",
    "family": "llama",
    "families": ["llama"],
    "parameter_size": "0B",
    "quantization_level": "simulated",
}
_SIZE = 1_000_000_000
_MODIFIED = "2025-01-01T00:00:00Z"
_KEPT_SECONDS = 300


class Shelf:
    """The pulled models.

    Args:
        names: the models' names; one without a tag means `:latest`.
        context_length: the window that every model is said to have, in tokens.
    """

    def __init__(self, names: Iterable[str], context_length: int) -> None:
        self._names = dict.fromkeys(full_name(name) for name in names)
        self._context_length = context_length
        self._loaded: dict[str, tuple[float, int]] = {}

    def find(self, name: str) -> str | None:
        """The full name of a pulled model, or None."""
        full = full_name(name)
        return full if full in self._names else None

    def touch(self, name: str, moment: float, num_ctx: int) -> None:
        """A model is loaded for a request that came at `moment` (seconds since the epoch)."""
        self._loaded[full_name(name)] = (moment + _KEPT_SECONDS, num_ctx)

    def unload(self, name: str) -> None:
        """A model is loaded no longer."""
        self._loaded.pop(full_name(name), None)

    def tags(self) -> dict[str, Any]:
        """What /api/tags answers."""
        return {"models": [_entry(name) | {"modified_at": _MODIFIED} for name in self._names]}

    def running(self, moment: float) -> dict[str, Any]:
        """What /api/ps answers at a moment (seconds since the epoch)."""
        return {
            "models": [
                _entry(name)
                | {
                    "expires_at": datetime.fromtimestamp(until, UTC).isoformat(),
                    "size_vram": _SIZE,
                    "context_length": num_ctx,
                }
                for name, (until, num_ctx) in self._loaded.items()
                if until > moment
            ]
        }

    def show(self, name: str) -> dict[str, Any]:
        """What /api/show answers for a pulled model."""
        return {
            "license": "none: a simulation without a language model",
            "modelfile": f"# a simulated teacher, no language model\nFROM {full_name(name)}",
            "parameters": "temperature                    0.15",
            "template": "{{ .System }} {{ .Prompt }}",
            "details": _DETAILS,
            "model_info": {
                "general.architecture": "llama",
                "general.parameter_count": 0,
                "llama.context_length": self._context_length,
                "llama.embedding_length": 1,
            },
            "capabilities": ["completion", "tools"],
            "modified_at": _MODIFIED,
        }

    def pull(self, name: str) -> Iterator[dict[str, Any]]:
        """The progress of pulling a model, which is there at the end."""
        layer = digest_of(name)
        yield {"status": "pulling manifest"}
        for tenths in (0, 5, 10):
            told = {"status": f"pulling {layer[:12]}", "digest": f"sha256:{layer}", "total": _SIZE}
            yield told | ({"completed": _SIZE * tenths // 10} if tenths else {})
        yield {"status": "verifying sha256 digest"}
        yield {"status": "writing manifest"}
        self._names[full_name(name)] = None
        yield {"status": "success"}


def full_name(name: str) -> str:
    """A model's name with its tag."""
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def digest_of(name: str) -> str:
    """What stands for a model's digest: the hash of words that say what it is."""
    return hashlib.sha256(f"simulated teacher {full_name(name)}".encode()).hexdigest()


def _entry(name: str) -> dict[str, Any]:
    return {"name": name, "model": name, "size": _SIZE, "digest": digest_of(name), "details": _DETAILS}
