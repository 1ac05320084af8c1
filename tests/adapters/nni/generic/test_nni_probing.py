"""What is taken for skip and for null among the candidates of a user's space: only what does just that."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from nat_nni.generic.probing import IDENTITY, OP, ZERO, kind_of
from nat_nni.mapping import to_network
from nni.nas.nn.pytorch import LayerChoice, ModelSpace
from torch import nn
from torch.nn import functional

from tests.adapters.nni.nni_spaces import Zero, conv

SHAPES = [(1, 8, 5, 5), (1, 8, 1, 1), (1, 8), (1, 1, 1, 1)]
SETTINGS: dict[str, list[tuple[Any, ...]]] = {
    "Threshold": [(0.1, 20.0), (-1e-3, 0.0), (-1000.0, 7.0)],
    "Hardtanh": [(), (-100.0, 100.0), (0.0, 1e4)],
    "Softplus": [(), (1.0, 1.0)],
    "LeakyReLU": [(), (0.99,)],
    "Softshrink": [(), (1e-4,)],
    "Hardshrink": [(), (1e-4,), (1e5,)],
    "Dropout": [(), (1e-6,), (1.0,)],
    "LocalResponseNorm": [(2,)],
    "GroupNorm": [(1, 8, 1e-5, False)],
    "LayerNorm": [((5, 5), 1e-5, False)],
    "RMSNorm": [((5, 5), None, False)],
}
"""Of constructors, where the defaults are not enough."""
_PASSING = {"MultiheadAttention", "Identity"}


def layers(*rooms: Any) -> list[nn.Module]:
    """Every class of some modules of torch that can be made, with the settings above."""
    kinds = {name: getattr(room, name) for room in rooms for name in room.__all__}
    found = []
    for name in sorted(kinds.keys() - _PASSING):
        norm = [(8, 1e-5, 0.1, False, False)] if name.startswith(("BatchNorm", "InstanceNorm", "SyncBatchNorm")) else []
        if not name.startswith(("Lazy", "CrossMap")):
            found += [kinds[name](*given) for given in SETTINGS.get(name, norm or [()])]
    return found


ACTIVATIONS = layers(nn.modules.activation)
OTHERS = layers(nn.modules.dropout, nn.modules.batchnorm, nn.modules.instancenorm, nn.modules.normalization)


class Applied(nn.Module):
    """A function as users write it into a module of theirs."""

    def __init__(self, function: Callable[[torch.Tensor, bool], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x, self.training)


FUNCTIONS: dict[str, Callable[[torch.Tensor, bool], torch.Tensor]] = {
    "relu": lambda x, training: functional.relu(x),
    "abs": lambda x, training: x.abs(),
    "clamp": lambda x, training: x.clamp(-3, 3),
    "clamp from below": lambda x, training: x.clamp(min=-1e-3),
    "dropout": lambda x, training: functional.dropout(x, 1e-6, training),
    "always dropout": lambda x, training: functional.dropout(x, 0.5, True),
    "drop path": lambda x, training: x * 0 if training and random.random() < 1e-9 else x,
    "drop path of numpy": lambda x, training: x * 0 if training and np.random.random() < 1e-9 else x,
    "noise": lambda x, training: x + torch.randn_like(x) * 0,
    "softmax over images": lambda x, training: x.softmax(0),
    "zero in training": lambda x, training: x * 0 if training else x,
    "flip": lambda x, training: x.flip(-1) if x.shape[-1] > 1 else -x,
    "round": lambda x, training: x.round(),
    "sign": lambda x, training: x.sign(),
    "relu of zero": lambda x, training: functional.relu(-x.abs() + 1e-3),
}


def kind(module: nn.Module, shape: tuple[int, ...]) -> str:
    return kind_of(module, [torch.empty(shape, device="meta")], {})


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("module", ACTIVATIONS, ids=str)
def test_no_activation_is_an_identity_or_zero(module: nn.Module, shape: tuple[int, ...]) -> None:
    if isinstance(module, nn.LogSoftmax) and shape[1:] == (1, 1, 1):
        assert kind(module, shape) == ZERO, "of one channel it is"
    else:
        assert kind(module, shape) == OP


def test_there_are_as_many_as_torch_has() -> None:
    assert len(ACTIVATIONS) > 25
    assert {"ReLU", "ReLU6", "LeakyReLU", "ELU", "Hardtanh", "Threshold"} <= {type(m).__name__ for m in ACTIVATIONS}


@pytest.mark.parametrize("shape", SHAPES[:3])  # the norm of a single number is zero
@pytest.mark.parametrize("module", OTHERS, ids=str)
def test_no_dropout_and_no_norm_is_an_identity_or_zero(module: nn.Module, shape: tuple[int, ...]) -> None:
    assert kind(module, shape) == OP


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_function_of_the_users_is_an_identity_or_zero(name: str, shape: tuple[int, ...]) -> None:
    assert kind(Applied(FUNCTIONS[name]), shape) == OP


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("module", "found"),
    [
        (nn.Identity(), IDENTITY),
        (nn.Sequential(), IDENTITY),
        (nn.Dropout(0.0), IDENTITY),
        (Applied(lambda x, training: x + 0), IDENTITY),
        (Zero(), ZERO),
        (Applied(lambda x, training: torch.zeros_like(x)), ZERO),
    ],
)
def test_what_is_one_is_known(module: nn.Module, found: str, shape: tuple[int, ...]) -> None:
    assert kind(module, shape) == found


@pytest.mark.parametrize("pool", [nn.MaxPool2d(1), nn.AvgPool2d(1)])
def test_a_pooling_of_one_pixel_is_an_identity(pool: nn.Module) -> None:
    assert kind(pool, SHAPES[0]) == IDENTITY
    assert kind(type(pool)(3, 1, 1), SHAPES[0]) == OP


def test_the_generators_stay_as_they_are() -> None:
    states = [torch.get_rng_state(), random.getstate(), str(np.random.get_state())]
    for name in FUNCTIONS:
        kind(Applied(FUNCTIONS[name]), SHAPES[0])
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1:] == [random.getstate(), str(np.random.get_state())]


class Mixed(ModelSpace):
    """An activation, or nothing, or a convolution."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.stem = conv(3, 8, 3)
        self.mix = LayerChoice({"conv": conv(8, 8, 3), "act": activation, "same": nn.Identity()}, label="mix")
        self.head = nn.Linear(8, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.mix(self.stem(x)).mean((2, 3)))


@pytest.mark.parametrize("activation", [nn.ReLU6(), nn.Threshold(0.1, 20.0), nn.Dropout(0.1), nn.Hardtanh()])
def test_a_real_identity_is_offered_beside_an_activation(activation: nn.Module) -> None:
    space = Mixed(activation)
    network = to_network(space, {"mix": "same"}, (3, 8, 8))
    (edge,) = [network.edge(slot) for slot in network.slots]
    assert [str(op) for op in edge.choices[1:]] == ["opaque:mix/act:0:0", "skip"]
    assert str(edge.op) == "skip"
