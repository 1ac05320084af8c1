"""Networks of the cell IR as torch modules: one that is fixed, and one that shares weights between many."""

from nat_plugin.nets.counting import MACCounter, count
from nat_plugin.nets.fixed import CellNetwork, build
from nat_plugin.nets.layers import build_layer
from nat_plugin.nets.ops import build_op
from nat_plugin.nets.paths import OpPath, move_paths, wiring_paths
from nat_plugin.nets.sharing import SharedWeights
from nat_plugin.nets.supernet import Supernet

__all__ = [
    "CellNetwork",
    "MACCounter",
    "OpPath",
    "SharedWeights",
    "Supernet",
    "build",
    "build_layer",
    "build_op",
    "count",
    "move_paths",
    "wiring_paths",
]
