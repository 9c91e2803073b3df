"""Decontamination: which texts are too near to an evaluation question, and what that does to a run."""

import asyncio
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from evals.bench.hash_embedder import HashEmbedder
from skills_dspy.base.config import DecontaminationConfig, load_config
from skills_dspy.base.errors import EmbedderMissing, MissingReply, RunDirError
from skills_dspy.base.records import SeedExample
from skills_dspy.model.embedding.embedder import AsyncEmbedder
from skills_dspy.pipeline.candidate import Candidate
from skills_dspy.pipeline.flow import Flow
from skills_dspy.pipeline.funnel import STAGES
from skills_dspy.run.past import find_recorded
from skills_dspy.screens.benchmark import Benchmark, read_benchmark
from skills_dspy.screens.decontamination import Notices, Screen, TaskScreen, contaminated_seeds, seed_warnings
from skills_dspy.similarity.ngrams import TOKENS_VERSION, build
from skills_dspy.store.benchmark_index import BenchmarkIndex, keep_index
from tests.helpers.fake_server import FakeServer
from tests.helpers.making import a_config, a_spec
from tests.helpers.terminal import Said, Terminal
from tests.pipeline.test_flow import FakeAsker, a_draw, first_rank, is_novel
from tests.run.test_runner import MIXED, Going, NoEmbedder, run

LONG = "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. How many in all?"
CLOSE, ANGLE = "near ", 0.3


class Near(HashEmbedder):
    """An embedder for which `near X` lies at an angle of ANGLE to `X`, and all other texts far from one another."""

    name = "near"
    weights = "made up"

    def __init__(self) -> None:
        self.embedded: list[str] = []

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One unit vector per text."""
        self.embedded += texts
        rows = []
        for text in texts:
            bare = text.removeprefix(CLOSE)
            vector, other = super().embed([bare, f"beside {bare}"]).astype(np.float64)
            other -= (other @ vector) * vector
            turn = ANGLE if bare != text else 0.0
            rows.append(math.cos(turn) * vector + math.sin(turn) * other / np.linalg.norm(other))
        return np.array(rows, dtype=np.float32)


@dataclass
class Told(Notices):
    """What was passed on to the user."""

    said: list[str] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)

    def say(self, line: str) -> None:
        """Something takes its time."""
        self.said.append(line)

    def warn(self, line: str) -> None:
        """Something is odd."""
        self.warned.append(line)


class Local:
    """Vectors of a task that remembers nothing."""

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One unit vector per text."""
        return Near().embed(texts)


def exam(folder: Path, *rows: str | dict[str, str]) -> Benchmark:
    """Evaluation questions, one a line."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "exam.jsonl"
    path.write_text("".join(json.dumps(row if isinstance(row, dict) else {"question": row}) + "\n" for row in rows))
    return read_benchmark([path])


def made_ready(
    screen: Screen, folder: Path, told: Told | None = None, embedder: Near | None = None, weights: str | None = None
) -> Screen:
    """A screen with its index."""

    async def main() -> None:
        vectors = AsyncEmbedder(embedder or Near())
        try:
            await screen.ready(vectors, weights, [folder], told or Told())
        finally:
            await vectors.close()

    asyncio.run(main())
    return screen


def a_screen(folder: Path, *rows: str | dict[str, str], cosine: float | None = 0.9) -> TaskScreen:
    """A screen for a task."""
    screen = Screen(exam(folder, *rows), DecontaminationConfig(ngram=13, max_cosine=cosine))
    return TaskScreen(made_ready(screen, folder), Local())


def said_of(screen: TaskScreen, question: str, context: str | None = None) -> str | None:
    """Why a question is contaminated."""
    return asyncio.run(screen.question(question, context))


# -- what is too near ---------------------------------------------------------------------------------------------------


def test_words_name_the_question_and_what_is_shared(tmp_path: Path) -> None:
    """The n-gram, the whole of a shorter question, and the text that is a very short one; the line is that of the file."""
    screen = a_screen(tmp_path, "Why?", LONG, "Which of the planets has the most known moons?", cosine=None)
    shared = "natalia sold clips to 48 of her friends in april and then she"
    assert said_of(screen, f"Is it true: {LONG.upper()}") == f"shares a 13-gram with exam.jsonl:2: {shared}"
    held = "holds the whole question of exam.jsonl:3: which of the planets has the most known moons"
    assert said_of(screen, "Say which of the planets has the most known moons, and why.") == held
    assert said_of(screen, "why ?") == "is the question of exam.jsonl:1"
    assert said_of(screen, "Why is the sky blue?") is None
    assert screen.answer(f"The question was: {LONG}") == f"shares a 13-gram with exam.jsonl:2: {shared}"
    assert screen.answer("Why?") is None


def test_a_cosine_names_the_question_and_the_number(tmp_path: Path) -> None:
    """Above the largest that is let through, and not below; at 1 nothing is above, with null nothing is compared."""
    question = "What is it?"
    near = CLOSE + question
    said = f"has cosine {math.cos(ANGLE):.4f} to exam.jsonl:2: {question}"
    assert said_of(a_screen(tmp_path, "Other", question), near) == said
    assert said_of(a_screen(tmp_path, "Other", question, cosine=math.cos(ANGLE) - 0.001), near) == said
    assert said_of(a_screen(tmp_path, "Other", question, cosine=math.cos(ANGLE) + 0.001), near) is None
    assert said_of(a_screen(tmp_path, "Other", f"{question} {LONG}", cosine=1.0), "Something else") is None
    assert said_of(a_screen(tmp_path, "Other", question, cosine=None), near) is None


def test_a_grounded_question_is_compared_with_its_context_and_alone(tmp_path: Path) -> None:
    """Alone only with questions that have no context: the same question on another passage is another question."""
    asked = {"question": "Who runs?", "context": "The fox."}
    screen = a_screen(tmp_path, asked, "What is it?")
    assert said_of(screen, "Who runs?", "A hare.") is None
    assert said_of(screen, "Who runs?", "The fox.") == "is the question of exam.jsonl:1"
    assert said_of(screen, CLOSE + "Who runs?", "A hare.") is None
    near = f"has cosine {math.cos(ANGLE):.4f} to exam.jsonl:"
    assert said_of(screen, "Who runs?", CLOSE + "The fox.") == near + "1: The fox. Who runs?"
    assert said_of(screen, CLOSE + "What is it?", "A hare.") == near + "2: What is it?"
    assert said_of(screen, "What is it?", "A hare.") == "is the question of exam.jsonl:2"
    assert said_of(a_screen(tmp_path, LONG), "How many?", f"Once {LONG}") is not None


def test_contaminated_seeds_are_named_with_their_lines(tmp_path: Path) -> None:
    """A seed's question, its context or its answer."""
    seeds = (
        SeedExample(question="Why?", answer="So.", line=4),
        SeedExample(question="Clean?", answer="Yes.", line=6),
        SeedExample(question="What was asked?", answer=LONG, line=8),
    )
    spec = a_spec(seeds)
    found = asyncio.run(contaminated_seeds(spec, a_screen(tmp_path, "Why?", LONG)))
    assert [number for number, _ in found] == [0, 2]
    first, second = seed_warnings(spec, found)
    made = "this seed is contaminated itself, and what is made from it may be"
    assert first == f"tasks/foxes.yaml:4: {made}: it is the question of exam.jsonl:1"
    assert second.startswith(f"tasks/foxes.yaml:8: {made}: its answer shares a 13-gram with exam.jsonl:2")


# -- the index ----------------------------------------------------------------------------------------------------------


def test_the_index_is_built_once_and_kept(tmp_path: Path) -> None:
    """The second time nothing is embedded, and said only the first time that it takes its time."""
    embedder, told = Near(), Told()
    questions = exam(tmp_path, "Why?", LONG)
    for _ in range(2):
        made_ready(Screen(questions, DecontaminationConfig(ngram=13, max_cosine=0.9)), tmp_path, told, embedder)
    assert embedder.embedded == ["Why?", LONG]
    assert told.said == ["Decontamination: building the index of 2 evaluation questions; it is kept for later runs."]
    assert told.warned == []
    made_ready(Screen(questions, DecontaminationConfig(ngram=13, max_cosine=0.5)), tmp_path, told, embedder)
    assert len(embedder.embedded) == 2  # the threshold is no part of it
    made_ready(Screen(exam(tmp_path, "Why not?"), DecontaminationConfig(ngram=13, max_cosine=0.9)), tmp_path, told, embedder)
    assert embedder.embedded[2:] == ["Why not?"]
    made_ready(Screen(exam(tmp_path, "How?"), DecontaminationConfig(ngram=13, max_cosine=None)), tmp_path, told, embedder)
    assert len(embedder.embedded) == 3  # where words alone are compared, no model is needed


def test_a_kept_index_is_that_of_the_texts(tmp_path: Path) -> None:
    """The same file read in another way has another index; the same questions from another file have the same one."""
    (tmp_path / "exam.csv").write_text("question,answer\nWhy?,b\n")
    embedder, config = Near(), DecontaminationConfig(ngram=13, max_cosine=0.9)
    read = read_benchmark([tmp_path / "exam.csv"])
    otherwise = Benchmark(read.files, (replace(read.questions[0], text="Why not?"),))
    for questions in (read, otherwise, exam(tmp_path, "Why?")):
        made_ready(Screen(questions, config), tmp_path, embedder=embedder)
    assert embedder.embedded == ["Why?", "Why not?"]


def test_an_index_that_was_kept_by_its_file_needs_no_model(tmp_path: Path) -> None:
    """As it was before texts decided: of an old recording. It is taken where the file is still read as it was then."""
    questions, embedder = exam(tmp_path, "Why?", LONG), Near()
    texts, config = [question.text for question in questions.questions], DecontaminationConfig(ngram=13, max_cosine=0.9)
    kept_by = {"files": [questions.files[0].sha256], "normalisation": TOKENS_VERSION, "ngram": 13, "weights": Near.weights}
    keep_index(tmp_path, kept_by, BenchmarkIndex(build(texts, 13), Near().embed(texts)))
    made_ready(Screen(questions, config), tmp_path, embedder=embedder, weights=Near.weights)
    assert embedder.embedded == []
    otherwise = Benchmark(questions.files, (replace(questions.questions[0], text="Why not?"), questions.questions[1]))
    made_ready(Screen(otherwise, config), tmp_path, embedder=embedder, weights=Near.weights)
    assert embedder.embedded == ["Why not?", LONG]


def test_a_broken_index_is_built_anew_with_a_line_that_says_so(tmp_path: Path) -> None:
    """It is not trusted, and is whole again afterwards."""
    questions, config = exam(tmp_path, "Why?", LONG), DecontaminationConfig(ngram=13, max_cosine=0.9)
    made_ready(Screen(questions, config), tmp_path)
    (path,) = tmp_path.glob("*.npz")
    whole = path.read_bytes()
    path.write_bytes(whole[:-300])
    told = Told()
    made_ready(Screen(questions, config), tmp_path, told)
    assert told.warned == [f"{path} cannot be used (BadZipFile, reading it): the index is built anew"]
    assert path.read_bytes() == whole


def test_an_index_for_other_weights_needs_that_model(tmp_path: Path) -> None:
    """A replay on a machine with another model finds no index and says so, and does not compare what cannot be."""
    screen = Screen(exam(tmp_path, "Why?"), DecontaminationConfig(ngram=13, max_cosine=0.9))
    with pytest.raises(EmbedderMissing, match="has other weights than the vectors of the recording"):
        made_ready(screen, tmp_path, weights="others")
    with pytest.raises(RuntimeError, match="not ready yet"):
        screen.words("anything")


# -- the way of a candidate ---------------------------------------------------------------------------------------------


def test_a_vector_that_cannot_be_had_in_a_replay_matters_only_when_it_settles(tmp_path: Path) -> None:
    """As with replies."""

    class Nowhere:
        async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
            raise EmbedderMissing(f"no model for {len(texts)}")

    screen = Screen(exam(tmp_path, "Why?"), DecontaminationConfig(ngram=13, max_cosine=0.9))
    flow = Flow(a_spec(), a_config(), FakeAsker(), TaskScreen(made_ready(screen, tmp_path), Nowhere()))

    async def main() -> object:
        return await flow.pursue(Candidate(a_draw("freeform"), 1, "Clean?", None, None, {}), is_novel, first_rank)

    outcome = asyncio.run(main())
    assert isinstance(outcome, MissingReply)
    assert str(outcome) == "no model for 1"


# -- whole runs ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Going, Benchmark]:
    """A run of both kinds of seeds, and questions for an exam: of two of its pairs the question, of two others the answer."""
    folder = tmp_path_factory.mktemp("planted")
    plain = Going(folder / "plain", (MIXED,), 12)
    plain.go()
    accepted, _ = plain.rows()
    freeform = [r for r in accepted if r.context is None][:2]
    grounded = [r for r in accepted if r.context is not None][:2]
    return plain, exam(folder, freeform[0].instruction, grounded[0].instruction, freeform[1].response, grounded[1].response)


def test_planted_questions_are_rejected_in_both_ways_and_the_funnel_balances(
    planted: tuple[Going, Benchmark], tmp_path: Path
) -> None:
    """Four candidates that were accepted no longer are; all wanted pairs are there, and every candidate is accounted for."""
    plain, questions = planted
    going = Going(tmp_path / "clean", (MIXED,), 12)
    ran = going.go(evaluation=questions)
    accepted, rejected = going.rows()
    assert len(accepted) == 12
    lost = [r for r in rejected if r.reason == "contaminated"]
    assert [r.stage for r in lost if r.response is None].count("decontamination") >= 2
    assert {r.stage for r in lost} == {"decontamination", "answer_decontamination"}
    gone = {r.instruction for r in plain.rows()[0]} - {r.instruction for r in accepted}
    assert {r.instruction for r in lost} <= gone | {r.instruction for r in rejected}
    funnel = ran.task.run.funnel
    assert funnel.candidates == len(accepted) + len(rejected)
    for stage in STAGES:
        assert funnel.rejections(stage) == sum(r.stage == stage for r in rejected)
    for row in lost:
        asked = set(row.provenance.calls)
        assert "judge_pair" not in asked
        assert ("judge_question" in asked) is (row.stage == "answer_decontamination")
        assert " exam.jsonl:" in row.detail
    words = {line for question in questions.questions for line in [question.text]}
    assert not words & ({r.instruction for r in accepted} | {r.response for r in accepted})
    manifest = going.run_json()["decontamination"]
    assert manifest["files"] == [
        {"name": "exam.jsonl", "path": str(questions.files[0].path), "sha256": questions.files[0].sha256, "questions": 4}
    ]
    assert manifest["contaminated_seeds"] == []


def test_the_bytes_of_a_decontaminated_run_do_not_depend_on_concurrency(
    planted: tuple[Going, Benchmark], tmp_path: Path
) -> None:
    """Nor on timing, nor on whether the index had to be built."""
    _, questions = planted
    seen = []
    for concurrency in (1, 40):
        going = Going(tmp_path / str(concurrency), (MIXED,), 6, concurrency)
        going.go(FakeServer(seed=concurrency), evaluation=questions)
        seen.append(going.bytes())
    going.go(restart=True, evaluation=questions)
    assert seen[0] == seen[1] == going.bytes()


def test_a_run_goes_on_only_with_the_same_questions(planted: tuple[Going, Benchmark], tmp_path: Path) -> None:
    """Others, none where there were some, some where there were none, another threshold: each is refused with its sentence."""
    plain, questions = planted
    with pytest.raises(RunDirError, match=r"\(decontamination: none then, exam.jsonl now\)"):
        plain.go(evaluation=questions)
    going = Going(tmp_path / "clean", (MIXED,), 3)
    going.go(evaluation=questions)
    before = going.bytes()
    with pytest.raises(RunDirError, match=r"\(decontamination: exam.jsonl then, none now\)"):
        going.go()
    with pytest.raises(RunDirError, match=r"\(decontamination: files\)"):
        going.go(evaluation=exam(tmp_path, "Another?"))
    with pytest.raises(RunDirError, match=r"\(decontamination: max_cosine\)"):
        Going(going.folder, (MIXED,), 3, config={"decontamination": {"max_cosine": 0.8}}).go(evaluation=questions)
    again = going.go(evaluation=questions)
    assert again.server.asked == []
    assert going.bytes() == before


def test_a_replay_needs_neither_server_nor_model_where_the_index_is_kept(
    planted: tuple[Going, Benchmark], tmp_path: Path
) -> None:
    """The recording's own index is found, and the bytes are the same."""
    _, questions = planted
    going = Going(tmp_path / "recorded", (MIXED,), 6)
    going.go(evaluation=questions)
    (recorded,) = find_recorded(str(going.folder))
    assert recorded.root == going.folder
    assert recorded.evaluation == ((questions.files[0].path, questions.files[0].sha256),)
    again = Going(tmp_path / "again", (MIXED,), 6)
    run(again.request(recorded={MIXED.task_name: recorded}, evaluation=questions), None, NoEmbedder())
    assert again.bytes() == going.bytes()


# -- the command line ---------------------------------------------------------------------------------------------------


def test_the_command_line_takes_several_files(terminal: Terminal) -> None:
    """It says which seeds are contaminated, rows left out, the stage in the funnel, files; --quiet leaves only warnings."""
    task = terminal.task()
    exam_file = terminal.write("exam.txt", "What is a badger?\n" + LONG)
    more = terminal.write("more.jsonl", '{"question": "Other?"}\n{"question": null}')
    said = terminal.run("--task-paths", task, "-n", 2, "--decontaminate", exam_file, more)
    assert said.code == 0
    assert "building the index of 3 evaluation questions" in said.err
    assert f"warning: {task}:9: this seed is contaminated itself" in said.err
    assert f"warning: {more}: 1 row without a question was left out\n" in said.err
    assert "Decontaminated against 3 evaluation questions: exam.txt (2), more.jsonl (1)." in said.out
    assert any(line.startswith("decontamination ") for line in said.out.splitlines())
    again = terminal.run("--task-paths", task, "-n", 2, "--decontaminate", more, exam_file, "--quiet")
    assert again.code == 0
    assert again.err.splitlines() == [line for line in said.err.splitlines() if line.startswith("warning: ")]


def test_a_replay_takes_the_recorded_questions(terminal: Terminal) -> None:
    """Where they lie, and where in their rows they stand; changed or gone, it says so."""
    exam_file = terminal.write("exam.json", json.dumps([{"question": {"stem": LONG, "text": "Other?"}}]))
    exam_field = f"{exam_file}:question.stem"
    assert terminal.run("--task-paths", terminal.task(), "-n", 2, "--decontaminate", exam_field).code == 0

    def replay(name: str) -> Said:
        return terminal.type("run", "--replay", terminal.output, "--output-dir", terminal.folder / name)

    assert "Decontaminated against 1 evaluation questions: exam.json:question.stem (1)." in replay("one").out
    exam_file.write_text('[{"question": {"stem": "Changed?"}}]')
    said = replay("two")
    assert said.code == 2
    assert f"{exam_field} changed since it was decontaminated against that" in said.err
    exam_file.unlink()
    said = replay("three")
    assert said.code == 2
    assert f"it was decontaminated against {exam_field}, which is not there" in said.err


@pytest.mark.parametrize(("question", "contaminated"), [("อธิบายรถไฟให้เด็กฟัง", False), ("อธิบายตลาดน้ำ ให้เด็กฟัง.", True)])
def test_a_question_that_is_not_read_is_compared_by_its_characters(tmp_path: Path, question: str, contaminated: bool) -> None:
    """The model gives both the vector of the evaluation question."""
    evaluation = "อธิบายตลาดน้ำให้เด็กฟัง"

    class Blind(Local):
        async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
            return Near().embed([evaluation] * len(texts))

    screen = Screen(exam(tmp_path, "Why is ice slippery?", evaluation), DecontaminationConfig(ngram=13, max_cosine=0.9))
    ready = made_ready(screen, tmp_path)
    assert (said_of(TaskScreen(ready, Blind(), lambda: "some"), question) is not None) == contaminated
    assert said_of(TaskScreen(ready, Blind()), question) is not None


def test_a_riddle_in_emoji_is_another_one(tmp_path: Path) -> None:
    """The words that all of its kind ask are no whole question."""
    ask = "Which famous film do these little pictures stand for: "
    screen = a_screen(tmp_path, ask + "🦁👑", cosine=None)
    assert said_of(screen, ask + "🚢🧊") is None
    assert said_of(screen, f"Now guess! {ask}🦁👑") is not None
    held = "Say in which town did it take place at last"
    screen = a_screen(tmp_path, ask + "🦁👑", ask + "🚢🧊", held, cosine=None)
    for text, line in ((f"{ask}🚢🧊", 2), (f"{ask}🦖 {held}", 3)):
        assert str(said_of(screen, f"Now guess! {text}")).startswith(f"holds the whole question of exam.jsonl:{line}: ")
    assert said_of(screen, ask + "🦖") is None
    assert said_of(a_screen(tmp_path, ask + "🦁👑", ask, cosine=None), f"Guess: {ask}🦖") is not None


def test_another_field_of_a_file_is_another_exam(tmp_path: Path) -> None:
    """Its index is another, and a run that was begun with the one does not go on with the other."""
    path = tmp_path / "exam.jsonl"
    path.write_text('{"question": "a", "other": "b"}\n{"question": null}\n')
    config = load_config().decontamination
    one, other = (Screen(read_benchmark([given]), config) for given in (path, Path(f"{path}:other")))
    assert one.inputs()["files"] != other.inputs()["files"]
    assert one._made_from(None) != other._made_from(None)
    assert [sorted(screen.as_json()["files"][0]) for screen in (one, other)] == [
        ["name", "path", "questions", "sha256", "skipped"],
        ["field", "name", "path", "questions", "sha256", "skipped"],
    ]
