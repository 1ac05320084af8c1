"""``compact``: a model and two loaders in, a leaner model out, with the baselines; and what is said of bad input."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nat_timm
import numpy as np
import pytest
import timm
import torch
from nat_timm.compacting import Workshop
from nat_timm.loaders import LoaderFeed, timm_loaders
from nat_timm.magnitude import without_small_blocks
from nat_timm.tuning import Tuning, accuracy, distance, fine_tune
from PIL import Image
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from nat_plugin.device import Compute
from nat_plugin.errors import NATError
from nat_plugin.ir import Budget, Moves, cost, find_rule
from tests.adapters.timm.samples import lively

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
def test_a_leaner_model_within_the_budget(strategy: Any, tmp_path: Path) -> None:
    train, val = loaders()
    given = model()
    before = {name: each.clone() for name, each in given.state_dict().items()}
    lines: list[str] = []
    result = nat_timm.compact(
        given, train, val, budget={"macs": "0.7x"}, strategy=strategy, report=lines.append, **QUICK
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
    result.save(tmp_path)
    loaded = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
    x = next(iter(val))[0]
    with torch.no_grad():
        torch.testing.assert_close(loaded(x), result.model(x), rtol=1e-4, atol=1e-4)  # the layout in memory may differ
    assert f"{result.before.accuracy:.2%}" in str(result)


def test_the_result_is_where_the_model_was(device: torch.device) -> None:
    train, val = loaders()
    result = nat_timm.compact(model(), train, val, budget={"macs": "0.7x"}, **(QUICK | {"device": str(device)}))
    assert {each.device.type for one in (result.before, *result.tuned) for each in one.model.parameters()} == {"cpu"}


def test_a_seed_gives_the_same_result_twice() -> None:
    found = []
    for _ in range(2):
        train, val = loaders()
        torch.randn(3)  # what a program has drawn before changes nothing
        found.append(nat_timm.compact(model(), train, val, budget={"params": "0.8x"}, **QUICK))
    assert [each.network for each in found[0].tuned] == [each.network for each in found[1].tuned]
    first, second = (each.model.state_dict() for each in found)
    assert all(torch.equal(each, second[name]) for name, each in first.items())


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
        ({"train": Given(())}, "train_loader: pass 1 over it gives no batch"),
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
        ({"strategy": {"name": "magnitude", "lr": 1}}, "strategy: 'magnitude' has no settings; leave out lr"),
        ({"strategy": {"name": "nat", "speed": 1}}, "strategy.speed: unknown key"),
        ({"search": {"round": 1}}, "search.round: unknown key; did you mean 'rounds'"),
        ({"evaluator": {"weights": "x"}}, "evaluator.weights: unknown key"),
        ({"tuning": {"lr": -1}}, "tuning.lr: Input should be greater than 0"),
        ({"tuning": {"epoch": 1}}, "tuning.epoch: unknown key; did you mean 'epochs'"),
        ({"candidates": 0}, "candidates is 0: one or more are tuned"),
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
        fine_tune(given, lambda: iter([(X, Y)]), 1, Tuning(epochs=1), CPU)


def test_distance_is_the_divergence_of_softened_outputs() -> None:
    ours, theirs = torch.tensor([[1.0, 0.0, -1.0], [0.0, 2.0, 0.0]]), torch.tensor([[0.5, 0.0, 0.0], [0.0, 2.0, 0.0]])
    p, q = (theirs / 3).softmax(1), (ours / 3).softmax(1)
    assert float(distance(ours, theirs, 3.0)) == pytest.approx(float(9 * (p * (p / q).log()).sum()), rel=1e-4)
    assert float(distance(ours, ours, 3.0)) == pytest.approx(0, abs=1e-6)


def test_images_to_measure_on_are_drawn_of_all_classes() -> None:
    """Of a loader that is sorted by class: as many as asked for, none twice, always the same."""
    train, val = loaders()

    def drawn(images: int | None) -> tuple[Tensor, Tensor]:
        feed = LoaderFeed(train, val, (3, 16, 16), 10, CPU, 0, images=images, batch=16)
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
    feed = LoaderFeed(*loaders(), (3, 16, 16), 10, CPU, 0, images=8, batch=16)
    found, order = feed.whole("selection")
    assert sum(len(y) for _, y in found) == len(order) == 100
    with pytest.raises(NATError, match="'test': there are images of train_loader and val_loader only"):
        feed.whole("test")


def test_the_teacher_is_the_model_as_it_came_with_and_without_distillation() -> None:
    for distil in (0.0, 0.5):
        given = model()
        shop = Workshop(given, *loaders(), input=(3, 16, 16), device="cpu", evaluator={"distil": distil})
        shop.evaluator.train([shop.network] * 3)
        weights = shop.teacher.state_dict()
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
    train, val = timm_loaders(given, str(tmp_path / "train"), str(tmp_path / "val"), batch=4, workers=0)
    assert len(train) == len(val) == 2
    x, y = next(iter(val))
    assert (x.shape, y.tolist()) == ((4, 3, 32, 32), [0, 0, 0, 0])
    transform = timm.data.create_transform(**timm.data.resolve_data_config({}, model=given))
    torch.testing.assert_close(x[0], transform(Image.open(tmp_path / "val" / "cat" / "0.png")))
    result = nat_timm.compact(given, train, val, budget={"macs": "0.8x"}, **QUICK | {"input": (3, 32, 32)})
    assert result.best.cost.macs <= 0.8 * result.before.cost.macs
