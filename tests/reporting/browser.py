"""Reports in the system's own Chromium, never a downloaded one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
MISSING = (
    "needs Playwright: pip install playwright"
    if find_spec("playwright") is None
    else "needs Chromium of the system (Debian: apt-get install chromium)"
    if CHROMIUM is None
    else ""
)


@contextmanager
def launched() -> Iterator[Any]:
    """A browser with a new user data folder. Skips the test where there is none."""
    if MISSING:
        pytest.skip(MISSING)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def opened(browser: Any, path: Path, width: int = 1440, **settings: Any) -> Iterator[Any]:
    """A page on a report. Whatever it writes on the console fails the test, and so does a request for anything but the
    file."""
    wrong: list[str] = []
    context = browser.new_context(viewport={"width": width, "height": 900}, reduced_motion="reduce", **settings)
    page = context.new_page()
    page.set_default_timeout(60_000)  # a browser takes long to start where cores are busy
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: wrong.append(request.url) if not ours(request.url, path) else None)
    page.goto(path.as_uri())
    try:
        yield page
    finally:
        context.close()
    assert wrong == []


def ours(url: str, path: Path) -> bool:
    """Whether an address is of the file, or of what a test put into its page."""
    return url.split("#")[0] == path.as_uri() or url.startswith("data:")


def check_everywhere(browser: Any, path: Path) -> None:
    """What holds of any report: it loads without a word, and fits into a telephone, a screen and a sheet of paper."""
    for width, scheme, media in ((1440, "light", "screen"), (390, "dark", "screen"), (700, "light", "print")):
        with opened(browser, path, width, color_scheme=scheme) as page:
            page.emulate_media(media=media, color_scheme=scheme)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (width, media)
            dark = page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
            assert dark is (scheme == "dark")
