"""Scores by their rank, so that a few broken networks do not drown the differences among good ones."""

from __future__ import annotations

import numpy as np
import torch


def normal_ranks(scores: np.ndarray) -> np.ndarray:
    """The normal quantiles of the ranks of scores (N,); equals get the same."""
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    middle = np.cumsum(count) - (count + 1) / 2 + 0.5
    share = torch.from_numpy(middle[place] / len(scores))
    quantiles: np.ndarray = (np.sqrt(2) * torch.erfinv(2 * share - 1)).numpy()
    return quantiles
