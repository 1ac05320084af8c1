"""Two devices against one, with the same batches: a supernet, a model of timm in adaptation, a final training.

The devices are processes of this CPU, connected by gloo as Lightning Fabric does it. The loss of each step in two
processes is compared with that in one; so are trainings that one of them began and the other went on with. That is in
float64: in float32 rounding alone, which depends on the order of sums, leads such trainings apart. How far is shown by
one process whose weights differ by a ten-millionth at the beginning; where that begins, by how far the first losses of
one and of two processes are from those in float64; and how it ends at a lower learning rate, where rounding hardly
grows.

    python -m benchmarks training-devices --save
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.common.results import ROOT, add_result
from benchmarks.experiments.training.learners import SLOW, SUBJECTS, Curves
from nat_plugin.parallel.ranks import ALONE

NOISE = 1e-7
EARLY = 3
"""Steps in which a difference begins."""
IN_FLOAT64 = ("two devices", "two, then one", "one, then two")
IN_FLOAT32 = ("two, float32", "one, float32, disturbed", "two, float32, low rate")
FROM_FLOAT64 = ("one, first steps", "two, first steps")
COLUMNS = (*IN_FLOAT64, *IN_FLOAT32, *FROM_FLOAT64)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--steps", type=int, default=50)


def run(args: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        found = compared(args.steps, Path(scratch))
    print(f"{'largest difference in loss':<28}" + "".join(f"{name:>25}" for name in COLUMNS))
    for subject, each in found.items():
        print(f"{subject:<28}" + "".join(f"{cell:>25}" for cell in _cells(each, COLUMNS)))
    add_result(args.results, "cpu", {"steps": args.steps, "subjects": found})


def compared(steps: int, folder: Path) -> dict[str, Any]:
    """Of each subject the losses of one process by step, and the largest difference of others from them."""
    alone = Curves(ALONE, steps, folder)
    single, disturbed, slow = (
        Curves(ALONE, steps, None, torch.float32, noise, rate)
        for noise, rate in ((0.0, 1.0), (NOISE, 1.0), (0.0, SLOW))
    )
    one = {name: alone.in_one_go(name) for name in SUBJECTS}
    words = [sys.executable, "-m", "benchmarks.experiments.training.learners", str(folder), str(steps)]
    subprocess.run(words, cwd=ROOT, check=True)
    two = json.loads((folder / "two.json").read_text(encoding="utf-8"))
    found = {}
    for name in SUBJECTS:
        in_float32, at_low_rate = single.in_one_go(name), slow.in_one_go(name)
        pairs = (
            (one[name], two[name]["in one go"]),
            (one[name], alone.resumed(name, 2)),
            (one[name], two[name]["resumed"]),
            (in_float32, two[name]["float32"]),
            (in_float32, disturbed.in_one_go(name)),
            (at_low_rate, two[name]["float32, slow"]),
            (one[name][:EARLY], in_float32[:EARLY]),
            (one[name][:EARLY], two[name]["float32"][:EARLY]),
        )
        differences = dict(zip(COLUMNS, (_largest(*each) for each in pairs), strict=True))
        found[name] = {"losses": one[name], "low rate": at_low_rate, "differences": differences}
    return found


def _largest(losses: list[float], others: list[float]) -> float:
    """Of the steps that both have, which are the last ones."""
    return max(abs(one - other) for one, other in zip(losses[-len(others) :], others, strict=True))


def tables_of(results: Mapping[str, Any]) -> dict[str, str]:
    """Markdown by the name of the place in the documentation."""
    subjects = {name: each for found in results.values() for name, each in found["subjects"].items()}
    by_table = {
        "training-devices": ("loss, first and last step", "losses", IN_FLOAT64),
        "training-devices-float32": ("loss at low rate", "low rate", (*IN_FLOAT32, *FROM_FLOAT64)),
    }
    return {
        table: _table(
            (head, *columns), {name: [_ends(each[key]), *_cells(each, columns)] for name, each in subjects.items()}
        )
        for table, (head, key, columns) in by_table.items()
    }


def _ends(losses: Sequence[float]) -> str:
    return f"{losses[0]:.3f}, {losses[-1]:.3f}"


def _cells(subject: Mapping[str, Any], columns: Sequence[str]) -> list[str]:
    return [f"{subject['differences'][name]:.1e}" for name in columns]


def _table(columns: Sequence[str], rows: Mapping[str, Sequence[str]]) -> str:
    head = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    return "\n".join([*head, *(f"| {name} | " + " | ".join(cells) + " |" for name, cells in rows.items())])
