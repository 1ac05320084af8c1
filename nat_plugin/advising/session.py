"""Advising: measure every change alone, then find and check combinations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from nat_plugin.advising.advice import Advice, Combination, Move, PartShares, Replacement, Savings
from nat_plugin.advising.critic import EffectModel
from nat_plugin.advising.effects import Outputs, added, together
from nat_plugin.advising.front import LATENCY, SavedLatency, front
from nat_plugin.errors import NATError
from nat_plugin.ir import Budget, Choice, Limits, Moves, Network, Op, Slot, cost
from nat_plugin.ir.budget import METRICS, Metric
from nat_plugin.ir.rules import Rule

ROUGH, MORE, BEST = 8, 24, 24
"""Pictures on which every move is compared; further ones, for so many of the best."""
FITTED_ON = 64
"""Pictures at most on which the operations of a combination are fitted."""
NO_SLOWER = "1.001x"
"""Limit of the latency of combinations where no other is given."""
COMBINATIONS, CHECKED = 12, 3
"""Combinations that are looked for, and how many of them are measured."""


@dataclass(frozen=True)
class Change:
    """One op in one slot, all else as it is."""

    slot: Slot
    op: Op


class Subject(ABC):
    """A network with weights and pictures, whose changes can be timed and computed."""

    name: str
    network: Network
    pictures: int
    whole: float
    """Milliseconds of the network as it is, known once ``saved`` was asked."""
    setting: str

    @abstractmethod
    def able(self, changes: Sequence[Change]) -> Sequence[Change]:
        """Those for which there can be weights."""

    @abstractmethod
    def prepare(self, changes: Sequence[Change]) -> Sequence[Change]:
        """Get weights for all changes; returns those that can be computed."""

    @abstractmethod
    def saved(self, changes: Sequence[Change]) -> Mapping[Change, float]:
        """Milliseconds that each saves by itself."""

    @abstractmethod
    def alone(self, changes: Sequence[Change], chosen: Tensor) -> Mapping[Change, Outputs]:
        """The outputs with each change by itself, for the pictures numbered ``chosen``."""

    @abstractmethod
    def combined(self, choices: Sequence[Sequence[Change]], chosen: Tensor) -> Sequence[Outputs]:
        """The outputs with all changes of each choice; what is fitted is fitted in the network as it is by then."""

    @abstractmethod
    def parts(self) -> Iterator[PartShares]:
        """Shares of the whole, in order, once ``saved`` was asked."""

    @abstractmethod
    def accuracy(self) -> float | None: ...

    def to_fit_on(self, chosen: Tensor) -> Tensor:
        """The pictures numbered ``chosen``, and others behind them."""
        others = sorted(set(range(self.pictures)) - set(chosen.tolist()))[: max(0, FITTED_ON - len(chosen))]
        return torch.cat((chosen, torch.tensor(others, dtype=torch.int64)))

    def changed(self, changes: Sequence[Change]) -> Network:
        """The network with other ops."""
        ops = {change.slot: change.op for change in changes}
        pairs = zip(self.network.slots, self.network.ops, strict=True)
        return self.network.with_ops([ops.get(slot, own) for slot, own in pairs])

    def residual(self, change: Change) -> float | None:
        del change
        return None

    def word(self, op: Op) -> str:
        return str(op)


def check_budget(budget: Mapping[str, object] | None) -> None:
    """NATError for a budget that is none, before anything is measured."""
    Budget.parse(budget or {}, {**METRICS, LATENCY: lambda _: 1.0})


def advise_on(
    subject: Subject, rule: Rule, budget: Mapping[str, object] | None = None, combinations: bool = True
) -> Advice:
    """Advise on the network of a subject. ``budget``: limits of ``combinations``, in parameters, MACs or ``latency``.
    NATError for limits that nothing keeps, and where no move is legal."""
    return _Session(subject, rule).advice(budget or {}, combinations)


class _Session:
    def __init__(self, subject: Subject, rule: Rule) -> None:
        self.subject, self.rule, self.network = subject, rule, subject.network
        self.outputs: dict[Change, Outputs] = {}

    def advice(self, budget: Mapping[str, object], combinations: bool) -> Advice:
        subject, (few, further) = self.subject, _drawn(self.subject.pictures)
        self._measure_latency()
        metrics: dict[str, Metric] = {**METRICS, LATENCY: self.latency}
        limits = Budget.parse({LATENCY: NO_SLOWER, **budget}, metrics).resolve(self.network)
        moves = Moves(self.network, self.rule, limits)
        self.outputs.update(subject.alone(self.changes, few))
        best = self._best()
        if len(further):
            more = subject.alone(best, further)
            self.outputs |= {each: together((self.outputs[each], more[each])) for each in best}
        found = sorted((self._move(each) for each in self.changes), key=lambda move: -move.worth)
        some = self._combinations(moves, best, torch.cat((few, further))) if combinations else ()
        return Advice(
            subject.name,
            cost(self.network),
            subject.whole,
            subject.setting,
            subject.pictures,
            tuple(subject.parts()),
            tuple(found),
            some,
            subject.accuracy(),
            self.not_compared,
        )

    def _measure_latency(self) -> None:
        """Of all changes, of which those stay that cost less by a measure: this one too."""
        legal = set(_changes(Moves(self.network, self.rule)))
        able = self.subject.able(_changes(Moves(self.network, self.rule, Limits(held_elsewhere=True))))
        ms = self.subject.saved(able)
        self.changes = self.subject.prepare([each for each in able if each in legal or ms[each] > 0])
        self.not_compared = len(legal) - len(legal.intersection(self.changes))
        if not self.changes:
            raise NATError(f"no move of {self.subject.name} is legal under rules '{self.rule.name}' and has weights")
        self.ms = {each: ms[each] for each in self.changes}
        saved = {(each.slot, each.op): ms[each] for each in self.changes}
        self.latency = SavedLatency(self.subject.whole, saved)

    def _best(self) -> list[Change]:
        """What saves most for its harm: the best of every slot, and of all."""
        order = sorted(self.changes, key=lambda change: -self._move(change).worth)
        first = {change.slot: change for change in reversed(order) if self.ms[change] > 0}
        return list(dict.fromkeys([*order[: BEST // 2], *first.values(), *order]))[:BEST]

    def _move(self, change: Change) -> Move:
        place = self._replacement(change)
        savings = self._savings([change])
        residual = self.subject.residual(change)
        return Move(**vars(savings), **vars(place), effect=self.outputs[change].effect, residual=residual)

    def _replacement(self, change: Change) -> Replacement:
        edge = self.network.edge(change.slot)
        return Replacement(edge.key, self.subject.word(edge.op), self.subject.word(change.op))

    def _savings(self, changes: Sequence[Change]) -> Savings:
        network = self.subject.changed(changes)
        before, after, ms = cost(self.network), cost(network), self.subject.whole - self.latency(network)
        return Savings(before.params - after.params, before.macs - after.macs, ms, ms / self.subject.whole)

    def _combinations(self, moves: Moves, best: Sequence[Change], chosen: Tensor) -> tuple[Combination, ...]:
        """The front, of which some were measured, one after another, so that each is expected by what is known then."""
        choices = [self._of(moves, choice) for choice in front(moves, self._harms(moves, best), COMBINATIONS)]
        sums = [added([self.outputs[change] for change in changes]) for changes in choices]
        critic, found = EffectModel(), dict[int, Combination]()
        checked = _spread(len(choices), CHECKED)
        measured = self.subject.combined([choices[number] for number in checked], chosen) if checked else ()
        for number, outputs in zip(checked, measured, strict=True):
            said = self._combination(critic, choices[number], sums[number])
            critic.observe(sums[number], len(choices[number]), outputs.effect.change)
            found[number] = replace(said, measured=outputs.effect)
        for number, changes in enumerate(choices):
            if number not in found:
                found[number] = self._combination(critic, changes, sums[number])
        ordered = sorted(found.values(), key=lambda each: each.ms)
        return tuple(each for each in ordered if each.measured or not _is_beaten(each, ordered))

    def _harms(self, moves: Moves, best: Sequence[Change]) -> list[np.ndarray]:
        known = {(each.slot, each.op): self.outputs[each].effect.change ** 2 for each in best}
        return [
            np.array([0.0] + [known.get((slot, op), np.inf) for op in ops[1:]])
            for slot, ops in zip(moves.slots, moves.candidates, strict=True)
        ]

    @staticmethod
    def _of(moves: Moves, choice: Choice) -> list[Change]:
        moves.verify(moves.apply(choice))
        slots = zip(moves.slots, moves.ops(choice), choice, strict=True)
        return [Change(slot, op) for slot, op, index in slots if index]

    def _combination(self, critic: EffectModel, changes: Sequence[Change], sums: Outputs) -> Combination:
        expected, low, high = critic.expected(sums, len(changes))
        alike = sums.scaled(expected / max(sums.effect.change, 1e-12)).effect
        places = tuple(self._replacement(change) for change in changes)
        savings = self._savings(changes)
        return Combination(**vars(savings), replacements=places, expected=expected, low=low, high=high,
                           agreement=alike.agreement)  # fmt: skip


def _changes(moves: Moves) -> list[Change]:
    pairs = zip(moves.slots, moves.candidates, strict=True)
    return [Change(slot, op) for slot, ops in pairs for op in ops[1:]]


def _is_beaten(each: Combination, others: Sequence[Combination]) -> bool:
    return any(other.ms >= each.ms and other.change < each.change for other in others)


def _spread(count: int, wanted: int) -> list[int]:
    """Numbers below ``count``, evenly spread, without the ends where there are others."""
    return sorted({round((number + 1) * (count - 1) / (wanted + 1)) for number in range(wanted)}) if count else []


def _drawn(count: int) -> tuple[Tensor, Tensor]:
    """The numbers of the pictures that every change is compared on, and of those for the best, spread over all."""
    if count <= ROUGH:
        return torch.arange(count), torch.arange(0)
    wanted = torch.linspace(0, count - 1, min(count, ROUGH + MORE)).round().long()
    first = torch.linspace(0, len(wanted) - 1, ROUGH).round().long()
    rest = torch.ones(len(wanted), dtype=torch.bool)
    rest[first] = False
    return wanted[first], wanted[rest]
