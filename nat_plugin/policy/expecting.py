"""What a critic expects of choices: a graph is built and scored once for all choices that are written the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nat_plugin.ir import NULL, Choice, Edge, Moves, Network, Op, canonical, key
from nat_plugin.policy.critic import Critic, Expectation
from nat_plugin.policy.graphs import build_graph

MOST_KNOWN = 50_000
"""Networks that are kept."""
BROKEN = -3.0
"""What is expected of a network whose output does not depend on its input, in deviations among all."""


class _Space:
    """Networks that differ in nothing but the ops of their slots, each by a text of its live ops, nothing for those
    whose output does not depend on their input: as they are written, and what they compute where that was asked."""

    def __init__(self) -> None:
        self.written: dict[bytes, Network] = {}
        self._names: dict[bytes, str] = {b"": ""}

    def name(self, text: bytes) -> str:
        """The same of all that compute the same."""
        if text not in self._names:
            self._names[text] = key(self.written[text])
        return self._names[text]


class Expecting:
    """The expectations of a critic, kept by the networks as they would be written. Not by ``key``: two that are written
    differently and compute the same are described a little differently, and what is expected of one must not depend
    on which was met first."""

    def __init__(self, critic: Critic) -> None:
        self._critic = critic
        self._rows: dict[Network, np.ndarray] = {}
        self._spaces: dict[tuple[object, ...], _Space] = {}
        """By what the networks have in common."""
        self._numbers: dict[Op, int] = {}
        """Of ops, from 1 on."""
        self._told: dict[tuple[Network, bytes], np.ndarray] = {}
        self._factors: dict[Network, float] = {}
        self._noise: float | None = None

    def of(self, moves: Moves, choices: Sequence[Choice]) -> Expectation:
        """What is expected of what a network becomes by each of the choices."""
        [found] = self.of_each([(moves, choices)])
        return found

    def as_one(self, asked: Sequence[tuple[Moves, Sequence[Choice]]]) -> list[Expectation]:
        """``of_each``, where of choices that compute the same the mean is expected of each: what is expected of one
        differs a little by how it is written, and the best of several is the most overestimated."""
        expected, spaces, texts = self._of_each(asked)
        found = []
        for each, space, some in zip(expected, spaces, texts, strict=True):
            groups: dict[str, int] = {}
            owner = np.array([groups.setdefault(name, len(groups)) for name in map(space.name, some)], np.int64)
            found.append(each if len(groups) == len(owner) else each.mean_of(owner))
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
        return self._of_each(asked)[0]

    def _of_each(
        self, asked: Sequence[tuple[Moves, Sequence[Choice]]]
    ) -> tuple[list[Expectation], list[_Space], list[list[bytes]]]:
        """And where each is known, by which texts."""
        self._forget_many()
        spaces = [self._space(moves) for moves, _ in asked]
        texts = [
            self._met(space, moves, np.array(choices, np.int64).reshape(len(choices), len(moves.slots)))
            for space, (moves, choices) in zip(spaces, asked, strict=True)
        ]
        pairs = zip(spaces, texts, strict=True)
        written = [[space.written[text] if text else None for text in some] for space, some in pairs]
        self._learn([network for some in written for network in some if network is not None])
        assert self._noise is not None
        found = []
        for (moves, _), some in zip(asked, written, strict=True):
            rows = [self._broken if network is None else self._rows[network] for network in some]
            whole = np.stack(rows) if rows else np.zeros((0, len(self._broken)))
            found.append(Expectation(whole[:, 0], self._factor(moves.network) * whole[:, 1:], self._noise))
        return found, spaces, texts

    def _factor(self, network: Network) -> float:
        if network not in self._factors:
            self._factors[network] = self._critic.familiar.factor(network)
        return self._factors[network]

    def _space(self, moves: Moves) -> _Space:
        return self._spaces.setdefault(_apart_from_ops(moves.network), _Space())

    def _met(self, space: _Space, moves: Moves, choices: np.ndarray) -> list[bytes]:
        """The texts of what choices (n, slots) lead to; what is new is put down."""
        there, alive = moves.live(choices)
        numbers = np.zeros((len(moves.slots), max(map(len, moves.candidates), default=0)), np.int32)
        for slot, ops in enumerate(moves.candidates):
            numbers[slot, : len(ops)] = [self._numbers.setdefault(op, len(self._numbers) + 1) for op in ops]
        written = np.where(alive, numbers[np.arange(len(numbers)), choices], 0)
        texts = [row.tobytes() if fed else b"" for row, fed in zip(written, there.tolist(), strict=True)]
        for number, text in enumerate(texts):
            if text and text not in space.written:
                slots = zip(moves.ops(choices[number].tolist()), alive[number].tolist(), strict=True)
                space.written[text] = canonical(moves.network.with_ops([op if on else NULL for op, on in slots]))
        return texts

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
        if len(self._rows) > MOST_KNOWN:
            self._rows.clear()
            self._spaces.clear()
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
