"""Costs that are measured: latency by the settings that a user names, and tables of costs by slot and op."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nat_plugin.measuring.latency import LATENCY as LATENCY
    from nat_plugin.measuring.latency import PART_INTERVAL as PART_INTERVAL
    from nat_plugin.measuring.latency import Latency as Latency
    from nat_plugin.measuring.latency import MeasuredLatency as MeasuredLatency
    from nat_plugin.measuring.latency import TimedMetric as TimedMetric
    from nat_plugin.measuring.latency import TimeShare as TimeShare
    from nat_plugin.measuring.latency_limits import SPARE_FINALISTS as SPARE_FINALISTS
    from nat_plugin.measuring.latency_limits import Keeper as Keeper
    from nat_plugin.measuring.latency_limits import Untimed as Untimed
    from nat_plugin.measuring.latency_limits import find_keeper as find_keeper
    from nat_plugin.measuring.measure import measure_table as measure_table
    from nat_plugin.measuring.measure import ops_to_measure as ops_to_measure
    from nat_plugin.measuring.runtimes import place as place
    from nat_plugin.measuring.settings import EAGER as EAGER
    from nat_plugin.measuring.settings import LatencySetting as LatencySetting
    from nat_plugin.measuring.settings import LatencySettings as LatencySettings
    from nat_plugin.measuring.tables import TableMetric as TableMetric
    from nat_plugin.measuring.tables import TableSubject as TableSubject
    from nat_plugin.measuring.tables import table_metrics as table_metrics
else:
    from nat_plugin.lazy import lazy_room

    __getattr__, __dir__, __all__ = lazy_room(
        __name__,
        {
            "latency_limits": ("SPARE_FINALISTS", "Keeper", "Untimed", "find_keeper"),
            "latency": ("LATENCY", "PART_INTERVAL", "Latency", "MeasuredLatency", "TimedMetric", "TimeShare"),
            "measure": ("measure_table", "ops_to_measure"),
            "runtimes": ("place",),
            "settings": ("EAGER", "LatencySetting", "LatencySettings"),
            "tables": ("TableMetric", "TableSubject", "table_metrics"),
        },
    )
