"""What has changed in a taxonomy, asked of real git repositories."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from skills_dspy.base.errors import RequestError
from skills_dspy.tasks.changed import changed_files
from skills_dspy.tasks.files import read_files, submodules_skipped

SKILLS = "compositional_skills"


@dataclass
class Checkout:
    """A repository with a branch `main`, on which a commit was made."""

    top: Path

    def git(self, *words: str) -> str:
        """Run git there."""
        command = ["git", "-c", "user.name=somebody", "-c", "user.email=nobody@example.org", *words]
        return subprocess.run(command, cwd=self.top, check=True, capture_output=True, text=True).stdout

    def write(self, name: str, text: str = "a") -> None:
        """Write a skill's file."""
        file = self.top / SKILLS / name / "qna.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")

    def delete(self, name: str) -> None:
        """Delete a skill's file."""
        (self.top / SKILLS / name / "qna.yaml").unlink()

    def commit(self) -> None:
        """Commit all that is there."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "more")

    def changed(self, ref: str = "main", *below: str) -> list[str]:
        """The skills that are found changed."""
        paths = [self.top.joinpath(*below)]
        found = read_files(paths, changed_files(paths, ref, os.environ))
        return [file.path.parent.resolve().relative_to(self.top / SKILLS).as_posix() for file in found]


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Git reads nobody's configuration and no surrounding repository."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)


def repository(top: Path) -> Checkout:
    """A new one, without a commit."""
    made = Checkout(top.resolve())
    made.top.mkdir()
    made.git("init", "--quiet", "--initial-branch", "main")
    return made


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """Two skills are on main; a branch `work` is checked out."""
    made = repository(tmp_path / "taxonomy")
    made.write("old", "old")
    made.write("moved", "a text that is long enough to be known again\n" * 9)
    made.commit()
    made.git("checkout", "--quiet", "-b", "work")
    return made


def test_committed_staged_unstaged_and_untracked_files_count(checkout: Checkout) -> None:
    """As `ilab taxonomy diff` has it; the branch may be any number of commits ahead."""
    checkout.write("committed")
    checkout.commit()
    checkout.write("committed later")
    checkout.commit()
    checkout.write("staged")
    checkout.git("add", "--all")
    checkout.write("old", "new")
    checkout.write('ünträcked "and" odd')
    assert checkout.changed() == ["committed", "committed later", "old", "staged", 'ünträcked "and" odd']
    assert checkout.changed("HEAD") == ["old", "staged", 'ünträcked "and" odd']


def test_deleted_files_do_not_count_and_renamed_ones_do(checkout: Checkout) -> None:
    """Whether it was committed or not; a file under its new name is a task of its own."""
    (checkout.top / SKILLS / "here").mkdir()
    checkout.git("mv", f"{SKILLS}/moved/qna.yaml", f"{SKILLS}/here/qna.yaml")
    checkout.delete("old")
    assert checkout.changed() == ["here"]
    checkout.commit()
    assert checkout.changed() == ["here"]
    checkout.write("gone again")
    checkout.commit()
    checkout.delete("gone again")
    assert checkout.changed() == ["here"]


def test_what_the_base_has_gained_since_does_not_count(checkout: Checkout) -> None:
    """Compared is with the commit where the work branched off."""
    checkout.write("mine")
    checkout.commit()
    checkout.git("checkout", "--quiet", "main")
    checkout.write("theirs")
    checkout.write("old", "changed by them")
    checkout.commit()
    checkout.git("checkout", "--quiet", "work")
    assert checkout.changed() == ["mine"]


def test_what_was_taken_back_or_is_ignored_does_not_count(checkout: Checkout) -> None:
    """The file as it is now, by git's own rules."""
    checkout.write("old", "new")
    checkout.commit()
    assert checkout.changed() == ["old"]
    checkout.write("old", "old")
    assert checkout.changed() == []
    (checkout.top / ".gitignore").write_text("draft*\n")
    checkout.write("draft one")
    assert checkout.changed() == []


@pytest.mark.parametrize("ref", ["main", "HEAD~1", "v1"])
def test_a_ref_is_a_branch_a_commit_or_a_tag(checkout: Checkout, ref: str) -> None:
    """All the same to git."""
    checkout.git("tag", "v1")
    checkout.write("mine")
    checkout.commit()
    assert checkout.changed(ref) == ["mine"]


def test_only_what_lies_below_the_path_is_taken(checkout: Checkout) -> None:
    """A path inside the checkout does as well as its top."""
    checkout.write("a/b")
    checkout.write("c")
    assert checkout.changed("main", SKILLS, "a") == ["a/b"]
    assert checkout.changed("main", SKILLS, "c", "qna.yaml") == ["c"]


def test_several_checkouts_are_compared_each_with_its_own_base(checkout: Checkout, tmp_path: Path) -> None:
    """One option, two repositories."""
    other = repository(tmp_path / "other")
    other.write("there")
    other.commit()
    other.write("new there")
    checkout.write("new here")
    paths = [checkout.top, other.top]
    found = read_files(paths, changed_files(paths, "main", os.environ))
    assert [file.path.parent.name for file in found] == ["new here", "new there"]


@pytest.mark.parametrize("ref", ["nowhere", "--help", "", "main..work", "HEAD~9"])
def test_a_ref_that_means_nothing_is_refused(checkout: Checkout, ref: str) -> None:
    """In one sentence that says where; an option is not taken for one."""
    with pytest.raises(RequestError, match=r"names no commit in .*taxonomy; give a branch, tag or commit"):
        checkout.changed(ref)


def test_what_is_no_checkout_is_refused(tmp_path: Path) -> None:
    """With git's own words."""
    with pytest.raises(RequestError, match=r"is no git checkout \(not a git repository"):
        changed_files([tmp_path], "main", os.environ)


def test_histories_without_a_common_commit_are_refused(checkout: Checkout) -> None:
    """There is nothing that the work could have branched off."""
    checkout.git("checkout", "--quiet", "--orphan", "alone")
    checkout.write("alone")
    checkout.commit()
    with pytest.raises(RequestError, match=r"main and HEAD have no commit in common in .*; give another"):
        checkout.changed()
    checkout.git("checkout", "--quiet", "--orphan", "bare")
    with pytest.raises(RequestError, match="no commit has been made yet"):
        checkout.changed()


def test_a_shallow_clone_is_told_to_fetch_more(checkout: Checkout, tmp_path: Path) -> None:
    """As the ones that CI makes by default."""
    checkout.write("mine")
    checkout.commit()
    checkout.git("checkout", "--quiet", "main")
    checkout.write("theirs")
    checkout.commit()
    clone = Checkout(tmp_path.resolve() / "clone")
    url = checkout.top.as_uri()
    checkout.git("clone", "--quiet", "--depth", "1", "--no-single-branch", "--branch", "work", url, str(clone.top))
    with pytest.raises(RequestError, match=r"no commit in common in .*; fetch more of it"):
        clone.changed("origin/main")
    with pytest.raises(RequestError, match=r"v1 names no commit in .*; fetch it, this clone is a shallow one"):
        clone.changed("v1")


@pytest.mark.parametrize("below", [(), (SKILLS,)])
def test_a_hook_is_told_nothing_else(checkout: Checkout, monkeypatch: pytest.MonkeyPatch, below: tuple[str, ...]) -> None:
    """What git sets for a hook, in a linked worktree a GIT_DIR too, makes no folder the top of a checkout."""
    linked = Checkout(checkout.top.parent / "linked")
    checkout.git("worktree", "add", "--quiet", str(linked.top), "main")
    linked.write("mine")
    monkeypatch.setenv("GIT_DIR", str(checkout.top / ".git" / "worktrees" / "linked"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(checkout.top / ".git" / "worktrees" / "linked" / "index.lock"))
    monkeypatch.setenv("GIT_PREFIX", "")
    assert linked.changed("main", *below) == ["mine"]


def test_a_machine_without_git_is_told_so(checkout: Checkout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Not a traceback."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RequestError, match="needs git, which is not on the PATH"):
        checkout.changed()


def test_a_broken_repository_is_said(checkout: Checkout) -> None:
    """What git says when it fails is passed on."""
    (checkout.top / ".git" / "index").write_bytes(b"no index")
    with pytest.raises(RequestError, match=r"`git diff` failed in .*index"):
        checkout.changed()


def test_a_link_has_changed_when_what_it_leads_to_has(checkout: Checkout) -> None:
    """The file that is read counts, wherever it lies in the checkout."""
    shared = checkout.top / "shared.yaml"
    shared.write_text("a", "utf-8")
    checkout.write("own")
    (checkout.top / SKILLS / "own" / "qna.yaml").unlink()
    (checkout.top / SKILLS / "own" / "qna.yaml").symlink_to(shared)
    checkout.commit()
    assert checkout.changed("HEAD") == []
    shared.write_text("b", "utf-8")
    assert checkout.changed("HEAD") == ["own"]


def test_a_changed_submodule_is_not_left_out_without_a_word(checkout: Checkout, tmp_path: Path) -> None:
    """Only its own checkout knows what has changed in it: a line names it, and giving its path takes what has changed."""
    inner = repository(tmp_path / "inner")
    inner.write("deep", "a")
    inner.commit()
    checkout.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner.top), "sub")
    checkout.commit()
    sub = Checkout(checkout.top / "sub")
    sub.write("deep", "b")
    changes = changed_files([checkout.top], "HEAD", os.environ)
    assert changes.submodules == (sub.top,)
    (line,) = submodules_skipped([checkout.top], changes)
    assert "this submodule has changed" in str(line)
    assert sub.changed("HEAD") == ["deep"]
    assert changed_files([checkout.top, sub.top], "HEAD", os.environ).submodules == ()
