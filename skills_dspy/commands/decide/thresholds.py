"""The settings that can be decided anew without asking a model: thresholds over those that a run was made with."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from signatures.labels import PairRating, Quality, Score
from skills_dspy.base.config import RunConfig, with_file
from skills_dspy.base.errors import ConfigError
from skills_dspy.base.yaml_lines import Node, read_yaml
from skills_dspy.commands.decide.sections import IN_WORDS, SECTIONS

_Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Thresholds of the command line: the lowest labels that pass; below a squared distance (0 to 4) is a duplicate.

    None leaves a threshold alone.
    """

    sample_quality: int | None = None
    instruction_quality: str | None = None
    pair_rating: int | None = None
    squared_distance: float | None = None


def decided_config(base: RunConfig, path: Path | None, bounds: Bounds) -> RunConfig:
    """The settings of a run with the thresholds of a YAML file over them, and bounds over those.

    The file may also change what decides nothing.

    Raises:
        ConfigError: the file is wrong, or it changes what was asked of the models, or a bound lets nothing through.
    """
    given = None if path is None else read_yaml(path, ConfigError)
    settings: Any = with_file(base.model_dump(mode="json"), given, path)
    if settings["soft_ratings"] == "auto":
        settings["soft_ratings"] = base.soft_ratings
    config = _bounded(RunConfig.model_validate(settings), bounds)
    fixed = [(keys, old, new) for keys, old, new in differences(base, config) if keys[0] not in SECTIONS]
    if fixed:
        raise _refused(fixed, given, path)
    return config


def differences(old: RunConfig, new: RunConfig) -> list[tuple[_Path, Any, Any]]:
    """Every setting that shapes a dataset and differs: its keys, then and now."""
    return list(_differences((), old.shaping(), new.shaping()))


def thresholds(config: RunConfig) -> dict[str, Any]:
    """All that can be decided anew, ready for JSON."""
    shaping = config.shaping()
    return {section: shaping[section] for section in SECTIONS if section in shaping}


def short_digest(config: RunConfig, pairs: int | None = None) -> str:
    """Eight hex digits: the same thresholds, and as many pairs, have the same, whatever words they were given in."""
    wanted = thresholds(config) if pairs is None else {**thresholds(config), "pairs": pairs}
    return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()[:8]


def _bounded(config: RunConfig, bounds: Bounds) -> RunConfig:
    settings = config.model_dump()
    if bounds.sample_quality is not None:
        settings["filter"]["sample_quality"] = _from(get_args(Score), bounds.sample_quality)
    if bounds.instruction_quality is not None:
        settings["filter"]["instruction_quality"] = _from(get_args(Quality), bounds.instruction_quality)
    if bounds.pair_rating is not None:
        settings["judges"]["pair_pass"] = _from(get_args(PairRating), bounds.pair_rating)
    if bounds.squared_distance is not None:
        settings["dedup"]["max_squared_distance"] = bounds.squared_distance
    try:
        return RunConfig.model_validate(settings)
    except ValidationError as problem:
        fault = problem.errors(include_url=False)[0]
        raise ConfigError(f"`{'.'.join(map(str, fault['loc']))}` cannot be {fault['input']!r}: {fault['msg']}") from problem


def _from(labels: tuple[Any, ...], least: Any) -> tuple[Any, ...]:
    """The labels from one on, of a vocabulary that has the worst first; none where it has no such label."""
    return labels[labels.index(least) :] if least in labels else ()


def _differences(keys: _Path, old: Any, new: Any) -> Iterator[tuple[_Path, Any, Any]]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in {**old, **new}:
            yield from _differences((*keys, key), old.get(key), new.get(key))
    elif old != new:
        yield keys, old, new


def _refused(fixed: list[tuple[_Path, Any, Any]], given: Node | None, path: Path | None) -> ConfigError:
    keys, old, new = fixed[0]
    others = f" (and so do {', '.join('`' + '.'.join(k) + '`' for k, _, _ in fixed[1:])})" if fixed[1:] else ""
    said = (
        f"`{'.'.join(keys)}` is {_shown(new)} here and {_shown(old)} in the run{others}; replies depend on it, and only "
        f"{IN_WORDS} can be decided anew: leave it out, or make a new run"
    )
    line = given.line_of(keys) if given is not None and given.at(keys) is not None else None
    return ConfigError(said, path, line)


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
