"""How a network is trained in the final stage: here, or by workers."""

from __future__ import annotations

from dataclasses import replace

from nat_plugin.data import DataSet
from nat_plugin.evaluators.base import Assessment, Evaluator
from nat_plugin.execution.sharing import SharedState
from nat_plugin.ir import Network
from nat_plugin.runs.setup import Setup
from nat_plugin.runs.workers import RunParts
from nat_plugin.settings import State
from nat_plugin.training.trainer import NetworkTrainer, train


def images_of(setup: Setup) -> DataSet:
    assert setup.data is not None  # a plan with a final stage has data
    return setup.data


def final_trainer(setup: Setup, network: Network, seed: int) -> NetworkTrainer:
    """Of a network at the final size, which learns from the ``weights`` and ``reward`` splits together."""
    final, data = setup.plan.recipe.final, images_of(setup)
    assert final is not None
    own = setup.plan.recipe.seed * 1000 + seed
    images = replace(data, weights=data.weights.joined(data.reward))
    return NetworkTrainer(network, images, final.schedule, setup.compute, own, setup.evaluator.module)


def selected(setup: Setup, trainer: NetworkTrainer) -> Assessment:
    """How a trained network is on the selection split; where training failed it gets nothing right."""
    return Assessment.of(trainer.accuracy(images_of(setup).selection).hits & (not trainer.failed))


def learned_state(setup: Setup) -> State | None:
    """What of the evaluator decides with which weights a final training begins; None where these are fresh."""
    return None if type(setup.evaluator).module is Evaluator.module else setup.evaluator.state()


def train_finalist(parts: RunParts, network: Network, seed: int, learned: SharedState | None) -> State:
    """In a worker: the weights, what every epoch reports, and which images of the selection split are right."""
    setup = parts.setup()
    if learned is not None:
        setup.evaluator.restore(learned.get())
    trainer = final_trainer(setup, network, seed)
    epochs: list[dict[str, float]] = []
    train(trainer, epochs.append)
    return {"epochs": epochs, "hits": selected(setup, trainer).hits, "weights": trainer.weights()}


class FinalTraining:
    """The training of the final stage that is under way, if one is; where there are several processes, in all."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self.trainer: NetworkTrainer | None = None

    def begin(self, network: Network, seed: int, state: State | None = None) -> None:
        """Or go on from a state of the trainer."""
        self.trainer = final_trainer(self._setup, network, seed)
        if state is not None:
            self.trainer.restore(state)

    def epoch(self) -> dict[str, float]:
        """See ``NetworkTrainer``."""
        assert self.trainer is not None
        return self.trainer.epoch()
