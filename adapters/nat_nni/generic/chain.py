"""Cells in a row around measured choices: the network of a space of which only choices, shapes and costs are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from nat_nni.generic.candidates import GroupCandidates, word
from nat_nni.generic.groups import LabelGroup, RepeatStage
from nat_nni.generic.inputs import InputWiring
from nat_nni.generic.measurer import Measurer
from nat_nni.generic.measuring import Recording, Signature, candidates_of, first_shape, signature
from nat_nni.ops import INPUTS
from nat_plugin.ir import (
    MAX_LEVEL,
    NULL,
    SKIP,
    Cell,
    Cost,
    Edge,
    Head,
    Network,
    Node,
    Op,
    Opaque,
    Placement,
    Shape,
    strided,
)

PATH, BYPASS = Op.parse("opaque:path:0:0"), Op.parse("opaque:bypass:0:0")
"""Of the fixed parts between the choices, and around a choice that can be nothing; their cost is in the stem."""


@dataclass(frozen=True)
class ChainCell:
    """One cell to be: its edges in a row, their keys, and for every placement when it is computed and the shapes before
    and after each edge."""

    name: str
    edges: tuple[GroupCandidates, ...]
    keys: tuple[str, ...]
    places: tuple[tuple[int, tuple[Shape, ...]], ...]
    paths: tuple[str, ...]
    """Of its modules."""
    is_stage: bool = False
    wiring: InputWiring | None = None
    """Of an item that is an input choice, which has no candidates."""

    @staticmethod
    def of_wiring(wiring: InputWiring, measurer: Measurer) -> ChainCell:
        places = []
        for spot in wiring.spots:
            call = measurer.recording.calls[spot.path][0]
            shape = _shape(signature(candidates_of(call.args, call.kwargs)))
            places.append((call.order, (shape, shape)))
        paths = tuple(spot.path for spot in wiring.spots)
        return ChainCell(wiring.label, (), (), tuple(places), paths, wiring=wiring)

    @staticmethod
    def of_group(group: LabelGroup, candidates: GroupCandidates, measurer: Measurer) -> ChainCell:
        places = []
        for spot in group.spots:
            call = measurer.recording.calls[spot.path][0]
            places.append((call.order, (_shape(signature(call.args)), _shape(call.output))))
        return ChainCell(
            candidates.name,
            (candidates,),
            ("+".join(group.labels),),
            tuple(places),
            tuple(spot.path for spot in group.spots),
        )

    @staticmethod
    def of_stage(stage: RepeatStage, blocks: Sequence[GroupCandidates], measurer: Measurer) -> ChainCell:
        calls = [measurer.recording.calls[block.spots[0].path][0] for block in stage.blocks]
        shapes = (_shape(signature(calls[0].args)), *(_shape(call.output) for call in calls))
        keys = tuple("+".join(block.labels) or f"{stage.label}[{number}]" for number, block in enumerate(stage.blocks))
        return ChainCell(
            stage.label, tuple(blocks), keys, ((calls[-1].order, shapes),), (stage.spot.path,), is_stage=True
        )

    @property
    def cost(self) -> Cost:
        return sum((each.cost for each in self.edges), Cost())


def build(items: Sequence[ChainCell], model: nn.Module, recording: Recording, image: Shape) -> Network:
    """The network of a model. Where the fixed parts do not pay for a linear classifier it has none: a head of no
    classes."""
    classes, features = _head(model, recording, [path for item in items for path in item.paths])
    chosen, linear = sum((item.cost for item in items), Cost()), features * classes
    params, macs = recording.cost.params - chosen.params, recording.cost.macs - chosen.macs
    if params < linear + classes or macs < linear:
        classes = linear = 0
    cells: dict[str, Cell] = {}
    placements: list[Placement] = []
    shape = image
    places = [(order, number, shapes) for number, item in enumerate(items) for order, shapes in item.places]
    for _, number, shapes in sorted(places):
        item = items[number]
        shape = _lead(shape, shapes[0], cells, placements)
        if item.name not in cells:
            cells[item.name] = _cell(item) if item.wiring is None else _inputs(item.wiring)
        placements.append(Placement(item.name, shapes[-1][0], (len(placements),)))
        scale = 2 ** cells[item.name].nodes[-1].level
        shape = (shapes[-1][0], strided(shape[1], scale), strided(shape[2], scale))
    _lead(shape, (features, *shape[1:]), cells, placements)
    stem = (Opaque("fixed", (params - linear - classes, macs - linear), image[0]),)
    return Network(tuple(cells.items()), tuple(placements), (stem,), Head(classes), image)


def _cell(item: ChainCell) -> Cell:
    """Nodes in a row; those of a stage have channels of their own, since its first block may change them."""
    level, nodes = 0, []
    for number in range(1, len(item.edges) + 1):
        levels = {_level(shapes[0], shapes[number]) for _, shapes in item.places}
        level = max(level, levels.pop() if len(levels) == 1 else 0)
        nodes.append(Node(level, item.places[0][1][number][0] if item.is_stage else None))
    edges = []
    for number, (each, key) in enumerate(zip(item.edges, item.keys, strict=True)):
        choices = each.choices if len(each.choices) > 1 else ()
        edges.append(Edge(number, number + 1, each.now, key, choices))
        if each.bypass:
            keeps = nodes[number].level == 0 and all(shapes[0] == shapes[1] for _, shapes in item.places)
            edges.append(Edge(number, number + 1, SKIP if keeps else BYPASS))
    return Cell(1, tuple(nodes), tuple(edges), (len(nodes),))


def _inputs(wiring: InputWiring) -> Cell:
    """A node for each input, and from there to their sum a skip where it is chosen, null where it is not. What leads to
    the nodes tells the inputs apart."""
    last = wiring.count + 1
    edges = []
    for number in range(wiring.count):
        edges.append(Edge(0, number + 1, Op.parse(f"{INPUTS.name}:{word(wiring.label, ())}:x{number}:0:0")))
        op, choices = SKIP if number in wiring.chosen else NULL, (SKIP, NULL) if wiring.free else ()
        edges.append(Edge(number + 1, last, op, wiring.edge_key(number), choices))
    if wiring.empty:
        edges.append(Edge(0, last, BYPASS))
    return Cell(1, (Node(),) * last, tuple(edges), (last,))


def _lead(now: Shape, wanted: Shape, cells: dict[str, Cell], placements: list[Placement]) -> Shape:
    """Go from one shape to another, by a cell without choices where they differ."""
    level = _level(now, wanted)
    if now[0] == wanted[0] and level == 0:
        return now
    name = f"path/{level}"
    cells.setdefault(name, Cell(1, (Node(level),), (Edge(0, 1, PATH),), (1,)))
    placements.append(Placement(name, wanted[0], (len(placements),)))
    return wanted[0], strided(now[1], 2**level), strided(now[2], 2**level)


def _level(before: Shape, after: Shape) -> int:
    """How often a size is halved on the way, about."""
    level = 0
    while level < MAX_LEVEL and strided(before[1], 2**level) > max(after[1], 1):
        level += 1
    return level


def _shape(found: Signature) -> Shape:
    """Channels, height and width of the first tensor in a signature."""
    shape = first_shape(found) or (1, 1)
    channels = shape[1] if len(shape) > 1 else 1
    height, width = shape[2:4] if len(shape) >= 4 else (1, 1)
    return max(channels, 1), max(height, 1), max(width, 1)


def _head(model: nn.Module, recording: Recording, inside: Sequence[str]) -> tuple[int, int]:
    """Classes, and the features of the linear classifier that gives them: 1 where the model ends otherwise."""
    shape = first_shape(recording.output)
    classes = shape[-1] if shape is not None and len(shape) == 2 else 1
    for path, module in reversed(list(model.named_modules())):
        if isinstance(module, nn.Linear) and module.out_features == classes and module.bias is not None:
            called = len(recording.calls.get(path, ())) == 1
            if called and not any(path == each or path.startswith(f"{each}.") for each in inside):
                return classes, module.in_features
    return classes, 1
