"""Dead operations are found and cost nothing; one key for all cells that compute the same, and for no others."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nat_plugin.errors import NATError
from nat_plugin.ir import NULL, SKIP, Cell, Edge, Network, Node, Op, canonical, cost, is_connected, key, live
from nat_plugin.ir.canonical import canonical_cell, cell_key
from nat_plugin.ir.costs import costs_as_built
from tests.networks import cells, networks, ops

CONV, AVG, MAX = Op.parse("conv_3x3"), Op.parse("avg_pool_3x3"), Op.parse("max_pool_3x3")


@st.composite
def filled(draw: st.DrawFn) -> Cell:
    """A cell with ops, null among them, in its edges."""
    cell = draw(cells())
    pool = ops() | st.just(NULL)
    return replace(cell, edges=tuple(replace(edge, op=draw(pool)) for edge in cell.edges))


def on_a_path(cell: Cell) -> list[bool]:
    """The oracle: an edge is alive if it lies on a path from an input to the output, found by walking all paths."""
    alive: set[int] = set()

    def walk(node: int, path: tuple[int, ...]) -> None:
        if node in cell.output:
            alive.update(path)
        for index, edge in enumerate(cell.edges):
            if edge.source == node and not edge.op.is_null:
                walk(edge.target, (*path, index))

    for node in range(cell.inputs):
        walk(node, ())
    return [index in alive for index in range(len(cell.edges))]


@given(filled())
def test_live_edges_are_those_on_a_path(cell: Cell) -> None:
    assert list(live(cell).edges) == on_a_path(cell)


@given(networks())
def test_canonical_is_idempotent_and_never_dearer(network: Network) -> None:
    assume(is_connected(network))
    try:
        dense = costs_as_built(canonical(network)).total
    except NATError:  # an unprojected cell after one that became narrower
        assume(False)
    first = canonical(network)
    assert canonical(first) == first
    assert key(first) == key(network)
    assert dense == cost(network)
    as_built = costs_as_built(network).total
    assert dense.params <= as_built.params
    assert dense.macs <= as_built.macs
    for name, cell in first.cells:
        if any(placement.cell == name for placement in first.placements):
            assert all(alive or edge.op.is_null for alive, edge in zip(live(cell).edges, cell.edges, strict=True))


@given(networks())
def test_a_network_without_connection_has_no_cost(network: Network) -> None:
    assume(not is_connected(network))
    with pytest.raises(NATError, match="no operation leads from an input"):
        cost(network)


def renumbered(cell: Cell, order: list[int]) -> Cell:
    """The same cell with its inner nodes in another order (sources still first) and shuffled edges."""
    place = {old: new for new, old in enumerate([*range(cell.inputs), *order])}
    nodes = tuple(cell.nodes[old - cell.inputs] for old in order)
    edges = [replace(edge, source=place[edge.source], target=place[edge.target]) for edge in cell.edges]
    return replace(cell, nodes=nodes, edges=tuple(edges), output=tuple(place[node] for node in cell.output))


@given(filled(), st.randoms(use_true_random=False))
def test_the_key_does_not_depend_on_numbers_order_nulls_or_dead_ops(cell: Cell, rng: random.Random) -> None:
    count = cell.inputs + len(cell.nodes)
    order: list[int] = []
    while len(order) < len(cell.nodes):
        ready = [
            node
            for node in range(cell.inputs, count)
            if node not in order
            and all(e.source < cell.inputs or e.source in order for e in cell.edges if e.target == node)
        ]
        order.append(rng.choice(ready))
    other = renumbered(cell, order)
    alive = live(other).edges
    edges = [edge for index, edge in enumerate(other.edges) if alive[index] or rng.random() < 0.7]
    for _ in range(rng.randrange(3)):
        target = rng.randrange(cell.inputs, count)
        edges.append(Edge(rng.randrange(target), target, NULL))
    rng.shuffle(edges)
    assert cell_key(replace(other, edges=tuple(edges))) == cell_key(cell)


@given(filled(), ops())
def test_the_key_does_not_depend_on_ops_that_are_dead_whatever_they_are(cell: Cell, op: Op) -> None:
    alive = live(cell)
    for index, edge in enumerate(cell.edges):
        changed = replace(cell, edges=(*cell.edges[:index], replace(edge, op=op), *cell.edges[index + 1 :]))
        if not alive.edges[index] and not live(changed).edges[index] and live(changed) == alive:
            assert cell_key(changed) == cell_key(cell)


@given(filled(), st.data())
def test_the_key_does_not_depend_on_plain_skips_between_sums(cell: Cell, data: st.DataObject) -> None:
    """A node that only copies an earlier one is put on an edge."""
    assume(cell.edges)
    edge = data.draw(st.sampled_from(cell.edges))
    new = edge.target
    level = 0 if edge.source < cell.inputs else cell.nodes[edge.source - cell.inputs].level
    nodes = list(cell.nodes)
    nodes.insert(new - cell.inputs, Node(level))

    def up(node: int) -> int:
        return node + (node >= new)

    edges = [replace(e, source=up(e.source), target=up(e.target)) for e in cell.edges if e is not edge]
    edges += [replace(edge, source=new, target=new + 1), Edge(edge.source, new, SKIP)]
    longer = replace(cell, nodes=tuple(nodes), edges=tuple(edges), output=tuple(map(up, cell.output)))
    assert cell_key(longer) == cell_key(cell)


def one_input(edges: list[tuple[int, int, Op]], output: tuple[int, ...], levels: tuple[int, ...] = ()) -> Cell:
    count = max(target for _, target, _ in edges)
    nodes = tuple(Node(levels[number] if levels else 0) for number in range(count))
    return Cell(1, nodes, tuple(Edge(*edge) for edge in edges), output)


def test_sharing_matters() -> None:
    two = one_input([(0, 1, CONV), (0, 1, CONV)], (1,))
    twice = one_input([(0, 1, CONV), (1, 2, SKIP), (1, 2, SKIP)], (2,))
    assert cell_key(two) != cell_key(twice)
    same = one_input([(0, 1, CONV), (1, 2, SKIP)], (1, 2))
    separate = one_input([(0, 1, CONV), (0, 2, CONV)], (1, 2))
    assert cell_key(same) != cell_key(separate)


def test_pools_of_one_source_are_one_value() -> None:
    for levels in ((), (1, 1)):
        shared = one_input([(0, 1, AVG), (1, 2, SKIP)], (1, 2), levels)
        twice = one_input([(0, 1, AVG), (0, 2, AVG)], (1, 2), levels)
        assert cell_key(shared) == cell_key(twice)
        assert cell_key(twice) != cell_key(one_input([(0, 1, AVG), (0, 2, MAX)], (1, 2), levels))


def test_a_strided_skip_has_weights_and_a_plain_one_has_not() -> None:
    for levels, same in (((), True), ((1, 1), False)):
        copied = one_input([(0, 1, SKIP), (1, 2, SKIP)], (1, 2), levels)
        twice = one_input([(0, 1, SKIP), (0, 2, SKIP)], (1, 2), levels)
        assert (cell_key(copied) == cell_key(twice)) is same


def test_the_order_of_the_output_matters() -> None:
    edges = [(0, 1, CONV), (0, 2, AVG)]
    assert cell_key(one_input(edges, (1, 2))) != cell_key(one_input(edges, (2, 1)))


def test_a_norm_is_a_value_of_its_own() -> None:
    plain = one_input([(0, 1, CONV), (1, 2, SKIP)], (2,))
    normed = replace(plain, nodes=(Node(norm=True), Node()))
    assert cell_key(plain) != cell_key(normed)


PRIME = 2**61 - 1


def outputs(cell: Cell, weights: dict[int, int]) -> tuple[int, ...]:
    """What a cell computes, in numbers modulo a prime: every weighted edge is a random function of its own, every pool
    a fixed one, and edges into a node are added."""
    values = [(7 + 13 * number) ** 5 % PRIME for number in range(cell.inputs)]
    fed = [True] * cell.inputs
    for node in range(cell.inputs, cell.inputs + len(cell.nodes)):
        total, some = 0, False
        for index, edge in enumerate(cell.edges):
            if edge.target == node and not edge.op.is_null and fed[edge.source]:
                some = True
                total += _apply(edge.op, values[edge.source], weights.get(index, 0))
        values.append(total % PRIME)
        fed.append(some)
    return tuple(values[node] for node in cell.output if fed[node])


def _apply(op: Op, value: int, weight: int) -> int:
    if op == SKIP:
        return value
    salt = {AVG: 101, MAX: 203}.get(op, 1000 + 17 * weight)
    return pow(value + salt, 3, PRIME) * (salt + 1) + salt


def signature(cell: Cell) -> tuple[object, ...]:
    """What a cell can compute, whichever of its weighted edges gets which weights."""
    weighted = [index for index, edge in enumerate(cell.edges) if edge.op == CONV]
    base = outputs(cell, {index: 1 + number for number, index in enumerate(weighted)})
    alive = [
        index
        for number, index in enumerate(weighted)
        if outputs(cell, {other: 1 + n + 99 * (n == number) for n, other in enumerate(weighted)}) != base
    ]
    found = (
        outputs(cell, dict(zip(alive, numbers, strict=True)))
        for numbers in itertools.permutations(range(1, len(alive) + 1))
    )
    return len(alive), min(found)


@pytest.mark.parametrize("output", [(1, 2), (2, 1), (2,)])
def test_keys_are_equal_exactly_where_cells_compute_the_same(output: tuple[int, ...]) -> None:
    """All cells of one input and two nodes, with a parallel edge: numbers against keys."""
    ends = [(0, 1), (0, 2), (0, 2), (1, 2)]
    keys: dict[str, tuple[object, ...]] = {}
    signatures: dict[tuple[object, ...], str] = {}
    for chosen in itertools.product((NULL, SKIP, CONV, AVG, MAX), repeat=len(ends)):
        cell = one_input([(*end, op) for end, op in zip(ends, chosen, strict=True)], output)
        if not live(cell).output:
            continue
        mark, name = (len(live(cell).output), *signature(cell)), cell_key(cell)
        assert keys.setdefault(name, mark) == mark, f"one key, but different: {cell}"
        assert signatures.setdefault(mark, name) == name, f"the same, but other keys: {cell}"
    assert len(keys) > 50


def test_keys_of_three_nodes_are_equal_exactly_where_cells_compute_the_same() -> None:
    ends = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]
    rng = random.Random(0)
    keys: dict[str, tuple[object, ...]] = {}
    signatures: dict[tuple[object, ...], str] = {}
    for _ in range(1500):
        chosen = rng.choices((NULL, SKIP, CONV, AVG), weights=(3, 3, 2, 1), k=len(ends))
        cell = one_input([(*end, op) for end, op in zip(ends, chosen, strict=True)], (3,))
        if not live(cell).output or chosen.count(CONV) > 4:
            continue
        mark, name = signature(cell), cell_key(cell)
        assert keys.setdefault(name, mark) == mark, f"one key, but different: {cell}"
        assert signatures.setdefault(mark, name) == name, f"the same, but other keys: {cell}"


@given(networks())
@settings(max_examples=50)
def test_the_key_of_a_network_does_not_depend_on_the_names_of_its_cells(network: Network) -> None:
    names = {name: f"other {name}" for name, _ in network.cells}
    placements = tuple(replace(each, cell=names[each.cell]) for each in network.placements)
    cells_ = tuple((names[name], cell) for name, cell in network.cells)
    assert key(replace(network, cells=cells_, placements=placements)) == key(network)
    assert key(replace(network, head=replace(network.head, classes=77))) != key(network)


def test_deep_cells_have_keys_quickly() -> None:
    """As deep as JSON may say; deeper than Python's stack."""
    chain = one_input([(node, node + 1, CONV) for node in range(2000)], (2000,))
    other = one_input([(node, node + 1, CONV if node != 1000 else AVG) for node in range(2000)], (2000,))
    assert cell_key(chain) != cell_key(other)
    doubling = one_input([(node, node + 1, SKIP) for node in range(500) for _ in range(2)], (500,))
    assert cell_key(doubling) != cell_key(one_input([(0, 1, SKIP)], (1,)))


def test_a_cell_without_connection_has_no_canonical_form() -> None:
    with pytest.raises(NATError, match="no operation leads"):
        canonical_cell(one_input([(0, 1, NULL)], (1,)))
