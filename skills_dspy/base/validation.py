"""What a user gives against what it may be: a YAML file's values against a pydantic model, an option's against its range."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from skills_dspy.base.errors import FileError, RequestError
from skills_dspy.base.unseen import foreign_letter
from skills_dspy.base.yaml_lines import Node, Plain, shown

M = TypeVar("M", bound=BaseModel)

Where = tuple[str | int, ...]
"""A place in a file: keys, and places in lists from 0."""

SENTENCES = {
    "missing": "{place} is missing; add it",
    "extra_forbidden": "{inside}{unknown}",
    "model_type": "{place} is {value}; write keys and values: {known}",
    "string_type integer": '{place} is {value}; write it in quotes: "{written}"',
    "string_type number": '{place} is {value}; write it in quotes: "{written}"',
    "string_type boolean": '{place} is {value}; write it in quotes: "{written}"',
    "value_error": "{place} {message}",
    "": "{place} is {value}; write {wanted}",
}
"""What is said of a fault, by pydantic's type of error; the last is said where no other is.

`place` is what the place is called, `value` what stands there and `written` how, `wanted` the description of the field,
`known` the keys of the place, `unknown` the sentence about a key that is none of them, `inside` the place that has this key,
`message` what the validator says.
"""


@dataclass(frozen=True, slots=True)
class Wording:
    """How the faults of one kind of file are put into words: the error to raise, what a place is called, and `sentences`.

    These are said instead of SENTENCES, by type of error, or by that and the field's name or the kind of the value there
    (`null` is a word for nothing, `nothing` none at all).
    """

    error: type[FileError]
    label: Callable[[Where], str]
    sentences: Mapping[str, str] = field(default_factory=dict)


def require(fits: bool, option: str, value: object, wanted: str) -> None:
    """RequestError that names an option, what was given for it and what is `wanted`, where that does not fit."""
    if not fits:
        raise RequestError(f"{option} is {shown(repr(value))}; give {wanted}")


def require_whole(option: str, value: object, least: int, most: int) -> None:
    """The same where a value is no whole number from `least` to `most`."""
    fits = isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
    require(fits, option, value, f"a whole number from {least} to {most}")


def validated(
    root: Node, model: type[M], path: Path | None, wording: Wording, at: Where = (), values: Plain | None = None
) -> M:
    """The model of what stands in a file.

    A validator may raise a PydanticCustomError whose context has `message`, and `keys`, the places below its own one of
    which is at fault: the first that the file has. Of several faults a key with an odd character is named, else the first in
    the file, a missing key last.

    Args:
        root: the top mapping of the file at `path`.
        model: what should stand at `at`.
        values: checked instead of what stands there, which a file may have been merged into.

    Raises:
        FileError: of the wording's class, with file, line and what to write instead.
    """
    node = root.at(at)
    try:
        return model.model_validate(node.plain() if values is None and node is not None else values)
    except ValidationError as problem:
        faults = [(fault, _place(root, at, fault)) for fault in problem.errors(include_url=False)]
        fault, where = min(
            faults,
            key=lambda found: (
                not (found[1] and _odd_key(root, found[1])),
                found[0]["type"] == "missing",
                root.line_of(found[1]),
                found[0]["type"] != "extra_forbidden",
            ),
        )
        said = _said(root, model, wording, fault, where)
        raise wording.error(said, path, root.line_of(where)) from problem


def _place(root: Node, at: Where, fault: ErrorDetails) -> Where:
    """The place of a fault in the file, without what pydantic adds to it for unions."""
    where, loc = at, fault["loc"]
    for place, part in enumerate(loc, start=1):
        if place == len(loc) or root.at((*where, part)) is not None:
            where = (*where, part)
    below: Sequence[Where] = fault.get("ctx", {}).get("keys", ())
    return next(((*where, *keys) for keys in below if root.at((*where, *keys)) is not None), where)


def _said(root: Node, model: type[BaseModel], wording: Wording, fault: ErrorDetails, where: Where) -> str:
    node = root.at(where) or root
    context, loc = fault.get("ctx", {}), fault["loc"]
    wanted, known = _described(model, loc)
    _, beside = _described(model, loc[:-1])
    kind = "null" if node.kind == "nothing" and node.written.strip(" ~") else node.kind
    message = str(context.get("message", context.get("error", fault["msg"])))
    sentences, what = SENTENCES | dict(wording.sentences), fault["type"]
    named = (f"{what} {loc[-1] if loc else ''}", f"{what} {kind}", what, "")
    return next(sentences[key] for key in named if key in sentences).format(
        place=wording.label(where),
        inside=f"in {wording.label(where[:-1])}: " if where[:-1] else "",
        value=node.described(),
        written=shown(node.written),
        wanted=wanted,
        known=", ".join(known),
        unknown=unknown_key(str(where[-1]), beside, _odd_key(root, where)) if where else "",
        message=message[:1].lower() + message[1:],
    )


def _odd_key(root: Node, where: Where) -> str:
    above = root.at(where[:-1])
    return "" if above is None else above.odd_keys.get(str(where[-1]), "")


def _described(model: Any, loc: Sequence[str | int]) -> tuple[str, list[str]]:
    """What a field's description says may be written at a place, and the keys that are known there."""
    wanted = ""
    for part in loc:
        fields = getattr(model, "model_fields", {})
        if part in fields:
            wanted, model = fields[part].description or "", fields[part].annotation
        else:
            model = next(iter(get_args(model)), None)
    return wanted, list(getattr(model, "model_fields", ()))


def unknown_key(key: str, known: Sequence[str], odd: str = "") -> str:
    """The sentence about a key that means nothing: the nearest known one, if any is near, and all that are known.

    `odd` is what `Node.odd_keys` says of it.
    """
    if odd:
        return f"the key `{shown(key)}` is written with {odd}; known here: {', '.join(known)}"
    near = get_close_matches(key.casefold().replace("-", "_"), known, n=1, cutoff=0.5)
    guess = f"did you mean `{near[0]}`? " if near else ""
    foreign = foreign_letter(key) if near else ""
    return f"unknown key `{shown(key)}`{foreign}; {guess}known here: {', '.join(known)}"


def _written(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("blank", "blank")
    return text


Text = Annotated[str, AfterValidator(_written), Field(description="text")]
"""Text that is not blank, kept to the letter."""


def _filled(items: tuple[Any, ...]) -> tuple[Any, ...]:
    if not items:
        raise PydanticCustomError("empty", "empty")
    return items


FILLED = AfterValidator(_filled)
"""A list has an item or more. Unlike a `min_length`, which counts good items only, it is quiet where an item is at fault."""


def labels_of(vocabulary: Any) -> BeforeValidator:
    """Takes a list of labels, each at most once, into a tuple in the vocabulary's order: equal sets, equal settings."""
    known = get_args(vocabulary)

    def check(given: object) -> tuple[Any, ...]:
        if not isinstance(given, (list, tuple)) or not given:
            raise PydanticCustomError("labels", "no list of labels")
        for place, label in enumerate(given):
            # Python takes True and 1.0 for 1; a settings file does not.
            if type(label) not in (int, str) or label not in known or label in given[:place]:
                raise PydanticCustomError("labels", "not a label, or there twice", {"keys": [(place,)]})
        return tuple(label for label in known if label in given)

    return BeforeValidator(check)


def some_of(vocabulary: Any) -> str:
    """What may be written for such a list, in words."""
    return f"a list of one or more of {', '.join(map(str, get_args(vocabulary)))}, each once"


def as_word(value: object) -> object:
    """A word of a setting, which YAML may have made a truth value of."""
    if isinstance(value, str):
        return value.strip().lower()
    return {False: "off", True: "on"}[value] if isinstance(value, bool) else value  # which is what YAML makes of the words


def without_blanks(value: object) -> object:
    """A text without blanks around it."""
    return value.strip(" ") if isinstance(value, str) else value


def as_addresses(value: object) -> object:
    """Addresses of hosts, given as one, as a list, or by role."""
    if isinstance(value, Mapping):
        return tuple(f"{role}={address}" for role, given in value.items() for address in _addresses_of(role, given))
    return () if value is None else (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


def _addresses_of(role: object, given: object) -> list[Any]:
    addresses = given if isinstance(given, list) else [given]
    if not addresses or not all(isinstance(address, str) for address in addresses):
        raise PydanticCustomError("addresses", "no addresses", {"keys": [(role,)]})
    return addresses


def no_number(value: object) -> object:
    """A setting that is no number: 0 and 1 equal false and true, and a Literal asks for no more."""
    if value in (0, 1) and not isinstance(value, bool):
        raise PydanticCustomError("number", "number")
    return value
