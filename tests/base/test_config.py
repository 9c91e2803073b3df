"""Tests of a run's settings."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from skills_dspy.base.config import (
    DEFAULTS,
    ROLES,
    FilterConfig,
    RunConfig,
    load_config,
    with_file,
)
from skills_dspy.base.errors import ConfigError
from skills_dspy.base.yaml_lines import parse_yaml, read_yaml

FILE = Path("my.yaml")
BUILT_IN = read_yaml(DEFAULTS, ConfigError)


def parsed(text: str | bytes) -> RunConfig:
    """The settings with a file of that text."""
    data = text if isinstance(text, bytes) else text.encode()
    return RunConfig.model_validate(with_file(BUILT_IN.plain(), parse_yaml(data, FILE, ConfigError), FILE))


def loaded(folder: Path, text: str, **overrides: str) -> RunConfig:
    """The settings with a file of that text and a command line."""
    (folder / "my.yaml").write_text(text)
    return load_config(folder / "my.yaml", overrides)


def leaves(model: type[BaseModel], *above: str) -> list[tuple[str, ...]]:
    """The paths of all settings."""
    found = []
    for key, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found += leaves(inner, *above, key)
        else:
            found.append((*above, key))
    return found


def test_blanks_around_a_models_name_are_no_part_of_it(tmp_path: Path) -> None:
    """They are copied with it, and cannot be seen; wherever it is given."""
    config = loaded(tmp_path, 'validator: {model: " phi4:14b "}', generator=" qwen3:8b")
    assert (config.generator.model, config.validator.model) == ("qwen3:8b", "phi4:14b")


def test_the_built_in_settings() -> None:
    """The values that hold when nobody says otherwise."""
    config = load_config()
    role = {"top_p": None, "keep_alive": "30m", "num_ctx": None}
    assert config.model_dump() == {
        "generator": {"model": "mistral-small3.2", "temperature": 0.7, "num_predict": 2048, **role},
        "validator": {"model": None, "temperature": 0.15, "num_predict": 512, **role},
        "tagger": {"model": None, "temperature": 0.15, "num_predict": 384, **role},
        "max_num_ctx": 32768,
        "tagging": "separate",
        "soft_ratings": "auto",
        "filter": {"instruction_quality": ("good", "excellent"), "sample_quality": (4, 5)},
        "judges": {"context_pass": (1,), "question_pass": (1,), "pair_pass": (2, 3)},
        "dedup": {"max_squared_distance": 0.05},
        "decontamination": {"ngram": 13, "max_cosine": 0.9},
        "screens": {"copied_words": 20, "echoed_words": 8, "residue": True, "longest": 8.0, "shortest": 0.05},
        "habits": {"watched": True, "share": 0.25, "subject_share": 1 / 3, "least": 3},
        "draws": {"variety": "auto", "window": 16, "accepted_share": 1 / 3, "max_stalled": 30, "max_draws": None},
        "server": {
            "connect_timeout": 2.0,
            "timeout": 300.0,
            "patience": 600.0,
            "backoff_first": 1.0,
            "backoff_max": 30.0,
        },
        "embedder": {"model": "sentence-transformers/all-MiniLM-L6-v2", "device": "cpu"},
    }


def test_the_built_in_file_explains_every_setting() -> None:
    """Each leaf has a comment in its line or stands below one, and the file has nothing else."""
    lines = DEFAULTS.read_text(encoding="utf-8").splitlines()
    for path in leaves(RunConfig):
        assert BUILT_IN.at(path) is not None
        commented = []
        for start in (path, ("generator", *path[1:])):  # the roles' common keys are explained once
            line = BUILT_IN.line_of(start) - 1
            commented.append("#" in lines[line] or lines[line - 1].startswith("#"))
        assert any(commented), path


def test_a_file_replaces_only_what_it_names(tmp_path: Path) -> None:
    """Mappings are merged key by key; lists and scalars are replaced whole."""
    file = tmp_path / "my.yaml"
    file.write_text("generator:\n  temperature: 1\nfilter:\n  sample_quality: [3]\ntagging: fused\nserver: {}\n")
    expected = load_config().model_dump()
    expected["generator"]["temperature"] = 1.0
    expected["filter"]["sample_quality"] = (3,)
    expected["tagging"] = "fused"
    assert load_config(file).model_dump() == expected


def test_the_command_line_goes_before_the_file(tmp_path: Path) -> None:
    """Only what it names changes."""
    text = "generator: {model: a, top_p: 0.9}\nvalidator: {model: b}\nembedder: {device: cuda}"
    assert loaded(tmp_path, text) == parsed(text)
    config = loaded(tmp_path, text, generator="x", tagger="y:8b", embedder="/my models/mini")
    assert [config.model_for(role) for role in ROLES] == ["x", "b", "y:8b"]
    assert config.generator.top_p == 0.9
    assert (config.embedder.model, config.embedder.device) == ("/my models/mini", "cuda")
    assert loaded(tmp_path, text, validator="z").model_for("validator") == "z"


def test_judge_and_tagger_follow_the_generator() -> None:
    """Who has no model of its own uses the generator's, wherever that comes from."""
    config = load_config(None, {"generator": "other"})
    assert [config.model_for(role) for role in ROLES] == ["other"] * 3
    config = parsed("tagger: {model: own}\nvalidator: {model: ~}")
    assert [config.model_for(role) for role in ROLES] == ["mistral-small3.2", "mistral-small3.2", "own"]


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("filter:\n  sample_quality:\n  - 4\n  - 6", 4, "item 2 of `filter.sample_quality` is the number 6; write a list of"),
        ("filter:\n  sample_quality: []", 2, "is an empty list; write a list of one or more of 1, 2, 3, 4, 5, each once"),
        ("max_num_ctx: 8192\ntagger:\n  num_ctx: 8193", 3, "`tagger.num_ctx` is 8193, above the `max_num_ctx` of 8192"),
        ("tagging: fused\nmax_num_ctx: 2048", 2, "`generator.num_predict` of 2048 fills the whole context window of 2048"),
        (
            "max_num_ctx: 8192\ngenerator: {think: high}",
            2,
            "of 2048 and the 8192 for thoughts fill the whole context window of 8192",
        ),
        (
            "tagging: fused\nserver:\n  base_url: 5",
            3,
            "`server.base_url` is the number 5; write an address, a list of addresses",
        ),
        ("server:\n  base_url:\n    judge: {a: b}", 3, "`server.base_url.judge` is a mapping; write an address"),
        ("tagging: fused\nserver:\n  backoff_max: 0.5", 3, "`server.backoff_first` is above `server.backoff_max`"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, line: int, part: str) -> None:
    """In one line; where settings contradict one another, that of a key that the file itself has."""
    with pytest.raises(ConfigError) as caught:
        parsed(text)
    assert str(caught.value).startswith(f"my.yaml:{line}: ")
    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("http://a", ("http://a",)),
        ("[http://a, 'http://b*4']", ("http://a", "http://b*4")),
        (
            "{teacher: 'http://a,http://b', judge: [http://c, http://d]}",
            ("teacher=http://a,http://b", "judge=http://c", "judge=http://d"),
        ),
        ("null", ()),
    ],
)
def test_hosts_are_text_a_list_or_roles(text: str, read: tuple[str, ...]) -> None:
    """As the command line would have them; they are in no noted settings, for an address may hold a password."""
    config = parsed(f"server: {{base_url: {text}}}")
    assert config.server.base_url == read
    assert config.noted() == load_config().noted()


def test_a_bad_name_on_the_command_line_is_refused_by_its_option() -> None:
    """Instead of a file."""
    with pytest.raises(ConfigError, match=r'^--judge-model is "a b"; give a model'):
        load_config(None, {"validator": "a b"})


def test_whole_numbers_may_stand_for_numbers() -> None:
    """1 is 1.0 where a number is wanted; both give the same settings."""
    assert parsed("generator: {temperature: 1}").shaping() == parsed("generator: {temperature: 1.0}").shaping()


def test_the_bounds_themselves_are_allowed() -> None:
    """Closed ranges hold their ends."""
    config = parsed(
        "generator: {temperature: 0, num_predict: 16, top_p: 1, num_ctx: 512}\n"
        "validator: {temperature: 2, num_predict: 32768, num_ctx: 1048576}\nmax_num_ctx: 1048576\n"
        "dedup: {max_squared_distance: 4}\ndraws: {window: 256, accepted_share: 0, max_stalled: 1, max_draws: 1}\n"
        "server: {patience: 0, backoff_first: 30}\n"
    )
    assert config.draws.window == 256
    assert config.validator.num_predict == 32768


def test_the_command_line_hides_no_error_of_the_file(tmp_path: Path) -> None:
    """A bad name in the file is refused though the command line would replace it."""
    with pytest.raises(ConfigError, match=r"my\.yaml:1"):
        loaded(tmp_path, "generator: 5", generator="x")


def test_labels_are_kept_in_the_order_of_their_vocabulary() -> None:
    """Equal sets are equal settings, in a file and in Python."""
    assert parsed("filter: {instruction_quality: [excellent, good], sample_quality: [5, 4]}") == load_config()
    built = FilterConfig(instruction_quality=("excellent", "poor"), sample_quality=(5, 1))
    assert built == FilterConfig(instruction_quality=("poor", "excellent"), sample_quality=(1, 5))


def test_the_shaping_part_is_json_in_one_order() -> None:
    """It survives JSON unchanged and always has its keys in the same order."""
    shaping = load_config().shaping()
    assert json.loads(json.dumps(shaping)) == shaping
    roles, rest = ["generator", "validator", "tagger"], ["filter", "judges", "dedup", "screens", "habits", "draws", "embedder"]
    assert list(shaping) == [*roles, "tagging", "soft_ratings", *rest]
    assert shaping["tagger"] == {"model": "mistral-small3.2", "temperature": 0.15, "num_predict": 384, "top_p": None}
    assert shaping["embedder"] == {"model": "sentence-transformers/all-MiniLM-L6-v2"}
    backwards = yaml.safe_dump(load_config().model_dump(mode="json"), sort_keys=True)
    assert json.dumps(parsed(backwards).shaping()) == json.dumps(shaping)


OTHER_VALUES = {
    "model": "other",
    "temperature": 0.5,
    "num_predict": 300,
    "top_p": 0.5,
    "keep_alive": "1h",
    "num_ctx": 4096,
    "max_num_ctx": 16384,
    "tagging": "fused",
    "variety": "off",
    "soft_ratings": True,
    "instruction_quality": ["good"],
    "sample_quality": [5],
    "context_pass": [0, 1],
    "question_pass": [0, 1],
    "pair_pass": [3],
    "device": "cuda",
    "backoff_first": 2,
    "connect_timeout": 7,
    "api": "openai",
    "base_url": "http://a:11434",
    "accepted_share": 0.5,
    "ngram": 8,
    "max_cosine": 0.5,
    "copied_words": 30,
    "echoed_words": 30,
    "residue": False,
    "shortest": 0.5,
    "think": "low",
    "think_room": 500,
    "watched": False,
    "share": 0.5,
    "subject_share": 0.5,
    "least": 4,
}


@pytest.mark.parametrize("path", leaves(RunConfig), ids=".".join)
def test_exactly_what_shapes_the_data_is_in_the_shaping_part(path: tuple[str, ...]) -> None:
    """Changing any one setting changes the part, but for where and how the models run and what only some runs do."""
    value: object = OTHER_VALUES.get(path[-1], 3)
    for key in reversed(path):
        value = {key: value}
    changed = parsed(yaml.safe_dump(value))
    assert changed != load_config()
    left_out = ("keep_alive", "num_ctx", "device", "max_stalled", "max_draws")
    hosting = path[0] in ("server", "max_num_ctx", "decontamination") or path[-1] in left_out
    assert (changed.shaping() == load_config().shaping()) is hosting


def test_a_model_named_twice_shapes_as_one_that_is_followed() -> None:
    """A judge that names the generator's model is the judge that follows it."""
    assert parsed("validator: {model: mistral-small3.2}").shaping() == load_config().shaping()


@pytest.mark.parametrize(
    ("text", "think"),
    [
        ("off", "off"),
        ("on", "on"),
        ("false", "off"),
        ("'on'", "on"),
        ("low", "low"),
        ("unset", "unset"),
        ("no", "off"),
        ("'off '", "off"),
        ("LOW", "low"),
    ],
)
def test_whether_a_role_thinks(text: str, think: str) -> None:
    """In words, of which YAML takes some for truths; blanks around them and capitals are no matter."""
    config = parsed(f"validator: {{think: {text}}}")
    assert config.validator.think == think
    assert config.generator.think == "off"


@pytest.mark.parametrize("text", ["0", "1", "null", "none", "[low]", "' '", "lowest"])
def test_what_is_no_word_for_thinking(text: str) -> None:
    """It is refused with the words that are."""
    with pytest.raises(ConfigError, match=r"my\.yaml:1: `tagger.think` is .*; write off, on, low, medium, high or unset$"):
        parsed(f"tagger: {{think: {text}}}")


def test_who_does_not_think_is_noted_as_before() -> None:
    """So a run that was begun before there was the setting goes on; with thoughts it is another run."""
    config = load_config()
    assert "think" not in json.dumps([config.noted(), config.shaping()])
    assert RunConfig.model_validate(config.noted()) == config
    thoughtful = parsed("generator: {think: unset, think_room: 4096}")
    assert RunConfig.model_validate(thoughtful.noted()) == thoughtful
    assert thoughtful.shaping()["generator"] == {**config.shaping()["generator"], "think": "unset", "think_room": 4096}


def test_the_command_line_says_it_for_all_roles(tmp_path: Path) -> None:
    """Over what a file says; where the room for thoughts does not fit beside the rest, that is said."""
    (tmp_path / "my.yaml").write_text("validator: {think: low}\nmax_num_ctx: 8192")
    thinks = [load_config(tmp_path / "my.yaml", None, think).role(role).think for think in ("unset", None) for role in ROLES]
    assert thinks == ["unset", "unset", "unset", "off", "low", "off"]
    with pytest.raises(ConfigError, match=r"with --think high `generator.num_predict` of 2048 and the 8192 for thoughts fill"):
        load_config(tmp_path / "my.yaml", None, "high")


def test_the_room_for_thoughts() -> None:
    """None without them, more for more of them, or as set."""
    rooms = [parsed(f"generator: {{think: {think}}}").generator.thoughts for think in ("off", "low", "unset", "on", "high")]
    assert rooms == [0, 1024, 2048, 2048, 8192]
    assert parsed("generator: {think: off, think_room: 99}").generator.thoughts == 0
    assert parsed("generator: {think: on, think_room: 99}").generator.thoughts == 99


def test_how_a_model_of_several_roles_is_asked() -> None:
    """As by one that tells it not to think; one that has no role, such as a held-out judge, as all are."""
    config = parsed("generator: {think: high}\nvalidator: {model: judge, think: low}\ntagger: {model: judge}")
    asked = [config.asker_of(model).think for model in (config.generator.model, "judge", "other")]
    assert asked == ["high", "off", "off"]


@given(
    st.sampled_from([*leaves(RunConfig), ("generator",), ("filter",), ("other",), ("draws", "other")]),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.lists(st.integers(0, 6), max_size=3),
)
def test_any_value_is_taken_or_refused(path: tuple[str, ...], value: object) -> None:
    """Nothing but a ConfigError ever comes out, with a line; what is taken is in the settings."""
    tree: object = value
    for key in reversed(path):
        tree = {key: tree}
    text = yaml.safe_dump(tree)
    try:
        config = parsed(text)
    except ConfigError as error:
        line = error.line
    else:
        line = 1
        taken: Any = config.model_dump(mode="json")
        for key in path:
            taken = taken.get(key) if key in ("think", "think_room") else taken[key]  # which are not noted where they are off
        if path[-1] == "think":  # YAML makes truths of the words
            assert value is {None: False, "on": True}[taken]
            return
        assert taken == (sorted(value) if isinstance(value, list) else value)
        assert isinstance(value, bool) or value == "auto" if path == ("soft_ratings",) else not isinstance(value, bool)
    assert line is not None
