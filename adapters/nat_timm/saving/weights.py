"""Weights to start from: of a folder, of a file, or those that timm has for the model."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from nat_plugin import NATError
from nat_plugin.files import ReadError, opened
from nat_plugin.tensors import read_tensors
from nat_timm.framework import said, timm
from nat_timm.models import document_of, load_weights, rebuilt
from nat_timm.surgery.apply import apply_edits

PRETRAINED = "pretrained"
MAX_BYTES = 64 * 2**30
_PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
"""First bytes of what torch.save writes: a zip of pickles, or a pickle."""
_LAYER = ("weight", "bias")
_COUNTER = ".num_batches_tracked"
"""Of a batch norm, which old files lack."""
_log = logging.getLogger(__name__)


def starting_weights(model: nn.Module, source: str | None) -> None:
    """Load weights into a model, strictly; None leaves it as it is. ``pretrained``: those of its pretrained_cfg.

    Those of what an edited model was before are cut to size. Names of modules around the model are left out. Where they
    are for other classes or channels of images, the classifier starts afresh and the first convolution is adapted, as
    timm does it; a line of the log says so. NATError of one line for anything that is missing or does not fit.
    """
    if source is None:
        return
    edits, state = document_of(model).edits, None if source == PRETRAINED else _unwrapped(model, source)
    if edits and (state is None or not _are_its_own(model, state)):
        whole = rebuilt(model, document_of(model).with_edits(()))
        _load(whole, source, state)
        model.load_state_dict(apply_edits(whole, edits, source).state_dict())
        return
    _load(model, source, state)


def _unwrapped(model: nn.Module, source: str) -> dict[str, Tensor]:
    """Weights without the names of modules that the model was in when they were written, such as ``module.``."""
    found, own = read_weights(Path(source)), {name.partition(".")[0] for name in model.state_dict()}
    while len(first := {name.partition(".")[0] for name in found}) == 1 and first.isdisjoint({*own, *found}):
        found = {name.partition(".")[2]: value for name, value in found.items()}
    return found


def _are_its_own(model: nn.Module, state: Mapping[str, Tensor]) -> bool:
    """Whether weights are those of an edited model, and not of what it was before: by their shapes, but for those of
    other classes and channels of images."""
    other = {
        f"{path}.{name}" for what in ("classifier", "first_conv") for path in _named(model, what) for name in _LAYER
    }
    own = {name: value.shape for name, value in model.state_dict().items() if name not in other}
    return all(name not in state or state[name].shape == shape for name, shape in own.items())


def _load(model: nn.Module, source: str, state: Mapping[str, Tensor] | None) -> None:
    if state is not None:
        broken = next((name for name, each in state.items() if not torch.isfinite(each).all()), None)
        if broken is not None:
            raise NATError(f"{source}: '{broken[:80]}' holds values that are infinite or NaN")
        load_weights(model, _fitted(model, state, source), source)
        return
    name = document_of(model).architecture
    try:
        timm().models.load_pretrained(
            model,
            pretrained_cfg=_config(name),
            num_classes=getattr(model, "num_classes", 1000),
            in_chans=getattr(model, "in_chans", 3),
            strict=False,
        )
    except Exception as error:
        raise NATError(f"{name}: timm could not load pretrained weights ({said(error)})") from error


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of ``path`` (or of ``model.safetensors`` in it). NATError where that cannot be read."""
    file = weights_file(path)
    try:
        with opened(file) as start:
            first = start.read(4)
        if first.startswith(_PICKLES):
            raise NATError(
                f"{file}: this is a pickle (.pth, .pt, .bin), and reading one runs what is in it; where you trust it, "
                "convert it once: safetensors.torch.save_file(torch.load(FILE, weights_only=True), 'model.safetensors')"
            )
        return read_tensors(file, MAX_BYTES)[0]
    except SafetensorError as error:
        words = " ".join(str(error).split())[:120]
        raise NATError(f"{file}: not readable as safetensors: {words}") from error
    except ReadError as error:
        raise NATError(
            f"{error}; the weights of a model are a .safetensors file or a folder with model.safetensors"
        ) from error


def _fitted(model: nn.Module, state: Mapping[str, Tensor], source: str) -> Mapping[str, Tensor]:
    """The weights with what other classes and channels need, and what no output depends on: all else has to fit."""
    own = model.state_dict()
    found = {name: value for name, value in own.items() if name.endswith(_COUNTER)} | dict(state)

    def pairs(what: str, axis: int) -> Iterator[tuple[str, int, int]]:
        """Layers whose weights differ in the length of one axis: the path, that of the weights, that of the model."""
        for path in _named(model, what):
            shapes = [each.get(f"{path}.weight", torch.empty(())).shape for each in (found, own)]
            before, mine = (list(shape) for shape in shapes)
            if len(before) == len(mine) > axis and before.pop(axis) != mine.pop(axis) and before == mine:
                yield path, shapes[0][axis], shapes[1][axis]

    for path, before, mine in pairs("classifier", 0):
        found |= {key: value for key, value in own.items() if key in (f"{path}.weight", f"{path}.bias")}
        _log.warning("%s: weights for %d classes, the model has %d: '%s' starts afresh", source, before, mine, path)
    for path, before, mine in pairs("first_conv", 1):
        found[f"{path}.weight"] = timm().models.adapt_input_conv(mine, found[f"{path}.weight"])
        _log.warning("%s: weights for %d channels, the model takes %d: '%s' is adapted", source, before, mine, path)
    return found


def _named(model: nn.Module, what: str) -> Iterator[str]:
    """The paths that the pretrained_cfg states for a part of the model: none, one or several."""
    said = (getattr(model, "pretrained_cfg", None) or {}).get(what) or ()
    yield from (said,) if isinstance(said, str) else said


def weights_file(path: Path) -> Path:
    """The file of weights that is meant: itself, or ``model.safetensors`` in a folder."""
    return path / "model.safetensors" if path.is_dir() else path


def pretrained_file(name: str) -> Path | None:
    """Where this machine has what timm loads as the pretrained weights of a model; None where that cannot be told."""
    config = _config(name)
    hub, url = str(config.get("hf_hub_id") or ""), str(config.get("url") or "")
    found: list[object] = [config.get("file")]
    if hub:
        from huggingface_hub import try_to_load_from_cache

        files = ("model.safetensors", config.get("hf_hub_filename") or "pytorch_model.bin")
        repository, _, revision = hub.partition("@")
        found += [try_to_load_from_cache(repository, file, revision=revision or None) for file in files]
    if url:
        found.append(os.path.join(torch.hub.get_dir(), "checkpoints", os.path.basename(url)))
    return next((Path(each) for each in found if isinstance(each, str) and os.path.isfile(each)), None)


def _config(name: str) -> dict[str, Any]:
    config = timm().models.get_pretrained_cfg(name)
    if config is None or not config.has_weights:
        raise NATError(f"{name}: timm has no pretrained weights of this model")
    found: dict[str, Any] = config.to_dict()
    return found


def check_usable(model: nn.Module, learns: bool = True) -> None:
    """NATError for a model without weights, with weights that are no float32 numbers, or where it ``learns`` with none
    that may."""
    tensors = [*model.named_parameters(), *model.named_buffers()]
    for name, each in tensors:
        if each.is_meta:
            raise NATError(f"the model has no weights: '{name}' is on the device 'meta'; make it on a real device")
    for name, each in tensors:
        if each.is_floating_point() and each.dtype != torch.float32:
            raise NATError(
                f"'{name}' of the model is {str(each.dtype).removeprefix('torch.')}: give the model in float32 "
                "(model.float()); precision= says what is computed in"
            )
        if not torch.isfinite(each).all():
            raise NATError(f"'{name}' of the model holds values that are infinite or NaN")
    if learns and not any(each.requires_grad for each in model.parameters()):
        raise NATError("all weights of the model are frozen: nothing can learn; model.requires_grad_(True) thaws them")


@torch.no_grad()
def check_says(model: nn.Module, x: Tensor) -> None:
    """NATError for a model in evaluation mode whose output for some images is no finite number."""
    if not torch.isfinite(model(x)).all():
        raise NATError("the model gives values that are infinite or NaN for these images: its weights are broken")
