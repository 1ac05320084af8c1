"""The folder of a compaction, whatever machine it is made on the same: figures are made up, networks are real."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nat_plugin.ir import NULL, Cell, Edge, Head, Network, Node, Op, Placement, cost, key, to_json
from nat_plugin.ir.layers import Conv

BLOCKS, WIDTH = 8, 8


def write_compaction(folder: Path) -> Path:
    """Of a model of blocks, three of which were changed, with the latency of every block."""
    before = _model()
    ops = [Op.parse("opaque:conv_3x3:584:9216"), NULL, *before.ops[2:5], Op.parse("opaque:lean:300:5000")]
    after = before.with_ops([*ops, *before.ops[6:]])
    models = {"before": _figures(before, 0.91, 3.0), "reference": _figures(before, 0.92, 3.0)}
    tuned = [_figures(after, 0.90, 2.5)]
    folder.mkdir()
    values = {
        **models, "tuned": tuned, "version": "0.1.0", "name": "blocks", "kept": False, "verdict": "1 point less",
        "evaluated": 12, "images": 100, "plain": False, "made_with": {"torch": "2"},
        "search": {"key": key(before), "costs": {"macs": cost(before).macs, "params": cost(before).params},
                   "limits": {"macs": 120_000.0}},
    }  # fmt: skip
    lines = [
        _evaluation(before, network, gain)
        for network, gain in ((before.with_ops([NULL, *before.ops[1:]]), -0.2), (after, -0.1))
    ]
    (folder / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "compaction.json").write_text(json.dumps(values))
    return folder


def _model() -> Network:
    choices = (NULL, Op.parse("opaque:conv_3x3:584:9216"), Op.parse("opaque:lean:300:5000"))
    cells = []
    for number in range(BLOCKS):
        own = Op.parse(f"opaque:mbconv_k3_e6:{1000 + 100 * number}:{20_000 - 1000 * number}")
        edges = (Edge(0, 1, own, f"blocks.{number}", (own, *choices)), Edge(0, 1, Op.parse("skip")))
        cells.append((f"blocks.{number}", Cell(1, (Node(0),), edges, (1,), False)))
    placements = tuple(Placement(name, WIDTH, (number,)) for number, (name, _) in enumerate(cells))
    stem = ((Conv(3, WIDTH, (3, 3)),),)
    return Network(tuple(cells), placements, stem, Head(10, ()), (3, 8, 8))


def _evaluation(source: Network, network: Network, gain: float) -> dict[str, Any]:
    total = cost(network)
    return {
        "stage": "search", "source": key(source), "network": key(network), "ops": [str(op) for op in network.ops],
        "params": total.params, "macs": total.macs, "gain": gain,
    }  # fmt: skip


def _figures(network: Network, accuracy: float, ms: float) -> dict[str, Any]:
    total = cost(network)
    cells = {name: 0.0 if cell.edges[0].op.is_null else 0.1 * ms for name, cell in network.cells}
    return {
        "how": "tuned", "accuracy": accuracy, "low": accuracy - 0.05, "high": accuracy + 0.05, "params": total.params,
        "macs": total.macs, "network": to_json(network, None), "latency": {"ms": ms, "low": ms - 0.1, "high": ms + 0.1},
        "by_cell": {"latency": {"unit": "ms", "fixed": 0.4, "cells": cells}},
    }  # fmt: skip
