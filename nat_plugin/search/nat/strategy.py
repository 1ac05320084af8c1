"""NAT: a policy proposes transformations and learns from what is measured of them, beside a surrogate model that says
what is worth measuring next."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from itertools import compress
from multiprocessing import parent_process
from operator import not_
from pathlib import Path

import numpy as np

from nat_plugin.errors import NATError
from nat_plugin.fingerprints import Outside
from nat_plugin.ir import Moves, Network, key
from nat_plugin.policy.apply import decode
from nat_plugin.policy.files import Fact, save_policy
from nat_plugin.policy.finding import outside_of
from nat_plugin.policy.sampling import draw, greedy, most_probable
from nat_plugin.search.base import Measurement, Proposal, Strategy, Task
from nat_plugin.search.nat.inputs import draw_source
from nat_plugin.search.nat.learner import Learner
from nat_plugin.search.nat.local_search import LocalSearch
from nat_plugin.search.nat.rounds import Round
from nat_plugin.search.nat.settings import NATSettings
from nat_plugin.search.nat.start import find_start
from nat_plugin.search.records import Records, check_inputs
from nat_plugin.search.surrogate.acquisition import LEFT_OUT_RANK
from nat_plugin.settings import State

USUAL = 2000
"""Evaluations that are planned where nobody says how many."""
_DRAWS = 32


class NATStrategy(Strategy):
    """A graph-network policy, trained by REINFORCE, proposes replacements of operations in turns with a surrogate
    model; the one whose proposals measure better leads. The policy learns from measured gains and from those that the
    model expects. A trained policy and its critic are the prior of both, as long as the measurements agree with it.

    With ``refine`` proposals come in batches that are sampled from the policy; when all of a batch were told, it takes
    a step. Any number of batches may be under way. The last of the evaluations are the surrogate's alone.
    """

    Settings = NATSettings
    settings: NATSettings

    def __init__(self, task: Task, settings: NATSettings) -> None:
        super().__init__(task, settings)
        check_inputs(task.inputs)
        _say_without_effect(settings)
        self._moves: dict[Network, Moves] = {}
        moves = [self.moves_of(network) for network in task.inputs]  # a budget that nothing fits is found here
        self._start = find_start(task, settings, moves)
        self.policy = self._start.policy
        self._planned = settings.evaluations or task.evaluations or USUAL
        self._rng = np.random.default_rng(task.seed)
        self._learner = Learner(self.policy, settings, moves, self._rng)
        self._records = Records(task.inputs)
        self._rounds: list[Round] = []
        self._queue: list[Proposal] = []
        learner = self._learner if settings.refine is None else None
        self._local = LocalSearch(moves, settings, self._records, self._rng, self._start, learner)
        self._number = self._told = 0

    @property
    def report(self) -> dict[str, float]:
        """Of the last update: mean and best gain, loss, entropy, norm of the gradient; and how well the surrogate model
        ranks what it leaves out."""
        rank = self._local.left_out_rank
        return self._learner.report | ({} if rank is None else {LEFT_OUT_RANK: rank})

    @property
    def outside(self) -> tuple[Outside, ...]:
        name = self.settings.policy
        return () if name is None else (outside_of(name),)

    @property
    def notes(self) -> tuple[str, ...]:
        return (self._start.report(self._local.model),)

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
        self._local.begin_asking()
        while len(self._queue) < count:
            found = self._local.propose(self._number) if self._number >= self._learned else None
            if found is not None:
                self._queue.append(found)
                self._number += 1
            elif self._learned:
                self._queue += self._sampled()
            else:
                break
        asked, self._queue = self._queue[:count], self._queue[count:]
        return asked

    @property
    def _learned(self) -> int:
        """Evaluations that are planned for REINFORCE alone."""
        return round((1 - self.settings.refine) * self._planned) if self.settings.refine is not None else 0

    def _sampled(self) -> list[Proposal]:
        """A new batch from the policy."""
        drawn: dict[Network, int] = {}
        for _ in range(self.settings.sources):
            source = self.draw_input(self._rng)
            drawn[source] = drawn.get(source, 0) + self.settings.samples
        moves = [self.moves_of(network) for network in drawn]
        started = Round(moves)
        for graph, (scores, sizes) in enumerate(decode(self.policy, moves)):
            for sample in draw(scores, sizes, moves[graph], self._rng, drawn[moves[graph].network]):
                started.add(graph, sample, self._number)
                self._number += 1
        self._rounds.append(started)
        return started.proposals()

    def tell(self, proposal: Proposal, measurement: Measurement | None) -> None:
        """A gain that is not finite counts as a failure. What was measured elsewhere can be told too; where it is over
        the budget it says something of others, and is no finalist."""
        self._told += 1
        found = measurement if measurement is not None and math.isfinite(measurement.gain) else None
        gain = None if found is None else found.gain
        source = self._records.find(proposal.source)
        is_within = source is None or self._is_within(proposal)
        if source is not None:
            self._local.tell(proposal.number, source, proposal.network, found, is_within)
        if gain is not None and source is not None and is_within:
            self._records.add(source, proposal.network, gain, proposal.number)
        for each in self._rounds:
            if each.tell(proposal.number, gain):
                if each.complete:
                    self._rounds.remove(each)
                    self._learner.learn_measured(each, min(1.0, self._told / max(1, self._learned)))
                return

    def _is_within(self, proposal: Proposal) -> bool:
        moves = self.moves_of(proposal.source)
        return moves.admits(moves.choice(proposal.network))

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
        save_policy(self.policy, path, {**facts, "updates": self._learner.updates, "evaluations": self._told})
        return True

    def state(self) -> State:
        return {
            "learner": self._learner.state(),
            "rng": json.dumps(self._rng.bit_generator.state),
            "records": self._records.state(),
            "rounds": [each.state() for each in self._rounds],
            "queue": [proposal.number for proposal in self._queue],
            "local": self._local.state(),
            "counts": [self._number, self._told],
        }

    def restore(self, state: State) -> None:
        self._learner.restore(state["learner"])
        self._rng.bit_generator.state = json.loads(state["rng"])
        self._records.restore(state["records"])
        self._rounds = [Round.restored(each, self.moves_of) for each in state["rounds"]]
        self._local.restore(state["local"])
        self._number, self._told = state["counts"]
        open_ones = {p.number: p for each in self._rounds for p in each.proposals()}
        queued = ((number, self._local.proposal(number)) for number in state["queue"])
        self._queue = [local or open_ones[number] for number, local in queued]


def _say_without_effect(settings: NATSettings) -> None:
    names = ", ".join(f"`{name}`" for name in settings.without_effect)
    if names and parent_process() is None:
        print(
            f"strategy 'nat': no effect without `refine`: {names}; `refine: 0.5` gives half of the evaluations to "
            "REINFORCE alone, 0 all of them",
            file=sys.stderr,
        )


def _least_gain(moves: Moves) -> float:
    """What a transformation has to gain: more than the input does, unless that is no result itself (over budget)."""
    return 0.0 if moves.admits(moves.identity) else -math.inf
