"""Models of every class of blocks: unmoved they are bit-equal, moved they run and cost exactly what was said."""

from __future__ import annotations

import nat_timm
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nat_timm.adapter import TimmAdapter
from nat_timm.building.comparing import module_that_differs

from nat_plugin.ir import Moves, NetworkSize, canonical, cost, find_rule, same
from nat_plugin.nets.counting import count
from tests.adapters.timm.samples import CLASSES, SPAN, images, lively, moved

SMALL = 32


@pytest.mark.parametrize(("name", "size"), SPAN)
def test_a_model_converts_and_moves(name: str, size: int) -> None:
    model = lively(name)
    network = nat_timm.to_network(model, (3, size, size))
    assert cost(network) == count(model, (3, size, size))

    same_model = nat_timm.inherit(model, network)
    assert list(same_model.state_dict()) == list(model.state_dict())
    with torch.no_grad():
        assert torch.equal(same_model(images(size)), model(images(size)))

    after = moved(network, "nat++", 1)
    lean = nat_timm.inherit(model, after)
    assert count(lean, (3, size, size)) == cost(after)
    assert cost(after).macs <= cost(network).macs
    with torch.no_grad():
        logits = lean(images(size))
    assert logits.shape == (2, CLASSES)
    assert torch.isfinite(logits).all()


@given(seed=st.integers(0, 10_000), rule=st.sampled_from(["nat", "nat++"]), share=st.sampled_from([0.9, 0.7, None]))
@settings(max_examples=12)
def test_random_moves_are_written_and_read_back(seed: int, rule: str, share: float | None) -> None:
    """``write`` counts the model that timm builds; what was written reads as the same network."""
    adapter, size = TimmAdapter(), NetworkSize(input=(3, 64, 64), classes=CLASSES)
    network = adapter.read("mobilenetv3_small_050", size)
    after = moved(network, rule, seed, share)
    text = adapter.write(canonical(after))
    read = adapter.read(text, size)
    assert same(read, after)
    assert cost(read) == cost(after)
    if share is not None:
        assert cost(read).macs <= share * cost(network).macs
    assert adapter.write(read) == text


def test_an_unmoved_text_is_written_as_it_came() -> None:
    adapter, size = TimmAdapter(), NetworkSize(input=(3, 64, 64), classes=CLASSES)
    assert adapter.write(adapter.read("mobilenetv2_050", size)) == "mobilenetv2_050"


def test_a_moved_model_can_be_moved_again() -> None:
    model = lively("mobilenetv2_050")
    first = moved(nat_timm.to_network(model, (3, 64, 64)), "nat++", 3, 0.9)
    once = nat_timm.inherit(model, first)
    network = nat_timm.to_network(once, (3, 64, 64))
    assert same(network, first)
    twice = nat_timm.inherit(once, moved(network, "nat++", 4, 0.8))
    assert count(twice, (3, 64, 64)) == cost(nat_timm.to_network(twice, (3, 64, 64)))
    with torch.no_grad():
        assert torch.isfinite(twice(images(64))).all()


def test_a_pool_that_is_changed_back_is_the_one_that_it_was() -> None:
    model = lively("resnet18")
    network = nat_timm.to_network(model, (3, SMALL, SMALL))
    moves = Moves(network, find_rule("nat++"))
    place = next(at for at, ops in enumerate(moves.candidates) if "avg_pool_3x3" in map(str, ops))
    away = [*moves.identity]
    away[place] = next(at for at, op in enumerate(moves.candidates[place]) if str(op) == "avg_pool_3x3")
    once = nat_timm.inherit(model, moves.apply(tuple(away)))
    assert isinstance(once.maxpool, torch.nn.AvgPool2d)
    again = nat_timm.to_network(once, (3, SMALL, SMALL))
    back = nat_timm.inherit(once, again.with_ops(network.ops))
    assert module_that_differs(back, model) is None
    with torch.no_grad():
        assert torch.equal(back(images(SMALL)), model(images(SMALL)))
        assert not torch.equal(once(images(SMALL)), model(images(SMALL)))
