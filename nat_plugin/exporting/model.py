"""Text of a model into a module, tried against the model that it was made from, and into a folder."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import nn

from nat_plugin.errors import NATError
from nat_plugin.exporting.text import MODULE, WEIGHTS, Kind, with_kind
from nat_plugin.exporting.traced import traced_source
from nat_plugin.exporting.tracing import Example, trace
from nat_plugin.files import file_errors, write_bytes, write_text

Weights: TypeAlias = Mapping[str, torch.Tensor]


def traced(model: nn.Module, inputs: Example, title: str) -> nn.Module:
    """A model as a module of torch's own layers, with the same weights, names and mode; see ``built``. NATError where
    it cannot be followed."""
    graphs = [trace(copy.deepcopy(model).train(mode), inputs) for mode in (False, True)]
    return built(traced_source(model, graphs[0], graphs[1], title), model, inputs)


def built(text: str, model: nn.Module, inputs: Example) -> nn.Module:
    """The module of a text, with the weights and the mode of the model that the text was made from. NATError if it
    computes something else on ``inputs``, in evaluation or in training mode: they must give the same bits."""
    scope: dict[str, Any] = {"__name__": "model"}
    exec(compile(text, "<exported model>", "exec"), scope)  # our own text, see ``traced`` and ``cells``
    module: nn.Module = scope["Model"]()
    module.load_state_dict(model.state_dict())
    for mode in (False, True):
        if not _agree(copy.deepcopy(model).train(mode), copy.deepcopy(module).train(mode), inputs):
            raise NATError(f"the exported {type(model).__name__} computes something else; please report it")
    module.__dict__["source"] = text
    return module.train(model.training)


def save(module: nn.Module, folder: Path, kind: Kind = "own") -> None:
    """Write what ``built`` made: ``model.py``, which can be read and changed and says of what kind its weights are, and
    ``weights.pt`` unless there are none. NATError where other weights would be left beside a model without any."""
    with file_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if kind == "none" and (folder / WEIGHTS).exists():
        raise NATError(f"{folder / WEIGHTS}: these weights are of another model; remove them or choose another folder")
    if kind != "none":
        data = BytesIO()
        torch.save(module.state_dict(), data)
        write_bytes(folder / WEIGHTS, data.getvalue())
    write_text(folder / MODULE, with_kind(str(module.source), kind))


def load_weights(module: nn.Module, weights: Weights) -> None:
    """Take over weights. NATError names what is missing, too much, or of another shape."""
    own = module.state_dict()
    for name in [*(name for name in own if name not in weights), *(name for name in weights if name not in own)]:
        lacking = "they have" if name in own else "the model has"
        raise NATError(f"these are not the weights of this model: {lacking} no '{name[:80]}'")
    for name, value in own.items():
        if value.shape != weights[name].shape:
            shapes = f"{tuple(weights[name].shape)}, the model needs {tuple(value.shape)}"
            raise NATError(f"these are not the weights of this model: '{name[:80]}' is {shapes}")
    module.load_state_dict(dict(weights))


def _agree(one: nn.Module, other: nn.Module, inputs: Example) -> bool:
    """Whether both give the same bits, with the same random numbers."""
    outputs = []
    for model in (one, other):
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            outputs.append(_flat(model(*(each.clone() for each in inputs))))
    return len(outputs[0]) == len(outputs[1]) and all(map(torch.equal, *outputs))


def _flat(output: Any) -> list[torch.Tensor]:
    if isinstance(output, torch.Tensor):
        return [output]
    values = output.values() if isinstance(output, Mapping) else output
    return [tensor for each in values for tensor in _flat(each)]
