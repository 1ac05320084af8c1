"""What a compaction session is given beside a model and images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nat_plugin import NATError
from nat_plugin.ir import Shape
from nat_plugin.measuring import LATENCY, LatencySettings, TableMetric, table_metrics
from nat_plugin.runs import checked_settings


@dataclass(frozen=True)
class SessionSettings:
    """The arguments of ``compact`` that stay the same for all strategies."""

    rules: str = "nat++"
    evaluator: Mapping[str, Any] = field(default_factory=dict)
    widths: Mapping[str, object] | None = None
    input: Shape | None = None
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    latency: Mapping[str, Any] | None = None
    costs: Mapping[str, Path | str] = field(default_factory=dict)
    fits: bool = False

    def timing(self) -> LatencySettings:
        """How latency is measured. NATError where a table says that already."""
        if self.latency is not None and LATENCY in self.costs:
            raise NATError("latency and costs['latency'] are both given: a table has its settings, leave latency out")
        here = {"device": self.device, "precision": self.precision}
        return checked_settings(LatencySettings, self.latency or {}, "latency", here)

    def tables(self) -> dict[str, TableMetric]:
        """The tables of costs, by metric."""
        if not isinstance(self.costs, Mapping) or not all(isinstance(each, str | Path) for each in self.costs.values()):
            raise NATError(f"costs is {str(self.costs)[:40]!r}: give a dict of metrics and files")
        return table_metrics({name: Path(path) for name, path in self.costs.items()})
