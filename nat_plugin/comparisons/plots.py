"""Curves over queries with their bands, as PNG and SVG."""

from __future__ import annotations

import io
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nat_plugin.evaluators.scale import Scale
from nat_plugin.files import write_bytes

MISSING = "no pictures: matplotlib is not installed; pip install matplotlib, then give the same command again"


def available() -> bool:
    return find_spec("matplotlib") is not None


def plot(found: dict[str, Any], folder: Path) -> list[str]:
    """Names of the files written: ``best_so_far``, and ``regret`` where the optimum is known."""
    scale = Scale(**found["scale"])
    note = "" if found["held_out_split"] == "test" else " (shared weights)"
    pictures = {"best_so_far": ("held_out", scale.factor, f"held-out gain in {scale.gains}{note}")}
    if found["optimum"]:
        pictures["regret"] = ("regret", 1, "regret (measured)")
    names = []
    for name, (figure, factor, label) in pictures.items():
        curves = {each: value["curves"][figure] for each, value in found["strategies"].items()}
        for form in ("png", "svg"):
            write_bytes(folder / f"{name}.{form}", _picture(curves, factor, label, found["samples"], form))
            names.append(f"{name}.{form}")
    return names


def _picture(curves: dict[str, Any], scale: float, label: str, samples: str, form: str) -> bytes:
    import matplotlib
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    file = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "nat-plugin"}):  # the same bytes for the same figures
        figure = Figure(figsize=(7, 4.5), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        for name, curve in curves.items():
            mean, low, high = (scale * np.array(curve[part], dtype=float) for part in ("mean", "low", "high"))
            (line,) = axes.step(range(len(mean)), mean, where="post", label=name.lstrip("_") or name)
            if np.isfinite(low).any():
                axes.fill_between(range(len(mean)), low, high, step="post", alpha=0.15, color=line.get_color())
        axes.set(xlabel=f"queries per input (bands: 95 % over {samples})", ylabel=label)
        axes.grid(alpha=0.3)
        axes.legend()
        figure.savefig(file, format=form, dpi=150, metadata={"Date": None} if form == "svg" else {"Software": None})
    return file.getvalue()
