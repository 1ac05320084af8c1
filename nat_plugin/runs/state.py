"""Checkpoints: a tree of tensors and plain values as one safetensors file. Never a pickle."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save

from nat_plugin.errors import NATError
from nat_plugin.files import CHUNK, ReadError, opened, write_bytes
from nat_plugin.settings import State
from nat_plugin.tensors import read_tensors

MAX_BYTES, MAX_HEADER = 64 * 2**30, 100 * 2**20
"""The second is what safetensors allows; every plain value of a run's state is in the header."""
_TENSOR = "__tensor__"
_SEAL = b'"state":"{\\"sha256\\": \\"'
"""What is before the checksum in the header of the file."""
_NONE = b"0" * 64
"""What stands for the checksum while it is computed, of the whole file."""


def save_state(path: Path, state: State) -> None:
    """Write a tree whole: tensors as such (on the CPU), everything else as JSON in the header, with a checksum."""
    tensors: dict[str, torch.Tensor] = {}
    plain = json.dumps({"sha256": _NONE.decode(), "tree": split_state(state, tensors)})
    data = save(tensors, metadata={"state": plain})
    at = data.index(_SEAL + _NONE) + len(_SEAL)
    write_bytes(path, data[:at] + sha256(data).hexdigest().encode() + data[at + len(_NONE) :])


def load_state(path: Path) -> State:
    """Raises NATError for a file that is missing, of another kind, or not as it was written."""
    try:
        _check(path)
        tensors, facts = read_tensors(path, MAX_BYTES, MAX_HEADER)
        plain = json.loads(facts["state"])["tree"]
    except ReadError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise NATError(f"{path}: there is no checkpoint; is this the folder of a run?") from error
        raise
    except (SafetensorError, KeyError, ValueError) as error:
        raise NATError(
            f"{path}: this is not a checkpoint of a run, or it is damaged ({error}); put it back as it was, or remove "
            "it: then the run starts again from its beginning"
        ) from error
    tree: State = join_state(plain, tensors)
    return tree


def _check(path: Path) -> None:
    """ValueError unless a file has the checksum that it says; every bit of it counts."""
    with opened(path) as file:
        length = file.read(8)
        header = bytearray(file.read(min(int.from_bytes(length, "little"), MAX_HEADER)))
        at = header.find(_SEAL) + len(_SEAL)
        if at < len(_SEAL):
            raise ValueError("it has no checksum")
        said, header[at : at + len(_NONE)] = header[at : at + len(_NONE)], _NONE
        found = sha256(length + header)
        while piece := file.read(CHUNK):
            found.update(piece)
    if found.hexdigest().encode() != said:
        raise ValueError("its checksum does not match its contents")


def split_state(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """A tree with the names of its tensors in their places; the tensors are added to ``tensors``."""
    if isinstance(value, torch.Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().cpu().clone().contiguous()
        return {_TENSOR: name}
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("a state's keys must be texts")
        return {key: split_state(each, tensors) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [split_state(each, tensors) for each in value]
    return value


def join_state(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """The tree of which ``split_state`` was made. NATError for one that names tensors which are not there."""
    if isinstance(value, dict):
        if set(value) == {_TENSOR}:
            name = value[_TENSOR]
            if not isinstance(name, str) or name not in tensors:
                raise NATError(f"this state is damaged: it has no tensor {name!r:.40}")
            return tensors[name]
        return {key: join_state(each, tensors) for key, each in value.items()}
    if isinstance(value, list):
        return [join_state(each, tensors) for each in value]
    return value
