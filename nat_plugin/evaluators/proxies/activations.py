"""Statistics of what a network computes: how its activations tell images apart, and how many directions its features
take."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

from nat_plugin.training.seeds import generator

MOST_CHANNELS = 256
"""Of a map whose spectrum is looked at; wider ones are thinned out evenly."""
EXACT = 2**53
"""Whole numbers up to it are exact in double precision."""


class Patterns:
    """Which activations are on for which images, over several batches of the same size. ``see`` gets the inputs of the
    activations of a batch in turn, ``begin`` begins the next one. ``count``: whether ``distinct`` is wanted, the slower
    of the two."""

    def __init__(self, batches: int, size: int, count: bool = True) -> None:
        top = EXACT // (batches * size)
        self._numbers = torch.randint(top, (batches, size), generator=generator(0, "patterns")).double()
        self._count = count
        self._kernels: list[list[Tensor]] = []
        self._codes: list[list[Tensor]] = []

    def begin(self) -> None:
        self._kernels.append([])
        self._codes.append([])

    def see(self, x: Tensor) -> None:
        """The input (N, ...) of an activation."""
        on = (x.detach() > 0).flatten(1).to(torch.float32)
        each = on.sum(1)
        self._kernels[-1].append(2 * on @ on.T - each - each[:, None] + on.shape[1])
        if not self._count:
            return
        # A sum of random numbers, one for each image, stands for the images for which an activation is on.
        self._numbers = self._numbers.to(on.device)
        self._codes[-1].append(self._numbers[len(self._codes) - 1] @ on.double())

    def kernel_volume(self) -> Tensor:
        """NASWOT (Mellor et al. 2021): the logarithm of the determinant of how alike images switch the activations;
        the mean over the batches."""
        if not self._kernels[0]:
            return torch.zeros(())
        kernels = torch.stack([torch.stack(each).sum(0) for each in self._kernels]).double()
        alike = torch.eye(kernels.shape[1], dtype=torch.float64, device=kernels.device)  # where all switch alike
        volume: Tensor = torch.linalg.slogdet(kernels + alike)[1].mean()
        return volume

    def distinct(self) -> Tensor:
        """SWAP (Peng et al. 2024): the logarithm of how many different patterns activations have over all images."""
        if not self._codes[0]:
            return torch.zeros(())
        codes = torch.stack([torch.cat(each) for each in self._codes]).sum(0).sort().values
        return torch.log1p((codes[1:] != codes[:-1]).sum().double())


def entropies(maps: Sequence[Tensor]) -> Tensor:
    """Of each map (N, C, H, W) the entropy of the spectrum of its channels (maps,), as in AZ-NAS (Lee and Ham 2024):
    the logarithm of how many directions the features take."""
    by_size: dict[int, list[tuple[int, Tensor]]] = defaultdict(list)
    for number, features in enumerate(maps):
        thinned = features.detach()[:, :: -(-features.shape[1] // MOST_CHANNELS)]
        rows = thinned.permute(0, 2, 3, 1).flatten(0, 2).float()
        rows = rows - rows.mean(0)
        by_size[rows.shape[1]].append((number, rows.T @ rows / len(rows)))
    found: dict[int, Tensor] = {}
    for pairs in by_size.values():  # one call for all maps of a size
        covariances = torch.stack([each for _, each in pairs]).double()
        finite = covariances.isfinite().flatten(1).all(1)
        spectra = torch.linalg.eigvalsh(torch.nan_to_num(covariances)).clamp(min=0)
        shares = spectra / spectra.sum(1, keepdim=True).clamp(min=1e-30)
        entropy = torch.where(finite, torch.special.entr(shares).sum(1), torch.nan)
        found.update(zip((number for number, _ in pairs), entropy.unbind(), strict=True))
    return torch.stack([found[number] for number in range(len(maps))])
