"""A table of the latency of every op in every slot, in one pass."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from typing import Any

from pydantic import ValidationError

from nat_plugin.device import device_name
from nat_plugin.errors import NATError
from nat_plugin.ir import Network, Op, Slot
from nat_plugin.ir.canonical import live_ops
from nat_plugin.measuring.latency import LATENCY, Latency, TimeShare
from nat_plugin.measuring.settings import ONNX, LatencySettings
from nat_plugin.measuring.tables import CostTable, Figure, TableSubject, keys_of, ops_of

UNIT = "ms"


def ops_to_measure(network: Network) -> list[tuple[Slot, Op]]:
    """All slots and ops that a table of a network holds."""
    return [(slot, op) for slot in network.slots for op in ops_of(network, slot)]


def measure_table(latency: Latency, of: TableSubject, after_op: Callable[[int], None] = lambda _: None) -> CostTable:
    """The table of what is timed; ``after_op`` hears how many ops are done."""
    network = latency.network
    latency.prepare(ops_to_measure(network))
    for number, (slot, op) in enumerate(ops_to_measure(network), start=1):
        latency.share(slot, op)
        after_op(number)
    scale = latency.whole * latency.factor

    def figure(share: TimeShare) -> Figure:
        found = share.times(scale)
        return Figure(found.value, found.low, found.high)

    costs = {slot: {op: figure(latency.share(slot, op)) for op in ops_of(network, slot)} for slot in network.slots}
    live = sum(costs[slot][op].value for slot, op in live_ops(network) if not op.is_null)
    return CostTable(LATENCY, UNIT, of, Figure(latency.whole - live), costs, keys_of(network), measured_by(latency))


def measured_by(latency: Latency) -> dict[str, Any]:
    """What a reader of a table wants to know of how it came about."""
    names = ["nat-plugin", "torch", *(["onnxruntime"] if latency.settings.runtime == ONNX else [])]
    return {
        "whole": latency.whole,
        "factor": latency.factor,
        "setting": latency.setting.plain(),
        "device": device_name(latency.settings.compute.device),
        "versions": {name: _version(name) for name in names},
    }


def settings_of(table: CostTable, name: str = LATENCY) -> LatencySettings:
    """How a table was measured, so that it can be done again. NATError where it cannot be done here: it says not how,
    or it was done on another device."""
    setting = table.measured.get("setting")
    if table.metric != LATENCY or not isinstance(setting, dict):
        raise NATError(f"{name} does not say how it was measured")
    given = {field: setting.get(field) for field in LatencySettings.model_fields}
    if given["runtime"] == ONNX:
        given["layout"] = None
    try:
        settings = LatencySettings.model_validate(given)
    except ValidationError as error:
        raise NATError(f"{name} has invalid settings of its measurement: {error.errors()[0]['msg']}") from None
    there, here = str(table.measured.get("device"))[:60], device_name(settings.compute.device)
    if here != there:
        raise NATError(f"{name} was measured on '{there}', this is '{here}'")
    return settings


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "unknown"
