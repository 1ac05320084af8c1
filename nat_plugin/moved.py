"""Modules of earlier versions: an import of one goes on working, with a warning that says the new place.

Names within a module that is still there: ``lazy_names(…, moved={…})``.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType

MODULES = {
    "nat_plugin.cli.closing": "nat_plugin.cli.results",
    "nat_plugin.cli.remarks": "nat_plugin.cli.policy_notices",
    "nat_plugin.evaluators.proxies.kept": "nat_plugin.evaluators.proxies.cache",
    "nat_plugin.ir.scaffold": "nat_plugin.ir.edge_costs",
    "nat_plugin.measuring.keeping": "nat_plugin.measuring.latency_limits",
    "nat_plugin.outside": "nat_plugin.fingerprints",
    "nat_plugin.plain": "nat_plugin.json_values",
    "nat_plugin.policy.comparing": "nat_plugin.policy.training.sampled",
    "nat_plugin.policy.enumerating": "nat_plugin.policy.training.exact",
    "nat_plugin.policy.imagining": "nat_plugin.policy.training.critic_based",
    "nat_plugin.policy.room": "nat_plugin.policy.headroom",
    "nat_plugin.reporting.folder": "nat_plugin.reporting.report_file",
    "nat_plugin.reporting.html": "nat_plugin.reporting.rendering",
    "nat_plugin.runs.arrivals": "nat_plugin.runs.async_search",
    "nat_plugin.runs.kept": "nat_plugin.runs.worker_files",
    "nat_plugin.runs.reference": "nat_plugin.reference.recipes",
    "nat_plugin.runs.together": "nat_plugin.runs.devices",
    "nat_plugin.saying": "nat_plugin.messages",
    "nat_plugin.sealing": "nat_plugin.json_checksums",
    "nat_plugin.strategies": "",
    "nat_plugin.strategies.base": "nat_plugin.search.base",
    "nat_plugin.strategies.evolution": "nat_plugin.search.evolution",
    "nat_plugin.strategies.exhaustive": "nat_plugin.search.exhaustive",
    "nat_plugin.strategies.greedy": "nat_plugin.search.greedy",
    "nat_plugin.strategies.hill_climb": "nat_plugin.search.hill_climb",
    "nat_plugin.strategies.identity": "nat_plugin.search.identity",
    "nat_plugin.strategies.local_search": "nat_plugin.search.nat.local_search",
    "nat_plugin.strategies.nat": "nat_plugin.search.nat.strategy",
    "nat_plugin.strategies.nearby": "nat_plugin.search.neighbourhood",
    "nat_plugin.strategies.op_map": "nat_plugin.search.rules.op_map",
    "nat_plugin.strategies.per_input": "nat_plugin.search.per_input",
    "nat_plugin.strategies.predictor": "nat_plugin.search.surrogate.gaussian_process",
    "nat_plugin.strategies.promising": "nat_plugin.search.surrogate.acquisition",
    "nat_plugin.strategies.random_search": "nat_plugin.search.random_search",
    "nat_plugin.strategies.records": "nat_plugin.search.records",
    "nat_plugin.strategies.rule": "nat_plugin.search.rules.strategy",
    "nat_plugin.strategies.rule_fit": "nat_plugin.search.rules.fitting",
    "nat_plugin.strategies.surrogate": "nat_plugin.search.surrogate.strategy",
}
"""Of the core; adapters add theirs. The new place of each, or nothing for a package whose modules all moved."""


class _Moved:
    """Finds and loads modules by their old names, in ``sys.meta_path``."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        if name not in MODULES:
            return None
        return ModuleSpec(name, self, is_package=not MODULES[name])  # type: ignore[arg-type] # it need not derive

    def create_module(self, spec: ModuleSpec) -> None:
        """The usual one, in the place of which ``exec_module`` puts another."""
        del spec

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        if MODULES[name]:
            warnings.warn(f"module {name} is {MODULES[name]} now", DeprecationWarning, stacklevel=2)
            sys.modules[name] = import_module(MODULES[name])


def moved_modules(table: Mapping[str, str]) -> None:
    """Let the modules of a package be found by their old names."""
    MODULES.update(table)


def find_moved() -> None:
    """Have imports look here first, since a package may have a module of an old name's last part."""
    if not any(isinstance(each, _Moved) for each in sys.meta_path):
        sys.meta_path.insert(0, _Moved())
