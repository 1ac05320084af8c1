"""The policy that ships loads, says how it was trained, keeps budgets, and is good at cells that it has not seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from nat_nasbench.nb201 import OPS

from benchmarks.methods.no_query import Trained, load_trained
from benchmarks.spaces.held_out import SPLIT
from benchmarks.spaces.nb201 import CELLS, GROUPS, Reach, Space, fixed_rule, load_space, numbers
from benchmarks.spaces.nb201_limits import by_cost
from nat_plugin.ir import Budget, Moves, Op, canonical, find_rule, is_connected
from nat_plugin.plugins import plugins
from nat_plugin.policy.files import load_policy
from nat_plugin.policy.finding import policy_path


@pytest.fixture(scope="module")
def space(nb201_table: Path) -> Space:
    plugins()
    return load_space(nb201_table)


@pytest.fixture(scope="module")
def measured(shared_data: Path) -> Space:
    plugins()
    return load_space(shared_data / "nasbench201.csv.gz")


@pytest.fixture(scope="module")
def trained() -> Trained:
    plugins()
    return load_trained("general")


def numbers_of(trained: Trained, moves: list[Moves]) -> np.ndarray:
    """Of the cells that are proposed."""
    digits = {op: digit for digit, op in enumerate(OPS.values())}
    return numbers(np.array([[digits[op] for op in network.ops] for network in trained.proposals(moves)]))


def test_it_is_small_and_says_how_it_was_trained(trained: Trained) -> None:
    path = policy_path("general")
    assert path.stat().st_size < 4 * 10**6
    _, facts = load_policy(path)
    assert facts["name"] == "general"
    assert "NAS-Bench-201" in str(facts["space"])
    assert int(facts["evaluations"] or 0) > 10_000
    assert isinstance(facts["seed"], int)
    assert (trained.split, trained.critic is None) == (SPLIT, False)


@pytest.mark.parametrize("rule", ["nat", "nat++"])
def test_on_cells_that_it_has_not_seen_it_is_better_than_the_fixed_rule(
    measured: Space, trained: Trained, rule: str
) -> None:
    cells, reach = np.flatnonzero(measured.held_out)[::3], Reach(measured, find_rule(rule))
    found = np.arange(CELLS)
    found[cells] = numbers_of(trained, [Moves(measured.networks[cell], reach.rule) for cell in cells])
    best = reach.best(measured.validation["CIFAR-10"])
    for data, test in measured.test.items():
        gains, fixed, most = (reach.gains(each, test) for each in (found, fixed_rule(measured), best))
        for name in GROUPS:
            chosen = cells[measured.group(name)[cells]]
            assert gains[chosen].mean() > fixed[chosen].mean(), (data, name)
        assert gains[cells].mean() > 0.9 * most[cells].mean(), data


@pytest.mark.parametrize("limit", ["1.0x", "0.7x"])
def test_it_keeps_a_budget(space: Space, trained: Trained, limit: str) -> None:
    budget, rule = Budget.parse({"macs": limit}), find_rule("nat++")
    convolution = Op.parse("conv_3x3")  # without two of them nothing may be lean enough
    networks = [network for network in space.networks[::53] if is_connected(network)]
    networks = [network for network in networks if canonical(network).ops.count(convolution) > 1]
    assert len(networks) > 50
    moves = [Moves(network, rule, budget.resolve(network)) for network in networks]
    for each, after in zip(moves, trained.proposals(moves), strict=True):
        each.verify(after)


def test_a_cell_without_an_output_is_connected(space: Space, trained: Trained) -> None:
    """Every such cell can be: null may become a skip."""
    broken = [network for network in space.networks if not is_connected(network)]
    assert broken
    rule = find_rule("nat")
    assert all(map(is_connected, trained.proposals([Moves(network, rule) for network in broken])))


def test_under_a_budget_it_is_near_the_best_that_is_known(measured: Space, trained: Trained) -> None:
    """What fits differs much: in the mean it is some seven points below the best of it by validation."""
    limited, reach = by_cost(measured, "macs", "0.8x"), Reach(measured, find_rule("nat++"))
    convolution = Op.parse("conv_3x3")
    cells = np.flatnonzero(measured.held_out & measured.connected)[::15]
    cells = cells[[canonical(measured.networks[cell]).ops.count(convolution) > 1 for cell in cells]]
    moves = [
        Moves(network, reach.rule, limited.budget.resolve(network))
        for network in map(measured.networks.__getitem__, cells)
    ]
    test, found = measured.test["CIFAR-10"], numbers_of(trained, moves)
    best = limited.best(reach, cells, measured.validation["CIFAR-10"])
    rng = np.random.default_rng(0)
    some = np.array([rng.choice(limited.within(reach, int(cell))) for cell in cells])
    proposed, known, drawn = (test[measured.written[each]].mean() for each in (found, best, some))
    assert proposed > known - 0.25 * (known - drawn)
