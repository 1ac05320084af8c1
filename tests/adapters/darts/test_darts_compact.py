"""DARTS cells in the numbers of NASLib and NAS-Bench-301."""

from __future__ import annotations

import csv
import gzip
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nat_darts import CompactAdapter, DartsAdapter

from nat_plugin.errors import NATError
from nat_plugin.ir import NULL, Moves, Network, NetworkSize, canonical, cost, find_rule, key, same
from tests.adapters.damage import check_one_line_or_the_same_text, damaged

ADAPTER, GENOTYPES = CompactAdapter(), DartsAdapter()
V2 = (
    "(((0, 3), (1, 3), (0, 3), (1, 3), (1, 3), (0, 2), (0, 2), (2, 5)), "
    "((0, 0), (1, 0), (2, 2), (1, 0), (0, 0), (2, 2), (2, 2), (1, 0)))"
)
SMALL = NetworkSize(channels=4, cells=3)


def read(text: str, size: NetworkSize = SMALL) -> Network:
    return ADAPTER.read(text, size)


def test_it_is_the_genotype_in_numbers() -> None:
    genotype = GENOTYPES.published()["DARTS_V2"].text
    assert key(read(V2, NetworkSize())) == key(GENOTYPES.read(genotype, NetworkSize()))
    assert ADAPTER.write(GENOTYPES.read(genotype, NetworkSize())) == V2
    assert GENOTYPES.write(read(V2)) == genotype


@pytest.mark.parametrize(
    "text",
    [
        V2,
        f"  '{V2}'\n",
        V2.replace("(", "[").replace(")", "]"),
        "[" + V2[1:-1].replace("((", "[(").replace("))", ")]") + "]",
        V2.replace(", ((", ",\n ((") + "\n",
        V2.replace("(", "( ").replace("3)", "np.int64(3))"),
    ],
)
def test_the_layout_is_kept(text: str) -> None:
    assert ADAPTER.recognises(text)
    assert ADAPTER.write(read(text)) == text
    moved = read(text).with_ops([read(V2).ops[5], *read(text).ops[1:]])
    written = ADAPTER.write(moved)
    assert same(read(written), moved)
    assert re.sub(r"\d", "", written) == re.sub(r"\d", "", text)


def test_numbers_that_did_not_move_stay_as_they_are_spelled() -> None:
    text = V2.replace("(2, 5)", "(+2, +5)")
    network = read(text)
    assert ADAPTER.write(network) == text
    assert ADAPTER.write(network.with_ops([network.ops[-1], *network.ops[1:]])) == text.replace("(0, 3)", "(0, 0)", 1)


def test_cells_of_nas_bench_301(shared_data: Path) -> None:
    with gzip.open(shared_data / "nasbench301_surrogate_725.csv.gz", "rt") as file:
        texts = [row["arch"] for row in csv.DictReader(file)]
    assert len(texts) == 725
    for text in texts[::10]:
        assert ADAPTER.recognises(text)
        assert ADAPTER.write(read(text)) == text


@st.composite
def texts(draw: st.DrawFn) -> str:
    cells = []
    for _ in range(2):
        nodes = draw(st.integers(1, 5))
        pairs = [(draw(st.integers(0, at // 2 + 1)), draw(st.integers(0, 6))) for at in range(2 * nodes)]
        cells.append(draw(st.sampled_from([tuple, list]))(pairs))
    return draw(st.sampled_from(["{}", " {}\n", "'{}'"])).format(draw(st.sampled_from([tuple, list]))(cells))


@given(texts(), st.sampled_from(["nat", "nat++"]), st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_random_cells_and_their_transformations_round_trip(text: str, rule: str, seed: int) -> None:
    network = read(text)
    assert ADAPTER.recognises(text)
    assert ADAPTER.write(network) == text
    moves = Moves(network, find_rule(rule))
    moved = moves.apply(moves.sample(np.random.default_rng(seed)))
    written = read(ADAPTER.write(canonical(moved)))
    assert (key(written), cost(written)) == (key(moved), cost(moved))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("((1, 2), (3, 4), (5, 6))", "the compact form of DARTS cells is (((source, op)"),
        ("((), ())", "normal cell: expected 2 pairs (source, op) for each node"),
        ("(((0, 1),), ((0, 1),))", "normal cell: expected 2 pairs (source, op) for each node"),
        ("(((0, 1), (2, 1)), ((0, 1), (0, 1)))", "normal cell, pair 1: node 2 cannot read node 2; it has 0 to 1"),
        ("(((0, 1), (1, 7)), ((0, 1), (0, 1)))", "normal cell, pair 1: there is no op 7; allowed: 0 max_pool_3x3"),
        ("(((0, 1), (1, 1)), ((0, 1), (0, True)))", "reduce cell, pair 1: expected (source, op), two numbers"),
        ("(((0, 1), (1, 1)), ((0, 1), (-1, 1)))", "reduce cell, pair 1: node 2 cannot read node -1"),
        (f"({', '.join(['((0, 1),) * 2'] * 2)})", "an expression is not allowed"),
        (repr((((0, 1),) * 200,) * 2), "normal cell: 200 pairs are too many"),
        ("((" + "(0, 1), " * 9000, "has 72,002 characters"),
    ],
)
def test_mistakes_are_one_line_that_says_where(text: str, message: str) -> None:
    with pytest.raises(NATError) as caught:
        read(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@given(damaged(texts()) | st.text("()[],0123 ", max_size=60))
@settings(max_examples=150)
def test_damaged_text_raises_nothing_but_one_line(text: str) -> None:
    check_one_line_or_the_same_text(ADAPTER, text, SMALL)


def test_what_it_cannot_say_is_refused() -> None:
    with pytest.raises(NATError, match=r"cannot represent 'null' \(normal/0\).*--extended"):
        ADAPTER.write(read(V2).with_ops([NULL, *read(V2).ops[1:]]))
    with pytest.raises(NATError, match="cannot represent cell 'normal': it has two edges for each node"):
        ADAPTER.write(GENOTYPES.read(GENOTYPES.published()["FairDARTS_a"].text, SMALL))
    assert NULL not in read(V2).edge(read(V2).slots[0]).choices


@pytest.mark.parametrize("text", ["arch = {}", "2022-01-01 best: {} 94.2", '{{"arch": "{}"}}'])
def test_around_cells_in_numbers_nothing_may_stand_and_it_says_so(text: str) -> None:
    full = text.format("(((0, 3), (1, 5)), ((0, 3), (1, 5)))")
    assert not ADAPTER.recognises(full)
    assert ADAPTER.near(full) == "cells in numbers are read alone; leave out what is around them"
