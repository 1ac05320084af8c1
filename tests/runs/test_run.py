"""A run ends with a result that keeps its promises, twice the same, however often it was killed in between."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from nat_plugin.data import eval_batches, load
from nat_plugin.errors import NATError
from nat_plugin.ir import Moves, NetworkSize, cost, find_rule, from_json, key
from nat_plugin.nets import build
from nat_plugin.plugins import plugins
from nat_plugin.runs.folder import locked, read_journal
from nat_plugin.runs.progress import Reporter, Silent
from nat_plugin.runs.recipe import plan
from nat_plugin.runs.run import default_folder, resume, start
from tests.interrupting import Stop
from tests.killing import killed

RECIPE: dict[str, Any] = {
    "source": "DARTS_V2",
    "network": {"channels": 4, "cells": 3},
    "rules": "nat++",
    "evaluator": {"name": "supernet", "batch": 32, "reward_images": 60, "data": {"name": "digits", "limit": 300}},
    "search": {"warmup": 60, "rounds": 3, "proposals": 4, "steps": 4},
    "final": {
        "candidates": 2,
        "seeds": 2,
        "schedule": {"epochs": 2, "batch": 64, "cutout": 0, "auxiliary": 0, "drop_path": 0.1},
    },
    "device": "cpu",
    "tracker": "tensorboard",
}
KEPT = ("result.json", "journal.jsonl", "architecture.txt", "network.json", "report.md", "policy.safetensors")


def small(**changes: Any) -> dict[str, Any]:
    return {**RECIPE, **changes}


def run(folder: Path, recipe: dict[str, Any]) -> dict[str, Any]:
    return start(plan(recipe, plugins()), folder, plugins(), Silent())


def contents(folder: Path) -> dict[str, bytes]:
    kept = {name: (folder / name).read_bytes() for name in KEPT}
    return kept | {path.name: path.read_bytes() for path in sorted(folder.glob("weights/*"))}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "undisturbed"
    run(folder, RECIPE)
    return folder


def test_the_result_is_no_dearer_no_worse_and_in_the_same_format(undisturbed: Path) -> None:
    result = json.loads((undisturbed / "result.json").read_text())
    before, after = result["input"], result["result"]
    assert after["selection"]["value"] >= before["selection"]["value"]
    assert after["params"] <= before["params"]
    assert after["macs"] <= before["macs"]
    adapter = plugins().adapters[result["format"]]
    size = NetworkSize(4, 3, (1, 8, 8), 10)
    written = adapter.read((undisturbed / "architecture.txt").read_text(), size)
    assert (cost(written).params, cost(written).macs, key(written)) == (after["params"], after["macs"], after["key"])
    assert after["key"] in {candidate["key"] for candidate in result["candidates"]}
    assert max(c["selection"]["value"] for c in result["candidates"]) == after["selection"]["value"]


def test_the_folder_holds_what_it_should(undisturbed: Path) -> None:
    names = {path.name for path in undisturbed.iterdir()} - {".lock"}
    assert names == {"run.json", "checkpoint.safetensors", "checksums.json", "events", "weights", "stages.json", *KEPT}
    again = from_json((undisturbed / "network.json").read_text())
    assert key(again) == json.loads((undisturbed / "result.json").read_text())["result"]["key"]
    report = (undisturbed / "report.md").read_text()
    assert "accuracy on test" in report
    assert "normal:" in report
    assert "\nPrior: policy 'general', trained on NAS-Bench-201; " in report
    assert "policy general" in json.loads((undisturbed / "run.json").read_text())["files"]
    assert any(path.name.startswith("events.out.tfevents") for path in (undisturbed / "events" / "search").iterdir())


def test_the_journal_has_every_evaluation_and_each_is_legal(undisturbed: Path) -> None:
    records = [each for each in read_journal(undisturbed / "journal.jsonl") if each["stage"] == "search"]
    assert len(records) == 3 * 4
    adapter = plugins().adapters["darts"]
    network = adapter.read(adapter.published()["DARTS_V2"].text, NetworkSize(4, 3, (1, 8, 8), 10))
    limit = cost(network)
    for record in records:
        assert record["gain"] == pytest.approx(record["score"] - record["source_score"])
        if record["source"] == key(network):
            assert record["params"] <= limit.params
            assert record["macs"] <= limit.macs
    assert Moves(network, find_rule("nat++")).count > 1


def test_every_epoch_of_the_final_stage_is_in_the_journal_and_in_tensorboard(undisturbed: Path) -> None:
    records = [each for each in read_journal(undisturbed / "journal.jsonl") if each["stage"] == "final"]
    candidates = [each["key"] for each in json.loads((undisturbed / "result.json").read_text())["candidates"]]
    trainings = [(network, seed, epoch) for seed in (0, 1) for network in candidates for epoch in (1, 2)]
    assert [(each["network"], each["seed"], each["epoch"]) for each in records] == trainings
    for record in records:
        assert 0 <= record["accuracy"] <= 1 < record["loss"] < 5
    shown = curves(undisturbed)
    assert shown.keys() == {f"{network}-seed{seed}" for network in candidates for seed in (0, 1)}
    for record in records:
        for name in ("accuracy", "loss", "lr"):
            points = dict(shown[f"{record['network']}-seed{record['seed']}"][name])
            assert points.keys() == {1, 2}
            assert points[record["epoch"]] == pytest.approx(record[name])


def curves(folder: Path) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """What TensorBoard shows of the final stage: by training, then by name."""
    found = {}
    for path in sorted((folder / "events" / "final").iterdir()):
        events = EventAccumulator(str(path)).Reload()
        found[path.name] = {
            name: [(each.step, each.value) for each in events.Scalars(name)] for name in events.Tags()["scalars"]
        }
    return found


def test_trained_weights_load_by_name_and_the_report_says_how(
    undisturbed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = json.loads((undisturbed / "result.json").read_text())
    adapter = plugins().adapters[result["format"]]
    network = adapter.read((undisturbed / "architecture.txt").read_text(), NetworkSize(4, 3, (1, 8, 8), 10))
    names = {f"{each['key']}-seed{seed}.safetensors" for each in result["candidates"] for seed in (0, 1)}
    assert {path.name for path in (undisturbed / "weights").iterdir()} == names
    chosen = plan(RECIPE, plugins())
    assert chosen.data is not None
    data = load(chosen.data, "cpu")
    ((x, y),) = eval_batches(data, data.test, len(data.test))
    found = []
    for seed in (0, 1):
        module = build(network).eval()
        module.load_state_dict(load_file(undisturbed / "weights" / f"{result['result']['key']}-seed{seed}.safetensors"))
        with torch.no_grad():
            found.append((module(x).argmax(1) == y).double().mean())
    assert float(sum(found)) / 2 == pytest.approx(result["result"]["test"]["value"])
    monkeypatch.chdir(undisturbed)
    report = Path("report.md").read_text()
    scope: dict[str, Any] = {}
    exec(report.partition("```python\n")[2].partition("```")[0], scope)
    with torch.no_grad():
        assert (scope["model"].eval()(x).argmax(1) == y).double().mean() == found[0]


def test_splits_are_reported(undisturbed: Path) -> None:
    data = json.loads((undisturbed / "result.json").read_text())["data"]
    text = json.dumps(data)
    assert all(name in text for name in ("weights", "reward", "selection", "test"))


def test_another_seed_gives_another_run(tmp_path: Path) -> None:
    short = small(final=None, strategy={"name": "random"}, search={"rounds": 1, "proposals": 2, "steps": 1})
    journals = []
    for seed in (0, 0, 1):
        folder = tmp_path / f"run {len(journals)}"
        run(folder, {**short, "seed": seed})
        journals.append((folder / "journal.jsonl").read_bytes())
    first, again, other = journals
    assert first == again != other


def test_interrupted_at_every_step_or_not_the_same_seed_gives_the_same_run(undisturbed: Path, tmp_path: Path) -> None:
    folder, reporter = tmp_path / "run", Stop(1)
    with pytest.raises(KeyboardInterrupt):
        start(plan(RECIPE, plugins()), folder, plugins(), reporter)
    for interruptions in range(100):  # noqa: B007 - counted below
        try:
            resume(folder, plugins(), Stop(2))
            break
        except KeyboardInterrupt:
            continue
    assert interruptions > 5
    assert contents(folder) == contents(undisturbed)
    assert curves(folder) == curves(undisturbed)


def test_killed_at_random_moments_it_ends_the_same(undisturbed: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    command = ("run", str(tmp_path / "recipe.yaml"), "--out", str(tmp_path / "run"))
    assert killed(tmp_path / "run", command, count=3, pause=0.5) >= 2
    assert contents(tmp_path / "run") == contents(undisturbed)


def test_a_finished_run_can_be_resumed_and_says_the_same(undisturbed: Path) -> None:
    before = contents(undisturbed)
    resume(undisturbed, plugins(), Silent())
    assert contents(undisturbed) == before


def test_a_folder_in_use_is_refused_and_kept(undisturbed: Path) -> None:
    before = contents(undisturbed)
    with pytest.raises(NATError, match="this folder is in use: `nat resume` resumes it"):
        run(undisturbed, RECIPE)
    with locked(undisturbed), pytest.raises(NATError, match="another process is running in this folder"):
        resume(undisturbed, plugins(), Silent())
    assert contents(undisturbed) == before


def test_a_folder_of_the_users_own_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(NATError, match="this folder is in use: it is not empty; choose another --out"):
        run(tmp_path, RECIPE)
    with pytest.raises(NATError, match="not the folder of a run"):
        resume(tmp_path, plugins(), Silent())
    assert [path.name for path in tmp_path.iterdir()] == ["link"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"budget": {"macs": 1000}}, "the cheapest has macs [0-9,]+ .limit 1,000."),
        ({"evaluator": {"name": "supernet", "data": {"name": "npz", "path": "/no/such.npz"}}}, "no/such.npz"),
        ({"source": "VGG_not"}, "neither a file, nor a published name"),
        ({"device": "cuda:77"}, "device 'cuda:77'"),
        ({"device": "tpu"}, "device 'tpu' is not one of"),
        ({"final": {"schedule": {"cutout": 16}}}, "cutout is 16, data set 'digits' has images of 8x8"),
    ],
)
def test_what_cannot_run_ends_in_one_line_before_anything_is_written(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(NATError, match=message) as caught:
        run(tmp_path / "run", small(**changes))
    assert "\n" not in str(caught.value)
    assert not [path for path in tmp_path.glob("run/*") if path.name != ".lock"]


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NATError, match="not the folder of a run"):
        resume(tmp_path, plugins(), Silent())
    with pytest.raises(NATError, match="there is no such folder"):
        resume(tmp_path / "none", plugins(), Silent())
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(NATError, match="damaged"):
        resume(tmp_path, plugins(), Silent())


def test_a_file_in_the_way_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NATError, match="cannot write"):
        run(tmp_path / "file" / "run", RECIPE)


def test_without_a_final_stage_the_shared_weights_decide(tmp_path: Path) -> None:
    result = run(tmp_path / "run", small(final=None, strategy={"name": "random"}))
    assert not (tmp_path / "run" / "events" / "final").exists()
    assert result["trained_for_real"] is False
    assert "`final:` in a recipe trains them" in (tmp_path / "run" / "report.md").read_text()
    assert result["result"]["selection"]["value"] >= result["input"]["selection"]["value"]


def test_a_default_folder_is_new(tmp_path: Path) -> None:
    assert default_folder("recipes/a.yaml", tmp_path) == tmp_path / "a"
    (tmp_path / "a").mkdir()
    assert default_folder("a", tmp_path) == tmp_path / "a-2"


def test_a_reporter_hears_of_every_phase(tmp_path: Path) -> None:
    class Listening(Reporter):
        heard: list[tuple[str, int]]

        def __init__(self) -> None:
            self.heard = []

        def phase(self, name: str, total: int, done: int = 0) -> None:
            self.heard.append((name, total))

        def step(self, done: int, note: str = "") -> None:
            assert done <= self.heard[-1][1]

    listening = Listening()
    start(plan(small(final=None), plugins()), tmp_path / "run", plugins(), listening)
    assert listening.heard == [("warm-up", 60), ("search", 3), ("selection", 2)]


@pytest.mark.parametrize("strategy", ["nat", "random"])
def test_an_input_over_the_budget_is_compared_but_cannot_win(strategy: str, tmp_path: Path) -> None:
    result = run(tmp_path / "run", small(budget={"macs": "0.96x"}, strategy={"name": strategy}))
    assert not result["input_fits"]
    assert result["changed"]
    assert result["result"]["macs"] <= 0.96 * result["input"]["macs"]
    assert result["candidates"][0]["key"] == result["input"]["key"]
    assert "The input itself is over the budget." in (tmp_path / "run" / "report.md").read_text()


def test_over_the_budget_and_nothing_measured_is_said(tmp_path: Path) -> None:
    nothing = {"warmup": 0, "rounds": 0, "proposals": 4, "steps": 4}
    with pytest.raises(NATError, match="the input is over the budget, and of no proposal within it"):
        run(tmp_path / "run", small(budget={"macs": "0.96x"}, strategy={"name": "random"}, search=nothing))
