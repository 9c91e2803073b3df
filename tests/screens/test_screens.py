"""What no new text may be: copies, echoes, residue, lengths out of range; and all that these leave alone."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from skills_dspy.base.config import NO_SCREENS
from skills_dspy.base.records import Kind, Reason, SeedExample
from skills_dspy.model.adapter import SkillsAdapter
from skills_dspy.model.steps import STEPS, Part, Subject
from skills_dspy.screens.echoes import tag_names
from skills_dspy.screens.screens import screened
from skills_dspy.screens.task_texts import NewText, TaskTexts, task_texts_of
from skills_dspy.tasks.files import load_task
from tests.helpers.making import a_config, a_spec
from tests.helpers.optimizing_lab import TASKS

DEBATE = "To teach a language model to hold a debate between two sides and to weigh what they said"
INSTRUCTIONS = tuple(SkillsAdapter().plan(step.source).system for step in STEPS.values())

ANSWER = (
    "For: cars take up most of the space in the old streets and poison the air. Against: shops live from people who come by "
    "car and carry heavy bags home. Conclusion: close the streets on weekends first and count the visitors."
)
FREEFORM = (
    SeedExample(question="Should a city close its old centre to private cars for good?", answer=ANSWER),
    SeedExample(
        question="A school wants to begin lessons an hour later. Let a parent and a teacher argue.",
        answer="Parent: I have to be at work by eight and nobody could take them. Teacher: they sleep through the first hour.",
    ),
    SeedExample(
        question="Argue whether zoos still have a place.",
        answer="Keeper: children who have seen an elephant want to save it. Visitor: what they have seen is a bored prisoner.",
    ),
)
TEXTS = (
    "Him and me was late for the train because the bus what we took have broke down near the bridge on a cold morning.",
    "The childs has eaten there breakfast and runned to school before the rain begun to fall over all of the gardens.",
    "She don't never remember where she have putted the keys of the shed, so us waits outside in the wind for a hour.",
)
REQUEST = (
    "Find every grammatical error in the text above, correct each of them, and explain in one sentence apiece what was wrong "
    "there"
)
GROUNDED = tuple(
    SeedExample(question=f"{REQUEST}.", answer=f"Corrected: {text.replace('was', 'were')} One verb was wrong.", context=text)
    for text in TEXTS
)


def material(seeds: tuple[SeedExample, ...] = FREEFORM, description: str = DEBATE, **bounds: Any) -> TaskTexts:
    """What texts of a task with these seeds are compared with, by the built-in bounds but for some."""
    config = a_config({"screens": bounds})
    return task_texts_of(a_spec(seeds, description=description), config.screens, INSTRUCTIONS)


OF_DEBATE, OF_GRAMMAR = material(), material(GROUNDED, "To teach a language model to correct a text")


def reason(
    part: Part,
    text: str,
    of: TaskTexts = OF_DEBATE,
    *,
    context: str | None = None,
    question: str | None = None,
    shown: str | None = None,
) -> Reason | None:
    """Why a text is rejected."""
    parts = {"context": context, "question": question, part: text}
    kind: Kind = "grounded" if parts["context"] else "freeform"
    found = screened(NewText(part, kind, Subject(**parts), {} if shown is None else {"ab12": shown}, of))
    return None if found is None else found[0]


# -- copies -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "text", "of"),
    [
        ("question", FREEFORM[0].question + " Explain in detail and give three reasons for each side.", OF_DEBATE),
        ("question", "Please answer this: should a city close its OLD centre, to private cars, for good?!", OF_DEBATE),
        ("answer", ANSWER, OF_DEBATE),
        ("answer", "Here is what I think about it. " + ANSWER[:140], OF_DEBATE),
        ("context", TEXTS[1], OF_GRAMMAR),
        ("context", "Look at this. " + TEXTS[1].replace("gardens", "houses"), OF_GRAMMAR),
    ],
    ids=["a tail", "a head", "word for word", "half of it", "a context", "one word changed"],
)
def test_what_is_taken_from_a_seed_is_a_copy(part: Part, text: str, of: TaskTexts) -> None:
    """The cases of a small model: a seed's question with a tail, its answer word for word, its context."""
    assert reason(part, text, of, context=None if of is OF_DEBATE else text) == "copy"


def test_the_reason_says_whose_words_they_are() -> None:
    """The seed is named, and the words are quoted, as a person has to find them."""
    found = screened(NewText("answer", "freeform", Subject(None, "Why?", ANSWER), {}, OF_DEBATE))
    assert found is not None
    assert found[1].startswith('41 words in a row are those of the answer of seed:0: "for cars take up most')


def test_what_the_prompt_showed_beside_the_seeds_is_not_copied_either() -> None:
    """An accepted pair that was an example."""
    own = "May a landlord forbid that his tenants keep a dog in the flat?"
    assert reason("question", own + " Be brief.", shown=own) == "copy"
    assert reason("question", own + " Be brief.") is None


def test_an_answer_that_is_its_question_is_a_copy() -> None:
    """A small model answered a query with that query; one that says more is none, nor is any where a seed does so."""
    asked = "SELECT AVG(height_m) FROM station LIMIT 1000"
    assert reason("answer", f"{asked}.", question=asked) == "copy"
    assert reason("answer", f"Asked for was {asked}.", question=asked) is None
    restored = material((SeedExample(question="where do you live", answer="Where do you live?"), *FREEFORM))
    assert reason("answer", "When does it open?", restored, question="when does it open") is None


@pytest.mark.parametrize(
    ("question", "answer", "found"),
    [
        ("Remove all empty folders below the folder build.", "find build -mindepth 1 -type d -empty -delete", "copy"),
        ("Which folders below build have nothing in them? Drop them.", "find build -mindepth 1 -type d -empty -delete", "copy"),
        ("Remove all empty folders below the folder build.", "find build -depth -type d -empty -delete", None),
        ("Which command looks for folders to remove in a tree?", "find build -mindepth 1 -type d -empty", None),
        ("Which command looks for folders to remove in a tree?", "find build -mindepth 1 -type d -empty -delete", "copy"),
        ("How do I look for fat files?", "find build -mindepth 1 -type d -empty -delete", None),
        ("Which folders below build have nothing in them? Drop them.", "find build -mindepth 1 -type d -empty", "copy"),
        ("Argue to a: which folders must leave now with build?", "find build -mindepth 1 -type d -empty", "copy"),
        ("Remove all empty folders below the folder build.", "find build -mindepth 1 -type", "copy"),
        ("Remove all empty folders below the folder build.", "find build -mindepth 1", None),
    ],
    ids=[
        *("in other words", "in quite other words", "another answer", "a few words", "many words", "another question"),
        *("a third of the words", "but for those of the skill", "five words", "too short to say"),
    ],
)
def test_a_seeds_answer_to_its_question_in_other_words_is_a_copy(question: str, answer: str, found: Reason | None) -> None:
    """The demo's small model asked a seed's question anew and answered with the seed's command."""
    seed = SeedExample(
        question="Give me a command that deletes all empty folders below the folder build.",
        answer="find build -mindepth 1 -type d -empty -delete\n\n`-delete` works from the deepest folder upwards.",
    )
    of = material((seed, *FREEFORM))
    assert reason("answer", answer, of, question=question) == found
    assert reason("answer", answer, of, question=question, context="A tree of folders.") is None


def test_what_two_seeds_answer_is_the_skills() -> None:
    """A label of five words and more is no copy where two seeds have it; with one it can only be told by its question."""
    said = ("This sentence is in the passive voice.", "This sentence is in the active voice.")
    seeds = [
        SeedExample(question=f"Which voice has this sentence: {text}", answer=said[n == 2]) for n, text in enumerate(TEXTS)
    ]
    new = {"question": f"Which voice has this sentence: {TEXTS[0][:40]} by a dog?"}
    assert reason("answer", said[0], material(tuple(seeds)), **new) is None
    assert reason("answer", said[0], material((seeds[0], seeds[2])), **new) == "copy"


OF_GULL_POINT = SeedExample(question="What did the lamp on Gull Point burn at first?", answer="Rapeseed oil", context=TEXTS[0])


@pytest.mark.parametrize(
    ("question", "context", "found"),
    [
        ("What did the lighthouse lamp on Gull Point burn at first?", "Galaxies dance.", "copy"),
        ("What did the lighthouse lamp on Gull Point burn at first?", "They bought rapeseed oil for it.", None),
        ("Did the lamp on Gull Point burn whale oil or rapeseed oil?", "Galaxies dance.", None),
        ("What did people in our village burn in their lamp every winter?", "Galaxies dance.", None),
    ],
    ids=["of nowhere", "of its text", "of its request", "of another question"],
)
def test_a_seeds_answer_to_its_question_about_another_text_is_a_copy(question: str, context: str, found: Reason | None) -> None:
    """A small model asked about a lighthouse that its own text had not, and knew the answer; what the text says is no copy."""
    of = material((OF_GULL_POINT, *GROUNDED))
    assert reason("answer", "Rapeseed oil", of, question=question, context=context) == found


def test_a_word_or_the_answer_of_a_single_seed_about_a_text_is_no_copy() -> None:
    """As a label is, which many questions have; and of one seed nobody can tell what belongs to the skill."""
    asked = {"question": OF_GULL_POINT.question, "context": "Galaxies dance."}
    one_word = OF_GULL_POINT.model_copy(update={"answer": "Oil"})
    assert reason("answer", "Oil", material((one_word, *GROUNDED)), **asked) is None
    assert reason("answer", "Rapeseed oil", material((OF_GULL_POINT,)), **asked) is None


LAMP = "A lamp of 60 watts burns five hours a day. How many kilowatt-hours does it use in 30 days?"
VERBS = 'Name three verbs that mean the same as "begin", separated by commas.'
CAPITAL = "法国的首都是哪座城市？"


@pytest.mark.parametrize(
    ("seed", "question", "found"),
    [
        (LAMP, "How many kilowatt-hours does a lamp of 60 watts use in 30 days, five hours a day?", "copy"),
        (LAMP, "How many kilowatt-hours does a lamp of 60 watts use in 31 days, five hours a day?", None),
        (LAMP, "Whether an old lamp burns five hours a day in 30 days?", "copy"),
        (LAMP, "Should an old city close its private place, whether zoos still have a lamp, watts, hours, days, five?", None),
        (LAMP, LAMP.replace("60", "40"), None),
        (LAMP, "A heater of 2 kilowatts runs for 90 minutes. How many kilowatt-hours is that?", None),
        (LAMP, "How many watts does it use?", None),
        (VERBS, VERBS.replace("begin", "finish"), None),
        (VERBS, "Separated by commas, name three verbs that mean the same as 'begin'!", "copy"),
        (CAPITAL, "德国的首都是哪座城市？", None),
        (f"{LAMP} {VERBS}", "Name verbs that mean the same.", None),
        (LAMP, "Should a school close in summer for good?", None),
    ],
    ids=[
        *("in other words", "a number of no seed", "more than half of it", "less than half of it"),
        *("another number", "the same skill", "a few words", "its frame", "in another order"),
        *("characters are no words", "a part of it", "words that two seeds have"),
    ],
)
def test_a_seeds_question_in_other_words_is_a_copy(seed: str, question: str, found: Reason | None) -> None:
    """A small model told a seed anew, and left out what it asked for; two seeds do not say which words are the skill's."""
    own = SeedExample(question=seed, answer="9 kilowatt-hours")
    assert reason("question", question, material((own, *FREEFORM))) == found
    assert reason("question", question, material((own, FREEFORM[0]))) is None
    assert reason("question", question, material((own, *FREEFORM)), context="Another text.") is None
    assert reason("context", "", material((own, *FREEFORM)), question=question) is None


def test_questions_are_compared_with_questions_alone() -> None:
    """A question may be about what an answer said."""
    assert reason("question", "Someone wrote: " + ANSWER[:100] + " Do you agree with that person?") is None


def test_what_the_seeds_have_in_common_is_no_copy() -> None:
    """One fixed request is put to every text; what only one seed has is its own."""
    text = "A new text, what have many a error in it, were wrote by I in the train between the two towns yesterday night."
    assert reason("question", f"{REQUEST}.", OF_GRAMMAR, context=text) is None
    own = "Count all the nouns of this passage, sort them by the letter that they begin with, and put each one on its own line"
    of = material((*GROUNDED[:2], GROUNDED[2].model_copy(update={"question": own})))
    assert reason("question", f"{own}.", of, context=text) == "copy"


def test_the_request_of_a_single_grounded_seed_may_be_put_to_another_text() -> None:
    """Nobody can tell what of it belongs to the skill; a freeform question has nothing beside it that would be new."""
    assert reason("question", f"{REQUEST}.", material(GROUNDED[:1]), context="Another text.") is None
    assert reason("question", FREEFORM[0].question + " Say why.", material(FREEFORM[:1])) == "copy"


def test_a_seed_that_stands_there_twice_is_still_one_seed() -> None:
    """What it says is not what all seeds say."""
    assert reason("answer", ANSWER, material((FREEFORM[0], *FREEFORM))) == "copy"


def test_seeds_with_one_question_have_their_own_answers() -> None:
    """Where all ask for the same, as for a joke, each answer may not be copied."""
    seeds = tuple(SeedExample(question="Debate something.", answer=seed.answer) for seed in FREEFORM)
    assert [reason("answer", seed.answer, material(seeds)) for seed in seeds] == ["copy"] * 3


def test_seeds_that_quote_one_text_do_not_make_it_everybodys() -> None:
    """Several seeds about the same text, as most of the taxonomy has it: its words are in each of their answers."""
    seeds = tuple(
        SeedExample(question=f"{verb} the text.", answer=f"{verb}: {TEXTS[0]} That is all of it.", context=TEXTS[0])
        for verb in ("Repeat", "Copy", "Quote")
    )
    assert reason("answer", f"Repeat: {TEXTS[0]}", material(seeds), context="Another text.", question="Repeat it.") == "copy"


def test_a_text_may_repeat_what_it_was_written_for() -> None:
    """A corrected text has the words of the faulty one, also where a seed's answer happens to have them."""
    new = "Us was told that the ferry what leave at noon have been cancelled on account of the storm what come in from the sea."
    seeds = (*GROUNDED, SeedExample(question="Correct it.", answer=f"{new} It is fine.", context="Something else."))
    answer = f"Corrected: {new} One verb was wrong."
    assert reason("answer", answer, material(seeds), context=new, question=f"{REQUEST}.") is None
    assert reason("answer", answer, material(seeds), context="It rains.", question=f"{REQUEST}.") == "copy"


def test_scripts_without_spaces_are_compared_by_their_characters() -> None:
    """Forty Chinese characters make twenty words."""
    said = "城市应该永远禁止私家车进入老城区吗请让商店老板和骑自行车的学生各自说明理由然后给出一个公平的结论谢谢大家"
    of = material((SeedExample(question=said, answer="可以。"), *FREEFORM[1:]))
    assert reason("question", "新问题：" + said[:42] + "？", of) == "copy"
    assert reason("question", "学校应该把上课时间推迟一个小时吗？请让家长和老师说明理由。", of) is None


NATURE = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "islet", "jetty")
WORDS = st.lists(st.sampled_from(NATURE), min_size=3, max_size=60)


@given(WORDS, st.sampled_from(("question", "answer")))
def test_a_text_without_any_overlap_passes(words: list[str], part: Part) -> None:
    """Whatever its words are and how many."""
    assert reason(part, " ".join(words).capitalize() + ".") is None


@given(st.integers(0, 41), st.integers(0, 41))
def test_a_stretch_of_a_seed_is_a_copy_from_the_bound_on(start: int, length: int) -> None:
    """Exactly from as many words in a row as are set."""
    words = ANSWER.split()
    taken = words[start : start + length]
    said = reason("answer", " ".join(["Well,", *taken, "indeed."]), question="Why?")
    assert (said == "copy") == (len(taken) >= 20)


# -- echoes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "<task_description>\nTo debate.\n</task_description>\n\n<examples>\n<example>\nA text.\n</example>\n</examples>",
        "It is given in the <task_description> above.",
        "A text.\n<examples>\n<question>\nWhy is that so?",
        "To teach a language model to find errors, you would need to create a text that has many of them in it.",
        "A debate is what teaches a large language model to see two sides.",
        "In the realm of natural language processing, the task is to show the ability of a language model to construct texts.",
        "The task description is to find what two sides have to say.",
        "In the realm of debates, the task at hand requires two sides.",
        "It requires a language model capable of generating coherent debates.",
        "As a language model, I can help you with a variety of tasks.",
        DEBATE,
        f"{DEBATE}.",
        "Here hold a debate between two sides and to weigh what the neighbours think of it.",
        "Sure! It gives everything that a definite answer needs, and a language model can answer it in text.",
    ],
    ids=[
        "prompt",
        "tag",
        "part",
        "talk",
        "talk too",
        "ability",
        "of the task",
        "at hand",
        "capable",
        "of itself",
        "description",
        "its words",
        "a stretch of it",
        "instructions",
    ],
)
@pytest.mark.parametrize("part", ["context", "question", "answer"])
def test_a_prompt_that_comes_back_is_an_echo(part: Part, text: str) -> None:
    """Its markup, its instructions, the task's description, or talk about the task."""
    assert reason(part, text, context="A text." if part != "context" else text) == "echo"


TABLES = tuple(
    SeedExample(question=question, answer="SELECT 1;", context=context)
    for question, context in (
        ("Which members have a book?", "CREATE TABLE member (id INTEGER PRIMARY KEY, name TEXT, joined DATE);"),
        ("How warm was it?", "CREATE TABLE station (id INTEGER PRIMARY KEY, name TEXT, height_m INTEGER);"),
        ("Which rooms are free?", "CREATE TABLE room (id INTEGER PRIMARY KEY, name TEXT, seats INTEGER);"),
    )
)
SQL = "To teach a language model to write one SQL query that answers a question about the tables it is given"


@pytest.mark.parametrize(
    "text",
    [
        "Writing complex SQL queries to answer detailed inquiries about various tables, showcasing proficiency in databases.",
        "Given a table of historical events and a specific event, write a query to find the year and month of the event.",
        "Given a list of birds, and some of their nests, calculate how many eggs there are in all.",
        "To develop a query for the names of all vegetarian dishes from the database, you would filter the table of dishes.",
        "Given a table of books, select the titles of books published in 2020 that are available for purchase.",
        "New context: a shop that sells fish.",
        "Rivers and lakes. The language model has to find out which is longer.",
        "Somebody writes a review. The AI assistant replies with one of three labels.",
    ],
)
def test_a_context_that_talks_of_its_task_is_an_echo(text: str) -> None:
    """In words of its description, whatever their forms, or as one tells what would be done, where material was asked for."""
    assert reason("context", text, material(TABLES, SQL)) == "echo"
    assert reason("context", text, material(TABLES, SQL, echoed_words=None)) is None
    # What is asked may well be asked so.
    assert reason("question", text, material(TABLES, SQL), context=TABLES[0].context) is None


@pytest.mark.parametrize(
    "text",
    [
        "CREATE TABLE query_log (model_id INTEGER, asked DATE, sql TEXT, answer TEXT);",
        "CREATE TABLE question (id INTEGER PRIMARY KEY, language TEXT, written DATE);",
    ],
)
def test_a_context_with_some_words_of_its_task_is_material(text: str) -> None:
    """A table of questions is a table."""
    assert reason("context", text, material(TABLES, SQL)) is None


def test_a_context_that_asks_is_an_echo_where_seeds_share_no_words_too() -> None:
    """Contexts in prose have no marks in common."""
    assert reason("context", "Given a table of books, select the titles of those from 2020.", OF_GRAMMAR) == "echo"


@pytest.mark.parametrize(
    "text",
    [
        "Ticket 9: The user has no access to the shared drive since Monday, and asks who can give it back.",
        "The assistant replies to the letter of the minister on Monday, and the committee meets again in May.",
    ],
)
def test_users_and_assistants_are_people(text: str) -> None:
    """A ticket or the minutes of a meeting speak of them."""
    assert reason("context", text, OF_GRAMMAR) is None


def test_a_context_may_begin_as_a_task_does() -> None:
    """What is given there is no task, and nobody is asked for anything."""
    text = "Given the rain of the last weeks, the farmers of the valley wait. They write letters to the mayor about the dam."
    assert reason("context", text, OF_GRAMMAR) is None


def test_of_contexts_by_strong_models_next_to_no_material_is_an_echo_and_most_talk_is() -> None:
    """Fifteen tasks with ten or twelve contexts of either kind each; what passes has few words of the description."""
    passed: dict[str, list[str]] = {"material": [], "talk": []}
    for case in yaml.safe_load((Path(__file__).parent / "contexts.yaml").read_text(encoding="utf-8")):
        if case["task"]:
            spec = load_task(TASKS / case["task"])[0]
        else:
            seeds = tuple(SeedExample(question="What is it?", answer="It is so.", context=text) for text in case["contexts"])
            spec = a_spec(seeds, description=case["description"])
        of = task_texts_of(spec, a_config({}).screens, INSTRUCTIONS)
        for kind, texts in passed.items():
            texts += [text for text in case[kind] if reason("context", text, of) is None]
    assert len(passed["material"]) >= 163, "of 164: one line of a dialogue has the words of its description"
    assert len(passed["talk"]) <= 52, "of 164"


def test_a_context_may_talk_of_the_task_as_a_seeds_does() -> None:
    """Where the skill is to better prompts, its contexts are prompts."""
    seeds = tuple(
        SeedExample(
            question="Make it shorter.", answer="Add.", context=f"Given a {thing} and a {thing}, calculate how many there are."
        )
        for thing in ("bird", "fish", "tree")
    )
    of = material(seeds, "To make a prompt shorter that asks to calculate")
    assert reason("context", "Given a boat and a harbour, calculate how long it takes.", of) is None


def test_what_a_seed_says_as_well_is_no_echo() -> None:
    """A skill of writing prompts has tags, a skill about teaching models talks of it, a request may be the description."""
    seeds = (
        SeedExample(
            question="Write a prompt.", answer="<question>\nWhat is it?\n</question>\nIt should teach a language model."
        ),
        SeedExample(question="Name the capital of a country and say how many people live there now.", answer="Paris."),
    )
    of = material(seeds, "Name the capital of a country and say how many people live there now")
    assert reason("answer", "<question>\nWho was it?\n</question>\nTo teach a language model.", of) is None
    assert reason("question", "Name the capital of a country and say how many people live there now!", of) != "echo"
    assert reason("answer", "A text.\n<examples>\nOne.", of) == "echo"


def test_what_was_asked_about_may_be_said() -> None:
    """A question about such models has an answer about them; elsewhere it is talk about the task."""
    answer = "Whoever has many texts can train a language model."
    assert reason("answer", answer, question="Who can do it?") == "echo"
    assert reason("answer", answer, question="Who can train a language model?") is None


@pytest.mark.parametrize(
    "text",
    [
        "Use <answer> and <path d='M0 0'/> inside a line of markup, as in XML.",
        "The example shows two sides of a debate, and the question is about cars.",
        "<div>\n<p>Hello</p>\n</div>",
    ],
)
def test_what_only_looks_like_a_prompt_passes(text: str) -> None:
    """Other markup, and words that every prompt has too."""
    assert reason("answer", text) is None


PLAN = ("subject: river otters", "form: a table")


@pytest.mark.parametrize("part", ["context", "question"])
@pytest.mark.parametrize(
    ("text", "echoes"),
    [
        ("Subject: river otters; form: a table. What do they eat?", True),
        ("Write about this (subject:  River Otters) for a child.", True),
        ("**Form:** a table\nWhich otters are there?", True),
        ('{"subject": "river otters"}', True),
        ("What do river otters eat? Answer with a table.", False),
        ("On the subject of river otters: a table, please.", False),
        ("The subject: river ottery in England.", False),
        ("Subject: sea otters. What do they eat?", False),
    ],
)
def test_a_text_that_names_its_plan_is_an_echo(part: Part, text: str, echoes: bool) -> None:
    """An axis with its value as it was told; the value alone is what was asked for."""
    found = screened(NewText(part, "freeform", Subject(**{part: text}), {}, OF_DEBATE, PLAN))
    assert (found is not None and found[0] == "echo") == echoes
    if found is not None and "Form" in text:
        assert found[1] == 'it names its plan: "form: a table"'


def test_an_axis_that_a_seed_names_as_well_may_be_named() -> None:
    """As in a skill about e-mails, which have a subject; the other axes may not."""
    of = material((*FREEFORM, SeedExample(question="Write an e-mail.", answer="Subject: a late train\nDear all, it is late.")))
    said = [
        screened(NewText("question", "freeform", Subject(question=text), {}, of, PLAN))
        for text in ("Write to me. Subject: river otters", "Write to me. Form: a table")
    ]
    assert [found and found[0] for found in said] == [None, "echo"]


def test_the_reason_of_an_echo_says_what_came_back() -> None:
    """The whole description is called that, and not by the words that it begins with."""
    said = [
        screened(NewText("context", "grounded", Subject(text), {}, OF_DEBATE)) for text in (f"{DEBATE}.", f"Well. {DEBATE}")
    ]
    assert said == [
        ("echo", "it is the task description"),
        ("echo", 'it holds "teach a language model", which is of the prompt'),
    ]


def test_every_tag_of_our_prompts_is_known() -> None:
    """They are read from the signatures."""
    assert set(tag_names()) >= {"task_description", "examples", "example", "context", "questions", "question", "answer"}
    assert "explanation" not in tag_names()


# -- residue ------------------------------------------------------------------------------------------------------------

LEFT_OVER = {
    "think": "<think>\nThe user wants a debate.\n</think>\nFor: it is late.",
    "think's end": "so I answer.\n</think>\nFor: it is late.",
    "Mistral's thinking": "[THINK]Let me see.[/THINK]For: it is late.",
    "channel": "<|channel|>analysis<|message|>For: it is late.",
    "ChatML": "For: it is late.<|im_end|>",
    "Llama": "For: it is late.<|eot_id|>",
    "DeepSeek": "For: it is late.<｜end▁of▁sentence｜>",
    "Gemma": "For: it is late.<end_of_turn>",
    "Mistral": "[INST] Debate it. [/INST] For: it is late.",
    "end of sequence": "For: it is late.</s>",
    "byte": "For: it is<0x0A>late.",
    "tool": '<tool_call>\n{"name": "search"}\n</tool_call>',
    "wrapper": "<answer>\nFor: it is late.\n</answer>",
    "half a wrapper": "For: it is late.\n</answer>",
    "next turn": "For: it is late.\n\nUser: And what about zoos?",
    "human": "For: it is late.\nHuman: And zoos?",
    "Alpaca": "For: it is late.\n\n### Instruction:\nDebate zoos.",
    "bell": "For: it is\x07 late.",
    "replacement": "For: it is \ufffd late.",
    "carriage": "For: it\ris late.",
    "written-out breaks": "For: it's late.\\n\\nAgainst: it isn't.",
    "one by one": "For: late.\\nAgainst: early.\\nConclusion: none.",
}


@pytest.mark.parametrize("text", LEFT_OVER.values(), ids=LEFT_OVER)
def test_what_a_machine_leaves_behind_is_residue(text: str) -> None:
    """Think blocks, tokens of any chat template, wrappers, control characters, invented turns, breaks written out."""
    assert reason("answer", text) == "residue"


@pytest.mark.parametrize("text", LEFT_OVER.values(), ids=LEFT_OVER)
def test_what_the_seeds_hold_as_well_belongs_to_the_skill(text: str) -> None:
    """A skill about chat templates, dialogues or escape sequences must not lose its rows."""
    seeds = (SeedExample(question="Show one.", answer=f"{text}"), *FREEFORM)
    assert reason("answer", text.replace("late", "cold"), material(seeds)) != "residue"


@pytest.mark.parametrize(
    "text",
    [
        'print("one\\n\\ntwo")',
        "Use `\\n\\n` between paragraphs.",
        "The gradient \\nabla f and \\nu are not \\neq 0.",
        "C:\\new\\notes and C:\\News",
        "First line\r\nsecond line\twith a tab",
        "We think: users and humans differ. The assistant: a person.",
        "## Input\nTwo numbers.\n## Response\nTheir sum.",
        "a <| b |> c, [INSTALL], <strong>late</strong>",
    ],
)
def test_what_only_looks_like_residue_passes(text: str) -> None:
    """Code, formulas, paths, headings and line ends of another system."""
    assert reason("answer", text) is None


def test_a_character_that_cannot_be_seen_is_named() -> None:
    """Otherwise the reason shows nothing."""
    found = screened(NewText("answer", "freeform", Subject(None, "Why?", "A \x07 bell."), {}, OF_DEBATE))
    assert found == ("residue", "it has a control character: \\x07")


# -- length -------------------------------------------------------------------------------------------------------------


def test_a_text_far_outside_the_seeds_is_rejected_by_its_length() -> None:
    """Eight times the longest seed and a twentieth of the shortest, by the built-in bounds."""
    word = ("maple", "plane", "alder", "hazel", "rowan", "larch", "aspen")
    most = " ".join(word[k % 7] for k in range(41 * 8))
    assert reason("answer", most, question="") is None
    assert reason("answer", most + " and so on", question="") == "length"
    long = (SeedExample(question="Why is it so?", answer=f"{ANSWER} Not at all, say some, and they have their reasons too."),)
    assert reason("answer", "Yes, by all means.", material(long)) is None
    assert reason("answer", "Yes.", material(long, shortest=0.1)) == "length"


def test_an_answer_may_be_longer_by_what_it_repeats() -> None:
    """A long text that is corrected has a long correction."""
    new = " ".join(f"word{k}" for k in range(600))
    assert reason("answer", f"Corrected: {new}", OF_GRAMMAR, context=new, question="Correct it.") is None
    assert reason("answer", f"Corrected: {new}", OF_GRAMMAR, context="Short.", question="Correct it.") == "length"


def test_seeds_of_a_word_still_allow_for_a_paragraph() -> None:
    """An explanation where the seeds give the bare result is for the judges."""
    of = material((SeedExample(question="2 + 2?", answer="4"),))
    assert reason("answer", "four five " * 100, of) is None
    assert reason("answer", "four five " * 105, of) == "length"


# -- all of them --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [ANSWER, DEBATE, LEFT_OVER["ChatML"], "word " * 3000])
def test_each_screen_can_be_turned_off(text: str) -> None:
    """As it was before there were any."""
    assert reason("answer", text) is not None
    assert reason("answer", text, material(**NO_SCREENS.model_dump())) is None
