"""NAS-Bench-Macro strings: all 6,561 of them, to the letter, the parameter and the FLOP."""

from __future__ import annotations

import csv
import gzip
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nat_nasbench import NASBenchMacroAdapter, NB201Adapter, register_ops
from nat_nasbench.macro import STAGES, digits_of
from nat_nasbench.nb201 import from_digits

from nat_plugin.errors import NATError
from nat_plugin.ir import Cost, Moves, Network, NetworkSize, Op, cost, find_rule, key
from nat_plugin.ir.ops import register_op
from nat_plugin.plugins import plugins
from nat_plugin.writing import extended, write_back
from tests.adapters.damage import check_any, check_refused

register_ops(register_op)
ADAPTER = NASBenchMacroAdapter()
ALL = ["".join(digits) for digits in product("012", repeat=8)]


def read(text: str, size: NetworkSize | None = None) -> Network:
    return ADAPTER.read(text, size or NetworkSize())


@pytest.fixture(scope="module")
def every() -> dict[str, Network]:
    return {digits: read(digits) for digits in ALL}


def test_reading_then_writing_changes_nothing_in_any_network(every: dict[str, Network]) -> None:
    assert len(every) == 6_561
    assert all(ADAPTER.write(network) == digits == digits_of(network) for digits, network in every.items())


def test_costs_are_those_of_the_benchmark(every: dict[str, Network], shared_data: Path) -> None:
    with gzip.open(shared_data / "nasbench_macro.csv.gz", "rt") as file:
        table = {row["arch"]: Cost(int(row["params"]), int(row["flops"])) for row in csv.DictReader(file)}
    assert {digits: cost(network) for digits, network in every.items()} == table


def test_costs_are_those_of_the_built_network() -> None:
    torch = pytest.importorskip("torch")
    from nat_plugin.nets import build, count

    for text in ("22212202", "00000000", "12012012"):
        network = read(text, NetworkSize(channels=8, input=(3, 16, 16), classes=7))
        with torch.device("meta"):
            module = build(network)
        assert count(module, network.input) == cost(network)


def test_networks_that_differ_in_where_identities_stand_are_the_same(every: dict[str, Network]) -> None:
    """As the benchmark itself has it, which trained them once: after the first layer of a stage identities may move."""

    def plain(digits: str) -> str:
        found, at = "", 0
        for layers in STAGES:
            first, rest = digits[at], digits[at + 1 : at + layers].replace("0", "")
            found += first + rest.ljust(layers - 1, "0")
            at += layers
        return found

    kinds: dict[str, set[str]] = {}
    for digits, network in every.items():
        kinds.setdefault(key(network), set()).add(plain(digits))
    assert all(len(spellings) == 1 for spellings in kinds.values())
    assert len(kinds) == len(set(map(plain, ALL))) == 3_969


def reachable(text: str, rule: str) -> set[str]:
    moves = Moves(read(text), find_rule(rule))
    return {digits_of(moves.apply(choice)) for choice in moves.all()}


def test_moves_make_networks_leaner_at_every_layer_strided_ones_too() -> None:
    assert reachable("21000000", "nat") == {"21000000", "01000000", "20000000", "00000000"}
    assert reachable("20100000", "nat++") == {
        *("20100000", "10100000", "00100000"),
        *("20000000", "10000000", "00000000"),
    }
    assert len(reachable("22222222", "nat")) == 2**8
    assert len(reachable("22222222", "nat++")) == 3**8
    assert reachable("00000000", "nat++") == {"00000000"}


@given(st.sampled_from(ALL), st.sampled_from(["nat", "nat++"]), st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_moved_networks_are_leaner_written_and_read_back(digits: str, rule: str, seed: int) -> None:
    network = read(digits)
    moves = Moves(network, find_rule(rule))
    moved = moves.apply(moves.sample(np.random.default_rng(seed)))
    text = write_back(ADAPTER, moves, moved, NetworkSize())
    assert (key(read(text)), cost(read(text))) == (key(moved), cost(moved))
    assert cost(moved).params <= cost(network).params
    assert cost(moved).macs <= cost(network).macs
    assert all(new <= old for new, old in zip(text, digits, strict=True))


def test_null_never_disconnects_a_chain() -> None:
    moves = Moves(extended(read("21000000")), find_rule("nat"))
    assert {digits_of(moves.apply(choice)) for choice in moves.all()} == reachable("21000000", "nat")


@pytest.mark.parametrize("layout", ["{}", " {}\n", "'{}'"])
def test_what_stands_around_the_digits_is_kept(layout: str) -> None:
    text = layout.format("21012012")
    assert ADAPTER.recognises(text)
    network = read(text)
    assert ADAPTER.write(network) == text
    assert ADAPTER.write(network.with_ops(read("01012012").ops)) == layout.format("01012012")


def test_sizes() -> None:
    assert cost(read("11111111", NetworkSize(channels=16))).params < cost(read("11111111")).params
    assert read("11111111", NetworkSize(cells=8)) == read("11111111")
    with pytest.raises(NATError, match="cells: a NAS-Bench-Macro network has 8 layers; leave 'cells' out"):
        read("11111111", NetworkSize(cells=5))


def test_networks_of_other_formats_are_refused() -> None:
    with pytest.raises(NATError, match="cannot represent this network: it is not a chain of 8 layers"):
        ADAPTER.write(NB201Adapter().read(from_digits("123412"), NetworkSize()))
    network = read("11111111")
    strange = network.with_ops([Op.parse("conv_3x3"), *network.ops[1:]])
    with pytest.raises(
        NATError, match="cannot represent 'conv_3x3' at layer 0; it has nbmacro_identity, nbmacro_mb_k3_e3"
    ):
        ADAPTER.write(strange)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has 8 digits, as in 11111111, not 0 characters"),
        ("1111111", "has 8 digits, as in 11111111, not 7 characters"),
        ("1" * 5000, "not 5,000 characters"),
        ("11131111", "layer 3: there is no block '3'; allowed: 0, 1, 2"),
        ("1111 111", "layer 4: there is no block ' '"),
        ("١١١١١١١١", "layer 0: there is no block '١'"),
    ],
)
def test_mistakes_are_one_line_that_says_where(text: str, message: str) -> None:
    check_refused(ADAPTER, text, message)


@given(st.text(max_size=12) | st.text("0123 ", max_size=12))
def test_random_text_raises_nothing_but_one_line(text: str) -> None:
    check_any(ADAPTER, text)


def test_no_other_adapter_takes_a_string_for_its_own() -> None:
    for text in ("00000000", "22222222", "21012012"):
        assert [name for name, each in plugins().adapters.items() if each.recognises(text)] == ["nasbench-macro"]
