"""One long stream of ``nat transform``: every line in its place, and what memory it takes on the way."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from itertools import chain, cycle, islice
from pathlib import Path
from typing import IO, Any

from benchmarks.experiments.speed.chaos import begun_by
from benchmarks.experiments.speed.scaling.memory import memory
from benchmarks.experiments.speed.scaling.work import ASKED, CELLS, EXECUTORS, sources_of
from nat_plugin.cli.transforming import Done, Printing

LOST = 60.0
"""Seconds after which a line that has not come does not come."""


def stream(engine: str, workers: int, count: int, folder: Path) -> dict[str, Any]:
    """The same cells over and over through the command; after every tenth of the lines the MB of it and of the largest
    process that it began. AssertionError where not every line comes out in its place."""
    found = Printing(ASKED.prepared(), ASKED.size, False).of(sources_of(CELLS))
    expected = [each.text for each in found if isinstance(each, Done)]
    settings = {**EXECUTORS[engine], "workers": workers}
    words = chain.from_iterable(("--executor", f"{name}={value}") for name, value in settings.items())
    call = [sys.executable, "-m", "nat_plugin", "transform", "-", "--adapter", "nasbench201", "--device", "cpu", *words]
    since, moments = time.perf_counter(), []
    with subprocess.Popen(call, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        read = threading.Event()
        threading.Thread(target=_give, args=(process.stdin, count, read), daemon=True).start()
        number = 0
        for number, line in enumerate(process.stdout, start=1):
            assert line.rstrip("\n") == expected[(number - 1) % len(expected)], f"line {number}: {line}"
            if number % max(1, count // 10) == 0:
                row = {"lines": number, "seconds": time.perf_counter() - since, "mb": memory(process.pid)}
                most = max(map(memory, begun_by(process.pid)), default=0.0)
                moments.append({name: round(value, 1) for name, value in {**row, "mb_worker": most}.items()})
                print(f"{engine}: {moments[-1]}", flush=True)
            if number == count:
                read.set()
    assert (process.returncode, number) == (0, count)
    return {"workers": workers, "lines": count, "cores": len(os.sched_getaffinity(0)), "moments": moments}


def _give(file: IO[str], count: int, read: threading.Event) -> None:
    """The file is closed once all that came of it was read: a process that has ended has no memory to look at."""
    with file:
        for cell in islice(cycle(CELLS), count):
            file.write(cell + "\n")
        file.flush()
        read.wait(LOST)
