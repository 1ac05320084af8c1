"""Plots of a report, drawn by matplotlib: the same figures give the same bytes, in the colours of the page."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from nat_plugin.picture.svg import printable
from nat_plugin.reporting.inline import INK, SERIES, inline_plot
from nat_plugin.reporting.page import Picture, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MISSING = "no plots in report.html: matplotlib is not there; pip install matplotlib, then: nat report FOLDER"
LINE = 64
"""Letters of a line of names."""
LIMIT = "limit"
POINTS = 300
"""Of a curve at most: more cannot be told apart."""
_MARKERS, _LINES = "osD^vPX*", ("-", "--", "-.", ":")
_STYLE: Any = {
    "svg.hashsalt": "nat-plugin",  # the same ids in every process
    "svg.fonttype": "none",
    "text.parse_math": False,  # names are text, whatever is in them
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.formatter.use_mathtext": False,
    "axes.formatter.useoffset": False,
    "axes.unicode_minus": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": INK,
    "grid.alpha": 0.15,
    "legend.frameon": False,
    "font.family": "sans-serif",
    "font.size": 11,
}


def available() -> bool:
    return find_spec("matplotlib") is not None


@dataclass(frozen=True)
class Curve:
    """``low`` and ``high``: a band around it."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float | None] = ()
    high: Sequence[float | None] = ()


@dataclass(frozen=True)
class Cloud:
    """Points that may lead somewhere: ``links`` are ids in the page, ``said`` what each point is."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    links: Sequence[str | None] = field(default=())


@dataclass(frozen=True)
class Axis:
    """``limit``: where a line is drawn across, at the most that x may be."""

    x: str
    y: str
    limit: float | None = None


def curves(name: str, caption: str, axis: Axis, drawn: Sequence[Curve], step: bool = False) -> Picture:
    """Lines, each with a pattern of its own; with ``step`` a value holds until the next."""
    with _figure(axis, drawn) as (axes, done):
        for number, curve in enumerate(drawn):
            x, y, low, high = _thinned(curve)
            colour, pattern = SERIES[number % len(SERIES)], _LINES[number // len(SERIES) % len(_LINES)]
            style = "steps-post" if step else "default"
            label = _label(curve.name, 40)
            marker = "o" if len(x) == 1 else None
            axes.plot(x, y, color=colour, linestyle=pattern, drawstyle=style, label=f" {label}", marker=marker)
            if low and all(map(math.isfinite, (*low, *high))):
                axes.fill_between(x, low, high, step="post" if step else None, alpha=0.15, color=colour, linewidth=0)
    ends = "; ".join(f"{shortened(each.name, 60)} ends at {each.y[-1]:.4g}" for each in drawn[:12] if len(each.y))
    return Picture(caption, inline_plot(done(), name), f"{caption}. {axis.y} against {axis.x}: {ends}.")


def clouds(name: str, caption: str, axis: Axis, drawn: Sequence[Cloud]) -> Picture:
    """Points, each group with a mark of its own."""
    with _figure(axis, drawn) as (axes, done):
        for number, cloud in enumerate(drawn):
            mark, colour = _MARKERS[number % len(_MARKERS)], SERIES[number % len(SERIES)]
            points = axes.scatter(
                cloud.x, cloud.y, marker=mark, color=colour, label=f" {_label(cloud.name, 40)}", s=34, alpha=0.8
            )
            points.set_urls([None if link is None else f"#{link}" for link in cloud.links])
    found = [f"{len(each.x):,} {each.name}" for each in drawn]
    said = f"{caption}. {axis.y} against {axis.x}: {', '.join(found)}; the table below has the same figures."
    return Picture(caption, inline_plot(done(), name), said, links=True)


def _label(text: str, most: int = 80) -> str:
    return printable(shortened(text, most)).replace("\n", " ")


class _Done:
    """The SVG of a figure, once it is drawn."""

    svg = ""

    def __call__(self) -> str:
        return self.svg


@contextmanager
def _figure(axis: Axis, drawn: Sequence[Curve | Cloud]) -> Iterator[tuple[Axes, _Done]]:
    """Names stand above, in as many columns as they leave room for, so that none lies on what is drawn. Where x counts
    something, only whole numbers are named."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    done, file = _Done(), io.StringIO()
    names = [each.name for each in drawn] + ([LIMIT] if axis.limit is not None else [])
    counts = all(float(x).is_integer() for each in drawn for x in each.x)
    columns = max(1, LINE // (4 + max((len(_label(name, 40)) for name in names), default=0)))
    legend = -(-len(names) // columns) if len(names) > 1 else 0
    height = 3.6 + 0.2 * legend
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(6, height))
        FigureCanvasSVG(figure)
        axes = figure.add_axes((0.15, 0.55 / height, 0.8, 2.9 / height))
        axes.set_axisbelow(True)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=counts))
        axes.xaxis.set_major_formatter("{x:,.10g}")
        figure.patch.set_visible(False)
        axes.patch.set_visible(False)
        yield axes, done
        if axis.limit is not None:
            axes.axvline(axis.limit, color=INK, linestyle="--", linewidth=1, label=f" {LIMIT}")
        axes.set(xlabel=_label(axis.x), ylabel=_label(axis.y))
        axes.grid(True)
        if legend:
            axes.legend(
                fontsize=9, ncols=columns, loc="lower left", bbox_to_anchor=(-0.12, 1.01), borderpad=0, labelspacing=0.2
            )
        metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(file, format="svg", metadata=metadata)
    done.svg = file.getvalue()


def _thinned(curve: Curve) -> tuple[list[float], list[float], list[float], list[float]]:
    """Every so many points of a long curve, and always its last."""
    step = max(1, math.ceil(len(curve.x) / POINTS))
    keep = sorted({*range(0, len(curve.x), step), len(curve.x) - 1} - {-1})
    low, high = ([_known(each[at]) for at in keep] if each else [] for each in (curve.low, curve.high))
    return [curve.x[at] for at in keep], [curve.y[at] for at in keep], low, high


def _known(value: float | None) -> float:
    return math.nan if value is None else value
