"""Trained weights as files that any program reads: safetensors, by the names of the module's own state."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save

from nat_plugin.errors import NATError
from nat_plugin.files import ReadError, write_bytes
from nat_plugin.fingerprints import Outside, fingerprint
from nat_plugin.ir import Network, key
from nat_plugin.tensors import read_tensors

MAX_BYTES = 64 * 2**30
FOLDER = "weights"


def weights_file(folder: Path, network: Network, seed: int) -> Path:
    """Where in the folder of a run lies what a training of the final stage ended with."""
    return folder / FOLDER / f"{key(network)}-seed{seed}.safetensors"


def save_weights(path: Path, weights: Mapping[str, torch.Tensor]) -> str:
    """Write the state of a module whole; the SHA-256 of the file. Tensors that share memory are written once for each
    name."""
    data = save({name: tensor.detach().cpu().clone().contiguous() for name, tensor in weights.items()})
    write_bytes(path, data)
    return sha256(data).hexdigest()


def load_weights(path: Path) -> dict[str, torch.Tensor]:
    """What ``save_weights`` wrote. NATError for a file that is missing, damaged or of another kind."""
    try:
        return read_tensors(path, MAX_BYTES)[0]
    except (SafetensorError, ReadError) as error:
        raise NATError(f"{path}: these are not the weights of a network, or they are damaged ({error})") from error


def check_weights(path: Path, digest: str) -> None:
    """NATError unless a file has the SHA-256 that it had when it was written."""
    if not path.is_file() or fingerprint(Outside.all_of(path)) != digest:
        raise NATError(
            f"{path}: these weights were lost or changed since they were trained; put them back as they were, or "
            "remove checkpoint.safetensors: then the run starts again from its beginning"
        )
