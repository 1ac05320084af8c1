"""How fast the policy is over many architectures: one batch against one at a time, and a whole space transformed.

Forward and backward over random DARTS cells (two cells, 16 edges, NAT++ moves), with graphs built beforehand and with
graphs built anew; and ``transform`` over random cells of NAS-Bench-201. Each case runs in a process of its own, so that
its peak memory is its own. ``python -m benchmarks speed-policy [--cells N] [--device cpu]``
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.common.results import add_result
from benchmarks.spaces.random_cells import random_darts, random_ladder
from nat_plugin.ir import (
    Budget,
    Moves,
    Network,
    find_rule,
    is_connected,
)
from nat_plugin.policy.apply import transform
from nat_plugin.policy.graphs import Graph, build_batch, build_graph
from nat_plugin.policy.network import PolicyConfig, new_policy
from nat_plugin.timing import Clock, quickest

HERE = "all in this process; peaks of memory are then those of all parts together"


def peak() -> float:
    """Peak resident memory of this process, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def graphs_of(networks: list[Network]) -> list[Graph]:
    rule = find_rule("nat++")
    return [build_graph(network, Moves(network, rule)) for network in networks]


def steps(cells: int, kind: str, device_name: str) -> dict[str, float]:
    """Seconds to build graphs and for forward and backward over all, in one batch or one at a time."""
    device, rng = torch.device(device_name), np.random.default_rng(0)
    networks = [random_darts(rng) for _ in range(cells)]
    policy = new_policy(PolicyConfig(), 0, device)
    policy(build_batch(graphs_of(networks[:2]), device)).sum().backward()  # loads kernels
    before, clock = peak(), Clock.of(device)
    start = clock.read()
    graphs = graphs_of(networks)
    built = clock.read() - start

    def run() -> None:
        policy.zero_grad()
        for part in [graphs] if kind == "batch" else [[graph] for graph in graphs]:
            policy(build_batch(part, device)).square().sum().backward()

    best = quickest(run, clock, passes=3 if kind == "batch" else 1)
    found = {"build": built, "steps": best, "peak_mib": peak(), "peak_added_mib": peak() - before}
    if device.type == "cuda":
        found["device_peak_mib"] = torch.cuda.max_memory_allocated(device) / 2**20
    return found


def whole_space(cells: int, kind: str, device_name: str) -> dict[str, float]:
    """Seconds for ``transform`` of that many connected cells of NAS-Bench-201, everything included."""
    del kind
    rng = np.random.default_rng(0)
    networks = [network for network in (random_ladder(rng) for _ in range(cells)) if is_connected(network)]
    policy = new_policy(PolicyConfig(), 0, torch.device(device_name))
    clock = Clock.of(torch.device(device_name))
    start = clock.read()
    transform(networks, find_rule("nat"), Budget(), policy)
    return {"cells": len(networks), "seconds": clock.read() - start, "peak_mib": peak()}


def measure(
    cells: int = 1024, space: int = 15_625, device: str = "cpu", threads: int = 1, here: bool = False
) -> dict[str, Any]:
    """Everything, each in a fresh process unless ``here``."""
    context = multiprocessing.get_context("spawn")

    def alone(function: Callable[..., dict[str, float]], *args: object) -> dict[str, float]:
        if here:
            return function(*args)
        with context.Pool(1, torch.set_num_threads, (threads,)) as pool:
            return pool.apply(function, args)

    batch, single = alone(steps, cells, "batch", device), alone(steps, cells, "single", device)
    return {
        "cells": cells,
        "device": device,
        "threads": threads,
        "batch": batch,
        "one_at_a_time": single,
        "speedup": single["steps"] / batch["steps"],
        "speedup_with_building": (single["steps"] + single["build"]) / (batch["steps"] + batch["build"]),
        "transform": alone(whole_space, space, "", device),
    }


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cells", type=int, default=1024)
    parser.add_argument("--space", type=int, default=15_625)
    parser.add_argument("--here", action="store_true", help=HERE)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")


def run(args: argparse.Namespace) -> None:
    found = measure(args.cells, args.space, args.device, here=args.here)
    print(f"{'':16}{'build s':>10}{'steps s':>10}{'peak MiB':>10}{'added MiB':>11}")
    for name in ("batch", "one_at_a_time"):
        row = found[name]
        print(f"{name:16}{row['build']:10.2f}{row['steps']:10.3f}{row['peak_mib']:10.0f}{row['peak_added_mib']:11.0f}")
    print(f"speedup {found['speedup']:.1f}, with building of graphs {found['speedup_with_building']:.1f}")
    print(f"transform: {found['transform']}")
    add_result(args.results, args.device, found)
