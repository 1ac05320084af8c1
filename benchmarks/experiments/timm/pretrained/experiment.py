"""Pretrained models made faster: what is left of their accuracy, by every method, at the same limits and pictures.

Of each model and split the pictures to work with are for fitting, choosing and tuning, by all methods alike; the
others are for the figures and for nothing else. ``--tunings none``: no training at all; operations that were put in
place of blocks, and what reads a cut, are fitted by least squares, running statistics estimated anew; ``distil``: then
two epochs of distillation, without labels. What a method gives is saved, and loaded by another process, which says what
it gets right and times it in turns with the model. Every figure is kept in ``--out``, and what is there is not done
again, so parts may run at different times; ``--save`` keeps all of them.

    python -m benchmarks timm-pretrained --out pretrained --models mobilenetv2_100 --limits macs=0.8x --save
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import timm
import torch
from torch import nn

from benchmarks.common.results import ROOT, add_result
from benchmarks.experiments.timm.pretrained.bench import Bench, Lengths, Limit
from benchmarks.experiments.timm.pretrained.methods import METHODS, TUNINGS
from benchmarks.experiments.timm.pretrained.reload import STOCK, saved
from benchmarks.experiments.timm.pretrained.subjects import QUICK, SUBJECTS, Files
from benchmarks.experiments.timm.pretrained.tables import ORIGINAL, tables_of
from nat_plugin.errors import NATError

LIMITS = (
    "macs=0.8x",
    "macs=0.6x",
    *(f"latency={share}x@{batch}" for batch in (1, 32) for share in (0.8, 0.7, 0.6)),
)


class Case:
    """A model and a split, with a folder for all that is known of it."""

    def __init__(self, args: argparse.Namespace, name: str, split: int) -> None:
        self.args, self.name, self.split = args, name, split
        self.folder = Path(args.out / name / str(split)).absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.files = Files(args.data.absolute(), args.out)
        options = f"{args.evaluations} measurements of {args.measured} pictures, {args.candidates} candidates\n"
        noted = self.folder / "options.txt"
        if noted.exists() and noted.read_text() != options:
            raise NATError(f"{self.folder} is of other options; choose another --out")
        noted.write_text(options)

    @cached_property
    def model(self) -> nn.Module:
        return SUBJECTS[self.name].make(self.files, self.split)

    @cached_property
    def bench(self) -> Bench:
        lengths = Lengths(self.args.evaluations, self.args.measured, self.args.candidates)
        subject = SUBJECTS[self.name]
        return Bench(subject, self.model, subject.split(self.files, self.split), self.split, lengths)

    def run(self) -> None:
        self.make_all()
        self.reload()

    def make_all(self) -> None:
        original = self.folder / ORIGINAL
        if not original.exists():
            saved(self.model, original, by_timm=True)
        for name, share in SUBJECTS[self.name].stock.items():
            self.stock(name, share)
        for tuning in self.args.tunings:
            for limit in self.args.limits:
                for method in self.args.methods:
                    self.make(f"{tuning}, {limit}, {method}")

    def make(self, name: str) -> None:
        """What a method gives, in a folder of its own."""
        tuning, limit, method = name.split(", ")
        noted = self.folder / f"{name}.made"
        if noted.exists():
            return
        begun, note = time.process_time(), {}
        try:
            found = METHODS[method].choose(self.bench, Limit(limit), TUNINGS[tuning])
            saved(found, self.folder / name, by_timm=METHODS[method].by_timm)
        except NATError as error:
            note = {"failed": str(error)}
        noted.write_text(json.dumps({"cpu_seconds": time.process_time() - begun} | note))
        print(f"{self.name} {self.split}, {name}: {noted.read_text()}", flush=True)

    def stock(self, name: str, share: float) -> None:
        """A model of timm without its weights: its latency is its own all the same."""
        noted = self.folder / f"{STOCK}{name}.made"
        if not noted.exists():
            saved(timm.create_model(name).eval(), self.folder / noted.stem, by_timm=True)
            noted.write_text(json.dumps({"table": share}))

    def reload(self) -> None:
        """Figures of all that was made and has none yet."""
        made = [ORIGINAL, *(path.stem for path in sorted(self.folder.glob("*.made")))]
        wanted = [name for name in made if (self.folder / name).exists() and not self._figures(name).exists()]
        if not wanted:
            return
        words = [sys.executable, "-m", "benchmarks.experiments.timm.pretrained.reload"]
        words += [str(self.folder / name) for name in wanted]
        words += ["--original", str(self.folder / ORIGINAL), "--model", self.name, "--split", str(self.split)]
        words += ["--data", str(self.files.data)]
        words += ["--batches", *map(str, self.args.batches)]
        with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for name, line in zip(wanted, process.stdout, strict=False):
                self._figures(name).write_text(line)
                found = json.loads(line)
                hits = found.pop("right", "0")
                print(f"{self.name} {self.split}, {name}: {hits.count('1') / len(hits):.2%} {found}", flush=True)
        if process.returncode:
            raise NATError(f"{self.folder}: what was saved could not be reloaded")

    def _figures(self, name: str) -> Path:
        return self.folder / f"{name}.json"


def entries(out: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Of every model: by split and name all that is known."""
    for name in SUBJECTS:
        splits = {folder.name: _known(folder) for folder in sorted((out / name).glob("*"))}
        having = {split: found for split, found in splits.items() if ORIGINAL in found}
        if having:
            yield name, having


def _known(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = {"options": (folder / "options.txt").read_text().strip()}
    for path in sorted([*folder.glob("*.json"), *folder.glob("*.made")]):
        found[path.stem] = found.get(path.stem, {}) | json.loads(path.read_text())
    return found


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--models", nargs="+", choices=SUBJECTS, default=[name for name in SUBJECTS if name != QUICK])
    parser.add_argument("--limits", nargs="+", default=LIMITS)
    parser.add_argument("--splits", type=int, nargs="+", default=[0, 1, 2, 3, 4], help="Seeds.")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=tuple(METHODS))
    parser.add_argument("--tunings", nargs="+", choices=TUNINGS, default=tuple(TUNINGS))
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 32], help="Pictures in a pass that is timed.")
    parser.add_argument("--evaluations", type=int, default=16, help="Combinations that a search fits.")
    parser.add_argument("--measured", type=int, default=48, help="Pictures of an evaluation.")
    parser.add_argument("--candidates", type=int, default=2, help="To fit and tune, of which the best counts.")


def run(args: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    for name in args.models:
        for split in args.splits:
            Case(args, name, split).run()
    known = {name: {"splits": splits} for name, splits in entries(args.out)}
    tables = tables_of(known)
    for name, table in tables.items():
        print(f"{name}\n{table}\n")
    for name, found in known.items():
        add_result(args.results, name, found)
