"""What a policy was trained on: said once, on standard error, where one that ships is applied to something else."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from multiprocessing import parent_process

from nat_plugin.ir import Network
from nat_plugin.policy.files import load_policy
from nat_plugin.policy.finding import policy_path, shipped_policies
from nat_plugin.policy.search_space import cells_of

CELLS = "cells"
"""The fact of a policy that has ``cells_of`` of its inputs, a line for each search space."""
_said: set[str] = set()


def say_where_trained(name: str, networks: Iterable[Network]) -> None:
    """Where a policy that ships was trained on another search space than that of any of these networks: a line on
    standard error, once in a process and not in its workers."""
    if name in _said or name not in shipped_policies() or parent_process() is not None:
        return
    facts = load_policy(policy_path(name))[1]
    known = str(facts[CELLS]).splitlines()
    if any(cells_of(network) not in known for network in networks):
        _said.add(name)
        print(
            f"policy '{name}' was trained on {facts['space']} ({facts['trained_on']}), and is applied to something "
            "else: its first proposals may be wrong; measure them, or train one with `nat train`",
            file=sys.stderr,
        )
