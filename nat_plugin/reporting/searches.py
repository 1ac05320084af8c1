"""The section on the search: gain against cost, the best so far, the networks themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from nat_plugin.errors import NATError
from nat_plugin.ir import Network, Op, key
from nat_plugin.picture.svg import search_svg
from nat_plugin.reporting.inline import Names, inline_drawing
from nat_plugin.reporting.journal import Evaluation, MeasuredNetwork, measured
from nat_plugin.reporting.networks import changed_ops, too_large
from nat_plugin.reporting.page import (
    Column,
    PagePart,
    Picture,
    Plots,
    SearchDrawing,
    Table,
    TableCell,
    TableNetwork,
    Text,
    count,
    shortened,
)
from nat_plugin.reporting.plots import Axis, Cloud, Curve, clouds, curves

BEST, OTHERS = 300, 300
"""Networks that are shown at most: the best, and as many of the others, evenly apart in their order."""
GAIN = "measured gain"


@dataclass(frozen=True)
class RunEnds:
    """The input of a run and what it ended with, at the size of the final stage (None: not known from the files), and
    the key of the input at the size of the search, with what it costs there and may cost, as far as that is known."""

    before: Network | None
    after: Network
    own: str | None
    chosen: frozenset[str]
    """Keys of the networks of the final stage."""
    costs: Mapping[str, float] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)

    def network(self, evaluation: Evaluation) -> Network | None:
        """That of a line of the journal, if it differs from the user's input in ops alone."""
        try:
            found = self.after.with_ops([Op.parse(text) for text in evaluation.ops])
            return found if evaluation.source == self.own or key(found) == evaluation.network else None
        except NATError:
            return None


@dataclass(frozen=True)
class _Shown:
    """``network``: None where the files do not say how its cells are joined."""

    number: int
    measured: MeasuredNetwork
    network: Network | None
    own: bool

    @property
    def id(self) -> str:
        return f"network-{self.number}"


def search_blocks(evaluations: tuple[Evaluation, ...], space: RunEnds, names: Names, plots: bool) -> Iterator[PagePart]:
    every = [each for each in measured(evaluations) if each.gain is not None]
    failed = sum(each.gain is None for each in evaluations)
    if not every:
        yield Text("Nothing was measured." if not failed else f"All {failed:,} evaluations failed.")
        return
    ordered = sorted(every, key=lambda each: (each.first.source != space.own, -(each.gain or 0.0)))
    step = max(1, -(-(len(ordered) - BEST) // OTHERS))
    shown = [
        _Shown(number, each, space.network(each.first), each.first.source == space.own)
        for number, each in enumerate(ordered, start=1)
        if number <= BEST or (number - BEST) % step == 0
    ]
    if step > 1:
        yield Text(f"Of the {len(every):,} networks, the best {BEST} and every {step}th of the others are shown here.")
    drawn, changes = _drawing(shown, space)
    if plots:
        pictures = list(_clouds(shown, space, names))
        x, y = best_so_far(evaluations, space.own)
        if x:
            best = [Curve("best", x, y)]
            pictures.append(curves(names.next(), "Best so far", Axis("networks measured", GAIN), best, step=True))
        yield Plots(tuple(pictures))
    yield drawn
    yield _table(shown, changes, len(every), space)


def _drawing(shown: list[_Shown], space: RunEnds) -> tuple[PagePart, list[str | None]]:
    """The drawing of all, and for each what is changed in it."""
    base = space.before or next((each.network for each in shown if each.network is not None), None)
    known = [each.network for each in shown if each.network is not None]
    if base is None:
        return Text("The files of this run do not say how its networks are joined."), [None] * len(shown)
    if too_large(base):
        return Text("A network of this run has too many edges for a drawing."), [None] * len(shown)
    svg, found = search_svg(base, known)
    said = iter(found)
    return SearchDrawing(inline_drawing(svg)), [None if each.network is None else next(said) for each in shown]


def _clouds(shown: list[_Shown], space: RunEnds, names: Names) -> Iterator[Picture]:
    chosen = {each.id for each in shown if each.network is not None and key(each.network) in space.chosen}
    groups = {
        "from the input": [each for each in shown if each.own and each.id not in chosen],
        "from other inputs of the search": [each for each in shown if not each.own],
        "assessed at the end": [each for each in shown if each.id in chosen],
    }
    for metric, label in (("macs", "MACs"), ("params", "parameters")):
        drawn = [
            Cloud(
                name,
                [float(getattr(each.measured.first, metric)) for each in found],
                [each.measured.gain or 0.0 for each in found],
                [each.id for each in found],
            )
            for name, found in groups.items()
            if found
        ]
        if metric in space.costs:
            drawn.append(Cloud("the input", [space.costs[metric]], [0.0], [None]))
        axis = Axis(label, GAIN, space.limits.get(metric))
        yield clouds(names.next(), f"Gain against {label}; a point shows its network", axis, drawn)


def best_so_far(evaluations: tuple[Evaluation, ...], source: str | None) -> tuple[list[float], list[float]]:
    """After how many distinct networks, and the best gain from ``source`` by then."""
    seen: set[str] = set()
    best, x, y = None, list[float](), list[float]()
    for each in evaluations:
        seen.add(each.network)
        if each.source == source and each.gain is not None:
            best = each.gain if best is None else max(best, each.gain)
        if best is not None:
            x.append(float(len(seen)))
            y.append(best)
    return x, y


def _table(shown: list[_Shown], changes: list[str | None], total: int, space: RunEnds) -> Table:
    rows = tuple(
        (
            TableCell(f"network {each.number}", float(each.number), each.id),
            TableCell(f"{each.measured.gain or 0.0:+.4g}", each.measured.gain),
            count(each.measured.first.macs),
            count(each.measured.first.params),
            count(each.measured.times),
            count(each.measured.first.round + 1),
            TableCell("the input" if each.own else "another input"),
            TableCell(_changed(each, space)),
        )
        for each in shown
    )
    columns = ("network", "gain", "MACs", "parameters", "times measured", "first in round", "gain over", "changed")
    left = total - len(shown)
    cut = f"{left:,} more networks are in journal.jsonl." if left else ""
    networks = tuple(TableNetwork(each.id, said) for each, said in zip(shown, changes, strict=True))
    return Table("What was measured, the best first", tuple(map(Column, columns)), rows, cut, networks)


def _changed(each: _Shown, space: RunEnds) -> str:
    if each.network is None or space.before is None:
        return shortened(" ".join(each.measured.first.ops), 300)
    return changed_ops(space.before, each.network, 4)
