"""How well workers use their time: trainings of candidates, searches of a comparison and lines of ``nat transform`` on
1, 2 and 4 of them, each engine against one process; what a task costs beside its work, at several counts of tasks, and
by how many are under way (of pretended workers); the memory of the command; what follows for many workers and tasks.

Engines are on this machine (``submitit``: its own jobs, without SLURM), so that with more workers than cores there is
nothing to win. Efficiency is the time of one process, divided by the number of workers and the time that they took.

With ``--stream N`` instead of all that one stream of so many lines: what comes of each has to come out in its place,
and the memory of the command is looked at after every tenth of them.

``python -m benchmarks scale [--engines NAME ...] [--workers N ...] [--tasks N ...] [--jobs N] [--lines N] [--save]``
``python -m benchmarks scale --stream N [--engines NAME ...] [--save]``
"""

from __future__ import annotations

import argparse
import operator
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from functools import partial
from itertools import chain, cycle, islice, product
from pathlib import Path
from typing import IO, Any, ClassVar
from unittest.mock import patch

from benchmarks.common.results import add_result
from benchmarks.experiments.speed.chaos import RECIPE, begun_by, installed
from nat_plugin.cli.transforming import Done, Printing, StreamRequest, Wrong, by_executor
from nat_plugin.comparisons.compare import compare
from nat_plugin.comparisons.recipe import plan_comparison
from nat_plugin.execution import local
from nat_plugin.execution.base import Executor, ExecutorSettings
from nat_plugin.execution.calls import ExecutorCall, answers
from nat_plugin.execution.choosing import chosen_executor, find_executor
from nat_plugin.execution.local import LocalExecutor
from nat_plugin.plugins import plugins
from nat_plugin.runs.progress import Silent
from nat_plugin.runs.recipe import plan
from nat_plugin.runs.run import start
from nat_plugin.sources import Source, find_adapter

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


OPS = ("nor_conv_3x3", "nor_conv_1x1", "skip_connect", "avg_pool_3x3")
CELLS = ["|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|".format(*ops) for ops in product(OPS, repeat=6)]
ASKED = StreamRequest("general", (), (), (("rules", "nat"),), "cpu", (None,) * 4, False)
PART = 512
"""Lines of a task."""
MANY, TASKS = 1_000, 1_000_000
"""Workers and tasks that nobody has here."""
IN_FLIGHT, PRETENDED = (2, 100, MANY), 20_000
"""Calls under way at a time on pretended workers, and tasks that these are given."""
STREAM = "-stream"
"""Ends the name of what is kept of a stream, which begins with its engine."""
SOURCES = {
    **{key: list(ENGINES) for key in ("scale", "scale-overhead", "scale-in-flight", "scale-on-paper")},
    "scale-stream": [f"{name}{STREAM}" for name in ENGINES],
}
"""Of tables: what they are made of."""


nothing = operator.index
"""A task without work, of a module that every process has: what it costs is its own."""


class PretendedPool:
    """Stands in for a process, of which no machine has so many: what it is given is done at once, behind what else is
    under way."""

    waiting: ClassVar[deque[tuple[Future[Any], partial[Any]]]] = deque()

    def __init__(self, *_: Any) -> None: ...

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.waiting.append((future, partial(function, *arguments)))
        return future

    def close(self) -> None: ...


class PretendedExecutor(Executor):
    """An engine of which no more is known than how many workers it has."""

    @property
    def lost(self) -> tuple[type[BaseException], ...]:
        return ()

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        return PretendedPool().submit(function, *arguments)

    def close(self, at_once: bool) -> None: ...


def in_flight(engine: str, workers: int, tasks: int, folder: Path) -> float:
    """Milliseconds of this process for a task without work while so many are under way: of the loop that hands them
    out and, with local workers, of what is kept of each."""
    kind = LocalExecutor if engine == "local" else PretendedExecutor
    waiting, numbers = PretendedPool.waiting, iter(range(tasks + workers))

    def following() -> ExecutorCall[int] | None:
        if len(waiting) >= workers - 1:  # the one that has waited longest is done meanwhile
            future, call = waiting.popleft()
            future.set_result(call())
        number = next(numbers, None)
        return None if number is None else ExecutorCall(number, nothing, (number,))

    with patch.object(local, "WorkerPool", PretendedPool), kind(ExecutorSettings(workers=workers), folder) as executor:
        found = answers(executor, following)
        for _ in range(workers):  # until all are under way
            next(found)
        since = time.process_time()
        for _ in range(tasks - workers):
            next(found)
        took = time.process_time() - since
        waiting.clear()
    return 1000 * took / (tasks - workers)


def begun(engine: str, workers: int, folder: Path) -> Executor:
    return find_executor(*chosen_executor({**ENGINES[engine], "workers": workers}, plugins()), folder, plugins())


def memory(process: int | str = "self") -> float:
    """MB that a process has now; none where it has ended."""
    try:
        with open(f"/proc/{process}/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize() / 2**20
    except FileNotFoundError:
        return 0.0


def overhead(engine: str, workers: int, counts: list[int], folder: Path) -> list[dict[str, float]]:
    """Of tasks without work: milliseconds of each, once workers are there, of them those that this process computed,
    and its memory before and after."""
    rows = []
    with begun(engine, workers, folder) as executor:
        _all(executor, workers)  # so that they have begun
        for count in counts:
            before, since, computed = memory(), time.perf_counter(), time.process_time()
            assert _all(executor, count) == count * (count - 1) // 2
            took, computed = time.perf_counter() - since, time.process_time() - computed
            row = {"ms": 1000 * took / count, "ms_command": 1000 * computed / count}
            rows.append({"tasks": count, **row, "mb_before": before, "mb_after": memory()})
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


def lines(engine: str, workers: int, count: int, folder: Path) -> float:
    """Seconds of ``nat transform`` of so many cells of NAS-Bench-201."""
    folder.mkdir()
    sources = sources_of(list(islice(cycle(CELLS), count)))
    parts: Iterator[list[Source | Wrong]] = ([*sources[at : at + PART]] for at in range(0, count, PART))
    settings = chosen_executor({**ENGINES[engine], "workers": workers}, plugins())[1]
    since = time.perf_counter()
    done = list(chain.from_iterable(by_executor(engine, settings, ASKED, parts, lambda: True)))
    assert sum(isinstance(each, Done) for each in done) == count
    return time.perf_counter() - since


def sources_of(texts: list[str]) -> list[Source]:
    adapter = find_adapter("nasbench201", plugins())
    return [Source(text, adapter, "a cell") for text in texts]


def stream(engine: str, workers: int, count: int, folder: Path) -> dict[str, Any]:
    """The same cells over and over through the command; after every tenth of the lines the MB of it and of the largest
    process that it began. AssertionError where not every line comes out in its place."""
    found = Printing(ASKED.prepared(), ASKED.size, False).of(sources_of(CELLS))
    expected = [each.text for each in found if isinstance(each, Done)]
    settings = {**ENGINES[engine], "workers": workers}
    words = chain.from_iterable(("--executor", f"{name}={value}") for name, value in settings.items())
    call = [sys.executable, "-m", "nat_plugin", "transform", "-", "--adapter", "nasbench201", "--device", "cpu", *words]
    since, moments = time.perf_counter(), []
    with subprocess.Popen(call, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        threading.Thread(target=_give, args=(process.stdin, count), daemon=True).start()
        number = 0
        for number, line in enumerate(process.stdout, start=1):
            assert line.rstrip("\n") == expected[(number - 1) % len(expected)], f"line {number}: {line}"
            if number % max(1, count // 10) == 0:
                row = {"lines": number, "seconds": time.perf_counter() - since, "mb": memory(process.pid)}
                most = max(map(memory, begun_by(process.pid)), default=0.0)
                moments.append({name: round(value, 1) for name, value in {**row, "mb_worker": most}.items()})
                print(f"{engine}: {moments[-1]}", flush=True)
    assert (process.returncode, number) == (0, count)
    return {"workers": workers, "lines": count, "cores": len(os.sched_getaffinity(0)), "moments": moments}


def _give(file: IO[str], count: int) -> None:
    with file:
        for cell in islice(cycle(CELLS), count):
            file.write(cell + "\n")


WORK = {"trainings of a run": trainings, "searches of a comparison": searches, "lines of a stream": lines}


def tables_of(results: Mapping[str, Any]) -> dict[str, str]:
    """Markdown by the name of the place in the documentation."""
    streams = {name: found for name, found in results.items() if name in SOURCES["scale-stream"]}
    engines = {name: found for name, found in results.items() if name not in streams}
    return (_tables_of(engines) if engines else {}) | ({"scale-stream": _streams(streams)} if streams else {})


def _streams(results: Mapping[str, Any]) -> str:
    rows = [
        "| engine | workers | lines | MB of the command | MB of the largest worker |",
        "|---|---|---|---|---|",
    ]
    for name, found in results.items():
        for row in found["moments"]:
            figures = f"{row['lines']:,} | {row['mb']:,.0f} | {row['mb_worker']:,.0f}"
            rows.append(f"| {name.removesuffix(STREAM)} | {found['workers']} | {figures} |")
    return "\n".join(rows)


def _tables_of(results: Mapping[str, Any]) -> dict[str, str]:
    first = next(iter(results.values()))
    alone = {name: row[0] for name, row in results.get("local", first)["seconds"].items()}
    rows = [f"| {first['cores']} cores | workers | " + " | ".join(f"{name}: s | efficiency" for name in WORK) + " |"]
    rows.append("|---" * (2 + 2 * len(WORK)) + "|")
    costs = [
        "| engine | workers | tasks | ms for a task | of these of the command | MB of the command before and after |",
        "|---|---|---|---|---|---|",
    ]
    for engine, found in results.items():
        for number, workers in enumerate(found["workers"]):
            cells = [
                f"{row[number]:.1f} | {alone[name] / workers / row[number]:.0%}"
                for name, row in found["seconds"].items()
            ]
            rows.append(f"| {engine} | {workers} | " + " | ".join(cells) + " |")
        for row in found["overhead"]:
            mb = f"{row['mb_before']:.0f}, {row['mb_after']:.0f}"
            costs.append(
                f"| {engine} | {found['overhead_workers']} | {row['tasks']:,} | {row['ms']:.2f} | "
                f"{row['ms_command']:.2f} | {mb} |"
            )
    found = {"scale": "\n".join(rows), "scale-overhead": "\n".join(costs), "scale-on-paper": _on_paper(results)}
    return found | ({"scale-in-flight": _in_flight(results)} if "in_flight" in first else {})


def _in_flight(results: Mapping[str, Any]) -> str:
    counts = next(iter(results.values()))["in_flight"]
    rows = ["| ms of the command for a task | " + " | ".join(f"{int(count):,} under way" for count in counts) + " |"]
    rows.append("|---" * (1 + len(counts)) + "|")
    rows += [
        f"| {engine} | " + " | ".join(f"{ms:.3f}" for ms in found["in_flight"].values()) + " |"
        for engine, found in results.items()
    ]
    return "\n".join(rows)


def _on_paper(results: Mapping[str, Any]) -> str:
    """What limits each engine: the time of the command for a task, as it was with the most tasks, and what more it
    takes where many are under way."""
    rows = [
        f"| engine | tasks handed out in a second | {MANY:,} workers are busy with tasks of | time of the command for "
        f"{TASKS:,} tasks | its memory for them | share of a training of an hour |",
        "|---|---|---|---|---|---|",
    ]
    for engine, found in results.items():
        most = max(found["overhead"], key=lambda row: float(row["tasks"]))
        more = found.get("in_flight", {str(MANY): 0.0, str(IN_FLIGHT[0]): 0.0})
        seconds = max(most["ms_command"] + max(0.0, more[str(MANY)] - more[str(IN_FLIGHT[0])]), 1e-6) / 1000
        grown = max(0.0, most["mb_after"] - most["mb_before"]) / most["tasks"] * TASKS
        rows.append(
            f"| {engine} | {1 / seconds:,.0f} | {MANY * seconds:,.1f} s and more | {TASKS * seconds / 3600:,.1f} h | "
            f"{grown:+,.0f} MB, as it grew over {most['tasks']:,} | {seconds / 3600:.1e} |"
        )
    return "\n".join(rows)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--engines", nargs="*", choices=list(ENGINES), default=list(ENGINES))
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4])
    parser.add_argument("--tasks", type=int, nargs="*", default=[100, 1000, 10_000])
    parser.add_argument("--jobs", type=int, default=100, help="Most tasks of submitit, each a job of its own.")
    parser.add_argument("--pretended", type=int, default=PRETENDED, help="Tasks of pretended workers.")
    parser.add_argument("--trainings", type=int, default=16)
    parser.add_argument("--queries", type=int, default=64)
    parser.add_argument("--lines", type=int, default=8192)
    parser.add_argument("--stream", type=int, default=0, help="Lines of one stream, instead of all else.")


def run(args: argparse.Namespace) -> None:
    for engine in installed(args.engines):
        if args.stream:
            with tempfile.TemporaryDirectory() as scratch:
                found = stream(engine, min(2, max(args.workers)), args.stream, Path(scratch))
            add_result(args.results, f"{engine}{STREAM}", found)
            continue
        counts = (args.trainings, args.queries, args.lines)
        found = {
            "counts": dict(zip(WORK, counts, strict=True)),
            "cores": len(os.sched_getaffinity(0)),
            "workers": args.workers,
        }
        found |= {"overhead_workers": min(2, max(args.workers)), "seconds": {name: [] for name in WORK}}
        with tempfile.TemporaryDirectory() as scratch:
            for workers in args.workers:
                for name, work in WORK.items():
                    count = found["counts"][name]
                    seconds = work(engine, workers, count, Path(scratch, f"{name} {workers}"))
                    found["seconds"][name].append(round(seconds, 2))
                    print(f"{engine}, {workers} workers, {count} {name}: {seconds:.1f} s", flush=True)
            most = args.jobs if engine == "submitit" else max(args.tasks)
            tasks = list(dict.fromkeys(min(count, most) for count in args.tasks))
            found["in_flight"] = {
                str(count): round(in_flight(engine, count, args.pretended, Path(scratch)), 4) for count in IN_FLIGHT
            }
            print(f"{engine}: ms by calls under way: {found['in_flight']}", flush=True)
            found["overhead"] = overhead(engine, found["overhead_workers"], tasks, Path(scratch, "tasks"))
        for row in found["overhead"]:
            print(f"{engine}: {row}", flush=True)
        add_result(args.results, engine, found)
