"""What a policy was trained on: said where one that ships is applied to something else."""

from __future__ import annotations

from collections.abc import Iterable

from nat_plugin.ir import Network
from nat_plugin.messages import say_once
from nat_plugin.policy.critic_files import familiar_of
from nat_plugin.policy.files import load_critic, load_policy
from nat_plugin.policy.finding import policy_path, shipped_policies


def where_trained(name: str) -> str:
    """On what the policy of that name, or in that file, was trained, as far as its file says so."""
    facts = load_policy(policy_path(name))[1]
    return str(facts.get("space") or facts.get("name") or "what its file does not say")


def say_where_trained(name: str, networks: Iterable[Network]) -> None:
    """Where a policy that ships was trained on another search space than that of any of these networks: a line."""
    critic = load_critic(policy_path(name)) if name in shipped_policies() else None
    if critic is None:
        return
    familiar = familiar_of(critic.config)
    if not all(map(familiar.knows, networks)):
        say_once(
            f"policy '{name}' was trained on {where_trained(name)}, and is applied to something else: an input stays "
            "unless a gain is likely all the same"
        )
