"""The choice: input and finalists are assessed on the selection split; the test split is used once, at the end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from nat_plugin.data import Images
from nat_plugin.errors import NATError
from nat_plugin.files import file_errors
from nat_plugin.ir import Network, cost, from_json, key, to_json
from nat_plugin.runs.setup import Setup
from nat_plugin.runs.state import load_state, save_state
from nat_plugin.strategies.base import State
from nat_plugin.training.statistics import Difference, Interval, paired_difference, wilson
from nat_plugin.training.trainer import Trainer


@dataclass(frozen=True)
class Assessed:
    """A candidate, the seed of its training, and which images of the selection split it then got right.
    A training that failed got none right."""

    candidate: int
    seed: int
    hits: Tensor


@dataclass(frozen=True)
class Share:
    """A mean accuracy over the seeds, with the 95 % interval that the number of images leaves."""

    value: float
    interval: Interval


@dataclass(frozen=True)
class Verdict:
    """The winner among the candidates (0 is the input)."""

    winner: int
    selection: tuple[Share, ...]  # of every candidate
    test: tuple[Share, Share]  # of the input and the winner
    difference: Difference  # winner minus input, on test


class Choice:
    """Trains (with a final stage) or scores on shared weights (without one) every candidate, unit by unit."""

    def __init__(self, setup: Setup, folder: Path, finalists: list[Network]) -> None:
        """``finalists`` are networks of the search; those that break the budget at the final size are left out."""
        self.setup, self.folder = setup, folder
        self.searched = [
            setup.search.network,
            *(n for n in finalists if setup.final.moves.limits.fit(setup.enlarge(n))),
        ]
        self.candidates = [setup.enlarge(network) for network in self.searched]
        self.done: list[Assessed] = []
        self._trainer: Trainer | None = None
        final = setup.plan.recipe.final
        self.seeds = final.seeds if final else 1
        self.units = [(number, seed) for seed in range(self.seeds) for number in range(len(self.candidates))]

    @property
    def finished(self) -> bool:
        return len(self.done) == len(self.units)

    def advance(self) -> None:
        """One epoch of the unit at hand, or the whole unit where nothing is trained."""
        number, seed = self.units[len(self.done)]
        if self.setup.plan.recipe.final is None:
            hits = self.setup.evaluator.hits(self.searched[number], "selection").cpu()
        else:
            trainer = self._trainer = self._trainer or self._new_trainer(number, seed)
            if not trainer.finished:
                trainer.epoch()
            if not trainer.finished:
                return
            with file_errors(self.folder):
                self._weights(number, seed).parent.mkdir(exist_ok=True)
            save_state(self._weights(number, seed), {"net": trainer.net.state_dict()})
            hits = trainer.accuracy(self.setup.data.selection).hits & (not trainer.failed)
            self._trainer = None
        self.done.append(Assessed(number, seed, hits))

    def verdict(self) -> Verdict:
        """The most accurate on selection, of equals the leanest, of those the input, which counts only where it is
        within the budget itself. Uses the test split."""
        hits = [[each.hits for each in self.done if each.candidate == n] for n in range(len(self.candidates))]
        selection = tuple(_share(each) for each in hits)

        def rank(number: int) -> tuple[float, int, int, int]:
            total = cost(self.candidates[number])
            return -selection[number].value, total.macs, total.params, number

        limits = self.setup.final.moves.limits
        within = [number for number, network in enumerate(self.candidates) if limits.fit(network)]
        if not within:
            raise NATError("the input is over the budget, and of no proposal within it was anything measured")
        winner = min(within, key=rank)
        before = self._test_hits(0)
        after = before if winner == 0 else self._test_hits(winner)
        return Verdict(winner, selection, (_share(before), _share(after)), paired_difference(after, before))

    def _test_hits(self, number: int) -> list[Tensor]:
        if self.setup.plan.recipe.final is None:
            return [self.setup.evaluator.hits(self.searched[number], "test").cpu()]
        rows = []
        for seed in range(self.seeds):
            trainer = self._new_trainer(number, seed)
            trainer.net.load_state_dict(load_state(self._weights(number, seed))["net"])
            rows.append(trainer.accuracy(self.setup.data.test).hits)
        return rows

    def _new_trainer(self, number: int, seed: int) -> Trainer:
        final, data = self.setup.plan.recipe.final, self.setup.data
        assert final is not None
        both = Images(torch.cat([data.weights.x, data.reward.x]), torch.cat([data.weights.y, data.reward.y]))
        own = self.setup.plan.recipe.seed * 1000 + seed
        return Trainer(self.candidates[number], data, final.schedule, self.setup.compute, own, both)

    def _weights(self, number: int, seed: int) -> Path:
        return self.folder / "weights" / f"{key(self.candidates[number])}-seed{seed}.safetensors"

    def state(self) -> State:
        return {
            "candidates": [to_json(network, None) for network in self.searched[1:]],
            "done": [[each.candidate, each.seed, each.hits] for each in self.done],
            "trainer": self._trainer.state() if self._trainer else None,
        }

    @staticmethod
    def restored(setup: Setup, folder: Path, state: State) -> Choice:
        choice = Choice(setup, folder, [from_json(text) for text in state["candidates"]])
        choice.done = [Assessed(*each) for each in state["done"]]
        if state["trainer"] is not None:
            choice._trainer = choice._new_trainer(*choice.units[len(choice.done)])
            choice._trainer.restore(state["trainer"])
        return choice


def _share(hits: list[Tensor]) -> Share:
    images = len(hits[0])
    mean = sum(float(each.sum()) for each in hits) / len(hits) / images
    return Share(mean, wilson(round(mean * images), images))
