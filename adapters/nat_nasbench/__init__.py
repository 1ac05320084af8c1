"""Cells of NAS-Bench-101, NAS-Bench-201 and TransNAS-Bench-101, digits of NAS-Bench-Macro, and what their tables look
like, as a plugin of ``nat_plugin``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nat_nasbench.macro import NASBenchMacroAdapter
from nat_nasbench.nb101 import NB101Adapter
from nat_nasbench.nb201 import NB201Adapter
from nat_nasbench.ops import KINDS
from nat_nasbench.transnas import TransNASAdapter
from nat_plugin import Adapter, hookimpl
from nat_plugin.ir import OpKind

if TYPE_CHECKING:
    from nat_plugin.extending import TableLayout, TableReader

__all__ = [
    "NASBenchMacroAdapter",
    "NB101Adapter",
    "NB201Adapter",
    "TransNASAdapter",
    "register_adapters",
    "register_ops",
    "register_table_formats",
    "register_table_layouts",
]


@hookimpl
def register_adapters(register: Callable[[Adapter], None]) -> None:
    register(NB201Adapter())
    register(NB101Adapter())
    register(NASBenchMacroAdapter())
    register(TransNASAdapter())


@hookimpl
def register_ops(register: Callable[[OpKind], None]) -> None:
    for kind in KINDS:
        register(kind)


@hookimpl
def register_table_layouts(register: Callable[[TableLayout], None]) -> None:
    from nat_nasbench.layouts import LAYOUTS

    for layout in LAYOUTS:
        register(layout)


@hookimpl
def register_table_formats(register: Callable[[str, TableReader], None]) -> None:
    from nat_nasbench.tables.nats_bench import NATSBenchTable
    from nat_nasbench.tables.nni_database import NNITable

    register("nats_bench", NATSBenchTable)
    register("nni", NNITable)
