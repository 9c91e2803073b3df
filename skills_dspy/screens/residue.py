"""A machine's residue: what a model or its server leaves in a text and no person would write there."""

import re
from collections.abc import Callable, Mapping

from skills_dspy.screens.echoes import our_tags, tag_names
from skills_dspy.screens.task_texts import NewText

Find = Callable[[str], str | None]
"""The first mark of one sort in a text; None for none."""


def _finds(pattern: str) -> Find:
    compiled = re.compile(pattern, re.MULTILINE)

    def find(text: str) -> str | None:
        found = compiled.search(text)
        return None if found is None else found[0].strip("\n")

    return find


_TURNS = r"<\|[^|<>\s]{1,40}\|?>|<｜[^｜<>]{1,40}｜>|</?(?:start|end)_of_turn>|</?end_of_utterance>|\[/?INST\]|<</?SYS>>"
_SPECIAL = r"<(?:bos|eos|pad|unk|mask|sop|eop)>|\[(?:BOS|EOS|gMASK|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]|<extra_id_\d+>"
_BYTES = r"<0x[0-9A-F]{2}>|<(?:unused|reserved_)\d+>|</s>\s*\Z|\A\s*<s>"
_THINK = r"</?(?:think|thinking|thought|seed:think|reflection|scratchpad)>|\[/?THINK\]|◁/?think▷"
_ROLES = r"^(?:\*\*)?(?:User|Human|Assistant)(?:\*\*)?[ \t]*:|^#{2,3} ?(?:Instruction|Response|Input|User|Human|Assistant):"
_CODE = re.compile(r"`[^`]*`|\"[^\"\n]*\"|(?<!\w)'[^'\n]*'(?!\w)")
_LITERAL = re.compile(r"\\n(?![a-z])")
"""A line break that was written out; `\\nabla` and `C:\\new` are none."""


def _unbroken(text: str) -> str | None:
    """Line breaks written out where there are hardly any real ones; in quotes and in code they are meant."""
    bare = _CODE.sub("", text)
    written = len(_LITERAL.findall(bare))
    return "\\n" if (written > 1 or "\\n\\n" in bare) and written > text.count("\n") else None


def _wrapped(text: str) -> str | None:
    """A tag of our prompts around the text, or at one of its ends, with none within."""
    names = "|".join(tag_names())
    bare = re.sub(rf"\A\s*<(?:{names})>|</(?:{names})>\s*\Z", "", text)
    if bare == text or our_tags().search(bare) is not None:
        return None
    tag = re.search(rf"</?(?:{names})>", text)
    return None if tag is None else tag[0]


MARKS: Mapping[str, Find] = {
    "a block of thinking": _finds(_THINK),
    "a token of a chat template": _finds(rf"{_TURNS}|{_SPECIAL}|{_BYTES}"),
    "a call of a tool": _finds(r"</?tool_(?:call|response)s?>"),
    "a tag of the prompt around it": _wrapped,
    "a turn that nobody took": _finds(_ROLES),
    "a control character": _finds("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffd]|\r(?!\n)"),
    "line breaks that are written out": _unbroken,
}
"""The sorts of residue, by what people call them."""


def left_over(new: NewText) -> str | None:
    """What residue the text has, in words; a sort that the skill's own seeds have belongs to the skill."""
    if not new.task.bounds.residue:
        return None
    said = (*new.task.texts, new.task.description)
    for name, find in MARKS.items():
        if (mark := find(new.text)) is not None and not any(find(text) is not None for text in said):
            return f"it has {name}: {mark if mark.isprintable() else mark.encode('unicode_escape').decode()}"
    return None
