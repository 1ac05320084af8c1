"""Moves that plain arguments of timm can say: blocks of a stage left out, so that it has fewer of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nat_plugin.errors import NATError
from nat_timm.document import Document
from nat_timm.framework import create

_DEPTHS = ("layers", "depths")
"""Arguments of entrypoints that give the number of blocks in each stage."""
_BLOCK = re.compile(r"(?P<stage>.+)\.(?P<number>\d+)")


@dataclass(frozen=True, eq=False)
class Stock:
    """A model that timm builds from ``args`` without us, with the weights of the moved one."""

    model: nn.Module
    args: Mapping[str, Any]


def stock(model: nn.Module, found: Document) -> Stock | None:
    """The same model as plain arguments say it, None where they cannot; its outputs were compared and are equal."""
    if not found.edits or any(edit.op != "null" for edit in found.edits):
        return None
    gone: dict[str, set[int]] = {}
    for edit in found.edits:
        match = _BLOCK.fullmatch(edit.at[0])
        if match is None:
            return None
        gone.setdefault(match["stage"], set()).add(int(match["number"]))
    depths = _depths(model, gone)
    state = _renumbered(model.state_dict(), gone)
    classes = int(getattr(model, "num_classes", 0))
    size = {"num_classes": classes, "in_chans": int(getattr(model, "in_chans", 3))}
    for argument in _DEPTHS:
        if argument in found.model_args:
            continue
        args = {**found.model_args, argument: depths}
        try:
            skeleton = create(found.architecture, {**args, **size}, "meta").state_dict()
        except NATError:
            continue
        if {key: value.shape for key, value in skeleton.items()} == {key: value.shape for key, value in state.items()}:
            plain = create(found.architecture, {**args, **size})
            plain.load_state_dict(state)
            plain.pretrained_cfg = {**model.pretrained_cfg, "architecture": found.architecture.partition(".")[0]}  # type: ignore[dict-item]
            if _equal(model, plain, size["in_chans"]):
                return Stock(plain, args)
    return None


def _depths(model: nn.Module, gone: Mapping[str, set[int]]) -> list[int]:
    """Blocks of every stage, in order: the stages are the modules beside those that lost blocks."""
    first = next(iter(gone))
    return [
        len(module) - len(gone.get(name, ()))
        for name, module in model.named_modules()
        if _is_like(name, first) and isinstance(module, nn.Sequential | nn.ModuleList)
    ]


def _is_like(name: str, other: str) -> bool:
    """Whether two paths differ in numbers only, as ``layer1`` and ``layer3`` do, the stages of a model."""
    return re.sub(r"\d+", "0", name) == re.sub(r"\d+", "0", other)


def _renumbered(state: Mapping[str, Tensor], gone: Mapping[str, set[int]]) -> dict[str, Tensor]:
    found = {}
    for key, value in state.items():
        for stage, numbers in gone.items():
            match = re.match(rf"{re.escape(stage)}\.(\d+)\.", key)
            if match is not None:
                number = int(match[1])
                key = f"{stage}.{number - sum(other < number for other in numbers)}.{key[match.end() :]}"
                break
        found[key] = value
    return found


def _equal(model: nn.Module, plain: nn.Module, channels: int) -> bool:
    training, device = model.training, next(model.parameters()).device
    model.eval()
    plain.to(device).eval()
    images = torch.randn(2, channels, 64, 64, generator=torch.Generator().manual_seed(0)).to(device)
    try:
        with torch.no_grad():
            return torch.equal(model(images), plain(images))
    finally:
        model.train(training)
