"""Several changes of a model at once, with what is fitted fitted front to back in a single pass."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn

from nat_plugin.fitting.sampling import add, empty
from nat_timm.advising.effects import by_batch
from nat_timm.documents.forms import Form
from nat_timm.fitting.fit import blocks_of, install, solution_of
from nat_timm.fitting.maps import given as given_to
from nat_timm.fitting.maps import map_of
from nat_timm.fitting.probing import Point, calls, probe
from nat_timm.surgery.fitted import FittedOp
from nat_timm.surgery.standins import Passed

Ridges: TypeAlias = Mapping[tuple[str, Form], float]
"""Of a form in the place of a block, by its path: the ridge that was best for it alone."""


@torch.no_grad()
def combined(
    model: nn.Module, moved: Sequence[nn.Module], x: Tensor, ridges: Ridges, seed: int
) -> tuple[Tensor, list[Tensor]]:
    """The logits of the model and of each moved one for pictures ``x``, whose statistics norms use.

    Each operation that stands in the place of a block (and of those left out right behind it) is fitted in the moment
    in which the pictures reach it, to what the model itself computes there.
    """
    targets = [_targets(each.eval(), x[:1]) for each in moved]
    original = copy.deepcopy(model).eval()
    with by_batch(original):
        values = probe(original, [Point(""), *{point for each in targets for point in each.values()}], x)
    return values[Point("")].float(), [
        _fitted_in_passing(each, {path: values[point] for path, point in points.items()}, x, ridges, seed).float()
        for each, points in zip(moved, targets, strict=True)
    ]


def _targets(moved: nn.Module, image: Tensor) -> dict[str, Point]:
    """Where in the model is what each operation is to give, by its path in the moved one."""
    order = calls(moved, image, (FittedOp, Passed))
    return {
        call.path: Point(blocks_of(order, place)[-1], activation=call.module.form.activation)
        for place, call in enumerate(order)
        if isinstance(call.module, FittedOp)
    }


def _fitted_in_passing(moved: nn.Module, wanted: Mapping[str, Tensor], x: Tensor, ridges: Ridges, seed: int) -> Tensor:
    def fit(path: str, module: FittedOp, given: Tensor) -> None:
        fitted = map_of(module.form)
        moments = empty(fitted, given.device)
        add(moments, fitted, given_to(module.form, given), wanted[path], 0, len(given), seed)
        install(module, solution_of(module.form, moments, ridges.get((path, module.form))))

    hooks = [
        module.register_forward_pre_hook(lambda module, given, path=path: fit(path, module, given[0]))
        for path, module in moved.named_modules()
        if path in wanted
    ]
    try:
        with by_batch(moved):
            logits: Tensor = moved(x)
    finally:
        for hook in hooks:
            hook.remove()
    return logits
