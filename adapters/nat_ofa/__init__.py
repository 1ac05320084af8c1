"""Networks of Once-for-All and ProxylessNAS as a plugin of ``nat_plugin``."""

from __future__ import annotations

from collections.abc import Callable

from nat_ofa.adapter import OFAAdapter
from nat_ofa.ops import KINDS
from nat_plugin import Adapter, hookimpl
from nat_plugin.ir import OpKind

__all__ = ["OFAAdapter", "register_adapters", "register_ops"]


@hookimpl
def register_adapters(register: Callable[[Adapter], None]) -> None:
    register(OFAAdapter())


@hookimpl
def register_ops(register: Callable[[OpKind], None]) -> None:
    for kind in KINDS:
        register(kind)
