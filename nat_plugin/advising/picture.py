"""A picture of advice: what is saved against what changes, of single moves and of combinations."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nat_plugin.advising.advice import LEAST_CHANGE, Advice, Move
from nat_plugin.errors import NATError
from nat_plugin.files import write_bytes

LABELLED = 24
"""Moves at most that are named, where their names do not cover others."""
_KINDS = {
    "left out": ("v", "tab:orange"),
    "made smaller": ("o", "tab:gray"),
    "another operation in its place": ("s", "tab:blue"),
}


def check_picture(path: Path) -> None:
    """NATError where no picture can be drawn, before anything is measured."""
    if path.suffix != ".svg":
        raise NATError(f"{path}: pictures are written as .svg")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise NATError(f"{path}: cannot be written")


def draw(advice: Advice, path: Path) -> None:
    check_picture(path)
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

    file = io.BytesIO()
    # the same bytes for the same figures
    with matplotlib.rc_context({"svg.hashsalt": "nat-plugin", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(10, 7), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        for kind, (marker, colour) in _KINDS.items():
            moves = [move for move in advice.moves if _kind(move) == kind]
            if moves:
                points = [100 * move.latency for move in moves], [_height(move.effect.change) for move in moves]
                axes.scatter(
                    *points, s=22, marker=marker, color=colour, alpha=0.6, linewidths=0, label=f"{kind}, alone"
                )
        _draw_combinations(axes, advice)
        axes.set(
            yscale="log",
            xlabel="saved, % of the latency (sum of what was measured part by part)",
            ylabel="change of the output, in units of its spread",
            title=f"{advice.model}: {advice.ms:.3g} ms ({advice.setting}), {advice.pictures} pictures",
        )
        for put in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
            put(FuncFormatter(lambda value, _: f"{value:.3g}"))
        axes.grid(alpha=0.3, which="both")
        axes.legend(loc="lower right")
        _name(figure, axes, advice)
        figure.savefig(file, format="svg", metadata={"Date": None})
    write_bytes(path, file.getvalue())


def _kind(move: Move) -> str:
    if move.after in ("null", "skip"):
        return "left out"
    return "another operation in its place" if move.residual is not None else "made smaller"


def _height(change: float) -> float:
    return max(change, LEAST_CHANGE)


def _draw_combinations(axes: Any, advice: Advice) -> None:
    """A line through what was measured or else is expected; bars are of what is, or was, expected."""
    combinations = advice.combinations
    if not combinations:
        return
    x, y = [100 * c.latency for c in combinations], [_height(c.change) for c in combinations]
    axes.plot(x, y, color="tab:green", linewidth=1, zorder=4)
    groups = (
        ("combinations, as expected (95 %)", ".", [c for c in combinations if c.measured is None]),
        ("combinations, measured (bar: as expected)", "*", [c for c in combinations if c.measured is not None]),
    )
    for (label, marker, some), colour in zip(groups, ("tab:green", "tab:red"), strict=True):
        if some:
            places, low, high = zip(*((100 * c.latency, _height(c.low), _height(c.high)) for c in some), strict=True)
            axes.vlines(places, low, high, color=colour, linewidth=1, alpha=0.5)
            axes.scatter(
                places, [_height(c.change) for c in some], color=colour, marker=marker, s=60, label=label, zorder=5
            )
    for number, (at, height) in enumerate(zip(x, y, strict=True), start=1):
        axes.annotate(str(number), (at, height), xytext=(4, -11), textcoords="offset points", color="tab:green")


def _name(figure: Any, axes: Any, advice: Advice) -> None:
    """Labels of moves that nothing beats, and of the best, where there is room."""
    figure.canvas.draw()
    taken: list[Any] = []
    for move in list(_worth_a_name(advice.moves))[:LABELLED]:
        label = axes.annotate(
            f"{move.at} {move.after}", (100 * move.latency, _height(move.effect.change)),
            xytext=(4, 3), textcoords="offset points", fontsize=7,
        )  # fmt: skip
        box = label.get_window_extent()
        if any(box.overlaps(other) for other in taken) or box.x1 > axes.bbox.x1:
            label.remove()
        else:
            taken.append(box)


def _worth_a_name(moves: Sequence[Move]) -> Iterator[Move]:
    beaten = [
        any(each.latency >= move.latency and each.effect.change < move.effect.change for each in moves)
        for move in moves
    ]
    yield from (move for move, is_beaten in zip(moves, beaten, strict=True) if not is_beaten)
    yield from (move for move, is_beaten in zip(moves, beaten, strict=True) if is_beaten)
