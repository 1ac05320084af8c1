"""A cell of NAS-Bench-201 with a table of its latency, on a clock that layers turn."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from nat_plugin.ir import Network, NetworkSize
from nat_plugin.measuring.cells import CellLatency
from nat_plugin.measuring.measure import measure_table
from nat_plugin.measuring.settings import LatencySettings
from nat_plugin.measuring.tables import CostTable, Figure, TableSubject, fingerprint
from nat_plugin.plugins import plugins
from nat_plugin.timing import Clock
from tests.clocks import Turned

SOURCE = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_1x1~2|"
SIZE = {"channels": 4, "cells": 3}


@pytest.fixture
def clock(turned: Turned, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """One that layers turn, for all that is timed."""
    monkeypatch.setattr(Clock, "of", lambda _: turned.clock)
    for name in ("SAMPLES", "BLOCKS"):
        monkeypatch.setattr(f"nat_plugin.measuring.latency.{name}", 1)
    return turned.clock


@cache
def measured_cell() -> tuple[Network, CostTable]:
    """On the clock that layers turn."""
    network = plugins().find("adapters", "nasbench201").read(SOURCE, NetworkSize(**SIZE))
    return network, measure_table(
        CellLatency(network, LatencySettings(device="cpu")), TableSubject(fingerprint(network))
    )


def table(path: Path, saved: float = 1.0, device: str | None = None) -> Path:
    """Of the cell, in which what ops take is so many times what they do take."""
    network, found = measured_cell()
    costs = {slot: {op: Figure(saved * each.value) for op, each in ops.items()} for slot, ops in found.costs.items()}
    fixed = sum(costs[slot][op].value * (1 - 1 / saved) for slot, op in zip(network.slots, network.ops, strict=True))
    measured = {**found.measured, **({} if device is None else {"device": device})}
    replace(found, fixed=Figure(found.fixed.value - fixed), costs=costs, measured=measured).write(path)
    return path
