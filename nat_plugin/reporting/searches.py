"""The section on the search: gain against cost, the best so far, the networks themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nat_plugin.errors import NATError
from nat_plugin.ir import Network, Op, key
from nat_plugin.reporting.inline import Names
from nat_plugin.reporting.journal import Evaluation, Measured, measured
from nat_plugin.reporting.networks import changed_ops, drawing
from nat_plugin.reporting.page import Block, Code, Column, Folded, Pair, Table, Text, Value, count, shortened
from nat_plugin.reporting.plots import Axis, Cloud, Curve, clouds, curves

LISTED, DRAWN, POINTS = 150, 24, 900
"""Networks in the table, of these with a drawing, and points in a plot, at most."""
DRAWINGS = 300_000
"""Characters of drawings of networks at most."""
GAIN = "gain as the search measured it"


@dataclass(frozen=True)
class Space:
    """The input of a run and what it ended with, at the size of the final stage (None: not known from the files), and
    the key of the input at the size of the search."""

    before: Network | None
    after: Network
    own: str | None
    chosen: frozenset[str]
    """Keys of the networks of the final stage."""

    def network(self, evaluation: Evaluation) -> Network | None:
        """That of a line of the journal, if it differs from the user's input in ops alone."""
        try:
            found = self.after.with_ops([Op.parse(text) for text in evaluation.ops])
            return found if evaluation.source == self.own or key(found) == evaluation.network else None
        except NATError:
            return None


@dataclass(frozen=True)
class _Listed:
    number: int
    measured: Measured
    network: Network | None
    own: bool

    @property
    def id(self) -> str:
        return f"network-{self.number}"


def search_blocks(evaluations: tuple[Evaluation, ...], space: Space, names: Names, plots: bool) -> Iterator[Block]:
    every = [each for each in measured(evaluations) if each.gain is not None]
    failed = sum(each.gain is None for each in evaluations)
    if not every:
        yield Text("Nothing was measured." if not failed else f"All {failed:,} evaluations failed.")
        return
    ordered = sorted(every, key=lambda each: (each.first.source != space.own, -(each.gain or 0.0)))
    listed = [
        _Listed(number, each, space.network(each.first), each.first.source == space.own)
        for number, each in enumerate(ordered[:LISTED], start=1)
    ]
    if plots:
        rest = ordered[LISTED:]
        step = max(1, -(-len(rest) // (POINTS - LISTED)))
        yield from _clouds(listed, rest[::step], space, names)
        if step > 1:
            yield Text(f"Of the {len(rest):,} networks that are not in the table, every {step}th is drawn.")
        x, y = best_so_far(evaluations, space.own)
        if x:
            drawn = [Curve("best", x, y)]
            yield curves(names.next(), "Best so far", Axis("distinct networks measured", GAIN), drawn, step=True)
    yield _table(listed, len(every), space)
    yield from _details(listed, space)


def _clouds(listed: list[_Listed], rest: list[Measured], space: Space, names: Names) -> Iterator[Block]:
    def cloud(name: str, metric: str, found: list[tuple[Measured, str | None]]) -> Cloud:
        return Cloud(
            name,
            [float(getattr(each.first, metric)) for each, _ in found],
            [each.gain or 0.0 for each, _ in found],
            [link for _, link in found],
        )

    points: list[tuple[Measured, str | None]] = [(each.measured, each.id) for each in listed]
    points += [(each, None) for each in rest]
    chosen = {each.id for each in listed if each.network is not None and key(each.network) in space.chosen}
    groups = {
        "from the input": [each for each in points if each[0].first.source == space.own and each[1] not in chosen],
        "from other inputs of the search": [each for each in points if each[0].first.source != space.own],
        "assessed at the end": [each for each in points if each[1] in chosen],
    }
    pictures = []
    for metric, label in (("macs", "MACs"), ("params", "parameters")):
        drawn = [cloud(name, metric, found) for name, found in groups.items() if found]
        caption = f"Gain against {label} of all that was measured; a point leads to its network"
        pictures.append(clouds(names.next(), caption, Axis(label, GAIN), drawn))
    yield Pair((pictures[0],), (pictures[1],))


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


def _table(listed: list[_Listed], total: int, space: Space) -> Table:
    rows = tuple(
        (
            Value(f"network {each.number}", float(each.number), each.id),
            Value(f"{each.measured.gain or 0.0:+.4g}", each.measured.gain),
            count(each.measured.first.macs),
            count(each.measured.first.params),
            count(each.measured.times),
            count(each.measured.first.round + 1),
            Value("the input" if each.own else "another input"),
            Value(_changed(each, space)),
        )
        for each in listed
    )
    columns = ("network", "gain", "MACs", "parameters", "times measured", "first in round", "gain over", "changed")
    left = total - len(listed)
    cut = f"{left:,} more networks are in journal.jsonl." if left else ""
    return Table("What was measured, the best first", tuple(map(Column, columns)), rows, cut)


def _changed(each: _Listed, space: Space) -> str:
    if each.network is None or space.before is None:
        return "see its operations"
    return changed_ops(space.before, each.network, 4)


def _details(listed: list[_Listed], space: Space) -> Iterator[Block]:
    room = DRAWINGS
    for each in listed:
        said = f"network {each.number}: gain {each.measured.gain or 0.0:+.4g}, {each.measured.first.macs:,} MACs"
        blocks: list[Block] = []
        if each.network is not None:
            if space.before is not None:
                blocks.append(Text(f"Changed against the input: {changed_ops(space.before, each.network)}."))
            if each.number <= DRAWN and room > 0:
                picture = drawing(each.network, space.before, f"Drawing of network {each.number}")
                room -= 0 if isinstance(picture, Text) else len(picture.svg)
                blocks += [picture] if room >= 0 else []
        ops = shortened(" ".join(each.measured.first.ops), 1000)
        yield Folded(said, (*blocks, Code("Its operations, slot by slot", ops)), each.id)
