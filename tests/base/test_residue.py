"""What a machine leaves in a text: of many machines, and none of what people write about them."""

import pytest

from skills_dspy.base.residue import PROMPT_TAGS, residue_in
from skills_dspy.screens.echoes import tag_names

T = "For: it is late."
THINKING = (
    *(
        "<think>\nI see.\n</think>\n" + T,
        "<thinking>I see.</thinking>" + T,
        "<reasoning>\nI see.</reasoning>\n" + T,
        "<think>\nI se",
    ),
    *(
        T + "<reflection>fine</reflection>",
        "I see.\n</think>\n" + T,
        "<Think>I see.</Think>" + T,
        '<think time="3">x</think>' + T,
    ),
    *(
        "[THINK]I see.[/THINK]" + T,
        "◁think▷I see.◁/think▷" + T,
        "<seed:think>x</seed:think>" + T,
        "<thought>\nI see.\n</thought>" + T,
    ),
    *('<details type="reasoning" done="true">I see.</details>' + T, "Thinking...\nI see.\n...done thinking.\n\n" + T),
    *("<think/>" + T, "<antThinking>x</antThinking>" + T, "&lt;think&gt;x&lt;/think&gt;" + T, "<思考>x</思考>" + T),
    *(
        "<chain_of_thought>x</chain_of_thought>" + T,
        "analysisWe have to answer.assistantfinal" + T,
        "```thinking\nI see.\n```\n" + T,
    ),
)
TOKENS = (
    *("<|im_start|>assistant\n" + T, T + "<|eot_id|>", "<|start_header_id|>assistant<|end_header_id|>\n" + T, T + "<|im_end"),
    *(
        "[INST] Why? [/INST] " + T,
        T + " [/INST]",
        "<<SYS>>\nBe brief.\n<</SYS>>\n" + T,
        "<s> " + T,
        T + "</s>",
        T + "</s> And more.",
    ),
    *(
        "<start_of_turn>model\n" + T,
        "<|turn>model\n" + T + "<turn|>",
        "<|assistant|>\n" + T,
        "<|channel|>analysis<|message|>" + T,
    ),
    *(
        T + "<｜end▁of▁sentence｜>",
        T + "<｜end of sentence｜>",
        T + "＜｜end▁of▁sentence｜＞",
        "<｜User｜>Why?<｜Assistant｜>" + T,
    ),
    *(T + "<eos>", T + "<pad><pad>", "It is <unk> late.", T + "<EOS>", T + "<eoa>", T + "<|endoftext|>", "[gMASK]<sop>" + T),
    *(
        "<|START_OF_TURN_TOKEN|>" + T,
        T + "<|end_of_text|>",
        "It is<0x0A>late.",
        "ItĠisĠlate.",
        "It▁is▁late.",
        "It is [UNK] late.",
    ),
)
BROKEN = (
    *("im_end|>" + T, T + "< |user| >", T + "<|end |>", T + "&lt;|im_end|&gt;", T + "{{ .Response }}", "{{- if .System }}" + T),
    *(
        "<fim_prefix>" + T,
        T + "<endoftext>",
        T + "<eot>",
        T + "<end_of_text>",
        "Thought: I look.\nAction: search\nAction Input: x",
    ),
)
TURNS = (
    *(
        T + "\n\nUsuario: ¿Y los zoos?",
        T + "\nBenutzer: Und Zoos?",
        T + "\nПользователь: А зоопарки?",
        T + "\n사용자: 동물원은?",
    ),
    *(T + "\n\n### 指令：继续", "### 응답:\n" + T),
    *(T + "\n\nHuman: And zoos?", T + "\n\nUser: And zoos?", T + "\nUSER: And zoos?", "Assistant: " + T, "**Assistant:** " + T),
    *(
        T + "\n\n### Instruction:\nGo on.",
        "### Response:\n" + T,
        "assistant\n\n" + T,
        T + "assistant\n\n" + T,
        T + "\n用户：再来",
    ),
)
WRAPPERS = (
    *(
        "[[ ## answer ## ]]\n" + T,
        T + "\n\n[[ ## completed ## ]]",
        "<answer>" + T + "</answer>",
        "<question>\nWhy?\n</question>",
    ),
    *("<response>\n" + T + "\n</response>", "<final_answer>" + T + "</final_answer>", "<output>\n" + T, T + "\n</context>"),
    *('{"answer": "For: it is late."}', '```json\n{"answer": "For: it is late."}\n```', '"For: it is late.\\nAgainst: no."'),
    *('<tool_call>\n{"name": "x"}\n</tool_call>', '{"name": "search", "arguments": {"q": "late"}}', '<invoke name="x">'),
)
CHARACTERS = (
    *("It\ufffd is late.", "\ufeff" + T, T + "\u200b", "\u2060" + T, "It \u202eis late.", "It\x00 is late.", "It \x9bis late."),
    *("It \x1b[31mis late.", "It\ris late.", "Late.\U000e0049\U000e0067"),
    *("The caf\\u00e9 is open.", "It\\u2019s late.", "The caf\\xe9 is open.", "A good\\ud83d\\ude00 day"),
)
BREAKS = (
    *("First line.\\nSecond line.", "For: late.\\n\\nAgainst: early.", "Roses are red\\nViolets are blue\\nSugar is sweet"),
    *(
        "roses are red\\nviolets are blue\\nsugar is sweet",
        "Items:\\n- one\\n- two",
        "Do\\n1. this",
        "Yes.\\r\\nNo.",
        T + "\\n",
    ),
    *("Yes.\\\\nNo.", "天晚了。\\n反对：不晚。", "늦었다.\\n반대: 아니다."),
)


@pytest.mark.parametrize("texts", [THINKING, TOKENS, BROKEN, TURNS, WRAPPERS, CHARACTERS, BREAKS])
def test_what_machines_leave_behind_is_found(texts: tuple[str, ...]) -> None:
    """Whatever the family of the model and the way in which its template or its server failed."""
    assert [text for text in texts if residue_in(text) is None] == []


@pytest.mark.parametrize("texts", [THINKING, TOKENS, BROKEN, TURNS, WRAPPERS, CHARACTERS, BREAKS])
def test_what_is_known_belongs_to_the_skill(texts: tuple[str, ...]) -> None:
    """A question about a chat template, be it in code marks, may have an answer with its tokens."""
    assert [text for text in texts if residue_in(text, [f"What is this: `{text}`?"]) is not None] == []


def test_what_people_write_of_machines_is_no_residue() -> None:
    """Code, quotations, formulas, paths, regular expressions, scripts with joiners, HTML in pairs."""
    texts = (
        *(
            "The gradient \\nabla f, \\nu and x \\neq 0.",
            "C:\\new\\notes and C:\\News",
            "D:\\data\\n1.txt",
            "s/\\n/ /g, and ^\\s*\\n\\d+$",
        ),
        *(
            "Use `\\n\\n` here.",
            "The character \\n is a line feed, and \\r\\n ends a line.",
            'print("one\\n\\ntwo")',
            "x = a\\nb",
        ),
        *(
            "S = \\{n \\in N\\}, \\neg p, q \\notin Q",
            "\\newcommand{\\R}{\\mathbb{R}} \\noindent Text",
            "[\\u0600-\\u06FF] is Arabic.",
        ),
        *(
            "`<|im_end|>` ends a turn.",
            'The token "<unk>" is for unknown words.',
            "```python\ntokens = ['<s>', '</s>']\n# <think>\n```",
        ),
        *(
            "<p>This is <s>old</s> new.</p>",
            "f <| x, x <|> y, a |> b",
            "The list [1, 2], [PADDING] and [INSTALL]",
            "<result>5</result> is XML",
        ),
        *(
            '{"name": "Anna", "age": 5}',
            "We think: users differ. The assistant: a person.",
            "User::pwent is a module",
            "### Response time\n5 ms",
            "Analysis shows it.",
        ),
        *(
            "می\u200cخواهم",
            "👨\u200d👩\u200d👧 and 🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
            "അവന്\u200d",
        ),
        *("First\r\nsecond\twith a tab", '"Stop," he said.\n\n"Go," she said.', "▁▂▃▅▇ and Ġgantija"),
    )
    assert [(text, found) for text in texts if (found := residue_in(text)) is not None] == []


FIELDS = (
    *(
        "Human: 46 chromosomes\nMouse: 40 chromosomes",
        "Mouse: 40 chromosomes\nHuman: 46 chromosomes",
        "User: root",
        "用户：root",
    ),
    *("User: root\nPort: 22", "Host: db\nUser: root\nPort: 22", "**Host:** db\n**User:** root", "Usuario: root\nPuerto: 22"),
    *("Director: Bo Li\nAssistant: Anna Mai", "Assistant: Anna Mai\nDirector: Bo Li", "assistant", "cook\nassistant\nwaiter"),
)
MARKUP = (
    *("{}", "```json\n{}\n```", '"\\n"', '"\\""', '"C:\\\\temp"', "<order><reason>late</reason></order>"),
    *(
        "<case id='1'>\n<id>5</id>\n<analysis>clean</analysis>\n</case>",
        "<reasons><reason>a</reason><reason>b</reason></reasons>",
    ),
    *("אמר \u202aNew York\u202c לי", "قال \u2066A \u202aB\u202c\u2069 ثم", "\u202bשלום\u202c, he said."),
)
NEAR_THEM = (
    *("User: root\n\nAssistant: It is late.", "Paris\n\nHuman: And zoos?", "Late\nUser: And zoos", "assistant\n" + T + " " + T),
    *(
        '{"text": {}}',
        '"It is late.\\nGo."',
        '"Say \\"no\\" now"',
        "<order><reason>late</order>",
        "<p>x</p><reason>y</reason>" + T,
    ),
    *(
        "<p><think>x</think></p>",
        "אמר \u202aNew York לי",
        "אמר New York\u202c לי",
        "It \u202ais\u202c late.",
        "אמר \u202eכן\u202c לי",
    ),
)


@pytest.mark.parametrize("texts", [FIELDS, MARKUP])
def test_what_only_looks_like_it_is_none(texts: tuple[str, ...]) -> None:
    """Lists of fields and of words, nothing in JSON, one string of code, elements of XML, balanced marks in Hebrew."""
    assert [(text, found) for text in texts if (found := residue_in(text)) is not None] == []


def test_what_stands_next_to_them_is_found() -> None:
    """Turns after a text, strings of several words, unpaired tags, marks that nothing closes or needs, overrides."""
    assert [text for text in NEAR_THEM if residue_in(text) is None] == []


def test_a_known_text_allows_for_its_own_sort_alone() -> None:
    """Seeds that show JSON allow for JSON around a new text, but for no tokens."""
    assert residue_in('{"answer": "late"}', ["Give it as JSON."]) is None
    assert residue_in('{"answer": "late"}<|im_end|>', ["Give it as JSON."]) == "a token of a chat template: <|im_end|>"
    assert residue_in("<s>old</s>", ["<b>bold</b>"]) == "a token of a chat template: <s>"


def test_what_cannot_be_seen_is_named() -> None:
    """Otherwise the reason shows nothing, or acts on the terminal that shows it."""
    assert residue_in("A \x1b[2J bell.") == "a control character: \\x1b"
    assert residue_in(T + "\u200b") == "a character that nobody sees: \\u200b"


def test_the_tags_of_our_prompts_are_known() -> None:
    """They follow from the signatures, which this layer does not know."""
    assert set(PROMPT_TAGS) == set(tag_names())
