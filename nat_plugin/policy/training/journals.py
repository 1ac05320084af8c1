"""What runs measured, from their journals, as a training reads it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from nat_plugin.adapter import Adapter
from nat_plugin.checksums import check, is_done
from nat_plugin.data import load
from nat_plugin.device import find_compute
from nat_plugin.errors import NATError
from nat_plugin.evaluators.base import Evaluator
from nat_plugin.evaluators.proxies.cache import Scored, ScoredLike
from nat_plugin.fingerprints import Outside
from nat_plugin.ir import Network, NetworkSize, Op, from_json, is_connected, key
from nat_plugin.plugins import Plugins
from nat_plugin.policy.training.tasks import NetworkPool
from nat_plugin.runs.folder import read_journal
from nat_plugin.runs.loading import NETWORK
from nat_plugin.runs.recipe import plan
from nat_plugin.runs.record import RUN_FILE, RunRecord
from nat_plugin.sources import find_adapter, read_text
from nat_plugin.writing import extended

JOURNAL = "journal.jsonl"


class _Line(BaseModel):
    """What is read of an evaluation that did not fail: keys and ops of input and network, and what was measured."""

    model_config = ConfigDict(strict=True)

    source: str
    network: str
    ops: list[str]
    score: float
    source_score: float
    gain: float


@dataclass(frozen=True)
class _Value:
    """The mean of what was measured of a network, over so many times; ``scored``: as proxies are computed of it."""

    network: Network
    scored: Callable[[], Scored]
    total: float
    count: int = 1

    @property
    def mean(self) -> float:
        return self.total / self.count


def pool_of_runs(folders: Sequence[Path], plugins: Plugins) -> NetworkPool:
    known: dict[str, _Value] = {}
    passed, formats = 0, set[str]()
    for folder in folders:
        record = RunRecord.read(folder)
        if is_done(folder):
            check(folder, record.run, (JOURNAL, NETWORK))
        formats.add(record.origin.adapter)
        passed += _read_run(folder, record, plugins, known)
    if not known:
        raise NATError(f"{folders[0]}: the journal has no evaluation that says which network it is of")
    values = [known[name] for name in sorted(known)]
    left_out = (f"{passed:,} lines of networks that cannot be told from their operations",) if passed else ()
    return NetworkPool(
        tuple(value.network for value in values),
        lambda numbers: [values[number].mean for number in numbers],
        known=True,
        what=f"measurements of {len(folders)} run{'s' * (len(folders) > 1)}",
        space=", ".join(sorted(formats)),
        scored=lambda number: values[number].scored(),
        left_out=left_out,
        outside=tuple(
            outside
            for folder in folders
            for outside in (Outside.all_of(folder / RUN_FILE), Outside.all_of(folder / JOURNAL))
        ),
    )


def _read_run(folder: Path, record: RunRecord, plugins: Plugins, known: dict[str, _Value]) -> int:
    """Add what a run measured to ``known``; how many lines are of networks that are not known. NATError names a line
    that no run writes.

    Shared weights change while a run goes on, so of those the gain over the run's own input counts, which was measured
    at the same moment; otherwise the score."""
    begun = plan(record.recipe, plugins)
    adapter = find_adapter(begun.recipe.adapter or record.origin.adapter, plugins)
    own, like = _input_of(folder, record, adapter, plugins), ScoredLike(record.origin.text, adapter)
    moving = plugins.find("evaluators", begun.recipe.evaluator_name).train is not Evaluator.train
    passed, own_key = 0, key(own)
    for number, values in enumerate(read_journal(folder / JOURNAL), start=1):
        if values.get("stage") != "search" or values.get("failed"):
            continue
        try:
            line = _Line.model_validate(values)
            found = _network_of(own, line)
        except (ValidationError, NATError) as error:
            raise NATError(f"{folder / JOURNAL}, line {number}: not an evaluation of a run: {_said(error)}") from None
        if not all(map(math.isfinite, (line.score, line.source_score, line.gain))):
            continue
        if found is None or (moving and line.source != own_key):
            passed += 1
            continue
        pairs = [(found, line.gain if moving else line.score)]
        if line.source == own_key:
            pairs.append((own, 0.0 if moving else line.source_score))
        for network, value in pairs:
            before = known.get(key(network), _Value(network, partial(like, network), 0.0, 0))
            known[key(network)] = replace(before, total=before.total + value, count=before.count + 1)
    return passed


def _said(error: ValidationError | NATError) -> str:
    if isinstance(error, NATError):
        return str(error)
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def _input_of(folder: Path, record: RunRecord, adapter: Adapter, plugins: Plugins) -> Network:
    """The input of a run at the size of its search."""
    begun = plan(record.recipe, plugins)
    kind = plugins.find("evaluators", begun.recipe.evaluator_name)
    if begun.data is None:
        bare = kind.network_size(begun.evaluator)
    elif (folder / NETWORK).is_file():
        final = from_json(read_text(folder / NETWORK))
        bare = NetworkSize(input=final.input, classes=final.head.classes)
    else:
        data = load(begun.data, find_compute("cpu").device, plugins.datasets)
        bare = NetworkSize(input=data.shape, classes=data.classes)
    size = begun.recipe.network
    network = adapter.read(record.origin.text, replace(bare, channels=size.channels, cells=size.cells))
    return extended(network) if begun.recipe.extended else network


def _network_of(own: Network, line: _Line) -> Network | None:
    """The network of a line of a journal, if it differs from the run's input in ops only."""
    ops = [Op.parse(text) for text in line.ops]
    if len(ops) != len(own.slots):
        return None
    network = own.with_ops(ops)
    return network if is_connected(network) and key(network) == line.network else None
