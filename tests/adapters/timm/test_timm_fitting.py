"""Operations fitted in the place of blocks: exact where they can be, counted, written and read again."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import nat_timm
import numpy as np
import pytest
import timm
import torch
from nat_timm.adapter import TimmAdapter
from nat_timm.documents.forms import Form
from nat_timm.fitting.fit import checked, install, solution_of
from nat_timm.fitting.maps import given, map_of
from nat_timm.fitting.probing import Point, probe
from nat_timm.fitting.single_blocks import fits_alone
from nat_timm.measuring.statistics import recalibrate
from nat_timm.networks import check_costs, moved_document
from nat_timm.surgery.fitted import FittedOp
from nat_timm.training.supernet import TimmSupernet
from torch import nn

from nat_plugin.errors import NATError
from nat_plugin.fitting.sampling import add_batch, empty_moments
from nat_plugin.ir import Budget, Moves, Network, NetworkSize, cost, find_rule
from nat_plugin.ir.budget import METRICS
from nat_plugin.search.neighbourhood import descent, greedy_repair
from tests.adapters.timm.fits import SIZE, SMALL, Layers, name_of, put
from tests.adapters.timm.samples import images, lively


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return lively(SMALL, pad_type="same")


@pytest.fixture(scope="module")
def network(model: nn.Module) -> Network:
    return nat_timm.to_network(model, (3, SIZE, SIZE), fits=True)


def randomised(model: nn.Module) -> nn.Module:
    torch.manual_seed(3)
    for module in model.modules():
        if isinstance(module, FittedOp):
            for parameter in module.body.parameters():
                nn.init.normal_(parameter, std=0.1)
    return model


@pytest.mark.parametrize(
    "form",
    [
        Form((6, 8), kernel=3),
        Form((6, 8), kernel=3, stride=2),
        Form((6, 8), kernel=3, stride=2, same=True),
        Form((6, 8), kernel=1, stride=2, same=True),
        Form((6, 8), kernel=3, border=True),
        Form((6, 8), kernel=3, stride=2, same=True, border=True),
        Form((8, 8), kernel=3, groups=2),
        Form((8, 8), kind="low_rank", kernel=3, rank=3, shortcut=True),
        Form((6, 8), kind="separable", kernel=3, stride=2),
    ],
    ids=str,
)
@pytest.mark.parametrize("side", [8, 9])
def test_what_a_form_can_say_is_found_exactly_border_pixels_too(form: Form, side: int) -> None:
    torch.manual_seed(0)
    teacher, pupil = (FittedOp(form, nn.Identity(), torch.empty(0)) for _ in range(2))
    for parameter in teacher.parameters():
        nn.init.normal_(parameter)
    x = torch.randn(8, form.channels[0], side, side)
    with torch.no_grad():
        moments = empty_moments(map_of(form), x.device)
        add_batch(moments, map_of(form), given(form, x), teacher(x), 0, len(x), seed=0)
        solution = solution_of(form, moments)
        install(pupil, solution)
        torch.testing.assert_close(pupil(x), teacher(x), rtol=1e-4, atol=1e-4)
    assert solution.residual < (1e-2 if form.border else 1e-9)  # a corner may not be among the pixels drawn


def test_blocks_that_are_convolutions_are_found_one_after_the_other(model: nn.Module, network: Network) -> None:
    after = put(network, "blocks.1.0", "fit_conv_3x3", "blocks.1.1", "fit_conv_1x1", "blocks.2.1", "fit_separable_3x3")
    teacher = randomised(nat_timm.inherit(model, after)).eval()
    pupil = copy.deepcopy(teacher)
    for module in pupil.modules():
        if isinstance(module, FittedOp):
            for parameter in module.parameters():
                nn.init.zeros_(parameter)
    fits = nat_timm.fit(pupil, teacher, images(SIZE, 24), norms=False)
    assert [each.path for each in fits] == ["blocks.1.0", "blocks.1.1", "blocks.2.1"]
    assert all(each.residual < 1e-6 for each in fits)
    for each in fits:
        x = torch.randn(2, each.form.channels[0], 5, 5)
        with torch.no_grad():
            mine, its = (found.get_submodule(each.path)(x) for found in (pupil, teacher))
        torch.testing.assert_close(mine, its, rtol=1e-3, atol=1e-3)


def test_an_activation_at_the_end_of_a_block_stays_and_is_fitted_before_it() -> None:
    model = lively("resnet10t")
    network = nat_timm.to_network(model, (3, SIZE, SIZE), fits=True)
    after = put(network, "layer2.0", "fit_conv_1x1")
    teacher, pupil = randomised(nat_timm.inherit(model, after)).eval(), nat_timm.inherit(model, after)
    assert nat_timm.fit(pupil, teacher, images(SIZE, 24))[0].residual < 1e-6
    x = torch.randn(1, 64, 8, 8)
    with torch.no_grad():
        mine, its = (found.get_submodule("layer2.0")(x) for found in (pupil, teacher))
    torch.testing.assert_close(mine, its, rtol=1e-3, atol=1e-3)
    assert (mine >= 0).all()


def test_a_fit_is_nearer_to_the_model_than_leaving_the_block_out(model: nn.Module, network: Network) -> None:
    x, test = images(SIZE, 32), images(SIZE, 32, seed=5)
    made = nat_timm.inherit(model, put(network, "blocks.3.1", "fit_conv_3x3"))
    residual = nat_timm.fit(made, model, x)[0].residual
    before, after = Point("blocks.3.1", is_input=True), Point("blocks.3.1")
    values = probe(model, [before, after], test)
    with torch.no_grad():
        found = made.get_submodule("blocks.3.1")(values[before])
    left_out = float((values[after] - values[before]).square().mean())
    assert float((values[after] - found).square().mean()) < 0.5 * left_out
    assert 0 < residual < 1


def test_an_operation_takes_over_the_work_of_blocks_behind_it_that_are_left_out(
    model: nn.Module, network: Network
) -> None:
    after = put(network, "blocks.2.0", "fit_conv_3x3", "blocks.2.1", "null", "blocks.2.2", "null")
    alone, run = nat_timm.inherit(model, put(network, "blocks.2.0", "fit_conv_3x3")), nat_timm.inherit(model, after)
    x = images(SIZE, 24)
    nat_timm.fit(alone, model, x)
    nat_timm.fit(run, model, x)
    wanted = probe(model, [Point("blocks.2.2")], x)[Point("blocks.2.2")]
    found = [probe(made, [Point("blocks.2.0")], x)[Point("blocks.2.0")] for made in (alone, run)]
    errors = [float((each - wanted).square().mean()) for each in found]
    assert errors[1] < errors[0]


@pytest.mark.parametrize("name", ["fit_conv_1x1", "fit_low_rank_3x3", "fit_separable_3x3", "fit_conv_3x3_g2"])
def test_all_forms_of_a_block_are_found_from_the_same_sums(model: nn.Module, network: Network, name: str) -> None:
    made, x = nat_timm.inherit(model, put(network, "blocks.3.1", name)), images(SIZE, 64)
    (alone,) = nat_timm.fit(made, model, x)
    wide = replace(alone.form, kind="conv", kernel=3, rank=0, groups=1, shortcut=False)
    place = ("blocks.3.1",)
    found = fits_alone(model, {place: [wide, alone.form]}, checked(x, model))[place, alone.form]
    assert found.residual == pytest.approx(alone.residual, rel=1e-2)
    for layer, weight in zip(made.get_submodule("blocks.3.1").body, found.weights, strict=True):
        if name != "fit_low_rank_3x3":  # whose basis has signs
            torch.testing.assert_close(layer.weight, weight.float(), rtol=1e-2, atol=1e-2)


def test_shared_weights_of_a_search_begin_with_fits() -> None:
    model, x = lively("test_efficientnet"), images(SIZE, 64)
    network = nat_timm.to_network(model, (3, SIZE, SIZE), fits=True)
    after, block = put(network, "blocks.1.0", "fit_conv_1x1"), Point("blocks.1.0")
    errors = []
    for pictures in (None, lambda: iter([x])):
        found = TimmSupernet(copy.deepcopy(model), network, find_rule("nat++"), pictures).inherited(after).eval()
        mine, its = (probe(each, [block], x)[block] for each in (found, model))
        errors.append(float((mine - its).square().mean()))
    assert errors[1] < 0.5 * errors[0]


@pytest.mark.parametrize("name", ["mbconv_k3_e3", "mbconv_k0_e6"])
def test_what_reads_a_cut_is_fitted_to_what_it_gave_before(model: nn.Module, name: str) -> None:
    network, x, test = nat_timm.to_network(model, (3, SIZE, SIZE)), images(SIZE, 64), images(SIZE, 32, seed=5)
    block, errors = Point("blocks.2.1"), []
    wanted = probe(model, [block], test)[block]
    for is_fitted in (False, True):
        made = nat_timm.inherit(model, put(network, "blocks.2.1", name))
        if is_fitted:
            assert [each.path for each in nat_timm.fit(made, model, x)] == ["blocks.2.1.conv_pwl"]
        else:
            recalibrate(made, [x])
        errors.append(float((probe(made, [block], test)[block] - wanted).square().mean()))
    assert errors[1] < errors[0]


def test_a_model_that_only_lost_a_block_has_nothing_to_fit(model: nn.Module, network: Network) -> None:
    made = nat_timm.inherit(model, put(network, "blocks.2.1", "null"))
    assert nat_timm.fit(made, model, images(SIZE, 8)) == ()


def test_fits_are_moves_only_where_they_are_asked_for(model: nn.Module) -> None:
    plain = TimmAdapter().read(SMALL, NetworkSize(input=(3, SIZE, SIZE), classes=7))
    asked = TimmAdapter().read(
        f'{{"architecture": "{SMALL}", "fits": true}}', NetworkSize(input=(3, SIZE, SIZE), classes=7)
    )
    names = [{name_of(op) for slot in found.slots for op in found.edge(slot).choices} for found in (plain, asked)]
    assert not any(name.startswith("fit_") for name in names[0])
    assert {"fit_conv_3x3", "fit_conv_1x1", "fit_separable_3x3"} <= names[1]
    assert sum(len(plain.edge(slot).choices) > 1 for slot in plain.slots)


def test_what_is_limited_decides_which_operations_cost_less() -> None:
    """A 3x3 has more MACs and parameters than blocks of small expansion, and may be faster all the same."""
    size = NetworkSize(input=(3, SIZE, SIZE), classes=7)
    network = TimmAdapter().read('{"architecture": "mnasnet_050", "fits": true}', size)
    metrics = {**METRICS, "latency": Layers()}

    def offered(rule: str = "nat++", **budget: str) -> list[tuple[bool, bool]]:
        """Of every fitted operation, whether it has more MACs, and more parameters."""
        moves = Moves(network, find_rule(rule), Budget.parse(budget, metrics).resolve(network))
        pairs = [(ops[0].values, op.values) for ops in moves.candidates for op in ops if name_of(op).startswith("fit_")]
        return [(after["macs"] > own["macs"], after["params"] > own["params"]) for own, after in pairs]

    assert (True, True) in offered(latency="0.8x")
    assert set(offered(macs="0.8x")) == {(False, False), (False, True)}
    assert set(offered()) == {(False, False)}
    assert offered("nat", latency="0.8x") == []
    budget = Budget.parse({"latency": "0.6x", "macs": "1.0x", "params": "1.0x"}, metrics)
    moves = Moves(network, find_rule("nat++"), budget.resolve(network))
    for seed in range(3):
        moves.verify(moves.apply(moves.sample(np.random.default_rng(seed))))
        walk = descent(moves, np.random.default_rng(seed))
        assert walk is not None
        moves.verify(moves.apply(walk))
    assert Moves(network, find_rule("nat++"), moves.limits.without("latency")).by_measure  # held by who times


def test_a_search_brings_a_latency_down_by_operations_of_more_macs() -> None:
    size = NetworkSize(input=(3, SIZE, SIZE), classes=7)
    network = TimmAdapter().read('{"architecture": "mnasnet_050", "fits": true}', size)
    budget = Budget.parse({"latency": "0.98x"}, {**METRICS, "latency": Layers()})
    moves = Moves(network, find_rule("nat++"), budget.resolve(network))
    repaired = greedy_repair(moves, moves.identity)
    assert repaired is not None
    assert cost(moves.apply(repaired)).macs > cost(network).macs


@pytest.mark.parametrize("name", ["mobilenetv2_035", "convnext_atto"])
def test_costs_of_networks_with_fits_are_those_of_the_built_model(name: str) -> None:
    network = TimmAdapter().read(
        f'{{"architecture": "{name}", "fits": true}}', NetworkSize(input=(3, 64, 64), classes=7)
    )
    moves, rng = Moves(network, find_rule("nat++")), np.random.default_rng(0)
    fitted = [
        [number for number, op in enumerate(candidates) if name_of(op).startswith("fit_")]
        for candidates in moves.candidates
    ]
    assert any(fitted)
    check_costs(moves.apply([int(rng.choice(each)) if each else 0 for each in fitted]))
    assert not any(name_of(op).startswith("fit_") for ops in Moves(network, find_rule("nat")).candidates for op in ops)


def test_a_fitted_model_is_saved_loaded_and_exported(model: nn.Module, network: Network, tmp_path: Path) -> None:
    after = put(network, "blocks.1.0", "fit_conv_3x3", "blocks.3.1", "fit_low_rank_3x3", "blocks.4.1", "null")
    made = nat_timm.inherit(model, after)
    nat_timm.fit(made, model, images(SIZE, 8))
    assert not nat_timm.save(made, tmp_path)
    loaded, x = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval(), images(SIZE, seed=7)
    with torch.no_grad():
        torch.testing.assert_close(loaded(x), made(x), rtol=0, atol=0)
        torch.testing.assert_close(torch.jit.script(loaded)(x), made(x), rtol=1e-5, atol=1e-5)
    config = (tmp_path / "config.json").read_text()
    again = TimmAdapter().read(config, NetworkSize(input=(3, SIZE, SIZE), classes=7))
    assert set(moved_document(again).edits) == set(moved_document(after).edits)
    assert json.loads(config)["model_args"]["edits"][0]["value"]["channels"] == [8, 8]
    assert nat_timm.to_network(loaded, (3, SIZE, SIZE)).ops == after.ops
    fresh = nat_timm.inherit(loaded, put(nat_timm.to_network(loaded, (3, SIZE, SIZE)), "blocks.1.0", "fit_conv_1x1"))
    assert fresh(x).shape == (2, 7)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("3", "takes an object"),
        ('{"channels": [8]}', "channels are two whole numbers"),
        ('{"channels": [8, 8], "kernel": 4}', "kernel is an odd number"),
        ('{"channels": [8, 8], "kernel": 3, "groups": 3}', "3 groups do not divide"),
        ('{"channels": [8, 8], "kind": "dense"}', "kind is one of"),
        ('{"channels": [8, 8], "rank": 2}', "rank is a whole number, of the kind low_rank only"),
        ('{"channels": [8, 8], "rank": "2"}', "rank is a whole number, of the kind low_rank only"),
        ('{"channels": [8, 8], "stride": 2, "shortcut": true}', "a shortcut needs"),
        ('{"channels": [100000, 100000]}', "more than 1,000,000,000 weights"),
        ('{"channels": [8, 8], "act": "relu"}', "unknown key 'act'"),
        ('{"channels": [8, 8], "kernel": true}', "kernel is a whole number"),
        ('{"channels": [9, 9]}', "is not among those that are possible"),
    ],
)
def test_a_form_that_is_none_is_refused_in_one_line(value: str, said: str) -> None:
    text = f'{{"architecture": "{SMALL}", "edits": [{{"op": "fitted", "at": "blocks.2.1", "value": {value}}}]}}'
    with pytest.raises(NATError, match=said) as error:
        TimmAdapter().read(text, NetworkSize(input=(3, SIZE, SIZE), classes=7))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("pictures", "said"),
    [
        (torch.zeros(3, 3, SIZE, SIZE), "3 images are too few"),
        (torch.zeros(8, 1, SIZE, SIZE), "the model takes 3 channels"),
        ([torch.zeros(8, dtype=torch.int64)], "batch 0 is not a float tensor of images"),
    ],
)
def test_pictures_that_cannot_be_fitted_on_are_refused(
    model: nn.Module, network: Network, pictures: torch.Tensor, said: str
) -> None:
    made = nat_timm.inherit(model, put(network, "blocks.2.1", "fit_conv_1x1"))
    with pytest.raises(NATError, match=said):
        nat_timm.fit(made, model, pictures)


def test_compact_searches_among_fits_where_it_is_asked_to() -> None:
    model = lively("test_efficientnet")
    batch = [(images(SIZE, 16), torch.arange(16) % 7)]
    result = nat_timm.compact(
        model,
        batch,
        batch,
        budget={"macs": "0.6x"},
        strategy="random",
        input=(3, SIZE, SIZE),
        search={"warmup": 1, "rounds": 1, "proposals": 8, "steps": 1},
        tuning={"epochs": 1},
        candidates=2,
        fits=True,
        device="cpu",
    )
    assert any(name_of(op).startswith("fit_") for each in result.tuned for op in each.network.ops)
    assert result.best.cost.macs <= 0.6 * result.before.cost.macs
