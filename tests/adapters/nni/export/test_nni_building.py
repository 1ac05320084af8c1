"""NNI's own models of opaque networks: built, and trained by ``nat run``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from adapters.nni.nni_samples import drawn
from nat_darts import DartsAdapter
from nat_nni.adapter import NNIAdapter
from nat_nni.export.building import build_for
from nat_nni.export.counting import count_frozen
from nat_nni.spaces.hub import BUILT
from nni.nas.hub import pytorch as hub

from nat_plugin.errors import NATError
from nat_plugin.ir import Moves, NetworkSize, canonical, cost, find_rule
from nat_plugin.plugins import plugins
from nat_plugin.runs.progress import Silent
from nat_plugin.runs.recipe import plan
from nat_plugin.runs.run import start

SIZES: dict[str, dict[str, Any]] = {
    "NasBench101": {"stem_out_channels": 8, "num_stacks": 2, "num_modules_per_stack": 1},
    "ProxylessNAS": {"base_widths": [8] * 8 + [16]},
    "ShuffleNetSpace": {},
    "MobileNetV3Space": {"base_widths": [8] * 9},
}
"""Of the spaces whose networks are opaque, small."""
PROXYLESS = {**{f"s{stage}_depth": 1 for stage in range(2, 7)}, "s7_i0": "k3e6"} | {
    f"s{stage}_i{block}": "k7e6" for stage in range(2, 7) for block in range(4)
}
ONE_EPOCH = {"epochs": 1, "batch": 64, "lr": 0.05, "cutout": 0, "auxiliary": 0, "drop_path": 0}


def space_of(name: str) -> Any:
    arguments = {key: tuple(value) if isinstance(value, list) else value for key, value in SIZES[name].items()}
    with torch.device("meta"):
        return getattr(hub, name)(num_labels=7, **arguments)


@pytest.mark.parametrize(("name", "channels"), [("NasBench101", 1), ("ProxylessNAS", 3), ("ShuffleNetSpace", 1)])
def test_the_module_of_a_moved_network_is_the_model_that_nni_freezes(name: str, channels: int) -> None:
    space, adapter = space_of(name), NNIAdapter(name, SIZES[name])
    network = adapter.read(json.dumps(drawn(space, 1)), NetworkSize(input=(channels, 16, 16), classes=7))
    moves = Moves(network, find_rule("nat"))
    moved = canonical(moves.apply(moves.sample(np.random.default_rng(0))))
    sample = json.loads(adapter.write(moved))
    assert cost(moved) == count_frozen(space, sample, (3, 16, 16)), "a grey image is given three times"
    module = adapter.module(moved)
    assert module is not None
    assert module.training
    shapes = {key: value.shape for key, value in module.state_dict().items()}
    assert shapes == {key: value.shape for key, value in space.freeze(sample).state_dict().items()}
    images = torch.randn(4, channels, 16, 16)
    assert module(images).shape == (4, 7)
    if channels == 1:
        assert torch.equal(module.eval()(images), module(images.expand(-1, 3, -1, -1)))


@pytest.mark.parametrize("name", BUILT)
def test_every_space_whose_networks_are_opaque_is_built_with_fresh_weights(name: str) -> None:
    sample = drawn(space_of(name), 2)
    made = []
    for seed in (0, 1, 1):
        torch.manual_seed(seed)
        made.append(build_for(name, SIZES[name], sample, (1, 16, 16), 7))
    first, second, third = (torch.cat([each.flatten() for each in model.parameters()]) for model in made)
    assert torch.equal(second, third)
    assert not torch.equal(first, second)
    assert made[0](torch.randn(2, 1, 16, 16)).shape == (2, 7)


def test_networks_that_the_core_builds_have_none() -> None:
    adapter, size = NNIAdapter(), NetworkSize()
    nasbench201 = {f"cell/{end}": "conv_3x3" for end in ("0_1", "0_2", "1_2", "0_3", "1_3", "2_3")}
    for text in (adapter.published()["darts-v2"].text, json.dumps(nasbench201)):
        assert adapter.module(adapter.read(text, size)) is None
    darts = DartsAdapter()
    assert adapter.module(darts.read(darts.published()["DARTS_V2"].text, size)) is None


@pytest.mark.parametrize(
    ("shape", "classes", "complaint"),
    [
        ((4, 16, 16), 7, r"ProxylessNAS does not run on images of \(4, 16, 16\)"),
        ((3, 16, 16), 8, "does not give logits of 8 classes"),
    ],
)
def test_images_and_classes_that_do_not_fit_are_refused_in_one_line(
    shape: tuple[int, int, int], classes: int, complaint: str
) -> None:
    arguments = {**SIZES["ProxylessNAS"], "num_labels": 7}
    with pytest.raises(NATError, match=complaint) as error:
        build_for("ProxylessNAS", arguments, PROXYLESS, shape, classes)
    assert "\n" not in str(error.value)


def test_a_recipe_trains_and_searches_a_space_of_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = {
        "source": json.dumps(PROXYLESS),
        "adapter": {"name": "nni", "space": "ProxylessNAS", "arguments": SIZES["ProxylessNAS"]},
        "rules": "nat++",
        "budget": {"macs": "0.8x"},
        "strategy": {"name": "random"},
        "search": {"rounds": 1, "proposals": 2, "steps": 0},
        "evaluator": {"name": "training", "data": {"name": "digits", "limit": 300}, "schedule": ONE_EPOCH},
        "final": {"candidates": 1, "schedule": ONE_EPOCH},
    }
    folder = tmp_path / "run"
    result = start(plan({**recipe, "device": "cpu"}, plugins()), folder, plugins(), Silent())
    found = json.loads((folder / "architecture.txt").read_text())
    space = hub.ProxylessNAS(num_labels=10, base_widths=tuple(SIZES["ProxylessNAS"]["base_widths"]))
    limit = count_frozen(space, PROXYLESS, (3, 8, 8)).macs * 0.8
    assert count_frozen(space, found, (3, 8, 8)).macs <= limit
    assert space.freeze(found)(torch.randn(2, 3, 8, 8)).shape == (2, 10)
    assert result["trained_for_real"]
    assert (result["verdict"], result["beyond_noise"]) == ("none", None)  # there is one training of each
    code = (folder / "report.md").read_text().partition("```python\n")[2].partition("```")[0]
    monkeypatch.chdir(folder)
    exec(code, {})  # what was just written
