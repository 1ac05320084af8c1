"""Models that were moved before, read with operations that may be fitted in the place of their blocks."""

from __future__ import annotations

import nat_timm
import numpy as np
import pytest
from nat_timm.models import make_moves, shell
from nat_timm.networks import check_costs, moved_document
from nat_timm.surgery.apply import apply_edits
from torch import nn

from nat_plugin.ir import Moves, Network, find_rule
from nat_plugin.measuring.settings import LatencySettings
from tests.adapters.timm.samples import images, lively, moved

SHAPE = (3, 32, 32)


def lean(name: str, fits: bool, seed: int) -> tuple[nn.Module, Network]:
    """A model moved at random, and what it is once it is read with fits."""
    model = lively(name)
    made = nat_timm.inherit(model, moved(nat_timm.to_network(model, SHAPE, fits=fits), "nat++", seed, 0.85))
    return made, nat_timm.to_network(made, SHAPE, fits=True)


def test_what_a_block_has_become_is_among_its_choices() -> None:
    """A block of Ghost layers has thousands of settings, of which a few are offered."""
    made, network = lean("ghostnet_050", False, 0)
    assert set(moved_document(network).edits) == set(made.nat_document.edits)
    check_costs(network)
    again = nat_timm.inherit(made, moved(network, "nat++", 0, 0.9))
    assert again(images(32)).isfinite().all()


def test_the_latency_of_such_a_model_is_known() -> None:
    _, network = lean("ghostnet_050", False, 0)
    found = nat_timm.TimmAdapter().latency(network, LatencySettings(device="cpu"))
    assert found.network.ops != network.ops
    slot = next(each for each in network.slots if network.edge(each).op != found.network.edge(each).op)
    assert found.change(slot, network.edge(slot).op).value < 1


@pytest.mark.parametrize(
    ("name", "fits", "seed"), [("mobilenetv4_conv_small_050", True, 2), ("ghostnet_050", False, 3)]
)
def test_a_moved_model_can_become_whatever_it_is_offered(name: str, fits: bool, seed: int) -> None:
    made, network = lean(name, fits, seed)
    moves = Moves(network, find_rule("nat++"))
    rng = np.random.default_rng(0)
    for _ in range(8):
        after = moved_document(moves.apply(moves.sample(rng)))
        make_moves(shell(made), after, apply_edits)
