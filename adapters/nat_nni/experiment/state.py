"""State as NNI can keep it: dicts, lists, numbers and strings. Tensors go as text."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save

from nat_plugin import NATError
from nat_plugin.extending import State, seal, unseal
from nat_plugin.files import ReadError, read_text, write_text
from nat_plugin.runs import join_state, split_state

MAX_BYTES = 2**30


def to_plain(state: State) -> dict[str, Any]:
    """``tensors`` is a safetensors file as base64."""
    tensors: dict[str, Any] = {}
    tree = split_state(state, tensors)
    return {"tree": tree, "tensors": base64.b64encode(save(tensors)).decode()}


def from_plain(plain: dict[str, Any]) -> State:
    tree: State = join_state(plain["tree"], load(base64.b64decode(plain["tensors"])))
    return tree


def write_checkpoint(path: Path, plain: dict[str, Any]) -> None:
    """Whole or not at all. NATError if it cannot be written."""
    write_text(path, seal(plain))


def read_checkpoint(path: Path) -> dict[str, Any] | None:
    """None if there is no such file; NATError if it is none of ours, or not as it was written."""
    try:
        plain = unseal(read_text(path, MAX_BYTES, "the checkpoint of a search"))
        from_plain(plain["trials"])
    except ReadError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise
    except (RecursionError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise NATError(
            f"{path}: this is not the checkpoint of a search, or it is damaged ({error}); remove it or give another"
        ) from None
    return plain
