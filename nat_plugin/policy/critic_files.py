"""A critic as part of a policy's file: plain values that say how it is made and what it knows, and its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from pydantic import Field, ValidationError, field_validator

from nat_plugin.errors import NATError
from nat_plugin.evaluators.proxies import PROXIES
from nat_plugin.policy.critic import Critic, CriticConfig, Familiar
from nat_plugin.policy.files import Fact, SavedCritic, load_critic, shapes
from nat_plugin.settings import StrictDocument

KIND, OF_A_TRAINING = "tasks", "ensemble"
"""The second is of use in its training alone: what it says of single gains is not calibrated."""
MAX_MEMBERS, MAX_SIZE = 64, 1024


class _Values(StrictDocument):
    """``spaces``, ``proxies``: names parted by blanks."""

    members: int = Field(ge=1, le=MAX_MEMBERS)
    hidden: int = Field(ge=1, le=MAX_SIZE)
    rounds: int = Field(ge=0, le=MAX_MEMBERS)
    width: int = Field(ge=1, le=MAX_SIZE)
    spaces: str = Field(default="", max_length=100_000)
    doubt: float = Field(default=1.0, ge=1, le=1e6)
    within: float = Field(default=1.0, ge=1, le=1e6)
    proxies: str = Field(default="", max_length=10_000)

    @field_validator("proxies")
    @classmethod
    def _known(cls, value: str) -> str:
        for name in value.split():
            if name not in PROXIES:
                raise ValueError(f"unknown proxy '{name[:40]}': install a newer nat-plugin")
        return value


def saved_critic(critic: Critic) -> SavedCritic:
    """What a file has of it."""
    familiar = critic.familiar
    values: dict[str, Fact] = {**asdict(critic.config), **asdict(familiar), "spaces": " ".join(sorted(familiar.spaces))}
    values.pop("proxies")  # what has none is written as before there were any
    if critic.config.proxies:
        values["proxies"] = " ".join(critic.config.proxies)
    return SavedCritic({"kind": KIND, **values}, dict(critic.state_dict()))


def familiar_of(config: Mapping[str, Fact]) -> Familiar:
    """What a critic knows, from the values of ``saved_critic``."""
    doubt, within = (float(str(config.get(name, 1.0))) for name in ("doubt", "within"))
    return Familiar(frozenset(str(config["spaces"]).split()), doubt, within)


def read_critic(path: Path, device: torch.device) -> Critic | None:
    """The critic in the file of a policy; None where it has none, or one of another kind. NATError, naming the file,
    for values or tensors that are none of a critic."""
    saved = load_critic(path)
    if saved is None or saved.config.get("kind") == OF_A_TRAINING:
        return None
    if saved.config.get("kind") != KIND:
        known = f"this version knows {KIND}, {OF_A_TRAINING}"
        raise NATError(f"policy {path}: critic: kind is {str(saved.config.get('kind'))[:40]!r}; {known}")
    try:
        values = _Values.model_validate({name: value for name, value in saved.config.items() if name != "kind"})
    except ValidationError as error:
        first = error.errors()[0]
        raise NATError(f"policy {path}: critic: {first['loc'][0] if first['loc'] else ''}: {first['msg']}") from None
    if values.members * (1 + values.rounds) > len(saved.tensors):  # before modules are made in vain
        raise NATError(f"policy {path}: critic: tensors of {values.members} members are missing")
    with torch.device("meta"):
        sizes = values.members, values.hidden, values.rounds, values.width
        critic = Critic(CriticConfig(*sizes, tuple(values.proxies.split())))
    _compare(path, shapes(critic), saved.tensors)
    critic.load_state_dict(saved.tensors, strict=True, assign=True)
    critic.familiar = familiar_of(values.model_dump())
    return critic.to(device)


def _compare(path: Path, wanted: Mapping[str, tuple[int, ...]], given: Mapping[str, torch.Tensor]) -> None:
    for name in sorted(wanted.keys() ^ given.keys()):
        raise NATError(f"policy {path}: critic: '{name[:80]}' is {'missing' if name in wanted else 'not expected'}")
    for name, value in given.items():
        if tuple(value.shape) != wanted[name]:
            raise NATError(f"policy {path}: critic: '{name}' has shape {tuple(value.shape)}, not {wanted[name]}")
