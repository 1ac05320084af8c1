"""Several changes of a model at once, with what is fitted fitted front to back in a single pass."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from nat_timm.advising.effects import by_batch
from nat_timm.fitting.cuts import RECORDED, readers_of
from nat_timm.fitting.fit import blocks_of
from nat_timm.fitting.norms import edits_of
from nat_timm.fitting.passing import Ridges, fitted_in_passing
from nat_timm.fitting.probing import Point, calls, probe
from nat_timm.surgery.fitted import FittedOp
from nat_timm.surgery.replacements import Passed, Skipped


@torch.no_grad()
def combined(
    model: nn.Module, moved: Sequence[nn.Module], x: Tensor, ridges: Ridges, seed: int
) -> tuple[Tensor, list[Tensor]]:
    """The logits of the model and of each moved one for pictures ``x``, whose statistics norms use.

    Each operation that stands in the place of a block (and of those left out right behind it), and each layer
    that reads what was cut, is fitted in the moment in which the pictures reach it, to what the model itself computes
    there.
    """
    targets = [_targets(model, each.eval(), x[:1]) for each in moved]
    original = copy.deepcopy(model).eval()
    with by_batch(original):
        values = probe(original, [Point(""), *{point for each in targets for point in each.values()}], x)
    found = []
    for each, points in zip(moved, targets, strict=True):
        with by_batch(each):
            wanted = {path: values[point] for path, point in points.items()}
            found.append(fitted_in_passing(each, wanted, partial(each, x), seed, ridges).float())
    return values[Point("")].float(), found


def _targets(model: nn.Module, moved: nn.Module, image: Tensor) -> dict[str, Point]:
    """Where in the model is what each module that is fitted is to give, by its path in the moved one."""
    order = calls(moved, image, (FittedOp, Passed, Skipped, *RECORDED))
    readers = readers_of(moved, set(edits_of(moved)) - set(edits_of(model)), order, norms=True)
    return {path: Point(path) for path in readers} | {
        call.path: Point(blocks_of(order, place)[-1], activation=call.module.form.activation)
        for place, call in enumerate(order)
        if isinstance(call.module, FittedOp)
    }
