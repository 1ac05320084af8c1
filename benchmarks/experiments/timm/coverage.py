"""Which convolutional models of the installed timm convert, with how many moves, how fast, and how exactly.

A name counts as convolutional if its model has a convolution with overlapping windows (kernel larger than stride) and
no module whose class name says attention over positions, a transformer, a mixer of tokens or a state space (``_OTHER``
without ``_CONVOLUTIONAL``). All models are on the meta device. Each is read at the size of its pretrained_cfg, its
costs are compared with ``numel`` and torch's FLOPs / 2, and so are those of a network moved at random under nat++
(which has all moves of nat), as timm builds it from the text that was written. Its floors are the shares of its MACs
and of its parameters that remain at least: by moves of nat++ alone, and by those of the model with the narrowest widths
that ``nat_timm.thinned`` gives it, which is counted too.

    python -m benchmarks timm-coverage --out coverage.json               # all names: about 16 minutes of one core
    python -m benchmarks timm-coverage --out part.json --part 0/12       # every twelfth name
    python -m benchmarks timm-coverage --out coverage.json --merge part*.json
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import time
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import timm
from nat_timm.adapter import TimmAdapter
from nat_timm.documents.document import EDITED
from nat_timm.models import document_of
from nat_timm.narrowing.thinning import settings_of
from nat_timm.narrowing.widths import coupling_of, widths_of
from nat_timm.networks import counted
from torch import nn

from benchmarks.common.results import add_result
from nat_plugin.errors import NATError
from nat_plugin.ir import Moves, Network, NetworkSize, canonical, cost, find_rule, same
from nat_plugin.ir.budget import METRICS, Limits

_OTHER = re.compile(r"Attention|Attn|Transformer|Mixer|Mamba|SSM|HSM")
_CONVOLUTIONAL = {
    *("ChannelAttn", "LightChannelAttn", "SpatialAttn", "LightSpatialAttn", "SplitAttn", "SelectiveKernelAttn"),
    *("ConvMixer", "RepMixer", "RepMixerBlock", "MambaOut", "MambaOutStage"),
}
"""Attention over channels or branches, gates made by convolutions, and names that say more than the module is."""
RULES = ("nat", "nat++")
SHARES = (0.3, 0.4, 0.5, 0.6)
"""Of MACs and of parameters: how many names come down to each."""


def is_convolutional(model: nn.Module) -> bool:
    overlapping = any(
        isinstance(module, nn.Conv2d) and module.kernel_size[0] > module.stride[0] and module.kernel_size[0] > 1
        for module in model.modules()
    )
    kinds = {type(module).__name__ for module in model.modules()}
    return overlapping and not any(_OTHER.search(kind) for kind in kinds - _CONVOLUTIONAL)


def examine(name: str) -> dict[str, Any] | None:
    """What is found of a model; None if it does not count as convolutional."""
    try:
        model = timm.create_model(name, device="meta")
    except Exception as error:  # noqa: BLE001 - a model that needs another package is no failure of ours
        return {"name": name, "skipped": f"{type(error).__name__}: {str(error)[:120]}"}
    if not is_convolutional(model):
        return None
    row: dict[str, Any] = {"name": name, "module": type(model).__module__.rpartition(".")[2]}
    adapter = TimmAdapter()
    try:
        size: NetworkSize = adapter.natural_size(name)
        start, start_cpu = time.perf_counter(), time.process_time()
        network = adapter.read(name, size)
        row["seconds"] = time.perf_counter() - start
        row["cpu_seconds"] = time.process_time() - start_cpu
        row |= {"cells": len(network.placements), "params": cost(network).params, "macs": cost(network).macs}
        row["exact"] = counted(network) == cost(network)
        for rule in RULES:
            moves = Moves(network, find_rule(rule))
            row[f"moves {rule}"] = sum(len(options) - 1 for options in moves.candidates)
        row["floors"] = {"moves": least(network, network), **narrow_floors(model, network, size)}
        moved = moves.apply(moves.sample(np.random.default_rng(0)))
        written = adapter.read(adapter.write(canonical(moved)), size)  # write counts, and refuses what differs
        row["exact moved"] = same(written, moved)
    except NATError as error:
        row["failed"] = str(error)
    return row


def least(network: Network, whole: Network) -> dict[str, float]:
    """What is left at least under nat++, as shares of ``whole``."""
    found = {}
    for metric in METRICS:
        limit = Limits(((metric, Fraction(METRICS[metric](network))),))
        found[metric] = float(Moves(network, find_rule("nat++"), limit).search.least[0] / METRICS[metric](whole))
    return found


def narrow_floors(model: nn.Module, whole: Network, size: NetworkSize) -> dict[str, Any]:
    """The same of the narrowest model, how many groups it has, and whether it costs what is counted."""
    _, coupled = coupling_of(model, document_of(model), size.input)
    edits = [(each, settings_of(each)[-1]) for each in widths_of(coupled, document_of(model)).values()]
    found = document_of(model).with_edits(tuple(each.edit(keep) for each, keep in edits if keep < each.built))
    narrow = TimmAdapter().read(found.render(), size)
    return {"groups": len(edits), "widths": least(narrow, whole), "exact": counted(narrow) == cost(narrow)}


def figures(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What is said of all names together; names stand where something is not as it should be."""
    skipped = {row["name"]: row["skipped"] for row in rows if "skipped" in row}
    rows = [row for row in rows if "skipped" not in row]
    fine = [row for row in rows if "failed" not in row]
    times = {what: sorted(row[what] for row in fine) for what in ("seconds", "cpu_seconds")}
    return {
        "convolutional names": len(rows),
        "not built": skipped,
        "failed": {row["name"]: row["failed"] for row in rows if "failed" in row},
        "not exact": [row["name"] for row in fine if not (row["exact"] and row["exact moved"])],
        "without a move": {rule: [row["name"] for row in fine if not row[f"moves {rule}"]] for rule in RULES},
        "floors": {
            how: {
                metric: {
                    **{f"{share}x": sum(row["floors"][how][metric] <= share for row in fine) for share in SHARES},
                    f"over {SHARES[-1]}x": over(fine, how, metric),
                }
                for metric in METRICS
            }
            for how in ("moves", "widths")
        },
        "narrowest not exact": [row["name"] for row in fine if not row["floors"]["exact"]],
        "time of a model": {
            what: {"median": statistics.median(values), "95%": values[len(values) * 95 // 100]}
            for what, values in times.items()
        },
    }


def over(rows: list[dict[str, Any]], how: str, metric: str) -> dict[str, float]:
    """The names of which more remains at least than the largest share, with that."""
    found = {row["name"]: round(row["floors"][how][metric], 3) for row in rows}
    return {name: share for name, share in found.items() if share > SHARES[-1]}


def summarise(found: dict[str, Any]) -> str:
    names, failed = found["convolutional names"], found["failed"]
    converted = names - len(failed)
    lines = [f"{names} convolutional names of timm {timm.__version__} ({len(found['not built'])} could not be built)"]
    for rule, without in found["without a move"].items():
        share = converted - len(without)
        lines.append(f"with a legal move under {rule}: {share} ({share / names:.1%}); without: {listed(without)}")
    inexact = found["not exact"]
    lines.append(
        f"parameters and MACs exact, unmoved and moved: {converted - len(inexact)} of {converted} converted; "
        f"not: {listed(inexact)}"
    )
    for how, metrics in found["floors"].items():
        for metric, reached in metrics.items():
            counts = ", ".join(f"{share} {number}" for share, number in reached.items() if isinstance(number, int))
            lines.append(f"names of which so little of the {metric} can be left, by {how}: {counts} of {converted}")
            above = reached[f"over {SHARES[-1]}x"] if how == "widths" else {}
            lines += [f"    more is left of {name}: {share}" for name, share in above.items()]
    lines.append(f"the narrowest does not cost what is counted: {listed(found['narrowest not exact'])}")
    for what, times in found["time of a model"].items():
        lines.append(f"{what} a model: median {times['median']:.2f}, 95% {times['95%']:.2f}")
    return "\n".join(lines + [f"failed: {name}: {why}" for name, why in failed.items()])


def tables_of(results: Mapping[str, Any]) -> dict[str, str]:
    """Markdown by the name of the place in the documentation, of the last version of timm."""
    found = list(results.values())[-1]
    names = found["convolutional names"]
    shares = [f"{share}x" for share in SHARES]
    lines = [f"| of {names} names come down to | " + " | ".join(shares) + " |", "|---" * (len(shares) + 1) + "|"]
    for metric in METRICS:
        for how, said in {"moves": "moves alone", "widths": "widths and moves"}.items():
            counts = [str(found["floors"][how][metric][share]) for share in shares]
            lines.append(f"| {metric}, {said} | " + " | ".join(counts) + " |")
    return {"timm_coverage": "\n".join([_in_short(found), "", *lines])}


def _in_short(found: Mapping[str, Any]) -> str:
    names, failed = found["convolutional names"], len(found["failed"])
    moves = ", ".join(f"{names - failed - len(each)} under {rule}" for rule, each in found["without a move"].items())
    times = found["time of a model"]
    spans = "; ".join(f"{what}: {each['median']:.2f}, {each['95%']:.2f}" for what, each in times.items())
    exact, narrow = (names - failed - len(found[what]) for what in ("not exact", "narrowest not exact"))
    return (
        f"{names - failed} of {names} names convert; with a legal move: {moves}; parameters and MACs exact, unmoved "
        f"and moved: {exact}, at their narrowest: {narrow}. Median and 95 % of a model: {spans}."
    )


def listed(names: list[str]) -> str:
    return ", ".join(names) or "none"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--part", default="0/1", help="N/M: names N, N+M, N+2M, ...")
    parser.add_argument("--names", nargs="*", help="these instead of all")
    parser.add_argument("--merge", nargs="*", type=Path, help="results of parts: put them together, examine nothing")


def run(arguments: argparse.Namespace) -> None:
    if arguments.merge:
        rows = [row for part in arguments.merge for row in json.loads(part.read_text(encoding="utf-8"))]
        arguments.out.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    else:
        first, step = map(int, arguments.part.split("/"))
        names = arguments.names or [name for name in timm.list_models() if name != EDITED][first::step]
        rows = []
        for name in names:
            row = examine(name)
            if row is not None:
                rows.append(row)
                arguments.out.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    found = figures(rows)
    print(summarise(found))
    add_result(arguments.results, f"timm {timm.__version__}", found)
