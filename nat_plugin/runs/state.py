"""Checkpoints: a tree of tensors and plain values as one safetensors file. Never a pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save

from nat_plugin.errors import NATError
from nat_plugin.files import ReadError, write_bytes
from nat_plugin.strategies.base import State
from nat_plugin.tensors import read_tensors

MAX_BYTES, MAX_HEADER = 64 * 2**30, 100 * 2**20
"""The second is what safetensors allows; every plain value of a run's state is in the header."""
_TENSOR = "__tensor__"


def save_state(path: Path, state: State) -> None:
    """Write a tree whole: tensors as such (on the CPU), everything else as JSON in the header."""
    tensors: dict[str, torch.Tensor] = {}
    plain = json.dumps(split(state, tensors))
    write_bytes(path, save(tensors, metadata={"state": plain}))


def load_state(path: Path) -> State:
    """Raises NATError for a file that is missing, damaged or of another kind."""
    try:
        tensors, facts = read_tensors(path, MAX_BYTES, MAX_HEADER)
        plain = json.loads(facts["state"])
    except ReadError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise NATError(f"{path}: there is no checkpoint; is this the folder of a run?") from error
        raise
    except (SafetensorError, KeyError, ValueError) as error:
        raise NATError(f"{path}: this is not a checkpoint of a run, or it is damaged ({error})") from error
    tree: State = join(plain, tensors)
    return tree


def split(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """A tree with the names of its tensors in their places; the tensors are added to ``tensors``."""
    if isinstance(value, torch.Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().cpu().clone().contiguous()
        return {_TENSOR: name}
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("a state's keys must be texts")
        return {key: split(each, tensors) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [split(each, tensors) for each in value]
    return value


def join(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """The tree that was ``split``."""
    if isinstance(value, dict):
        if set(value) == {_TENSOR}:
            return tensors[value[_TENSOR]]
        return {key: join(each, tensors) for key, each in value.items()}
    if isinstance(value, list):
        return [join(each, tensors) for each in value]
    return value
