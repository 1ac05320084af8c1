"""EfficientNet-Lite0 with its ImageNet weights, on photographs: unmoved it sees what the original sees."""

from __future__ import annotations

from pathlib import Path

import nat_timm
import numpy as np
import pytest
import timm
import torch
from skimage import data as photographs
from sklearn.datasets import load_sample_image
from torch import nn
from torch.nn import functional

from benchmarks.experiments.timm.pretrained.lite0 import efficientnet_lite0
from nat_plugin.ir import NULL, Network, cost
from nat_plugin.nets.counting import count

SEEN = {"chelsea": {281, 282, 285}, "coffee": {504, 967, 968}}  # tabby, tiger cat, Egyptian cat; mug, espresso, cup


@pytest.fixture(scope="module")
def original() -> nn.Module:
    return efficientnet_lite0()


@pytest.fixture(scope="module")
def photos() -> dict[str, torch.Tensor]:
    """Images (3, 224, 224), normalised as the weights want it."""
    arrays = {name: getattr(photographs, name)() for name in ("astronaut", "chelsea", "coffee", "rocket")}
    arrays |= {name: load_sample_image(f"{name}.jpg") for name in ("china", "flower")}
    found = {}
    for name, array in arrays.items():
        image = torch.from_numpy(np.array(array)).permute(2, 0, 1).float() / 127.5 - 1
        top, left = (image.shape[1] - min(image.shape[1:])) // 2, (image.shape[2] - min(image.shape[1:])) // 2
        square = image[None, :, top : image.shape[1] - top, left : image.shape[2] - left]
        found[name] = functional.interpolate(square, (224, 224), mode="bicubic", antialias=True)[0]
    return found


def top5(model: nn.Module, photos: dict[str, torch.Tensor]) -> dict[str, list[int]]:
    with torch.no_grad():
        logits = model(torch.stack(list(photos.values())))
    return dict(zip(photos, logits.topk(5).indices.tolist(), strict=True))


def with_choice(network: Network, name: str, key: str) -> Network:
    """The network with the op of that name on the edge at a module path."""
    ops = list(network.ops)
    for number, slot in enumerate(network.slots):
        edge = network.edge(slot)
        if edge.key == key:
            (ops[number],) = [op for op in edge.choices if op.values.get("name", str(op)) == name]
    return network.with_ops(ops)


def test_unmoved_and_saved_it_gives_the_top_five_of_the_original(
    original: nn.Module, photos: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    seen = top5(original, photos)
    for name, classes in SEEN.items():
        assert classes & set(seen[name]), name
    unmoved = nat_timm.inherit(original, nat_timm.to_network(original))
    assert nat_timm.save(unmoved, tmp_path) is True
    loaded = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
    images = torch.stack(list(photos.values()))
    with torch.no_grad():
        assert torch.equal(loaded(images), original(images))
    assert top5(loaded, photos) == seen


def test_a_small_move_keeps_most_of_what_it_sees(original: nn.Module, photos: dict[str, torch.Tensor]) -> None:
    network = nat_timm.to_network(original)
    lean = with_choice(network, "null", "blocks.4.2")
    assert NULL in lean.ops
    model = nat_timm.inherit(original, lean)
    assert count(model, (3, 224, 224)) == cost(lean)
    before, after = top5(original, photos), top5(model, photos)
    assert all(classes & set(after[name]) for name, classes in SEEN.items())
    assert sum(len(set(before[name]) & set(after[name])) for name in before) >= 0.5 * 5 * len(before)


def test_important_channels_carry_more_than_others(original: nn.Module, photos: dict[str, torch.Tensor]) -> None:
    """Of the channels of a block two thirds are kept: the important ones change the logits less than the first ones."""
    network = nat_timm.to_network(original)
    lean = nat_timm.inherit(original, with_choice(network, "mbconv_k5_e4", "blocks.4.1"))
    other = nat_timm.inherit(original, with_choice(network, "mbconv_k5_e4", "blocks.4.1"))
    block, donor = other.get_submodule("blocks.4.1"), original.get_submodule("blocks.4.1")
    keep = block.conv_pw.out_channels
    with torch.no_grad():
        for name, value in donor.state_dict().items():
            target = block.state_dict()[name]
            target.copy_(
                value[:, :keep] if name == "conv_pwl.weight" else value[: len(target)] if value.dim() else value
            )
        images = torch.stack(list(photos.values()))
        change = [(model(images) - original(images)).norm() for model in (lean, other)]
    assert change[0] < change[1]
