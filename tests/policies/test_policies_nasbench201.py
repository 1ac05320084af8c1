"""The policies for NAS-Bench-201 load, say how they were trained, keep budgets, and are better than a fixed rule."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from nat_nasbench.nb201 import OPS
from nb201 import CELLS, GROUPS, Reach, Space, fixed_rule, held_out, load_space, numbers

from nat_plugin.ir import Budget, Moves, Op, canonical, find_rule, is_connected
from nat_plugin.plugins import plugins
from nat_plugin.policy.apply import transform
from nat_plugin.policy.files import load_policy
from nat_plugin.policy.finding import SHIPPED, find_policy
from nat_plugin.policy.network import Policy
from nat_plugin.policy.training.ensemble import CriticConfig

CPU = torch.device("cpu")
SMALL = CriticConfig(members=1, hidden=8, epochs=1, least_steps=5)


@pytest.fixture(scope="module")
def space(nb201_table: Path) -> Space:
    plugins()
    return load_space(nb201_table)


@pytest.fixture(scope="module")
def measured(shared_data: Path) -> Space:
    plugins()
    return load_space(shared_data / "nasbench201.csv.gz")


@pytest.fixture(scope="module", params=["nasbench201", "nasbench201-budgets"])
def policy(request: pytest.FixtureRequest) -> Policy:
    plugins()
    return find_policy(request.param, CPU)


@pytest.mark.parametrize("name", ["nasbench201", "nasbench201-budgets"])
def test_it_is_small_and_says_how_it_was_trained(name: str) -> None:
    path = SHIPPED / f"{name}.safetensors"
    assert path.stat().st_size < 2 * 10**6
    _, facts = load_policy(path)
    script = "train_budget_policy.py" if name.endswith("budgets") else "train_policy.py"
    assert str(facts["command"]).startswith(f"python benchmarks/{script} ")
    assert "CIFAR-10" in str(facts["trained_on"])
    assert 0 < int(facts["cells_evaluated"] or 0) <= 3000
    assert isinstance(facts["seed"], int)


@pytest.mark.parametrize("rule", ["nat", "nat++"])
def test_on_cells_that_it_has_not_seen_it_is_better_than_the_fixed_rule(
    measured: Space, policy: Policy, rule: str
) -> None:
    cells = np.flatnonzero(held_out())[::3]
    reach, digits = Reach(measured, find_rule(rule)), {op: digit for digit, op in enumerate(OPS.values())}
    found = np.arange(CELLS)
    results = transform([measured.networks[cell] for cell in cells], reach.rule, Budget(), policy)
    for cell, network in zip(cells, results, strict=True):
        found[cell] = numbers(np.array([digits[op] for op in network.ops]))
    for data, test in measured.test.items():
        gains, fixed = reach.gains(found, test), reach.gains(fixed_rule(measured), test)
        for name in GROUPS:
            chosen = cells[measured.group(name)[cells]]
            assert gains[chosen].mean() > fixed[chosen].mean(), (data, name)


@pytest.mark.parametrize("limit", ["1.0x", "0.7x"])
def test_it_keeps_a_budget(space: Space, policy: Policy, limit: str) -> None:
    budget, rule = Budget.parse({"macs": limit}), find_rule("nat++")
    convolution = Op.parse("conv_3x3")  # without two of them nothing may be lean enough
    networks = [network for network in space.networks[::53] if is_connected(network)]
    networks = [network for network in networks if canonical(network).ops.count(convolution) > 1]
    assert len(networks) > 50
    for before, after in zip(networks, transform(networks, rule, budget, policy), strict=True):
        Moves(before, rule, budget.resolve(before)).verify(after)


def test_a_cell_without_an_output_is_connected(space: Space, policy: Policy) -> None:
    """Every such cell can be: null may become a skip."""
    broken = [network for network in space.networks if not is_connected(network)]
    assert broken
    assert all(map(is_connected, transform(broken, find_rule("nat"), Budget(), policy)))


def test_under_a_budget_the_policy_for_budgets_is_better(measured: Space) -> None:
    budget, rule = Budget.parse({"macs": "0.8x"}), find_rule("nat++")
    convolution = Op.parse("conv_3x3")
    cells = np.flatnonzero(held_out() & measured.connected)[::5].tolist()
    cells = [cell for cell in cells if canonical(measured.networks[cell]).ops.count(convolution) > 1]
    networks = [measured.networks[cell] for cell in cells]
    ops, means = {op: digit for digit, op in enumerate(OPS.values())}, []
    for name in ("nasbench201", "nasbench201-budgets"):
        results = transform(networks, rule, budget, find_policy(name, CPU))
        found = numbers(np.array([[ops[op] for op in network.ops] for network in results]))
        means.append(measured.test["CIFAR-10"][measured.written[found]].mean())
    assert means[1] > means[0] + 0.1
