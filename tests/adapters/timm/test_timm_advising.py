"""Advice: every move with exact costs and what it changes, as computing it as a whole says."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import nat_timm
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from nat_timm.advising.combining import combined
from nat_timm.advising.effects import by_batch, output
from nat_timm.advising.subject import TimmSubject
from nat_timm.fitting.probing import Point, probe
from nat_timm.reading.running import Steps
from nat_timm.reading.trace import to_meta, trace
from nat_timm.reading.units import units
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from nat_plugin.advising.advice import Advice, Combination, Effect, Move, Replacement
from nat_plugin.advising.session import CHECKED, Change
from nat_plugin.advising.timing import Stopwatch
from nat_plugin.cli import nat
from nat_plugin.device import find_compute
from nat_plugin.errors import NATError
from nat_plugin.ir import NULL, Cost, Limits, Moves, Network, Op, cost, find_rule
from tests.adapters.timm.samples import CLASSES, images, lively

SMALL, SIZE, COUNT = "test_efficientnet", 32, 16


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return lively(SMALL)


@pytest.fixture(scope="module")
def advice(model: nn.Module) -> Advice:
    found: Advice = nat_timm.advise(model, images(SIZE, COUNT), torch.arange(COUNT) % CLASSES)
    return found


def test_every_move_is_there_once_with_exact_costs(model: nn.Module, advice: Advice) -> None:
    """Those too that are faster, whatever else they cost."""
    network = nat_timm.to_network(model, (3, SIZE, SIZE), fits=True)
    legal, anything = (Moves(network, find_rule("nat++"), Limits(held_elsewhere=each)) for each in (False, True))
    wanted, others, whole = [], [], cost(network)
    for at, (slot, ops) in enumerate(zip(anything.slots, anything.candidates, strict=True)):
        for number, op in enumerate(ops[1:], start=1):
            after = cost(anything.apply([number if place == at else 0 for place in range(len(anything.slots))]))
            name = str(op.values.get("name", op))
            costs = network.edge(slot).key, name, whole.params - after.params, whole.macs - after.macs
            (wanted if op in legal.candidates[at] else others).append(costs)
    found = {(move.at, move.after, move.params, move.macs): move.ms for move in advice.moves}
    assert len(found) == len(advice.moves)
    assert found.keys() >= set(wanted)
    assert found.keys() - set(wanted) <= set(others)
    assert all(found[each] > 0 for each in found.keys() - set(wanted))


def test_moves_are_sorted_by_what_is_saved_for_a_change(advice: Advice) -> None:
    worths = [move.worth for move in advice.moves]
    assert worths == sorted(worths, reverse=True)
    assert all(move.residual is None or 0 <= move.residual < 2 for move in advice.moves)
    assert {move.residual is not None for move in advice.moves if move.after.startswith("fit_")} == {True}
    assert all(0 <= move.effect.agreement <= 1 and move.effect.accuracy is not None for move in advice.moves)


def test_shares_are_of_the_whole_and_the_classifier_is_among_them(model: nn.Module, advice: Advice) -> None:
    assert sum(part.params for part in advice.parts) == pytest.approx(1)
    assert sum(part.macs for part in advice.parts) == pytest.approx(1)
    classifier = next(part for part in advice.parts if part.name == "classifier")
    weights = sum(each.numel() for each in model.get_classifier().parameters())
    assert classifier.params == pytest.approx(weights / advice.whole.params)


def test_the_same_network_changes_nothing_and_the_model_stays(model: nn.Module) -> None:
    before = copy.deepcopy(model.state_dict())
    x, found = images(SIZE, 8), trace(to_meta(model), (3, SIZE, SIZE), SMALL)
    steps = Steps(found, model)
    for cut in steps.cuts(x, units(found)):
        again = steps.rest(cut, output(steps, cut, model))
        with torch.no_grad():
            torch.testing.assert_close(again, model(x), rtol=1e-4, atol=1e-4)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_change_is_what_computing_the_moved_model_gives(model: nn.Module) -> None:
    network = nat_timm.to_network(model, (3, SIZE, SIZE))
    moves = Moves(network, find_rule("nat++"))
    found, x = trace(to_meta(model), (3, SIZE, SIZE), SMALL), images(SIZE, 8)
    steps, by_path = Steps(found, model), {unit.path: unit for unit in units(found)}
    for at in range(len(moves.slots)):
        moved = nat_timm.inherit(model, moves.apply([1 if place == at else 0 for place in range(len(moves.slots))]))
        for cut in steps.cuts(x, [by_path[moves.slots[at].cell]]):
            with torch.no_grad():
                wanted, given = moved(x), steps.rest(cut, output(steps, cut, moved))
            torch.testing.assert_close(given, wanted, rtol=1e-4, atol=1e-4)


def test_a_block_that_gets_more_than_its_input_can_be_left_out() -> None:
    """Blocks of DLA are given shortcuts and what else goes into a sum."""
    model, x = lively("dla46_c"), images(64, 2)
    network = nat_timm.to_network(model, (3, 64, 64))
    moves = Moves(network, find_rule("nat++"))
    slots = [at for at, ops in enumerate(moves.candidates) if NULL in ops]
    choices = [tuple(ops.index(NULL) if at == slot else 0 for at, ops in enumerate(moves.candidates)) for slot in slots]
    found = trace(to_meta(model), (3, 64, 64), "dla46_c")
    steps, by_path = Steps(found, model), {unit.path: unit for unit in units(found)}
    assert slots
    for slot, choice in zip(slots, choices, strict=True):
        moved = nat_timm.inherit(model, moves.apply(choice))
        for cut in steps.cuts(x, [by_path[moves.slots[slot].cell]]):
            with torch.no_grad():
                torch.testing.assert_close(steps.rest(cut, output(steps, cut, moved)), moved(x), rtol=1e-4, atol=1e-4)


def test_combinations_are_legal_and_cost_exactly_what_they_say(model: nn.Module, advice: Advice) -> None:
    network = nat_timm.to_network(model, (3, SIZE, SIZE), fits=True)
    moves, alone = Moves(network, find_rule("nat++")), {(move.at, move.after): move for move in advice.moves}
    assert len(advice.combinations) > 1
    for each in advice.combinations:
        after = {place.at: place.after for place in each.replacements}
        ops = [
            next(op for op in options if str(op.values.get("name", op)) == after.get(network.edge(slot).key))
            if network.edge(slot).key in after
            else options[0]
            for slot, options in zip(moves.slots, moves.candidates, strict=True)
        ]
        moved = network.with_ops(ops)
        moves.verify(moved)
        assert len(each.replacements) > 1
        assert (each.params, each.macs) == (
            cost(network).params - cost(moved).params,
            cost(network).macs - cost(moved).macs,
        )
        assert each.ms == pytest.approx(sum(alone[place.at, place.after].ms for place in each.replacements))
        assert each.low <= each.expected <= each.high
    savings = [each.ms for each in advice.combinations]
    assert savings == sorted(savings)


def test_some_combinations_are_measured_and_none_of_the_others_is_beaten(advice: Advice) -> None:
    assert 1 <= sum(each.measured is not None for each in advice.combinations) <= CHECKED
    for each in advice.combinations:
        if each.measured is None:
            assert not any(other.ms >= each.ms and other.change < each.change for other in advice.combinations)


def test_a_combination_is_computed_as_the_whole_moved_model_is() -> None:
    model = lively("mobilenetv2_035")
    network, x = nat_timm.to_network(model, (3, SIZE, SIZE), fits=True), images(SIZE, 12)
    moves = Moves(network, find_rule("nat++"))
    subject = TimmSubject(model, network, [x], None, Stopwatch(find_compute("cpu", "float32")), 0)
    words = [[subject.word(op) for op in ops] for ops in moves.candidates]
    choice = [ops.index("null", 1) if "null" in ops[1:] else 0 for ops in words]  # nothing to fit
    changes = [Change(slot, op) for slot, op, n in zip(moves.slots, moves.ops(choice), choice, strict=True) if n]
    assert len(changes) > 2
    (outputs,) = subject.combined([changes], torch.arange(3, 9))
    moved = nat_timm.inherit(model, moves.apply(choice))
    with torch.no_grad(), by_batch(moved):
        order = torch.tensor([*range(3, 9), *range(3), *range(9, 12)])  # norms use the statistics of all
        torch.testing.assert_close(outputs.changed, moved(x[order])[:6], rtol=1e-3, atol=1e-3)


def test_an_operation_of_a_combination_is_fitted_to_what_its_block_and_those_left_out_behind_it_gave() -> None:
    model = lively("mobilenetv2_050")
    network, x = nat_timm.to_network(model, (3, SIZE, SIZE), fits=True), images(SIZE, 16)
    wanted = {"blocks.2.1": "fit_conv_3x3", "blocks.2.2": "null"}
    changes = [
        Change(slot, op)
        for slot in network.slots
        for op in network.edge(slot).choices
        if wanted.get(slot.cell) == str(op.values.get("name", op)) and not network.edge(slot).key.endswith("shortcut")
    ]
    assert len(changes) == 2
    moved = nat_timm.inherit(model, network.with_ops(_ops(network, changes)))
    before = copy.deepcopy(moved.state_dict())
    own, (found,) = combined(model, [moved], x, {}, 0)
    given = [probe(each, [Point("blocks.2.2")], x)[Point("blocks.2.2")] for each in _in_batch_mode(model, moved)]
    moved.load_state_dict(before)
    (unfitted,) = [probe(each, [Point("blocks.2.2")], x)[Point("blocks.2.2")] for each in _in_batch_mode(moved)]
    assert float(((given[1] - given[0]) ** 2).mean()) < 0.8 * float(((unfitted - given[0]) ** 2).mean())
    assert own.shape == found.shape


def _ops(network: Network, changes: list[Change]) -> list[Op]:
    ops = {change.slot: change.op for change in changes}
    return [ops.get(slot, own) for slot, own in zip(network.slots, network.ops, strict=True)]


def _in_batch_mode(*models: nn.Module) -> Iterator[nn.Module]:
    for each in models:
        with by_batch(each):
            yield each


@pytest.fixture(scope="module")
def files(model: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("advising")
    save_file(model.state_dict(), folder / "weights.safetensors")
    rng = np.random.default_rng(0)
    for number in range(8):
        place = folder / "images" / f"{number % 2}"
        place.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{number}.png")
    return folder


def run(files: Path, *more: str, weights: str = "weights.safetensors", folder: str = "images") -> str:
    given = ("--adapter", "timm", "--weights", str(files / weights), "--images", str(files / folder))
    said = CliRunner().invoke(
        nat, ["advise", SMALL, *given, "--input", str(SIZE), "--classes", str(CLASSES), *more], catch_exceptions=False
    )
    return said.stdout


def test_the_command_prints_json_and_draws_a_picture(files: Path, model: nn.Module) -> None:
    picture = files / "advice.svg"
    found = json.loads(run(files, "--labels", "--json", "--budget", "macs=0.9x", "--svg", str(picture)))
    drawn = picture.read_text()
    assert drawn.startswith("<?xml")
    whole = cost(nat_timm.to_network(model, (3, SIZE, SIZE))).macs
    assert all(whole - each["macs"] <= 0.9 * whole for each in found["combinations"])
    assert found["pictures"] == 8
    assert 0 <= found["accuracy"] <= 1
    assert {"at", "after", "params", "macs", "ms", "worth", "uncertain", "effect"} <= found["moves"][0].keys()


def test_a_table_says_what_is_uncertain() -> None:
    effect = Effect(0.1, 0.09, 0.5, 8)
    move = Move("blocks.1", "mbconv", "skip", 5, 10, 0.1, 0.2, effect)
    said = str(Advice("model", Cost(10, 20), 0.5, "cpu", 8, (), (move,)))
    assert "0.100 ± 0.090?" in said
    assert "uncertain by half or more" in said
    assert "-20.0 %" in said


def test_a_table_lists_combinations_as_expected_and_as_measured() -> None:
    places = (Replacement("blocks.1", "mbconv", "skip"), Replacement("blocks.2", "mbconv", "fit_conv_3x3"))
    measured = Combination(5, 10, 0.1, 0.2, places, 0.3, 0.2, 0.5, 0.75, Effect(0.35, 0.05, 0.5, 8))
    said = str(Advice("model", Cost(10, 20), 0.5, "cpu", 8, (), (), (measured, replace(measured, measured=None))))
    assert "0.30 [0.20, 0.50]  0.35 ± 0.05  50% of 8" in said
    assert "75% expected" in said
    assert "1: blocks.1 skip, blocks.2 fit_conv_3x3" in said


@pytest.mark.parametrize(
    ("more", "given", "said"),
    [
        ((), {"weights": "none"}, "none"),
        ((), {"folder": "none"}, "no such folder"),
        (("--rules", "all"), {}, "unknown rules 'all'"),
        (("--labels", "--classes", "1"), {}, "'1' is not one of the 1 classes"),
        (("--budget", "energy=0.5x"), {}, "unknown metric 'energy'"),
        (("--svg", "advice.png"), {}, "pictures are written as .svg"),
        (("--svg", "nowhere/advice.svg"), {}, "cannot be written"),
    ],
)
def test_bad_input_is_one_line(files: Path, more: tuple[str, ...], given: dict[str, str], said: str) -> None:
    with pytest.raises(NATError, match=said) as error:
        run(files, *more, **given)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("pictures", "labels", "said"),
    [
        (torch.zeros(3, 3, SIZE, SIZE), None, "3 images are too few"),
        (None, None, "'None' is no tensor of images"),
        (images(SIZE, 8), torch.zeros(7, dtype=torch.int64), "one whole number for each of the 8 images"),
        (images(SIZE, 8), torch.full((8,), CLASSES), f"numbered from 0 to {CLASSES - 1}"),
        (images(SIZE, 8), torch.full((8,), -1), f"numbered from 0 to {CLASSES - 1}"),
    ],
)
def test_pictures_and_labels_that_do_not_fit(
    model: nn.Module, pictures: torch.Tensor | None, labels: torch.Tensor | None, said: str
) -> None:
    with pytest.raises(NATError, match=said):
        nat_timm.advise(model, pictures, labels)


def test_of_a_layer_that_stands_by_itself_another_one_reads_what_is_left() -> None:
    """Convolutions of a deep stem, each a unit; nothing has to learn."""
    deep = lively("test_resnet").requires_grad_(False)
    found = nat_timm.advise(deep, images(SIZE, 8), combinations=False)
    changes = {(move.at, move.after): move.effect.change for move in found.moves}
    assert 0 < changes["conv1.3", "skip"] < 100
    assert 0 < changes["conv1.6", "conv_k1"] < 100


def test_a_model_without_a_finite_output_is_one_line() -> None:
    broken = lively(SMALL)
    with torch.no_grad():
        for each in broken.parameters():
            each.mul_(1e20)
    with pytest.raises(NATError, match="the model gives values that are infinite or NaN for these images"):
        nat_timm.advise(broken, images(SIZE, 8))
