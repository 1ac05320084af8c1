"""What a model gives where one unit of it is another, without computing what comes before it anew."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from nat_timm.measuring.statistics import norms
from nat_timm.reading.running import Cut, Steps
from nat_timm.reading.trace import Trace
from nat_timm.reading.units import ModelUnit
from nat_timm.surgery.replacements import Passed

Made: TypeAlias = Callable[[], nn.Module]
"""Gives the moved model, or what is needed of it, when it is needed."""


def by_block(unit: ModelUnit, module: nn.Module) -> bool:
    """Whether a unit is computed by calling its module with one feature map."""
    return unit.is_block and unit.input is not None and len(inspect.signature(module.forward).parameters) == 1


def only(path: str, module: nn.Module) -> nn.Module:
    """A model of which there is nothing but the module at a path."""
    *parents, last = path.split(".")
    top = owner = nn.Module()
    for name in parents:
        owner.add_module(name, nn.Module())
        owner = owner.get_submodule(name)
    owner.add_module(last, module)
    return top


def output(steps: Steps, cut: Cut, owner: nn.Module) -> Any:
    """What the unit gives in a moved model, or in the model itself."""
    module = owner.get_submodule(cut.unit.path)
    is_called = by_block(cut.unit, module) or isinstance(module, Passed)
    if is_called and cut.unit.input in cut.read:
        assert cut.unit.input is not None
        return module(cut.read[cut.unit.input].clone())
    return steps.inside(cut, owner)


@torch.no_grad()
def logits(
    trace: Trace, model: nn.Module, changes: Mapping[ModelUnit, Mapping[Any, Made]], x: Tensor
) -> tuple[Tensor, dict[Any, Tensor]]:
    """Of the model, and with each change of a unit by itself, for pictures ``x``. Norms use the statistics of the
    pictures, as they would be estimated anew: those of the model fit no more behind a change."""
    live = copy.deepcopy(model).eval()
    steps, found = Steps(trace, live), dict[Any, Tensor]()
    with by_batch(live):
        own: Tensor = live(x)
        for cut in steps.cuts(x, [unit for unit, each in changes.items() if each]):
            for name, made in changes[cut.unit].items():
                moved = made().eval()
                with by_batch(moved):
                    value = output(steps, cut, moved)
                found[name] = steps.rest(cut, value).float()
    return own.float(), found


@contextmanager
def by_batch(model: nn.Module) -> Iterator[None]:
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
