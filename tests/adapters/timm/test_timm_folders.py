"""Model folders: saved, shown, and loaded by timm in a fresh process, with strict weights and equal outputs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nat_timm
import pytest
import timm
import torch
from nat_timm.adapter import TimmAdapter
from nat_timm.building.features import find_classifier
from safetensors.torch import load_file, save_file
from torch import nn

from nat_plugin.errors import NATError
from nat_plugin.ir import NULL, NetworkSize, canonical, cost
from tests.adapters.timm.samples import CLASSES, images, lively, moved
from tests.command_line import Nat

SIZE = 64


@pytest.fixture(scope="module")
def lean() -> nn.Module:
    """A moved model."""
    model = lively("mobilenetv2_050")
    return nat_timm.inherit(model, moved(nat_timm.to_network(model, (3, SIZE, SIZE)), "nat++", 5, 0.8))


@pytest.fixture(scope="module")
def folder(lean: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("lean")
    assert nat_timm.save(lean, found) is False
    return found


def shallow(name: str, block: str) -> nn.Module:
    """A model without one of its blocks."""
    model = lively(name)
    network = nat_timm.to_network(model, (3, SIZE, SIZE))
    ops = [NULL if slot.cell == block and NULL in network.edge(slot).choices else op
           for slot, op in zip(network.slots, network.ops, strict=True)]  # fmt: skip
    return nat_timm.inherit(model, network.with_ops(ops))


def test_the_layout_in_memory_makes_no_difference(lean: nn.Module, folder: Path, tmp_path: Path) -> None:
    copy = nat_timm.load(folder).to(memory_format=torch.channels_last)
    assert not all(each.is_contiguous() for each in copy.state_dict().values())
    nat_timm.save(copy, tmp_path)
    assert (tmp_path / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    assert not next(copy.parameters()).is_contiguous()


def test_timm_loads_it_in_a_fresh_process_and_plain_timm_what_arguments_can_say(
    lean: nn.Module, folder: Path, tmp_path: Path
) -> None:
    stock = shallow("convnext_atto", "stages.2.blocks.2")
    assert nat_timm.save(stock, tmp_path / "stock") is True
    with torch.no_grad():
        save_file(
            {"x": images(SIZE), "own": lean(images(SIZE)), "stock": stock(images(SIZE))}, tmp_path / "t.safetensors"
        )
    code = f"""
import sys, timm, torch
from safetensors.torch import load_file
tensors = load_file({str(tmp_path / "t.safetensors")!r})
with torch.no_grad():
    plain = timm.create_model("local-dir:{tmp_path / "stock"}", pretrained=True).eval()
    assert torch.equal(plain(tensors["x"]), tensors["stock"])
    assert "nat_timm" not in sys.modules
    import nat_timm
    own = timm.create_model("local-dir:{folder}", pretrained=True).eval()
    assert torch.equal(own(tensors["x"]), tensors["own"])
print("both")
"""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert said.stdout == "both\n", said.stderr


def test_the_entrypoint_is_registered_whichever_is_imported_first() -> None:
    code = "import nat_timm, sys; assert 'timm' not in sys.modules; import timm; print(timm.is_model('nat_edited'))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert said.stdout == "True\n", said.stderr


def test_a_folder_holds_json_and_safetensors_and_no_pickle(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    config = json.loads((folder / "config.json").read_text())
    assert config["architecture"] == "nat_edited"
    assert config["model_args"]["base"] == "mobilenetv2_050"
    assert config["num_classes"] == CLASSES
    own, base = config["pretrained_cfg"], timm.get_pretrained_cfg("mobilenetv2_050").to_dict()
    for name in ("mean", "std", "interpolation", "crop_pct"):
        assert own[name] == (list(base[name]) if isinstance(base[name], tuple) else base[name])


def test_other_heads_and_inputs_load_as_with_any_model(folder: Path, lean: nn.Module) -> None:
    name = f"local-dir:{folder}"
    assert timm.create_model(name, pretrained=True, num_classes=0)(images(SIZE)).shape == (2, lean.num_features)
    assert timm.create_model(name, pretrained=True, num_classes=3)(images(SIZE)).shape == (2, 3)
    assert timm.create_model(name, pretrained=True, in_chans=1)(images(SIZE)[:, :1]).shape == (2, CLASSES)


def test_a_model_that_takes_no_classifier_without_pooling_loads_without_both(tmp_path: Path) -> None:
    model = lively("hgnetv2_b0")
    lean = nat_timm.inherit(model, moved(nat_timm.to_network(model, (3, SIZE, SIZE)), "nat", 3))
    nat_timm.save(lean, tmp_path)
    made = timm.create_model(f"local-dir:{tmp_path}", pretrained=True, num_classes=0, global_pool="").eval()
    with torch.no_grad():
        assert torch.equal(made.forward_features(images(SIZE)), lean.forward_features(images(SIZE)))


def test_a_model_whose_classifier_is_a_layer_within_its_head_loads_without_one(tmp_path: Path) -> None:
    model = lively("shvit_s1")
    lean = nat_timm.inherit(model, moved(nat_timm.to_network(model, (3, SIZE, SIZE)), "nat++", 0))
    nat_timm.save(lean, tmp_path)
    made = timm.create_model(f"local-dir:{tmp_path}", pretrained=True, num_classes=0).eval()
    assert find_classifier(made) is None
    with torch.no_grad():
        assert torch.equal(made(images(SIZE)), lean.forward_head(lean.forward_features(images(SIZE)), pre_logits=True))


@pytest.mark.parametrize("kind", [None, "list", "dict", "hook", "fx", "getter"])
def test_features_of_every_class_have_the_channels_that_they_say(folder: Path, kind: str | None) -> None:
    more = {} if kind is None else {"feature_cls": kind}
    features = timm.create_model(f"local-dir:{folder}", pretrained=True, features_only=True, **more).eval()
    with torch.no_grad():
        maps = features(images(SIZE))
    maps = list(maps.values()) if isinstance(maps, dict) else maps
    assert [each.shape[1] for each in maps] == features.feature_info.channels()
    assert [SIZE // each.shape[2] for each in maps] == features.feature_info.reduction()
    assert len(maps) == 5


def test_a_stride_of_one_adapts_a_model_to_small_images_and_its_reductions_say_so() -> None:
    edits = [{"op": "stride", "at": "conv_stem", "value": 1}]
    args = {"base": "mobilenetv2_050", "edits": edits, "num_classes": 10}
    features = timm.create_model("nat_edited", features_only=True, **args)
    assert features.feature_info.reduction() == [1, 2, 4, 8, 16]
    assert [32 // each.shape[2] for each in features(images(32))] == [1, 2, 4, 8, 16]
    model = timm.create_model("nat_edited", **args)
    network = nat_timm.to_network(model, (3, 32, 32))
    assert cost(network).macs > 3 * cost(TimmAdapter().read("mobilenetv2_050", NetworkSize())).macs


def test_a_checkpoint_of_the_original_loads_into_the_edited_model(tmp_path: Path, lean: nn.Module) -> None:
    model = lively("mobilenetv2_050")
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    found = lean.nat_document
    config = {"file": str(tmp_path / "model.safetensors"), "num_classes": CLASSES}
    overlay = {**timm.get_pretrained_cfg("mobilenetv2_050").to_dict(), **config, "architecture": "nat_edited"}
    edited = timm.create_model(
        "nat_edited",
        pretrained=True,
        pretrained_cfg=overlay,
        base=found.architecture,
        edits=[edit.to_json() for edit in found.edits],
        num_classes=CLASSES,
    ).eval()
    with torch.no_grad():
        assert torch.equal(edited(images(SIZE)), lean(images(SIZE)))


def test_show_explains_a_folder_block_by_block(folder: Path, nat: Nat) -> None:
    said = nat("show", str(folder), "--input", str(SIZE))
    assert f"{CLASSES} classes" in said.out, said.err
    assert "made from:" in said.out
    changes = [line for line in said.out.splitlines() if " -> " in line and "[" in line]
    assert len(changes) > 3


def test_show_explains_a_stock_folder_too(tmp_path: Path, nat: Nat) -> None:
    nat_timm.save(shallow("resnet18", "layer3.1"), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert (config["architecture"], config["model_args"]["layers"]) == ("resnet18", [2, 2, 1, 2])
    said = nat("show", str(tmp_path), "--input", str(SIZE))
    assert "-> null](in) + skip(in)" in said.out, said.err


def test_load_gives_the_model(folder: Path, lean: nn.Module) -> None:
    with torch.no_grad():
        assert torch.equal(nat_timm.load(folder)(images(SIZE)), lean(images(SIZE)))


def test_a_moved_network_and_its_text_and_its_folder_are_the_same(folder: Path, lean: nn.Module) -> None:
    adapter, size = TimmAdapter(), NetworkSize(input=(3, SIZE, SIZE), classes=CLASSES)
    network = adapter.read((folder / "config.json").read_text(), size)
    assert cost(network).params == sum(value.numel() for value in lean.parameters())
    assert cost(adapter.read(adapter.write(canonical(network)), size)) == cost(network)


def damaged(folder: Path, tmp_path: Path, what: str) -> Path:
    """A copy of a model folder with something wrong in it."""
    config = json.loads((folder / "config.json").read_text())
    data = (folder / "model.safetensors").read_bytes()
    if what == "truncated":
        data = data[: len(data) // 2]
    elif what == "module":
        config["model_args"]["edits"][0]["at"] = ["blocks.77.0.conv_pw", "blocks.77.0.conv_pwl"]
    elif what == "classes":
        config["num_classes"] = 12
    elif what == "weights":
        tensors = {
            name: value for name, value in load_file(folder / "model.safetensors").items() if "conv_stem" not in name
        }
        save_file(tensors, tmp_path / "model.safetensors")
        data = (tmp_path / "model.safetensors").read_bytes()
    elif what == "base":
        config["model_args"]["base"] = "mobilenetv2_000"
    elif what == "json":
        (tmp_path / "config.json").write_text("{")
    (tmp_path / "model.safetensors").write_bytes(data)
    if what != "json":
        (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("truncated", "not readable as safetensors"),
        ("module", "names module 'blocks.77.0.conv_pw', which the model does not have"),
        ("classes", "weights of another model"),
        ("weights", "lacks conv_stem.weight"),
        ("base", "has no model 'mobilenetv2_000'; near:"),
        ("json", "not valid JSON"),
    ],
)
def test_a_damaged_folder_is_refused_in_one_line(folder: Path, tmp_path: Path, what: str, said: str) -> None:
    with pytest.raises(NATError, match=said) as error:
        nat_timm.load(damaged(folder, tmp_path, what))
    assert "\n" not in str(error.value)


def test_without_onnx_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nat_timm.saving.exporting.find_spec", lambda _name: None)
    with pytest.raises(NATError, match=r"pip install 'nat-plugin\[onnx\]'"):
        nat_timm.export_onnx(lively("mobilenetv2_050"), tmp_path / "model.onnx", (3, 32, 32))
    assert not list(tmp_path.iterdir())
