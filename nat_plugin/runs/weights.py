"""Trained weights as files that any program reads: safetensors, by the names of the module's own state."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save

from nat_plugin.errors import NATError
from nat_plugin.files import ReadError, write_bytes
from nat_plugin.tensors import read_tensors

MAX_BYTES = 64 * 2**30


def save_weights(path: Path, weights: Mapping[str, torch.Tensor]) -> None:
    """Write the state of a module whole. Tensors that share memory are written once for each name."""
    write_bytes(path, save({name: tensor.detach().cpu().clone().contiguous() for name, tensor in weights.items()}))


def load_weights(path: Path) -> dict[str, torch.Tensor]:
    """What ``save_weights`` wrote. NATError for a file that is missing, damaged or of another kind."""
    try:
        return read_tensors(path, MAX_BYTES)[0]
    except (SafetensorError, ReadError) as error:
        raise NATError(f"{path}: these are not the weights of a network, or they are damaged ({error})") from error
