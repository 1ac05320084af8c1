"""Running statistics of a changed model: those of the original, and by how much pictures say that they change.

What a few pictures say of a statistic is far from what many say; but both models see the same ones, and as far as they
answer alike, what the original knows of many pictures says how the changed one would be on those.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nat_timm.documents.document import Document
from nat_timm.documents.edits import Edit
from nat_timm.fitting.probing import RecordedCall
from nat_timm.fitting.reference import PictureStatistics, Reference, by_picture, joined, keeps_statistics
from nat_timm.surgery.hidden import channels_read

ALIKE = 0.5
"""Correlation above which a difference of two models varies less from picture to picture than what one says."""


@dataclass(frozen=True, eq=False)
class KnownNorm:
    """What the original knows of a norm: its running statistics, and those of the pictures that are ``seen``."""

    mean: Tensor
    var: Tensor
    seen: PictureStatistics

    def of(self, channels: Tensor) -> KnownNorm:
        return KnownNorm(
            self.mean[channels], self.var[channels], (self.seen[0][:, channels], self.seen[1][:, channels])
        )

    def carried(self, found: PictureStatistics, eps: float) -> tuple[Tensor, Tensor]:
        """The running statistics of a norm for which the same pictures have others."""
        (means, variances), (its_means, its_variances) = found, self.seen
        mean, its_mean = means.mean(0), its_means.mean(0)
        squares, its_squares = variances + (means - mean) ** 2, its_variances + (its_means - its_mean) ** 2
        var, its_var = squares.mean(0), its_squares.mean(0)
        grown = (var + eps) / (its_var + eps)
        if _alike(means, its_means) > ALIKE:
            mean = mean + (self.mean - its_mean) * grown.sqrt()
        return mean, self.var * grown if _alike(squares, its_squares) > ALIKE else var


def _alike(found: Tensor, seen: Tensor) -> float:
    """The correlation of what two models say of pictures, as a mean over channels."""
    mine, its = found - found.mean(0), seen - seen.mean(0)
    both = (mine * its).sum(0) / (mine.square().sum(0) * its.square().sum(0)).sqrt().clamp(min=1e-30)
    return float(both.mean())


def norms_from(
    start: int, order: Sequence[RecordedCall], reference: Reference, kept: Mapping[str, Tensor]
) -> dict[int, KnownNorm | None]:
    """By number of the call the norms of a changed model from the call ``start`` on, and what the original knows of
    each, if it does. ``kept``: by path, which of the channels are left."""
    numbers: dict[str, list[int]] = {}
    for number, call in enumerate(order):
        if is_norm(call.module):
            numbers.setdefault(call.path, []).append(number)
    return {
        first: None if others else _known(order[first], reference, kept.get(path))
        for path, (first, *others) in numbers.items()
        if first >= start
    }


def _known(call: RecordedCall, reference: Reference, channels: Tensor | None) -> KnownNorm | None:
    norm, its = call.module, dict(reference.model.named_modules()).get(call.path)
    if not is_norm(norm) or not is_norm(its) or call.path not in reference.statistics:
        return None
    assert its.running_mean is not None
    assert its.running_var is not None
    means, variances = reference.statistics[call.path]
    found = KnownNorm(its.running_mean.double(), its.running_var.double(), (means.double(), variances.double()))
    if channels is not None:
        found = found.of(channels)
    same = len(found.mean) == norm.num_features and _is_part(norm.weight, its.weight, channels)
    return found if same else None


def _is_part(mine: Tensor | None, its: Tensor | None, channels: Tensor | None) -> bool:
    """Whether these are the channels: a model that was cut twice says only the last ones."""
    return channels is None or (mine is not None and its is not None and torch.equal(mine, its[channels]))


def is_norm(module: nn.Module | None) -> TypeGuard[_BatchNorm]:
    return keeps_statistics(module)


def channels_kept(model: nn.Module, edits: Iterable[Edit]) -> dict[str, Tensor]:
    """By path of a module between, which hidden channels the edits left."""
    found: dict[str, Tensor] = {}
    for edit in edits:
        channels = channels_read(model.get_submodule(edit.at[-1])) if edit.op == "hidden" else None
        if channels is not None:
            found |= dict.fromkeys(edit.at[1:-1], channels)
    return found


@torch.no_grad()
def settle(norm: _BatchNorm, inputs: Iterable[Tensor], known: KnownNorm | None) -> None:
    """Give a norm its running statistics, from what goes into it, batch by batch; of what the original does not know,
    those of these pictures."""
    batches, values = [], 0
    for x in inputs:
        batches.append(by_picture(x))
        values += x.numel() // x.shape[1]
    means, variances = (each.double() for each in joined(batches))
    if known is None:
        mean = means.mean(0)
        var = (variances + (means - mean) ** 2).mean(0) * (values / max(values - 1, 1))
    else:
        mean, var = known.carried((means, variances), norm.eps)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(var)


def edits_of(model: nn.Module) -> tuple[Edit, ...]:
    found = getattr(model, "nat_document", None)
    return found.edits if isinstance(found, Document) else ()
