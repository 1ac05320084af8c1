"""A trained network of cells and pictures, whose changes can be timed and computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from nat_plugin.advising.advice import PartShares
from nat_plugin.advising.cell_fits import CellFits
from nat_plugin.advising.effects import Outputs
from nat_plugin.advising.inheriting import supernet_of
from nat_plugin.advising.session import Change, Subject
from nat_plugin.advising.starting import inherits, is_fitted
from nat_plugin.advising.timing import Stopwatch
from nat_plugin.device import Compute
from nat_plugin.ir import Network, Op, Site, Slot, cost
from nat_plugin.ir.costs import slot_sites
from nat_plugin.ir.edge_costs import edge_costs
from nat_plugin.nets.fixed import CellNetwork
from nat_plugin.nets.ops import build_op


class CellSubject(Subject):
    """``trained`` is of ``network``. An op of a cell changes wherever the cell is placed."""

    def __init__(
        self,
        name: str,
        network: Network,
        trained: CellNetwork,
        images: Tensor,
        labels: Tensor | None,
        compute: Compute,
        seed: int = 0,
    ) -> None:
        self.name, self.network, self.labels = name, network, labels
        self._trained = trained.eval().to(device=compute.device, memory_format=compute.memory_format)  # type: ignore[call-overload]
        self._images, self._compute, self._watch = self._placed(images, compute), compute, Stopwatch(compute)
        self.pictures, self.setting = len(images), self._watch.setting
        self._sites, self._seed = slot_sites(network), seed
        self._alone: dict[tuple[Op, Site], float] = {}

    @staticmethod
    def _placed(images: Tensor, compute: Compute) -> Tensor:
        return images.to(compute.device).contiguous(memory_format=compute.memory_format)

    def able(self, changes: Sequence[Change]) -> Sequence[Change]:
        return [each for each in changes if self._is(is_fitted, each) or self._is(inherits, each)]

    def prepare(self, changes: Sequence[Change]) -> Sequence[Change]:
        """Those whose op is fitted, has weights of the one that it replaces, or needs none."""
        fitted = self._by_slot([each for each in changes if self._is(is_fitted, each)])
        ready = [each for each in changes if self._is(inherits, each)]
        ops = {slot: dict.fromkeys((*each, *fitted[slot])) for slot, each in self._by_slot(ready).items()}
        self._shared = supernet_of(self._trained, self.network, {slot: list(each) for slot, each in ops.items()})
        self._fits = CellFits(self._shared, self.network, self._seed)
        self._residuals = self._fits.alone(fitted, self._images)
        return [each for each in changes if each in ready or (each.slot, each.op) in self._residuals]

    def _is(self, able: Callable[[Op, Op, Sequence[Site]], bool], change: Change) -> bool:
        return able(self._own(change), change.op, self._sites[change.slot])

    def _by_slot(self, changes: Sequence[Change]) -> dict[Slot, list[Op]]:
        return {slot: [each.op for each in changes if each.slot == slot] for slot in self.network.slots}

    def _own(self, change: Change) -> Op:
        return self.network.edge(change.slot).op

    @torch.no_grad()
    def saved(self, changes: Sequence[Change]) -> Mapping[Change, float]:
        image = self._images[:1]
        self.whole = self._watch(partial(self._trained, image))
        return {
            each: sum(self._ms(self._own(each), site) - self._ms(each.op, site) for site in self._sites[each.slot])
            for each in changes
        }

    def _ms(self, op: Op, site: Site) -> float:
        """Of an op by itself."""
        if op.is_null or not op.layers(site):
            return 0.0
        known = op, Site(site.c_in, site.c_out, site.stride, site.height, site.width)
        if known not in self._alone:
            module = build_op(op, site).eval().to(self._compute.device)
            image = self._placed(torch.zeros(1, *site.input), self._compute)
            self._alone[known] = self._watch(partial(module, image))
        return self._alone[known]

    @torch.no_grad()
    def alone(self, changes: Sequence[Change], chosen: Tensor) -> Mapping[Change, Outputs]:
        x, labels = self._chosen(chosen), self._labels(chosen)
        original = self._shared(x, self.network)
        return {each: Outputs(self._shared(x, self.changed([each])), original, labels) for each in changes}

    def combined(self, choices: Sequence[Sequence[Change]], chosen: Tensor) -> Sequence[Outputs]:
        moved = [self.changed(each) for each in choices]
        x = self._chosen(self.to_fit_on(chosen))
        own, found = self._fits.combined(moved, self._residuals, x)
        labels, count = self._labels(chosen), len(chosen)
        return [Outputs(each[:count], own[:count], labels) for each in found]

    def _chosen(self, numbers: Tensor) -> Tensor:
        return self._images[numbers.to(self._images.device)]

    def _labels(self, numbers: Tensor) -> Tensor | None:
        return None if self.labels is None else self.labels[numbers].to(self._images.device)

    def residual(self, change: Change) -> float | None:
        return self._residuals.get((change.slot, change.op))

    def parts(self) -> Iterator[PartShares]:
        """The op of every slot wherever it is placed, the classifier, and all else."""
        whole, table, left = cost(self.network), edge_costs(self.network), [1.0, 1.0, 1.0]
        linear = self._trained.classifier
        features = torch.zeros(1, linear.in_features, device=self._compute.device)
        with torch.no_grad():
            ms = self._watch(partial(linear, features))
        params = linear.weight.numel() + linear.bias.numel()
        taken = {"classifier": (params, linear.weight.numel(), ms)}
        for slot in self.network.slots:
            edge = self.network.edge(slot)
            if not edge.op.is_null:
                costs = table.cost(slot.cell, edge.source, edge.target, edge.op)
                taken[edge.key] = *costs, sum(self._ms(edge.op, site) for site in self._sites[slot])
        for name, (params, macs, spent) in taken.items():
            shares = params / whole.params, macs / whole.macs, spent / self.whole
            left = [each - share for each, share in zip(left, shares, strict=True)]
            yield PartShares(name, *shares)
        yield PartShares("all else", *(max(0.0, each) for each in left))

    @torch.no_grad()
    def accuracy(self) -> float | None:
        if self.labels is None:
            return None
        found = torch.cat([self._trained(x).argmax(1) for x in torch.split(self._images, 64)])
        return float((found.cpu() == self.labels).float().mean())
