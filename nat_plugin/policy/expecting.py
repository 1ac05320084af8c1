"""What a critic expects of choices: a graph is built and scored once for all choices that are written the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nat_plugin.ir import NULL, Choice, Edge, Moves, Network, Op, canonical
from nat_plugin.ir.wiring import wiring
from nat_plugin.policy.critic import Critic, Expectation
from nat_plugin.policy.graphs import build_graph

MOST_KNOWN = 50_000
"""Networks that are kept."""
BROKEN = -3.0
"""What is expected of a network whose output does not depend on its input, in deviations among all."""


class Expecting:
    """The expectations of a critic, kept by the networks as they would be written. Not by ``key``: two that are written
    differently and compute the same are described a little differently, and what is expected of one must not depend
    on which was met first."""

    def __init__(self, critic: Critic) -> None:
        self._critic = critic
        self._rows: dict[Network, np.ndarray] = {}
        self._of_ops: dict[tuple[object, ...], dict[tuple[Op, ...], np.ndarray]] = {}
        """By what networks that differ in ops only have in common: rows by ops."""
        self._told: dict[tuple[Network, bytes], np.ndarray] = {}
        self._factors: dict[Network, float] = {}
        self._noise: float | None = None

    def of(self, moves: Moves, choices: Sequence[Choice]) -> Expectation:
        """What is expected of what a network becomes by each of the choices."""
        [found] = self.of_each([(moves, choices)])
        return found

    def told(self, moves: Moves, choices: Sequence[Choice], proxies: np.ndarray) -> Expectation:
        """The same by a critic that is told of proxies (n, names) of what is written, NaN where they are not known."""
        found = self.of(moves, choices)
        known = np.flatnonzero(np.isfinite(proxies).all(axis=1)).tolist()
        named = {at: (canonical(moves.apply(choices[at])), proxies[at].tobytes()) for at in known}
        new = {name: at for at, name in named.items() if name not in self._told}
        if new:
            graphs = [build_graph(network) for network, _ in new]
            more = self._critic.expect(graphs, proxies[list(new.values())])
            self._told.update(zip(new, np.concatenate([more.mean[:, None], more.features], axis=1), strict=True))
        mean, features, factor = found.mean.copy(), found.features.copy(), self._factor(moves.network)
        for at, name in named.items():
            mean[at], features[at] = self._told[name][0], factor * self._told[name][1:]
        return Expectation(mean, features, found.noise)

    def of_each(self, asked: Sequence[tuple[Moves, Sequence[Choice]]]) -> list[Expectation]:
        """The same of several, which takes far less time at once."""
        self._forget_many()
        kinds = [self._of_ops.setdefault(_apart_from_ops(moves.network), {}) for moves, _ in asked]
        texts = [[moves.ops(choice) for choice in choices] for moves, choices in asked]
        self._meet(asked, kinds, texts)
        assert self._noise is not None
        found = []
        for (moves, _), rows, ops in zip(asked, kinds, texts, strict=True):
            whole = np.stack([rows[each] for each in ops]) if ops else np.zeros((0, len(self._broken)))
            found.append(Expectation(whole[:, 0], self._factor(moves.network) * whole[:, 1:], self._noise))
        return found

    def _factor(self, network: Network) -> float:
        if network not in self._factors:
            self._factors[network] = self._critic.familiar.factor(network)
        return self._factors[network]

    def _meet(
        self,
        asked: Sequence[tuple[Moves, Sequence[Choice]]],
        kinds: Sequence[dict[tuple[Op, ...], np.ndarray]],
        texts: Sequence[Sequence[tuple[Op, ...]]],
    ) -> None:
        """See to it that there is a row for all. Each is looked at once: proposals for many inputs meet."""
        new: dict[tuple[int, tuple[Op, ...]], tuple[Moves, dict[tuple[Op, ...], np.ndarray]]] = {
            (id(rows), ops): (moves, rows)
            for (moves, _), rows, some in zip(asked, kinds, texts, strict=True)
            for ops in some
            if ops not in rows
        }
        bare = {(where, ops): _bare(moves, ops) for (where, ops), (moves, _) in new.items()}
        written: dict[tuple[int, tuple[Op, ...]], Network] = {}
        for (where, ops), (moves, rows) in new.items():
            own = bare[where, ops]
            if own is not None and own not in rows and (where, own) not in written:
                written[where, own] = canonical(moves.network.with_ops(own))
        self._learn(list(written.values()))
        for (where, ops), (_, rows) in new.items():
            own = bare[where, ops]
            if own is not None and own not in rows:
                rows[own] = self._rows[written[where, own]]
            rows[ops] = self._broken if own is None else rows[own]

    def _learn(self, written: Sequence[Network]) -> None:
        new = list(dict.fromkeys(each for each in written if each not in self._rows))
        if not new and self._noise is not None:
            return
        found = self._critic.expect([build_graph(each) for each in new])
        self._noise, width = found.noise, found.features.shape[1]
        self._rows.update(zip(new, np.concatenate([found.mean[:, None], found.features], axis=1), strict=True))
        self._broken = np.array([BROKEN, *np.zeros(width)])

    def _forget_many(self) -> None:
        """Everything, once there is too much of it."""
        if max(len(self._rows), sum(map(len, self._of_ops.values()))) > MOST_KNOWN:
            self._rows.clear()
            self._of_ops.clear()
            self._told.clear()
            self._factors.clear()


def _apart_from_ops(network: Network) -> tuple[object, ...]:
    """The same of networks that differ in nothing but the ops of their slots."""
    cells = [
        (name, cell.inputs, cell.nodes, cell.output, cell.project, tuple(map(_place, cell.edges)))
        for name, cell in network.cells
    ]
    return network.placements, network.stem, network.head, network.input, tuple(cells)


def _place(edge: Edge) -> tuple[object, ...]:
    return edge.source, edge.target, edge.key, edge.choices, None if edge.editable else edge.op


def _bare(moves: Moves, ops: tuple[Op, ...]) -> tuple[Op, ...] | None:
    """The ops as they are written, null in the place of what is dead: the same of all that are written the same. None
    for a network whose output does not depend on its input."""
    found = list(ops)
    for name, first, end in moves.parts:
        cell = moves.network.by_name[name]
        state = wiring(cell).state(sum((not op.is_null) << number for number, op in enumerate(ops[first:end])))
        if not state.connected:
            return None
        alive = set(state.edges)
        for number in range(first, end):
            if moves.slots[number].index not in alive:
                found[number] = NULL
    return tuple(found)
