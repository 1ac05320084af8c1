"""A network as both forms of text describe it: blocks one after another, with fixed layers before and after."""

from __future__ import annotations

from dataclasses import dataclass

from nat_ofa.ops import ACTIVATIONS, block_op
from nat_plugin.ir import (
    SKIP,
    Act,
    Cell,
    Conv,
    Edge,
    Head,
    Layer,
    Network,
    NetworkSize,
    Node,
    Norm,
    Op,
    Origin,
    Placement,
    Pool,
    strided,
)

CELL = "network"
KERNELS, EXPANSIONS = (7, 5, 3), (6, 4, 3)
"""What the search spaces choose from."""


@dataclass(frozen=True)
class Block:
    """One block. ``kernel`` None: nothing but the shortcut. ``removable``: the text can leave it out.

    ``ratios``: expansions that the text can say, each with the hidden channels that it makes.
    """

    key: str
    c_in: int
    c_out: int
    stride: int
    kernel: int | None = None
    hidden: int = 0
    squeeze: bool = False
    activation: str = "relu6"
    shortcut: bool = False
    removable: bool = False
    ratios: tuple[tuple[int, int], ...] = ()

    @property
    def op(self) -> Op:
        return SKIP if self.kernel is None else self._op(self.kernel, self.hidden)

    @property
    def choices(self) -> tuple[Op, ...]:
        if self.kernel is None:
            return ()
        hidden = dict.fromkeys([self.hidden, *(channels for _, channels in self.ratios)])
        kernels = dict.fromkeys([self.kernel, *KERNELS])
        found = [self._op(kernel, channels) for kernel in kernels for channels in hidden]
        return (*found, *([SKIP] if self.removable else []))

    def _op(self, kernel: int, hidden: int) -> Op:
        plain = self.c_in == self.c_out and self.stride == 1 and not self.shortcut
        return block_op(kernel, hidden, self.squeeze, ACTIVATIONS[self.activation], not plain)


@dataclass(frozen=True)
class ModelPlan:
    """``stem``: before the blocks; ``wide``: after them, on the map; ``narrow``: after the pooling, before the
    classifier."""

    stem: tuple[Layer, ...]
    blocks: tuple[Block, ...]
    wide: tuple[Layer, ...]
    narrow: tuple[Layer, ...]

    def network(self, network_size: NetworkSize, origin: Origin) -> Network:
        """All blocks are one chain in one cell, so that networks which differ only in where in a stage blocks are left
        out are known to be the same."""
        nodes, edges, level = [], [], 0
        for number, block in enumerate(self.blocks):
            level += block.stride == 2
            nodes.append(Node(level, block.c_out))
            edges.append(Edge(number, number + 1, block.op, block.key, block.choices))
        cell = Cell(1, tuple(nodes), tuple(edges), (len(nodes),))
        placement = Placement(CELL, self.blocks[0].c_in, (0,))
        head = Head(network_size.classes, (*self.wide, *self._pooled(network_size), *self.narrow))
        return Network(((CELL, cell),), (placement,), (self.stem,), head, network_size.input, origin)

    def _pooled(self, network_size: NetworkSize) -> tuple[Layer, ...]:
        """A window that covers the whole map from its first pixel on, where layers follow the pooling."""
        size = max(network_size.input[1:])
        for stride in [layer.stride[0] for layer in self.stem if isinstance(layer, Conv)]:
            size = strided(size, stride)
        for block in self.blocks:
            size = strided(size, block.stride)
        return (Pool("avg", 2 * size - 1, size),) if self.narrow and size > 1 else ()


def conv_layers(conv: Conv, act: str | None, norm: bool = True) -> tuple[Layer, ...]:
    """A ``ConvLayer``: convolution, norm, activation."""
    return (conv, *([Norm(conv.c_out)] if norm else []), *([Act(ACTIVATIONS[act])] if act else []))
