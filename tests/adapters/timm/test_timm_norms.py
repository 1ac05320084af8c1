"""Running statistics of a changed model: what few pictures say of the original too is no change."""

from __future__ import annotations

import copy

import nat_timm
import pytest
import torch
from nat_timm.fitting.fit import fit, fit_to, settle_norms
from nat_timm.fitting.reference import Reference
from nat_timm.measuring.statistics import recalibrate
from nat_timm.surgery.hidden import channels_read
from torch import nn

from nat_plugin.ir import Network
from tests.adapters.timm.fits import SIZE, SMALL, put
from tests.adapters.timm.samples import images, lively

MANY, FEW = 192, 16


@pytest.fixture(scope="module")
def model() -> nn.Module:
    """With the statistics of many pictures."""
    made = lively(SMALL)
    recalibrate(made, images(SIZE, MANY, seed=3).split(32))
    return made


@pytest.fixture(scope="module")
def network(model: nn.Module) -> Network:
    return nat_timm.to_network(model, (3, SIZE, SIZE), fits=True)


def statistics(model: nn.Module, stage: str) -> torch.Tensor:
    """Of all norms of a stage."""
    norms = model.get_submodule(stage).modules()
    found = [each for each in norms if isinstance(each, nn.BatchNorm2d)]
    return torch.cat([torch.cat((each.running_mean, each.running_var.log())) for each in found])


def test_a_model_that_was_not_moved_keeps_its_statistics(model: nn.Module) -> None:
    made = copy.deepcopy(model)
    settle_norms(made, Reference(model, [images(SIZE, FEW)]))
    torch.testing.assert_close(made.state_dict(), model.state_dict(), rtol=1e-4, atol=1e-5)


def test_few_pictures_say_more_of_a_change_than_of_statistics(model: nn.Module) -> None:
    """Of a model with slightly other weights in one block, against what many pictures say."""
    moved, few = copy.deepcopy(model), [images(SIZE, FEW)]
    with torch.no_grad():
        weight = moved.get_submodule("blocks.2.1.conv_pwl").weight
        weight += 0.2 * weight.std() * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    by_many, by_few, alike = (copy.deepcopy(moved) for _ in range(3))
    settle_norms(by_many, Reference(model, images(SIZE, MANY, seed=3).split(32)))
    recalibrate(by_few, few)
    settle_norms(alike, Reference(model, few))
    wanted = statistics(by_many, "blocks.3")
    errors = [float((statistics(each, "blocks.3") - wanted).square().mean()) for each in (by_few, alike)]
    assert errors[1] < 0.5 * errors[0]


def test_channels_that_are_left_of_a_cut_keep_their_statistics(model: nn.Module, network: Network) -> None:
    """Where nothing before them was changed; also of a model of which nobody says what was cut."""
    moved = nat_timm.inherit(model, put(network, "blocks.2.1", "mbconv_k3_e3"))
    few, path = list(images(SIZE, 2 * FEW).split(FEW)), "blocks.2.1.bn1"
    kept = channels_read(moved.get_submodule("blocks.2.1.conv_pwl"))
    wanted, reference = model.get_submodule(path).running_var[kept], Reference(model, few)
    channels = {f"blocks.2.1.bn{number}": kept for number in (1, 2)}
    for estimated in (lambda: fit(moved, model, few), lambda: settle_norms(moved, reference, channels)):
        moved.get_submodule(path).reset_running_stats()
        estimated()
        torch.testing.assert_close(moved.get_submodule(path).running_var, wanted, rtol=1e-4, atol=1e-5)


def test_norms_behind_a_block_that_was_left_out_are_settled_too(model: nn.Module, network: Network) -> None:
    """Where there is nothing to fit."""
    moved, reference = (
        nat_timm.inherit(model, put(network, "blocks.2.1", "null")),
        Reference(model, [images(SIZE, FEW)]),
    )
    before = statistics(moved, "blocks.3")
    assert not fit_to(moved, reference)
    found = statistics(moved, "blocks.3")
    assert not torch.allclose(found, before, rtol=1e-3)
    settle_norms(moved, reference)
    torch.testing.assert_close(statistics(moved, "blocks.3"), found)


def test_norms_that_the_original_does_not_have_are_estimated_from_the_pictures_alone(model: nn.Module) -> None:
    made, few = copy.deepcopy(model), [images(SIZE, FEW)]
    made.bn1 = nn.Sequential(made.bn1, nn.BatchNorm2d(made.bn1.num_features))
    settle_norms(made.eval(), Reference(model, few))
    x = few[0]
    given = made.bn1[0](made.conv_stem(x))
    torch.testing.assert_close(made.bn1[1].running_mean, given.mean((0, 2, 3)), rtol=1e-3, atol=1e-4)
