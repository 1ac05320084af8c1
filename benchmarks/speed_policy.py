"""How fast the policy is over many architectures: one batch against one at a time, and a whole space transformed.

Forward and backward over random DARTS cells (two cells, 16 edges, NAT++ moves), with graphs built beforehand and with
graphs built anew; and ``transform`` over random cells of NAS-Bench-201. Each case runs in a process of its own, so that
its peak memory is its own. ``python benchmarks/speed_policy.py [--cells N] [--device cpu] [--json FILE]``
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nat_plugin.ir import (
    Budget,
    Cell,
    Edge,
    Frame,
    Head,
    Moves,
    Network,
    Node,
    Op,
    Placement,
    cell_stack,
    find_rule,
    is_connected,
)
from nat_plugin.ir.layers import Conv, Norm
from nat_plugin.ir.skeletons import at_level
from nat_plugin.policy.apply import transform
from nat_plugin.policy.graphs import Graph, build_batch, build_graph
from nat_plugin.policy.network import PolicyConfig, new_policy
from nat_plugin.timing import Clock, quickest

DARTS_OPS = tuple(
    Op.parse(text)
    for text in (
        *("null", "skip", "max_pool_3x3", "avg_pool_3x3"),
        *("sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"),
    )
)
LADDER_OPS = tuple(map(Op.parse, ("null", "skip", "conv_1x1", "conv_3x3", "avg_pool_3x3")))
LADDER = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))


def random_darts(rng: np.random.Generator) -> Network:
    """Two random inputs for each of four nodes, any op but null."""

    def cell() -> Cell:
        edges: list[Edge] = []
        for target in range(2, 6):
            for source in sorted(rng.choice(target, 2, replace=False).tolist()):
                edges.append(Edge(source, target, DARTS_OPS[rng.integers(1, 8)], f"{len(edges)}", DARTS_OPS))
        return Cell(2, (Node(),) * 4, tuple(edges), (2, 3, 4, 5), project=True)

    return cell_stack(cell(), at_level(cell(), 1), Frame(), 36, 20)


def random_ladder(rng: np.random.Generator) -> Network:
    """A cell of NAS-Bench-201 in its network: three stages of five cells, residual blocks between them."""
    edges = tuple(Edge(s, t, LADDER_OPS[rng.integers(5)], f"{s}->{t}", LADDER_OPS) for s, t in LADDER)
    conv, short = Op.parse("conv_3x3"), Op.parse("conv_1x1")
    cells = [("cell", Cell(1, (Node(),) * 3, edges, (3,)))]
    placements, tensor = [], 0
    for channels in (16, 32, 64):
        if channels > 16:
            nodes = (Node(1, channels), Node(1, channels))
            block = Cell(1, nodes, (Edge(0, 1, conv), Edge(0, 2, short), Edge(1, 2, conv)), (2,))
            cells.append((f"reduce{channels}", block))
            placements.append(Placement(f"reduce{channels}", channels, (tensor,)))
            tensor += 1
        for _ in range(5):
            placements.append(Placement("cell", channels, (tensor,)))
            tensor += 1
    stem = ((Conv(3, 16, (3, 3)), Norm(16)),)
    return Network(tuple(cells), tuple(placements), stem, Head(10), (3, 32, 32))


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
    start = time.perf_counter()
    transform(networks, find_rule("nat"), Budget(), policy)
    return {"cells": len(networks), "seconds": time.perf_counter() - start, "peak_mib": peak()}


def measure(cells: int = 1024, space: int = 15_625, device: str = "cpu", threads: int = 1) -> dict[str, Any]:
    """Everything, each in a fresh process."""
    context = multiprocessing.get_context("spawn")

    def alone(function: Any, *args: object) -> dict[str, float]:
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=1024)
    parser.add_argument("--space", type=int, default=15_625)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    found = measure(args.cells, args.space, args.device)
    print(f"{'':16}{'build s':>10}{'steps s':>10}{'peak MiB':>10}{'added MiB':>11}")
    for name in ("batch", "one_at_a_time"):
        row = found[name]
        print(f"{name:16}{row['build']:10.2f}{row['steps']:10.3f}{row['peak_mib']:10.0f}{row['peak_added_mib']:11.0f}")
    print(f"speedup {found['speedup']:.1f}, with building of graphs {found['speedup_with_building']:.1f}")
    print(f"transform: {found['transform']}")
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
