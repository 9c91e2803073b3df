"""A report's page read back, as its script reads it."""

import base64
import json
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skills_dspy.cli.report import near_copies
from skills_dspy.commands.report.make import ReportRequest, write_report
from tests.helpers.exporting import a_record, a_run_json, write_run

ESCAPES = (
    "</script><script>window.acted = 1</script>",
    "<!--<script>window.acted = 1",
    '"><img src=x onerror="window.acted = 1"><svg onload=window.acted=1>',
    "</title><style>body{display:none}</style><iframe src=https://example.org></iframe>",
    "&lt;b&gt; &amp; &#60; \\u003cscript\\u003e ${window.acted=1} {{script}} {{data}}",
    "javascript:window.acted=1 [a](javascript:window.acted=1) ![b](https://example.org/b.png)",
    "]]> --> ' \" ` \\ \u2028\u2029\u202eright to left\u202c\x00\x1b[31mred\x9b2J half \ud83d",
    "مرحبا 你好 👩\u200d👧 e\u0301",
)
"""What would act in a page, a terminal or a parser if it were taken for anything but text."""

_BLOCK = re.compile(r'<script type="([a-z/]+)" id="([a-z0-9-]+)">(.*?)</script>', re.DOTALL)


@dataclass(frozen=True, slots=True)
class ReadPage:
    """What a page holds: its HTML, the summary, the columns, and of each row the details with their texts put together."""

    html: str
    summary: dict[str, Any]
    columns: dict[str, list[Any]]
    details: list[dict[str, Any]]


def reported(out: Path, *places: Path, other: Path | None = None, overwrite: bool = False) -> ReadPage:
    """Make a report of some places, and read it."""
    write_report(ReportRequest(places, other, out, overwrite, "0.0.0"), near_copies)
    return read_page(out)


def hostile_run(root: Path) -> Path:
    """A run with such a text wherever a text can stand."""
    records = [a_record(f"{n:016x}", text, f"answer {text}", f"context {text}") for n, text in enumerate(ESCAPES)]
    return write_run(root, records, a_run_json(ESCAPES[0], note=ESCAPES[2], accepted=len(records)))


def read_page(path: Path) -> ReadPage:
    """Read a page."""
    html = path.read_text("utf-8")
    blocks = {name: (kind, text) for kind, name, text in _BLOCK.findall(html)}
    summary = json.loads(blocks["summary"][1])
    found = {name: _unpacked(text) for name, (kind, text) in blocks.items() if kind == "text/plain"}
    parcels = [found[f"parcel-{number}"] for number in range(len(found) - 2)]
    details = [_plain(row, own, found["shared"]) for own, rows in parcels for row in rows]
    return ReadPage(html, summary, found["columns"], details)


def _unpacked(text: str) -> Any:
    return json.loads(zlib.decompress(base64.b64decode(text)))


_TEXTS = ("answer", "context", "why", "raw", "rewritten")


def _plain(row: dict[str, Any], own: list[str], shared: list[str]) -> dict[str, Any]:
    """The details of a row, with texts where the numbers of lines stand."""

    def text(lines: list[int] | None) -> str:
        return "\n".join(own[-1 - line] if line < 0 else shared[line] for line in lines or [])

    plain = {**row, **{name: text(row[name]) for name in _TEXTS if name in row}}
    plain["said"] = {name: text(lines) for name, lines in row.get("said", {}).items()}
    plain["calls"] = [
        {
            "which": which,
            "messages": [(role, text(lines)) for role, lines in messages],
            "thoughts": text(thoughts),
            "heading": heading,
            "reply": text(reply),
        }
        for which, _, messages, thoughts, heading, reply in row.get("calls", [])
    ]
    return plain
