"""`eval student`: teaches a model with rows, and prints what it has learned."""

from collections.abc import Sequence
from dataclasses import replace
from os.path import abspath

from evals.figures.tables import markdown, print_sections
from evals.session.session import Session
from evals.student.examination import StudentRequest, examine_student
from evals.student.judging import AnsweredTwice, Preference, judge_answers
from evals.student.training import FULL_RATE, LORA_RATE, TrainingSettings
from skills_dspy.base.config import RunConfig
from skills_dspy.base.errors import Interrupted, RequestError
from skills_dspy.cli.evaluate import check_page, report_console
from skills_dspy.cli.progress import Progress, TrainingProgress
from skills_dspy.cli.shared.eval_arguments import EvalStudentOptions
from skills_dspy.cli.shared.options import ModelOptions, SessionOptions
from skills_dspy.cli.shared.sessions import in_session
from skills_dspy.cli.terminal.streams import echo, echo_json
from skills_dspy.model.server.gguf import read_model_file
from skills_dspy.store.aside import write_json, write_text
from skills_dspy.store.files import make_folder
from skills_dspy.store.student_report import STUDENT_REPORT, read_student_report


def eval_student_command(options: EvalStudentOptions) -> int:
    """Measure what was asked for; returns the exit code."""
    given = (*options.data, *options.seeds, options.student, options.other, options.control)
    check_page(options.markdown, (*given, options.config, options.server.llamacpp))
    _refuse_other(options)
    make_folder(options.output_dir)
    if options.judge is not None:  # a server that is not there is told of before the night, not after it
        in_session(*_asking(options, options.judge), _met)
    try:
        with TrainingProgress(quiet=options.quiet) as progress:
            progress.update("loading the student")
            report, answers = examine_student(_request(options), progress)
    except KeyboardInterrupt as interrupted:
        echo("interrupted; every finished training is kept: the same command goes on where this one stopped", err=True)
        raise Interrupted from interrupted
    if options.judge is not None:
        report = replace(report, judged=_judged(options, options.judge, answers).as_json())
    sections, folder = report.sections(), options.output_dir
    write_json(folder / STUDENT_REPORT, report.as_json())
    for path in filter(None, (folder / "student.md", options.markdown)):
        write_text(path, markdown(sections))
    if options.as_json:
        echo_json(report.as_json())
        return 0
    print_sections(sections, report_console())
    echo(f"\nWritten to {folder / 'student.json'} and {folder / 'student.md'}")
    if options.save is not None:
        echo(f"The student is in {options.save}")
    return 0


def _refuse_other(options: EvalStudentOptions) -> None:
    """RequestError where the folder has a report about other data, which this one would take the place of."""
    path = options.output_dir / STUDENT_REPORT
    report = read_student_report(path) if path.is_file() else None
    if report is None or not report.data or set(map(abspath, report.data)) == set(map(abspath, options.data)):
        return
    name = options.data[0].resolve().name
    raise RequestError(
        f"{path} is a report about other data ({', '.join(report.data)}), which this one would replace; give it a folder of "
        f"its own: --output-dir {options.output_dir / name}"
    )


def _judged(options: EvalStudentOptions, judge: str, answers: Sequence[AnsweredTwice]) -> Preference:
    """What a judge prefers, blind; its replies are kept beside the trainings."""
    progress, (session, config) = Progress(quiet=options.quiet), _asking(options, judge)
    return in_session(
        session,
        config,
        lambda opened: judge_answers(opened, config.model_for("generator"), answers, options.seed, progress),
    )


async def _met(_: Session) -> None:
    """A session is open, so the server answers and has the model; that is all."""


def _asking(options: EvalStudentOptions, judge: str) -> tuple[SessionOptions, RunConfig]:
    """How a judge is asked; ConfigError or RequestError where that cannot be."""
    models = ModelOptions(options.config, judge, None, None)
    session = SessionOptions(models, options.server, options.seed, options.output_dir / "judge", None)
    if options.server.llamacpp is not None and not (file := read_model_file(options.server.llamacpp)).is_called(judge):
        raise RequestError(
            f"--judge {judge}: the model of --llamacpp {file.path} is called like its file; give --judge {file.name}"
        )
    return session, options.server.over(models.load())


def _request(options: EvalStudentOptions) -> StudentRequest:
    rate = options.rate or (FULL_RATE if options.full else LORA_RATE)
    return StudentRequest(
        data=options.data,
        seeds=options.seeds,
        student=options.student,
        folder=options.output_dir,
        settings=TrainingSettings(options.full, options.epochs, rate, options.batch),
        other=options.other,
        control=options.control,
        window=options.window,
        device=options.device,
        seed=options.seed,
        runs=options.runs,
        save=options.save,
        answers=options.judge is not None,
    )
