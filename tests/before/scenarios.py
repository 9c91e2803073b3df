"""The scenarios: what is typed, in a folder with all inputs, and which of the files that come of it are compared."""

import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.before.doing import Outcome, compared, listed, typed

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Scenario:
    """Some command lines, one after the other; it has all that it needs, whichever others were done before it.

    Attributes:
        group: the file of expected/ in which its outcome stands.
        name: its name there.
        steps: what is typed.
        files: patterns of the files that are compared afterwards.
        copies: folders that are copied first, as (from, to), because a command writes there.
        needs: folders that a command line has to make first if no other scenario has, as (folder, line).
    """

    group: str
    name: str
    steps: tuple[tuple[str, ...], ...]
    files: tuple[str, ...] = ()
    copies: Pairs = ()
    needs: Pairs = ()


def outcome(scenario: Scenario) -> Outcome:
    """Do it here; returns what came of it."""
    words = [word for step in scenario.steps for word in step] + [source for source, _ in scenario.copies]
    if any(DEMO in word for word in words):
        _make(DEMO, f"run --replay demo -n 5 --output-dir {DEMO} --quiet")
    for source, target in scenario.copies:
        if not Path(target).exists():
            shutil.copytree(source, target)
    made = [folder for folder, line in scenario.needs if _make(folder, line)]
    done: Outcome = {"steps": [typed(step) for step in scenario.steps], "files": compared(scenario.files)}
    for folder in made:  # another scenario makes it itself
        shutil.rmtree(folder)
    return done


def _make(folder: str, line: str) -> bool:
    """Whether the folder was not there and has been made."""
    if Path(folder).exists():
        return False
    assert typed(tuple(shlex.split(line)))["code"] == 0
    return True


DEMO = "shared-demo"
"""Where the demo's run lies, which many scenarios look at; the first of them makes it."""
DEBATE, GRAMMAR = (f"{DEMO}/instructlab/skills/writing/{name}" for name in ("freeform/debate", "grounded/grammar"))
DEBATE_TASK, GRAMMAR_TASK = "task_specs/writing/freeform/debate.yaml", "task_specs/writing/grounded/grammar.yaml"
RUNS = "inputs/runs"
OLD = {
    "fused": "old/haiku",
    "interrupted": "old/notes",
    "taxonomy": "writing/riddles",
    "decontaminated": "old/haiku",
    "programmed": "old/haiku",
}
"""The runs made by the old code, each with the name of its task."""

EVALS = ("eval", "eval judges", "eval data", "eval program")
KINDS = ("freeform", "grounded")
COMMANDS = ("", "run", "tasks", "check", "explain", "prompts", "decide", "review", "export", "optimize", *EVALS)
STEPS = (
    *("write_description", "write_context", "tag_instruction_quality", "tag_sample_quality", "tag_difficulty", "tag_category"),
    *(f"{step}_{kind}" for step in ("write_questions", "write_answer", "judge_question", "judge_pair") for kind in KINDS),
    "tag_fused",
)
FORMATS = {
    "messages": "m.jsonl",
    "alpaca": "a.json",
    "sharegpt": "s.json",
    "instructlab": "i",
    "parquet": "p.parquet",
    "hf": "h",
}


def _one(group: str, name: str, *lines: str, files: str = "", copies: Pairs = (), needs: Pairs = ()) -> Scenario:
    """A scenario of command lines as a shell takes them."""
    return Scenario(group, name, tuple(tuple(shlex.split(line)) for line in lines), tuple(files.split()), copies, needs)


def _written(folder: str) -> str:
    return " ".join(f"{folder}/**/{name}" for name in ("data.jsonl", "rejected.jsonl", "run.json"))


def _help() -> Iterator[Scenario]:
    for command in COMMANDS:
        yield _one("help", f"{command or 'all'} --help", f"{command} --help")
    yield _one("help", "version", "--version")
    yield _one("help", "nothing", "")
    yield _one("help", "eval alone", "eval")


def _prompts() -> Iterator[Scenario]:
    yield _one("prompts", "all", "prompts")
    tasks = {"freeform": DEBATE_TASK, "grounded": GRAMMAR_TASK}
    for kind, path in tasks.items():
        yield _one("prompts", f"all of a {kind} task", f"prompts --task-paths {path}")
    both = "prompts --task-paths inputs/tasks/notes.yaml --config inputs/tasks/fused.yaml"
    yield _one("prompts", "all of both kinds, fused", both)
    yield _one("prompts", "of a task without a description", "prompts --task-paths inputs/taxonomy")
    for step in STEPS:
        kind = "grounded" if "grounded" in step or step == "write_context" else "freeform"
        yield _one("prompts", step, f"prompts {step} --task-paths {tasks[kind]}")
    for program in ("judge", "both"):
        path = f"inputs/programs/{program}.json"
        yield _one("prompts", f"program {program}", f"prompts --program {path}")
        for step in ("write_answer_freeform", "tag_category"):
            yield _one("prompts", f"{step} of program {program}", f"prompts {step} --program {path}")


def _runs() -> Iterator[Scenario]:
    demo, one_task = "run --replay demo", f"run --replay demo --task-paths {DEBATE_TASK}"
    yield _one("run", "demo of 5", f"{demo} -n 5 --output-dir r5", files=_written("r5"))
    yield _one("run", "demo of 5, one at a time", f"{demo} -n 5 --output-dir r1 --concurrency 1", files="r1/**/*.jsonl")
    yield _one("run", "demo as JSON", f"{demo} -n 3 --output-dir rj --json", files="rj/**/*.jsonl")
    again = f"{demo} -n 5 --output-dir r35 --quiet"
    yield _one("run", "demo of 3, then of 5, then again", f"{demo} -n 3 --output-dir r35", again, again, files=_written("r35"))
    beyond = f"{one_task} -n 500 --output-dir r500 --quiet --concurrency 1"
    yield _one("run", "demo beyond its end", beyond, files="r500/**/*.jsonl")
    two_tasks = f"{demo} -n 2 --output-dir rone --task-paths {DEBATE_TASK} {GRAMMAR_TASK}"
    yield _one("run", "demo of one task", two_tasks, files="rone/**/*.jsonl")
    unknown = f"{demo} -n 2 --output-dir rx --task-paths task_specs"
    yield _one("run", "a folder that the recording does not know", unknown)
    for name, place, other in (
        ("another seed", "rseed", "--seed 5"),
        ("another configuration", "rc", "--config inputs/configs/other.yaml"),
        ("another model", "rm", "--model other"),
        ("a program", "rp", "--program inputs/programs/both.json"),
    ):
        yield _one("run", f"demo with {name}", f"{one_task} -n 2 --output-dir {place} --concurrency 1 {other}")
    stricter = "--config inputs/configs/stricter.yaml"
    yield _one("run", "demo with stricter filter", f"{demo} -n 2 --output-dir rf {stricter}", files="rf/**/*.jsonl")
    exports = "--export messages --export alpaca --export instructlab"
    yield _one("run", "demo with exports", f"{demo} -n 2 --output-dir re {exports}", files="re/exports/**/*.json*")
    fewer = (f"{demo} -n 4 --output-dir rl --quiet", f"{demo} -n 2 --output-dir rl")
    yield _one("run", "demo of fewer than there are", *fewer, files="rl/**/*.jsonl")
    place = f"{demo} -n 2 --output-dir rr"
    yield _one("run", "another configuration in the same place", f"{place} --quiet", f"{place} --seed 3", f"{place} {stricter}")


def _looked_at() -> Iterator[Scenario]:
    for name, row in {
        "an accepted row": "aff2922b25ad4090",
        "an accepted row with a context": "368fff674875ff1e",
        "a duplicate": "3ce23e30a4d80092",
        "a pair judged bad": "f942030230bb1045",
        "an unknown id": "0000000000000000",
        "no id": "zzz",
    }.items():
        yield _one("explain", name, f"explain {row} --output-dir {DEMO}")
    yield _one("explain", "in the folder of one run", f"explain 27a0c6e283d407a2 --output-dir {DEBATE}")
    yield _one("explain", "in the folder of another run", f"explain aff2922b25ad4090 --output-dir {GRAMMAR}")
    yield _one("explain", "no runs", "explain aff2922b25ad4090 --output-dir nowhere")
    for name, line in {
        "dry run": "--min-sample-quality 5 --dry-run",
        "dry run as JSON": "--min-sample-quality 5 --dry-run --json",
        "looser": "--min-sample-quality 1 --min-pair-rating 1 --min-instruction-quality 'very poor' --dry-run",
        "nearer": "--max-squared-distance 1.2 --dry-run",
        "farther": "--max-squared-distance 0 --dry-run",
        "the same": "--min-sample-quality 4 --dry-run",
        "nothing asked": "--dry-run",
        "stricter configuration": "--config inputs/configs/stricter.yaml --dry-run",
        "configuration that shapes": "--config inputs/configs/other.yaml --dry-run",
        "out is a file": "--min-sample-quality 5 --out inputs/rows/qa.jsonl",
        "out is the run": f"--min-sample-quality 5 --out {DEBATE}",
    }.items():
        yield _one("decide", name, f"decide {DEBATE} {line}")
    yield _one("decide", "written", f"decide {DEBATE} --min-sample-quality 5 --out d5", files=_written("d5"))
    beside = f"decide {DEBATE.replace(DEMO, 'dcopy')} --min-pair-rating 3 --json"
    yield _one("decide", "written beside", beside, files="dcopy/**/*-decided-*/*.json*", copies=((DEMO, "dcopy"),))
    grounded = f"decide {GRAMMAR} --min-pair-rating 3 --min-sample-quality 5 --out dg"
    yield _one("decide", "grounded", grounded, files=_written("dg"))
    yield _one("decide", "no run", "decide nowhere")
    yield _one("decide", "a folder of runs", f"decide {DEMO} --min-sample-quality 5")


def _exports() -> Iterator[Scenario]:
    for layout, out in FORMATS.items():
        for name, run, target, more in (
            ("", DEBATE, f"e/{layout}0/{out}", ""),
            (" with a test share", DEMO, f"e/{layout}2t/folder", "--test-share 0.2"),
            (" with a system prompt", DEMO, f"e/{layout}2/{out}", "--system-prompt 'Be brief.'"),
        ):
            line = f"export {run} --format {layout} --out {target} {more}"
            yield _one("export", layout + name, line, files=f"{Path(target).parent}/**/*")
    seed = f"export {DEBATE} --format hf --out e/seed --test-share 0.5 --seed 7"
    yield _one("export", "one run with a seed", seed, files="e/seed/**/*")
    two = f"export {DEBATE} {GRAMMAR} --format alpaca --out e/two.json"
    yield _one("export", "two runs", two, files="e/two.json")
    twice = f"export {DEBATE} {DEBATE} --format alpaca --out e/twice.json"
    yield _one("export", "a run twice", twice, files="e/twice.json")
    again = f"export {DEBATE} --format messages --out e/again.jsonl"
    yield _one("export", "twice", again, again, f"{again} --overwrite", files="e/again.jsonl")
    for name, line in {
        "no run": "nowhere --format hf --out e/x",
        "a folder without runs": "inputs/rows --format hf --out e/x",
        "a file": "inputs/rows/qa.jsonl --format hf --out e/x",
        "no format": f"{DEMO} --out e/x",
        "unknown format": f"{DEMO} --format csv --out e/x",
        "no out": f"{DEMO} --format hf",
        "out in no folder": f"{DEMO} --format messages --out e/no/where/x.jsonl",
        "share of nothing": f"{DEMO} --format hf --out e/x --test-share 0",
        "share of all": f"{DEMO} --format hf --out e/x --test-share 1",
        "share that is no number": f"{DEMO} --format hf --out e/x --test-share nan",
        "push of another format": f"{DEMO} --format alpaca --out e/x --push-to-hub a/b",
        "public without push": f"{DEMO} --format hf --out e/x --public",
        "seed without share": f"{DEMO} --format hf --out e/x --seed 3",
        "system prompt of alpaca": f"{DEMO} --format alpaca --out e/y.json --system-prompt ''",
    }.items():
        yield _one("export", name, f"export {line}")


def _scores() -> Iterator[Scenario]:
    rows, markdown = "inputs/rows", "--markdown score.md"
    yield _one("eval", "a run", f"eval data {DEBATE}")
    yield _one("eval", "a run as JSON", f"eval data {GRAMMAR} --json")
    yield _one("eval", "a folder of runs", f"eval data {DEMO} {markdown}", files="score.md")
    yield _one("eval", "two runs", f"eval data {DEBATE} --compare {GRAMMAR}")
    yield _one("eval", "a run without vectors", f"eval data {DEBATE} --no-vectors --json")
    yield _one("eval", "a run with seeds", f"eval data {DEBATE} --seeds {DEBATE_TASK}")
    for name in ("qa.jsonl", "messages.jsonl", "number.jsonl", "strange.jsonl", "broken.jsonl", "empty.jsonl", "words.txt"):
        yield _one("eval", f"{name} without vectors", f"eval data {rows}/{name} --no-vectors")
    yield _one("eval", "rows as JSON without vectors", f"eval data {rows}/qa.jsonl --no-vectors --json")
    beside = f"eval data {rows}/qa.jsonl --compare {DEBATE} --no-vectors --markdown c.md"
    yield _one("eval", "rows beside a run", beside, files="c.md")
    with_seeds = f"eval data {rows}/qa.jsonl --seeds inputs/tasks/haiku.yaml"
    yield _one("eval", "rows with seeds", f"{with_seeds} --no-vectors")
    yield _one("eval", "rows with vectors", with_seeds)
    for name in ("fused", "interrupted"):
        yield _one("eval", f"old run {name}", f"eval data {RUNS}/{name}/{OLD[name]} --seed 1")
    for name, line in {
        "nowhere": "nowhere",
        "a folder without runs": rows,
        "compared with nothing": f"{DEBATE} --compare nowhere",
        "seeds nowhere": f"{rows}/qa.jsonl --seeds nowhere.yaml --no-vectors",
        "seeds of no task": f"{rows}/qa.jsonl --seeds {rows}/qa.jsonl --no-vectors",
        "no such embedder": f"{rows}/qa.jsonl --embedder nobody/nothing",
        "markdown nowhere": f"{DEBATE} --markdown no/where.md",
        "sample of 0": f"{DEBATE} --sample 0",
    }.items():
        yield _one("eval", name, f"eval data {line}")
    cases = "--cases inputs/tasks/cases"
    judges = f"eval judges --judge judge_question_freeform --judge tag_sample_quality {cases} --quiet"
    replay = f"--replay {RUNS}/evals"
    replayed = f"--samples 1 {replay} --output-dir ej --markdown j.md"
    yield _one("eval", "judges replayed", f"{judges} {replayed}", files="ej/judges.* j.md")
    for name, line in {
        "judges replayed as JSON": f"--samples 1 {replay} --output-dir ejj --json --threshold-sweep",
        "judges below a kappa": f"--samples 1 {replay} --output-dir ejk --min-kappa 0.9",
        "judges asked more than was recorded": f"--samples 2 {replay} --output-dir ejm",
        "judges replayed from nothing": "--replay nowhere --output-dir ejn",
        "judges in the recording's place": f"--samples 1 {replay} --output-dir {RUNS}/evals",
    }.items():
        yield _one("eval", name, f"{judges} {line}")
    yield _one("eval", "no such judge", "eval judges --judge nobody")
    yield _one("eval", "no case for a judge", f"eval judges {cases} --judge judge_pair_freeform")
    for file in listed("case_files"):
        line = f"eval judges --cases case_files/{file['file']} --replay nowhere --output-dir ec"
        yield _one("cases", file["name"], line)


def _tasks() -> Iterator[Scenario]:
    for layout in ("text", "json", "github"):
        yield _one("tasks", f"task_specs as {layout}", f"tasks task_specs --format {layout}")
        yield _one("tasks", f"a taxonomy as {layout}", f"tasks inputs/taxonomy --format {layout}")
    for name, line in {
        "rules": "--rules",
        "nothing given": "",
        "strict": "inputs/taxonomy inputs/tasks/haiku.yaml --strict",
        "strict without warnings": "task_specs --strict",
        "nowhere": "nowhere.yaml",
        "a folder without tasks": "inputs/rows",
        "two formats": "task_specs --json --format github",
        "a small window": "task_specs --config inputs/configs/small.yaml",
        "no checkout": "task_specs --taxonomy-base main",
        "all faulty files as json": "task_files --format json",
    }.items():
        yield _one("tasks", name, f"tasks {line}")
    run = "run --replay demo --task-paths {} --output-dir tf"
    for file in listed("task_files"):
        path = shlex.quote(f"task_files/{file['file']}")
        both = file["name"].startswith(("qna v", "qna oldest", "called"))
        yield _one("task_files", file["name"], f"tasks {path}", *((run.format(path),) if both else ()))
    yield _one("tasks", "a run of all faulty files", run.format("task_files"))
    for file in listed("configs"):
        yield _one("configs", file["name"], f"tasks inputs/tasks/haiku.yaml --config configs/{file['file']}")


def _errors() -> Iterator[Scenario]:
    run, optimize = "run --replay demo --output-dir x", "optimize judges --optimizer gepa --out o.json"
    for line in (
        "nonsense",
        "--nonsense",
        "eval nonsense",
        "run --nonsense",
        "run words",
        f"{run} -n 0",
        f"{run} -n -1",
        f"{run} -n many",
        f"{run} -n 100000000",
        f"{run} --seed -1",
        f"{run} --concurrency 0",
        f"{run} --concurrency 5000",
        f"{run} --task-paths",
        f"{run} --task-paths nowhere.yaml",
        f"{run} --task-paths inputs/rows",
        f"{run} --decontaminate",
        f"{run} --decontaminate nowhere.jsonl",
        f"{run} --decontaminate inputs/rows/broken.jsonl",
        f"{run} --taxonomy-base main",
        f"{run} --export csv",
        f"{run} --program nowhere.json",
        f"{run} --program inputs/rows/qa.jsonl",
        f"{run} --program inputs/tasks/haiku.yaml",
        f"{run} --config nowhere.yaml",
        f"{run} --model 'two words'",
        f"{run} --judge-model ''",
        f"{run} --tagger-model ' '",
        f"{run} --embedder ''",
        f"{run} --restart --json --quiet -n",
        "run --replay nowhere --output-dir x",
        "run --replay inputs/rows --output-dir x",
        "run --replay demo --output-dir inputs/rows/qa.jsonl",
        "run --base-url ftp://host --task-paths inputs/tasks/haiku.yaml --output-dir x",
        "check --base-url ftp://host --task-paths inputs/tasks/haiku.yaml",
        "check -n 0",
        "explain",
        "prompts nonsense",
        "prompts judge_pair",
        "prompts a b",
        "prompts --task-paths nowhere.yaml",
        "prompts --program nowhere.json",
        "prompts --program inputs",
        "prompts --config nowhere.yaml",
        "prompts --config inputs",
        "decide",
        f"decide {DEBATE} --min-sample-quality 6",
        f"decide {DEBATE} --min-instruction-quality fine",
        f"decide {DEBATE} --max-squared-distance 5",
        f"decide {DEBATE} --fill --dry-run",
        "export",
        "optimize",
        "optimize judges",
        "optimize nonsense --optimizer gepa --out o.json --replay nowhere",
        "optimize judges --optimizer nonsense --out o.json --replay nowhere",
        "optimize judges --optimizer gepa --out new/place/o.json --replay nowhere",
        f"{optimize} --budget vast --replay nowhere",
        f"{optimize} --budget light --max-calls 5",
        f"{optimize} --min-judge-kappa 2",
        f"{optimize} --task-paths task_specs --replay nowhere",
        "eval judges --samples 0",
        "eval judges --min-kappa nan",
        "eval program",
        "eval program nowhere.json --replay nowhere",
        "eval program inputs/programs/both.json --replay nowhere --output-dir xp",
        "eval program inputs/programs/both.json --examples 1",
        "eval data",
    ):
        argv = tuple(shlex.split(line))
        yield Scenario("errors", " ".join(argv), (argv,))


def _old_runs() -> Iterator[Scenario]:
    for name in OLD:
        yield from _old_run(name)
    for name, row in (
        ("fused", "36c80f7b82ffaac4"),
        ("fused", "6d7f8d0ad52803fa"),
        ("fused", "ac29711b640dd129"),
        ("interrupted", "fbfb11dcdf248ee2"),
        ("taxonomy", "33b3ce4456feacf3"),
        ("decontaminated", "a14e3b0cd92f8a86"),
        ("programmed", "dbdd3eafb196bd07"),
    ):
        yield _one("old_runs", f"{name}: the story of {row}", f"explain {row} --output-dir {RUNS}/{name}")
    haiku = "--quiet --task-paths inputs/tasks/haiku.yaml"
    fused = f"run --replay {RUNS}/fused --output-dir o/given {haiku}"
    yield _one("old_runs", "the task given, and the settings not", fused)
    with_config = f"{fused} --config inputs/tasks/fused.yaml"
    yield _one("old_runs", "the task and the settings given", with_config, files="o/given/**/*.jsonl")
    questions = f"run --replay {RUNS}/decontaminated --output-dir o/questions {haiku} --decontaminate"
    the_same = f"{questions} inputs/tasks/evaluation.jsonl"
    yield _one("old_runs", "the questions given", the_same, files="o/questions/**/*.jsonl")
    needs = (("o/questions", the_same),)
    yield _one("old_runs", "other questions given", f"{questions} inputs/rows/qa.jsonl", needs=needs)
    for program in ("both", "judge"):
        place = f"--output-dir o/{program} --concurrency 1 --program inputs/programs/{program}.json"
        line = f"run --replay {RUNS}/programmed {place}"
        yield _one("old_runs", f"program {program} given", line, files=f"o/{program}/**/*.jsonl")


def _old_run(name: str) -> Iterator[Scenario]:
    """A run of the old code, replayed, decided anew and exported."""
    run, out, task = f"{RUNS}/{name}", f"o/{name}", OLD[name]
    replay = f"run --replay {run} --quiet"

    def one(what: str, line: str, files: str = "", copy: str = "") -> Scenario:
        return _one("old_runs", f"{name}: {what}", line, files=files, copies=((run, copy),) if copy else ())

    yield one("replayed", f"{replay} --output-dir {out}-all", _written(f"{out}-all"))
    yield one("replayed with fewer", f"{replay} -n 1 --output-dir {out}-1", f"{out}-1/**/*.jsonl")
    copy, decide = f"{out}-copy", f"decide {out}-copy/{task}"
    yield one("decided anew", f"{decide} --min-sample-quality 5 --json", f"{copy}/**/*-decided-*/*.json*", copy)
    yield one("decided anew, looser", f"{decide} --min-sample-quality 1 --min-pair-rating 1 --dry-run", "", copy)
    yield one("exported", f"export {run} --format hf --out {out}-hf --test-share 0.5", f"{out}-hf/README.md")
    if name not in ("fused", "interrupted"):
        return
    yield one("replayed with more", f"{replay} -n 40 --concurrency 1 --output-dir {out}-40", f"{out}-40/**/*.jsonl")
    yield one("replayed in its own place", f"run --replay {run} --output-dir {run}")
    over, aside = f"{out}-over", f"{out}-aside"
    yield one("replayed over a copy of itself", f"{replay} --output-dir {over}", f"{over}/**/*.jsonl", over)
    yield one("set aside", f"{replay} -n 1 --output-dir {aside} --restart", f"{aside}/{task}/*.jsonl", aside)
    yield one("as messages", f"export {run} --format messages --out {out}.jsonl", f"{out}.jsonl")


SCENARIOS: tuple[Scenario, ...] = (
    *_help(),
    *_prompts(),
    *_runs(),
    *_looked_at(),
    *_exports(),
    *_scores(),
    *_tasks(),
    *_errors(),
    *_old_runs(),
)
