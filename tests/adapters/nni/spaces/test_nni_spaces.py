"""The hub's cell spaces with ``none``: frozen models have only what is alive, and cost that."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import nni
import pytest
import torch
from adapters.nni.nni_samples import check_moved, check_sample, drawn
from nat_nni.export.counting import count_frozen
from nat_nni.mapping import to_network, to_sample
from nat_nni.spaces import DARTSWithNone, ENASWithNone
from nat_nni.spaces.hub import CELL_SPACES
from nat_nni.spaces.nds import NDSSpace
from nat_nni.spaces.with_none import SPACES
from nni.mutable import SampleValidationError

from nat_plugin.errors import NATError
from nat_plugin.ir import canonical, cost, is_connected

SIZE: dict[str, Any] = {"width": 8, "num_cells": 3}


def with_nulls(space: Any, seed: int) -> dict[str, Any]:
    """A sample with null on about every third edge."""
    sample = drawn(space, seed)
    chance = torch.Generator().manual_seed(seed)
    return {
        label: "none" if "/op_" in label and torch.rand((), generator=chance) < 0.35 else value
        for label, value in sample.items()
    }


@pytest.mark.parametrize("name", SPACES)
def test_frozen_models_cost_what_is_alive(name: str) -> None:
    with torch.device("meta"):
        space = SPACES[name](**SIZE)
    counted = 0
    for seed in range(2):
        sample = with_nulls(space, seed)
        network = to_network(space, sample)
        assert to_sample(space, network) == sample
        if is_connected(network):
            assert count_frozen(space, sample, network.input) == cost(network)
            check_moved(space, network, "nat", seed)
            counted += 1
    assert counted


def test_they_are_known_without_nni() -> None:
    with torch.device("meta"):
        for name, kind in SPACES.items():
            assert NDSSpace.of(kind(**SIZE)) == replace(CELL_SPACES[name], width=8, cells=3)


def test_a_sample_freezes_trains_and_goes_through_a_file() -> None:
    space = DARTSWithNone(**SIZE, auxiliary_loss=False, drop_path_prob=0.1)
    sample = {**drawn(space, 1), "normal/op_5_0": "none", "normal/op_5_1": "none", "reduce/op_2_0": "none"}
    model = space.freeze(sample)
    images = torch.rand(2, 3, 32, 32)
    model.train()(images).sum().backward()
    assert all(each.grad is not None for each in model.parameters())
    again = nni.load(nni.dump(space)).freeze(sample)
    again.load_state_dict(model.state_dict())
    assert torch.equal(again.eval()(images), model.eval()(images))
    assert sum(each.numel() for each in model.parameters()) == cost(to_network(space, sample)).params


def test_the_auxiliary_head_reads_what_is_left_of_its_cell() -> None:
    space = DARTSWithNone(**SIZE)
    sample = {**drawn(space, 1), "reduce/op_5_0": "none", "reduce/op_5_1": "none"}
    model = DARTSWithNone.frozen_factory(sample)(**SIZE, auxiliary_loss=True)
    assert [tuple(each.shape) for each in model.train()(torch.rand(2, 3, 32, 32))] == [(2, 10), (2, 10)]


def test_a_cell_without_any_operation_is_refused() -> None:
    space = ENASWithNone(**SIZE)
    sample = {label: "none" if "normal/op_" in label else value for label, value in drawn(space, 0).items()}
    assert not space.contains(sample)
    with pytest.raises(SampleValidationError, match="no operation leads from an input of the cell to its output"):
        space.freeze(sample)


def test_a_space_of_the_users_that_keeps_zeros_may_lose_one_input_of_a_node_only() -> None:
    from nni.nas.hub.pytorch import DARTS
    from nni.nas.hub.pytorch.nasnet import NDS

    class Nulls(NDS):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(["none", *DARTS.DARTS_OPS], "all", 4, 8, 3, "cifar")

    with torch.device("meta"):
        space = Nulls()
    sample = {label: "skip_connect" if value == "none" else value for label, value in drawn(space, 0).items()}
    network = to_network(space, sample)
    nullable = {edge.key for _, cell in network.cells for edge in cell.edges if any(op.is_null for op in edge.choices)}
    assert nullable == {label for label in sample if "/op_" in label and label.endswith("_1")}
    moved = check_moved(space, network, "nat", 0)
    assert moved is not None
    with pytest.raises(NATError, match="normal: a node whose inputs are all 'none' stays in the output of Nulls"):
        to_network(space, {**sample, "normal/op_3_0": "none", "normal/op_3_1": "none"})


def test_dead_operations_of_a_space_of_the_users_with_loose_ends_are_written_as_none() -> None:
    """A node that only an edge with ``none`` reads is no loose end, and leads nowhere; NNI builds what is in it."""
    from nni.nas.hub.pytorch import ENAS
    from nni.nas.hub.pytorch.nasnet import NDS

    class Loose(NDS):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(["none", *ENAS.ENAS_OPS], "loose_end", 5, 8, 3, "cifar")

    with torch.device("meta"):
        space = Loose()
    sample = {label: "sep_conv_3x3" if "/op_" in label else [0] for label in drawn(space, 0)}
    sample |= {"normal/input_3_1": [2], "normal/op_3_1": "none"}
    network = check_sample(space, sample)
    lean = to_sample(space, canonical(network))
    assert [lean[f"normal/op_2_{number}"] for number in (0, 1)] == ["none", "none"]
    assert cost(network).params < count_frozen(space, sample, network.input).params
    check_moved(space, network, "nat", 0)
