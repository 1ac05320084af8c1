"""What a trained policy and its critic are worth on networks that training never read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr

from nat_plugin.errors import NATError
from nat_plugin.ir import Budget, Moves, Rule, find_rule
from nat_plugin.policy.apply import apply_policy
from nat_plugin.policy.network import Policy
from nat_plugin.policy.training.judging import Judge
from nat_plugin.policy.training.spaces import MACS, NONE, Reach, means_of_kinds
from nat_plugin.policy.training.tasks import TrainingTask
from nat_plugin.policy.training.trainer import Trainer
from nat_plugin.training.seeds import derive_seed

ENUMERATED = 20_000
"""Most combinations of an input of which all scores are looked up."""
PAIRS = 20
"""Of each held-out network with others, by which the critic's doubt is judged."""
SAMPLED = 16
"""Choices that are looked up to see whether the scores of all may be known."""
BINS = 10
TIGHTER = "0.8x"
"""The limit on MACs under which a policy is reported that learned under limits."""
_LEAST = 1e-9


class Truth:
    """The scores of a task by number and by kind of network, as far as they are known (NaN elsewhere)."""

    def __init__(self, task: TrainingTask, kinds: int) -> None:
        known = {**task.scores, **task.tested}
        self.scores = np.array([_number(known.get(at)) for at in range(len(task.kinds))])
        bare = np.array([_is_bare(task, at) for at in range(len(task.kinds))], bool)
        self.kinds = means_of_kinds(self.scores, task.kinds, bare, kinds)

    def of(self, kinds: np.ndarray) -> np.ndarray:
        """Of kinds (n,), also of those that were met later or are ``NONE``."""
        found = np.full(len(kinds), np.nan)
        inside = (kinds != NONE) & (kinds < len(self.kinds))
        found[inside] = self.kinds[kinds[inside]]
        return found


def _number(score: float | None) -> float:
    return np.nan if score is None else score


def _is_bare(task: TrainingTask, at: int) -> bool:
    """Whether a network is written without dead operations."""
    live = task.spaces[at].live[task.rows[at]]
    return all(alive or op.is_null for op, alive in zip(task.pool.networks[at].ops, live.tolist(), strict=True))


def held_out_figures(trainer: Trainer) -> dict[str, Any]:
    """By task: gains of the policy's one proposal without any query, and how far the critic is to be believed."""
    assert trainer.judge is not None
    found: dict[str, Any] = {}
    for task in trainer.tasks:
        truth = Truth(task, len(trainer.world.kinds))
        rng = np.random.default_rng(derive_seed(trainer.recipe.split, "inputs of the report", task.name))
        inputs = rng.permutation(np.flatnonzero(task.held & np.isfinite(truth.scores)))[: trainer.recipe.report]
        held = _HeldOutInputs(task, truth, tuple(inputs.tolist()))
        found[task.name] = {
            "inputs": len(inputs),
            "gains": held.gains(trainer),
            "critic": held.critic(trainer.judge, trainer.recipe.rules[-1], rng),
        }
    return found


@dataclass(frozen=True, eq=False)
class _HeldOutInputs:
    """``inputs``: networks of the task by number, drawn of those that training never read and whose score is known."""

    task: TrainingTask
    truth: Truth
    inputs: tuple[int, ...]

    def gains(self, trainer: Trainer) -> list[dict[str, Any]]:
        limits: list[dict[str, str]] = [{}, *([{"macs": TIGHTER}] if trainer.recipe.limits.macs else [])]
        rules = map(find_rule, trainer.recipe.rules)
        return [self._gain(trainer.policy, rule, budget) for rule in rules for budget in limits]

    def _gain(self, policy: Policy, rule: Rule, limits: dict[str, str]) -> dict[str, Any]:
        """The mean gain over the inputs whose result has a score, and beside it what the best could have gained, where
        the scores of all that every input may become are known."""
        moves: dict[int, Moves] = {}
        for at in self.inputs:
            network = self.task.pool.networks[at]
            try:
                moves[at] = Moves(network, rule, Budget.parse(limits).resolve(network))
            except NATError:  # nothing legal fits, or the input itself has no output
                continue
        results = apply_policy(list(moves.values()), policy)
        gains, best, whole = [], [], True
        for (at, own), result in zip(moves.items(), results, strict=True):
            kind = self.task.spaces[at].kind(result)
            same = kind == self.task.kinds[at] and kind != NONE
            gain = 0.0 if same else float(self.truth.of(np.array([kind]))[0] - self.truth.scores[at])
            reachable = self._best(at, own)
            whole &= reachable is not None
            if np.isfinite(gain):
                gains.append(gain)
                best.append(reachable or 0.0)
        row: dict[str, Any] = {"rules": rule.name, "limits": limits, "inputs": len(moves), "known": len(gains)}
        if gains:
            row |= {"gain": float(np.mean(gains)), "worse": float(np.mean(np.array(gains) < 0))}
        if gains and whole:
            row |= {"best": float(np.mean(best))}
            row["share"] = row["gain"] / row["best"] if row["best"] > 0 else None
        return row

    def _best(self, at: int, moves: Moves) -> float | None:
        """The gain of the best that an input may become; None where some scores are not known."""
        reach = Reach.of(self.task.spaces[at], moves)
        if reach.count > ENUMERATED or not self._is_known(reach):
            return None
        rows = reach.rows(reach.all())
        admitted = reach.space.kinds[rows] != NONE
        for name, limit in moves.limits.values:
            assert name == "macs"
            admitted &= reach.space.costs[rows, MACS] <= limit
        scores = self.truth.of(reach.space.kinds[rows[admitted]])
        if not len(scores) or not np.isfinite(scores).all():
            return None
        stays = [self.truth.scores[at]] if self.task.kinds[at] != NONE and moves.limits.fit(moves.network) else []
        return float(max([*scores.tolist(), *stays]) - self.truth.scores[at])

    def _is_known(self, reach: Reach) -> bool:
        """Whether the scores of some choices drawn at random are known: so that not all are tried in vain."""
        rng = np.random.default_rng(0)
        rows = reach.rows(np.array([rng.integers(reach.sizes) for _ in range(SAMPLED)]))
        kinds = reach.space.kinds[rows]
        return bool(np.isfinite(self.truth.of(kinds[kinds != NONE])).all())

    def critic(self, judge: Judge, rule: str, rng: np.random.Generator) -> dict[str, Any]:
        """Rank correlation with the scores of held-out networks, and among pairs of them how often one is better that
        was said to be with some probability; pairs where an input can become the other, if there are any."""
        kinds = np.unique(self.task.kinds[[at for at in self.inputs if self.task.kinds[at] != NONE]])
        row: dict[str, Any] = {"networks": len(kinds)}
        if len(kinds) < 3:
            return row
        mean, _ = judge.believed(int(kinds[0]), kinds)
        scores = self.truth.of(kinds)
        if len(set(scores.tolist())) > 1 and len(set(mean.tolist())) > 1:
            from scipy.stats import spearmanr  # here alone: it takes a second

            row["spearman"] = float(spearmanr(mean, scores)[0])
        said, true, reachable = [], [], 0
        for at in self.inputs:
            own = int(self.task.kinds[at])
            others, legal = self._others(rule, at)
            others = rng.permutation(others)[:PAIRS]
            if own == NONE or not len(others):
                continue
            mean, deviation = judge.believed(own, others)
            said += ndtr(mean / np.maximum(deviation, _LEAST)).tolist()
            true += (self.truth.of(others) > self.truth.of(np.array([own]))[0]).tolist()
            reachable += len(others) if legal else 0
        return row | {"pairs": len(said), "reachable": reachable} | calibration(np.array(said), np.array(true))

    def _others(self, rule: str, at: int) -> tuple[np.ndarray, bool]:
        """The kinds of other held-out networks that one can become by moves, and that it can; where there are none, of
        all others."""
        space, kinds = self.task.spaces[at], self.task.kinds[list(self.inputs)]
        there = np.array([self.task.spaces[other] is space for other in self.inputs], bool)
        try:
            reach = Reach.of(space, Moves(self.task.pool.networks[at], find_rule(rule)))
            there[there] = reach.leads_to(space.codes[self.task.rows[list(self.inputs)][there]])
        except NATError:  # nothing it may become has an output
            there[:] = False
        different = (kinds != self.task.kinds[at]) & (kinds != NONE)
        legal = np.unique(kinds[different & there])
        return (legal, True) if len(legal) else (np.unique(kinds[different]), False)


def calibration(said: np.ndarray, true: np.ndarray) -> dict[str, Any]:
    """Of probabilities (n,) and what was so (n,): by tenths how many there are, what was said and what was so in the
    mean; and ``error``, by how much these differ, in the mean over all."""
    if not len(said):
        return {}
    place = np.minimum((said * BINS).astype(int), BINS - 1)
    bins = [
        {"pairs": int(of.sum()), "said": float(said[of].mean()), "true": float(true[of].mean())}
        for number in range(BINS)
        if (of := place == number).any()
    ]
    error = sum(each["pairs"] * abs(each["said"] - each["true"]) for each in bins) / len(said)
    return {"error": float(error), "bins": bins}
