"""The environment that libraries may see: what others put there for themselves ends no command of ours."""

import re
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager

_AT_IMPORT = re.compile(r"(https?|all|no)_proxy|ssl_cert_(file|dir)|sslkeylogfile|ollama_\w+", re.IGNORECASE)
"""What the ollama package's own client, which is made when it is imported, would be made with."""

_NUMBERS = ("DSPY_CACHE_LIMIT", "NUMPY_MADVISE_HUGEPAGE", "HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT")
"""What dspy, numpy and huggingface_hub take for whole numbers when they are imported."""

_SIZES = ("COLUMNS", "LINES")
"""The size of a terminal, which rich takes at its word: of 0 columns nothing is printed, and of very many it crashes."""

_UNUSED = re.compile(
    r"(LOGLEVEL|(TORCH|TRANSFORMERS|ACCELERATE|DSPY|HF)\w*LOG_?LEVEL)|TQDM_(?!DISABLE)\w+|USE_TORCH_XLA|(COMPILE_STROBELIGHT|TORCH_(LOGS|COMPILE|DISABLE|PYTHON)|TORCHDYNAMO"
    r"|(TORCH|AOT_?)?INDUCTOR|PYTORCH_JIT|ACCELERATE|SYMPY|SKLEARN|PANDAS)(_\w+)?"
)
"""What torch, scikit-learn, pandas and tqdm trip over when they are imported, for parts of them that we do not use."""


def put_right(environment: MutableMapping[str, str]) -> str:
    """Take out, for good, what a library would trip over whenever it looks; returns the host in OLLAMA_HOST, empty for none.

    Blanks and quotes around the host go, as Ollama itself has it.
    """
    for name in _NUMBERS:
        if not re.fullmatch(r"\s*\d+\s*", environment.get(name, "0")):
            del environment[name]
    for name in _SIZES:
        if not re.fullmatch(r"[1-9][0-9]{0,3}", environment.get(name, "1")):
            del environment[name]
    for name in filter(_UNUSED.fullmatch, list(environment)):
        del environment[name]
    return environment.pop("OLLAMA_HOST", "").strip("\"' \t\r\n")


@contextmanager
def hidden_at_import(environment: MutableMapping[str, str]) -> Iterator[None]:
    """While libraries are imported: no proxy, no certificates, nothing of Ollama's. Afterwards all is there again."""
    hidden = {name: environment.pop(name) for name in list(environment) if _AT_IMPORT.fullmatch(name)}
    try:
        yield
    finally:
        environment.update(hidden)
