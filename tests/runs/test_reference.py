"""docs/reference/recipes.md says what the schema says."""

from __future__ import annotations

from pathlib import Path

import pytest

from nat_plugin.plugins import Plugins, installed
from nat_plugin.runs.reference import reference

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "recipes.md"


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Plugins:
    """All that ships, and nothing else."""
    monkeypatch.setenv("NAT_PLUGINS", "")
    return Plugins(installed())


def test_the_page_is_the_generated_one(own: Plugins) -> None:
    if not PAGE.exists():
        pytest.skip("docs/ is not beside the tests")
    assert PAGE.read_text() == reference(own), "run: python -m nat_plugin.runs.reference > docs/reference/recipes.md"


def test_every_setting_has_a_meaning(own: Plugins) -> None:
    rows = [line for line in reference(own).splitlines() if line.startswith("| `")]
    assert len(rows) > 50
    assert [row for row in rows if row.endswith("|  |")] == []
