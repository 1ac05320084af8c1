"""What is scored of a network is the same network at another size, whatever its ops are."""

from __future__ import annotations

import numpy as np
import pytest

from nat_plugin.evaluators.proxies.cache import KeptProxies, ScoredLike
from nat_plugin.ir import Moves, NetworkSize, find_rule, key
from nat_plugin.plugins import plugins

RULE = find_rule("nat++")


@pytest.mark.parametrize("name", ["nasbench101", "nasbench201"])
def test_a_network_and_what_it_becomes_can_be_scored_at_another_size(name: str) -> None:
    adapter = plugins().adapters[name]
    texts = [each.text for each in adapter.published().values()]
    text = max(texts, key=lambda each: Moves(adapter.read(each, NetworkSize()), RULE).count)
    network = adapter.read(text, NetworkSize())
    moves, rng = Moves(network, RULE), np.random.default_rng(1)
    moved = next(each for _ in range(100) if key(each := moves.apply(moves.sample(rng))) != key(network))
    like, kept = ScoredLike(text, adapter), KeptProxies(["macs", "synflow"])
    found = kept.of([like(network), like(moved)])
    assert not kept.failed
    assert np.isfinite(found).all()
    assert (found[0] != found[1]).all()
    assert adapter.write(like(moved).network) == adapter.write(moved)


def test_a_cell_that_stands_nowhere_at_its_own_size_is_scored_as_it_is() -> None:
    """With two cells both of DARTS are reductions."""
    adapter = plugins().adapters["darts"]
    text = adapter.published()["DARTS_V1"].text
    network = adapter.read(text, NetworkSize(4, 2))
    small = ScoredLike(text, adapter)(network).network
    assert {slot.cell for slot in network.slots} == {"reduce"} < {slot.cell for slot in small.slots}
    assert adapter.write(small) == adapter.write(network)
