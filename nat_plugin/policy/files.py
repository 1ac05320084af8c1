"""A policy as a file: safetensors for the weights, JSON in its header for what they are. Never a pickle."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import safetensors
import safetensors.torch
import torch
from pydantic import Field, ValidationError
from torch import nn

from nat_plugin.errors import NATError
from nat_plugin.files import ReadError, file_errors, write_bytes
from nat_plugin.ir.serial import strict_json
from nat_plugin.policy.describe import VERSION
from nat_plugin.policy.network import ENCODERS, Policy, PolicyConfig
from nat_plugin.settings import StrictDocument
from nat_plugin.tensors import open_tensors

Fact = str | int | float | bool | None
_KEY = "nat_policy"
_SCHEMA = 2
"""Of a file with a critic; one without is of schema 1, which earlier versions read too."""
CRITIC = "critic."
"""How the names of a critic's tensors begin."""
MAX_BYTES = 256 * 2**20
_Size = Annotated[int, Field(ge=1, le=4096)]


class _Header(StrictDocument):
    schema_: Literal[1, 2] = Field(alias="schema")
    description: int
    encoder: str
    hidden: _Size
    rounds: Annotated[int, Field(ge=0, le=64)]
    vocabulary: Annotated[list[str], Field(max_length=100_000)]
    headroom: bool = Field(default=True, alias="room")
    facts: dict[str, Fact]
    critic: dict[str, Fact] | None = None


@dataclass(frozen=True)
class SavedCritic:
    """A critic as a file has it: plain values that say how one of the same shape is made, and its tensors by name."""

    config: dict[str, Fact]
    tensors: dict[str, torch.Tensor]


def save_policy(
    policy: Policy, path: Path, facts: Mapping[str, Fact] | None = None, critic: SavedCritic | None = None
) -> None:
    """Write a policy with ``facts`` about its training, and perhaps the critic that it learned from; the file is there
    whole or not at all."""
    header: dict[str, Any] = {
        "schema": 1,
        "description": VERSION,
        **policy.config.as_json(),
        "facts": dict(facts or {}),
    }
    tensors = dict(policy.state_dict())
    if critic is not None:
        header |= {"schema": _SCHEMA, "critic": critic.config}
        tensors |= {CRITIC + name: value for name, value in critic.tensors.items()}
    weights = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    metadata = {_KEY: json.dumps(header, allow_nan=False)}
    with file_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, safetensors.torch.save(weights, metadata))


def load_policy(path: Path, device: torch.device | None = None) -> tuple[Policy, dict[str, Fact]]:
    """The policy in a file and the facts about it. NATError, naming the file, for anything else."""
    device = device or torch.device("cpu")
    with _opened(path) as (file, header):
        policy = _empty(header)
        expected = shapes(policy)
        names = [name for name in file.keys() if header.critic is None or not name.startswith(CRITIC)]  # noqa: SIM118
        _compare(path, expected, {name: tuple(file.get_slice(name).get_shape()) for name in names})
        weights = _tensors(path, file, expected)
    policy.load_state_dict(weights, strict=True, assign=True)
    return policy.to(device), header.facts


def shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    """Of what ``state_dict`` would hold: asking torch-geometric for that imports ONNX."""
    return {name: tuple(value.shape) for name, value in (*module.named_parameters(), *module.named_buffers())}


def load_critic(path: Path) -> SavedCritic | None:
    """The critic in the file of a policy; None if there is none. NATError, naming the file, for anything else; whether
    the tensors are those of its configuration is for whoever makes a critic of them to say."""
    with _opened(path) as (file, header):
        if header.critic is None:
            return None
        names = [name for name in file.keys() if name.startswith(CRITIC)]  # noqa: SIM118
        tensors = _tensors(path, file, names)
    return SavedCritic(header.critic, {name.removeprefix(CRITIC): value for name, value in tensors.items()})


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, _Header]]:
    """A file of a policy and its header."""
    try:
        with open_tensors(path, MAX_BYTES) as file:
            yield file, _read_header(path, file.metadata() or {})
    except ReadError as error:
        raise NATError(f"policy {error}") from error
    except safetensors.SafetensorError as error:
        raise NATError(f"policy {path}: not a safetensors file ({str(error)[:200]})") from error


def _tensors(path: Path, file: Any, names: Iterable[str]) -> dict[str, torch.Tensor]:
    # copies: in memory as a file has it, not aligned, products may round otherwise than with the same weights
    found = {name: file.get_tensor(name).clone() for name in names}
    for name, value in found.items():
        if value.dtype != torch.float32 or not bool(torch.isfinite(value).all()):
            raise NATError(f"policy {path}: weight '{name[:80]}' is not made of finite float32 numbers")
    return found


def _read_header(path: Path, metadata: Mapping[str, str]) -> _Header:
    if _KEY not in metadata:
        raise NATError(f"policy {path}: the file holds no policy (its header has no '{_KEY}')")
    document = strict_json(metadata[_KEY])
    version = document.get("schema") if isinstance(document, dict) else None
    if isinstance(version, int) and version > _SCHEMA:
        raise NATError(f"policy {path}: schema {version} is newer than {_SCHEMA}: install a newer nat-plugin")
    try:
        header = _Header.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        raise NATError(f"policy {path}: header: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    if header.description != VERSION:
        raise NATError(
            f"policy {path}: made for descriptions of version {header.description}, this is {VERSION}: train it again"
        )
    if header.encoder not in ENCODERS:
        raise NATError(f"policy {path}: unknown encoder '{header.encoder[:40]}'; allowed: {', '.join(ENCODERS)}")
    facts = [*header.facts.values(), *(header.critic or {}).values()]
    if any(isinstance(fact, float) and not math.isfinite(fact) for fact in facts):
        raise NATError(f"policy {path}: header: facts are not finite")
    return header


def _empty(header: _Header) -> Policy:
    """The policy without memory for its weights, so that a header cannot ask for more than the file has."""
    config = PolicyConfig(header.encoder, header.hidden, header.rounds, tuple(header.vocabulary), header.headroom)
    with torch.device("meta"):
        return Policy(config)


def _compare(path: Path, expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]) -> None:
    for name in sorted(expected.keys() ^ found.keys()):
        raise NATError(f"policy {path}: weight '{name[:80]}' is {'missing' if name in expected else 'not expected'}")
    for name, shape in expected.items():
        if found[name] != shape:
            raise NATError(f"policy {path}: weight '{name}' has shape {found[name]}, not {shape}")
