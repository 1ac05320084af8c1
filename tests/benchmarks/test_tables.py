"""Tables of the documentation are those of the results that are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.common.results import RESULTS
from benchmarks.registry import EXPERIMENTS
from benchmarks.tables import NOTHING, SINCE, Table, all_tables, pages, put_tables, tables_on


def test_every_table_on_every_page_is_that_of_the_results() -> None:
    tables = {name: str(table) for name, table in all_tables().items()}
    found = {name: text.partition(SINCE)[0] for page in pages() for name, text in tables_on(page).items()}
    assert len(found) > 15
    assert {name: text for name, text in found.items() if text != tables.get(name, NOTHING)} == {}
    assert sorted(tables.keys() - found.keys()) == []  # nothing is kept that no page says


def test_every_kept_result_is_of_an_experiment() -> None:
    kept = set(RESULTS.glob("*.json"))
    assert kept <= {each.place(name) for name, each in EXPERIMENTS.items()}


def test_a_table_goes_to_its_place_on_a_page_and_nowhere_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "Before.\n\n<!-- table one -->\n<!-- end -->\n\nBetween.\n\n<!-- table two -->\nold\n<!-- end -->\n"
    )
    put_tables(page, {"one": "| a |\n|---|\n| 1 |", "three": "| c |"})
    assert tables_on(page) == {"one": "| a |\n|---|\n| 1 |", "two": "old"}
    put_tables(page, {"one": "| b |"})
    assert tables_on(page)["one"] == "| b |"
    assert page.read_text().startswith("Before.\n\n<!-- table one -->\n\n| b |\n\n<!-- end -->\n\nBetween.\n")


def test_a_table_says_which_runs_it_came_from(request: pytest.FixtureRequest) -> None:
    run = {"command": "python -m benchmarks some --save", "commit": "abc", "date": "2026-01-02", "machine": "a core"}
    path = request.config.rootpath / "benchmarks/results/some.json"
    table = Table("some", "| a |", path, {"one": run, "two": run, "three": run | {"commit": "def"}})
    assert str(table) == (
        "| a |\n\nExperiment `some`, `benchmarks/results/some.json`: `python -m benchmarks some --save`, commit abc, "
        "2026-01-02; `python -m benchmarks some --save`, commit def, 2026-01-02; a core."
    )


def test_the_list_has_a_line_for_every_experiment(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [name for name in EXPERIMENTS if not any(line.startswith(f"{name} ") for line in lines)] == []


def test_an_unknown_name_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["timm-ofers"]) == 2
    assert capsys.readouterr().err == (
        "error: 'timm-ofers' is no experiment; did you mean timm-offers? `python -m benchmarks` lists them\n"
    )
