"""Weights for all operations that stand in the place of blocks, front to back, from pictures without labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nat_plugin.errors import NATError
from nat_timm.documents.document import Document
from nat_timm.documents.edits import Edit
from nat_timm.documents.forms import LOW_RANK, Form
from nat_timm.fitting.cuts import form_of, readers_of
from nat_timm.fitting.merging import is_linear, merged
from nat_timm.fitting.moments import Moments
from nat_timm.fitting.probing import Call, Point, calls, probe
from nat_timm.fitting.rows import Window, rows
from nat_timm.fitting.solving import Solution, solve
from nat_timm.measuring.statistics import recalibrate
from nat_timm.surgery.fitted import Fitted
from nat_timm.surgery.standins import Passed, Skipped

Pictures: TypeAlias = Tensor | Sequence[Any] | Iterable[Any]
"""(N, C, H, W), or batches of such, or of pairs of such and labels, which can be gone through several times."""
BATCH = 32
HELD = 4
"""Of so many pictures one is held out to choose the ridge and to say how good a fit is."""
ROWS = 8
"""So many rows of inputs for each input, where there are as many pixels."""
ROUNDING = 1e-4
"""By how much what a block reads may differ where nothing before it was changed but for exact products."""
FEWEST = 40
"""Places of each picture at least."""


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
    original (with the blocks behind it that were left out, whose work it takes over). With ``cut`` so are convolutions
    that read what was cut (smaller kernels, fewer channels, a gate left out), to what they gave in the original. With
    ``norms`` the running statistics behind are estimated anew. No labels are needed. The model is left in evaluation
    mode. NATError where there are too few pictures, or of another size than the model takes.
    """
    with torch.no_grad():
        return _fit(model, original, images, cut, norms, seed)


def _fit(model: nn.Module, original: nn.Module, images: Pictures, cut: bool, norms: bool, seed: int) -> tuple[Fit, ...]:
    model.eval()
    edits = set(_edits(model)) - set(_edits(original)) if cut else set()
    if not edits and not any(isinstance(module, Fitted) for module in model.modules()):
        return ()
    batches = checked(images, original)
    order = calls(model, batches[0][:1], (Fitted, Passed, Skipped, _BatchNorm, nn.Conv2d))
    readers = readers_of(edits, order, norms)
    places = [at for at, call in enumerate(order) if isinstance(call.module, Fitted) or call.path in readers]
    if not places:  # blocks were left out, and nothing reads a cut
        return ()
    was_training, found = original.training, []
    original.eval()
    try:
        for place, after in zip(places, [*places[1:], len(order)], strict=True):
            found.append(_fitted(model, original, order, place, batches, seed))
            behind = [each.module for each in order[place:after] if isinstance(each.module, _BatchNorm)]
            ends = [Point(each.path, is_input=True) for each in order[after : after + 1]]
            if norms:
                recalibrate(model, batches, [each for each in behind if each.track_running_stats], _until(model, ends))
    finally:
        original.train(was_training)
    return tuple(found)


def _edits(model: nn.Module) -> tuple[Edit, ...]:
    found = getattr(model, "nat_document", None)
    return found.edits if isinstance(found, Document) else ()


def _fitted(
    model: nn.Module, original: nn.Module, order: Sequence[Call], place: int, batches: Sequence[Tensor], seed: int
) -> Fit:
    path, module = order[place].path, order[place].module
    if isinstance(module, Fitted):
        form, ends = module.form, blocks_of(order, place)
        blocks = [original.get_submodule(each) for each in ends]
        solution = None
        if is_linear(blocks, form.activation) and _reads_the_same(model, original, path, batches[0]):
            height, width = order[place].given.shape[2:]
            solution = merged(blocks, form, (height, width))
        if solution is None:
            target = Point(ends[-1], activation=form.activation)
            solution = solution_of(form, _moments(model, original, path, form, target, batches, seed))
        install(module, solution)
    else:
        assert isinstance(module, nn.Conv2d)
        form = form_of(module)
        moments = _moments(model, original, path, form, Point(path), batches, seed)
        solution = solve(form, *moments, start=module.weight.flatten(1).T)
        module.weight.copy_(solution.weights[0])
        if module.bias is not None:
            module.bias.copy_(solution.bias)
    return Fit(path, form, solution.residual, solution.ridge)


def _until(model: nn.Module, ends: Sequence[Point]) -> Callable[[Tensor], object]:
    return partial(probe, model, ends) if ends else model


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
    if count < HELD:
        raise NATError(f"images: {count} pictures are too few to fit on; {HELD} are the least, 100 and more are good")
    channels = getattr(model, "in_chans", found[0].shape[1])
    if any(x.shape[1] != channels for x in found):
        raise NATError(f"images: the model takes {channels} channels")
    return found


def blocks_of(order: Sequence[Call], place: int) -> list[str]:
    """The paths of the blocks whose work an operation takes over: its own, and those left out right behind."""
    paths, value = [order[place].path], order[place].out
    for call in order[place + 1 :]:
        if isinstance(call.module, Passed) and call.given is value:
            paths.append(call.path)
            value = call.out
    return paths


def _reads_the_same(model: nn.Module, original: nn.Module, path: str, x: Tensor) -> bool:
    """Whether nothing before a block was changed, so that it is to do what it did, and not to make up for anything."""
    given = Point(path, is_input=True)
    mine, its = (probe(each, [given], x)[given] for each in (model, original))
    return bool((mine - its).abs().max() <= ROUNDING * its.abs().max())


def _moments(
    model: nn.Module, original: nn.Module, path: str, form: Form, target: Point, batches: Sequence[Tensor], seed: int
) -> tuple[Moments, Moments]:
    """Of the pictures to fit on, and of those held out."""
    given = Point(path, is_input=True)
    pair: tuple[Moments, Moments] | None = None
    number, count = 0, sum(len(x) for x in batches)
    for batch in batches:
        x, y = probe(model, [given], batch)[given], probe(original, [target], batch)[target]
        if pair is None:
            pair = empty(form, x.device)
        add(pair, form, x, y, number, count, seed)
        number += len(batch)
    assert pair is not None
    return pair


def inputs_of(form: Form) -> int:
    """How many values an output is a sum over."""
    return (form.channels[0] + form.border) * form.kernel**2


def empty(form: Form, device: torch.device) -> tuple[Moments, Moments]:
    inputs, outputs = inputs_of(form), form.channels[1]
    return Moments(inputs, outputs, device), Moments(inputs, outputs, device)


def add(pair: tuple[Moments, Moments], form: Form, x: Tensor, y: Tensor, number: int, count: int, seed: int) -> None:
    """Rows of a batch, whose first picture is the ``number``-th of ``count``, to the moments that they belong to."""
    x = torch.cat([x, torch.ones_like(x[:, :1])], 1) if form.border else x
    pixels = max(FEWEST, -(-ROWS * inputs_of(form) // count))
    generator = torch.Generator().manual_seed(seed * 1_000_003 + number)
    is_held = (torch.arange(number, number + len(x)) % HELD == HELD - 1).to(x.device)
    for moments, chosen in zip(pair, (~is_held, is_held), strict=True):
        if chosen.any():
            moments.add(*rows(x[chosen], y[chosen], Window.of(form), pixels, generator))


def solution_of(form: Form, moments: tuple[Moments, Moments], ridge: float | None = None) -> Solution:
    """See ``solve``; the moments are of what the block gives, the shortcut of a form included."""
    start, spread = _identity(form, moments[0].xy), moments[1].spread
    if not form.shortcut:
        found = solve(form, *moments, start=start, ridge=ridge)
        return _with_border(found) if form.border else found
    area = form.kernel**2
    centres = torch.arange(form.channels[0], device=moments[0].x.device) * area + area // 2
    known, held = (each.beyond(centres) for each in moments)
    found = solve(form, known, held, start=start, ridge=ridge)
    return replace(found, residual=found.residual * held.spread / max(spread, 1e-300))


def _with_border(found: Solution) -> Solution:
    """With the bias in the middle of the windows of the channel of ones, which always lies within the map."""
    weights = found.weights[0].clone()
    middle = weights.shape[-1] // 2
    weights[:, -1, middle, middle] += found.bias
    return replace(found, weights=(weights,))


def _identity(form: Form, like: Tensor) -> Tensor | None:
    """Where a form could copy its input, ridge draws it to that."""
    if form.kind == LOW_RANK or form.channels[0] != form.channels[1] or form.stride > 1 or form.shortcut:
        return None
    made, area = torch.zeros_like(like), form.kernel**2
    for channel in range(form.channels[0]):
        made[channel * area + area // 2, channel] = 1
    return made


def install(module: Fitted, solution: Solution) -> None:
    """Give an operation its weights."""
    values = solution.weights if module.border else (*solution.weights, solution.bias)  # only the last layer has one
    for parameter, value in zip(module.body.parameters(), values, strict=True):
        parameter.copy_(value)
