"""The error tree: every error that a user can meet, each one sentence and an exit code."""

from pathlib import Path


class SkillsError(Exception):
    """Base of all errors meant for a person: one sentence that says what is wrong and what to do."""

    exit_code = 2


class RequestError(SkillsError):
    """What was asked for cannot be done as asked."""


class FileError(RequestError):
    """Something in a file that the user wrote is wrong: what to write instead, the file and the 1-based line where known."""

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


class NotShared(RequestError):
    """Two machines that have to see one folder do not."""


class ExportError(RequestError):
    """An export cannot be made as asked for; nothing was written."""


class NothingToExport(ExportError):
    """The runs hold no row that an export may have."""


class MachineError(SkillsError):
    """The machine or one of its services does not do what the run needs."""


class ServerError(MachineError):
    """The server cannot be reached, or stayed broken longer than the patience allows."""


class Unreachable(ServerError):
    """Nobody answers at the server's address, or not in time."""


class ThinkingRefused(ServerError):
    """The server does not take what a request says of thinking."""


class WorkerLost(MachineError):
    """Those that did a part of a run on other machines have died, again and again."""


class NoVectors(ServerError):
    """The server gives no vectors of the model."""


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
    """A replay was asked for a reply that its recording does not hold; `step` is whose, empty where no step asked.

    `insists` says that the recording is of a run that asked again where a reply had residue, as older ones did not.
    """

    def __init__(self, message: str, step: str = "", *, insists: bool = False) -> None:
        super().__init__(message)
        self.step = step
        self.insists = insists


class ReplyError(SkillsError):
    """One reply of the model, `raw` as it came, cannot be used: data about a candidate, never the end of a run."""

    def __init__(self, message: str, raw: str) -> None:
        super().__init__(message)
        self.raw = raw

    def __reduce__(self) -> tuple[object, ...]:  # what Exception has knows of one argument
        return type(self), (str(self), self.raw)


class Unreadable(ReplyError):
    """The reply does not parse, lacks a field, has a value outside its labels, or is empty."""


class Residue(Unreadable):
    """The reply holds what a machine leaves behind and no person would write."""


class Truncated(ReplyError):
    """The reply was cut at num_predict."""


class Unanswered(ReplyError):
    """The server answers others, and never this prompt, or has no vector of the text `raw`."""


class Interrupted(Exception):
    """The user has ended it with Ctrl-C or SIGTERM, and the sentence about it has been said."""


def concerns_all(error: SkillsError) -> bool:
    """Whether every other task would meet it as well: the server, a model, the disk's room, the settings."""
    return isinstance(error, (ServerError, ModelMissing, EmbedderMissing, ConfigError, DiskFull))


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
