"""Points as an SVG: panels of curves, of clouds, or of rows one under the other."""

from __future__ import annotations

import hashlib
import io
import json
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

Point: TypeAlias = list[Any]
Points: TypeAlias = dict[str, dict[str, list[Point]]]
"""By panel and series: x (of rows their name), the value, and where there is an interval low and high."""
Kind: TypeAlias = Literal["curves", "cloud", "rows"]
MARKERS = "osD^vP*X<>" * 2


@dataclass(frozen=True)
class Figure:
    """``x`` and ``y`` are the labels of the axes; of rows ``x`` alone, which has the values."""

    points: Callable[[], Points]
    x: str
    y: str = ""
    kind: Kind = "curves"
    powers: bool = False
    diagonal: bool = False


def digest(points: Points) -> str:
    """Of what a figure shows, rounded to what can be seen."""
    rounded = json.dumps(points, sort_keys=True, default=float).encode()
    return hashlib.sha256(re.sub(rb"(\.\d{4})\d+", rb"\1", rounded)).hexdigest()


def svg(figure: Figure) -> str:
    """The same bytes for the same points and version of matplotlib."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    panels = figure.points()
    columns = min(2, len(panels))
    lines = -(-len(panels) // columns)
    canvas = Canvas(figsize=_size(figure, panels, columns, lines), layout="constrained")
    FigureCanvasAgg(canvas)
    shared = figure.kind == "rows" and len({tuple(_names(series)) for series in panels.values()}) == 1
    axes = canvas.subplots(lines, columns, squeeze=False, sharey=shared).flatten()
    for extra in axes[len(panels) :]:
        extra.set_visible(False)
    for panel, (title, series) in zip(axes, panels.items(), strict=False):
        _rows(panel, series) if figure.kind == "rows" else _curves(panel, series, line=figure.kind == "curves")
        panel.set_title(title, fontsize=10)
        panel.grid(alpha=0.3)
        panel.set(xlabel=figure.x, ylabel=figure.y)
        if figure.diagonal:
            panel.axline((0, 0), slope=1, color="grey", linewidth=1)
        if figure.powers:
            _in_powers(panel, series, named=figure.kind != "rows")
    _legend(canvas, axes[0], figure, panels)
    file = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "nat-plugin", "svg.fonttype": "none"}):
        canvas.savefig(file, format="svg", metadata={"Date": None, "Description": f"points {digest(panels)}"})
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"


def _size(figure: Figure, panels: Points, columns: int, lines: int) -> tuple[float, float]:
    if figure.kind == "rows":
        most = max(len(_names(series)) * (0.22 + 0.06 * len(series)) for series in panels.values())
        return 3.4 + 2.8 * columns, (most + 1.0) * lines + 0.5
    return 4.2 * columns + 0.8 * (columns == 1) + 1.6 * (figure.kind == "cloud"), 3.4 * lines


def _legend(canvas: Any, first: Any, figure: Figure, panels: Points) -> None:
    if figure.kind == "curves":
        first.legend(fontsize=8)
        return
    names = list(dict.fromkeys(name for series in panels.values() for name in series))
    if figure.kind == "cloud":  # beside the points, which may lie anywhere
        canvas.legend(fontsize=8, loc="outside right upper")
    elif len(names) > 1:
        handles, labels = first.get_legend_handles_labels()
        canvas.legend(handles, labels, fontsize=8, loc="outside upper center", ncols=min(3, len(names)))


def _names(series: Mapping[str, Sequence[Point]]) -> list[str]:
    """Of the rows, in the order in which the series with most of them has them."""
    fullest_first = sorted(series.values(), key=len, reverse=True)
    return list(dict.fromkeys(str(point[0]) for points in fullest_first for point in points))


def _rows(axes: Any, series: Mapping[str, Sequence[Point]]) -> None:
    names = _names(series)
    step = 0.7 / len(series)
    for number, ((name, points), marker) in enumerate(zip(series.items(), MARKERS, strict=False)):
        y = [names.index(str(point[0])) + (number - (len(series) - 1) / 2) * step for point in points]
        x = [point[1] for point in points]
        (drawn,) = axes.plot(x, y, label=name, marker=marker, markersize=5, linestyle="none")
        intervals = [(at, point) for at, point in zip(y, points, strict=True) if len(point) == 4]
        axes.hlines(
            [at for at, _ in intervals],
            [point[2] for _, point in intervals],
            [point[3] for _, point in intervals],
            color=drawn.get_color(),
            alpha=0.5,
        )
    if any(point[1] < 0 for points in series.values() for point in points):
        axes.axvline(0, color="grey", linewidth=1)
    axes.set_yticks(range(len(names)), [textwrap.fill(name, 36) for name in names], fontsize=8)
    axes.set_ylim(len(names) - 0.5, -0.5)


def _curves(axes: Any, series: Mapping[str, Sequence[Point]], line: bool) -> None:
    for (name, points), marker in zip(series.items(), MARKERS, strict=False):
        x, y = [point[0] for point in points], [point[1] for point in points]
        style = "-" if line else "none"
        (drawn,) = axes.plot(x, y, label=name, marker=marker, markersize=5, linewidth=1.5, linestyle=style)
        if points and len(points[0]) == 4:
            low, high = [point[2] for point in points], [point[3] for point in points]
            axes.errorbar(
                x, y, [np.subtract(y, low), np.subtract(high, y)], fmt="none", color=drawn.get_color(), alpha=0.4
            )


FEW_POWERS = 10**4
"""An axis over less than that has two ticks for each power of ten."""


def _in_powers(axes: Any, series: Mapping[str, Sequence[Point]], named: bool) -> None:
    """``named``: the values of x are the ticks."""
    from matplotlib.ticker import LogLocator

    axes.set_xscale("log")
    axes.set_xticks([], minor=True)
    if named:
        at = sorted({point[0] for points in series.values() for point in points})
        axes.set_xticks(at, [f"{tick:g}" for tick in at])
    else:
        low, high = axes.get_xlim()
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)) if high < FEW_POWERS * low else LogLocator(numticks=6))
        axes.xaxis.set_major_formatter("{x:g}")
