"""What `check` has measured of hosts, where a run finds it: a small file in the user's cache folder."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path

from pydantic import Field

from skills_dspy.base.errors import StorageError
from skills_dspy.base.records import Noted
from skills_dspy.store.aside import write_json
from skills_dspy.store.files import make_folder, storage_errors

_GOOD_FOR = timedelta(days=30)
"""What was measured longer ago than this is not used: a host may have become another machine."""


class MeasuredHost(Noted):
    """One host with one model: the slots that are best for it, its tokens a second with them, and when that was seen."""

    host: str
    model: str
    slots: int = Field(ge=1, le=1024)
    tokens_per_second: float = Field(ge=0)
    measured: date


class _File(Noted):
    format: int = Field(ge=1, le=1)
    hosts: tuple[MeasuredHost, ...]


def kept_in(environment: Mapping[str, str]) -> Path | None:
    """The file, by XDG_CACHE_HOME, else HOME; None where neither says a folder."""
    told, home = environment.get("XDG_CACHE_HOME", ""), environment.get("HOME", "")
    folder = Path(told) if Path(told).is_absolute() else Path(home) / ".cache" if home else None
    return None if folder is None else folder / "skills-dspy" / "hosts.json"


def find_measured(
    path: Path | None, wanted: Iterable[tuple[str, str]], today: date
) -> tuple[dict[tuple[str, str], MeasuredHost], list[str]]:
    """What is known of hosts with a model each, and a line for each thing that is left out: what is old, or a broken file."""
    kept, broken = _read(path)
    known = {(one.host, one.model): one for one in kept}
    found = {key: known[key] for key in wanted if key in known}
    old = [one for one in found.values() if today - one.measured > _GOOD_FOR]
    lines = [f"what `check` measured of {one.host} on {one.measured} is old, and not used; measure it again" for one in old]
    return {key: one for key, one in found.items() if one not in old}, [*([broken] if broken else []), *lines]


def keep_measured(path: Path, new: Sequence[MeasuredHost]) -> None:
    """Keep what was measured beside what else is known, in place of what it renews; StorageError where it cannot be written."""
    kept, _ = _read(path)
    known = {(one.host, one.model): one for one in (*kept, *new)}
    make_folder(path.parent)
    write_json(path, {"format": 1, "hosts": [known[key].model_dump(mode="json") for key in sorted(known)]})


def _read(path: Path | None) -> tuple[tuple[MeasuredHost, ...], str]:
    """All that the file has, and what is wrong with it in a line; nothing of both where there is none."""
    try:
        if path is None:
            return (), ""
        with storage_errors("read", path):
            text = path.read_bytes() if path.exists() else b'{"format": 1, "hosts": []}'
        return _File.model_validate(json.loads(text)).hosts, ""
    except StorageError as error:
        return (), str(error)
    except (ValueError, RecursionError):
        return (), f"{path} is not what `check` writes, and not used; measure the hosts again"
