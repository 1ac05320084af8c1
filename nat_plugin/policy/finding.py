"""A policy by the name of a file, or by the name of one that ships in ``nat_plugin/policies``."""

from __future__ import annotations

from pathlib import Path

import torch

from nat_plugin.errors import NATError
from nat_plugin.policy.files import load_policy
from nat_plugin.policy.network import Policy

SHIPPED = Path(__file__).parent.parent / "policies"


def find_policy(name: str, device: torch.device) -> Policy:
    """NATError if there is neither such a file nor such a policy, or if the file is none."""
    path = Path(name)
    if not path.exists():
        shipped = SHIPPED / f"{name}.safetensors"
        if name in shipped_policies():
            path = shipped
        else:
            names = ", ".join(shipped_policies()) or "none"
            raise NATError(
                f"policy '{name[:80]}': no such file; every run of `nat` leaves one; those that ship: {names}"
            )
    return load_policy(path, device)[0]


def shipped_policies() -> list[str]:
    return sorted(path.stem for path in SHIPPED.glob("*.safetensors"))
