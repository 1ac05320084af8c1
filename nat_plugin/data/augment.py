"""Augmentation of whole batches on their own device: random crop, horizontal flip, cutout."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Augment:
    """What is done to training images, all lengths in pixels; 0 or false turns a step off."""

    crop: int = 4
    """Black padding on every side, out of which a window of the original size is cut at random."""
    flip: bool = True
    """Mirror left to right, for every second image at random."""
    cutout: int = 0
    """Side of a square that is set to the mean colour; its centre is any pixel, so it may hang over the border."""


@dataclass(frozen=True, eq=False)
class Draws:
    """Random decisions for N images, on the images' device."""

    offset: Tensor  # int64 (N, 2): top and left of the window in the padded image, 0..2*crop
    flip: Tensor  # bool (N,)
    centre: Tensor  # int64 (N, 2): row and column of the middle of the cutout

    def __getitem__(self, part: slice) -> Draws:
        return Draws(self.offset[part], self.flip[part], self.centre[part])


def draw(
    augment: Augment, count: int, size: tuple[int, int], generator: torch.Generator, device: torch.device
) -> Draws:
    """Decide for `count` images of `size` (H, W), all randomness from the CPU `generator`.

    The same amount is drawn whatever the settings, so that switching a step off leaves the others as they were.
    """
    offset = torch.randint(2 * augment.crop + 1, (count, 2), generator=generator)
    flip = torch.randint(2, (count,), generator=generator).bool() & augment.flip
    rows = torch.randint(size[0], (count, 1), generator=generator)
    columns = torch.randint(size[1], (count, 1), generator=generator)
    return Draws(offset.to(device), flip.to(device), torch.cat([rows, columns], dim=1).to(device))


def crop_and_flip(x: Tensor, draws: Draws, augment: Augment) -> Tensor:
    """Shifted and mirrored copies of `x` (N, C, H, W), same shape and dtype, in channels_last memory."""
    if augment.crop == 0 and not augment.flip:
        return x
    n, channels, height, width = x.shape
    pad = augment.crop
    # Padding and gathering whole pixels needs the channels side by side, which is how Images keeps them.
    pixels = F.pad(x.permute(0, 2, 3, 1), (0, 0, pad, pad, pad, pad))
    along = torch.arange(width, device=x.device)
    columns = torch.where(draws.flip[:, None], width - 1 - along, along) + draws.offset[:, 1:]
    rows = torch.arange(height, device=x.device) + draws.offset[:, :1]
    image = torch.arange(n, device=x.device)[:, None] * (height + 2 * pad)
    flat = ((image + rows) * (width + 2 * pad))[:, :, None] + columns[:, None, :]
    gathered = pixels.reshape(-1, channels).index_select(0, flat.reshape(-1))
    return gathered.view(n, height, width, channels).permute(0, 3, 1, 2)


def cut_out(x: Tensor, draws: Draws, augment: Augment) -> Tensor:
    """Set a square of each normalised image (N, C, H, W) to 0, the mean colour; works in place and returns `x`."""
    if augment.cutout == 0:
        return x
    start = draws.centre - augment.cutout // 2
    rows = torch.arange(x.shape[2], device=x.device) - start[:, :1]
    columns = torch.arange(x.shape[3], device=x.device) - start[:, 1:]
    in_rows = (rows >= 0) & (rows < augment.cutout)
    in_columns = (columns >= 0) & (columns < augment.cutout)
    return x.masked_fill_((in_rows[:, :, None] & in_columns[:, None, :])[:, None], 0)
