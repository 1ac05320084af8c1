"""What a policy was trained on: said once, on standard error, where one that ships is applied to something else."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from multiprocessing import parent_process

from nat_plugin.ir import Network
from nat_plugin.policy.critic_files import familiar_of
from nat_plugin.policy.files import load_critic, load_policy
from nat_plugin.policy.finding import policy_path, shipped_policies
from nat_plugin.policy.search_space import cells_of, space_name

CELLS = "cells"
"""The fact of a policy that has ``cells_of`` of its inputs, a line for each search space."""
_said: set[str] = set()


def say_where_trained(name: str, networks: Iterable[Network]) -> None:
    """Where a policy that ships was trained on another search space than that of any of these networks: a line on
    standard error, once in a process and not in its workers."""
    if name in _said or name not in shipped_policies() or parent_process() is not None:
        return
    path = policy_path(name)
    facts, critic = load_policy(path)[1], load_critic(path)
    if critic is not None:
        spaces = familiar_of(critic.config).spaces
        is_known, what, then = (
            lambda network: space_name(network) in spaces,
            str(facts["space"]),
            "an input stays unless a gain is likely all the same",
        )
    else:
        cells = str(facts[CELLS]).splitlines()
        is_known, what, then = (
            lambda network: cells_of(network) in cells,
            f"{facts['space']} ({facts['trained_on']})",
            "its first proposals may be wrong; measure them, or train one with `nat train`",
        )
    if not all(map(is_known, networks)):
        _said.add(name)
        print(f"policy '{name}' was trained on {what}, and is applied to something else: {then}", file=sys.stderr)
