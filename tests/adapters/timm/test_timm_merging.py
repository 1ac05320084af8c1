"""Convolutions without an activation between them become one: exactly, at the border too."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from pathlib import Path

import nat_timm
import pytest
import timm
import torch
from nat_timm.adapter import TimmAdapter
from nat_timm.documents.edits import Edit
from nat_timm.documents.forms import Form
from nat_timm.fitting.fit import install
from nat_timm.fitting.probing import Point, probe
from nat_timm.fitting.single_blocks import fits_alone
from nat_timm.measuring.statistics import recalibrate
from nat_timm.networks import check_costs, moved_document
from nat_timm.surgery.fitted import FittedOp
from torch import nn

from nat_plugin.errors import NATError
from nat_plugin.ir import Budget, Moves, Network, NetworkSize, find_rule
from nat_plugin.ir.budget import METRICS
from tests.adapters.timm.fits import SIZE, SMALL, Layers, name_of, put
from tests.adapters.timm.samples import images, lively


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return lively(SMALL, pad_type="same")


LINEAR = ("blocks.1.0", "blocks.2.1")
"""One of stride 2, and one with a shortcut."""


@pytest.fixture(scope="module")
def without_activations(model: nn.Module) -> nn.Module:
    return nat_timm.linearised(model, [f"{block}.bn{number}.act" for block in LINEAR for number in (1, 2)])


def test_convolutions_without_activations_between_them_become_one_exactly(
    without_activations: nn.Module, tmp_path: Path
) -> None:
    """Border pixels too, where the bias of the first of them meets the zeros around the second."""
    given, x = without_activations, images(SIZE, 4)
    network = nat_timm.to_network(given, (3, SIZE, SIZE), fits=True)
    after = put(network, "blocks.1.0", "fit_conv_3x3_b", "blocks.2.1", "fit_conv_3x3_b")
    made = nat_timm.inherit(given, after)
    assert [each.residual for each in nat_timm.fit(made, given, x, norms=False)] == [0, 0]
    assert_same_outputs(made, given, LINEAR, x)
    exact = [copy.deepcopy(each).double()(x.double()) for each in (made, given)]  # rounding grows from block to block
    torch.testing.assert_close(*exact, rtol=1e-5, atol=1e-5)
    assert_counted_and_saved(made, after, x, tmp_path)


def test_shared_weights_begin_with_products_too(without_activations: nn.Module) -> None:
    block = without_activations.get_submodule("blocks.2.1")
    channels = block.conv_pw.in_channels, block.conv_pwl.out_channels
    forms = [Form(channels, kernel=3, border=True), Form(channels, kernel=1)]
    found = fits_alone(without_activations, {("blocks.2.1",): forms}, [images(SIZE, 8)])
    exact, nearest = found.values()
    assert exact.residual == 0 < nearest.residual
    pupil, x = FittedOp(forms[0], nn.Identity(), torch.empty(0)), torch.randn(2, channels[0], 9, 7)
    with torch.no_grad():
        install(pupil, exact)
        torch.testing.assert_close(pupil(x), block(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "block", "form"),
    [
        ("mobilenetv2_035", "blocks.0.0", "fit_conv_3x3"),  # depthwise first: no bias meets a border
        ("mobilenetv2_035", "blocks.2.1", None),  # one of its two activations stays
        ("resnet18", "layer1.1", None),  # two 3x3: zeros between them belong to no window on the input
    ],
)
def test_a_product_is_offered_where_one_convolution_can_say_it(name: str, block: str, form: str | None) -> None:
    """What stands at the end of a block is no part of it."""
    inner = f"{block}.act1" if name == "resnet18" else f"{block}.bn1.act"
    given = nat_timm.linearised(lively(name), [inner])
    network = nat_timm.to_network(given, (3, SIZE, SIZE), fits=True)
    names = {name_of(op) for slot in network.slots if slot.cell == block for op in network.edge(slot).choices}
    assert "fit_conv_3x3" in names
    assert not any(each.endswith("_b") for each in names)
    made = nat_timm.inherit(given, put(network, block, "fit_conv_3x3"))
    [found] = nat_timm.fit(made, given, images(SIZE, 16))
    assert (found.residual == 0) == (form is not None)


AROUND = {"layer1.1": "fit_conv_5x5", "layer2.0": "fit_conv_7x7"}
"""Beside a shortcut; of stride 2, beside a convolution."""


@pytest.mark.parametrize("padding_first", [True, False])
def test_two_convolutions_that_look_around_become_one_as_soon_as_the_first_has_all_zeros(padding_first: bool) -> None:
    """Else no convolution is both, at the border, and none is offered."""
    given = nat_timm.linearised(lively("resnet18"), [f"{each}.act1" for each in AROUND], padding_first=padding_first)
    network, x = nat_timm.to_network(given, (3, SIZE, SIZE), fits=True), images(SIZE, 4)
    choices = {slot.cell: {name_of(op) for op in network.edge(slot).choices} for slot in network.slots[::-1]}
    assert [form in choices[block] for block, form in AROUND.items()] == [padding_first] * 2
    if padding_first:
        after = put(network, *(each for pair in AROUND.items() for each in pair))
        made = nat_timm.inherit(given, after)
        assert [each.residual for each in nat_timm.fit(made, given, x, norms=False)] == [0, 0]
        assert_same_outputs(made, given, tuple(AROUND), x)
        check_costs(after)
        assert edits_of_text(given, network) == given.nat_document.edits  # type: ignore[union-attr]


def assert_same_outputs(made: nn.Module, given: nn.Module, blocks: Sequence[str], x: torch.Tensor) -> None:
    for point in map(Point, blocks):
        mine, its = (probe(each, [point], x)[point] for each in (made, given))
        torch.testing.assert_close(mine, its, rtol=1e-5, atol=1e-5 * float(its.abs().max()))


def assert_counted_and_saved(made: nn.Module, after: Network, x: torch.Tensor, folder: Path) -> None:
    check_costs(after)
    nat_timm.save(made, folder / "merged")
    loaded = timm.create_model(f"local-dir:{folder / 'merged'}", pretrained=True).eval()
    torch.testing.assert_close(loaded(x), made(x))
    assert nat_timm.to_network(loaded, (3, SIZE, SIZE)).ops == after.ops


def edits_of_text(model: nn.Module, network: Network) -> tuple[Edit, ...]:
    """The edits that text and back leave."""
    text = TimmAdapter().write(network)
    again = TimmAdapter().read(text, NetworkSize(input=(3, SIZE, SIZE), classes=model.num_classes))  # type: ignore[arg-type]
    return moved_document(again).edits


PAIRS = {
    "blocks.1.0": ("bn1.act", "merged-conv.pw/conv.dw-3x3b"),  # stride 2, padded as TensorFlow does it
    "blocks.2.1": ("bn1.act", "merged-conv.pw/conv.dw-3x3b"),  # the bias of the first meets zeros
    "blocks.3.0": ("bn2.act", "merged-conv.dw/conv.pwl-3x3"),  # depthwise and dense
}


def test_pairs_of_convolutions_within_blocks_become_one_exactly(model: nn.Module, tmp_path: Path) -> None:
    given = nat_timm.linearised(model, [f"{block}.{act}" for block, (act, _) in PAIRS.items()])
    network, x = nat_timm.to_network(given, (3, SIZE, SIZE), fits=True), images(SIZE, 4)
    after = put(network, *(each for block, (_, form) in PAIRS.items() for each in (block, form)))
    made = nat_timm.inherit(given, after)
    assert [each.residual for each in nat_timm.fit(made, given, x, norms=False)] == [0, 0, 0]
    assert_same_outputs(made, given, tuple(PAIRS), x)
    assert_counted_and_saved(made, after, x, tmp_path)


def test_a_pair_is_exact_where_no_activation_is_between_and_taken_where_it_costs_less(model: nn.Module) -> None:
    """Of a 1x1 and a depthwise convolution the activation may be left out with that; the one that they become is fitted
    then."""
    given = nat_timm.linearised(model, ["blocks.2.1.bn1.act"])
    network = nat_timm.to_network(given, (3, SIZE, SIZE), fits=True)
    choices = {slot.cell: [name_of(op) for op in network.edge(slot).choices] for slot in network.slots[::-1]}
    pairs = {cell: [name for name in names if name.startswith("merged-")] for cell, names in choices.items()}
    assert pairs["blocks.2.1"] == ["merged-conv.pw/conv.dw-3x3b"]
    assert pairs["blocks.1.1"] == ["merged-conv.pw/conv.dw-3x3"]
    assert pairs["blocks.0.0"] == []  # a depthwise one first
    metrics = {**METRICS, "latency": Layers()}
    for budget, is_legal in (({"macs": "1.0x"}, False), ({"latency": "0.9x"}, True)):
        moves = Moves(network, find_rule("nat++"), Budget.parse(budget, metrics).resolve(network))
        assert any(name_of(op).startswith("merged-") for ops in moves.candidates for op in ops) == is_legal
    made, test = nat_timm.inherit(given, put(network, "blocks.1.1", "merged-")), images(SIZE, 32, seed=5)
    [found] = nat_timm.fit(made, given, images(SIZE, 64))
    assert 0 < found.residual < 1
    mine, its = (probe(each, [Point("blocks.1.1")], test)[Point("blocks.1.1")] for each in (made, given))
    without = nat_timm.linearised(model, ["blocks.2.1.bn1.act", "blocks.1.1.bn1.act"])
    recalibrate(without, [images(SIZE, 64)])
    left_out = probe(without, [Point("blocks.1.1")], test)[Point("blocks.1.1")]
    assert (mine - its).square().mean() < (left_out - its).square().mean()


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (["blocks.1.0.conv_dw", "blocks.1.0.conv_pwl"], "needs convolutions with zeros around"),
        (["blocks.2.1.bn1", "blocks.2.1.conv_dw"], "needs a convolution, 'blocks.2.1.bn1' is a BatchNormAct2d"),
    ],
)
def test_zeros_that_cannot_be_moved_are_refused_in_one_line(at: list[str], said: str) -> None:
    text = {"architecture": SMALL, "model_args": {"pad_type": "same"}, "edits": [{"op": "padding", "at": at}]}
    with pytest.raises(NATError) as caught:
        TimmAdapter().read(json.dumps(text), NetworkSize(input=(3, SIZE, SIZE), classes=7))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        (["blocks.9.9.bn1.act"], "which the model does not have"),
        (["blocks.2.1.conv_pw"], "needs activations without weights, 'blocks.2.1.conv_pw' is a Conv2d"),
        ("blocks.2.1.bn1.act", "give a list of paths of activations"),
        ([], "give a list of paths of activations"),
    ],
)
def test_activations_that_are_none_are_refused_in_one_line(model: nn.Module, paths: list[str], said: str) -> None:
    with pytest.raises(NATError) as caught:
        nat_timm.linearised(model, paths)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
