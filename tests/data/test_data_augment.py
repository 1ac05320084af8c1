"""Augmentation: what comes out is a shifted window of what went in, and nothing else."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from nat_plugin.data import Augment
from nat_plugin.data.augment import Draws, crop_and_flip, cut_out, draw

SIZE = (6, 9)


def numbered(n: int, device: torch.device, channels: int = 3) -> torch.Tensor:
    """Images in which every pixel has a value of its own, never 0; the channels differ too."""
    pixels = torch.arange(1, 1 + SIZE[0] * SIZE[1], dtype=torch.uint8).view(1, 1, *SIZE)
    shift = torch.arange(channels, dtype=torch.uint8).view(1, channels, 1, 1) * 60
    return (pixels + shift).expand(n, -1, -1, -1).contiguous(memory_format=torch.channels_last).to(device)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("augment", [Augment(crop=2), Augment(crop=0), Augment(crop=4, flip=False)])
def test_is_the_window_that_was_drawn(
    device: torch.device, generator: torch.Generator, augment: Augment, channels: int
) -> None:
    x = numbered(64, device, channels)
    draws = draw(augment, 64, SIZE, generator, device)
    result = crop_and_flip(x, draws, augment)
    padded = F.pad(x, [augment.crop] * 4)
    for image, (top, left), flip, source in zip(
        result, draws.offset.tolist(), draws.flip.tolist(), padded, strict=True
    ):
        window = source[:, top : top + SIZE[0], left : left + SIZE[1]]
        assert torch.equal(image, window.flip(-1) if flip else window)
    assert result.is_contiguous(memory_format=torch.channels_last)


def test_offsets_and_flips_are_spread_evenly(device: torch.device, generator: torch.Generator) -> None:
    draws = draw(Augment(crop=2), 10_000, SIZE, generator, device)
    for axis in (0, 1):
        assert torch.bincount(draws.offset[:, axis], minlength=5).min() > 1800
    assert 4700 < int(draws.flip.sum()) < 5300


def test_never_flips_unless_asked(device: torch.device, generator: torch.Generator) -> None:
    assert not draw(Augment(flip=False), 1000, SIZE, generator, device).flip.any()


def test_nothing_to_do_leaves_images_alone(device: torch.device, generator: torch.Generator) -> None:
    off = Augment(crop=0, flip=False, cutout=0)
    x = numbered(4, device)
    draws = draw(off, 4, SIZE, generator, device)
    assert crop_and_flip(x, draws, off) is x
    assert torch.equal(cut_out(x.float(), draws, off), x.float())


def test_a_step_switched_off_leaves_the_draws_of_the_others(device: torch.device) -> None:
    with_flip = draw(Augment(), 50, SIZE, torch.Generator().manual_seed(3), device)
    without = draw(Augment(flip=False), 50, SIZE, torch.Generator().manual_seed(3), device)
    assert torch.equal(with_flip.offset, without.offset)
    assert torch.equal(with_flip.centre, without.centre)


@pytest.mark.parametrize("side", [1, 2, 3, 4])
def test_cutout_is_a_square_around_its_centre(device: torch.device, side: int) -> None:
    centres = torch.tensor([(row, column) for row in range(SIZE[0]) for column in range(SIZE[1])])
    n = len(centres)
    offset, flip = torch.zeros(n, 2, dtype=torch.long), torch.zeros(n, dtype=torch.bool)
    draws = Draws(offset.to(device), flip.to(device), centres.to(device))
    x = cut_out(torch.ones(n, 3, *SIZE, device=device), draws, Augment(cutout=side))
    for image, (row, column) in zip(x, centres.tolist(), strict=True):
        expected = torch.ones(SIZE)
        top, left = row - side // 2, column - side // 2
        expected[max(top, 0) : top + side, max(left, 0) : left + side] = 0
        assert torch.equal(image.cpu(), expected.expand(3, -1, -1))
