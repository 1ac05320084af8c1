"""A report in a real browser: nothing goes wrong, nothing leaves the file, sorting, focus, themes and widths work, and
it looks as it did."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from PIL import Image

from nat_plugin.reporting.report_file import write_report, write_side_by_side
from tests.reporting.browser import check_everywhere, launched, opened
from tests.reporting.compactions import write_compaction
from tests.reporting.made_up import write_comparison, write_run
from tests.reporting.trainings import write_training

HERE = Path(__file__).parent
CONTROLS = ("button", "link", "table", "region", "img", "heading", "figure", "navigation")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with launched() as found:
        yield found


@pytest.fixture(scope="module")
def report(ended: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(ended, pytest.fail, tmp_path_factory.mktemp("browser") / "report.html")


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(write_compaction(tmp_path_factory.mktemp("browser") / "lean"), pytest.fail)


@pytest.fixture
def page(browser: Any, report: Path) -> Iterator[Any]:
    with opened(browser, report) as found:
        yield found


@pytest.mark.parametrize("what", ["report", "blocks"])
def test_it_is_quiet_and_fits_a_telephone_a_screen_and_a_sheet_of_paper(
    browser: Any, what: str, request: pytest.FixtureRequest
) -> None:
    check_everywhere(browser, request.getfixturevalue(what))


def test_on_a_telephone_the_answer_is_seen_without_scrolling_and_no_row_is_mostly_empty(
    browser: Any, report: Path
) -> None:
    with opened(browser, report, 390) as page:
        answer = page.get_by_role("table", name="Input and result side by side")
        boxes = [each.bounding_box() for each in answer.locator("th, td").all()]
        assert boxes
        assert all(box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in boxes)
        rows = page.get_by_role("table", name="What was measured, the best first").locator("tbody tr")
        assert max(each.bounding_box()["height"] for each in rows.all()) < 60
        captions = page.locator("figure.table > figcaption")
        assert captions.count() == page.locator("table").count()
        assert all(box["x"] + box["width"] <= 390 for each in captions.all() if (box := each.bounding_box()))


def test_a_table_is_sorted_both_ways_by_mouse_and_by_keyboard(page: Any) -> None:
    table = page.get_by_role("table", name="What was measured, the best first")
    button = table.locator("th", has_text="MACs").get_by_role("button")
    for order, reverse in (("ascending", False), ("descending", True)):
        button.click() if order == "ascending" else button.press("Enter")
        assert table.locator("th", has_text="MACs").get_attribute("aria-sort") == order
        macs = [float(each.get_attribute("data-sort")) for each in table.locator("tbody tr td:nth-child(3)").all()]
        assert macs == sorted(macs, reverse=reverse)
        assert len(set(macs)) > 1


def test_every_point_shows_the_drawing_of_its_network(page: Any) -> None:
    rows = page.locator("tr[data-changes]")
    assert rows.count() > 1
    drawn = set()
    for number in range(rows.count()):
        name = rows.nth(number).get_attribute("id")
        page.locator(f"svg a[href='#{name}']").first.dispatch_event("click")
        caption = page.locator("#drawing figcaption")
        assert caption.inner_text().startswith(name.replace("network-", "Network ") + ": gain")
        assert caption.evaluate("each => each === document.activeElement")
        changed = page.locator("#drawing .changed")
        assert changed.count() == len(rows.nth(number).get_attribute("data-changes").split())
        said = rows.nth(number).locator("td").last.inner_text()
        for each in changed.all():
            old, new = each.locator("text").all_text_contents()
            assert f"{old} {new}" in said or "more" in said
            assert f"before: {old}" in each.locator("title").text_content()
        drawn.add(page.locator("#drawing svg").inner_html())
    assert len(drawn) == rows.count()


def test_of_a_long_drawing_the_first_change_is_shown(browser: Any, blocks: Path) -> None:
    with opened(browser, blocks, 390) as page:
        for link in page.locator("tr[data-changes] a").all():
            link.click()
            box, changed = (page.locator(f"#drawing {each}").first.bounding_box() for each in (".scroll", ".changed"))
            assert box["height"] < 600
            assert box["y"] <= changed["y"] <= box["y"] + box["height"]


def test_a_point_is_hit_where_it_is_drawn(page: Any) -> None:
    """No line of the grid lies over it."""
    hit = page.evaluate("""() => [...document.querySelectorAll("svg a[href^='#network-'] use")].filter((point) => {
        point.scrollIntoView({ block: "center" });
        const box = point.getBoundingClientRect();
        const found = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
        return found && found.closest("a[href^='#network-']");
    }).length""")
    assert hit == page.locator("svg a[href^='#network-'] use").count()


def test_what_has_the_focus_is_on_the_screen_and_marked(page: Any) -> None:
    texts = []
    for _ in range(25):
        page.keyboard.press("Tab")
        found = page.evaluate("""() => {
            const each = document.activeElement, style = getComputedStyle(each), box = each.getBoundingClientRect();
            const marked = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
            const inside = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
            return [each.tagName, each.textContent.trim().slice(0, 40), marked, inside];
        }""")
        assert found[2], found
        assert found[3], found
        texts.append(found[1])
    assert texts[0] == "To the report"
    assert {"Result", "What changed", "Dark", "Copy"} <= set(texts)


def test_an_operation_says_what_it_costs_when_it_has_the_focus(page: Any) -> None:
    page.locator("svg.nat [tabindex='0']").first.focus()
    assert "MACs in all its places" in page.locator("#said").inner_text()
    page.keyboard.press("Escape")
    assert not page.locator("#said").is_visible()


def test_the_theme_can_be_chosen(page: Any) -> None:
    colours = []
    for _ in range(2):
        colours.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        page.locator("#theme").click()
    assert colours[0] == "rgb(255, 255, 255)" != colours[1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(browser: Any, report: Path, scheme: str) -> None:
    """By at least the 4.5 to 1 of WCAG."""
    with opened(browser, report, color_scheme=scheme) as page:
        low = page.evaluate("""() => {
            const light = (text) => text.match(/[\\d.]+/g).slice(0, 3).map((each) => each / 255)
                .map((each) => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4))
                .reduce((sum, each, at) => sum + each * [0.2126, 0.7152, 0.0722][at], 0);
            const behind = (each) => {
                for (; each; each = each.parentElement) {
                    const colour = getComputedStyle(each).backgroundColor;
                    if (colour !== "rgba(0, 0, 0, 0)") return colour;
                }
                return "rgb(255, 255, 255)";
            };
            return [...document.querySelectorAll("p, dt, dd, small, a, td, th, button, code, summary, figcaption")]
                .map((each) => {
                    const [a, b] = [light(getComputedStyle(each).color), light(behind(each))].sort((x, y) => y - x);
                    return [each.tagName, each.className, (a + 0.05) / (b + 0.05)];
                }).filter((each) => each[2] < 4.5);
        }""")
        assert low == []


def test_whatever_can_be_reached_has_a_name(page: Any) -> None:
    said = page.locator("body").aria_snapshot()
    lines = re.findall(rf"- '?({'|'.join(CONTROLS)})\b(.*)", said)
    assert {kind for kind, _ in lines} >= {"button", "link", "table", "region", "img", "heading"}
    assert [line for line in lines if line[0] != "figure" and not line[1].startswith(' "')] == []
    assert 'table "Input and result side by side"' in said
    names = [name for kind, name in lines if kind == "button" and "Copy" in name]
    assert len(set(names)) == len(names) > 2


def test_printed_it_shows_what_is_folded_and_leaves_out_what_is_to_be_pressed(page: Any) -> None:
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == 0
    page.emulate_media(media="print")
    assert page.locator("button:visible, nav:visible").count() == 0
    assert page.pdf(format="A4").startswith(b"%PDF-")


def reported(write: Callable[[Path], Path]) -> Callable[[Path], Path]:
    """Makes the report of what ``write`` puts into a folder."""
    return lambda folder: write_report(write(folder), pytest.fail)


def side_by_side(folder: Path) -> Path:
    """The report of a run and of one with another accuracy."""
    folder.mkdir()
    runs = [write_run(folder / "first"), write_run(folder / "second", accuracy=0.85)]
    return write_side_by_side(runs, pytest.fail, folder / "several.html")


MADE_UP = {
    "compaction": reported(write_compaction),
    "run": reported(write_run),
    "comparison": reported(write_comparison),
    "training": reported(write_training),
    "several": side_by_side,
}


@pytest.mark.parametrize("what", MADE_UP)
@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_it_looks_as_it_did(browser: Any, what: str, tmp_path: Path, width: int, scheme: str) -> None:
    """Every letter is as wide as any other and leaves nothing, and plots are left out: what remains is the same with
    the fonts of any machine."""
    committed, taken = HERE / f"{what}-{width}-{scheme}.png", tmp_path / "taken.png"
    report = MADE_UP[what](tmp_path / what)
    with opened(browser, report, width, color_scheme=scheme, bypass_csp=True) as page:
        page.add_style_tag(content=_blank(page.evaluate("document.documentElement.textContent")))
        page.evaluate("document.fonts.load('16px blank')")
        page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        page.screenshot(path=taken, full_page=True)
    Image.open(taken).convert("RGB").quantize(32).save(taken, optimize=True)
    hint = f"look at {taken}; if it is meant to look like that, copy it over {committed.name}"
    assert committed.exists(), hint
    old, new = (np.asarray(Image.open(path).convert("RGB"), float) for path in (committed, taken))
    assert new.shape == old.shape, hint
    assert (abs(new - old).max(axis=2) > 40).mean() < 0.001, hint


def _blank(text: str) -> str:
    """A style with a font for all letters of a text, in which each is an empty box."""
    letters = sorted({ord(letter) for each in (text, text.upper()) for letter in each})
    builder, nothing = FontBuilder(1000), TTGlyphPen(None).glyph()
    builder.setupGlyphOrder([".notdef", "blank"])
    builder.setupCharacterMap(dict.fromkeys(letters, "blank"))
    builder.setupGlyf({".notdef": nothing, "blank": nothing})
    builder.setupHorizontalMetrics({".notdef": (550, 0), "blank": (550, 0)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupOS2(sTypoAscender=800, sTypoDescender=-200, usWinAscent=800, usWinDescent=200)
    builder.setupNameTable({"familyName": "blank", "styleName": "Regular"})
    builder.setupPost()
    file = io.BytesIO()
    builder.save(file)
    url = f"data:font/ttf;base64,{base64.b64encode(file.getvalue()).decode()}"
    return (
        f"@font-face{{font-family:blank;src:url({url})}} *,*::before,*::after{{font-family:blank!important}}"
        "svg text{font-family:blank!important} summary{list-style:none!important} .picture svg:not(.nat)>*{opacity:0}"
    )
