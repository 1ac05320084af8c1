"""What a critic says of candidates counts less where it can only extrapolate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from policy.training.conftest import CRITICS

from nat_plugin.ir import NULL, Moves, Network, find_rule
from nat_plugin.policy.graphs import build_graph
from nat_plugin.policy.training.critics import make_critic
from nat_plugin.policy.training.inputs import Input, Limited
from nat_plugin.policy.training.judging import NARROWED, Judge
from nat_plugin.policy.training.recipe import CriticSettings
from nat_plugin.policy.training.spaces import NONE, Reach, World
from tests.networks import genotype_network

CPU = torch.device("cpu")


def _without(network: Network, slots: tuple[int, ...]) -> Network:
    return network.with_ops([NULL if slot in slots else op for slot, op in enumerate(network.ops)])


def test_what_joins_fewer_nodes_in_the_output_of_a_cell_is_worth_less_than_the_critic_says() -> None:
    network = genotype_network("DARTS_V2")
    narrower, thinner = _without(network, (6, 7)), _without(network, (6,))
    world = World()
    space = world.space(network)
    kinds = np.array([space.kind(each) for each in (network, narrower, thinner)])
    moves = Moves(network, find_rule("nat"))
    empty = np.zeros((0, len(moves.slots)), np.int64)
    source = Input(0, int(kinds[0]), Reach.of(space, moves), Limited(), build_graph(network), None, None, empty)
    judge = Judge(make_critic(CriticSettings.model_validate(CRITICS["tasks"]), 0, CPU), world.kinds, 0.0)
    said, _ = judge.believed(source.kind, kinds)
    assert judge.gains(source, kinds) == pytest.approx(said - NARROWED * np.array([0, 1, 0]))
    met_later = _without(network, (0, 1))
    judge.forget()
    later = np.array([space.kind(met_later)])
    assert judge.gains(source, later) == pytest.approx(judge.believed(source.kind, later)[0] - NARROWED)
    from_narrower = replace(source, kind=int(kinds[1]))
    assert judge.gains(from_narrower, kinds) == pytest.approx(judge.believed(int(kinds[1]), kinds)[0])
    of_nothing = replace(source, kind=NONE)
    assert judge.gains(of_nothing, kinds) == pytest.approx(judge.believed(NONE, kinds)[0])
