"""The names of models as servers compare them: which of those that are there is meant, and which may be."""

from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher

from skills_dspy.base.config import ROLES, RunConfig

_DEFAULTS = ("registry.ollama.ai", "library", "", "latest")
"""What Ollama fills in for a host, a namespace and a tag that are left out."""
_NEAR = 0.6
"""From this likeness on, 0 to 1, a name may be a misspelling of another."""
_GUESSES, _SHOWN = 3, 10
"""So many names are guessed, or shown where none is near."""


def same_model(one: str, other: str, *, cased: bool = False) -> bool:
    """Whether two names mean one model to Ollama: without case, with the host, namespace and tag that it fills in.

    `cased` says that the server tells case apart.
    """
    return _parts(one if cased else one.casefold()) == _parts(other if cased else other.casefold())


def meant(name: str, there: Iterable[str]) -> str | None:
    """The one of those names that is meant, the very same before one that equals it.

    None where there is none, or where they differ in case, as models of a server that tells case apart.
    """
    same = [other for other in there if same_model(other, name)]
    exact = next((other for other in (name, f"{name}:latest") if other in same), None)
    return exact or (same[0] if len(set(map(_parts, same))) == 1 else None)


def guess(name: str, there: Iterable[str]) -> str:
    """A question about the names that may be meant by one that is not there; empty where none is near."""
    likeness = {other: _likeness(name, other) for other in there}
    near = sorted((other for other in likeness if likeness[other] >= _NEAR), key=lambda other: -likeness[other])[:_GUESSES]
    return f"did you mean {' or '.join(near)}, which {'is' if len(near) == 1 else 'are'} there?" if near else ""


def listing(there: Sequence[str]) -> str:
    """What a server has, as the end of a sentence about it."""
    more = f" and {len(there) - _SHOWN} more" if len(there) > _SHOWN else ""
    return f"has {', '.join(there[:_SHOWN])}{more}" if there else "has none"


def other_weights(name: str, then: str, now: str) -> str:
    """What is said of a model whose digest has changed."""
    return f"the same name has other weights now: {name} ({then[:12] or 'unknown'} then, {now[:12] or 'unknown'} now)"


def spelled_alike(config: RunConfig) -> RunConfig:
    """The settings with one spelling of a model that several roles name, or the server would load it anew for each window.

    Names that differ by `:latest` alone stay: runs were begun with them.
    """
    known: list[str] = []
    for role in ROLES:
        own = config.model_for(role)
        same = (name for name in known if same_model(name, own, cased=config.server.api == "openai"))
        first = next(same, own)
        if first not in (own, f"{own}:latest") and own != f"{first}:latest":
            config = config.model_copy(update={role: config.role(role).model_copy(update={"model": first})})
        known.append(own)
    return config


class ListedNames:
    """The names by which a server lists its models, so that another spelling of one reaches it as it is listed."""

    def __init__(self) -> None:
        self._listed: tuple[str, ...] = ()

    def learn(self, listed: Iterable[str]) -> None:
        """These are all that it has now."""
        self._listed = tuple(listed)

    def sent(self, name: str) -> str:
        """What to call a model in a request: as it was named where only `:latest` is left out, else as it is listed."""
        listed = meant(name, self._listed)
        return name if listed in (None, name, f"{name}:latest") else str(listed)


def _parts(name: str) -> tuple[str, ...]:
    """Host, namespace, model and tag, as Ollama's server takes a name apart."""
    rest, _, tag = name.rpartition(":") if name.rfind(":") > name.rfind("/") else (name, "", "")
    rest, _, model = rest.rpartition("/")
    host, _, namespace = rest.rpartition("/")
    told = (host.rpartition("://")[2], namespace, model, tag)
    return tuple(part or usual for part, usual in zip(told, _DEFAULTS, strict=True))


def _likeness(name: str, other: str) -> float:
    """From 0 to 2: another tag or place of the same model above a spelling that is near it, or a part of it."""
    mine, theirs = (_letters(_parts(each.casefold())[2]) for each in (name, other))
    whole = SequenceMatcher(None, name.casefold(), other.casefold()).ratio()
    if mine == theirs:
        return 1 + whole
    part = min(len(mine), len(theirs)) >= 4 and (mine in theirs or theirs in mine)
    return max(_NEAR + whole / 10 if part else 0.0, SequenceMatcher(None, mine, theirs).ratio())


def _letters(model: str) -> str:
    return "".join(letter for letter in model.removesuffix(".gguf") if letter.isalnum())
