"""Latency of a timm model: an op by what it changes in its part of the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import takewhile

import torch
from torch import Tensor, nn

from nat_plugin.ir import Network, Op, Slot
from nat_plugin.measuring import EAGER, PART_INTERVAL, Latency, LatencySettings, TimedMetric, TimeShare, place
from nat_plugin.timing import Clock, compare_times, quickest, repeated_ratio, repeated_ratios
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
        made, path = self._moved(slot, op)
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

    def together(self, wanted: Sequence[tuple[Slot, Op]]) -> dict[tuple[Slot, Op], TimeShare]:
        """One change of every part in the same pass, on the CPU, where reading the clock in between takes no time."""
        if self.settings.runtime != EAGER or self.settings.compute.device.type != "cpu":
            return {}
        queues: dict[str, list[tuple[tuple[Slot, Op], nn.Module]]] = {}
        for slot, op in wanted:
            if op != self.network.edge(slot).op and (op.is_null or op in self.network.edge(slot).choices):
                made, path = self._moved(slot, op)
                if path:
                    queues.setdefault(path, []).append(((slot, op), made.get_submodule(path)))
        found: dict[tuple[Slot, Op], TimeShare] = {}
        while queues:
            chosen: list[str] = []
            for path in queues:
                if not any(f"{path}.".startswith(f"{each}.") or f"{each}.".startswith(f"{path}.") for each in chosen):
                    chosen.append(path)
            parts = {path: queues[path].pop() for path in chosen}
            made = _with_parts(self._model, {path: part for path, (_, part) in parts.items()})
            shares = self._changed_parts(made, chosen)
            found |= {change: share for (change, _), share in zip(parts.values(), shares, strict=True)}
            queues = {path: left for path, left in queues.items() if left}
        return found

    def _changed_parts(self, made: nn.Module, paths: Sequence[str]) -> list[TimeShare]:
        """Of each part, what it takes longer than in the original."""
        own, new = self._run(self._model), self._run(made)

        def changes() -> list[float]:
            with _spent_in(self._model, paths, self._clock) as before:
                whole = quickest(own, self._clock, passes=1)
            with _spent_in(made, paths, self._clock) as after:
                new()
            return [(after[path] - before[path]) / whole for path in paths]

        new()
        return [TimeShare(each.ratio, each.low, each.high) for each in repeated_ratios(changes, PART_INTERVAL)]

    def _moved(self, slot: Slot, op: Op) -> tuple[nn.Module, str]:
        """The model with a change, and the path of the part that is another then."""
        ops = [op if each == slot else own for each, own in zip(self.network.slots, self.network.ops, strict=True)]
        after = moved_document(self.network.with_ops(ops))
        made = place(make_moves(shell(self._model), after, apply_edits), self.settings.compute)
        path = _around([path for edit in after.edits if edit.op not in ADAPTATIONS for path in edit.at])
        while path and path not in self._called:
            path = path.rpartition(".")[0]
        return made, path

    @cached_property
    def _called(self) -> frozenset[str]:
        """The paths of the modules that are called, which can be timed: a list of modules is not."""
        found: set[str] = set()
        paths = {module: path for path, module in self._model.named_modules()}
        handles = [module.register_forward_pre_hook(lambda module, _: found.add(paths[module])) for module in paths]
        with torch.no_grad(), self.settings.compute.precision():
            self._model(self._images)
        for handle in handles:
            handle.remove()
        return frozenset(found)

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
        run = self._run(model)

        def ratio() -> float:
            with _spent_in(model, [path], self._clock) as spent:
                whole = quickest(run, self._clock, passes=1)
            return spent[path] / max(whole - spent[path], _LEAST * whole)

        found = repeated_ratio(ratio, PART_INTERVAL)
        return TimeShare(found.ratio, found.low, found.high)


@contextmanager
def _spent_in(model: nn.Module, paths: Sequence[str], clock: Clock) -> Iterator[dict[str, float]]:
    """Seconds that each part takes of what is computed."""
    spent, handles = dict.fromkeys(paths, 0.0), []
    for path in paths:

        def enter(*_: object, path: str = path) -> None:
            spent[path] -= clock.read()

        def leave(*_: object, path: str = path) -> None:
            spent[path] += clock.read()

        module = model.get_submodule(path)
        handles += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]
    try:
        yield spent
    finally:
        for handle in handles:
            handle.remove()


def _with_parts(model: nn.Module, parts: Mapping[str, nn.Module]) -> nn.Module:
    """A copy with other modules at some paths."""
    made = shell(model)
    for path, part in parts.items():
        parent, _, name = path.rpartition(".")
        made.get_submodule(parent)._modules[name] = part
    return made


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
