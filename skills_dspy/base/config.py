"""The settings of a run: built-in values, which skills.yaml alone has, then a file's, then the command line's, all checked."""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from signatures.labels import ContextRating, PairRating, Quality, QuestionRating, Score
from skills_dspy.base.errors import ConfigError
from skills_dspy.base.records import Frozen
from skills_dspy.base.thinking import ROOM, Think
from skills_dspy.base.validation import (
    Where,
    Wording,
    as_addresses,
    as_word,
    labels_of,
    no_number,
    some_of,
    validated,
    without_blanks,
)
from skills_dspy.base.yaml_lines import Node, Plain, read_yaml, shown

DEFAULTS = Path(__file__).parent.with_name("skills.yaml")

Role = Literal["generator", "validator", "tagger"]
"""Who is asked: the teacher, the judge, the tagger. Each may be another model."""

ROLES: tuple[Role, ...] = get_args(Role)

SPOKEN: Mapping[Role, str] = {"generator": "teacher", "validator": "judge", "tagger": "tagger"}
"""What a role is called."""

Api = Literal["ollama", "openai"]
"""What a server speaks: Ollama's own API, or OpenAI's."""

_ONE_WORD = r"^[^\s\x00-\x1f\x7f]+$"
_ONE_LINE = r"^[^\s\x00-\x1f\x7f]([^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?$"
_DURATION = r"^(0|-?([0-9]{1,6}(\.[0-9]{1,6})?(ms|s|m|h))+)$"
_Window = Annotated[int, Field(ge=512, le=1_048_576)]
_Seconds = Annotated[float, Field(gt=0, le=604_800, description="seconds, a number above 0, up to 604800")]


class Settings(Frozen):
    """Base of all settings: nothing is converted but whole numbers to numbers, and no number is infinite.

    A field's description says what may be written there; messages quote it. What it does is said in skills.yaml.
    """

    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class RoleConfig(Settings):
    """How one role's model is asked."""

    model: Annotated[str | None, BeforeValidator(without_blanks)] = Field(
        pattern=_ONE_WORD, description="a model's name without spaces, or null for generator's"
    )
    temperature: float = Field(ge=0, le=2, description="a number from 0 to 2")
    num_predict: int = Field(ge=16, le=32_768, description="a whole number from 16 to 32768")
    top_p: float | None = Field(gt=0, le=1, description="a number above 0, up to 1, or null")
    keep_alive: str = Field(pattern=_DURATION, description="a duration such as 30m, 1h30m, or -1m for ever")
    num_ctx: _Window | None = Field(description="a whole number from 512 to 1048576, or null")
    # Runs of older versions do not say these, and those that do not think are written like theirs.
    think: Annotated[Think, BeforeValidator(as_word)] = Field(
        "off", exclude_if=lambda think: think == "off", description="off, on, low, medium, high or unset"
    )
    think_room: int | None = Field(
        None, ge=64, le=131_072, exclude_if=lambda room: room is None, description="a whole number from 64 to 131072, or null"
    )

    @property
    def thoughts(self) -> int:
        """The tokens of a first reply that are for thoughts, beside those of its text; 0 where it is not to have any."""
        return 0 if self.think == "off" else self.think_room or ROOM[self.think]


class GeneratorConfig(RoleConfig):
    """How the teacher is asked: it follows nobody, so it has a model."""

    model: Annotated[str, BeforeValidator(without_blanks)] = Field(
        pattern=_ONE_WORD, description="a model's name without spaces"
    )


class FilterConfig(Settings):
    """The tags that an accepted pair may have."""

    instruction_quality: Annotated[tuple[Quality, ...], labels_of(Quality)] = Field(description=some_of(Quality))
    sample_quality: Annotated[tuple[Score, ...], labels_of(Score)] = Field(description=some_of(Score))


class JudgeConfig(Settings):
    """The ratings that pass."""

    context_pass: Annotated[tuple[ContextRating, ...], labels_of(ContextRating)] = Field(description=some_of(ContextRating))
    question_pass: Annotated[tuple[QuestionRating, ...], labels_of(QuestionRating)] = Field(description=some_of(QuestionRating))
    pair_pass: Annotated[tuple[PairRating, ...], labels_of(PairRating)] = Field(description=some_of(PairRating))


class DedupConfig(Settings):
    """What counts as a repetition: a squared L2 distance of unit vectors below this, 0 (same) to 4 (opposite)."""

    max_squared_distance: float = Field(ge=0, le=4, description="a number from 0 to 4")


class DecontaminationConfig(Settings):
    """What is too near to an evaluation question; used only where there are any (`--decontaminate`)."""

    ngram: int = Field(ge=5, le=100, description="a whole number from 5 to 100")
    max_cosine: float | None = Field(ge=0, le=1, description="a number from 0 to 1, or null to compare words only")


class ScreensConfig(Settings):
    """What no new context, question or answer may be; None, or false, lets everything through."""

    copied_words: int | None = Field(ge=8, le=1000, description="a whole number from 8 to 1000, or null")
    echoed_words: int | None = Field(ge=8, le=1000, description="a whole number from 8 to 1000, or null")
    residue: bool = Field(description="true or false")
    longest: float | None = Field(ge=1, le=1000, description="a number from 1 to 1000, or null")
    shortest: float | None = Field(ge=0, le=1, description="a number from 0 to 1, or null")


NO_SCREENS = ScreensConfig(copied_words=None, echoed_words=None, residue=False, longest=None, shortest=None)
"""What runs had that were begun before there were screens."""


class HabitsConfig(Settings):
    """What too many accepted rows may not share while the seeds do not: see similarity/habits.py."""

    watched: bool = Field(description="true or false")
    share: float = Field(ge=0, le=1, description="a number from 0 to 1")
    subject_share: float = Field(ge=0, le=1, description="a number from 0 to 1")
    least: int = Field(ge=2, le=1000, description="a whole number from 2 to 1000")


class DrawConfig(Settings):
    """What a draw shows and asks for, and when a run gives up."""

    variety: Annotated[Literal["auto", "off"], BeforeValidator(as_word)] = Field(description="auto or off")
    window: int = Field(ge=1, le=256, description="a whole number from 1 to 256")
    accepted_share: float = Field(ge=0, le=1, description="a number from 0 to 1")
    max_stalled: int = Field(ge=1, le=100_000, description="a whole number from 1 to 100000")
    max_draws: int | None = Field(ge=1, description="a whole number from 1, or null for no limit")


class ServerConfig(Settings):
    """What the server speaks, and how patiently it is asked, in seconds."""

    # Runs of older versions do not say it, and those that Ollama answers are written like theirs.
    api: Api = Field("ollama", exclude_if=lambda api: api == "ollama", description="ollama or openai")
    # Never written down: an address may hold a password.
    base_url: Annotated[tuple[str, ...], BeforeValidator(as_addresses)] = Field(
        (), exclude=True, description="an address, a list of addresses, or roles with their addresses; null for OLLAMA_HOST"
    )
    connect_timeout: _Seconds
    timeout: _Seconds
    patience: float = Field(ge=0, le=604_800, description="seconds, a number from 0 to 604800")
    backoff_first: _Seconds
    backoff_max: _Seconds


class EmbedderConfig(Settings):
    """The embedding model (a name or a folder) and the device it runs on."""

    model: str = Field(pattern=_ONE_LINE, description="a model's name or the path of a folder with its weights")
    device: str = Field(pattern=_ONE_WORD, description="a device such as cpu, cuda, cuda:0 or mps")


class RunConfig(Settings):
    """All settings of a run."""

    generator: GeneratorConfig
    validator: RoleConfig
    tagger: RoleConfig
    max_num_ctx: _Window = Field(description="a whole number from 512 to 1048576")
    tagging: Literal["separate", "fused"] = Field(description="separate or fused")
    soft_ratings: Annotated[Literal["auto", True, False], BeforeValidator(no_number)] = Field(description="auto, true or false")
    filter: FilterConfig
    judges: JudgeConfig
    dedup: DedupConfig
    decontamination: DecontaminationConfig
    screens: ScreensConfig
    habits: HabitsConfig
    draws: DrawConfig
    server: ServerConfig
    embedder: EmbedderConfig

    def role(self, role: Role) -> RoleConfig:
        """One role's settings."""
        return {"generator": self.generator, "validator": self.validator, "tagger": self.tagger}[role]

    def model_for(self, role: Role) -> str:
        """The name of a role's model; who has none of its own follows the generator."""
        return self.role(role).model or self.generator.model

    @property
    def thinking(self) -> dict[Role, Think]:
        """The roles that may think, and how; those that are told not to are left out."""
        return {role: self.role(role).think for role in ROLES if self.role(role).think != "off"}

    def asker_of(self, model: str) -> RoleConfig:
        """How a model is asked: by a role that tells it not to think, if there is one; all are meant for one that none has."""
        roles = [self.role(role) for role in ROLES if self.model_for(role) == model] or [self.role(role) for role in ROLES]
        return min(roles, key=lambda role: role.think != "off")

    def noted(self) -> dict[str, Any]:
        """All of it, ready for JSON, but for what is off and was not there before."""
        return self.model_dump(mode="json", exclude=self._off)

    @property
    def _off(self) -> set[str]:
        """Sections that let everything through: runs from before had none."""
        off = {"screens": self.screens == NO_SCREENS, "habits": not self.habits.watched}
        return {section for section, holds in off.items() if holds}

    def asks_soft(self, *, shown: bool) -> bool:
        """Whether probabilities of labels are asked for: as set, and by `auto` where they are `shown` in what comes of it."""
        return shown if self.soft_ratings == "auto" else self.soft_ratings

    def shaping(self) -> dict[str, Any]:
        """The part that decides a dataset's bytes, ready for JSON, always in one order, with the models' resolved names.

        Left out is how the models are reached and hosted, when a run gives up, so that one that gave up can go on,
        `decontamination`, which stands with the evaluation questions, and sections that let everything through. `soft_ratings`
        is what `auto` means to a run.
        """
        left_out: Any = {"embedder": {"device"}, "draws": {"max_stalled", "max_draws"}}
        left_out |= dict.fromkeys(("server", "max_num_ctx", "decontamination", *self._off), True)
        parts = self.model_dump(mode="json", exclude=left_out)
        parts["soft_ratings"] = self.asks_soft(shown=False)
        if self.draws.variety == "off":
            del parts["draws"]["variety"]  # as it was before there was any
        for role in ROLES:
            parts[role] = {k: v for k, v in parts[role].items() if k not in ("keep_alive", "num_ctx")}
            parts[role]["model"] = self.model_for(role)
        return parts

    @model_validator(mode="after")
    def _agrees(self) -> "RunConfig":
        if (wrong := next(self._contradictions(), None)) is not None:
            raise PydanticCustomError("contradiction", "{message}", {"message": wrong[0], "keys": wrong[1]})
        return self

    def _contradictions(self) -> Iterator[tuple[str, list[tuple[str, ...]]]]:
        """What is wrong between settings that are right one by one, with the keys that could be changed."""
        most = ("max_num_ctx",)
        for role in ROLES:
            own = self.role(role)
            window = own.num_ctx or self.max_num_ctx
            if window > self.max_num_ctx:
                said = f"`{role}.num_ctx` is {window}, above the `max_num_ctx` of {self.max_num_ctx}"
                yield f"{said}; lower the one or raise the other", [(role, "num_ctx"), most]
            if own.num_predict + own.thoughts >= window:
                said = f"`{role}.num_predict` of {own.num_predict} fills the whole context window of {window} tokens"
                if own.thoughts:
                    said = said.replace(" fills", f" and the {own.thoughts} for thoughts fill")
                keys = [(role, "num_predict"), (role, "think_room"), (role, "think"), (role, "num_ctx"), most]
                yield f"{said}; lower it or raise the window", keys
        if self.server.backoff_first > self.server.backoff_max:
            said = "`server.backoff_first` is above `server.backoff_max`; lower the one or raise the other"
            yield said, [("server", "backoff_first"), ("server", "backoff_max")]


_FLAGS = {"generator": "model", "validator": "judge-model", "tagger": "tagger-model", "embedder": "embedder"}
"""The option that sets a section's model."""


def load_config(
    path: Path | None = None, models: Mapping[str, str | None] | None = None, think: str | None = None
) -> RunConfig:
    """The settings of a run: those of skills.yaml, over them the file's, over those the command line's.

    Args:
        path: a YAML file with the settings that differ from skills.yaml; None when there is none.
        models: section (generator, validator, tagger, embedder) to its model's name; None leaves it alone.
        think: of all roles; None leaves them alone.

    Raises:
        ConfigError: with file, line and what to write instead.
    """
    given = None if path is None else read_yaml(path, ConfigError)
    settings = with_file(_defaults().plain(), given, path)
    named: Plain = {section: {"model": model} for section, model in (models or {}).items() if model is not None}
    if think is not None:
        settings = _merged(settings, {role: {"think": think} for role in ROLES})
    try:
        return RunConfig.model_validate(_merged(settings, named))
    except ValidationError as problem:
        fault = problem.errors()[0]
        if fault["type"] == "contradiction":
            raise ConfigError(f"with --think {think} {fault['ctx']['message']}") from problem
        section, setting = map(str, fault["loc"])
        flag = "think" if setting == "think" else _FLAGS[section]
        wanted = (EmbedderConfig if section == "embedder" else GeneratorConfig).model_fields[setting].description
        raise ConfigError(f'--{flag} is "{shown(str(fault["input"]))}"; give {wanted}') from problem


@cache
def _defaults() -> Node:
    """What skills.yaml says, which no run changes."""
    return read_yaml(DEFAULTS, ConfigError)


def with_file(settings: Plain, given: Node | None, path: Path | None) -> Plain:
    """All settings with a file's top mapping over them, checked: mappings are merged key by key, all else is replaced.

    Raises:
        ConfigError: with file, line and what to write instead.
    """
    if given is None:
        return settings
    settings = _merged(settings, given.plain())
    validated(given, RunConfig, path, _WORDING, values=settings)
    return settings


def _merged(base: Plain, over: Plain) -> Plain:
    if not isinstance(base, dict) or not isinstance(over, dict):
        return over
    return base | {key: _merged(base.get(key), value) for key, value in over.items()}


def _label(where: Where) -> str:
    """A setting as it is written in text: `draws.window`, item 2 of `judges.pair_pass`, or nothing for all settings."""
    *above, last = where or ("",)
    if isinstance(last, int):
        return f"item {last + 1} of {_label(tuple(above))}"
    return f"`{'.'.join(map(str, where))}`" if where else ""


_WORDING = Wording(
    ConfigError,
    _label,
    {
        "model_type": "{place} is {value}; write keys below it, of {known}, or leave it out",
        "contradiction": "{message}",
        "string_type integer": "{place} is {value}; write {wanted}, in quotes",
        "string_type number": "{place} is {value}; write {wanted}, in quotes",
        "string_type boolean": "{place} is {value}; write {wanted}, in quotes",
        "int_type text": "{place} is {value}; write {wanted}, without quotes",
        "float_type text": "{place} is {value}; write {wanted}, without quotes",
    },
)
