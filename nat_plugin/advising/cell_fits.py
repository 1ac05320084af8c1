"""Ops of a supernet fitted to what the ops that they replace compute, in all placements of their cells."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from nat_plugin.advising.places import Place, module_at, places_of
from nat_plugin.advising.starting import alike
from nat_plugin.fitting.ops import OpFitting
from nat_plugin.fitting.sampling import split_by_size
from nat_plugin.ir import Network, Op, Slot
from nat_plugin.nets import Supernet

BATCH = 64
"""Pictures at a time, whose statistics norms use."""
Residuals: TypeAlias = Mapping[tuple[Slot, Op], float]
"""What fits leave unexplained of the spread of the outputs, the mean of all placements."""


@dataclass(frozen=True)
class CellFits:
    """Fits of what may become of ``network``, by weights that are ``shared``; ``seed`` draws the rows to fit on."""

    shared: Supernet
    network: Network
    seed: int

    @torch.no_grad()
    def alone(self, wanted: Mapping[Slot, Sequence[Op]], images: Tensor) -> Residuals:
        """Give weights to each op that may stand in a slot, by what the network as it is computes; ops that no output
        depends on get none."""
        fits: dict[tuple[Place, Op], OpFitting] = {}
        for slot, ops in wanted.items():
            present = self.network.edge(slot).op
            for place in places_of(self.network, slot):
                for op in ops:
                    module = module_at(self.shared, self.network, place, op)
                    assert module is not None
                    fits[place, op] = OpFitting(module, op.layers(place.site), alike(present, op, place.site))
        residuals_of: dict[tuple[Slot, Op], list[float]] = {}
        for part in split_by_size({key: fit.bytes for key, fit in fits.items()}):
            by_place: dict[Place, list[OpFitting]] = {}
            for place, op in part:
                by_place.setdefault(place, []).append(fits[place, op])
            self._run(by_place, images)
            for place, op in part:
                fit = fits.pop((place, op))
                if fit.has_rows:
                    residuals_of.setdefault((place.slot, op), []).append(fit.install().residual)
        return {key: sum(residuals) / len(residuals) for key, residuals in residuals_of.items()}

    @torch.no_grad()
    def combined(self, moved: Sequence[Network], fitted: Residuals, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The logits of the network and of each moved one for pictures ``x``. What can be ``fitted`` is so in the
        moment in which the pictures reach it, to what the network computes there; ``shared`` stays as it is."""
        changes = [
            {slot: after.edge(slot).op for slot in self.network.slots if (slot, after.edge(slot).op) in fitted}
            for after in moved
        ]
        places = {place: None for ops in changes for slot in ops for place in places_of(self.network, slot)}
        wanted: dict[Place, Tensor] = {}
        with self._noted(places, lambda place, _, y: wanted.update({place: y})):
            own = self.shared(x, self.network)
        return own, [self._in_passing(after, ops, wanted, x) for after, ops in zip(moved, changes, strict=True)]

    def _run(self, fits: Mapping[Place, Sequence[OpFitting]], images: Tensor) -> None:
        number = 0

        def note(place: Place, x: Tensor, y: Tensor) -> None:
            for fit in fits[place]:
                fit.add(x, y, number, len(images), self.seed)

        with self._noted(fits, note):
            for batch in torch.tensor_split(images, -(-len(images) // BATCH)):
                self.shared(batch, self.network)
                number += len(batch)

    @contextmanager
    def _noted(self, places: Mapping[Place, Any], note: Callable[[Place, Tensor, Tensor], None]) -> Iterator[None]:
        """While the network computes, what goes into and comes out of the ops that it has at some places."""
        handles = []
        for place in places:

            def leave(_: nn.Module, given: tuple[Tensor, ...], out: Tensor, place: Place = place) -> None:
                note(place, given[0], out)

            own = module_at(self.shared, self.network, place, self.network.edge(place.slot).op)
            assert own is not None
            handles.append(own.register_forward_hook(leave))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _in_passing(self, after: Network, ops: Mapping[Slot, Op], wanted: Mapping[Place, Tensor], x: Tensor) -> Tensor:
        handles: dict[nn.Module, Any] = {}
        shared = copy.deepcopy(self.shared)
        for slot, op in ops.items():
            for place in places_of(self.network, slot):
                if place in wanted:
                    own, layers = module_at(shared, self.network, place, op), op.layers(place.site)
                    assert own is not None

                    def enter(
                        module: nn.Module, given: tuple[Tensor, ...], layers: Any = layers, y: Tensor = wanted[place]
                    ) -> None:
                        handles.pop(module).remove()
                        fit = OpFitting(module, layers, len(layers))  # it has the weights that are best for it alone
                        fit.add(given[0], y, 0, len(y), self.seed)
                        fit.install()

                    handles[own] = own.register_forward_pre_hook(enter)
        logits: Tensor = shared(x, after)
        return logits
