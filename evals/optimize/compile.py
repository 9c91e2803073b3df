"""DSPy's optimizers, each called with what it needs, and kept from writing to the terminal."""

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import dspy
from dspy.teleprompt.gepa.instruction_proposal import InstructionProposer
from dspy.utils.exceptions import AdapterParseError, LMError

from evals.optimize.budget import MINIBATCH, VIEWED, Optimizer, UnitSettings
from evals.optimize.metrics import Metric
from evals.optimize.splits import Splits
from evals.session.bridge import Broken
from skills_dspy.base.errors import RequestError

T = TypeVar("T")

_LARGEST_SEED = 2**32
"""NumPy, with which MIPROv2's sampler draws, takes no larger ones."""

_LOGGERS = ("dspy", "gepa", "optuna")


def compile_student(
    optimizer: Optimizer,
    student: dspy.Module,
    splits: Splits[dspy.Example],
    metric: Metric,
    settings: UnitSettings,
    prompt_lm: dspy.LM,
    *,
    seed: int,
    threads: int,
) -> dspy.Module:
    """The best version of a student that an optimizer finds; the student itself is not changed. Blocking.

    Args:
        optimizer: whose method: GEPA (Agrawal et al. 2025), MIPROv2 (Opsahl-Ong et al. 2024), or bootstrapped
            demonstrations (DSPy, Khattab et al. 2023).
        student: what is to be compiled.
        splits: examples to train and to choose on; the test is not touched.
        metric: what to optimize for.
        settings: how much.
        prompt_lm: proposes instructions, for gepa and mipro.
        seed: of the optimizer's choices.
        threads: examples measured at once.

    Raises:
        Halt: the evaluation cannot go on.
        Broken: there is a mistake in this program.
        RequestError: the proposer gives nothing that can be used.
    """
    train, validation, metric = list(splits.train), list(splits.validation), unswallowed(metric)
    with quiet(), dspy.context(lm=prompt_lm):
        if optimizer == "gepa":
            return _gepa(student, train, validation, metric, settings, prompt_lm, seed, threads)
        if optimizer == "mipro":
            try:
                return _mipro(student, train, validation, metric, settings, prompt_lm, seed, threads)
            except (LMError, AdapterParseError) as error:  # students let none through
                raise _no_proposal(prompt_lm, error) from error
        compiled: dspy.Module = dspy.BootstrapFewShot(
            metric=metric.score,
            metric_threshold=metric.good_enough,
            max_bootstrapped_demos=settings.demos,
            max_labeled_demos=0,  # a labelled case has no explanation to show
            max_errors=1,
        ).compile(student, trainset=train)
        return compiled


def _gepa(
    student: dspy.Module,
    train: Sequence[dspy.Example],
    validation: Sequence[dspy.Example],
    metric: Metric,
    settings: UnitSettings,
    prompt_lm: dspy.LM,
    seed: int,
    threads: int,
) -> dspy.Module:
    proposer = _Proposer()
    gepa = dspy.GEPA(
        metric=metric.with_feedback(),
        max_metric_calls=settings.metric_calls,
        reflection_lm=prompt_lm,
        instruction_proposer=proposer,
        reflection_minibatch_size=MINIBATCH,
        num_threads=threads,
        failure_score=metric.worst,
        perfect_score=metric.perfect,
        use_merge=False,  # there is one predictor, or two that are always used together
        warn_on_score_mismatch=False,
        seed=seed,
    )
    compiled: dspy.Module = gepa.compile(student, trainset=list(train), valset=list(validation))
    if proposer.failed is not None and not proposer.proposed:
        raise _no_proposal(prompt_lm, proposer.failed) from proposer.failed
    return compiled


class _Proposer(InstructionProposer):  # type: ignore[misc] # dspy ships no types
    """GEPA's own proposer, which notes whether it ever gave anything: GEPA itself goes on without a word.

    Attributes:
        proposed: how many proposals there were.
        failed: why the last one failed that did.
    """

    def __init__(self) -> None:
        super().__init__()
        self.proposed = 0
        self.failed: Exception | None = None

    def __call__(
        self,
        candidate: dict[str, str],
        reflective_dataset: Mapping[str, Sequence[Mapping[str, Any]]],
        components_to_update: list[str],
    ) -> dict[str, str]:
        """New instructions by the predictor's name."""
        try:
            found: dict[str, str] = super().__call__(candidate, reflective_dataset, components_to_update)
        except Exception as error:
            self.failed = error
            raise
        self.proposed += 1
        return found


def _no_proposal(prompt_lm: dspy.LM, error: Exception) -> RequestError:
    cause = str(error.__cause__ or error).strip().splitlines() or [type(error).__name__]
    return RequestError(
        f"{prompt_lm.model} proposed no instructions that could be used ({cause[0]}): name another model with "
        "--proposer-model, or use another --seed"
    )


def _mipro(
    student: dspy.Module,
    train: Sequence[dspy.Example],
    validation: Sequence[dspy.Example],
    metric: Metric,
    settings: UnitSettings,
    prompt_lm: dspy.LM,
    seed: int,
    threads: int,
) -> dspy.Module:
    mipro = dspy.MIPROv2(
        metric=metric.score,
        prompt_model=prompt_lm,
        task_model=prompt_lm,  # named because it must be; students ask the models of their roles
        auto=None,
        num_candidates=settings.candidates,
        max_bootstrapped_demos=settings.demos,
        max_labeled_demos=0,
        metric_threshold=metric.good_enough,
        num_threads=threads,
        max_errors=1,
        seed=seed % _LARGEST_SEED,
        track_stats=False,
    )
    compiled: dspy.Module = mipro.compile(
        student,
        trainset=list(train),
        valset=list(validation),
        num_trials=settings.trials,
        minibatch=False,  # the sets are small
        program_aware_proposer=False,  # it would be shown this package's own code, which says nothing of the skill
        view_data_batch_size=VIEWED,
        seed=seed % _LARGEST_SEED,
    )
    return compiled


def unswallowed(metric: Metric) -> Metric:
    """The metric, whose own mistakes DSPy cannot take for bad scores: they come out as `Broken`."""

    def kept(function: Callable[..., T]) -> Callable[..., T]:
        def called(example: Any, prediction: Any, trace: Any = None) -> T:
            del trace
            try:
                return function(example, prediction)
            except Exception as error:
                raise Broken(error) from error

        return called

    return replace(metric, score=kept(metric.score), feedback=kept(metric.feedback))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep DSPy, GEPA and Optuna from printing: what is worth knowing is said by ours, in sentences."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    sink = io.StringIO()
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        with contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
