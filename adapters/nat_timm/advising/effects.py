"""What a change of one unit does to the output of a model, from pictures without labels."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from nat_timm.advising.advice import Effect
from nat_timm.advising.running import Cut, Steps
from nat_timm.measuring.statistics import norms
from nat_timm.reading.trace import Trace
from nat_timm.reading.units import Unit

Made: TypeAlias = Callable[[], nn.Module]
"""Gives the moved model, when it is needed."""


@dataclass
class _Sums:
    """Over pictures: squares of what the logits differ, and of what they spread themselves, top-1 that stay, and right
    answers more than before."""

    squares: list[float] = field(default_factory=list)
    spread: float = 0.0
    same: int = 0
    gained: int = 0


def by_block(unit: Unit, module: nn.Module) -> bool:
    """Whether a unit is computed by calling its module with one feature map."""
    return unit.is_block and unit.input is not None and len(inspect.signature(module.forward).parameters) == 1


def output(steps: Steps, cut: Cut, owner: nn.Module) -> Any:
    """What the unit gives in a moved model, or in the model itself."""
    module = owner.get_submodule(cut.unit.path)
    if by_block(cut.unit, module) and cut.unit.input in cut.read:
        assert cut.unit.input is not None
        return module(cut.read[cut.unit.input].clone())
    return steps.inside(cut, owner)


@torch.no_grad()
def effects(
    trace: Trace,
    model: nn.Module,
    changes: Mapping[Unit, Mapping[Any, Made]],
    batches: Sequence[tuple[Tensor, Tensor | None]],
) -> dict[Any, Effect]:
    """Of every change of a unit, by its name. Norms behind a change use the statistics of the batch, as they would be
    estimated anew; so does the model that it is compared with."""
    live = copy.deepcopy(model).eval()
    steps, units = Steps(trace, live), [unit for unit, found in changes.items() if found]
    sums: dict[Any, _Sums] = {}
    for x, y in batches:
        for cut in steps.cuts(x, units):
            with _by_batch(live):
                reference = steps.rest(cut, output(steps, cut, live)).float()
                for name, made in changes[cut.unit].items():
                    moved = made().eval()
                    with _by_batch(moved):
                        value = output(steps, cut, moved)
                    _add(sums.setdefault(name, _Sums()), steps.rest(cut, value).float(), reference, y)
    return {name: _effect(each, batches[0][1] is not None) for name, each in sums.items()}


def _add(sums: _Sums, found: Tensor, reference: Tensor, y: Tensor | None) -> None:
    sums.squares += ((found - reference) ** 2).sum(1).tolist()
    sums.spread += float(((reference - reference.mean(0)) ** 2).sum())
    mine, its = found.argmax(1), reference.argmax(1)
    sums.same += int((mine == its).sum())
    if y is not None:
        sums.gained += int((mine == y).sum()) - int((its == y).sum())


def _effect(sums: _Sums, is_labelled: bool) -> Effect:
    count = len(sums.squares)
    squares = torch.tensor(sums.squares, dtype=torch.float64) * count / max(sums.spread, 1e-30)
    change, deviation = math.sqrt(float(squares.mean())), float(squares.std()) if count > 1 else float(squares.mean())
    error = deviation / math.sqrt(count) / max(2 * change, 1e-12)
    return Effect(change, error, sums.same / count, count, sums.gained / count if is_labelled else None)


@contextmanager
def _by_batch(model: nn.Module) -> Iterator[None]:
    """Norms use the statistics of what they get, and keep their own."""
    found = norms(model)
    momenta = [norm.momentum for norm in found]
    for norm in found:
        norm.training, norm.momentum = True, 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(found, momenta, strict=True):
            norm.training, norm.momentum = False, momentum
