"""Task files and taxonomies on a disk: which files are found, what each is taken for, and what one broken file stops."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skills_dspy.base.errors import SpecError
from skills_dspy.tasks.files import Changes, load_task, load_tasks, read_files

TASK = """\
task_name: {name}
created_by: someone
task_description: Write a haiku
data_builder: instructlab/skills
seed_examples:
  - question: A haiku on rain?
    answer: Rain on the tin roof
"""
QNA = """\
version: 3
created_by: someone
task_description: Write a haiku
seed_examples:
  - question: A haiku on rain?
    answer: Rain on the tin roof
"""
OLDEST = """\
haiku:
  question: A haiku on rain?
  answer: Rain on the tin roof
ode:
  question: An ode to rain?
  answer: O rain
"""
KNOWLEDGE = "created_by: x\ndomain: stars\ndocument: {repo: x}\n" + QNA.split("someone\n")[1]


def written(folder: Path, name: str, text: str) -> Path:
    """A file with that text."""
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def named(task_name: str) -> str:
    """A task file's text with that name."""
    return TASK.format(name=task_name)


def names(*paths: Path) -> list[str]:
    """The names of the tasks at some paths."""
    return [spec.task_name for spec in load_tasks(paths).specs]


# ---- task files ------------------------------------------------------------------------------------------------------


def test_one_file_is_loaded(tmp_path: Path) -> None:
    """The path stands in the spec and in the warnings."""
    file = written(tmp_path, "a.yaml", named("a"))
    spec, warnings = load_task(file)
    assert spec.path == file
    assert str(warnings[0]).startswith(f"{file}:5: ")


def test_files_and_folders_are_loaded_in_order(tmp_path: Path) -> None:
    """Paths in the order given, a folder's files in the order of their paths, each file once."""
    first = written(tmp_path, "z.yaml", named("z"))
    written(tmp_path, "tasks/b.yaml", named("b"))
    written(tmp_path, "tasks/a/c.yaml", named("c"))
    written(tmp_path, "tasks/.git/d.yaml", named("d"))
    loaded = load_tasks([first, tmp_path / "tasks", first, tmp_path / "tasks" / "b.yaml"])
    assert [spec.task_name for spec in loaded.specs] == ["z", "c", "b"]
    assert [warning.path.name for warning in loaded.warnings] == ["z.yaml", "c.yaml", "b.yaml"]
    assert (loaded.broken, loaded.skipped) == ((), ())


def test_nothing_to_load_is_refused(tmp_path: Path) -> None:
    """No path at all, a folder without task files, a file that is not there."""
    with pytest.raises(SpecError, match="no task file is given"):
        load_tasks([])
    with pytest.raises(SpecError, match="holds no"):
        load_tasks([tmp_path])
    with pytest.raises(SpecError, match="does not exist"):
        load_tasks([tmp_path / "a.yaml"])


@pytest.mark.parametrize(
    ("one", "other", "part"),
    [
        ("a/b", "a/b", "is also that of"),
        ("a/Debate", "A/debate", "upper and lower case only"),
        ("caf\u00e9", "cafe\u0301", "upper and lower case only"),
        ("a", "a/b", "lie in one another"),
        ("a/b/c", "A/B", "lie in one another"),
    ],
)
def test_tasks_that_would_share_a_directory_are_refused(tmp_path: Path, one: str, other: str, part: str) -> None:
    """The message names both files and the line of the second name."""
    first = written(tmp_path, "1.yaml", named(one))
    second = written(tmp_path, "2.yaml", "# a comment\n" + named(other))
    with pytest.raises(SpecError, match=part) as caught:
        load_tasks([first, second])
    assert (caught.value.path, caught.value.line) == (second, 2)
    assert str(first) in str(caught.value)
    loaded = load_tasks([tmp_path])  # in a folder the first one runs, and the second is named as broken
    assert [spec.task_name for spec in loaded.specs] == [one]
    assert [error.path for error in loaded.broken] == [second]


def test_tasks_with_a_common_beginning_are_apart(tmp_path: Path) -> None:
    """`a/bc` does not lie in `a/b`."""
    files = [written(tmp_path, f"{n}.yaml", named(name)) for n, name in enumerate(["a/b", "a/bc", "b/a", "ab"])]
    assert len(load_tasks(files).specs) == 4


# ---- broken files ----------------------------------------------------------------------------------------------------


def test_a_broken_file_in_a_folder_stops_no_other(tmp_path: Path) -> None:
    """It is returned with file and line beside the good ones."""
    written(tmp_path, "a.yaml", named("a"))
    bad = written(tmp_path, "b.yaml", "x: 1\na: [")
    written(tmp_path, "c.yaml", named("c"))
    loaded = load_tasks([tmp_path])
    assert [spec.task_name for spec in loaded.specs] == ["a", "c"]
    assert [(error.path, error.line) for error in loaded.broken] == [(bad, 2)]


def test_a_broken_file_that_is_named_is_refused(tmp_path: Path) -> None:
    """Whoever names a file wants that one."""
    written(tmp_path, "tasks/a.yaml", named("a"))
    bad = written(tmp_path, "b.yaml", "a: [")
    with pytest.raises(SpecError) as caught:
        load_tasks([tmp_path / "tasks", bad])
    assert caught.value.path == bad


def test_when_all_are_broken_there_is_nothing_to_run(tmp_path: Path) -> None:
    """One broken file is named as it is, several with how many they are."""
    bad = written(tmp_path, "b.yaml", "a: [")
    with pytest.raises(SpecError) as caught:
        load_tasks([tmp_path])
    assert caught.value.path == bad
    written(tmp_path, "c.yaml", "a: [")
    with pytest.raises(SpecError, match=r"none of these 2 files can be used; the first: .*b\.yaml:1: "):
        load_tasks([tmp_path])


@given(data=st.binary() | st.text().map(str.encode), name=st.sampled_from(["any.yaml", "qna.yaml"]))
def test_any_file_gives_a_spec_or_one_error(tmp_path_factory: pytest.TempPathFactory, data: bytes, name: str) -> None:
    """Nothing but a SpecError ever comes out of the loader."""
    file = tmp_path_factory.getbasetemp() / name
    file.write_bytes(data)
    with pytest.raises(SpecError):
        load_task(file)


# ---- taxonomies ------------------------------------------------------------------------------------------------------


def test_a_taxonomy_names_its_tasks_by_their_place(tmp_path: Path) -> None:
    """Below either tree of skills, whichever folder of it, or the file, is given."""
    written(tmp_path, "compositional_skills/writing/haiku/qna.yaml", QNA)
    written(tmp_path, "foundational_skills/reasoning/qna.yaml", QNA)
    written(tmp_path, "compositional_skills/poems/qna.yaml", OLDEST)
    assert names(tmp_path) == ["poems/haiku", "poems/ode", "writing/haiku", "reasoning"]
    assert names(tmp_path / "compositional_skills" / "writing") == ["writing/haiku"]
    assert names(tmp_path / "compositional_skills" / "writing" / "haiku" / "qna.yaml") == ["writing/haiku"]


def test_outside_a_taxonomy_the_folders_name_a_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those below the folder that was given, else the file's own folder; also when the path is `.`."""
    file = written(tmp_path, "mine/writing/haiku/qna.yaml", QNA)
    assert names(tmp_path / "mine") == ["writing/haiku"]
    assert names(file.parent) == ["haiku"]
    assert names(file) == ["haiku"]
    monkeypatch.chdir(tmp_path / "mine" / "writing")
    assert names(Path()) == ["haiku"]


def test_a_home_called_knowledge_is_no_knowledge_tree(tmp_path: Path) -> None:
    """Only folders from the given one on count, and none above a tree of skills."""
    written(tmp_path, "knowledge/mine/haiku/qna.yaml", QNA)
    written(tmp_path, "knowledge/taxonomy/compositional_skills/a/qna.yaml", QNA)
    assert names(tmp_path / "knowledge" / "mine") == ["haiku"]
    assert names(tmp_path / "knowledge" / "taxonomy") == ["a"]


def test_knowledge_is_skipped_with_a_line(tmp_path: Path) -> None:
    """By its place, even when it is no YAML, or by its keys."""
    written(tmp_path, "compositional_skills/a/qna.yaml", QNA)
    broken = written(tmp_path, "knowledge/stars/qna.yaml", "a: [")
    loaded = load_tasks([tmp_path])
    assert [spec.task_name for spec in loaded.specs] == ["a"]
    assert [str(line) for line in loaded.skipped] == [
        f"{broken}:1: skipped: a leaf of `knowledge`, which is not read here: skills only"
    ]
    assert loaded.broken == ()
    elsewhere = written(tmp_path / "x", "stars/qna.yaml", KNOWLEDGE)
    with pytest.raises(SpecError, match=r"no skill was found there; .*a leaf of `knowledge`"):
        load_tasks([elsewhere])
    with pytest.raises(SpecError, match="a leaf of `knowledge`"):
        load_task(elsewhere)


def test_what_lies_beside_the_trees_is_skipped_but_for_task_files(tmp_path: Path) -> None:
    """A taxonomy holds other YAML too, of which some is not even YAML for us."""
    written(tmp_path, "compositional_skills/a/qna.yaml", QNA)
    written(tmp_path, "docs/mkdocs.yaml", "site_name: x\n")
    written(tmp_path, "docs/template.yaml", "{{ x }}: [\n")
    written(tmp_path, "tasks/b.yaml", named("b"))
    loaded = load_tasks([tmp_path])
    assert [spec.task_name for spec in loaded.specs] == ["a", "b"]
    assert [line.path.name for line in loaded.skipped] == ["mkdocs.yaml", "template.yaml"]
    assert "beside the taxonomy's trees" in str(loaded.skipped[0])
    assert loaded.broken == ()


@pytest.mark.parametrize("name", ["haiku.yaml", "haiku.yml"])
def test_a_wrongly_named_file_is_broken(tmp_path: Path, name: str) -> None:
    """InstructLab would pass over it without a word."""
    written(tmp_path, "compositional_skills/a/qna.yaml", QNA)
    wrong = written(tmp_path, f"compositional_skills/b/{name}", QNA)
    loaded = load_tasks([tmp_path])
    assert [error.path for error in loaded.broken] == [wrong]
    assert "qna.yaml" in str(loaded.broken[0])


def test_a_task_file_called_qna_is_a_task_file(tmp_path: Path) -> None:
    """What it holds decides."""
    assert names(written(tmp_path, "qna.yaml", named("my/own"))) == ["my/own"]


def test_one_task_is_wanted_and_several_are_there(tmp_path: Path) -> None:
    """`load_task` does not choose."""
    with pytest.raises(SpecError, match="holds 2 tasks, and one is wanted"):
        load_task(written(tmp_path, "qna.yaml", OLDEST))


@pytest.mark.parametrize(
    ("attribution", "licence"),
    [
        ("Title of work: x\nLicense of the work: CC-BY-SA-4.0\nCreator names: y\n", "CC-BY-SA-4.0"),
        ("\ufeffLICENSE  of the work :  Apache-2.0  \r\n", "Apache-2.0"),
        ("Licence of the work: MIT\nLicense of the work: CC0-1.0\nLicense of the work: MIT\n", "MIT; CC0-1.0"),
        ("License of the work: -\n", None),
        ("Creator names: y\n", None),
        (None, None),
    ],
)
def test_the_licence_comes_from_the_attribution(tmp_path: Path, attribution: str | None, licence: str | None) -> None:
    """As the line of attribution.txt beside the file names it."""
    file = written(tmp_path, "a/qna.yaml", QNA)
    if attribution is not None:
        written(tmp_path, "a/attribution.txt", attribution)
    assert load_task(file)[0].licence == licence


def test_an_attribution_need_not_be_utf8_but_be_readable(tmp_path: Path) -> None:
    """A creator's name in another encoding hides no licence; what cannot be read is not as if it were not there."""
    file, attribution = written(tmp_path, "a/qna.yaml", QNA), tmp_path / "a" / "attribution.txt"
    attribution.write_bytes(b"Creator names: Ren\xe9\nLicense of the work: MIT\n")
    assert load_task(file)[0].licence == "MIT"
    attribution.unlink()
    attribution.mkdir()
    with pytest.raises(SpecError, match=r"attribution\.txt: cannot be read"):
        load_task(file)


def test_only_changed_files_are_found(tmp_path: Path) -> None:
    """Whether they were given themselves or lie in a folder; one that does not exist is not passed over."""
    a, b = (written(tmp_path, f"{name}/qna.yaml", QNA) for name in "ab")
    changes = Changes("main", frozenset({a.resolve()}))
    assert [found.path for found in read_files([tmp_path, b], changes)] == [a]
    with pytest.raises(SpecError, match="no task file there has changed against main"):
        load_tasks([b], changes)
    with pytest.raises(SpecError, match="does not exist"):
        load_tasks([tmp_path / "c" / "qna.yaml"], changes)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    """A pipe in a tree, which nobody writes to, is broken like any other file; the others are read."""
    written(tmp_path, "compositional_skills/rain/qna.yaml", QNA)
    pipe = tmp_path / "compositional_skills" / "pipe" / "qna.yaml"
    pipe.parent.mkdir()
    os.mkfifo(pipe)
    loaded = load_tasks([tmp_path])
    assert [spec.task_name for spec in loaded.specs] == ["rain"]
    (broken,) = loaded.broken
    assert "neither a file nor a link to one" in str(broken)
