"""Speed and memory of what everything else waits for: the step of a supernet, and the policy over many architectures.

    python -m benchmarks speed-core --save

Each part runs in a process of its own, one after the other, so that its peak memory is its own. Ratios are within one
run; the seconds are those of the machine at hand.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import torch

from benchmarks.common.results import add_result
from benchmarks.experiments.speed import policy as speed_policy
from benchmarks.experiments.speed import supernet as speed_supernet


def measure(args: argparse.Namespace) -> dict[str, Any]:
    sizes = {
        "channels": args.channels,
        "cells": args.layers,
        "batch": args.batch,
        "device": args.device,
        "within": args.within,
    }
    if args.here:
        supernet = speed_supernet.measure(**sizes)
    else:
        with ProcessPoolExecutor(1, get_context("spawn"), torch.set_num_threads, (args.threads,)) as pool:
            supernet = pool.submit(speed_supernet.measure, **sizes).result()
    return {
        "supernet": supernet,
        "policy": speed_policy.measure(args.cells, args.space, args.device, args.threads, args.here),
    }


def table(found: Mapping[str, Any]) -> str:
    step, policy = found["supernet"], found["policy"]
    batch, single = policy["batch"], policy["one_at_a_time"]
    mib = 2**20
    rows = [
        ("training step: fixed network", f"{step['seconds']['fixed'] * 1e3:.0f} ms", "", ""),
        (
            "training step: supernet, same path",
            f"{step['seconds']['supernet'] * 1e3:.0f} ms",
            f"{step['ratio']:.2f} [{step['interval'][0]:.2f}, {step['interval'][1]:.2f}] of the fixed one",
            f"{step['peak_rss_bytes'] / mib:,.0f} MiB, both networks",
        ),
        (
            f"policy, {policy['cells']:,} cells one at a time",
            f"{single['steps']:.2f} s",
            "",
            f"{single['peak_added_mib']:.0f} MiB added",
        ),
        (
            f"policy, {policy['cells']:,} cells in one batch",
            f"{batch['steps']:.3f} s",
            f"{policy['speedup']:.0f} times faster; {policy['speedup_with_building']:.1f} with building the graphs",
            f"{batch['peak_added_mib']:.0f} MiB added",
        ),
        (
            f"transform of {policy['transform']['cells']:,} cells of NAS-Bench-201, everything included",
            f"{policy['transform']['seconds']:.1f} s",
            "",
            f"{policy['transform']['peak_mib']:.0f} MiB",
        ),
    ]
    head = ["| what | time | ratio | peak memory |", "|---|---|---|---|"]
    return "\n".join([*head, *("| " + " | ".join(row) + " |" for row in rows)])


def tables_of(results: Mapping[str, Any]) -> dict[str, str]:
    """By device: ``speed-cpu``, ``speed-cuda``."""
    return {f"speed-{device}": table(found) for device, found in results.items()}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--cells", type=int, default=1024, help="for the policy")
    parser.add_argument("--space", type=int, default=15_625, help="cells to transform")
    parser.add_argument("--channels", type=int, default=16, help="of the supernet")
    parser.add_argument("--layers", type=int, default=8, help="of the supernet")
    parser.add_argument("--batch", type=int, default=32, help="of the supernet")
    parser.add_argument(
        "--within", type=float, default=speed_supernet.WITHIN, help="width of the interval of the ratio"
    )
    parser.add_argument("--here", action="store_true", help=speed_policy.HERE)
    parser.add_argument("--threads", type=int, default=1, help="on the CPU")


def run(args: argparse.Namespace) -> None:
    found = measure(args)
    add_result(args.results, args.device, found)
    print(table(found))
