"""Everything that learns takes its steps in one of two places: from images, and from graphs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nat_plugin.device import Compute
from nat_plugin.training.schedule import Schedule
from nat_plugin.training.steps import ImageSteps, loss_and_hits

ROOT = Path(__file__).resolve().parents[2]


def test_gradients_are_taken_in_two_modules() -> None:
    code = [path for folder in ("nat_plugin", "adapters") for path in (ROOT / folder).rglob("*.py")]
    taken = [path for path in code if ".backward()" in path.read_text(encoding="utf-8")]
    assert {str(path.relative_to(ROOT)) for path in taken} == {
        "nat_plugin/training/optimizer.py",
        "nat_plugin/policy/optimizers.py",
    }


@pytest.mark.parametrize("accumulation", [1, 3, 100])
def test_a_step_in_parts_is_that_of_the_whole_batch(accumulation: int) -> None:
    x, y = torch.randn(7, 4, generator=torch.Generator().manual_seed(0)), torch.arange(7) % 3

    def after(parts: int) -> tuple[Tensor, list[float]]:
        torch.manual_seed(0)
        module = nn.Linear(4, 3)

        def losses(some_x: Tensor, some_y: Tensor) -> tuple[Tensor, Tensor]:
            logits = module(some_x)
            loss = F.cross_entropy(logits, some_y, reduction="sum")
            return loss, loss_and_hits(loss, logits, some_y)

        training = ImageSteps(module, Schedule(), Compute(torch.device("cpu")), parts)
        found = list(training.over([(x, y)] * 3, losses, lambda number: 0.1 / (number + 1)))
        return module.weight.detach(), torch.stack(found).flatten().tolist()

    (whole, said), (parts, summed) = after(1), after(accumulation)
    torch.testing.assert_close(parts, whole)
    assert summed == pytest.approx(said)
