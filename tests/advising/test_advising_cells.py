"""Advice on networks of cells: the supernet of a trained network, what ops inherit, the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import save_file
from torch.nn.modules.batchnorm import _BatchNorm

from nat_plugin.advising.inheriting import inherits, supernet_of
from nat_plugin.cli import nat
from nat_plugin.errors import NATError
from nat_plugin.ir import NULL, Frame, Network, Op, Site, cost
from nat_plugin.nets import build
from nat_plugin.nets.fixed import CellNetwork
from nat_plugin.plugins import plugins
from tests.networks import genotype_network

NB201 = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"
SIZE, CLASSES = 16, 4
FRAME = Frame(4, 3, (3, SIZE, SIZE), CLASSES)
SIZES = ("--channels", "4", "--cells", "3", "--input", str(SIZE), "--classes", str(CLASSES))


def nb201(text: str = NB201) -> Network:
    return plugins().find("adapters", "nasbench201").read(text, FRAME)


def trained(network: Network) -> CellNetwork:
    torch.manual_seed(0)
    made = build(network)
    for module in made.modules():
        if isinstance(module, _BatchNorm):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias)
    return made


def in_batch_mode(made: CellNetwork, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        found = made.train()(x)
    made.eval()
    assert isinstance(found, torch.Tensor)
    return found


def pictures(count: int = 6) -> torch.Tensor:
    return torch.randn(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    "network",
    [
        nb201(),
        nb201("|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|nor_conv_3x3~1|none~2|"),
        genotype_network("DARTS_V2", Frame(4, 3, (3, SIZE, SIZE), CLASSES)),
    ],
    ids=["nasbench201", "with dead ops", "darts"],
)
def test_without_a_move_the_supernet_computes_what_the_trained_network_does(network: Network) -> None:
    made, x = trained(network), pictures()
    shared = supernet_of(made, network, {})
    with torch.no_grad():
        torch.testing.assert_close(shared(x, network), in_batch_mode(made, x), rtol=1e-4, atol=1e-4)


def test_an_op_that_is_left_out_gives_nothing_and_a_smaller_one_has_the_middle_of_its_window() -> None:
    network, x = nb201(), pictures()
    made, slot = trained(network), network.slots[1]  # the convolution from 0 to 2
    smaller = Op.parse("conv_1x1")
    shared = supernet_of(made, network, {slot: (NULL, smaller)})

    def with_op(op: Op) -> Network:
        return network.with_ops([op if each == slot else network.edge(each).op for each in network.slots])

    places = [number for number, placement in enumerate(network.placements) if placement.cell == slot.cell]
    # in the program of the cell: 0->1, 0->2, …
    convolutions = [made.cells[place].parts[1][1] for place in places]  # type: ignore[index,union-attr]
    kept = [each.weight.detach().clone() for each in convolutions]
    with torch.no_grad():
        left_out, small = shared(x, with_op(NULL)), shared(x, with_op(smaller))
        for each in convolutions:
            each.weight[:, :, [0, 0, 0, 1, 1, 2, 2, 2], [0, 1, 2, 0, 2, 0, 1, 2]] = 0
    torch.testing.assert_close(small, in_batch_mode(made, x), rtol=1e-3, atol=1e-3)
    with torch.no_grad():
        for each, weight, place in zip(convolutions, kept, places, strict=True):
            each.weight.copy_(weight)
            norm = made.cells[place].parts[1][2]  # type: ignore[index,union-attr]
            norm.weight.zero_()
            norm.bias.zero_()
    torch.testing.assert_close(left_out, in_batch_mode(made, x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("own", "op", "stride", "expected"),
    [
        ("sep_conv_5x5", "sep_conv_3x3", 1, True),
        ("conv_3x3", "conv_1x1", 1, True),
        ("conv_3x3", "avg_pool_3x3", 2, True),
        ("conv_3x3", "skip", 1, True),
        ("conv_3x3", "skip", 2, False),
        ("sep_conv_3x3", "dil_conv_3x3", 1, False),
        ("sep_conv_3x3", "sep_conv_5x5", 1, False),
        ("null", "conv_3x3", 1, False),
    ],
)
def test_what_an_op_can_inherit(own: str, op: str, stride: int, expected: bool) -> None:
    sites = [Site(8, 8, stride, 8, 8)]
    assert inherits(Op.parse(own), Op.parse(op), sites) is expected


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("advising")
    save_file(trained(nb201()).state_dict(), folder / "weights.safetensors")
    rng = np.random.default_rng(0)
    for number in range(12):
        place = folder / "images" / f"{number % CLASSES}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)).save(place / f"{number}.png")
    return folder


def run(files: Path, *more: str, text: str = NB201) -> str:
    given = ("--weights", str(files / "weights.safetensors"), "--images", str(files / "images"))
    return CliRunner().invoke(nat, ["advise", text, *given, *SIZES, *more], catch_exceptions=False).stdout


def test_the_command_advises_on_a_cell_with_exact_costs_of_all_its_placements(files: Path) -> None:
    found = json.loads(run(files, "--rules", "nat", "--labels", "--budget", "macs=0.9x", "--json"))
    network = nb201()
    whole = cost(network)
    assert (found["params"], found["macs"], found["pictures"]) == (whole.params, whole.macs, 12)
    assert sum(part["macs"] for part in found["parts"]) == pytest.approx(1)
    left_out = [move for move in found["moves"] if move["after"] == "null"]
    keys = {network.edge(slot).key: slot for slot in network.slots}
    assert {move["at"] for move in left_out} == set(keys)
    for move in left_out:
        after = network.with_ops([
            NULL if slot == keys[move["at"]] else network.edge(slot).op for slot in network.slots
        ])  # fmt: skip
        assert whole.macs - cost(after).macs == move["macs"]
    assert all(whole.macs - each["macs"] <= 0.9 * whole.macs for each in found["combinations"])


@pytest.mark.parametrize(
    ("more", "text", "said"),
    [
        (("--channels", "8"), NB201, "these are not the weights of this model"),
        (("--rules", "all"), NB201, "unknown rules 'all'"),
        (("--budget", "macs=low"), NB201, "is not a limit"),
    ],
)
def test_bad_input_is_one_line(files: Path, more: tuple[str, ...], text: str, said: str) -> None:
    with pytest.raises(NATError, match=said) as error:
        run(files, *more, text=text)
    assert "\n" not in str(error.value)
