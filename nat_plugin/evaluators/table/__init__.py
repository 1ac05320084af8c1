"""Tables of trained networks: a general reader of csv files, and the evaluator that looks networks up.

``read_table(TableSettings(path=…))`` gives a ``MeasuredTable``: networks, and arrays of what was measured of each.
"""

from __future__ import annotations

from nat_plugin.evaluators.table.latencies import read_latencies
from nat_plugin.evaluators.table.layout import MEAN, Results, TableLayout, Unit
from nat_plugin.evaluators.table.lookup import CsvTable, LookupTable, TableReader, Trained, open_table
from nat_plugin.evaluators.table.measured import MeasuredTable, read_table
from nat_plugin.evaluators.table.reading import LeftOut
from nat_plugin.evaluators.table.settings import FrameSettings, TableSettings

__all__ = [
    "MEAN",
    "CsvTable",
    "FrameSettings",
    "LeftOut",
    "LookupTable",
    "MeasuredTable",
    "Results",
    "TableLayout",
    "TableReader",
    "TableSettings",
    "Trained",
    "Unit",
    "open_table",
    "read_latencies",
    "read_table",
]
