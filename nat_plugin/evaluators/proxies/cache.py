"""Proxies of many networks, each network computed once, by what it computes, and kept in a file: for whoever learns
from them, or judges by them."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nat_plugin.adapter import Adapter
from nat_plugin.device import find_compute
from nat_plugin.errors import NATError
from nat_plugin.evaluators.proxies.features import (
    explained,
    measured_features,
    size_features,
    values,
)
from nat_plugin.evaluators.proxies.initial import ImageBatch, synthetic_batches
from nat_plugin.evaluators.proxies.names import PROXIES, check_names
from nat_plugin.files import file_errors, open_own, read_text, write_all
from nat_plugin.ir import Edge, Network, NetworkSize, Op, canonical, key
from nat_plugin.nets import build
from nat_plugin.training.seeds import seeded

CHANNELS, CELLS = 8, 6
"""At which networks are scored, where their format leaves that open."""
BATCH, BATCHES, SEED = 16, 2, 0
"""Of the synthetic images and the weights: the same for all that are ever compared."""
AT_ONCE = 16
"""Networks whose values are fetched from the device, and written, together."""
MAX_BYTES = 2**30
_HEAD = {"nat_proxies": 1, "seed": SEED, "batch": BATCH, "batches": BATCHES}

ModuleOf = Callable[[Network], "nn.Module | None"]


def at_scoring_size(read: Callable[[NetworkSize], Network]) -> Network:
    """A network at the size at which it is scored: the first that its format can have. ``read`` reads it at a size."""
    for size in (NetworkSize(CHANNELS, CELLS), NetworkSize(CHANNELS), NetworkSize(cells=CELLS)):
        try:
            return read(size)
        except NATError:
            continue
    return read(NetworkSize())


def with_ops_of(small: Network, network: Network) -> Network:
    """A network at another size with the ops of one that differs from it in ops only, but for the size. An opaque op
    says what it costs, so at another size it is another op: the one in the same place among the choices. A cell that
    stands nowhere in the other size (two cells of DARTS are both reductions) stays as it is."""
    of = {slot: network.edge(slot) for slot in network.slots}
    its = [(small.edge(slot), of.get(slot)) for slot in small.slots]
    return small.with_ops([edge.op if own is None else _counterpart(edge, own) for edge, own in its])


def _counterpart(its: Edge, own: Edge) -> Op:
    at = own.choices.index(own.op) if own.op in own.choices else len(its.choices)
    return its.choices[at] if at < len(its.choices) else own.op


@dataclass(frozen=True)
class Scored:
    """A network as it is scored, and how its module is made."""

    network: Network
    module: ModuleOf
    name: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", key(self.network))


@dataclass(frozen=True)
class ScoredLike:
    """Makes what is scored of networks that differ in ops only from that of a text."""

    text: str
    adapter: Adapter

    def __call__(self, network: Network) -> Scored:
        return Scored(with_ops_of(self._small, network), self.adapter.module)

    @cached_property
    def _small(self) -> Network:
        return at_scoring_size(partial(self.adapter.read, self.text))


class KeptProxies:
    """Rows of proxies by the ``name`` of what was scored; NaN where a network is broken at initialisation, or cannot be
    scored (``failed``: why the last one could not). With a ``path`` every row is written there as soon as it is known,
    and what stands there already is not computed again.

    NATError, naming the file, for one that is something else."""

    def __init__(self, names: Collection[str], path: Path | None = None, device: str = "cpu") -> None:
        check_names(names)
        self.names = tuple(name for name in PROXIES if name in names)
        self._path, self._compute = path, find_compute(device, "float32")
        self._rows: dict[str, dict[str, float]] = {} if path is None else _read(path)
        self.failed = ""
        self._images: dict[tuple[int, ...], list[ImageBatch]] = {}

    def missing(self, wanted: Iterable[Scored]) -> list[Scored]:
        """Those of which something is not known, each once."""
        found = {each.name: each for each in wanted}
        return [each for each in found.values() if not self._has(each.name)]

    def learn(self, wanted: Sequence[Scored]) -> None:
        """Score what is not known yet."""
        missing = self.missing(wanted)
        for start in range(0, len(missing), AT_ONCE):
            part = missing[start : start + AT_ONCE]
            rows = self._scored(part)
            for each, row in zip(part, rows, strict=True):
                self._rows.setdefault(each.name, {}).update(row)
            if self._path is not None:
                _append(self._path, [each.name for each in part], rows)

    def of(self, wanted: Sequence[Scored]) -> np.ndarray:
        """(n, names), in the order of ``names``."""
        self.learn(wanted)
        rows = [[self._rows[each.name][name] for name in self.names] for each in wanted]
        return np.array(rows, float).reshape(len(wanted), len(self.names))

    def _has(self, name: str) -> bool:
        return self._rows.get(name, {}).keys() >= set(self.names)

    def _scored(self, part: Sequence[Scored]) -> list[dict[str, float]]:
        """Of a network that does not run, or has nothing to score, all are NaN."""
        sizes: list[dict[str, float]] = []
        measured: list[dict[str, Tensor]] = []
        for each in part:
            try:
                sizes.append(size_features(each.network, each.network.input, self.names))
                measured.append(self._measured(each))
            except NATError as error:
                self.failed = str(error)
                del sizes[len(measured) :]
                sizes.append({})
                measured.append({})
        empty = dict.fromkeys(self.names, math.nan)
        return [
            {name: found.get(name, math.nan) for name in empty}
            for found in (size | of for size, of in zip(sizes, values(measured), strict=True))
        ]

    def _measured(self, each: Scored) -> dict[str, Tensor]:
        shape, compute = each.network.input, self._compute
        if shape not in self._images:
            drawn = synthetic_batches(shape, BATCH, BATCHES, SEED)
            self._images[shape] = [batch.to(compute.device, compute.memory_format) for batch in drawn]
        with explained(shape, BATCH), seeded(compute.device, SEED), compute.device, torch.enable_grad():
            bare = canonical(each.network)
            module = each.module(bare) or build(bare)
            placed: nn.Module = module.to(device=compute.device, memory_format=compute.memory_format)  # type: ignore[call-overload]
            return measured_features(placed, self._images[shape], SEED, self.names)


def _read(path: Path) -> dict[str, dict[str, float]]:
    """The whole lines of a file; nothing where there is none."""
    if not os.path.lexists(path):
        return {}
    lines = read_text(path, MAX_BYTES, "a file of proxies").split("\n")[:-1]  # the last one is empty, or half written
    rows: dict[str, dict[str, float]] = {}
    for number, line in enumerate(lines, start=1):
        try:
            found = json.loads(line)
            if number == 1:
                _check_head(path, found)
                continue
            row = {
                name: math.nan if (value := found[name]) is None else float(value)
                for name in found.keys() & PROXIES.keys()
            }
            rows.setdefault(str(found["network"]), {}).update(row)
        except (ValueError, LookupError, TypeError, AttributeError):
            raise NATError(
                f"{path}, line {number}: this line does not belong in a file of proxies; remove the file"
            ) from None
    return rows


def _check_head(path: Path, found: Any) -> None:
    if not isinstance(found, dict) or "nat_proxies" not in found:
        raise NATError(f"{path}: this is not a file of proxies; choose another path")
    if found != _HEAD:
        raise NATError(f"{path}: these proxies are of another version, and cannot be compared; remove the file")


def _append(path: Path, names: Sequence[str], rows: Sequence[dict[str, float]]) -> None:
    """Whole lines at the end; what a killed process left of a line goes."""
    lines = [
        {"network": name, **{proxy: value if math.isfinite(value) else None for proxy, value in row.items()}}
        for name, row in zip(names, rows, strict=True)
    ]
    with file_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = open_own(path)
        try:
            size = os.fstat(handle).st_size
            whole = _whole(handle, size)
            if whole < size:
                os.ftruncate(handle, whole)
            written = ([] if whole else [_HEAD]) + lines
            write_all(handle, b"".join(json.dumps(each).encode() + b"\n" for each in written))
        finally:
            os.close(handle)


def _whole(handle: int, size: int) -> int:
    """How many of the bytes are whole lines."""
    while size:
        begin = max(0, size - 4096)
        os.lseek(handle, begin, os.SEEK_SET)
        at = os.read(handle, size - begin).rfind(b"\n")
        if at >= 0:
            return begin + at + 1
        size = begin
    return 0
