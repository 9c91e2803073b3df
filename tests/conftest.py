"""What all tests share: no network and no settings of this machine, cassettes that say what answered, one embedder.

A test that is marked `vcr` replays its own file below tests/cassettes, and fails when it does not ask for all that is in it.
`python -m evals.record` records all of them anew.
"""

import gc
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Before anything imports huggingface_hub or litellm, which read them once.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import hypothesis
import pytest

from evals.record.answering import RECORD_FROM, RECORD_NOTE, simulated_teacher
from skills_dspy.cli.shared.environment import put_right

if TYPE_CHECKING:  # what takes long to import is imported where it is used: xdist's own process needs none of it
    import vcr as vcrpy

    from skills_dspy.model.embedding.embedder import SentenceEmbedder
    from tests.helpers.fake_server import FakeServer
    from tests.helpers.optimizing_lab import Lab
    from tests.helpers.terminal import Terminal

NOBODY = "http://127.0.0.1:9"
"""The address while replaying: nobody is asked there."""

CASSETTES = Path(__file__).parent / "cassettes"

_OF_THIS_MACHINE = ("OLLAMA_", "OPENAI_", "SKILLS_DSPY_")
_RECORD_FROM = os.environ.get(RECORD_FROM)
_RECORD_NOTE = os.environ.get(RECORD_NOTE, "")

# Nor does ollama or torch see what this machine sets for the network, or for others: some of it they trip over when imported.
put_right(os.environ)
_NETWORK = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_cert_file", "ssl_cert_dir", "sslkeylogfile")
for _name in [name for name in os.environ if name.lower() in _NETWORK]:
    del os.environ[_name]

# Runs and journals see to it that they reach the disk, and waiting for it takes longer than all else: temporary folders lie
# in memory where there is some, unless somebody has said where. No test ends the machine, so all that was written is read.
_MEMORY, _ENOUGH = Path("/dev/shm"), 2**30  # noqa: S108 - pytest makes a folder of this user's own there
if os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ENOUGH:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))

# What is compiled is kept, whatever this machine says: each process that a test starts would compile all modules again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# `HYPOTHESIS_PROFILE=thorough make test` looks longer for what breaks a property, and elsewhere each time.
hypothesis.settings.register_profile("quick", max_examples=25, derandomize=True, deadline=None)
hypothesis.settings.register_profile("thorough", max_examples=200, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


LIVE = Path(__file__).parent / "live"
"""Tests that need a real model: only for who names them, see `make test-live`."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the live lane out, unless it or a file of it is asked for."""
    asked = [(config.invocation_params.dir / arg.partition("::")[0]).resolve() for arg in config.args]
    return True if collection_path == LIVE and not any(path.is_relative_to(LIVE) for path in asked) else None


# ---- cassettes -------------------------------------------------------------------------------------------------------


def pytest_recording_configure(config: pytest.Config, vcr: "vcrpy.VCR") -> None:  # noqa: ARG001 - the hook's names
    """Our matcher and our way of writing."""
    from tests.helpers.cassette_format import CassetteYaml, same_request

    vcr.register_matcher("same request", same_request)
    vcr.register_serializer("yaml", CassetteYaml(_RECORD_NOTE))


@pytest.fixture(scope="session")
def vcr_config() -> dict[str, Any]:
    """What pytest-recording hands to vcrpy."""
    from tests.helpers.cassette_format import PRIVATE_HEADERS, without_host

    return {
        "match_on": ["same request"],
        "filter_headers": list(PRIVATE_HEADERS),
        "before_record_request": without_host,
        "decode_compressed_response": True,
    }


@pytest.fixture(scope="module")
def vcr_cassette_dir(request: pytest.FixtureRequest) -> str:
    """One folder for all cassettes, by the name of the test's module."""
    return str(CASSETTES / request.path.stem)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """After a test that has passed: everything in its cassette was asked for."""
    result = yield
    cassette: Any = item.funcargs.get("vcr") if isinstance(item, pytest.Function) else None
    if cassette is not None and cassette.write_protected:
        from tests.helpers.cassette_format import unplayed

        if left := unplayed(cassette):
            pytest.fail(f"the cassette holds what the test did not ask for: {'; '.join(left)}", pytrace=False)
    return result


@pytest.fixture
def host(record_mode: str) -> str:
    """A real Ollama that answers the main flow; nobody while replaying."""
    if record_mode == "none":
        return NOBODY
    assert _RECORD_FROM is not None, "record with `python -m evals.record --base-url URL`"
    return _RECORD_FROM


@pytest.fixture
def faulty(record_mode: str) -> Callable[..., AbstractContextManager[str]]:
    """Starts a simulated teacher with the options given, such as `--fault 500=1`; nobody while replaying."""
    return (lambda *_: nullcontext(NOBODY)) if record_mode == "none" else simulated_teacher


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Lab"]:
    """Where `optimize` is tried on the simulated teacher with one improvable sentence."""
    from tests.helpers.optimizing_lab import opened

    yield from opened(tmp_path_factory.mktemp("lab"))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What loads torch comes first and then what shares the lab, in the first worker alone."""
    items.sort(key=_place)


def pytest_collection_finish() -> None:
    """What is there by now stays: the collector of garbage need not look at all modules again, and not often at the rest."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 1000)


def _place(item: pytest.Item) -> int:
    fixtures = getattr(item, "fixturenames", ())
    if "embedder" in fixtures or item.get_closest_marker("torch"):
        return 0
    return 1 if "lab" in fixtures else 2


# ---- the machine -----------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that this machine sets for Ollama or for us reaches a test; what it sets for the network is gone for good."""
    for name in list(os.environ):
        if name.startswith(_OF_THIS_MACHINE):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session", autouse=True)
def no_dspy_cache() -> None:
    """DSPy remembers nothing: a remembered reply would hide a request from its cassette."""
    import dspy

    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=False)


@pytest.fixture(scope="session")
def embedder() -> "SentenceEmbedder":
    """The real embedding model, loaded once for all tests."""
    from tests.helpers.remembering import RememberingEmbedder

    real = RememberingEmbedder()
    real.load()
    return real


@pytest.fixture
def terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> "Terminal":
    """A terminal whose every live run asks a stand-in."""
    from evals.bench.hash_embedder import HashEmbedder
    from skills_dspy.model.embedding.embedder import AsyncEmbedder
    from skills_dspy.model.server.connections import without_secrets
    from tests.helpers.terminal import Terminal

    made = Terminal(tmp_path, capsys)

    def server(host: str, *_: object, **__: object) -> "FakeServer":
        made.servers.append(made.make_server())
        made.servers[-1].host = without_secrets(host)
        return made.servers[-1]

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["python -m skills_dspy", "run"])
    monkeypatch.setattr("skills_dspy.commands.api.server.OllamaServer", server)
    monkeypatch.setattr("skills_dspy.commands.api.server.kept_in", lambda _: tmp_path / "cache" / "hosts.json")
    for asks in ("cli.run", "commands.api.run", "commands.cluster.work"):
        monkeypatch.setattr(f"skills_dspy.{asks}.embedder_of", lambda *_: AsyncEmbedder(HashEmbedder()))
    return made


@pytest.fixture(scope="session")
def load(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """`datasets.load_dataset`, which keeps what it makes in a folder of the tests."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        import datasets

    datasets.disable_progress_bars()

    def load_dataset(*words: str, **options: Any) -> Any:
        return datasets.load_dataset(*words, cache_dir=str(tmp_path_factory.mktemp("cache")), **options)

    return load_dataset
