"""Tables of trained networks: a general reader of csv files, and the evaluator that looks networks up.

``read_table(TableSettings(path=…))`` gives a ``MeasuredTable``: networks, and arrays of what was measured of each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nat_plugin.evaluators.table.latencies import read_latencies
from nat_plugin.evaluators.table.layout import MEAN, Results, TableLayout, Unit
from nat_plugin.evaluators.table.lookup import CsvTable, LookupTable, TableReader, Trained, open_table
from nat_plugin.evaluators.table.measured import MeasuredTable, read_table
from nat_plugin.evaluators.table.reading import LeftOut
from nat_plugin.evaluators.table.settings import NetworkSizeSettings, TableSettings
from nat_plugin.lazy import lazy_names

__all__ = [
    "MEAN",
    "CsvTable",
    "LeftOut",
    "LookupTable",
    "MeasuredTable",
    "NetworkSizeSettings",
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

if not TYPE_CHECKING:
    __getattr__, _ = lazy_names(__name__, {}, {"Layout": f"{__name__}:TableLayout"})
