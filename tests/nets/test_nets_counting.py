"""The one counter of MACs says what torch's own says."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from nat_plugin.nets.counting import MACCounter, count

ROOT = Path(__file__).resolve().parents[2]


class Everything(nn.Module):
    """Layers with and without products, attention, and products of two inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1, groups=8),
            nn.Hardswish(), nn.ConvTranspose2d(8, 12, 2, 2, groups=2), nn.SiLU(), nn.GroupNorm(2, 12), nn.GELU(),
            nn.AdaptiveAvgPool2d(4), nn.Hardtanh(), nn.Hardsigmoid(), nn.Sigmoid(),
        )  # fmt: skip
        self.attention = nn.MultiheadAttention(12, 3, batch_first=True)
        self.head = nn.Linear(12, 10)

    def forward(self, x: Tensor) -> Tensor:
        rows = self.stem(x).flatten(2).transpose(1, 2)
        rows, _ = self.attention(rows, rows, rows)
        rows = torch.einsum("bij,bkj->bik", rows, rows) @ rows
        scores: Tensor = self.head(nn.functional.scaled_dot_product_attention(rows, rows, rows).mean(1))
        return scores


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("guard", [torch.no_grad, torch.inference_mode])
def test_it_counts_what_torch_counts(device: str, guard: Callable[[], AbstractContextManager[None]]) -> None:
    with torch.device(device):
        module, x = Everything().eval(), torch.empty(2, 3, 9, 11)
    with FlopCounterMode(display=False) as theirs, guard():
        wanted = module(x)
    with MACCounter() as ours, guard():
        out = module(x)
    assert ours.macs == theirs.get_total_flops() // 2 > 0
    assert out.shape == wanted.shape


def test_what_has_no_tensors_is_counted_where_tensors_are_made() -> None:
    with torch.device("meta"):
        assert count(nn.Flatten(), (3, 8, 8)) == count(nn.ReLU(), (3, 8, 8))


def test_macs_are_counted_in_one_module() -> None:
    code = [path for folder in ("nat_plugin", "adapters") for path in (ROOT / folder).rglob("*.py")]
    counting = [path.name for path in code if re.search(r"flop_counter|FlopCounter", path.read_text(encoding="utf-8"))]
    assert counting == ["counting.py"]
