"""The training itself, stage by stage: scores are read, a critic is fitted, the policy learns from what it says.

``advance`` does one step; between any two steps ``state`` is everything that the rest depends on, so a training that
was interrupted goes on as if it had not been.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from nat_plugin.errors import NATError
from nat_plugin.execution.workers import InTurn, in_turn_here
from nat_plugin.ir import Network
from nat_plugin.policy.graphs import Graph, build_batch, build_graph
from nat_plugin.policy.network import Policy, PolicyConfig, new_policy
from nat_plugin.policy.optimizers import optimizer_state, restore_optimizer
from nat_plugin.policy.search_space import space_name
from nat_plugin.policy.training.critic_based import draw_unmasked
from nat_plugin.policy.training.critics import GainCritic, make_critic
from nat_plugin.policy.training.inputs import Input, Inputs
from nat_plugin.policy.training.judging import Judge
from nat_plugin.policy.training.learn_critic import MeasuredTask
from nat_plugin.policy.training.objectives import Update, find_objective
from nat_plugin.policy.training.proxies import TaskProxies
from nat_plugin.policy.training.recipe import StageSettings, TrainingRecipe
from nat_plugin.policy.training.spaces import NONE, World
from nat_plugin.policy.training.tasks import TrainingTask
from nat_plugin.settings import State
from nat_plugin.training.seeds import derive_seed

CHUNK = 512
"""Graphs in one pass."""
AT_A_TIME = 16
"""Networks that are measured in one step, where that takes time."""
LEAST = 2
"""Scores that a critic is fitted to, and that are read of each task in the first stage."""
LEAST_RATE = 0.02
"""Of the learning rate, at the end."""
Say = Callable[[dict[str, Any]], None]
"""Takes a line of the journal."""


@dataclass(frozen=True)
class Position:
    """Where a training is: in a stage, with so many updates done."""

    stage: int = 0
    updates: int = 0


class Trainer:
    """Critic and policy of one training."""

    def __init__(
        self,
        recipe: TrainingRecipe,
        tasks: Sequence[TrainingTask],
        world: World,
        device: torch.device,
        proxies: TaskProxies | None = None,
    ) -> None:
        self.recipe, self.tasks, self.world, self.proxies, self.device = recipe, tasks, world, proxies, device
        settings = recipe.policy
        few = settings.enumerate if settings.objective == "exact" else 0
        self.inputs = Inputs(recipe, world, few).draw(tasks)
        self._mark = world.mark
        vocabulary = _vocabulary(tasks) if settings.encoder == "paper" else ()
        config = PolicyConfig(settings.encoder, settings.hidden, settings.rounds, vocabulary, settings.headroom)
        self.policy: Policy = new_policy(config, recipe.seed, device)
        self._optimizer = torch.optim.Adam(self.policy.parameters(), settings.lr, (0.9, 0.99))
        self._rng = np.random.default_rng(derive_seed(recipe.seed, "training"))
        self.position = Position()
        self.judge: Judge | None = None
        """By the critic of the stage; None before it is fitted."""
        self._waiting: list[tuple[int, int]] | None = None
        """Networks (task, number) to be read before the critic is fitted; None where that is not decided yet."""
        self.in_turn: InTurn = in_turn_here
        """Carries out what of a fit can be done side by side."""
        self.find_out: Callable[[TrainingTask, Sequence[int]], None] = lambda *_: None
        """Has workers find out what the scores of networks need."""
        self.at_a_time = AT_A_TIME
        """Networks that are measured together."""
        self._objective = find_objective(settings.objective)
        self._weights = _weights(self.inputs, tasks)

    @property
    def stage(self) -> StageSettings:
        return self.recipe.stages[self.position.stage]

    @property
    def learned(self) -> bool:
        """Whether all stages are behind it: what is left is to read what the report is on."""
        return self.position.stage == len(self.recipe.stages)

    @property
    def finished(self) -> bool:
        return self.learned and self._waiting == []

    @property
    def critic(self) -> GainCritic | None:
        return self.judge.critic if self.judge is not None else None

    @property
    def steps(self) -> int:
        """Updates from the first to the last."""
        return sum(stage.updates for stage in self.recipe.stages)

    @property
    def steps_done(self) -> int:
        return sum(stage.updates for stage in self.recipe.stages[: self.position.stage]) + self.position.updates

    def advance(self, say: Say) -> str:
        """One step: scores are read, proxies computed, a critic is fitted, or the policy is updated. What it was, in a
        few words."""
        if self._waiting is None:
            self._waiting = self._held_out() if self.learned else self._choose()
        if self._waiting:
            return self._read(say)
        if self.learned:
            return "nothing is left to read"
        if self.judge is None:
            if self.proxies is not None and (note := self.proxies.advance(self.tasks)):
                return note
            self.judge = self._criticise(say)
            return "critic"
        if self.position.updates < self.stage.updates:
            return self._update(say)
        self._waiting, self.position = None, Position(self.position.stage + 1)
        if not self.learned:
            self.judge = None
        return "next stage"

    def settle(self) -> None:
        """Forget what was met on the way and would be met again, so that what follows does not depend on it."""
        if self.judge is not None and len(self.world.kinds) > self._mark.kinds:
            self.world.forget(self._mark)
            self.judge.forget()

    def state(self) -> State:
        """``settle`` first."""
        return {
            "policy": {name: value.detach().cpu().clone() for name, value in self.policy.state_dict().items()},
            "optimizer": optimizer_state(self._optimizer),
            "critic": dict(self.judge.critic.tensors()) if self.judge is not None else None,
            "critic_config": self.judge.critic.config() if self.judge is not None else None,
            "rng": json.dumps(self._rng.bit_generator.state),
            "position": [self.position.stage, self.position.updates],
            "waiting": self._waiting,
            "scores": {task.name: [list(pair) for pair in task.scores.items()] for task in self.tasks},
            "tested": {task.name: [list(pair) for pair in task.tested.items()] for task in self.tasks},
        }

    def restore(self, state: State) -> None:
        self.policy.load_state_dict(state["policy"])
        restore_optimizer(self._optimizer, state["optimizer"])
        self._rng.bit_generator.state = json.loads(state["rng"])
        self.position = Position(*state["position"])
        self._waiting = None if state["waiting"] is None else [(task, at) for task, at in state["waiting"]]
        for task in self.tasks:
            task.scores = dict(map(tuple, state["scores"][task.name]))
            task.tested = dict(map(tuple, state["tested"][task.name]))
        if state["critic"] is not None:
            critic = self._new_critic(min(self.position.stage, len(self.recipe.stages) - 1))
            critic.load(state["critic"], state["critic_config"])
            self.judge = self._judging(critic)

    def _choose(self) -> list[tuple[int, int]]:
        """What is read in this stage: at first drawn uniformly, then what the policy proposes, the most frequent
        first, and where that is not enough the rest drawn uniformly."""
        wanted = self._proposed() if self.position.stage else {}
        found = []
        for number, task in enumerate(self.tasks):
            left = max(LEAST, round(self.stage.evaluations * task.most)) - len(task.scores)
            drawn = self._rng.permutation(task.unread)
            counts = np.array([wanted.get((number, at), 0) for at in drawn.tolist()])
            order = drawn[np.argsort(-counts, kind="stable")]
            found += [(number, at) for at in order[: max(0, left)].tolist()]
        return found

    def _held_out(self) -> list[tuple[int, int]]:
        """What is read for the report: of each task a sample of what is held out; where scores are only looked up, all
        that training did not read."""
        found = []
        for number, task in enumerate(self.tasks):
            rng = np.random.default_rng(derive_seed(self.recipe.split, "report", task.name))
            if task.pool.known:
                wanted = np.setdiff1d(np.arange(len(task.held)), list(task.scores))
            else:
                wanted = rng.permutation(np.flatnonzero(task.held & (task.kinds != NONE)))[: self.recipe.report]
            found += [(number, at) for at in wanted.tolist()]
        return found

    def _proposed(self) -> dict[tuple[int, int], int]:
        """How often the policy proposes each network of a task."""
        numbers = [
            {(space, row): at for at, (space, row) in enumerate(zip(task.spaces, task.rows.tolist(), strict=True))}
            for task in self.tasks
        ]
        counts: dict[tuple[int, int], int] = {}
        for start in range(0, len(self.inputs), CHUNK):
            part = self.inputs[start : start + CHUNK]
            batch = build_batch([each.graph for each in part], self.device)
            drawn = draw_unmasked(self.policy, batch, self.recipe.policy.proposals, self._rng)
            for source, choices in zip(part, drawn, strict=True):
                rows = source.reach.rows(choices)
                for row in rows[source.limit.admits(source.reach.space, rows)].tolist():
                    at = numbers[source.task].get((source.reach.space, row))
                    if at is not None:
                        counts[source.task, at] = counts.get((source.task, at), 0) + 1
        return counts

    def _read(self, say: Say) -> str:
        """The next scores: of one task, all at once where they are only looked up."""
        assert self._waiting
        number = self._waiting[0][0]
        task = self.tasks[number]
        count = sum(each == number for each, _ in self._waiting)
        count = (
            count if task.pool.known else min(count, self.at_a_time if task.pool.measured is not None else AT_A_TIME)
        )
        numbers, self._waiting = [at for _, at in self._waiting[:count]], self._waiting[count:]
        self.find_out(task, numbers)
        task.read(numbers, self.learned)
        if not (self.learned and task.pool.known):
            for at in numbers:
                name = self.world.kinds.name(int(task.kinds[at]))
                score = (task.tested if self.learned else task.scores)[at]
                say({"task": task.name, "network": name, "score": score, "held_out": self.learned})
        return f"{task.name}: {len(task.scores):,} of {task.most:,} read"

    def _criticise(self, say: Say) -> Judge:
        """A new critic from all that was read, whose curve goes into the journal. It learns every way in which a
        network was written: asked of one that it has not met, it would expect something else of the same network."""
        critic = self._new_critic(self.position.stage)
        measured, graphs = [], dict[Network, Graph]()
        for task in self.tasks:
            written, (_, scores) = task.written, task.measured
            if written:
                graphs |= {network: build_graph(network) for network in dict.fromkeys(written) if network not in graphs}
                space = space_name(written[0])
                of_task = [graphs[network] for network in written]
                told = self.stage.critic.proxies
                proxies = self.proxies.of(task, told) if self.proxies is not None and told else None
                measured.append(MeasuredTask(task.name, of_task, scores, task.weight, space, proxies))
        if sum(len(each.scores) for each in measured) < LEAST:
            failed = sum(len(task.scores) for task in self.tasks)
            raise NATError(f"a critic needs at least {LEAST} scores: of {failed:,} networks nearly all failed")
        for step, loss in critic.fit(measured, self.in_turn):
            say({"stage": self.position.stage, "critic_step": step, "critic_loss": float(f"{loss:.6g}")})
        return self._judging(critic)

    def _new_critic(self, stage: int) -> GainCritic:
        seed = derive_seed(self.recipe.seed, "critic", stage) % 2**31
        return make_critic(self.recipe.stages[stage].critic, seed, self.device)

    def _judging(self, critic: GainCritic) -> Judge:
        self.world.forget(self._mark)
        return Judge(critic, self.world.kinds, self.recipe.policy.caution)

    def _update(self, say: Say) -> str:
        assert self.judge is not None
        stage, done = self.stage, self.position.updates
        share, settings = done / stage.updates, self.recipe.policy
        for group in self._optimizer.param_groups:
            group["lr"] = settings.lr * max(LEAST_RATE, 1 - share) * min(1.0, (done + 1) / settings.warmup)
        drawn = [self.inputs[at] for at in self._rng.choice(len(self.inputs), settings.batch, p=self._weights)]
        batch = build_batch([each.graph for each in drawn], self.device)
        update = Update(self.policy, self._optimizer, batch, drawn, self.judge, settings, stage, share, self._rng)
        figures = self._objective(update)
        self.position = Position(self.position.stage, done + 1)
        line = {name: float(f"{value:.6g}") for name, value in figures.items()}
        say({"stage": self.position.stage, "update": done + 1, **line})
        return " ".join(f"{name} {value:.3f}" for name, value in figures.items())


def _vocabulary(tasks: Sequence[TrainingTask]) -> tuple[str, ...]:
    """The texts of all ops that the formats of the tasks can say."""
    networks = [space.network for task in tasks for space in dict.fromkeys(task.spaces)]
    return tuple(sorted({str(op) for each in networks for slot in each.slots for op in each.edge(slot).choices}))


def _weights(inputs: Sequence[Input], tasks: Sequence[TrainingTask]) -> np.ndarray:
    """How likely each input is to be drawn: those of a task together as its weight says."""
    owner = np.array([each.task for each in inputs])
    weight = np.array([task.weight for task in tasks])[owner] / np.bincount(owner, minlength=len(tasks))[owner]
    found: np.ndarray = weight / weight.sum()
    return found
