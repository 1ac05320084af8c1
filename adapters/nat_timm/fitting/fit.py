"""Weights for all operations that stand in the place of blocks, front to back, from pictures without labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nat_plugin import NATError
from nat_plugin.device import memory_kept
from nat_plugin.fitting import (
    HELD_OUT_EVERY,
    FitSample,
    Moments,
    Solution,
    add_sample,
    empty_moments,
    sample_pixels,
    solve,
)
from nat_timm.documents.forms import LOW_RANK, Form
from nat_timm.fitting.cuts import RECORDED, readers_of
from nat_timm.fitting.layers import as_map, dense, form_of, set_weights
from nat_timm.fitting.maps import given, map_of
from nat_timm.fitting.merging import is_linear, merged
from nat_timm.fitting.norms import KnownNorm, channels_kept, edits_of, is_norm, norms_from, settle
from nat_timm.fitting.passes import passes_of
from nat_timm.fitting.probing import Point, RecordedCall, calls, probe
from nat_timm.fitting.reference import Reference, Target
from nat_timm.surgery.fitted import FittedOp
from nat_timm.surgery.replacements import Passed, Skipped

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
    """Fit the weights of every operation of ``model`` that replaces a block of ``original``, in place.

    Each is fitted by ridge regression: the input is that of the operation in the model changed so far, the target the
    output of its block in the original (with removed blocks behind it). With ``cut`` the same is done for dense layers
    that read a cut (smaller kernels, fewer channels, a removed gate). With ``norms`` the running statistics behind are
    corrected on the images. No labels are needed. The model is left in evaluation mode. NATError for too few images, or
    a size that the model does not take."""
    if not _is_changed(model, original):
        model.eval()
        return ()
    return fit_to(model, Reference(original, checked(images, original), seed), cut=cut, norms=norms)


@memory_kept()
@torch.no_grad()
def fit_to(model: nn.Module, reference: Reference, *, cut: bool = True, norms: bool = True) -> tuple[Fit, ...]:
    """The same for one of many models that are made from one."""
    model.eval()
    original = reference.model
    if not _is_changed(model, original):
        return ()
    edits = set(edits_of(model)) - set(edits_of(original))
    order = calls(model, reference.batches[0][:1], (FittedOp, Passed, Skipped, *RECORDED))
    readers = readers_of(model, edits if cut else (), order, norms)
    chosen = (at for at, call in enumerate(order) if isinstance(call.module, FittedOp) or call.path in readers)
    places = {at: _place(original, order, at) for at in chosen}
    reference.samples([_target(reference, place) for place in places.values()])  # in one pass with all norms
    settled = {}
    if norms:
        first = min([*places, *_calls_within(order, {path for edit in edits for path in edit.at})], default=0)
        settled = norms_from(first, order, reference, channels_kept(model, edits))
    return fit_places(model, reference, order, places, settled)


@memory_kept()
@torch.no_grad()
def settle_norms(model: nn.Module, reference: Reference, kept: Mapping[str, Tensor] | None = None) -> None:
    """Give all norms of a model that was made from another, in whatever way, the running statistics of that one, and
    what the pictures say that changed; ``kept``: by path, which channels of a norm are left. The model is left in
    evaluation mode."""
    order = calls(model.eval(), reference.batches[0][:1], (_BatchNorm,))
    fit_places(model, reference, order, {}, norms_from(0, order, reference, kept or {}))


def _is_changed(model: nn.Module, original: nn.Module) -> bool:
    edits = set(edits_of(model)) - set(edits_of(original))
    return bool(edits) or any(isinstance(module, FittedOp) for module in model.modules())


def _calls_within(order: Sequence[RecordedCall], paths: Iterable[str]) -> list[int]:
    return [at for at, call in enumerate(order) if any(f"{call.path}.".startswith(f"{path}.") for path in paths)]


@dataclass(frozen=True, eq=False)
class FitPlace:
    """A module that is fitted, and where in the original is what it is to give, of which some ``outputs`` may be left
    (None: all); ``blocks`` are those that it stands for, if it does (None: it reads a cut)."""

    path: str
    module: nn.Module
    form: Form
    target: Point
    side: tuple[int, int]
    blocks: list[nn.Module] | None = None
    outputs: Tensor | None = None

    @property
    def given(self) -> Point:
        return Point(self.path, is_input=True)


def reader_place(call: RecordedCall, outputs: Tensor | None = None) -> FitPlace:
    """Of a dense layer, to what it gave in the original."""
    given = as_map(call.module, call.given)
    side = given.shape[2], given.shape[3]
    return FitPlace(call.path, call.module, form_of(dense(call.module)), Point(call.path), side, None, outputs)


def _place(original: nn.Module, order: Sequence[RecordedCall], place: int) -> FitPlace:
    path, module = order[place].path, order[place].module
    if not isinstance(module, FittedOp):
        return reader_place(order[place])
    given, ends = order[place].given, blocks_of(order, place)
    target, blocks = Point(ends[-1], activation=module.form.activation), list(map(original.get_submodule, ends))
    return FitPlace(path, module, module.form, target, (given.shape[2], given.shape[3]), blocks)


@torch.no_grad()
def fit_places(
    model: nn.Module,
    reference: Reference,
    order: Sequence[RecordedCall],
    places: Mapping[int, FitPlace],
    norms: Mapping[int, KnownNorm | None],
) -> tuple[Fit, ...]:
    """Fit modules of a model in evaluation mode and settle its norms, in the order of its calls, so that each gets what
    those before it give by then; both by number of the call."""
    found: list[Fit] = []
    samples = dict(zip(places, _samples(reference, list(places.values())), strict=True))
    stops = sorted({*places, *norms})
    passes = passes_of(model, reference.batches, [order[at].path for at in stops]) if stops else None
    for number, at in enumerate(stops):
        assert passes is not None
        inputs = passes.reach(number)
        if at in places:
            found.append(_fitted(reference, places[at], inputs, samples[at]))
        else:
            norm = order[at].module
            assert is_norm(norm)
            settle(norm, inputs, norms[at])
    return tuple(found)


def _samples(reference: Reference, places: Sequence[FitPlace]) -> Iterator[list[FitSample]]:
    targets = [_target(reference, place) for place in places]
    for place, found in zip(places, reference.samples(targets), strict=True):
        yield found if place.outputs is None else [each.of(place.outputs) for each in found]


def _target(reference: Reference, place: FitPlace) -> Target:
    pixels = sample_pixels(map_of(place.form), reference.pictures)
    return Target(place.target, pixels, isinstance(place.module, nn.Linear))


def _fitted(reference: Reference, place: FitPlace, inputs: Iterator[Tensor], samples: Sequence[FitSample]) -> Fit:
    """``inputs``: what the place gets, batch by batch."""
    path, module, form = place.path, place.module, place.form
    inputs = (as_map(module, x) for x in inputs)
    first = next(inputs)
    if isinstance(module, FittedOp):
        assert place.blocks is not None
        solution = None
        if is_linear(place.blocks, form.activation) and _is_same(first, _given(reference, place)):
            solution = merged(place.blocks, form, place.side)
        if solution is None:
            solution = solution_of(form, _moments(form, first, inputs, samples))
        install(module, solution)
    else:
        layer = dense(module)
        solution = solve(map_of(form), *_moments(form, first, inputs, samples), start=layer.weight.flatten(1).T)
        set_weights(layer, solution.weights[0], solution.bias)
    return Fit(path, form, solution.residual, solution.ridge)


def _given(reference: Reference, place: FitPlace) -> Mapping[Point, Tensor]:
    """What the original gets there of the first batch."""
    was_training = reference.model.training
    reference.model.eval()
    found = probe(reference.model, [place.given], reference.batches[0])
    reference.model.train(was_training)
    return found


def checked(images: Pictures, model: nn.Module) -> list[Tensor]:
    """The pictures in batches, on the device of the model. NATError for what is none, and for too few."""
    if not isinstance(images, Iterable):
        raise NATError(
            f"images: {str(images)[:40]!r} is no tensor of images (N, C, H, W), and gives no batches of such"
        )
    given = torch.split(images, BATCH) if isinstance(images, Tensor) else images
    like = next(model.parameters())
    found = []
    for number, each in enumerate(given):
        x = each[0] if isinstance(each, tuple | list) and each else each
        if not isinstance(x, Tensor) or x.dim() != 4 or not x.is_floating_point():
            raise NATError(f"images: batch {number} is not a float tensor of images (N, C, H, W)")
        if not torch.isfinite(x).all():
            raise NATError(f"images: batch {number} has values that are infinite or NaN")
        if len(x):
            found.append(x.to(like.device, like.dtype))
    count = sum(len(x) for x in found)
    if count < HELD_OUT_EVERY:
        raise NATError(
            f"images: {count} images are too few to fit on; {HELD_OUT_EVERY} are needed, 100 or more are better"
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
