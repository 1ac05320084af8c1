"""What is written back is what was promised: same computation, legal moves, within the budget, in the format."""

from __future__ import annotations

import numpy as np
import pytest

from nat_plugin.adapter import Adapter
from nat_plugin.errors import NATError
from nat_plugin.ir import NULL, Budget, Moves, Network, NetworkSize, canonical, cost, find_rule, key
from nat_plugin.network_json import NetworkJSON
from nat_plugin.plugins import plugins
from nat_plugin.writing import extended, result_adapter, translate, write_back

SIZE = NetworkSize(8, 5)
PUBLISHED = [(adapter.name, name) for adapter in plugins().adapters.values() for name in adapter.published()]


def network_of(adapter: str, name: str, size: NetworkSize | None = None) -> Network:
    found = plugins().adapters[adapter]
    return found.read(found.published()[name].text, size or NetworkSize())


@pytest.mark.parametrize(("adapter", "name"), PUBLISHED)
def test_random_moves_of_every_published_architecture_are_written_back(adapter: str, name: str) -> None:
    network, rng = network_of(adapter, name), np.random.default_rng(0)
    for rules, budget in (("nat", {"macs": "1.0x"}), ("nat++", {"params": "0.95x", "macs": "0.95x"})):
        try:
            moves = Moves(network, find_rule(rules), Budget.parse(budget).resolve(network))
        except NATError as error:  # a stock ENAS string has few cheaper forms, and a cell of skips none
            assert adapter.startswith("enas") or name == "NB201_AllIdentity"
            assert "the cheapest has" in str(error)
            continue
        # Reading a sample of NNI's block spaces takes seconds; tests/adapters/nni/test_nni_mapping.py moves those too.
        for _ in range(1 if adapter == "nni" else 3):
            moved = moves.apply(moves.sample(rng))
            written = (
                plugins()
                .adapters[adapter]
                .read(write_back(plugins().adapters[adapter], moves, moved, NetworkSize()), NetworkSize())
            )
            assert key(written) == key(moved)
            assert cost(written) == cost(moved)
            assert moves.limits.fit(written)


def test_an_unmoved_architecture_is_written_as_it_came() -> None:
    network = network_of("darts", "NAT_R3")  # with dead operations
    text = plugins().adapters["darts"].published()["NAT_R3"].text
    assert canonical(network) != network
    assert write_back(plugins().adapters["darts"], Moves(network, find_rule("nat")), network, NetworkSize()) == text


def test_within_a_budget_it_is_written_without_what_a_framework_would_build_in_vain() -> None:
    adapter = plugins().adapters["darts"]
    for name in ("NAT_R3", "DARTS_V2"):  # with dead operations, and without
        network, text = network_of("darts", name), adapter.published()[name].text
        moves = Moves(network, find_rule("nat"), Budget.parse({"macs": "1.0x"}).resolve(network))
        written = write_back(adapter, moves, network, NetworkSize())
        read = adapter.read(written, NetworkSize())
        assert read == canonical(read)
        assert key(read) == key(network)
        assert (written == text) == (network == canonical(network))


def test_a_network_over_budget_is_never_written() -> None:
    network = network_of("darts", "DARTS_V2")
    moves = Moves(network, find_rule("nat"), Budget.parse({"macs": "0.9x"}).resolve(network))
    with pytest.raises(NATError, match=r"macs .* exceeds the limit"):
        write_back(plugins().adapters["darts"], moves, network, NetworkSize())


def test_an_adapter_that_writes_something_else_is_caught() -> None:
    class Careless(NetworkJSON):
        def write(self, network: Network) -> str:
            del network
            return super().write(network_of("darts", "DARTS_V1"))

    network = network_of("darts", "DARTS_V2")
    with pytest.raises(NATError, match="computes something else"):
        write_back(Careless(), Moves(network, find_rule("nat")), network, NetworkSize())
    with pytest.raises(NATError, match="computes something else"):
        translate(network, Careless(), NetworkSize())


@pytest.mark.parametrize("name", ["enas-micro", "enas-macro"])
def test_the_extended_form_allows_null_and_goes_into_json(name: str) -> None:
    adapter: Adapter = plugins().adapters[name]
    stock = network_of(name, next(iter(adapter.published())))
    wide = extended(stock)
    assert all(NULL in wide.edge(slot).choices for slot in wide.slots)
    moves = Moves(wide, find_rule("nat"))
    place = next(i for i, slot in enumerate(stock.slots) if NULL not in stock.edge(slot).choices)
    moved = wide.with_ops([NULL if i == place else op for i, op in enumerate(wide.ops)])
    with pytest.raises(NATError, match="--extended"):
        write_back(adapter, moves, moved, NetworkSize())
    writer = result_adapter(adapter, True)
    assert key(writer.read(write_back(writer, moves, moved, NetworkSize()), NetworkSize())) == key(moved)
