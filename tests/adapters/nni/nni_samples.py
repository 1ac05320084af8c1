"""Random samples, and the checks that every space has to pass."""

from __future__ import annotations

from typing import Any

import numpy as np
from nat_nni.export.counting import count_frozen
from nat_nni.mapping import to_network, to_sample

from nat_plugin.ir import Moves, Network, canonical, cost, find_rule, is_connected, same
from nat_plugin.ir.costs import costs_as_built
from nat_plugin.ir.layers import Shape


def drawn(space: Any, seed: int) -> dict[str, Any]:
    """A random sample that the space accepts, as plain JSON values."""
    from nni.mutable import SampleValidationError

    random = np.random.RandomState(seed)
    while True:
        sample: dict[str, Any] = {}
        try:
            space.random(sample, random)
        except SampleValidationError:
            continue
        return {label: list(value) if isinstance(value, tuple) else value for label, value in sample.items()}


def check_sample(space: Any, sample: dict[str, Any], shape: Shape | None = None) -> Network:
    """A sample goes to a network and back unchanged, and costs what the frozen model costs, counted by torch; written
    without its dead operations, what NNI then builds costs what the budget counts."""
    network = to_network(space, sample, shape)
    assert to_sample(space, network) == sample
    built = count_frozen(space, sample, network.input)
    assert costs_as_built(network).total == built
    if is_connected(network):
        lean = to_sample(space, canonical(network))
        assert cost(network) == (built if lean == sample else count_frozen(space, lean, network.input))
    return network


def check_moved(space: Any, network: Network, rules: str, seed: int) -> dict[str, Any] | None:
    """A random move goes to a sample, which freezes to what the network says that it costs; that sample."""
    if not is_connected(network):
        return None
    moves = Moves(network, find_rule(rules))
    moved = canonical(moves.apply(moves.sample(np.random.default_rng(seed))))
    sample = to_sample(space, moved)
    assert count_frozen(space, sample, network.input) == cost(moved)
    again = to_network(space, sample, network.input)
    assert same(again, moved)
    assert cost(again) == cost(moved)
    return sample
