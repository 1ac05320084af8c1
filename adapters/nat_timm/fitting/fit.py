"""Weights for all operations that stand in the place of blocks, front to back, from pictures without labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nat_plugin import NATError
from nat_plugin.fitting import (
    HELD_OUT_EVERY,
    FitSample,
    Moments,
    Solution,
    add_sample,
    draw_sample,
    empty_moments,
    solve,
)
from nat_timm.documents.forms import LOW_RANK, Form
from nat_timm.fitting.cuts import RECORDED, readers_of
from nat_timm.fitting.layers import as_map, dense, form_of, set_weights
from nat_timm.fitting.maps import given, map_of
from nat_timm.fitting.merging import is_linear, merged
from nat_timm.fitting.norms import PairedNorm, edits_of, estimate, paired_norms
from nat_timm.fitting.passes import passes_of
from nat_timm.fitting.probing import Point, RecordedCall, calls, probe, taken_at
from nat_timm.surgery.fitted import FittedOp
from nat_timm.surgery.standins import Passed, Skipped

Pictures: TypeAlias = Tensor | Sequence[Any] | Iterable[Any]
"""(N, C, H, W), or batches of such, or of pairs of such and labels, which can be gone through several times."""
BATCH = 32
ROUNDING = 1e-4
"""By how much what a block reads may differ where nothing before it was changed but for exact products."""


@dataclass(frozen=True)
class Fit:
    """How well an operation does what the block did: ``residual`` is the share of the spread of the block's outputs
    that it leaves unexplained, on pictures that it was not fitted on."""

    path: str
    form: Form
    residual: float
    ridge: float

    def __str__(self) -> str:
        return f"{self.path}: {self.form}, {self.residual:.1%} of the spread left unexplained"


def fit(
    model: nn.Module, original: nn.Module, images: Pictures, *, cut: bool = True, norms: bool = True, seed: int = 0
) -> tuple[Fit, ...]:
    """Give weights to every operation of ``model`` that was put in the place of a block of ``original``, in place.

    Each is fitted by ridge regression on what it gets in the model as it is by then, to what its block gave in the
    original (with the blocks behind it that were left out, whose work it takes over). With ``cut`` so are dense layers
    that read what was cut (smaller kernels, fewer channels, a gate left out), to what they gave in the original. With
    ``norms`` the running statistics behind change as much as the pictures say. No labels are needed. The model is left
    in evaluation mode. NATError where there are too few pictures, or of another size than the model takes.
    """
    with torch.no_grad():
        return _fit(model, original, images, cut, norms, seed)


def _fit(model: nn.Module, original: nn.Module, images: Pictures, cut: bool, norms: bool, seed: int) -> tuple[Fit, ...]:
    model.eval()
    edits = set(edits_of(model)) - set(edits_of(original)) if cut else set()
    if not edits and not any(isinstance(module, FittedOp) for module in model.modules()):
        return ()
    batches = checked(images, original)
    order = calls(model, batches[0][:1], (FittedOp, Passed, Skipped, *RECORDED))
    readers = readers_of(model, edits, order, norms)
    places = [at for at, call in enumerate(order) if isinstance(call.module, FittedOp) or call.path in readers]
    if not places:  # blocks were left out, and nothing reads a cut
        return ()
    was_training, found = original.training, []
    original.eval()
    try:
        wanted = [_place(original, order, each) for each in places]
        pairs = paired_norms(model, original, order[places[0] :], edits) if norms else {}
        samples = _samples(original, wanted, pairs, batches, seed)
        passes = passes_of(model, batches, [each.path for each in wanted])
        for number, (place, after) in enumerate(zip(places, [*places[1:], len(order)], strict=True)):
            inputs = passes.reach(number)
            found.append(_fitted(original, wanted[number], inputs, [each[number] for each in samples], batches[0]))
            behind = [each.module for each in order[place:after] if isinstance(each.module, _BatchNorm)]
            if norms:
                estimate(model, behind, pairs.values(), range(len(batches)), passes.beyond)
    finally:
        original.train(was_training)
    return tuple(found)


@dataclass(frozen=True, eq=False)
class _FitPlace:
    """A module that is fitted, and where in the original is what it is to give; ``blocks`` are those that it stands
    for, if it does (None: it reads a cut)."""

    path: str
    module: nn.Module
    form: Form
    target: Point
    side: tuple[int, int]
    blocks: list[nn.Module] | None

    @property
    def given(self) -> Point:
        return Point(self.path, is_input=True)


def _place(original: nn.Module, order: Sequence[RecordedCall], place: int) -> _FitPlace:
    path, module = order[place].path, order[place].module
    given = as_map(module, order[place].given)
    side = given.shape[2], given.shape[3]
    if isinstance(module, FittedOp):
        ends = blocks_of(order, place)
        target, blocks = Point(ends[-1], activation=module.form.activation), list(map(original.get_submodule, ends))
        return _FitPlace(path, module, module.form, target, side, blocks)
    return _FitPlace(path, module, form_of(dense(module)), Point(path), side, None)


def _samples(
    original: nn.Module, wanted: Sequence[_FitPlace], pairs: Mapping[str, PairedNorm], batches: Sequence[Tensor],
    seed: int,
) -> list[list[FitSample]]:  # fmt: skip
    """Of every batch, what each place is to give: one pass through the original, of which only the rows stay that are
    fitted to, and what ``pairs`` of norms see."""
    number, count, found = 0, sum(len(x) for x in batches), []
    by_point: dict[Point, list[int]] = {}
    for at, place in enumerate(wanted):
        by_point.setdefault(place.target, []).append(at)
    norms = {Point(path, is_input=True): pair for path, pair in pairs.items()}
    for x in batches:

        def take(point: Point, y: Tensor, start: int = number) -> dict[int, FitSample]:
            if point in norms:
                norms[point].see(y)
            places = ((at, wanted[at]) for at in by_point.get(point, ()))
            return {
                at: draw_sample(map_of(each.form), as_map(each.module, y), start, count, seed) for at, each in places
            }

        taken = taken_at(original, list(dict.fromkeys([*by_point, *norms])), partial(original, x), take)
        by_place = {at: each for samples in taken.values() for at, each in samples.items()}
        found.append([by_place[at] for at in range(len(wanted))])
        number += len(x)
    return found


def _fitted(
    original: nn.Module, place: _FitPlace, inputs: Iterator[Tensor], samples: Sequence[FitSample], batch: Tensor
) -> Fit:
    """``inputs``: what the place gets, batch by batch."""
    path, module, form = place.path, place.module, place.form
    inputs = (as_map(module, x) for x in inputs)
    first = next(inputs)
    if isinstance(module, FittedOp):
        assert place.blocks is not None
        solution = None
        if is_linear(place.blocks, form.activation) and _is_same(first, probe(original, [place.given], batch)):
            solution = merged(place.blocks, form, place.side)
        if solution is None:
            solution = solution_of(form, _moments(form, first, inputs, samples))
        install(module, solution)
    else:
        layer = dense(module)
        solution = solve(map_of(form), *_moments(form, first, inputs, samples), start=layer.weight.flatten(1).T)
        set_weights(layer, solution.weights[0], solution.bias)
    return Fit(path, form, solution.residual, solution.ridge)


def checked(images: Pictures, model: nn.Module) -> list[Tensor]:
    """The pictures in batches, on the device of the model. NATError for what is none, and for too few."""
    given = torch.split(images, BATCH) if isinstance(images, Tensor) else images
    like = next(model.parameters())
    found = []
    for number, each in enumerate(given):
        x = each[0] if isinstance(each, tuple | list) and each else each
        if not isinstance(x, Tensor) or x.dim() != 4 or not x.is_floating_point():
            raise NATError(f"images: batch {number} is no tensor of pictures (N, C, H, W) of floats")
        if not torch.isfinite(x).all():
            raise NATError(f"images: batch {number} has values that are infinite or no numbers")
        if len(x):
            found.append(x.to(like.device, like.dtype))
    count = sum(len(x) for x in found)
    if count < HELD_OUT_EVERY:
        raise NATError(
            f"images: {count} pictures are too few to fit on; {HELD_OUT_EVERY} are the least, 100 and more are good"
        )
    channels = getattr(model, "in_chans", found[0].shape[1])
    if any(x.shape[1] != channels for x in found):
        raise NATError(f"images: the model takes {channels} channels")
    return found


def blocks_of(order: Sequence[RecordedCall], place: int) -> list[str]:
    """The paths of the blocks whose work an operation takes over: its own, and those left out right behind."""
    paths, value = [order[place].path], order[place].out
    for call in order[place + 1 :]:
        if isinstance(call.module, Passed) and call.given is value:
            paths.append(call.path)
            value = call.out
    return paths


def _is_same(mine: Tensor, found: Mapping[Point, Tensor]) -> bool:
    """Whether nothing before a block was changed, so that it is to do what it did, and not to make up for anything."""
    (its,) = found.values()
    return bool((mine - its).abs().max() <= ROUNDING * its.abs().max())


def _moments(
    form: Form, first: Tensor, others: Iterator[Tensor], samples: Sequence[FitSample]
) -> tuple[Moments, Moments]:
    """Of the pictures to fit on, and of those held out."""
    fitted = map_of(form)
    pair = empty_moments(fitted, first.device)
    for x, each in zip(chain([first], others), samples, strict=True):
        add_sample(pair, fitted, given(form, x), each)
    return pair


def solution_of(
    form: Form, moments: tuple[Moments, Moments], ridge: float | None = None, both: Moments | None = None
) -> Solution:
    """See ``solve``; the moments are of what the block gives, the shortcut of a form included."""
    start, spread = start_of(form, moments[0]), moments[1].spread
    if not form.shortcut:
        found = solve(map_of(form), *moments, start=start, ridge=ridge, both=both)
        return _with_border(found) if form.border else found
    area = form.kernel**2
    centres = torch.arange(form.channels[0], device=moments[0].x.device) * area + area // 2
    known, held = (each.beyond(centres) for each in moments)
    found = solve(
        map_of(form), known, held, start=start, ridge=ridge, both=None if both is None else both.beyond(centres)
    )
    return replace(found, residual=found.residual * held.spread / max(spread, 1e-300))


def _with_border(found: Solution) -> Solution:
    """With the bias in the middle of the windows of the channel of ones, which always lies within the map."""
    weights = found.weights[0].clone()
    middle = weights.shape[-1] // 2
    weights[:, -1, middle, middle] += found.bias
    return replace(found, weights=(weights,))


def start_of(form: Form, like: Moments) -> Tensor | None:
    """Where a form could copy its input, ridge draws it to that."""
    if form.kind == LOW_RANK or form.channels[0] != form.channels[1] or form.stride > 1 or form.shortcut:
        return None
    made, area = torch.zeros_like(like.xy), form.kernel**2
    for channel in range(form.channels[0]):
        made[channel * area + area // 2, channel] = 1
    return made


def install(module: FittedOp, solution: Solution) -> None:
    """Give an operation its weights."""
    values = solution.weights if module.border else (*solution.weights, solution.bias)  # only the last layer has one
    for parameter, value in zip(module.body.parameters(), values, strict=True):
        parameter.copy_(value)
