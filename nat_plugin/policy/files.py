"""A policy as a file: safetensors for the weights, JSON in its header for what they are. Never a pickle."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import safetensors
import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nat_plugin.errors import NATError
from nat_plugin.files import ReadError, file_errors, write_bytes
from nat_plugin.ir.serial import strict_json
from nat_plugin.policy.describe import VERSION
from nat_plugin.policy.network import ENCODERS, Policy, PolicyConfig
from nat_plugin.tensors import open_tensors

Fact = str | int | float | bool | None
_KEY = "nat_policy"
_SCHEMA = 1
MAX_BYTES = 256 * 2**20
_Size = Annotated[int, Field(ge=1, le=4096)]


class _Header(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    schema_: Literal[1] = Field(alias="schema")
    description: int
    encoder: str
    hidden: _Size
    rounds: Annotated[int, Field(ge=0, le=64)]
    vocabulary: Annotated[list[str], Field(max_length=100_000)]
    room: bool = True
    facts: dict[str, Fact]


def save_policy(policy: Policy, path: Path, facts: Mapping[str, Fact] | None = None) -> None:
    """Write a policy with ``facts`` about its training; the file is there whole or not at all."""
    header = {"schema": _SCHEMA, "description": VERSION, **policy.config.as_json(), "facts": dict(facts or {})}
    weights = {name: value.detach().cpu().contiguous() for name, value in policy.state_dict().items()}
    metadata = {_KEY: json.dumps(header, allow_nan=False)}
    with file_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, safetensors.torch.save(weights, metadata))


def load_policy(path: Path, device: torch.device | None = None) -> tuple[Policy, dict[str, Fact]]:
    """The policy in a file and the facts about it. NATError, naming the file, for anything else."""
    device = device or torch.device("cpu")
    try:
        with open_tensors(path, MAX_BYTES) as file:
            metadata = file.metadata() or {}
            header = _read_header(path, metadata)
            policy = _empty(header)
            expected = {name: tuple(value.shape) for name, value in policy.state_dict().items()}
            found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            _compare(path, expected, found)
            # copies: in memory as a file has it, not aligned, products may round otherwise than with the same weights
            weights = {name: file.get_tensor(name).clone() for name in expected}
    except ReadError as error:
        raise NATError(f"policy {error}") from error
    except safetensors.SafetensorError as error:
        raise NATError(f"policy {path}: not a safetensors file ({str(error)[:200]})") from error
    for name, value in weights.items():
        if value.dtype != torch.float32 or not bool(torch.isfinite(value).all()):
            raise NATError(f"policy {path}: weight '{name}' is not made of finite float32 numbers")
    policy.load_state_dict(weights, strict=True, assign=True)
    return policy.to(device), header.facts


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
    if any(isinstance(fact, float) and not math.isfinite(fact) for fact in header.facts.values()):
        raise NATError(f"policy {path}: header: facts are not finite")
    return header


def _empty(header: _Header) -> Policy:
    """The policy without memory for its weights, so that a header cannot ask for more than the file has."""
    config = PolicyConfig(header.encoder, header.hidden, header.rounds, tuple(header.vocabulary), header.room)
    with torch.device("meta"):
        return Policy(config)


def _compare(path: Path, expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]) -> None:
    for name in sorted(expected.keys() ^ found.keys()):
        raise NATError(f"policy {path}: weight '{name[:80]}' is {'missing' if name in expected else 'not expected'}")
    for name, shape in expected.items():
        if found[name] != shape:
            raise NATError(f"policy {path}: weight '{name}' has shape {found[name]}, not {shape}")
