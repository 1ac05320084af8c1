"""Fits of many places go through the pictures once, whatever the models are, and give what they would one by one."""

from __future__ import annotations

from collections import Counter
from typing import Any

import nat_timm
import pytest
import torch
from nat_timm.documents.forms import Form
from nat_timm.fitting import passes
from nat_timm.fitting.fit import fit_to, solution_of
from nat_timm.fitting.maps import map_of
from nat_timm.fitting.passes import FromTheStart, KeptPasses, passes_of
from nat_timm.fitting.reference import Reference
from torch import nn

from nat_plugin.fitting.sampling import add_batch, empty_moments
from nat_plugin.ir import Moves, Network, find_rule
from tests.adapters.timm.fits import put
from tests.adapters.timm.samples import SPAN, images, lively

SIZE, PICTURES = 32, 72
"""Three batches, the last of which is smaller."""


def with_changes(network: Network, most: int = 6) -> Network:
    """With a fit or a narrower block wherever one may stand, from the last block to the first."""
    ops, moves = list(network.ops), Moves(network, find_rule("nat++"))
    for index in reversed(range(len(ops))):
        wanted = "fit_conv" if most % 2 else "_e"
        found = [op for op in moves.candidates[index] if wanted in str(op) and op != ops[index]]
        if found and most:
            ops[index], most = found[0], most - 1
    return network.with_ops(ops)


def counted(model: nn.Module) -> Counter[str]:
    """Pictures that each convolution gets."""
    found: Counter[str] = Counter()
    for path, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda _, given, __, path=path: found.update({path: len(given[0])}))
    return found


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return lively("mobilenetv2_035", pad_type="same")


def fitted(model: nn.Module, x: torch.Tensor, size: int = SIZE) -> tuple[nn.Module, tuple[Any, ...]]:
    made = nat_timm.inherit(model, with_changes(nat_timm.to_network(model, (3, size, size), fits=True)))
    return made, nat_timm.fit(made, model, x)


def test_any_number_of_places_costs_one_pass_of_the_original_and_one_of_the_changed_model(model: nn.Module) -> None:
    """Norms behind a place get their statistics before what follows is computed. A second model, changed in another
    block, costs the original nothing more."""
    network = nat_timm.to_network(model, (3, SIZE, SIZE), fits=True)
    reference = Reference(model, images(SIZE, PICTURES).split(32))
    several = [
        nat_timm.inherit(model, each) for each in (with_changes(network), put(network, "blocks.2.1", "fit_conv"))
    ]
    its = counted(model)
    for made, count in zip(several, (6, 1), strict=True):
        own = counted(made)
        assert len(fit_to(made, reference)) == count
        assert max(its.values()) == PICTURES
        assert max(own.values()) <= PICTURES + 10  # a few pictures to look at the order of the modules


@pytest.mark.parametrize("space", [None, 0, 200_000], ids=["no graph", "no space", "little space"])
def test_where_nothing_can_be_kept_the_weights_are_the_same_bit_for_bit(
    model: nn.Module, space: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, found = images(SIZE, PICTURES), []
    for is_changed in (False, True):
        if is_changed and space is None:
            monkeypatch.setattr(passes, "_steps_of", lambda *_: None)
        elif is_changed:
            monkeypatch.setattr(passes, "KEPT", space)
        made, fits = fitted(model, x)
        found.append((made.state_dict(), fits))
    (first, fits), (second, others) = found
    assert fits == others
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(("name", "size"), [*SPAN, ("densenet121", 32)])
def test_what_goes_into_a_place_is_what_the_model_computes_there(name: str, size: int) -> None:
    made = lively(name)
    batches = [images(size, 2, seed=seed) for seed in (1, 2)]
    convs = [path for path, each in made.named_modules() if isinstance(each, nn.Conv2d)]
    order = [path for path, count in _called(made, batches[0]).items() if count == 1 and path in convs]
    places = order[1 :: max(1, len(order) // 4)]
    kept = passes_of(made, batches, places)
    assert isinstance(kept, KeptPasses)
    known = FromTheStart(made, batches, places)
    with torch.no_grad():
        for number in range(len(places)):
            for mine, its in zip(kept.reach(number), known.reach(number), strict=True):
                torch.testing.assert_close(mine, its, rtol=1e-5, atol=1e-5)


def test_what_is_kept_has_the_space_that_was_expected_and_no_more(
    model: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passes, "KEPT", 1_000_000)
    batches = list(images(SIZE, PICTURES).split(32))
    order = list(_called(model, batches[0][:1]))
    kept = passes_of(model, batches, [path for path in order if isinstance(model.get_submodule(path), nn.Conv2d)])
    assert isinstance(kept, KeptPasses)
    sizes = []
    for number in range(len(kept._places)):
        for _ in kept.reach(number):
            found = [sum(each.nbytes for each in values.values()) for _, values in kept._states]
            assert found == kept._sizes
            sizes.append(sum(found))
    assert 0 < max(sizes) <= 1_000_000


def _called(model: nn.Module, x: torch.Tensor) -> Counter[str]:
    found: Counter[str] = Counter()
    handles = [
        module.register_forward_hook(lambda *_, path=path: found.update([path]))
        for path, module in model.named_modules()
    ]
    with torch.no_grad():
        model(x)
    for handle in handles:
        handle.remove()
    return found


def test_fits_of_other_outputs_to_the_same_inputs_share_their_factor(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    cholesky = torch.linalg.cholesky

    def counting(xx: torch.Tensor) -> torch.Tensor:
        made.append(len(xx))
        return cholesky(xx)

    monkeypatch.setattr(torch.linalg, "cholesky", counting)
    plain, short = Form((4, 4), kernel=3), Form((4, 4), kernel=3, shortcut=True)
    moments, (x, y) = empty_moments(map_of(plain), torch.device("cpu")), torch.randn(2, 16, 4, 9, 9)
    add_batch(moments, map_of(plain), x, y, 0, len(x), seed=0)
    both = moments[0] + moments[1]
    alone = solution_of(plain, moments, both=both)
    count = len(made)
    assert count > 1
    again, other = solution_of(plain, moments, both=both), solution_of(short, moments, alone.ridge, both)
    assert len(made) == count
    assert torch.equal(again.weights[0], alone.weights[0])
    residual = (other.weights[0] - alone.weights[0]).flatten(2).abs().sum(2)
    assert (residual.diagonal() > 0.5).all()  # what the shortcut gives is taken off
