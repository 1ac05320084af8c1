"""Inputs of a policy in training: networks of the tasks, each under one of the rules and perhaps a limit, with what it
may become as the moves of the IR have it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nat_plugin.errors import NATError
from nat_plugin.ir import Budget, Moves, find_rule
from nat_plugin.ir.budget import METRICS
from nat_plugin.policy.graphs import Graph, build_graph
from nat_plugin.policy.training.devices import Device
from nat_plugin.policy.training.recipe import LimitSettings, TrainingRecipe
from nat_plugin.policy.training.spaces import MACS, NONE, PARAMS, Reach, SlotSpace, World
from nat_plugin.policy.training.tasks import TrainingTask
from nat_plugin.search.neighbourhood import descent
from nat_plugin.training.seeds import derive_seed

DESCENTS = 8
"""Candidates of an input under a limit that are walks down to it."""
TRIED = 32
"""Choices that are drawn to see whether anything fits a limit."""


@dataclass(frozen=True, eq=False)
class Limited:
    """A limit: on a column of costs, or on the latency of a device; infinite if there is none."""

    most: float = np.inf
    column: int = MACS
    device: Device | None = None

    def admits(self, space: SlotSpace, rows: np.ndarray) -> np.ndarray:
        """Which rows of a space moves may end in."""
        whole: np.ndarray = space.kinds[rows] != NONE
        if not np.isfinite(self.most):
            return whole
        costs = space.costs[rows, self.column] if self.device is None else self.device.latencies()[rows]
        found: np.ndarray = whole & (costs <= self.most)
        return found


@dataclass(frozen=True, eq=False)
class Input:
    """An input of a task. ``kind``: its own; ``choices`` (K, S) and ``kinds`` (K,): all that it may become within its
    limit where that is enumerated; ``descents`` (D, S): some choices within the limit, of an input that is not."""

    task: int
    kind: int
    reach: Reach
    limit: Limited
    graph: Graph
    choices: np.ndarray | None
    kinds: np.ndarray | None
    descents: np.ndarray

    def kinds_of(self, choices: np.ndarray) -> np.ndarray:
        """Of what choices (n, S) lead to, (n,); ``NONE`` for those that are not admitted."""
        rows = self.reach.rows(choices)
        found: np.ndarray = np.where(self.limit.admits(self.reach.space, rows), self.reach.space.kinds[rows], NONE)
        return found


class Inputs:
    """Draws the inputs of all tasks. ``few``: neighbourhoods of at most so many combinations are enumerated."""

    def __init__(self, recipe: TrainingRecipe, world: World, few: int) -> None:
        self._recipe, self._world, self._few = recipe, world, few
        self._rules = [find_rule(name) for name in recipe.rules]
        self._devices: dict[tuple[int, int], Device] = {}

    def draw(self, tasks: Sequence[TrainingTask]) -> list[Input]:
        """As many of each task as its weight says, none of them held out; those that have no choice are left out."""
        whole = sum(task.weight for task in tasks)
        inputs = []
        for number, task in enumerate(tasks):
            rng = np.random.default_rng(derive_seed(self._recipe.seed, "inputs", task.name))
            count = max(1, round(self._recipe.policy.inputs * task.weight / whole))
            networks = rng.permutation(np.flatnonzero(~task.held))
            if not len(networks):
                raise NATError(f"sources.{task.name}: all of its networks are held out; lower held_out")
            drawn = np.resize(networks, count) if count > len(networks) else networks[:count]
            possible = [self._input(number, task, network, rng) for network in drawn.tolist()]
            legal = [one for one in possible if one is not None]
            if not legal:
                raise NATError(f"sources.{task.name}: no network has a move that is legal under these rules and limits")
            inputs += legal
        return inputs

    def _input(self, number: int, task: TrainingTask, at: int, rng: np.random.Generator) -> Input | None:
        network, space = task.pool.networks[at], task.spaces[at]
        rule = self._rules[rng.integers(len(self._rules))]
        limit, budget = self._limit(task, at, rng, self._recipe.limits)
        try:
            free = Moves(network, rule)
        except NATError:  # nothing it may become has an output
            return None
        reach = Reach.of(space, free)
        choices = kinds = None
        if reach.count <= self._few:
            every = reach.all().astype(np.int8)
            rows = reach.rows(every)
            admitted = limit.admits(space, rows)
            choices, kinds = every[admitted], space.kinds[rows[admitted]]
        if (kinds is not None and len(kinds) < 2) or reach.count < 2:
            return None
        if choices is None and limit.device is not None and not self._fits(free, reach, limit, rng):
            return None
        try:
            moves = Moves(network, rule, budget.resolve(network))
        except NATError:  # nothing legal fits
            return None
        descents = np.zeros((0, len(reach.sizes)), np.int64)
        if choices is None:
            walks = [descent(moves, rng) or moves.sample(rng) for _ in range(DESCENTS)]
            descents = np.unique(np.array(walks, np.int64), axis=0)
        return Input(number, int(task.kinds[at]), reach, limit, build_graph(network, moves), choices, kinds, descents)

    def _fits(self, free: Moves, reach: Reach, limit: Limited, rng: np.random.Generator) -> bool:
        """Whether any of the cheapest choices and some others is within a limit: ``Moves`` would try thousands of an
        input of which none is."""
        tried = np.array([*free.search.cheapest, *(rng.integers(reach.sizes) for _ in range(TRIED))], np.int64)
        return bool(limit.admits(reach.space, reach.rows(tried)).any())

    def _limit(
        self, task: TrainingTask, at: int, rng: np.random.Generator, shares: LimitSettings
    ) -> tuple[Limited, Budget]:
        """Perhaps a limit, as a training looks it up and as moves have it."""
        drawn = rng.random()
        multiple = f"{rng.uniform(shares.tightest, 1.0):.2f}x"
        number = int(rng.integers(shares.devices))
        network, space = task.pool.networks[at], task.spaces[at]
        if task.kinds[at] == NONE or drawn >= shares.macs + shares.params + shares.latency:
            return Limited(), Budget()
        if drawn >= shares.macs + shares.params:
            device = self._device(space, number)
            budget = Budget.parse({"latency": multiple}, {**METRICS, "latency": device.latency})
            return Limited(float(budget.resolve(network).values[0][1]), device=device), budget
        name, column = ("macs", MACS) if drawn < shares.macs else ("params", PARAMS)
        budget = Budget.parse({name: multiple})
        return Limited(float(budget.resolve(network).values[0][1]), column), budget

    def _device(self, space: SlotSpace, number: int) -> Device:
        at = self._world.spaces.index(space), number
        if at not in self._devices:
            seed = derive_seed(self._recipe.seed, "device", *at)
            self._devices[at] = Device(space, self._world.kinds, seed)
        return self._devices[at]
