"""What a run ended with, read from its folder: the network, and its weights where the final stage trained it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from nat_plugin.adapter import Adapter
from nat_plugin.errors import NATError
from nat_plugin.ir import Network, from_json, key
from nat_plugin.plugins import Plugins
from nat_plugin.runs.loading import NETWORK
from nat_plugin.runs.record import Record
from nat_plugin.runs.weights import check_weights
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
    """NATError for a folder of no run, for one that has not ended, and for weights that are not those of its end."""
    record = Record.read(folder)
    if not (folder / RESULT).is_file():
        raise NATError(f"{folder}: the run has not ended: `nat resume {folder}` goes on with it")
    try:
        result = json.loads(read_text(folder / RESULT))
        wanted, trained = result["result"]["key"], result["trained_sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise NATError(f"{folder / RESULT}: damaged ({error})") from error
    network = from_json(read_text(folder / NETWORK))
    if key(network) != wanted:
        raise NATError(f"{folder}: {NETWORK} is not the network of {RESULT}; the folder was changed")
    weights = folder / "weights" / f"{wanted}-seed0.safetensors"
    if trained is not None:
        check_weights(weights, trained)
    adapter = find_adapter(record.recipe.get("adapter") or record.origin.adapter, plugins)
    return Finished(network, adapter, None if trained is None else weights)
