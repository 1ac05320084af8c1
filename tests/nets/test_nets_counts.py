"""Built networks cost what the IR says, to the unit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from nets.samples import DARTS_V2, WITH_NONES, bench201, darts, mobile, networks

from nat_plugin.ir import Moves, Network, NetworkSize, cost, find_rule, layout
from nat_plugin.nets import build, count
from tests.networks import published


def check(network: Network) -> None:
    with torch.device("meta"):
        module = build(network, auxiliary=False)
    assert count(module, network.input) == cost(network)


def test_every_published_genotype_counts_the_same() -> None:
    for number, genotype in enumerate(published().values()):
        check(darts(genotype, (8, 16, 36)[number % 3], (3, 5, 8)[number // 3 % 3]))


@pytest.mark.parametrize(("name", "params", "macs"), [("DARTS_V2", 3.349, 528), ("NAT_DARTS", 2.682, 424)])
def test_recount_of_published_cells(name: str, params: float, macs: float) -> None:
    """36 channels, 20 cells, CIFAR head: 3,349,342 parameters for DARTS_V2 in NNI's zoo too."""
    network = darts(published()[name], 36, 20)
    check(network)
    assert (round(cost(network).params / 1e6, 3), round(cost(network).macs / 1e6)) == (params, macs)


@pytest.mark.parametrize("genotype", [DARTS_V2, WITH_NONES], ids=["darts_v2", "nones"])
@pytest.mark.parametrize("size", [(8, 8), (28, 28), (33, 33), (31, 17), (1, 1), (224, 224), (225, 200)])
def test_any_resolution(genotype: dict[str, Any], size: tuple[int, int]) -> None:
    check(darts(genotype, 8, 5, NetworkSize(input=(3, *size), classes=11)))


@pytest.mark.parametrize("network", [mobile(), mobile(32), bench201("conv_3x3 skip null avg_pool_3x3 skip conv_1x1")])
def test_other_families(network: Network) -> None:
    check(network)


def test_transformed_networks() -> None:
    moves = Moves(darts(DARTS_V2), find_rule("nat++"))
    rng = np.random.default_rng(0)
    for _ in range(10):
        check(moves.apply(moves.sample(rng)))


@settings(max_examples=40, deadline=None)
@given(networks())
def test_random_networks(network: Network) -> None:
    check(network)


@settings(max_examples=30, deadline=None)
@given(networks())
def test_shapes_are_those_of_the_layout(network: Network) -> None:
    torch.manual_seed(0)
    module = build(network).eval()
    shapes = layout(module.network)
    seen: list[tuple[int, ...]] = []
    for part in (*module.stem, *module.cells):
        part.register_forward_hook(lambda _m, _i, out: seen.append(tuple(out.shape[1:])))
    logits = module(torch.randn(2, *network.input))
    assert seen == list(shapes.tensors)
    assert logits.shape == (2, network.head.classes)
    assert torch.isfinite(logits).all()


def test_count_leaves_the_mode_alone() -> None:
    network = darts(DARTS_V2)
    for training in (True, False):
        module = build(network).train(training)
        before = {name: value.clone() for name, value in module.state_dict().items()}
        count(module, network.input)
        assert module.training is training
        assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
