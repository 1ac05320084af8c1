"""Texts and the command line: names, JSON, what cannot be read, what cannot be edited."""

from __future__ import annotations

import json
from pathlib import Path

import nat_timm
import pytest
import timm
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from nat_timm.adapter import TimmAdapter
from nat_timm.documents.document import parse
from nat_timm.networks import _read, reading_of
from nat_timm.reading.trace import to_meta, trace
from torch import nn

from nat_plugin.errors import NATError
from nat_plugin.ir import NetworkSize, cost
from nat_plugin.plugins import plugins
from tests.adapters.timm.samples import lively, moved
from tests.command_line import Nat

MOVED = {"architecture": "resnet18", "edits": [{"op": "null", "at": "layer1.1", "value": "act2"}]}
SIZE = NetworkSize(input=(3, 64, 64), classes=10)


def test_the_adapter_is_found_through_the_hooks() -> None:
    assert isinstance(plugins().adapters["timm"], TimmAdapter)


def test_show_counts_a_model_at_its_own_size(nat: Nat) -> None:
    said = nat("show", "mobilenetv2_100", "--adapter", "timm", "--json")
    found = json.loads(said.out)
    assert (found["params"], found["macs"]) == (3_504_872, 300_774_272)
    assert (found["input"], found["classes"]) == ([3, 224, 224], 1000)


def test_convert_keeps_a_name_and_transform_keeps_the_budget(nat: Nat) -> None:
    size = ("--input", "64")
    assert nat("convert", "mobilenetv2_050", "--from", "timm", "--to", "timm", *size).out.strip() == "mobilenetv2_050"
    options = ("--rules", "nat++", "--budget", "macs=0.7x", *size)
    said = nat("transform", "mobilenetv2_050", "--adapter", "timm", *options, "--json")
    found = json.loads(said.out)
    assert 0 < found["macs"] <= 0.7 * found["source_macs"], said.err
    assert json.loads(found["architecture"])["architecture"] == "mobilenetv2_050"


def test_json_with_an_architecture_is_recognised_and_a_bare_name_is_not() -> None:
    adapter = TimmAdapter()
    assert adapter.recognises(json.dumps(MOVED))
    assert not adapter.recognises("resnet18")
    assert not adapter.recognises("Genotype(normal=[])")


def test_what_was_moved_costs_less_and_knows_what_it_was() -> None:
    adapter = TimmAdapter()
    network = adapter.read(json.dumps(MOVED), SIZE)
    before = adapter.unmoved(network)
    assert before is not None
    assert cost(before) == cost(adapter.read("resnet18", SIZE))
    assert cost(network).params == cost(before).params - 73_984
    assert adapter.unmoved(before) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mobilenetv2_10", "has no model 'mobilenetv2_10'; near: mobilenetv2_140"),
        ("vit_tiny_patch16_224", "nothing in this model can be edited: its blocks are made of Attention"),
        ("mixer_s32_224", "nothing in this model can be edited"),
        ("not a name", "is neither the name of a timm model"),
        ("", "is neither the name of a timm model"),
        ('{"architecture": "resnet18", "layers": [1]}', "unknown key 'layers'"),
        ('{"architecture": 7}', "architecture: expected the name"),
        ('{"architecture": "resnet18", "model_args": {"pretrained": true}}', "'pretrained' is not an argument"),
        ('{"architecture": "resnet18", "model_args": {"exportable": true}}', "'exportable' is not an argument"),
        ('{"architecture": "resnet18", "model_args": {"no_jit": true}}', "'no_jit' is not an argument"),
        (
            '{"architecture": "resnet18", "model_args": {"pretrained_cfg_overlay": {}}}',
            "'pretrained_cfg_overlay' is not an argument",
        ),
        ('{"architecture": "resnet18", "model_args": {"depth": 3}}', "timm cannot build 'resnet18'"),
        ('{"architecture": "resnet18", "edits": [{"op": "skip", "at": "layer1.0.conv1"}]}', "not among those"),
        ('{"architecture": "resnet18", "edits": [{"op": "null", "at": "layer2.0"}]}', "not among those"),
        ('{"architecture": "nat_edited", "model_args": {}}', "model_args.base: expected the name"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(text: str, said: str) -> None:
    with pytest.raises(NATError, match=said) as error:
        TimmAdapter().read(text, NetworkSize(input=(3, 224, 224), classes=10))
    assert "\n" not in str(error.value)


@given(st.text() | st.sampled_from(["{", "[]", "{}", "null", '{"architecture": []}']))
@example('{"architecture": "resnet18", "edits": 3}')
def test_any_text_is_read_or_refused_by_a_nat_error(text: str) -> None:
    try:
        parse(text)
    except NATError as error:
        assert "\n" not in str(error)


class Restless(nn.Module):
    """Control flow that depends on values."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        return x.mean((2, 3)) if x.sum() > 0 else x.amax((2, 3))


def test_control_flow_that_cannot_be_traced_is_said_in_one_line() -> None:
    with pytest.raises(NATError, match=r"restless: torch\.fx cannot trace this model") as error:
        trace(to_meta(Restless()), (3, 32, 32), "restless")
    assert "\n" not in str(error.value)


def test_images_that_do_not_fit_are_said_in_one_line() -> None:
    with pytest.raises(NATError, match="takes images of 3 channels, not 1"):
        nat_timm.to_network(lively("mobilenetv2_050"), (1, 64, 64))
    with pytest.raises(NATError, match="does not run on images of 3x16x16"):
        TimmAdapter().read("vgg11", NetworkSize(input=(3, 16, 16), classes=10))


def test_a_model_that_is_not_what_timm_builds_is_refused() -> None:
    with pytest.raises(NATError, match="has no pretrained_cfg"):
        nat_timm.to_network(nn.Sequential(nn.Conv2d(3, 8, 3)))
    changed = timm.create_model("mobilenetv2_050", num_classes=10)
    changed.conv_stem = nn.Conv2d(3, 24, 3, 2, 1, bias=False)
    with pytest.raises(NATError, match="the model is not what timm builds as 'mobilenetv2_050'"):
        nat_timm.to_network(changed, (3, 64, 64))
    with pytest.raises(NATError, match="no classifier"):
        nat_timm.to_network(timm.create_model("mobilenetv2_050", num_classes=0), (3, 64, 64))


def test_a_classifier_that_was_put_in_by_hand_is_kept_once_the_model_says_how_many_classes_it_has(
    tmp_path: Path,
) -> None:
    model = lively("test_resnet")
    model.fc = nn.Linear(model.fc.in_features, 5)
    with pytest.raises(NATError, match=r"'fc' is Linear.*: model.num_classes = 5$"):
        nat_timm.to_network(model, (3, 64, 64))
    model.num_classes = 5
    assert nat_timm.to_network(model, (3, 64, 64)).head.classes == 5
    assert nat_timm.save(model, tmp_path)
    loaded = timm.create_model(f"local-dir:{tmp_path}", pretrained=True)
    assert torch.equal(loaded.fc.weight, model.fc.weight)


def test_the_momentum_of_norms_makes_no_other_model_and_their_eps_does(tmp_path: Path) -> None:
    model = lively("test_efficientnet")
    norms = [each for each in model.modules() if isinstance(each, nn.BatchNorm2d)]
    for momentum in (0.003, None):
        for norm in norms:
            norm.momentum = momentum
        assert nat_timm.to_network(model, (3, 64, 64))
    assert nat_timm.save(model, tmp_path)
    norms[0].eps = 0.5
    with pytest.raises(
        NATError, match=r"is a BatchNormAct2d \(.*eps=0.5.*\), where timm builds a BatchNormAct2d \(.*eps=1e-05"
    ):
        nat_timm.to_network(model, (3, 64, 64))


def test_arguments_that_timm_noted_are_kept(tmp_path: Path) -> None:
    model = timm.create_model("resnet18", layers=[1, 1, 2, 1], num_classes=10)
    needed = None if hasattr(model, "_model_args") else {"layers": [1, 1, 2, 1]}  # timm before 1.0.30 noted none
    network = nat_timm.to_network(model, (3, 64, 64), needed)
    nat_timm.save(nat_timm.inherit(model, moved(network, "nat++", 2)), tmp_path)
    args = json.loads((tmp_path / "config.json").read_text())["model_args"]
    assert (args["base"], args["layers"]) == ("resnet18", [1, 1, 2, 1])


def test_arguments_that_timm_did_not_note_are_given_once(tmp_path: Path) -> None:
    """Older versions of timm note none; then the advice of the error can be followed, for all that comes after."""
    model = timm.create_model("test_resnet", layers=[1, 1, 2, 1], num_classes=10)
    vars(model).pop("_model_args", None)
    with pytest.raises(NATError, match=r"give them once: nat_timm\.to_network\(model, model_args=\{\.\.\.\}\)"):
        nat_timm.to_network(model, (3, 64, 64))
    nat_timm.to_network(model, model_args={"layers": [1, 1, 2, 1]})
    network = nat_timm.to_network(model, (3, 64, 64))
    nat_timm.save(nat_timm.inherit(model, moved(network, "nat++", 2)), tmp_path)
    assert nat_timm.save(model, tmp_path)


def test_lazy_names_are_listed() -> None:
    assert set(nat_timm.__all__) <= set(dir(nat_timm))
    assert all(callable(getattr(nat_timm, name)) for name in nat_timm.__all__)


def test_what_timm_and_torch_said_is_the_cause_of_the_line() -> None:
    with pytest.raises(NATError) as error:
        TimmAdapter().read('{"architecture": "test_resnet", "model_args": {"depth": 3}}', SIZE)
    assert isinstance(error.value.__cause__, TypeError)
    with pytest.raises(NATError) as error:
        trace(to_meta(Restless()), (3, 32, 32), "restless")
    assert error.value.__cause__ is not None


def test_a_network_of_another_model_is_refused() -> None:
    network = nat_timm.to_network(lively("mobilenetv2_050"), (3, 64, 64))
    with pytest.raises(NATError, match="was read from 'mobilenetv2_050', the model is 'resnet18'"):
        nat_timm.inherit(lively("resnet18"), network)


def test_reading_a_model_draws_no_random_numbers_that_others_draw_too() -> None:
    """Else a worker that reads it would go on with others than one that has read it before."""
    _read.cache_clear()
    before = torch.get_rng_state()
    reading_of(parse(json.dumps({"architecture": "test_efficientnet"})), (3, 32, 32), 10)
    assert torch.equal(torch.get_rng_state(), before)
