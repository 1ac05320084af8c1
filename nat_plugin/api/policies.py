"""Trained policies in Python."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nat_plugin.errors import NATError
from nat_plugin.policy.finding import check_policy_file, current_name, policy_path

if TYPE_CHECKING:
    from nat_plugin.policy.critic import Critic
    from nat_plugin.policy.files import Fact
    from nat_plugin.policy.network import Policy


@dataclass(frozen=True, eq=False)
class LoadedPolicy:
    """A policy that ``transform`` takes: its name, its network, its critic (None: it has none, so no probabilities),
    and ``facts`` about its training."""

    name: str
    policy: Policy
    critic: Critic | None
    facts: Mapping[str, Fact]

    def __repr__(self) -> str:
        return f"<LoadedPolicy {self.name!r}{'' if self.critic is None else ' with a critic'}>"


def load_policy(name: str | os.PathLike[str] = "general", device: str = "auto") -> LoadedPolicy:
    """Load a policy: one that ships, a file, or the folder of a run or a training. NATError for anything else.

    >>> import nat_plugin as nat
    >>> nat.load_policy("general")
    <LoadedPolicy 'general' with a critic>
    >>> nat.load_policy("generl")
    Traceback (most recent call last):
    nat_plugin.errors.NATError: policy 'generl': no such file; every run of `nat` leaves one; those that ship: ...
    """
    if not isinstance(name, str | os.PathLike):
        raise NATError(f"policy: must be the name of one that ships, a file or the folder of a run, not {name!r:.60}")
    name = current_name(os.fspath(name))
    check_policy_file(name)  # before torch is imported, which takes seconds

    from nat_plugin.device import find_compute
    from nat_plugin.policy.critic_files import read_critic
    from nat_plugin.policy.files import load_policy as load

    where, path = find_compute(device).device, policy_path(name)
    policy, facts = load(path, where)
    return LoadedPolicy(name, policy, read_critic(path, where), facts)
