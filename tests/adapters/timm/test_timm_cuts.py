"""Channels that are cut: those go that pictures say can go, and what reads the others is fitted anew."""

from __future__ import annotations

import copy

import nat_timm
import pytest
import torch
from nat_timm.advising.combining import combined
from nat_timm.advising.effects import by_batch
from nat_timm.advising.refitting import Cutting, Refitting, install
from nat_timm.advising.subject import TimmSubject
from nat_timm.documents.edits import Edit
from nat_timm.fitting.cuts import readers_of
from nat_timm.fitting.probing import Point, calls, probe
from nat_timm.fitting.readers import LARGEST, order_hidden, sums_of
from nat_timm.models import make_moves
from nat_timm.networks import moved_document
from nat_timm.reading.running import Steps
from nat_timm.reading.trace import to_meta, trace
from nat_timm.reading.units import units
from nat_timm.surgery.apply import apply_edits
from nat_timm.surgery.hidden import channels_read, importance, note_importance
from torch import nn

from nat_plugin.advising.session import Change
from nat_plugin.advising.timing import Stopwatch
from nat_plugin.device import find_compute
from nat_plugin.errors import NATError
from nat_plugin.ir import Limits, Moves, Network, Op, Slot, find_rule
from tests.adapters.timm.samples import images, lively

NAME, SIZE, COUNT = "mobilenetv2_035", 32, 24
READER = "blocks.2.1.conv_pwl"
AT = tuple(f"blocks.2.1.{name}" for name in ("conv_pw", "bn1", "conv_dw", "bn2", "conv_pwl"))


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return lively(NAME)


@pytest.fixture(scope="module")
def network(model: nn.Module) -> Network:
    return nat_timm.to_network(model, (3, SIZE, SIZE), fits=True)


def read(model: nn.Module, path: str, x: torch.Tensor, is_input: bool = True) -> torch.Tensor:
    point = Point(path, is_input=is_input)
    return probe(model, [point], x)[point]


def rows(x: torch.Tensor) -> torch.Tensor:
    return x.movedim(1, -1).flatten(0, -2).double()


def test_weights_for_some_channels_are_those_of_least_squares(model: nn.Module) -> None:
    x = images(SIZE, COUNT)
    sums = dict(sums_of(model, [READER], [x[:10], x[10:]], 0))[READER]
    ins, outs = rows(read(model, READER, x)), rows(read(model, READER, x, is_input=False))
    some = torch.arange(0, ins.shape[1], 3)
    with_one = torch.cat([ins[:, some], torch.ones(len(ins), 1, dtype=ins.dtype)], 1)
    wanted = torch.linalg.lstsq(with_one, outs).solution
    found = sums.of(some)
    left = rows(read(model, READER, x, is_input=False)) - ins[:, some] @ found.weights[0][..., 0, 0].T - found.bias
    least = outs - with_one @ wanted
    assert float(left.square().sum()) == pytest.approx(float(least.square().sum()), rel=0.02)


def test_channels_that_the_others_say_are_not_kept(network: Network) -> None:
    """Of two that are alike one goes, though both have the largest weights."""
    model = lively(NAME)
    conv, norm = model.get_submodule(AT[2]), model.get_submodule(AT[3])
    with torch.no_grad():
        for module in (conv, norm, model.get_submodule(AT[0]), model.get_submodule(AT[1])):
            for value in (*module.parameters(), *module.buffers()):
                if value.dim():
                    value[5] = value[3]
        model.get_submodule(READER).weight[:, [3, 5]] *= 10
    order_hidden(model, network, find_rule("nat++"), [images(SIZE, COUNT)], 0)
    worth = importance(model.get_submodule(AT[0]), [], model.get_submodule(READER))
    assert sorted(worth.tolist()) == list(range(len(worth)))
    assert min(int(worth[3]), int(worth[5])) < len(worth) // 8
    assert max(int(worth[3]), int(worth[5])) > len(worth) // 2
    moved = apply_edits(copy.deepcopy(model), [Edit("hidden", AT, len(worth) // 2)], NAME)
    kept = channels_read(moved.get_submodule(READER))
    assert kept is not None
    assert len({3, 5} & set(kept.tolist())) == 1


def test_what_was_noted_stays_with_the_channels(model: nn.Module) -> None:
    moved = copy.deepcopy(model)
    count = moved.get_submodule(READER).in_channels
    note_importance(moved.get_submodule(READER), torch.arange(count))
    for keep in (count - 8, count - 16):
        apply_edits(moved, [Edit("hidden", AT, keep)], NAME)
    wanted = model.get_submodule(READER).weight[:, 16:]
    torch.testing.assert_close(moved.get_submodule(READER).weight, wanted)


def test_a_reader_of_too_many_values_is_left_as_it_is() -> None:
    model = nn.Sequential(nn.Conv2d(3, LARGEST + 8, 1), nn.ReLU(), nn.Conv2d(LARGEST + 8, 2, 1)).eval()
    assert not list(sums_of(model, ["2"], [images(4, 8)], 0))


def test_behind_a_kernel_in_a_block_with_a_gate_the_projection_is_fitted_and_not_the_gate() -> None:
    model = lively("efficientnet_b0")
    order = calls(model, images(8, 1), (nn.Conv2d, nn.BatchNorm2d))
    assert any(call.path == "blocks.2.1.se.conv_reduce" for call in order)
    assert readers_of(model, [Edit("kernel", ("blocks.2.1.conv_dw",), 3)], order, norms=True) == {"blocks.2.1.conv_pwl"}


def test_a_layer_that_is_left_out_or_gives_fewer_channels_is_not_fitted_but_the_next() -> None:
    model = lively("resnet18")
    order = calls(model, images(SIZE, 1), (nn.Conv2d, nn.BatchNorm2d))
    hidden = Edit("hidden", tuple(f"layer1.0.{name}" for name in ("conv1", "bn1", "conv2")), 48)
    for op, value in (("kernel", 1), ("skip", None)):
        edits = [hidden, Edit(op, ("layer1.0.conv1",), value)]
        assert readers_of(model, edits, order, norms=True) == {"layer1.0.conv2"}
    assert readers_of(model, [Edit("kernel", ("layer1.0.conv1",), 1)], order, norms=True) == {"layer1.0.conv1"}


@pytest.mark.parametrize("name", ["mobilenetv3_small_050", "mobilenetv4_conv_small_050", "ghostnet_050"])
def test_every_cut_of_any_kind_of_block_can_be_fitted(name: str) -> None:
    model = lively(name)
    network = nat_timm.to_network(model, (3, SIZE, SIZE), fits=True)
    subject = TimmSubject(model, network, [images(SIZE, 8)], None, Stopwatch(find_compute("cpu", "float32")), 0)
    moves = Moves(network, find_rule("nat++"))
    places = list(zip(moves.slots, moves.candidates, strict=True))
    some = [Change(slot, op) for slot, ops in places[len(places) // 2 :][:2] for op in ops[1:] if "fit_" not in str(op)]
    changes = subject.prepare(subject.able(some))
    assert all(torch.isfinite(each.changed).all() for each in subject.alone(changes, torch.arange(8)).values())


@pytest.mark.parametrize("word", ["mbconv_k3_e2", "mbconv_k0_e6", "null"])
def test_a_model_that_was_moved_can_be_advised_on(model: nn.Module, network: Network, word: str) -> None:
    """Without what would need the weights that it has lost."""
    slot, op = next(
        (slot, op)
        for slot in network.slots
        for op in network.edge(slot).choices
        if slot.cell == "blocks.2.1" and word in (str(op), str(op.values.get("name")))
    )
    lean = nat_timm.inherit(model, _with(network, slot, op))
    found = nat_timm.advise(lean, images(SIZE, 16), combinations=False)
    assert any(move.at.startswith("blocks.2.1") for move in found.moves) == (word != "null")
    assert not any(move.at.startswith("blocks.2.1") and move.after.startswith("merged-") for move in found.moves)


def test_weights_that_a_moved_model_has_lost_are_not_made_up(model: nn.Module, network: Network) -> None:
    slot, op = next(each for each in cuts_of(network) if str(each[1].values["name"]) == "mbconv_k3_e2")
    lean = nat_timm.inherit(model, _with(network, slot, op))
    with pytest.raises(NATError, match=r"after 'hidden .* 32' the model no longer has the weights"):
        nat_timm.inherit(lean, network)
    replaced = next(each for each in network.edge(slot).choices if str(each.values.get("name")) == "fit_conv_1x1")
    nat_timm.inherit(lean, _with(network, slot, replaced))


def _with(network: Network, slot: Slot, op: Op) -> Network:
    return network.with_ops([op if at == slot else own for at, own in zip(network.slots, network.ops, strict=True)])


def cuts_of(network: Network) -> list[tuple[Slot, Op]]:
    moves = Moves(network, find_rule("nat++"), Limits(held_elsewhere=True))
    return [
        (slot, op)
        for slot, ops in zip(moves.slots, moves.candidates, strict=True)
        for op in ops[1:]
        if slot.cell == "blocks.2.1" and str(op.values.get("name")).startswith("mbconv_k")
    ]


def test_what_reads_a_cut_comes_nearer_to_what_it_gave(model: nn.Module, network: Network) -> None:
    """Of fewer channels in closed form, of a layer that is left out in passing."""
    x, before = images(SIZE, 64), {name: value.clone() for name, value in model.state_dict().items()}
    changes = {
        Change(slot, op): network.with_ops(
            [op if at == slot else own for at, own in zip(network.slots, network.ops, strict=True)]
        )
        for slot, op in cuts_of(network)
        if str(op.values["name"]).endswith("e2")
    }
    found = trace(to_meta(model), (3, SIZE, SIZE), NAME)
    unit = next(each for each in units(found) if each.path == "blocks.2.1")
    own = copy.deepcopy(model)
    edits = {change: frozenset(moved_document(each).edits) for change, each in changes.items()}
    assert {edit.op for each in edits.values() for edit in each} == {"hidden", "skip"}
    refitting = Refitting(own, Steps(found, own), [x], 0, {edit for each in edits.values() for edit in each})
    moved = {change: _moved(own, each) for change, each in changes.items()}
    weights = refitting.weights([Cutting(each, unit, edits[each], lambda each=each: moved[each]) for each in changes])
    for change, after in changes.items():
        plain, fitted = _moved(own, after), _moved(own, after)
        install(fitted, weights[change])
        given = [read(each, "blocks.2.1.conv_pwl", x, is_input=False) for each in (own, plain, fitted)]
        assert float((given[2] - given[0]).square().mean()) < float((given[1] - given[0]).square().mean())
    assert all(torch.equal(value, before[name]) for name, value in own.state_dict().items())


def _moved(model: nn.Module, network: Network) -> nn.Module:
    return make_moves(copy.deepcopy(model), moved_document(network), apply_edits)


def test_an_advice_is_of_cuts_whose_readers_were_fitted(model: nn.Module, network: Network) -> None:
    subject = TimmSubject(
        copy.deepcopy(model), network, [images(SIZE, 32)], None, Stopwatch(find_compute("cpu", "float32")), 0
    )
    changes = subject.able([Change(*each) for each in cuts_of(network)])
    unfitted = subject.alone(changes, torch.arange(8))
    subject.prepare(changes)
    fitted = subject.alone(changes, torch.arange(8))
    assert all(not torch.equal(fitted[each].changed, unfitted[each].changed) for each in changes)


def test_a_cut_in_a_combination_is_fitted_too(model: nn.Module, network: Network) -> None:
    x = images(SIZE, 64)
    subject = TimmSubject(copy.deepcopy(model), network, [x], None, Stopwatch(find_compute("cpu", "float32")), 0)
    change = next(Change(*each) for each in cuts_of(network) if subject.word(each[1]) == "mbconv_k3_e2")
    moved = nat_timm.inherit(model, subject.changed([change]))
    inherited = copy.deepcopy(moved)
    combined(subject.model, [moved], x, {}, 0)
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in subject.model.state_dict().items())
    own, before, after = (_in_batch_mode(each, x) for each in (subject.model, inherited, moved))
    assert float((after - own).square().mean()) < 0.8 * float((before - own).square().mean())


@torch.no_grad()
def _in_batch_mode(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    with by_batch(model):
        return read(model, "blocks.2.1", x, is_input=False)


def test_pictures_choose_better_than_weights(model: nn.Module) -> None:
    """What half of the channels leave unexplained, for each choice, against all choices of some."""
    sums = dict(sums_of(model, [READER], [images(SIZE, COUNT)], 0))[READER]
    reader, producer = model.get_submodule(READER), model.get_submodule(AT[0])
    norms = [model.get_submodule(path) for path in AT[1:4]]
    half = reader.in_channels // 2
    by_weights = importance(producer, norms, reader).argsort(descending=True)[:half].sort().values
    by_pictures = sums.importance().argsort(descending=True)[:half].sort().values
    assert sums.of(by_pictures).residual < sums.of(by_weights).residual
