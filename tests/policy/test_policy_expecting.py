"""What is written the same is described once, and what has no output not at all."""

from __future__ import annotations

import numpy as np
import pytest
from policy.samples import random_darts, random_ladder

from nat_plugin.ir import Moves, canonical, find_rule, is_connected
from nat_plugin.policy.expecting import _bare


@pytest.mark.parametrize("draw", [random_ladder, random_darts])
def test_ops_without_the_dead_ones_are_those_of_the_canonical_network(draw: type) -> None:
    rng, dead = np.random.default_rng(0), 0
    for _ in range(20):
        moves = Moves(draw(rng), find_rule("nat++"))
        for choice in [rng.integers([len(options) for options in moves.candidates]) for _ in range(10)]:
            ops = moves.ops(choice.tolist())
            network, found = moves.network.with_ops(ops), _bare(moves, ops)
            if found is None:
                dead += 1
                assert not is_connected(network)
            else:
                assert canonical(network).ops == found
                assert canonical(moves.network.with_ops(found)) == canonical(network)
    assert draw is random_darts or dead > 0
