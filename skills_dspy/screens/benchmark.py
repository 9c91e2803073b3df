"""Evaluation questions that no data may hold: read from files as they are published, each with its place."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from skills_dspy.base.errors import EvaluationError
from skills_dspy.store.tables import Wanted, as_text, ending_of, read_file, table_rows, turns_in

QUESTION_FIELDS = ("question", "problem", "instruction", "prompt", "text", "input")
"""Where the question of a row is looked for; the first one that is there and not blank is it."""
OTHER_FIELDS = (
    *("turns", "conversations", "conversation", "conversation_input", "ctx", "query", "goal", "question_stem"),
    *("question_content", "questions", "premise", "sentence", "inputs"),
)
"""Where it is looked for then."""
CONTEXT_FIELDS = ("context", "passage")
"""What stands before the question, where a row has it."""
_CHATS = ("messages", "prompt", "conversations", "conversation")
_INNER = ("stem", "text", "question", "content", "value")
"""Where the text of a question stands that is an object itself."""
_USERS = ("user", "human")
_NO_TURNS = "`{}` is not a list of turns with `role` and `content`"


@dataclass(frozen=True, slots=True)
class BenchmarkFile:
    """One file: its name in messages and rows, its path as given, the SHA-256 of its bytes, how many questions it has.

    Attributes:
        field: where its questions stand, if that was said.
        skipped: rows without a question, which were left out.
    """

    name: str
    path: Path
    sha256: str
    questions: int
    field: str | None = None
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class BenchmarkQuestion:
    """One question: `file:line` (the row, from 1, where there are no lines), its text, whether that begins with a context."""

    place: str
    text: str
    grounded: bool


@dataclass(frozen=True, slots=True)
class Benchmark:
    """All questions of all files, in the order of the files' names."""

    files: tuple[BenchmarkFile, ...]
    questions: tuple[BenchmarkQuestion, ...]


def read_benchmark(paths: Sequence[Path]) -> Benchmark:
    """Read files of evaluation questions; a file given twice counts once, and their order does not matter.

    A row has its question in one of QUESTION_FIELDS or OTHER_FIELDS, whatever their case, or, where these have none, in the
    user's turns of `messages`; every one of `turns` is a question. `FILE:FIELD` says where it is, with dots for what lies
    within (`question.stem`), and in a CSV file without names the number of the column. An `input` beside an `instruction`
    belongs to it, and a context of CONTEXT_FIELDS stands before it; SQuAD's own files have both in `paragraphs`. A number is
    read as its text. Choices and answers are not read: "yes" and "no" stand everywhere. A text file has one question a line.
    Rows whose question is null or blank are counted.

    Raises:
        EvaluationError: with file and line: no such file, no question in it, a line that is none.
        StorageError: a file cannot be read.
    """
    files, questions = [], []
    for name, given in sorted(_named(paths).items()):
        path, field = split_field(given)
        data = read_file(path, EvaluationError, "evaluation questions")
        found, rows, there = list[BenchmarkQuestion](), 0, set[str]()
        for line, texts, names in _asked(path, data, field):
            there.update(names)
            found += [BenchmarkQuestion(f"{name}:{line}", text, grounded) for text, grounded in texts]
            rows += not texts
        if not found:
            if field is not None and there:
                raise EvaluationError(f"no row has a text at `{field}`; there is {_list(sorted(there))}", path)
            blank = f": in all {rows:,} rows it is null or blank" if rows else ""
            raise EvaluationError(f"there is no question in this file{blank}; leave it out", path)
        files.append(BenchmarkFile(name, given, hashlib.sha256(data).hexdigest(), len(found), field, rows))
        questions += found
    return Benchmark(tuple(files), tuple(questions))


def split_field(given: Path) -> tuple[Path, str | None]:
    """The file and the field of `FILE:FIELD`; a file that has such a name goes before, and where there is none it is a path."""
    file, _, field = str(given).rpartition(":")
    named = file and field and not set(field) & set("/\\") and not given.exists() and Path(file).is_file()
    return (Path(file), field) if named else (given, None)


def skipped_warnings(found: Benchmark) -> Iterator[str]:
    """One line for each file with rows that were left out."""
    for file in found.files:
        if file.skipped:
            rows = "1 row without a question was" if file.skipped == 1 else f"{file.skipped:,} rows without a question were"
            yield f"{file.path}: {rows} left out"


def _named(paths: Sequence[Path]) -> dict[str, Path]:
    """A name for each file: its own, with as many of the folders above it as it takes to tell all files apart."""
    different = {path.resolve(): path for path in reversed(paths)}
    for depth in range(1, 1 + max((len(path.parts) for path in different), default=1)):
        names = {"/".join(full.parts[-depth:]): path for full, path in different.items()}
        if len(names) == len(different):
            break
    return names


def _asked(path: Path, data: bytes, field: str | None) -> Iterator[tuple[int, list[tuple[str, bool]], Iterable[str]]]:
    """Of every row its line, each text with whether it begins with a context, and the names in it.

    There is no text where the question is null or blank.
    """
    head = (field or "").split(".")[0]
    known = {"messages", *QUESTION_FIELDS, *OTHER_FIELDS, *CONTEXT_FIELDS, head, field}
    wanted = Wanted(
        column=lambda name: name.lower() in known or name in known,
        key=head,
        lines=True,
        named=not (field or "").isdigit(),
    )
    for line, row in table_rows(path, data, EvaluationError, wanted):
        content = {"text": row} if isinstance(row, str) else row
        if content is not None and not isinstance(content, dict):
            raise EvaluationError("this line is not a JSON object; write one object on each line", path, line)
        texts = [] if content is None else _Row(content, path, line).questions(field)
        if any(re.search("[\ud800-\udfff]", text) for text, _ in texts):
            raise EvaluationError("the question holds half a surrogate pair, which is no text; correct it", path, line)
        yield line, texts, content or ()


@dataclass(frozen=True, slots=True)
class _Row:
    """One row, and where it stands."""

    content: Mapping[str, Any]
    path: Path
    line: int

    def questions(self, field: str | None) -> list[tuple[str, bool]]:
        """Its questions, each with whether it begins with a context; none where it is null or blank."""
        if field is not None and field not in OTHER_FIELDS + QUESTION_FIELDS:
            return [(text, False) for text in self._texts(field, self._at(field))]
        if field is None and (asked := self._asked_of_passages()):
            return [text for row in asked for text in row.questions(None)]
        given = {name.lower(): value for name, value in self.content.items()} | dict(self.content)
        folded = {name: as_text(value) for name, value in given.items()}
        numbers = {name for name, text in folded.items() if text is not None and text is not given[name]}
        folded |= {name: turns_in(folded[name], bare=name == "turns") for name in (*_CHATS, "turns") if name in folded}
        # A number beside a text or a chat counts something: its `turns`, or the questions.
        others = [name for name in (*OTHER_FIELDS, "messages") if name not in numbers]
        fields = [field] if field else sorted([*QUESTION_FIELDS, *others], key=numbers.__contains__)
        found = ((name, self._texts(name, folded.get(name))) for name in fields)
        main, texts = next(((name, texts) for name, texts in found if texts), ("", []))
        if not texts:
            if field is None and not folded.keys() & {*fields}:
                raise EvaluationError(_unknown(self.content, self.path), self.path, self.line)
            return []
        if field is None and main in _CHATS and isinstance(folded[main], list):
            return [(text, False) for text in texts]
        context = next(filter(None, (_joined(folded.get(name)) for name in CONTEXT_FIELDS)), "")
        more = self._texts("input", folded.get("input")) if main == "instruction" else []
        return [("\n".join(filter(None, [context, text, *more])), bool(context)) for text in texts]

    def _asked_of_passages(self) -> list["_Row"]:
        """The questions of an article, or of one passage, as SQuAD has them: each a row with its passage."""
        passages = self.content.get("paragraphs", [self.content])
        passages = passages if isinstance(passages, list) else []
        with_context = [one for one in passages if isinstance(one, dict) and isinstance(one.get("qas"), list)]
        asked = [(one.get("context"), row) for one in with_context for row in one["qas"] if isinstance(row, dict)]
        return [replace(self, content={"context": context, **row}) for context, row in asked]

    def _at(self, field: str) -> Any:
        """What lies at a dotted path; of lists on the way, every element is looked into."""
        found: list[Any] = [self.content]
        for part in [field] if field in self.content else field.split("."):
            flat = [item for value in found for item in (value if isinstance(value, list) else [value])]
            found = [item[part] for item in flat if isinstance(item, dict) and item.get(part) is not None]
        return [turns_in(as_text(value), bare=field.rpartition(".")[2] == "turns") for value in found]

    def _texts(self, field: str, value: Any) -> list[str]:
        """The questions in a value: one in a text, an object or a list of turns, and those of all elements of another list."""
        if value is None:
            return []
        if isinstance(value, str):
            if field == "messages" and value.strip():
                raise EvaluationError(_NO_TURNS.format(field), self.path, self.line)
            return [value.strip()] if value.strip() else []
        if isinstance(value, dict):
            inner = next((name for name in _INNER if value.get(name) is not None), None)
            if inner is None and "type" in value:  # a part of a turn that is no text
                return []
            if inner is None:
                advice = f"name the one with the question: {self.path}:{field}.NAME"
                raise EvaluationError(f"`{field}` is not text, but holds {_list(value)}; {advice}", self.path, self.line)
            return self._texts(f"{field}.{inner}", as_text(value[inner]))
        if not isinstance(value, list):
            raise EvaluationError(f"`{field}` is not text; write it as a string", self.path, self.line)
        if any(isinstance(turn, dict) and ("role" in turn or "from" in turn) for turn in value):
            return self._said_by_user(field, value)
        if field == "messages" and value and not isinstance(value[0], list):
            raise EvaluationError(_NO_TURNS.format(field), self.path, self.line)
        return [text for item in value for text in self._texts(field, item)]

    def _said_by_user(self, field: str, turns: Sequence[Any]) -> list[str]:
        said = []
        for turn in turns:
            role = turn.get("role", turn.get("from")) if isinstance(turn, dict) else None
            if not isinstance(role, str):
                raise EvaluationError(_NO_TURNS.format(field), self.path, self.line)
            if role.lower() in _USERS:
                said.append("\n".join(self._texts(f"{field}.content", as_text(turn.get("content", turn.get("value"))))))
        return ["\n".join(filter(None, said))] if any(said) else []


def _joined(value: Any) -> str:
    """All text in a context, however it is put into lists and objects."""
    if isinstance(value, dict | list):
        return "\n".join(filter(None, map(_joined, value.values() if isinstance(value, dict) else value)))
    return value.strip() if isinstance(value, str) else ""


def _unknown(names: Iterable[str], path: Path) -> str:
    fields = ", ".join((*QUESTION_FIELDS, *OTHER_FIELDS[:1]))
    if ending_of(path) in (".csv", ".tsv"):
        taken = f"no column is called {fields} or messages: the first line, taken for the columns' names, has {_list(names)}"
        return f"{taken}; name the one with the question, or, if that line has no names, its number: {path}:1"
    return (
        f"no question: this row has {_list(names)}; a question is text in {fields} or messages, or name its place: FILE:FIELD"
    )


def _list(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in list(names)[:8]) or "nothing"
