"""The names of operations in the DARTS family, and what each dialect of it can say.

Sources: quark0/darts ``cnn/operations.py`` and ``cnn/genotypes.py`` (stock), guoyongcs/NATv2 ``operations.py`` (nat),
xiaomi-automl/FairDARTS ``fairdarts/operations.py``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from nat_plugin.ir import NULL, SKIP, Op

NULLS = ("none", "null")
_CORE = ("max_pool_3x3", "avg_pool_3x3", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5")
_WIDE = ("max_pool_5x5", "avg_pool_5x5", "conv_1x1", "conv_3x3", "conv_5x5")
_STOCK_EXTRA = ("sep_conv_7x7", "conv_7x1_1x7")
_NAT_EXTRA = ("sep_conv_1x1", "conv_1x3_3x1", "conv_1x7_7x1", "max_pool_2x2", "avg_pool_2x2", "dil_conv_1x1")

_SAME = (*_CORE, *_WIDE, *_STOCK_EXTRA, *_NAT_EXTRA)
OPS: Mapping[str, Op] = {
    **dict.fromkeys(NULLS, NULL),
    "skip_connect": SKIP,
    **{name: Op.parse(name) for name in _SAME},
}
"""Every name that is read, and its operation."""


@dataclass(frozen=True)
class Dialect:
    """What can be written on an edge. ``extra`` names are offered only where the genotype has them already, since the
    dialect's own search space leaves them out; ``strided`` ones only at stride 2 (a 2x2 pool without padding changes
    the size at stride 1)."""

    name: str
    core: tuple[str, ...]
    extra: tuple[str, ...]
    strided: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.core, *self.extra)

    def choices(self, used: Collection[str], stride: int) -> tuple[Op, ...]:
        """The ops that an edge of a genotype can have, null and skip first."""
        extra = [name for name in self.extra if name in used and (stride == 2 or name not in self.strided)]
        return (NULL, SKIP, *(OPS[name] for name in (*self.core, *extra)))

    def name_of(self, op: Op, null: str) -> str | None:
        """How an op is written; None if it cannot be."""
        if op == NULL:
            return null
        return _NAMES.get(op) if op == SKIP or _NAMES.get(op) in self.names else None


_NAMES: Mapping[Op, str] = {op: name for name, op in OPS.items() if name not in NULLS}

STOCK = Dialect("stock", _CORE, _STOCK_EXTRA)
NAT = Dialect("nat", (*_CORE, *_WIDE), (*_STOCK_EXTRA, *_NAT_EXTRA), ("max_pool_2x2", "avg_pool_2x2"))
