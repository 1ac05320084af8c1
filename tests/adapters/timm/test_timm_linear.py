"""Cuts in blocks of linear layers: what reads them is fitted as a convolution is."""

from __future__ import annotations

import nat_timm
import pytest
import torch
from nat_timm.advising.subject import TimmSubject
from nat_timm.documents.edits import Edit
from nat_timm.fitting.cuts import RECORDED, readers_of
from nat_timm.fitting.fit import fit
from nat_timm.fitting.probing import Point, calls, probe
from nat_timm.fitting.readers import order_hidden
from nat_timm.reading.running import Steps
from nat_timm.reading.trace import to_meta, trace
from torch import nn

from nat_plugin.advising.session import Change
from nat_plugin.advising.timing import Stopwatch
from nat_plugin.device import find_compute
from nat_plugin.errors import NATError
from nat_plugin.ir import Network, find_rule
from tests.adapters.timm.fits import name_of
from tests.adapters.timm.samples import images, lively

SIZE, BLOCK = 32, "stages.1.blocks.0"
HIDDEN = 64


def made(name: str) -> nn.Module:
    """A small ConvNeXt, half of whose hidden channels in one block say what the other half does."""
    model = lively(name, depths=(1, 1, 1, 1), dims=(8, 16, 16, 16), kernel_sizes=5)
    with torch.no_grad():
        for path, value in model.named_parameters():
            if path.endswith("gamma"):
                value.uniform_(0.5, 1.5)
            if ".grn." in path:
                value.normal_(0, 0.3)
        for path in ("mlp.fc1", "mlp.grn"):
            for value in model.get_submodule(f"{BLOCK}.{path}").parameters() if _has(model, path) else ():
                value[HIDDEN // 2 :] = value[: HIDDEN // 2]
    return model


def _has(model: nn.Module, path: str) -> bool:
    return f"{BLOCK}.{path}" in dict(model.named_modules())


def cut(model: nn.Module, word: str) -> tuple[Network, Network]:
    """The model as a network, and with a cut in one block."""
    network = nat_timm.to_network(model, (3, SIZE, SIZE), fits=True)
    slot = next(each for each in network.slots if each.cell == BLOCK)
    op = next(each for each in network.edge(slot).choices if name_of(each) == word)
    ops = [op if each == slot else own for each, own in zip(network.slots, network.ops, strict=True)]
    return network, network.with_ops(ops)


def change(model: nn.Module, moved: nn.Module, x: torch.Tensor) -> float:
    """Of what the block gives, as a share of its spread."""
    point = Point(BLOCK)
    own, found = (probe(each, [point], x)[point] for each in (model, moved))
    return float((found - own).square().sum() / (own - own.mean()).square().sum())


@pytest.mark.parametrize("name", ["convnext_tiny", "convnextv2_tiny"])
def test_hidden_channels_that_others_say_cost_nothing(name: str) -> None:
    """With a norm of responses behind them, too."""
    model = made(name)
    network, after = cut(model, "convnext_k5_e2")
    order_hidden(model, network, find_rule("nat++"), [images(SIZE, 32)], 0)
    moved, unseen = nat_timm.inherit(model, after), images(SIZE, 16, seed=2)
    before = change(model, moved, unseen)
    (found,) = fit(moved, model, images(SIZE, 32))
    assert found.path == f"{BLOCK}.mlp.fc2"
    assert found.residual < 1e-4
    assert change(model, moved, unseen) < 1e-3 * before


@pytest.mark.parametrize("word", ["convnext_k3_e4", "convnext_k0_e4"])
def test_behind_a_norm_the_linear_layer_is_fitted_that_reads_a_cut(word: str) -> None:
    model = made("convnext_tiny")
    _, after = cut(model, word)
    moved, unseen = nat_timm.inherit(model, after), images(SIZE, 16, seed=2)
    before = change(model, moved, unseen)
    (found,) = fit(moved, model, images(SIZE, 64))
    assert found.path == f"{BLOCK}.mlp.fc1"
    assert change(model, moved, unseen) < before


def test_an_advice_and_its_combinations_fit_linear_layers() -> None:
    model, x = made("convnext_tiny"), images(SIZE, 32)
    network, after = cut(model, "convnext_k5_e2")
    subject = TimmSubject(model, network, [x], None, Stopwatch(find_compute("cpu", "float32")), 0)
    slot = next(each for each in network.slots if network.edge(each).op != after.edge(each).op)
    (found,) = subject.able([Change(slot, after.edge(slot).op)])
    chosen = torch.arange(8)
    inherited = subject.alone([found], chosen)[found].effect.change
    subject.prepare([found])
    assert subject.alone([found], chosen)[found].effect.change < 0.05 * inherited
    assert subject.combined([[found]], chosen)[0].effect.change < 0.05 * inherited


def test_linear_layers_of_gates_are_not_fitted_but_what_reads_the_block() -> None:
    model = nn.Sequential()
    block = nn.Sequential()
    model.add_module("block", block)
    block.add_module("conv", nn.Conv2d(4, 4, 3, padding=1, groups=4))
    block.add_module("se", SqueezeExciteCl(4))
    block.add_module("out", nn.Linear(4, 4))
    model.add_module("after", nn.Linear(4, 4))
    order = calls(model.eval(), torch.randn(1, 4, 4, 4), RECORDED)
    edits = [Edit("kernel", ("block.conv",), 1)]
    assert readers_of(model, edits, order, norms=True) == {"block.out"}


class SqueezeExciteCl(nn.Module):
    """Scales channels by what linear layers say of their means."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(channels, channels), nn.Linear(channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scaled: torch.Tensor = x * self.fc2(self.fc1(x.mean((1, 2), keepdim=True))).sigmoid()
        return scaled


def test_a_model_whose_buffers_are_used_in_passing_is_computed_step_by_step() -> None:
    """Swin's positions: what torch.fx keeps of them has no value on the meta device."""
    model = lively(
        "swin_tiny_patch4_window7_224",
        img_size=16, patch_size=2, window_size=4, embed_dim=8, depths=(2,), num_heads=(2,),
    )  # fmt: skip
    graph = trace(to_meta(model), (3, 16, 16), "swin")
    x = images(16)
    torch.testing.assert_close(Steps(graph, model).advance({}, x), model(x))


def test_values_that_only_the_graph_has_are_an_error_of_one_line() -> None:
    graph = trace(to_meta(Constant().eval()), (3, 4, 4), "constant")
    with pytest.raises(NATError, match="values that the model does not have"):
        Steps(graph, Constant())


class Constant(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        added: torch.Tensor = self.conv(x) + torch.ones(1, device=next(self.parameters()).device)
        return added
