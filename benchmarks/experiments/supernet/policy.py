"""A policy that learns by REINFORCE from values of kinds of NAS-Bench-201 cells, with pieces of the library alone.

What ``nat train`` does between a critic and its policy, for values that are from elsewhere; no table is read.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.spaces.nb201 import EDGES, Reach, Space, digits_of, numbers
from nat_plugin.ir import Moves, find_rule
from nat_plugin.policy.graphs import build_batch, build_graph
from nat_plugin.policy.network import Policy, PolicyConfig, new_policy
from nat_plugin.policy.optimizers import PolicySteps
from nat_plugin.policy.reinforce import Learning
from nat_plugin.policy.training.critic_based import SampleSettings, critic_based_step

RULES = ("nat", "nat++")
CPU = torch.device("cpu")
BATCH, SAMPLES, RATE, WARMUP = 128, 8, 4e-3, 30


@dataclass(frozen=True)
class LearningSetting:
    """``inputs``: cells that are not held out, each under one of the rules; ``entropy``: weight of the bonus at first,
    which falls to nothing as the learning rate does."""

    inputs: int
    updates: int
    entropy: float


def learn_from(space: Space, values: np.ndarray, seed: int, setting: LearningSetting) -> Policy:
    """From values by kind."""
    rng, reach = np.random.default_rng(seed), [Reach(space, find_rule(name)) for name in RULES]
    by_cell = np.where(space.connected, values[space.kinds], np.nan)
    cells = rng.permutation(np.flatnonzero(~space.held_out))[: setting.inputs]
    owns = [reach[rng.integers(len(reach))] for _ in cells]
    options = [own.table[digits_of(cell)] for own, cell in zip(owns, cells, strict=True)]
    graphs = [
        build_graph(space.networks[cell], Moves(space.networks[cell], own.rule))
        for own, cell in zip(owns, cells, strict=True)
    ]
    policy = new_policy(PolicyConfig(hidden=32, headroom=False), seed, CPU)
    optimizer = torch.optim.Adam(policy.parameters(), RATE, (0.9, 0.99))
    for step in range(setting.updates):
        left = 1 - step / setting.updates
        for group in optimizer.param_groups:
            group["lr"] = RATE * max(0.02, left) * min(1.0, (step + 1) / WARMUP)
        drawn = rng.integers(0, len(cells), BATCH)

        def judge(graph: int, choices: np.ndarray, drawn: np.ndarray = drawn) -> np.ndarray:
            at = drawn[graph]
            found = numbers(options[at][np.arange(EDGES), choices])
            gains: np.ndarray = by_cell[found] - np.nan_to_num(by_cell[cells[at]])
            return gains

        batch = build_batch([graphs[at] for at in drawn])
        critic_based_step(
            PolicySteps(policy, optimizer),
            batch,
            judge,
            Learning(normalise="batch"),
            SampleSettings(SAMPLES, setting.entropy * left),
            rng,
        )
    return policy
