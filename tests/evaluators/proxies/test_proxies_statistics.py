"""Each statistic is what its definition says, on tensors and modules for which that can be said in another way."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nat_plugin.evaluators.proxies.activations import MOST_CHANNELS, Patterns, entropies
from nat_plugin.evaluators.proxies.gradients import gradient_norm, jacobian, snip, zico
from nat_plugin.evaluators.proxies.synflow import synflow
from nat_plugin.evaluators.proxies.trainability import trainability
from nat_plugin.evaluators.proxies.watching import ActivationWatch, BlockWatch


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def seen(*batches: list[Tensor]) -> Patterns:
    patterns = Patterns(len(batches), len(batches[0][0]))
    for batch in batches:
        patterns.begin()
        for x in batch:
            patterns.see(x)
    return patterns


def test_the_kernel_counts_the_activations_that_two_images_switch_alike() -> None:
    first, second = normal(4, 3, 5), normal(4, 7, seed=1)
    on = torch.cat([first.flatten(1), second], 1) > 0
    alike = torch.tensor([[(a == b).sum() for b in on] for a in on]).double()
    expected = (alike + torch.eye(4)).logdet()
    torch.testing.assert_close(seen([first, second]).kernel_volume(), expected)


def test_patterns_are_counted_over_all_images_of_all_batches() -> None:
    """Three activations of two batches of two images; the first two differ in the second batch alone."""
    first = torch.tensor([[1.0, 1.0, -1.0], [-1.0, -1.0, -1.0]])
    same, other = torch.tensor([[1.0, 1.0, -1.0]] * 2), torch.tensor([[1.0, -1.0, -1.0]] * 2)
    assert seen([first], [same]).distinct() == math.log(2)
    assert seen([first], [other]).distinct() == math.log(3)


def test_activations_that_are_all_dead_or_missing_have_a_number() -> None:
    dead = seen([-torch.ones(4, 9)])
    assert dead.kernel_volume().isfinite()
    assert dead.distinct() == 0
    none = Patterns(1, 4)
    none.begin()
    assert none.kernel_volume() == none.distinct() == 0


def test_the_entropy_of_features_is_the_logarithm_of_their_directions() -> None:
    white = torch.eye(8).repeat(32, 1)[:, :, None, None] * 3
    line = normal(64, 1, 2, 2) * torch.arange(1.0, 9.0)[:, None, None]
    found = entropies([white, line, white])
    torch.testing.assert_close(found[0], found[2])
    torch.testing.assert_close(found[0].item(), math.log(7), rtol=1e-3, atol=0)  # the mean takes one direction away
    assert abs(found[1]) < 1e-4


def test_features_that_are_no_numbers_have_no_entropy_and_wide_ones_are_thinned_out() -> None:
    broken = torch.full((4, 3, 2, 2), torch.nan)
    wide = normal(8, 4 * MOST_CHANNELS, 8, 8)
    found = entropies([broken, wide])
    assert found[0].isnan()
    assert 0.9 * math.log(MOST_CHANNELS) < found[1] <= math.log(MOST_CHANNELS)


def test_norms_and_removals_are_added_up_over_layers_and_averaged_over_batches() -> None:
    weights = [normal(3, 2), normal(4)]
    batches = [[normal(3, 2, seed=n), normal(4, seed=n + 10)] for n in (1, 2)]
    norms = sum(float(each.norm()) for batch in batches for each in batch) / 2
    removals = sum(float((w * g).abs().sum()) for batch in batches for w, g in zip(weights, batch, strict=True)) / 2
    torch.testing.assert_close(float(gradient_norm(batches)), math.log(norms))
    torch.testing.assert_close(float(snip(weights, batches)), math.log(removals))


def test_zico_is_the_mean_size_over_the_deviation_layer_by_layer() -> None:
    batches = [[normal(3, 2, seed=n), normal(4, seed=n + 10)] for n in (1, 2, 3)]
    expected = 0.0
    for layer in range(2):
        stacked = torch.stack([batch[layer] for batch in batches])
        expected += float((stacked.abs().mean(0) / stacked.std(0, correction=0)).sum().log())
    torch.testing.assert_close(float(zico(batches)), expected, rtol=1e-4, atol=0)


def test_weights_without_gradients_or_with_the_same_in_all_batches_break_nothing() -> None:
    batches = [[torch.zeros(5), torch.ones(3)], [torch.zeros(5), torch.ones(3)]]
    assert zico(batches) == 0
    assert gradient_norm([[torch.zeros(3)]]).isfinite()
    assert snip([torch.ones(3)], [[torch.zeros(3)]]).isfinite()
    assert jacobian([torch.zeros(4, 3, 2, 2)]).isfinite()


def test_images_that_pull_alike_score_less_than_images_that_pull_each_in_its_way() -> None:
    own = normal(6, 3, 8, 8)
    assert jacobian([own]) > jacobian([own[:1] + 0.1 * own])
    assert jacobian([torch.full((4, 3, 2, 2), torch.nan)]).isnan()


def test_a_block_that_multiplies_by_a_number_has_it_for_its_singular_value() -> None:
    """Then 2 - s - 1 / s, whatever the size of the maps; a block that reads no other is left out."""
    x = normal(16, 2, 24, 24).requires_grad_()
    assert trainability([x, x.clone()], 0).abs() < 0.01
    torch.testing.assert_close(float(trainability([x, x * 3], 0)), 2 - 3 - 1 / 3, rtol=0.05, atol=0)
    assert trainability([x, normal(4, 2, 8, 8).requires_grad_() * 2], 0) == 0
    assert trainability([x], 0) == 0


def test_a_block_that_halves_odd_sizes_is_measured() -> None:
    x = normal(8, 3, 9, 7).requires_grad_()
    assert trainability([x, F.avg_pool2d(x, 2, ceil_mode=True)], 0).isfinite()


def test_synflow_of_a_chain_is_the_same_through_each_of_its_layers() -> None:
    """So the sum is what comes out of the positive network for ones, as often as there are layers; norms and
    saturating activations change nothing."""
    chain = nn.Sequential(
        nn.Conv2d(3, 5, 1, bias=False), nn.BatchNorm2d(5), nn.ReLU6(), nn.Conv2d(5, 4, 1, bias=False), nn.Hardswish(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2, bias=False),
    )  # fmt: skip
    first, second, third = (each.detach().abs().double() for each in chain.parameters() if each.ndim > 1)
    out = (third @ second.flatten(1) @ first.flatten(1) @ torch.ones(3, dtype=torch.float64)).sum()
    torch.testing.assert_close(synflow(chain, (3, 4, 4)), (3 * out).log())


def test_synflow_of_a_hundred_layers_is_a_finite_number() -> None:
    deep = nn.Sequential(*(nn.Conv2d(64, 64, 3, padding=1, bias=False) for _ in range(100)), nn.Flatten(2))
    for each in deep.parameters():
        nn.init.kaiming_normal_(each)
    assert synflow(deep, (64, 4, 4)).isfinite()


class Functional(nn.Module):
    """Activations as functions, and one in place."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu6(self.second(F.relu_(self.first(x)) + F.silu(x[:, :1]) + F.gelu(x[:, :1])))


def test_activations_are_seen_whether_they_are_modules_or_functions() -> None:
    found: list[Tensor] = []
    module, x = Functional(), normal(2, 3, 4, 4)
    with ActivationWatch(lambda before: found.append(before.clone())):
        module(x)
    assert len(found) == 4
    torch.testing.assert_close(found[0], module.first(x))


def test_blocks_are_the_outermost_modules_and_a_long_chain_in_one_is_opened() -> None:
    class Block(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            return x + super().forward(x)

    def block() -> Block:
        return Block(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 3, 1))

    x = normal(2, 3, 4, 4)
    many = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.Sequential(*(block() for _ in range(6))), nn.ReLU())
    with BlockWatch(many) as watch:
        many(x)
    assert len(watch.maps()) == 7
    one = nn.Sequential(Block(*(nn.Conv2d(3, 3, 1) for _ in range(8))))
    with BlockWatch(one) as watch:
        one(x)
    assert len(watch.maps()) == 8
    assert not any(each._forward_hooks for each in (*many.modules(), *one.modules()))
