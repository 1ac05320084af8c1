"""How far probabilities are to be believed: what was said against what was so, by tenths, and as a picture."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nat_plugin.files import write_bytes

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


def plot(panels: Mapping[str, Mapping[str, Sequence[Mapping[str, float]]]], path: Path) -> None:
    """Panels beside each other, in each a curve for every name, the size of a point by its cases. Needs matplotlib. The
    same bytes for the same figures."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    form, file = path.suffix.lstrip("."), io.BytesIO()
    extra: dict[str, Any] = {"Date": None} if form == "svg" else {"Software": None}
    with matplotlib.rc_context({"svg.hashsalt": "nat-plugin"}):
        figure = Figure(figsize=(5.5 * len(panels), 5), layout="constrained")
        FigureCanvasAgg(figure)
        for axes, (title, curves) in zip(
            figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
        ):
            axes.fill_between([0, 1], [-TOLERANCE, 1 - TOLERANCE], [TOLERANCE, 1 + TOLERANCE], color="grey", alpha=0.2)
            axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
            for name, bins in curves.items():
                known = [each for each in bins if each["cases"] >= LEAST]
                said, true = ([each[what] / each["cases"] for each in known] for what in ("said", "true"))
                (line,) = axes.plot(said, true, label=name)
                axes.scatter(said, true, s=[3 * each["cases"] ** 0.5 for each in known], color=line.get_color())
            axes.set(
                xlim=(0, 1), ylim=(0, 1), title=title, xlabel="said: probability of being better", ylabel="share better"
            )
            axes.grid(alpha=0.3)
            if curves:
                axes.legend(title="left out")
        figure.savefig(file, format=form, dpi=150, metadata=extra)
    write_bytes(path, file.getvalue())
