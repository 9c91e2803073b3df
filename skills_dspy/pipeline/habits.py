"""The look at the set: whether a new row would make a habit of what too many accepted ones have, and what is done about it.

It happens in settled order, so it knows exactly the rows before it. A question that is too much like others is rejected; an
answer is written again once, with other seeds to go by and a word on what is overused. After eight in a row one is let
through: a model that cannot leave a habit would make no row any more.
"""

from collections.abc import Callable
from dataclasses import replace

from skills_dspy.base.config import HabitsConfig
from skills_dspy.model.hosts.call import Rank
from skills_dspy.pipeline.candidate import Candidate, Dropped, Outcome, Passed
from skills_dspy.pipeline.fitting import FittingSeeds
from skills_dspy.pipeline.flow import Flow
from skills_dspy.pipeline.novelty import Novelty
from skills_dspy.screens.habits import TaskHabits, to_avoid, told
from skills_dspy.tasks.spec import TaskSpec

_IN_A_ROW = 8
"""How many questions, or answers, in a row may be rejected for their habits."""


class SetLook:
    """Looks at the candidates of one task beside what was accepted before them."""

    def __init__(self, spec: TaskSpec, bounds: HabitsConfig, flow: Flow, novelty: Novelty, seeds: FittingSeeds) -> None:
        self._habits = TaskHabits(spec, bounds)
        self._flow = flow
        self._novelty = novelty
        self._seeds = seeds
        self._refused = {"question": 0, "answer": 0}

    async def novel(self, candidate: Candidate) -> bool:
        """Whether it repeats nothing, see `Novelty.novel`; one that would be rejected by now is held back until its turn."""
        novel = await self._novelty.novel(candidate)
        if novel and self._habits.of_question(candidate.question or ""):
            await candidate.turn.wait()
        return novel

    def question(self, candidate: Candidate) -> Dropped | None:
        """Why the question of a candidate whose turn it is is rejected; else it need not wait any more."""
        overused = self._habits.of_question(candidate.question or "")
        if not overused or self._refused["question"] == _IN_A_ROW:
            self._refused["question"] = 0
            candidate.turn.set()
            return None
        self._refused["question"] += 1
        return Dropped("question_habits", "overused", told(overused, "questions"))

    async def answer(self, candidate: Candidate, outcome: Outcome, rank: Callable[[], Rank]) -> Outcome:
        """The outcome of a candidate whose turn it is, or of its answer once that is written again."""
        if not isinstance(outcome, Passed):
            return outcome
        overused = self._habits.of_answer(outcome.answer)
        if not overused or self._refused["answer"] == _IN_A_ROW:
            self._refused["answer"] = 0
            return outcome
        candidate.avoid, candidate.rewritten = to_avoid(overused), told(overused, "answers")
        assert candidate.vector is not None
        others = self._seeds.of(candidate.draw.kind, candidate.vector, candidate.text, candidate.fitting)
        candidate.fitting = others or candidate.fitting
        again = await self._flow.rewrite(candidate, outcome, rank)
        if isinstance(again, Dropped) and again.reason == "not asked":
            return again
        self._refused["answer"] += 1
        if isinstance(again, Dropped):
            return replace(again, stage="answer_habits", detail=f"{candidate.rewritten}; written again: {again.detail}")
        if isinstance(again, Passed) and (still := self._habits.of_answer(again.answer)):
            detail = f"{candidate.rewritten}; written again, and {told(still, 'answers')}"
            return Dropped("answer_habits", "overused", detail, again.answer)
        self._refused["answer"] = 0
        return again

    def add(self, candidate: Candidate, passed: Passed) -> None:
        """One more row is accepted."""
        self._habits.add(candidate.question or "", passed.answer)
