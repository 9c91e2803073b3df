"""Which YAML files there are: those that are given, and those below folders."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NoReturn

from skills_dspy.base.errors import FileError
from skills_dspy.base.yaml_lines import unreadable


def is_yaml(file: Path) -> bool:
    """Whether a file is called `*.yaml`."""
    return file.name.endswith(".yaml")


def find_yaml(paths: Iterable[Path], error: type[FileError], takes: Callable[[Path], bool] = is_yaml) -> tuple[Path, ...]:
    """Files as they are given, and all `*.yaml` below folders in the order of their paths, each file once.

    Hidden files and folders are left out, and links to folders are not followed; `takes` says which files of a folder are
    taken instead.

    Raises:
        error: a folder cannot be read, or holds no such file. Whether a file can be read is `read_yaml`'s to say.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        try:
            for file in _below(path, error, takes) if path.is_dir() else [path]:
                found.setdefault(file.resolve() if file.is_file() else file, file)
        except OSError as problem:
            raise unreadable(path, problem, error) from problem
    return tuple(found.values())


def _below(folder: Path, error: type[FileError], takes: Callable[[Path], bool]) -> list[Path]:
    found = []
    for parent, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent, name) for name in names if not name.startswith(".") and takes(Path(parent, name))]
    if not found:
        raise error("the folder holds no *.yaml file; give a folder of task files, or one file", folder)
    return sorted(found, key=lambda file: file.relative_to(folder).parts)


def _raise(problem: OSError) -> NoReturn:
    raise problem
