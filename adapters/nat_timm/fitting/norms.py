"""Running statistics of a changed model: those of the original, and by how much pictures say that they change.

What a few pictures say of a statistic is far from what many say; but both models see the same ones, and as far as they
answer alike, what the original knows of many pictures says how the changed one would be on those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TypeGuard, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nat_timm.documents.document import Document
from nat_timm.documents.edits import Edit
from nat_timm.fitting.probing import Point, RecordedCall, calls, taken_at
from nat_timm.measuring.statistics import norms, recalibrate
from nat_timm.surgery.hidden import channels_read

_B = TypeVar("_B")
ALIKE = 0.5
"""Correlation above which a difference of two models varies less from picture to picture than what one says."""


@dataclass(frozen=True, eq=False)
class PairedNorm:
    """A norm of the changed model; ``mean`` and ``var`` are those of the original, ``seen`` what the pictures of
    the same batches have where it stands there."""

    norm: _BatchNorm
    mean: Tensor
    var: Tensor
    channels: Tensor | None
    """Those of the original's that are left; None: all."""
    seen: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def see(self, x: Tensor) -> None:
        """What goes into the original's for a batch."""
        mean, var = _by_picture(x)
        self.seen.append((mean, var) if self.channels is None else (mean[:, self.channels], var[:, self.channels]))

    def carried(self, x: Tensor, batch: int) -> tuple[Tensor, Tensor]:
        """The statistics that a batch says, which goes into the norm."""
        (means, variances), (its_means, its_variances) = _by_picture(x), self.seen[batch]
        mean, its_mean = means.mean(0), its_means.mean(0)
        squares, its_squares = variances + (means - mean) ** 2, its_variances + (its_means - its_mean) ** 2
        var, its_var = squares.mean(0), its_squares.mean(0)
        grown = (var + self.norm.eps) / (its_var + self.norm.eps)
        if _alike(means, its_means) > ALIKE:
            mean = mean + (self.mean - its_mean) * grown.sqrt()
        return mean, self.var * grown if _alike(squares, its_squares) > ALIKE else var


def _by_picture(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of each channel, (N, C)."""
    found = [torch.batch_norm_update_stats(each, None, None, 0.0) for each in torch.split(x, 1)]
    return torch.stack([mean for mean, _ in found]).double(), torch.stack([var for _, var in found]).double()


def _alike(found: Tensor, seen: Tensor) -> float:
    """The correlation of what two models say of pictures, as a mean over channels."""
    mine, its = found - found.mean(0), seen - seen.mean(0)
    both = (mine * its).sum(0) / (mine.square().sum(0) * its.square().sum(0)).sqrt().clamp(min=1e-30)
    return float(both.mean())


def paired_norms(
    model: nn.Module, original: nn.Module, order: Sequence[RecordedCall], edits: Iterable[Edit]
) -> dict[str, PairedNorm]:
    """By path the norms among the calls of ``model`` of which the original has one. ``edits``: what was changed."""
    kept = {path: channels_read(model.get_submodule(edit.at[-1])) for edit in edits if edit.op == "hidden"
            for path in edit.at[1:-1]}  # fmt: skip
    theirs, paths, found = dict(original.named_modules()), [call.path for call in order], {}
    for call in order:
        norm, its, channels = call.module, theirs.get(call.path), kept.get(call.path)
        if not _has_statistics(norm) or not _has_statistics(its) or paths.count(call.path) > 1:
            continue
        assert its.running_mean is not None
        assert its.running_var is not None
        mean, var = its.running_mean.double(), its.running_var.double()
        if channels is not None:
            mean, var = mean[channels], var[channels]
        if len(mean) == norm.num_features and _is_part(norm.weight, its.weight, channels):
            found[call.path] = PairedNorm(norm, mean, var, channels)
    return found


def _is_part(mine: Tensor | None, its: Tensor | None, channels: Tensor | None) -> bool:
    """Whether these are the channels: a model that was cut twice says only the last ones."""
    return channels is None or (mine is not None and its is not None and torch.equal(mine, its[channels]))


def _has_statistics(module: nn.Module | None) -> TypeGuard[_BatchNorm]:
    return isinstance(module, _BatchNorm) and module.running_mean is not None and module.running_var is not None


@contextmanager
def carried_over(pairs: Iterable[PairedNorm]) -> Iterator[None]:
    """Norms use what each batch says while it is computed, in the order in which the original saw them, and have the
    averages in the end."""
    said: dict[PairedNorm, list[tuple[Tensor, Tensor]]] = {pair: [] for pair in pairs}
    handles = []
    for pair, found in said.items():
        handles.append(pair.norm.register_forward_pre_hook(partial(_carry, pair, found)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for pair, found in said.items():
            if found:
                _set(pair.norm, *(torch.stack(each).mean(0) for each in zip(*found, strict=True)))


def _carry(pair: PairedNorm, found: list[tuple[Tensor, Tensor]], _: nn.Module, given: tuple[Tensor, ...]) -> None:
    found.append(pair.carried(given[0], len(found)))
    _set(pair.norm, *found[-1])


def _set(norm: _BatchNorm, mean: Tensor, var: Tensor) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(var)


def estimate(
    model: nn.Module, behind: Iterable[_BatchNorm], pairs: Iterable[PairedNorm], batches: Iterable[_B],
    run: Callable[[_B], object],
) -> None:  # fmt: skip
    """Give norms of ``model`` their statistics, from one pass of ``run`` over what stands for the batches: by the
    original where it has them, else by the pictures alone."""
    tracking = [norm for norm in behind if norm.track_running_stats]
    known = {pair.norm: pair for pair in pairs}
    others = [norm for norm in tracking if norm not in known]
    with carried_over(known[norm] for norm in tracking if norm in known):
        if others:
            recalibrate(model, batches, others, run)
        elif tracking:
            for batch in batches:
                run(batch)


@torch.no_grad()
def recalibrate_like(model: nn.Module, original: nn.Module, batches: Sequence[Tensor]) -> None:
    """Running statistics of a model that was made from ``original`` by moves, which is left in evaluation mode as it
    is."""
    model.eval()
    order = calls(model, batches[0][:1], (_BatchNorm,)) if batches else []
    pairs = paired_norms(model, original, order, set(edits_of(model)) - set(edits_of(original)))
    points = {Point(path, is_input=True): pair for path, pair in pairs.items()}
    was_training = original.training
    original.eval()
    for x in batches if points else ():
        taken_at(original, list(points), partial(original, x), lambda point, value: points[point].see(value))
    original.train(was_training)
    estimate(model, norms(model), pairs.values(), batches, model)


def edits_of(model: nn.Module) -> tuple[Edit, ...]:
    found = getattr(model, "nat_document", None)
    return found.edits if isinstance(found, Document) else ()
