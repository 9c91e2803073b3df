"""The picture of a report in README: `python -m tests.helpers.report_picture RUN...`, where Chromium and playwright are."""

import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import sync_playwright

from tests.helpers.browsing import CHROMIUM
from tests.helpers.reporting import reported

DOCS = Path(__file__).resolve().parents[2] / "docs"
_WIDE, _HIGH = 1100, 940


def draw(places: Sequence[Path], folder: Path = DOCS) -> None:
    """Draw what a person sees of the runs there: the beginning of their report, and the first accepted row, opened."""
    with TemporaryDirectory() as place, sync_playwright() as started:
        out = Path(place) / "report.html"
        reported(out, *places)
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": _WIDE, "height": _HIGH}, color_scheme="light")
        page.goto(out.as_uri())
        page.wait_for_selector("html[data-ready=yes]")
        page.locator("#h-facts").evaluate("heading => heading.scrollIntoView()")
        page.screenshot(path=folder / "report.png")
        page.locator("#outcome").select_option("accepted")
        page.locator("#list .rejected").first.wait_for(state="detached")
        page.locator("#list .row").first.click()
        page.locator(".story > details summary").last.click()
        page.locator("#list > li").first.evaluate("row => row.scrollIntoView()")
        page.screenshot(path=folder / "report-row.png")
        browser.close()


if __name__ == "__main__":
    draw([Path(word) for word in sys.argv[1:]])
