"""NAT: a policy proposes transformations and learns from what is measured of them; a part of the count of evaluations
goes to local search around the best."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from itertools import compress
from operator import not_
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field

from nat_plugin.errors import NATError
from nat_plugin.ir import Moves, Network, key
from nat_plugin.outside import Outside, OutsideName
from nat_plugin.policy.apply import decode
from nat_plugin.policy.files import Fact, save_policy
from nat_plugin.policy.finding import find_policy, policy_path
from nat_plugin.policy.network import Policy, PolicyConfig, new_policy
from nat_plugin.policy.reinforce import Learning, Temperature, learn
from nat_plugin.policy.sampling import draw, greedy, most_probable
from nat_plugin.policy.trained_on import say_where_trained
from nat_plugin.search.base import Measurement, Proposal, Settings, State, Strategy, Task
from nat_plugin.search.nat.inputs import Mix, draw_source
from nat_plugin.search.nat.local_search import LocalSearch
from nat_plugin.search.nat.rounds import Round, optimizer_state, restore_optimizer
from nat_plugin.search.records import Records, check_inputs

USUAL = 2000
"""Evaluations that are planned where nobody says how many."""
REFINED = 0.5
"""Share of the evaluations for local search where a policy is learned."""
FEW = 200
"""Of fewer evaluations a policy learns nothing that helps."""
LEAST_LR = 0.02
"""Share of the learning rate that is left at the end."""
_DRAWS = 32


class NATSettings(Settings):
    """Settings of ``nat``. One update of the policy takes ``sources`` x ``samples`` evaluations."""

    encoder: Literal["graph", "blind", "paper"] = "graph"
    """``paper`` is the two-layer graph convolution of the paper, ``blind`` does not see the wiring."""
    hidden: Annotated[int, Field(ge=1, le=4096)] = 64
    """Width of the policy's layers."""
    rounds: Annotated[int, Field(ge=0, le=64)] = 3
    """Exchanges of messages between nodes and edges: how far an edge sees."""
    policy: OutsideName | None = None
    """A policy to start from, a file or the name of one that ships; encoder, hidden and rounds are then those of it."""
    evaluations: Annotated[int, Field(ge=1, le=10**9)] | None = None
    """How many the schedules run over, if not those of the run (2000 where that has no number either): entropy and
    learning rate fall over them, and the last ``refine`` of them are local search."""
    sources: Annotated[int, Field(ge=1, le=4096)] = 4
    """Inputs β per update. The same input drawn twice counts as one with twice the samples."""
    samples: Annotated[int, Field(ge=2, le=4096)] = 8
    """Transformations α of each; the others are the baseline of each one."""
    mix: Mix = Mix()
    """Where inputs come from."""
    lr: Annotated[float, Field(gt=0, le=1)] = 2e-3
    """Of Adam at the start; falls linearly to nearly 0 over the evaluations."""
    steps: Annotated[int, Field(ge=1, le=100)] = 5
    """Updates of the weights per batch, held near the policy that sampled it by ``clip``. 1 is plain REINFORCE."""
    clip: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """How far the probability of a transformation may move per batch."""
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Of Adam (the paper: 0.5)."""
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.99
    """Of Adam (the paper: 0.999)."""
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Of Adam (the paper: 5e-4)."""
    entropy: Annotated[float, Field(ge=0, le=1)] = 0.6
    """Share of the entropy of uniform choice to hold at the start; falls linearly to 0. The weight of the bonus follows
    by itself (``nat_plugin.policy.reinforce.Temperature``)."""
    entropy_weight: Annotated[float, Field(ge=0, le=100)] | None = None
    """A constant weight of the entropy bonus (the paper: 0.003), in place of ``entropy``."""
    normalise: Literal["source", "batch", "none"] = "source"
    """Advantages are divided by the spread among the transformations of an input, of all of a batch, or not at all."""
    gradient: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    """Largest norm of the gradient."""
    candidates: Annotated[int, Field(ge=0, le=10_000)] = 10
    """Samples of the policy among the finalists (n in the paper)."""
    refine: Annotated[float, Field(ge=0, le=1)] | None = None
    """Share of the evaluations for local search from each of the user's inputs, by a predictor that learns from what
    was measured (``nat_plugin.search.surrogate.acquisition``); 0 turns it off. Left out: all where ``policy`` is given
    or fewer than 200 are planned, else half."""
    trust: Annotated[float, Field(ge=0, le=10)] = 0.5
    """Weight of ``policy`` as a prior of the predictor. What was learned in this very search is none: no gain."""
    pool: Annotated[int, Field(ge=1, le=100_000)] = 200
    """Networks to choose each proposal of the local search from."""
    largest: Annotated[int, Field(ge=10, le=5_000)] = 250
    """Measurements that the predictor learns from: the latest of the input itself first, then the latest of others."""


class NATStrategy(Strategy):
    """A graph-network policy proposes replacements of operations, trained by REINFORCE on measured gains; then local
    search with a surrogate model.

    Proposals come in batches that are sampled from the policy; when all of a batch were told, it takes a step. Any
    number of batches may be under way.
    """

    Settings = NATSettings
    settings: NATSettings

    def __init__(self, task: Task, settings: NATSettings) -> None:
        super().__init__(task, settings)
        check_inputs(task.inputs)
        self.policy = self._first_policy()
        self._optimizer = torch.optim.Adam(
            self.policy.parameters(), settings.lr, (settings.beta1, settings.beta2), weight_decay=settings.weight_decay
        )
        self._learning = Learning(
            normalise=settings.normalise, steps=settings.steps, clip=settings.clip, gradient=settings.gradient
        )
        self._temperature = Temperature(settings.entropy, fixed=settings.entropy_weight)
        self._planned = settings.evaluations or task.evaluations or USUAL
        self._rng = np.random.default_rng(task.seed)
        self._moves: dict[Network, Moves] = {}
        self._records = Records(task.inputs)
        self._rounds: list[Round] = []
        self._queue: list[Proposal] = []
        self._local = LocalSearch(
            [self.moves_of(network) for network in task.inputs],  # a budget that nothing fits is found here
            self.policy if settings.policy is not None else None,
            self._records,
            self._rng,
            settings.trust,
            settings.pool,
            settings.largest,
        )
        self._number = self._told = self._updates = 0
        self.report: dict[str, float] = {}
        """Of the last update: mean and best gain, loss, entropy, norm of the gradient."""

    @property
    def outside(self) -> tuple[Outside, ...]:
        name = self.settings.policy
        if name is None:
            return ()
        path = policy_path(name)
        return (Outside(path, (path,), None if str(path) == name else f"policy {name}"),)

    def _first_policy(self) -> Policy:
        settings = self.settings
        if settings.policy is not None:
            say_where_trained(settings.policy, self.task.inputs)
            return find_policy(settings.policy, self.task.device)
        ops = {op for network in self.task.inputs for cell in network.by_name.values() for e in cell.edges
               for op in (e.op, *e.choices)}  # fmt: skip
        vocabulary = tuple(sorted(map(str, ops))) if settings.encoder == "paper" else ()
        config = PolicyConfig(settings.encoder, settings.hidden, settings.rounds, vocabulary)
        return new_policy(config, self.task.seed, self.task.device)

    @property
    def rewires(self) -> bool:
        return self.settings.mix.random > 0

    def draw_input(self, rng: np.random.Generator) -> Network:
        """An input that has a transformation within the budget."""
        for _ in range(_DRAWS):
            network = draw_source(self.settings.mix, self.task.inputs, self.task.rule, rng)
            try:
                self.moves_of(network)
            except NATError:
                continue
            return network
        return self.task.inputs[int(rng.integers(len(self.task.inputs)))]

    def moves_of(self, network: Network) -> Moves:
        """Kept: most inputs come again."""
        known = self._moves.get(network)
        if known is None:
            known = Moves(network, self.task.rule, self.task.budget.resolve(network))
            if len(self._moves) >= 4096:
                self._moves.pop(next(iter(self._moves)))
            self._moves[network] = known
        return known

    def ask(self, count: int) -> list[Proposal]:
        """Fewer than ``count`` where all is local search and there is nothing new."""
        while len(self._queue) < count:
            found = self._local.propose(self._number) if self._refining else None
            if found is not None:
                self._queue.append(found)
                self._number += 1
            elif self._refined < 1.0:
                self._queue += self._sampled()
            else:
                break
        asked, self._queue = self._queue[:count], self._queue[count:]
        return asked

    @property
    def _refined(self) -> float:
        """Share of the evaluations for local search."""
        if self.settings.refine is not None:
            return self.settings.refine
        return 1.0 if self.settings.policy is not None or self._planned < FEW else REFINED

    @property
    def _learned(self) -> int:
        """Evaluations that are planned for learning."""
        return round((1 - self._refined) * self._planned)

    @property
    def _refining(self) -> bool:
        return self._number >= self._learned

    def _sampled(self) -> list[Proposal]:
        """A new batch from the policy."""
        drawn: dict[Network, int] = {}
        for _ in range(self.settings.sources):
            source = self.draw_input(self._rng)
            drawn[source] = drawn.get(source, 0) + self.settings.samples
        moves = [self.moves_of(network) for network in drawn]
        started = Round(self._number, moves)
        for graph, (scores, sizes) in enumerate(decode(self.policy, moves)):
            for sample in draw(scores, sizes, moves[graph], self._rng, drawn[moves[graph].network]):
                started.add(graph, sample)
        self._rounds.append(started)
        self._number += len(started.samples)
        return started.proposals()

    def tell(self, proposal: Proposal, measurement: Measurement | None) -> None:
        """A gain that is not finite counts as a failure."""
        self._told += 1
        found = measurement if measurement is not None and math.isfinite(measurement.gain) else None
        gain = None if found is None else found.gain
        source = self._records.find(proposal.source)
        if source is not None:
            self._local.tell(proposal.number, source, proposal.network, found)
        if gain is not None and source is not None:
            self._records.add(source, proposal.network, gain, proposal.number)
        for each in self._rounds:
            if each.tell(proposal.number, gain):
                if each.complete:
                    self._rounds.remove(each)
                    self._update(each)
                return

    def _update(self, done: Round) -> None:
        episodes = done.episodes()
        if len(episodes) < 2:
            return
        progress = min(1.0, self._told / max(1, self._learned))
        for group in self._optimizer.param_groups:
            group["lr"] = self.settings.lr * max(LEAST_LR, 1 - progress)
        batch, weight = done.batch(self.policy.device), self._temperature.weight
        self.report = learn(self.policy, self._optimizer, batch, episodes, self._learning, weight)
        self.report["weight"] = weight
        self._temperature.follow(self.report["entropy"], self.report["uniform"], progress)
        self._updates += 1
        self._local.set_policy_prior(self.policy)

    def finalists(self, source: Network, count: int) -> Sequence[Network]:
        """What was measured best and what the policy thinks most probable, taken in turn: the best measured first if it
        is a gain, otherwise the policy's own. What the policy proposes but measured as no gain comes last."""
        moves, number = self.moves_of(source), self._records.find(source)
        [(scores, sizes)] = decode(self.policy, [moves])
        rng = np.random.default_rng(self.task.seed)
        drawn = sorted(draw(scores, sizes, moves, rng, self.settings.candidates), key=lambda s: -s.log_probability)
        choices = [greedy(scores, sizes, moves), *(sample.choice for sample in drawn)]
        choices += most_probable(scores, sizes, moves, count)
        likely = [moves.apply(choice) for choice in dict.fromkeys(choices)]
        measured: list[Network] = []
        if number is not None:
            gains = [self._records.gain(number, key(network)) for network in likely]
            worth = [gain is None or gain > _least_gain(moves) for gain in gains]
            likely = [*compress(likely, worth), *compress(likely, map(not_, worth))]
            best = [record for record in self._records.best(number, count) if record.gain > _least_gain(moves)]
            measured = [self._records.network(number, record) for record in best]
        seen, ranked = {key(source)}, []
        for place in range(max(len(measured), len(likely))):
            for network in (*measured[place : place + 1], *likely[place : place + 1]):
                if key(network) not in seen:
                    seen.add(key(network))
                    ranked.append(network)
        return ranked[:count]

    def save(self, path: Path) -> bool:
        """The policy as a file, to be applied elsewhere or continued."""
        facts: dict[str, Fact] = {"strategy": "nat", "rules": self.task.rule.name}
        save_policy(self.policy, path, {**facts, "updates": self._updates, "evaluations": self._told})
        return True

    def state(self) -> State:
        return {
            "policy": {name: value.detach().cpu().clone() for name, value in self.policy.state_dict().items()},
            "optimizer": optimizer_state(self._optimizer),
            "rng": json.dumps(self._rng.bit_generator.state),
            "records": self._records.state(),
            "rounds": [each.state() for each in self._rounds],
            "queue": [proposal.number for proposal in self._queue],
            "local": self._local.state(),
            "weight": self._temperature.weight,
            "counts": [self._number, self._told, self._updates],
            "report": dict(self.report),
        }  # fmt: skip

    def restore(self, state: State) -> None:
        self.policy.load_state_dict(state["policy"])
        restore_optimizer(self._optimizer, state["optimizer"])
        self._rng.bit_generator.state = json.loads(state["rng"])
        self._records.restore(state["records"])
        self._rounds = [Round.restored(each, self.moves_of) for each in state["rounds"]]
        self._local.restore(state["local"])
        self._temperature.weight = state["weight"]
        self._number, self._told, self._updates = state["counts"]
        if self._updates:
            self._local.set_policy_prior(self.policy)
        self.report = dict(state["report"])
        open_ones = {p.number: p for each in self._rounds for p in each.proposals()}
        queued = ((number, self._local.proposal(number)) for number in state["queue"])
        self._queue = [local or open_ones[number] for number, local in queued]


def _least_gain(moves: Moves) -> float:
    """What a transformation has to gain: more than the input does, unless that is no result itself (over budget)."""
    return 0.0 if moves.admits(moves.identity) else -math.inf
