"""A run over two real llama.cpp servers: its bytes are those of its replay, whoever answered.

They are not compared with those of a run over one: two servers that are asked the same in the same order say the same, but each
says something else to a request whose beginning it remembers than to the same request the first time.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from skills_dspy.model.server.gguf import ModelFile
from skills_dspy.store.files import count_rows
from skills_dspy.store.journal import JournalReader
from skills_dspy.store.run_dir import RunPaths
from tests.helpers import disk
from tests.live.doors import Door, Served, http
from tests.live.test_runs import DRAWS, NAME, SHORT, Program, rows

pytestmark = pytest.mark.block_network(allowed_hosts=["127.0.0.1"])


@pytest.fixture
def other(served: Served, model_file: ModelFile) -> Iterator[Served]:
    """A second server with the same model."""
    other = Served(model_file, served.key)
    yield other
    other.kill()


@pytest.fixture
def both(served: Served, other: Served, model_file: ModelFile) -> Door:
    """The way to the two."""
    addresses = f"{served.address}*1,{other.address}*1"
    one = http(model_file, served)
    return replace(one, words=tuple(addresses if word == served.address else word for word in one.words))


def test_a_run_over_two_hosts_has_the_bytes_of_its_replay(tmp_path: Path, served: Served, other: Served, both: Door) -> None:
    """Both answer, and what they said decides again as it did."""
    program = Program(tmp_path, both)
    try:
        assert Program.end(program.start()) == SHORT
        paths = RunPaths(program.run / NAME)
        assert count_rows(paths.data) + count_rows(paths.rejected) >= DRAWS
        with JournalReader.open(paths.journal) as opened:
            replies = [opened.full(digest) for digest in disk.journaled(paths.journal)]
        by_host = Counter(reply.reply["host"] for reply in replies if reply is not None)
        assert {host.removesuffix("/v1") for host in by_host} == {served.address, other.address}
        assert rows(program.replay(8)) == rows(program.run)
    finally:
        program.leave()
