"""Figures of tables show what stands in their cells."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks import table_figures
from benchmarks.table_figures import TableFigure
from nat_plugin.errors import NATError

TEXT = """CIFAR-10, all: 40 inputs

| | Q = 1 | Q = 10 |
|---|---|---|
| **a** | 1.5 (+1.30 ± 0.50) | – |
| b | 1,200 | 20 ms, [x] |

| rest | kind | 0.90 [0.80, 0.95] of |
|---|---|---|
| c | d | -0.5 / +2 s |
"""


@pytest.fixture(autouse=True)
def tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_figures, "_texts", lambda: {"place": TEXT, "one": TEXT.rpartition("\n\n")[0]})


def test_columns_are_series_and_rows_stand_one_under_the_other() -> None:
    points = TableFigure({"title": "one"}, "gain").points()
    assert points == {"title": {"Q = 1": [["a", 1.5], ["b", 1200.0]], "Q = 10": [["b", 0.02]]}}


def test_across_it_is_the_reverse_and_over_numbers_rows_are_curves() -> None:
    shown = TableFigure({"": "one"}, "gain", rows=("a",), across=True, number=1)
    assert shown.points() == {"CIFAR-10, all": {"a": [["Q = 1", 1.3, 0.8, 1.8]]}}
    assert replace(shown, x="queries").points() == {"CIFAR-10, all": {"a": [[1.0, 1.3, 0.8, 1.8]]}}


def test_each_of_several_tables_is_a_panel() -> None:
    points = TableFigure({"": "place"}, "gain", number=1, labels=1).points()
    assert list(points) == ["CIFAR-10, all", "rest"]
    assert points["rest"]["0.90 [0.80, 0.95] of"] == [["c", 2.0]]


@pytest.mark.parametrize(
    ("figure", "said"),
    [
        (TableFigure({"": "elsewhere"}, ""), "there is no table 'elsewhere'"),
        (TableFigure({"": "one"}, "", rows=("z",)), "table 'one' has no 'z'; it has a, b"),
        (TableFigure({"": "one"}, "", columns=("Q = 3",)), "table 'one' has no 'Q = 3'"),
    ],
)
def test_what_is_not_there_is_said_in_a_line(figure: TableFigure, said: str) -> None:
    with pytest.raises(NATError, match=said):
        figure.points()
