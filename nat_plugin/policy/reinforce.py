"""The learning rule of NAT from top to bottom: one-step REINFORCE over many inputs, several transformations of each.

    maximise  E_b E_a [R(a | b)] + w H(pi)        R: gain of a over b;  H: entropy of the decisions


1. Baseline: the mean gain of the *other* samples of the same input (leave one out), so it does not bias the gradient.
2. Advantages are divided by the spread of gains: inputs that are easy to improve would drown all others.
3. Entropy: H is led from that of an untrained policy down to nothing over the planned evaluations, by raising w where
   the policy narrows too early and lowering it where it lingers. A fixed w cannot do that once advantages are divided
   by their spread: the narrower the policy, the larger each rare deviation counts, and it collapses at once.
4. Where a sample is older than the weights (several batches under way, more than one step per batch), the ratio of
   probabilities makes up for it, clipped as in PPO. Fresh samples have a ratio of 1: plain REINFORCE.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from nat_plugin.policy.graphs import Batch
from nat_plugin.policy.network import Policy
from nat_plugin.policy.optimizers import update
from nat_plugin.policy.sampling import Decisions, SampledChoice, evaluate, gather_decisions

Tensor = torch.Tensor


@dataclass(frozen=True)
class Learning:
    """How to step. ``normalise``: ``source`` divides by the spread among the samples of an input, ``batch`` by that of
    all, ``none`` keeps gains as they are. ``floor``: least spread of a source, as a share of the batch's, so that noise
    among equals is not blown up. ``steps``: per batch. ``clip``: how far the ratio may move. ``gradient``: largest
    norm.
    """

    normalise: str = "source"
    floor: float = 0.1
    steps: int = 1
    clip: float = 0.2
    gradient: float = 1.0


@dataclass
class Temperature:
    """The weight of the entropy bonus, led so that entropy falls linearly to nothing.

    ``start``: share of the entropy of uniform choice that is wanted at first, 0 for no bonus; ``rate``: how fast the
    weight follows; ``fixed``: a constant weight instead, as in the paper.
    """

    start: float = 0.6
    rate: float = 0.5
    weight: float = 0.05
    fixed: float | None = None

    def __post_init__(self) -> None:
        if self.fixed is not None:
            self.weight = self.fixed
        elif not self.start:
            self.weight = 0.0

    def follow(self, entropy: float, uniform: float, progress: float) -> None:
        """After an update with that mean entropy, of at most ``uniform`` nats, at a progress from 0 to 1."""
        if self.start and self.fixed is None:
            error = self.start * (1 - progress) - entropy / max(uniform, 1e-9)
            self.weight = float(np.clip(self.weight * np.exp(self.rate * error), 1e-4, 10.0))


@dataclass(frozen=True)
class Episode:
    """A sample of the graph of that number in the batch, and the gain that was measured of it."""

    graph: int
    sample: SampledChoice
    gain: float


def advantages(gains: np.ndarray, graphs: np.ndarray, learning: Learning) -> np.ndarray:
    """Gain minus the mean of the other samples of the same graph, normalised, (P,); zero for a lone sample."""
    _, group = np.unique(graphs, return_inverse=True)
    count = np.bincount(group)[group]
    others = (np.bincount(group, gains)[group] - gains) / np.maximum(count - 1, 1)
    centred = np.where(count > 1, gains - others, 0.0)
    if learning.normalise == "none":
        return centred
    whole = float(np.sqrt(np.mean(centred**2)))
    spread = np.full_like(centred, whole)
    if learning.normalise == "source":
        spread = np.sqrt(np.bincount(group, centred**2)[group] / count) + learning.floor * whole
    return centred / np.maximum(spread, 1e-12)


def surrogate(
    scores: Tensor, decisions: Decisions, values: Tensor, old: Tensor, entropy: float, clip: float
) -> tuple[Tensor, Tensor]:
    """The loss whose gradient is that of REINFORCE, from scores (R,), advantages (P,) and old log-probabilities (P,);
    and the mean entropy of a sample, in nats."""
    log, bits = evaluate(scores, decisions)
    ratio = (log - old).clamp(-20, 20).exp()
    gain = torch.minimum(ratio * values, ratio.clamp(1 - clip, 1 + clip) * values)
    return -gain.mean() - entropy * bits.mean(), bits.mean()


def learn(
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    episodes: Sequence[Episode],
    learning: Learning,
    entropy: float,
) -> dict[str, float]:
    """One batch of episodes, ``learning.steps`` updates of the weights. What there is to report of it."""
    device = policy.device
    gains = np.array([episode.gain for episode in episodes])
    graphs = np.array([episode.graph for episode in episodes])
    decisions = gather_decisions(batch, [(episode.graph, episode.sample) for episode in episodes], device)
    host = np.stack([advantages(gains, graphs, learning), [e.sample.log_probability for e in episodes]])
    values, old = torch.from_numpy(host.astype(np.float32)).to(device)
    report: list[Tensor] = []
    for _ in range(learning.steps):
        loss, spread = surrogate(policy(batch), decisions, values, old, entropy, learning.clip)
        norm = update(optimizer, loss, learning.gradient)
        report = [loss.detach(), spread.detach(), norm]
    uniform = float(np.mean([np.log(batch.sizes[episode.graph]).sum() for episode in episodes]))
    loss_value, entropy_value, norm_value = torch.stack(report).tolist()
    return {
        "gain": float(gains.mean()),
        "best_gain": float(gains.max()),
        "loss": loss_value,
        "entropy": entropy_value,
        "uniform": uniform,
        "gradient": norm_value,
    }
