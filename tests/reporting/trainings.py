"""The folder of a training of a policy, the same on every machine: all figures are made up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nat_plugin.policy.training.record import TrainingRecord
from nat_plugin.runs.record import RunSource

RECIPE = {"sources": [{"table": "one.csv"}, {"table": "two.csv"}], "rules": ["nat", "nat++"], "device": "cpu"}


def write_training(folder: Path) -> Path:
    """Of two tasks, one of them with a limit, with the curves of a critic and of a policy in two stages."""
    folder.mkdir()
    TrainingRecord.of(RECIPE, RunSource("one.csv", "nasbench201", "one"), []).write(folder)
    values = {
        "version": "0.1.0", "name": "general", "seed": 0, "rules": ["nat", "nat++"], "objective": "exact",
        "inputs": 400, "updates": 40, "seconds": 120.0,
        "tasks": {"one": _task(0.9, {"macs": "0.8x"}), "two": _task(0.6, {})},
    }  # fmt: skip
    (folder / "result.json").write_text(json.dumps(values))
    lines: list[dict[str, Any]] = [
        {"stage": 0, "critic_step": step, "critic_loss": 2.0 / step} for step in (1, 10, 20, 40)
    ]
    lines += [
        {"stage": stage, "update": update, "gain": 0.1 * update * (stage + 1)}
        for stage in (0, 1)
        for update in (1, 5, 10)
    ]
    (folder / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def _task(share: float, limits: dict[str, str]) -> dict[str, Any]:
    gains = [
        {"rules": rules, "limits": each, "inputs": 100, "known": 98, "gain": 2.0 * share, "worse": 0.1, "best": 2.0,
         "share": share}
        for rules in ("nat", "nat++")
        for each in ({}, limits)[: 1 + bool(limits)]
    ]  # fmt: skip
    bins = [{"pairs": 50, "said": said, "true": said * share} for said in (0.1, 0.5, 0.9)]
    return {
        "what": "accuracy", "space": "NAS-Bench-201", "networks": 1000, "held_out": 200, "evaluations": 500,
        "failed": 0, "distinct": 450, "left_out": ["3 networks that are not connected"], "gains": gains,
        "critic": {"networks": 200, "spearman": share, "pairs": 150, "error": 0.05, "bins": bins},
    }  # fmt: skip
