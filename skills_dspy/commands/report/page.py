"""One page from a report: its script, its style and its data in one file that can load nothing from anywhere.

What models and files say stands in the page as data only, as letters that end no element (base64) or with every `<` written
as an escape, and the script makes texts of it, never markup. The policy in the page names the scripts and the style by their
hashes: nothing else runs, and nothing is fetched.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from importlib.resources import files

from skills_dspy.commands.report.content import Content
from skills_dspy.commands.report.packing import packed

_ASSETS = "assets"
_MARK = b'<meta name="generator" content="skills_dspy report">'
"""Stands in the head of each page: see template.html."""
SCRIPTS = ("data.js", "charts.js", "learned.js", "rows.js", "page.js")
"""The page's own, in the order in which they run."""
_MAP = "\n//# sourceMappingURL="


def is_report(head: bytes) -> bool:
    """Whether a file that begins so is a page of ours."""
    return _MARK in head


def make_page(content: Content, version: str) -> str:
    """The page as HTML; the same content gives the same bytes."""
    library = _asset("chart.umd.min.js").partition(_MAP)[0]
    script = "".join(map(_asset, SCRIPTS))
    style = _asset("style.css")
    policy = (
        f"default-src 'none'; script-src {_source(library)} {_source(script)}; style-src {_source(style)}; "
        "base-uri 'none'; form-action 'none'"
    )
    parts = {"policy": policy, "style": style, "library": library, "script": script}
    parts["data"] = "\n".join(_data(content, version))
    return re.sub(r"\{\{(\w+)\}\}", lambda mark: parts[mark[1]], _asset("template.html"))


def _data(content: Content, version: str) -> Iterator[str]:
    foot = f"Made by skills_dspy {version}, `report`. Plots: Chart.js, https://www.chartjs.org, MIT licence."
    summary = {**content.summary, "rows_of_each": content.details.rows_of_each, "foot": foot}
    told = json.dumps(summary, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    told = told.encode("utf-8", "backslashreplace").decode().replace("<", "\\u003c")
    yield f'<script type="application/json" id="summary">{told}</script>'
    blocks = {"columns": packed(content.columns), "shared": content.details.shared}
    blocks |= {f"parcel-{number}": parcel for number, parcel in enumerate(content.details.parcels)}
    for name, block in blocks.items():
        yield f'<script type="text/plain" id="{name}">{block}</script>'


def _source(text: str) -> str:
    """How a policy names a script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _asset(name: str) -> str:
    return (files("skills_dspy.commands.report") / _ASSETS / name).read_text("utf-8")
