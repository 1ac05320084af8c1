"""Tables of trained networks: one file for every layout that they come in."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from nat_nasbench.tables.base import MEAN, Query, Stamp, Table, Trained, stamp
from nat_nasbench.tables.delimited import DelimitedTable, read_latencies
from nat_nasbench.tables.nats_bench import NATSBenchTable
from nat_nasbench.tables.nni_database import NNITable

__all__ = ["FORMATS", "MEAN", "Query", "Table", "Trained", "open_table", "read_latencies"]

FORMATS: dict[str, type[DelimitedTable] | type[NATSBenchTable] | type[NNITable]] = {
    "csv": DelimitedTable,
    "nats_bench": NATSBenchTable,
    "nni": NNITable,
}


def open_table(path: Path, layout: str, dataset: str, epochs: int | None) -> Table:
    """``layout``: a key of ``FORMATS``; ``epochs`` None: the longest training that there is. NATError says in one line
    what is missing."""
    return _opened(path, layout, dataset, epochs, stamp(path))


@lru_cache(maxsize=8)
def _opened(path: Path, layout: str, dataset: str, epochs: int | None, _: Stamp) -> Table:
    return FORMATS[layout](path, dataset, epochs)
