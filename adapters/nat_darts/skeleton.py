"""The networks in which the authors of DARTS train their cells."""

from __future__ import annotations

from nat_plugin.ir import LARGE_INPUT, Cell, Network, NetworkSize, Origin, cell_stack

CELL_NAMES = ("normal", "reduce")
"""In the order of their level: the nodes of the reduction cell lie one halving below its inputs."""
CIFAR, IMAGENET = (36, 20), (48, 14)
"""Channels and cells: ``cnn/train.py`` and ``cnn/train_imagenet.py`` of quark0/darts."""


def around(normal: Cell, reduce: Cell, size: NetworkSize, origin: Origin) -> Network:
    """The network for CIFAR-10, or for images from 128 pixels on that for ImageNet, unless ``size`` says otherwise."""
    channels, cells = size.filled(*(IMAGENET if size.input[1] >= LARGE_INPUT else CIFAR))
    return cell_stack(normal, reduce, size, channels, cells, origin)
