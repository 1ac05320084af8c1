"""How well workers use their time: trainings of candidates and searches of a comparison on 1, 2 and 4 of them, each
engine against one process; what a task costs beside its work, at several counts of tasks; the memory of the command.

Engines are on this machine (``submitit``: its own jobs, without SLURM), so that with more workers than cores there is
nothing to win. Efficiency is the time of one process, divided by the number of workers and the time that they took.

``python -m benchmarks scale [--engines NAME ...] [--workers N ...] [--tasks N ...] [--jobs N] [--save]``
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.common.results import add_result
from benchmarks.experiments.speed.chaos import RECIPE, installed
from nat_plugin.comparisons.compare import compare
from nat_plugin.comparisons.recipe import plan_comparison
from nat_plugin.execution.base import Executor
from nat_plugin.execution.calls import ExecutorCall, answers
from nat_plugin.execution.choosing import check_executor, find_executor
from nat_plugin.plugins import plugins
from nat_plugin.runs.progress import Silent
from nat_plugin.runs.recipe import plan
from nat_plugin.runs.run import start

ENGINES: dict[str, dict[str, Any]] = {
    "local": {"name": "local"},
    "ray": {"name": "ray"},
    "submitit": {"name": "submitit", "cluster": "local"},
}
COMPARISON: dict[str, Any] = {
    "sources": ["DARTS_V2", "DARTS_V1"],
    "network": {"channels": 8, "cells": 3},
    "evaluator": {"name": "supernet", "batch": 64, "reward_images": None, "data": {"name": "digits", "limit": 600}},
    "strategies": {"random": {}, "hill_climb": {}},
    "seeds": 1,
    "threads": 1,
    "device": "cpu",
}


def nothing(number: int) -> int:
    """A task without work."""
    return number


def begun(engine: str, workers: int, folder: Path) -> Executor:
    values, mistakes = {**ENGINES[engine], "workers": workers}, list[str]()
    settings = check_executor(values, plugins(), mistakes)
    assert settings is not None, mistakes
    return find_executor(engine, settings, folder, plugins())


def memory() -> float:
    """MB that this process has now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def overhead(engine: str, workers: int, counts: list[int], folder: Path) -> list[dict[str, float]]:
    """Of tasks without work: milliseconds of each, once workers are there, and the memory of this process before and
    after."""
    rows = []
    with begun(engine, workers, folder) as executor:
        _all(executor, workers)  # so that they have begun
        for count in counts:
            before, since = memory(), time.perf_counter()
            assert _all(executor, count) == count * (count - 1) // 2
            took = time.perf_counter() - since
            rows.append({"tasks": count, "ms": 1000 * took / count, "mb_before": before, "mb_after": memory()})
    return rows


def _all(executor: Executor, count: int) -> int:
    calls = iter(ExecutorCall(number, nothing, (number,)) for number in range(count))
    return sum(answer.value for answer in answers(executor, lambda: next(calls, None)))


def trainings(engine: str, workers: int, count: int, folder: Path) -> float:
    """Seconds of a run that trains so many candidates."""
    recipe = {
        **RECIPE,
        "search": {"rounds": 1, "proposals": count},
        "executor": {**ENGINES[engine], "workers": workers},
    }
    recipe["evaluator"] = {**recipe["evaluator"], "schedule": {**recipe["evaluator"]["schedule"], "epochs": 8}}
    since = time.perf_counter()
    start(plan(recipe, plugins()), folder, plugins(), Silent())
    return time.perf_counter() - since


def searches(engine: str, workers: int, queries: int, folder: Path) -> float:
    """Seconds of a comparison of four searches."""
    recipe = {**COMPARISON, "queries": queries, "executor": {**ENGINES[engine], "workers": workers}}
    since = time.perf_counter()
    compare(plan_comparison(recipe, plugins()), folder, plugins(), Silent())
    return time.perf_counter() - since


WORK = {"trainings of a run": trainings, "searches of a comparison": searches}


def tables_of(results: Mapping[str, Any]) -> dict[str, str]:
    """Markdown by the name of the place in the documentation."""
    first = next(iter(results.values()))
    lines = [f"| {first['cores']} cores | workers | " + " | ".join(f"{name}: s | efficiency" for name in WORK) + " |"]
    lines.append("|---" * (2 + 2 * len(WORK)) + "|")
    costs = [
        "| engine | workers | tasks | ms for a task | MB of the command before and after |",
        "|---|---|---|---|---|",
    ]
    for engine, found in results.items():
        for number, workers in enumerate(found["workers"]):
            cells = [
                f"{row[number]:.1f} | {results['local']['seconds'][name][0] / workers / row[number]:.0%}"
                for name, row in found["seconds"].items()
            ]
            lines.append(f"| {engine} | {workers} | " + " | ".join(cells) + " |")
        for row in found["overhead"]:
            mb = f"{row['mb_before']:.0f}, {row['mb_after']:.0f}"
            costs.append(f"| {engine} | {found['overhead_workers']} | {row['tasks']:,} | {row['ms']:.2f} | {mb} |")
    return {"scale": "\n".join(lines), "scale-overhead": "\n".join(costs)}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--engines", nargs="*", choices=list(ENGINES), default=list(ENGINES))
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4])
    parser.add_argument("--tasks", type=int, nargs="*", default=[100, 1000, 10_000])
    parser.add_argument("--jobs", type=int, default=100, help="Most tasks of submitit, each a job of its own.")
    parser.add_argument("--trainings", type=int, default=16)
    parser.add_argument("--queries", type=int, default=64)


def run(args: argparse.Namespace) -> None:
    for engine in installed(args.engines):
        found: dict[str, Any] = {"cores": len(os.sched_getaffinity(0)), "workers": args.workers}
        found |= {"overhead_workers": min(2, max(args.workers)), "seconds": {name: [] for name in WORK}}
        with tempfile.TemporaryDirectory() as scratch:
            for workers in args.workers:
                for name, (count, work) in zip(
                    WORK, ((args.trainings, trainings), (args.queries, searches)), strict=True
                ):
                    seconds = work(engine, workers, count, Path(scratch, f"{name} {workers}"))
                    found["seconds"][name].append(round(seconds, 2))
                    print(f"{engine}, {workers} workers, {count} {name}: {seconds:.1f} s", flush=True)
            most = args.jobs if engine == "submitit" else max(args.tasks)
            counts = [min(count, most) for count in args.tasks]
            found["overhead"] = overhead(
                engine, found["overhead_workers"], list(dict.fromkeys(counts)), Path(scratch, "tasks")
            )
        for row in found["overhead"]:
            print(f"{engine}: {row}", flush=True)
        add_result(args.results, engine, found)
