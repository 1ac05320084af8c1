"""The evaluation network written down a second time, by the rules of DARTS alone, against ours."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from nets.samples import DARTS_V2, WITH_NONES, darts
from torch import Tensor

from nat_plugin.nets import build
from nat_plugin.nets.auxiliary import AuxiliaryHead


class Reference:
    """A DARTS network as one function of its input; takes its ``weights`` in the order in which they are used."""

    def __init__(self, genotype: dict[str, Any], channels: int, cells: int, weights: list[Tensor]) -> None:
        self.genotype, self.channels, self.cells = genotype, channels, cells
        self.weights = iter(weights)

    def conv(self, x: Tensor, **how: Any) -> Tensor:
        weight = next(self.weights)
        assert x.shape[1] == weight.shape[1] * how.get("groups", 1)
        return F.conv2d(x, weight, **how)

    def norm(self, x: Tensor) -> Tensor:
        return F.batch_norm(x, None, None, next(self.weights), next(self.weights), training=True)

    def reduction(self, x: Tensor) -> Tensor:
        x = x.relu()
        return self.norm(torch.cat([self.conv(x, stride=2), self.conv(x[:, :, 1:, 1:], stride=2)], 1))

    def depthwise(self, x: Tensor, k: int, stride: int, dilation: int) -> Tensor:
        padding = dilation * (k - 1) // 2
        x = self.conv(x.relu(), stride=stride, padding=padding, dilation=dilation, groups=x.shape[1])
        return self.norm(self.conv(x))

    def op(self, name: str, x: Tensor, stride: int) -> Tensor:
        if name == "none":
            return torch.zeros_like(x[:, :, ::stride, ::stride])
        if name == "skip_connect":
            return x if stride == 1 else self.reduction(x)
        if name == "max_pool_3x3":
            return F.max_pool2d(x, 3, stride, 1)
        if name == "avg_pool_3x3":
            return F.avg_pool2d(x, 3, stride, 1, count_include_pad=False)
        k = int(name[-1])
        if name.startswith("dil"):
            return self.depthwise(x, k, stride, 2)
        return self.depthwise(self.depthwise(x, k, stride, 1), k, 1, 1)

    def __call__(self, x: Tensor) -> Tensor:
        before = last = self.norm(self.conv(x, padding=1))
        shrunk = False
        for number in range(self.cells):
            reduces = number in (self.cells // 3, 2 * self.cells // 3)
            part = "reduce" if reduces else "normal"
            states = [self.reduction(before) if shrunk else self.norm(self.conv(before.relu()))]
            states.append(self.norm(self.conv(last.relu())))
            entries = self.genotype[part]
            for node in range(len(entries) // 2):
                pair = entries[2 * node : 2 * node + 2]
                states.append(sum(self.op(name, states[s], 2 if reduces and s < 2 else 1) for name, s in pair))
            before, last = last, torch.cat([states[i] for i in self.genotype[f"{part}_concat"]], 1)
            shrunk = reduces
        return F.linear(last.mean((2, 3)), next(self.weights), next(self.weights))


@pytest.mark.parametrize("genotype", [DARTS_V2, WITH_NONES], ids=["darts_v2", "nones"])
@pytest.mark.parametrize("cells", [3, 6])
def test_same_function_of_the_same_weights(genotype: dict[str, Any], cells: int) -> None:
    torch.manual_seed(0)
    network = darts(genotype, 4, cells)
    ours = build(network).double()
    weights = list(ours.parameters())
    with torch.no_grad():
        for weight in weights:
            weight.add_(torch.randn_like(weight), alpha=0.1)
    reference = Reference(genotype, 4, cells, weights)
    x = torch.randn(3, 3, 16, 16, dtype=torch.float64)
    expected = reference(x)
    assert next(reference.weights, None) is None, "the reference uses every parameter"
    torch.testing.assert_close(ours(x), expected)
    torch.testing.assert_close(ours.to(memory_format=torch.channels_last)(x), expected)


def test_a_dead_node_leaves_the_concat() -> None:
    """A node whose inputs are all none: zeros in the concat of DARTS, but no channels in ours. With the weights of
    those channels left out the function is the same."""
    dead = {**DARTS_V2, "normal": [*DARTS_V2["normal"][:6], ("none", 0), ("none", 2)]}
    torch.manual_seed(0)
    network = build(darts(dead, 4, 3)).double()
    slim = [p.detach() for p in network.parameters()]
    listed = {**dead, "normal_concat": [2, 3, 4]}
    x = torch.randn(3, 3, 16, 16, dtype=torch.float64)
    expected = Reference(listed, 4, 3, slim)(x)
    torch.testing.assert_close(network(x), expected)
    wide = Reference(dead, 4, 3, _widened(dead, slim))
    torch.testing.assert_close(wide(x), expected)


def _widened(dead: dict[str, Any], slim: list[Tensor]) -> list[Tensor]:
    """Weights for ``dead`` from those without its dead node: arbitrary columns for the zeros that it adds."""
    torch.manual_seed(1)
    wide: list[Tensor] = []
    source = iter(slim)

    class Recorder(Reference):
        def conv(self, x: Tensor, **how: Any) -> Tensor:
            wide.append(_pad_columns(next(source), x.shape[1] // how.get("groups", 1)))
            return F.conv2d(x, wide[-1], **how)

        def norm(self, x: Tensor) -> Tensor:
            wide.extend((next(source), next(source)))
            return F.batch_norm(x, None, None, wide[-2], wide[-1], training=True)

    recorder = Recorder(dead, 4, 3, [slim[-2], slim[-1]])
    recorder(torch.randn(2, 3, 16, 16, dtype=torch.float64))
    return [*wide, slim[-2], slim[-1]]


def _pad_columns(weight: Tensor, width: int) -> Tensor:
    missing = width - weight.shape[1]
    return weight if missing == 0 else torch.cat([weight, torch.randn_like(weight[:, :missing])], 1)


def test_parameter_count_of_the_published_network() -> None:
    """36 channels, 20 cells: 3,349,342 parameters in the zoo of NNI, which has no auxiliary head either."""
    with torch.device("meta"):
        network = build(darts(DARTS_V2, 36, 20))
    assert sum(p.numel() for p in network.parameters()) == 3_349_342


def test_auxiliary_head_of_darts() -> None:
    """At 8x8: average pooling 5 with stride 3, 1x1 to 128, 2x2 to 768, a linear layer."""
    head = AuxiliaryHead((16, 8, 8), 10).double()
    x = torch.randn(4, 16, 8, 8, dtype=torch.float64)
    first, g1, b1, second, g2, b2, weight, bias = head.parameters()
    y = F.conv2d(F.avg_pool2d(x.relu(), 5, 3), first)
    y = F.conv2d(F.batch_norm(y, None, None, g1, b1, training=True).relu(), second)
    y = F.batch_norm(y, None, None, g2, b2, training=True).relu()
    torch.testing.assert_close(head(x), F.linear(y.flatten(1), weight, bias))
    assert AuxiliaryHead((16, 7, 7), 10).features[1].stride == (2, 2)  # as for ImageNet


@pytest.mark.parametrize("size", [*range(1, 17), 33])
def test_auxiliary_head_of_any_size_covers_the_map(size: int) -> None:
    head = AuxiliaryHead((4, size, 5), 3)
    x = torch.randn(2, 4, size, 5, requires_grad=True)
    head.features[1](x).sum().backward()
    assert x.grad is not None
    assert (x.grad > 0).all()
    assert head(x).shape == (2, 3)
