"""Cases from seeds: what each corruption does, that none is silent or random, and that all shipped tasks give cases."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evals.judges.cases import SCALE_OF_STEP, Case
from evals.judges.corrupt.cutting import cut_answer, cut_question
from evals.judges.corrupt.facts import changed_numbers, negated
from evals.judges.corruptions import CORRUPTIONS, Corruption, seed_cases
from skills_dspy.base.errors import RequestError
from skills_dspy.base.records import SeedExample
from skills_dspy.base.seeds import STANDARD
from skills_dspy.tasks.files import load_task, load_tasks
from skills_dspy.tasks.spec import TaskSpec
from tests.helpers.making import a_spec, there

ROOT = Path(__file__).resolve().parents[3]
TASKS = tuple(sorted((ROOT / "task_specs").rglob("*.yaml")))

WAYS: dict[tuple[str, str], Corruption] = {(corruption.about, corruption.name): corruption for corruption in CORRUPTIONS}


def shipped(name: str) -> TaskSpec:
    """A task of task_specs."""
    return load_task(ROOT / "task_specs" / f"{name}.yaml")[0]


def rng(seed: int = 0) -> random.Random:
    """A generator."""
    return random.Random(seed)


def free(question: str, answer: str = "An answer.") -> SeedExample:
    """A freeform seed."""
    return SeedExample(question=question, answer=answer, line=3)


def about(context: str, question: str, answer: str = "An answer.") -> SeedExample:
    """A grounded seed."""
    return SeedExample(question=question, answer=answer, context=context, line=5)


def corrupted(about_what: str, name: str, seed: SeedExample, *others: SeedExample, chance: int = 0) -> SeedExample | None:
    """What one corruption makes of a seed."""
    return WAYS[(about_what, name)].apply(seed, others, rng(chance))


def bad_question(name: str, seed: SeedExample, *others: SeedExample, chance: int = 0) -> str | None:
    """The question that a corruption makes."""
    bad = corrupted("question", name, seed, *others, chance=chance)
    return None if bad is None else bad.question


def bad_answer(name: str, seed: SeedExample, *others: SeedExample, chance: int = 0) -> str | None:
    """The answer that a corruption makes."""
    bad = corrupted("pair", name, seed, *others, chance=chance)
    return None if bad is None else bad.answer


# ---- what holds for all of them --------------------------------------------------------------------------------------

said = st.sampled_from(["the", "is", "not", "can", "a", "fox", "Anna", "has been", "yes", "List", "table", "haiku", "how many"])
figures = st.sampled_from(["12", "1984", "3.5", "0", "= 7", "555-0142", "狐", "。"])
marks = st.sampled_from(
    [",", ";", ".", "?", ":", "→", '"', "{", "}", "\n", "\n- ", "\n2. ", "| a | b |\n", "x,y\n", "```\n", "Role: "]
)
composed = st.lists(said | figures | marks, min_size=1, max_size=14).map(" ".join)
texts = (composed | st.text(min_size=1, max_size=30)).filter(str.strip)
seeds = st.builds(SeedExample, question=texts, answer=texts, context=st.none() | texts, line=st.integers(0, 99))
tasks = st.lists(seeds, min_size=1, max_size=5)


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda corruption: f"{corruption.about}: {corruption.name}")
@given(task=tasks, chance=st.integers(0, 2**32))
@settings(max_examples=settings().max_examples // 2, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_corruption_changes_one_thing_and_makes_no_other_seed(
    corruption: Corruption, task: list[SeedExample], chance: int
) -> None:
    """Never the seed itself, never what another seed is, the same each time, and all but one field as they were."""
    seed, *others = task
    bad = corruption.apply(seed, others, rng(chance))
    assert bad == corruption.apply(seed, others, rng(chance))
    if bad is None:
        return
    changed = {field for field in ("question", "context", "answer", "line") if getattr(bad, field) != getattr(seed, field)}
    assert changed == {corruption.field}
    assert bad.kind == seed.kind
    assert all(part.strip() for part in (bad.question, bad.answer))
    for other in others:
        assert (bad.question, bad.context, bad.answer) != (other.question, other.context, other.answer)
        if corruption.about == "question":
            assert (bad.question, bad.context) != (other.question, other.context)


# ---- questions -------------------------------------------------------------------------------------------------------

WHY = free("Why did no ferry sail on Tuesday?", "A log bent the propeller.")
HAIKU = free("Write a haiku about the first snow.", "Snow,\non the\nroad")


def test_a_question_is_to_be_answered_with_yes_or_no() -> None:
    """In words that contradict the question; before it where it ends with a text to work on."""
    found = {bad_question("question made yes/no", WHY, HAIKU, chance=chance) for chance in range(30)}
    assert "Why did no ferry sail on Tuesday? Answer only with yes or no." in found
    assert "Answer with nothing but yes or no: Why did no ferry sail on Tuesday?" in found
    assert "Convert 3 feet. Answer only with yes or no." in {
        bad_question("question made yes/no", free("Convert 3 feet"), chance=chance) for chance in range(30)
    }
    for chance in range(9):
        held = there(bad_question("question made yes/no", free("Translate this: Good morning"), chance=chance))
        assert held.endswith(": Translate this: Good morning")


@pytest.mark.parametrize(
    "other",
    [
        free("Is the fox red?"),
        free("The fox runs. Does it sleep?"),
        free("Was it cold, or did it rain?"),
        free("A fox is a bird. True or false?"),
        free("Judge the claim.", "No, it is wrong."),
    ],
)
def test_where_yes_and_no_are_answers_no_question_is_made_one(other: SeedExample) -> None:
    """One such seed in the task is enough; but "Can you ..." asks for the thing itself."""
    assert bad_question("question made yes/no", WHY, other) is None
    assert bad_question("question made yes/no", free("Can you correct the text?"), WHY) is not None
    assert bad_question("question made yes/no", other, WHY) is None


def test_actions_and_images_are_asked_for() -> None:
    """Each in several wordings; not where any seed of the task does."""
    actions = {bad_question("asks for an action", WHY, chance=chance) for chance in range(30)}
    assert (
        "Why did no ferry sail on Tuesday? Say nothing here, but phone me this evening and tell me the answer then." in actions
    )
    assert len(actions) > 3
    images = {bad_question("asks for an image", WHY, chance=chance) for chance in range(30)}
    assert "Why did no ferry sail on Tuesday? Show me the answer as a colour photo; do not use words." in images
    assert bad_question("asks for an action", WHY, free("Send an e-mail to Bo.", '{"tool": "mail"}')) is None
    assert bad_question("asks for an action", WHY, free("Could you book a table for two?")) is None
    assert bad_question("asks for an image", WHY, free("Draw a diagram of the plot in ASCII.")) is None


@pytest.mark.parametrize(
    ("question", "halves"),
    [
        ("How many litres of water does a tank of 2.5 cubic metres hold?", {"How many litres of water does a"}),
        ("Proofread this review. Give the text first.", {"Proofread th"}),
        ("A lamp of 60 watts burns. How many hours does it burn?", {"A lamp of 60 watts burns. How many ho"}),
        ("Explain the term. Can you give an example of it?", {"Explain the"}),
        ("What does Mr. Okafor have to do?", {"What does Mr. Oka"}),
        ("列出五个同义词，并加以说明。", {"列出五"}),
        *((whole, {None}) for whole in ("Why?", "Go on!", "...", "Explain!")),
    ],
)
def test_a_question_ends_in_the_middle_of_what_it_asks(question: str, halves: set[str | None]) -> None:
    """Behind a word that ends no sentence or inside one, and nothing before it is whole; one word has no half to know it by."""
    assert {cut_question(question, rng(chance)) for chance in range(9)} == halves


BEES = about(
    "Rosalind had eighteen hives. Five were lost in the winter storm.", "How many hives were lost in the storm?", "Five"
)
NIGHT = about("The night train leaves Tarvik at 22:10 and has two sleeping cars.", "When does the train leave Tarvik?", "22:10")
FIX = about("Anna have a fox, and the fox sleep.", "Correct the errors.", "Anna has a fox, and the fox sleeps.")
FIX_TOO = about("Bo eat the apples what I bought.", "Correct the errors!", "Bo ate the apples that I bought.")


def test_a_question_is_asked_about_another_context() -> None:
    """Where it speaks of things that only its own context has."""
    bad = there(corrupted("question", "context swapped", BEES, NIGHT))
    assert bad.context == NIGHT.context
    assert bad.question == BEES.question


def test_a_question_that_fits_any_context_is_not_swapped() -> None:
    """Nor one that the other seed asks too; nor without a context."""
    assert corrupted("question", "context swapped", FIX, BEES, FIX_TOO) is None
    assert corrupted("question", "context swapped", BEES, about("Another text of something else.", BEES.question)) is None
    assert corrupted("question", "context swapped", WHY, BEES) is None


# ---- pairs -----------------------------------------------------------------------------------------------------------


def test_an_answer_comes_from_another_seed() -> None:
    """Of the same kind, with another answer in substance, to another question: two jokes are both jokes."""
    assert bad_answer("answer of another seed", WHY, HAIKU) == HAIKU.answer
    assert bad_answer("answer of another seed", WHY, BEES) is None
    assert bad_answer("answer of another seed", WHY, free("Who won?", "a log bent the propeller")) is None
    assert bad_answer("answer of another seed", free("Which word fits?", "short"), free("Name two.", "short, brief")) is None
    joke, joke_too = free("Tell me a joke.", "A fox walks into a bar."), free("Tell me a short joke.", "Two hens meet.")
    assert bad_answer("answer of another seed", joke, joke_too) is None
    assert bad_answer("answer of another seed", FIX, FIX_TOO) == FIX_TOO.answer


@pytest.mark.parametrize(
    ("answer", "half"),
    [
        ("A log bent the propeller", "A log"),
        ("start, commence, initiate", "start,"),
        ("error\nslip", "error"),
        ("It is 5. Each of the machines takes five minutes.", "It is 5. Each of"),
        ("day,name\nMonday,Piotr\nTuesday,Amina\nFriday,Sofia", "day,name\nMonday,Piotr\nTuesday,"),
        ("Mei", None),
        ("Rapeseed oil", None),
        ("177 °C", None),
    ],
)
def test_an_answer_is_cut_in_half(answer: str, half: str | None) -> None:
    """At a word, inside a sentence or row where that is near; not where half may be right."""
    assert cut_answer(answer, rng()) == half


def test_a_result_is_changed_wherever_it_stands() -> None:
    """The figure that the calculation comes to, not those that it begins with; the rest stays."""
    seed = free("How many litres are 2.5 cubic metres?", "Working: 2.5 × 1000 = 2500\nAnswer: 2500 L")
    for chance in range(20):
        found = there(bad_answer("numbers changed", seed, chance=chance))
        first, last = found.splitlines()
        assert first.startswith("Working: 2.5 × 1000 = ")
        assert first.split("= ")[1] == last.split()[1] != "2500"


def test_a_figure_of_the_context_is_changed_and_markers_are_not() -> None:
    """A figure that question and context lack is not changed either: nothing says that it is wrong."""
    seed = about(
        "Bo calls on 11 March. Ana books room 4.", "List the tasks.", "1. Bo: call (11 March)\n2. Ana: book a room (by 2031)"
    )
    found = {bad_answer("numbers changed", seed, chance=chance) or "" for chance in range(20)}
    assert len(found) > 5
    for text in found:
        assert text.startswith("1. Bo: call (")
        assert text.endswith(" March)\n2. Ana: book a room (by 2031)")
        assert "11 March" not in text


def test_the_new_figure_has_the_same_look() -> None:
    """Leading zeros, separators and decimals stay; a year stays one, a day stays below 29."""
    for chance in range(30):
        assert changed_numbers("555-0142", "", None, rng(chance)) is not None
        year = there(changed_numbers("1871", "", None, rng(chance)))
        assert year[:2] == "18"
        day = there(changed_numbers("30 May", "", None, rng(chance)))
        assert 10 <= int(day.split()[0]) < 29
        assert (changed_numbers("0.05", "", None, rng(chance)) or "").startswith("0.0")


def test_figures_that_do_not_matter_are_left_alone() -> None:
    """In a text that is invented, or that a question without figures led to, no figure is wrong; nor inside of names."""
    assert bad_answer("numbers changed", free("Write a story about 3 pigs.", "In 1920 there were 3 pigs in a house.")) is None
    assert bad_answer("numbers changed", free("Who was Ada?", "She was born in 1815 and wrote many letters.")) is None
    assert bad_answer("numbers changed", free("Where is R2D2 from?", "R2D2 is a robot.")) is None
    assert bad_answer("numbers changed", free("Who won?", "1. Ana\n2. Bo")) is None


@pytest.mark.parametrize(
    ("text", "opposite"),
    [
        ("The tower is made of the best stone.", "The tower is not made of the best stone."),
        ("Residents can call the caretaker of it.", "Residents cannot call the caretaker of it."),
        ("The present perfect does not go with it.", "The present perfect does go with it."),
        ("The ship won't sail on the next day.", "The ship will sail on the next day."),
        ("The ship can't sail on the next day.", "The ship can sail on the next day."),
        ("The review has been moved to the hall.", "The review has not been moved to the hall."),
        ("Rapeseed oil", None),
        ('The sentence with "it is the best of all"', None),
        ("Is it the best of all?", None),
        ("Let me know if it is of any help to you.", None),
        ("It is not only the best but the first of all.", None),
        ("- has woke → has woken (the form of a verb)", None),
        ("Cut the hedge as soon as the birds have finished with it.", None),
    ],
)
def test_a_claim_is_turned_into_its_opposite(text: str, opposite: str | None) -> None:
    """By a "not" more or less; not words alone, quotations, questions, politeness, conditions and arrows."""
    assert negated(text, rng()) == opposite


def test_what_is_invented_or_not_english_is_not_negated() -> None:
    """Its opposite is no wrong fact, or its verbs only look like English ones; of hardly any letters no language is told."""
    claim = "The fog has closed the bridge, and the river is loud."
    assert bad_answer("negated claim", free("Write a sentence about fog.", claim)) is None
    assert bad_answer("negated claim", free("What has closed the bridge?", claim)) is not None
    german = free("Was hat der Turm für ein Dach?", "Was man will is aus Stein, und das Dach des Turms war aus Holz gemacht.")
    assert negated(german.answer, rng()) is not None
    assert bad_answer("negated claim", german) is None
    assert bad_answer("negated claim", free("Who?", "It was Bo.")) is None


@pytest.mark.parametrize(
    ("question", "answer", "flat"),
    [
        ("Put it into a table.", "| A | B |\n| --- | --- |\n| x | y z |", "A B x y z"),
        ("Give me CSV.", 'name,town\nAna,"Rome, Italy"\nBo,Oslo', "name town Ana Rome, Italy Bo Oslo"),
        ("As rows, separated by semicolons.", "a;b\nc;d", "a b c d"),
        ("Answer in JSON.", '{"name": "Ana", "towns": ["Rome", "Oslo"], "age": null}', "name Ana towns Rome Oslo age "),
        ("Give a numbered list.", "1. Ana\n2. Bo", "Ana and Bo"),
        ("List the tasks.", "Today:\n- call Bo\n- ask Ana", "Today: and call Bo and ask Ana"),
        ("Write a haiku.", "Fog on the river,\nthe bridge\nis gone.", "Fog on the river the bridge is gone"),
        ("Give two, one per line.", "error\nslip", "error slip"),
        ("Give three, separated by commas.", "start, commence, initiate", "start and commence and initiate"),
        ("Hold a debate.", "Cook: More salt.\n\nGuest: Less salt.", "More salt. Less salt."),
    ],
)  # fmt: skip
def test_the_form_that_was_asked_for_is_lost(question: str, answer: str, flat: str) -> None:
    """The words stay, in one paragraph."""
    assert bad_answer("format ignored", free(question, answer)) == flat


def test_a_form_that_nobody_wants_is_not_missed() -> None:
    """Neither question nor the other seeds ask for it; with three seeds that all have it, it is the skill's."""
    one, two, three = (free(f"What did {name} do?", f"{name}: call\nBo: write") for name in ("Ana", "Mei", "Tom"))
    assert bad_answer("format ignored", one, two) is None
    assert bad_answer("format ignored", one, two, three) == "call write"
    assert bad_answer("format ignored", one, two, three, WHY) is None
    assert bad_answer("format ignored", free("List the birds.", "There is one bird in the garden, and it sings.")) is None


def test_a_pair_gets_another_context() -> None:
    """One that does not support it; not where the answer says that nothing is said."""
    bad = there(corrupted("pair", "context swapped", BEES, NIGHT))
    assert (bad.context, bad.question, bad.answer) == (NIGHT.context, BEES.question, BEES.answer)
    bad = there(corrupted("pair", "context swapped", FIX, FIX_TOO))
    assert bad.context == FIX_TOO.context
    for absent in ("not stated", "None. Nobody took on a task.", "The text does not say how many."):
        assert corrupted("pair", "context swapped", BEES.model_copy(update={"answer": absent}), NIGHT) is None


def test_the_context_is_the_answer() -> None:
    """Not in a task where answers are near copies of their contexts, as in correcting texts."""
    assert bad_answer("copy of the context", BEES, NIGHT) == BEES.context
    assert bad_answer("copy of the context", BEES, FIX) is None
    assert bad_answer("copy of the context", WHY) is None


# ---- cases -----------------------------------------------------------------------------------------------------------


def of_seed(cases: Sequence[Case], number: int) -> list[Case]:
    """The cases of one seed."""
    return [case for case in cases if f"/seed-{number}/" in f"{case.id}/"]


def check(spec: TaskSpec, cases: Sequence[Case]) -> None:
    """What must hold for the cases of any task."""
    assert len({case.id for case in cases}) == len(cases)
    for number, seed in enumerate(spec.seed_examples, 1):
        own = of_seed(cases, number)
        good = [case for case in own if case.good]
        steps = [f"judge_question_{seed.kind}", "tag_instruction_quality", f"judge_pair_{seed.kind}", "tag_sample_quality"]
        assert [case.step for case in good] == steps
        for case in own:
            scale = SCALE_OF_STEP[case.step]
            assert case.where == f"{spec.path}:{seed.line}"
            assert (case.task, case.task_description) == (spec.task_name, spec.task_description)
            assert case.label == scale.labels[-1 if case.good else 0]
            assert (case.answer is None) == (scale.about == "question")
            assert (case.context is None) == (seed.kind == "freeform")
            assert 1 <= len(case.examples) <= STANDARD
            assert all(example in spec.seeds(seed.kind) and example.question != seed.question for example in case.examples)
            if case.good:
                assert (case.origin, case.reason) == ("seed", "seed")
                assert case.id == f"{case.step}/{spec.task_name}/seed-{number}"
                assert (case.question, case.context) == (seed.question, seed.context)
                assert case.answer in (None, seed.answer)
            else:
                assert (case.origin, (scale.about, case.reason) in WAYS) == ("corruption", True)
                assert case.id == f"{case.step}/{spec.task_name}/seed-{number}/{case.reason}"
                assert case.answer is None or case.answer == seed.answer or case.answer != case.examples[0].answer
                assert (
                    scale.about == "question"
                    or case.context in (None, seed.context)
                    or case.context != case.examples[0].context
                )
            assert case.inputs()["question"] == case.question


@pytest.mark.parametrize("path", TASKS, ids=lambda path: path.stem)
def test_each_shipped_task_gives_cases(path: Path) -> None:
    """A good one for each step, at least three bad ones for each seed, the same each time."""
    spec = load_task(path)[0]
    cases = seed_cases(spec, 7)
    check(spec, cases)
    for number in range(1, len(spec.seed_examples) + 1):
        assert len({case.reason for case in of_seed(cases, number) if not case.good}) >= 3
    assert cases == seed_cases(spec, 7)


def test_each_corruption_applies_to_a_shipped_task() -> None:
    """None of them is there for nothing; both raters of a pair or question see the same corrupted one."""
    found = set()
    for spec in load_tasks([ROOT / "task_specs"]).specs:
        shown: dict[tuple[str, ...], set[tuple[str | None, ...]]] = {}
        for case in seed_cases(spec, 0):
            key = (SCALE_OF_STEP[case.step].about, case.reason, case.where)
            shown.setdefault(key, set()).add((case.context, case.question, case.answer))
            found.add((SCALE_OF_STEP[case.step].about, case.reason))
        assert all(len(texts) == 1 for texts in shown.values())
    assert found - {("question", "seed"), ("pair", "seed")} == set(WAYS)


def test_another_seed_chooses_otherwise() -> None:
    """Other examples and other corruptions, but the same good ones."""
    spec = shipped("writing/freeform/haiku")
    one, other = seed_cases(spec, 1), seed_cases(spec, 2)
    assert [case.id for case in one] == [case.id for case in other]
    assert [case.examples for case in one] != [case.examples for case in other]
    assert [case.question for case in one] != [case.question for case in other]
    assert [case.question for case in one if case.good] == [case.question for case in other if case.good]


def test_of_two_seeds_none_is_example_and_donor_at_once() -> None:
    """Then there is no case with the other one's answer, nor with its context."""
    cases = seed_cases(a_spec([BEES, NIGHT]), 0)
    reasons = {case.reason for case in cases if SCALE_OF_STEP[case.step].about == "pair"}
    assert "copy of the context" in reasons
    assert reasons.isdisjoint({"answer of another seed", "context swapped"})
    assert "context swapped" in {case.reason for case in cases if SCALE_OF_STEP[case.step].about == "question"}


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        ([WHY], "tasks/foxes.yaml:3: there is only 1 freeform seed, and cases need at least 2"),
        ([WHY, HAIKU, BEES], "tasks/foxes.yaml:5: there is only 1 grounded seed, and cases need at least 2"),
        ([FIX, FIX.model_copy(update={"context": "It be."})], "all 2 grounded seeds ask the same question"),
    ],
)
def test_too_few_seeds_are_refused(seeds: list[SeedExample], said: str) -> None:
    """In one sentence with the number needed: a case shows another seed as an example."""
    with pytest.raises(RequestError, match=said):
        seed_cases(a_spec(seeds), 0)
