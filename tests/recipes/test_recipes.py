"""Every recipe that ships is valid, says what it is, and runs; those for a GPU run here for a few steps."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import pytest

from nat_plugin.comparisons.recipe import load_comparison
from nat_plugin.ir import NetworkSize, cost
from nat_plugin.plugins import plugins
from nat_plugin.policy.training.recipe import load_training
from nat_plugin.runs.progress import Silent
from nat_plugin.runs.recipe import load_recipe
from nat_plugin.runs.run import start
from nat_plugin.sources import find_source
from tests.pictures import write_shards, write_tree

FEW_STEPS = [
    "evaluator.data.name=npz",
    "evaluator.data.limit=200",
    "evaluator.reward_images=40",
    "search={rounds: 3, proposals: 16, steps: 2}",
    "network={channels: 4, cells: 3}",
    "final.network={channels: 4, cells: 5}",
    "final.schedule={epochs: 1, batch: 60}",
    "threads=1",
]


def test_recipes_ship() -> None:
    assert {
        "quickstart",
        "darts-cifar10-small",
        "darts-cifar10",
        "darts-imagenet",
        "enas-cifar10",
    } <= plugins().recipes.keys()


@pytest.mark.parametrize("name", sorted(plugins().recipes))
def test_a_recipe_is_valid_and_begins_by_saying_what_it_is(name: str) -> None:
    if name.startswith("compare-"):
        assert len(load_comparison(name, [], plugins()).names) > 1
    elif name.startswith("train-"):
        assert load_training(name, [], plugins()).recipe.sources
    else:
        assert load_recipe(name, [], plugins()).recipe.source
    assert plugins().recipes[name].read_text().startswith("# ")


@pytest.mark.parametrize(
    ("name", "millions"),
    [("darts-cifar10", (3.349, 528)), ("enas-cifar10", (4.395, 693)), ("darts-imagenet", (4.719, 530))],
)
def test_the_final_network_of_the_paper_has_the_published_costs(name: str, millions: tuple[float, int]) -> None:
    recipe = load_recipe(name, [], plugins()).recipe
    assert recipe.final is not None
    assert recipe.final.network is not None
    size = NetworkSize(recipe.final.network.channels, recipe.final.network.cells)
    if name == "darts-imagenet":
        size = replace(size, input=(3, recipe.evaluator["data"]["resolution"], 224), classes=1000)
    source = find_source(recipe.source, recipe.adapter, plugins())
    total = cost(source.adapter.read(source.text, size))
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


@pytest.mark.parametrize("kind", ["large_image_folder", "webdataset"])
def test_the_recipe_of_imagenet_runs_on_pictures_in_their_files(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("timm")
    place = write_tree(tmp_path / "tree", {"train": 16, "val": 4})
    if kind == "webdataset":
        place = write_shards(tmp_path / "shards", place)
    overrides = [
        f"data.path={place}",
        f"data.name={kind}",
        "data.resolution=32",
        "data.workers=0",
        "data.splits={weights: 0.5, reward: 0.25, selection: 0.25, val: test}",
        "evaluator.batch=8",
        "search={warmup: 1, rounds: 1, proposals: 4, steps: 1}",
        "network={channels: 4, cells: 3}",
        "final.network={channels: 4, cells: 3}",
        "final.schedule.epochs=2",
        "final.schedule.batch=8",
        "threads=1",
        "device=cpu",
    ]
    result = start(load_recipe("darts-imagenet", overrides, plugins()), tmp_path / "run", plugins(), Silent())
    assert result["data"]["splits"] == {"weights": 16, "reward": 8, "selection": 8, "test": 8}
    lines = [json.loads(line) for line in (tmp_path / "run" / "journal.jsonl").read_text().splitlines()]
    assert [line["lr"] for line in lines if line["stage"] == "final"][:2] == pytest.approx([0.1, 0.097])


def test_darts_on_imagenet_trains_a_step_at_its_full_size_on_pictures(shared_data: Path, tmp_path: Path) -> None:
    """48 channels, 14 cells, 224 pixels."""
    pytest.importorskip("timm")
    with ZipFile(shared_data / "imagenet_classes_1000.zip") as pictures:
        names = sorted(name for name in pictures.namelist() if name.endswith(".jpg"))[:20]
        for number, name in enumerate(names):
            place = tmp_path / "tree" / ("val" if number < 4 else "train") / f"class{number % 2}"
            place.mkdir(parents=True, exist_ok=True)
            (place / Path(name).name).write_bytes(pictures.read(name))
    overrides = [
        f"data.path={tmp_path / 'tree'}",
        "data.workers=0",
        "data.splits={weights: 0.25, reward: 0.25, selection: 0.5, val: test}",
        "evaluator.batch=2",
        "evaluator.steps=1",
        "search={warmup: 1, rounds: 1, proposals: 1, steps: 1}",
        "final.schedule.epochs=1",
        "final.schedule.batch=8",
        "threads=1",
        "device=cpu",
    ]
    start(load_recipe("darts-imagenet", overrides, plugins()), tmp_path / "run", plugins(), Silent())
    lines = [json.loads(line) for line in (tmp_path / "run" / "journal.jsonl").read_text().splitlines()]
    trained = [line for line in lines if line["stage"] == "final"]
    assert len(trained) == 2  # the input and the proposal, an epoch of one step each
    assert all(line["loss"] < 10 for line in trained)
