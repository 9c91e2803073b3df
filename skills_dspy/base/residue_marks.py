"""What machines leave behind: marks of thoughts, templates, vocabularies and tools, and signs that came out wrong."""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

COMMON = "thoughts?|reason|reasoning|rationale|reflection|analysis|deliberation"
"""Names of thoughts that other people's XML has, too."""
HEADS = r"THINK(?:ING)?|THOUGHTS?|REASONING|SCRATCHPAD"
THINK = (
    r"(?i:</?(?:\w+:|[a-z]+_(?=think\b)|ant)?think(?:ing)?\d?(?:_(?:on|off|mode|process|instructions|never_\w+)|:\w+)?"
    r"(?: +[\w-]+=[^<>\n]*| */|[ \t]*\n\s*)?>|^<think(?:ing)? +>|<\s*/\s*think(?:ing)?\s*>)"
    r"|&lt;/?think(?:ing)?&gt;|\\</think(?:ing)?\\>|＜/?think(?:ing)?＞|\[/(?i:think(?:ing)?|reasoning)\]|</?思考>"
    rf"|(?i:</?(?:{COMMON}|scratch[_-]?pad|cot|chain[_-]of[_-]thoughts?)>)"
    r"|(?i:</?(?:(?:inner|internal)_(?:monologue|thoughts?)|reasoning_(?:content|process|steps)|thought_process)>)"
    rf"|\[/?(?:{HEADS})\]|◁/?think▷|^\.\.\.done thinking\.|<details type=|^```think(?:ing)?$|(?<!\S)/no_?think\b"
    r"|assistant(?:final|commentary|analysis)|\A\s*analysis(?=[A-Z])"
)
_MESSAGE = r"turn|text|sentence|document|message|sequence|role|plugin|utterance|image|audio|thought"
_MEDIA = r"im|img|image|audio|video|vision|frame|speech|tts"
_TALKS = r"assistant|user|human|system|tool|observation|bot|AI"
_BAR = (
    r"[<＜][|｜]/?[^\W\d][^|｜<>\n]{1,40}[|｜]?[>＞]|[<＜]/?｜[^|｜<>\n]{1,40}｜|<\|[a-z_]{2,30}\|?\s*\Z|<[a-z_]{2,30}\|>"
    rf"|\[\|(?i:{_TALKS}|\w*(?:turn|text|end|begin|start)\w*)\|\]|\|\|\|[A-Z]+_(?:ADDRESS|NUMBER)\|\|\|"
    r"|>>(?:TITLE|ABSTRACT|INTRODUCTION|QUESTION|ANSWER|DOMAIN|[A-Z]+FIX)<<|\]~!?b[][]|\[e~\[|\]![a-z]~\[|\]<\]\w+\[>\["
)
"""Names between bars or arrows, and the brackets of MiniMax's, which are no pairs."""
_BROKEN = (
    r"(?:im_start|im_end|eot_id|endoftext|end_of_text) ?\| ?>|< ?\| ?(?:assistant|user|system|end) ?\| ?>|&lt;\|[a-z_]+\|?&gt;"
    r"|(?:(?<=[.!?…。！？])|^) ?(?:</?thin(?:k(?:i(?:ng?)?)?)?|</s|<end_of?|<(?:start|end)_of_[a-z]*|\[/?INST)\s*\Z"
    r"|\{\{-? ?(?:if |range )?[.$](?:System|Prompt|Response|Messages|Content|Tools)\b"
)
_TURNS = (
    rf"</?(?:start|begin|beginning|end)_of_(?:{_MESSAGE})>|(?i:</?(?:start|begin|end)[_-]of[_-](?:turn|utterance|sequence)>)|"
    rf"<(?:start|end)_(?:message|header_id|{_TALKS})>|\[(?:start|end)_header_id\]"
    rf"|<_(?:{_TALKS}|end)>|\[/?INST\]|<{{1,2}}/?SYS>|\[/?(?:SYSTEM_PROMPT|MODEL_SETTINGS)\]|</?用户>|^<AI>"
)
_SPECIAL = (
    r"<(?:\w+[:_])?(?:[bes]os|pad|unk|sop|eop|eoh|eoa|eo[tmdi]|boi|sep|cls)(?:_token)?>"
    r"|<(?:\w+_)?(?:[BES]OS|PAD|UNK|EO[TMDI]|SEP|MASK|CLS)(?:_TOKEN)?>|</?endoftext>|</?fim[_-]\w+>|<file_sep>|<mask:\d+>"
    r"|\[(?:[BE]OS|gMASK|UNK|PAD|CLS|SEP|MASK|EOT)\]|</?(?:seed|minimax|atem|antml):\w+|</?longcat_\w+>|</?co: ?[\d,]+>"
    rf"|<(?i:{_MEDIA})_(?i:\w+_)?(?i:start|end|patch|pad|bos|eo[sd]|token|placeholder|context|newline)>"
    r"|\[/?(?:AVAILABLE_TOOLS|TOOL_(?:CALLS|RESULTS|CONTENT)|CALL_ID|IMG_(?:BREAK|END)|BEGIN_AUDIO)\]|\[ARGS\](?=\s*\{)"
    r"|<(?i:(?:tokens_)?unused|reserved|special|extra|placeholder|dummy)(?i:_(?:special|token|id))*_?\d+>|\[(?i:unused|control)(?i:_token)?_?\d+\]"
)
"""What a vocabulary has besides words: ends and gaps, marks of other media, spare places by their number."""
_BYTES = r"<0x[0-9A-F]{2}>|\A\s*<s>|</s>\s*\Z|(?<=[a-z.,;:!?])[ĠĊ▁](?=[A-Za-zĠĊ▁\s]|\Z)"
TOOLS = (
    r"</?(?:\w+[:_])?(?:tool|function)_(?:call|response|result|output|code|sep|def_sep)s?>|</?TOOL_?(?:CALL|RESPONSE|RESULT)S?>"
    r"|</?(?:AVAILABLE_TOOLS|available_tools)>|</?(?:\w+_)?arg_(?:key|value)>|<args-(?:json-object|dict)\b"
    r"|<invoke name=|</invoke>|<function=|<(?:start|end)_function_call>|<\|?python_tag|^Action Input:"
    r"|(?:assistant|commentary|analysis) ?to=(?:functions|python|browser|container)\b"
    r"|^to=functions\.\w|to=functions\.\w+ ?(?:json|code)\b"
)
TOKENS = f"{_BAR}|{_BROKEN}|{_TURNS}|{_SPECIAL}|{_BYTES}"

Find = Callable[[str], str | None]
"""The first mark of one sort in a text; None for none."""

_CODE = re.compile(
    r"(?P<fence>```(?!think)|~~~).*?(?P=fence)|`[^`\n]+`|\"[^\"\n]*\"|(?<!\w)'[^'\n]*'(?!\w)|(?<!“)“[^”\n]*+”", re.DOTALL
)
"""Code and quotations: what stands there is spoken of, and is meant. Of many quotation marks in a row the first is tried."""
MARKS_OF_CODE = str.maketrans("", "", "`~\"'“”")


@lru_cache(maxsize=8)
def outside_code(text: str) -> str:
    """A text with nothing but the marks of its code and quotations."""
    return _CODE.sub("``", text)


def finds(pattern: str, *parts: str, meant: bool = True) -> Find:
    """Looks for a pattern, which takes one of some `parts` if there are any; if `meant`, outside of code and quotations."""
    compiled = re.compile(pattern, re.MULTILINE)

    def find(text: str) -> str | None:
        for part in parts:  # a loop is thrice as fast as any(), and this is asked of every text
            if part in text:
                break
        else:
            if parts:
                return None
        found = compiled.search(text)
        if found is not None and meant:
            found = compiled.search(outside_code(text))
        return None if found is None else found[0].strip("\n")

    return find


def unless(spoken_of: Find, find: Find) -> Find:
    """Looks only into what does not speak of such a thing."""
    return lambda text: (mark := find(text)) and (mark if spoken_of(text) is None else None)


_BYTE = "[\x80-\xbf\u0100-\u0143€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]"


def _loop(text: str) -> str | None:
    """One letter, or one word of a line, over and over to the end."""
    bare = outside_code(text).rstrip()
    last, words = bare[-1:], bare.rsplit("\n", 1)[-1].split()
    run = len(bare) - len(bare.rstrip(last))
    if (last.isalpha() or last in "!@?") and (run >= 64 or 32 <= run >= len(bare) / 2) and not _is_dna(words[-1]):
        return last * 8
    same = next((count for count, word in enumerate(reversed(words)) if word != words[-1]), len(words))
    if same < (12 if same >= len(bare.split()) / 2 else 24) or not words[-1].isalpha():
        return None
    return None if same < 40 and len(set(words[-1].lower())) < 3 else " ".join(words[-3:])


def _is_dna(word: str) -> bool:
    """Whether it is DNA, which may end in one letter; `la la la` and `ha ha ha` are songs and laughter."""
    letters = set(word.lower())
    return len(letters) > 1 and letters <= set("acgtun")


_FOUND: Mapping[str, tuple[Find, str]] = {
    "a citation of a search": (
        finds(r"\ue200\w+\ue202|【\d+(?::\d+)?†[^【】\n]*】|:contentReference\[oaicite:\d+\]", "\ue200", "†", "oaicite"),
        "citation",
    ),
    "a frame around it": (
        finds(
            r"\A\s*(?:```(?:markdown|md)[ \t]*\n(?:(?!```).*\n)+```|\[(ANSWER|RESPONSE|FINAL ANSWER)\][^][]+\[/\1\])\s*\Z",
            *("```m", "[/"),
            meant=False,
        ),
        r"markdown\b(?!\n)|\bmd\b(?!\n)|readme|fence",
    ),
    "the colour of a terminal": (  # `[31m` and what it colours; `[30min]` is a length of time
        finds(
            r"(?:\\(?:033|x1[bB]|e|u001[bB])|\^\[|←)\[[\d;]*m(?=\w)"
            r"|\[(?:[01];)?[39][0-7]m(?!in)(?=[^\W\d_])(?![^][\n]*\])",
            "[",
        ),
        r"ansi|escape|terminal|colou?r codes?|\bsgr\b|printf|echo|ps1|bash|shell",
    ),
    "a scrambled character": (  # bytes of UTF-8 taken for characters of Windows or of a vocabulary, as no language has them
        finds(
            rf"â[€Ģ]{_BYTE}|(?<=[a-z])Ã{_BYTE}|Ã{_BYTE}(?=[a-z])|(?<=\d)Â°|Â[£§](?=\d)"
            rf"|(?:[ÐÑØÙ]{_BYTE}){{3}}|(?:[à-ï]{_BYTE}{_BYTE}){{2}}",
            *("ÃÂÐÑØÙàáâãäåæçèéêëìíîï"),
        ),
        r"mojibake|utf|unicode|latin-?1|charset|1252|encod|decod|garbled|\bbytes?\b",
    ),
    "an entity of HTML": (  # within a word, around one, of a company: of the others, and alone, people write them
        finds(
            r"(?<=\w)&(?:#0?39|#[xX]27|apos|rsquo|#8217|#[xX]2019);(?=\w)|(?<=[a-z])&[a-z](?:acute|grave|circ|uml|cedil|tilde);"
            r"|&(?:quot|ldquo|#34|#8220);(?=\w)[^&\n]{1,200}&(?:quot|rdquo|#34|#8221);"
            r"|(?<=\b[A-Z])&amp;(?=[A-Z]\b)|\b[A-Z]\w+ &amp; (?=[A-Z])",
            "&",
        ),
        r"entit|html|xml|\brss\b|escap|encod|decod|ampersand|</?[a-z]",
    ),
    "one thing over and over": (_loop, r"\bd?rna\b|\bdna\b|nucleo|genom|poly-?a|repeat|\d times"),
}
SPOKEN_OF: Mapping[str, Find] = {name: finds(f"(?i:{words})", meant=False) for name, (_, words) in _FOUND.items()}
"""What in a text speaks of such a sign: who does may show one."""
SIGNS: Mapping[str, Find] = {name: unless(SPOKEN_OF[name], find) for name, (find, _) in _FOUND.items()}
"""The sorts of signs that came out wrong, by what people call them."""

_BREAK = re.compile(r"\\{1,2}n")
_SURE = re.compile(
    r"\\{1,2}n(?=\\{1,2}[nrt]|[-*#•]|\d+[.)])|(?<=\S)\\{1,2}n\s*\Z"
    r"|(?:(?<=[.!?:;,)”…。！？；：，」])|(?<=\*\*))(?:\\{1,2}r)?\\{1,2}n(?![a-z \\])"
)
"""Followed by another, by an item of a list or by nothing; or after the end of a sentence and right before the next."""
_SPACED = re.compile(r"(?:(?<=[.!?:;])|(?<=\w)(?= \\{1,2}n [A-Z])|(?<=,)(?! \\n (?:and|or)\b)) \\{1,2}n (?=\S)")
_OF_BREAKS = re.compile(r"line ?(?:feed|break)|newline|escape|new line", re.IGNORECASE)
_ATTACHED = re.compile(r"(?<=[\w.,;!?])\\n(?=\w)")
_NO_BREAK = re.compile(
    r"\\n(?:abla|u|e|eq|eg|ot|otin|i|ew\w+|o\w+|ormal\w*|icefrac|cong|exists|mid|[lg]e\w*|less|parallel|sim)\b"
    r"|\b[A-Za-z]:\\\S*|(?<!\S)\\\\\w+\\\S+"
)
"""Formulas of LaTeX, and paths of Windows."""


def unbroken(text: str) -> str | None:
    """Line breaks written out where there are hardly any real ones; in code, formulas and paths they are none."""
    if "\\n" not in text:
        return None
    bare = _NO_BREAK.sub("", outside_code(text))
    attached = list(_ATTACHED.finditer(bare))
    spaced = [] if _OF_BREAKS.search(bare) else list(_SPACED.finditer(bare))
    sure = _SURE.search(bare) or next((found[0] for found in (attached, spaced) if len(found) > 1), None)
    if sure is None or len(_BREAK.findall(bare)) <= bare.count("\n"):
        return None
    return bare[max(0, sure.start() - 8) : sure.end() + 8].replace("\n", " ")
