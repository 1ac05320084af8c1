"""Tables of trained networks, as a training reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nat_plugin.errors import NATError
from nat_plugin.ir import Network
from nat_plugin.plugins import Plugins


@dataclass(frozen=True, eq=False)
class Known:
    """Networks and their scores (N,), higher is better; of what task (``what``) and in which ``space``; a line on every
    part of the table that was left out."""

    networks: tuple[Network, ...]
    scores: np.ndarray
    what: str
    space: str
    left_out: tuple[str, ...] = ()


def read_known(settings: Any, plugins: Plugins) -> Known:
    """By the settings of the evaluator ``table``."""
    table = settings.table()
    space, query = table.space, table.query
    del plugins
    if not hasattr(table, "_rows"):
        raise NATError(f"{settings.path}: only csv files are read as a whole, not format '{settings.format}'")
    frame = space.datasets[query.dataset].frame
    networks = tuple(space.adapter.read(space.text(digits), frame) for digits in table._rows)
    scores = np.array([each.mean for each in table._rows.values()])
    return Known(networks, scores, f"{query.dataset} accuracy after {query.epochs} epochs", space.title)
