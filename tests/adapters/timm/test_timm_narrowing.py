"""Widths: what has to stay as wide as what, narrower models with their weights, and what they cost."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import nat_timm
import numpy as np
import pytest
import timm
import torch
from nat_timm.building.entrypoint import attach
from nat_timm.documents.document import document
from nat_timm.documents.edits import Edit
from nat_timm.fitting.probing import Point, probe
from nat_timm.models import document_of
from nat_timm.narrowing.costs import width_costs
from nat_timm.narrowing.thinning import settings_of, thinned
from nat_timm.narrowing.widths import coupling_of, narrowed, widths, widths_of
from nat_timm.networks import moved_document
from nat_timm.reading.coupling import Coupling, coupling
from nat_timm.reading.trace import to_meta, trace
from nat_timm.saving.weights import starting_weights
from nat_timm.surgery.apply import apply_edits
from safetensors.torch import save_file
from timm.models.byobnet import MobileOneBlock
from timm.utils import reparameterize_model
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from nat_plugin.errors import NATError
from nat_plugin.ir import Moves, Network, NetworkSize, cost, find_rule
from nat_plugin.nets.counting import count
from tests.adapters.timm.samples import images, lively, moved

SIZE = (3, 32, 32)
FAMILIES = (  # sums, squeeze-excites, plain, groups, a layer scale, no norms, concatenations
    *("resnet18", "test_efficientnet", "vgg11_bn", "regnety_002", "test_convnext", "test_nfnet", "dla34"),
)


def bare(name: str) -> nn.Module:
    found: nn.Module = timm.create_model(name, num_classes=7, device="meta")
    return found.eval()


@pytest.mark.parametrize("name", FAMILIES)
def test_any_widths_run_and_cost_what_is_said_without_building(name: str) -> None:
    model = bare(name)
    traced, coupled = coupling_of(model, document_of(model), SIZE)
    costs, rng = width_costs(traced, coupled), random.Random(0)
    assert costs.cost({}) == count(model, SIZE)
    wanted = {each: rng.choice(settings_of(each)) for each in widths_of(coupled, document_of(model)).values()}
    apply_edits(model, [each.edit(width) for each, width in wanted.items()], name)
    assert costs.cost({each.group.number: width for each, width in wanted.items()}) == count(model, SIZE)


def test_all_that_is_added_up_is_as_wide_as_each_other() -> None:
    found = widths(bare("resnet18"), SIZE)
    stem = found["conv1"].group
    assert {str(use) for use in stem.uses} == {
        *("conv1:out", "bn1", "layer1.0.conv1:in", "layer1.0.conv2:out", "layer1.0.bn2", "layer1.1.conv1:in"),
        *("layer1.1.conv2:out", "layer1.1.bn2", "layer2.0.conv1:in", "layer2.0.downsample.0:in"),
    }
    assert [str(use) for use in found["layer1.0.conv1"].group.uses] == [
        *("layer1.0.conv1:out", "layer1.0.bn1", "layer1.0.conv2:in")
    ]


def test_a_classifier_that_is_a_convolution_is_the_head_of_the_network() -> None:
    adapter, size = nat_timm.TimmAdapter(), NetworkSize(input=SIZE, classes=7)
    network = adapter.read("resnetv2_18", size)
    assert "head.fc" not in network.by_name
    assert cost(network) == count(adapter.module(network), SIZE)
    assert "head.fc:in" in map(str, widths(bare("resnetv2_18"), SIZE)["stages.3.blocks.0.downsample.conv"].group.uses)


def test_what_cannot_change_is_said() -> None:
    model = bare("resnet18")
    _, coupled = coupling_of(model, document_of(model), SIZE)
    assert {each.fixed for each in coupled.groups} == {None, "they are those of the images", "they are the output"}
    model = bare("skresnet18")
    _, coupled = coupling_of(model, document_of(model), SIZE)
    assert "a SelectiveKernel reads them" in {each.fixed for each in coupled.groups}


def test_channels_that_nothing_reads_are_the_ones_that_go() -> None:
    model = lively("resnet18")
    for name in ("conv1", "layer1.0.conv1"):
        each = widths(model, SIZE)[name]
        gone = torch.arange(0, each.built, 2)
        with torch.no_grad():
            for use in each.group.uses:
                if use.side == "in":
                    model.get_submodule(use.path).weight[:, gone] = 0  # type: ignore[operator,index]
            narrow = narrowed(model, {name: each.built - len(gone)}, SIZE)
            torch.testing.assert_close(narrow(images(32)), model(images(32)), rtol=1e-4, atol=1e-4)


class Beside(nn.Module):
    """Two values side by side, one of them twice, with a norm over all and a weight for each channel."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 6, 1)
        self.norm, self.out = nn.BatchNorm2d(14), nn.Conv2d(14, 5, 1)
        self.scale = nn.Parameter(torch.rand(1, 6, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        one, other = self.one(x), self.other(x) * self.scale
        found: torch.Tensor = self.out(self.norm(torch.cat([one, other, one], 1)))
        return found


def test_what_stands_beside_others_is_found_whatever_was_cut_before() -> None:
    torch.manual_seed(0)
    net = Beside().eval()
    first = Edit("width", ("one:out", "norm@0-3", "norm@10-13", "out:in@0-3", "out:in@10-13"), 2)
    second = Edit("width", ("other:out", "scale", "norm@4-9", "out:in@4-9"), 3)
    with torch.no_grad():
        net.out.weight[:, [1, 2, 11, 12, 4, 6, 9]] = 0
        before = net(images(8))
        for edit in (first, second):
            apply_edits(net, [edit], "net")
        assert net.out.weight.shape[1] == net.norm.num_features == 7
        torch.testing.assert_close(net(images(8)), before)
        again = Edit("width", second.at, 1)
        apply_edits(net, [again], "net")
        assert net.other.out_channels == net.scale.numel() == 1
        assert net(images(8)).shape == before.shape


class Odd(nn.Module):
    """A square image of as many pixels a side as channels, so that shapes alone do not tell the axes apart."""

    def __init__(self, between: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.make, self.norm, self.read = nn.Conv2d(3, 8, 1), nn.LayerNorm(8), nn.Linear(8, 4)
        self.between = between

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made = self.make(x)
        found: torch.Tensor = self.read(self.norm(made) if self.between is None else self.between(made))
        return found


@pytest.mark.parametrize(
    ("between", "is_free"),
    [
        (lambda x: x.mean((2, 3)), True),
        (lambda x: x.permute(0, 2, 3, 1), True),
        (lambda x: x.mean(1), False),
        (lambda x: x.max(3)[0], False),
        (lambda x: x.flatten(2).transpose(1, 2).unflatten(1, (8, 8)), False),
        (lambda x: x.reshape(1, 8, 64)[:, :, 0], False),  # it names the channels
        (lambda x: x[:, :, ::2, ::2].mean((2, 3)), True),
        (lambda x: x.view(x.shape[0], 2, 4, 8, 8).sum(1)[:, 0], False),
        (None, False),  # a norm over pixels
    ],
)
def test_channels_are_free_only_where_it_is_understood_what_reads_them(
    between: Callable[[torch.Tensor], torch.Tensor], is_free: bool
) -> None:
    net = Odd(between).eval()
    found = coupling(trace(to_meta(net), (3, 8, 8), "net"))
    made = next(group for group in found.groups if group.name == "make" and group.uses[0].side == "out")
    assert (made.fixed is None) == is_free, made.fixed
    if is_free:
        apply_edits(net, [found_edit(found, 4)], "net")
        assert net(torch.randn(1, 3, 8, 8)).shape[-1] == 4


def found_edit(found: Coupling, keep: int) -> Edit:
    return Edit("width", tuple(map(str, found.free[0].uses)), keep)


def test_a_narrower_block_is_fused_to_the_same() -> None:
    torch.manual_seed(0)
    block = MobileOneBlock(16, 16, group_size=1, num_conv_branches=2)
    net = nn.Sequential(nn.Conv2d(3, 16, 1), block, nn.Conv2d(16, 4, 1)).eval()
    (group,) = coupling(trace(to_meta(net), (3, 8, 8), "net")).free
    apply_edits(net, [Edit("width", tuple(map(str, group.uses)), 8)], "net")
    with torch.no_grad():
        before = net(images(8))
        fused = reparameterize_model(net)
        torch.testing.assert_close(fused(images(8)), before)
    assert fused[1].reparam_conv.groups == 8


def assert_same_moves(read: Network, after: Network) -> None:
    """What was read again offers only what it has weights for."""
    assert moved_document(read).edits == moved_document(after).edits
    assert cost(read) == cost(after)


def test_a_narrower_model_is_moved_saved_and_loaded(tmp_path: Path) -> None:
    model = lively("test_efficientnet")
    narrow = narrowed(model, {name: settings_of(each)[-1] for name, each in widths(model, SIZE).items()}, SIZE)
    network = nat_timm.to_network(narrow, SIZE)
    assert cost(network) == count(narrow, SIZE)
    after = moved(network, "nat++", 0, 0.8)
    lean = nat_timm.inherit(narrow, after)
    assert count(lean, SIZE) == cost(after)
    assert not nat_timm.save(lean, tmp_path / "lean")
    loaded = timm.create_model(f"local-dir:{tmp_path / 'lean'}", pretrained=True).eval()
    with torch.no_grad():
        assert torch.equal(loaded(images(32)), lean(images(32)))
    assert_same_moves(nat_timm.to_network(loaded, SIZE), after)
    features = timm.create_model(f"local-dir:{tmp_path / 'lean'}", pretrained=True, features_only=True).eval()
    assert [each.shape[1] for each in features(images(32))] == features.feature_info.channels()
    loaded.reset_classifier(3)
    assert loaded(images(32)).shape == (2, 3)


def fits_of(moves: Moves) -> list[list[int]]:
    """Of every slot, which candidates are fitted."""
    names = [[str(op.values.get("name", "")) for op in ops] for ops in moves.candidates]
    return [[at for at, name in enumerate(each) if name.startswith("fit_")] for each in names]


@pytest.mark.parametrize("name", ["test_efficientnet", "test_resnet"])
def test_operations_stand_in_for_blocks_of_a_narrower_model(name: str, tmp_path: Path) -> None:
    """Fitted to what its blocks give, of its channels; counted, saved and loaded; from text, too."""
    model, x = lively(name), images(32, 32)
    thin = thinned(model, {"macs": "0.7x"}, SIZE)
    network = nat_timm.to_network(thin, SIZE, fits=True)
    moves, rng = Moves(network, find_rule("nat++")), np.random.default_rng(0)
    fitted = fits_of(moves)
    after = moves.apply([int(rng.choice(each)) if each else 0 for each in fitted])
    assert after != network
    lean, unfitted = (nat_timm.inherit(thin, after) for _ in range(2))
    found = nat_timm.fit(lean, thin, x)
    assert len(found) == sum(map(bool, fitted))
    first = Point(found[0].path)
    wanted, mine, copied = (probe(each, [first], x)[first] for each in (thin, lean, unfitted))
    assert (mine - wanted).square().mean() < (copied - wanted).square().mean()
    assert count(lean, SIZE) == cost(after)
    nat_timm.save(lean, tmp_path / "lean")
    loaded = timm.create_model(f"local-dir:{tmp_path / 'lean'}", pretrained=True).eval()
    with torch.no_grad():
        assert torch.equal(loaded(x), lean(x))
    assert_same_moves(nat_timm.to_network(loaded, SIZE), after)
    with pytest.raises(NATError, match="come before moves"):
        thinned(lean, {"macs": "0.9x"}, SIZE)
    text = json.dumps({"architecture": name, "widths": {"macs": "0.7x"}, "fits": True})
    read = nat_timm.TimmAdapter().read(text, NetworkSize(input=SIZE, classes=7))
    moves = Moves(read, find_rule("nat++"))  # without weights other channels are the narrow ones
    said = moves.apply([each[0] if each else 0 for each in fits_of(moves)])
    written = nat_timm.TimmAdapter().write(said)
    assert nat_timm.TimmAdapter().read(written, NetworkSize(input=SIZE, classes=7)).ops == said.ops


def test_compact_searches_fits_of_a_narrower_model() -> None:
    batch = [(images(32, 16), torch.arange(16) % 7)]
    result = nat_timm.compact(
        lively("test_efficientnet"),
        batch,
        batch,
        budget={"macs": "0.45x"},
        widths={"macs": "0.7x"},
        fits=True,
        strategy="random",
        input=SIZE,
        search={"warmup": 1, "rounds": 1, "proposals": 6, "steps": 1},
        tuning={"epochs": 1},
        candidates=2,
        device="cpu",
    )
    assert any("fit_" in str(op) for each in result.tuned for op in each.network.ops)
    assert result.best.cost == count(result.model, SIZE)
    assert result.best.cost.macs <= 0.45 * result.before.cost.macs


@pytest.mark.parametrize("name", ["vgg11_bn", "test_convnext"])
def test_a_narrower_model_gets_another_classifier(name: str) -> None:
    model = bare(name)
    wanted = {each.name: settings_of(each)[-1] for each in widths(model, SIZE).values()}
    narrow = narrowed(model, wanted, SIZE)
    with torch.no_grad():
        assert narrow.forward_features(torch.empty(1, *SIZE, device="meta")).shape[1] == narrow.num_features
        narrow.reset_classifier(3)
        assert narrow.to("meta")(torch.empty(1, *SIZE, device="meta")).shape == (1, 3)


def test_a_model_is_thinned_to_every_limit_at_once() -> None:
    model = lively("test_efficientnet")
    whole, narrow = count(model, SIZE), thinned(model, {"macs": "0.7x", "params": "0.8x"}, SIZE)
    lean = count(narrow, SIZE)
    assert 0.5 < lean.macs / whole.macs <= 0.7
    assert lean.params <= 0.8 * whole.params
    again = thinned(narrow, {"macs": "0.9x"}, SIZE)
    assert count(again, SIZE).macs <= 0.9 * lean.macs
    assert count(model, SIZE) == whole
    with pytest.raises(NATError, match="the narrowest model has macs"):
        thinned(model, {"macs": "0.01x"}, SIZE)


def test_what_cannot_be_is_said_in_one_line() -> None:
    model = bare("resnet18")
    for wanted, said in (
        ({"nowhere": 8}, "no group of channels is called 'nowhere'"),
        ({"conv1": 65}, "'conv1' has 64 channels; a number up to that can stay, not 65"),
        ({"conv1": 0.5}, "can stay, not 0.5"),
    ):
        with pytest.raises(NATError, match=said):
            narrowed(model, wanted, SIZE)  # type: ignore[arg-type]
    attach(model, document("resnet18", {}, (Edit("null", ("layer1.1",)),)))
    for cut in (narrowed, thinned):
        with pytest.raises(NATError, match="come before moves, and this model was moved"):
            cut(model, {}, SIZE)
    for at, said in (
        ("conv1:up", "is not a path, perhaps with :in or :out"),
        (["conv1:out", "nowhere:in"], "the model has no module 'nowhere'"),
        (["conv1:out", "layer1.0.conv1:in", "layer3.0.conv2:in"], "different numbers of channels left"),
        (["bn1", "layer1.0.conv1:in"], "no layer among them makes the channels"),
        (["conv1:out", "bn1:in"], "is not a dense layer"),
        ("conv1:out", "the model does not run on images of 3x32x32"),
    ):
        text = json.dumps({"architecture": "resnet18", "edits": [{"op": "width", "at": at, "value": 8}]})
        with pytest.raises(NATError, match=said):
            nat_timm.TimmAdapter().read(text, NetworkSize(input=SIZE, classes=7))
    net = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1, groups=2), nn.Conv2d(8, 3, 1))
    with pytest.raises(NATError, match="of 8 channels in groups of 4, 6 cannot be kept"):
        apply_edits(net, [Edit("width", ("0:out", "1", "2:in"), 6)], "net")


@pytest.mark.usefixtures("one_thread")
def test_channels_are_cut_before_a_search_that_goes_on_from_there() -> None:
    given = lively("test_resnet", classes=10)
    x, y = torch.randn(32, 3, 32, 32, generator=torch.Generator().manual_seed(0)), torch.arange(32) % 10
    loader = DataLoader(TensorDataset(x, y), 16)
    result = nat_timm.compact(
        given,
        *(loader, loader),
        budget={"macs": "0.4x"},
        widths={"macs": "0.6x"},
        strategy="random",
        search={"warmup": 0, "rounds": 1, "proposals": 2, "steps": 1},
        tuning={"epochs": 0},
        starts=("own",),
        candidates=1,
        device="cpu",
        input=SIZE,
    )
    whole = count(given, SIZE)
    assert result.before.cost == whole
    assert count(result.model, SIZE) == result.best.cost
    assert result.best.cost.macs <= 0.4 * whole.macs
    assert any(each.now < each.built for each in widths(result.model, SIZE).values())
    assert not any(each.now < each.built for each in widths(result.reference.model, SIZE).values())
    with pytest.raises(NATError, match="a limit on latency and widths= do not go together"):
        nat_timm.compact(given, loader, loader, budget={"latency": "0.5x"}, widths={"macs": "0.9x"}, input=SIZE)


def test_text_may_state_limits_for_widths_instead(tmp_path: Path) -> None:
    adapter, size = nat_timm.TimmAdapter(), NetworkSize(input=SIZE, classes=7)
    whole = adapter.read("test_resnet", size)
    network = adapter.read('{"architecture": "test_resnet", "widths": {"macs": "0.5x"}}', size)
    assert 0.2 < cost(network).macs / cost(whole).macs <= 0.5
    assert adapter.read(adapter.write(network), size) == network
    model, original = adapter.module(network), lively("test_resnet")
    save_file(original.state_dict(), tmp_path / "model.safetensors")
    starting_weights(model, str(tmp_path))  # those of the original, cut to size
    with torch.no_grad():
        assert torch.equal(model.eval()(images(32)), apply_edits(original, document_of(model).edits, "")(images(32)))
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    starting_weights(adapter.module(network), str(tmp_path))  # and its own
    for widths_, said in (('["macs"]', "widths: expected limits"), ('{"latency": 1}', "unknown metric 'latency'")):
        with pytest.raises(NATError, match=said):
            adapter.read(f'{{"architecture": "test_resnet", "widths": {widths_}}}', size)
    both = '{"architecture": "test_resnet", "widths": {"macs": "1x"}, "edits": [{"op": "null", "at": "layer1.0"}]}'
    with pytest.raises(NATError, match="do not go together"):
        adapter.read(both, size)
