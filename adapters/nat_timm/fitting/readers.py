"""What dense layers that read hidden channels get and give, summed up over pictures: which channels matter, and weights
for those that are left, follow from it in closed form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nat_plugin.device import memory_kept
from nat_plugin.fitting import (
    Moments,
    Solution,
    add_batch,
    elimination_order,
    empty_moments,
    moments_bytes,
    solve,
    split_by_size,
)
from nat_plugin.ir import Limits, Moves, Network, Rule
from nat_timm.documents.forms import Form
from nat_timm.fitting.cuts import RECORDED
from nat_timm.fitting.layers import DENSE, DenseLayer, as_map, dense, form_of, is_plain
from nat_timm.fitting.maps import map_of
from nat_timm.fitting.probing import RecordedCall, calls, watched
from nat_timm.networks import moved_document
from nat_timm.surgery.hidden import note_importance, noted_importance

LARGEST = 1152
"""Values that an output is a sum over, for which it is worth the time to find out which can go."""


@dataclass(frozen=True, eq=False)
class ReaderSums:
    """Of a dense layer as it is; ``scales`` (outputs,): what an output is multiplied with right behind it."""

    form: Form
    weights: Tensor
    scales: Tensor
    moments: tuple[Moments, Moments]

    def of(self, channels: Tensor) -> Solution:
        """The weights that come nearest to what it gives where it reads only some of its channels."""
        area = self.form.kernel**2
        rows = (channels[:, None] * area + torch.arange(area, device=channels.device)).flatten()
        form = replace(self.form, channels=(len(channels), self.form.channels[1]))
        known, held = (each.of(rows) for each in self.moments)
        return solve(map_of(form), known, held, start=self.weights[rows])

    @property
    def nbytes(self) -> int:
        return moments_bytes(map_of(self.form))

    def importance(self) -> Tensor:
        """Of every channel that it reads: the turn in which it can go."""
        both = self.moments[0] + self.moments[1]
        return elimination_order(both, self.weights * self.scales, self.form.kernel**2)


@torch.no_grad()
def sums_of(
    model: nn.Module, paths: Iterable[str], batches: Sequence[Tensor], seed: int
) -> Iterator[tuple[str, ReaderSums]]:
    """By path; without those that read too many values, and those that are no plain layers. ``model`` is in
    evaluation mode. As many at a time as there is space for; who keeps them needs more."""
    order = calls(model, batches[0][:1], RECORDED)
    wanted, norms = set(paths), dict[str, Sequence[RecordedCall]]()
    for number, call in enumerate(order):
        if call.path in wanted and _can_be_summed(call.module):
            norms[call.path] = order[number + 1 : number + 2]
    for part in split_by_size({path: moments_bytes(map_of(form_of(_layer(model, path)))) for path in norms}):
        sums = {path: _empty(_layer(model, path), norms[path]) for path in part}
        _add(sums, model, batches, seed)
        while part:
            yield part[0], sums.pop(part.pop(0))


def sums_between(layer: DenseLayer, given: Tensor, wanted: Tensor, seed: int) -> ReaderSums:
    """Of one batch: what a layer reads, and what it is to give."""
    sums = _empty(layer, ())
    add_batch(sums.moments, map_of(sums.form), as_map(layer, given), as_map(layer, wanted), 0, len(given), seed)
    return sums


def order_channels(model: nn.Module, path: str, sums: ReaderSums) -> None:
    """Note at a reader of ``model`` which of its channels are to stay longest, where that was not noted before."""
    reader = model.get_submodule(path)
    if noted_importance(reader, sums.form.channels[0]) is None:
        note_importance(reader, sums.importance())


@memory_kept()
def order_hidden(model: nn.Module, network: Network, rule: Rule, batches: Sequence[Tensor], seed: int) -> None:
    """The same for all hidden channels that moves of ``network``, which was read from ``model``, can make fewer."""
    moves = Moves(network, rule, Limits(held_elsewhere=True))
    documents = (
        moved_document(moves.apply([number if place == at else 0 for place in range(len(moves.slots))]))
        for at, ops in enumerate(moves.candidates)
        for number in range(1, len(ops))
    )
    edits = {edit for document in documents for edit in document.edits if edit.op == "hidden"}
    for path, sums in sums_of(model, {edit.at[-1] for edit in edits}, batches, seed):
        order_channels(model, path, sums)


def _can_be_summed(module: nn.Module) -> bool:
    if not isinstance(module, DENSE) or not is_plain(module):
        return False
    return map_of(form_of(module)).inputs <= LARGEST


def _layer(model: nn.Module, path: str) -> DenseLayer:
    return dense(model.get_submodule(path))


def _empty(layer: DenseLayer, after: Sequence[RecordedCall]) -> ReaderSums:
    form, weight = form_of(layer), layer.weight
    return ReaderSums(
        form, weight.flatten(1).T.double(), _scales(layer, after), empty_moments(map_of(form), weight.device)
    )


def _add(sums: Mapping[str, ReaderSums], model: nn.Module, batches: Sequence[Tensor], seed: int) -> None:
    number, count = 0, sum(len(x) for x in batches)

    def note(path: str, given: Tensor, out: Tensor) -> None:
        each = sums[path]
        layer = model.get_submodule(path)
        x, y = as_map(layer, given), as_map(layer, out)
        add_batch(each.moments, map_of(each.form), x, y, number, count, seed)

    with watched(model, sums, note):
        for batch in batches:
            model(batch)
            number += len(batch)


def _scales(layer: DenseLayer, after: Sequence[RecordedCall]) -> Tensor:
    ones = torch.ones(len(layer.weight), dtype=torch.float64, device=layer.weight.device)
    norm = after[0].module if after else None
    if not isinstance(norm, _BatchNorm) or norm.running_var is None or norm.weight is None:
        return ones
    return ones * norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
