"""docs/reference/ir.md: every example runs, and what it asserts is true."""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nat_plugin.ir import cost, is_connected, live
from nat_plugin.ir import ops as registry

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "reference" / "ir.md"
BLOCKS = re.findall(r"^## ([^\n]+)\n(?:(?!^## ).)*?^```python\n(.*?)^```", DOCUMENT.read_text(), re.M | re.S)


@pytest.fixture
def names() -> Iterator[dict[str, Any]]:
    """What the examples define when they run one after the other; op kinds that they register are forgotten."""
    known = dict(registry._KINDS)
    found: dict[str, Any] = {}
    for title, code in BLOCKS:
        exec(compile(code, f"{DOCUMENT.name}: {title}", "exec"), found)
    yield found
    registry._KINDS.clear()
    registry._KINDS.update(known)
    registry._parse.cache_clear()


def test_there_is_an_example_of_every_format() -> None:
    assert [title.split()[1] for title, _ in BLOCKS] == ["DARTS", "ENAS", "NNI", "MobileNetV2", "NAS-Bench-201"]
    assert all("assert cost(" in code or "assert (cost(" in code for _, code in BLOCKS)


def test_the_examples_run(names: dict[str, Any]) -> None:
    assert cost(names["darts"]).params == 3_349_342


def test_costs_of_nas_bench_201_are_those_of_its_table(names: dict[str, Any], shared_data: Path) -> None:
    """Of every 31st cell: equal where no operation is dead, less where one is."""
    digits = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]
    equal = 0
    with gzip.open(shared_data / "nasbench201.csv.gz", "rt") as file:
        for row in list(csv.DictReader(file))[::31]:
            a, b, c, d, e, f = (digits[int(digit)] for digit in row["ops"].zfill(6))
            network = names["nb201"](f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|")
            if is_connected(network):
                cell = network.by_name["cell"]
                whole = all(k or edge.op.is_null for k, edge in zip(live(cell).edges, cell.edges, strict=True))
                found, stated = cost(network).params, round(float(row["params_M"]) * 1e6)
                assert found == stated if whole else found <= stated
                equal += whole
    assert equal > 200
