"""A clock that convolutions and linear layers turn, so that no test knows how fast this machine is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

from nat_plugin.timing import Clock


class Turned:
    """By the MACs of each image, and a little for each layer."""

    now = 0.0

    def after(self, module: nn.Module, _inputs: object, output: Tensor) -> None:
        if isinstance(module, nn.Conv2d | nn.Linear):
            self.now += 1e-5 + 1e-9 * output.numel() * module.weight[0].numel()

    @property
    def clock(self) -> Clock:
        return Clock("fake", lambda: self.now)


@pytest.fixture(scope="module")
def turned() -> Iterator[Turned]:
    found = Turned()
    hook = register_module_forward_hook(found.after)
    yield found
    hook.remove()
