"""Devices that are made up, so that a policy learns to go by what candidates cost on the device at hand and not by what
they usually cost. No measurement of any device is read.

On each the time of an operation grows with its MACs to some power: at 0 it takes longer to start one than to do it, and
all take the same. Every kind of operation is faster or slower than that by a factor, what has no MACs takes a time of
its own, a skip may be faster than nothing. What surrounds the cells takes another time; the sum is off by some noise.
"""

from __future__ import annotations

import numpy as np

from nat_plugin.ir import Network, Op, Role, Slot
from nat_plugin.ir.edge_costs import edge_costs
from nat_plugin.policy.training.spaces import NONE, Kinds, SlotSpace, place


class Device:
    """Latencies of the networks of a space on a device that is drawn by a seed alone."""

    def __init__(self, space: SlotSpace, kinds: Kinds, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self._space, self._kinds, self._seed = space, kinds, seed
        self._power = max(0.0, rng.uniform(-0.5, 1.05))
        self._skip = rng.uniform(-0.2, 0.4)
        self._around = 10 ** rng.uniform(-1.5, 0.3)
        self._noise = 10 ** rng.uniform(-3, -1)
        self._unit = _least_macs(space.network)
        self._times: list[list[float]] = [[] for _ in space.network.slots]
        self._time_around = self._around * self._typical()
        self._known, self._forgotten = np.zeros(0), space.forgotten

    def latencies(self) -> np.ndarray:
        """Of all rows of the space, (rows,); infinite where the kind is ``NONE``."""
        count = len(self._space)
        if self._forgotten != self._space.forgotten:
            self._known, self._forgotten = np.zeros(0), self._space.forgotten
        if count > len(self._known):
            self._known = np.concatenate([self._known, self._measure(len(self._known), count)])
        return self._known

    def latency(self, network: Network) -> float:
        """A metric of budgets."""
        row = self._space.row(network)
        return float(self.latencies()[row])

    def _measure(self, first: int, end: int) -> np.ndarray:
        space = self._space
        codes, live, kinds = space.codes[first:end], space.live[first:end], space.kinds[first:end]
        cells = np.zeros(end - first)
        for slot, own in enumerate(self._times):
            own += [self._time(slot, op) for op in space.ops(slot)[len(own) :]]
            cells += np.array(own)[codes[:, slot]] * live[:, slot]
        noise = np.exp(self._noise * np.array([self._draw(kind) for kind in kinds.tolist()]))
        total = np.maximum(self._time_around + cells, self._time_around / 2) * noise
        found: np.ndarray = np.where(kinds == NONE, np.inf, total)
        return found

    def _draw(self, kind: int) -> float:
        """A number from -1.7 to 1.7 of mean 0 and deviation 1 for all networks that compute the same."""
        return 0.0 if kind == NONE else (place(self._seed, self._kinds.name(kind)) - 0.5) * np.sqrt(12)

    def _time(self, slot: int, op: Op) -> float:
        """Of an op in all placements of a slot, in units of the leanest that there is."""
        network = self._space.network
        where = network.slots[slot]
        edge = network.edge(where)
        table = edge_costs(network)
        sites = len(table.sites(where.cell, edge.source, edge.target))
        if op.role is Role.NULL:
            return 0.0
        macs = table.cost(where.cell, edge.source, edge.target, op)[1] / sites
        if op.role is Role.SKIP and not macs:
            return sites * self._skip
        own = place(self._seed, op.kind)
        if not macs:
            return sites * (0.2 * own if place(self._seed, op.kind, "slow") < 0.5 else 10 ** (1.3 * own - 1))
        return float(sites * 10 ** (0.6 * own - 0.3) * (macs / self._unit) ** self._power)

    def _typical(self) -> float:
        """What the cells of a network take on average, where every op that is legal in a slot is as frequent."""
        slots = enumerate(self._space.network.slots)
        times = [np.mean([self._time(at, op) for op in _legal(self._space.network, slot)]) for at, slot in slots]
        return max(float(np.sum(times)), 1e-3)


def _legal(network: Network, slot: Slot) -> list[Op]:
    """The ops that can stand in a slot."""
    edge = network.edge(slot)
    sites = edge_costs(network).sites(slot.cell, edge.source, edge.target)
    return [op for op in dict.fromkeys((edge.op, *edge.choices)) if all(op.legal(site) for site in sites)]


def _least_macs(network: Network) -> float:
    """MACs of the leanest op with any, at one site."""
    table, found = edge_costs(network), []
    for slot in network.slots:
        edge = network.edge(slot)
        sites = len(table.sites(slot.cell, edge.source, edge.target))
        found += [
            table.cost(slot.cell, edge.source, edge.target, op)[1] / sites
            for op in _legal(network, slot)
        ]  # fmt: skip
    return min((macs for macs in found if macs), default=1.0)
