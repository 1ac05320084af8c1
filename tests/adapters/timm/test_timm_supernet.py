"""A model as a supernet of its own moves: what a move leaves alone is shared, what it cuts is inherited."""

from __future__ import annotations

import copy

import pytest
import timm
import torch
from nat_timm import inherit, to_network
from nat_timm.documents.edits import Edit
from nat_timm.measuring.statistics import recalibrate
from nat_timm.surgery.apply import apply_edits
from nat_timm.training.supernet import TimmSupernet
from nat_timm.training.tuning import Tuning, objective
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.modules.batchnorm import _BatchNorm

from nat_plugin.errors import NATError
from nat_plugin.ir import Network, cost, find_rule
from tests.adapters.timm.samples import CLASSES, SPAN, images, lively, moved


def supernet(name: str, size: int, rule: str = "nat++") -> tuple[nn.Module, Network, TimmSupernet]:
    model = lively(name)
    network = to_network(model, (3, size, size))
    return model, network, TimmSupernet(model, network, find_rule(rule)).eval()


def by_batch(model: nn.Module) -> nn.Module:
    """In evaluation mode, but for batch norms, which use the statistics of the batch."""
    model.eval()
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.training = True
    return model


@pytest.mark.parametrize(("name", "size"), SPAN)
@torch.no_grad()
def test_every_moved_network_has_the_weights_it_inherits(name: str, size: int) -> None:
    """Of one slot exactly those of ``inherit``; of several, shapes and costs of that network, and its outputs are those
    of the copy that is handed out."""
    model, network, shared = supernet(name, size)
    x = images(size, 4)
    plain = by_batch(inherit(model, network))
    assert torch.equal(shared(x, network), plain(x))
    for seed in range(4):
        after = moved(network, "nat++", seed, None if seed % 2 else 0.7)
        made = by_batch(shared.inherited(after))
        torch.testing.assert_close(shared(x, after), made(x), rtol=1e-4, atol=1e-4)
        active = {id(each): each for each in shared.active_parameters(after)}
        assert sum(each.numel() for each in active.values()) == cost(after).params
        assert {id(each) for each in shared.parameters()} >= set(active)


@pytest.mark.parametrize(("name", "size"), SPAN)
def test_every_moved_network_can_be_trained(name: str, size: int) -> None:
    """Where layers are left out, no activation writes over what a shortcut or the gradient still needs."""
    _, network, shared = supernet(name, size, "nat")
    shared.train()
    for seed in range(4):
        after = moved(network, "nat", seed)
        shared(images(size, 4), after).square().sum().backward()
        grads = [each.grad for each in shared.active_parameters(after)]
        assert all(each is None or each.isfinite().all() for each in grads)
        assert sum(each is not None for each in grads) > len(grads) / 2
        shared.zero_grad()


def test_what_a_shortcut_adds_is_not_written_over() -> None:
    """A block of a ResNet without its first convolution and norm, by hand."""
    model = lively("resnet18", act_layer="silu").get_submodule("layer1.0")
    wanted = copy.deepcopy(model)
    apply_edits(model, [Edit("skip", ("conv1",)), Edit("skip", ("bn1",))], "block")
    x = torch.randn(2, 64, 8, 8, generator=torch.Generator().manual_seed(0))
    silu = nn.functional.silu
    with torch.no_grad():
        by_hand = silu(x + wanted.bn2(wanted.conv2(silu(x))))
        torch.testing.assert_close(model(x.clone()), by_hand)


@torch.no_grad()
def test_one_move_is_what_inherit_makes_of_it() -> None:
    model, network, shared = supernet("mobilenetv3_small_050", 32)
    checked = 0
    for place, slot in enumerate(network.slots):
        for op in network.edge(slot).choices[1::24]:
            if op.is_null:
                continue
            ops = list(network.ops)
            ops[place] = op
            after = network.with_ops(ops)
            wanted = dict(inherit(model, after).named_parameters())
            found = dict(shared.inherited(after).named_parameters())
            assert wanted.keys() == found.keys()
            assert all(torch.equal(wanted[name], found[name]) for name in wanted)
            checked += 1
    assert checked > 6


def test_a_step_on_a_moved_network_leaves_what_it_does_not_use() -> None:
    model, network, shared = supernet("mobilenetv2_050", 32)
    after = moved(network, "nat++", 0, 0.6)
    used = {id(each) for each in shared.active_parameters(after)}
    before = {name: each.detach().clone() for name, each in shared.named_parameters()}
    optimizer = torch.optim.SGD(shared.parameters(), 0.1)
    shared.train()
    shared(images(32, 4), after).square().sum().backward()
    optimizer.step()
    moved_ = {name for name, each in shared.named_parameters() if not torch.equal(each, before[name])}
    kept = {name for name, each in shared.named_parameters() if id(each) not in used}
    assert moved_
    assert kept
    assert not moved_ & kept
    assert {id(each) for each in model.parameters()} & used


@torch.no_grad()
def test_after_new_weights_of_the_model_everything_inherits_anew() -> None:
    model, network, shared = supernet("mobilenetv2_050", 32)
    after = moved(network, "nat++", 1, 0.6)
    for each in model.parameters():
        each.mul_(1.5)
    shared.refresh()
    wanted = TimmSupernet(model, network, find_rule("nat++")).inherited(after).state_dict()
    found = shared.inherited(after).state_dict()
    assert all(torch.equal(wanted[name], found[name]) for name in wanted)


def test_what_the_rules_do_not_allow_is_refused() -> None:
    _, network, shared = supernet("mobilenetv2_050", 32, "nat")
    after = moved(network, "nat++", 0, 0.5)
    with pytest.raises(NATError, match="no move of the rules leads there"):
        shared(images(32), after)


def test_nothing_is_left_on_another_device() -> None:
    """With tensors that only say where they are. Rules ``nat``: which channels are kept depends on values."""
    network = to_network(lively("mobilenetv3_small_050"), (3, 32, 32))
    afters = [moved(network, "nat", seed) for seed in range(4)]
    with FakeTensorMode(), torch.no_grad():
        with torch.device("cuda"):
            model = timm.create_model("mobilenetv3_small_050", num_classes=CLASSES)
            shared = TimmSupernet(model, network, find_rule("nat"))
        x = torch.empty(2, 3, 32, 32, device="cuda").to(memory_format=torch.channels_last)
        taught = model.eval()(x)
        for after in afters:
            shared.train()
            logits = shared(x, after)
            assert logits.device.type == "cuda"
            y = torch.zeros(2, dtype=torch.int64, device="cuda")
            loss = objective(logits, y, taught, Tuning(label_smoothing=0.1, distil=0.5, temperature=2.0))
            assert loss.device.type == "cuda"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_real_cuda() -> None:
    _, network, shared = supernet("mobilenetv2_050", 32)
    shared = shared.to("cuda").to(memory_format=torch.channels_last)
    x = images(32, 4).to("cuda").to(memory_format=torch.channels_last)
    for seed in range(3):
        after = moved(network, "nat++", seed, 0.6)
        with torch.autocast("cuda", torch.bfloat16):
            logits = shared(x, after)
        logits.float().sum().backward()
        made = shared.inherited(after)
        recalibrate(made, [x])
        assert made(x).isfinite().all()
