"""The commands; what one does is imported when it is called, so that --help is quick."""

import errno
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from skills_dspy import __version__
from skills_dspy.base.errors import Interrupted, SkillsError
from skills_dspy.cli.shared.arguments import (
    CheckOptions,
    DecideOptions,
    ExplainOptions,
    ExportOptions,
    OptimizeOptions,
    PromptsOptions,
    ReportOptions,
    ReviewOptions,
    RunOptions,
    TasksOptions,
)
from skills_dspy.cli.shared.environment import put_right
from skills_dspy.cli.shared.eval_arguments import EvalDataOptions, EvalJudgesOptions, EvalProgramOptions, EvalStudentOptions
from skills_dspy.cli.shared.options import DEFAULT_HOST, ManyPaths, takes
from skills_dspy.cli.terminal.streams import echo, guarded

INTERRUPTED = 130
INSTALLED_AS = "skills-dspy"
COMPLETING = "_SKILLS_DSPY_COMPLETE"
"""What click has shells set to ask for completions, by the name of the installed command."""
PREFIX = "SKILLS_DSPY"
"""Begins the names of the variables that set options."""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100, "color": True})
@click.version_option(__version__, prog_name="skills_dspy", allow_from_autoenv=False)
def cli() -> None:
    """Turn a few seed examples of a skill into validated training data with a teacher model on your own machine.

    Every option has a variable of the environment, by command and name: SKILLS_DSPY_RUN_MODEL is --model of run,
    SKILLS_DSPY_EVAL_JUDGES_SAMPLES is --samples of eval judges. What is typed goes first.
    """


@cli.command(cls=ManyPaths)
@takes(RunOptions, "run.run_command")
def run() -> None:
    """Write N accepted pairs for each task.

    Exit codes: 0 every task has its N pairs; 1 stopped short, or a file in a folder is broken, and it is said why; 2 the
    request or the machine is at fault; 130 interrupted, everything is kept and the same command goes on.
    """


@cli.command()
@takes(ExplainOptions, "explain.explain_command")
def explain() -> None:
    """Print the whole story of one row or rejection: examples shown, prompts and replies, verdicts, neighbour."""


@cli.command(cls=ManyPaths)
@takes(CheckOptions, "check.check_command")
def check() -> None:
    """Find out before the night what would go wrong in it: host, models, windows, replies, speed, hours.

    With --seeds: which seeds the judges of new pairs would reject, and why. A judge sees the other seeds as examples.

    Exit codes: 0 everything needed is there, or every seed passes; 1 a seed does not; 2 something is not there, or the request
    is at fault.
    """


@cli.command()
@takes(TasksOptions, "tasks.tasks_command")
def tasks() -> None:
    """List the tasks of task files, qna.yaml files and taxonomies, and say what is wrong with them, without a model.

    Exit codes: 0 nothing keeps a file from being used; 1 an error was found, or with --strict a warning; 2 the request is at
    fault.
    """


@cli.command(cls=ManyPaths)
@takes(PromptsOptions, "prompts.prompts_command")
def prompts() -> None:
    """Print each prompt, or the one named, as it will be sent, and where its text comes from.

    With --program: the compiled prompts beside the originals, as a diff.
    """


@cli.command()
@takes(DecideOptions, "decide.decide_command")
def decide() -> None:
    """Decide anew, by other thresholds, which candidates of a run are accepted; no model is asked.

    Shows what changes as a diff of the funnel, and writes a new dataset beside the run. The run itself stays as it is.
    Candidates that would need replies which nobody ever asked for are left out and counted; --fill asks for just those.
    --pairs K asks for second answers, for preference data.
    """


@cli.command(cls=ManyPaths)
@takes(OptimizeOptions, "optimize.optimize_command")
def optimize() -> None:
    """Compile better prompts for TARGET: a predictor, or judges, question-judge, pair-judge, tags, questions, answers, all.

    Exit codes: 0 something became better on held-out examples and the program is written; 1 nothing did (what was better on
    the validation alone is written all the same), or the calls were spent; 2 the request or the machine is at fault; 130
    interrupted, every reply is kept and the same command goes on.
    """


@cli.group("eval")
def evaluate() -> None:
    """Measure: the judges, a dataset, a compiled program, what a student learns."""


@evaluate.command(cls=ManyPaths)
@takes(EvalJudgesOptions, "evaluate.eval_judges_command")
def judges() -> None:
    """Report how often the judges and taggers are right, on cases whose labels are known.

    Exit codes: 0 the report is made; 1 a judge is below --min-kappa; 2 the request or the machine is at fault; 130
    interrupted, every reply is kept and the same command goes on.
    """


@evaluate.command(cls=ManyPaths)
@takes(EvalProgramOptions, "evaluate.eval_program_command")
def program() -> None:
    """Measure a compiled program against the original prompts, on seeds and cases that it was not compiled with."""


@evaluate.command()
@takes(EvalDataOptions, "evaluate.eval_data_command")
def data() -> None:
    """Score a dataset: how varied, how new against its seeds, how long, what has collapsed.

    PATH is a run's directory, a folder with several runs, or a file or folder of pairs as others keep them: what export
    writes, JSON, CSV or Parquet with instruction and response, question and answer, prompt and completion, messages or
    conversations. No teacher or judge is asked; what a run remembers is not embedded anew.

    Exit codes: 0 scored; 2 the request or the machine is at fault, in one sentence.
    """


@evaluate.command(cls=ManyPaths)
@takes(EvalStudentOptions, "student.eval_student_command")
def student() -> None:
    """Teach a small model with rows, and measure on seeds that no row was made from whether it learns the skill.

    DATA are runs, exports or files of rows, as `eval data` reads them; `run --hold-out K` keeps seeds out of a run. Compared
    with the same rows with their answers shuffled, with the seeds alone where runs say which, and with a half and a quarter of
    the rows. TRL trains, with LoRA unless --full (pip install 'skills-dspy[student]').

    Exit codes: 0 measured; 2 the request or the machine is at fault, in one sentence; 130 interrupted, every finished training
    is kept and the same command goes on.
    """


@cli.command()
@takes(ReviewOptions, "review.review_command")
def review() -> None:
    """Look at the rows of a run one by one, in a browser, and say which are any good.

    Serves a page on 127.0.0.1 under an address with a token. Keys: a accept, r reject with a reason, e edit, s skip, u undo.
    What the judges said is shown after you chose. Each choice is on the disk, in RUN/reviews.jsonl, before the next row shows;
    stop and go on as you like, in several windows too. `export` honours the reviews, `eval judges --reviews` measures the
    judges by them, `optimize judges --reviews` trains on them.
    """


@cli.command()
@takes(ExportOptions, "export.export_command")
def export() -> None:
    """Write the accepted rows of runs as training data; RUN is a run's directory or a folder of runs, several are merged.

    \b
    messages     chat JSONL (TRL, axolotl, OpenAI): context, blank line, question; then the answer
    alpaca       instruction, input (the context), output
    sharegpt     conversations of from and value
    instructlab  skills_train_msgs, node_datasets, recipe and test files of InstructLab
    parquet      all of a row in typed columns: tags, verdicts, provenance
    hf           a folder that datasets.load_dataset reads, with a dataset card; --push-to-hub uploads it
    kto          the same for TRL's KTOTrainer: prompt, completion, label; false where the answer was rejected
    dpo          the same for TRL's DPOTrainer: prompt, chosen, rejected, margin; of a dataset of decide --pairs

    Nothing leaves this machine without --push-to-hub.
    """


@cli.command()
@takes(ReportOptions, "report.report_command")
def report() -> None:
    """Write one page to look at runs with, for any browser, without a server or a network; it may be sent by mail.

    RUN is a run's directory or a folder of runs. The page has the funnel and the yield, ratings and soft ratings, a map of
    diversity, lengths and near-copies, and every row, accepted and rejected, to page, search and filter: with its verdicts,
    its nearest neighbour and the prompts and replies of its story. It holds all that the runs hold, but for the server's
    address. No model is asked.
    """


def _log(context: click.Context, _: click.Parameter, verbose: int) -> None:
    if verbose:
        from skills_dspy.cli.terminal.log import logging_to_stderr

        # The context of a command shares this with that of the group before it, where -v may stand as well.
        before, log = context.meta.get(__name__) or (0, context.find_root().with_resource(logging_to_stderr()))
        context.meta[__name__] = before + verbose, log
        log(before + verbose)


def _with_verbose(command: click.Command, *, hidden: bool = False) -> None:
    """Let `-v` stand before the command's name, where the help shows it, and after it as well."""
    text = "Log what is done, to stderr; twice: each request as well."
    flags = ["-v", "--verbose"]
    command.params.append(click.Option(flags, count=True, expose_value=False, callback=_log, hidden=hidden, help=text))
    for below in command.commands.values() if isinstance(command, click.Group) else ():
        _with_verbose(below, hidden=True)


_with_verbose(cli)


def start(argv: Sequence[str]) -> int:
    """Run a command; returns its exit code. A SkillsError becomes one sentence on stderr.

    Where a shell asks what a word may go on with, SystemExit ends the answer, whose bytes go to the shell as they are.
    """
    if COMPLETING in os.environ:
        cli.main(args=[], prog_name=INSTALLED_AS)
    with_host = {"base_url": [put_right(os.environ) or DEFAULT_HOST]}
    defaults = {
        **dict.fromkeys(("run", "check", "decide", "optimize"), with_host),
        "eval": dict.fromkeys(("judges", "program", "student"), with_host),
    }
    with guarded():
        return _typed(argv, defaults)


def _typed(argv: Sequence[str], defaults: Mapping[str, Any]) -> int:
    """Run it with these defaults of its options."""
    try:
        settings: Mapping[str, Any] = {"default_map": defaults, "auto_envvar_prefix": PREFIX}
        code = int(cli.main(args=list(argv), prog_name="skills_dspy", standalone_mode=False, **settings) or 0)
        sys.stdout.flush()
        return code
    except click.exceptions.NoArgsIsHelpError as error:
        echo(error.format_message(), err=True)
        return 2
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except SkillsError as error:
        echo(f"error: {error}", err=True)
        return error.exit_code
    except Interrupted:
        return INTERRUPTED
    except (KeyboardInterrupt, click.Abort):
        echo("interrupted", err=True)
        return INTERRUPTED
    except OSError as error:
        # What a run writes has its own errors; this is stdout, on a full disk. A pipe that nobody reads, as after `head`, is
        # taken for an end without a word by click and by rich.
        if error.errno != errno.ENOSPC:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing more can be written there
        echo(f"error: what is printed cannot be written: {error.strerror}; the run's files are whole", err=True)
        return 2
