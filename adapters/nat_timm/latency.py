"""Latency on the device at hand: the model measured as a whole, an op by what it changes in its part of the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Any

import torch
from torch import Tensor, nn

from nat_plugin.device import Compute, find_compute
from nat_plugin.ir import Network, Op, Slot
from nat_plugin.ir.layers import Shape
from nat_timm.adapter import adaptations, moved_document, network_of, reading_of
from nat_timm.building import build
from nat_timm.document import Document, parse
from nat_timm.entrypoint import attach
from nat_timm.models import make_moves, shell
from nat_timm.surgery import apply_edits

LATENCY = "latency"
RUNS = 20
"""Passes in a measurement."""
PAIRS = 5
"""How often two things that are compared take turns."""


class Latency:
    """Milliseconds of a forward pass of ``batch`` images, without gradients and in evaluation mode.

    That of a network is estimated: what the model takes, and for every op in a slot of its own what it changes there,
    which is measured once when it is first asked for. ``measured`` says what a whole module takes.
    """

    def __init__(self, document: Document, input: Shape, classes: int, compute: Compute, batch: int = 1) -> None:
        base = adaptations(document)
        self.network = network_of(base, reading_of(base, input, classes), base.render())
        self.batch, self._compute = batch, compute
        self._model = self._placed(build(base, input, classes).eval())
        attach(self._model, base)
        self._image = torch.zeros(batch, *input, device=compute.device).contiguous(memory_format=compute.memory_format)
        self.whole = min(self._time(self._model, (self._image,)) for _ in range(PAIRS))
        self._deltas: dict[tuple[Slot, Op], float] = {}

    def __call__(self, network: Network) -> float:
        ops = zip(self.network.slots, self.network.ops, network.ops, strict=True)
        changed = sum(self._delta(slot, op) for slot, own, op in ops if op != own)
        return max(0.0, self.whole + changed)

    def measured(self, model: nn.Module) -> float:
        """Of a module in evaluation mode, in turns with the model itself."""
        ours, theirs = self._turns(self._model, model, (self._image,))
        return self.whole * theirs / ours

    def _delta(self, slot: Slot, op: Op) -> float:
        if (slot, op) not in self._deltas:
            ops = [op if each == slot else own for each, own in zip(self.network.slots, self.network.ops, strict=True)]
            after = moved_document(self.network.with_ops(ops))
            made = make_moves(shell(self._model), after, apply_edits).eval()
            places = [path for edit in after.edits if edit.op != "stride" for path in edit.at]
            path = _around(places)
            self._deltas[slot, op] = self._difference(path, made.get_submodule(path))
        return self._deltas[slot, op]

    def _difference(self, path: str, changed: nn.Module) -> float:
        own = self._model.get_submodule(path)
        found: list[tuple[Any, ...]] = []
        hook = own.register_forward_pre_hook(lambda _, inputs: found.append(inputs))
        with torch.no_grad():
            self._model(self._image)
        hook.remove()
        ours, theirs = self._turns(own, changed, found[0])
        return len(found) * (theirs - ours)

    def _turns(self, first: nn.Module, second: nn.Module, inputs: tuple[Any, ...]) -> tuple[float, float]:
        """The quickest of several measurements of two modules, in ms."""
        times = [(self._time(first, inputs), self._time(second, inputs)) for _ in range(PAIRS)]
        return min(time for time, _ in times), min(time for _, time in times)

    def _time(self, module: nn.Module, inputs: tuple[Any, ...]) -> float:
        def run() -> Tensor:
            with torch.no_grad(), self._compute.precision():
                found: Tensor = module(*inputs)
            return found

        from torch.utils.benchmark import Timer  # looks for a CUDA compiler, and speaks of it, when it is imported

        timer = Timer("run()", globals={"run": run}, num_threads=torch.get_num_threads())
        return float(timer.timeit(RUNS).mean) * 1e3

    def _placed(self, model: nn.Module) -> nn.Module:
        placed: nn.Module = model.to(device=self._compute.device, memory_format=self._compute.memory_format)  # type: ignore[call-overload]
        return placed


def _around(paths: Sequence[str]) -> str:
    """The path of the innermost module that holds all of these, or is all of them."""
    levels = takewhile(lambda names: len(set(names)) == 1, zip(*(path.split(".") for path in paths), strict=False))
    return ".".join(names[0] for names in levels)


def latency_metric(device: str, batch: int) -> Callable[[Network], float]:
    """For budgets of a recipe: the table of a model is made when its first network is asked about."""
    tables: dict[tuple[Document, Shape, int], Latency] = {}

    def metric(network: Network) -> float:
        assert network.origin is not None
        wanted = (adaptations(parse(network.origin.payload)), network.input, network.head.classes)
        if wanted not in tables:
            tables[wanted] = Latency(*wanted, find_compute(device), batch)
        return tables[wanted](network)

    return metric
