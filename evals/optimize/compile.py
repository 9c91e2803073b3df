"""DSPy's optimizers, each called with what it needs, and kept from writing to the terminal."""

import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import dspy
from dspy.teleprompt.gepa.instruction_proposal import InstructionProposer
from dspy.utils.exceptions import AdapterParseError, LMError

from evals.optimize.budget import MINIBATCH, VIEWED, Optimizer, UnitSettings
from evals.optimize.metrics import Metric
from evals.optimize.splits import Splits
from skills_dspy.base.errors import RequestError

_LARGEST_SEED = 2**32
"""NumPy, with which MIPROv2's sampler draws, takes no larger ones."""


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
    """Return the best version of a student that an optimizer finds; the student itself is not changed. Blocking.

    The methods are GEPA (Agrawal et al. 2025), MIPROv2 (Opsahl-Ong et al. 2024), and bootstrapped demonstrations (DSPy,
    Khattab et al. 2023). They train and choose on `splits`, whose test is not touched; `prompt_lm` proposes instructions, for
    the first two; `threads` examples are measured at once.

    Raises:
        Halt: the evaluation cannot go on, or there is a mistake in this program.
        RequestError: the proposer gives nothing that can be used.
    """
    compiled: dspy.Module
    sets = {"trainset": list(splits.train), "valset": list(splits.validation)}
    with quiet_dspy(), dspy.context(lm=prompt_lm):
        if optimizer == "bootstrap":
            bootstrap = dspy.BootstrapFewShot(
                metric=metric.score,
                metric_threshold=metric.good_enough,
                max_bootstrapped_demos=settings.demos,
                max_labeled_demos=0,  # a labelled case has no explanation to show
                max_errors=1,
            )
            compiled = bootstrap.compile(student, trainset=sets["trainset"])
        elif optimizer == "gepa":
            proposer = _Proposer()
            compiled = _gepa(metric, settings, prompt_lm, proposer, seed, threads).compile(student, **sets)
            if proposer.failed is not None and not proposer.proposed:
                raise _no_proposal(prompt_lm, proposer.failed) from proposer.failed
        else:
            try:
                compiled = _mipro(metric, settings, prompt_lm, seed, threads).compile(
                    student,
                    **sets,
                    num_trials=settings.trials,
                    minibatch=False,  # the sets are small
                    program_aware_proposer=False,  # it would be shown this package's own code, which says nothing of the skill
                    view_data_batch_size=VIEWED,
                    seed=seed % _LARGEST_SEED,
                )
            except (LMError, AdapterParseError) as error:  # students let none through
                raise _no_proposal(prompt_lm, error) from error
    return compiled


class _Proposer(InstructionProposer):  # type: ignore[misc] # dspy ships no types
    """GEPA's own proposer, which notes whether it ever gave anything and what failed: GEPA itself goes on without a word."""

    def __init__(self) -> None:
        super().__init__()
        self.proposed = False
        self.failed: Exception | None = None

    def __call__(
        self,
        candidate: dict[str, str],
        reflective_dataset: Mapping[str, Sequence[Mapping[str, Any]]],
        components_to_update: list[str],
    ) -> dict[str, str]:
        """Return new instructions by the predictor's name."""
        try:
            found: dict[str, str] = super().__call__(candidate, reflective_dataset, components_to_update)
        except Exception as error:
            self.failed = error
            raise
        self.proposed = True
        return found


def _no_proposal(prompt_lm: dspy.LM, error: Exception) -> RequestError:
    cause = str(error.__cause__ or error).strip().splitlines() or [type(error).__name__]
    return RequestError(
        f"{prompt_lm.model} proposed no instructions that could be used ({cause[0]}): name another model with "
        "--proposer-model, or use another --seed"
    )


def _gepa(
    metric: Metric, settings: UnitSettings, prompt_lm: dspy.LM, proposer: _Proposer, seed: int, threads: int
) -> dspy.GEPA:
    return dspy.GEPA(
        metric=metric.score_with_feedback,
        max_metric_calls=settings.metric_calls,
        reflection_lm=prompt_lm,
        instruction_proposer=proposer,
        reflection_minibatch_size=MINIBATCH,
        num_threads=threads,
        failure_score=metric.worst,
        perfect_score=1.0,
        use_merge=False,  # there is one predictor, or two that are always used together
        warn_on_score_mismatch=False,
        seed=seed,
    )


def _mipro(metric: Metric, settings: UnitSettings, prompt_lm: dspy.LM, seed: int, threads: int) -> dspy.MIPROv2:
    return dspy.MIPROv2(
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


@contextmanager
def quiet_dspy() -> Iterator[None]:
    """Keep DSPy, GEPA and Optuna from printing: what is worth knowing is said by ours, in sentences."""
    sink = io.StringIO()
    with ExitStack() as stack:
        for name in ("dspy", "gepa", "optuna"):
            logger = logging.getLogger(name)
            stack.callback(logger.setLevel, logger.level)
            logger.setLevel(logging.CRITICAL)
        for context in (redirect_stdout(sink), redirect_stderr(sink), warnings.catch_warnings(action="ignore")):
            stack.enter_context(context)
        yield
