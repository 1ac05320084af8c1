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
DOUBTS = "an input stays unless a gain is likely all the same"
MAY_BE_WRONG = "its first proposals may be wrong; measure them, or train one with `nat train`"
_said: set[str] = set()


def where_trained(name: str) -> str:
    """On what the policy of that name, or in that file, was trained, as far as its file says so."""
    facts = load_policy(policy_path(name))[1]
    return str(facts.get("space") or facts.get("name") or "what its file does not say")


def say_where_trained(name: str, networks: Iterable[Network]) -> None:
    """Where a policy that ships was trained on another search space than that of any of these networks: a line on
    standard error, once in a process and not in its workers."""
    if name in _said or name not in shipped_policies() or parent_process() is not None:
        return
    path = policy_path(name)
    facts, critic = load_policy(path)[1], load_critic(path)
    if critic is not None:
        known, name_of, trained_on, advice = familiar_of(critic.config).spaces, space_name, facts["space"], DOUBTS
    else:
        known, name_of = frozenset(str(facts[CELLS]).splitlines()), cells_of
        trained_on, advice = f"{facts['space']} ({facts['trained_on']})", MAY_BE_WRONG
    if any(name_of(network) not in known for network in networks):
        _said.add(name)
        print(f"policy '{name}' was trained on {trained_on}, and is applied to something else: {advice}",
              file=sys.stderr)  # fmt: skip
