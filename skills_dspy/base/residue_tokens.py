"""Marks of thoughts, of templates, vocabularies and tools, of whatever family of models, as patterns."""

COMMON = "thoughts?|reason|reasoning|rationale|reflection|analysis|deliberation"
"""Names of thoughts that other people's XML has, too."""
HEADS = r"THINK(?:ING)?|THOUGHTS?|REASONING|SCRATCHPAD"
THINK = (
    r"(?i:</?(?:\w+:|[a-z]+_(?=think\b)|ant)?think(?:ing)?(?:_(?:on|off|mode|process|instructions|never_\w+)|:\w+)?"
    r"(?: +[\w-]+=[^<>\n]*| */|[ \t]*\n\s*)?>|^<think(?:ing)? +>|<\s*/\s*think(?:ing)?\s*>)"
    r"|&lt;/?think(?:ing)?&gt;|</?思考>"
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
    r"|\{\{-? ?(?:if |range )?[.$](?:System|Prompt|Response|Messages|Content|Tools)\b"
)
_TURNS = (
    rf"</?(?:start|begin|beginning|end)_of_(?:{_MESSAGE})>|<(?:start|end)_(?:message|header_id|{_TALKS})>|\[(?:start|end)_header_id\]"
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
