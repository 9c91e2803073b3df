"""The generator's thoughts before an accepted answer, from the journal of its run."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from skills_dspy.base.columns import whole
from skills_dspy.base.errors import ExportError
from skills_dspy.base.records import Record
from skills_dspy.base.residue import MARKS, THOUGHTS
from skills_dspy.commands.export.layouts import ThoughtfulRecord
from skills_dspy.commands.export.source import SourceRun
from skills_dspy.pipeline.funnel import latest
from skills_dspy.store.journal import JournalReader
from skills_dspy.store.said import said_in

_SPOILING = (THOUGHTS, "a token of a chat template", "a control character")
"""What a trainer would take for its own, of the sorts of residue; people and models think in all other forms."""


@dataclass(slots=True)
class Thoughts:
    """Adds its thoughts to a record of the run with a number: none where its journal has none, or those would spoil a trainer.

    Attributes:
        spoilt: how many would have.
    """

    journals: Mapping[int, JournalReader]
    spoilt: int = 0

    def beside(self, number: int, record: Record) -> ThoughtfulRecord:
        """The record with its thoughts."""
        written = latest(record.provenance.calls).get("write_answer", ("",))
        reply = self.journals[number].full(written[-1])  # the last try is the one that was used
        thoughts = "" if reply is None else whole(said_in(reply.reply, reply.request).thoughts)
        if any(MARKS[name](thoughts) is not None for name in _SPOILING):
            thoughts = ""
            self.spoilt += 1
        values = {name: getattr(record, name) for name in Record.model_fields}
        return ThoughtfulRecord(**values, reasoning_content=thoughts)


@contextmanager
def thoughts_of(runs: Sequence[SourceRun]) -> Iterator[Thoughts]:
    """The thoughts of some runs; ExportError where one with rows has no journal."""
    with ExitStack() as opened:
        journals: dict[int, JournalReader] = {}
        for number, run in enumerate(runs):
            if run.end:
                if not run.paths.journal.is_file():
                    where = f"they stand in {run.paths.journal}, which is not there"
                    raise ExportError(f"--thoughts: {where}; restore it, or leave --thoughts out")
                journals[number] = JournalReader.open(run.paths.journal)
                opened.callback(journals[number].close)
        yield Thoughts(journals)
