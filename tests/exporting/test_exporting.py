"""Exported networks: the module that the core builds, bit for bit and by the same names, where there is only torch."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from nets.samples import DARTS_V2, WITH_NONES, bench201, darts, mobile, networks
from safetensors.torch import save_file
from torch import nn

from nat_plugin.adapter import Adapter
from nat_plugin.errors import NATError
from nat_plugin.exporting import exported, save_network
from nat_plugin.ir import Network, NetworkSize, Op, cost, from_json, to_json
from nat_plugin.nets import CellNetwork, build
from nat_plugin.plugins import plugins
from tests.command_line import Nat

SMALL = ["--channels", "4", "--cells", "3", "--input", "16"]
FORMATS = {
    "darts": ["DARTS_V2", *SMALL],
    "enas-micro": ["ENAS_micro", *SMALL],
    "enas-macro": ["ENAS_macro", "--channels", "4", "--input", "16"],
    "nasbench201": ["NB201_ResNet", *SMALL],
    "nasbench-macro": ["01201200", "--channels", "4", "--input", "16"],
    "transnas": ["8-414-1_02_333", "--channels", "4", "--input", "16", "--classes", "10"],
    "network": [to_json(mobile(), None)],
}
ALONE = """
import sys
sys.modules.update({name: None for name in ("nat_plugin", "nat_darts", "safetensors", "numpy.testing")})
import torch
from model import Model, load
images = torch.load("images.pt", weights_only=True)
torch.save(load("weights.pt")(images).detach(), "logits.pt")
model = Model()
model.train()(images).square().mean().backward()
assert all(each.grad is not None for each in model.parameters())
"""


def disturbed(network: Network) -> CellNetwork:
    """A built network after a few batches, so that no running statistic is what it was at the beginning."""
    torch.manual_seed(0)
    net = build(network).train()
    with torch.no_grad():
        for _ in range(2):
            net(torch.randn(4, *network.input))
    return net.eval()


def check(network: Network) -> None:
    net, module = disturbed(network), exported(network)
    assert list(module.state_dict()) == list(net.state_dict())
    assert sum(each.numel() for each in module.parameters()) == cost(network).params
    module.load_state_dict(net.state_dict())
    images = torch.randn(3, *network.input)
    for mode in (False, True):
        assert torch.equal(copy.deepcopy(module).train(mode)(images), copy.deepcopy(net).train(mode)(images))


@pytest.mark.parametrize(
    "network",
    [
        darts(DARTS_V2),
        darts(WITH_NONES, 6, 5, NetworkSize(input=(1, 9, 7), classes=3)),
        bench201("conv_3x3 skip null avg_pool_3x3 skip conv_1x1"),
        mobile(),
    ],
)
def test_it_is_what_the_core_builds(network: Network) -> None:
    check(network)


@given(networks())
@settings(max_examples=10)
def test_any_network_can_be_exported(network: Network) -> None:
    check(network)


@pytest.mark.parametrize("adapter", FORMATS)
def test_it_runs_and_trains_where_there_is_only_torch(adapter: str, nat: Nat, tmp_path: Path) -> None:
    found = plugins().adapters[adapter]
    source, *sizes = FORMATS[adapter]
    published = found.published()
    text = published[source].text if source in published else source
    given_ = dict(zip(sizes[::2], sizes[1::2], strict=True))
    size = int(given_.get("--input", 15))
    channels, cells = (int(given_[name]) if name in given_ else None for name in ("--channels", "--cells"))
    network = found.read(text, NetworkSize(channels, cells, (3, size, size)))
    net = disturbed(network)
    save_file(net.state_dict(), tmp_path / "trained.safetensors")
    images = torch.randn(4, *network.input)
    torch.save(images, tmp_path / "images.pt")
    folder = str(tmp_path)
    said = nat(
        "export", source, *sizes, "--adapter", adapter, "-o", folder, "--weights", f"{folder}/trained.safetensors"
    )
    assert (said.status, said.out) == (0, f"{folder}: model.py and weights.pt\n"), said.err
    done = subprocess.run(
        [sys.executable, "-c", ALONE], cwd=tmp_path, env={"OMP_NUM_THREADS": "1"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert torch.equal(torch.load(tmp_path / "logits.pt", weights_only=True), net(images))


def test_ops_stand_in_functions_and_cells_in_classes() -> None:
    adapter = plugins().adapters["darts"]
    network = adapter.read(adapter.published()["DARTS_V2"].text, NetworkSize())
    text = str(exported(network).source)
    assert len(text.splitlines()) < 300
    assert max(map(len, text.splitlines())) <= 120
    assert text.count("class NormalCell(") == text.count("class ReduceCell(") == 1
    assert "def sep_conv_3x3(channels):\n    return nn.Sequential(\n        nn.ReLU(),\n" in text
    assert "n5 = self.parts[8](in0) + self.parts[9](n2)  # skip, dil_conv_3x3\n" in text
    assert text.startswith('"""A network of 3,349,342 parameters and 528,359,040 multiply-adds.\n')


def test_without_weights_there_is_a_model_alone(nat: Nat, tmp_path: Path) -> None:
    said = nat("export", "DARTS_V2", *SMALL, "-o", str(tmp_path / "model"))
    assert said.out == f"{tmp_path / 'model'}: model.py, without trained weights\n", said.err
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["model.py"]
    (tmp_path / "model" / "weights.pt").write_bytes(b"of another model")
    said = nat("export", "DARTS_V2", *SMALL, "-o", str(tmp_path / "model"))
    assert said.status == 2
    assert "these weights are of another model; remove them or choose another folder" in said.err


def test_weights_of_another_model_are_refused(nat: Nat, tmp_path: Path) -> None:
    network = darts(DARTS_V2)
    state = build(network).state_dict()
    first = next(iter(state))
    for wrong, message in (
        ({**state, "auxiliary.classifier.bias": torch.ones(2)}, "the model has no 'auxiliary.classifier.bias'"),
        ({name: value for name, value in state.items() if name != first}, f"they have no '{first}'"),
        ({**state, first: torch.ones(3)}, rf"'{first}' is \(3,\), the model needs \("),
    ):
        with pytest.raises(NATError, match=f"these are not the weights of this model: {message}"):
            save_network(network, tmp_path, wrong)
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_bytes(b"no weights")
    said = nat("export", "DARTS_V2", *SMALL, "-o", str(tmp_path), "--weights", str(tmp_path / "file"))
    assert (said.status, len(said.err.splitlines())) == (2, 1)


class Own(nn.Module):
    """A block of somebody's own framework."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3, padding=1)
        self.scale = nn.Parameter(torch.full((5, 1, 1), 2.0))
        self.head = nn.Linear(5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head((self.conv(x) * self.scale).mean((2, 3)))
        return out


class OwnAdapter(Adapter):
    """A format whose ops are known by their cost alone: it says nothing of exports."""

    name, summary = "own", "blocks of somebody's own framework"

    def recognises(self, text: str) -> bool:
        return False

    def read(self, text: str, size: NetworkSize) -> Network:
        network = from_json(to_json(bench201("conv_3x3 skip null skip skip skip"), None))
        return network.with_ops([Op.parse("skip") if op.is_null else op for op in network.ops])

    def write(self, network: Network) -> str:
        raise NotImplementedError

    def module(self, network: Network) -> nn.Module:
        return Own()


def test_a_format_without_an_export_of_its_own_has_that_of_the_core(tmp_path: Path) -> None:
    OwnAdapter().export("", NetworkSize(), tmp_path)
    scope: dict[str, Any] = {"__name__": "model"}
    exec((tmp_path / "model.py").read_text(), scope)  # what was just written
    model = scope["load"](tmp_path / "weights.pt")
    assert list(model.state_dict()) == list(Own().state_dict())
    assert float(model.scale.detach().mean()) == 2
    assert model(torch.zeros(1, 3, 8, 8)).shape == (1, 2)
    assert 'load("weights.pt")  # FRESH weights' in (tmp_path / "model.py").read_text()


@pytest.mark.parametrize(("source", "adapter"), [("NB101_Inception", "nasbench101"), ("darts-v2", "nni")])
def test_fresh_weights_are_said_to_be_fresh(source: str, adapter: str, nat: Nat, tmp_path: Path) -> None:
    """A framework has its own way to start a model, so the file is there; but nobody takes it for a trained one."""
    pytest.importorskip("nni")
    said = nat("export", source, "--adapter", adapter, *SMALL, "-o", str(tmp_path / "model"))
    assert said.out == f"{tmp_path / 'model'}: model.py and weights.pt: FRESH weights, nothing was trained\n", said.err
    text = (tmp_path / "model" / "model.py").read_text()
    assert 'load("weights.pt")  # FRESH weights' in text
    assert "# trained" not in text


def test_the_text_says_whether_the_weights_are_trained(tmp_path: Path) -> None:
    network = darts(DARTS_V2)
    save_network(network, tmp_path / "none")
    assert "there are none yet" in (tmp_path / "none" / "model.py").read_text()
    save_network(network, tmp_path / "trained", build(network).state_dict())
    assert 'load("weights.pt")  # trained, in evaluation mode' in (tmp_path / "trained" / "model.py").read_text()


def test_what_torch_alone_cannot_make_is_named() -> None:
    op = Op.parse("opaque:mine:120:4000")
    network = bench201("conv_3x3 skip null avg_pool_3x3 skip conv_1x1")
    name, cell = network.cells[0]
    edges = tuple(edge.copy_with(op=op, choices=(op,)) for edge in cell.edges)
    with pytest.raises(NATError, match="op 'opaque:mine' is known by its cost alone"):
        exported(network.with_cells([(name, type(cell)(cell.inputs, cell.nodes, edges, cell.output))]))
