"""A policy and how it learns in a search: by REINFORCE on what was measured, and on what a process expects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
import torch

from nat_plugin.ir import Choice, Moves
from nat_plugin.policy.apply import decode
from nat_plugin.policy.graphs import Graph, build_batch, build_graph
from nat_plugin.policy.network import Policy
from nat_plugin.policy.optimizers import PolicySteps, optimizer_state, restore_optimizer
from nat_plugin.policy.reinforce import Learning, Temperature, learn
from nat_plugin.policy.sampling import SampledChoice, draw, greedy
from nat_plugin.policy.training.critic_based import draw_unmasked
from nat_plugin.policy.training.exact import exact_step
from nat_plugin.search.nat.rounds import Round
from nat_plugin.search.nat.settings import NATSettings
from nat_plugin.settings import State

Expected: TypeAlias = Callable[[int, Sequence[Choice]], np.ndarray]
"""Ranks (n,) that are expected of choices of the input with that number, as normal quantiles."""

LEAST_LR = 0.02
"""Share of the learning rate that is left at the end of what is planned."""
_STEPS = 4
"""Updates of the weights in one ``learn_expected``."""
_LR = 2.5
"""Of these, as a multiple of that for what was measured."""
_TEMPERATURE = 0.1
"""By so much worse, in standard deviations, a candidate may be expected to be and still be tried."""
_DRAWN = 32
"""Own samples among what is judged, so that the policy also unlearns what nobody else proposes."""
_TRIES = 4


class Learner:
    """Inputs go by their number."""

    def __init__(self, policy: Policy, settings: NATSettings, moves: Sequence[Moves], rng: np.random.Generator) -> None:
        self.policy, self._settings, self._moves, self._rng = policy, settings, moves, rng
        self._optimizer = torch.optim.Adam(
            policy.parameters(), settings.lr, (settings.beta1, settings.beta2), weight_decay=settings.weight_decay
        )
        self._learning = Learning(
            normalise=settings.normalise, steps=settings.steps, clip=settings.clip, gradient=settings.gradient
        )
        self._temperature = Temperature(settings.entropy, fixed=settings.entropy_weight)
        self._graphs: dict[int, Graph] = {}
        self._scores: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # until the weights change
        self._likely: dict[int, list[Choice]] = {}  # the same
        self.updates = 0
        self.report: dict[str, float] = {}
        """Of the last update: mean and best gain, loss, entropy, norm of the gradient."""

    def learn_measured(self, done: Round, progress: float | None = None) -> None:
        """REINFORCE on a batch that was told. ``progress`` from 0 to 1 leads learning rate and entropy down; left out,
        the rate stays and there is no bonus for entropy but a constant one."""
        episodes = done.episodes()
        if len(episodes) < 2:
            return
        planned = progress is not None
        self._set_lr(max(LEAST_LR, 1 - progress) if progress is not None else 1.0)
        weight = self._temperature.weight if planned else self._settings.entropy_weight or 0.0
        batch = done.batch(self.policy.device)
        self.report = learn(self.policy, self._optimizer, batch, episodes, self._learning, weight)
        self.report["weight"] = weight
        if progress is not None:
            self._temperature.follow(self.report["entropy"], self.report["uniform"], progress)
        self._changed()

    def learn_expected(self, candidates: dict[int, list[Choice]], expected: Expected) -> None:
        """The policy gradient, exactly, of what is expected of the candidates of some inputs and of own samples."""
        batch = build_batch([self._graph(source) for source in candidates], self.policy.device)
        choices, values = [], []
        for (source, some), drawn in zip(
            candidates.items(), draw_unmasked(self.policy, batch, _DRAWN, self._rng), strict=True
        ):
            own = (tuple(choice) for choice in drawn.tolist())
            every = list(dict.fromkeys([*some, *filter(self._moves[source].admits, own)]))
            choices.append(np.array(every, np.int64))
            values.append(expected(source, every))
        self._set_lr(_LR)
        steps = PolicySteps(self.policy, self._optimizer, self._settings.gradient)
        for _ in range(_STEPS):
            exact_step(steps, batch, choices, values, _TEMPERATURE)
        self._changed()

    def samples(self, source: int) -> Iterator[SampledChoice]:
        """A few, of an input."""
        scores, sizes = self._scored(source)
        for _ in range(_TRIES):
            yield from draw(scores, sizes, self._moves[source], self._rng)

    def likely(self, source: int) -> list[Choice]:
        """What the policy would make of an input; nothing before it has learned."""
        if not self.updates:
            return []
        if source not in self._likely:
            self._likely[source] = [greedy(*self._scored(source), self._moves[source])]
        return self._likely[source]

    def _scored(self, source: int) -> tuple[np.ndarray, np.ndarray]:
        if source not in self._scores:
            [self._scores[source]] = decode(self.policy, [self._moves[source]])
        return self._scores[source]

    def _graph(self, source: int) -> Graph:
        if source not in self._graphs:
            self._graphs[source] = build_graph(self._moves[source].network, self._moves[source])
        return self._graphs[source]

    def _set_lr(self, share: float) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = self._settings.lr * share

    def _changed(self) -> None:
        self.updates += 1
        self._scores.clear()
        self._likely.clear()

    def state(self) -> State:
        return {
            "policy": {name: value.detach().cpu().clone() for name, value in self.policy.state_dict().items()},
            "optimizer": optimizer_state(self._optimizer),
            "weight": self._temperature.weight,
            "updates": self.updates,
            "report": dict(self.report),
        }

    def restore(self, state: State) -> None:
        self.policy.load_state_dict(state["policy"])
        restore_optimizer(self._optimizer, state["optimizer"])
        self._temperature.weight = state["weight"]
        self.updates, self.report = state["updates"], dict(state["report"])
        self._scores.clear()
        self._likely.clear()
