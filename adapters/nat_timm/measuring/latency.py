"""Latency of a timm model: an op by what it changes in its part of the model."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

import torch
from torch import Tensor, nn

from nat_plugin.ir import Network, Op, Slot
from nat_plugin.measuring import EAGER, PART_INTERVAL, Latency, LatencySettings, TimedMetric, TimeShare, place
from nat_plugin.timing import Clock, compare_times, quickest, repeated_ratio
from nat_timm.building.build import build
from nat_timm.building.entrypoint import attach
from nat_timm.documents.edits import ADAPTATIONS
from nat_timm.models import inherit, make_moves, shell
from nat_timm.moves.network import Reading
from nat_timm.networks import adaptations, moved_document, reading_for, unmoved
from nat_timm.surgery.apply import apply_edits

_LEAST = 1e-6


class TimmLatency(Latency):
    """Of the model as it was before any move, and of what may become of it. In ``eager`` a part is timed in the model,
    as its weights are at hand in the caches when it runs by itself; other runtimes run it by itself."""

    def __init__(self, network: Network, settings: LatencySettings, clock: Clock | None = None) -> None:
        base = adaptations(moved_document(network))
        self._original = build(base, network.input, network.head.classes)
        attach(self._original, base)
        self._parts: dict[str, TimeShare] = {}
        super().__init__(unmoved(network), settings, clock)

    def module(self, network: Network) -> nn.Module:
        return self._original if network == self.network else inherit(self._original, network)

    def change(self, slot: Slot, op: Op) -> TimeShare:
        ops = [op if each == slot else own for each, own in zip(self.network.slots, self.network.ops, strict=True)]
        after = moved_document(self.network.with_ops(ops))
        made = place(make_moves(shell(self._model), after, apply_edits), self.settings.compute)
        path = _around([path for edit in after.edits if edit.op not in ADAPTATIONS for path in edit.at])
        part = None if not path or self.settings.runtime == EAGER else self._input_of(path)
        if part is not None:
            return self._changed_alone(path, made, part)
        if not path or self.settings.runtime != EAGER:
            found = self._compared(made, PART_INTERVAL)
            return TimeShare(found.ratio - 1, found.low - 1, found.high - 1)
        if path not in self._parts:
            self._parts[path] = self._part(self._model, path)
        own = self._parts[path]
        return self._part(made, path).less(own).times(1 / (1 + own.value))

    def _changed_alone(self, path: str, made: nn.Module, image: Tensor) -> TimeShare:
        """Of a part that runs by itself: what it takes of the model, times what changes there."""
        own = self._run(self._model.get_submodule(path), image)
        if path not in self._parts:
            whole = compare_times(self._own, own, self._clock, PART_INTERVAL)
            self._parts[path] = TimeShare(whole.ratio, whole.low, whole.high)
        share = self._parts[path]
        found = compare_times(
            own,
            self._run(made.get_submodule(path), image),
            self._clock,
            PART_INTERVAL / max(share.value, PART_INTERVAL),
        )
        return TimeShare(found.ratio - 1, found.low - 1, found.high - 1).times(share.value)

    def _input_of(self, path: str) -> Tensor | None:
        """What a part reads; None for one that reads anything else than one tensor."""
        seen: list[tuple[object, ...]] = []
        hook = self._model.get_submodule(path).register_forward_pre_hook(lambda _, given: seen.append(given))
        with torch.no_grad(), self.settings.compute.precision():
            self._model(self._images)
        hook.remove()
        one = seen[0] if len(seen) == 1 else ()
        return one[0].detach() if len(one) == 1 and isinstance(one[0], Tensor) else None

    def _part(self, model: nn.Module, path: str) -> TimeShare:
        """The time of a part as a multiple of that of the rest."""
        read, spent = self._clock.read, [0.0]

        def enter(*_: object) -> None:
            spent[0] -= read()

        def leave(*_: object) -> None:
            spent[0] += read()

        def ratio() -> float:
            spent[0] = 0.0
            whole = quickest(run, self._clock, passes=1)
            return spent[0] / max(whole - spent[0], _LEAST * whole)

        module, run = model.get_submodule(path), self._run(model)
        hooks = module.register_forward_pre_hook(enter), module.register_forward_hook(leave)
        found = repeated_ratio(ratio, PART_INTERVAL)
        for hook in hooks:
            hook.remove()
        return TimeShare(found.ratio, found.low, found.high)


def _around(paths: Sequence[str]) -> str:
    """The path of the innermost module that holds all of these, or is all of them."""
    levels = takewhile(lambda names: len(set(names)) == 1, zip(*(path.split(".") for path in paths), strict=False))
    return ".".join(names[0] for names in levels)


class ModelLatency(TimedMetric):
    """For budgets of a recipe: a model is timed when its first network is asked about."""

    def __init__(self, settings: LatencySettings) -> None:
        self._settings = settings
        self._known: dict[Reading, TimmLatency] = {}

    def latency(self, network: Network) -> TimmLatency:
        _, wanted = reading_for(network)
        if wanted not in self._known:
            self._known[wanted] = TimmLatency(network, self._settings)
        return self._known[wanted]
