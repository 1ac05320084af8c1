"""Fewer channels of a whole group with inherited weights: in every layer that makes, has or reads them.

Each layer remembers which of its channels are left, so that a group can be cut again, and another one that stands
beside it in a concatenation be found, whatever was cut before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import lcm

import torch
from torch import Tensor, nn

from nat_timm.documents.uses import Side, Use
from nat_timm.reading.parts import squeeze_layers
from nat_timm.surgery.fusing import fused_around
from nat_timm.surgery.slicing import slice_between, slice_columns, slice_rows, weight_of
from nat_timm.surgery.values import normed_size


def narrow(model: nn.Module, uses: Sequence[Use], keep: int) -> None:
    """Keep ``keep`` channels of a group in all layers of ``uses``. In place. ValueError where that cannot be."""
    places = [_PlacedUse.find(model, use) for use in uses]
    if not any(place.use.side == "out" for place in places):
        raise ValueError("no layer among them makes the channels (PATH:out)")
    present = {len(place.positions) for place in places}
    if len(present) > 1:
        raise ValueError(f"its layers have different numbers of channels left: {sorted(present)}")
    here, unit = present.pop(), lcm(*(place.unit for place in places))
    if not 0 < keep <= here or keep % unit:
        raise ValueError(f"of {here} channels in groups of {unit}, {keep} cannot be kept")
    chosen = _chosen(places, keep, unit)
    by_layer: dict[tuple[str, str], list[_PlacedUse]] = {}
    for place in places:
        by_layer.setdefault((place.use.path, place.use.side), []).append(place)
    for uses_of_layer in by_layer.values():
        before = _noted(uses_of_layer[0].module)
        _cut(uses_of_layer, chosen)
        after = _noted(uses_of_layer[0].module)
        for around in fused_around(model, uses_of_layer[0].use.path):
            for name in _NOTED[uses_of_layer[0].use.side]:
                if name in around.__dict__ and around.__dict__[name] == before.get(_MEANS.get(name, name)):
                    around.__dict__[name] = after[_MEANS.get(name, name)]


_NOTED = {
    "in": ("in_chs", "in_channels"),
    "out": ("out_chs", "out_channels"),
    "both": ("in_chs", "in_channels", "out_chs", "out_channels", "dim", "groups"),
}
"""What modules that timm fuses note of their convolutions, by the side that is cut."""
_MEANS = {"in_chs": "in_channels", "out_chs": "out_channels", "dim": "in_channels"}


def _noted(module: nn.Module) -> dict[str, int]:
    return {name: getattr(module, name, 0) for name in ("in_channels", "out_channels", "groups")}


@dataclass(frozen=True)
class KeptChannels:
    """Which of the channels that a module was built with are left, by side (and for bare parameters by their name)."""

    left: dict[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class _PlacedUse:
    """A use in a model as it is: ``positions`` are those that the group has there now."""

    use: Use
    module: nn.Module
    parameter: str | None
    left: tuple[int, ...]
    positions: tuple[int, ...]

    @staticmethod
    def find(model: nn.Module, use: Use) -> _PlacedUse:
        module, parameter = _target(model, use.path)
        count = _count(module, parameter, use.side)
        kept = getattr(module, "nat_kept", KeptChannels()).left.get(parameter or use.side, tuple(range(count)))
        if len(kept) != count:
            raise ValueError(f"'{use.path}' has {count} channels, not the {len(kept)} that were left of it")
        first, last = use.span or (kept[0], kept[-1])
        positions = tuple(at for at, channel in enumerate(kept) if first <= channel <= last)
        return _PlacedUse(use, module, parameter, kept, positions)

    @property
    def unit(self) -> int:
        """Channels that go only together."""
        if self.use.side == "both" and isinstance(self.module, nn.Conv2d):
            return self.module.in_channels // self.module.groups
        return 1


def _cut(places: Sequence[_PlacedUse], chosen: Tensor) -> None:
    """Cut one side of a layer, which may have the channels several times (a value concatenated with itself)."""
    gone = set[int]()
    for place in places:
        stay = range(len(chosen)) if chosen.is_meta else chosen.tolist()
        gone |= set(place.positions) - {place.positions[number] for number in stay}
    first = places[0]
    module, count = first.module, len(first.left)
    index = [at for at in range(count) if at not in gone]
    where = torch.tensor(index, device=chosen.device)
    known = getattr(module, "nat_kept", KeptChannels()).left
    left = tuple(first.left[at] for at in index)
    module.nat_kept = KeptChannels({**known, first.parameter or first.use.side: left})  # type: ignore[assignment]
    if first.parameter is not None:
        _cut_parameter(module, first.parameter, where, count)
    elif first.use.side == "out":
        slice_rows(module, where, count)
    elif first.use.side == "in":
        slice_columns(module, where)
    elif type(module).__name__ == "EffectiveSEModule":
        layer = module.fc
        assert isinstance(layer, nn.Module)
        slice_rows(layer, where, count)
        slice_columns(layer, where)
    else:
        slice_between(module, where, count)


def _target(model: nn.Module, path: str) -> tuple[nn.Module, str | None]:
    """The module at a path; or, of a parameter that stands in a module by itself, that module and its name in it."""
    owner, _, last = path.rpartition(".")
    try:
        found = model.get_submodule(owner)
        if last in found._parameters:
            return found, last
        return model.get_submodule(path), None
    except AttributeError:
        raise ValueError(f"the model has no module '{path[:80]}'") from None


def _count(module: nn.Module, parameter: str | None, side: Side) -> int:
    if parameter is not None:
        return module.get_parameter(parameter).numel()
    if side != "both":
        if not isinstance(module, nn.Linear | nn.Conv2d) or getattr(module, "groups", 1) != 1:
            raise ValueError(f"a {type(module).__name__} is not a dense layer")
        return weight_of(module).shape[0 if side == "out" else 1]
    names = squeeze_layers(module)
    inner = getattr(module, names[0]) if names is not None else getattr(module, "fc", module)
    if isinstance(inner, nn.Conv2d):
        return inner.in_channels
    own = {each.numel() for each in module.parameters(recurse=False)}
    if len(own) != 1:
        raise ValueError(f"a {type(module).__name__} has not one weight for each channel")
    return own.pop()


def _cut_parameter(module: nn.Module, name: str, index: Tensor, count: int) -> None:
    values = module.get_parameter(name)
    axis = list(values.shape).index(count)
    setattr(module, name, nn.Parameter(values.detach().index_select(axis, index), values.requires_grad))


def _chosen(places: Sequence[_PlacedUse], keep: int, unit: int) -> Tensor:
    """The numbers of the channels that stay, among those of the group, ascending; those of a unit stay together."""
    if _is_meta(places):
        return torch.arange(keep, device="meta")
    score = importance(places).view(-1, unit).sum(1)
    best = score.sort(descending=True, stable=True).indices[: keep // unit].sort().values
    return (best[:, None] * unit + torch.arange(unit, device=best.device)).flatten()


def group_importance(model: nn.Module, uses: Sequence[Use]) -> Tensor:
    """``importance`` of the channels that a group of a model has now; all alike where the model has no weights."""
    places = [_PlacedUse.find(model, use) for use in uses]
    if _is_meta(places):
        return torch.ones(len(places[0].positions))
    return importance(places)


def _is_meta(places: Sequence[_PlacedUse]) -> bool:
    return any(each.is_meta for place in places for each in place.module.parameters(recurse=False))


def importance(places: Sequence[_PlacedUse]) -> Tensor:
    """How much each channel of a group matters: the share that it has in the weights of the layers that read it, times
    the size of its values, added up over the layers that make it."""
    readers = [_share(place) for place in places if place.use.side == "in"]
    read = torch.stack(readers).sum(0) if readers else torch.ones(len(places[0].positions))
    made, normed = list[Tensor](), list[Tensor]()
    for maker, behind in _makers(places):
        made.append(_rows(maker).square())
        size = next((size for size in map(_normed, behind) if size is not None), None)
        if size is not None:
            normed.append(size.square())
    size = torch.stack(normed or made).sum(0).sqrt()
    return read.to(size.device).sqrt() * size


def _share(place: _PlacedUse) -> Tensor:
    """Squares: of what a layer reads, what it reads of each channel of the group."""
    weight = weight_of(place.module).detach().float().transpose(0, 1).flatten(1).square().sum(1)
    return weight[list(place.positions)] / weight.sum().clamp(min=1e-12)


def _makers(places: Sequence[_PlacedUse]) -> Iterator[tuple[_PlacedUse, list[_PlacedUse]]]:
    """The layers that make the channels, each with what stands behind it before the next one."""
    starts = [number for number, place in enumerate(places) if place.use.side == "out"]
    for start, end in zip(starts, [*starts[1:], len(places)], strict=True):
        yield places[start], [place for place in places[start + 1 : end] if place.use.side == "both"]


def _rows(place: _PlacedUse) -> Tensor:
    found: Tensor = weight_of(place.module).detach().float().flatten(1).norm(dim=1)
    return found[list(place.positions)]


def _normed(place: _PlacedUse) -> Tensor | None:
    size = None if place.parameter is not None else normed_size(place.module)
    return None if size is None or size.numel() != len(place.left) else size[list(place.positions)]
