"""Names of models: which are one to a server, which is meant, and what is said of one that is not there."""

import pytest

from skills_dspy.model.server.names import ListedNames, guess, meant, same_model, spelled_alike
from tests.helpers.making import a_config


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Mistral-Small3.2", "mistral-small3.2:latest"),
        ("m", "library/m"),
        ("registry.ollama.ai/library/m:LATEST", "m"),
        ("https://hf.co/Someone/Model-GGUF:q4_k_m", "hf.co/someone/model-gguf:Q4_K_M"),
        ("localhost:5000/a/m", "localhost:5000/a/m:latest"),
        ("/models/Qwen2.5", "/models/qwen2.5"),
    ],
)
def test_names_that_mean_one_model(one: str, other: str) -> None:
    """Case, and what Ollama fills in, make no other model."""
    assert same_model(one, other)
    assert meant(one, [other]) == other


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("m", "m:7b"),
        ("m", "someone/m"),
        ("hf.co/library/m", "m"),
        ("localhost:5000/library/m", "m"),
        ("localhost:5000/a/m", "localhost:5001/a/m"),
        ("qwen2.5", "/models/qwen2.5"),
    ],
)
def test_names_of_two_models(one: str, other: str) -> None:
    """Another tag, namespace, host or port is another one; the last part of a path is not the path."""
    assert not same_model(one, other)
    assert meant(one, [other]) is None


def test_the_very_same_name_goes_before_one_that_equals_it() -> None:
    """A server that tells case apart has both, and what is neither of them is not guessed."""
    both = ["Foo", "foo"]
    assert [meant(name, both) for name in ("foo", "Foo", "FOO")] == ["foo", "Foo", None]
    assert meant("FOO", ["foo:latest", "foo"]) == "foo:latest"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("mistral-small3.2", ["mistral-small3.2:24b", "mistral-small3.2:24b-q8_0"]),
        ("mistral-small3.2:24B-Q8", ["mistral-small3.2:24b-q8_0", "mistral-small3.2:24b"]),
        ("qwen2.5-7b-instruct", ["/models/Qwen2.5-7B-Instruct"]),
        ("quen2.5_7b_instruct", ["/models/Qwen2.5-7B-Instruct"]),
        ("Bartowski/Phi-4-GGUF", ["hf.co/bartowski/phi-4-GGUF:Q4_K_M"]),
        ("phi-4", ["hf.co/bartowski/phi-4-GGUF:Q4_K_M"]),
        ("gpt-oss", []),
    ],
)
def test_what_may_be_meant(name: str, found: list[str]) -> None:
    """Other tags first, the nearest before, then near spellings and longer names; nothing where nothing is near."""
    there = ["mistral-small3.2:24b", "mistral-small3.2:24b-q8_0", "/models/Qwen2.5-7B-Instruct"]
    there += ["hf.co/bartowski/phi-4-GGUF:Q4_K_M", "nomic-embed-text:latest"]
    asked = guess(name, there)
    assert asked == (f"did you mean {' or '.join(found)}, which {'are' if found[1:] else 'is'} there?" if found else "")


def test_roles_that_name_one_model_name_it_alike() -> None:
    """Else it would get a window for each spelling; what the others follow stays, and so do names of runs that were begun."""
    for judge, found in (("M", "m"), ("library/m", "m"), ("m:latest", "m:latest"), ("n", "n"), (None, "m")):
        config = spelled_alike(a_config({"generator": {"model": "m"}, "validator": {"model": judge}}))
        assert (config.model_for("validator"), config.tagger.model) == (found, None)
    strict = a_config({"generator": {"model": "m"}, "validator": {"model": "M"}, "server": {"api": "openai"}})
    assert spelled_alike(strict) == strict


@pytest.mark.parametrize(
    ("name", "sent"), [("m", "m"), ("m:latest", "m:latest"), ("M", "m:latest"), ("library/m", "m:latest"), ("n", "n")]
)
def test_a_request_calls_a_model_as_the_server_does(name: str, sent: str) -> None:
    """But for `latest`, which every server adds: recordings were made without it."""
    names = ListedNames()
    assert names.sent(name) == name
    names.learn(["m:latest", "b:7b"])
    assert names.sent(name) == sent
