"""What our own methods do for weights without training, for models of which others pruned channels."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping

import torch
from nat_timm.fitting.cuts import RECORDED
from nat_timm.fitting.fit import fit_places, reader_place, settle_norms
from nat_timm.fitting.layers import is_plain
from nat_timm.fitting.norms import is_norm, norms_from
from nat_timm.fitting.probing import RecordedCall, calls
from nat_timm.fitting.reference import Reference
from torch import Tensor, nn

from nat_plugin.device import memory_kept


def parted(model: nn.Module) -> nn.Module:
    """With plain norms: timm's, which hold an activation, become a norm, what they drop, and the activation."""
    from timm.layers.norm_act import BatchNormAct2d

    for path, module in list(model.named_modules()):
        if type(module) is BatchNormAct2d:
            norm = nn.BatchNorm2d(module.num_features, module.eps, module.momentum)
            norm.load_state_dict(module.state_dict())
            owner, _, name = path.rpartition(".")
            setattr(model.get_submodule(owner), name, nn.Sequential(norm, module.drop, module.act))
    return model.eval()


def channels_left(model: nn.Module, original: nn.Module) -> dict[str, Tensor]:
    """By path of a norm, which of the original's channels it has: those of the same weights and statistics. Without
    norms of which that cannot be said."""
    theirs, found = dict(original.named_modules()), dict[str, Tensor]()
    for path, norm in model.named_modules():
        its = theirs.get(path)
        if is_norm(norm) and is_norm(its) and norm.affine and its.affine:
            numbers: dict[tuple[float, ...], deque[int]] = defaultdict(deque)
            for number, values in enumerate(_values(its)):
                numbers[values].append(number)
            mine = [numbers[values].popleft() if numbers[values] else None for values in _values(norm)]
            known = [number for number in mine if number is not None]
            if len(known) == len(mine):
                found[path] = torch.tensor(known)
    return found


def _values(norm: nn.modules.batchnorm._BatchNorm) -> list[tuple[float, ...]]:
    columns = (norm.weight, norm.bias, norm.running_mean, norm.running_var)
    return [tuple(row) for row in torch.stack([each.detach() for each in columns if each is not None], 1).tolist()]


@memory_kept()
def settled(model: nn.Module, reference: Reference, left: Mapping[str, Tensor]) -> nn.Module:
    """With running statistics as ours have them, in place. ``left``: see ``channels_left``."""
    settle_norms(model, reference, left)
    return model


@memory_kept()
@torch.no_grad()
def refitted(model: nn.Module, reference: Reference, left: Mapping[str, Tensor]) -> nn.Module:
    """And with dense layers that lost inputs fitted by least squares, front to back, to what their outputs that stay
    were in the original."""
    order = calls(model.eval(), reference.batches[0][:1], RECORDED)
    places = {}
    for at, call in enumerate(order):
        if _lost_inputs(call, reference.model):
            behind = order[at + 1] if at + 1 < len(order) else None
            is_normed = behind is not None and is_norm(behind.module)
            outputs = left.get(behind.path) if behind is not None and is_normed else None
            if outputs is not None or not isinstance(call.module, nn.Conv2d):
                places[at] = reader_place(call, outputs)
    fit_places(model, reference, order, places, norms_from(0, order, reference, left))
    return model


def _lost_inputs(call: RecordedCall, original: nn.Module) -> bool:
    """Of dense layers that are as a form says it."""
    layer, its = call.module, original.get_submodule(call.path)
    if not is_plain(layer):
        return False
    assert isinstance(layer.weight, Tensor)
    assert isinstance(its.weight, Tensor)
    return layer.weight.shape[1] < its.weight.shape[1]
