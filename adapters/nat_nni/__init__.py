"""NNI 3: the NAT strategies inside its experiments, and its model spaces as networks.

    sample ─▶ samples ─▶ mapping ─▶ spaces (hub) or generic (own) ─▶ Network ─▶ … ─▶ mapping ─▶ sample ─▶ export

``adapter`` does that for text on the command line, ``experiment`` for the trials of a running experiment.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nat_plugin import Adapter, hookimpl
from nat_plugin.extending import lazy_names, moved_modules
from nat_plugin.ir import OpKind, Rule

if TYPE_CHECKING:
    from nat_nni.experiment.strategies import NAT as NAT
    from nat_nni.experiment.strategies import Evolution as Evolution
    from nat_nni.experiment.strategies import HillClimb as HillClimb
    from nat_nni.experiment.strategies import RandomSearch as RandomSearch
    from nat_nni.experiment.strategy import SearchStrategy as SearchStrategy
    from nat_nni.export.module import export_module as export_module
    from nat_nni.export.module import save_module as save_module
    from nat_nni.mapping import to_network as to_network
    from nat_nni.mapping import to_sample as to_sample

_LAZY = {
    "to_network": "nat_nni.mapping",
    "to_sample": "nat_nni.mapping",
    "NAT": "nat_nni.experiment.strategies",
    "RandomSearch": "nat_nni.experiment.strategies",
    "HillClimb": "nat_nni.experiment.strategies",
    "Evolution": "nat_nni.experiment.strategies",
    "SearchStrategy": "nat_nni.experiment.strategy",
    "export_module": "nat_nni.export.module",
    "save_module": "nat_nni.export.module",
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

_SUBPACKAGES = {
    "export": ("building", "counting", "export_text"),
    "experiment": (
        *("experiment_coverage", "experiment_engine", "experiment_initial", "experiment_state", "experiment_trials"),
        *("strategies", "strategy"),
    ),
    "generic": ("candidates", "chain", "groups", "inputs", "measuring", "probing", "survival", "tree"),
    "samples": ("described", "document", "domains"),
    "spaces": ("colour", "hub", "nasbench101", "nasbench201", "nds"),
}
"""Modules of earlier versions that lay flat, by the package that they are in now."""

__getattr__, __dir__ = lazy_names(__name__, _LAZY)
moved_modules(
    {
        f"nat_nni.{old}": f"nat_nni.{place}.{old.removeprefix(f'{place}_')}"
        for place, names in _SUBPACKAGES.items()
        for old in names
    }
)
moved_modules({"nat_nni.bench": "nat_nni.generic.measurer"})


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
