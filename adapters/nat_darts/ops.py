"""The names of operations in the DARTS family, and what each dialect of it can say.

Sources: quark0/darts ``cnn/operations.py`` and ``cnn/genotypes.py`` (stock), guoyongcs/NATv2 ``operations.py`` (nat),
xiaomi-automl/FairDARTS ``fairdarts/operations.py``.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from nat_plugin import NATError
from nat_plugin.ir import NULL, SKIP, Op

NULLS = ("none", "null")
_WORD = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)
_CORE = ("max_pool_3x3", "avg_pool_3x3", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5")
_WIDE = ("max_pool_5x5", "avg_pool_5x5", "conv_1x1", "conv_3x3", "conv_5x5")
_STOCK_EXTRA = ("sep_conv_7x7", "conv_7x1_1x7")
_NAT_EXTRA = ("sep_conv_1x1", "conv_1x3_3x1", "conv_1x7_7x1", "max_pool_2x2", "avg_pool_2x2", "dil_conv_1x1")

_SAME = (*_CORE, *_WIDE, *_STOCK_EXTRA, *_NAT_EXTRA)
OPS: dict[str, Op] = {
    **dict.fromkeys(NULLS, NULL),
    "skip_connect": SKIP,
    **{name: Op.parse(name) for name in _SAME},
}
"""Every name that is read, and its operation; those that plugins add, too."""
_NAMES: dict[Op, str] = {op: name for name, op in OPS.items() if name not in NULLS}
_ADDED: list[str] = []


def register_op_name(name: str, op: Op) -> None:
    """Let genotypes say ``name`` for ``op``, whose kind a plugin registers. It is offered only in genotypes that have
    it already. NATError for a name or an op that is taken, and for a name that is no word."""
    if OPS.get(name) == op:
        return
    if name in OPS:
        raise NATError(f"op name '{name}' of genotypes is taken, by '{OPS[name]}'")
    if op in _NAMES or op == NULL:
        raise NATError(f"op '{op}' has a name in genotypes: '{_NAMES.get(op, NULLS[0])}'")
    if not _WORD.fullmatch(name):
        raise NATError(f"{name!r:.60} is not a valid name of an op: letters, digits, '_', '-' and '.' only")
    OPS[name] = op
    _NAMES[op] = name
    _ADDED.append(name)


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
        added = [name for name in _ADDED if name in used]
        return (NULL, SKIP, *(OPS[name] for name in (*self.core, *extra, *added)))

    def name_of(self, op: Op, null: str) -> str | None:
        """How an op is written; None if it cannot be."""
        if op == NULL:
            return null
        name = _NAMES.get(op)
        return name if op == SKIP or name in self.names or name in _ADDED else None


STOCK = Dialect("stock", _CORE, _STOCK_EXTRA)
NAT = Dialect("nat", (*_CORE, *_WIDE), (*_STOCK_EXTRA, *_NAT_EXTRA), ("max_pool_2x2", "avg_pool_2x2"))
