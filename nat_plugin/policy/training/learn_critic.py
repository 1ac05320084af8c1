"""How a critic learns: from measured networks of many tasks, each a sample of what tasks may be like.

A proposal is the best of many, by what the critic expects: there its mistakes count. So after a while half of what it
learns of a large task is drawn from the networks that it expects most of, whatever they measured.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch

from nat_plugin.errors import NATError
from nat_plugin.policy.critic import Critic
from nat_plugin.policy.graphs import Graph, build_batch
from nat_plugin.policy.optimizers import optimizer_state, restore_optimizer, update
from nat_plugin.policy.proxy_inputs import dropped
from nat_plugin.policy.ranks import normal_ranks


@dataclass(frozen=True)
class CriticLearning:
    """``steps``: updates, each from ``tasks`` tasks and at most ``batch`` measurements of each; ``lr``: of AdamW, rises
    to that in the first tenth of the steps and falls to nothing; ``gradient``: largest norm; ``favourites``: share of
    the measurements of a large task that is drawn from its ``favourites``."""

    steps: int = 1500
    tasks: int = 2
    batch: int = 128
    lr: float = 5e-3
    weight_decay: float = 1e-3
    gradient: float = 1.0
    favourites: float = 0.5

    def renews_favourites(self, step: int) -> bool:
        """Whether they are found anew before a step, counted from 0: from a quarter of the steps on, in each eighth."""
        every = max(LEAST_STEPS, self.steps // 8)
        return self.favourites > 0 and step >= self.steps / 4 and step % every == 0

    def favours(self, networks: int) -> int:
        """How many of the networks of a task are favourites: a tenth of one that is large enough to have some."""
        return networks // 10 if networks >= LARGE * self.batch else 0

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0: a cosine up and one down."""
        rising = max(1, self.steps // 10)
        if step < rising:
            return self.lr * (1 - math.cos(math.pi * (step + 1) / rising)) / 2
        return self.lr * (1 + math.cos(math.pi * (step + 1 - rising) / max(1, self.steps - rising))) / 2


LEAST_STEPS = 200
"""Between two looks for favourites, which take as long as some steps."""
LARGE, CHUNK = 10, 512
"""Batches that a task has at least whose favourites matter; graphs in one pass."""
LearningCurve: TypeAlias = list[tuple[int, float]]
"""After so many steps: the mean loss since the entry before."""
CURVE = 50
"""Entries of a curve at most."""


def learning_curve(losses: Sequence[float]) -> LearningCurve:
    """``losses``: of every step."""
    parts = [part for part in np.array_split(np.array(losses, float), min(CURVE, len(losses)) or 1) if len(part)]
    ends = np.cumsum([len(part) for part in parts])
    return [(int(end), float(part.mean())) for end, part in zip(ends, parts, strict=True)]


@dataclass(frozen=True)
class MeasuredTask:
    """Graphs (of networks without dead operations) and their scores (N,), higher is better, on one task. ``weight``:
    how often it is drawn, relative to others; ``space``: the ``space_name`` of its networks; ``proxies`` (N, names):
    ``in_units``, NaN where they are not known."""

    name: str
    graphs: Sequence[Graph]
    scores: np.ndarray
    weight: float = 1.0
    space: str = ""
    proxies: np.ndarray | None = None


class CriticTraining:
    """Trains every member of a critic by maximum likelihood, a step at a time, so that it can be stopped and resumed.

    Raises NATError where no task has two measured networks.
    """

    def __init__(self, critic: Critic, tasks: Sequence[MeasuredTask], learning: CriticLearning, seed: int) -> None:
        self._tasks = [each for each in tasks if len(each.graphs) > 1]
        if not self._tasks:
            raise NATError("a critic needs a task with at least two measured networks")
        self.critic, self.learning, self.step_number = critic, learning, 0
        self._losses: list[torch.Tensor] = []
        self._favourites: dict[tuple[int, int], np.ndarray] = {}
        """By member and task, the numbers of the networks that it expects most of."""
        self._rng = np.random.default_rng(seed)
        shares = np.array([each.weight for each in self._tasks], float)
        self._shares = shares / shares.sum()
        self._targets = [
            torch.from_numpy(normal_ranks(each.scores).astype(np.float32)).to(critic.device) for each in self._tasks
        ]
        self._optimizers = [
            torch.optim.AdamW(each.parameters(), learning.lr, weight_decay=learning.weight_decay)
            for each in critic.members
        ]

    @property
    def done(self) -> bool:
        return self.step_number >= self.learning.steps

    def run(self, steps: int | None = None) -> torch.Tensor:
        """So many steps more (left out: all that are planned); the surprise of each member in the last one."""
        end = self.learning.steps if steps is None else min(self.learning.steps, self.step_number + steps)
        losses = torch.zeros(len(self._optimizers))
        while self.step_number < end:
            if self.learning.renews_favourites(self.step_number):
                self._renew_favourites()
            losses = torch.stack([self._update(number) for number in range(len(self._optimizers))])
            self._losses.append(losses.mean())
            self.step_number += 1
        return losses

    @property
    def curve(self) -> LearningCurve:
        """The mean surprise of the members, over the steps of this process."""
        return learning_curve(torch.stack(self._losses).tolist()) if self._losses else []

    def _update(self, number: int) -> torch.Tensor:
        optimizer, learning = self._optimizers[number], self.learning
        count = min(learning.tasks, len(self._tasks))
        drawn = self._rng.choice(len(self._tasks), count, replace=False, p=self._shares)
        loss = torch.stack(self._surprises(number, drawn.tolist())).mean()
        for group in optimizer.param_groups:
            group["lr"] = learning.rate(self.step_number)
        update(optimizer, loss, learning.gradient)
        return loss.detach()

    def _surprises(self, number: int, tasks: Sequence[int]) -> list[torch.Tensor]:
        """Of a sample of the measurements of each task; all graphs in one pass, which takes less time."""
        member, graphs, wanted, proxies = self.critic.member(number), [], [], []
        for task in tasks:
            every = self._tasks[task].graphs
            some = self._drawn(number, task)
            graphs += [every[each] for each in some.tolist()]
            wanted.append(self._targets[task][torch.from_numpy(some).to(self.critic.device)])
            if member.proxies:
                proxies.append(dropped(self._tasks[task].proxies, some, len(member.proxies), self._rng))
        told = torch.cat(proxies).to(self.critic.device) if proxies else None
        phi = member(build_batch(graphs, self.critic.device), told).split([len(each) for each in wanted])
        return [member.surprise(own, scores) for own, scores in zip(phi, wanted, strict=True)]

    def _drawn(self, number: int, task: int) -> np.ndarray:
        """Numbers of networks of a task to learn from. Drawn by what a member expects, not by what was measured: that
        would let it expect too much."""
        networks = len(self._tasks[task].graphs)
        count = min(self.learning.batch, networks)
        best = self._favourites.get((number, task))
        if best is None:
            return self._rng.choice(networks, count, replace=False)
        favoured = self._rng.choice(best, min(len(best), round(self.learning.favourites * count)), replace=False)
        others = self._rng.choice(networks, count - len(favoured), replace=False)
        return self._rng.permutation(np.concatenate([favoured, others]))

    @torch.no_grad()
    def _renew_favourites(self) -> None:
        for task, each in enumerate(self._tasks):
            if not (count := self.learning.favours(len(each.graphs))):
                continue
            for number in range(len(self._optimizers)):
                member = self.critic.member(number)
                parts = (each.graphs[start : start + CHUNK] for start in range(0, len(each.graphs), CHUNK))
                expected = [member(build_batch(part, self.critic.device)) @ member.center for part in parts]
                best = torch.cat(expected).argsort(descending=True, stable=True)[:count]
                self._favourites[number, task] = best.cpu().numpy()

    def state(self) -> dict[str, Any]:
        """Weights, moments, generator, favourites and step: what a checkpoint stores."""
        return {
            "step": self.step_number,
            "rng": json.dumps(self._rng.bit_generator.state),
            "weights": {name: value.detach().cpu().clone() for name, value in self.critic.state_dict().items()},
            "moments": [optimizer_state(each) for each in self._optimizers],
            "favourites": [[*place, best.tolist()] for place, best in self._favourites.items()],
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.step_number = state["step"]
        self._rng.bit_generator.state = json.loads(state["rng"])
        self._favourites = {(number, task): np.array(best) for number, task, best in state["favourites"]}
        self.critic.load_state_dict(state["weights"])
        for optimizer, moments in zip(self._optimizers, state["moments"], strict=True):
            restore_optimizer(optimizer, moments)
