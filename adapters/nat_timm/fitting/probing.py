"""What goes into blocks and comes out of them while a model computes, and in which order its modules do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from nat_timm.surgery.fitted import FittedOp
from nat_timm.surgery.replacements import Passed, has_shortcut


@dataclass(frozen=True)
class Point:
    """A place in a model: what goes into the module at ``path`` (``is_input``), or comes out of it. ``activation``: the
    path in the module of what it ends with; what goes into that is meant, then."""

    path: str
    is_input: bool = False
    activation: str | None = None


_V = TypeVar("_V")


class _Reached(Exception):
    """All that was asked for is known: the rest of the model need not be computed."""


def probe(model: nn.Module, points: Sequence[Point], x: Tensor) -> dict[Point, Tensor]:
    """The values at ``points`` for pictures ``x``, in the mode in which the model is; what comes after them is not
    computed."""
    return found_in(model, points, partial(model, x))


def found_in(model: nn.Module, points: Sequence[Point], run: Callable[[], object]) -> dict[Point, Tensor]:
    """The values at ``points`` while ``run`` computes with the modules of the model."""
    return taken_at(model, points, run, _copied)


def _copied(_: Point, value: Tensor) -> Tensor:
    return value.detach().clone()  # what follows may write over it


@torch.no_grad()
def taken_at(
    model: nn.Module, points: Sequence[Point], run: Callable[[], object], take: Callable[[Point, Tensor], _V]
) -> dict[Point, _V]:
    """What ``take`` keeps of the values at ``points`` while ``run`` computes, up to the last of them."""
    values: dict[Point, _V] = {}
    pending = set(points)

    def done(point: Point) -> None:
        pending.discard(point)
        if not pending:
            raise _Reached

    with _hooks(model, points, values, done, take), suppress(_Reached):
        run()
    return values


@contextmanager
def _hooks(
    model: nn.Module,
    points: Sequence[Point],
    values: dict[Point, _V],
    done: Callable[[Point], None],
    take: Callable[[Point, Tensor], _V],
) -> Iterator[None]:
    handles: list[Any] = []
    for point in points:
        block = model.get_submodule(point.path)
        if point.is_input:

            def enter(_: nn.Module, given: tuple[Tensor, ...], point: Point = point) -> None:
                values[point] = take(point, given[0])
                done(point)

            handles.append(block.register_forward_pre_hook(enter))
            continue
        inner = _inner(block, point.activation)
        if inner is not None:

            def before(_: nn.Module, given: tuple[Tensor, ...], point: Point = point) -> None:
                values[point] = take(point, given[0])

            handles.append(inner.register_forward_pre_hook(before))

        def leave(_: nn.Module, __: object, out: Tensor, point: Point = point, inner: object = inner) -> None:
            if inner is None:
                values[point] = take(point, out)
            done(point)

        handles.append(block.register_forward_hook(leave))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _inner(block: nn.Module, path: str | None) -> nn.Module | None:
    """The activation; None where it is a function, or an input is added behind it."""
    if path is None or has_shortcut(block):
        return None
    return block.act if isinstance(block, FittedOp | Passed) else dict(block.named_modules()).get(path)


@dataclass(frozen=True, eq=False)
class RecordedCall:
    """A module that computed, with what went in and what came out."""

    path: str
    module: nn.Module
    given: Tensor
    out: Tensor


@torch.no_grad()
def calls(model: nn.Module, x: Tensor, kinds: tuple[type[nn.Module], ...]) -> list[RecordedCall]:
    """The modules of some kinds in the order in which they are called."""
    found: list[RecordedCall] = []
    handles = []
    for path, module in model.named_modules():
        if isinstance(module, kinds):

            def note(module: nn.Module, given: tuple[Tensor, ...], out: Tensor, path: str = path) -> None:
                found.append(RecordedCall(path, module, given[0], out))

            handles.append(module.register_forward_hook(note))
    try:
        model(x)
    finally:
        for handle in handles:
            handle.remove()
    return found


@contextmanager
def watched(model: nn.Module, paths: Iterable[str], note: Callable[[str, Tensor, Tensor], None]) -> Iterator[None]:
    """``note`` gets the path, the input and the output of each of these modules when it is called."""
    handles = [
        model.get_submodule(path).register_forward_hook(lambda _, given, out, path=path: note(path, given[0], out))
        for path in paths
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
