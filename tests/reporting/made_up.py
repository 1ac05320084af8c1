"""Folders of a run and of a comparison, the same on every machine: figures are made up, networks are real."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from nat_plugin.comparisons.record import ComparisonRecord
from nat_plugin.ir import NULL, Network, NetworkSize, Op, cost, key, to_json
from nat_plugin.plugins import plugins
from nat_plugin.runs.record import RunRecord, RunSource

SCALE = {"name": "accuracy", "percent": True, "lower_is_better": False}
SIZE = NetworkSize(4, 3, (1, 8, 8), 10)
SPLITS = {"weights": 160, "reward": 80, "selection": 80, "test": 80}


def write_run(folder: Path, accuracy: float = 0.82) -> Path:
    """Of DARTS_V2, of which two operations were changed, with four networks that were measured. ``accuracy``: of the
    result."""
    adapter = plugins().adapters["darts"]
    text = adapter.published()["DARTS_V2"].text
    before = adapter.read(text, SIZE)
    networks = [before.with_ops([*(NULL if at in gone else op for at, op in enumerate(before.ops))])
                for gone in ({0}, {1}, {0, 1}, {2})]  # fmt: skip
    after = networks[2].with_ops([*networks[2].ops[:2], Op.parse("skip"), *networks[2].ops[3:]])
    folder.mkdir()
    record = RunRecord.of({"source": "DARTS_V2", "strategy": "random"}, RunSource(text, "darts", "DARTS_V2"), [])
    record.write(folder)
    (folder / "network.json").write_text(to_json(after, None))
    total = cost(before)
    own = {"key": key(before), "costs": {"macs": total.macs, "params": total.params}, "limits": {"macs": 60_000.0}}
    values = {
        "version": "0.1.0", "input": _side(before, text, 0.80) | {"in_search": own},
        "result": _side(after, adapter.write(after), accuracy), "changed": True, "input_fits": False,
        "format": "darts", "weights": "weights.safetensors", "scale": SCALE,
        "test_difference": _span(round(accuracy - 0.80, 2)),
        "trainings": 3, "interval_covers": "further trainings like these", "verdict": "within noise",
        "verdict_reason": "",
        "candidates": [{"key": key(after), "selection": _span(0.82), "params": total.params, "macs": total.macs}],
        "trained_for_real": True, "untrained": False, "evaluated": 4, "rules": "nat", "budget": {"macs": 133_574.4},
        "strategy": "random", "notes": [], "seed": 0, "made_with": {"torch": "2"},
        "data": {"name": "digits", "shape": [1, 8, 8], "classes": 10, "splits": SPLITS},
    }  # fmt: skip
    (folder / "result.json").write_text(json.dumps(values))
    (folder / "stages.json").write_text(
        json.dumps({"search": {"wall": 20, "cpu": 10}, "final": {"wall": 40, "cpu": 35}})
    )
    lines = [_evaluation(before, network, number) for number, network in enumerate(networks)]
    (folder / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def _side(network: Network, text: str, accuracy: float) -> dict[str, Any]:
    total = cost(network)
    return {
        "architecture": text, "key": key(network), "ops": [str(op) for op in network.ops], "params": total.params,
        "macs": total.macs, "measured": {}, "selection": _span(accuracy), "test": _span(accuracy),
    }  # fmt: skip


def _span(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.05, "high": value + 0.05}


def _evaluation(source: Network, network: Network, number: int) -> dict[str, Any]:
    total = cost(network)
    return {
        "stage": "search", "round": number, "source": key(source), "network": key(network),
        "ops": [str(op) for op in network.ops], "params": total.params, "macs": total.macs, "gain": 0.1 * number - 0.1,
    }  # fmt: skip


def write_comparison(folder: Path) -> Path:
    """Of three strategies on two inputs."""
    folder.mkdir()
    origins = [RunSource(name, "darts", name) for name in ("DARTS_V2", "DARTS_V1")]
    ComparisonRecord.of({"sources": ["DARTS_V2", "DARTS_V1"], "queries": 5}, origins, 0, []).write(folder)
    test = {"difference": _span(0.03), "holm": 0.02}
    values = {
        "version": "0.1.0", "inputs": ["DARTS_V2", "DARTS_V1"], "inputs_left_out": 0, "queries": 5, "seeds": 1,
        "seed": 0, "rules": "nat", "budget": {"macs": "1.0x"}, "evaluator": "supernet", "scale": SCALE,
        "held_out_split": "selection", "samples": "inputs", "interval_covers": "further inputs like these",
        "baseline": "random", "optimum": None,
        "strategies": {
            "random": _strategy(0.01), "hill_climb": _strategy(0.02) | {"test": test, "verdict": "within noise"},
            "nat": _strategy(0.04) | {"test": test, "verdict": "better"},
        },
    }  # fmt: skip
    (folder / "comparison.json").write_text(json.dumps(values))
    return folder


def _strategy(gain: float) -> dict[str, Any]:
    mean = np.linspace(0, gain, 6)
    band = {name: (mean + by).tolist() for name, by in (("mean", 0.0), ("low", -0.01), ("high", 0.01))}
    return {
        "gain": _span(gain), "held_out": _span(gain), "regret": None, "test": None, "verdict": None,
        "verdict_reason": None, "queries": {"per_input": 5.0, "total": 10.0},
        "curves": {"gain": band, "held_out": band},
    }  # fmt: skip
