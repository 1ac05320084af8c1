"""Fits of operations, and of what reads a cut, in the moment in which the pictures reach them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias, TypeVar

import torch
from torch import Tensor, nn

from nat_plugin.fitting import add_batch, empty_moments, solve
from nat_timm.documents.forms import Form
from nat_timm.fitting.fit import install, solution_of
from nat_timm.fitting.layers import as_map, dense, form_of, set_weights
from nat_timm.fitting.maps import given as given_to
from nat_timm.fitting.maps import map_of
from nat_timm.surgery.fitted import FittedOp

Ridges: TypeAlias = Mapping[tuple[str, Form], float]
"""Of a form in the place of a block, by its path: the ridge that was best for it alone."""
_V = TypeVar("_V")


@torch.no_grad()
def fitted_in_passing(
    moved: nn.Module, wanted: Mapping[str, Tensor], run: Callable[[], _V], seed: int, ridges: Ridges | None = None
) -> _V:
    """What ``run``, which computes with modules of ``moved``, gives; each module at a path of ``wanted`` is fitted to
    what it is to give when its input is there."""
    handles = [
        module.register_forward_pre_hook(
            lambda module, given, path=path: _fit(path, module, given[0], wanted[path], seed, ridges or {})
        )
        for path, module in moved.named_modules()
        if path in wanted
    ]
    try:
        return run()
    finally:
        for handle in handles:
            handle.remove()


def _fit(path: str, module: nn.Module, given: Tensor, wanted: Tensor, seed: int, ridges: Ridges) -> None:
    form = module.form if isinstance(module, FittedOp) else form_of(dense(module))
    fitted = map_of(form)
    moments = empty_moments(fitted, given.device)
    x, y = given_to(form, as_map(module, given)), as_map(module, wanted)
    add_batch(moments, fitted, x, y, 0, len(x), seed)
    if isinstance(module, FittedOp):
        install(module, solution_of(form, moments, ridges.get((path, form))))
        return
    layer = dense(module)
    solution = solve(fitted, *moments, start=layer.weight.flatten(1).T)
    set_weights(layer, solution.weights[0], solution.bias)
