"""What a training looks up of thousands of networks is what the IR says of each."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from nat_nasbench.nb201 import from_digits
from policy.samples import random_darts
from policy.training.conftest import EDGES

from nat_plugin.errors import NATError
from nat_plugin.ir import Budget, Moves, Network, NetworkSize, canonical, cost, find_rule, is_connected, key
from nat_plugin.plugins import plugins
from nat_plugin.policy.training.devices import Device
from nat_plugin.policy.training.inputs import Inputs
from nat_plugin.policy.training.recipe import TrainingRecipe
from nat_plugin.policy.training.spaces import NONE, Reach, World, means_of_kinds, split_place
from nat_plugin.policy.training.tasks import HeldOutShare, NetworkPool, TrainingTask


def cells(number: int = 400) -> list[Network]:
    adapter = plugins().adapters["nasbench201"]
    every = map("".join, itertools.product(*EDGES))
    return [adapter.read(from_digits(cell), NetworkSize()) for cell in itertools.islice(every, number)]


@pytest.mark.parametrize("rule", ["nat", "nat++"])
@pytest.mark.parametrize("kind", ["nasbench201", "darts"])
def test_rows_are_what_moves_lead_to(rule: str, kind: str) -> None:
    rng, world = np.random.default_rng(0), World()
    networks = cells()[::40] if kind == "nasbench201" else [random_darts(rng) for _ in range(4)]
    for network in networks:
        moves = Moves(network, find_rule(rule))
        space = world.space(network)
        reach = Reach.of(space, moves)
        choices = np.array([rng.integers(reach.sizes) for _ in range(60)])
        rows = reach.rows(choices)
        for choice, row in zip(choices.tolist(), rows.tolist(), strict=True):
            after = moves.apply(tuple(choice))
            assert (space.kinds[row] != NONE) == moves.admits(tuple(choice))
            if space.kinds[row] != NONE:
                assert world.kinds.name(space.kinds[row]) == key(after)
                assert tuple(space.costs[row]) == (cost(after).params, cost(after).macs)
                bare = [op for op, live in zip(after.ops, space.live[row], strict=True) if live]
                assert len(bare) == sum(not op.is_null for op in canonical(after).ops)
        assert space.rows(space.codes).tolist() == list(range(len(space)))


def test_a_network_that_is_met_for_the_first_time_has_a_kind() -> None:
    world, networks = World(), cells()
    for network in networks:
        if is_connected(network):
            assert world.kinds.name(world.space(network).kind(network)) == key(network)


def test_what_was_met_later_is_forgotten() -> None:
    world, networks = World(), cells()
    space = world.space(networks[0])
    first = [space.row(network) for network in networks[:50]]
    mark = world.mark
    device = Device(space, world.kinds, 3)
    before = device.latencies().copy()
    later = [space.row(network) for network in networks[50:]]
    assert len(device.latencies()) == len(later) + 50
    world.forget(mark)
    assert world.mark == mark
    assert [space.row(network) for network in networks[:50]] == first
    assert [space.row(network) for network in networks[100:]] != later[50:]
    assert (device.latencies()[:50] == before).all()
    assert device.latency(networks[120]) == Device(space, world.kinds, 3).latency(networks[120])


def test_a_device_knows_what_is_connected_and_what_computes_the_same() -> None:
    world, networks = World(), cells()
    space = world.space(networks[0])
    rows = [space.row(network) for network in networks]
    for seed in range(8):
        times = Device(space, world.kinds, seed).latencies()[rows]
        assert (np.isfinite(times) == [is_connected(network) for network in networks]).all()
        assert (times > 0).all()
        finite = np.isfinite(times)
        kinds = space.kinds[rows]
        for kind in np.unique(kinds[finite])[:20]:
            bare = [networks[at] == canonical(networks[at]) for at in np.flatnonzero(kinds == kind)]
            assert sum(bare) != 1 or len(set(times[kinds == kind][bare])) == 1


def test_the_split_is_by_what_cells_compute_not_by_classes() -> None:
    adapter = plugins().adapters["nasbench201"]
    cell, with_dead_edge = from_digits("100010"), from_digits("130010")
    place = split_place(adapter.read(cell, NetworkSize()), 1)
    assert place == split_place(adapter.read(with_dead_edge, NetworkSize()), 1)
    assert place == split_place(adapter.read(cell, NetworkSize(classes=100)), 1)
    assert place != split_place(adapter.read(cell, NetworkSize()), 2)
    places = {split_place(network, 5) for network in cells()}
    assert len(places) > 60
    assert 0.15 < np.mean([place < 0.3 for place in places]) < 0.45


def pool(networks: list[Network]) -> NetworkPool:
    return NetworkPool(
        tuple(networks), lambda numbers: [0.0 for _ in numbers], known=True, what="nothing", space="cells"
    )


def test_inputs_have_all_that_they_may_become_within_their_limit() -> None:
    recipe = TrainingRecipe.model_validate({
        "name": "a", "sources": {"a": {"table": {}}}, "rules": ["nat", "nat++"],
        "limits": {"macs": 0.3, "params": 0.2, "latency": 0.3, "devices": 2}, "policy": {"inputs": 60},
    })  # fmt: skip
    world = World()
    task = TrainingTask.of("a", 1.0, pool(cells()), world, HeldOutShare(0.3, 201), None)
    inputs, kinds = Inputs(recipe, world, 20_000).draw([task]), set()
    assert len(inputs) > 20
    for each in inputs:
        kinds.add((np.isfinite(each.limit.most), each.limit.device is not None, each.limit.column))
        assert each.choices is not None
        assert each.kinds is not None
        assert len(each.choices) == len(each.kinds) > 1
        found = set(map(tuple, each.choices.tolist()))
        rows = each.reach.rows(each.reach.all())
        every = set(map(tuple, each.reach.all()[each.limit.admits(each.reach.space, rows)].tolist()))
        assert found == every
    assert len(kinds) == 4


def test_large_neighbourhoods_are_not_enumerated_but_walked_down_to_the_limit() -> None:
    recipe = TrainingRecipe.model_validate(
        {"name": "a", "sources": {"a": {"table": {}}}, "limits": {"macs": 1.0}, "policy": {"inputs": 4}}
    )
    rng, world = np.random.default_rng(3), World()
    networks = [random_darts(rng) for _ in range(4)]
    task = TrainingTask.of("a", 1.0, pool(networks), world, HeldOutShare(0.0, 201), None)
    for each in Inputs(recipe, world, 100).draw([task]):
        assert each.choices is None
        assert len(each.descents) > 0
        assert (each.kinds_of(each.descents) != NONE).all()


def test_what_moves_admit_is_what_a_training_admits() -> None:
    budget, rule, world = Budget.parse({"macs": "0.7x"}), find_rule("nat++"), World()
    for network in cells()[30::60]:
        try:
            moves = Moves(network, rule, budget.resolve(network))
        except NATError:
            continue
        space = world.space(network)
        reach = Reach.of(space, moves)
        rows = reach.rows(reach.all())
        limit = float(moves.limits.values[0][1])
        mine = (space.kinds[rows] != NONE) & (space.costs[rows, 1] <= limit)
        assert set(map(tuple, reach.all()[mine].tolist())) == set(moves.all())


def test_a_kind_is_worth_the_mean_of_what_is_written_without_dead_operations() -> None:
    kinds = np.array([0, 0, 0, 1, 1, NONE, 3, 3])
    bare = np.array([True, True, False, False, False, True, True, False])
    values = np.array([1.0, 2.0, 9.0, 4.0, 6.0, 7.0, np.nan, 5.0])
    found = means_of_kinds(values, kinds, bare, 5)
    assert found[[0, 1, 3]].tolist() == [1.5, 5.0, 5.0]
    assert np.isnan(found[[2, 4]]).all()
    assert np.array_equal(found, means_of_kinds(values[::-1], kinds[::-1], bare[::-1], 5), equal_nan=True)
