"""Whether two models are the same, and the first module in which they differ, in words."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nat_plugin import NATError
from nat_timm.building.build import has_fixed_size, input_size
from nat_timm.framework import said
from nat_timm.reading.units import is_activation

_NOTHING = ("Identity", "Dropout", "Dropout2d", "DropPath", "DropBlock2d")
"""What gives its input in evaluation mode: the rates of these are no part of a saved model."""
_IN_TRAINING = re.compile(r"(, )?(inplace=True|momentum=[^,]*)")
_CLOSE = 1e-4
"""Of the largest output; the same weights lie in memory otherwise, and products round otherwise."""


@dataclass(frozen=True, eq=False)
class ModuleDifference:
    """A module that is not what timm builds in its place; either may be missing."""

    path: str
    mine: nn.Module | None
    its: nn.Module | None

    def __str__(self) -> str:
        where, mine, its = f"'{self.path}'" if self.path else "the whole", _named(self.mine), _named(self.its)
        if mine == its and self.mine is not None and self.its is not None:
            mine, its = (
                f"{name} ({module.extra_repr()[:80]})" for name, module in ((mine, self.mine), (its, self.its))
            )
        return f"{where} is {mine}, where timm builds {its}"


def module_that_differs(model: nn.Module, built: nn.Module) -> ModuleDifference | None:
    """The first module of ``model`` that is another one than in ``built``, which timm built; None where all have the
    same classes, settings and shapes of weights. Either may be on the meta device."""
    ours, theirs = dict(model.named_modules()), dict(built.named_modules())
    for path in {**theirs, **ours}:
        mine, its = ours.get(path), theirs.get(path)
        is_same = _is_nothing(mine or its) if mine is None or its is None else _are_alike(mine, its)
        if not is_same:
            return ModuleDifference(path, mine, its)
    return None


def value_that_differs(model: nn.Module, other: nn.Module) -> str | None:
    """The first weight or buffer that is not the same in both."""
    ours, theirs = model.state_dict(), other.state_dict()
    for name in {**theirs, **ours}:
        if name not in ours or name not in theirs:
            return f"'{name}' is only in one of the two"
        mine, its = ours[name].cpu().to(theirs[name].dtype), theirs[name].cpu()
        if mine.shape != its.shape or not ((mine == its) | (mine.isnan() & its.isnan())).all():
            return f"'{name}' has other values"
    return None


@torch.no_grad()
def computes_the_same(model: nn.Module, other: nn.Module, name: str) -> bool:
    """Whether two models give the same logits for some images. ``model`` stays as it is. NATError where it takes
    none."""
    like = next(other.parameters())
    subject = copy.deepcopy(model).to(device=like.device, dtype=like.dtype).eval()
    training = other.training
    other.eval()
    try:
        images = _images(subject, name).to(like)
        ours, theirs = subject(images), other(images)
    finally:
        other.train(training)
    if ours.shape != theirs.shape:
        return False
    scale = float(ours.nan_to_num(0, 0, 0).abs().max())
    return torch.allclose(ours, theirs, rtol=0, atol=_CLOSE * scale, equal_nan=True)


def _images(model: nn.Module, name: str) -> Tensor:
    """Random images of the smallest size that the model takes, of those that are tried."""
    channels, *own = input_size(model)
    like = next(model.parameters())
    for size in [own] if has_fixed_size(model) else [(64, 64), own]:
        images = torch.randn(2, channels, *size, generator=torch.Generator().manual_seed(0)).to(like)
        try:
            model(images)
        except (RuntimeError, ValueError, AssertionError, IndexError) as error:
            failed = said(error)
            continue
        return images
    raise NATError(f"{name}: the model does not run on images of {channels} channels: {failed}")


def _is_nothing(module: nn.Module | None) -> bool:
    return type(module).__name__ in _NOTHING


def _are_alike(mine: nn.Module, its: nn.Module) -> bool:
    if _is_nothing(mine) and _is_nothing(its):
        return True
    if type(mine) is type(its) or all(isinstance(each, nn.modules.batchnorm._BatchNorm) for each in (mine, its)):
        shapes = [[(name, value.shape) for name, value in each.named_parameters(recurse=False)] for each in (mine, its)]
        return shapes[0] == shapes[1] and _settings(mine) == _settings(its)
    return is_activation(mine) and is_activation(its) and _same_function(mine, its)


def _settings(module: nn.Module) -> str:
    """All but what changes training alone."""
    return _IN_TRAINING.sub("", module.extra_repr())


def _same_function(mine: nn.Module, its: nn.Module) -> bool:
    """Whether two activations without weights give the same (timm has several classes of one activation)."""
    if any(True for each in (mine, its) for _ in each.parameters()):
        return False
    with torch.no_grad():
        values = torch.linspace(-8, 8, 101).view(1, 1, 1, -1)
        return torch.allclose(mine(values.clone()), its(values.clone()), atol=1e-6)


def _named(module: nn.Module | None) -> str:
    if module is None:
        return "nothing"
    inside = "" if any(True for _ in module.children()) else module.extra_repr()[:80]
    return f"{type(module).__name__}({inside})" if inside else f"a {type(module).__name__}"
