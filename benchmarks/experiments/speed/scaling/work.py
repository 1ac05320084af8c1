"""The same work by several workers of an engine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import chain, cycle, islice, product
from pathlib import Path
from typing import Any

from benchmarks.experiments.speed.chaos import RECIPE
from nat_plugin.cli.transforming import Done, StreamRequest, Wrong, by_executor
from nat_plugin.comparisons.compare import compare
from nat_plugin.comparisons.recipe import plan_comparison
from nat_plugin.execution.choosing import chosen_executor
from nat_plugin.plugins import plugins
from nat_plugin.runs.progress import Silent
from nat_plugin.runs.recipe import plan
from nat_plugin.runs.run import start
from nat_plugin.sources import Source, find_adapter

EXECUTORS: dict[str, dict[str, Any]] = {
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
EPOCHS = 320
"""Of a training: five seconds, so that the start of workers is not all that is seen."""


def trainings(engine: str, workers: int, count: int, folder: Path) -> float:
    """Seconds of a run that trains so many candidates."""
    recipe = {
        **RECIPE,
        "search": {"rounds": 1, "proposals": count},
        "executor": {**EXECUTORS[engine], "workers": workers},
    }
    recipe["evaluator"] = {**recipe["evaluator"], "schedule": {**recipe["evaluator"]["schedule"], "epochs": EPOCHS}}
    since = time.perf_counter()
    start(plan(recipe, plugins()), folder, plugins(), Silent())
    return time.perf_counter() - since


def searches(engine: str, workers: int, queries: int, folder: Path) -> float:
    """Seconds of a comparison of four searches."""
    recipe = {**COMPARISON, "queries": queries, "executor": {**EXECUTORS[engine], "workers": workers}}
    since = time.perf_counter()
    compare(plan_comparison(recipe, plugins()), folder, plugins(), Silent())
    return time.perf_counter() - since


def lines(engine: str, workers: int, count: int, folder: Path) -> float:
    """Seconds of ``nat transform`` of so many cells of NAS-Bench-201."""
    folder.mkdir()
    sources = sources_of(list(islice(cycle(CELLS), count)))
    parts: Iterator[list[Source | Wrong]] = ([*sources[at : at + PART]] for at in range(0, count, PART))
    settings = chosen_executor({**EXECUTORS[engine], "workers": workers}, plugins())[1]
    since = time.perf_counter()
    done = list(chain.from_iterable(by_executor(engine, settings, ASKED, parts, lambda: True)))
    assert sum(isinstance(each, Done) for each in done) == count
    return time.perf_counter() - since


def sources_of(texts: list[str]) -> list[Source]:
    adapter = find_adapter("nasbench201", plugins())
    return [Source(text, adapter, "a cell") for text in texts]


WORK = {"trainings of a run": trainings, "searches of a comparison": searches, "lines of a stream": lines}
