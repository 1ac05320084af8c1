"""Latency of networks of cells, as the core or an adapter builds them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from nat_plugin.errors import NATError
from nat_plugin.ir import Network, Op, Site, Slot, is_connected
from nat_plugin.ir.costs import slot_sites
from nat_plugin.measuring.latency import NOTHING, PART_INTERVAL, Latency, TimeShare
from nat_plugin.measuring.runtimes import place
from nat_plugin.measuring.settings import LatencySettings
from nat_plugin.nets import build
from nat_plugin.nets.ops import build_op
from nat_plugin.timing import Clock, quickest, repeated_ratio

_SHORT = 8
"""Passes of an op by itself, of which the quickest counts, for each pass of the network."""


class CellLatency(Latency):
    """An op whose layers are known takes what it takes by itself where its cell is placed, in turns with the network;
    any other what it changes in the network as a whole."""

    def __init__(
        self,
        network: Network,
        settings: LatencySettings,
        module: Callable[[Network], nn.Module | None] = lambda _: None,
        clock: Clock | None = None,
    ) -> None:
        self._module, self._sites = module, slot_sites(network)
        self._is_opaque = module(network) is not None
        self._alone: dict[tuple[Op, Site], TimeShare] = {}
        super().__init__(network, settings, clock)

    def module(self, network: Network) -> nn.Module:
        made = self._module(network)
        return build(network) if made is None else made

    def cost(self, slot: Slot, op: Op) -> TimeShare:
        if self._is_opaque:
            return super().cost(slot, op)
        try:
            each = [self._by_itself(op, site) for site in self._sites[slot]]
        except NATError:  # layers that only their framework can build
            return super().cost(slot, op)
        return TimeShare(*(sum(parts) for parts in zip(*((s.value, s.low, s.high) for s in each), strict=True)))

    def difference(self, slot: Slot, own: Op, op: Op) -> float:
        if self._is_opaque:
            return super().difference(slot, own, op)
        return self.share(slot, op).value - self.share(slot, own).value

    def _by_itself(self, op: Op, site: Site) -> TimeShare:
        if not op.layers(site):
            return NOTHING
        known = op, Site(site.c_in, site.c_out, site.stride, site.height, site.width)
        if known not in self._alone:
            compute = self.settings.compute
            image = torch.zeros(self.settings.batch, *site.input, device=compute.device)
            run = self._run(place(build_op(op, site), compute), image.contiguous(memory_format=compute.memory_format))

            def ratio() -> float:
                return quickest(run, self._clock, _SHORT) / quickest(self._own, self._clock, passes=1)

            found = repeated_ratio(ratio, PART_INTERVAL / len(self._sites))
            self._alone[known] = TimeShare(found.ratio, found.low, found.high)
        return self._alone[known]

    def change(self, slot: Slot, op: Op) -> TimeShare:
        ops = [op if each == slot else own for each, own in zip(self.network.slots, self.network.ops, strict=True)]
        network = self.network.with_ops(ops)
        if not is_connected(network):
            return NOTHING
        found = self._compared(self.module(network), PART_INTERVAL)
        return TimeShare(found.ratio - 1, found.low - 1, found.high - 1)
