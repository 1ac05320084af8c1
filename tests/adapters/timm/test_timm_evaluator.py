"""The evaluator ``timm``: the model trained or loaded, adapted, measured, fine-tuned, written; all from a seed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nat_timm.saving.weights
import pytest
import timm
import torch
from nat_timm.adapter import TimmAdapter
from nat_timm.measuring.statistics import recalibrate
from nat_timm.saving.folders import save
from nat_timm.training.evaluator import TimmEvaluator, TimmSettings
from safetensors.torch import save_file
from torch import nn

from nat_plugin.data import DataSet, DataSettings, eval_batches, load
from nat_plugin.device import Compute
from nat_plugin.errors import NATError
from nat_plugin.evaluators.base import EvaluatorContext
from nat_plugin.fingerprints import fingerprints
from nat_plugin.ir import Budget, Moves, Network, NetworkSize, cost, find_rule
from nat_plugin.plugins import plugins
from nat_plugin.runs import workers
from nat_plugin.runs.progress import Silent
from nat_plugin.runs.recipe import load_recipe
from nat_plugin.runs.run import resume, start
from nat_plugin.search.base import Proposal
from nat_plugin.sources import find_source
from tests.adapters.timm.samples import lively, moved
from tests.runs.finding import THEIRS

STRIDES = [{"op": "stride", "at": at, "value": 1} for at in ("conv_stem", "blocks.1.0.conv_dw", "blocks.2.0.conv_dw")]
TEXT = json.dumps({"architecture": "mobilenetv2_035", "edits": STRIDES})
SHORT = {"epochs": 2, "batch": 64, "lr": 0.05, "warmup": 0, "auxiliary": 0, "drop_path": 0, "cutout": 0}


@pytest.fixture(scope="module")
def digits() -> DataSet:
    return load(DataSettings(name="digits", limit=400), "cpu")


def network(digits: DataSet, text: str = TEXT) -> Network:
    return TimmAdapter().read(text, NetworkSize(input=digits.shape, classes=digits.classes))


def evaluator(digits: DataSet, source: Network | None = None, **settings: Any) -> TimmEvaluator:
    source = source or network(digits)
    context = EvaluatorContext(
        (source,), find_rule("nat++"), digits, Compute(torch.device("cpu")), 0, module=TimmAdapter().module
    )
    return TimmEvaluator(context, TimmSettings.model_validate(settings))


def test_unmoved_and_not_recalibrated_a_result_is_the_model_to_the_bit(digits: DataSet, tmp_path: Path) -> None:
    model = lively("resnet18", digits.classes, in_chans=1).to(memory_format=torch.channels_last)
    save(model, tmp_path)
    source = network(digits, (tmp_path / "config.json").read_text())
    found = evaluator(digits, source, weights=str(tmp_path), recalibration=0)
    x = next(eval_batches(digits, digits.test, 50))[0]
    with torch.no_grad():
        assert torch.equal(found.module(source).eval()(x), model(x.contiguous(memory_format=torch.channels_last)))


def test_the_weights_that_were_read_are_named_and_told_apart(digits: DataSet, tmp_path: Path) -> None:
    found = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        save(timm.create_model("resnet18", num_classes=digits.classes, in_chans=1), tmp_path / "model")
        source = network(digits, (tmp_path / "model" / "config.json").read_text())
        for weights in (tmp_path / "model", tmp_path / "model" / "model.safetensors"):
            found.append(fingerprints(evaluator(digits, source, weights=str(weights)).outside))
    assert list(found[0]) == [str(tmp_path / "model")]
    assert list(found[1]) == [str(tmp_path / "model" / "model.safetensors")]
    assert found[:2] == found[2:4]
    assert all(one != other for one, other in zip(found[:2], found[4:], strict=True))
    assert evaluator(digits).outside == ()


def test_a_folder_of_weights_may_be_named_as_timm_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path)
    for weights in ("local-dir:model", f"local-dir:{tmp_path / 'model'}", "model"):
        assert TimmSettings(weights=weights).weights == str(tmp_path / "model"), "a path that a resumed run finds too"
    assert TimmSettings(weights="local-dir:nowhere").weights == "nowhere"


def test_the_model_is_trained_first_and_what_it_may_become_inherits(digits: DataSet) -> None:
    found = evaluator(digits, train=SHORT | {"epochs": 8, "batch": 16, "lr": 0.02})
    source = found.net.network
    after = moved(source, "nat++", 0, 0.8)
    before = {name: each.clone() for name, each in found.net.named_parameters()}
    (measured,) = found.measure([Proposal(0, source, after)])
    assert measured is not None
    changed = [name for name, each in found.net.named_parameters() if not torch.equal(each, before[name])]
    assert len(changed) > 0.9 * len(before)
    fresh = evaluator(digits)
    (untrained,) = fresh.measure([Proposal(0, source, source)])
    assert untrained is not None
    assert measured.source_score > untrained.source_score


def test_every_epoch_of_the_models_own_training_is_heard_of(digits: DataSet) -> None:
    found = evaluator(digits, train=SHORT)
    heard: list[str] = []
    found.report = heard.append
    found.assess(found.net.network, "selection")
    assert [each.partition(":")[0] for each in heard] == ["the model itself, epoch 1/2", "the model itself, epoch 2/2"]


def test_the_teacher_is_the_model_before_it_was_adapted(digits: DataSet) -> None:
    found = evaluator(digits, train=SHORT | {"epochs": 1})
    source = found.net.network
    found.train([source])
    teacher = {name: each.clone() for name, each in found.teacher.state_dict().items()}
    found.train([moved(source, "nat++", seed, 0.8) for seed in range(3)])
    assert all(torch.equal(each, teacher[name]) for name, each in found.teacher.state_dict().items())
    assert not torch.equal(found.net.base.get_submodule("conv_stem").weight, teacher["conv_stem.weight"])
    assert not any(each.requires_grad for each in found.teacher.parameters())


def test_distillation_changes_what_a_step_does(digits: DataSet) -> None:
    weights = []
    for distil in (0.0, 0.9):
        found = evaluator(digits, distil=distil)
        found.train([found.net.network] * 2)
        weights.append(found.net.base.get_submodule("classifier").weight.detach().clone())
    assert not torch.equal(*weights)


def test_running_statistics_are_plain_averages_over_the_images() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU()).train()
    parts = [torch.randn(8, 1, 6, 6) + number for number in range(3)]
    recalibrate(net, parts)
    with torch.no_grad():
        maps = [net[0](part) for part in parts]
    mean = torch.stack([each.mean((0, 2, 3)) for each in maps]).mean(0)
    var = torch.stack([each.var((0, 2, 3)) for each in maps]).mean(0)
    torch.testing.assert_close(net[1].running_mean, mean)
    torch.testing.assert_close(net[1].running_var, var)
    assert net[1].momentum == 0.1
    assert not any(module.training for module in net.modules())
    before = net[1].running_mean.clone()
    recalibrate(net, [])
    assert torch.equal(net[1].running_mean, before)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weights": "nowhere.safetensors"}, "nowhere.safetensors: No such file or directory"),
        ({"weights": "other"}, "other"),
        ({"weights": "pretrained"}, "mobilenetv2_035: timm"),
        ({"weights": "broken", "train": SHORT}, "the training of the model itself diverged; lower its lr"),
        ({"train": SHORT | {"drop_path": 0.2}}, "schedule.drop_path is 0.2: modules of this format have none"),
    ],
)
def test_bad_settings_are_one_line(
    settings: dict[str, Any], message: str, digits: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save(lively("resnet18"), tmp_path / "other")
    broken = TimmAdapter().module(network(digits))
    with torch.no_grad():
        broken.get_submodule("classifier").weight.fill_(3e38)
    save(broken, tmp_path / "broken")
    with pytest.raises(NATError, match=message) as caught:
        evaluator(digits, **settings).train([network(digits)])
    assert "\n" not in str(caught.value)


def test_pretrained_weights_have_a_fingerprint_where_they_are_a_file(
    digits: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cached.safetensors"
    model = TimmAdapter().module(network(digits))
    save_file(model.state_dict(), path)
    config = timm.models.get_pretrained_cfg("mobilenetv2_035").to_dict()
    cached = {**config, "file": str(path), "num_classes": digits.classes}
    monkeypatch.setattr(nat_timm.saving.weights, "_config", lambda name: cached)
    found = evaluator(digits, weights="pretrained").outside
    before = fingerprints(found)
    assert list(before) == ["pretrained weights of mobilenetv2_035"]
    save_file({name: value + 1 for name, value in model.state_dict().items()}, path)
    assert fingerprints(found) != before


def test_networks_of_other_formats_are_refused(digits: DataSet) -> None:
    found = find_source("DARTS_V2", "darts", plugins())
    darts = found.adapter.read(found.text, NetworkSize(4, 2, digits.shape, digits.classes))
    with pytest.raises(NATError, match="the evaluator 'timm' is for models of the adapter 'timm'"):
        evaluator(digits, darts)


SMALL = [
    "evaluator.data.limit=250",
    "evaluator.train.epochs=1",
    "search={warmup: 2, rounds: 2, proposals: 2, steps: 2}",
    "final={candidates: 1, schedule: {epochs: 1, batch: 64, lr: 0.03, cutout: 0, auxiliary: 0, drop_path: 0}}",
    "threads=1",
]


def test_the_recipe_runs_resumes_and_writes_what_timm_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once undisturbed, once interrupted after the search and again in the final stage, and once with workers that
    tune from the weights of the search: the same result to the bit."""
    plan = load_recipe("mobilenetv2-digits", SMALL, plugins())
    whole = start(plan, tmp_path / "whole", plugins(), Silent())
    assert whole["result"]["macs"] <= 0.6 * whole["input"]["macs"]
    assert (whole["verdict"], whole["beyond_noise"]) == ("none", None)  # there is one fine-tuning of each

    class Stop(Exception):
        pass

    class Interrupting(Silent):
        def __init__(self, at: str, step: int) -> None:
            self.at, self.left, self.now = at, step, ""

        def phase(self, name: str, total: int, done: int) -> None:
            self.now = name

        def step(self, done: int, note: str = "") -> None:
            if self.now == self.at and done == self.left:
                raise Stop

    with pytest.raises(Stop):
        start(plan, tmp_path / "parts", plugins(), Interrupting("search", 1))
    with pytest.raises(Stop):
        resume(tmp_path / "parts", plugins(), Interrupting("final training", 1))
    again = resume(tmp_path / "parts", plugins(), Silent())
    assert again == whole
    monkeypatch.setattr(workers, "plugins", lambda: THEIRS)
    side_by_side = load_recipe("mobilenetv2-digits", [*SMALL, "executor={name: shuffled, workers: 2}"], THEIRS)
    assert start(side_by_side, tmp_path / "workers", THEIRS, Silent()) == whole
    names = ("whole", "parts", "workers")
    assert len({(tmp_path / name / "model" / "model.safetensors").read_bytes() for name in names}) == 1
    monkeypatch.chdir(tmp_path / "whole")
    scope: dict[str, Any] = {}
    exec(Path("report.md").read_text().partition("```python\n")[2].partition("```")[0], scope)
    model = scope["model"].eval()
    assert sum(each.numel() for each in model.parameters()) == whole["result"]["params"]
    config = timm.data.resolve_data_config({}, model=model)
    data = load(plan.data, "cpu")
    assert tuple(config["input_size"]) == (1, 8, 8)
    assert (tuple(config["mean"]), tuple(config["std"])) == (data.mean, data.std)
    hits = torch.cat([model(x).argmax(1) == y for x, y in eval_batches(data, data.test, 50)])
    assert float(hits.float().mean()) == pytest.approx(whole["result"]["test"]["value"], abs=0.02)


def test_without_a_final_stage_the_adapted_weights_are_written(tmp_path: Path) -> None:
    result = start(
        load_recipe("mobilenetv2-digits", [*SMALL, "final=null"], plugins()), tmp_path / "run", plugins(), Silent()
    )
    model = timm.create_model(f"local-dir:{tmp_path / 'run' / 'model'}", pretrained=True).eval()
    assert sum(each.numel() for each in model.parameters()) == result["result"]["params"]
    assert not result["trained_for_real"]


def test_budgets_hold_for_what_is_proposed(digits: DataSet) -> None:
    source = network(digits)
    limits = Budget.parse({"macs": "0.5x"}).resolve(source)
    after = moved(source, "nat++", 3, 0.5)
    Moves(source, find_rule("nat++"), limits).verify(after)
    module = evaluator(digits, source).module(after)
    assert sum(each.numel() for each in module.parameters()) == cost(after).params
