"""The rules that a task file is held to, each once: `tasks` shows what they find, and a run warns of a part of it."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from skills_dspy.base.records import Frozen, SeedExample
from skills_dspy.base.unseen import mistaken
from skills_dspy.similarity.text import likeness, squeezed
from skills_dspy.tasks.spec import FEWEST_SEEDS, SEED_KEYS, ParsedTask, SpecWarning, TaskFile
from skills_dspy.tasks.taxonomy import ATTRIBUTION, has_oldest_layout, named_licence, oddities, version_of, violations

Severity = Literal["error", "warning", "note"]
"""An error keeps a file from being used, by us or by InstructLab; a warning makes a poorer dataset; a note may be fine."""


class Finding(Frozen):
    """One thing that is wrong, or may be, in one line, from 1, of one file as it was given, by the name of a rule."""

    path: str
    line: int
    rule: str
    severity: Severity
    message: str


class Slip(NamedTuple):
    """What a rule finds: what `tasks` says (None where the schema does), and a run in its own words (None: nothing)."""

    line: int
    finding: str | None
    warning: str | None = None
    place: int = -1  # of the seed, from 0; -1 for the whole task


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: its name, how bad its findings are, what it says, and how it looks; None where the reading itself finds them."""

    name: str
    severity: Severity
    about: str
    check: Callable[[TaskFile], Iterator[Slip]] | None = None


def lint(file: TaskFile) -> list[Finding]:
    """The findings of all rules about a file that has been read, by line."""
    found = [(rule.name, slip) for rule in RULES if rule.check for slip in rule.check(file)]
    found.sort(key=lambda pair: pair[1].line)
    return [finding(rule, str(file.path), slip.line, slip.finding) for rule, slip in found if slip.finding is not None]


def run_warnings(file: TaskFile) -> Iterator[SpecWarning]:
    """What a run says is odd about a file's tasks, and does all the same: task by task, then seed by seed."""
    odd = list(oddities(file.root)) if file.tasks and file.kind == "skill" else []
    for task in file.tasks:
        one = replace(file, tasks=(task,))
        slips = [(slip, rule) for rule in RULES if rule.check for slip in rule.check(one) if slip.warning is not None]
        slips.sort(key=lambda found: (found[0].place, found[1].severity != "note"))
        odd += [(slip.line, slip.warning or "") for slip, _ in slips]
    return (SpecWarning(path=file.path, line=line, message=said) for line, said in odd)


def finding(rule: str, path: str, line: int | None, message: str) -> Finding:
    """A finding of a rule whose place is known already."""
    severity = next(known.severity for known in RULES if known.name == rule)
    return Finding(path=path, line=line or 1, rule=rule, severity=severity, message=message)


def _strict(file: TaskFile) -> bool:
    """Whether the file's schema asks for a description and for five different seeds."""
    return file.kind == "skill" and version_of(file.root) in (2, 3)


def _schema(file: TaskFile) -> Iterator[Slip]:
    if file.kind == "skill" and not has_oldest_layout(file.root):
        yield from (Slip(line, said) for line, said in violations(file.root))


def _old_layout(file: TaskFile) -> Iterator[Slip]:
    if file.kind == "skill" and has_oldest_layout(file.root):
        said = "this is the oldest layout, which we read and InstructLab no longer does"
        yield Slip(file.root.line, f"{said}; write `version`, `created_by`, `task_description` and `seed_examples`")


def _few_seeds(file: TaskFile) -> Iterator[Slip]:
    for task in file.tasks:
        seeds = len(task.spec.seed_examples)
        if seeds >= FEWEST_SEEDS:
            continue
        name = f" in `{'/'.join(map(str, task.whole))}`" if task.whole else ""
        said = f"{seeds} seed{'' if seeds == 1 else 's'}{name}, and {FEWEST_SEEDS} are asked for"
        there = "there is only 1 seed example" if seeds == 1 else f"there are only {seeds} seed examples"
        more = "the data varies more"
        finding = None if _strict(file) else f"{said}: {more} with them"
        yield Slip(task.root.line_of(task.whole or ("seed_examples",)), finding, f"{there}; from {FEWEST_SEEDS} on {more}")


def _no_description(file: TaskFile) -> Iterator[Slip]:
    for task in file.tasks:
        if task.spec.task_description.strip():
            continue
        where = (*task.whole, "task_description")
        node = task.root.at(where)
        empty = "`task_description` is empty; a sentence on the skill helps the teacher"
        said = empty if node is not None else empty.replace("`task_description` is empty", "there is no `task_description`")
        yield Slip(task.root.line_of(where), None if _strict(file) and node is not None and not node.written else said, empty)


def _seeds(file: TaskFile) -> Iterator[tuple[ParsedTask, int, SeedExample, Sequence[SeedExample]]]:
    """Every seed: its task, its place, itself, and those before it."""
    for task in file.tasks:
        seeds = task.spec.seed_examples
        yield from ((task, place, seed, seeds[:place]) for place, seed in enumerate(seeds))


def _texts(file: TaskFile) -> Iterator[tuple[int, int, str, str]]:
    """Every text of every seed: its line, the seed's place, key, text."""
    for task, place, seed, _ in _seeds(file):
        for key in SEED_KEYS:
            if text := getattr(seed, key):
                yield task.line_of(place, key), place, key, text


def _repeated(file: TaskFile) -> Iterator[Slip]:
    for _, place, seed, earlier in _seeds(file):
        if (first := next((n for n, other in enumerate(earlier) if repeats(seed, other)), None)) is not None:
            about = "the question" if seed.context is None else "question and context"
            said = f"seed {place + 1} repeats {about} of seed {first + 1} in line {earlier[first].line}"
            by_schema = _strict(file) and seed.model_copy(update={"line": earlier[first].line}) == earlier[first]
            yield Slip(seed.line, None if by_schema else said, f"{said}; a seed of its own would add more", place)


def _near_copies(file: TaskFile) -> Iterator[Slip]:
    for _, place, seed, earlier in _seeds(file):
        if (other := near_copy(seed, earlier)) is not None:
            said = f"seed {place + 1} is nearly the same as seed {other + 1} in line {earlier[other].line}"
            yield Slip(seed.line, f"{said}; one of another kind would add more")


def _backslash_n(file: TaskFile) -> Iterator[Slip]:
    for line, place, key, text in _texts(file):
        if "\\n" in text:
            times = len(_BACKSLASH_N.findall(text))
            holds, stay = f"`{key}` of seed {place + 1} holds a backslash and an n", ", which stay as they are"
            block = f"for line breaks write a block: `{key}: |`"
            said = f"{holds} {times} time{'' if times == 1 else 's'}{stay}; {block}" if times else None
            yield Slip(line, said, f"{holds}{stay}; {block} with the lines below it", place)


def _look_alike(file: TaskFile) -> Iterator[Slip]:
    for task in file.tasks:
        if said := mistaken(task.spec.task_description):
            said = f"`task_description` {said}"
            yield Slip(task.root.line_of((*task.whole, "task_description")), said, said)
    for line, place, key, text in _texts(file):
        if said := mistaken(text):
            said = f"`{key}` of seed {place + 1} {said}"
            yield Slip(line, said, said, place)


def _control(file: TaskFile) -> Iterator[Slip]:
    for line, place, key, text in _texts(file):
        if stray := stray_characters(text):
            codes = ", ".join(f"U+{ord(c):04X}" for c in stray)
            yield Slip(line, f"`{key}` of seed {place + 1} holds {codes}, which no reader sees; take it out")


def _trailing(file: TaskFile) -> Iterator[Slip]:
    for line, place, key, text in _texts(file):
        if key == "answer" and (said := trailing_space(text)):
            yield Slip(line, f"`answer` of seed {place + 1} {said}, which a model learns to write too")


def _unanswerable(file: TaskFile) -> Iterator[Slip]:
    for task, place, seed, _ in _seeds(file):
        if seems_unanswerable(seed):
            said = f"question and answer of seed {place + 1} have next to no word in common with its context"
            yield Slip(task.line_of(place, "question"), f"{said}: can it be answered from there?")


def _attribution(file: TaskFile) -> Iterator[Slip]:
    if file.kind == "skill" and file.attribution is None:
        yield Slip(1, f"no {ATTRIBUTION} lies beside the file, so nobody knows under which licence the seeds are")
    elif file.kind == "skill" and named_licence(file.attribution or "") is None:
        yield Slip(1, f"the {ATTRIBUTION} beside the file has no line `License of the work:` with a licence")


RULES: tuple[Rule, ...] = (
    Rule("nothing-there", "error", "a folder holds no task file"),
    Rule("unreadable", "error", "the file cannot be read: not UTF-8, empty, no YAML, tabs, a key twice, ..."),
    Rule("file-name", "error", "a taxonomy's file is not called qna.yaml"),
    Rule("schema", "error", "InstructLab's schema for the file's version refuses it", _schema),
    Rule("unusable", "error", "a run could not use it, for what no schema sees"),
    Rule("task-name", "error", "two tasks would write to one place"),
    Rule("old-layout", "warning", "the oldest layout: names mapped to seeds", _old_layout),
    Rule("few-seeds", "warning", f"fewer than {FEWEST_SEEDS} seeds", _few_seeds),
    Rule("repeated-seed", "warning", "a seed asks what another one asks", _repeated),
    Rule("near-copy", "warning", "a seed is another one with a word or a number changed", _near_copies),
    Rule("backslash-n", "warning", "a backslash and an n where a line break was meant", _backslash_n),
    Rule("look-alike", "warning", "a text in signs that only look like the quotes or the block mark of YAML", _look_alike),
    Rule("control-character", "warning", "control characters, private or invisible ones", _control),
    Rule("trailing-space", "warning", "blanks or empty lines at the end of an answer or of its lines", _trailing),
    Rule("context-window", "warning", "the longest prompt with these seeds does not fit into the context window"),
    Rule("unread-seeds", "warning", "the embedding model's tokenizer knows too little of the seeds"),
    Rule("attribution", "warning", f"no {ATTRIBUTION} beside a qna.yaml, or no licence in it", _attribution),
    Rule("no-description", "note", "no task_description", _no_description),
    Rule("unanswerable", "note", "question and answer have (nearly) no word of the context", _unanswerable),
)
"""All rules, in the order in which findings of one line are shown."""


# ---- what can be seen in a seed's texts without a model ----------------------------------------------------------------

_ALIKE, _ANSWER_ALIKE = 0.9, 0.8
"""From which likeness on questions (and contexts), and answers, are near-copies: set by reading the real taxonomy."""

# \nu, \neq, \nabla: a formula of LaTeX, not a line break that was written as two characters.
_LATEX = r"(?!(?:abla|atural|earrow|e|eg|eq|ewcommand|ewline|exists|i|mid|onumber|ot|otin|parallel|u|ormalsize)(?![a-z]))"
_BACKSLASH_N = re.compile(r"\\n" + _LATEX)

_INVISIBLE = frozenset("\u00ad\u200b\u2028\u2029\ufeff\ufffd\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Soft hyphens, blanks without width, marks that turn the direction, and the sign for what could not be decoded."""

_WORD = re.compile(r"[a-z]{3,}|[0-9]+")
_LIGHT = frozenset(
    _WORD.findall("""about all also and any are because been but can could did does each for from had has have her him his how
    into its just like many may might more most much must not now only other our out please she should some such than that the
    their them then there they too very was were what when where which while who whom whose why will with would you your""")
)
"""Words that weigh nothing."""
_POINTING = frozenset(
    _WORD.findall("""above article below chart charts code context conversation data dialogue document email essay excerpt
    figure file following form given here image invoice item items letter list message note page paragraph paragraphs passage
    poem provided receipt report review sentence sentences snippet story table tables text texts this these transcript""")
)
"""Words that point to the context."""
_ORDERS = frozenset(
    _WORD.findall("""add analyze answer calculate change check classify compare complete compose continue convert correct count
    create describe draft edit expand explain extract fill find fix format generate get give highlight identify improve list
    make name outline paraphrase please pretend produce proofread provide put reformat remove reorganize rephrase replace
    respond return revise rewrite select shorten show simplify sort split suggest summarise summarize tell translate turn
    update use write""")
)
"""Words that an order begins with."""


def stray_characters(text: str) -> tuple[str, ...]:
    """The characters that nobody types on purpose, each once, in order; joiners, which several scripts need, are none."""
    return tuple(
        dict.fromkeys(c for c in text if c in _INVISIBLE or (c not in "\n\t" and unicodedata.category(c) in ("Cc", "Co")))
    )


def trailing_space(answer: str) -> str | None:
    """What blanks at ends of an answer would teach a model to write; None without any. One final line break is usual."""
    end = answer[len(answer.rstrip()) :]
    if end.strip("\n") == "" and len(end) > 1:
        return f"ends with {len(end)} line breaks"
    if end.strip("\n"):
        return "ends with blanks"
    lines = sum(line != line.rstrip() for line in answer.split("\n"))
    return f"has blanks at the end of {lines} line{'' if lines == 1 else 's'}" if lines else None


def repeats(seed: SeedExample, other: SeedExample) -> bool:
    """Whether two seeds ask the same about the same, but for case and layout."""
    contexts = [None if one.context is None else squeezed(one.context) for one in (seed, other)]
    return squeezed(seed.question) == squeezed(other.question) and contexts[0] == contexts[1]


def near_copy(seed: SeedExample, earlier: Sequence[SeedExample]) -> int | None:
    """The place of the earlier seed whose question, context and answer are each most alike; None where it repeats one."""
    if any(repeats(seed, other) for other in earlier):
        return None
    near = [(likeness(seed.question, other.question), -place) for place, other in enumerate(earlier) if _alike(seed, other)]
    return -max(near)[1] if near else None


def _alike(seed: SeedExample, other: SeedExample) -> bool:
    return (
        seed.kind == other.kind
        and likeness(seed.question, other.question) >= _ALIKE
        and likeness(seed.answer, other.answer) >= _ANSWER_ALIKE
        and likeness(seed.context or "", other.context or "") >= _ALIKE
    )


def seems_unanswerable(seed: SeedExample) -> bool:
    """Whether question and answer of a grounded seed have nothing in common with its context, at a glance.

    Made to keep quiet: not at orders, not at questions that point to the context or have fewer than two words that weigh, and
    only where neither a word of the question nor a third of the answer's is found there.
    """
    if seed.context is None:
        return False
    asked, heavy, answered = _words(seed.question), _heavy(seed.question), _heavy(seed.answer)
    if len(heavy) < 2 or len(answered) < 3 or asked[0] in _ORDERS or _POINTING & set(asked):
        return False
    known = {word[:5] for word in _words(seed.context)}
    found = sum(word[:5] in known for word in answered)
    return not any(word[:5] in known for word in heavy) and 3 * found < len(answered)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _heavy(text: str) -> list[str]:
    return [word for word in dict.fromkeys(_words(text)) if word not in _LIGHT]
