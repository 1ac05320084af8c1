"""How far probabilities are to be believed: what was said against what was so, by tenths."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

BINS = 10
TOLERANCE = 0.1
"""How far the share that came true may be from what was said."""
LEAST = 10
"""Cases in a bin that is spoken of."""


def bins_of(said: np.ndarray, true: np.ndarray) -> list[dict[str, float]]:
    """Of probabilities (n,) and what was so (n,): by tenths how many cases, the sum said and the sum true."""
    place = np.minimum((said * BINS).astype(int), BINS - 1)
    return [
        {"cases": int(of.sum()), "said": float(said[of].sum()), "true": float(true[of].sum())}
        for number in range(BINS)
        for of in [place == number]
    ]


def pooled(several: Iterable[Sequence[Mapping[str, float]]]) -> list[dict[str, float]]:
    """The bins of all cases together."""
    whole = [dict.fromkeys(("cases", "said", "true"), 0.0) for _ in range(BINS)]
    for bins in several:
        for into, each in zip(whole, bins, strict=True):
            for name in into:
                into[name] += each[name]
    return whole


def within(bins: Sequence[Mapping[str, float]]) -> tuple[int, int]:
    """Bins in which what was said is within ``TOLERANCE`` of what was so, of those with ``LEAST`` cases."""
    known = [each for each in bins if each["cases"] >= LEAST]
    good = [each for each in known if abs(each["said"] - each["true"]) <= TOLERANCE * each["cases"]]
    return len(good), len(known)


def error(bins: Sequence[Mapping[str, float]]) -> float:
    """By how much what was said and what was so differ in the mean over cases (expected calibration error)."""
    cases = sum(each["cases"] for each in bins)
    return sum(abs(each["said"] - each["true"]) for each in bins) / cases if cases else float("nan")
