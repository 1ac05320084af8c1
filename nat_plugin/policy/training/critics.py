"""The critic as a training sees it: it is fitted to measured tasks, describes networks by features once, and says of a
pair of these what it gains to become the other, with its deviation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
import torch

from nat_plugin.errors import NATError
from nat_plugin.policy.graphs import Graph
from nat_plugin.policy.ranks import normal_ranks
from nat_plugin.policy.training.critic import Critic, CriticConfig

Tensor = torch.Tensor


@dataclass(frozen=True, eq=False)
class Measured:
    """Graphs of networks without dead operations, and their scores (N,) in one task; higher is better."""

    task: str
    graphs: Sequence[Graph]
    scores: np.ndarray


class GainCritic(Protocol):
    """What a training needs of a critic."""

    def fit(self, tasks: Sequence[Measured]) -> None:
        """Learn from all that was measured."""

    def encode(self, graphs: Sequence[Graph]) -> np.ndarray:
        """Features of networks, (G, d) float64: all that is ever asked about them."""

    def gain(self, before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation (n,) of what it gains to become something else, from features (n, d), or (1, d) of one
        network for all; in a unit of the critic's own that is the same for all networks."""

    def config(self) -> dict[str, Any]:
        """Plain values from which one of the same shape is made."""

    def tensors(self) -> dict[str, Tensor]:
        """All that was learned, float32."""

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Be as the one that gave these. NATError for tensors of another shape."""


class EnsembleCritic:
    """An ensemble that has learned scores by their rank within each task, of all tasks together; features are what each
    member predicts."""

    def __init__(self, config: CriticConfig, seed: int, device: torch.device) -> None:
        self._config, self._critic = config, Critic(config, seed, device)

    def fit(self, tasks: Sequence[Measured]) -> None:
        graphs = [graph for task in tasks for graph in task.graphs]
        self._critic.fit(graphs, np.concatenate([normal_ranks(task.scores) for task in tasks]))

    def encode(self, graphs: Sequence[Graph]) -> np.ndarray:
        return self._critic.predict(graphs).T

    def gain(self, before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        gains = after - before
        return gains.mean(axis=1), gains.std(axis=1, ddof=1) if gains.shape[1] > 1 else np.zeros(len(gains))

    def config(self) -> dict[str, Any]:
        return {"kind": "ensemble", **asdict(self._config)}

    def tensors(self) -> dict[str, Tensor]:
        members = enumerate(self._critic.members)
        return {f"{number}.{name}": value for number, each in members for name, value in each.state_dict().items()}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        known = self.tensors()
        for name in sorted(known.keys() ^ tensors.keys()):
            raise NATError(f"critic: '{name[:80]}' is {'missing' if name in known else 'not expected'}")
        for name, value in tensors.items():
            if value.shape != known[name].shape:
                raise NATError(f"critic: '{name}' has shape {tuple(value.shape)}, not {tuple(known[name].shape)}")
        for number, member in enumerate(self._critic.members):
            first = f"{number}."
            own = {name.removeprefix(first): value for name, value in tensors.items() if name.startswith(first)}
            member.load_state_dict(own, strict=True)
