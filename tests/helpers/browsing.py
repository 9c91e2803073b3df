"""Headless Chromium for tests of pages. Its tabs stay open from test to test: a new one costs more than what is done in it.

Chromium is Debian's (`apt-get install chromium`), driven by playwright from PyPI; without either these tests are skipped.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def need_browser() -> None:
    """Skip a test where there is no browser."""
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine (apt-get install chromium)")


class Tabs:
    """The tabs of a window; our pages keep nothing in a browser, so the next page in a tab sees nothing of the one before."""

    def __init__(self, browser: "Browser") -> None:
        self._browser = browser
        self._context: BrowserContext = browser.new_context()
        self._clock_stands = False
        self._listening: list[tuple[Page, str, Callable[..., None]]] = []

    def opened(
        self, address: str, number: int = 0, width: int = 1280, height: int = 720, scheme: Literal["light", "dark"] = "light"
    ) -> tuple["Page", list[str], list[str]]:
        """A page in the tab of a number, with what it asks for and what it complains of from then on."""
        while len(self._context.pages) <= number:
            self._context.new_page()
        page = self._context.pages[number]
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)
        asked, said = list[str](), list[str]()
        self._listen(page, "request", lambda request: asked.append(request.url))
        self._listen(page, "console", lambda message: said.append(message.text))
        self._listen(page, "pageerror", lambda error: said.append(str(error)))
        self._listen(page, "dialog", lambda dialog: said.append(dialog.message))
        page.goto(address)
        return page, asked, said

    def stop_clock(self, page: "Page", milliseconds: int) -> None:
        """The time of all tabs stands still, until they are left."""
        page.clock.pause_at(milliseconds)
        self._clock_stands = True

    def _listen(self, page: "Page", event: Any, act: Callable[..., None]) -> None:
        page.on(event, act)
        self._listening.append((page, event, act))

    def leave(self) -> None:
        """Listen no more, and leave every page."""
        while self._listening:
            page, event, act = self._listening.pop()
            page.remove_listener(event, act)
        for page in self._context.pages:
            page.goto("about:blank")
        if self._clock_stands:  # for good
            self._context.close()
            self._context, self._clock_stands = self._browser.new_context(), False


@contextmanager
def browsing() -> Iterator[Tabs]:
    """A window of a browser; no event loop can run in this thread until it is closed."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        launched = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield Tabs(launched)
        launched.close()
