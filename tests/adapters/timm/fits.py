"""Networks with operations in the place of blocks, for tests of fits and of merging."""

from __future__ import annotations

from nat_plugin.ir import NULL, Network, Op, Slot
from nat_plugin.ir.budget import Additive

SIZE = 32
SMALL = "mobilenetv2_035"


def put(network: Network, *chosen: str) -> Network:
    """Blocks and what begins the names of the choices in their places, in turns."""
    ops = list(network.ops)
    for cell, name in zip(chosen[::2], chosen[1::2], strict=True):
        index = next(at for at, slot in enumerate(network.slots) if slot.cell == cell)
        choices = network.edge(network.slots[index]).choices
        ops[index] = NULL if name == "null" else next(op for op in choices if name_of(op).startswith(name))
    return network.with_ops(ops)


def name_of(op: Op) -> str:
    return str(op.values.get("name", ""))


class Layers(Additive):
    """A latency by which a block takes three times what an operation in its place does."""

    fixed = 10.0

    def of(self, slot: Slot, op: Op) -> float:
        del slot
        return 0.0 if op.is_null else 1.0 if name_of(op).startswith(("fit_", "merged-")) else 3.0
