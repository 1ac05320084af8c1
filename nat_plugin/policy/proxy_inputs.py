"""What a critic is told of a network by training-free proxies: how each of them stands among networks of its kind, in
units that mean the same in every search space."""

from __future__ import annotations

import numpy as np
import torch

Tensor = torch.Tensor

MOST = 3.0
"""Deviations beyond which a proxy says no more: some fall without end where a network is broken."""
ROUNDING = 1e-6
"""What moves less, relative to its size, does not move."""
SHARES = (0.0, 0.5, 1.0, 1.0)
"""Of the networks of a batch that a critic in training is told of, one as likely as the other."""
_NORMAL = 1.2533
"""A standard deviation in mean absolute deviations, of normal numbers."""


def in_units(values: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Proxies (N, names) as deviations from the middle of references (R, names), which are networks of the same kind:
    those of a table, or what an input may become. A row with a number that is not finite is NaN: as good as none."""
    known = references[np.isfinite(references).all(axis=1)]
    if not len(known):
        return np.full(values.shape, np.nan)
    middle = np.median(known, axis=0)
    spread = _NORMAL * np.abs(known - middle).mean(axis=0)
    moves = spread > ROUNDING * (1 + np.abs(middle))
    found = np.where(moves, (values - middle) / np.where(moves, spread, 1.0), 0.0)
    found = np.clip(found, -MOST, MOST)
    found[~np.isfinite(values).all(axis=1)] = np.nan
    return found


def told(proxies: Tensor) -> tuple[Tensor, Tensor]:
    """Whether the proxies (G, names) of each network are known, (G, 1), and themselves, 0 where they are not."""
    known = proxies.isfinite().all(1, keepdim=True)
    return known.to(proxies.dtype), torch.where(known, proxies, 0.0)


def dropped(proxies: np.ndarray | None, some: np.ndarray, width: int, rng: np.random.Generator) -> Tensor:
    """Of some networks of a task those that a critic in training is told of, (len(some), width): of all of them, or of
    some, or of none, as it is asked with them and without."""
    kept = rng.random(len(some)) < rng.choice(SHARES)
    known = np.full((len(some), width), np.nan) if proxies is None else np.where(kept[:, None], proxies[some], np.nan)
    return torch.from_numpy(known.astype(np.float32))
