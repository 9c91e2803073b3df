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
    *("<rationale>I see.</rationale>" + T, T + "<rationale>I see.", "<scratch_pad>I see.</scratch_pad>" + T, T + " /no_think"),
    *("[REASONING]\nI see.\n[/REASONING]\n" + T, "[REASONING]\nI see.\n[ANSWER]\n" + T, "<think\n>\nI see.</think\n>" + T),
    *(
        "<longcat_think>I see.</longcat_think>" + T,
        "<think >\nI see.\n" + T,
        "I see.\n< / think >" + T,
        "<mm:think>I se",
        "It is Paris<think>I see",
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
        "### Assistant\n" + T,
        T + "\n\n### Human\nAnd zoos?\n\n### Assistant\n" + T,
        "<role>HUMAN</role>Why?<role>ASSISTANT</role>" + T,
        "GPT4 Correct Assistant: " + T,
        "Source: assistant\nDestination: user\n\n" + T,
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
    *("<Answer>" + T + "</Answer>", "<ANSWER>\n" + T + "\n</ANSWER>", "<Answer>" + T, T + "</Final_Answer>"),
    *(T + "</parameter>", T + "</user>\n", 'commentary to=functions.x json{"q": 1}', "to=functions.search\n" + T),
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

FURTHER = (
    T + "\nuser\nAnd zoos?\nassistant\nRain falls.",
    "An old pond\nuser\nWrite another haiku\nassistant\nRain falls.",
    T + "\nuser\nAnd zoos?",
    T + "\nmodel\nFine, they are too.",
    T + "\n\nuser: And zoos?\n\nassistant: Fine.",
    T + "\n\nUtente: E gli zoo?",
    T + "\n\nUsuário: E?",
    T + "\n\nGebruiker: En?\n\nAssistent: Ja",
    T + "\n\nالمستخدم: و؟",
    T + "\n\nUżytkownik: A?",
    T + "\n\nKullanıcı: Ya?",
    T + "\n\nउपयोगकर्ता: क्या?",
    T + "\n\nhuman: And zoos?",
    T + "\n\n[USER]: And zoos?\n[ASSISTANT]: Fine",
    T + "\n\n[USER]\nAnd zoos?",
    T + "\n\nNgười dùng: Sao?",
    "Thinking Process:\n\n1.  **Analyze the Request:** A haiku.\n2. x\n\n" + T,
    "Here's a thinking process that leads to the answer:\n\n1.  **Understand the user's request:** x",
    "Thinking Process:\n\n1. Analyze the request.\n\n" + T,
    T + "\n\n### Question:\nAnd zoos?\n\n### Answer:\nFine.",
    T + "\n\n## Question: And zoos?\n## Answer: Fine.",
    T + "\n\n### Pregunta:\n¿Y?\n\n### Respuesta:\nSí.",
    T + "\n\n### Frage:\nUnd?\n\n### Antwort:\nJa.",
    "It&#39;s late, he said &quot;late&quot;.",
    "She said &quot;late&quot; to me.",
    "It&rsquo;s late.",
    "The caf&eacute; is open.",
)

SIGNS = (
    "Smith &amp; Sons sells R&amp;D.",
    "It&#x27;s late.",
    "L&#039;heure est tardive.",
    T + "<END-OF-TURN>",
    T + "<end-of-turn>",
    T + "<END_OF_TURN>",
    T + "<END_OF_UTTERANCE>",
    "ItâĢĻs late.",
    "Itâ€™s late.",
    "The cafÃ© is open.",
    "Ã‰tÃ© is summer: Ã©tÃ©.",
    "Ð¿Ñ€Ð¸Ð²ÐµÑ‚ to all",
    "æ—¥æœ¬ is far",
    "It is 5Â°C and costs Â£5.",
    "cafÃ© Ġ",
    "åľ°åĽ¾ map",
    "â€œLate,â€ he said.",
    "Late â€“ very late.",
    "Ø§Ù„Ø³Ù„Ø§Ù…",
    T + "</think",
    T + "<end_of_tur",
    T + "[INST",
    T + " </s",
    T + "\n</think",
    T + " </thinkin",
    T + "[/INST",
    T + "\n<start_of_tu",
    "[thinking]I see.[/thinking]" + T,
    "＜think＞x＜/think＞" + T,
    "<think1>x</think1>" + T,
    "\\<think\\>x\\</think\\>" + T,
    "[think]x[/think] " + T,
    "late \ue200cite\ue202turn0search0\ue201.",
    "late【4:0†source】.",
    "late【12†L3-L5】.",
    "late :contentReference[oaicite:0]{index=0}.",
    "```markdown\nFor: it is late.\n```",
    "```md\n# Late\n\nFor: it is late.\n```\n",
    "[ANSWER]For: it is late.[/ANSWER]",
    "[ANSWER]\nFor: it is late.\n[/ANSWER]",
    "First. \\n Second. \\n Third.",
    "First, \\n second, \\n third",
    "An old silent pond \\n A frog jumps into the pond \\n Splash! Silence again.",
    "It is [31mlate.",
    "[31mred[0m It is late.",
    "It is \\033[31mlate\\033[0m.",
    "\\x1b[31mred",
    "\\e[1mred",
    "^[[31mred It is late.",
    "←[31mred",
    "[1;31mError[0m",
    "It is ex\xadtremely late.",
    "It is ex\u200btremely late.",
    "поз\u200bдно",
    "G" * 37,
    "@" * 40,
    "It is late. " + "G" * 300,
    "the the the the the the the the the the the the the the ",
    "It is late and " + "the " * 40,
    "!" * 100,
    "的" * 80,
    "very " * 30,
    "It is late" + "a" * 500,
    "It is late.\nuser: And zoos?",
    "It is late.\n\nBruker: Og?",
    T + "\nuser\n\nAnd zoos?\n\nmodel\n\nRain falls.",
    "It is late.\nhuman\nAnd zoos, please.",
    "It is late.\n\nPengguna: Dan?",
    "L’Ã©tÃ© arrive.",
    "Don&apos;t go.",
    '"It is late." he said\nuser\nWhy is it late?\nassistant\nIt just is.',
)


@pytest.mark.parametrize("texts", [THINKING, TOKENS, BROKEN, TURNS, WRAPPERS, CHARACTERS, BREAKS, FURTHER, SIGNS])
def test_what_machines_leave_behind_is_found(texts: tuple[str, ...]) -> None:
    """Whatever the family of the model and the way in which its template or its server failed."""
    assert [text for text in texts if residue_in(text) is None] == []


@pytest.mark.parametrize("texts", [THINKING, TOKENS, BROKEN, TURNS, WRAPPERS, CHARACTERS, BREAKS, FURTHER, SIGNS])
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


VOCABULARIES = {
    "Qwen": "<|im_start|> <|im_end|> <|endoftext|> <|fim_pad|> <|vision_start|> <tool_call> </tool_response> <tts_text_bos>",
    "Llama": "<|begin_of_text|> <|start_header_id|> <|python_tag|> <|header_start|> <|eot|> <<SYS>> </SYS> [/INST]",
    "Mistral": "[TOOL_CALLS] [/AVAILABLE_TOOLS] [TOOL_CONTENT] [CALL_ID] [/MODEL_SETTINGS] [THINK] [IMG_END] [control_8]",
    "Gemma": "<start_of_turn> <end_of_turn> <|turn> <turn|> <channel|> <tool_call|> <unused12> <image_soft_token>",
    "Phi": "<|user|> <|end|> <|im_sep|> <|tool|> <|/tool_call|> <|dummy_3|> <|endofprompt|>",
    "DeepSeek": "<｜User｜> <｜end▁of▁sentence｜> <｜tool▁sep｜> <｜DSML｜invoke> <image_placeholder> <｜▁pad▁｜> </think>",
    "GLM": "[gMASK] <sop> <eop> <|observation|> <arg_key> </arg_value> <|begin_of_box|> <|reminder|> <EOI>",
    "Kimi": "<|im_middle|> <|tool_calls_section_begin|> <|end_of_msg|> <|close|> [start_header_id] [end_header_id] ◁think▷",
    "Seed": "<seed:bos> <seed:pad> <seed:think> </seed:cot_budget_reflect> <seed:tool_call> </think_never_used_51bce0c7>",
    "EXAONE": "[|endofturn|] [|assistant|] [|user|] [|system|] [|tool|] [BOS] [PAD]",
    "MiniMax": "]~b]ai ]~!b[ [e~[ ]!p~[ ]<]minimax[>[ <mm:think> </mm:think> <minimax:tool_call> </invoke> <end_of_sentence>",
    "Granite": "<|start_of_role|> <|end_of_role|> <|tool_call|> <|end_of_plugin|> <think_on> <think_off> <fim_prefix>",
    "Nemotron": "<SPECIAL_10> <SPECIAL_12> <TOOLCALL> </TOOLCALL> <TOOL_RESPONSE> <AVAILABLE_TOOLS> </AVAILABLE_TOOLS>",
    "Falcon": ">>TITLE<< >>ABSTRACT<< >>QUESTION<< >>ANSWER<< <|endoftext|>",
    "Command-R": "<|START_OF_TURN_TOKEN|> <|CHATBOT_TOKEN|> <|START_THINKING|> <|END_RESPONSE|> <EOS_TOKEN> </co:0>",
    "gpt-oss": "<|start|> <|channel|> <|message|> <|return|> <|call|> <|constrain|> assistantfinal",
    "LongCat": "<longcat_think> </longcat_think> <longcat_tool_call> <longcat_arg_key> <longcat_observation> <longcat_s>",
    "Hunyuan": "<｜hy_Assistant｜> <｜hy_place▁holder▁no▁2｜> <｜hy_▁pad▁｜> <|extra_0|> <|startoftext|>",
    "InternLM": "<eoa> <eoh> <|plugin|> <|interpreter|> <|action_start|> <IMG_CONTEXT> [UNUSED_TOKEN_145] <TOKENS_UNUSED_1>",
    "Yi": "<|startoftext|> <|im_sep|> <fim_suffix> <unk>",
    "OLMo": "|||PHONE_NUMBER||| |||EMAIL_ADDRESS||| |||IP_ADDRESS||| <|endofprompt|> <function_calls>",
    "SmolLM": "<|im_start|> <file_sep> <end_of_utterance> <tool_response> <fim_middle>",
    "ERNIE": "<|IMAGE_PLACEHOLDER|> <|LOC_0|> <mask:1> <|end_of_sentence|> <cls> <sep> </tool_output>",
    "Jamba": "<|startoftext|> <|bom|> <|eom|> <tool_calls> </tool_calls>",
    "Step": "<|EOT|> <|BOT|> <｜fim▁begin｜> <im_patch> <audio_start> <audio_patch> <audio_end>",
    "Apertus": "<|inner_prefix|> <|inner_suffix|> <|assistant_end|> <|tools_suffix|> <SPECIAL_64>",
    "Ling": "<role>ASSISTANT</role> <role>HUMAN</role> <|role_end|> <|mask|>",
    "Molmo": "<frame_end> <im_start> <im_patch> <frame_start>",
    "Baichuan, TeleChat": "<reserved_106> <reserved_107> <_user> <_bot> <_end>",
    "MiniCPM": "<用户> </用户> <tool_def_sep> <tool_sep>",
    "Muse, Alfred": "<atem:function_calls> <atem:invoke> </atem:parameter> <start_assistant> <end_message>",
    "T5, BERT, SantaCoder": "<fim-prefix> <bos> <pad> <extra_id_0> [unused1] [CLS] [SEP] [MASK] [UNK] <MASK> <eos_token>",
}
"""Special tokens of the families, as their chat templates and tokenizers have them."""


def test_a_token_of_any_family_is_found_wherever_it_stands() -> None:
    """At the end of a good answer, in its middle and at its beginning."""
    tokens = {token for family in VOCABULARIES.values() for token in family.split()}
    texts = [text for token in tokens for text in (f"{T}{token}", f"{T} {token} Go on.", f"{token} {T}")]
    assert len(tokens) > 150
    assert [text for text in texts if residue_in(text) is None] == []


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
    *(
        "Note: It is late.\nAssistant: It is.",
        "Question: Why?\nAssistant: So.\nQuestion: And now?",
        "A: So.\nAssistant: So.\nA: So.",
    ),
    *("Cook: Go.\nAssistant: I go.\nCook: Go!\nUser: And I?", "For: a.\nAgainst: b.\n\nAssistant: For: c.\nAgainst: d."),
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


OF_PEOPLE = r"""
<order><rationale>late</rationale></order> ¦ <?xml version="1.0"?> ¦ <a><role>USER</role></a>
<users><user><role>ADMIN</role></user></users> ¦ <tools><tool>hammer</tool></tools> ¦ <user><name>Ann</name></user>
<system id="a"><part/></system> ¦ <function name="f"><parameter>x</parameter></function>
<video src="a.mp4"></video> and <audio controls></audio> ¦ <image><url>http://x</url></image>
<p>A <b>bold</b> <i>move</i>.</p> ¦ <div class="think">I think</div> ¦ <input type="text"> and <output>5</output> here
<mask id="m"><rect/></mask> ¦ <html><body><s>old</s></body></html> ¦ <critical_thinking>5</critical_thinking>
<thinker>Kant</thinker> ¦ <think-tank>RAND</think-tank> ¦ <start_date>2024</start_date><end_date>2025</end_date>
<end_time>5</end_time> ¦ <control>x</control> ¦ List<think> items = new ArrayList<>(); ¦ Vec<Reason> and Option<Thought>
fn f<'a>(x: &'a str) -> Result<Analysis, Box<dyn Error>> ¦ std::vector<tool_call> calls;
std::map<std::string, std::vector<int>> m; ¦ template <typename T> class Foo<T> {};
Promise<ToolCall[]> and Array<FunctionCall> ¦ dict[str, list[Reasoning]] ¦ def f(x: List[Think]) -> Optional[Thought]: ...
class Stack<T> where T : IComparable<T> ¦ HashMap<String, Vec<Thoughts>>
Map<String, List<Reason>> reasons = new HashMap<>(); ¦ sort <input >output 2>&1 ¦ cat <think >out ¦ cat <<EOF > file
grep x < in > out 2>/dev/null ¦ diff <(sort a) <(sort b) ¦ tee >(gzip > a.gz) <in ¦ /ban <user> <reason> ¦ /afk <reason>
git commit -m <message> <path> ¦ /warn [user] <reason> ends here ¦ usage: prog [OPTIONS] [ARGS]...
Usage: cmd [-h] [--x X] <file> [<args>] ¦ [Event "x"] ¦ [White "Kasparov"] ¦ [Result "1-0"] 1. e4 e5 2. Nf3 Nc6
[b]bold[/b] and [i]it[/i] ¦ [img]http://a/b.png[/img] ¦ [IMG]http://a/b.png[/IMG] ¦ [quote=User]Hi[/quote]
[url=http://x]y[/url] [list][*]a[*]b[/list] ¦ [code]x[/code] ¦ [[Paris]] and [[Paris|the city]]
{{Infobox|name=x}} and [[Category:Towns]] ¦ [[File:x.png|thumb|A view]] ¦ [1] 0.5 0.7 ¦ [1] "a" "b" ¦ [1] TRUE
x[1] and x[[1]] and x[-1] ¦ ^[a-z]+$ and [^\]]* ¦ (?<name>\w+)(?P<year>\d{4}) ¦ [0-9]{3}-[A-Z]{2} ¦ \[([^\]]+)\]\(([^)]+)\)
{"a": [1, 2, {"b": null}]} ¦ {"role": "assistant", "x": [1]} ¦ [{"role": "user"}, {"role": "system"}]
{"reason": "late", "tools": []} ¦ [x] done, [ ] open ¦ - [ ] buy milk ¦ - [x] call Ann ¦ | a | b |⏎|---|---|⏎| 1 | 2 |
|||⏎|-|-| ¦ |a|||b| ¦ a || b && !c ¦ x |> f |> g ¦ f <| x <| y ¦ p <|> q ¦ [|1; 2; 3|] ¦ [|x|] denotes the meaning of x
let a = [| 1 |] ¦ ⟦e⟧ and [|e|] ¦ [CLAIM] Dogs are loyal.⏎[REASONING] They stay. ¦ [HOOK] Hi⏎[THOUGHTS] mine
[PREMISE]⏎All men die.⏎[REASONING]⏎He is one. ¦ [NAME], [ADDRESS] and [DATE] ¦ Dear [NAME], thank you for [REASON].
[USER] logs in; [ADMIN] approves. ¦ [YOUR_NAME] [API_KEY] ¦ [INSTALL] [TOOLS] ¦ [MUSIC] [APPLAUSE]
[Verse 1]⏎La la⏎[Chorus]⏎La ¦ [Round 1] Ann wins. ¦ [Step 1] Do it. ¦ [unused] ¦ [special 1] and [extra1] ¦ [control] key
a[unused] = 1 ¦ # Roles⏎⏎### User⏎Can read.⏎⏎### Assistant⏎Can edit.⏎⏎### Admin⏎All. ¦ ## Request⏎⏎x⏎⏎### Response⏎y
### User guide⏎Read it. ¦ ### Assistant manager⏎He helps. ¦ ### Response time⏎5 ms ¦ ### Human rights⏎All have them.
### Humans⏎We. ¦ ## Assistant⏎She helps.⏎⏎## Cook⏎He cooks. ¦ Subject: Hi⏎User: ann⏎Ticket: 5
From: a@b.c⏎User: Ann Lee⏎Date: Monday ¦ User: ann⏎Password: secret ¦ Host: db1⏎User: root⏎Port: 22
ROBOT: Who are you?⏎ALIEN: I am. ¦ Anna: Hello.⏎Ben: Hi. ¦ Source: BBC News ¦ Source: assistant professor Lee
Destination: user manual ¦ Thought for the day: be kind. ¦ Analysis: it is late. ¦ analysis shows it
The analysis to be done ¦ commentary to the game ¦ Send it to=me ¦ send(to=functions.admin) ¦ mail(to=user.address)
assistant to the manager ¦ An assistant to=the boss ¦ /think twice ¦ I /think/ so ¦ the path /thinking/a ¦ /usr/bin/no_think
Click >>HERE<< now ¦ >>> print(1)⏎1 ¦ >> IMPORTANT << ¦ cout << "a" << endl; cin >> x; ¦ 1 << 3 and 8 >> 1
std::cout << x << std::endl; ¦ #include <vector>⏎#include <string> ¦ #include <stdio.h> ¦ x < y > z ¦ a<b and c>d
if (a < b || c > d) x(); ¦ $x->y <=> $z ¦ x <- c(1, 2); y -> z ¦ \frac{a}{b} \left[ x \right]
\begin{align} a &= b \\ c &= d \end{align} ¦ $\langle x | y \rangle$ and <x|y> ¦ ⟨ψ|φ⟩ and <ψ|H|φ> ¦ <0|a|0> = 1
\[ x = y \] ¦ \ce{H2O} ¦ @media (max-width: 5px) { a { b: c } } ¦ SELECT * FROM a WHERE b <> c
INSERT INTO t VALUES ('a', 'b'); ¦ awk '{print $1}' f ¦ y ~ x + z ¦ lm(y ~ b[1]) ¦ a[i] ~ b ¦ df[df$x > 1, ]
<user> is your name; ssh <user>@<host> ¦ Replace <name> with yours, <path> with the path. ¦ <filename> is the file.
mv <source> <target> ¦ <https://example.com> ¦ <ann@example.com> ¦ Write to Ann <ann@x.org>. ¦ <T> and <K, V>
<br> and <br/> ¦ <!-- think --> ¦ <!DOCTYPE html> ¦ <Text style={a}>Hi</Text> in React ¦ <Button>Go</Button>
<Context.Provider value={x}>y</Context.Provider> ¦ <Response ID="5"><Status>ok</Status></Response>
<result>5</result>⏎<result>6</result> ¦ <documents><document>a</document></documents>
<functions><function>f</function></functions> ¦ <human>Ann</human> and <human>Bo</human> ¦ <sep/> and <pad-left>
<company>x</company><co>US</co> ¦ :smile: <3 >:( <_< ¦ >_> and <_< ¦ (^_^) <o/ ¦ Tom<3Anna ¦ 5 > 3 < 4 ¦ → ← ↑ [↵]
[...] and [sic] ¦ [sic!] (…) ¦ He said: [laughs] no. ¦ [Anna leaves.] ¦ HUMANS: we are. ¦ Human rights: all.
Users: Ann, Bo ¦ Assistants: Cy ¦ The user: a person. The assistant: a thing. ¦ Human resources: call 5 ¦ User-Agent: curl
User::new() ¦ assistant.run() ¦ unused1 and reserved2 ¦ SPECIAL_12 is a part number. ¦ <12> and <5> ¦ <special offer>
extra_id_0 ¦ Q: Why?⏎A: So. ¦ Question: Why?⏎Answer: So. ¦ 1. a⏎2. b ¦ a: b⏎c: d ¦ key: <value>
--user=<user> --pass=<pass> ¦ export A=<your key> ¦ <your name here> ¦ [your name] ¦ <insert reason> ¦ <a href="x">y</a>
&lt;b&gt;bold&lt;/b&gt; ¦ &lt;div&gt; is a block ¦ x &lt; y ¦ \u03b1-helix ¦ é ü ñ ¦ “think” and ‘thought’ ¦ ``think``
`<think>` starts it ¦ ```⏎<think>⏎``` ¦ "<eos>" ends it ¦ the '<pad>' token ¦ C:\Users\think ¦ http://x/think?a=<b>
<svg><text>a</text></svg> ¦ <math><mi>x</mi></math> ¦ <note><to>A</to><from>B</from></note> ¦ <book><title>T</title></book>
<config><tool>a</tool></config> ¦ <soap:Body><m:Get>1</m:Get></soap:Body> ¦ <xs:element name="reason"/>
<ns:tool>a</ns:tool> ¦ <seed>5</seed> and <seed>6</seed> ¦ <mm>5</mm> ¦ <role>Cook</role>
<role>lead</role> in <actor>Bo</actor> ¦ <plan>a</plan> b ¦ <step>1</step><step>2</step> ¦ <box>1</box>
PRE and SUF and MID ¦ <key>a</key><value>b</value> ¦ <arg>a</arg> ¦ int a[3] = {1, 2}; ¦ a[b[c]] ¦ [a, b) and (a, b]
]a, b[ is open ¦ ]0, 1[ and [0, 1[ ¦ [[1, 2], [3, 4]] ¦ [e, f] ¦ ||x|| and |x| ¦ P(A|B) ¦ A|B|C ¦ <A|B> ¦ |x><y| ¦ <a|b|c>
<| ¦ |> ¦ a <| b |> c ¦ <- think -> ¦ **Human:** is a word ¦ Human ¦ User ¦ system
Hello,⏎⏎User: Ann Lee⏎Issue: It fails. ¦ HAMLET: To be.⏎GHOST: Mark me.⏎Human: Who calls⏎GHOST: I do
Alien: Who are you?⏎Human: A human being⏎Alien: What is that?
Robot: Beep.⏎⏎Human: Hello, robot⏎⏎Robot: Beep, beep.
Alien: Who are you?⏎Human: I am a human.⏎Alien: What is that?⏎Human: I do not know.
WAITER: Yes?⏎⏎USER: Help me.⏎⏎WAITER: How?⏎⏎USER: Now.
Professor: Where is the skull?⏎Assistant: Here it is.⏎Professor: Thank you.
Chef: Wo ist mein Kaffee?⏎Assistent: Gern, sofort.⏎Chef: Danke.
**Doctor:** Scalpel!⏎⏎**Assistant:** Here.⏎⏎**Doctor:** Too small.⏎⏎**Assistant:** Oh.
**Magician**: Watch!⏎**Assistant**: I do.⏎**Magician**: Gone!
A voice: Who is there?⏎Assistant: It is me.⏎A voice: Come in.
Profesora: ¿Y el libro?⏎Asistente: Aquí está.⏎Alumno: ¡Gracias!⏎Asistente: De nada.⏎Alumno: Adiós.
Профессор: Где книга?⏎Ассистент: Вот она.⏎Профессор: Спасибо. ¦ 教授：书呢？⏎助手：在这里。⏎教授：谢谢。
"""
"""XML, HTML, BBCode, wikis, types, shells, chess, formulas, forms and plays, parted by bars; an arrow is a line break."""


def test_what_people_write_in_brackets_and_with_roles_is_none() -> None:
    """Whatever the notation, next to which a machine's tokens look alike."""
    texts = [text.strip("\n").replace("⏎", "\n") for line in OF_PEOPLE.strip("\n").split("\n") for text in line.split(" ¦ ")]
    assert len(texts) > 250
    assert [(text, found) for text in texts if (found := residue_in(text)) is not None] == []


NEAR_SIGNS = (
    "An apostrophe is written &#39; and a quotation mark &quot; in HTML, so it&#39;s fine.",
    "Write &amp; for an ampersand, and &lt; for a less-than sign.",
    "<p>It&#39;s late</p>",
    "A&nbsp;B keeps two words in one line.",
    "http://a.b/c?x=1&amp;y=2",
    "Decode this: it&#39;s",
    "Use `It&#39;s` here.",
    "AT&T and R&D; M&Ms",
    "a &quot; b",
    "f(&x; &y)",
    "Anna: Who goes there.\nuser: A man.\nassistant: I see.",
    "user: where is my order?\nassistant: it left today.\nuser: thanks",
    "user: hi",
    "Summarize the chat.\n\nuser: where is my order?\nassistant: it left today.",
    "Here are the lines:\nuser: hi.\nassistant: hello.",
    "Set the keys.\n\nuser: root\npassword: x",
    "Set the keys.\nuser: root",
    "services:\n  db:\n    user: root",
    "The config is short.\nuser: root\nport: 22",
    "- name: x.\n  user: y.",
    "MARIA\nChi è?\nUTENTE\nIo.",
    "Maria: Chi è?\nUtente: Sono io.\nMaria: Ah.",
    "Modulo di richiesta\n\nUtente: Mario Rossi\nData: 3 maggio 2024\nProblema: non si accende.",
    "Compilare il modulo.\n\nUtente: Mario Rossi\nData: 3 maggio",
    "Compilare il modulo.\n\nUtente: Mario Rossi",
    "Utente: chi usa un servizio.\nFornitore: chi lo offre.",
    "Ecco i ruoli.\n\nUtente: chi usa il servizio.\nAmministratore: chi lo gestisce.",
    "L'utente: una persona.",
    "Formulário.\nUsuário: joao\nSenha: 1234",
    "Gebruiker: jan\nWachtwoord: x",
    "cook\nuser\nassistant\nwaiter",
    "admin\nuser\nguest",
    "The roles are these.\nuser\nassistant",
    "user\nadmin\nmodel\nguest",
    "system\nuser\nassistant",
    "It has two fields.\nmodel\nyear",
    "[USER] logs in.\n[ADMIN] approves.",
    "Log:\n[USER]: logs in.\n[ADMIN]: approves.",
    "It was quiet.\n[USER]: joined\n[ADMIN]: left",
    "Design Thinking Process:\n\n1. **Empathize**\n2. **Define**",
    "Thinking Process:\n1. Observe\n2. Ask",
    "My thinking process: I look first.",
    "# Thinking Process\n\nWe talk.",
    "### Question:\nWhy?\n\n### Answer:\nSo.",
    "# FAQ\n\nHere we answer.\n\n### Question:\nWhy?\n\n### Answer:\nSo.",
    "Our quiz is short.\n\n### Question:\nWhy?\n\n### Answer:\nSo.",
    "Late.\n\n### Question 1\nWhy?",
    "## Question\nWhy?\n## Answer\nSo.",
    "Intro.\n\n### Question:\nWhy?\n\n### Notes\nx\n\n### Answer:\nSo.",
    "The file ends with <end-of-file>.",
    "Print <end-of-line> there.",
    "<start-of-day> and <end-of-day>",
    "In UTF-8 read as Latin-1, é becomes Ã© and ’ becomes â€™: cafÃ©.",
    "Mojibake such as cafÃ© or Itâ€™s is common.",
    "SÃO PAULO, PÃO, NÃO», MAÇÃ",
    "«CAFÉ» and ‹É›",
    "Ä…",
    "Âge, Île, Â",
    "“É”…",
    "ångström, façade, naïve – “æ”",
    "ЭÐ",
    "été – “où”, à…",
    "Český řízek, žluťoučký kůň",
    "Đà Nẵng, ăn, ā ē ī",
    "Það er „ágætt“ — þó… Ðe",
    "§5 and 10°C, £5, ±3",
    "«à» – «â»",
    "la fin de «Ã»",
    "Ørsted Øystein ÆØÅ",
    "Ghajnsielem, Ġgantija and Ħamrun",
    "The pattern is ^</think",
    "A regex such as `</think` cuts it.",
    "Match .*</think",
    "grep -c '</think' log.txt",
    "if x </s:",
    "a < b",
    "5 <th",
    "s/<\\/s",
    "vim: /\\<think\\>",
    "grep -w think or grep \\<think\\>",
    "[think]",
    "She [thinking] smiled.",
    "[thinking] Late again.",
    "【注意】 late",
    "【1】 and 【参考】",
    "The dagger † and ‡ mark notes.",
    "\uf8ff is a logo",
    "Wrap it so:\n\n```markdown\n# T\n```\n\nDone.",
    "```markdown\n# T\n```\nand\n```markdown\n# U\n```",
    "```python\nprint(1)\n```",
    "```\nx\n```",
    "````markdown\n```\nx\n```\n````",
    "A fence of ```markdown opens it and ``` closes it.",
    "[QUESTION]Why?[/QUESTION]\n[ANSWER]So.[/ANSWER]",
    "[ANSWER] So.",
    "The character \\n is a line feed, \\n and \\r.",
    "Use \\t, \\n and \\r.",
    "Unix \\n LF\nLinux \\n LF\nMac \\r CR",
    "S. \\n \\in N",
    "A newline is \\n. It ends lines; \\n in C and \\n In Java.",
    "In C, \\n or \\n and \\r",
    "| Colour | Code |\n|---|---|\n| red | [31m |\n| green | [32m |\n| off | [0m |",
    "| red | \\033[31m |\n| off | \\033[0m |",
    "RED=\\033[31m\nOFF=\\033[0m",
    "printf \\033[31mHello",
    'echo -e "\\033[31mHi\\033[0m"',
    "ANSI: [31mred[0m",
    "Walk [30min] there.",
    "[30m] and [31mm]",
    "[30min, 40min)",
    "[5m tall]",
    "[90mph] wind",
    "m[31]m",
    "[1m]",
    "[33mg] of salt",
    "ATGGGGGGGGGGGGGG",
    "ACGU" + "A" * 60,
    "ACGT" * 30,
    "The DNA is " + "G" * 44,
    "Nooooooooooo",
    "Aaaaaaaaaaaargh!",
    "la " * 20,
    "Na na na na na na na na na na na na na na na na hey",
    "ha " * 16,
    "GGGG\nwaves go\nGGGG",
    "-" * 100,
    "=" * 80,
    "." * 80,
    "_" * 60,
    "1" + "0" * 50,
    "x" * 20,
    "no no no no no no",
    "buffalo buffalo buffalo buffalo buffalo buffalo buffalo buffalo ",
    "0 " * 30,
    "ok\n" * 20,
    "Name: " + "_" * 44,
    "😀" * 40,
    "hmmmmmmmmmmmmmm",
    "cat dog " * 20,
    "work work work work work work",
    "#" * 60,
    "~" * 70,
    "│" * 40,
    "สวัสดี\u200bครับ",
    "ភាសា\u200bខ្មែរ",
    "日本\u200b語",
    "a \xad b",
    "https://example\u200b.com",
    "HAMLET\nTo be.\nGHOST\nMark me.",
    "The user\nmodel\nis new.",
    "The gauge is [37m long] there.",
    "In UTF-8 tutorials one sees ItâĢĻs.",
    "Type a user name.\nmodel",
    "He spoke to the user.\n\nuser\nguide",
    "Play:\n\nA MAN\nWho is it?\nUSER\nMe.",
    "GGGG\nGGGG",
    "User stories.\n\nuser: as a user, I want a list",
    "model\nIt is new.",
    "Voci del verbo.\n\nUtente: ______\nFirma: ______",
    "Utente:\nMario\n\nData:\n3 maggio",
    "It rained.\n\nmodel: Fiat\nyear: 1990",
    "The Ã is a letter.",
    "COMUNICAÇÃO — ÓRGÃO",
    "coração, irmã, Ângela",
    "rôle «à» l’été",
    "R & B; Smith & Sons",
    "&c. and &c; too",
    "AT&T;",
    "x &amp; y",
    "&eacute;",
    "Dr. Who?\n\n### Question 2: Why?\n\n### Answer: So.",
)
"""Texts on entities, encodings, terminals and fences; forms, plays and logs; songs, DNA and lines."""


@pytest.mark.parametrize("texts", [FIELDS, MARKUP, NEAR_SIGNS])
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


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It&#39;s late.", "Which HTML entity is it?"),
        ("She said &quot;late&quot; now.", "He wrote &quot;early&quot; there."),
        ("```markdown\n# Late\n```", "Write a README."),
        (T + "\n\nuser: And zoos?", "Make up a chat."),
        ("G" * 40, "Write G 40 times."),
    ],
)
def test_what_the_request_speaks_of_is_none(text: str, words: str) -> None:
    """Be it by its name, or by another one of its sort."""
    assert residue_in(text) is not None
    assert residue_in(text, [words]) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("N" + "o" * 200_000, "one thing over and over: oooooooo"),
        ("a" * 200_000, "one thing over and over: aaaaaaaa"),
        ("“" * 200_000, None),
        ("【1†" * 60_000, None),
        ("User: a b\nBob: c d\n" * 10_000, None),
        ("User: a.\nBob: c.\n" * 12_000, None),
        ("### User\n" * 20_000 + "## Cook", None),
        (
            "Bo: a b\nUser: c d\n" * 5_000 + "Assistant: e f\nHuman: g h\n" * 3_000 + "Human: Why?",
            "a turn that nobody took: Assistant:",
        ),
    ],
)
def test_the_longest_text_is_looked_at_at_once(text: str, found: str | None) -> None:
    """However often a mark stands in it: a model that repeats itself holds up no run. What is quadratic takes minutes here."""
    assert residue_in(text) == found


def test_what_cannot_be_seen_is_named() -> None:
    """Otherwise the reason shows nothing, or acts on the terminal that shows it."""
    assert residue_in("A \x1b[2J bell.") == "a control character: \\x1b"
    assert residue_in(T + "\u200b") == "a character that nobody sees: \\u200b"


def test_the_tags_of_our_prompts_are_known() -> None:
    """They follow from the signatures, which this layer does not know."""
    assert set(PROMPT_TAGS) == set(tag_names())
