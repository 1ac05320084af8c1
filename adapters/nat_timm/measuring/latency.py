"""Latency on the device at hand: the model measured as a whole, an op by what it changes in its part of the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
import torch
from torch import Tensor, nn

from nat_plugin.device import Compute, find_compute
from nat_plugin.ir import Moves, Network, Op, Slot, find_rule
from nat_plugin.ir.layers import Shape
from nat_plugin.timing import Clock, Ratio, Run, compare, quickest, repeated
from nat_timm.adapter import adaptations, moved_document, network_of, reading_of
from nat_timm.building.build import build
from nat_timm.building.entrypoint import attach
from nat_timm.documents.document import Document, parse
from nat_timm.documents.edits import ADAPTATIONS
from nat_timm.models import inherit, make_moves, shell
from nat_timm.surgery.apply import apply_edits

LATENCY = "latency"
WHOLE = 0.02
"""How wide the interval of the latency of a whole model may be, as a share of it."""
PART = 0.01
"""The same of what an op changes, as a share of the latency of the whole model."""
BLOCKS = 10
"""Of the model by itself."""
SAMPLES = 6
"""Networks that are measured as a whole to see what the sum of changes is worth."""
SCALES = (0.5, 2.0)
"""Least and greatest factor of that sum."""
_LEAST = 1e-6


@dataclass(frozen=True)
class Setting:
    """What latency is of, and how it is measured."""

    batch: int
    device: str
    precision: str
    threads: int
    layout: str
    clock: str

    def __str__(self) -> str:
        threads = f"{self.threads} thread{'s' * (self.threads != 1)}"
        images = f"{self.batch} image{'s' * (self.batch != 1)}"
        return f"{images}, {self.device}, {self.precision}, {threads}, {self.layout}, {self.clock}"


@dataclass(frozen=True)
class Measured:
    """Milliseconds of a whole model with their 95 % interval, what they were estimated as, and as a share of those of
    the original."""

    ms: float
    low: float
    high: float
    estimate: float
    share: float

    def __str__(self) -> str:
        return f"{self.ms:.3g} ms [{self.low:.3g}, {self.high:.3g}] ({self.share:.2f}x, estimated {self.estimate:.3g})"


class Latency:
    """Milliseconds of a forward pass of ``batch`` images, without gradients and in evaluation mode.

    That of a network is estimated: what the model takes, and for every op in a slot of its own what it changes there,
    which is measured once when it is first asked for, in the model and as a share of it. The sum of the changes has a
    factor, which is chosen on random networks.
    ``measured`` says what a network takes as a whole.
    """

    def __init__(
        self,
        document: Document,
        input: Shape,
        classes: int,
        compute: Compute,
        batch: int = 1,
        clock: Clock | None = None,
    ) -> None:
        base = adaptations(document)
        self.network = network_of(base, reading_of(base, input, classes), base.render())
        self._compute, self._clock = compute, clock or Clock.of(compute.device)
        self._model = self._placed(build(base, input, classes).eval())
        attach(self._model, base)
        self._image = torch.zeros(batch, *input, device=compute.device).contiguous(memory_format=compute.memory_format)
        self.setting = Setting(
            batch,
            str(compute.device),
            str(compute.autocast or torch.float32).removeprefix("torch."),
            torch.get_num_threads(),
            str(compute.memory_format).removeprefix("torch."),
            self._clock.name,
        )
        run = self._run(self._model)
        self.whole = 1e3 * min(quickest(run, self._clock) for _ in range(BLOCKS))
        """Of the model itself."""
        self._parts: dict[str, float] = {}
        self._changes: dict[tuple[Slot, Op], float] = {}
        self.factor = 1.0
        self.factor = self._fitting_factor()

    def __call__(self, network: Network) -> float:
        return self.whole * max(0.0, 1 + self.factor * self._changed(network))

    def measured(self, network: Network) -> Measured:
        """Of a network as a whole, in turns with the model itself."""
        made = self._placed(inherit(self._model, network).eval())
        found = self._compared(made, WHOLE)
        ms, low, high = (self.whole * share for share in (found.ratio, found.low, found.high))
        return Measured(ms, low, high, self(network), found.ratio)

    def _changed(self, network: Network) -> float:
        """What the ops of a network change, by parts, as a share of the model."""
        ops = zip(self.network.slots, self.network.ops, network.ops, strict=True)
        return sum(self._change(slot, op) for slot, own, op in ops if op != own)

    def _fitting_factor(self) -> float:
        """By which the sum of changes comes nearest to what random networks change as a whole (least squares)."""
        moves, rng = Moves(self.network, find_rule("nat++")), np.random.default_rng(0)
        networks = dict.fromkeys(moves.apply(moves.sample(rng)) for _ in range(SAMPLES))
        sums = np.array([self._changed(network) for network in networks])
        wholes = np.array([self.measured(network).share - 1 for network in networks])
        if not (sums**2).sum() > 0:
            return 1.0
        return float(np.clip((sums * wholes).sum() / (sums**2).sum(), *SCALES))

    def _change(self, slot: Slot, op: Op) -> float:
        if (slot, op) not in self._changes:
            ops = [op if each == slot else own for each, own in zip(self.network.slots, self.network.ops, strict=True)]
            after = moved_document(self.network.with_ops(ops))
            made = self._placed(make_moves(shell(self._model), after, apply_edits).eval())
            places = [path for edit in after.edits if edit.op not in ADAPTATIONS for path in edit.at]
            self._changes[slot, op] = self._difference(_around(places), made)
        return self._changes[slot, op]

    def _difference(self, path: str, made: nn.Module) -> float:
        """Of a model that differs in what is at a path."""
        if not path:
            return self._compared(made, PART).ratio - 1
        if path not in self._parts:
            self._parts[path] = self._part(self._model, path)
        own = self._parts[path]
        return (self._part(made, path) - own) / (1 + own)

    def _part(self, model: nn.Module, path: str) -> float:
        """The time of a part as a multiple of that of the rest: in the model, as its weights are at hand in the caches
        when it runs by itself."""
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
        run()
        hooks = module.register_forward_pre_hook(enter), module.register_forward_hook(leave)
        found = repeated(ratio, PART)
        for hook in hooks:
            hook.remove()
        return found.ratio

    def _compared(self, made: nn.Module, within: float) -> Ratio:
        """Of a whole model to the model itself."""
        ours, theirs = self._run(self._model), self._run(made)
        theirs()
        return compare(ours, theirs, self._clock, within)

    def _run(self, module: nn.Module) -> Run:
        def run() -> Tensor:
            with torch.no_grad(), self._compute.precision():
                found: Tensor = module(self._image)
            return found

        return run

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
