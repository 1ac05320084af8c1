"""Cells of NAS-Bench-101 and NAS-Bench-201 and NAS-Bench-Macro digits, as a plugin of ``nat_plugin``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nat_nasbench.macro import MacroAdapter
from nat_nasbench.nb101 import NB101Adapter
from nat_nasbench.nb201 import NB201Adapter
from nat_nasbench.ops import KINDS
from nat_plugin.adapter import Adapter
from nat_plugin.hookspecs import hookimpl
from nat_plugin.ir import OpKind

if TYPE_CHECKING:
    from nat_plugin.evaluators.base import Evaluator

__all__ = ["MacroAdapter", "NB101Adapter", "NB201Adapter", "register_adapters", "register_evaluators", "register_ops"]


@hookimpl
def register_adapters(register: Callable[[Adapter], None]) -> None:
    register(NB201Adapter())
    register(NB101Adapter())
    register(MacroAdapter())


@hookimpl
def register_ops(register: Callable[[OpKind], None]) -> None:
    for kind in KINDS:
        register(kind)


@hookimpl
def register_evaluators(register: Callable[[str, type[Evaluator]], None]) -> None:
    from nat_nasbench.evaluator import TableEvaluator

    register("table", TableEvaluator)
