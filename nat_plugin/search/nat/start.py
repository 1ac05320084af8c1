"""What a search starts from: a policy, what it and its critic expect, and what there is to say of them in a report."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

from nat_plugin.errors import NATError
from nat_plugin.ir import Moves, Network
from nat_plugin.policy.critic import Critic
from nat_plugin.policy.finding import current_name, find_critic, find_policy
from nat_plugin.policy.network import Policy, PolicyConfig, new_policy
from nat_plugin.policy.trained_on import where_trained
from nat_plugin.search.base import Task
from nat_plugin.search.nat.critic_prior import CriticPrior
from nat_plugin.search.nat.prior_proxies import PriorProxies
from nat_plugin.search.nat.settings import NATSettings
from nat_plugin.search.surrogate.acquisition import SurrogateModel
from nat_plugin.search.surrogate.policy_prior import PolicyPrior
from nat_plugin.search.surrogate.prior import Prior

MOST_EDGES = 200
"""Of all cells that can be changed: to score what becomes of larger ones would take longer than to propose it."""


@dataclass(frozen=True)
class SearchStart:
    """``trained``: how probable the policy, as it was read, finds what an input may become; ``prior``: what a process
    starts from, by the policy's critic where it has one; ``about``: in a line, what was trained on what, or why there
    is nothing."""

    policy: Policy
    trained: PolicyPrior | None
    prior: Prior | None
    about: str

    def report(self, model: SurrogateModel | None) -> str:
        """One line, with what the measurements said of it."""
        if self.prior is None:
            return f"{self.about}."
        return f"{self.about}. {_judged(model, isinstance(self.prior, CriticPrior))}"


def find_start(task: Task, settings: NATSettings, moves: Sequence[Moves]) -> SearchStart:
    """Of a policy that was trained, or of one that has learned nothing. NATError for a policy that is none."""
    name = None if settings.policy is None else current_name(settings.policy)
    if settings.proxies and (name is None or not settings.trust or find_critic(name, task.device) is None):
        raise NATError(
            "strategy.proxies: they are for a policy whose critic was trained with them (docs/how-to/own-policy.md)"
        )
    if name is None:
        return _nothing(task, settings, "Prior: none")
    policy, critic = find_policy(name, task.device), find_critic(name, task.device)
    if critic is not None and (edges := max(map(_edges, task.inputs))) > MOST_EDGES:
        reason = f"these cells have {edges} edges, more than the {MOST_EDGES} up to which its critic is asked"
        return _nothing(task, settings, f"Prior: none; policy '{name}' was left out: {reason}")
    trained = PolicyPrior(copy.deepcopy(policy), moves, settings.trust)
    about = f"policy '{name}', trained on {where_trained(name)}"
    if not settings.trust:
        return SearchStart(policy, trained, None, f"Prior: none (trust is 0); the search started from {about}")
    if critic is None:
        return SearchStart(policy, trained, trained, f"Prior: {about}")
    prior = CriticPrior(critic, moves, _proxies(task, settings, critic, moves))
    return SearchStart(policy, trained, prior, f"Prior: {about}; {_known(critic, task.inputs)}")


def _proxies(task: Task, settings: NATSettings, critic: Critic, moves: Sequence[Moves]) -> PriorProxies | None:
    if not settings.proxies:
        return None
    if task.scoring is None:
        raise NATError("strategy.proxies: networks cannot be scored without training here; leave it out")
    return PriorProxies(critic, moves, task.scoring, settings.proxies)


def _nothing(task: Task, settings: NATSettings, about: str) -> SearchStart:
    ops = {op for network in task.inputs for cell in network.by_name.values() for e in cell.edges
           for op in (e.op, *e.choices)}  # fmt: skip
    vocabulary = tuple(sorted(map(str, ops))) if settings.encoder == "paper" else ()
    config = PolicyConfig(settings.encoder, settings.hidden, settings.rounds, vocabulary)
    return SearchStart(new_policy(config, task.seed, task.device), None, None, about)


def _edges(network: Network) -> int:
    return sum(len(network.by_name[name].edges) for name in dict.fromkeys(slot.cell for slot in network.slots))


def _known(critic: Critic, inputs: Sequence[Network]) -> str:
    familiar = critic.familiar
    learned = "has learned" if all(map(familiar.knows, inputs)) else "has not learned"
    doubt = max(map(familiar.factor, inputs))
    less = f", and counts itself {doubt:g} times less sure of a task there" if doubt > 1 else ""
    return f"it {learned} this search space{less}"


def _judged(model: SurrogateModel | None, has_features: bool) -> str:
    if model is None:
        return "Too little was measured to judge it."
    expects, alike = bool(model.share), bool(model.kernel.scale)
    if expects and (alike or not has_features):
        return "The measurements agree with it: it was kept."
    if not expects and not alike:
        return "It was dropped: the measurements are likelier without it."
    parts = ("what it expects", "what it says of which networks score alike")
    kept, dropped = parts if expects else parts[::-1]
    return f"Of it {kept} was kept, and {dropped} was dropped: the measurements are likelier without that."
