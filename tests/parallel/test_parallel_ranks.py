"""What several processes share of a batch, and how batch norm is taken over all of it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nat_plugin.data import DataSet, DataSettings, load, train_batches
from nat_plugin.errors import NATError
from nat_plugin.parallel.batch_norm import SharedBatchNorm
from nat_plugin.parallel.ranks import ALONE, Ranks


class Numbered(Ranks):
    """One of several, as far as it takes no other to know."""

    def __init__(self, number: int, count: int) -> None:
        self.number, self.count = number, count


@pytest.fixture(scope="module")
def digits() -> DataSet:
    return load(DataSettings(name="digits", limit=200), "cpu")


def epoch(data: DataSet, batch: int, ranks: Ranks) -> list[tuple[Tensor, Tensor]]:
    return list(train_batches(data, data.weights, batch, torch.Generator().manual_seed(3), ranks=ranks))


@pytest.mark.parametrize("count", [2, 3, 4])
def test_no_image_of_an_epoch_is_lost_or_doubled(digits: DataSet, count: int) -> None:
    whole = epoch(digits, 24, ALONE)
    parts = [epoch(digits, 24, Numbered(number, count)) for number in range(count)]
    for number, (x, y) in enumerate(whole):
        mine = [part[number] for part in parts]
        assert all(len(each[1]) == 24 // count for each in mine)
        together_x, together_y = torch.empty_like(x), torch.empty_like(y)
        for rank, (part_x, part_y) in enumerate(mine):
            together_x[rank::count], together_y[rank::count] = part_x, part_y
        assert torch.equal(together_x, x)
        assert torch.equal(together_y, y)


def test_of_fewer_images_than_a_batch_each_gets_as_many(digits: DataSet) -> None:
    sizes = [[len(y) for _, y in epoch(digits, 300, Numbered(number, 3))] for number in range(3)]
    assert sizes == [[len(digits.weights) // 3]] * 3


@pytest.mark.parametrize(
    ("batch", "count", "said"),
    [(25, 2, "a batch of 25 images cannot be divided among 2 devices"), (256, 128, "80 images are too few for 128")],
)
def test_a_batch_that_cannot_be_divided_is_a_line(digits: DataSet, batch: int, count: int, said: str) -> None:
    with pytest.raises(NATError, match=said):
        epoch(digits, batch, Numbered(0, count))


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 7), (6, 5, 4, 3)])
@pytest.mark.parametrize("affine", [True, False])
def test_shared_batch_norm_of_one_process_is_batch_norm(shape: tuple[int, ...], affine: bool) -> None:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=random, dtype=torch.float64) * 3 + 20
    slope = torch.randn(shape, generator=random, dtype=torch.float64)
    found = []
    for shared in (False, True):
        norm = (nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d)[len(shape) - 2](5, affine=affine).double()
        if affine:
            nn.init.uniform_(norm.weight, 0.5, 2, generator=torch.Generator().manual_seed(1))
        own = x.clone().requires_grad_()
        if shared:
            with SharedBatchNorm(ALONE):
                out = norm(own)
        else:
            out = norm(own)
        (out * slope).sum().backward()
        grads = [own.grad, *(each.grad for each in norm.parameters())]
        found.append([out.detach(), *grads, norm.running_mean, norm.running_var])
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, atol=1e-10)


def test_shared_batch_norm_leaves_evaluation_and_other_functions_alone() -> None:
    norm, x = nn.BatchNorm2d(3).eval(), torch.randn(4, 3, 2, 2)
    with SharedBatchNorm(Numbered(1, 2)):  # which would have to ask another
        assert torch.equal(norm(x), F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias))
        assert torch.equal(F.relu(x), x.clamp(min=0))


def test_shared_batch_norm_keeps_the_types_of_half_precision() -> None:
    x = torch.randn(8, 3, 4, 4, dtype=torch.bfloat16, requires_grad=True)
    with SharedBatchNorm(ALONE):
        out = nn.BatchNorm2d(3)(x)
    out.float().square().sum().backward()
    assert out.dtype == x.dtype
    assert x.grad is not None
    assert x.grad.dtype == x.dtype
