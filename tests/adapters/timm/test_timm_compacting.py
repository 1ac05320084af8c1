"""``compact``: a model and two loaders in, a leaner model out, with the baselines; and what is said of bad input."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nat_timm
import numpy as np
import pytest
import timm
import torch
from nat_timm.compacting.magnitude import without_small_blocks
from nat_timm.compacting.result import CompactionResult, Tuned
from nat_timm.compacting.session import STARTS, CompactionSession
from nat_timm.training.loaders import LoaderFeed, Loaders, batches, timm_loaders
from nat_timm.training.tuning import Tuning, TuningImages, accuracy, distance, fine_tune
from PIL import Image
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from nat_plugin.device import Compute
from nat_plugin.errors import NATError, NATErrors
from nat_plugin.ir import Budget, Moves, Network, cost, find_rule
from nat_plugin.measuring.latency import MeasuredLatency
from nat_plugin.measuring.settings import Setting
from nat_plugin.measuring.tables import Figure, TableSubject, blank_table, fingerprint
from nat_plugin.search.neighbourhood import descent
from tests.adapters.timm.samples import lively
from tests.reporting.pages import read

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = Compute(torch.device("cpu"))
QUICK: dict[str, Any] = {
    "search": {"warmup": 8, "rounds": 2, "proposals": 3, "steps": 2},
    "tuning": {"epochs": 1},
    "candidates": 2,
    "device": "cpu",
    "input": (3, 16, 16),
}


def loaders(train: int = 128, val: int = 100) -> tuple[DataLoader, DataLoader]:
    """Digits of 16x16 in three channels; those to measure on are sorted by class."""
    x, y = load_digits(return_X_y=True)
    images = torch.tensor(x, dtype=torch.float32).view(-1, 1, 8, 8).repeat_interleave(2, 2).repeat_interleave(2, 3)
    images, labels = (images / 8 - 1).expand(-1, 3, -1, -1), torch.tensor(y)
    first = TensorDataset(images[:train], labels[:train])
    order = labels[train : train + val].argsort() + train
    return DataLoader(first, 32, shuffle=True), DataLoader(TensorDataset(images[order], labels[order]), 50)


def model(name: str = "mobilenetv2_035") -> nn.Module:
    torch.manual_seed(0)
    found: nn.Module = timm.create_model(name, num_classes=10)
    return found


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
    assert result.best.accuracy == max(each.accuracy for each in result.tuned)
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
    loaded = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
    x = next(iter(val))[0]
    with torch.no_grad():
        torch.testing.assert_close(loaded(x), result.model(x), rtol=1e-4, atol=1e-4)  # the layout in memory may differ
    assert f"{result.before.accuracy:.2%}" in str(result)


def test_the_result_is_where_the_model_was(device: torch.device) -> None:
    train, val = loaders()
    result = nat_timm.compact(model(), train, val, budget={"macs": "0.7x"}, **(QUICK | {"device": str(device)}))
    assert {each.device.type for one in (result.before, *result.tuned) for each in one.model.parameters()} == {"cpu"}


def test_a_seed_gives_the_same_result_twice(capsys: pytest.CaptureFixture[str]) -> None:
    found, short = [], {"warmup": 2, "rounds": 2, "proposals": 2, "steps": 1}
    for _ in range(2):
        train, val = loaders()
        torch.randn(3)  # what a program has drawn before changes nothing
        given = {**QUICK, "search": short, "candidates": 1}
        found.append(nat_timm.compact(model(), train, val, budget={"params": "0.8x"}, **given))
    assert [each.network for each in found[0].tuned] == [each.network for each in found[1].tuned]
    first, second = (each.model.state_dict() for each in found)
    assert all(torch.equal(each, second[name]) for name, each in first.items())
    assert capsys.readouterr().err == ""  # no terminal


def test_fine_tuning_begins_from_the_weights_of_the_model_or_from_adapted_ones() -> None:
    given, still = model(), Tuning(epochs=0)
    session = CompactionSession(given, *loaders(), input=(3, 16, 16), device="cpu", evaluator={"recalibration": 64})
    session.evaluator.train([session.network] * 2)
    own, adapted = (session.tune(session.network, still, start) for start in STARTS)
    weights = own.model.state_dict()
    assert all(torch.equal(each, weights[name]) for name, each in given.state_dict().items())
    assert not torch.equal(adapted.model.get_submodule("conv_stem").weight, given.get_submodule("conv_stem").weight)
    assert (own.how, adapted.how) == ("fine-tuned from own weights", "fine-tuned from adapted weights")
    moves = Moves(session.network, session.rule)
    after = moves.apply(moves.sample(np.random.default_rng(0)))
    inherited = dict(nat_timm.inherit(given, after).named_parameters())
    assert all(torch.equal(each, inherited[name]) for name, each in session.tune(after, still).model.named_parameters())


def test_the_better_start_counts_and_of_the_model_itself_also_as_it_came() -> None:
    session = CompactionSession(model(), *loaders(), input=(3, 16, 16), device="cpu")
    session.evaluator.train([session.network] * 4)
    tuning = Tuning(epochs=1)
    tuned = [session.tune(session.network, tuning, start).accuracy for start in STARTS]
    assert len(set(tuned)) == 2
    assert session.best(session.network, tuning, STARTS).accuracy == max(tuned)
    assert session.best(session.network, tuning, STARTS[:1]).accuracy == tuned[0]


def test_where_nothing_was_adapted_a_network_is_tuned_once() -> None:
    session = CompactionSession(model(), *loaders(), input=(3, 16, 16), device="cpu")
    assert session.best(session.network, Tuning(epochs=0), STARTS[::-1]).how == "fine-tuned from own weights"
    session.evaluator.train([session.network])
    assert session.best(session.network, Tuning(epochs=0), STARTS[1:]).how == "fine-tuned from adapted weights"


def test_with_fits_what_reads_a_cut_begins_from_least_squares() -> None:
    given, still = lively("test_efficientnet", classes=10), Tuning(epochs=0)
    session = CompactionSession(given, *loaders(), input=(3, 16, 16), device="cpu", fits=True)
    after, path = _halved(session.network)
    weights = [session.tune(after, still).model, nat_timm.inherit(given, after)]
    found, inherited = (each.get_submodule(f"{path}.conv_pwl").weight for each in weights)
    assert found.shape == inherited.shape
    assert not torch.allclose(found, inherited)


def _halved(network: Network) -> tuple[Network, str]:
    """With fewer hidden channels in one block, and the path of that."""
    return next(
        (
            network.with_ops(
                [op if each == slot else own for each, own in zip(network.slots, network.ops, strict=True)]
            ),
            slot.cell,
        )
        for slot in network.slots
        for op in network.edge(slot).choices
        if str(op.values.get("name", "")).startswith(("mbconv_k3_e3", "mbconv_e3"))
    )


def tuned(accuracy: float, how: str, measured: MeasuredLatency | None = None) -> Tuned:
    network = nat_timm.to_network(timm.create_model("test_resnet"), (3, 32, 32))
    return Tuned(network, cost(network), nn.Identity(), accuracy, how, measured)


def test_what_is_printed_says_what_holds() -> None:
    measured, setting = (
        MeasuredLatency(8.0, 7.9, 8.1, 8.4, 0.8),
        Setting(1, "cpu", "float32", 2, "channels_last", "eager", "wall time"),
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
        self.setting = Setting(1, "cpu", "float32", 1, "channels_last", "eager", "MACs")

    def __call__(self, network: Network) -> float:
        return self.whole - self.belief * (self.whole - cost(network).macs)

    def measured(self, network: Network, estimate: float) -> MeasuredLatency:
        assert estimate == self(network)
        macs = cost(network).macs
        return MeasuredLatency(macs, macs, macs, self(network), macs / self.whole)


@pytest.mark.parametrize("belief", [1.0, 1.15])
def test_a_limit_on_latency_holds_for_whole_models_and_is_used(belief: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the estimate believes in more than is saved."""
    session = CompactionSession(model(), *loaders(32, 20), input=(3, 16, 16), device="cpu")
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


def frozen() -> nn.Module:
    return model().requires_grad_(False)


def without_numbers() -> nn.Module:
    found = model()
    with torch.no_grad():
        found.get_submodule("conv_stem").weight[0] = float("nan")
    return found


def half_of_it() -> nn.Module:
    found = model()
    found.get_submodule("blocks.3").half()
    return found


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: model().half(), r"'conv_stem.weight' of the model is float16: give the model in float32"),
        (lambda: model().bfloat16(), "is bfloat16"),
        (lambda: model().double(), "is float64"),
        (half_of_it, "'blocks.3.*' of the model is float16"),
        (frozen, "all weights of the model are frozen"),
        (without_numbers, "'conv_stem.weight' of the model holds values that are infinite or no numbers"),
        (lambda: timm.create_model("mobilenetv2_035", num_classes=10, device="meta"), "on the device 'meta'"),
        (lambda: "mobilenetv2_100", "timm.create_model"),
    ],
)
def test_a_model_that_cannot_be_worked_on_is_one_line(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(NATError, match=message) as caught:
        nat_timm.compact(make(), *loaders(32, 20), budget={"macs": "0.8x"}, **QUICK)
    assert "\n" not in str(caught.value)


def test_weights_that_are_frozen_stay_as_they_are() -> None:
    given = model()
    given.get_submodule("blocks.0").requires_grad_(False)
    session = CompactionSession(given, *loaders(), input=(3, 16, 16), device="cpu")
    session.evaluator.train([session.network] * 2)
    for start in STARTS:
        after = session.tune(session.network, Tuning(epochs=1), start).model
        kept = dict(given.get_submodule("blocks.0").named_parameters())
        assert all(torch.equal(each, kept[name]) for name, each in after.get_submodule("blocks.0").named_parameters())
        assert not torch.equal(after.get_submodule("conv_head").weight, given.get_submodule("conv_head").weight)


def test_images_of_any_float_are_taken() -> None:
    [(x, _)] = batches([(X.double(), Y)], CPU, (3, 16, 16), 10, "val_loader")
    assert x.dtype == torch.float32


def test_a_model_within_the_budget_is_a_candidate_itself() -> None:
    train, val = loaders()
    result = nat_timm.compact(model(), train, val, budget={"macs": "1.0x"}, strategy="random", **QUICK)
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


@dataclass(frozen=True)
class Given:
    """A loader of certain batches."""

    batches: tuple[Any, ...]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


X, Y = torch.zeros(4, 3, 16, 16), torch.tensor([0, 1, 2, 9])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"train": Given(((X[:, :1], Y),))},
            r"train_loader: batch 0 is torch.float32 of \(4, 1, 16, 16\); \(3, 16, 16\)",
        ),
        ({"train": Given(((X, Y), (X.byte(), Y)))}, "train_loader: batch 1 is torch.uint8"),
        ({"train": Given(((X, Y + 1),))}, "train_loader: batch 0 has other labels than .* from 0 to 9"),
        ({"train": Given(((X, torch.zeros(4, 10)),))}, "train_loader: batch 0 has other labels"),
        ({"train": Given((X,))}, "train_loader: batch 0 is no pair of tensors"),
        ({"train": Given(())}, "train_loader has no batch: no images, or with drop_last fewer than a batch"),
        ({"train": Given(((X[:1], Y[:1]),))}, "train_loader gives no batch of two images or more"),
        (
            {"train": Given(((X[:1], Y[:1]),)), "search": {"warmup": 0, "rounds": 1, "proposals": 2, "steps": 0}},
            "train_loader gives no batch of two images or more",
        ),
        ({"val": iter([(X, Y)])}, "val_loader can be gone through only once"),
        ({"starts": ()}, r"compact\.starts: .*one or more of own, adapted are needed"),
        ({"starts": ("fresh",)}, r"compact\.starts\.0: Input should be 'own' or 'adapted'"),
        ({"budget": "0.9x"}, r"compact\.budget: Input should be a valid dictionary"),
        ({"seed": -1}, r"compact\.seed: Input should be greater than or equal to 0"),
        ({"input": (16,)}, r"^input: \(16,\) is no image; write \(channels, height, width\), as in \(3, 32, 32\)"),
        ({"input": "3x8x8"}, "^input: '3x8x8' is no image"),
        ({"input": (3, 0, 8)}, "^input: 0 is no whole number from 1"),
        ({"device": None}, r"compact\.device: Input should be a valid string"),
        ({"search": 3}, "search is '3': give a dict of settings"),
        ({"tuning": [1]}, r"tuning is '\[1\]': give a dict of settings"),
        ({"strategy": None}, "strategy is 'None': give a name"),
        ({"train": iter([(X, Y)])}, "train_loader has no len"),
        ({"val": Given(())}, "val_loader: it gives 0 images"),
        ({"val": Given(((X, -Y),))}, "val_loader: batch 0 has other labels"),
        ({"budget": {"macs": "0.001x"}}, "no network reachable under rules .* fits the budget"),
        ({"budget": {"watts": "1x"}}, "watts"),
        ({"strategy": "best"}, "strategy.name: 'best' is not known; allowed: evolution"),
        (
            {"strategy": "magnitud"},
            "'magnitud' is not known .did you mean 'magnitude'.*; allowed: evolution.* magnitude",
        ),
        (
            {"strategy": "magnitude", "budget": {"macs": "0.42x"}},
            r"^magnitude leaves out blocks only, .* macs .* raise the",
        ),
        ({"strategy": {"name": "magnitude", "lr": 1}}, "strategy: 'magnitude' has no settings; leave out lr"),
        ({"strategy": {"name": "nat", "speed": 1}}, "strategy.speed: unknown key"),
        ({"search": {"round": 1}}, "search.round: unknown key; did you mean 'rounds'"),
        ({"evaluator": {"weights": "x"}}, "evaluator.weights: unknown key"),
        ({"tuning": {"lr": -1}}, "tuning.lr: Input should be greater than 0"),
        ({"tuning": {"epoch": 1}}, "tuning.epoch: unknown key; did you mean 'epochs'"),
        ({"candidates": 0}, r"compact\.candidates: Input should be greater than or equal to 1"),
        ({"candidates": "few"}, r"compact\.candidates: "),
        ({"rules": "nat+"}, "nat+"),
        ({"device": "gpu"}, "device 'gpu' is not one of"),
        ({"model": nn.Sequential(nn.Conv2d(3, 4, 3))}, "timm"),
        ({"input": (1, 16, 16)}, "channels"),
    ],
)
def test_bad_input_is_one_line(change: dict[str, Any], message: str) -> None:
    train, val = loaders(64, 20)
    given = QUICK | {"model": model(), "train": train, "val": val, "budget": {"macs": "0.8x"}, "strategy": "random"}
    given |= change
    first = (given.pop("model"), given.pop("train"), given.pop("val"))
    with pytest.raises(NATError, match=message) as caught:
        nat_timm.compact(*first, **given)
    assert "\n" not in str(caught.value)


def test_fine_tuning_that_diverges_says_so() -> None:
    given = model()
    with torch.no_grad():
        given.get_submodule("conv_stem").weight.fill_(float("nan"))
    with pytest.raises(NATError, match=r"fine-tuning diverged at a learning rate of 0\.01; lower it"):
        fine_tune(given, TuningImages(lambda: iter([(X, Y)]), 1), Tuning(epochs=1), CPU)


def test_distance_is_the_divergence_of_softened_outputs() -> None:
    ours, theirs = torch.tensor([[1.0, 0.0, -1.0], [0.0, 2.0, 0.0]]), torch.tensor([[0.5, 0.0, 0.0], [0.0, 2.0, 0.0]])
    p, q = (theirs / 3).softmax(1), (ours / 3).softmax(1)
    assert float(distance(ours, theirs, 3.0)) == pytest.approx(float(9 * (p * (p / q).log()).sum()), rel=1e-4)
    assert float(distance(ours, ours, 3.0)) == pytest.approx(0, abs=1e-6)


def test_images_to_measure_on_are_drawn_of_all_classes() -> None:
    """Of a loader that is sorted by class: as many as asked for, none twice, always the same."""
    train, val = loaders()

    def drawn(images: int | None) -> tuple[Tensor, Tensor]:
        feed = LoaderFeed(Loaders(train, val, (3, 16, 16), 10), CPU, 0, images=images, batch=16)
        found = list(feed.reward(0, 0))
        assert all(len(y) <= 16 for _, y in found)
        return torch.cat([x for x, _ in found]), torch.cat([y for _, y in found])

    x, y = drawn(40)
    assert len(y) == 40
    assert len(y.unique()) > 7
    assert len({each.numpy().tobytes() for each in x}) == 40
    assert torch.equal(drawn(40)[0], x)
    every, labels = drawn(None)
    assert len(every) == 100
    assert (labels[1:] < labels[:-1]).any()


def test_all_of_the_images_to_measure_on_can_be_gone_through() -> None:
    feed = LoaderFeed(Loaders(*loaders(), (3, 16, 16), 10), CPU, 0, images=8, batch=16)
    found, order = feed.batches("selection")
    assert sum(len(y) for _, y in found) == len(order) == 100
    with pytest.raises(NATError, match="'test': there are images of train_loader and val_loader only"):
        feed.batches("test")


def test_the_teacher_is_the_model_as_it_came_with_and_without_distillation() -> None:
    for distil in (0.0, 0.5):
        given = model()
        session = CompactionSession(given, *loaders(), input=(3, 16, 16), device="cpu", evaluator={"distil": distil})
        session.evaluator.train([session.network] * 3)
        weights = session.teacher.state_dict()
        assert all(torch.equal(each, weights[name]) for name, each in given.state_dict().items())


def test_a_folder_without_images_is_one_line(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(NATError, match="no images in a folder for each class") as caught:
            timm_loaders(model(), str(folder), str(folder))
        assert "\n" not in str(caught.value)


def test_loaders_of_timm_have_the_transforms_of_the_model(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for part in ("train", "val"):
        for name in ("cat", "dog"):
            (tmp_path / part / name).mkdir(parents=True)
            for number in range(4):
                pixels = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / part / name / f"{number}.png")
    given = timm.create_model("mobilenetv2_035", num_classes=2)
    given.pretrained_cfg = given.pretrained_cfg | {"input_size": (3, 32, 32), "mean": (0.1, 0.2, 0.3)}
    train, val = timm_loaders(given, str(tmp_path), batch=4, workers=0)
    assert len(train) == len(val) == 2
    x, y = next(iter(val))
    assert (x.shape, y.tolist()) == ((4, 3, 32, 32), [0, 0, 0, 0])
    transform = timm.data.create_transform(**timm.data.resolve_data_config({}, model=given))
    torch.testing.assert_close(x[0], transform(Image.open(tmp_path / "val" / "cat" / "0.png")))
    result = nat_timm.compact(given, train, val, budget={"macs": "0.8x"}, **QUICK | {"input": (3, 32, 32)})
    assert result.best.cost.macs <= 0.8 * result.before.cost.macs


def test_folders_that_do_not_fit_together_or_the_model_are_one_line(tmp_path: Path) -> None:
    for part, names in (("train", "ab"), ("val", "ab"), ("other", "bc")):
        for name in names:
            (tmp_path / part / name).mkdir(parents=True)
            Image.new("RGB", (8, 8)).save(tmp_path / part / name / "0.png")
    given, train = timm.create_model("test_resnet", num_classes=2), str(tmp_path / "train")
    with pytest.raises(NATError, match="class 'a' is in only one of the two folders"):
        timm_loaders(given, train, str(tmp_path / "other"))
    with pytest.raises(NATError, match=r"the folders hold 2 classes, the model has 10: make it with num_classes=2"):
        timm_loaders(model(), train, str(tmp_path / "val"))
    with pytest.raises(NATError, match="has to hold the folders train and one of val, valid, validation"):
        timm_loaders(given, train)
    (tmp_path / "valid").mkdir()
    with pytest.raises(NATError, match="has to hold the folders train and one of"):
        timm_loaders(given, str(tmp_path))


def test_a_table_of_costs_limits_what_is_proposed_and_has_to_be_of_the_model(tmp_path: Path) -> None:
    network = nat_timm.to_network(model(), (3, 16, 16))
    own = fingerprint(network, nat_timm.TimmAdapter().identity(network))
    blank = blank_table(network, "energy", "mJ", TableSubject(own, "mine"))
    costs = {slot: {op: Figure(float(number)) for number, op in enumerate(ops)} for slot, ops in blank.costs.items()}
    path = tmp_path / "energy.json"
    replace(blank, fixed=Figure(9.0), costs=costs).write(path)
    given = {"input": (3, 16, 16), "device": "cpu", "costs": {"energy": path}}
    session = CompactionSession(model(), *loaders(32, 20), **given)
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
        CompactionSession(model(), *loaders(32, 20), **{**given, "input": (3, 32, 32)})
    with pytest.raises(NATError, match="this table is of 'energy', not of 'latency'"):
        CompactionSession(model(), *loaders(32, 20), **{**given, "costs": {"latency": path}})
    with pytest.raises(NATError, match=r"costs is 'energy\.json': give a dict"):
        CompactionSession(model(), *loaders(32, 20), **{**given, "costs": "energy.json"})
    with pytest.raises(NATErrors, match=r"latency\.batch: Input should be greater than or equal to 1"):
        CompactionSession(model(), *loaders(32, 20), **{**given, "latency": {"batch": 0}})
