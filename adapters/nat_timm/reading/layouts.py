"""Which channels a value has: runs of channels that come from one layer each, and which of those have to be as many.

A run is a number; runs that meet in a sum are one (``Runs.join``), runs that are read by something that is not
understood are fixed, with the reason. What each kind of layer does to the runs it reads stands in tables
(``nat_timm.reading.coupling``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import lcm


@dataclass(frozen=True)
class ChannelLayout:
    """The channels of a value: its axis, and the runs that stand side by side along it."""

    axis: int
    runs: tuple[int, ...]


@dataclass
class Runs:
    """All runs of a model: which of them are one, how many channels they have, which only go together (``units``), and
    why some cannot change."""

    sizes: list[int] = field(default_factory=list)
    units: list[int] = field(default_factory=list)
    fixed: list[str | None] = field(default_factory=list)
    _above: list[int] = field(default_factory=list)

    def new(self, size: int, fixed: str | None = None) -> int:
        self.sizes.append(size)
        self.units.append(1)
        self.fixed.append(fixed)
        self._above.append(len(self._above))
        return len(self.sizes) - 1

    def root(self, run: int) -> int:
        while self._above[run] != run:
            run = self._above[run]
        return run

    def fix(self, runs: tuple[int, ...], why: str) -> None:
        """The first reason is kept: it is the one nearest to where the channels are made."""
        for run in map(self.root, runs):
            self.fixed[run] = self.fixed[run] or why

    def together(self, runs: tuple[int, ...], unit: int) -> None:
        """Channels of these runs go only in whole units, from their first one on."""
        for run in map(self.root, runs):
            self.units[run] = lcm(self.units[run], unit)

    def join(self, one: tuple[int, ...], other: tuple[int, ...]) -> None:
        """Runs side by side are those of another value, one by one. What does not stand edge to edge is fixed."""
        if [self.sizes[run] for run in one] != [self.sizes[run] for run in other]:
            self.fix((*one, *other), "channels of different layers are added up with different borders")
            return
        for left, right in zip(map(self.root, one), map(self.root, other), strict=True):
            if left == right:
                continue
            first, second = sorted((left, right))
            self._above[second] = first
            self.units[first] = lcm(self.units[first], self.units[second])
            self.fixed[first] = self.fixed[first] or self.fixed[second]

    def size(self, layout: ChannelLayout) -> int:
        return sum(self.sizes[run] for run in layout.runs)


def followed(axis: int, before: tuple[int, ...], after: tuple[int, ...]) -> int | None:
    """The axis of ``after`` where the channels of ``before`` stand once it was pooled, flattened or viewed; None where
    they do not stand in one axis of their own."""
    count = before[axis]
    outside, inside = _product(before[:axis]), _product(before[axis + 1 :])
    if len(before) == len(after) and after[axis] == count:
        return axis
    for place, size in enumerate(after):
        if size == count and _product(after[:place]) == outside:
            rest = _product(after[place + 1 :])
            if rest == inside or len(after) != len(before):
                return place
    return None


def _product(sizes: tuple[int, ...]) -> int:
    found = 1
    for size in sizes:
        found *= size
    return found
