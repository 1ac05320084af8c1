"""A found architecture as a plain torch module: no NNI is needed to load, run and train it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nat_nni.samples.domains import domains_of
from nat_nni.samples.values import restored
from nat_plugin import NATError
from nat_plugin.exporting import Example, save, traced

_SIZES = (32, 224)
"""Images that are tried where no example is given."""


def export_module(space: Any, sample: Mapping[str, Any] | None = None, example: Any = None) -> nn.Module:
    """The architecture of ``sample`` in ``space`` as a module of torch's own layers, with the weights that NNI's frozen
    model has and the names that it gives them, so that either loads the ``state_dict`` of the other.

    ``space`` may also be a model that is frozen already, without a sample. ``example``: what the model is called with,
    a tensor or a tuple of tensors; of none, a small batch of images is tried. Both models are run on it, in evaluation
    and in training mode, and must give the same bits. The mode is that of NNI's model. NATError where the model cannot
    be followed, or computes something else.
    """
    frozen = _frozen(space, sample)
    title = f"{type(frozen).__name__}, an architecture found in a model space of NNI."
    return traced(frozen, _example(frozen, example), title)


def save_module(module: nn.Module, folder: str | Path) -> Path:
    """Write what ``export_module`` made: ``model.py``, which can be read and changed, and ``weights.pt``. In another
    place ``from model import load`` and ``load('weights.pt')`` bring it back; nothing but torch is needed there."""
    if not hasattr(module, "source"):
        raise NATError("save_module takes what export_module made")
    save(module, Path(folder))
    return Path(folder)


def _frozen(space: Any, sample: Mapping[str, Any] | None) -> nn.Module:
    from nni.mutable import SampleValidationError
    from nni.nas.nn.pytorch import ModelSpace

    if sample is not None and isinstance(space, ModelSpace):
        found = restored(domains_of(space), dict(sample))
        try:
            model = space.freeze(found)
        except SampleValidationError as error:
            raise NATError(f"the sample does not fit {type(space).__name__}: {' '.join(str(error).split())}") from None
    else:
        model = space
    if not isinstance(model, nn.Module) or (isinstance(model, ModelSpace) and list(model.simplify())):
        raise NATError("export_module takes a model space and a sample, or a frozen model")
    return model


def _example(model: nn.Module, example: Any) -> Example:
    if example is not None:
        return tuple(example) if isinstance(example, (tuple, list)) else (example,)
    first = next((each for each in model.modules() if isinstance(each, (nn.Conv2d, nn.Linear))), None)
    if isinstance(first, nn.Linear):
        return (torch.randn(2, first.in_features),)
    why = ""
    if isinstance(first, nn.Conv2d):
        for size in _SIZES:
            images = torch.randn(2, first.in_channels, size, size)
            try:
                with torch.no_grad():
                    copy.deepcopy(model).eval()(images)
            except Exception as error:  # noqa: BLE001 - of another size, then
                why = f" (with {tuple(images.shape)}: {type(error).__name__}: {str(error)[:160]})"
                continue
            return (images,)
    raise NATError(f"say what {type(model).__name__} is called with: export_module(space, sample, example=tensor){why}")
