"""Judges first: their kappa on labelled cases, and the refusal to optimize a writer against one that is below the floor."""

from collections.abc import Collection, Mapping, Sequence

from evals.judges.ask import figures_of, judge_cases
from evals.judges.cases import Case
from evals.judges.scales import passing
from evals.optimize.plan import card_cases
from skills_dspy.base.config import RunConfig
from skills_dspy.model.ask import Asker


class Card:
    """A short report card: Cohen's kappa of each judge that was examined.

    Args:
        asker: asks the judges, as they are at the moment.
        cases: labelled by hand, of all steps.
        config: says which labels pass.

    Attributes:
        kappas: step to its kappa; None where it cannot be told.
    """

    def __init__(self, asker: Asker, cases: Sequence[Case], config: RunConfig) -> None:
        self._asker = asker
        self._cases = cases
        self._config = config
        self.kappas: dict[str, float | None] = {}

    async def examine(self, step: str, seen: Collection[str]) -> float | None:
        """The kappa of a judge's decisions on the cases of skills that it was not compiled with.

        Args:
            step: the judge.
            seen: digests of the seeds and cases that it was compiled with.
        """
        cases = card_cases(self._cases, step, seen)
        accepted = passing(step, self._config)
        figures = figures_of(await judge_cases(self._asker, cases), lambda judged: judged.label in accepted)
        self.kappas[step] = figures.kappa
        return figures.kappa


def refusal(kappas: Mapping[str, float | None], floor: float) -> str | None:
    """Why a writer is not optimized against these judges; None where all are good enough.

    Args:
        kappas: step to its kappa; None, which is not good enough, where it cannot be told.
        floor: the least that is.
    """
    bad = [
        f"{step} ({'unknown' if kappa is None else _told(kappa, floor)})"
        for step, kappa in kappas.items()
        if kappa is None or kappa < floor
    ]
    if not bad:
        return None
    return f"the judge is not good enough to optimize against: kappa below {floor:g} for {', '.join(bad)}"


def _told(kappa: float, floor: float) -> str:
    """A kappa below the floor, in so many decimals that it is seen to be below."""
    return next((told for digits in (2, 3, 4) if float(told := f"{kappa:.{digits}f}") < floor), f"{kappa:g}")
