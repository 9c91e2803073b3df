"""A machine's residue: what a model or its server leaves in a text and no person would write there."""

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from skills_dspy.base.residue_marks import (
    COMMON,
    HEADS,
    MARKS_OF_CODE,
    SIGNS,
    SPOKEN_OF,
    THINK,
    TOKENS,
    TOOLS,
    Find,
    finds,
    outside_code,
    unbroken,
    unless,
)
from skills_dspy.base.visible import visible_line

_FIELD = r"\[\[ ?## ?\w+ ?## ?\]\]"
_ASKING = (
    *("User", "USER", "Human", "HUMAN", "Usuario", "Utilisateur", "Benutzer", "Пользователь"),
    *("用户", "ユーザー", "사용자"),
)
_ANSWERING = ("Assistant", "ASSISTANT", "Asistente", "Assistent", "Ассистент", "助手", "アシスタント")
_ROLES = re.compile(
    rf"^(?:\*\*|<)?(?:(?P<asks>{'|'.join(_ASKING)})|(?P<answers>{'|'.join(_ANSWERING)}))(?:\*\*|>)?[ \t]*[:：](?!:)"
    r"|^#{2,3} ?(?:Instruction|Response|指令|回答|응답) ?[:：]|^### ?(?:User|Human|Assistant):"
    r"|^(?P<head>### ?(?:User|Human|Assistant|Instruction|Response)[ \t]*$)|<role>[A-Z]{4,}</role>|^<(?:human|bot)>:"
    r"|^GPT4 (?:Correct )?(?:User|Assistant):|^ ?(?:<step> )?Source: (?:assistant|user|system)$|^\[Round \d+\]\s+问[:：]"
    r"|(?<=[.!?)”])assistant$|^assistant(?=\n\n+\S|\n[^\n]{20})",
    re.MULTILINE,
)
_LABEL = re.compile(r"(?:\*\*)?[^\W\d][^:：\n]{0,30}[:：]")
_ENTRY = re.compile(rf"{_LABEL.pattern}[^\n]{{0,60}}[^\n.!?…。！？]")
"""A line of a list such as `Port: 22`, which ends no sentence."""
_ROLE = "|".join((*_ASKING, *_ANSWERING))
_FORM = r"(?:Q|A|Question|Answer|Prompt|Input|Output|Response|System|Frage|Antwort|Pregunta|Respuesta|问题|回答) ?\d*\**[:：]"
_PLAY = re.compile(
    rf"^(?!(?:\*\*)?(?:{_ROLE}|{_FORM}))((?:\*\*)?[^\W\d][^:：\n]{{0,30}}[:：]).*\n+"
    rf"(?:\*\*)?(?:{'|'.join(_ASKING)}|(?:{'|'.join(_ANSWERING)})(?!\**[:：][ *]*{_LABEL.pattern}(?!\d)))(?:\*\*)?[:：].*\n+\1",
    re.MULTILINE,
)
"""One of the two roles between two lines of one other who speaks; `Assistant: Answer: ...` is no line of a play."""
_HEADING = re.compile(r"^#{1,6} .*", re.MULTILINE)
_CONTROL = finds("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]|\r(?!\n)", meant=False)
_EMBEDDED = re.compile(
    "[\u202a\u202b]([^\u202a-\u202e\u2066-\u2069]*)\u202c|[\u2066-\u2068]([^\u202a-\u202e\u2066-\u2069]*)\u2069"
)
_LOST = "[\ufffc-\uffff\ufdd0-\ufdef]"
_UNSEEN = (
    "(?=[\xad\u200b\u2060\ufeff\U000e0020-\U000e007f])"  # which is quicker
    "(?:(?<=[A-Za-zÀ-ʯͰ-ӿ])[\xad\u200b\u2060](?=[A-Za-zÀ-ʯͰ-ӿ])|\\A[\u200b\u2060]|[\u200b\u2060]\\s*\\Z|\ufeff|(?<![\U0001f3f4\U000e0020-\U000e007f])[\U000e0020-\U000e007f])"
)
_ESCAPE = r"(?<=\w)\\(?:u[0-9a-fA-F]{4}|x[89a-fA-F][0-9a-fA-F])|\\u(?:20[12][0-9a-fA-F]|00[aA]0)|\\U000[0-9a-fA-F]{5}"

_THOUGHT = finds(THINK, "<", "＜", "&lt;", "[", "◁", "done thinking", "```think", "assistant", "analysis", "/no")
_COMMON_TAG = re.compile(rf"<(/?)(?:{COMMON}|role)>", re.IGNORECASE)
_ELEMENT = re.compile(rf"<(?!(?:{COMMON}|role)>)([a-z][\w.-]*)(?:\s[^<>]*)?>.*?</\1>", re.IGNORECASE | re.DOTALL)


_NAMED = re.compile(
    rf"(?:[>\]]|(?<!\S)/\w+) <(?:{COMMON})>|(?:\b[A-Z]\w*|::\w+|\b(?:list|set|vector))<([\w:]+)>(?=[^\w\n]|\Z)(?!.*</\1>)",
    re.DOTALL,
)
"""The place of a reason after that of something else, as in `/ban <user> <reason>`; and a type's parameter."""
_HEAD = re.compile(rf"^\[(?!(?:{HEADS}|ANSWER|RESPONSE|FINAL ANSWER)\])[A-Z][A-Z ]+\]", re.MULTILINE)


def _by_people(text: str) -> str:
    """A text without the names that people give: pairs in another element, parameters of types, one head among others."""

    def bare(element: re.Match[str]) -> str:
        ends = [bool(tag[1]) for tag in _COMMON_TAG.finditer(element[0])]
        return element[0] if ends.count(True) != ends.count(False) else _COMMON_TAG.sub("", element[0])

    text = _NAMED.sub(" ", _ELEMENT.sub(bare, text))
    return text if _HEAD.search(text) is None else re.sub(rf"\[(?:{HEADS})\]", "", text)


def _thinking(text: str) -> str | None:
    """A mark of thoughts, but for those of people."""
    return _THOUGHT(text) and _THOUGHT(_by_people(text))


_PROCESS = (
    r"\A\s*(?:\*\*|#+ )?(?:Here['’]s (?:a|my) )?[Tt]hinking [Pp]rocess\b[^\n:]{0,60}:(?:\*\*)?\s*\n+\s*(?:1\.|[*-])\s+"
    r"(?:\*\*)?\w+ (?:the |user['’]?s? )*(?:[Rr]equest|[Pp]rompt|[Ii]nstructions?|[Uu]ser|[Ii]nput|[Tt]ask)\b"
)
"""How Qwen and Gemma begin thoughts to which no block belongs."""
_CALLED = finds(TOOLS, "<", "Action Input", "to=")


def _calls(text: str) -> str | None:
    """A call of a tool, but for a type's parameter."""
    return _CALLED(text) and _CALLED(_by_people(text))


def _turn(text: str) -> str | None:
    """The mark of a turn, but for a line of a list or of a play that begins with such a role."""
    text = outside_code(_by_people(text) if "<role>" in text else text)
    marks = list(_ROLES.finditer(text))
    if not marks:
        return None
    headed = any(not _ROLES.match(line[0]) for line in _HEADING.finditer(text))
    one_role = any(mark["asks"] for mark in marks) != any(mark["answers"] for mark in marks)
    played = one_role and _PLAY.search(text) is not None
    leads = marks[0]["asks"] is not None and not text[: marks[0].start()].strip()
    lines, number, counted = text.split("\n"), 0, 0
    for mark in marks:
        number, counted = number + text.count("\n", counted, mark.start()), mark.start()
        role = mark["asks"] or mark["answers"]
        meant = headed if mark["head"] else role and (played or _is_entry(lines, number, leads and mark is marks[0]))
        if not meant:
            return mark[0].strip("\n")
    return None


def _is_entry(lines: Sequence[str], number: int, leads: bool) -> bool:
    """Whether this line is one of a list: because it `leads` it, or stands beside another."""
    if not _ENTRY.fullmatch(lines[number]):
        return False
    before, after = lines[max(0, number - 1) : number], lines[number + 1 : number + 2]
    beside = (*filter(_ENTRY.fullmatch, before), *filter(_LABEL.match, after))
    return leads or any(not _ROLES.match(line) for line in beside)


_ASKS = (
    *("user", "human", "Utente", "Usuário", "Gebruiker", "Użytkownik", "Kullanıcı", "Bruker", "Användare", "Bruger"),
    *("Uživatel", "Käyttäjä", "Користувач", "Người dùng", "Pengguna", "المستخدم", "उपयोगकर्ता", "ผู้ใช้"),
)
_ANSWERS = (
    "assistant",
    "Assistente",
    "Assistent",
    "Asystent",
    "Asistan",
    "Avustaja",
    "Асистент",
    "Trợ lý",
    "Asisten",
    "المساعد",
    "सहायक",
)
_FURTHER = re.compile(
    rf"^(?:(?:{'|'.join(_ASKS)})[ \t]*[:：](?!:)|\[(?:USER|User)\](?:[ \t]*:|[ \t]*$)|(?:user|human|model)$)\s*(?P<said>.*)"
    r"|^#{2,3} ?(?P<head>Question|Exercise|Frage|Pregunta|Domanda|Pergunta|Vraag|Вопрос|问题|質問|질문) ?[:：]",
    re.MULTILINE,
)
_REPLIES = re.compile(
    rf"^(?:(?:{'|'.join(_ANSWERS)})[ \t]*[:：]|\[(?:ASSISTANT|Assistant)\]|(?:assistant|model)$)"
    r"|^#{2,3} ?(?P<head>Answer|Solution|Antwort|Respuesta|Risposta|Resposta|Antwoord|Ответ|答案|回答|답변) ?[:：]",
    re.MULTILINE,
)
_BARE = re.compile(
    r"^(?:user|human)\n+[^\n]*(?: |[^\x00-ɏ]{3})[^\n]*\n(?:[^\n]*\n)*?(?:assistant|model)\n+[^\n]*(?: |[^\x00-ɏ]{3})",
    re.MULTILINE,
)
_ENDED = re.compile(r"(?:[.!?…。！？؟।]|``)[”\"')*_]*\Z")
_OF_TALKS = finds(
    r"(?i:chat|\blogs?\b|dialog|diálogo|convers|transcri|trascri|gespr|gesprek|rozmow|messages|exchange|script|\bfaq|quiz|exercises)",
    meant=False,
)


def _further(text: str) -> str | None:
    """The first turn after a text that is none, in the forms in which people begin a dialogue, a form or a list of roles."""
    if _FURTHER.search(text) is None:
        return None
    text = outside_code(text)
    if (bare := _BARE.search(text)) is not None:
        return bare[0].split("\n")[0]
    mark = _FURTHER.search(text)
    if mark is None:
        return None
    before, after = text[: mark.start()].rstrip(), text[mark.end() :].lstrip()
    last = before.rsplit("\n", 1)[-1]
    label = _LABEL.match(last) if ":" in mark[0] or "：" in mark[0] else None
    played = label is not None and (label[0] in after or "\n\n" not in text[len(before) : mark.start()])
    if not _ENDED.search(last) or _HEADING.match(last) or (played and not mark["head"]):
        return None
    replies = _REPLIES.search(after)
    if mark["head"]:
        heads = [*_FURTHER.finditer(text), *_REPLIES.finditer(text)]
        own = len(_HEADING.findall(text)) == len([head for head in heads if head["head"]])
        return mark[0] if own and replies is not None and replies["head"] else None
    listed = _LABEL.match(after) and not replies
    return mark[0].split("\n")[0] if not listed and (replies or _ENDED.search(mark["said"])) else None


def _controls(text: str) -> str | None:
    """A control character, but for pairs that embed text of one direction in text that has the other."""
    if (found := _CONTROL(text)) is None or not any(unicodedata.bidirectional(char) in ("R", "AL") for char in text):
        return found
    embedded = 1
    while embedded:
        text, embedded = _EMBEDDED.subn(r"\1\2", text)
    return _CONTROL(text)


_END = re.compile(r"</((?:assistant|user|human|system|tool|function|param|parameter|document)s?|s|results)>")


def _unpaired(text: str) -> str | None:
    """`<s>` without its end, or the end of it, of a turn or of what tools get without its beginning; HTML has them in pairs."""
    if "<s>" not in text and "</" not in text:
        return None
    bare = outside_code(text)
    if bare.count("<s>") != bare.count("</s>"):
        return "</s>" if "</s>" in bare else "<s>"
    return next((end[0] for end in _END.finditer(bare) if f"<{end[1]}" not in bare), None)


def _wrapped(names: Iterable[str]) -> Find:
    """Looks for a tag of these names around the text, or half of a pair at one of its ends, with none of our prompts within."""
    any_name = "(?i:" + "|".join(names) + ")"

    def find(text: str) -> str | None:
        if "<" not in text:
            return None
        begins, ends = re.match(rf"\s*<({any_name})>", text), re.search(rf"</({any_name})>\s*\Z", text)
        bare = text[begins.end() if begins else 0 : ends.start() if ends else None]
        if _PROMPT_TAGS.search(bare) is not None:
            return None
        if begins and f"</{begins[1]}" not in bare:
            return begins[0].strip()
        return ends[0].strip() if ends and f"<{ends[1]}" not in bare else None

    return find


PROMPT_TAGS = (
    *("answer", "avoid", "context", "example", "examples", "length", "plan", "question", "questions", "task_description"),
)
"""What the tags of our prompts are called, and what a writer may put around its reply."""
_PROMPT_TAGS = re.compile(rf"^[ \t]*</?(?:{'|'.join(PROMPT_TAGS)})>|</?(?:{'|'.join(PROMPT_TAGS)})>[ \t]*$", re.MULTILINE)
_WRAPPERS = ("response", "output", "result", "reply", "final_answer", "final", "solution", "text", "assistant")
_KEYS = frozenset((*_WRAPPERS, "content", "message", "instruction", "prompt"))


def _in_json(text: str) -> str | None:
    """JSON, fenced or not, that is nothing but the text as a string of words or under its part's name, or a tool's call."""
    if not text.lstrip().startswith(("{", '"', "```")):
        return None
    bare = re.sub(r"\A\s*```(?:json)?\s*\n|\n\s*```\s*\Z", "", text).strip()
    string = bare.startswith('"') and bare.endswith('"') and re.search(r'\\[n"u]', bare)
    if not string and not (bare.startswith("{") and bare.endswith("}")):
        return None
    try:
        content = json.loads(bare, strict=False)
    except (ValueError, RecursionError):
        return None
    names = frozenset(content) if isinstance(content, dict) else frozenset()
    named = names and names <= _KEYS | set(PROMPT_TAGS)
    calls = names in ({"name", "arguments"}, {"name", "parameters"})
    if not named and not calls and not (isinstance(content, str) and len(content.split()) > 1):
        return None
    return bare[:30].replace("\n", " ")


THOUGHTS = "a block of thinking"

MARKS: Mapping[str, Find] = {
    THOUGHTS: _thinking,
    "a token of a chat template": finds(TOKENS, "<", "[", "]", "＜", "|", ">>", "&lt;", "{{", "Ġ", "Ċ", "▁"),
    "a mark of where a text begins or ends": _unpaired,
    "a call of a tool": _calls,
    "a field of DSPy's": finds(_FIELD, "[["),
    "a tag of the prompt around it": _wrapped(PROMPT_TAGS),
    "a tag around it": _wrapped(_WRAPPERS),
    "JSON around it": _in_json,
    "a turn that nobody took": _turn,
    "a further turn": unless(_OF_TALKS, _further),
    "thoughts about the request": finds(_PROCESS),
    "a control character": _controls,
    **SIGNS,
    "a character that was lost": finds(_LOST, meant=False),
    "a character that nobody sees": finds(_UNSEEN, meant=False),
    "line breaks that are written out": unbroken,
    "a character that is written out": finds(_ESCAPE, "\\u", "\\x", "\\U"),
}
"""The sorts of residue, by what people call them."""

_ALLOWED_BY: Mapping[str, Find] = {
    "a tag around it": finds(r"</\w+>", meant=False),
    "JSON around it": finds(r"(?i:json)|\A\s*\{", meant=False),
    "a further turn": _OF_TALKS,
    **SPOKEN_OF,
}
"""What in a known text allows for a sort, where that is not the sort itself."""


def residue_in(text: str, known: Iterable[str] = ()) -> str | None:
    """What residue a text has, in words; a mark or a sort that a known text has, be it quoted, belongs to the skill."""
    known = tuple(known)
    for name, find in MARKS.items():
        if (mark := find(text)) is None:
            continue
        bare = [other.translate(MARKS_OF_CODE) for other in known]
        allowing = {find, _ALLOWED_BY.get(name, find)}
        if not any(mark in other for other in known) and not any(allows(other) for allows in allowing for other in bare):
            return f"{name}: {visible_line(mark)}"
    return None


def residue_of_pair(question: str, answer: str, context: str | None, known: Iterable[str] = ()) -> str | None:
    """What residue an exercise has, in words, beside what is known; each part may have what it was written for has."""
    given = tuple(known)
    for part, text in (("context", context), ("question", question), ("answer", answer)):
        if text is None:
            continue
        if (found := residue_in(text, given)) is not None:
            return f"its {part} has {found}"
        given = (*given, text)
    return None
