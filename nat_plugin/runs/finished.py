"""What a run ended with, read from its folder: the network, and its weights where the final stage trained it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nat_plugin.adapter import Adapter
from nat_plugin.checksums import check, is_done
from nat_plugin.errors import NATError
from nat_plugin.ir import Network, from_json
from nat_plugin.plugins import Plugins
from nat_plugin.runs.loading import NETWORK
from nat_plugin.runs.record import RunRecord
from nat_plugin.runs.weights import weights_file
from nat_plugin.sources import find_adapter, read_text

RESULT = "result.json"


@dataclass(frozen=True)
class Finished:
    """``network`` is as it was trained, at the size of the final stage: its module has the names of ``weights``, a
    file of the first training (None: nothing was trained)."""

    network: Network
    adapter: Adapter
    weights: Path | None


def read_finished(folder: Path, plugins: Plugins) -> Finished:
    """NATError for a folder of no run, for one that has not ended, and for files that are not those of its end."""
    record = RunRecord.read(folder)
    if not is_done(folder):
        raise NATError(f"{folder}: the run has not ended: `nat resume {folder}` resumes it")
    check(folder, record.run, (RESULT, NETWORK))
    network, weights = from_json(read_text(folder / NETWORK)), None
    if read_result(folder)["trained_for_real"]:
        weights = weights_file(folder, network, 0)
        check(folder, record.run, (weights.relative_to(folder).as_posix(),))
    adapter = find_adapter(record.recipe.get("adapter") or record.origin.adapter, plugins)
    return Finished(network, adapter, weights)


def result_if_ended(folder: Path, record: RunRecord, moved: bool) -> dict[str, Any] | None:
    """For ``nat resume``: the result of a run or training whose files are as they were written; None where it has not
    ended. ``moved``: the record names new places of what was read, which are checked and written down."""
    if not is_done(folder):
        return None
    check(folder, record.run)
    if moved:
        record.check_there(folder)
        record.write(folder)
    return read_result(folder)


def read_result(folder: Path) -> dict[str, Any]:
    """What ``result.json`` holds, as it was written."""
    values: dict[str, Any] = json.loads(read_text(folder / RESULT))
    return values
