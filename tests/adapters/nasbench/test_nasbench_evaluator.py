"""The ``table`` evaluator: what it looks up, what it counts, what it refuses."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nat_nasbench import NASBenchMacroAdapter, NB201Adapter, register_ops
from nat_nasbench.nb201 import from_digits
from pydantic import ValidationError

from benchmarks.data.made_up import latency_table, macro_table
from nat_plugin.device import Compute
from nat_plugin.errors import NATError
from nat_plugin.evaluators.base import EvaluatorContext
from nat_plugin.evaluators.table import TableSettings
from nat_plugin.evaluators.table.evaluator import TableEvaluator
from nat_plugin.ir import Budget, Moves, Network, NetworkSize, canonical, find_rule, key
from nat_plugin.ir.budget import METRICS
from nat_plugin.ir.ops import register_op
from nat_plugin.search.base import Proposal
from tests.adapters.nasbench.files import nni_database

register_ops(register_op)
NAT = find_rule("nat")
CELL = "333131"


def cell(digits: str, size: NetworkSize | None = None) -> Network:
    return NB201Adapter().read(from_digits(digits), size or NetworkSize())


def context(*inputs: Network, seed: int = 0, wirings: bool = False) -> EvaluatorContext:
    return EvaluatorContext(inputs, NAT, None, Compute(torch.device("cpu")), seed, wirings)


@pytest.fixture
def path(nb201_table: Path) -> Path:
    return nb201_table


def evaluator(path: Path, *inputs: Network, seed: int = 0, **settings: Any) -> TableEvaluator:
    return TableEvaluator(context(*inputs, seed=seed), TableSettings(path=path, **settings))


def test_accuracies_are_those_of_the_table(path: Path) -> None:
    source, leaner = cell(CELL), cell("333101")
    table = evaluator(path, source)
    (found,) = table.measure([Proposal(0, source, leaner)])
    assert found is not None
    assert found.score == table.table.find(cell("333101")).mean
    assert found.source_score == table.table.find(cell(CELL)).mean
    chosen, tested = table.assess(leaner, "selection"), table.assess(leaner, "test")
    assert (chosen.value, chosen.images, chosen.hits) == (found.score, 25_000, None)
    assert (tested.value, tested.images, tested.hits) == (table.table.find(cell("333101")).test, 10_000, None)
    assert table.train([source]) == {}


def test_what_is_asked_for_is_counted_once_by_what_it_computes(path: Path) -> None:
    source, other = cell(CELL), cell("300030")
    dead, mirrored = cell("330030"), cell("030003")  # the same function: a dead edge, another node on the way
    table = evaluator(path, source)
    found = table.measure([Proposal(number, source, network) for number, network in enumerate((other, other, dead))])
    assert [each and each.details["queries"] for each in found] == [2, 2, 2]
    table.measure([Proposal(3, source, mirrored), Proposal(4, source, cell("333333"))])
    assert table.queries == {key(source), key(other), key(cell("333333"))}
    resumed = evaluator(path, source)
    resumed.restore(table.state())
    assert resumed.queries == table.queries
    assert table.summary()["queries"] == 3


def test_a_network_is_looked_up_as_it_would_be_written(path: Path) -> None:
    dead = cell("330030")  # node 2 goes nowhere
    assert canonical(dead) == cell("300030")
    as_input, as_proposal = evaluator(path, dead), evaluator(path, cell(CELL))
    assert as_input.assess(dead, "test").value == as_input.table.find(cell("330030")).test
    assert as_proposal.assess(dead, "test").value == as_input.table.find(cell("300030")).test


def test_an_input_that_ignores_its_images_has_its_row(path: Path) -> None:
    nothing = cell("000000")
    table = evaluator(path, nothing)
    (found,) = table.measure([Proposal(0, nothing, cell("000100"))])
    assert found is not None
    assert found.source_score == pytest.approx(0.1, abs=0.01)
    assert found.gain > 0.2


def test_draws_are_single_trainings_fixed_by_the_seed(path: Path) -> None:
    source, networks = cell(CELL), [cell(f"{a}{b}3131") for a in range(5) for b in range(5)]
    asked = [Proposal(number, source, network) for number, network in enumerate(networks)]

    table = evaluator(path, source).table
    drawn = _scores(path, source, asked, 0)
    assert drawn == _scores(path, source, asked, 0)
    assert drawn != _scores(path, source, asked, 1)
    for value, network in zip(drawn, networks, strict=True):
        assert value in table.find(canonical(network)).validation.values()


def _scores(path: Path, source: Network, asked: list[Proposal], seed: int) -> list[float]:
    table = TableEvaluator(context(source, seed=seed), TableSettings(path=path, seed="draw"))
    return [each.score for each in table.measure(asked) if each is not None]


def test_one_training_by_its_seed(path: Path) -> None:
    source = cell(CELL)
    for seed in (1, 2):
        table = TableEvaluator(context(source), TableSettings(path=path, seed=seed))
        (found,) = table.measure([Proposal(0, source, cell("333333"))])
        assert found is not None
        assert found.score == table.table.find(cell("333333")).validation[seed]
    table = TableEvaluator(context(source), TableSettings(path=path, seed=9))
    assert table.measure([Proposal(0, source, cell("333333"))]) == [None]


def test_single_trainings_have_to_be_known(path: Path) -> None:
    with pytest.raises(NATError, match=r"it has no results per seed for .*cifar100 after 200 epochs; use seed: mean"):
        TableEvaluator(
            context(cell(CELL, NetworkSize(classes=100))), TableSettings(path=path, dataset="cifar100", seed="draw")
        )


def test_sizes_follow_the_data_set(path: Path, tmp_path: Path) -> None:
    assert TableEvaluator.network_size(TableSettings(path=path)) == NetworkSize()
    assert TableEvaluator.network_size(TableSettings(path=path, dataset="cifar100")).classes == 100
    database = nni_database(tmp_path / "nb.db")
    small = TableSettings(path=database, format="nni", dataset="imagenet16-120")
    assert TableEvaluator.network_size(small) == NetworkSize(input=(3, 16, 16), classes=120)
    network = cell("333333", TableEvaluator.network_size(small))
    assert TableEvaluator(context(network), small).assess(network, "test").images == 3_000


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            cell(CELL, NetworkSize(channels=8)),
            "trained in one size only, and this one has another stem: leave 'network'",
        ),
        (cell(CELL, NetworkSize(cells=6)), "another placements: leave 'network'"),
        (cell(CELL, NetworkSize(classes=11)), "another head"),
        (
            NASBenchMacroAdapter().read("11111111", NetworkSize()),
            "the table is of NAS-Bench-201, this network is from another space",
        ),
    ],
)
def test_other_networks_are_refused_before_anything_is_asked(path: Path, network: Network, message: str) -> None:
    with pytest.raises(NATError, match=message) as caught:
        evaluator(path, network)
    assert "\n" not in str(caught.value)


def test_nas_bench_macro_has_one_wiring(path: Path, tmp_path: Path) -> None:
    network = NASBenchMacroAdapter().read("11111111", NetworkSize())
    settings = TableSettings(path=macro_table(tmp_path / "macro.csv"))
    found = TableEvaluator(context(network), settings)
    assert found.assess(network, "selection").value == pytest.approx(0.781)
    assert found.assess(network, "test").value == pytest.approx((0.782 + 0.783) / 2)
    with pytest.raises(NATError, match="NAS-Bench-Macro does not have every wiring"):
        TableEvaluator(context(network, wirings=True), settings)
    TableEvaluator(context(cell(CELL), wirings=True), TableSettings(path=path))


@pytest.fixture
def timed(path: Path, tmp_path: Path) -> TableSettings:
    return TableSettings(path=path, latency=latency_table(tmp_path / "latency.csv"), device="raspi4")


def test_a_measured_latency_is_a_detail_and_a_limit(timed: TableSettings) -> None:
    source = cell("333333")
    metrics = {**METRICS, **TableEvaluator.metrics(timed)}
    own = metrics["latency"](source)
    assert own == 60
    limits = Budget.parse({"latency": "0.4x", "macs": "1.0x"}, metrics).resolve(source)
    moves = Moves(source, find_rule("nat++"), limits)
    reached = {moves.apply(choice) for choice in moves.all()}
    assert 100 < len(reached) < 15_000
    assert all(metrics["latency"](network) <= 0.4 * own for network in reached)
    rng = np.random.default_rng(0)
    for _ in range(5):
        network = moves.apply(moves.sample(rng))
        moves.verify(network)
        (found,) = TableEvaluator(context(source), timed).measure([Proposal(0, source, network)])
        assert found is not None
        assert found.details["latency_ms"] == metrics["latency"](network)
        assert found.details["source_latency_ms"] == own


def test_a_failed_measurement_of_a_latency_never_fits(path: Path, tmp_path: Path) -> None:
    table = TableEvaluator(context(cell(CELL)), TableSettings(path=path)).table
    numbers = {digits: table.number(cell(digits)) for digits in ("333333", "111111")}
    (tmp_path / "few.csv").write_text(f"idx,abacus\n{numbers['333333']},0.05\n{numbers['111111']},7\n")
    settings = TableSettings(path=path, latency=tmp_path / "few.csv", device="abacus")
    metrics = {**METRICS, **TableEvaluator.metrics(settings)}
    assert metrics["latency"](cell("111111")) == 7
    assert math.isinf(metrics["latency"](cell("333333")))
    with pytest.raises(NATError, match="the latency of the input is not known; give an absolute limit"):
        Budget.parse({"latency": "1.0x"}, metrics).resolve(cell("333333"))
    limits = Budget.parse({"latency": "8ms"}, metrics).resolve(cell("333333"))
    moves = Moves(cell("333333"), NAT, limits)
    assert [moves.apply(choice) for choice in moves.all()] == [cell("111111")]
    (found,) = TableEvaluator(context(cell("333333")), settings).measure([Proposal(0, cell("333333"), cell("111111"))])
    assert found is not None
    assert found.details["latency_ms"] == 7
    assert "source_latency_ms" not in found.details


def test_latencies_need_a_file_that_fits(path: Path, tmp_path: Path) -> None:
    assert list(TableEvaluator.metrics(TableSettings(path=path))) == ["absent"]
    latency = latency_table(tmp_path / "latency.csv")
    macro = TableSettings(path=macro_table(tmp_path / "macro.csv"), latency=latency)
    with pytest.raises(NATError, match=r"latency.csv: .*macro.csv does not say which network has which number"):
        TableEvaluator.metrics(macro)
    database = nni_database(tmp_path / "nb.db")
    own = TableEvaluator.metrics(TableSettings(path=database, format="nni"))
    assert own["latency"](cell("333333")) == pytest.approx(18)
    with pytest.raises(NATError, match="does not say which network has which number in there"):
        TableEvaluator.metrics(TableSettings(path=database, format="nni", latency=latency))


def test_settings_that_cannot_be() -> None:
    for wrong in (
        {},
        {"path": "x", "dataset": "mnist"},
        {"path": "x", "seed": "best"},
        {"path": "x", "format": "json"},
    ):
        with pytest.raises(ValidationError):
            TableSettings(**wrong)
    assert TableSettings(path=Path("~/x.csv")).path == Path.home() / "x.csv"
