"""What stays has the weights of the model: centres of kernels, important channels, the rest untouched."""

from __future__ import annotations

import pytest
import torch
from nat_timm.documents.edits import Edit, edits_from_json, edits_to_json
from nat_timm.surgery.apply import apply_edits
from nat_timm.surgery.hidden import importance, shrink_hidden
from torch import nn

from nat_plugin.errors import NATError
from tests.adapters.timm.samples import images, lively


def test_a_kernel_keeps_its_centre_and_the_output_its_size() -> None:
    for kernel, padding, stride, dilation in ((7, 3, 1, 1), (7, 3, 2, 1), (5, 4, 1, 2)):
        net = nn.Sequential(nn.Conv2d(4, 4, kernel, stride, padding, dilation, groups=4))
        weight, before = net[0].weight.detach().clone(), net(torch.ones(1, 4, 17, 17)).shape
        apply_edits(net, [Edit("kernel", ("0",), 3)], "net")
        less = (kernel - 3) // 2
        assert torch.equal(net[0].weight, weight[..., less:-less, less:-less])
        assert net(torch.ones(1, 4, 17, 17)).shape == before


def test_channels_that_nothing_reads_are_the_ones_that_go() -> None:
    """The output is the same if the channels that go were zero in the consumer."""
    torch.manual_seed(0)
    body = [nn.Conv2d(6, 16, 1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1, groups=16)]
    net = nn.Sequential(*body, nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 5, 1)).eval()
    gone = torch.tensor([1, 4, 5, 11])
    with torch.no_grad():
        net[6].weight[:, gone] = 0
    images = torch.randn(2, 6, 9, 9)
    before = net(images)
    shrink_hidden([net[0], net[1], net[3], net[4], net[6]], 12)
    assert net[3].groups == net[3].weight.shape[0] == 12
    torch.testing.assert_close(net(images), before)


def test_importance_is_the_size_of_what_passes_the_activation_times_what_reads_it() -> None:
    producer, norm, consumer = nn.Conv2d(2, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1)
    scale, shift = torch.tensor([1.0, -3.0, 2.0, 0.1]), torch.tensor([0.0, 0.5, -1.0, -2.0])
    with torch.no_grad():
        norm.weight.copy_(scale)
        norm.bias.copy_(shift)
        consumer.weight.fill_(0.5)
    values = torch.randn(4, 400_000, generator=torch.Generator().manual_seed(0))
    sizes = (values * scale[:, None] + shift[:, None]).relu().square().mean(1).sqrt()
    torch.testing.assert_close(importance(producer, [norm], consumer), sizes, rtol=0.02, atol=0.005)


def test_channels_of_a_group_stay_together() -> None:
    torch.manual_seed(0)
    producer, grouped, consumer = nn.Conv2d(4, 8, 1), nn.Conv2d(8, 8, 3, padding=1, groups=2), nn.Conv2d(8, 4, 1)
    rows = producer.weight.detach().clone()
    shrink_hidden([producer, grouped, consumer], 4)
    assert any(torch.equal(producer.weight, rows[first : first + 4]) for first in (0, 4))
    assert grouped.groups == 1
    assert grouped.weight.shape == (4, 4, 3, 3)
    with pytest.raises(ValueError, match="cannot be kept"):
        shrink_hidden([nn.Conv2d(4, 8, 1), nn.Conv2d(8, 8, 3, groups=2), nn.Conv2d(8, 4, 1)], 6)


def test_a_block_that_is_left_out_passes_its_input_through_the_activation() -> None:
    model = lively("resnet18")
    block = model.get_submodule("layer1.1")
    apply_edits(model, [Edit("null", ("layer1.1",), "act2")], "resnet18")
    x = torch.randn(2, 64, 8, 8)
    assert torch.equal(model.get_submodule("layer1.1")(x), x.relu())
    assert not [name for name in model.state_dict() if name.startswith("layer1.1.")]
    assert block is not model.get_submodule("layer1.1")


def test_a_shortcut_adds_the_input_and_moves_no_weight() -> None:
    model = lively("mobilenetv4_conv_small_050")
    keys, path = list(model.state_dict()), "blocks.0.1"
    block = model.get_submodule(path)
    x = torch.randn(2, block.conv.in_channels, 8, 8)
    before = block(x)
    apply_edits(model, [Edit("shortcut", (path,))], "model")
    assert list(model.state_dict()) == keys
    torch.testing.assert_close(model.get_submodule(path)(x), x + before)


def test_an_edit_that_is_not_made_leaves_all_else_as_it_is() -> None:
    model, other = lively("mobilenetv2_050"), lively("mobilenetv2_050")
    apply_edits(model, [Edit("kernel", ("conv_stem",), 1)], "model")
    others = other.state_dict()
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, others[name])}
    assert changed == {"conv_stem.weight"}
    assert model(images(64)).shape == other(images(64)).shape


def test_edits_are_json() -> None:
    edits = (Edit("hidden", ("a", "b"), 8), Edit("skip", ("c",)), Edit("null", ("d",)), Edit("null", ("e",), "act"))
    assert edits_from_json(edits_to_json(edits)) == edits


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ({"op": "kernel", "at": "blocks.9.9", "value": 3}, "which the model does not have"),
        ({"op": "kernel", "at": "bn1", "value": 3}, "needs a convolution"),
        ({"op": "kernel", "at": "conv_stem", "value": 2}, "cannot be made to a kernel of 3x3"),
        ({"op": "hidden", "at": ["conv_stem", "conv_head"], "value": 8}, "cannot be made"),
        ({"op": "pool", "at": "conv_stem", "value": "max"}, "needs a pool"),
        ({"op": "melt", "at": "conv_stem"}, "unknown op 'melt'"),
        ({"op": "kernel", "at": "conv_stem", "value": "3"}, "takes a value of type int"),
        ({"op": "kernel"}, "expected"),
        ({"op": "skip", "at": []}, "the path of a module"),
    ],
)
def test_an_edit_that_cannot_be_is_refused_in_one_line(edit: object, said: str) -> None:
    with pytest.raises(NATError, match=said) as error:
        apply_edits(lively("mobilenetv2_050"), edits_from_json([edit]), "mobilenetv2_050")
    assert "\n" not in str(error.value)
