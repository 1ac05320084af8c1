"""The evaluator ``proxies`` compares with the input, without data or with it, and a run on it keeps its promises."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from nets.samples import DARTS_V2, bench201, darts
from torch import Tensor, nn

from nat_plugin.data import DataSet
from nat_plugin.device import Compute
from nat_plugin.errors import NATError, NATErrors
from nat_plugin.evaluators.base import EvaluatorContext
from nat_plugin.evaluators.proxies.evaluator import DEFAULT, ProxiesEvaluator, ProxiesSettings
from nat_plugin.ir import NULL, SKIP, Network, Op, find_rule, key
from nat_plugin.nets import build
from nat_plugin.plugins import plugins
from nat_plugin.policy.files import load_policy
from nat_plugin.runs.progress import Silent
from nat_plugin.runs.recipe import load_recipe, plan
from nat_plugin.runs.run import resume, start
from nat_plugin.search.base import Proposal
from tests.command_line import Nat
from tests.interrupting import Stop

CPU = Compute(torch.device("cpu"))
INPUT = bench201("conv_3x3 skip conv_3x3 avg_pool_3x3 skip conv_1x1")
FEW: dict[str, Any] = {"batch": 4, "references": 4, "cells": None, "channels": None}
RECIPE: dict[str, Any] = {
    "source": "NB201_AllConv3x3",
    "network": {"channels": 4, "cells": 3},
    "rules": "nat",
    "budget": {"macs": "0.9x"},
    "evaluator": {"name": "proxies", **FEW, "resolution": 16},
    "search": {"rounds": 3, "proposals": 2},
    "device": "cpu",
    "threads": 1,
}


def evaluator(source: Network = INPUT, data: DataSet | None = None, **changes: Any) -> ProxiesEvaluator:
    more = {name: changes.pop(name) for name in ("module", "resized", "seed", "wirings") if name in changes}
    return ProxiesEvaluator(
        EvaluatorContext((source,), find_rule("nat"), data, CPU, **more), ProxiesSettings(**FEW | changes)
    )


def scores(found: ProxiesEvaluator, *networks: Network, source: Network = INPUT) -> list[float | None]:
    proposals = [Proposal(number, source, network) for number, network in enumerate(networks)]
    return [None if each is None else each.score for each in found.measure(proposals)]


def changed(op: str, *places: int) -> Network:
    return INPUT.with_ops([Op.parse(op) if n in places else each for n, each in enumerate(INPUT.ops)])


def test_the_input_has_the_score_zero_and_a_ruined_network_a_bad_one() -> None:
    """Of this input only pooling is left."""
    found = evaluator()
    own, ruined = scores(found, INPUT, changed("skip", 0, 2, 5))
    assert own == 0
    assert ruined is not None
    assert ruined < -0.1
    (measured,) = found.measure([Proposal(0, INPUT, changed("skip", 0, 2, 5))])
    assert measured is not None
    assert measured.gain == ruined - own


def test_what_a_seed_gives_does_not_depend_on_what_was_asked_before_or_together() -> None:
    networks = [changed("skip", 0), changed("null", 1), changed("skip", 5)]
    one_by_one, together = evaluator(), evaluator()
    assert [scores(one_by_one, each)[0] for each in reversed(networks)] == scores(together, *networks)[::-1]
    assert scores(evaluator(seed=1), *networks) != scores(together, *networks)


def test_every_distinct_network_is_scored_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = evaluator()
    scores(found, INPUT)
    built: list[str] = []
    real = found._module
    monkeypatch.setattr(found, "_module", lambda network: built.append(key(network)) or real(network))
    scores(found, changed("skip", 0), changed("skip", 0), INPUT)
    scores(found, changed("skip", 0))
    assert built == [key(changed("skip", 0))]


def test_images_of_the_reward_split_are_used_where_there_are_some(small: Network, digits: DataSet) -> None:
    other = small.with_ops([SKIP, *small.ops[1:]])
    on_images, on_noise = evaluator(small, digits), evaluator(small)
    assert scores(on_images, other, source=small) != scores(on_noise, other, source=small)
    assert on_images.summary()["name"] == "digits"
    assert "synthetic" in on_noise.summary()["name"]


def test_too_few_images_are_said(small: Network, digits: DataSet) -> None:
    few = replace(digits, reward=digits.reward.pick(slice(0, 100)))
    with pytest.raises(NATError, match="100 images of the reward split are too few for 64 batches"):
        evaluator(small, few, batches=64)


class Broken(nn.Module):
    """A network whose sums overflow where it has no pooling."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.inner, self.factor = build(network), 1.0 if "avg_pool_3x3" in map(str, network.ops) else math.inf

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) * self.factor  # type: ignore[no-any-return]


def test_a_network_that_gives_no_numbers_is_a_failed_measurement_with_its_reason() -> None:
    found = evaluator(module=Broken, proxies=["zico", "macs"])
    heard: list[str] = []
    found.report = heard.append
    sound, broken = scores(found, changed("skip", 0), changed("skip", 3))
    assert sound is not None
    assert broken is None
    assert found.summary()["failed"] == 1
    assert found.summary()["last_failure"] == f"zico: not a finite number, of network {key(changed('skip', 3))}"
    assert any(each.startswith("failed: zico") for each in heard)


def test_an_input_that_gives_no_numbers_is_one_line() -> None:
    source = changed("skip", 3)
    with pytest.raises(NATError, match="proxy 'zico' of the input is not a finite number; leave it out"):
        scores(evaluator(source, module=Broken, proxies=["zico"]), source, source=source)


class Weightless(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


def test_a_network_without_weights_is_one_line() -> None:
    with pytest.raises(NATError, match="this network has no weights"):
        scores(evaluator(module=lambda _: Weightless()), INPUT)


class Large(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).mean((2, 3)) + torch.empty(10**15)[:1]


def test_too_little_memory_names_the_setting_to_lower() -> None:
    with pytest.raises(NATError, match=r"no memory for 4 images .*; lower evaluator.batch"):
        scores(evaluator(module=lambda _: Large()), INPUT)


def test_networks_are_scored_at_the_size_that_their_format_can_have() -> None:
    asked: list[tuple[int | None, int | None]] = []

    def resized(channels: int | None, cells: int | None) -> Network:
        asked.append((channels, cells))
        if cells == 7:
            raise NATError("not so many cells")
        return darts(DARTS_V2, channels or 8, cells or 3)

    source = darts(DARTS_V2, 8, 3)
    other = source.with_ops([NULL, *source.ops[1:]])
    found = evaluator(source, resized=resized, channels=4, cells=7)
    assert asked == [(4, 7), (4, None)]
    less = darts(DARTS_V2, 4, 3)
    expected = evaluator(less)
    assert scores(found, other, source=source) == scores(expected, less.with_ops(other.ops), source=less)


def test_a_state_goes_on_as_if_never_interrupted() -> None:
    whole, begun = evaluator(), evaluator()
    first, second = changed("skip", 0), changed("null", 1)
    expected = [*scores(whole, first), *scores(whole, second)]
    scores(begun, first)
    later = evaluator()
    later.restore(json.loads(json.dumps(begun.state())))
    assert [*scores(later, first), *scores(later, second)] == expected
    assert later.summary() == whole.summary()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"proxies": ["swap", "magic"]}, "evaluator.proxies: unknown proxy 'magic'; allowed: params, macs"),
        ({"proxies": []}, "evaluator.proxies: no proxy is given"),
        ({"proxies": {"swap": 0.0}}, "a weight is a number other than 0"),
        ({"batch": 0}, "evaluator.batch: Input should be greater than or equal to 2"),
        ({"batches": 1}, "zico compares the gradients of batches: it needs batches: 2 or more"),
        ({"references": 1}, "evaluator.references: Input should be greater than or equal to 2"),
    ],
)
def test_wrong_settings_are_said(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(NATErrors) as error:
        plan({**RECIPE, "evaluator": {"name": "proxies", **settings}}, plugins())
    assert said in str(error.value)


def test_a_final_stage_needs_images() -> None:
    with pytest.raises(NATErrors, match=r"final: it trains on images; say in evaluator\.data on which"):
        plan({**RECIPE, "final": {}}, plugins())


def test_a_comparison_needs_what_can_be_held_out(nat: Nat) -> None:
    ended = nat("compare", "compare-digits", "--set", "evaluator={name: proxies}", "--set", "warmup=0")
    assert ended.status == 2
    assert "evaluator.name: this one trains nothing, so it has nothing to hold out" in ended.err


def test_a_run_without_data_says_that_it_knows_no_accuracy(nat: Nat, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(json.dumps(RECIPE))
    ended = nat("run", str(recipe), "--out", str(tmp_path / "run"))
    assert ended.status == 0, ended.err
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["result"]["macs"] <= 0.9 * result["input"]["macs"]
    assert result["untrained"] is True
    assert result["scale"]["name"] == "score by training-free proxies"
    assert (result["verdict"], result["verdict_reason"]) == ("none", "nothing was trained")
    assert result["data"]["proxies"] == dict.fromkeys(DEFAULT, 1.0)
    report = (tmp_path / "run" / "report.md").read_text()
    assert "No accuracy is known: what is compared is the score by training-free proxies." in report
    assert "proxies, which are no accuracies" in report
    assert "Data: synthetic images" in report
    assert "accuracy on" not in report
    assert "accuracy on" not in ended.out


def test_a_run_that_was_stopped_ends_with_the_same_bytes(tmp_path: Path) -> None:
    def begin(folder: Path, reporter: Silent) -> None:
        start(plan(RECIPE, plugins()), folder, plugins(), reporter)

    begin(tmp_path / "whole", Silent())
    with pytest.raises(KeyboardInterrupt):
        begin(tmp_path / "stopped", Stop(2))
    resume(tmp_path / "stopped", plugins(), Silent())
    for name in ("result.json", "journal.jsonl", "architecture.txt", "report.md"):
        assert (tmp_path / "stopped" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_with_data_a_final_stage_trains_what_was_found(tmp_path: Path) -> None:
    recipe = {
        **RECIPE,
        "evaluator": {"name": "proxies", **FEW, "data": {"name": "digits", "limit": 300}},
        "search": {"rounds": 1, "proposals": 2},
        "final": {"candidates": 1, "schedule": {"epochs": 1, "cutout": 0, "auxiliary": 0, "drop_path": 0}},
    }
    result = start(plan(recipe, plugins()), tmp_path / "run", plugins(), Silent())
    assert result["untrained"] is False
    assert "accuracy on test" in (tmp_path / "run" / "report.md").read_text()


def test_the_recipe_that_ships_needs_no_data() -> None:
    found = load_recipe("proxies-darts", [], plugins())
    assert (found.data, found.recipe.evaluator_name, found.recipe.strategy_name) == (None, "proxies", "nat")


def test_reinforce_learns_on_proxies(tmp_path: Path) -> None:
    strategy = {"name": "nat", "sources": 1, "samples": 2, "mix": {"input": 1, "neighbours": 0}, "refine": 0}
    start(plan({**RECIPE, "strategy": strategy}, plugins()), tmp_path / "run", plugins(), Silent())
    facts = load_policy(tmp_path / "run" / "policy.safetensors")[1]
    assert facts["updates"] == facts["evaluations"] / 2 > 0


def test_the_policy_of_the_recipe_that_ships_is_trained_by_reinforce() -> None:
    """Left to itself, `nat` would not train one with so few evaluations."""
    found = load_recipe("proxies-darts", [], plugins())
    search, strategy = found.recipe.search, found.strategy
    assert (1 - strategy.refine) * search.rounds * search.proposals >= 3 * strategy.sources * strategy.samples
