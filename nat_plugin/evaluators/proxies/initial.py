"""What every network is scored with: weights at initialisation, and synthetic images where there are no others."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nat_plugin.ir.layers import Shape
from nat_plugin.training.seeds import generator

MOST_LABELS = 2**31
SLOPE, COLOUR = 1.5, 0.25
"""Of synthetic images: by which power of the frequency amplitudes fall, and how much of them is colour."""


@dataclass(frozen=True, eq=False)
class ImageBatch:
    """Images (N, C, H, W), normalised, and whole numbers (N,): modulo the classes of a network they are labels."""

    x: Tensor
    y: Tensor

    def to(self, device: torch.device, memory_format: torch.memory_format) -> ImageBatch:
        return ImageBatch(self.x.to(device=device, memory_format=memory_format), self.y.to(device))


def synthetic_batches(shape: Shape, size: int, count: int, seed: int) -> Iterator[ImageBatch]:
    """Noise that is smooth and nearly grey as small photographs are, of mean 0 and standard deviation 1, and random
    labels. With white noise, or with colours that are independent, ``naswot`` ranks far worse."""
    channels, height, width = shape
    frequency = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None, :])
    amplitude = frequency.clamp(min=1 / max(height, width)) ** -SLOPE
    for number in range(count):
        random = generator(seed, "synthetic images", number)
        grey = torch.randn(size, 1, height, width, generator=random)
        noise = grey + COLOUR * torch.randn(size, channels, height, width, generator=random)
        x = torch.fft.irfft2(torch.fft.rfft2(noise) * amplitude, s=(height, width))
        yield ImageBatch((x - x.mean()) / x.std(), torch.randint(MOST_LABELS, (size,), generator=random))


def initialise(module: nn.Module, seed: int) -> None:
    """Weights as for training with ReLUs (He et al. 2015, by the fan-in), scales 1, shifts 0.

    What frameworks start with would not do: some begin with residual branches at zero, of which nothing could be seen
    then. The n-th tensor of a shape gets the same values in every network, so that two networks differ by what was
    changed rather than by chance.
    """
    seen: Counter[tuple[int, ...]] = Counter()
    weights, drawn = weights_of(module), []
    for weight in weights:
        shape = tuple(weight.shape)
        random = generator(seed, "weights", *shape, seen[shape])
        drawn.append(torch.randn(weight.numel(), generator=random).mul_(math.sqrt(2 / max(1, weight[0].numel()))))
        seen[shape] += 1
    placed = torch.cat(drawn).to(weights[0].device)  # one copy to the device for all
    with torch.no_grad():
        for weight, values in zip(weights, torch.split(placed, [each.numel() for each in weights]), strict=True):
            weight.copy_(values.view(weight.shape))
        for name, parameter in module.named_parameters():
            if parameter.ndim < 2:
                parameter.fill_(0.0 if name.rpartition(".")[2].startswith("bias") else 1.0)


def weights_of(module: nn.Module) -> list[nn.Parameter]:
    """Those of convolutions and linear layers."""
    return [each for each in module.parameters() if each.ndim > 1]
