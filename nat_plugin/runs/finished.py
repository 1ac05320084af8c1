"""What a run ended with, read from its folder: the network, and its weights where the final stage trained it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from nat_plugin.adapter import Adapter
from nat_plugin.errors import NATError
from nat_plugin.ir import Frame, Network, from_json, key
from nat_plugin.plugins import Plugins
from nat_plugin.runs.run import CHECKPOINT
from nat_plugin.runs.setup import read_run
from nat_plugin.runs.state import load_state
from nat_plugin.sources import find_adapter, read_text
from nat_plugin.writing import extended

RESULT = "result.json"


@dataclass(frozen=True)
class Finished:
    """``network`` is as it was trained, at the size of the final stage: its module has the names of ``weights``, a
    file of the first training (None: nothing was trained)."""

    network: Network
    adapter: Adapter
    weights: Path | None


def read_finished(folder: Path, plugins: Plugins) -> Finished:
    """NATError for a folder of no run, or of one that has not ended."""
    chosen, origin = read_run(folder, plugins)
    if not (folder / RESULT).is_file():
        raise NATError(f"{folder}: the run has not ended: `nat resume {folder}` goes on with it")
    try:
        result = json.loads(read_text(folder / RESULT))
        wanted, data = result["result"]["key"], result["data"]
        bare = Frame(input=tuple(data["shape"]), classes=data["classes"])
        searched = [from_json(text) for text in load_state(folder / CHECKPOINT)["choice"]["candidates"]]
    except (ValueError, KeyError, TypeError) as error:
        raise NATError(f"{folder / RESULT}: damaged ({error})") from error
    recipe = chosen.recipe
    size = (recipe.final.network if recipe.final else None) or recipe.network
    adapter = find_adapter(recipe.adapter or origin.adapter, plugins)
    source = adapter.read(origin.text, replace(bare, channels=size.channels, cells=size.cells))
    source = extended(source) if recipe.extended else source
    candidates = [source, *(source.with_ops(each.ops) for each in searched)]
    network = next((each for each in candidates if key(each) == wanted), None)
    if network is None:
        raise NATError(f"{folder}: the result is none of the networks in {CHECKPOINT}; the folder was changed")
    weights = folder / "weights" / f"{wanted}-seed0.safetensors"
    return Finished(network, adapter, weights if weights.is_file() else None)
