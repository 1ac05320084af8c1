"""Weights to start from: of a folder, of a file, or those that timm has for the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from torch import Tensor, nn

from nat_plugin.errors import NATError
from nat_plugin.tensors import read_tensors
from nat_timm.framework import timm
from nat_timm.models import document_of, load_weights

PRETRAINED = "pretrained"
MAX_BYTES = 64 * 2**30


def starting_weights(model: nn.Module, source: str | None) -> None:
    """Load weights into a model, strictly; None leaves it as it is. ``pretrained``: those of its pretrained_cfg, which
    timm makes fit other classes and channels. NATError of one line for anything that is missing or does not fit."""
    if source is None:
        return
    if source != PRETRAINED:
        load_weights(model, read_weights(Path(source).expanduser()), source)
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
    except Exception as error:  # noqa: BLE001 - timm, its hub and the network under it raise what they like
        said = " ".join(str(error).split())[:160]
        raise NATError(f"{name}: timm could not load pretrained weights ({type(error).__name__}: {said})") from None


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of ``path`` (or of ``model.safetensors`` in it). NATError where that cannot be read."""
    file = path / "model.safetensors" if path.is_dir() else path
    try:
        return read_tensors(file, MAX_BYTES)[0]
    except SafetensorError as error:
        raise NATError(f"{file}: not readable as safetensors: {' '.join(str(error).split())[:120]}") from error


def _config(name: str) -> dict[str, Any]:
    config = timm().models.get_pretrained_cfg(name)
    if config is None or not config.has_weights:
        raise NATError(f"{name}: timm has no pretrained weights of this model")
    found: dict[str, Any] = config.to_dict()
    return found
