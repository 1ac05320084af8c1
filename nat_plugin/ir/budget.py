"""Budgets: hard limits on costs, absolute (``params: 2.5M``) or relative to the input (``macs: 0.9x``).

``walk.py`` enforces them: it opens only candidates that can still be completed within every limit. ``Moves.verify``
checks the result.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TypeAlias

from nat_plugin.errors import NATError
from nat_plugin.ir.canonical import live_ops
from nat_plugin.ir.costs import cost
from nat_plugin.ir.network import Network, Slot
from nat_plugin.ir.ops import Op

Metric: TypeAlias = Callable[[Network], float]


class ListedMetric(ABC):
    """A metric whose limits hold for a list of networks and few others, so that walks have to be told which."""

    @abstractmethod
    def __call__(self, network: Network) -> float: ...

    @abstractmethod
    def like(self, network: Network) -> Sequence[Network]:
        """Those of the list that differ from a network in the ops of editable edges only."""


class BySlot(ABC):
    """A metric that can say of a single op about how much it changes."""

    @abstractmethod
    def __call__(self, network: Network) -> float: ...

    @abstractmethod
    def change(self, network: Network, slot: Slot, op: Op) -> float:
        """By how much the network takes more with the op in that slot."""


class Additive(BySlot):
    """A metric that is a sum: what is always there, and of every live op what it takes in its slot. What is null or
    dead takes nothing."""

    @property
    @abstractmethod
    def fixed(self) -> float: ...

    @abstractmethod
    def of(self, slot: Slot, op: Op) -> float:
        """What an op takes, which is not null."""

    def change(self, network: Network, slot: Slot, op: Op) -> float:
        after, before = (0.0 if each.is_null else self.of(slot, each) for each in (op, network.edge(slot).op))
        return after - before

    def __call__(self, network: Network) -> float:
        return self.fixed + sum(self.of(slot, op) for slot, op in live_ops(network) if not op.is_null)


METRICS: Mapping[str, Metric] = {
    "params": lambda network: cost(network).params,
    "macs": lambda network: cost(network).macs,
}
_SUFFIXES = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "B": 10**9}
_LIMIT = re.compile(r"([0-9]{1,24}(?:\.[0-9]{1,22})?)\s*(x|%|[kKMGB]?|ms)")


@dataclass(frozen=True)
class Limit:
    """One limit: a metric, and a value that is absolute or a multiple of the input's."""

    metric: str
    value: Fraction
    relative: bool

    def __str__(self) -> str:
        """The value exactly, as it can be parsed again."""
        whole, rest = divmod(self.value, 1)
        decimals = f"{int(rest * 10**24):024}".rstrip("0")
        return f"{whole}{'.' * bool(decimals)}{decimals}{'x' if self.relative else ''}"


@dataclass(frozen=True)
class Budget:
    """Any set of limits, not yet held against a network, and how their metrics are measured."""

    limits: tuple[Limit, ...] = ()
    metrics: Mapping[str, Metric] = field(default_factory=lambda: METRICS, compare=False)

    @staticmethod
    def parse(settings: Mapping[str, object], metrics: Mapping[str, Metric] = METRICS) -> Budget:
        """From ``{'macs': '0.9x', 'params': '2.5M'}``; ``60%`` is ``0.6x``. NATError for anything else."""
        if not isinstance(settings, Mapping):
            raise NATError(f"budget: must be a mapping such as {{'macs': '0.9x'}}, not {settings!r:.60}")
        limits = []
        for name, value in settings.items():
            if name not in metrics:
                raise NATError(f"budget: unknown metric '{name}'; allowed: {', '.join(metrics)}")
            match = _LIMIT.fullmatch(str(value).strip()) if not isinstance(value, bool) else None
            if match is None:
                raise NATError(f"budget: {name}={str(value)[:40]!r} is not a limit; write 0.9x, 60%, 2.5M or 300000")
            number, unit = Fraction(match[1]), match[2]
            if unit == "ms" and name in METRICS:
                raise NATError(f"budget: {name}={str(value)[:40]!r}: {name} are not measured in milliseconds")
            if unit in ("x", "%"):
                limits.append(Limit(name, number / (100 if unit == "%" else 1), True))
            else:
                limits.append(Limit(name, number * _SUFFIXES.get(unit, 1), False))
        return Budget(tuple(limits), metrics)

    def resolve(self, network: Network) -> Limits:
        """The limits in absolute numbers, relative ones against ``network``."""
        values: dict[str, Fraction] = {}
        for limit in self.limits:
            value = limit.value * (self._measured(limit.metric, network) if limit.relative else 1)
            values[limit.metric] = min(value, values.get(limit.metric, value))
        return Limits(tuple(values.items()), self.metrics)

    def relative_to(self, network: Network) -> Budget:
        """The same budget with absolute limits as multiples of what ``network`` costs, to be used at another size."""
        return Budget(
            tuple(
                limit
                if limit.relative
                else Limit(limit.metric, limit.value / self._measured(limit.metric, network), True)
                for limit in self.limits
            ),
            self.metrics,
        )

    def _measured(self, name: str, network: Network) -> Fraction:
        value = self.metrics[name](network)
        if not math.isfinite(value):
            raise NATError(f"budget: the {name} of the input is not known; give an absolute limit, or none")
        return Fraction(value)


@dataclass(frozen=True)
class Limits:
    """Absolute limits by metric. ``held_elsewhere``: others of them are held by who measures networks as a whole."""

    values: tuple[tuple[str, Fraction], ...] = ()
    metrics: Mapping[str, Metric] = field(default_factory=lambda: METRICS, compare=False)
    held_elsewhere: bool = False

    def without(self, name: str) -> Limits:
        """The others, where who calls holds networks to this one."""
        return replace(self, values=tuple(each for each in self.values if each[0] != name), held_elsewhere=True)

    def broken(self, network: Network) -> list[str]:
        """A line for every limit that the network exceeds."""
        lines = []
        for name, limit in self.values:
            value = self.metrics[name](network)
            if not value <= limit:
                lines.append(f"{name} {plain_amount(value)} exceeds the limit {plain_amount(limit)}")
        return lines

    def fit(self, network: Network) -> bool:
        return all(self.metrics[name](network) <= limit for name, limit in self.values)


def plain_amount(value: float | Fraction) -> str:
    """A cost or a limit for messages; of a limit on whole numbers, what is allowed."""
    if isinstance(value, int) or not math.isfinite(value):
        return f"{value:,}"
    return f"{math.floor(value):,}" if value >= 1000 or value == math.floor(value) else f"{float(value):,.4g}"
