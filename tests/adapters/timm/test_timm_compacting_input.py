"""What ``compact`` says of models, loaders and settings that it cannot work with: one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import nat_timm
import pytest
import timm
import torch
from torch import nn

from nat_plugin.errors import NATError
from tests.adapters.timm.compaction import QUICK, X, Y, loaders, model


def frozen() -> nn.Module:
    return model().requires_grad_(False)


def without_numbers() -> nn.Module:
    found = model()
    with torch.no_grad():
        found.get_submodule("conv_stem").weight[0] = float("nan")
    return found


def too_large() -> nn.Module:
    """With finite weights, of which no finite output comes."""
    found = model()
    with torch.no_grad():
        for each in found.parameters():
            each.mul_(1e20)
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
        (without_numbers, "'conv_stem.weight' of the model holds values that are infinite or NaN"),
        (too_large, "the model gives values that are infinite or NaN for these images"),
        (lambda: timm.create_model("mobilenetv2_035", num_classes=10, device="meta"), "on the device 'meta'"),
        (lambda: "mobilenetv2_100", "timm.create_model"),
    ],
)
def test_a_model_that_cannot_be_worked_on_is_one_line(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(NATError, match=message) as caught:
        nat_timm.compact(make(), *loaders(32, 20), budget={"macs": "0.8x"}, **QUICK)
    assert "\n" not in str(caught.value)


@dataclass(frozen=True)
class Given:
    """A loader of certain batches."""

    batches: tuple[Any, ...]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


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
        ({"train": Given(((X * float("nan"), Y),))}, "train_loader: batch 0 has values that are infinite or NaN"),
        ({"val": Given(((X, Y), (X / 0, Y)))}, "val_loader: batch 1 has values that are infinite or NaN"),
        ({"train": Given((X,))}, "train_loader: batch 0 is not a pair of tensors"),
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
        (
            {"input": (16,)},
            r"^input: \(16,\) is not the shape of an image; write \(channels, height, width\), as in \(3, 32, 32\)",
        ),
        ({"input": "3x8x8"}, "^input: '3x8x8' is not the shape of an image"),
        ({"input": (3, 0, 8)}, "^input: 0 is not a whole number from 1"),
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
