"""A trained network of cells as a supernet of its own moves: other ops get weights from those that stand there."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from nat_plugin.ir import Network, Op, Site, Slot
from nat_plugin.ir.costs import slot_sites
from nat_plugin.ir.layers import Conv, FactorizedReduce, Layer, Norm, Opaque, SqueezeExcite
from nat_plugin.nets import Supernet
from nat_plugin.nets.fixed import CellNetwork, FixedCell
from nat_plugin.nets.paths import OpPath, occurrences
from nat_plugin.nets.shared import Projection, SharedCell, module_key
from nat_plugin.nets.steps import cell_steps

_WEIGHTED = (Conv, FactorizedReduce, SqueezeExcite, Opaque)


def inherits(own: Op, op: Op, sites: Sequence[Site]) -> bool:
    """Whether an op needs no weights, or may have those of the op that it replaces: the same layers with windows no
    larger, whose centres stay."""
    return all(_inherits(own.layers(site) if not own.is_null else (), op.layers(site)) for site in sites)


def _inherits(own: Sequence[Layer], layers: Sequence[Layer]) -> bool:
    if not any(isinstance(layer, _WEIGHTED) for layer in layers):
        return True
    return len(own) == len(layers) and all(_is_part(layer, before) for before, layer in zip(own, layers, strict=True))


def _is_part(layer: Layer, before: Layer) -> bool:
    if not isinstance(layer, Conv) or not isinstance(before, Conv):
        return layer == before
    alike = (layer.c_in, layer.c_out, layer.stride, layer.groups, layer.bias)
    windows = zip(layer.kernel, before.kernel, strict=True)
    return alike == (before.c_in, before.c_out, before.stride, before.groups, before.bias) and all(
        k <= its and (its - k) % 2 == 0 for k, its in windows
    )


@torch.no_grad()
def supernet_of(trained: CellNetwork, network: Network, ops: Mapping[Slot, Sequence[Op]]) -> Supernet:
    """``trained`` is of ``network``. ``ops``: what may stand in each slot, each of which ``inherits``. In the supernet
    norms use the statistics of the batch; without a move it computes what ``trained`` does with such norms."""
    trained = copy.deepcopy(trained).eval()
    for module in trained.modules():
        if isinstance(module, _BatchNorm):
            module.track_running_stats, module.running_mean, module.running_var = False, None, None
    made = Supernet(network, _paths(network, ops))
    made.stem, made.features = trained.stem, trained.features
    sites = slot_sites(network)
    for place, (shared, fixed) in enumerate(zip(made.cells, trained.cells, strict=True)):
        assert isinstance(shared, SharedCell)
        assert isinstance(fixed, FixedCell)
        _take_over(made, network, trained.network, place, shared, fixed)
        ordinal = sum(each.cell == network.placements[place].cell for each in network.placements[:place])
        for slot, others in ops.items():
            if slot.cell == network.placements[place].cell:
                _inherit(network, slot, others, shared, sites[slot][ordinal])
    columns = made.columns(trained.network, len(network.stem) + len(network.placements) - 1)
    made.classifier.bias.copy_(trained.classifier.bias)
    _copy_columns(made.classifier.weight, trained.classifier.weight, columns)
    return made.eval()


def _paths(network: Network, ops: Mapping[Slot, Sequence[Op]]) -> dict[str, frozenset[OpPath]]:
    found: dict[str, set[OpPath]] = {name: set() for name, _ in network.cells}
    for slot, others in ops.items():
        edge, number = network.edge(slot), occurrences(network.by_name[slot.cell])[slot.index]
        found[slot.cell] |= {
            OpPath(edge.source, edge.target, number, op) for op in (edge.op, *others) if not op.is_null
        }
    return {name: frozenset(paths) for name, paths in found.items()}


def _take_over(
    made: Supernet, network: Network, canonical: Network, place: int, shared: SharedCell, fixed: FixedCell
) -> None:
    """The modules of a placement, which ``fixed`` has in the order of its steps."""
    cell, sources = canonical.by_name[network.placements[place].cell], network.placements[place].sources
    order = occurrences(cell)
    program = cell_steps(
        cell,
        lambda number: ("projection", number),
        lambda index, _: ("op", index),
        lambda number: ("norm", number),
        range(cell.inputs),
    )
    for (_, (kind, number)), part in zip(program, fixed.parts, strict=True):
        if kind == "op":
            edge = cell.edges[number]
            shared.ops[module_key(OpPath(edge.source, edge.target, order[number], edge.op))] = part
        elif kind == "norm":
            shared.norms[str(number)] = part
        else:
            projection = shared.projections[number]
            assert isinstance(projection, Projection)
            columns = made.columns(canonical, sources[number])
            for mine, its in zip(projection.parameters(), part.parameters(), strict=True):
                _copy_columns(mine, its, columns if its.dim() == 4 else None)


def _copy_columns(mine: Tensor, its: Tensor, columns: Tensor | None) -> None:
    """Into the columns that a trained network has; what only others have gets zeros."""
    if columns is None:
        mine.copy_(its)
    else:
        mine.zero_()
        mine[:, columns] = its


def _inherit(network: Network, slot: Slot, others: Sequence[Op], shared: SharedCell, site: Site) -> None:
    edge, number = network.edge(slot), occurrences(network.by_name[slot.cell])[slot.index]
    own = module_key(OpPath(edge.source, edge.target, number, edge.op))
    for op in others:
        if op.is_null or not any(isinstance(layer, (*_WEIGHTED, Norm)) for layer in op.layers(site)):
            continue
        module = shared.ops[module_key(OpPath(edge.source, edge.target, number, op))]
        if own in shared.ops and _inherits_all(edge.op, op, site):
            for mine, its in zip(module.parameters(), shared.ops[own].parameters(), strict=True):
                mine.copy_(_centre(its, mine.shape))


def _inherits_all(own: Op, op: Op, site: Site) -> bool:
    before, layers = own.layers(site), op.layers(site)
    return [type(each) for each in before] == [type(each) for each in layers] and _inherits(before, layers)


def _centre(value: Tensor, shape: torch.Size) -> Tensor:
    """Of windows the middle."""
    if value.shape == shape:
        return value
    down, right = ((its - mine) // 2 for its, mine in zip(value.shape[2:], shape[2:], strict=True))
    return value[:, :, down : down + shape[2], right : right + shape[3]]
