"""A report as a person meets it: in a browser, with the keyboard, on a telephone, in the dark; nothing of a text acts there."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from skills_dspy.base.visible import visible
from skills_dspy.cli.report import near_copies
from skills_dspy.commands.report.content import Content, Copies, gather_content
from skills_dspy.commands.report.make import ReportRequest, write_report
from skills_dspy.commands.report.packing import Packed
from skills_dspy.commands.report.page import make_page
from skills_dspy.commands.report.reading import read_runs
from skills_dspy.store.run_dir import RunPaths
from tests.helpers.browsing import Tabs, browsing, need_browser
from tests.helpers.exporting import write_run
from tests.helpers.learned import SAID, learned
from tests.helpers.reporting import ESCAPES, hostile_run, reported

if TYPE_CHECKING:
    from playwright.sync_api import Page

LONG_NAME = "instructlab/skills/coding/freeform/shell_command"
DRAWN = """() => [...document.querySelectorAll("canvas")].map((canvas) => {
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  return pixels.some((part) => part > 0);
})"""


@pytest.fixture(scope="module")
def usual(run: RunPaths, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run of 40 candidates or more, and beside it one of a long name; skipped where there is no browser."""
    need_browser()
    folder = tmp_path_factory.mktemp("usual")
    reported(folder / "r.html", run.folder, other=write_run(folder / "two", task=LONG_NAME))
    return folder / "r.html"


@pytest.fixture(scope="module")
def tabs(usual: Path) -> Iterator[Tabs]:  # noqa: ARG001 - a run cannot be made while playwright's loop runs
    """Headless Chromium."""
    with browsing() as tabs:
        yield tabs


@pytest.fixture
def opened(tabs: Tabs) -> Iterator[Any]:
    """Opens a page, and gives it with what it asked for and what it complained of."""

    def open_page(path: Path, **how: Any) -> tuple["Page", list[str], list[str]]:
        page, asked, said = tabs.opened(path.as_uri(), **how)
        page.wait_for_selector("html[data-ready=yes]")
        return page, asked, said

    yield open_page
    tabs.leave()


def show_all(page: "Page") -> None:
    """Scroll to every section, so that its plots are drawn."""
    for name in ("funnel", "ratings", "soft", "map", "lengths", "copies"):
        page.locator(f"#{name}").scroll_into_view_if_needed()
        page.wait_for_selector(f"#{name}[data-drawn=yes]")


def test_a_page_opens_by_itself_and_draws_everything(usual: Path, opened: Any) -> None:
    """It asks for nothing but itself, complains of nothing, and every plot has something on it."""
    page, asked, said = opened(usual, width=1200, height=900)
    show_all(page)
    drawn = page.evaluate(DRAWN)
    assert len(drawn) >= 12
    assert all(drawn)
    assert (asked, said) == ([usual.as_uri()], [])
    assert (
        page.locator("#funnel figure").first.inner_text().splitlines()[0]
        == f"A: Funnel of {page.locator('#view option').first.inner_text()}"
    )
    assert page.locator("#count").inner_text().startswith("Rows 1 to 25 of ")


def test_texts_do_not_act_in_a_browser(tmp_path: Path, opened: Any) -> None:
    """None of them runs, loads or hides anything, in a list, in a story, in a table or as a name; each is shown as it is."""
    reported(tmp_path / "r.html", hostile_run(tmp_path / "runs"))
    page, asked, said = opened(tmp_path / "r.html")
    show_all(page)
    for place, text in enumerate(ESCAPES):
        page.locator("#list .row").nth(place).click()
        story = page.locator(f"#row-{place} .story")
        story.locator("h4").first.wait_for()
        shown = story.locator("pre").all_inner_texts()
        assert shown[:3] == [visible(f"context {text}"), visible(text), visible(f"answer {text}")]
    assert page.evaluate("window.acted") is None
    assert page.locator("#list img, #list svg, #list iframe, #facts img, #list script, #list a").count() == 0
    assert (asked, said) == ([(tmp_path / "r.html").as_uri()], [])
    assert page.title() == "skills_dspy report"


def test_the_policy_holds_even_where_the_page_is_tampered_with(usual: Path, opened: Any) -> None:
    """An inline handler, a script, an evaluated text, a picture from elsewhere, a request: the browser refuses each."""
    page, _, _ = opened(usual)
    failed: list[tuple[str, str | None]] = []
    page.on("requestfailed", lambda request: failed.append((request.url, request.failure)))
    refused = page.evaluate("""async () => {
      const told = [];
      document.addEventListener("securitypolicyviolation", (event) => told.push(event.effectiveDirective));
      const box = document.createElement("div");
      document.body.append(box);
      box.innerHTML = '<b onclick="window.acted = 1">x</b><img src="https://example.org/x.png"><b style="color: red">y</b>';
      box.firstChild.click();
      const script = document.createElement("script");
      script.textContent = "window.acted = 1";
      box.append(script);
      setTimeout(() => { try { eval("window.acted = 1"); } catch (error) { told.push(error.name); } });
      try { await fetch("https://example.org/"); } catch (error) { told.push(error.name); }
      await new Promise((done) => setTimeout(done, 50));
      return told;
    }""")
    wanted = {"script-src-attr", "script-src-elem", "style-src-attr", "img-src", "connect-src", "EvalError", "TypeError"}
    assert wanted <= set(refused)
    assert page.evaluate("window.acted") is None
    assert failed == [("https://example.org/x.png", "csp")]


def test_it_is_readable_on_a_narrow_screen(usual: Path, opened: Any) -> None:
    """At 400 pixels nothing has to be pushed aside, and letters stand out against the paper, by day and by night."""
    page, _, _ = opened(usual, width=400, height=800)
    page.locator("#list .row").first.click()
    page.locator(".story h4").first.wait_for()
    papers = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        show_all(page)
        assert f"B: Funnel of {LONG_NAME}" in page.locator("#funnel h3").all_inner_texts()
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        assert page.locator("#funnel .scroll").last.evaluate("box => box.scrollWidth <= box.clientWidth")
        for selector in ("body", ".chips span", ".chips .rejected", ".small"):
            assert contrast(page, selector) >= 4.5, selector
        papers.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    page.locator("#theme").click()  # light, whatever the system says
    assert [*papers, page.evaluate("getComputedStyle(document.body).backgroundColor")] == [papers[0], papers[1], papers[0]]
    assert papers[0] != papers[1]


def contrast(page: "Page", selector: str) -> float:
    """The contrast of letters and paper after WCAG 2, 1 to 21."""
    found: float = page.evaluate(
        """(selector) => {
      const own = document.querySelector(selector);
      const bright = (text) => {
        const parts = text.match(/[\\d.]+/g).slice(0, 3).map((part) => part / 255);
        const [red, green, blue] = parts.map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
      };
      let paper = own;
      while (getComputedStyle(paper).backgroundColor === "rgba(0, 0, 0, 0)") paper = paper.parentElement;
      const both = [bright(getComputedStyle(own).color), bright(getComputedStyle(paper).backgroundColor)].sort((a, b) => a - b);
      return (both[1] + 0.05) / (both[0] + 0.05);
    }""",
        selector,
    )
    return found


def test_rows_are_found_turned_and_opened_by_keys(usual: Path, opened: Any) -> None:
    """Search, next row, open, next page: no mouse is needed, and letters that are typed into a field are letters."""
    page, _, _ = opened(usual)
    total = page.locator("#count").inner_text().rpartition(" ")[2]
    page.keyboard.press("/")
    page.keyboard.type("hare")
    page.locator(f"#count:not(:has-text('of {total}'))").wait_for()
    page.keyboard.press("Escape")
    page.locator("#list > li:first-child > .row:focus").wait_for()
    assert page.locator("#query").input_value() == "hare"
    page.locator("#filters button[type=reset]").click()
    page.locator(f"#count:has-text('of {total}')").wait_for()
    for key in ("j", "j", "k", "j", "Enter"):
        page.keyboard.press(key)
    page.locator("#list > li:nth-child(2) .story h4").first.wait_for()
    first = page.locator("#list > li").first.get_attribute("id")
    page.keyboard.press("n")
    assert page.locator("#page").input_value() == "2"
    assert page.locator("#list > li").first.get_attribute("id") != first


def test_rows_are_filtered_and_their_stories_told(usual: Path, opened: Any) -> None:
    """Accepted ones alone, then by a label; a story has its prompts and replies, which search finds only if it is told to."""
    page, _, _ = opened(usual)
    page.locator("#outcome").select_option("accepted")
    page.locator("#count:has-text('of 7')").wait_for()
    assert page.locator("#list .chips .accepted").all_inner_texts() == ["accepted"] * 7
    assert page.locator("#list .side").all_inner_texts() == ["A"] * 4 + ["B"] * 3
    assert [text[:6] for text in page.locator("#side option").all_inner_texts()[1:]] == ["A: tes", "B: ins"]
    page.locator("#side").select_option(label=f"B: {LONG_NAME} (3)")
    page.locator("#count:has-text('of 3')").wait_for()
    assert set(page.locator("#list .side").all_inner_texts()) == {"B"}
    page.locator("#side").select_option("")
    page.locator("#count:has-text('of 7')").wait_for()
    page.locator("#copies").scroll_into_view_if_needed()
    assert page.locator("#copies .link").first.inner_text()[:3] in ("A: ", "B: ")
    page.locator("#list .row").first.click()
    calls = page.locator(".story > details")
    calls.first.wait_for()
    assert "judge question" in calls.all_inner_texts()
    calls.first.locator("summary").click()
    calls.first.locator("h4").first.wait_for()
    assert {"system", "user", "reply"} <= set(calls.first.locator("h4").all_inner_texts())
    page.locator("#query").fill("Your whole reply is one JSON object")
    page.locator("#count:has-text('No row fits.')").wait_for()
    page.locator("#deep").check()
    page.locator("#count:has-text('of 4')").wait_for()


def test_a_filter_that_changes_nothing_leaves_stories_open(usual: Path, opened: Any) -> None:
    """A story that is open stays so while the same rows are listed, and is gone with its row."""
    page, _, _ = opened(usual)
    page.locator("#list .row").first.click()
    page.locator(".story > details").first.wait_for()
    page.evaluate("applyFilters()")
    assert page.locator(".story").count() == 1
    page.locator("#query").fill("no row has this")
    page.locator("#count:has-text('No row fits.')").wait_for()
    assert page.locator(".story").count() == 0


def test_near_copies_are_counted_as_far_as_they_are_known(tmp_path: Path, opened: Any) -> None:
    """With the bound by which they were found, and how many of them are listed."""
    places, out = (write_run(tmp_path / "runs"), write_run(tmp_path / "runs", task="test/jays")), tmp_path / "r.html"
    found = iter((Copies([(0, 1)] * 70, 0.87, complete=False), Copies([], 0.87, complete=True)))
    write_report(ReportRequest(places, None, out, overwrite=False, version="0.0.0"), lambda _: next(found))
    page, _, said = opened(out)
    told = []
    for name in ("foxes", "jays"):
        page.locator("#view").select_option(label=f"test/{name}")
        page.locator("#copies").scroll_into_view_if_needed()
        page.wait_for_selector("#copies[data-drawn=yes]")
        told.append(page.locator("#copies").inner_text())
    assert said == []
    assert "at least 70 pairs" in told[0]
    assert "Of each run the first 50 are shown." in told[0]
    assert page.locator("#side").is_hidden()
    assert page.locator("#list .side").count() == 0
    assert "near-copies: 0 pairs" in told[1]
    assert "(ROUGE-L of 0.87 or more)" in told[1]


def test_losses_and_the_curve_are_drawn_beside_their_table(tmp_path: Path, opened: Any) -> None:
    """On a narrow screen, by day and by night; a view without a report has no such section."""
    folder = write_run(tmp_path / "output")
    write_run(tmp_path / "output", task="test/jays")
    (folder / "student.json").write_text(learned(folder, student="models/<b>small.gguf"), "utf-8")
    reported(tmp_path / "r.html", tmp_path / "output")
    page, asked, said = opened(tmp_path / "r.html", width=400, height=800)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.locator("#students").scroll_into_view_if_needed()
        page.wait_for_selector("#students[data-drawn=yes] canvas")
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        assert page.evaluate(DRAWN.replace('"canvas"', '"#students canvas"')) == [True, True]
    text = page.locator("#students").inner_text()
    assert "<b>small.gguf, taught rows of test/foxes" in text
    assert SAID in text
    losses, against = (page.locator("#students table").nth(place).locator("tbody tr") for place in (0, 1))
    assert losses.nth(1).locator("td").all_inner_texts() == ["all rows", "8", "80", "2.000", "-1.000", "-1.250 to -0.750"]
    assert against.nth(0).locator("td").all_inner_texts() == ["1/2 of the rows", "-0.500", "-0.750 to -0.250"]
    assert page.locator("#students canvas").first.get_attribute("aria-label").endswith("the numbers stand in the table below")
    page.locator("#view").select_option(label="test/jays")
    assert page.locator("#learned").is_hidden()
    assert (asked, said) == ([(tmp_path / "r.html").as_uri()], [])


def test_of_ten_thousand_rows_a_story_is_unpacked_when_it_is_told(run: RunPaths, tmp_path: Path, opened: Any) -> None:
    """And no other with it but those of its parcel. How large such a page is, and how quickly it opens, `make bench` says."""
    one = gather_content(read_runs([run.folder]), [""], near_copies)
    rows = one.summary["rows"]
    times = -(-10_000 // rows)
    many = Content(
        one.summary | {"rows": rows * times},
        {name: values * times for name, values in one.columns.items()},
        Packed(one.details.shared, one.details.parcels * times, rows),
    )
    assert len(one.details.parcels) == 1
    (tmp_path / "r.html").write_text(make_page(many, "0.0.0"))
    page, _, said = opened(tmp_path / "r.html")
    assert page.evaluate("report.parcels.size") == 0
    page.locator("#page").fill("400")
    page.locator("#page").press("Enter")
    page.locator("#count:has-text('Rows 9976 to 10000')").wait_for()
    page.locator("#list .row").first.click()
    page.locator(".story h4").first.wait_for()
    assert (page.evaluate("report.parcels.size"), said) == (1, [])


def test_a_run_that_has_no_row_yet_has_a_page(tmp_path: Path, opened: Any) -> None:
    """It says that there is nothing."""
    folder = write_run(tmp_path / "runs", [])
    (folder / "data.jsonl").unlink()
    reported(tmp_path / "r.html", folder)
    page, _, said = opened(tmp_path / "r.html")
    show_all(page)
    assert (page.locator("#count").inner_text(), said) == ("No row fits.", [])
