"""What can be fitted: convolutions with nothing between them, as one linear map of what a window shows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from nat_plugin.fitting.windows import Window
from nat_plugin.ir.layers import Conv

MAX_INPUTS = 4608
"""Values that an output may be a sum over (512 channels, 3x3): their products are held in float64."""


@dataclass(frozen=True)
class LinearMap:
    """One convolution; a depthwise and a 1x1; or a dense one to few channels and a 1x1. ``window``: what the first of
    them reads; later ones read one pixel."""

    layers: tuple[Conv, ...]
    window: Window

    @classmethod
    def of(cls, *layers: Conv, same: bool = False) -> LinearMap:
        return cls(layers, Window.of(layers[0], same))

    @property
    def channels(self) -> int:
        """Of the input."""
        return self.layers[0].c_in

    @cached_property
    def inputs(self) -> int:
        """How many values an output may be a sum over."""
        return self.channels * self.window.area

    @property
    def outputs(self) -> int:
        return self.layers[-1].c_out

    @property
    def is_separable(self) -> bool:
        first = self.layers[0]
        return len(self.layers) == 2 and first.groups == first.c_in == first.c_out
