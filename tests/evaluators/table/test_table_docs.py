"""The Python of docs/how-to/own-table.md runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from nat_plugin.evaluators.table import MeasuredTable, TableSettings
from tests.evaluators.table.tables import combinations, own_table

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "own-table.md"


def blocks() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def test_the_page_reads_a_table(tmp_path: Path) -> None:
    found: dict[str, Any] = {"path": own_table(tmp_path / "mine.csv", combinations(4))}
    exec(blocks()[0], found)
    assert isinstance(found["table"], MeasuredTable)
    assert len(found["table"]) == 4


def test_the_page_registers_a_layout() -> None:
    found: dict[str, Any] = {"text_of": lambda row: row["normal"]}
    exec(blocks()[1], found)
    layouts: list[Any] = []
    found["register_table_layouts"](layouts.append)
    assert layouts[0].fits(["normal", "reduce", "val", "test"])
    assert layouts[0].text({"normal": "x"}) == "x"


def test_every_setting_is_named_on_the_page() -> None:
    text = PAGE.read_text()
    assert [name for name in TableSettings.model_fields if f"`{name}`" not in text and name != "path"] == []
