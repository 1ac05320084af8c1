"""Cells of NAS-Bench-201 in NASLib's numbers, in AutoDL-Projects' tuples, and as strings within a log."""

from __future__ import annotations

import csv
import gzip
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nat_nasbench import NB201Adapter, register_ops
from nat_nasbench.forms201 import NAMES, NASLIB_ENDS, NASLIB_NAMES
from nat_nasbench.nb201 import ENDS, OPS, digits_of, from_digits

from nat_plugin.ir import Moves, Network, NetworkSize, canonical, cost, find_rule
from nat_plugin.ir.ops import register_op
from nat_plugin.writing import write_back
from tests.adapters.damage import check_one_line_or_the_same_text, check_refused, damaged

register_ops(register_op)
ADAPTER = NB201Adapter()
STRING = "|avg_pool_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|nor_conv_3x3~0|avg_pool_3x3~1|nor_conv_3x3~2|"
NUMBERS = "(4, 0, 2, 3, 4, 2)"
TUPLES = (
    "((('avg_pool_3x3', 0),), (('skip_connect', 0), ('nor_conv_1x1', 1)), "
    "(('nor_conv_3x3', 0), ('avg_pool_3x3', 1), ('nor_conv_3x3', 2)))"
)
FORMS = [
    NUMBERS,
    NUMBERS.replace("(", "[").replace(")", "]"),
    f"  '{NUMBERS}'\n",
    "(4,0,2,3,4,2,)",
    "(4, 00, 2, 03, 4, 2)",
    "(np.int64(4), np.int64(0), np.int64(2), np.int64(3), np.int64(4), np.int64(2))",
    TUPLES,
    TUPLES.replace("'", '"') + "\n",
    TUPLES.replace("((('avg_pool_3x3', 0),)", "[[('avg_pool_3x3', 0)]").replace("2)))", "2))]"),
    TUPLES.replace("), (('", "),\n # node (\n (('"),
    f"Structure(4 nodes with {STRING})",
    f"[2020-01-01-10:00:00] genotype : Structure(4 nodes with {STRING}), acc = 91.2%\nend |\n",
    f'{{"arch": "{STRING}", "acc": 91.6}}',
    f"arch_str: '{STRING}'\n",
    f"{STRING}, 91.61",
]


def read(text: str, size: NetworkSize | None = None) -> Network:
    return ADAPTER.read(text, size or NetworkSize())


@pytest.mark.parametrize("text", FORMS)
def test_all_are_the_same_cell_and_come_back_as_they_were(text: str) -> None:
    assert ADAPTER.recognises(text)
    network = read(text)
    assert network == read(STRING)
    assert ADAPTER.write(network) == text
    moved = network.with_ops([OPS["none"], *network.ops[1:]])
    written = ADAPTER.write(moved)
    assert read(written) == moved
    if "avg_pool_3x3" in text:
        assert written == text.replace("avg_pool_3x3", "none", 1)
    else:
        assert written == re.sub(r"\b4\b", "1", text, count=1)


def test_the_numbers_of_naslib_are_in_its_own_order() -> None:
    assert digits_of(read("(4, 0, 3, 1, 4, 3)")) == "410242"
    assert len(NASLIB_ENDS) == len(set(NASLIB_ENDS)) == len(ENDS)
    assert set(NASLIB_NAMES) == set(NAMES)


def test_cells_of_nas_bench_suite_zero(shared_data: Path) -> None:
    with gzip.open(shared_data / "suite_zero_svhn.csv.gz", "rt") as file:
        texts = [row["arch"] for row in csv.DictReader(file) if "201" in row["space"]]
    assert len(texts) > 50
    for text in texts:
        assert ADAPTER.recognises(text)
        assert ADAPTER.write(read(text)) == text


@given(
    st.lists(st.integers(0, 4), min_size=6, max_size=6).map(lambda digits: "".join(map(str, digits))),
    st.sampled_from([NUMBERS, TUPLES, *FORMS[-3:]]),
    st.sampled_from(["nat", "nat++"]),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=60)
def test_any_cell_in_any_form_and_moved(digits: str, form: str, rule: str, seed: int) -> None:
    cell = read(from_digits(digits))
    text = ADAPTER.write(read(form).with_ops(cell.ops))
    network = read(text)
    assert digits_of(network) == digits
    assert ADAPTER.write(network) == text
    moves = Moves(network, find_rule(rule))
    moved = moves.apply(moves.sample(np.random.default_rng(seed)))
    written = write_back(ADAPTER, moves, moved, NetworkSize())
    assert cost(read(written)) == cost(moved)
    assert digits_of(canonical(read(written))) == digits_of(canonical(moved))  # unmoved, it comes back as it was


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(4, 0, 3, 1, 4)", "has 6 numbers, one for each edge, not 5"),
        ("(4, 0, 3, 1, 4, 5)", "edge 2->3: there is no op of this number; allowed: 0 skip_connect, 1 none"),
        ("(4, 0, 3, 1, 4, 99999999999999999999)", "edge 2->3: there is no op of this number"),
        ("((('avg_pool_3x3', 0),),)", "3 nodes"),
        (TUPLES.replace(", ('nor_conv_1x1', 1)", ","), "node 2: 2 pairs such as"),
        (TUPLES.replace("'skip_connect'", "'skip'"), "node 2: 'skip' is not known; allowed: none, skip_connect"),
        (TUPLES.replace("1))", "2))", 1), "node 2: it cannot read node 2; it has 0 to 1 before it"),
        (TUPLES.replace("('nor_conv_1x1', 1)", "('nor_conv_1x1', 0)"), "node 2: it reads node 0 twice"),
        (TUPLES.replace("('nor_conv_1x1', 1)", "'nor_conv_1x1'"), "node 2: expected a pair such as"),
        (TUPLES[:-3], "not valid Python"),
        (f"{STRING} {STRING}", "the text has 2 NAS-Bench-201 strings; give one of them"),
        (f"best: {STRING.replace('~2', '~3')}", "node 3: it cannot read node '3'"),
        ("x" * 200_000, "this text has 200,000 characters"),
    ],
)
def test_mistakes_are_one_line_that_says_where(text: str, message: str) -> None:
    check_refused(ADAPTER, text, message)


@given(damaged(st.sampled_from(FORMS)))
@settings(max_examples=150)
def test_damaged_text_raises_nothing_but_one_line(text: str) -> None:
    check_one_line_or_the_same_text(ADAPTER, text)
