"""Moves that plain arguments of timm can say: blocks of a stage left out, so that it has fewer of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from nat_plugin import NATError
from nat_timm.building.comparing import computes_the_same
from nat_timm.documents.document import Document, document
from nat_timm.models import rebuilt

_DEPTHS = ("layers", "depths")
"""Arguments of entrypoints that give the number of blocks in each stage."""
_BLOCK = re.compile(r"(?P<stage>.+)\.(?P<number>\d+)")


@dataclass(frozen=True, eq=False)
class Stock:
    """A model that timm builds with the further arguments ``args`` without us, with the weights of the moved one."""

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
    for argument in _DEPTHS:
        if argument in found.model_args:
            continue
        base = document(found.architecture, {**found.model_args, argument: depths})
        try:
            skeleton = rebuilt(model, base, "meta").state_dict()
        except NATError:
            continue
        if {key: value.shape for key, value in skeleton.items()} == {key: value.shape for key, value in state.items()}:
            plain = rebuilt(model, base).to(next(model.parameters()).dtype)
            plain.load_state_dict(state)
            own = {"architecture": found.architecture.partition(".")[0]}
            plain.pretrained_cfg = {**getattr(model, "pretrained_cfg", {}), **own}  # type: ignore[assignment]
            if computes_the_same(model, plain, found.architecture):
                return Stock(plain, {argument: depths})
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
