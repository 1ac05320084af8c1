"""``compact``: a model and two loaders in, a leaner model out, with the baselines, within every limit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import nat_timm
import numpy as np
import pytest
import timm
import torch
from nat_timm.compacting.magnitude import without_small_blocks
from nat_timm.compacting.result import CompactionResult, Tuned
from nat_timm.compacting.session import CompactionSession
from nat_timm.compacting.settings import SessionSettings
from nat_timm.training.tuning import accuracy
from torch import nn

from nat_plugin.errors import NATError, NATErrors
from nat_plugin.ir import Budget, Moves, Network, cost, find_rule
from nat_plugin.measuring.latency import MeasuredLatency
from nat_plugin.measuring.settings import LatencySetting
from nat_plugin.measuring.tables import Figure, TableSubject, blank_table, fingerprint
from nat_plugin.runs.folder import read_journal
from nat_plugin.search.neighbourhood import descent
from nat_plugin.training.statistics import Accuracy
from tests.adapters.timm.compaction import CPU, QUICK, loaders, model
from tests.adapters.timm.samples import lively
from tests.reporting.pages import read

SHORT = {"warmup": 2, "rounds": 2, "proposals": 2, "steps": 1}


@pytest.mark.parametrize("strategy", ["nat", "magnitude", {"name": "evolution", "population": 4, "tournament": 2}])
def test_a_leaner_model_within_the_budget(strategy: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train, val = loaders()
    given = model()
    before = {name: each.clone() for name, each in given.state_dict().items()}
    lines: list[str] = []
    result = nat_timm.compact(
        given, train, val, budget={"macs": "0.7x"}, strategy=strategy, report=lines.append, progress=True, **QUICK
    )
    assert all(torch.equal(each, before[name]) for name, each in given.state_dict().items())
    assert result.best.cost.macs <= 0.7 * result.before.cost.macs
    assert sum(each.numel() for each in result.model.parameters()) == cost(result.best.network).params
    most = max(each.accuracy for each in result.tuned)
    assert result.best.accuracy >= most - (most * (1 - most) / result.images) ** 0.5
    assert result.best.accuracy == accuracy(result.model, val, CPU)
    assert result.before.accuracy == accuracy(given, val, CPU)
    assert len(result.tuned) == (1 if strategy == "magnitude" else 2)
    assert (result.evaluated > 0) == (strategy != "magnitude")
    assert any("warm-up" in line for line in lines)
    assert any(line.startswith("Prior: policy 'general'") for line in lines) == (strategy == "nat")
    assert result.reference.accuracy >= result.before.accuracy
    said = capsys.readouterr().err
    assert "warm-up 8/8" in said
    assert "fine-tuning from own weights 4/4" in said
    result.save(tmp_path)
    page = read(tmp_path / "report.html")
    assert f"{result.best.accuracy:.2%}" in page.text
    assert result.difference in page.text
    assert page.text.count(f"{result.best.cost.macs:,}") >= 2
    assert "Operations that changed" in page.text
    assert ("Best so far" in page.text) == ("Gain against MACs" in page.text) == (strategy != "magnitude")
    if strategy != "magnitude":
        measured = [line for line in read_journal(tmp_path / "journal.jsonl") if line["stage"] == "search"]
        assert f"{len(measured):,} evaluations of" in page.text
        assert f"{max(line['gain'] for line in measured):+.4g}" in page.text
    loaded = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
    x = next(iter(val))[0]
    with torch.no_grad():
        torch.testing.assert_close(loaded(x), result.model(x), rtol=1e-4, atol=1e-4)  # the layout in memory may differ
    assert f"{result.before.accuracy:.2%}" in str(result)


def test_the_result_is_where_the_model_was(device: torch.device) -> None:
    train, val = loaders()
    given = {**QUICK, "search": SHORT, "candidates": 1, "device": str(device)}
    result = nat_timm.compact(model(), train, val, budget={"macs": "0.7x"}, **given)
    assert {each.device.type for one in (result.before, *result.tuned) for each in one.model.parameters()} == {"cpu"}


def test_a_seed_gives_the_same_result_twice(capsys: pytest.CaptureFixture[str]) -> None:
    found = []
    for _ in range(2):
        train, val = loaders()
        torch.randn(3)  # what a program has drawn before changes nothing
        given = {**QUICK, "search": SHORT, "candidates": 1}
        found.append(nat_timm.compact(model(), train, val, budget={"params": "0.8x"}, **given))
    assert [each.network for each in found[0].tuned] == [each.network for each in found[1].tuned]
    first, second = (each.model.state_dict() for each in found)
    assert all(torch.equal(each, second[name]) for name, each in first.items())
    assert capsys.readouterr().err == ""  # no terminal


def tuned(accuracy: float, how: str, measured: MeasuredLatency | None = None) -> Tuned:
    network = nat_timm.to_network(timm.create_model("test_resnet"), (3, 32, 32))
    judged = Accuracy(round(100 * accuracy), 100, 1.0, torch.arange(100) < round(100 * accuracy))
    return Tuned(network, cost(network), nn.Identity(), judged, how, measured)


def test_what_is_printed_says_what_holds() -> None:
    measured, setting = (
        MeasuredLatency(8.0, 7.9, 8.1, 8.4, 0.8),
        LatencySetting(1, "cpu", "float32", 2, "channels_last", "eager", "wall time"),
    )
    before, reference = tuned(0.5, "as it came", measured), tuned(0.52, "fine-tuned from own weights", measured)
    best = tuned(0.51, "fine-tuned from adapted weights", measured)
    said = str(CompactionResult(before, reference, (best,), 8, 500, setting)).splitlines()
    assert said[0].startswith("the model, as it came: accuracy 50.00%, ")
    assert said[2].startswith("leaner, fine-tuned from adapted weights: accuracy 51.00%, ")
    assert said[2].endswith("latency 8 ms [7.9, 8.1] (0.80x, estimated 8.4)")
    assert said[3].startswith("best against the model: -1.00 points [-")
    assert "images like the 500 of val_loader, which chose the best; no verdict on architectures: the spread" in said[3]
    assert said[4].startswith("latency of 1 image, cpu, float32, 2 threads, channels_last, eager, wall time; ")
    guessing = str(CompactionResult(tuned(0.001, ""), tuned(0.001, ""), (tuned(0.002, ""),), 8, 500))
    assert "no verdict on architectures: neither network can be told from guessing" in guessing
    alone = str(CompactionResult(before, before, (before,), 0, 500)).splitlines()
    assert (len(alone), alone[-1]) == (2, "best: the model itself")


class Taken:
    """A latency that is the MACs, and an estimate that believes in more or less of what is saved."""

    def __init__(self, network: Network, belief: float) -> None:
        self.whole, self.belief = float(cost(network).macs), belief
        self.setting = LatencySetting(1, "cpu", "float32", 1, "channels_last", "eager", "MACs")

    def __call__(self, network: Network) -> float:
        return self.whole - self.belief * (self.whole - cost(network).macs)

    def measured(self, network: Network, estimate: float) -> MeasuredLatency:
        assert estimate == self(network)
        macs = cost(network).macs
        return MeasuredLatency(macs, macs, macs, self(network), macs / self.whole)


@pytest.mark.parametrize("belief", [1.0, 1.15])
def test_a_limit_on_latency_holds_for_whole_models_and_is_used(belief: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the estimate believes in more than is saved."""
    session = CompactionSession(model(), *loaders(32, 20), SessionSettings(input=(3, 16, 16), device="cpu"))
    monkeypatch.setattr(CompactionSession, "latency", Taken(session.network, belief))
    limits = session.task({"latency": "0.8x"}).budget.resolve(session.network)
    moves = Moves(session.network, session.rule, limits)
    walks = [descent(moves, np.random.default_rng(seed)) for seed in range(4)]
    candidates = [moves.apply(walk) for walk in walks if walk is not None]
    most = 0.8 * cost(session.network).macs
    assert any(cost(each).macs > most for each in candidates) == (belief > 1)
    found = list(session.within(candidates))
    assert found
    assert all(0.9 * most < cost(each).macs <= most for each in found)
    before = session.original().latency
    assert before is not None
    assert (before.share, before.estimate) == (1.0, before.ms)


def test_a_model_within_the_budget_is_a_candidate_itself() -> None:
    train, val = loaders()
    result = nat_timm.compact(
        model(), train, val, budget={"macs": "1.0x"}, strategy="random", **QUICK | {"search": SHORT}
    )
    assert result.before.network in [each.network for each in result.tuned]


def test_without_the_blocks_of_smallest_weights() -> None:
    given = lively("resnet18")
    network = nat_timm.to_network(given, (3, 32, 32))
    with torch.no_grad():
        for number, name in enumerate(("layer2.1", "layer1.1", "layer4.1", "layer3.1", "layer1.0")):
            for each in given.get_submodule(name).parameters():
                each.fill_(0.001 * (number + 1))

    def gone(share: float) -> set[str]:
        moves = Moves(network, find_rule("nat"), Budget.parse({"params": f"{share}x"}).resolve(network))
        after = without_small_blocks(given, moves)
        assert cost(after).params <= share * cost(network).params
        return {slot.cell for slot, op in zip(after.slots, after.ops, strict=True) if op.is_null}

    assert gone(1.0) == set()
    assert gone(0.99) == {"layer2.1"}
    assert gone(0.6) == {"layer2.1", "layer1.1", "layer4.1"}
    with pytest.raises(NATError, match="params"):
        gone(0.1)


def test_a_table_of_costs_limits_what_is_proposed_and_has_to_be_of_the_model(tmp_path: Path) -> None:
    network = nat_timm.to_network(model(), (3, 16, 16))
    own = fingerprint(network, nat_timm.TimmAdapter().identity(network))
    blank = blank_table(network, "energy", "mJ", TableSubject(own, "mine"))
    costs = {slot: {op: Figure(float(number)) for number, op in enumerate(ops)} for slot, ops in blank.costs.items()}
    path = tmp_path / "energy.json"
    replace(blank, fixed=Figure(9.0), costs=costs).write(path)
    given = {"input": (3, 16, 16), "device": "cpu", "costs": {"energy": path}}
    session = CompactionSession(model(), *loaders(32, 20), SessionSettings(**given))
    limits = session.task({"energy": "9"}).budget.resolve(session.network)
    moves = Moves(session.network, session.rule, limits)
    assert moves.admits(moves.identity)  # each op that is there costs nothing, the others do
    assert moves.sample(np.random.default_rng(0)) is not None
    assert session.original().looked_up == {"energy": (9.0, "mJ")}
    found = session.original().by_cell["energy"]
    assert found["unit"] == "mJ"
    assert found["fixed"] + sum(found["cells"].values()) == 9.0
    assert set(found["cells"]) == {name for name, _ in network.cells}
    assert " MACs, energy 9 mJ" in str(session.original())
    with pytest.raises(NATError, match="this table is of 'mine'"):
        CompactionSession(model(), *loaders(32, 20), SessionSettings(**{**given, "input": (3, 32, 32)}))
    with pytest.raises(NATError, match="this table is of 'energy', not of 'latency'"):
        CompactionSession(model(), *loaders(32, 20), SessionSettings(**{**given, "costs": {"latency": path}}))
    with pytest.raises(NATError, match=r"costs is 'energy\.json': give a dict"):
        CompactionSession(model(), *loaders(32, 20), SessionSettings(**{**given, "costs": "energy.json"}))
    with pytest.raises(NATErrors, match=r"latency\.batch: Input should be greater than or equal to 1"):
        CompactionSession(model(), *loaders(32, 20), SessionSettings(**{**given, "latency": {"batch": 0}}))
