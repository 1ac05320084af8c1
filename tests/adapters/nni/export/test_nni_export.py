"""A found architecture as a torch module: the same bits as NNI's, and no NNI where it is used."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nni.nas.hub.pytorch as hub
import numpy as np
import pytest
import torch
from nat_nni import export_module, save_module
from nat_nni.experiment.initial import searched_sample
from nat_nni.samples.document import SampleText
from nni.nas.nn.pytorch import LayerChoice, ModelSpace, MutableConv2d, MutableLinear, Repeat
from nni.nas.space import model_context
from torch import nn

from nat_plugin.cli import nat
from nat_plugin.errors import NATError
from tests.adapters.nni.nni_experiments import DEAR

SPACES: dict[str, Callable[[], Any]] = {
    "DARTS": lambda: hub.DARTS(4, 3, dataset="cifar"),
    "DARTS for ImageNet": lambda: hub.DARTS(4, 3, dataset="imagenet"),
    "drop path": lambda: hub.DARTS(4, 3, dataset="cifar", drop_path_prob=0.3),
    "ENAS": lambda: hub.ENAS(4, 3, dataset="cifar"),
    "AmoebaNet": lambda: hub.AmoebaNet(4, 3, dataset="cifar"),
    "NASNet": lambda: hub.NASNet(4, 3, dataset="cifar"),
    "PNAS": lambda: hub.PNAS(4, 3, dataset="cifar"),
    "NasBench201": lambda: hub.NasBench201(stem_out_channels=4, num_modules_per_stack=1),
    "NasBench101": lambda: hub.NasBench101(stem_out_channels=8, num_stacks=2, num_modules_per_stack=1),
    "MobileNetV3Space": lambda: hub.MobileNetV3Space(num_labels=10),
    "ProxylessNAS": lambda: hub.ProxylessNAS(num_labels=10),
    "ShuffleNetSpace": lambda: hub.ShuffleNetSpace(num_labels=10),
}
CELL_WITH_NONE = {**(searched_sample("darts-v2") or {}), "normal/op_3_1": "none", "reduce/op_2_0": "none"}
ELSEWHERE = """
import sys
sys.modules.update({name: None for name in ("nni", "nat_nni", "nat_plugin", "pytorch_lightning")})
import torch
from model import load
model = load("weights.pt")
x = torch.load("input.pt", weights_only=True)
found = [model(x)]
optimizer = torch.optim.SGD(model.parameters(), 0.01)
model.train()
torch.manual_seed(0)
found.append(model(x))
found[1].square().mean().backward()
optimizer.step()
assert all(value.grad is not None for value in model.parameters() if value.requires_grad)
torch.save([each.detach() for each in found], "output.pt")
assert not any(name.split(".")[0] in ("nni", "nat_plugin") and module for name, module in sys.modules.items())
"""


def drawn(space: Any) -> tuple[dict[str, Any], Any]:
    """A random sample, and the model that NNI makes of it."""
    sample: dict[str, Any] = {}
    return sample, space.random(memo=sample, random_state=np.random.RandomState(0))


@pytest.mark.parametrize("name", SPACES)
def test_the_same_bits_and_names_as_in_nni(name: str) -> None:
    _, frozen = drawn(SPACES[name]())
    x = torch.randn(3, 3, 32, 32)
    module = export_module(frozen, example=x[:2])
    assert list(module.state_dict()) == list(frozen.state_dict())
    other = copy.deepcopy(frozen)
    with torch.no_grad():
        for value in other.parameters():
            value.add_(0.01 * torch.randn_like(value))
    module.load_state_dict(other.state_dict())  # weights trained in NNI carry over
    for mode in (True, False):
        outputs = []
        for model in (copy.deepcopy(other), copy.deepcopy(module)):
            torch.manual_seed(1)
            outputs.append(model.train(mode)(x))
        assert torch.equal(*outputs)
    used = {type(each).__module__.split(".")[0] for each in module.modules()} - {"model"}
    assert used == {"torch"}


def test_it_runs_and_trains_where_nni_is_not(tmp_path: Path) -> None:
    _, frozen = drawn(SPACES["drop path"]())
    save_module(export_module(frozen), tmp_path)
    x = torch.randn(4, 3, 32, 32)
    torch.save(x, tmp_path / "input.pt")
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE], cwd=tmp_path, env=_bare(), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    evaluated, trained = torch.load(tmp_path / "output.pt", weights_only=True)
    assert torch.equal(copy.deepcopy(frozen).eval()(x), evaluated)
    torch.manual_seed(0)
    assert torch.equal(frozen.train()(x), trained)


def _bare() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def test_an_auxiliary_head_is_kept() -> None:
    sample, _ = drawn(SPACES["DARTS"]())
    with model_context(sample):
        frozen = hub.DARTS(4, 3, dataset="cifar", auxiliary_loss=True)
    module = export_module(frozen)
    assert list(module.state_dict()) == list(frozen.state_dict())
    x = torch.randn(2, 3, 32, 32)
    assert len(module.train()(x)) == 2
    assert module.eval()(x).shape == (2, 10)


class Own(ModelSpace):
    """As a user writes one: choices of layers, of width and of depth, a parameter and a buffer of its own."""

    def __init__(self) -> None:
        super().__init__()
        width = nni_choice("width", [4, 8])
        self.first = LayerChoice(
            [MutableConv2d(1, width, 3, padding=1), MutableConv2d(1, width, 5, padding=2)], label="kernel"
        )
        self.body = Repeat(
            lambda index: nn.Sequential(MutableConv2d(width, width, 1), nn.PReLU()), (1, 3), label="depth"
        )
        self.head = MutableLinear(width, 3)
        self.scale = nn.Parameter(torch.full((1,), 2.0))
        self.register_buffer("shift", torch.tensor([0.5]))

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        x = self.body(self.first(x)) * self.scale + self.shift
        if x.shape[1] > 4:
            x = torch.relu(x)
        return {"logits": self.head(x.mean((2, 3)))}


def nni_choice(label: str, values: list[int]) -> Any:
    import nni

    return nni.choice(label, values)


@pytest.mark.parametrize("width", [4, 8])
def test_a_space_of_the_users_own(width: int, tmp_path: Path) -> None:
    sample = {"width": width, "kernel": 1, "depth": 3}
    space = Own()
    with model_context(sample):
        frozen = Own()
    module = export_module(frozen, example=torch.randn(2, 1, 8, 8))
    x = torch.randn(5, 1, 9, 9)
    assert torch.equal(module(x)["logits"], frozen(x)["logits"])
    assert "torch.relu" in module.source if width == 8 else "torch.relu" not in module.source
    assert set(export_module(space, sample, example=torch.randn(2, 1, 8, 8)).state_dict()) == set(module.state_dict())
    with pytest.raises(NATError, match="the sample does not fit Own") as error:
        export_module(space, {**sample, "width": 5})
    assert "\n" not in str(error.value)


class Odd(nn.Module):
    """Cannot be followed: a tensor decides."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x * int(x.sum()))


class Drawing(nn.Module):
    """Not the same twice."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x) * float(np.random.default_rng().random())


def test_what_cannot_be_exported_says_why_in_one_line(tmp_path: Path) -> None:
    cases: list[tuple[Callable[[], Any], str]] = [
        (lambda: export_module(Odd()), "Odd cannot be traced"),
        (lambda: export_module(Drawing()), "computes something else"),
        (lambda: export_module(SPACES["DARTS"]()), "a model space and a sample, or a frozen model"),
        (lambda: export_module(nn.ReLU()), "say what ReLU is called with"),
        (lambda: save_module(nn.ReLU(), tmp_path), "takes what export_module made"),
    ]
    for call, said in cases:
        with pytest.raises(NATError, match=said) as error:
            call()
        assert "\n" not in str(error.value)
    (tmp_path / "file").write_text("")
    module = export_module(nn.Linear(2, 2))
    with pytest.raises(NATError, match="cannot write"):
        save_module(module, tmp_path / "file")


def test_the_command_line_writes_a_module(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = SampleText(
        dict.fromkeys(DEAR, "conv_1x1"), "NasBench201", {"stem_out_channels": 4, "num_modules_per_stack": 1}
    )
    cases = {
        "zoo": ["darts-v2", "--channels", "4", "--cells", "3"],
        "null": [SampleText(CELL_WITH_NONE, "DARTSWithNone", {"width": 4, "num_cells": 3}).render()],
        "own": [own.render(), "--classes", "7"],
    }
    for folder, source in cases.items():
        nat.main(["export", *source, "--adapter", "nni", "-o", str(tmp_path / folder)], standalone_mode=False)
        assert capsys.readouterr().out.endswith(
            f"{folder}: model.py and weights.pt: FRESH weights, nothing was trained\n"
        )
        scope: dict[str, Any] = {"__name__": "model"}
        exec((tmp_path / folder / "model.py").read_text(), scope)  # what was just written
        classes = 7 if folder == "own" else 10
        assert scope["load"](tmp_path / folder / "weights.pt")(torch.zeros(2, 3, 32, 32)).shape == (2, classes)
    with pytest.raises(NATError, match="NasBench201 cannot be built"):
        wrong = SampleText({**own.sample, "cell/0_1": "conv_9x9"}, own.space, own.arguments).render()
        nat.main(["export", wrong, "--adapter", "nni", "-o", str(tmp_path)], standalone_mode=False)
