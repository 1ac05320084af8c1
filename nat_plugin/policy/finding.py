"""A policy by the name of a file, or by the name of one that ships in ``nat_plugin/policies``."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from nat_plugin.checksums import check_file, is_result
from nat_plugin.errors import NATError
from nat_plugin.files import ReadError, opened
from nat_plugin.fingerprints import Outside
from nat_plugin.messages import say_once

if TYPE_CHECKING:
    import torch

    from nat_plugin.policy.critic import Critic
    from nat_plugin.policy.network import Policy

SHIPPED = Path(__file__).parent.parent / "policies"
POLICY = "policy.safetensors"
"""The name of a policy in the folder of a run or a training."""
REPLACED = {"nasbench201": "general", "nasbench201-budgets": "general"}
"""Policies that no longer ship, each with the one that took its place."""


def find_policy(name: str, device: torch.device) -> Policy:
    """NATError if there is neither such a file nor such a policy, or if the file is none."""
    check_policy_file(name)

    from nat_plugin.policy.files import load_policy

    return load_policy(policy_path(name), device)[0]


def find_critic(name: str, device: torch.device) -> Critic | None:
    """The critic in the file of a policy, where there is one."""
    from nat_plugin.policy.critic_files import read_critic

    return read_critic(policy_path(name), device)


def check_policy_file(name: str) -> None:
    """NATError if there is no such file, none that can be read, or another than its folder was done with: before torch
    is imported, which takes seconds."""
    path = policy_path(name)
    check_file(path)
    try:
        with opened(path):
            pass
    except ReadError as error:
        raise NATError(f"policy {error}") from error


def policy_path(name: str) -> Path:
    """The file of a policy; of a folder that a run or a training left, the one in it. No file or folder of that name
    hides one that ships. NATError if there is neither such a file nor such a policy."""
    name, shipped = current_name(name), shipped_policies()
    if name in shipped:
        return SHIPPED / f"{name}.safetensors"
    if os.path.isdir(name):
        inside = Path(name) / POLICY
        return inside if inside.is_file() or is_result(inside) else Path(name)
    if not os.path.exists(name):  # pathlib raises where a name is too long
        names = ", ".join(shipped) or "none"
        raise NATError(f"policy '{name[:80]}': no such file; every run of `nat` leaves one; those that ship: {names}")
    return Path(name)


def current_name(name: str) -> str:
    """The name to use: of a policy that no longer ships, that of the one in its place, which is said. A file or folder
    of such a name is the user's own policy."""
    if name not in REPLACED or os.path.exists(name):
        return name
    say_once(f"policy '{name}' no longer ships; '{REPLACED[name]}' is used in its place")
    return REPLACED[name]


def outside_of(name: str) -> Outside:
    """What is read of a policy. One that ships is known by its name: on another machine it lies elsewhere."""
    path = policy_path(name)
    return Outside(path, (path,), None if str(path) == name else _recorded(current_name(name)))


def check_still_ships(read: Iterable[str], instead: str) -> None:
    """NATError where a record of what was read names a policy that no longer ships: with another one the rest would not
    be of the same search. ``instead`` is what can be done."""
    known = set(read)
    for name, successor in REPLACED.items():
        if _recorded(name) in known:
            raise NATError(
                f"policy '{name}' no longer ships, and with '{successor}' the result would be another; use the "
                f"version of nat-plugin that this was begun with, or {instead}"
            )


def _recorded(name: str) -> str:
    return f"policy {name}"


def shipped_policies() -> list[str]:
    return sorted(path.stem for path in SHIPPED.glob("*.safetensors"))
