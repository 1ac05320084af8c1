"""docs/recipes.md says what the schema says."""

from __future__ import annotations

from pathlib import Path

import pytest

from nat_plugin import builtin
from nat_plugin.plugins import Plugins
from nat_plugin.runs.reference import reference

PAGE = Path(__file__).parents[2] / "docs" / "recipes.md"


def test_the_page_is_the_generated_one() -> None:
    if not PAGE.exists():
        pytest.skip("docs/ is not beside the tests")
    found = Plugins([("builtin", builtin)])
    assert PAGE.read_text() == reference(found), "run: python -m nat_plugin.runs.reference > docs/recipes.md"


def test_every_setting_has_a_meaning() -> None:
    rows = [line for line in reference(Plugins([("builtin", builtin)])).splitlines() if line.startswith("| `")]
    assert len(rows) > 50
    assert [row for row in rows if row.endswith("|  |")] == []
