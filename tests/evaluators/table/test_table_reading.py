"""A table of a user's own: read by an adapter, values as arrays, whatever is wrong in it said in one line."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from nat_plugin.errors import NATError
from nat_plugin.evaluators.table import MeasuredTable, NetworkSizeSettings, TableSettings, open_table, read_table
from nat_plugin.evaluators.table.rows import MAX_LINE, MAX_LINES
from nat_plugin.ir import NetworkSize
from nat_plugin.plugins import plugins
from tests.evaluators.table.tables import INPUT, combinations, genotype, own_table, percent

CELLS = combinations(12)


def read(path: Path, **given: Any) -> MeasuredTable:
    return read_table(TableSettings(path=path, **{"adapter": "darts", "metric": "accuracy", **given}))


@pytest.mark.parametrize("name", ["mine.csv", "mine.csv.gz"])
def test_networks_and_values_in_the_order_of_the_rows(tmp_path: Path, name: str) -> None:
    table = read(own_table(tmp_path / name, CELLS))
    assert (table.name, len(table), table.left_out, table.complete) == (f"{name}, accuracy", 12, (), False)
    adapter = plugins().adapters["darts"]
    assert list(table.networks) == [adapter.read(genotype(ops), NetworkSize()) for ops in CELLS]
    assert list(table.metrics) == ["accuracy", "loss", "share", "accuracy_test"]
    assert table.metrics["loss"] == pytest.approx([(100 - percent(ops)) / 10 for ops in CELLS])
    assert table.scores == pytest.approx([percent(ops) / 100 for ops in CELLS])
    assert (table.test == table.scores).all()
    assert table.lines == tuple(range(2, 14))


@pytest.mark.parametrize(
    ("given", "unit", "first"),
    [
        ({}, "percent", percent(INPUT) / 100),
        ({"metric": "share"}, "share", percent(INPUT) / 100),
        ({"metric": "loss", "lower_is_better": True}, "number", (percent(INPUT) - 100) / 10),
        ({"metric": "loss", "unit": "number"}, "number", (100 - percent(INPUT)) / 10),
        ({"test_metric": "accuracy_test"}, "percent", percent(INPUT) / 100),
    ],
)
def test_scores_are_shares_or_numbers_and_higher_is_better(
    tmp_path: Path, given: dict[str, Any], unit: str, first: float
) -> None:
    table = read(own_table(tmp_path / "mine.csv", CELLS), **given)
    assert table.unit == unit
    assert table.scores[0] == pytest.approx(first)
    assert table.test[0] == pytest.approx(first - 0.01 * ("test_metric" in given))


def test_any_column_and_any_size(tmp_path: Path) -> None:
    path = own_table(tmp_path / "mine.csv", CELLS, column="cell")
    table = read(
        path, architecture="cell", network_size=NetworkSizeSettings(channels=4, cells=3, input=(3, 16, 16), classes=7)
    )
    assert table.network_size == NetworkSize(4, 3, (3, 16, 16), 7)
    assert len(table.networks[0].placements) == 3
    assert table.networks[0].head.classes == 7


def test_rows_of_another_task_are_left_out(tmp_path: Path) -> None:
    path = own_table(tmp_path / "mine.csv", CELLS)
    table = read(path, where={"name": "run 3"})
    assert (len(table), table.lines, len(table.left_out)) == (1, (5,), 11)
    assert table.left_out[0].line == 2
    assert table.left_out[0].why == "name is 'run 0'"
    with pytest.raises(NATError, match="it has no row that can be used; line 2: name is 'run 0'"):
        read(path, where={"name": "run 99"})


def test_the_same_architecture_twice(tmp_path: Path) -> None:
    path = own_table(tmp_path / "mine.csv", CELLS)
    again = genotype(CELLS[3], swapped=True)
    path.write_text(path.read_text() + f'again,"{again}",50,,0.5,50\n')
    with pytest.raises(NATError, match=r"mine.csv, line 14: this architecture is also in line 5"):
        read(path)
    table = read(path, duplicates="mean")
    assert len(table) == 12
    assert table.scores[3] == pytest.approx((percent(CELLS[3]) + 50) / 200)
    assert table.metrics["loss"][3] == pytest.approx((100 - percent(CELLS[3])) / 10)  # of the rows that have one
    path.write_text(path.read_text().replace(",50,,", ",bad,,"))
    with pytest.raises(NATError, match=r"mine.csv, line 14: accuracy is 'bad', not a number"):
        read(path, duplicates="mean")


def test_of_an_architecture_in_two_rows_the_one_that_can_be_used_counts(tmp_path: Path) -> None:
    path = own_table(tmp_path / "mine.csv", CELLS)
    again = genotype(CELLS[3], swapped=True)
    path.write_text(path.read_text() + f'again,"{again}",nan,9,0.5,50\n')
    table = read(path, duplicates="mean", unusable="leave_out", test_metric="accuracy_test")
    assert [(each.line, each.why) for each in table.left_out] == [(14, "accuracy is nan, not a finite number")]
    assert table.scores == pytest.approx([percent(ops) / 100 for ops in CELLS])
    assert table.test == pytest.approx([percent(ops) / 100 - 0.01 for ops in CELLS])
    assert table.metrics["loss"][3] == pytest.approx((100 - percent(CELLS[3])) / 10)


def test_a_share_to_choose_by_and_percent_to_report_are_refused(tmp_path: Path) -> None:
    path = own_table(tmp_path / "mine.csv", CELLS)
    with pytest.raises(NATError, match=r"mine.csv: share is at most 0\.\d+, accuracy up to \d.*: both have to be in"):
        read(path, metric="share", test_metric="accuracy")
    assert read(path, metric="share", test_metric="accuracy", unit="percent").unit == "percent"


WRONG = [
    ("", "x", "accuracy is 'x', not a number"),
    ("", "", "accuracy is missing"),
    ("", "nan", "accuracy is nan, not a finite number"),
    ("", "-inf", "accuracy is -inf, not a finite number"),
    ("Genotype(normal=[])", "90", "architecture: adapter 'darts' cannot read it: the genotype has no field"),
    ("no genotype", "90", "architecture: adapter 'darts' cannot read it: "),
]


@pytest.mark.parametrize(("text", "value", "why"), WRONG)
def test_a_row_that_cannot_be_used(tmp_path: Path, text: str, value: str, why: str) -> None:
    path = own_table(tmp_path / "mine.csv", CELLS[:4])
    path.write_text(path.read_text() + f'more,"{text or genotype(CELLS[4])}",{value},1,0.5,50\n')
    with pytest.raises(NATError) as caught:
        read(path)
    assert f"{path}, line 6: {why}" in str(caught.value)
    assert "\n" not in str(caught.value)
    table = read(path, unusable="leave_out")
    assert len(table) == 4
    assert [(each.line, each.why[:20]) for each in table.left_out] == [(6, why[:20])]


def test_an_accuracy_that_cannot_be(tmp_path: Path) -> None:
    path = own_table(tmp_path / "mine.csv", CELLS[:4])
    path.write_text(path.read_text().replace(str(percent(INPUT)), "190"))
    assert read(path).unit == "number"
    with pytest.raises(NATError, match=r"line 2: accuracy is 190, no accuracy in percent"):
        read(path, unit="percent")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\n\n", "the file is empty"),
        (b"architecture,accuracy\n", "it has no row that can be used"),
        (b"architecture,loss\na,1\n", "there is no column 'accuracy'; it has architecture, loss"),
        (b"arch,accuracy\na,1\n", "there is no column 'architecture'; it has arch, accuracy"),
        (b"accuracy,architecture,accuracy\n", "the header has column 'accuracy' twice"),
        (b"architecture,accuracy\na\n", "line 2: 1 fields, the header has 2"),
        (b"architecture,accuracy\na,1,2\n", "line 2: 3 fields, the header has 2"),
        (b"architecture,accuracy\n\xff,1\n", "this is not a text file (its encoding has to be UTF-8)"),
        ("architecture,accuracy\nä,1\n".encode("utf-16"), "this is not a text file"),
        (b"architecture,accuracy\n" + b"x" * (MAX_LINE + 1), "line 2: longer than 10,000 characters"),
        (b",".join(b"c%d" % at for at in range(1001)), "1,001 columns, more than 1,000"),
        (b'architecture,accuracy\n"a', "line 2: 1 fields, the header has 2"),
    ],
)
def test_a_file_that_is_no_such_table(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "mine.csv"
    path.write_bytes(content)
    with pytest.raises(NATError) as caught:
        read(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_huge_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    bomb, lines = tmp_path / "bomb.csv.gz", tmp_path / "lines.csv"
    with gzip.open(bomb, "wb", compresslevel=1) as file:
        for _ in range(70):
            file.write(b"," * 2**20)
    lines.write_bytes(b"architecture,accuracy\n" + b"\n" * MAX_LINES)
    with pytest.raises(NATError, match="too large for such a table"):
        read(bomb)
    with pytest.raises(NATError, match="more than 500,000 lines"):
        read(lines)


def test_a_mark_of_its_encoding_is_no_part_of_the_header(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("\ufeffarchitecture,accuracy\n" + f'"{genotype(INPUT)}",90\n', encoding="utf-8")
    assert len(read(path)) == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"adapter": "dart", "metric": "a"}, "unknown adapter 'dart'; allowed: "),
        ({"adapter": {"name": "darts", "x": 1}, "metric": "a"}, "adapter 'darts': x: Extra inputs"),
        ({"adapter": "darts"}, "a table of your own (adapter) needs metric"),
        ({"adapter": "darts", "metric": "a", "dataset": "cifar10"}, "dataset is of known layouts"),
        ({"test_metric": "a"}, "test_metric goes with metric"),
        ({"layout": "nasbench"}, "'nasbench' is not known; allowed: nasbench201, "),
        ({"format": "json"}, "'json' is not known; allowed: csv, nats_bench, nni"),
        ({"dataset": "mnist"}, "'mnist' is not known; allowed: cifar10, "),
        ({"unit": "points"}, "Input should be 'percent', 'share' or 'number'"),
    ],
)
def test_settings_that_cannot_be(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TableSettings(path="mine.csv", **given)
    assert message in str(caught.value)


def test_architectures_are_parsed_once_for_all_that_is_asked(tmp_path: Path) -> None:
    path = own_table(tmp_path / "mine.csv", CELLS)
    first, second = read(path), read(path, metric="loss", lower_is_better=True)
    assert all(one is other for one, other in zip(first.networks, second.networks, strict=True))
    own_table(path, CELLS[:5])
    assert len(read(path)) == 5


@given(st.lists(st.tuples(st.integers(0, 11), st.floats(0, 100)), min_size=1, max_size=8, unique_by=lambda row: row[0]))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_written_is_found(tmp_path: Path, rows: list[tuple[int, float]]) -> None:
    path = tmp_path / "random.csv"
    lines = [f'"{genotype(CELLS[number])}",{value!r}' for number, value in rows]
    path.write_text("\n".join(["architecture,accuracy", *lines, ""]))
    given = TableSettings(path=path, adapter="darts", metric="accuracy", unit="percent")
    table = open_table(given)
    for number, value in rows:
        network = plugins().adapters["darts"].read(genotype(CELLS[number], swapped=True), NetworkSize())
        found = table.find(network)
        assert found is not None
        assert found.mean == pytest.approx(value / 100)
    assert np.isfinite(read_table(given).scores).all()
