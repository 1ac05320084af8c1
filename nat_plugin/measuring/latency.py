"""Latency on the device at hand: a network measured as a whole, and estimated as a sum over its ops."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import nn

from nat_plugin.ir import NULL, Moves, Network, Op, Slot, find_rule
from nat_plugin.ir.budget import BySlot
from nat_plugin.ir.canonical import live_ops
from nat_plugin.measuring.runtimes import check_runtime, place, runner
from nat_plugin.measuring.settings import LatencySetting, LatencySettings
from nat_plugin.timing import Clock, Ratio, Run, compare_times, quickest

LATENCY = "latency"
WHOLE_INTERVAL = 0.02
"""How wide the interval of the latency of a whole network may be, as a share of it."""
PART_INTERVAL = 0.01
"""The same of what an op changes, as a share of the latency of the whole network."""
BLOCKS = 10
"""Of the network by itself."""
SAMPLES = 6
"""Networks that are measured as a whole to see what the sum of changes is worth."""
SCALES = (0.5, 2.0)
"""Least and greatest factor of that sum."""


@dataclass(frozen=True)
class TimeShare:
    """A time as a share of that of the whole network, with its 95 % interval."""

    value: float
    low: float
    high: float

    def less(self, other: TimeShare) -> TimeShare:
        """The difference; its interval is as wide as two independent errors make it."""
        below = float(np.hypot(self.value - self.low, other.high - other.value))
        above = float(np.hypot(self.high - self.value, other.value - other.low))
        value = self.value - other.value
        return TimeShare(value, value - below, value + above)

    def times(self, factor: float) -> TimeShare:
        return TimeShare(*(factor * each for each in (self.value, self.low, self.high)))


NOTHING = TimeShare(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class MeasuredLatency:
    """Milliseconds of a whole network with their 95 % interval, what they were estimated as, and as a share of those of
    the original."""

    ms: float
    low: float
    high: float
    estimate: float
    share: float

    def __str__(self) -> str:
        return f"{self.ms:.3g} ms [{self.low:.3g}, {self.high:.3g}] ({self.share:.2f}x, estimated {self.estimate:.3g})"


class TimedMetric(BySlot):
    """A metric of budgets: milliseconds, estimated by what can time whole networks, too."""

    @abstractmethod
    def latency(self, network: Network) -> Latency:
        """What times a network and what may become of it."""

    def change(self, network: Network, slot: Slot, op: Op) -> float:
        return self.latency(network).difference(slot, network.edge(slot).op, op)

    def __call__(self, network: Network) -> float:
        return self.latency(network)(network)


class Latency(ABC):
    """Milliseconds of a forward pass, without gradients and in evaluation mode.

    That of a network is estimated: what the original takes, and for every op in a slot of its own what it changes
    there, which is measured once when it is first asked for. The sum of the changes has a factor, which is chosen on
    random networks. ``measured`` says what a network takes as a whole. What derives from this says how a network
    becomes a module and what an op takes.
    """

    def __init__(self, network: Network, settings: LatencySettings, clock: Clock | None = None) -> None:
        check_runtime(settings)
        self.network, self.settings = network, settings
        compute = settings.compute
        with settings.on_threads():
            self._clock = clock or Clock.of(compute.device)
            self.setting = LatencySetting.of(settings, self._clock.name)
            image = torch.zeros(settings.batch, *network.input, device=compute.device)
            self._images = image.contiguous(memory_format=compute.memory_format)
            self._model = place(self.module(network), compute)
            self._own = self._run(self._model)
            self.whole = 1e3 * min(quickest(self._own, self._clock) for _ in range(BLOCKS))
            """Of the original."""
        self._changes: dict[tuple[Slot, Op], TimeShare] = {}
        self._costs: dict[tuple[Slot, Op], TimeShare] = {}

    @abstractmethod
    def module(self, network: Network) -> nn.Module:
        """What is timed."""

    @abstractmethod
    def change(self, slot: Slot, op: Op) -> TimeShare:
        """What an op changes that takes the place of the one in a slot, as a share of the original."""

    def prepare(self, wanted: Sequence[tuple[Slot, Op]]) -> None:
        """Measure together what can be, of changes that are asked for next."""
        with self.settings.on_threads():
            self._changes |= self.together([each for each in wanted if each not in self._changes])

    def together(self, wanted: Sequence[tuple[Slot, Op]]) -> dict[tuple[Slot, Op], TimeShare]:
        """``change`` of those that can be measured in the same passes; none, if left out."""
        del wanted
        return {}

    def cost(self, slot: Slot, op: Op) -> TimeShare:
        """What an op takes in a slot, as a share of the original: more than nothing being there. Where a slot cannot be
        null, more than the op that is there."""
        edge = self.network.edge(slot)
        found = self._change(slot, op)
        return found if edge.op.is_null or NULL not in edge.choices else found.less(self._change(slot, NULL))

    def difference(self, slot: Slot, original: Op, op: Op) -> float:
        """What it changes that another op is alive in a slot. Of an op that was alive nothing else has to be timed."""
        edge = self.network.edge(slot)
        if original == edge.op and op in edge.choices:
            return self._change(slot, op).value
        return self.share(slot, op).value - self.share(slot, original).value

    def _change(self, slot: Slot, op: Op) -> TimeShare:
        """``change``, measured once."""
        if op == self.network.edge(slot).op:
            return NOTHING
        if (slot, op) not in self._changes:
            with self.settings.on_threads():
                self._changes[slot, op] = self.change(slot, op)
        return self._changes[slot, op]

    def share(self, slot: Slot, op: Op) -> TimeShare:
        """``cost``, measured once; null takes nothing."""
        if op.is_null:
            return NOTHING
        if (slot, op) not in self._costs:
            with self.settings.on_threads():
                self._costs[slot, op] = self.cost(slot, op)
        return self._costs[slot, op]

    def __call__(self, network: Network) -> float:
        return self.whole * max(0.0, 1 + self.factor * self._changed(network))

    def measured(self, network: Network, estimate: float | None = None) -> MeasuredLatency:
        """Of a network as a whole, in turns with the original. ``estimate``: by whoever else made one."""
        with self.settings.on_threads():
            found = self._compared(self.module(network), WHOLE_INTERVAL)
        ms, low, high = (self.whole * share for share in (found.ratio, found.low, found.high))
        return MeasuredLatency(ms, low, high, self(network) if estimate is None else estimate, found.ratio)

    def _changed(self, network: Network) -> float:
        """What the live ops of a network change, as a share of the original."""
        pairs = zip(live_ops(self.network), live_ops(network), strict=True)
        return sum(self.difference(slot, own, op) for (slot, own), (_, op) in pairs if op != own)

    @cached_property
    def factor(self) -> float:
        """By which the sum of changes comes nearest to what random networks change as a whole (least squares)."""
        moves, rng = Moves(self.network, find_rule("nat++")), np.random.default_rng(0)
        networks = dict.fromkeys(moves.apply(moves.sample(rng)) for _ in range(SAMPLES))
        sums = np.array([self._changed(network) for network in networks])
        wholes = np.array([self.measured(network, 0.0).share - 1 for network in networks])
        if not (sums**2).sum() > 0:
            return 1.0
        return float(np.clip((sums * wholes).sum() / (sums**2).sum(), *SCALES))

    def _compared(self, module: nn.Module, within: float) -> Ratio:
        """Of a whole network to the original."""
        return compare_times(self._own, self._run(place(module, self.settings.compute)), self._clock, within)

    def _run(self, module: nn.Module, images: torch.Tensor | None = None) -> Run:
        return runner(module, self._images if images is None else images, self.settings)
