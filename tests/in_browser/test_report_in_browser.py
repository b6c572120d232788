"""The report of a study with hostile names, in a real browser. `make test-browser`"""

import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from browsers import DESK, PHONE, chromium, opened
from own_study import own_study
from page_tables import MODELS
from playwright.sync_api import Browser, Page

from rm_selection import report

HOSTILE = [
    "a/<script>alert(1)</script>",
    'b/"><img src=x onerror=alert(1)>',
    "../../x",
    "=cmd|' /C calc'!A0",
    *MODELS[4:],
]
SCHEMES = ("light", "dark")
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
# Lowest size of any text in px, as it comes out on the screen: figures are scaled to the page.
SMALLEST = """() => Math.min(...[...document.querySelectorAll("body *")]
  .filter((one) => one.checkVisibility() && [...one.childNodes].some((part) => part.nodeType === 3 && part.data.trim()))
  .map((one) => parseFloat(getComputedStyle(one).fontSize) *
    (one.ownerSVGElement ? one.ownerSVGElement.getScreenCTM().a : 1)))"""


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> str:
    folder = own_study(tmp_path_factory.mktemp("outputs") / "mine", HOSTILE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["report", "study=mine", f"output={folder.parent}"])
        report.main()
    return (folder / "report.html").as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def column(page: Page, table: str, place: int) -> list[str]:
    cells = page.locator(f"#{table} tbody tr:visible td:nth-child({place})")
    return [text.strip() for text in cells.all_inner_texts()]


def sheets(page: Page) -> list[str]:
    return page.eval_on_selector_all("article.sheet", "found => found.map((one) => one.id)")


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_no_page_is_wider_than_the_screen_and_no_text_tiny(browser, address, size, scheme):
    with opened(browser, address, viewport=size, color_scheme=scheme) as page:
        page.eval_on_selector_all("details", "found => found.forEach((one) => { one.open = true; })")
        for place in ["", *sheets(page)]:
            page.goto(f"{address}#{place}")
            assert page.evaluate(WIDER) <= 0, place
            assert page.evaluate(SMALLEST) >= 9, place


def test_the_dark_page_is_dark(browser, address):
    lightness = {}
    for scheme in SCHEMES:
        with opened(browser, address, color_scheme=scheme) as page:
            colours = page.evaluate(
                "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
            )
            lightness[scheme] = [sum(map(int, colour[4:-1].split(","))) for colour in colours]
    assert lightness["light"][0] > 700
    assert lightness["light"][1] < 100
    assert lightness["dark"][0] < 100
    assert lightness["dark"][1] > 600


def test_every_link_leads_somewhere(browser, address):
    with opened(browser, address) as page:
        links = page.eval_on_selector_all("a[href]", "found => found.map((one) => one.getAttribute('href'))")
        ids = set(page.eval_on_selector_all("[id]", "found => found.map((one) => one.id)"))
    inside = {link[1:] for link in links if link.startswith("#")}
    beside = {link for link in links if not link.startswith(("#", "https://arxiv.org/"))}
    assert inside <= ids
    assert len(beside) > 20
    for link in beside:
        assert Path(address.removeprefix("file://")).parent.joinpath(unquote(link)).is_file(), link


def test_a_hostile_name_is_shown_and_not_run(browser, address):
    with opened(browser, address) as page:
        assert page.locator("#top a", has_text="<script>alert(1)</script>").count() == 1
        assert page.locator("script").count() == 1
        assert page.locator("img").count() == 0


@pytest.mark.parametrize("way", ["click", "tap", "keyboard"])
def test_a_header_sorts_its_column_both_ways(browser, address, way):
    with opened(browser, address, viewport=PHONE, has_touch=way == "tap") as page:
        header = page.locator("#top th", has_text="Expected")
        for order in ("descending", "ascending"):
            if way == "keyboard":
                header.locator("button").focus()
                page.keyboard.press("Enter")
            else:
                getattr(header.locator("button"), way)()
            assert header.get_attribute("aria-sort") == order
            shown = [float(text.split()[0]) for text in column(page, "top", 3)]
            assert shown == sorted(shown, reverse=order == "descending")
            assert len(shown) == len(MODELS)


def test_words_sort_too_and_only_one_column_is_marked(browser, address):
    with opened(browser, address, viewport=DESK) as page:
        page.locator("#top th button", has_text="Expected").click()
        page.locator("#top th button", has_text="Family").click()
        assert column(page, "top", 5) == sorted(column(page, "top", 5))
        assert page.locator("#top th[aria-sort]").count() == 1


@pytest.mark.parametrize(
    ("typed", "rows"),
    [("GEMMA", 2), ("gemma-4", 1), ("expected>80", 2), ("size<=0.5", 1), ("rank=2", 1), ("nobody", 0), ("", 8)],
)
def test_what_is_typed_filters_the_rows_and_their_number_is_told(browser, address, typed, rows):
    with opened(browser, address, viewport=PHONE) as page:
        page.locator("#top input").fill(typed)
        assert len(column(page, "top", 2)) == rows
        assert page.locator("#top output").inner_text() == f"{rows} row{'' if rows == 1 else 's'}"


def test_a_checkpoint_opens_by_its_link_and_the_way_back_is_the_browsers(browser, address):
    with opened(browser, address, viewport=PHONE) as page:
        page.locator("#top tbody a").first.click()
        assert page.locator("article:visible h2").inner_text() == HOSTILE[0]
        assert not page.locator("main").is_visible()
        assert page.title().startswith(HOSTILE[0])
        assert page.evaluate("scrollY") == 0
        assert page.locator("article:visible .charts svg").count() == 2
        page.go_back()
        assert page.locator("main").is_visible()
        assert page.locator("article:visible").count() == 0
        assert page.title().startswith("mine:")


def test_without_scripts_all_is_there_but_the_filters(browser, address):
    with opened(browser, address, java_script_enabled=False) as page:
        assert not page.locator("#top input").is_visible()
        assert page.locator("#top tbody tr:visible").count() == len(MODELS)
        page.locator("#top tbody a").first.click()
        assert page.locator("article:visible h2").inner_text() == HOSTILE[0]


def test_it_opens_with_little_work(browser, address):
    with opened(browser, "about:blank") as page:
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})  # of the processor: others may be busy too
        page.goto(address)
        work = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    assert work["TaskDuration"] < 2
