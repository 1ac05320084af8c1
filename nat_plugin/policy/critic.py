"""A critic: what it expects of networks that were not measured, on a task that it may not know, and how sure it is.

    score of x on task t  =  w_t . phi(x) + b_t + noise,      w_t ~ N(m, S),  b_t ~ N(0, b^2)

phi is a graph network that all tasks share; m and S say what tasks have in common and where they differ, so that a task
that nobody measured has an expectation and a deviation, and a few measurements of it give an exact posterior (adaptive
Bayesian linear regression: Perrone et al., NeurIPS 2018; Harrison et al., ALPaCA, 2018). Several members, each with a
phi of its own, are one Gaussian process: the mean of their kernels, and how far their expectations are apart.

In another space phi says what it never learned to say: deviations are ``doubt`` times as large there, as was found by
leaving out each space. And what is chosen as the best of many gains less than is expected of it: for the probability
that a proposal is better, deviations are ``within`` times as large, as was found by leaving out each task of a space
of which others are known.

Scores are in units of normal quantiles of the ranks within a task, whatever the task measures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from nat_plugin.ir import Network
from nat_plugin.policy.geometric import scatter
from nat_plugin.policy.graphs import Batch, Graph, build_batch
from nat_plugin.policy.network import GraphEncoder, PolicyConfig
from nat_plugin.policy.proxy_inputs import told
from nat_plugin.policy.search_space import space_name

Tensor = torch.Tensor

CHUNK = 512
"""Graphs in one pass."""
LEAST_VARIANCE = 0.02
"""Of every direction of w between tasks: no number of known tasks rules a difference out."""
LEAST_NOISE = 1e-3


@dataclass(frozen=True)
class CriticConfig:
    """``members``: of the ensemble; ``hidden`` and ``rounds`` of each, as of a policy; ``width``: of phi; ``proxies``:
    those that it is told of a network, where somebody computed them."""

    members: int = 2
    hidden: int = 48
    rounds: int = 2
    width: int = 24
    proxies: tuple[str, ...] = ()

    @property
    def features(self) -> int:
        """Numbers of phi, with what proxies add to it."""
        return self.width + len(self.proxies)


@dataclass(frozen=True)
class Expectation:
    """What is expected of N networks before anything is measured on the task: a Gaussian process with ``mean`` (N,) and
    covariance ``features @ features.T``, features (N, D); ``noise``: variance of one measurement."""

    mean: np.ndarray
    features: np.ndarray
    noise: float

    def gain(self, source: int | np.ndarray, target: int | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation (n,) of how much better networks are than others, both by number."""
        mean: np.ndarray = self.mean[target] - self.mean[source]
        deviation: np.ndarray = np.linalg.norm(self.features[target] - self.features[source], axis=-1)
        return mean, deviation

    def mean_of(self, owner: np.ndarray) -> Expectation:
        """Of each network the mean of what is expected of all that have its number in ``owner`` (N,)."""
        share = (owner[:, None] == owner[None]).astype(float)
        share /= share.sum(axis=1, keepdims=True)
        return Expectation(share @ self.mean, share @ self.features, self.noise)


class CriticMember(GraphEncoder):
    """phi (G, width) of graphs of networks without dead operations, and what tasks have in common."""

    def __init__(self, config: CriticConfig) -> None:
        super().__init__(
            PolicyConfig("graph", config.hidden, config.rounds, headroom=False)
        )  # it judges without a limit
        hidden, width, self.proxies = config.hidden, config.features, config.proxies
        inputs = 2 * hidden + (1 if config.proxies else 0)
        self.out = nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, config.width))
        center, root = torch.empty(width), torch.empty(width, width)
        if (
            not center.is_meta
        ):  # where only shapes are wanted, torch would import its compiler, half a second, for these
            center, root = 0.1 * torch.randn(width), 0.5 * torch.eye(width)
        self.center, self.root = nn.Parameter(center), nn.Parameter(root)
        self.log_noise = nn.Parameter(torch.tensor(-1.0))
        self.log_offset = nn.Parameter(torch.tensor(0.0))

    def forward(self, batch: Batch, proxies: Tensor | None = None) -> Tensor:
        """``proxies`` (G, names): ``in_units``, NaN for networks of which they are not known; None: for all."""
        _, edges, mean = self.encode(batch)
        total = scatter(edges * batch.edge_x[:, :1], batch.edge_graph, 0, len(batch.graph_x), "sum")
        pooled = torch.cat([mean, total], 1)
        if not self.proxies:
            phi: Tensor = self.out(pooled)
            return phi
        if proxies is None:
            proxies = pooled.new_full((len(pooled), len(self.proxies)), torch.nan)
        known, found = told(proxies)
        return torch.cat([self.out(torch.cat([pooled, known], 1)), found], 1)

    @property
    def spread(self) -> Tensor:
        """The lower Cholesky factor of S, (width, width)."""
        root = torch.tril(self.root)
        floor = LEAST_VARIANCE * torch.eye(len(root), device=root.device)
        factor: Tensor = torch.linalg.cholesky(root @ root.T + floor)
        return factor

    @property
    def noise(self) -> Tensor:
        return torch.exp(2 * self.log_noise) + LEAST_NOISE

    def surprise(self, phi: Tensor, scores: Tensor) -> Tensor:
        """Negative log-likelihood of scores (n,) of one task: of all together, per measurement, which is what few of
        them have to tell of the others, and of the gain between two of them, which is all that is known without a
        measurement of the task."""
        return self._of_all(phi, scores) + self._of_pairs(phi, scores)

    def _of_pairs(self, phi: Tensor, scores: Tensor) -> Tensor:
        half = len(scores) // 2
        change, gain = phi[:half] - phi[half : 2 * half], scores[:half] - scores[half : 2 * half]
        variance = ((change @ self.spread) ** 2).sum(1) + 2 * self.noise
        total: Tensor = ((gain - change @ self.center) ** 2 / variance + variance.log()).mean() / 2
        return total

    def _of_all(self, phi: Tensor, scores: Tensor) -> Tensor:
        """With w and b of the task integrated out."""
        count, noise = len(scores), self.noise
        known = torch.cat([phi @ self.spread, torch.exp(self.log_offset).expand(count, 1)], 1) / noise.sqrt()
        rest = (scores - phi @ self.center) / noise.sqrt()
        inner = torch.linalg.cholesky(known.T @ known + torch.eye(known.shape[1], device=known.device))
        explained = torch.linalg.solve_triangular(inner, (known.T @ rest)[:, None], upper=False)
        log_determinant = 2 * inner.diagonal().log().sum() + count * noise.log()
        total: Tensor = (rest @ rest - (explained**2).sum() + log_determinant) / (2 * count)
        return total


@dataclass(frozen=True)
class Familiar:
    """The search spaces that a critic has learned, by ``space_name``; how many times as large deviations are in others
    (``doubt``), and those of what was chosen as the best of many in these (``within``)."""

    spaces: frozenset[str] = frozenset()
    doubt: float = 1.0
    within: float = 1.0

    def knows(self, network: Network) -> bool:
        """Whether the network is of a space that it has learned."""
        return not self.spaces or space_name(network) in self.spaces

    def factor(self, network: Network) -> float:
        """Of deviations of gains between what a network may become."""
        return 1.0 if self.knows(network) else self.doubt

    def chosen_factor(self, network: Network) -> float:
        """The same of what was chosen as the best of many, on top of that."""
        return self.within if self.knows(network) else 1.0


class Critic(nn.Module):
    """An ensemble. It is learned by ``nat_plugin.policy.training.learn_critic``."""

    def __init__(self, config: CriticConfig) -> None:
        super().__init__()
        self.config, self.familiar = config, Familiar()
        self.members = nn.ModuleList(CriticMember(config) for _ in range(config.members))

    def member(self, number: int) -> CriticMember:
        found = self.members[number]
        assert isinstance(found, CriticMember)
        return found

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def real(self) -> torch.dtype:
        """The type of its numbers; ``double()`` changes it."""
        return next(self.parameters()).dtype

    @torch.no_grad()
    def expect(self, graphs: Sequence[Graph], proxies: np.ndarray | None = None) -> Expectation:
        """What it expects of graphs (of networks without dead operations), (G,); ``proxies`` as a member takes them."""
        count = len(self.members)
        means = [torch.zeros(0, device=self.device)]
        features = [torch.zeros(0, count * (self.config.features + 1), device=self.device)]
        told = None if proxies is None else torch.from_numpy(proxies).to(self.device, self.real)
        for start in range(0, len(graphs), CHUNK):
            part = slice(start, start + CHUNK)
            batch, told_of = (
                build_batch(graphs[part]).to(self.device, self.real),
                None if told is None else told[part],
            )
            described = [(member(batch, told_of), member) for member in map(self.member, range(len(self.members)))]
            expected = torch.stack([phi @ member.center for phi, member in described])  # (members, g)
            apart = (expected - expected.mean(0)).T
            means.append(expected.mean(0))
            features.append(torch.cat([*(phi @ member.spread for phi, member in described), apart], 1))
        noise = torch.stack([self.member(number).noise for number in range(count)]).mean()
        scaled = torch.cat(features).double().cpu().numpy() / np.sqrt(count)
        return Expectation(torch.cat(means).double().cpu().numpy(), scaled, float(noise))


def new_critic(config: CriticConfig, seed: int, device: torch.device) -> Critic:
    """A critic with weights drawn from ``seed``, the same on every device; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        critic = Critic(config)
    return critic.to(device)
