"""The error tree: every error that a user can meet, each one sentence and an exit code.

SkillsError                 the base: its text is shown as it is, without a traceback
├── RequestError            the request is at fault (exit 2)
│   ├── SpecError           a task file, with file and line
│   ├── ConfigError         a configuration file or value, with file and line
│   ├── EvaluationError     a file of evaluation questions, with file and line
│   ├── RunDirError         a run directory that is busy, foreign or made with other inputs
│   └── ExportError         an export that cannot be made as asked for
├── MachineError            the machine or its services are at fault (exit 2)
│   ├── ServerError         the Ollama server cannot be reached or stays broken
│   ├── ModelMissing        the model is not pulled
│   ├── ContextTooLong      a prompt cannot fit into the model's window
│   ├── NotDescribed        the model gives a task no usable description
│   ├── EmbedderMissing     no weights for the embedding model
│   ├── HubError            the Hugging Face Hub refuses an upload or cannot be reached
│   └── StorageError        the disk is full or refuses
│       └── DiskFull        there is no room, for this task or any other
├── MissingReply            a replay lacks the reply to a request that it needs (exit 2)
└── ReplyError              one reply cannot be used: data about a candidate, never the end of a run
    ├── Unreadable          it does not parse, lacks a field, has an invented label or is empty
    └── Truncated           it was cut at num_predict
"""

from pathlib import Path


class SkillsError(Exception):
    """Base of all errors meant for a person: one sentence that says what is wrong and what to do."""

    exit_code = 2


class RequestError(SkillsError):
    """What was asked for cannot be done as asked."""


class FileError(RequestError):
    """Something in a file that the user wrote is wrong.

    Args:
        message: what is wrong and what to write instead.
        path: the file.
        line: the 1-based line, where one can be named.
    """

    def __init__(self, message: str, path: Path | str | None = None, line: int | None = None) -> None:
        where = "" if path is None else f"{path}: " if line is None else f"{path}:{line}: "
        super().__init__(where + message)
        self.message = message
        self.path = path
        self.line = line


class SpecError(FileError):
    """A task file cannot be used."""


class ConfigError(FileError):
    """A configuration file or value cannot be used."""


class EvaluationError(FileError):
    """A file of evaluation questions cannot be used."""


class RunDirError(RequestError):
    """A run directory is in use, is not ours, or was made with other inputs."""


class ExportError(RequestError):
    """An export cannot be made as asked for; nothing was written."""


class MachineError(SkillsError):
    """The machine or one of its services does not do what the run needs."""


class ServerError(MachineError):
    """The Ollama server cannot be reached, or stayed broken longer than the patience allows."""


class ModelMissing(MachineError):
    """The server does not have the model."""


class ContextTooLong(MachineError):
    """A prompt cannot fit into the model's context window."""


class NotDescribed(MachineError):
    """The model gave no usable description of a task whose file has none."""


class EmbedderMissing(MachineError):
    """The embedding model's weights are nowhere to be found, or are not what they should be."""


class HubError(MachineError):
    """The Hugging Face Hub refuses an upload or cannot be reached."""


class StorageError(MachineError):
    """The disk is full, read-only or broken; what was written before is whole."""


class DiskFull(StorageError):
    """There is no room left: what concerns every task, not only the one that met it."""


class MissingReply(SkillsError):
    """A replay was asked for a reply that its recording does not hold.

    Args:
        message: what is missing.
        step: whose reply it is; empty where no step asked.
    """

    def __init__(self, message: str, step: str = "") -> None:
        super().__init__(message)
        self.step = step


class ReplyError(SkillsError):
    """One reply of the model cannot be used.

    Args:
        message: what is wrong with it.
        raw: the reply as it came.
    """

    def __init__(self, message: str, raw: str) -> None:
        super().__init__(message)
        self.raw = raw


class Unreadable(ReplyError):
    """The reply does not parse, lacks a field, has a value outside its labels, or is empty."""


class Truncated(ReplyError):
    """The reply was cut at num_predict."""


_CONCERNS_ALL = (ServerError, ModelMissing, EmbedderMissing, ConfigError, DiskFull)
"""Errors that every other task would meet as well."""


def concerns_all(error: SkillsError) -> bool:
    """Whether every other task would meet it as well: the server, a model, the disk's room, the settings."""
    return isinstance(error, _CONCERNS_ALL)


def only_ours(error: BaseException) -> SkillsError | None:
    """The one error to show if there are only ours; otherwise none, because that is a bug.

    Of several, one that concerns all tasks goes before those that concern one.
    """
    leaves = _leaves(error)
    ours = [leaf for leaf in leaves if isinstance(leaf, SkillsError)]
    if len(ours) != len(leaves):
        return None
    return next(filter(concerns_all, ours), ours[0])


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for part in error.exceptions for leaf in _leaves(part)]
    return [error]
