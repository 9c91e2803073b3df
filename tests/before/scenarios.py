"""The scenarios: what is typed, in a folder with all inputs, and which of the files that come of it are compared."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.before.doing import Outcome, compared, listed, typed

Argv = tuple[str, ...]


@dataclass(frozen=True)
class Scenario:
    """Some command lines, one after the other.

    Attributes:
        group: the file of expected/ in which its outcome stands.
        name: its name there.
        steps: what is typed.
        files: patterns of the files that are compared afterwards.
        copies: folders that are copied first, as (from, to), because a command writes there.
    """

    group: str
    name: str
    steps: tuple[Argv, ...]
    files: tuple[str, ...] = ()
    copies: tuple[tuple[str, str], ...] = ()


def outcome(scenario: Scenario) -> Outcome:
    """Do it here; returns what came of it."""
    for source, target in scenario.copies:
        if not Path(target).exists():
            if source == DEMO:
                _demo()
            shutil.copytree(source, target)
    if any(DEMO in word for step in scenario.steps for word in step):
        _demo()
    steps = [typed(step) for step in scenario.steps]
    return {"steps": steps, "files": compared(scenario.files)}


DEMO = "shared-demo"
"""Where the demo's run lies, which many scenarios look at; the first of them makes it."""


def _demo() -> None:
    if not Path(DEMO).exists():
        assert typed(("run", "--replay", "demo", "-n", "5", "--output-dir", DEMO, "--quiet"))["code"] == 0


DEBATE, GRAMMAR = (f"{DEMO}/instructlab/skills/writing/{name}" for name in ("freeform/debate", "grounded/grammar"))
RUNS = "inputs/runs"
OLD = {
    "fused": "old/haiku",
    "interrupted": "old/notes",
    "taxonomy": "writing/riddles",
    "decontaminated": "old/haiku",
    "programmed": "old/haiku",
}
"""The runs made by the old code, each with the name of its task."""

WRITTEN = ("data.jsonl", "rejected.jsonl", "run.json")
COMMANDS: tuple[Argv, ...] = (
    (),
    *((name,) for name in ("run", "tasks", "check", "explain", "prompts", "decide", "export", "eval", "optimize")),
    *(("eval", name) for name in ("judges", "data", "program")),
)
STEPS = (
    "write_description",
    "write_context",
    "write_questions_freeform",
    "write_questions_grounded",
    "write_answer_freeform",
    "write_answer_grounded",
    "judge_question_freeform",
    "judge_question_grounded",
    "judge_pair_freeform",
    "judge_pair_grounded",
    "tag_instruction_quality",
    "tag_sample_quality",
    "tag_difficulty",
    "tag_category",
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


def _one(group: str, name: str, *argv: str, files: tuple[str, ...] = (), copies: tuple[tuple[str, str], ...] = ()) -> Scenario:
    return Scenario(group, name, (argv,), files, copies)


def _written(folder: str) -> tuple[str, ...]:
    return tuple(f"{folder}/**/{name}" for name in WRITTEN)


def _help() -> Iterator[Scenario]:
    for command in COMMANDS:
        yield _one("help", f"{' '.join(command) or 'all'} --help", *command, "--help")
    yield _one("help", "version", "--version")
    yield _one("help", "nothing", *())
    yield _one("help", "eval alone", "eval")


def _prompts() -> Iterator[Scenario]:
    yield _one("prompts", "all", "prompts")
    tasks = {"freeform": "task_specs/writing/freeform/debate.yaml", "grounded": "task_specs/writing/grounded/grammar.yaml"}
    for kind, path in tasks.items():
        yield _one("prompts", f"all of a {kind} task", "prompts", "--task-paths", path)
    yield _one(
        "prompts",
        "all of both kinds, fused",
        "prompts",
        "--task-paths",
        "inputs/tasks/notes.yaml",
        "--config",
        "inputs/tasks/fused.yaml",
    )
    yield _one("prompts", "of a task without a description", "prompts", "--task-paths", "inputs/taxonomy")
    for step in STEPS:
        kind = "grounded" if "grounded" in step or step == "write_context" else "freeform"
        yield _one("prompts", step, "prompts", step, "--task-paths", tasks[kind])
    for program in ("judge", "both"):
        path = f"inputs/programs/{program}.json"
        yield _one("prompts", f"program {program}", "prompts", "--program", path)
        for step in ("write_answer_freeform", "tag_category"):
            yield _one("prompts", f"{step} of program {program}", "prompts", step, "--program", path)


def _runs() -> Iterator[Scenario]:
    demo = ("run", "--replay", "demo")
    yield _one("run", "demo of 5", *demo, "-n", "5", "--output-dir", "r5", files=_written("r5"))
    yield _one(
        "run",
        "demo of 5, one at a time",
        *demo,
        "-n",
        "5",
        "--output-dir",
        "r1",
        "--concurrency",
        "1",
        files=("r1/**/*.jsonl",),
    )
    yield _one("run", "demo as JSON", *demo, "-n", "3", "--output-dir", "rj", "--json", files=("rj/**/*.jsonl",))
    yield Scenario(
        "run",
        "demo of 3, then of 5, then again",
        ((*demo, "-n", "3", "--output-dir", "r35"), *((*demo, "-n", "5", "--output-dir", "r35", "--quiet"),) * 2),
        _written("r35"),
    )
    yield _one(
        "run",
        "demo beyond its end",
        *demo,
        "--task-paths",
        "task_specs/writing/freeform/debate.yaml",
        "-n",
        "500",
        "--output-dir",
        "r500",
        "--quiet",
        "--concurrency",
        "1",
        files=("r500/**/*.jsonl",),
    )
    yield _one(
        "run", "demo of one task", *demo, "-n", "2", "--output-dir", "rone", "--task-paths",
        "task_specs/writing/freeform/debate.yaml", "task_specs/writing/grounded/grammar.yaml", files=("rone/**/*.jsonl",),
    )  # fmt: skip
    yield _one(
        "run", "a folder that the recording does not know", *demo, "-n", "2", "--output-dir", "rx", "--task-paths", "task_specs"
    )
    yield _one(
        "run",
        "demo with another seed",
        *demo,
        "--task-paths",
        "task_specs/writing/freeform/debate.yaml",
        "-n",
        "2",
        "--output-dir",
        "rseed",
        "--concurrency",
        "1",
        "--seed",
        "5",
    )
    yield _one(
        "run",
        "demo with another configuration",
        *demo,
        "--task-paths",
        "task_specs/writing/freeform/debate.yaml",
        "-n",
        "2",
        "--output-dir",
        "rc",
        "--concurrency",
        "1",
        "--config",
        "inputs/configs/other.yaml",
    )
    yield _one(
        "run",
        "demo with stricter filter",
        *demo,
        "-n",
        "2",
        "--output-dir",
        "rf",
        "--config",
        "inputs/configs/stricter.yaml",
        files=("rf/**/*.jsonl",),
    )
    yield _one(
        "run",
        "demo with another model",
        *demo,
        "--task-paths",
        "task_specs/writing/freeform/debate.yaml",
        "-n",
        "2",
        "--output-dir",
        "rm",
        "--concurrency",
        "1",
        "--model",
        "other",
    )
    yield _one(
        "run",
        "demo with a program",
        *demo,
        "--task-paths",
        "task_specs/writing/freeform/debate.yaml",
        "-n",
        "2",
        "--output-dir",
        "rp",
        "--concurrency",
        "1",
        "--program",
        "inputs/programs/both.json",
    )
    yield _one(
        "run", "demo with exports", *demo, "-n", "2", "--output-dir", "re", "--export", "messages", "--export", "alpaca",
        "--export", "instructlab", files=("re/exports/**/*.json*",),
    )  # fmt: skip
    yield Scenario(
        "run",
        "demo of fewer than there are",
        ((*demo, "-n", "4", "--output-dir", "rl", "--quiet"), (*demo, "-n", "2", "--output-dir", "rl")),
        ("rl/**/*.jsonl",),
    )
    yield Scenario(
        "run",
        "another configuration in the same place",
        (
            (*demo, "-n", "2", "--output-dir", "rr", "--quiet"),
            (*demo, "-n", "2", "--output-dir", "rr", "--seed", "3"),
            (*demo, "-n", "2", "--output-dir", "rr", "--config", "inputs/configs/stricter.yaml"),
        ),
    )


def _looked_at() -> Iterator[Scenario]:
    for name, row in {
        "an accepted row": "aff2922b25ad4090",
        "an accepted row with a context": "368fff674875ff1e",
        "a duplicate": "3ce23e30a4d80092",
        "a pair judged bad": "f942030230bb1045",
        "an unknown id": "0000000000000000",
        "no id": "zzz",
    }.items():
        yield _one("explain", name, "explain", row, "--output-dir", DEMO)
    yield _one("explain", "in the folder of one run", "explain", "27a0c6e283d407a2", "--output-dir", DEBATE)
    yield _one("explain", "in the folder of another run", "explain", "aff2922b25ad4090", "--output-dir", GRAMMAR)
    yield _one("explain", "no runs", "explain", "aff2922b25ad4090", "--output-dir", "nowhere")
    for name, argv in {
        "dry run": ("--min-sample-quality", "5", "--dry-run"),
        "dry run as JSON": ("--min-sample-quality", "5", "--dry-run", "--json"),
        "looser": (
            "--min-sample-quality",
            "1",
            "--min-pair-rating",
            "1",
            "--min-instruction-quality",
            "very poor",
            "--dry-run",
        ),
        "nearer": ("--max-squared-distance", "1.2", "--dry-run"),
        "farther": ("--max-squared-distance", "0", "--dry-run"),
        "the same": ("--min-sample-quality", "4", "--dry-run"),
        "nothing asked": ("--dry-run",),
        "stricter configuration": ("--config", "inputs/configs/stricter.yaml", "--dry-run"),
        "configuration that shapes": ("--config", "inputs/configs/other.yaml", "--dry-run"),
        "out is a file": ("--min-sample-quality", "5", "--out", "inputs/rows/qa.jsonl"),
        "out is the run": ("--min-sample-quality", "5", "--out", DEBATE),
    }.items():
        yield _one("decide", name, "decide", DEBATE, *argv)
    yield _one("decide", "written", "decide", DEBATE, "--min-sample-quality", "5", "--out", "d5", files=_written("d5"))
    yield _one(
        "decide",
        "written beside",
        "decide",
        "dcopy/" + DEBATE.split("/", 1)[1],
        "--min-pair-rating",
        "3",
        "--json",
        files=("dcopy/**/*-decided-*/*.json*",),
        copies=((DEMO, "dcopy"),),
    )
    yield _one(
        "decide",
        "grounded",
        "decide",
        GRAMMAR,
        "--min-pair-rating",
        "3",
        "--min-sample-quality",
        "5",
        "--out",
        "dg",
        files=_written("dg"),
    )
    yield _one("decide", "no run", "decide", "nowhere")
    yield _one("decide", "a folder of runs", "decide", DEMO, "--min-sample-quality", "5")


def _exports() -> Iterator[Scenario]:
    for layout, out in FORMATS.items():
        for name, more in {
            "": (),
            " with a test share": ("--test-share", "0.2"),
            " with a system prompt": ("--system-prompt", "Be brief."),
        }.items():
            place = f"e/{layout}{len(more)}{'t' if 'test' in name else ''}"
            target = f"{place}/{out}" if "test" not in name else f"{place}/folder"
            yield _one(
                "export",
                layout + name,
                "export",
                DEMO if name else DEBATE,
                "--format",
                layout,
                "--out",
                target,
                *more,
                files=(f"{place}/**/*",),
            )
    yield _one(
        "export",
        "one run with a seed",
        "export",
        DEBATE,
        "--format",
        "hf",
        "--out",
        "e/seed",
        "--test-share",
        "0.5",
        "--seed",
        "7",
        files=("e/seed/**/*",),
    )
    yield _one(
        "export", "two runs", "export", DEBATE, GRAMMAR, "--format", "alpaca", "--out", "e/two.json", files=("e/two.json",)
    )
    yield _one(
        "export",
        "a run twice",
        "export",
        DEBATE,
        DEBATE,
        "--format",
        "alpaca",
        "--out",
        "e/twice.json",
        files=("e/twice.json",),
    )
    again = ("export", DEBATE, "--format", "messages", "--out", "e/again.jsonl")
    yield Scenario("export", "twice", (again, again, (*again, "--overwrite")), ("e/again.jsonl",))
    for name, argv in {
        "no run": ("nowhere", "--format", "hf", "--out", "e/x"),
        "a folder without runs": ("inputs/rows", "--format", "hf", "--out", "e/x"),
        "a file": ("inputs/rows/qa.jsonl", "--format", "hf", "--out", "e/x"),
        "no format": (DEMO, "--out", "e/x"),
        "unknown format": (DEMO, "--format", "csv", "--out", "e/x"),
        "no out": (DEMO, "--format", "hf"),
        "out in no folder": (DEMO, "--format", "messages", "--out", "e/no/where/x.jsonl"),
        "share of nothing": (DEMO, "--format", "hf", "--out", "e/x", "--test-share", "0"),
        "share of all": (DEMO, "--format", "hf", "--out", "e/x", "--test-share", "1"),
        "share that is no number": (DEMO, "--format", "hf", "--out", "e/x", "--test-share", "nan"),
        "push of another format": (DEMO, "--format", "alpaca", "--out", "e/x", "--push-to-hub", "a/b"),
        "public without push": (DEMO, "--format", "hf", "--out", "e/x", "--public"),
        "seed without share": (DEMO, "--format", "hf", "--out", "e/x", "--seed", "3"),
        "system prompt of alpaca": (DEMO, "--format", "alpaca", "--out", "e/y.json", "--system-prompt", ""),
    }.items():
        yield _one("export", name, "export", *argv)


def _scores() -> Iterator[Scenario]:
    data = ("eval", "data")
    rows = "inputs/rows"
    yield _one("eval", "a run", *data, DEBATE)
    yield _one("eval", "a run as JSON", *data, GRAMMAR, "--json")
    yield _one("eval", "a folder of runs", *data, DEMO, "--markdown", "score.md", files=("score.md",))
    yield _one("eval", "two runs", *data, DEBATE, "--compare", GRAMMAR)
    yield _one("eval", "a run without vectors", *data, DEBATE, "--no-vectors", "--json")
    yield _one("eval", "a run with seeds", *data, DEBATE, "--seeds", "task_specs/writing/freeform/debate.yaml")
    for name in ("qa.jsonl", "messages.jsonl", "number.jsonl", "strange.jsonl", "broken.jsonl", "empty.jsonl", "words.txt"):
        yield _one("eval", f"{name} without vectors", *data, f"{rows}/{name}", "--no-vectors")
    yield _one("eval", "rows as JSON without vectors", *data, f"{rows}/qa.jsonl", "--no-vectors", "--json")
    yield _one(
        "eval",
        "rows beside a run",
        *data,
        f"{rows}/qa.jsonl",
        "--compare",
        DEBATE,
        "--no-vectors",
        "--markdown",
        "c.md",
        files=("c.md",),
    )
    yield _one("eval", "rows with seeds", *data, f"{rows}/qa.jsonl", "--seeds", "inputs/tasks/haiku.yaml", "--no-vectors")
    yield _one("eval", "rows with vectors", *data, f"{rows}/qa.jsonl", "--seeds", "inputs/tasks/haiku.yaml")
    for name in ("fused", "interrupted"):
        yield _one("eval", f"old run {name}", *data, f"{RUNS}/{name}/{OLD[name]}", "--seed", "1")
    for name, argv in {
        "nowhere": ("nowhere",),
        "a folder without runs": (rows,),
        "compared with nothing": (DEBATE, "--compare", "nowhere"),
        "seeds nowhere": (f"{rows}/qa.jsonl", "--seeds", "nowhere.yaml", "--no-vectors"),
        "seeds of no task": (f"{rows}/qa.jsonl", "--seeds", f"{rows}/qa.jsonl", "--no-vectors"),
        "no such embedder": (f"{rows}/qa.jsonl", "--embedder", "nobody/nothing"),
        "markdown nowhere": (DEBATE, "--markdown", "no/where.md"),
        "sample of 0": (DEBATE, "--sample", "0"),
    }.items():
        yield _one("eval", name, *data, *argv)
    judges = (
        "eval",
        "judges",
        "--judge",
        "judge_question_freeform",
        "--judge",
        "tag_sample_quality",
        "--cases",
        "inputs/tasks/cases",
        "--quiet",
    )
    session = ("--samples", "1", "--replay", f"{RUNS}/evals")
    yield _one(
        "eval", "judges replayed", *judges, *session, "--output-dir", "ej", "--markdown", "j.md", files=("ej/judges.*", "j.md")
    )
    yield _one("eval", "judges replayed as JSON", *judges, *session, "--output-dir", "ejj", "--json", "--threshold-sweep")
    yield _one("eval", "judges below a kappa", *judges, *session, "--output-dir", "ejk", "--min-kappa", "0.9")
    yield _one(
        "eval",
        "judges asked more than was recorded",
        *judges,
        "--samples",
        "2",
        "--replay",
        f"{RUNS}/evals",
        "--output-dir",
        "ejm",
    )
    yield _one("eval", "judges replayed from nothing", *judges, "--replay", "nowhere", "--output-dir", "ejn")
    yield _one("eval", "judges in the recording's place", *judges, *session, "--output-dir", f"{RUNS}/evals")
    yield _one("eval", "no such judge", "eval", "judges", "--judge", "nobody")
    yield _one(
        "eval", "no case for a judge", "eval", "judges", "--cases", "inputs/tasks/cases", "--judge", "judge_pair_freeform"
    )
    for file in listed("case_files"):
        yield _one(
            "cases",
            file["name"],
            "eval",
            "judges",
            "--cases",
            f"case_files/{file['file']}",
            "--replay",
            "nowhere",
            "--output-dir",
            "ec",
        )


def _tasks() -> Iterator[Scenario]:
    for layout in ("text", "json", "github"):
        yield _one("tasks", f"task_specs as {layout}", "tasks", "task_specs", "--format", layout)
        yield _one("tasks", f"a taxonomy as {layout}", "tasks", "inputs/taxonomy", "--format", layout)
    yield _one("tasks", "rules", "tasks", "--rules")
    yield _one("tasks", "nothing given", "tasks")
    yield _one("tasks", "strict", "tasks", "inputs/taxonomy", "inputs/tasks/haiku.yaml", "--strict")
    yield _one("tasks", "strict without warnings", "tasks", "task_specs", "--strict")
    yield _one("tasks", "nowhere", "tasks", "nowhere.yaml")
    yield _one("tasks", "a folder without tasks", "tasks", "inputs/rows")
    yield _one("tasks", "two formats", "tasks", "task_specs", "--json", "--format", "github")
    yield _one("tasks", "a small window", "tasks", "task_specs", "--config", "inputs/configs/small.yaml")
    yield _one("tasks", "no checkout", "tasks", "task_specs", "--taxonomy-base", "main")
    for layout in ("json",):
        yield _one("tasks", f"all faulty files as {layout}", "tasks", "task_files", "--format", layout)
    for file in listed("task_files"):
        path = f"task_files/{file['file']}"
        run = ("run", "--replay", "demo", "--task-paths", path, "--output-dir", "tf")
        both = file["name"].startswith(("qna v", "qna oldest", "called"))
        yield Scenario("task_files", file["name"], (("tasks", path), run) if both else (("tasks", path),))
    yield _one(
        "tasks", "a run of all faulty files", "run", "--replay", "demo", "--task-paths", "task_files", "--output-dir", "tf"
    )
    for file in listed("configs"):
        config = f"configs/{file['file']}"
        yield _one("configs", file["name"], "tasks", "inputs/tasks/haiku.yaml", "--config", config)


def _errors() -> Iterator[Scenario]:
    run = ("run", "--replay", "demo", "--output-dir", "x")
    for argv in (
        ("nonsense",),
        ("--nonsense",),
        ("eval", "nonsense"),
        ("run", "--nonsense"),
        ("run", "words"),
        (*run, "-n", "0"),
        (*run, "-n", "-1"),
        (*run, "-n", "many"),
        (*run, "-n", "100000000"),
        (*run, "--seed", "-1"),
        (*run, "--concurrency", "0"),
        (*run, "--concurrency", "5000"),
        (*run, "--task-paths"),
        (*run, "--task-paths", "nowhere.yaml"),
        (*run, "--task-paths", "inputs/rows"),
        (*run, "--decontaminate"),
        (*run, "--decontaminate", "nowhere.jsonl"),
        (*run, "--decontaminate", "inputs/rows/broken.jsonl"),
        (*run, "--taxonomy-base", "main"),
        (*run, "--export", "csv"),
        (*run, "--program", "nowhere.json"),
        (*run, "--program", "inputs/rows/qa.jsonl"),
        (*run, "--program", "inputs/tasks/haiku.yaml"),
        (*run, "--config", "nowhere.yaml"),
        (*run, "--model", "two words"),
        (*run, "--judge-model", ""),
        (*run, "--tagger-model", " "),
        (*run, "--embedder", ""),
        (*run, "--restart", "--json", "--quiet", "-n"),
        ("run", "--replay", "nowhere", "--output-dir", "x"),
        ("run", "--replay", "inputs/rows", "--output-dir", "x"),
        ("run", "--replay", "demo", "--output-dir", "inputs/rows/qa.jsonl"),
        ("run", "--base-url", "ftp://host", "--task-paths", "inputs/tasks/haiku.yaml", "--output-dir", "x"),
        ("check", "--base-url", "ftp://host", "--task-paths", "inputs/tasks/haiku.yaml"),
        ("check", "-n", "0"),
        ("explain",),
        ("prompts", "nonsense"),
        ("prompts", "judge_pair"),
        ("prompts", "a", "b"),
        ("prompts", "--task-paths", "nowhere.yaml"),
        ("prompts", "--program", "nowhere.json"),
        ("prompts", "--program", "inputs"),
        ("prompts", "--config", "nowhere.yaml"),
        ("prompts", "--config", "inputs"),
        ("decide",),
        ("decide", DEBATE, "--min-sample-quality", "6"),
        ("decide", DEBATE, "--min-instruction-quality", "fine"),
        ("decide", DEBATE, "--max-squared-distance", "5"),
        ("decide", DEBATE, "--fill", "--dry-run"),
        ("export",),
        ("optimize",),
        ("optimize", "judges"),
        ("optimize", "nonsense", "--optimizer", "gepa", "--out", "o.json", "--replay", "nowhere"),
        ("optimize", "judges", "--optimizer", "nonsense", "--out", "o.json", "--replay", "nowhere"),
        ("optimize", "judges", "--optimizer", "gepa", "--out", "no/where/o.json", "--replay", "nowhere"),
        ("optimize", "judges", "--optimizer", "gepa", "--out", "o.json", "--budget", "vast", "--replay", "nowhere"),
        ("optimize", "judges", "--optimizer", "gepa", "--out", "o.json", "--budget", "light", "--max-calls", "5"),
        ("optimize", "judges", "--optimizer", "gepa", "--out", "o.json", "--min-judge-kappa", "2"),
        ("optimize", "judges", "--optimizer", "gepa", "--out", "o.json", "--task-paths", "task_specs", "--replay", "nowhere"),
        ("eval", "judges", "--samples", "0"),
        ("eval", "judges", "--min-kappa", "nan"),
        ("eval", "program"),
        ("eval", "program", "nowhere.json", "--replay", "nowhere"),
        ("eval", "program", "inputs/programs/both.json", "--replay", "nowhere", "--output-dir", "xp"),
        ("eval", "program", "inputs/programs/both.json", "--examples", "1"),
        ("eval", "data"),
    ):
        yield Scenario("errors", " ".join(argv), (argv,))


def _old_runs() -> Iterator[Scenario]:
    for name, task in OLD.items():
        run, out = f"{RUNS}/{name}", f"o/{name}"
        replay = ("run", "--replay", run, "--quiet")
        yield _one("old_runs", f"{name}: replayed", *replay, "--output-dir", f"{out}-all", files=_written(f"{out}-all"))
        yield _one(
            "old_runs",
            f"{name}: replayed with fewer",
            *replay,
            "-n",
            "1",
            "--output-dir",
            f"{out}-1",
            files=(f"{out}-1/**/*.jsonl",),
        )
        copy, place = ((run, f"{out}-copy"),), f"{out}-copy/{task}"
        yield _one(
            "old_runs",
            f"{name}: decided anew",
            "decide",
            place,
            "--min-sample-quality",
            "5",
            "--json",
            files=(f"{out}-copy/**/*-decided-*/*.json*",),
            copies=copy,
        )
        yield _one(
            "old_runs",
            f"{name}: decided anew, looser",
            "decide",
            place,
            "--min-sample-quality",
            "1",
            "--min-pair-rating",
            "1",
            "--dry-run",
            copies=copy,
        )
        yield _one(
            "old_runs",
            f"{name}: exported",
            "export",
            f"{RUNS}/{name}",
            "--format",
            "hf",
            "--out",
            f"{out}-hf",
            "--test-share",
            "0.5",
            files=(f"{out}-hf/README.md",),
        )
        if name in ("taxonomy", "decontaminated", "programmed"):
            continue
        yield _one(
            "old_runs",
            f"{name}: replayed with more",
            *replay,
            "-n",
            "40",
            "--concurrency",
            "1",
            "--output-dir",
            f"{out}-40",
            files=(f"{out}-40/**/*.jsonl",),
        )
        yield _one("old_runs", f"{name}: replayed in its own place", "run", "--replay", run, "--output-dir", run)
        yield _one(
            "old_runs",
            f"{name}: replayed over a copy of itself",
            *replay,
            "--output-dir",
            f"{out}-over",
            files=(f"{out}-over/**/*.jsonl",),
            copies=((run, f"{out}-over"),),
        )
        yield _one(
            "old_runs",
            f"{name}: set aside",
            *replay,
            "-n",
            "1",
            "--output-dir",
            f"{out}-aside",
            "--restart",
            files=(f"{out}-aside/{task}/*.jsonl",),
            copies=((run, f"{out}-aside"),),
        )
        yield _one(
            "old_runs",
            f"{name}: as messages",
            "export",
            f"{RUNS}/{name}",
            "--format",
            "messages",
            "--out",
            f"{out}.jsonl",
            files=(f"{out}.jsonl",),
        )
    for name, row in {
        "fused": "36c80f7b82ffaac4",
        "fused ": "6d7f8d0ad52803fa",
        "fused  ": "ac29711b640dd129",
        "interrupted": "fbfb11dcdf248ee2",
        "taxonomy": "33b3ce4456feacf3",
        "decontaminated": "a14e3b0cd92f8a86",
        "programmed": "dbdd3eafb196bd07",
    }.items():
        yield _one("old_runs", f"{name.strip()}: the story of {row}", "explain", row, "--output-dir", f"{RUNS}/{name.strip()}")
    haiku = ("--task-paths", "inputs/tasks/haiku.yaml")
    fused = ("run", "--replay", f"{RUNS}/fused", "--output-dir", "o/given", "--quiet", *haiku)
    yield _one("old_runs", "the task given, and the settings not", *fused)
    yield _one(
        "old_runs",
        "the task and the settings given",
        *fused,
        "--config",
        "inputs/tasks/fused.yaml",
        files=("o/given/**/*.jsonl",),
    )
    evaluation = ("--decontaminate", "inputs/tasks/evaluation.jsonl")
    questions = ("run", "--replay", f"{RUNS}/decontaminated", "--output-dir", "o/questions", "--quiet", *haiku)
    yield _one("old_runs", "the questions given", *questions, *evaluation, files=("o/questions/**/*.jsonl",))
    yield _one("old_runs", "other questions given", *questions, "--decontaminate", "inputs/rows/qa.jsonl")
    for program in ("both", "judge"):
        yield _one(
            "old_runs",
            f"program {program} given",
            "run",
            "--replay",
            f"{RUNS}/programmed",
            "--output-dir",
            f"o/{program}",
            "--concurrency",
            "1",
            "--program",
            f"inputs/programs/{program}.json",
            files=(f"o/{program}/**/*.jsonl",),
        )


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
