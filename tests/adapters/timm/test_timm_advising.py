"""Advice: every move with exact costs and what it changes, as computing it as a whole says."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import nat_timm
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from nat_timm.advising.advice import Advice, Effect, Move
from nat_timm.advising.effects import output
from nat_timm.advising.running import Steps
from nat_timm.reading.trace import to_meta, trace
from nat_timm.reading.units import units
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from nat_plugin.cli import nat
from nat_plugin.errors import NATError
from nat_plugin.ir import Moves, cost, find_rule
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
    network = nat_timm.to_network(model, (3, SIZE, SIZE), fits=True)
    moves = Moves(network, find_rule("nat++"))
    wanted, whole = [], cost(network)
    for at, (slot, ops) in enumerate(zip(moves.slots, moves.candidates, strict=True)):
        for number, op in enumerate(ops[1:], start=1):
            after = cost(moves.apply([number if place == at else 0 for place in range(len(moves.slots))]))
            name = str(op.values.get("name", op))
            wanted.append((network.edge(slot).key, name, whole.params - after.params, whole.macs - after.macs))
    assert sorted((move.at, move.after, move.params, move.macs) for move in advice.moves) == sorted(wanted)


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


def test_the_command_prints_a_table_and_json(files: Path) -> None:
    found = json.loads(run(files, "--labels", "--json"))
    assert found["pictures"] == 8
    assert 0 <= found["accuracy"] <= 1
    assert {"at", "after", "params", "macs", "ms", "worth", "uncertain", "effect"} <= found["moves"][0].keys()


def test_a_table_says_what_is_uncertain() -> None:
    from nat_plugin.ir import Cost

    effect = Effect(0.1, 0.09, 0.5, 8)
    move = Move("blocks.1", "mbconv", "skip", 5, 10, 0.1, 0.2, effect)
    said = str(Advice("model", Cost(10, 20), 0.5, "cpu", 8, (), (move,)))
    assert "0.100 ± 0.090?" in said
    assert "uncertain by half or more" in said
    assert "-20.0 %" in said


@pytest.mark.parametrize(
    ("more", "given", "said"),
    [
        ((), {"weights": "none"}, "none"),
        ((), {"folder": "none"}, "no folder"),
        (("--rules", "all"), {}, "unknown rules 'all'"),
        (("--labels", "--classes", "1"), {}, "'1' is no class of 1"),
    ],
)
def test_bad_input_is_one_line(files: Path, more: tuple[str, ...], given: dict[str, str], said: str) -> None:
    with pytest.raises(NATError, match=said) as error:
        run(files, *more, **given)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("pictures", "labels", "said"),
    [
        (torch.zeros(3, 3, SIZE, SIZE), None, "3 pictures are too few"),
        (images(SIZE, 8), torch.zeros(7, dtype=torch.int64), "one whole number for each of the 8 pictures"),
    ],
)
def test_pictures_and_labels_that_do_not_fit(
    model: nn.Module, pictures: torch.Tensor, labels: torch.Tensor | None, said: str
) -> None:
    with pytest.raises(NATError, match=said):
        nat_timm.advise(model, pictures, labels)
