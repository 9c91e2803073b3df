"""How a signature becomes chat messages and how a reply becomes values: strict, and the same bytes every time.

A signature whose single output is text gets the text itself as its reply; any other gets one JSON object, constrained by a
schema. Where such a text is described by a whole sentence, the prompt ends with it, and no tag is named before: small models
go on in the tags that they are told of. What many prompts share stands first (system message, task, examples), so that the
server's prefix cache works. Nothing is repaired: a reply that does not validate is an error, because a mended reply is a
guess.
"""

import json
import re
import weakref
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin

import dspy
from dspy.utils.exceptions import AdapterParseError
from pydantic import BaseModel, BeforeValidator, ConfigDict, TypeAdapter, ValidationError, create_model
from pydantic_core import PydanticCustomError, to_jsonable_python

from skills_dspy.base.errors import Unreadable
from skills_dspy.model.exhibits import bare

_MISSING = "(not given)"
_HALF = re.compile("[\ud800-\udfff]")


class SkillsAdapter(dspy.Adapter):
    """Renders fields as tags, asks for prose as prose and for everything else as one JSON object with a schema.

    System message, schema and validator are made once for each signature class, whichever adapter is asked.
    """

    _plans: ClassVar["weakref.WeakKeyDictionary[type[dspy.Signature], _Plan]"] = weakref.WeakKeyDictionary()

    def __init__(self) -> None:
        super().__init__(callbacks=None, use_native_function_calling=False)

    def plan(self, signature: type[dspy.Signature]) -> "_Plan":
        """What never changes for a signature: its system message, schema and validator."""
        plan = self._plans.get(signature)
        if plan is None:
            plan = self._plans[signature] = _Plan(signature)
        return plan

    async def acall(
        self,
        lm: dspy.BaseLM,
        lm_kwargs: dict[str, Any],
        signature: type[dspy.Signature],
        demos: list[dict[str, Any]],
        inputs: dict[str, Any],
    ) -> list[dict[str, Any]]:
        """One call: format, ask, parse; never a second call."""
        options = {**lm_kwargs, **self.plan(signature).response_format}
        values: list[dict[str, Any]] = await super().acall(lm, options, signature, demos, inputs)
        return values

    def __call__(
        self,
        lm: dspy.BaseLM,
        lm_kwargs: dict[str, Any],
        signature: type[dspy.Signature],
        demos: list[dict[str, Any]],
        inputs: dict[str, Any],
    ) -> list[dict[str, Any]]:
        """The same, synchronously."""
        options = {**lm_kwargs, **self.plan(signature).response_format}
        values: list[dict[str, Any]] = super().__call__(lm, options, signature, demos, inputs)
        return values

    def format(
        self, signature: type[dspy.Signature], demos: list[dict[str, Any]], inputs: dict[str, Any]
    ) -> list[dict[str, Any]]:
        """The messages of one request: system, a user and an assistant turn for each demo, the question itself."""
        plan = self.plan(signature)
        messages = [{"role": "system", "content": plan.system}]
        for demo in demos:
            messages.append({"role": "user", "content": _user_text(signature, demo, plan)})
            messages.append({"role": "assistant", "content": plan.written(demo)})
        messages.append({"role": "user", "content": _user_text(signature, inputs, plan)})
        return messages

    def parse(self, signature: type[dspy.Signature], completion: str) -> dict[str, Any]:
        """The values of a reply; AdapterParseError, caused by an `Unreadable` that says why, where it does not fit."""
        try:
            return self.plan(signature).read(completion)
        except Unreadable as unreadable:
            raise AdapterParseError(
                adapter_name=type(self).__name__, signature=signature, lm_response=completion, message=str(unreadable)
            ) from unreadable


class _Plan:
    """The parts of a signature's prompt that are the same for every request."""

    def __init__(self, signature: type[dspy.Signature]) -> None:
        outputs = signature.output_fields
        self.prose = next(iter(outputs)) if [f.annotation for f in outputs.values()] == [str] else None
        fields: dict[str, Any] = {name: (_annotation(field), ...) for name, field in outputs.items()}
        self._model = create_model("Reply", __config__=ConfigDict(extra="forbid", strict=True), **fields)
        self.schema = None if self.prose else _plain_schema(self._model)
        form = {"type": "json_schema", "json_schema": {"name": "Reply", "schema": self.schema, "strict": True}}
        self.response_format: dict[str, Any] = {} if self.prose else {"response_format": form}
        said = _description(outputs[self.prose]) if self.prose else ""
        plain = f"Reply with the {self.prose} only, as plain text."
        asked = said if said.endswith(".") else plain
        self.ending = asked if self.prose else f"Reply with one JSON object with {_keys(list(outputs))}."
        self.system = signature.instructions.strip() if said.endswith(".") else _system_text(signature, self.prose)

    def read(self, completion: str) -> dict[str, Any]:
        """The validated values, or `Unreadable`."""
        if not completion.strip():
            raise Unreadable("the reply is empty", completion)
        if _HALF.search(completion):
            raise Unreadable("the reply holds half a character, which cannot be sent on", completion)
        if self.prose:
            return {self.prose: _trimmed(completion)}
        try:
            model = self._model.model_validate_json(completion)
        except ValidationError as error:
            raise Unreadable(_sentence(error), completion) from error
        if (doubled := _doubled_key(completion)) is not None:
            raise Unreadable(f"the reply has the key {doubled} twice", completion)
        values = dict(model)
        if (blank := next((name for name, value in values.items() if _is_blank(value)), None)) is not None:
            raise Unreadable(f"the reply has a blank {blank}", completion)
        return values

    def written(self, values: Mapping[str, Any]) -> str:
        """A reply as the model should have written it, for a demo."""
        if self.prose:
            return str(values.get(self.prose, _MISSING))
        said = {name: values.get(name, _MISSING) for name in self._model.model_fields}
        return json.dumps(to_jsonable_python(said), ensure_ascii=False)


def _trimmed(text: str) -> str:
    """Prose without what models put around it: blank lines, and one blank before the first word; indentation stays."""
    text = bare(text)
    return text[1:] if text.startswith(" ") and not text.startswith("  ") else text


def _keys(names: list[str]) -> str:
    quoted = ", ".join(map(json.dumps, names))
    return f"the key {quoted}" if len(names) == 1 else f"the keys {quoted}, in this order"


def _annotation(field: Any) -> Any:
    """A field's type with its bounds, which a dspy signature keeps apart."""
    annotation = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    return Annotated[annotation, BeforeValidator(_no_stand_in)] if get_origin(annotation) is Literal else annotation


def _no_stand_in(value: object) -> object:
    """Pydantic takes true and 1.0 for the label 1, even when it is strict; a reply that says so is none of the labels."""
    if isinstance(value, bool | float):
        raise PydanticCustomError("label", "input should be one of the labels, as it is written there")
    return value


def _doubled_key(completion: str) -> str | None:
    """The first key that stands twice in an object: which of its values was meant is a guess."""
    doubled: list[str] = []

    def look(pairs: list[tuple[str, Any]]) -> None:
        names = [name for name, _ in pairs]
        doubled.extend(name for place, name in enumerate(names) if name in names[:place])

    json.loads(completion, object_pairs_hook=look)
    return doubled[0] if doubled else None


def _plain_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of a reply in one piece, without titles and descriptions, which say nothing to the sampler."""

    whole = model.model_json_schema()
    records = whole.pop("$defs", {})

    def strip(node: Any) -> Any:
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return strip(records[node["$ref"].rpartition("/")[2]])
        return {k: strip(v) for k, v in node.items() if k not in ("title", "description") or isinstance(v, dict)}

    return dict(strip(whole))


def _is_blank(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    if isinstance(value, BaseModel):
        return any(_is_blank(item) for _, item in value)
    return isinstance(value, list | tuple) and any(_is_blank(item) for item in value)


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    message = str(first["msg"])
    return f"the reply does not fit: {where + ': ' if where else ''}{message[:1].lower()}{message[1:]}"


def _system_text(signature: type[dspy.Signature], prose: str | None) -> str:
    parts = [signature.instructions.strip(), "You are given:"]
    parts.append("\n".join(f"- <{name}>: {_description(field)}" for name, field in signature.input_fields.items()))
    if prose:
        description = _description(signature.output_fields[prose])
        parts.append(f"Your whole reply is the {prose} itself: {description}. Add nothing before or after it.")
    else:
        parts.append("Your whole reply is one JSON object with nothing before or after it. Its keys, in this order:")
        outputs = signature.output_fields.items()
        parts.append("\n".join(f'- "{name}" ({_type_text(_annotation(f))}): {_description(f)}' for name, f in outputs))
    return "\n\n".join(parts)


def _description(field: Any) -> str:
    return str((field.json_schema_extra or {}).get("desc", "")).strip()


def _type_text(annotation: Any) -> str:
    """A type in words that a model understands: labels in full, lists with their bounds."""
    schema = TypeAdapter(annotation).json_schema()
    if labels := schema.get("enum"):
        return "one of " + ", ".join(json.dumps(label, ensure_ascii=False) for label in labels)
    if schema.get("type") == "array":
        least, most = schema.get("minItems", 0), schema.get("maxItems")
        count = f"{least}" if least == most else f"{least} to {most}" if most is not None else "any number"
        item = get_args(get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation)[0]
        return f"a list of {count}, each {_type_text(item)}"
    if schema.get("type") == "object":
        parts = (f"{json.dumps(name)} ({_type_text(_annotation(field))})" for name, field in annotation.model_fields.items())
        return f"an object with the keys {', '.join(parts)}"
    return {"string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false"}[schema["type"]]


def _user_text(signature: type[dspy.Signature], values: Mapping[str, Any], plan: _Plan) -> str:
    parts = [_tagged(name, values[name]) for name in signature.input_fields if values.get(name) is not None]
    return "\n\n".join([*parts, plan.ending])


def _tagged(name: str, value: Any) -> str:
    """A value between tags; lists and records are nested, None is left out."""
    if isinstance(value, BaseModel | Mapping):
        value = "\n".join(_tagged(key, item) for key, item in dict(value).items() if item is not None)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        # A list that has no name for its items is one of lines: never a tag inside of itself.
        each = name.removesuffix("s") if name.endswith("s") else None
        value = "\n".join(str(item) if each is None else _tagged(each, item) for item in value)
    return f"<{name}>\n{value}\n</{name}>"
