"""Spaces of which nearly everything is a choice, or that end in no classifier, as those of NNI's own unit tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nni
import pytest
import torch
from nat_nni import NAT, HillClimb, to_network
from nni.nas.execution import SequentialExecutionEngine
from nni.nas.nn.pytorch import Cell, InputChoice, LayerChoice, MutableConv2d, MutableDropout, Repeat
from nni.nas.space import SimplifiedModelSpace
from torch import nn

from nat_plugin.ir import Moves, Network, cost, find_rule
from nat_plugin.ir.serial import from_json, to_json
from tests.adapters.nni.nni_experiments import Scored
from tests.adapters.nni.nni_samples import check_moved, check_sample, drawn
from tests.adapters.nni.nni_spaces import Bare

SHAPE = (3, 8, 8)


def same(kernel: int) -> nn.Module:
    return nn.Conv2d(3, 3, kernel, padding=kernel // 2)


def pair() -> dict[str, nn.Module]:
    return {"wide": same(3), "slim": same(1)}


SPACES: dict[str, Callable[[], nn.Module]] = {
    "layer choice": lambda: LayerChoice(pair(), label="layer"),
    "nested": lambda: LayerChoice([LayerChoice(pair(), label="inner"), same(5)], label="outer"),
    "activation": lambda: LayerChoice([nn.ReLU(), nn.GELU(), nn.Identity()], label="act"),
    "dropout": lambda: MutableDropout(nni.choice("rate", [0.0, 0.5])),
    "kernel": lambda: MutableConv2d(3, nni.choice("width", [6, 8]), nni.choice("kernel", [3, 5])),
    "depth": lambda: Repeat(lambda index: same(3), (1, 4), label="depth"),
    "repeated choices": lambda: Repeat(lambda index: LayerChoice(pair(), label=f"l{index}"), (1, 3), label="depth"),
    "cell": lambda: Cell([same(1), same(3)], 2, 2, 2, label="cell"),
    "loose ends": lambda: Cell(
        {"a": same(1), "b": same(3)}, 3, 2, num_predecessors=2, merge_op="loose_end", label="cell"
    ),
    "input": lambda: InputChoice(2, label="input"),
}


@pytest.mark.parametrize("name", SPACES)
def test_costs_are_those_of_the_frozen_model(name: str) -> None:
    space = Bare(SPACES[name])
    network = check_sample(space, drawn(space, 1), SHAPE)
    for rules in ("nat", "nat++", "nat++equal"):
        check_moved(space, network, rules, 1)
    read: Network = from_json(to_json(network))
    assert read == network
    assert cost(read) == cost(network)


@pytest.mark.parametrize("strategy", [NAT, HillClimb])
@pytest.mark.parametrize("name", sorted(SPACES.keys() - {"kernel", "input"}))  # which nothing may change
def test_they_are_searched(name: str, strategy: Any) -> None:
    space = Bare(SPACES[name])
    rule = find_rule("nat++equal")
    drawings = (drawn(space, seed) for seed in range(8))
    start = next(each for each in drawings if Moves(to_network(space, each, SHAPE), rule).count > 1)
    search = strategy(initial=start, rules="nat++equal", budget={}, input=SHAPE)
    search(
        SimplifiedModelSpace.from_model(space, Scored(lambda sample: len(str(sample)))), SequentialExecutionEngine(3)
    )
    found = [model.sample for model in search.list_models(sort=False)]
    assert found[0] == start
    assert 2 <= len({str(sample) for sample in found}) == len(found) <= 3
    for sample in found:
        assert space.freeze(sample)(torch.zeros(1, *SHAPE)) is not None
