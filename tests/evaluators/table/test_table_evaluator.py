"""Looking networks up in a table of a user's own, which is sparse: what is found, what fails, what is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nat_plugin.device import Compute
from nat_plugin.errors import NATError
from nat_plugin.evaluators.base import EvaluatorContext
from nat_plugin.evaluators.table import LookupTable, Results, TableLayout, TableSettings, Trained, read_table
from nat_plugin.evaluators.table.evaluator import TableEvaluator
from nat_plugin.hookspecs import hookimpl
from nat_plugin.ir import Budget, Moves, Network, NetworkSize, canonical, find_rule, is_connected, key
from nat_plugin.ir.budget import METRICS
from nat_plugin.plugins import Plugins, installed, plugins
from nat_plugin.runs.folder import read_journal
from nat_plugin.runs.progress import Silent
from nat_plugin.runs.recipe import plan
from nat_plugin.runs.run import start
from nat_plugin.search.base import Proposal
from tests.evaluators.table.tables import INPUT, combinations, genotype, own_table, percent

NAT = find_rule("nat")
SMALL = NetworkSize(channels=4, cells=3)
CELLS = combinations(12)
OTHER = next(ops for ops in combinations(60) if ops not in CELLS)


def network(ops: tuple[str, ...], swapped: bool = False) -> Network:
    return plugins().adapters["darts"].read(genotype(ops, swapped), SMALL)


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Any]:
    path = own_table(tmp_path / "mine.csv", CELLS)
    return {"path": path, "adapter": "darts", "metric": "accuracy", "network_size": {"channels": 4, "cells": 3}}


def evaluator(given: dict[str, Any], *inputs: Network, wirings: bool = False) -> TableEvaluator:
    context = EvaluatorContext(inputs, NAT, None, Compute(torch.device("cpu")), wirings=wirings)
    return TableEvaluator(context, TableSettings(**given))


def test_what_is_not_in_the_table_counts_as_failed(given: dict[str, Any]) -> None:
    table = evaluator(given, network(INPUT))
    asked = [Proposal(at, network(INPUT), network(ops)) for at, ops in enumerate((CELLS[3], OTHER))]
    found, failed = table.measure(asked)
    assert failed is None
    assert found is not None
    assert found.gain == pytest.approx((percent(CELLS[3]) - percent(INPUT)) / 100)
    assert len(table.queries) == 3
    with pytest.raises(NATError, match="this network is not in the table"):
        table.assess(network(OTHER), "test")


def test_the_input_has_to_be_in_the_table_in_its_size(given: dict[str, Any]) -> None:
    with pytest.raises(NATError, match=r"mine.csv: the input is not in this table, so gains over it are unknown"):
        evaluator(given, network(OTHER))
    with pytest.raises(NATError, match="in one size only, and this one has another stem: leave 'network'"):
        evaluator({**given, "network_size": {"channels": 8, "cells": 3}}, network(INPUT))
    enas = plugins().adapters["nasbench-macro"].read("11111111", NetworkSize())
    with pytest.raises(NATError, match=r"the table is of mine.csv, this network is from another space"):
        evaluator(given, enas)
    with pytest.raises(NATError, match="does not have every wiring; a strategy that samples other inputs needs that"):
        evaluator(given, network(INPUT), wirings=True)
    with pytest.raises(NATError, match="it has no results per seed for accuracy; use seed: mean"):
        evaluator({**given, "seed": "draw"}, network(INPUT))


def test_the_size_may_go_by_its_old_name(given: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    old = {"frame" if name == "network_size" else name: value for name, value in given.items()}
    found = TableSettings(**old)
    assert found == TableSettings(**given)
    assert capsys.readouterr().err == "evaluator.frame in a recipe is evaluator.network_size now\n"


def test_a_network_is_found_in_other_words_and_by_what_it_computes(tmp_path: Path, given: dict[str, Any]) -> None:
    dead = ("none", "none", "sep_conv_3x3", "skip_connect")  # the first node gets nothing
    own_table(given["path"], [INPUT, dead, CELLS[2]])
    table = evaluator(given, network(INPUT)).table
    for each in (network(CELLS[2], swapped=True), canonical(network(dead))):
        assert each not in read_table(TableSettings(**given)).networks
        assert table.find(each) is not None
    number = "(((0, 3), (1, 3), (0, 3), (1, 3)), ((0, 0), (1, 2), (0, 0), (1, 2)))"
    in_numbers = plugins().adapters["darts-compact"].read(number, SMALL)
    found = table.find(in_numbers)
    assert found is not None
    assert found.mean == pytest.approx(percent(INPUT) / 100)


def limited(given: dict[str, Any], source: Network, **limits: Any) -> Moves:
    metrics = {**METRICS, **TableEvaluator.metrics(TableSettings(**given))}
    return Moves(source, NAT, Budget.parse({"absent": 0, **limits}, metrics).resolve(source))


def test_a_budget_keeps_a_search_to_what_is_in_the_table(given: dict[str, Any]) -> None:
    moves = limited(given, network(INPUT))
    within = {key(network(ops)) for ops in CELLS}
    assert {key(moves.apply(choice)) for choice in moves.all()} == within
    rng = np.random.default_rng(0)
    drawn = {key(moves.apply(moves.sample(rng))) for _ in range(300)}
    assert drawn == within  # a walk reaches every one of them
    tight = limited(given, network(INPUT), macs="0.8x")
    assert 0 < len(list(tight.all())) < len(within)
    assert {key(tight.apply(tight.sample(rng))) for _ in range(50)} < within


def test_a_walk_starts_where_the_input_itself_does_not_fit(given: dict[str, Any]) -> None:
    own_table(given["path"], [INPUT, CELLS[5]])
    moves = limited(given, network(INPUT), macs="0.99x")
    assert key(moves.apply(moves.sample(np.random.default_rng(0)))) == key(network(CELLS[5]))
    own_table(given["path"], [INPUT])
    with pytest.raises(NATError, match="no network reachable under rules 'nat' fits the budget"):
        limited(given, network(INPUT), macs="0.99x")


RECIPE = {"source": genotype(INPUT), "adapter": "darts", "device": "cpu", "search": {"rounds": 8, "proposals": 4}}


def run(folder: Path, given: dict[str, Any], **changes: Any) -> dict[str, Any]:
    table = {"name": "table", **given, "path": str(given["path"])}
    return start(plan({**RECIPE, "evaluator": table, **changes}, plugins()), folder, plugins(), Silent())


def evaluations(folder: Path) -> list[dict[str, Any]]:
    return [line for line in read_journal(folder / "journal.jsonl") if line["stage"] == "search"]


@pytest.mark.parametrize("strategy", ["random", "hill_climb", "evolution", "surrogate", "exhaustive", "greedy", "nat"])
def test_every_strategy_finds_the_best_that_is_there(given: dict[str, Any], tmp_path: Path, strategy: str) -> None:
    best = max(CELLS, key=lambda ops: percent(ops) if ops != INPUT else 0)
    path = own_table(given["path"], CELLS)
    path.write_text(path.read_text().replace(f",{percent(best)},", ",99.5,"))
    result = run(tmp_path / "run", given, budget={"absent": 0}, strategy={"name": strategy})
    for record in evaluations(tmp_path / "run"):
        assert "failed" not in record
    if strategy != "greedy":  # which asks for a gain at every single step
        assert result["result"]["key"] == key(network(best))
    assert "absent" not in result["result"]["measured"]


def test_without_that_budget_the_rest_fails_and_the_run_goes_on(given: dict[str, Any], tmp_path: Path) -> None:
    own_table(given["path"], combinations(59))
    result = run(tmp_path / "run", given, budget={}, strategy={"name": "hill_climb"})
    records = evaluations(tmp_path / "run")
    failed = sum("failed" in record for record in records)
    assert 0 < failed < len(records)
    assert result["data"]["absent"] == failed
    assert f" {failed} networks were not in the table, and failed" in (tmp_path / "run" / "report.md").read_text()
    assert result["result"]["selection"]["value"] >= result["input"]["selection"]["value"]


def test_a_report_speaks_of_the_metric_of_its_user(given: dict[str, Any], tmp_path: Path) -> None:
    loss = {**given, "metric": "loss", "lower_is_better": True}
    result = run(tmp_path / "run", loss, budget={"absent": 0}, strategy={"name": "exhaustive"})
    assert result["result"]["test"]["value"] >= result["input"]["test"]["value"] == (percent(INPUT) - 100) / 10
    assert (result["result"]["test"]["low"], result["verdict"]) == (None, "none")
    report = (tmp_path / "run" / "report.md").read_text()
    assert f"| loss on test | {(100 - percent(INPUT)) / 10:.5g} |" in report
    assert "Intervals" not in report
    assert "points" not in report
    assert "Data: mine.csv, loss, 3x32x32 in 10 classes; of how many images is not known." in report
    assert json.loads((tmp_path / "run" / "result.json").read_text()) == result


def test_of_so_many_images_there_are_intervals(given: dict[str, Any], tmp_path: Path) -> None:
    result = run(tmp_path / "run", {**given, "images": 500}, strategy={"name": "exhaustive"}, budget={"absent": 0})
    span = result["input"]["test"]
    assert span["low"] < span["value"] < span["high"]
    assert "| accuracy on test |" in (tmp_path / "run" / "report.md").read_text()


@pytest.mark.parametrize("strategy", ["surrogate", "nat"])
def test_what_a_strategy_names_at_the_end_has_to_be_in_the_table(
    given: dict[str, Any], tmp_path: Path, strategy: str
) -> None:
    """A policy may think best of what was never measured."""
    better = ("skip_connect", "sep_conv_3x3", "sep_conv_3x3", "sep_conv_3x3")
    path = own_table(given["path"], [INPUT, better])
    path.write_text(path.read_text().replace(f",{percent(better)},", ",99.5,"))
    result = run(
        tmp_path / "run", given, budget={}, strategy={"name": strategy}, search={"rounds": 20, "proposals": 16}
    )
    assert len(result["candidates"]) <= 2
    assert result["result"]["key"] in {key(network(INPUT)), key(network(better))}


class Fixed(LookupTable):
    """A file of another kind: one result for every network."""

    title, complete, rewires = "fixed", True, True
    results = Results("digits", None, {0: ""}, ())
    network_size = SMALL

    def __init__(self, settings: TableSettings) -> None:
        self.value = float(settings.path.read_text())

    def find(self, network: Network) -> Trained | None:
        return Trained({0: self.value}, self.value) if is_connected(network) else None

    def check(self, network: Network) -> None:
        del network


class Theirs:
    """What a plugin of anybody registers."""

    @hookimpl
    def register_table_layouts(self, register: Any) -> None:
        result = Results("digits", None, {0: "seen"}, ("seen",), (100, 50), SMALL)
        register(TableLayout("theirs", "Their cells", "darts", ("mine",), lambda row: row["mine"], (result,)))

    @hookimpl
    def register_table_formats(self, register: Any) -> None:
        register("fixed", Fixed)


def test_layouts_and_formats_of_a_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Plugins([*installed(), ("theirs", Theirs())])
    for module in ("settings", "lookup", "measured", "reading"):
        monkeypatch.setattr(f"nat_plugin.evaluators.table.{module}.plugins", lambda: found)
    path = tmp_path / "theirs.csv"
    path.write_text(f'mine,seen\n"{genotype(INPUT)}",90\n')
    table = evaluator({"path": path}, network(INPUT))
    assert (table.table.name, table.assess(network(INPUT), "test").images) == ("Their cells, digits", 50)
    (tmp_path / "fixed.txt").write_text("0.75")
    fixed = evaluator({"path": tmp_path / "fixed.txt", "format": "fixed"}, network(INPUT))
    assert fixed.assess(network(OTHER), "selection").value == 0.75
