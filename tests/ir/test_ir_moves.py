"""No proposal leaves the rules or the budget, none that fits is missed, and no walk gets stuck."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nat_plugin.errors import NATError
from nat_plugin.ir import (
    NULL,
    SKIP,
    Budget,
    Cell,
    Edge,
    Head,
    Limits,
    Moves,
    Network,
    NetworkSize,
    Node,
    Op,
    Placement,
    cell_stack,
    cost,
    find_rule,
    is_connected,
)
from nat_plugin.ir.budget import METRICS
from nat_plugin.ir.costs import slot_sites
from nat_plugin.ir.layers import Conv, Norm
from nat_plugin.ir.skeletons import at_level
from nat_plugin.ir.walk import Choice
from tests.networks import DARTS_OPS, genotype_network, networks

RULES = st.sampled_from(["nat", "nat++"])
MOST = 300
"""Spaces up to this size are compared with trying everything."""


def limits_of(values: dict[str, int | str], network: Network) -> Limits:
    return Budget.parse(values).resolve(network)


def combinations(network: Network, rule: str) -> list[Network]:
    """Every connected network that the rules allow, without the code under test."""
    sites = slot_sites(network)
    options = [find_rule(rule).candidates(network.edge(slot), sites[slot]) for slot in network.slots]
    found = []
    for ops in itertools.product(*options):
        built = network.with_ops(ops)
        if is_connected(built):
            found.append(built)
    return found


def size(network: Network, rule: str) -> int:
    sites = slot_sites(network)
    return int(
        np.prod([len(find_rule(rule).candidates(network.edge(s), sites[s])) for s in network.slots], dtype=float)
    )


def narrows(network: Network) -> bool:
    """Whether a cell may become narrower that is read without projection: then ``Moves`` has a rule of its own."""
    return any(
        len(network.by_name[p.cell].output) > 1 and not network.by_name[p.cell].project for p in network.placements
    )


def reachable(moves: Moves) -> set[Choice]:
    """All choices that walks can end in, by following every open candidate."""

    def extend(prefix: Choice) -> Iterator[Choice]:
        walk = moves.walk()
        for index in prefix:
            walk.take(index)
        if walk.done:
            yield walk.choice
            return
        opened = np.flatnonzero(walk.open())
        assert len(opened), f"stuck after {prefix}"
        for index in opened:
            yield from extend((*prefix, int(index)))

    return set(extend(()))


@given(networks(most_nodes=4, most_slots=5), RULES, st.sampled_from(["params", "macs"]), st.floats(0, 1.2))
@settings(max_examples=50)
def test_one_limit_walks_reach_exactly_the_networks_that_fit(
    network: Network, rule: str, metric: str, share: float
) -> None:
    assume(size(network, rule) <= MOST and not narrows(network))
    found = combinations(network, rule)
    if not found:
        with pytest.raises(NATError, match="depends on its input"):
            Moves(network, find_rule(rule), limits_of({metric: 10**12}, network))
        return
    values = sorted(METRICS[metric](built) for built in found)
    limit = max(0, int(values[0] + share * (values[-1] - values[0])) - (share == 0))
    fitting = {built.ops for built in found if METRICS[metric](built) <= limit}
    if not fitting:
        with pytest.raises(NATError, match=re.escape(f"the cheapest has {metric} {values[0]:,} (limit {limit:,})")):
            Moves(network, find_rule(rule), limits_of({metric: limit}, network))
        return
    moves = Moves(network, find_rule(rule), limits_of({metric: limit}, network))
    assert {moves.ops(choice) for choice in reachable(moves)} == fitting
    assert {moves.ops(choice) for choice in moves.all()} == fitting


@given(networks(most_nodes=4, most_slots=5), RULES, st.floats(0, 1.1), st.floats(0, 1.1))
@settings(max_examples=40)
def test_two_limits_find_a_network_if_one_fits_and_never_leave_the_budget(
    network: Network, rule: str, params: float, macs: float
) -> None:
    """Which networks of a joint budget a walk reaches depends on the witnesses found, so only a share is asked for."""
    assume(size(network, rule) <= MOST and not narrows(network))
    found = combinations(network, rule)
    assume(found)
    costs = [cost(built) for built in found]
    least, most = min(c.params for c in costs), max(c.params for c in costs)
    limit = {"params": int(least + params * (most - least))}
    least, most = min(c.macs for c in costs), max(c.macs for c in costs)
    limit["macs"] = int(least + macs * (most - least))
    fitting = {
        built.ops
        for built, each in zip(found, costs, strict=True)
        if each.params <= limit["params"] and each.macs <= limit["macs"]
    }
    limits = limits_of(dict(limit), network)
    if not fitting:
        with pytest.raises(NATError, match="no network reachable"):
            Moves(network, find_rule(rule), limits)
        return
    moves = Moves(network, find_rule(rule), limits)
    reached = {moves.ops(choice) for choice in reachable(moves)}
    assert reached <= fitting
    assert len(reached) >= 0.5 * len(fitting)


@given(networks(), RULES, st.fixed_dictionaries({}, optional={m: st.floats(0, 1) for m in METRICS}), st.integers(0, 99))
@settings(max_examples=50)
def test_every_sample_is_legal_connected_and_within_every_limit(
    network: Network, rule: str, shares: dict[str, float], seed: int
) -> None:
    values: dict[str, int | str] = {}
    if shares:
        try:
            free = Moves(network, find_rule(rule))
        except NATError:
            assume(False)
        cheap = {m: min(METRICS[m](free.apply(choice)) for choice in free.search.cheapest) for m in shares}
        dear = {m: int(free.costs[:, :, list(METRICS).index(m)].max(axis=1, initial=0).sum()) for m in shares}
        values = {m: int(cheap[m] + shares[m] * dear[m]) for m in shares}
    try:
        moves = Moves(network, find_rule(rule), limits_of(values, network))
    except NATError:
        assume(False)
    rng = np.random.default_rng(seed)
    for _ in range(4):
        built = moves.apply(moves.sample(rng))
        moves.verify(built)
        total = cost(built)
        for metric, limit in values.items():
            assert getattr(total, metric) <= limit
        assert moves.total(moves.choice(built)) == (total.params, total.macs)
        for slot in network.slots:
            before, after = network.edge(slot).op, built.edge(slot).op
            assert before == after or find_rule(rule).allows(before, after)


@given(networks(), RULES)
@settings(max_examples=30)
def test_without_limits_a_walk_can_take_any_combination_that_is_connected(network: Network, rule: str) -> None:
    assume(size(network, rule) <= MOST and not narrows(network))
    found = {built.ops for built in combinations(network, rule)}
    if not found:
        with pytest.raises(NATError, match="depends on its input"):
            Moves(network, find_rule(rule))
        return
    moves = Moves(network, find_rule(rule))
    assert {moves.ops(choice) for choice in reachable(moves)} == found


def test_a_network_at_the_limit_is_allowed_and_one_unit_less_is_not() -> None:
    network = small()
    total = cost(network)
    for metric, value in (("params", total.params), ("macs", total.macs)):
        exact = Moves(network, find_rule("nat"), limits_of({metric: value}, network))
        assert exact.admits(exact.identity)
        less = Moves(network, find_rule("nat"), limits_of({metric: value - 1}, network))
        assert not less.admits(less.identity)
        with pytest.raises(NATError, match=rf"^{metric} {value:,} exceeds the limit {value - 1:,}$"):
            less.verify(network)


def small(choices: tuple[Op, ...] = DARTS_OPS) -> Network:
    op = Op.parse("sep_conv_3x3")
    edges = tuple(Edge(source, target, op, "", choices) for target in (2, 3) for source in range(2))
    cell = Cell(2, (Node(), Node()), edges, (2, 3), project=True)
    return cell_stack(cell, at_level(cell, 1), NetworkSize(input=(3, 8, 8)), 4, 3)


def test_a_reduction_is_dearer_by_skip_so_the_budget_shuts_it() -> None:
    """The published code turned pools of reduction cells into skips and called that free."""
    pool = Op.parse("max_pool_3x3")
    edges = tuple(Edge(source, 2, pool, "", (pool, SKIP, NULL)) for source in range(2))
    cell = Cell(2, (Node(),), edges, (2,), project=True)
    network = cell_stack(cell, at_level(cell, 1), NetworkSize(input=(3, 8, 8)), 4, 3)
    moves = Moves(network, find_rule("nat"), limits_of({"params": "1.0x", "macs": "1.0x"}, network))
    names = {slot: {str(op) for op in ops} for slot, ops in zip(moves.slots, moves.candidates, strict=True)}
    assert all(ops == {"max_pool_3x3", "skip", "null"} for ops in names.values())
    for choice in reachable(moves):
        assert SKIP not in [network.with_ops(moves.ops(choice)).edge(slot).op for slot in moves.slots[2:]]


def test_moves_never_make_an_unprojected_cell_narrower() -> None:
    """The second cell adds its input to a convolution of it: with half the input the skip would not fit."""
    conv, choices = Op.parse("conv_3x3"), (Op.parse("conv_3x3"), NULL)
    first = Cell(1, (Node(), Node()), (Edge(0, 1, conv, "", choices), Edge(0, 2, conv, "", choices)), (1, 2))
    second = Cell(1, (Node(),), (Edge(0, 1, conv, "", choices), Edge(0, 1, SKIP)), (1,))
    network = Network(
        (("a", first), ("b", second)),
        (Placement("a", 4, (0,)), Placement("b", 8, (1,))),
        ((Conv(3, 4, (3, 3)), Norm(4)),),
        Head(3),
        (3, 8, 8),
    )
    moves = Moves(network, find_rule("nat"))
    assert {moves.ops(choice) for choice in reachable(moves)} == {(conv, conv, conv), (conv, conv, NULL)}
    with pytest.raises(NATError, match="lost a part of its output"):
        moves.verify(network.with_ops((conv, NULL, conv)))


def test_a_metric_that_is_no_sum_over_edges_limits_too() -> None:
    network = small()
    metrics = {**METRICS, "latency": lambda built: sum(0.5 for op in built.ops if not op.is_null) + 0.25}
    budget = Budget.parse({"latency": "2.3ms", "macs": "0.8x"}, metrics)
    moves = Moves(network, find_rule("nat"), budget.resolve(network))
    rng = np.random.default_rng(0)
    for _ in range(20):
        built = moves.apply(moves.sample(rng))
        assert metrics["latency"](built) <= 2.3
        assert cost(built).macs <= 0.8 * cost(network).macs
        moves.verify(built)
    with pytest.raises(NATError, match=r"the cheapest has latency [0-9.]+ \(limit 0.1\)"):
        Moves(network, find_rule("nat"), Budget.parse({"latency": "0.1ms"}, metrics).resolve(network))


def test_large_cells_keep_the_budget_too() -> None:
    """More inner nodes than sets of live nodes can be listed: the search is a heuristic there, the limits are not."""
    rng = np.random.default_rng(0)
    choices = tuple(map(Op.parse, ("sep_conv_3x3", "skip", "null")))
    edges = tuple(
        Edge(source, target, choices[int(rng.integers(2))], "", choices)
        for target in range(1, 25)
        for source in (target - 1, int(rng.integers(target)))
    )
    cell = Cell(1, (Node(),) * 24, edges, (24,))
    stem = ((Conv(3, 8, (3, 3)), Norm(8)),)
    network = Network((("c", cell),), (Placement("c", 8, (0,)),), stem, Head(4), (3, 8, 8))
    for share in ("1.0x", "0.6x", "0.3x"):
        moves = Moves(network, find_rule("nat"), limits_of({"macs": share, "params": share}, network))
        for _ in range(3):
            moves.verify(moves.apply(moves.sample(rng)))


def test_a_walk_refuses_a_candidate_that_is_not_open() -> None:
    network = small((Op.parse("sep_conv_3x3"), NULL))
    walk = Moves(network, find_rule("nat")).walk()
    for _ in range(3):
        walk.take(1)
    assert walk.open().tolist() == [True, False]
    with pytest.raises(ValueError, match="is not open"):
        walk.take(1)


def test_choice_names_the_edge_that_may_not_change() -> None:
    op, choices = Op.parse("avg_pool_3x3"), (Op.parse("avg_pool_3x3"), Op.parse("sep_conv_3x3"), SKIP)
    cell = Cell(1, (Node(),), (Edge(0, 1, op, "normal/op_2_0", choices),), (1,), project=True)
    stem = ((Conv(3, 4), Norm(4)),)
    network = Network((("c", cell),), (Placement("c", 4, (0,)),), stem, Head(2), (3, 8, 8))
    moves = Moves(network, find_rule("nat"))
    with pytest.raises(NATError, match="'avg_pool_3x3' may not become 'sep_conv_3x3' on edge 'normal/op_2_0'"):
        moves.choice(network.with_ops([choices[1]]))
    with pytest.raises(NATError, match="more than the ops"):
        moves.choice(Network(network.cells, network.placements, stem, Head(3), network.input))
    other = Cell(1, (Node(norm=True),), cell.edges, (1,), project=True)
    with pytest.raises(NATError, match="more than the ops"):
        moves.choice(Network((("c", other),), network.placements, stem, Head(2), network.input))


def test_tight_budgets_of_the_published_cell() -> None:
    network = genotype_network("DARTS_V2")
    rng = np.random.default_rng(0)
    for values in ({"macs": "0.3x"}, {"macs": "0.5x", "params": "0.4x"}, {"macs": "1.0x", "params": "1.0x"}):
        moves = Moves(network, find_rule("nat++"), limits_of(dict(values), network))
        seen = [moves.apply(moves.sample(rng)) for _ in range(10)]
        for built in seen:
            moves.verify(built)
            assert moves.choice(built) == moves.choice(network.with_ops(built.ops))
        assert len(set(seen)) >= 8
    with pytest.raises(NATError, match=r"the cheapest has params 358,822 \(limit 1,000\)"):
        Moves(network, find_rule("nat"), limits_of({"params": "1k"}, network))


def test_a_share_that_was_written_as_a_number_is_met_with_how_to_write_it() -> None:
    network = genotype_network("DARTS_V2")
    with pytest.raises(NATError, match=r"macs [0-9,]+ \(limit 0.8\); write macs=0.8x for a share of the input$"):
        Moves(network, find_rule("nat"), limits_of({"macs": "0.8"}, network))
