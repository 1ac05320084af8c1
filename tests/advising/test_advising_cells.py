"""Advice on networks of cells: the supernet of a trained network, what ops inherit, the command."""

from __future__ import annotations

import copy
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import save_file
from torch.nn.modules.batchnorm import _BatchNorm

from nat_plugin.advising.cell_fits import CellFits
from nat_plugin.advising.cells import CellSubject
from nat_plugin.advising.effects import Outputs
from nat_plugin.advising.inheriting import supernet_of
from nat_plugin.advising.session import Change
from nat_plugin.advising.starting import alike, begin, inherits
from nat_plugin.cli import nat
from nat_plugin.device import find_compute
from nat_plugin.errors import NATError
from nat_plugin.fitting.ops import OpFitting, fitted_from, layers_of
from nat_plugin.ir import NULL, Network, NetworkSize, Op, Site, cost
from nat_plugin.nets import build
from nat_plugin.nets.fixed import CellNetwork
from nat_plugin.nets.ops import build_op
from nat_plugin.nets.paths import path_of
from nat_plugin.nets.shared import module_key
from nat_plugin.plugins import plugins
from tests.networks import genotype_network

NB201 = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"
SIDE, CLASSES = 16, 4
SIZE = NetworkSize(4, 3, (3, SIDE, SIDE), CLASSES)
SIZES = ("--channels", "4", "--cells", "3", "--input", str(SIDE), "--classes", str(CLASSES))


def nb201(text: str = NB201) -> Network:
    return plugins().find("adapters", "nasbench201").read(text, SIZE)


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
    return torch.randn(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    "network",
    [
        nb201(),
        nb201("|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|nor_conv_3x3~1|none~2|"),
        genotype_network("DARTS_V2", SIZE),
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
def learned() -> tuple[Network, CellNetwork]:
    """A cell with a 3x3 where other ops may stand, after a few steps on pictures of stripes."""
    network = nb201("|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|none~0|nor_conv_3x3~1|nor_conv_3x3~2|")
    torch.manual_seed(0)
    made = build(network).train()
    optimiser = torch.optim.Adam(made.parameters(), 1e-2)
    for step in range(15):
        x, y = stripes(24, step)
        logits = made(x)
        assert isinstance(logits, torch.Tensor)
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(logits, y).backward()
        optimiser.step()
    return network, made.eval()


def stripes(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Of one of four directions, with noise."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(0, CLASSES, (count,), generator=generator)
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    waves = torch.stack([torch.sin(1.5 * each) for each in (rows, columns, rows + columns, rows - columns)])
    noise = torch.randn(count, 3, SIDE, SIDE, generator=generator)
    return waves[y][:, None] + noise, y


def changed_by(subject: CellSubject, change: Change, images: torch.Tensor) -> float:
    """On other pictures than those of the advice."""
    other = copy.copy(subject)
    other._images, other.labels = images, None
    return other.alone([change], torch.arange(len(images)))[change].effect.change


def subject_of(learned: tuple[Network, CellNetwork], images: torch.Tensor) -> CellSubject:
    return CellSubject("cell", *learned, images, None, find_compute("cpu", "float32"))


@pytest.mark.parametrize("text", ["conv_1x1", "sep_conv_3x3", "dil_conv_3x3"])
def test_a_fitted_op_changes_less_than_one_that_inherits_or_copies(
    learned: tuple[Network, CellNetwork], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All other weights stay as they are."""
    network = learned[0]
    change, images = Change(network.slots[1], Op.parse(text)), stripes(48, 100)[0]
    kept = {name: value.clone() for name, value in learned[1].state_dict().items()}
    fitted = subject_of(learned, images)
    assert fitted.prepare([change]) == [change]
    others = copy.deepcopy(fitted._shared)
    with monkeypatch.context() as patched:
        patched.setattr(CellFits, "alone", lambda *_: {(change.slot, change.op): 1.0})
        unfitted = subject_of(learned, images)
        unfitted.prepare([change])
    apart = {
        name.split(".ops.")[-1].partition(".")[0]
        for name, value in unfitted._shared.state_dict().items()
        if not torch.equal(value, others.state_dict()[name])
    }
    assert apart == {module_key(path_of(network, change.slot, change.op))}
    assert all(torch.equal(value, kept[name]) for name, value in learned[1].state_dict().items())
    test = stripes(64, 200)[0]
    assert changed_by(fitted, change, test) < changed_by(unfitted, change, test)
    residual = fitted.residual(change)
    assert residual is not None
    assert 0 < residual < 1


def test_ops_of_a_combination_are_fitted_to_the_network_as_it_is_by_then(
    learned: tuple[Network, CellNetwork],
) -> None:
    network = learned[0]
    changes = [Change(slot, Op.parse("conv_1x1")) for slot in network.slots[:2]]
    images = stripes(64, 100)[0]
    subject = subject_of(learned, images)
    subject.prepare(changes)
    before = copy.deepcopy(subject._shared.state_dict())
    [refitted] = subject.combined([changes], torch.arange(64))
    with torch.no_grad():
        as_alone = subject._shared(images, subject.changed(changes))
    assert refitted.effect.change < Outputs(as_alone, refitted.original).effect.change
    assert all(torch.equal(value, before[name]) for name, value in subject._shared.state_dict().items())


@pytest.mark.parametrize(
    ("own", "text", "site"),
    [
        ("conv_3x3", "conv_1x1", Site(4, 6, 2, 9, 9)),
        ("conv_5x5", "dil_conv_3x3", Site(4, 4, 1, 8, 8)),
        ("sep_conv_3x3", "skip", Site(4, 5, 2, 9, 8)),
        ("mbconv_k3_e6_se0", "mbconv_k3_e3_se0", Site(4, 4, 1, 8, 8)),
    ],
)
def test_what_an_op_can_say_is_found(own: str, text: str, site: Site) -> None:
    """Of an op of the same kind with other weights in its last layers, in the mode in which norms see the batch."""
    torch.manual_seed(0)
    norm = partial(torch.nn.BatchNorm2d, track_running_stats=False)
    op = Op.parse(text)
    its, pupil = (build_op(Op.parse(each), site, norm).eval() for each in (own, text))
    begin(Op.parse(own), op, site, its, pupil)
    teacher = copy.deepcopy(pupil)
    layers, first = op.layers(site), fitted_from(op.layers(site))
    for module in layers_of(teacher)[first:]:
        for parameter in module.parameters():
            torch.nn.init.normal_(parameter)
    x = torch.randn(16, *site.input)
    fit = OpFitting(pupil, layers, alike(Op.parse(own), op, site))
    with torch.no_grad():
        fit.add(x, teacher(x), 0, len(x), 0)
        assert fit.install().residual < 1e-6
        torch.testing.assert_close(pupil(x), teacher(x), rtol=1e-2, atol=1e-2)


def test_an_op_that_inherits_all_keeps_it_where_that_is_nearer() -> None:
    """Fitted on four pictures, a window of 36 values would be worse than the one that made what is to come out."""
    torch.manual_seed(0)
    site, op = Site(4, 4, 1, 4, 4), Op.parse("conv_3x3")
    made = build_op(op, site, partial(torch.nn.BatchNorm2d, track_running_stats=False)).eval()
    kept = copy.deepcopy(made.state_dict())
    fit = OpFitting(made, op.layers(site), len(op.layers(site)))
    x = torch.randn(4, *site.input)
    with torch.no_grad():
        fit.add(x, made(x), 0, len(x), 0)
    assert fit.install().residual < 1e-12
    assert all(torch.equal(value, kept[name]) for name, value in made.state_dict().items())


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
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        found = json.loads(run(files, "--rules", "nat", "--labels", "--budget", "macs=0.9x", "--json"))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert ", 1 thread, " in found["setting"]  # for a network this small, whatever torch has
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


@pytest.mark.parametrize("factor", [float("nan"), 1e30])
def test_weights_that_give_no_finite_output_are_one_line(files: Path, factor: float, tmp_path: Path) -> None:
    weights = {name: each * factor for name, each in trained(nb201()).state_dict().items() if each.is_floating_point()}
    save_file(trained(nb201()).state_dict() | weights, tmp_path / "broken.safetensors")
    with pytest.raises(
        NATError, match=r"broken\.safetensors: with these weights the network gives .* infinite or NaN$"
    ):
        run(files, "--weights", str(tmp_path / "broken.safetensors"))
