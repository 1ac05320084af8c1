"""What goes wrong in an experiment is said in one line, and the search goes on where it can."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nat_nni import NAT, HillClimb, RandomSearch
from nat_nni.experiment.engine import check_message
from nat_nni.experiment.initial import searched_sample
from nni.nas.evaluator import FunctionalEvaluator
from nni.nas.execution import SequentialExecutionEngine
from nni.nas.experiment import NasExperiment, NasExperimentConfig
from nni.nas.hub.pytorch import NasBench101
from nni.nas.space import ModelStatus, RawFormatModelSpace, SimplifiedModelSpace

from nat_plugin.errors import NATError
from tests.adapters.nni.nni_experiments import DEAR, Scored, cells, darts, explore, train_on_digits, worth

Score = Callable[[Mapping[str, Any]], Any]


def unless(bad: Callable[[], Any]) -> Score:
    """The worth of a cell, but something else for those that have a skip on the last edge."""
    return lambda sample: bad() if sample["cell/2_3"] == "skip_connect" else worth(sample)


def fail() -> float:
    raise RuntimeError("out of memory")


def one_line(error: BaseException) -> str:
    assert "\n" not in str(error)
    return str(error)


@pytest.mark.parametrize("strategy", [NAT, HillClimb])
def test_trials_that_fail_are_left_out(strategy: Any) -> None:
    searched = strategy(initial=DEAR)
    models = explore(searched, 20, Scored(unless(fail)))
    failed = [model for model in models if model.status is ModelStatus.Failed]
    assert 0 < len(failed) < 19
    assert all(model.sample["cell/2_3"] == "skip_connect" and model.metric is None for model in failed)
    assert len(list(searched.list_models())) == 20 - len(failed)
    assert searched.trials.running == 0


def test_without_going_on_after_a_failure_the_error_of_the_trial_is_raised() -> None:
    with pytest.raises(RuntimeError, match="out of memory"):
        RandomSearch(initial=DEAR)(cells(Scored(unless(fail))), SequentialExecutionEngine(20))


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (lambda: float("nan"), "with the metric nan; it counts as failed"),
        (lambda: float("inf"), "with the metric inf; it counts as failed"),
        (lambda: {"accuracy": 0.9}, "is not a metric: return a number, or a dict with one under 'default'"),
        (lambda: "good", "is not a metric"),
        (lambda: None, "with no metric; it counts as failed"),
    ],
)
def test_what_is_no_metric_counts_as_failed(bad: Any, said: str, caplog: pytest.LogCaptureFixture) -> None:
    searched = HillClimb(initial=DEAR)
    with caplog.at_level(logging.WARNING, "nat_nni"):
        models = explore(searched, 20, Scored(unless(bad)))
    bad_ones = [model for model in models if model.sample["cell/2_3"] == "skip_connect"]
    lines = [record.getMessage() for record in caplog.records]
    assert sum(said in line for line in lines) == len(bad_ones) > 0
    assert all("\n" not in line for line in lines)
    assert not set(map(id, bad_ones)) & set(map(id, searched.list_models()))
    assert len(models) == 20


@pytest.mark.parametrize("wrap", [lambda value: {"default": value, "loss": 1.0}, np.float32, np.array])
def test_metrics_in_other_forms_are_read(wrap: Any) -> None:
    models = explore(NAT(initial=DEAR), 6, Scored(lambda sample: wrap(worth(sample))))
    assert [m.metric for m in models] == pytest.approx([worth(m.sample) for m in models])


@pytest.mark.parametrize("score", [lambda sample: None, lambda sample: fail(), lambda sample: float("nan")])
def test_an_input_that_cannot_be_measured_ends_the_search(score: Score) -> None:
    strategy = NAT(initial=DEAR)
    with pytest.raises(NATError, match=r"no input architecture could be measured.*report_final_result") as error:
        explore(strategy, 20, Scored(score))
    one_line(error.value)
    assert len(list(strategy.list_models(sort=False))) == 1


def test_one_input_of_several_may_fail() -> None:
    other = {**DEAR, "cell/0_1": "conv_1x1"}
    models = explore(RandomSearch(initial=[DEAR, other]), 12, Scored(lambda s: fail() if s == DEAR else worth(s)))
    assert models[0].status is ModelStatus.Failed
    assert len(models) == 12
    assert all(model.sample["cell/0_1"] != "conv_3x3" for model in models[1:])


@pytest.mark.parametrize("initial", [DEAR, None])
def test_a_budget_that_nothing_meets(initial: Any) -> None:
    with pytest.raises(NATError, match=r"fits the budget; the cheapest has macs") as error:
        explore(NAT(initial=initial, budget={"macs": "1"}), 4)
    one_line(error.value)


def test_a_model_format_that_keeps_no_class() -> None:
    from nni.nas.space import ExecutableModelSpace

    with pytest.raises(NATError, match="use model_format='simplified'") as error:
        NAT(initial=DEAR)(ExecutableModelSpace(), SequentialExecutionEngine(4))
    one_line(error.value)


def test_a_sample_that_the_space_forbids() -> None:
    """Every label and value is right, but the cell has more edges than NAS-Bench-101 allows."""
    space = NasBench101(stem_out_channels=8, num_stacks=2, num_modules_per_stack=1)
    nodes = {f"cell/op{node}": "conv1x1-bn-relu" for node in range(1, 6)}
    edges = {f"cell/input{node}": list(range(node)) for node in range(1, 7)}
    forbidden = {"cell/num_nodes": 7, **nodes, **edges}
    with pytest.raises(NATError) as error:
        NAT(initial=forbidden)(RawFormatModelSpace(space, Scored()), SequentialExecutionEngine(4))
    assert "edges" in one_line(error.value)


def test_what_the_training_service_would_misread_is_refused() -> None:
    """NNI takes // in what it reads back for a comment, and waits for ever."""
    space = darts()
    for path, readable in (("data/digits", True), ("https://example.org/digits", False)):
        evaluator = FunctionalEvaluator(train_on_digits, root=path)
        sample = searched_sample("darts-v2")
        model = SimplifiedModelSpace.from_model(space, evaluator).freeze(sample)
        check_message(SequentialExecutionEngine(), model)  # nothing is sent there
        if readable:
            check_message(Service(), model)
        else:
            with pytest.raises(NATError, match="into a module that the script imports") as error:
                check_message(Service(), model)
            one_line(error.value)


class Service:
    """What the engine of the training service is known by."""

    nodejs_binding = None


@pytest.mark.usefixtures("nni_home")
def test_a_busy_port_is_named_and_nothing_is_trained(tmp_path: Path) -> None:
    config = NasExperimentConfig("ts", "simplified", "local", max_trial_number=4, trial_concurrency=2)
    config.experiment_working_directory = str(tmp_path)
    strategy = NAT(initial="darts-v2", input=(3, 8, 8))
    experiment = NasExperiment(darts(), FunctionalEvaluator(train_on_digits), strategy, config)
    with socket.socket() as taken:
        taken.bind(("localhost", 0))
        taken.listen()
        port = taken.getsockname()[1]
        try:
            with pytest.raises(RuntimeError, match=str(port)) as error:
                experiment.run(port)
        finally:
            experiment.stop()
    one_line(error.value)
    assert not list(strategy.list_models(sort=False))
