"""The cell spaces of NNI's hub with ``none`` among their ops: where an edge can be nothing at all.

They are used like those of the hub: ``from nat_nni.spaces import DARTSWithNone``. A frozen model computes only what is
alive: operations that lead nowhere are gone, and a node that gets nothing is left out of the output of its cell, so
that what follows is narrower. (An ``NDS`` of NNI itself would carry its zeros along, and compute on them.)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from nni.mutable import SampleValidationError
from nni.nas.hub.pytorch import DARTS, ENAS, PNAS, AmoebaNet, NASNet
from nni.nas.hub.pytorch.nasnet import NDS, AuxiliaryHead, CellPreprocessor, Zero
from nni.nas.nn.pytorch import MutableLinear
from nni.nas.space import current_model, model_context

from nat_nni.spaces.nds import CELL_NAMES, CELLS, INPUTS, PER_NODE, WIDTH, NDSSpace
from nat_plugin import NATError
from nat_plugin.ir import Cell

NONE = "none"


class _WithNone(NDS):  # type: ignore[misc]  # NNI has no types
    """An ``NDS`` that leaves out what is dead when it is frozen."""

    drops_dead: ClassVar[bool] = True
    stock: ClassVar[type[NDS]]
    """The space of the hub without ``none``."""
    ops: ClassVar[tuple[str, ...]]
    merge: ClassVar[str]
    nodes: ClassVar[int]

    def __init__(
        self,
        width: int | tuple[int, ...] = WIDTH,
        num_cells: int | tuple[int, ...] = CELLS,
        dataset: str = "cifar",
        auxiliary_loss: bool = False,
        drop_path_prob: float = 0.0,
    ) -> None:
        """The arguments are those of the hub's spaces."""
        names = [NONE, *self.ops]
        super().__init__(names, self.merge, self.nodes, width, num_cells, dataset, auxiliary_loss, drop_path_prob)
        sample = current_model()
        if sample is not None:
            self._drop_dead(self._described.canonical(sample))

    @property
    def _described(self) -> NDSSpace:
        return NDSSpace(type(self).__name__, (NONE, *self.ops), self.merge == "loose_end", self.nodes, drops_dead=True)

    def check_contains(self, sample: Any) -> Any:
        """Besides what NNI checks: some operation has to lead from an input of each cell to its output."""
        error = super().check_contains(sample)
        if error is None:
            try:
                self._described.canonical(sample)
            except NATError as problem:
                return SampleValidationError(str(problem))
        return error

    def freeze(self, sample: Any) -> Any:
        self.validate(sample)
        with model_context(sample):
            return type(self)(**self.args)

    def _drop_dead(self, cells: dict[str, Cell]) -> None:
        """Put zeros in the place of dead operations, and make what follows as wide as what is left."""
        channels = [self._stem_width] * INPUTS
        for stage, cell, is_reduction, halved, width in self._cells():
            shape = cells[CELL_NAMES[is_reduction]]
            for position, edge in enumerate(shape.edges):
                if edge.op.is_null:
                    stride = 2 if is_reduction and edge.source < INPUTS else 1
                    cell.ops[edge.target - INPUTS][position % PER_NODE] = Zero(stride)
            cell.output_node_indices = list(shape.output)
            cell.preprocessor = CellPreprocessor(*channels, width, halved)
            channels = [channels[1], width * len(shape.output)]
            if self.auxiliary_loss and stage == 2 and is_reduction:
                self.auxiliary_head = AuxiliaryHead(channels[1], self.num_labels, dataset=self.dataset)
        self.classifier = MutableLinear(channels[1], self.num_labels)

    @property
    def _stem_width(self) -> int:
        stem = self.stem0 if self.dataset == "imagenet" else self.stem
        return int(stem[-1].num_features)

    def _cells(self) -> Iterator[tuple[int, Any, bool, bool, int]]:
        """Every cell with its stage, whether it is a reduction, whether its first input is twice as large as the
        second, and the channels of its nodes."""
        halved = self.dataset == "imagenet"
        width = self._stem_width // (1 if self.dataset == "imagenet" else 3)
        for stage, cells in enumerate(self.stages):
            width *= 1 + (stage > 0)
            for number, cell in enumerate(cells):
                is_reduction = stage > 0 and number == 0
                yield stage, cell, is_reduction, halved, width
                halved = is_reduction


class DARTSWithNone(_WithNone):
    """``DARTS`` of the hub, with ``none``."""

    stock, ops, merge, nodes = DARTS, tuple(DARTS.DARTS_OPS), "all", 4


class ENASWithNone(_WithNone):
    """``ENAS`` of the hub, with ``none``."""

    stock, ops, merge, nodes = ENAS, tuple(ENAS.ENAS_OPS), "loose_end", 5


class AmoebaNetWithNone(_WithNone):
    """``AmoebaNet`` of the hub, with ``none``."""

    stock, ops, merge, nodes = AmoebaNet, tuple(AmoebaNet.AMOEBA_OPS), "loose_end", 5


class NASNetWithNone(_WithNone):
    """``NASNet`` of the hub, with ``none``."""

    stock, ops, merge, nodes = NASNet, tuple(NASNet.NASNET_OPS), "loose_end", 5


class PNASWithNone(_WithNone):
    """``PNAS`` of the hub, with ``none``."""

    stock, ops, merge, nodes = PNAS, tuple(PNAS.PNAS_OPS), "all", 5


SPACES: dict[str, type[NDS]] = {
    each.__name__: each for each in (DARTSWithNone, ENASWithNone, AmoebaNetWithNone, NASNetWithNone, PNASWithNone)
}
