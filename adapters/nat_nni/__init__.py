"""NNI 3: the NAT strategies inside its experiments, and its model spaces as networks."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from nat_plugin.adapter import Adapter
from nat_plugin.hookspecs import hookimpl
from nat_plugin.ir import OpKind, Rule

_LAZY = {
    "to_network": "mapping",
    "to_sample": "mapping",
    "NAT": "strategies",
    "RandomSearch": "strategies",
    "HillClimb": "strategies",
    "Evolution": "strategies",
    "SearchStrategy": "strategy",
    "export_module": "export",
    "save_module": "export",
}
"""What a user imports from here, and the module that has it: NNI is loaded when one is asked for."""

__all__ = ["register_adapters", "register_ops", "register_rules", *_LAZY]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)


@hookimpl
def register_adapters(register: Callable[[Adapter], None]) -> None:
    from nat_nni.adapter import NNIAdapter

    register(NNIAdapter())


@hookimpl
def register_ops(register: Callable[[OpKind], None]) -> None:
    from nat_nni.ops import KINDS

    for kind in KINDS:
        register(kind)


@hookimpl
def register_rules(register: Callable[[Rule], None]) -> None:
    from nat_nni.rules import WIRING

    register(WIRING)
