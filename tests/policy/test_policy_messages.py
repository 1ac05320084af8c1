"""Sums over vertices, whatever their number, and which weights a seed gives."""

from __future__ import annotations

import pytest
import torch

from nat_plugin.policy.messages import PlainConv, SumConv, scatter


@pytest.mark.parametrize("shape", [(5,), (5, 3), (0,), (0, 3)])
def test_rows_of_the_same_place_become_one(shape: tuple[int, ...]) -> None:
    rows = torch.arange(1.0, 1 + torch.Size(shape).numel()).view(shape) - 9
    index = torch.tensor([3, 0, 3, 1, 0][: shape[0]], dtype=torch.int64)
    for reduce in ("sum", "mean", "max"):
        found = scatter(rows, index, 5, reduce)  # type: ignore[arg-type]
        assert found.shape == (5, *shape[1:])
        for place in range(5):
            own = rows[index == place]
            wanted = {"sum": own.sum(0), "mean": own.mean(0), "max": own.amax(0) if len(own) else own}[reduce]
            assert torch.equal(found[place], wanted if len(own) else torch.zeros(shape[1:]))


def test_a_vertex_hears_its_neighbours_alone() -> None:
    torch.manual_seed(0)
    sources, links = torch.randn(4, 2), torch.tensor([[0, 1, 3, 3], [2, 2, 0, 2]])
    conv, plain = SumConv(2), PlainConv(2, 3)
    heard = torch.stack([sources[3], torch.zeros(2), sources[0] + sources[1] + sources[3]])
    assert torch.allclose(conv(sources, links, 3), heard @ conv.lin_l.weight.T)
    whole = torch.cat([heard, torch.zeros(1, 2)])
    assert torch.allclose(plain(sources, links), whole @ plain.lin.weight.T, atol=1e-6)


def test_a_seed_gives_the_weights_that_it_always_gave() -> None:
    """Policies and critics of trainings of earlier versions can be made again."""
    torch.manual_seed(0)
    first = [SumConv(2).lin_l.weight, PlainConv(2, 2).lin.weight]
    wanted = [[[-0.2723, 0.1896], [-0.0140, 0.5607]], [[-1.1701, -0.8111], [-0.5049, 0.0454]]]
    for found, known in zip(first, wanted, strict=True):
        assert torch.allclose(found, torch.tensor(known), atol=1e-3)
