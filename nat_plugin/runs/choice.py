"""The choice: input and finalists are assessed on the selection split; the test split is used once, at the end."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from nat_plugin.errors import NATError
from nat_plugin.evaluators.base import Assessment, Saved
from nat_plugin.execution.calls import ExecutorCall
from nat_plugin.files import file_errors
from nat_plugin.ir import Moves, Network, cost, from_json, key, to_json
from nat_plugin.measuring.latency import LATENCY
from nat_plugin.runs.finalists import (
    FinalTraining,
    final_trainer,
    images_of,
    learned_state,
    selected,
    train_finalist,
)
from nat_plugin.runs.loading import loading
from nat_plugin.runs.setup import Setup
from nat_plugin.runs.timing import Timing
from nat_plugin.runs.weights import check_weights, load_weights, save_weights, weights_file
from nat_plugin.runs.worker_files import Found
from nat_plugin.runs.workers import RunWorkers
from nat_plugin.settings import State
from nat_plugin.training.statistics import (
    Difference,
    Interval,
    mean_intervals,
    paired_difference,
    unpaired_difference,
)
from nat_plugin.training.trainer import NetworkTrainer
from nat_plugin.training.verdict import Conclusion, conclude


@dataclass(frozen=True, eq=False)
class Assessed:
    """A candidate, the seed of its training, and how it then was on the selection split. A training that failed got
    nothing right. ``weights``: the SHA-256 of their file; None where nothing was trained."""

    candidate: int
    seed: int
    found: Assessment
    weights: str | None = None


@dataclass(frozen=True)
class FinalEpoch:
    """An epoch of a training of the final stage; ``figures`` are those of ``NetworkTrainer.epoch``."""

    candidate: int
    seed: int
    network: str  # its key
    figures: dict[str, float]


@dataclass(frozen=True)
class FinishedTraining:
    """A whole training of the final stage; ``why`` it was lost, if it was."""

    network: str  # its key
    seed: int
    epochs: tuple[FinalEpoch, ...]
    why: str | None = None


@dataclass(frozen=True)
class MeanShare:
    """A mean accuracy over the seeds, with its 95 % interval (``mean_intervals``)."""

    value: float
    interval: Interval


@dataclass(frozen=True)
class Verdict:
    """The winner among the candidates (0 is the input)."""

    winner: int
    selection: tuple[MeanShare, ...]  # of every candidate
    test: tuple[MeanShare, MeanShare]  # of the input and the winner
    difference: Difference  # winner minus input, on test
    conclusion: Conclusion  # what that says of the winner


class FinalSelection:
    """Trains (with a final stage) or scores on shared weights (without one) every candidate, unit by unit."""

    def __init__(self, setup: Setup, folder: Path, finalists: list[Network], timing: Timing | None = None) -> None:
        """``finalists`` are networks of the search; those that break the budget at the final size are left out.
        ``timing``: of the input and these as a whole, which counts instead of the latency that was estimated."""
        self.setup, self.folder, timing = setup, folder, timing or Timing()
        own = setup.final.network
        self.moves = (
            Moves(own, setup.final.moves.rule, setup.final.moves.limits.without(LATENCY))
            if timing.measured
            else setup.final.moves
        )
        """What the result is held to by counting."""
        fitting = [
            number for number, each in enumerate(finalists, start=1) if self.moves.limits.fit(setup.enlarge(each))
        ]
        self.searched = [setup.search.network, *(finalists[number - 1] for number in fitting)]
        self.timing = timing.of([0, *fitting])
        self.candidates = [setup.enlarge(network) for network in self.searched]
        self.done: list[Assessed] = []
        self._training = FinalTraining(setup)
        setup.compute.ranks.lead("final", self._training, "begin", "epoch")
        final = setup.plan.recipe.final
        self.seeds = final.seeds if final else 1
        self.units = [(number, seed) for seed in range(self.seeds) for number in range(len(self.candidates))]

    @property
    def _trainer(self) -> NetworkTrainer | None:
        return self._training.trainer

    @property
    def finished(self) -> bool:
        return len(self.done) == len(self.units)

    @property
    def steps(self) -> int:
        """Calls of ``advance`` from the first to the last, if no training fails."""
        return len(self.units) * self._epochs

    @property
    def steps_done(self) -> int:
        """How many of them are behind us; a training that failed counts as whole."""
        return len(self.done) * self._epochs + (self._trainer.epochs_done if self._trainer else 0)

    @property
    def _epochs(self) -> int:
        final = self.setup.plan.recipe.final
        return final.schedule.epochs if final else 1

    def advance(self) -> FinalEpoch | None:
        """One epoch of the unit at hand, or the whole unit where nothing is trained."""
        number, seed = self.units[len(self.done)]
        if self.setup.plan.recipe.final is None:
            found = self.setup.evaluator.assess(self.searched[number], "selection")
            self.done.append(Assessed(number, seed, found))
            return None
        if self._trainer is None:
            self._training.begin(self.candidates[number], seed)
        trainer = self._trainer
        assert trainer is not None
        epoch = None
        if not trainer.finished:  # it is, where a run was killed between the last epoch and what follows
            epoch = FinalEpoch(number, seed, key(self.candidates[number]), self._training.epoch())
        if trainer.finished:
            self._end(number, seed, trainer.weights(), selected(self.setup, trainer))
            self._training.trainer = None
        return epoch

    def train_by(self, workers: RunWorkers) -> Iterator[FinishedTraining]:
        """All trainings that are left, side by side; each once it and all before it are there, as if one had been done
        after the other. NATError where one of the input was lost."""
        state, left = learned_state(self.setup), self.units[len(self.done) :]
        learned = None if state is None or not left else workers.executor.share(state)
        networks = {number: self.candidates[number] for number, _ in left}
        calls = iter(
            ExecutorCall(
                (number, seed),
                train_finalist,
                (workers.parts, networks[number], seed, learned),
                f"final-{key(networks[number])}-seed{seed}",
            )
            for number, seed in left
        )
        there: dict[tuple[int, int], Found] = {}
        for unit, each in workers.answers(lambda: next(calls, None)):
            there[unit] = each
            while not self.finished and (found := there.get(self.units[len(self.done)])) is not None:
                number, seed = self.units[len(self.done)]
                if found.value is None and number == 0:
                    break  # it is compared with: it cannot count as failed
                del there[number, seed]
                yield self._finished(number, seed, found)
        if not self.finished:
            number, seed = self.units[len(self.done)]
            raise NATError(
                f"training {seed + 1} of the input: {there[number, seed].why}; all others are done, and kept: "
                f"nat resume {shlex.quote(str(self.folder))} tries it again"
            )

    def _finished(self, number: int, seed: int, found: Found) -> FinishedTraining:
        name = key(self.candidates[number])
        if found.value is None:
            count = len(images_of(self.setup).selection)
            self.done.append(Assessed(number, seed, Assessment.of(torch.zeros(count, dtype=torch.bool))))
            return FinishedTraining(name, seed, (), found.why)
        self._end(number, seed, found.value["weights"], Assessment.of(found.value["hits"]))
        return FinishedTraining(
            name, seed, tuple(FinalEpoch(number, seed, name, figures) for figures in found.value["epochs"])
        )

    def _end(self, number: int, seed: int, weights: Mapping[str, torch.Tensor], found: Assessment) -> None:
        """Of a training: its weights are a file from now on."""
        with file_errors(self.folder):
            self.weights(number, seed).parent.mkdir(exist_ok=True)
        digest = save_weights(self.weights(number, seed), weights)
        self.done.append(Assessed(number, seed, found, digest))

    @property
    def lost(self) -> int:
        """Trainings that no worker could carry out, which counts as getting nothing right."""
        return sum(each.weights is None for each in self.done) if self.setup.plan.recipe.final else 0

    def verdict(self) -> Verdict:
        """The most accurate on selection, of equals the leanest, of those the input, which counts only where it is
        within the budget itself. Uses the test split."""
        found = [[each.found for each in self.done if each.candidate == n] for n in range(len(self.candidates))]
        selection = _shares(found)

        def rank(number: int) -> tuple[float, int, int, int]:
            total = cost(self.candidates[number])
            return -selection[number].value, total.macs, total.params, number

        within = [number for number in range(len(self.candidates)) if self.fits(number)]
        if not within:
            none = "no proposal was within the limit on latency as a whole"
            unknown = "of no proposal within it was anything measured"
            raise NATError(f"the input is over the budget, and {none if self.timing.measured else unknown}")
        winner = min(within, key=rank)
        before = self.tested(0)
        if winner == 0:
            same = Conclusion("none", "the result is the input")
            (share,) = _shares([before])
            return Verdict(0, selection, (share, share), _difference(before, before), same)
        after = self.tested(winner)
        first, second = _shares([before, after])
        difference = _difference(after, before)
        conclusion = conclude(difference, (first.interval, second.interval), self.setup.chance("test"))
        if self.setup.untrained:
            conclusion = Conclusion("none", "nothing was trained")
        return Verdict(winner, selection, (first, second), difference, conclusion)

    def fits(self, number: int) -> bool:
        """Whether a candidate is within the budget."""
        return self.moves.limits.fit(self.candidates[number]) and self.timing.fits(number)

    def tested(self, number: int) -> list[Assessment]:
        """Of a candidate, what each of its trainings gets right on the test split."""
        if self.setup.plan.recipe.final is None:
            return [self.setup.evaluator.assess(self.searched[number], "test")]
        rows, images = [], images_of(self.setup).test
        trained = {each.seed for each in self.done if each.candidate == number and each.weights is not None}
        for seed in range(self.seeds):
            if seed not in trained:
                rows.append(Assessment.of(torch.zeros(len(images), dtype=torch.bool)))
                continue
            trainer = final_trainer(self.setup, self.candidates[number], seed)
            trainer.load(load_weights(self.weights(number, seed)))
            rows.append(Assessment.of(trainer.accuracy(images).hits))
        return rows

    def weights(self, number: int, seed: int) -> Path:
        """The file with what a training of the final stage ended with."""
        return weights_file(self.folder, self.candidates[number], seed)

    def save(self, winner: int, folder: Path) -> Saved | None:
        """Where the weights of a candidate (of the first seed) lie: written anew where the evaluator has a format for
        that, else as the final stage left them; None where there are none."""
        path, weights = self.weights(winner, 0), None
        if self.setup.plan.recipe.final is not None:
            weights = load_weights(path)
        saved = self.setup.evaluator.save(self.candidates[winner], weights, folder)
        if saved is None and weights is not None:
            return loading(self.setup, path.relative_to(self.folder).as_posix())
        return saved

    def state(self) -> State:
        return {
            "candidates": [to_json(network, None) for network in self.searched[1:]],
            "done": [[e.candidate, e.seed, e.weights, e.found.value, e.found.images, e.found.hits] for e in self.done],
            "trainer": self._trainer.state() if self._trainer else None,
            "timing": self.timing.state(),
        }

    @staticmethod
    def restored(setup: Setup, folder: Path, state: State) -> FinalSelection:
        """NATError for weights that are not those which were trained."""
        timing = Timing.restored(state["timing"]) if "timing" in state else None
        choice = FinalSelection(setup, folder, [from_json(text) for text in state["candidates"]], timing)
        choice.done = [
            Assessed(number, seed, Assessment(*found), weights) for number, seed, weights, *found in state["done"]
        ]
        for each in choice.done:
            if each.weights is not None:
                check_weights(choice.weights(each.candidate, each.seed), each.weights)
        if state["trainer"] is not None:
            number, seed = choice.units[len(choice.done)]
            choice._training.begin(choice.candidates[number], seed, state["trainer"])
        return choice


def check_final(setup: Setup) -> None:
    """NATError where the final stage could train nothing: said before anything is searched for it. What is tried has
    fresh weights, since those of the evaluator may have to be trained first."""
    final, data = setup.plan.recipe.final, setup.data
    if final is not None and data is not None:
        fresh = setup.evaluator.context.module
        NetworkTrainer(setup.final.network, data, final.schedule, setup.compute, module=fresh)


def _shares(found: Sequence[Sequence[Assessment]]) -> tuple[MeanShare, ...]:
    """Of several networks, from what each training of each got right."""
    values = [[each.value for each in trainings] for trainings in found]
    intervals = mean_intervals(values, found[0][0].images)
    return tuple(MeanShare(sum(each) / len(each), span) for each, span in zip(values, intervals, strict=True))


def _difference(after: list[Assessment], before: list[Assessment]) -> Difference:
    """In pairs of images where it is known which of them were right."""
    hits = [[each.hits for each in found if each.hits is not None] for found in (after, before)]
    if len(hits[0]) == len(after) and len(hits[1]) == len(before):
        return paired_difference(hits[0], hits[1])
    return unpaired_difference([each.value for each in after], [each.value for each in before], after[0].images)
