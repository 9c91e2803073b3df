"""The generator's thoughts before an accepted answer, from the journal of its run."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from skills_dspy.base.columns import whole
from skills_dspy.base.errors import ExportError
from skills_dspy.base.records import Record
from skills_dspy.commands.export.layouts import ThoughtfulRecord
from skills_dspy.commands.export.source import SourceRun
from skills_dspy.pipeline.funnel import AGAIN
from skills_dspy.store.journal import JournalReader
from skills_dspy.store.said import said_in


@contextmanager
def thoughts_of(runs: Sequence[SourceRun]) -> Iterator[Callable[[int, Record], ThoughtfulRecord]]:
    """What adds its thoughts to a record of the run with a number; none, where the journal has none or was made without.

    ExportError where a run with rows has no journal.
    """
    with ExitStack() as opened:
        journals: dict[int, JournalReader] = {}
        for number, run in enumerate(runs):
            if run.end:
                if not run.paths.journal.is_file():
                    where = f"they stand in {run.paths.journal}, which is not there"
                    raise ExportError(f"--thoughts: {where}; restore it, or leave --thoughts out")
                journals[number] = JournalReader.open(run.paths.journal)
                opened.callback(journals[number].close)

        def think(number: int, record: Record) -> ThoughtfulRecord:
            calls = record.provenance.calls
            stage = "write_answer" if record.provenance.rewritten is None else f"write_answer{AGAIN}"
            digest = calls.get(stage, ("",))[-1]  # the last try is the one that was used
            reply = journals[number].full(digest)
            thoughts = "" if reply is None else said_in(reply.reply, reply.request).thoughts
            values = {name: getattr(record, name) for name in Record.model_fields}
            return ThoughtfulRecord(**values, reasoning_content=whole(thoughts))

        yield think
