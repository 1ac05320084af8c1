"""The figures of the documentation are of the results that are kept."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.figures import MEASURED, cell_svgs
from benchmarks.plotting import digest, svg

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "figures"


@pytest.mark.parametrize("name", MEASURED)
def test_a_figure_shows_the_points_of_its_results(name: str) -> None:
    said = f"points {digest(MEASURED[name].points())}"
    assert said in (FOLDER / f"{name}.svg").read_text(), "run: python -m benchmarks figures"


def test_a_figure_is_drawn_the_same_again() -> None:
    assert svg(MEASURED["calibration"]) == svg(MEASURED["calibration"])


def test_the_pictures_of_cells_are_those_that_are_drawn_now() -> None:
    for name, drawn in cell_svgs().items():
        assert (FOLDER / f"{name}.svg").read_text() == drawn, "run: python -m benchmarks figures"


def test_every_figure_is_well_formed_small_and_on_a_page() -> None:
    pages = "\n".join(page.read_text() for page in [*FOLDER.parent.rglob("*.md"), FOLDER.parents[1] / "README.md"])
    for path in FOLDER.glob("*.svg"):
        ElementTree.fromstring(path.read_text())
        assert path.stat().st_size < 150_000
        assert f"figures/{path.name})" in pages or f'figures/{path.name}"' in pages, path.name
