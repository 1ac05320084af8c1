"""NNI 3: the NAT strategies inside its experiments, and its model spaces as networks."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from nat_plugin.adapter import Adapter
from nat_plugin.hookspecs import hookimpl
from nat_plugin.ir import OpKind, Rule

if TYPE_CHECKING:
    from nat_nni.export import export_module as export_module
    from nat_nni.export import save_module as save_module
    from nat_nni.mapping import to_network as to_network
    from nat_nni.mapping import to_sample as to_sample
    from nat_nni.strategies import NAT as NAT
    from nat_nni.strategies import Evolution as Evolution
    from nat_nni.strategies import HillClimb as HillClimb
    from nat_nni.strategies import RandomSearch as RandomSearch
    from nat_nni.strategy import SearchStrategy as SearchStrategy

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

__all__ = [
    "NAT",
    "Evolution",
    "HillClimb",
    "RandomSearch",
    "SearchStrategy",
    "export_module",
    "register_adapters",
    "register_ops",
    "register_rules",
    "save_module",
    "to_network",
    "to_sample",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})


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
