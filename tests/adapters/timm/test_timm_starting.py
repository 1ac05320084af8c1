"""Weights to start from: files and folders, for other classes and channels too, and what is no such file."""

from __future__ import annotations

import logging
from pathlib import Path

import nat_timm
import pytest
import timm
import torch
from nat_timm.saving.weights import read_weights, starting_weights
from safetensors.torch import save_file

from nat_plugin.errors import NATError
from tests.adapters.timm.samples import CLASSES, images, lively, moved


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_convnext", "vgg11"])
def test_weights_for_other_classes_fit_but_for_the_classifier(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trained = lively(name, classes=5)
    save_file(trained.state_dict(), tmp_path / "model.safetensors")
    model = timm.create_model(name, num_classes=CLASSES).eval()
    fresh = {key: value.clone() for key, value in model.state_dict().items()}
    with caplog.at_level(logging.WARNING):
        starting_weights(model, str(tmp_path))
    head = timm.get_pretrained_cfg(name).classifier
    assert [each.message.partition(": ")[2] for each in caplog.records] == [
        f"weights for 5 classes, the model has {CLASSES}: '{head}' starts afresh"
    ]
    for key, value in model.state_dict().items():
        assert torch.equal(value, (fresh if key.startswith(f"{head}.") else trained.state_dict())[key])


def test_weights_for_other_channels_are_adapted_as_timm_does(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save_file(lively("test_resnet").state_dict(), tmp_path / "model.safetensors")
    model = timm.create_model("test_resnet", num_classes=CLASSES, in_chans=1)
    with caplog.at_level(logging.WARNING):
        starting_weights(model, str(tmp_path))
    assert "the model takes 1: 'conv1.0' is adapted" in caplog.text
    torch.testing.assert_close(model.conv1[0].weight, lively("test_resnet").conv1[0].weight.sum(1, keepdim=True))


def test_weights_that_fit_say_nothing_and_those_of_another_model_do_not_fit(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_file(lively("test_resnet").state_dict(), tmp_path / "model.safetensors")
    with caplog.at_level(logging.WARNING):
        starting_weights(timm.create_model("test_resnet", num_classes=CLASSES), str(tmp_path))
    assert not caplog.records
    with pytest.raises(NATError, match="weights of another model"):
        starting_weights(timm.create_model("test_efficientnet", num_classes=CLASSES), str(tmp_path))


@pytest.mark.parametrize("around", ["module.", "_orig_mod.", "module._orig_mod.", "ema.model."])
def test_weights_of_a_model_inside_others_are_its_weights(around: str, tmp_path: Path) -> None:
    trained = lively("test_resnet").state_dict()
    save_file({around + key: value for key, value in trained.items()}, tmp_path / "model.safetensors")
    model = timm.create_model("test_resnet", num_classes=CLASSES)
    starting_weights(model, str(tmp_path))
    assert all(torch.equal(value, trained[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("name", ["module", "module.", "a.b.", ""])
def test_a_tensor_with_no_name_of_a_layer_is_of_another_model(name: str, tmp_path: Path) -> None:
    save_file({name: torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(NATError, match="weights of another model"):
        starting_weights(timm.create_model("test_resnet", num_classes=CLASSES), str(tmp_path))


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    trained = lively("test_resnet").state_dict()
    save_file(trained | {"fc.bias": torch.full_like(trained["fc.bias"], float("nan"))}, tmp_path / "broken.safetensors")
    with pytest.raises(NATError, match=r"broken\.safetensors: 'fc\.bias' holds values that are infinite or NaN"):
        starting_weights(timm.create_model("test_resnet", num_classes=CLASSES), str(tmp_path / "broken.safetensors"))


def test_weights_of_two_models_in_one_file_are_refused(tmp_path: Path) -> None:
    trained = lively("test_resnet").state_dict()
    both = {around + key: value.clone() for around in ("model.", "ema.") for key, value in trained.items()}
    save_file(both, tmp_path / "model.safetensors")
    with pytest.raises(NATError, match="weights of another model"):
        starting_weights(timm.create_model("test_resnet", num_classes=CLASSES), str(tmp_path))


def test_counters_of_batch_norms_may_be_missing(tmp_path: Path) -> None:
    trained = lively("test_resnet").state_dict()
    old = {key: value for key, value in trained.items() if not key.endswith("num_batches_tracked")}
    assert len(old) < len(trained)
    save_file(old, tmp_path / "model.safetensors")
    model = timm.create_model("test_resnet", num_classes=CLASSES)
    starting_weights(model, str(tmp_path))
    assert all(torch.equal(model.state_dict()[key], value) for key, value in old.items())


def test_a_checkpoint_of_the_original_with_other_classes_loads_into_the_edited_model(tmp_path: Path) -> None:
    original = lively("test_resnet", classes=5)
    save_file(original.state_dict(), tmp_path / "model.safetensors")
    lean = nat_timm.inherit(original, moved(nat_timm.to_network(original, (3, 64, 64)), "nat++", 2))
    found = lean.nat_document
    config = {"file": str(tmp_path / "model.safetensors"), "num_classes": 5, "architecture": "nat_edited"}
    edited = timm.create_model(
        "nat_edited",
        pretrained=True,
        pretrained_cfg={**timm.get_pretrained_cfg("test_resnet").to_dict(), **config},
        base="test_resnet",
        edits=[edit.to_json() for edit in found.edits],
        num_classes=3,
    ).eval()
    with torch.no_grad():
        assert edited(images(64)).shape == (2, 3)
        assert torch.equal(edited.forward_features(images(64)), lean.forward_features(images(64)))


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("name", ["model.pth", "model.bin", "model.safetensors"])
def test_a_pickle_is_named_with_the_line_that_converts_it(name: str, legacy: bool, tmp_path: Path) -> None:
    state = lively("test_resnet").state_dict()
    torch.save(state, tmp_path / name, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(NATError, match=r"is a pickle .* weights_only=True") as error:
        read_weights(tmp_path / name)
    assert "\n" not in str(error.value)


def test_the_line_that_converts_a_pickle_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import safetensors.torch  # what the line uses

    monkeypatch.chdir(tmp_path)
    state = lively("test_resnet").state_dict()
    torch.save(state, "FILE")
    with pytest.raises(NATError) as error:
        read_weights(Path("FILE"))
    line = str(error.value).partition("convert it once: ")[2]
    exec(line, {"safetensors": safetensors, "torch": torch, "FILE": "FILE"})
    assert read_weights(tmp_path).keys() == state.keys()


def test_no_file_says_what_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(NATError, match=r"a \.safetensors file or a folder with model\.safetensors"):
        read_weights(tmp_path)
