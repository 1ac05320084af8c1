"""Milliseconds of one picture in parts of a network, each by itself."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from nat_plugin.device import Compute
from nat_plugin.timing import Clock, quickest

PASSES = 5


class Stopwatch:
    """Times what computes on the device at hand."""

    def __init__(self, compute: Compute) -> None:
        self._clock = Clock.of(compute.device)
        threads = torch.get_num_threads()
        words = [str(compute.device), "float32", f"{threads} thread{'s' * (threads != 1)}"]
        layout = str(compute.memory_format).removeprefix("torch.")
        self.setting = ", ".join(["1 picture", *words, layout, self._clock.name, "each part by itself"])

    @torch.no_grad()
    def __call__(self, run: Callable[[], Tensor]) -> float:
        """Milliseconds of the quickest of a few passes, after one that does not count."""
        run()
        return 1e3 * quickest(run, self._clock, PASSES)
