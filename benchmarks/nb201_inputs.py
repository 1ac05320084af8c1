"""Cells of NAS-Bench-201 as inputs of a policy, with all that each may become, under limits that differ.

A limit is on MACs, or on the latency of an imagined device: no measurement of any device is read. On such a device
every operation takes a time of its own, what surrounds the cells takes another, and the sum is off by some noise, so
that a policy learns to go by what candidates cost on the device at hand and not by what they usually cost. Where it
takes longer to start an operation than to do it, all convolutions take the same, and a skip may be faster than nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from nat_nasbench.nb201 import OPS
from nb201 import EDGES, Reach, Space, digits_of, numbers
from nb201_limits import number_of

from nat_plugin.errors import NATError
from nat_plugin.ir import Budget, Moves
from nat_plugin.ir.budget import METRICS
from nat_plugin.policy.graphs import Graph, build_graph

TIGHTEST = 0.5
DEVICES = 40


@dataclass(frozen=True, eq=False)
class Enumerated:
    """An input. ``choices`` (K, EDGES) and ``cells`` (K,): all connected cells within its limit that one may become."""

    cell: int
    choices: np.ndarray
    cells: np.ndarray
    graph: Graph


def imagine_device(space: Space, rng: np.random.Generator) -> np.ndarray:
    """Latency of every cell as it is written, (CELLS,); infinite where it is not connected."""
    times = {
        "none": 0.0,
        "skip_connect": rng.uniform(-0.2, 0.4),
        "nor_conv_1x1": 1.0,
        "nor_conv_3x3": 10 ** max(0.0, rng.uniform(-0.5, 1)),
        "avg_pool_3x3": rng.choice([rng.uniform(0, 0.2), 10 ** rng.uniform(-1, 0.3)]),
    }
    cells = np.array([times[name] for name in OPS])[digits_of(space.written)].sum(axis=1)
    around = cells[space.connected].mean() * 10 ** rng.uniform(-1.5, 0.3)
    noise = np.exp(rng.normal(0, 10 ** rng.uniform(-3, -1), len(cells)))[space.written]
    total = np.maximum(around + cells, around / 2) * noise
    found: np.ndarray = np.where(space.connected, total, np.inf)
    return found


def draw_inputs(
    space: Space, rules: Iterable[Reach], cells: np.ndarray, limited: tuple[float, float], rng: np.random.Generator
) -> list[Enumerated]:
    """Inputs of these cells, each under one of the rules; a share of them under a limit on MACs, another under one on
    an imagined device, from ``TIGHTEST`` to 1 of what the cell costs. Those that have no choice are left out."""
    reach = list(rules)
    devices = [imagine_device(space, rng) for _ in range(DEVICES)]
    found = []
    for cell in cells.tolist():
        own = reach[rng.integers(len(reach))]
        kind = rng.choice(3, p=[*limited, 1 - sum(limited)]) if space.connected[cell] else 2
        share = f"{rng.uniform(TIGHTEST, 1.0):.2f}x"
        device = devices[rng.integers(DEVICES)]
        budget, costs = Budget(), np.zeros_like(device)
        if kind == 0:
            budget, costs = Budget.parse({"macs": share}), space.macs
        elif kind == 1:
            budget, costs = _on_device(share, device), device
        try:
            moves = Moves(space.networks[cell], own.rule, budget.resolve(space.networks[cell]))
        except NATError:  # nothing legal fits
            continue
        limit = float(moves.limits.values[0][1]) if moves.limits.values else np.inf
        each = _enumerate(space, own, cell, costs, limit, moves)
        if len(each.cells) > 1:
            found.append(each)
    return found


def _on_device(share: str, device: np.ndarray) -> Budget:
    return Budget.parse({"latency": share}, {**METRICS, "latency": lambda network: float(device[number_of(network)])})


def _enumerate(space: Space, reach: Reach, cell: int, costs: np.ndarray, limit: float, moves: Moves) -> Enumerated:
    digits = digits_of(np.array(cell))
    sizes = [len(reach.options[digit]) for digit in digits]
    choices = np.indices(sizes).reshape(EDGES, -1).T
    cells = numbers(reach.table[digits][np.arange(EDGES), choices])
    admitted = space.connected[cells] & (costs[cells] <= limit)
    small = choices[admitted].astype(np.int8), cells[admitted].astype(np.int16)
    return Enumerated(cell, *small, build_graph(moves.network, moves))
