"""Train a policy on NAS-Bench-Macro for limits on MACs, with pieces of the library alone.

A critic learns from the first training of networks that are not held out; the policy learns from what the
critic imagines, each input with one rule and a limit between 0.5x and 1.0x.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.spaces.macro import PLACES, MacroSpace, Reach
from nat_plugin.errors import NATError
from nat_plugin.ir import Budget, Moves, find_rule
from nat_plugin.policy.graphs import Graph, build_batch, build_graph
from nat_plugin.policy.network import Policy, PolicyConfig, new_policy
from nat_plugin.policy.optimizers import PolicySteps
from nat_plugin.policy.training.critic_based import SampleSettings
from nat_plugin.policy.training.ensemble import RankEnsemble, RankEnsembleConfig
from nat_plugin.policy.training.sampled import sampled_step

RULES = ("nat", "nat++")
CPU = torch.device("cpu")
CRITIC = RankEnsembleConfig(epochs=25)


@dataclass(frozen=True)
class Plan:
    """``evaluations``: networks whose first training is read, drawn among those not held out. ``inputs``: of the
    policy. ``updates``: each of ``batch`` inputs and ``samples`` of each and temperature. ``entropy``: weight of the
    bonus at the start; falls to nothing, as the learning rate does after ``warmup`` updates."""

    seed: int = 0
    evaluations: int = 3000
    hidden: int = 32
    rounds: int = 3
    inputs: int = 4000
    tightest: float = 0.5
    updates: int = 500
    batch: int = 128
    samples: int = 8
    lr: float = 4e-3
    warmup: int = 30
    entropy: float = 0.1
    critic: RankEnsembleConfig = CRITIC


@dataclass(frozen=True)
class Input:
    """A network as an input of the policy: number, what its digits may become (LAYERS, 3), most MACs, its graph."""

    number: int
    options: np.ndarray
    limit: float
    graph: Graph


def draw_inputs(space: MacroSpace, plan: Plan, rng: np.random.Generator) -> list[Input]:
    reach = [Reach(space, find_rule(name)) for name in RULES]
    inputs: list[Input] = []
    for number in rng.choice(np.flatnonzero(~space.held), plan.inputs):
        network, own = space.networks[number], reach[rng.integers(len(RULES))]
        budget = Budget.parse({"macs": f"{rng.uniform(plan.tightest, 1.0):.2f}x"})
        try:
            moves = Moves(network, own.rule, budget.resolve(network))
        except NATError:  # nothing fits
            continue
        limit = float(moves.limits.values[0][1])
        inputs.append(Input(int(number), own.options(int(number)), limit, build_graph(network, moves)))
    return inputs


def predict(space: MacroSpace, plan: Plan, rng: np.random.Generator) -> np.ndarray:
    """What a critic makes of every network (NETWORKS,), by the first training of some of them."""
    kinds, first = np.unique(space.kinds, return_index=True)
    graphs = [build_graph(space.networks[number]) for number in first]
    known = rng.permutation(kinds[~space.held[first]])[: plan.evaluations]
    critic = RankEnsemble(plan.critic, plan.seed, CPU)
    critic.fit([graphs[kind] for kind in known], space.validation[first[known]])
    found: np.ndarray = critic.predict(graphs).mean(axis=0)[space.kinds]
    return found


def train(space: MacroSpace, plan: Plan) -> Policy:
    rng = np.random.default_rng(plan.seed)
    predicted = predict(space, plan, rng)
    inputs = draw_inputs(space, plan, rng)
    policy = new_policy(PolicyConfig("graph", plan.hidden, plan.rounds), plan.seed, CPU)
    optimizer = torch.optim.Adam(policy.parameters(), plan.lr, (0.9, 0.99))
    for step in range(plan.updates):
        left, warm = 1 - step / plan.updates, min(1.0, (step + 1) / plan.warmup)
        for group in optimizer.param_groups:
            group["lr"] = plan.lr * max(0.02, left) * warm
        drawn = [inputs[each] for each in rng.integers(0, len(inputs), plan.batch)]

        def judge(graph: int, choices: np.ndarray, drawn: list[Input] = drawn) -> np.ndarray:
            source = drawn[graph]
            numbers = source.options[np.arange(len(PLACES)), choices] @ PLACES
            gains = predicted[numbers] - predicted[source.number]
            found: np.ndarray = np.where(space.macs[numbers] <= source.limit, gains, np.nan)
            return found

        batch = build_batch([each.graph for each in drawn])
        sampled_step(
            PolicySteps(policy, optimizer), batch, judge, SampleSettings(plan.samples, plan.entropy * left), rng
        )
    return policy
