"""Blind pairs: what a reader sees, and what the scores say."""

import json
import random
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner

from evals.judges.blind import cross_pairs, main, share_won, sheet

OLD = [{"instruction": f"old question {n}", "response": f"old answer {n}", "context": None, "id": "x"} for n in range(8)]
NEW = [{"instruction": f"new question {n}", "response": f"new answer {n}", "context": "A text."} for n in range(8)]


def test_pairs_are_different_and_use_all_rows_alike() -> None:
    """Forty of sixty-four: each row stands in five."""
    pairs = cross_pairs(8, 8, 40, random.Random(1))
    assert len(set(pairs)) == 40
    for end in (0, 1):
        assert set(Counter(pair[end] for pair in pairs).values()) == {5}


def test_a_sheet_says_nothing_of_where_rows_are_from() -> None:
    """Names are shuffled, half of the pairs have the new row first, and ids are left out."""
    pairs = cross_pairs(8, 8, 40, random.Random(1))
    text, firsts = sheet(OLD, NEW, "seeds.yaml", pairs, random.Random(2))
    assert Counter(firsts) == {"new": 20, "old": 20}
    assert text.count("## R") == 16
    assert "CONTEXT:\nA text.\n\nQUESTION:\nnew question 3\n\nANSWER:\nnew answer 3" in text
    names = [block.split("\n")[0] for block in text.split("## ")[1:] if "old question" in block]
    assert names != [f"R{n:02}" for n in range(1, 9)]
    assert "id" not in text.split("# Rows")[1].split("CONTEXT")[0].split("QUESTION")[0]


@pytest.mark.parametrize(("wins", "share"), [("new", 1.0), ("old", 0.0), ("tie", 0.5)])
def test_a_reader_who_always_prefers_one_set(wins: str, share: float) -> None:
    """All, nothing, or half, whichever row stood first."""
    pairs = cross_pairs(8, 8, 40, random.Random(1))
    _, firsts = sheet(OLD, NEW, "s", pairs, random.Random(2))
    said = {str(n): "tie" if wins == "tie" else "A" if first == wins else "B" for n, first in enumerate(firsts, start=1)}
    won = share_won(pairs, firsts, said)
    assert (won.share, won.pairs, won.ties) == (share, 40, 40 if wins == "tie" else 0)
    assert won.interval is not None
    assert won.interval.low == won.interval.high == share


def test_the_interval_knows_that_rows_stand_in_several_pairs() -> None:
    """Half of the new rows win all of their pairs: that is eight rows, and not forty answers."""
    pairs = cross_pairs(8, 8, 40, random.Random(1))
    firsts = ["new"] * 40
    won = share_won(pairs, firsts, {str(n): "A" if new % 2 else "B" for n, (_, new) in enumerate(pairs, start=1)})
    assert won.share == 0.5
    assert won.interval is not None
    assert won.interval.low < 0.25
    assert won.interval.high > 0.75


def test_an_answer_that_is_missing_is_told() -> None:
    """A reader who stopped is not scored."""
    with pytest.raises(ValueError, match="pair 2 has the answer None"):
        share_won([(0, 0), (0, 1)], ["new", "old"], {"1": "A"})


def test_as_it_is_typed(tmp_path: Path) -> None:
    """From two files of rows to a share with its interval."""
    for name, rows in (("old", OLD), ("new", NEW)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "s.yaml").write_text("seeds")
    typed, out = CliRunner(), tmp_path / "out"
    files = [str(tmp_path / name) for name in ("old.jsonl", "new.jsonl")]
    made = typed.invoke(main, ["make", *files, "--seeds", str(tmp_path / "s.yaml"), "--out", str(out), "--pairs", "10"])
    assert made.exit_code == 0, made.output
    firsts = json.loads((out / "key.json").read_text())["firsts"]
    reader = tmp_path / "reader.json"
    reader.write_text(json.dumps({str(n): "A" if first == "new" else "B" for n, first in enumerate(firsts, start=1)}))
    assert typed.invoke(main, ["score", str(out), str(reader)]).output == "reader: 100 % (100 to 100) of 10 pairs, 0 ties\n"
