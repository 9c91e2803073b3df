"""What has changed in a taxonomy that is a git checkout, asked of `git` itself, as `ilab taxonomy diff` does."""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from skills_dspy.base.errors import RequestError
from skills_dspy.tasks.files import Changes

_OF_ONE_REPOSITORY = ("GIT_DIR", "GIT_WORK_TREE", "GIT_IMPLICIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX")
"""What git sets for its hooks, and what would make it take any folder for a checkout's top."""


def changed_files(paths: Sequence[Path], ref: str, environment: Mapping[str, str]) -> Changes:
    """The files of the checkouts in which `paths` lie that differ from where the work branched off `ref`.

    That is the working tree against the merge base of `ref` and HEAD (so what `ref` has gained since then does not count):
    committed, staged, unstaged and untracked files; not those that git ignores, and not deleted ones; of renamed ones
    the new name.

    A path that does not exist has no part in it. What a hook is told of its own repository is left out of git's environment:
    a path's own checkout is asked.

    Raises:
        RequestError: git is not there, a path lies in no checkout, or `ref` means nothing in it.
    """
    folders = dict.fromkeys(path.resolve() if path.is_dir() else path.parent.resolve() for path in paths if path.exists())
    git = _Git({name: value for name, value in environment.items() if name not in _OF_ONE_REPOSITORY})
    changed: set[Path] = set()
    submodules: set[Path] = set()
    for top in dict.fromkeys(git.top(folder) for folder in folders):
        base = git.merge_base(top, ref)
        # Without the search for renames a renamed file counts as a new one, which it is here.
        differing = git.output(top, "diff", "--name-only", "--no-renames", "--no-ext-diff", "--diff-filter=d", "-z", base, "--")
        untracked = git.output(top, "ls-files", "--others", "--exclude-standard", "-z")
        changed |= {top / name for name in (*_names(differing), *_names(untracked))}
        submodules |= {top / name for name in _names(differing) if (top / name).is_dir() and not (top / name).is_symlink()}
    return Changes(ref, frozenset(changed - submodules), tuple(sorted(submodules - set(folders))))


@dataclass(frozen=True, slots=True)
class _Git:
    """The `git` on the PATH, in an environment."""

    environment: Mapping[str, str]

    def top(self, folder: Path) -> Path:
        asked = self._run(folder, "rev-parse", "--show-toplevel")
        if asked.returncode:
            raise RequestError(
                f"--taxonomy-base: {folder} is no git checkout ({_said(asked)}); leave the option out, or clone it"
            )
        return Path(_text(asked.stdout).removesuffix("\n")).resolve()

    def merge_base(self, top: Path, ref: str) -> str:
        if (base := self._commit(top, ref)) is None:
            helps = "fetch it, this clone is a shallow one" if self._is_shallow(top) else "give a branch, tag or commit"
            raise RequestError(f"--taxonomy-base: {ref} names no commit in {top}; {helps}")
        if (head := self._commit(top, "HEAD")) is None:
            raise RequestError(f"--taxonomy-base: no commit has been made yet in the branch of {top}; leave the option out")
        asked = self._run(top, "merge-base", base, head)
        if asked.returncode:
            why = "fetch more of it" if self._is_shallow(top) else "give another"
            raise RequestError(f"--taxonomy-base: {ref} and HEAD have no commit in common in {top}; {why}")
        return _text(asked.stdout).strip()

    def output(self, top: Path, *words: str) -> bytes:
        asked = self._run(top, *words)
        if asked.returncode:
            raise RequestError(f"--taxonomy-base: `git {words[0]}` failed in {top}: {_said(asked)}")
        return asked.stdout

    def _is_shallow(self, top: Path) -> bool:
        return _text(self.output(top, "rev-parse", "--is-shallow-repository")).strip() == "true"

    def _commit(self, top: Path, name: str) -> str | None:
        asked = self._run(top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        return None if asked.returncode else _text(asked.stdout).strip()

    def _run(self, folder: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
        command = ["git", "-C", str(folder), *words]
        try:
            return subprocess.run(command, capture_output=True, check=False, env=self.environment)
        except FileNotFoundError as problem:
            raise RequestError(
                "--taxonomy-base needs git, which is not on the PATH; install it, or leave the option out"
            ) from problem


def _names(listed: bytes) -> list[str]:
    return [name for name in _text(listed).split("\0") if name]


def _said(asked: subprocess.CompletedProcess[bytes]) -> str:
    lines = asked.stderr.decode("utf-8", "replace").splitlines()
    return lines[0].removeprefix("fatal: ") if lines else f"exit code {asked.returncode}"


def _text(output: bytes) -> str:
    return output.decode("utf-8", "surrogateescape")
