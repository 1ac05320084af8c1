"""What is saved is loaded again by timm and is the model; anything else is refused, and nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nat_timm
import pytest
import timm
import torch
from torch import nn
from torch.nn.utils import prune

from nat_plugin.errors import NATError
from nat_plugin.files import WriteError
from nat_plugin.ir import Network, cost
from tests.adapters.timm.samples import CLASSES, images, lively, moved

SIZE = 64


def another_classifier(model: nn.Module) -> None:
    model.fc = nn.Linear(model.num_features, 3)


def another_block(model: nn.Module) -> None:
    model.layer2[1] = nn.Sequential(nn.Conv2d(48, 48, 3, padding=1))


def no_block(model: nn.Module) -> None:
    model.layer2[1] = nn.Identity()


def another_activation(model: nn.Module) -> None:
    model.layer1[0].act1 = nn.Sigmoid()


def thinned(model: nn.Module) -> None:
    """As tools do that cut channels."""
    block = model.layer1[0]
    for layer, name in ((block.conv1, "weight"), (block.bn1, "weight"), (block.bn1, "bias")):
        setattr(layer, name, nn.Parameter(getattr(layer, name)[:10].detach()))
    block.conv1.out_channels = block.bn1.num_features = 10
    block.bn1.running_mean, block.bn1.running_var = block.bn1.running_mean[:10], block.bn1.running_var[:10]
    block.conv2.weight = nn.Parameter(block.conv2.weight[:, :10].detach())
    block.conv2.in_channels = 10


def masked(model: nn.Module) -> None:
    prune.l1_unstructured(model.layer3[0].conv1, "weight", 0.5)


def weights_removed(model: nn.Module) -> None:
    model.to("meta")


@pytest.mark.parametrize("is_moved", [False, True])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (another_classifier, r"'fc' is Linear\(.*out_features=3.*says so: model.num_classes = 3"),
        (another_block, "'layer2.1' is a Sequential, where timm builds a "),
        (no_block, "'layer2.1"),
        (another_activation, "'layer1.0.act1' is a Sigmoid, where timm builds (a )?ReLU"),
        (thinned, r"'layer1.0.conv1' is Conv2d\(\d+, 10,"),
        (masked, "'layer3.0.conv1' is "),
        (weights_removed, "meta device"),
    ],
)
def test_a_model_that_timm_would_not_build_is_refused_and_nothing_is_written(
    change: Callable[[nn.Module], None], said: str, is_moved: bool, tmp_path: Path
) -> None:
    model = lively("test_resnet", layers=[2, 2, 2, 2])
    if is_moved:
        names = ("layer1.0", "layer2.1", "layer3.0")
        model = nat_timm.inherit(model, moved_elsewhere(model, names))
    change(model)
    with pytest.raises(NATError, match=said) as error:
        nat_timm.save(model, tmp_path / "new")
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def moved_elsewhere(model: nn.Module, names: tuple[str, ...]) -> Network:
    """A move that leaves the blocks of these names as they are."""
    network = nat_timm.to_network(model, (3, SIZE, SIZE))
    after = moved(network, "nat++", 0)
    ops = [
        network.edge(slot).op if slot.cell in names else op for slot, op in zip(network.slots, after.ops, strict=True)
    ]
    assert ops != list(network.ops)
    return network.with_ops(ops)


@pytest.mark.parametrize("name", ["mobileone_s0", "repvit_m0_9"])
def test_a_reparameterised_model_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(NATError, match="save a model before it is re-parameterised"):
        nat_timm.save(timm.utils.reparameterize_model(lively(name)), tmp_path / "new")
    assert not list(tmp_path.iterdir())


def test_what_was_there_stays_when_a_model_is_refused(tmp_path: Path) -> None:
    model = lively("test_resnet")
    assert nat_timm.save(model, tmp_path) is True
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    model.fc = nn.Linear(model.num_features, 3)
    with pytest.raises(NATError, match="not saved"):
        nat_timm.save(model, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_that_cannot_be_filled_is_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nat_timm.save(lively("test_resnet", seed=1), tmp_path / "old")
    before = {path.name: path.read_bytes() for path in (tmp_path / "old").iterdir()}

    def full(path: Path, data: bytes) -> None:
        if "config" in path.name:  # the second of the two
            raise WriteError(f"{path}: cannot write: No space left on device")
        path.write_bytes(data)

    monkeypatch.setattr("nat_timm.saving.folders.write_bytes", full)
    for folder in ("old", "new"):
        with pytest.raises(WriteError):
            nat_timm.save(lively("test_resnet"), tmp_path / folder)
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert {path.name: path.read_bytes() for path in (tmp_path / "old").iterdir()} == before


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_convnext"])
@pytest.mark.parametrize("pool", [None, "max", ""])
def test_another_classifier_and_pool_are_saved_as_they_are(name: str, pool: str | None, tmp_path: Path) -> None:
    model = lively(name)
    lean = nat_timm.inherit(model, moved(nat_timm.to_network(model, (3, SIZE, SIZE)), "nat++", 1))
    nat_timm.save(lean, tmp_path)
    for subject in (model, lean, nat_timm.load(tmp_path)):  # of each timm has noted other arguments
        subject.reset_classifier(0 if pool == "" else 5, pool)
        nat_timm.save(subject, tmp_path)
        again = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
        with torch.no_grad():
            assert torch.equal(again(images(SIZE)), subject(images(SIZE)))


def test_half_precision_and_rates_of_dropping_are_no_other_model(tmp_path: Path) -> None:
    model = lively("test_resnet", drop_path_rate=0.1, drop_rate=0.2)
    assert nat_timm.save(model.half(), tmp_path) is True
    again = nat_timm.load(tmp_path)
    assert torch.equal(again.fc.weight, model.fc.weight.float())
    assert again.num_classes == CLASSES


def test_a_model_of_one_image_size_is_moved_and_saved_at_that_size_only(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = timm.create_model("test_coatnet", num_classes=CLASSES, img_size=SIZE).eval()  # 160 in its pretrained_cfg
    network = nat_timm.to_network(model)
    assert network.input == (3, SIZE, SIZE)
    with pytest.raises(NATError, match=r"takes images of 64x64 pixels, not 96x96; .* img_size=\(96, 96\)"):
        nat_timm.to_network(model, (3, 96, 96))
    lean = nat_timm.inherit(model, moved(network, "nat++", 1))
    assert sum(each.numel() for each in lean.parameters()) == cost(nat_timm.to_network(lean)).params
    nat_timm.save(lean, tmp_path / "lean")
    loaded = timm.create_model(f"local-dir:{tmp_path / 'lean'}", pretrained=True).eval()
    with torch.no_grad():
        assert torch.equal(loaded(images(SIZE)), lean(images(SIZE)))


@pytest.mark.parametrize("setting", ["exportable", "scriptable", "no_jit"])
def test_how_layers_compute_is_said_again_when_a_folder_is_loaded(setting: str, tmp_path: Path) -> None:
    """With these arguments timm builds layers that compute the same in other ways; a saved model may have either."""
    model = lively("mobilevitv2_050", **{setting: True})
    lean = nat_timm.inherit(model, moved(nat_timm.to_network(model, (3, SIZE, SIZE)), "nat++", 1))
    for subject, folder in ((model, tmp_path / "unmoved"), (lean, tmp_path / "moved")):
        nat_timm.save(subject, folder)
        for said in ({}, {setting: True}):
            again = timm.create_model(f"local-dir:{folder}", pretrained=True, **said).eval()
            blocks = [module for module in again.modules() if hasattr(module, "coreml_exportable")]
            assert blocks
            assert all(module.coreml_exportable is ("exportable" in said) for module in blocks)
            with torch.no_grad():
                torch.testing.assert_close(again(images(SIZE)), subject(images(SIZE)))
