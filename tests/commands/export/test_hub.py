"""Uploading to the Hugging Face Hub, against a stand-in on 127.0.0.1."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from skills_dspy.base.errors import HubError
from skills_dspy.cli.main import start
from skills_dspy.commands.export.hub import upload
from tests.helpers.exporting import write_run

pytestmark = pytest.mark.block_network(allowed_hosts=["127.0.0.1"])


class Hub(ThreadingHTTPServer):
    """As much of the Hub as an upload asks for; it notes what it was asked, and keeps what was committed."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.asked: list[str] = []
        self.created: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}
        self.existing: bool | None = None  # whether the repository is private; None when there is none
        self.refuse = 0

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Answers(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_: object) -> None:
        """Silent."""

    def do_GET(self) -> None:
        """Tell of the repository."""
        hub = self._note()
        if "/tree/" in self.path:
            old = [{"type": "file", "path": "data/train-old.parquet", "size": 1, "oid": "0"}] if not hub.created else []
            self._answer(200, old)
        elif hub.refuse:
            self._answer(hub.refuse, {"error": "You shall not pass"})
        elif hub.existing is None:
            self._answer(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        else:
            info = {
                "id": "me/foxes",
                "private": hub.existing,
                "siblings": [{"rfilename": "data/train-old.parquet"}],
                "sha": "0",
            }
            self._answer(200, info)

    def do_POST(self) -> None:
        """Create the repository, say how to upload, take a commit."""
        hub = self._note()
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.endswith("/repos/create"):
            hub.created.append(json.loads(body))
            hub.existing = hub.created[-1]["visibility"] == "private"
            self._answer(200, {"url": f"{hub.address}/datasets/me/foxes", "id": "me/foxes", "name": "me/foxes"})
        elif "/preupload/" in self.path:
            files = json.loads(body)["files"]
            self._answer(200, {"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]})
        elif "/commit/" in self.path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    hub.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
                elif line["key"].startswith("deleted"):
                    hub.files[line["value"]["path"]] = b"deleted"
            url = f"{hub.address}/datasets/me/foxes/commit/1"
            self._answer(200, {"success": True, "commitOid": "1", "commitUrl": url, "hookOutput": ""})
        else:
            self._answer(200, {})

    def _note(self) -> Hub:
        assert self.headers["Authorization"] == "Bearer hf_test"
        self.server.asked.append(f"{self.command} {self.path.split('?')[0]}")
        return self.server

    def _answer(self, code: int, body: object, headers: dict[str, str] | None = None) -> None:
        text = json.dumps(body).encode()
        self.send_response(code)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(text)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A stand-in that is listening, and a library that may go out."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: "hf_test")
    with Hub() as server:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.address)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A dataset."""
    (tmp_path / "ds" / "data").mkdir(parents=True)
    (tmp_path / "ds" / "README.md").write_text("---\nlicense: mit\n---\n# Foxes\n")
    (tmp_path / "ds" / "data" / "train-00000-of-00001.parquet").write_bytes(b"PAR1")
    return tmp_path / "ds"


@pytest.mark.parametrize("public", [False, True])
def test_a_repository_is_made_private_unless_it_is_to_be_public(hub: Hub, folder: Path, public: bool) -> None:
    """And holds what the folder holds."""
    address = upload(folder, "me/foxes", public=public)
    assert address.endswith("/datasets/me/foxes")
    assert [made["visibility"] for made in hub.created] == ["public" if public else "private"]
    assert hub.files["README.md"] == (folder / "README.md").read_bytes()
    assert hub.files["data/train-00000-of-00001.parquet"] == b"PAR1"


def test_an_existing_repository_loses_old_shards_if_it_is_private(hub: Hub, folder: Path) -> None:
    """That it was made public once does not mean that these rows are to be."""
    hub.existing = False
    with pytest.raises(HubError, match="is public already; add --public"):
        upload(folder, "me/foxes", public=False)
    assert hub.files == {}
    hub.existing = True
    upload(folder, "me/foxes", public=False)
    assert hub.created == []
    assert hub.files["data/train-old.parquet"] == b"deleted"


@pytest.mark.parametrize("code", [401, 403, 400])
def test_a_refusal_is_a_sentence(hub: Hub, folder: Path, code: int) -> None:
    """With what the Hub said."""
    hub.refuse = code
    with pytest.raises(
        HubError, match=r"the Hub refused the upload to me/foxes: .*; check the name and the token's rights$"
    ) as caught:
        upload(folder, "me/foxes", public=False)
    assert "\n" not in str(caught.value)


def test_a_hub_that_is_not_asked_or_not_there_is_a_sentence(hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that cannot be, and a library that may not go out, ask nothing; a hub that is away is named by its address."""
    hub.shutdown()
    hub.server_close()
    with pytest.raises(HubError, match=r"cannot be uploaded to http://127\.0\.0\.1"):
        upload(folder, "me/foxes", public=False)
    with pytest.raises(HubError, match="--push-to-hub a/b/c"):
        upload(folder, "a/b/c", public=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match="HF_HUB_OFFLINE is set"):
        upload(folder, "me/foxes", public=False)
    assert hub.asked == []


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (ValueError("Unknown scheme for proxy URL URL('socks://me:hush@a')"), "such as ALL_PROXY or HTTPS_PROXY"),
        (ImportError("Using SOCKS proxy, but the 'socksio' package is not installed"), r"pip install 'httpx\[socks\]'"),
        (UnicodeEncodeError("ascii", "hush", 0, 1, "no"), "HF_TOKEN"),
    ],
)
def test_a_variable_that_is_in_the_way_is_named(
    hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception, said: str
) -> None:
    """By name only: its value, and the address of the hub, may hold a password."""

    def fail(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr("huggingface_hub.HfApi.repo_info", fail)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.address.replace("//", "//me:hush@"))
    with pytest.raises(HubError, match=f"cannot be uploaded to {hub.address}: .*{said}") as caught:
        upload(folder, "me/foxes", public=False)
    assert "hush" not in str(caught.value)


def test_the_command_says_that_it_uploads(hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before it does, with where to and who may read it; and the address afterwards."""
    write_run(tmp_path / "runs")
    words = ["export", str(tmp_path / "runs"), "--format", "hf", "--out", str(tmp_path / "ds"), "--push-to-hub", "me/foxes"]
    assert start(words) == 0
    said = capsys.readouterr()
    assert "to the Hugging Face Hub as me/foxes, privately" in said.err
    assert "Uploaded: " in said.out
    assert set(hub.files) == {"README.md", "data/train-00000-of-00001.parquet"}
    hub.refuse = 403
    assert start([*words, "--overwrite"]) == 2
    assert f"The export itself is whole: {tmp_path / 'ds'}" in capsys.readouterr().err


def test_without_a_token_nothing_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would be a pity to find out after an hour."""
    write_run(tmp_path / "runs")
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    words = ["export", str(tmp_path / "runs"), "--format", "hf", "--out", str(tmp_path / "ds"), "--push-to-hub", "me/foxes"]
    assert start(words) == 2
    assert "there is no token for the Hugging Face Hub; log in with `hf auth login`" in capsys.readouterr().err
    assert not (tmp_path / "ds").exists()
