"""Training from scratch as an evaluator: every network once, whatever its spelling; resumed in mid-training."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from nat_plugin.data import DataSet
from nat_plugin.device import Compute
from nat_plugin.evaluators.base import EvaluatorContext
from nat_plugin.evaluators.training import TrainingEvaluator, TrainingSettings
from nat_plugin.ir import SKIP, Network, find_rule
from nat_plugin.search.base import Proposal
from nat_plugin.settings import State
from nat_plugin.training.schedule import Schedule
from tests.training.samples import same

CPU = Compute(torch.device("cpu"))
QUICK = Schedule(epochs=2, batch=32, lr=0.05, drop_path=0, auxiliary=0, cutout=0)


@pytest.fixture
def data(digits: DataSet) -> DataSet:
    return replace(digits, weights=digits.weights.pick(slice(0, 160)))


def evaluator(source: Network, data: DataSet, **settings: Any) -> TrainingEvaluator:
    context = EvaluatorContext((source,), find_rule("nat"), data, CPU, seed=3)
    return TrainingEvaluator(context, TrainingSettings(**{"schedule": QUICK, **settings}))


def leaner(source: Network) -> Network:
    return source.with_ops([SKIP, *source.ops[1:]])


def test_networks_that_compute_the_same_are_trained_once(small: Network, data: DataSet) -> None:
    trained = evaluator(small, data, seeds=2)
    assert trained.train([small]) == {}
    edges = small.by_name["normal"].edges
    spelled = small.with_cells([("normal", replace(small.by_name["normal"], edges=(edges[1], edges[0], *edges[2:])))])
    before = torch.get_rng_state()
    first, same_again = trained.measure([Proposal(0, small, leaner(small)), Proposal(1, small, spelled)])
    assert torch.equal(torch.get_rng_state(), before)
    assert trained.trainings == 4
    assert first is not None
    assert same_again is not None
    assert same_again.gain == 0
    assert first.score == first.details["accuracy"]
    assert first.source_score == first.details["source_accuracy"]
    assert first.source_score == same_again.score
    assert trained.measure([Proposal(2, leaner(small), small)])[0] is not None
    assert trained.trainings == 4


def test_a_trained_network_knows_digits(small: Network, digits: DataSet) -> None:
    trained = evaluator(small, digits, schedule=QUICK.model_copy(update={"epochs": 4}))
    (found,) = trained.measure([Proposal(0, small, small)])
    assert found is not None
    assert found.score > 0.7
    assert trained.assess(small, "selection").hits.float().mean() > 0.7
    assert trained.assess(small, "test").hits.float().mean() > 0.7


def test_scores_can_be_losses(small: Network, data: DataSet) -> None:
    (found,) = evaluator(small, data, score="loss").measure([Proposal(0, small, leaner(small))])
    assert found is not None
    assert (found.score, found.source_score) == (-found.details["loss"], -found.details["source_loss"])


def test_a_failed_training_measures_as_none(small: Network, data: DataSet) -> None:
    wild = QUICK.model_copy(update={"lr": 1e30, "grad_clip": 0.0})
    trained = evaluator(small, data, schedule=wild, seeds=3)
    assert trained.measure([Proposal(0, small, small), Proposal(1, small, leaner(small))]) == [None, None]
    assert trained.trainings == 2  # after one failure the other seeds are not needed
    assert not trained.assess(small, "test").hits.any()
    assert len(trained.assess(small, "selection").hits) == len(data.selection)


def test_results_survive_a_restart(small: Network, data: DataSet) -> None:
    trained = evaluator(small, data)
    asked = [Proposal(0, small, leaner(small))]
    found = trained.measure(asked)
    resumed = evaluator(small, data)
    resumed.restore(trained.state())
    assert resumed.measure(asked) == found
    assert resumed.trainings == 0
    assert torch.equal(resumed.assess(small, "selection").hits, trained.assess(small, "selection").hits)
    assert resumed.trainings == 0
    assert torch.equal(resumed.assess(small, "test").hits, trained.assess(small, "test").hits)
    assert resumed.trainings == 1  # its weights were no part of the state


def test_a_training_goes_on_where_it_was_interrupted(small: Network, data: DataSet) -> None:
    asked = [Proposal(0, small, leaner(small))]
    whole = evaluator(small, data)
    states: list[State] = []
    whole.after_epoch = lambda _report: states.append(whole.state())
    found = whole.measure(asked)
    assert len(states) == 4
    resumed = evaluator(small, data)
    epochs: list[float] = []
    resumed.after_epoch = lambda report: epochs.append(report["epoch"])
    resumed.restore(states[2])  # one network done, one epoch into the other
    assert resumed.measure(asked) == found
    assert epochs == [2]
    assert same(resumed.state(), whole.state())


def test_the_seed_decides(small: Network, data: DataSet) -> None:
    asked = [Proposal(0, small, small)]
    found = [evaluator(small, data).measure(asked) for _ in range(2)]
    other = TrainingEvaluator(
        EvaluatorContext((small,), find_rule("nat"), data, CPU, seed=4), TrainingSettings(schedule=QUICK)
    ).measure(asked)
    assert found[0] == found[1]
    assert found[0] != other
