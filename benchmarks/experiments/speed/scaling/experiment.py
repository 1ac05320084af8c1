"""How well workers use their time: trainings of candidates, searches of a comparison and lines of ``nat transform`` on
1, 2 and 4 of them, each engine against one process; what a task costs beside its work, at several counts of tasks, and
by how many are under way (of pretended workers); the memory of the command; what follows for many workers and tasks.

Engines are on this machine (``submitit``: its own jobs, without SLURM), so that with more workers than cores there is
nothing to win. Efficiency is the time of one process, divided by the number of workers and the time that they took.

``--only`` measures one of the two. With ``--stream N`` instead of both one stream of so many lines: what comes of each
has to come out in its place, and the memory of the command is looked at after every tenth of them.

``python -m benchmarks scale [--engines NAME ...] [--only work|tasks] [--workers N ...] [--tasks N ...] [--save]``
``python -m benchmarks scale --stream N [--engines NAME ...] [--save]``
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common.results import add_result
from benchmarks.experiments.speed.chaos import installed
from benchmarks.experiments.speed.scaling.stream import stream
from benchmarks.experiments.speed.scaling.tables import ENGINES, STREAM, TASKS, UNDER_WAY
from benchmarks.experiments.speed.scaling.tasks import in_flight, overhead
from benchmarks.experiments.speed.scaling.work import WORK

FEW = 2
"""Workers at most where not their number is looked at."""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--engines", nargs="*", choices=list(ENGINES), default=list(ENGINES))
    parser.add_argument("--only", choices=["work", "tasks"], help="What is measured; both if left out.")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4])
    parser.add_argument("--tasks", type=int, nargs="*", default=[100, 1000, 10_000])
    parser.add_argument("--jobs", type=int, default=100, help="Most tasks of submitit, each a job of its own.")
    parser.add_argument("--pretended", type=int, default=20_000, help="Tasks of pretended workers.")
    parser.add_argument("--trainings", type=int, default=16)
    parser.add_argument("--queries", type=int, default=64)
    parser.add_argument("--lines", type=int, default=8192)
    parser.add_argument("--stream", type=int, default=0, help="Lines of one stream, instead of all else.")


def run(args: argparse.Namespace) -> None:
    for engine in installed(args.engines):
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            if args.stream:
                found = stream(engine, min(FEW, max(args.workers)), args.stream, folder)
                add_result(args.results, f"{engine}{STREAM}", found)
                continue
            if args.only != "tasks":
                add_result(args.results, engine, _work(engine, args, folder))
            if args.only != "work":
                add_result(args.results, f"{engine}{TASKS}", _tasks(engine, args, folder))


def _work(engine: str, args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    counts = dict(zip(WORK, (args.trainings, args.queries, args.lines), strict=True))
    seconds: dict[str, list[float]] = {name: [] for name in WORK}
    for workers in args.workers:
        for name, work in WORK.items():
            took = work(engine, workers, counts[name], folder / f"{name} {workers}")
            seconds[name].append(round(took, 2))
            print(f"{engine}, {workers} workers, {counts[name]} {name}: {took:.1f} s", flush=True)
    cores = len(os.sched_getaffinity(0))
    return {"counts": counts, "cores": cores, "workers": args.workers, "seconds": seconds}


def _tasks(engine: str, args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    under_way = {str(count): round(in_flight(engine, count, args.pretended, folder), 4) for count in UNDER_WAY}
    print(f"{engine}: ms by calls under way: {under_way}", flush=True)
    most, workers = args.jobs if engine == "submitit" else max(args.tasks), min(FEW, max(args.workers))
    counts = list(dict.fromkeys(min(count, most) for count in args.tasks))
    rows = overhead(engine, workers, counts, folder / "tasks")
    for row in rows:
        print(f"{engine}: {row}", flush=True)
    return {"workers": workers, "in_flight": under_way, "overhead": rows}
