"""A trained network of cells as a supernet of its own moves: other ops get weights from those that stand there."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from nat_plugin.advising.places import module_at, places_of
from nat_plugin.advising.starting import begin
from nat_plugin.ir import Network, Op, Slot
from nat_plugin.nets import Supernet
from nat_plugin.nets.fixed import CellNetwork, FixedCell
from nat_plugin.nets.paths import OpPath, occurrences, path_of
from nat_plugin.nets.shared import Projection, SharedCell, module_key
from nat_plugin.nets.steps import cell_steps


@torch.no_grad()
def supernet_of(trained: CellNetwork, network: Network, ops: Mapping[Slot, Sequence[Op]]) -> Supernet:
    """``trained`` is of ``network``. ``ops``: what may stand in each slot, with what it can inherit. In the supernet
    norms use the statistics of the batch; without a move it computes what ``trained`` does with such norms."""
    trained = copy.deepcopy(trained).eval()
    for module in trained.modules():
        if isinstance(module, _BatchNorm):
            module.track_running_stats, module.running_mean, module.running_var = False, None, None
    made = Supernet(network, _paths(network, ops)).to(trained.classifier.weight.device)
    made.stem, made.features = trained.stem, trained.features
    for number, (shared, fixed) in enumerate(zip(made.cells, trained.cells, strict=True)):
        assert isinstance(shared, SharedCell)
        assert isinstance(fixed, FixedCell)
        _take_over(made, network, trained.network, number, shared, fixed)
    for slot, others in ops.items():
        own = network.edge(slot).op
        for place in places_of(network, slot):
            for op in others:
                mine = module_at(made, network, place, op)
                if mine is not None:
                    begin(own, op, place.site, module_at(made, network, place, own), mine)
    columns = made.columns(trained.network, len(network.stem) + len(network.placements) - 1)
    made.classifier.bias.copy_(trained.classifier.bias)
    _copy_columns(made.classifier.weight, trained.classifier.weight, columns)
    return made.eval()


def _paths(network: Network, ops: Mapping[Slot, Sequence[Op]]) -> dict[str, frozenset[OpPath]]:
    found: dict[str, set[OpPath]] = {name: set() for name, _ in network.cells}
    for slot, others in ops.items():
        present = (network.edge(slot).op, *others)
        found[slot.cell] |= {path_of(network, slot, op) for op in present if not op.is_null}
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
            for parameter, trained in zip(projection.parameters(), part.parameters(), strict=True):
                _copy_columns(parameter, trained, columns if trained.dim() == 4 else None)


def _copy_columns(parameter: Tensor, trained: Tensor, columns: Tensor | None) -> None:
    """Into the columns that a trained network has; what only others have gets zeros."""
    if columns is None:
        parameter.copy_(trained)
    else:
        parameter.zero_()
        parameter[:, columns] = trained
