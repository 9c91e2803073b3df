"""How large a report's page of very many rows is, and how long a browser takes to open it."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from skills_dspy.cli.report import near_copies
from skills_dspy.commands.report.make import ReportRequest, write_report

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True, slots=True)
class MeasuredPage:
    """A page of so many rows: its size in MB, and the seconds until it can be used, as its last line says.

    They are the median of all openings; None without a browser.
    """

    rows: int
    size: float
    seconds: float | None


def measure_page(run: Path, openings: int) -> MeasuredPage:
    """Make the report of a run beside it, and open it so often."""
    page = run / "report.html"
    made = write_report(ReportRequest((run,), None, page, overwrite=False, version="bench"), near_copies)
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    times = [] if browser is None else sorted(_opened(page, browser) for _ in range(openings))
    return MeasuredPage(made.accepted + made.rejected, made.size / 1e6, times[openings // 2] if times else None)


def _opened(page: Path, browser: str) -> float:
    from playwright.sync_api import sync_playwright  # of the tests' environment, which alone has it

    with sync_playwright() as started:
        launched = started.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        try:
            shown = launched.new_page()
            shown.goto(page.as_uri())
            shown.wait_for_selector("html[data-ready=yes]")
            return float(shown.locator("#foot").inner_text().rpartition("Opened in ")[2].removesuffix(" s."))
        finally:
            launched.close()
