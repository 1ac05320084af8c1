"""Every recipe that ships is valid, says what it is, and runs; those for a GPU run here for a few steps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nat_plugin.comparisons.recipe import load_comparison
from nat_plugin.ir import Frame, cost
from nat_plugin.plugins import plugins
from nat_plugin.policy.training.recipe import load_training
from nat_plugin.runs.progress import Silent
from nat_plugin.runs.recipe import load_recipe
from nat_plugin.runs.run import start
from nat_plugin.sources import find_source

FEW_STEPS = [
    "evaluator.data.name=npz",
    "evaluator.data.limit=300",
    "evaluator.reward_images=60",
    "search={rounds: 3, proposals: 16, steps: 2}",
    "network={channels: 4, cells: 3}",
    "final.network={channels: 8, cells: 5}",
    "final.schedule={epochs: 1, batch: 60}",
    "threads=1",
]


def test_recipes_ship() -> None:
    assert {"quickstart", "darts-cifar10-small", "darts-cifar10", "enas-cifar10"} <= plugins().recipes.keys()


@pytest.mark.parametrize("name", sorted(plugins().recipes))
def test_a_recipe_is_valid_and_begins_by_saying_what_it_is(name: str) -> None:
    if name.startswith("compare-"):
        assert len(load_comparison(name, [], plugins()).names) > 1
    elif name.startswith("train-"):
        assert load_training(name, [], plugins()).recipe.sources
    else:
        assert load_recipe(name, [], plugins()).recipe.source
    assert plugins().recipes[name].read_text().startswith("# ")


@pytest.mark.parametrize(("name", "millions"), [("darts-cifar10", (3.349, 528)), ("enas-cifar10", (4.395, 693))])
def test_the_final_network_of_the_paper_has_the_published_costs(name: str, millions: tuple[float, int]) -> None:
    recipe = load_recipe(name, [], plugins()).recipe
    assert recipe.final is not None
    assert recipe.final.network is not None
    frame = Frame(recipe.final.network.channels, recipe.final.network.cells)
    source = find_source(recipe.source, recipe.adapter, plugins())
    total = cost(source.adapter.read(source.text, frame))
    assert (round(total.params / 1e6, 3), round(total.macs / 1e6)) == millions


@pytest.mark.parametrize("name", ["darts-cifar10", "enas-cifar10"])
def test_the_settings_of_the_paper_run_for_a_few_steps(name: str, coloured: Path, tmp_path: Path) -> None:
    overrides = [*FEW_STEPS, f"evaluator.data.path={coloured}", "device=cpu"]
    result = start(load_recipe(name, overrides, plugins()), tmp_path / name, plugins(), Silent())
    assert result["evaluated"] > 30
    assert result["result"]["params"] <= result["input"]["params"]
    assert result["result"]["macs"] <= result["input"]["macs"]
    records = [json.loads(line) for line in (tmp_path / name / "journal.jsonl").read_text().splitlines()]
    assert (
        len({record["source"] for record in records if record["stage"] == "search"}) > 8
    )  # inputs drawn at random, as in the paper
