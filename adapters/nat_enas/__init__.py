"""ENAS strings, of the micro and of the macro space, as a plugin of ``nat_plugin``."""

from __future__ import annotations

from collections.abc import Callable

from nat_enas.macro import EnasMacroAdapter
from nat_enas.micro import MicroAdapter
from nat_enas.ops import KINDS
from nat_plugin import Adapter, hookimpl
from nat_plugin.ir import OpKind

__all__ = ["EnasMacroAdapter", "MicroAdapter", "register_adapters", "register_ops"]


@hookimpl
def register_adapters(register: Callable[[Adapter], None]) -> None:
    register(MicroAdapter())
    register(EnasMacroAdapter())


@hookimpl
def register_ops(register: Callable[[OpKind], None]) -> None:
    for kind in KINDS:
        register(kind)
