"""Networks as graphs: arrays of one network (numpy, host), and batches of many as tensors on a device.

Nodes *and* edges of every cell that has slots are vertices, so that messages go node, edge, node. Cells without slots
are left out. Per slot there is a row for each candidate op, the present one first, in the order of ``Moves``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from itertools import accumulate
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch

from nat_plugin.ir import Limits, Moves, Network, Op, live
from nat_plugin.ir.edge_costs import EdgeCosts, edge_costs
from nat_plugin.policy.describe import descriptions, op_number, ops_of
from nat_plugin.policy.headroom import Headroom, find_headroom

Tensor = torch.Tensor
Ends: TypeAlias = tuple[tuple[int, int, bool], ...]

NODE_WIDTH, EDGE_WIDTH, CANDIDATE_WIDTH, GRAPH_WIDTH = 11, 19, 9, 8
"""Numbers of a node, an edge, a candidate and a graph; the meaning is in ``_template``, ``_rows`` and ``_slack``."""
SHARE = 7
"""Where among the numbers of a candidate its share of the headroom is."""
EDGE_HEADROOM, CANDIDATE_HEADROOM, GRAPH_HEADROOM = slice(3, 5), slice(SHARE, SHARE + 2), slice(6, 8)
"""Numbers that say what of the headroom is taken: not for policies that do not see it."""
_METRICS = {"params": 0, "macs": 1}


@dataclass(frozen=True, slots=True)
class Graph:
    """One network: N nodes, E edges, R candidate rows in S slots. Numbers of nodes and edges count from 0."""

    node_x: np.ndarray  # (N, NODE_WIDTH) float32
    edge_x: np.ndarray  # (E, EDGE_WIDTH) float32
    edge_op: np.ndarray  # (E,) op_number
    source: np.ndarray  # (E,) node
    target: np.ndarray  # (E,) node
    rank: np.ndarray  # (E,) zero-based index among the edges into its target
    row_edge: np.ndarray  # (R,) edge
    row_op: np.ndarray  # (R,) op_number
    row_x: np.ndarray  # (R, CANDIDATE_WIDTH) float32
    sizes: np.ndarray  # (S,) candidates of each slot; they add up to R
    graph_x: np.ndarray  # (1, GRAPH_WIDTH) float32

    def __reduce__(self) -> tuple[Any, ...]:
        """To another process, where ops have other numbers, go the ops."""
        numbers, places = np.unique(np.concatenate([self.edge_op, self.row_op]), return_inverse=True)
        edge_op, row_op = np.split(places.astype(self.edge_op.dtype), [len(self.edge_op)])
        return _renumbered, (replace(self, edge_op=edge_op, row_op=row_op)._values(), ops_of(numbers))

    def _values(self) -> tuple[np.ndarray, ...]:
        return tuple(getattr(self, each.name) for each in fields(self))


def _renumbered(values: tuple[np.ndarray, ...], ops: tuple[Op, ...]) -> Graph:
    graph, numbers = Graph(*values), np.array([op_number(op) for op in ops], values[2].dtype)
    return replace(graph, edge_op=numbers[graph.edge_op], row_op=numbers[graph.row_op])


@dataclass(frozen=True)
class Batch:
    """Many graphs as one, numbers counted through; all tensors on one device. U distinct ops."""

    ops: tuple[Op, ...]  # (U,)
    op_x: Tensor  # (U, describe.WIDTH)
    node_x: Tensor  # (N, NODE_WIDTH)
    edge_x: Tensor  # (E, EDGE_WIDTH)
    graph_x: Tensor  # (G, GRAPH_WIDTH)
    row_x: Tensor  # (R, CANDIDATE_WIDTH)
    node_graph: Tensor  # (N,)
    edge_graph: Tensor  # (E,)
    edge_op: Tensor  # (E,) in 0..U-1
    source: Tensor  # (E,) node
    target: Tensor  # (E,) node
    rank: Tensor  # (E,)
    row_edge: Tensor  # (R,) edge
    row_op: Tensor  # (R,) in 0..U-1
    row_graph: Tensor  # (R,)
    sizes: tuple[np.ndarray, ...]  # per graph, (S,): stays on the host
    first: np.ndarray  # (G + 1,) first row of each graph, on the host

    def to(self, device: torch.device, real: torch.dtype = torch.float32) -> Batch:
        """``real``: the type of what is not a whole number."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        tensors = {name: value for name, value in values.items() if isinstance(value, Tensor)}
        moved: dict[str, Any] = {
            name: value.to(device, real if value.is_floating_point() else value.dtype)
            for name, value in tensors.items()
        }
        return replace(self, **moved)


class _CellWiring(NamedTuple):
    """A cell without its ops."""

    name: str
    inputs: int
    ends: Ends
    output: frozenset[int]
    levels: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Template:
    """What all cells of one wiring in one table of edge costs share."""

    node_x: np.ndarray
    edge_x: np.ndarray
    source: np.ndarray
    target: np.ndarray
    rank: np.ndarray
    slots: np.ndarray


@lru_cache(maxsize=8192)
def _template(table: EdgeCosts, depths: tuple[float, ...], wiring: _CellWiring) -> _Template:
    """``depths``: where in the network the placements of the cell are, from 0 to 1."""
    name, inputs, ends, output, levels = wiring
    count, inner = inputs + len(levels), max(1, len(levels))
    depth, spread = sum(depths) / len(depths), max(depths) - min(depths)
    entering, leaving, rank = [0] * count, [0] * count, []
    for source, target, _ in ends:
        rank.append(entering[target])
        entering[target] += 1
        leaving[source] += 1
    position = [
        [(node + 1) / inputs, 0.0] if node < inputs else [0.0, (node - inputs + 1) / inner] for node in range(count)
    ]
    nodes = [
        [
            float(node < inputs),
            float(node >= inputs),
            float(node in output),
            *position[node],
            np.log1p(entering[node]) / 2,
            np.log1p(leaving[node]) / 2,
            ([0] * inputs + list(levels))[node] / 2,
            depth,
            spread,
            0.0,  # alive
        ]
        for node in range(count)
    ]
    edges = []
    for source, target, editable in ends:
        sites = table.sites(name, source, target)
        edges.append([
            0.0, 0.0, 0.0,  # alive, share of the parameters, share of the MACs
            0.0, 0.0,  # shares of the headroom (``Headroom.shares``): of the present and the most expensive op
            float(editable),
            sum(np.log2(site.stride) for site in sites) / len(sites) / 2,
            sum(site.c_in == site.c_out for site in sites) / len(sites),
            np.log1p(len(sites)) / 3,
            sum(np.log2(site.c_in) for site in sites) / len(sites) / 8,
            sum(np.log2(site.height) for site in sites) / len(sites) / 8,
            float(source < inputs),
            *position[source],
            *position[target],
            float(target in output),
            depth,
            spread,
        ])  # fmt: skip
    whole = np.array(ends, np.int64).reshape(-1, 3)
    return _Template(
        np.array(nodes, np.float32).reshape(-1, NODE_WIDTH),
        np.array(edges, np.float32).reshape(-1, EDGE_WIDTH),
        whole[:, 0],
        whole[:, 1],
        np.array(rank, np.int64),
        np.flatnonzero(whole[:, 2]),
    )


@lru_cache(maxsize=65536)
def _options(
    table: EdgeCosts, name: str, source: int, target: int, ops: tuple[Op, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Numbers and costs (params, MACs) of the candidates of a slot."""
    costs = np.array([table.cost(name, source, target, op) for op in ops], float)
    return np.array([op_number(op) for op in ops]), costs


@lru_cache(maxsize=1024)
def _depths(network_places: tuple[str, ...], name: str) -> tuple[float, ...]:
    last = max(1, len(network_places) - 1)
    return tuple(number / last for number, cell in enumerate(network_places) if cell == name)


def build_graph(network: Network, moves: Moves | None = None) -> Graph:
    """The graph of a network with the candidates and limits of its moves; without moves it has neither."""
    table = edge_costs(network)
    places = tuple(placement.cell for placement in network.placements)
    names = dict.fromkeys(slot.cell for slot in network.slots)
    candidates = iter(moves.candidates if moves is not None else ())
    node_x: list[np.ndarray] = []
    edge_x: list[np.ndarray] = []
    source: list[np.ndarray] = []
    target: list[np.ndarray] = []
    rank: list[np.ndarray] = []
    row_edge: list[np.ndarray] = []
    row_op: list[np.ndarray] = []
    costs: list[np.ndarray] = []
    edge_op: list[int] = []
    sizes: list[int] = []
    spent: list[tuple[int, int]] = []
    nodes = edges = 0
    for name in names:
        cell, alive = network.by_name[name], live(network.by_name[name])
        ends = tuple((edge.source, edge.target, edge.editable) for edge in cell.edges)
        levels = tuple(node.level for node in cell.nodes)
        wiring = _CellWiring(name, cell.inputs, ends, frozenset(cell.output), levels)
        template = _template(table, _depths(places, name), wiring)
        own = template.edge_x.copy()
        own[:, 0] = alive.edges
        of_nodes = template.node_x.copy()
        of_nodes[:, -1] = alive.nodes
        for edge, keep in zip(cell.edges, alive.edges, strict=True):
            edge_op.append(op_number(edge.op))
            spent.append(table.cost(name, edge.source, edge.target, edge.op) if keep else (0, 0))
        slots = template.slots if moves is not None else template.slots[:0]
        for number in slots.tolist():
            edge = cell.edges[number]
            numbers, each = _options(table, name, edge.source, edge.target, next(candidates))
            row_op.append(numbers)
            costs.append(each)
            sizes.append(len(numbers))
        row_edge.append(slots + edges)
        node_x.append(of_nodes)
        edge_x.append(own)
        source.append(template.source + nodes)
        target.append(template.target + nodes)
        rank.append(template.rank)
        nodes, edges = nodes + len(of_nodes), edges + len(own)
    limits = moves.limits if moves is not None else Limits()
    used = np.array(spent, float).reshape(-1, 2)
    total = np.maximum(used.sum(axis=0) + table.fixed, 1.0)
    all_edges = _joined(edge_x, (0, EDGE_WIDTH), np.float32)
    all_edges[:, 1:3] = used / total
    counts = np.array(sizes, np.int64)
    each_cost = _joined(costs, (0, 2), np.float64)
    edited = _joined(row_edge, (0,), np.int64)
    headroom = (
        find_headroom(moves, each_cost, counts, used[edited], total)
        if moves is not None and limits.values and sizes
        else None
    )
    if headroom is not None:
        first = np.cumsum(counts) - counts
        all_edges[edited, 3] = headroom.shares[first] * all_edges[edited, 0]
        all_edges[edited, 4] = np.maximum.reduceat(headroom.shares, first)
    return Graph(
        _joined(node_x, (0, NODE_WIDTH), np.float32),
        all_edges,
        np.array(edge_op, np.int64),
        _joined(source, (0,), np.int64),
        _joined(target, (0,), np.int64),
        _joined(rank, (0,), np.int64),
        np.repeat(edited, counts),
        _joined(row_op, (0,), np.int64),
        _rows(each_cost, counts, total, limits, headroom),
        counts,
        _slack(network, total, limits, headroom)[None],
    )


def _joined(parts: list[np.ndarray], empty: tuple[int, ...], kind: type) -> np.ndarray:
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.zeros(empty, kind)


def _rows(
    costs: np.ndarray, sizes: np.ndarray, total: np.ndarray, limits: Limits, headroom: Headroom | None
) -> np.ndarray:
    """Candidates: whether it is the present op; change in params and MACs relative to the network, plain and on a
    scale that spreads small changes; within the limits by itself; share of the slot's alternatives; share of the
    headroom, and whether that is more than there is."""
    first = np.cumsum(sizes) - sizes
    change = (costs - np.repeat(costs[first], sizes, axis=0)) / total
    rows = np.zeros((len(costs), CANDIDATE_WIDTH), np.float32)
    rows[first, 0] = 1
    rows[:, 1:3] = change
    rows[:, 3:5] = np.arcsinh(100 * change) / 3
    rows[:, 5] = 1
    for name, limit in limits.values:
        column = _METRICS.get(name)
        if column is not None:
            rows[:, 5] *= (1 + change[:, column]) * total[column] <= float(limit)
    rows[:, 6] = 1 / np.repeat(sizes, sizes)
    if headroom is not None:
        rows[:, SHARE] = headroom.shares
        rows[:, SHARE + 1] = headroom.shares > 1
    return rows


def _slack(network: Network, total: np.ndarray, limits: Limits, headroom: Headroom | None) -> np.ndarray:
    """The budget left: for params, MACs and the tightest other limit, whether it is there and its headroom relative to
    the network's own value, from -1 to 2; how many times the headroom is spent; which part of the limit it is."""
    values = np.zeros(GRAPH_WIDTH, np.float32)
    for name, limit in limits.values:
        column = _METRICS.get(name, 2)
        own = total[column] if column < 2 else max(limits.metrics[name](network), 1e-9)
        left = float(np.clip(float(limit) / own - 1, -1, 2))
        values[column + 3] = left if not values[column] else min(values[column + 3], left)
        values[column] = 1
    if headroom is not None:
        values[GRAPH_HEADROOM] = headroom.spent, headroom.free
    return values


def build_batch(graphs: Sequence[Graph], device: torch.device | None = None) -> Batch:
    """Many graphs as one, on a device."""

    def joined(name: str) -> np.ndarray:
        return np.concatenate([getattr(graph, name) for graph in graphs])

    nodes = np.array([len(graph.node_x) for graph in graphs])
    edges = np.array([len(graph.edge_x) for graph in graphs])
    rows = np.array([len(graph.row_op) for graph in graphs])
    number = np.arange(len(graphs))
    before, edges_before = np.cumsum(nodes) - nodes, np.cumsum(edges) - edges
    edge_op = joined("edge_op")
    distinct, own = _in_order_of_text(*np.unique(np.concatenate([edge_op, joined("row_op")]), return_inverse=True))
    whole = {
        "op_x": descriptions(distinct),
        "node_x": joined("node_x"),
        "edge_x": joined("edge_x"),
        "graph_x": joined("graph_x"),
        "row_x": joined("row_x"),
        "node_graph": np.repeat(number, nodes),
        "edge_graph": np.repeat(number, edges),
        "edge_op": own[: len(edge_op)],
        "source": joined("source") + np.repeat(before, edges),
        "target": joined("target") + np.repeat(before, edges),
        "rank": joined("rank"),
        "row_edge": joined("row_edge") + np.repeat(edges_before, rows),
        "row_op": own[len(edge_op) :],
        "row_graph": np.repeat(number, rows),
    }
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in whole.items()}
    first = np.array([0, *accumulate(rows.tolist())])
    batch = Batch(ops_of(distinct), sizes=tuple(graph.sizes for graph in graphs), first=first, **tensors)
    return batch if device is None else batch.to(device)


def _in_order_of_text(distinct: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Op numbers, and where each one used is among them. Sums over rows round by their order, so it must not depend on
    which ops this process met first: a run that is resumed meets them in another order."""
    order = np.array(sorted(range(len(distinct)), key=[str(op) for op in ops_of(distinct)].__getitem__), np.int64)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return distinct[order], place[own]
