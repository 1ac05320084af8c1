"""A report in a real browser: nothing goes wrong, nothing leaves the file, sorting, focus, themes and widths work."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nat_plugin.reporting.folder import write_report

playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium of the system (Debian: apt install chromium)")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def page(browser: Any, ended: Path, tmp_path: Path) -> Iterator[Any]:
    """What is wrong with it ends the test: messages on the console, and requests for anything but the file."""
    path, wrong = write_report(ended, pytest.fail, tmp_path / "report.html"), list[str]()
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="light")
    page = context.new_page()
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: wrong.append(request.url) if request.url != path.as_uri() else None)
    page.goto(path.as_uri())
    yield page
    context.close()
    assert wrong == []


def test_a_table_is_sorted_both_ways(page: Any) -> None:
    table = page.locator("table", has_text="What was measured, the best first")
    head = table.locator("th", has_text="MACs")
    for order, reverse in (("ascending", False), ("descending", True)):
        head.get_by_role("button").click()
        assert head.get_attribute("aria-sort") == order
        macs = [float(each.get_attribute("data-sort")) for each in table.locator("tbody tr td:nth-child(3)").all()]
        assert macs == sorted(macs, reverse=reverse)


def test_a_point_opens_its_network_and_an_operation_says_what_it_costs(page: Any) -> None:
    page.locator("svg a[href='#network-1']").first.click()
    assert page.locator("#network-1").get_attribute("open") is not None
    page.locator("svg.nat [tabindex='0']").first.focus()
    assert "MACs in all its places" in page.locator("#said").inner_text()


def test_dark_and_light(page: Any) -> None:
    colours = []
    for _ in range(2):
        colours.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        page.locator("#theme").click()
    assert colours[0] == "rgb(255, 255, 255)" != colours[1]


@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_is_wider_than_the_screen(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
