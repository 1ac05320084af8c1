"""A critic: from what was measured it learns to predict the score of networks that were not.

An ensemble of graph networks, each with its own weights and order of examples; the mean is what it predicts. It learns
ranks, not values: scores are replaced by the normal quantiles of their ranks among all that was measured, so that a few
broken networks do not drown the differences among good ones, and any scale of scores will do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from nat_plugin.policy.graphs import Batch, Graph, build_batch
from nat_plugin.policy.network import GraphEncoder, PolicyConfig
from nat_plugin.policy.optimizers import update
from nat_plugin.policy.ranks import normal_ranks
from nat_plugin.policy.training.learn_critic import LearningCurve, learning_curve

Tensor = torch.Tensor

CHUNK = 512


@dataclass(frozen=True)
class RankEnsembleConfig:
    """``members``: of the ensemble; ``hidden`` and ``rounds`` of each, as of a policy; ``epochs``: passes over all that
    was measured in one ``fit``, or what ``least_steps`` steps need; ``batch``: examples per step; ``lr``: of AdamW,
    rises to that in the first tenth of the steps and falls to nothing."""

    members: int = 2
    hidden: int = 48
    rounds: int = 2
    epochs: int = 40
    least_steps: int = 300
    batch: int = 128
    lr: float = 1e-2
    weight_decay: float = 1e-3


class _Member(GraphEncoder):
    """Score of each graph, (G,)."""

    def __init__(self, config: PolicyConfig) -> None:
        super().__init__(config)
        self.value = nn.Sequential(nn.Linear(config.hidden, config.hidden), nn.SiLU(), nn.Linear(config.hidden, 1))

    def forward(self, batch: Batch) -> Tensor:
        _, _, whole = self.encode(batch)
        values: Tensor = self.value(whole).squeeze(1)
        return values


class RankEnsemble:
    """An ensemble on one device. ``fit`` starts from where the last one ended."""

    def __init__(self, config: RankEnsembleConfig, seed: int, device: torch.device) -> None:
        self.config, self.device = config, device
        self._rng = np.random.default_rng(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            shape = PolicyConfig("graph", config.hidden, config.rounds, headroom=False)  # it judges without a limit
            self.members = [_Member(shape).to(device) for _ in range(config.members)]

    def fit(self, graphs: Sequence[Graph], scores: np.ndarray) -> LearningCurve:
        """Learn from graphs (of networks without dead operations) and their scores (N,)."""
        wanted = torch.from_numpy(normal_ranks(scores).astype(np.float32)).to(self.device)
        losses = [self._fit(member, graphs, wanted) for member in self.members]
        return learning_curve(torch.stack(losses).mean(dim=0).tolist())

    def _fit(self, member: _Member, graphs: Sequence[Graph], wanted: Tensor) -> Tensor:
        """The loss of every step."""
        config = self.config
        size = min(config.batch, len(graphs))
        epochs = max(config.epochs, -(-config.least_steps // (len(graphs) // size)))
        optimizer = torch.optim.AdamW(member.parameters(), config.lr, weight_decay=config.weight_decay)
        steps = epochs * (len(graphs) // size)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.lr, steps, pct_start=0.1)
        losses = []
        for _ in range(epochs):
            order = self._rng.permutation(len(graphs))
            for start in range(0, len(order) - size + 1, size):  # those left over are in another epoch
                part = order[start : start + size]
                batch = build_batch([graphs[each] for each in part], self.device)
                loss = nn.functional.mse_loss(member(batch), wanted[torch.from_numpy(part).to(self.device)])
                update(optimizer, loss, 1.0)
                schedule.step()
                losses.append(loss.detach())
        return torch.stack(losses)

    @torch.no_grad()
    def predict(self, graphs: Sequence[Graph]) -> np.ndarray:
        """What each member predicts, (members, G)."""
        found = []
        for start in range(0, len(graphs), CHUNK):
            batch = build_batch(graphs[start : start + CHUNK], self.device)
            found.append(torch.stack([member(batch) for member in self.members]))
        values: np.ndarray = torch.cat(found, 1).double().cpu().numpy()
        return values
